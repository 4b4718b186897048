//! Reading what a task has recorded.

use mysql_async::Row as SqlRow;
use serde::{Deserialize, Serialize};

use super::fence::WRITER_BASE;
use super::{LAYOUT, Record};
use crate::checkpoint::{Saved, SavedTable, Stage, TableStage};
use crate::sql;
use crate::sql::Queries;
use godwit_model::definition::TableDefinition;
use godwit_model::error::{Context, Error, Result};
use godwit_model::position::Position;

pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::definite(format!("writing the record: {e}")))
}

/// A definition as it was recorded. Its words go into statements on the source: the destination is not believed either.
pub(super) fn recorded(bytes: &[u8]) -> Result<TableDefinition> {
    let definition: TableDefinition = from_json(bytes)?;
    definition.check_words().context("reading the record")?;
    Ok(definition)
}

pub(super) fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::definite(format!("reading the record: {e}")))
}

pub(super) fn column<T: mysql_async::prelude::FromValue>(row: &mut SqlRow, place: usize) -> Result<T> {
    row.take_opt::<T, usize>(place)
        .ok_or_else(|| Error::definite(format!("the record lacks column {place}")))?
        .map_err(|e| Error::definite(format!("reading the record: {e}")))
}

impl Record {
    /// What the task has recorded; None for a task that never got that far.
    pub(super) async fn read(&self) -> Result<Option<Saved>> {
        let mut conn = self.conn().await?;
        if !self.exists(&mut conn).await? {
            return Ok(None);
        }
        let task = self.task.as_str();
        let row: Option<SqlRow> = conn
            .exec_first(
                sql!("SELECT layout, epoch, stage, fingerprint, source_uuid, start FROM {} WHERE task=?", self.table("task")),
                (task,),
            )
            .await?;
        let Some(mut row) = row else { return Ok(None) };
        let layout: u32 = column(&mut row, 0)?;
        if layout != LAYOUT {
            return Err(Error::definite(format!(
                "the record in database {} was written by another version of godwit (layout {layout}, this one knows {LAYOUT})",
                self.database
            )));
        }
        let mut saved = Saved {
            epoch: column(&mut row, 1)?,
            stage: Stage::parse(&column::<String>(&mut row, 2)?)?,
            fingerprint: from_json(&column::<Vec<u8>>(&mut row, 3)?)?,
            source_uuid: column(&mut row, 4)?,
            start: column::<Option<Vec<u8>>>(&mut row, 5)?.map(|json| from_json(&json)).transpose()?,
            lanes: Vec::new(),
            tables: Vec::new(),
            change: None,
        };
        type Stored = Option<Vec<u8>>;
        let lanes: Vec<(Stored, Stored)> = conn
            .exec(
                sql!(
                    "SELECT position, replay_from FROM {} WHERE task=? AND lane<{} ORDER BY lane",
                    self.table("lane"),
                    WRITER_BASE
                ),
                (task,),
            )
            .await?;
        for (position, replay_from) in lanes {
            if let Some(position) = position {
                saved.lanes.push((from_json(&position)?, replay_from.map(|json| from_json(&json)).transpose()?));
            }
        }
        let tables: Vec<SqlRow> = conn
            .exec(
                sql!(
                    "SELECT definition, stage, copied_rows, copied_bytes, valid_from FROM {} WHERE task=? ORDER BY source_database, source_table",
                    self.table("table_state")
                ),
                (task,),
            )
            .await?;
        for mut row in tables {
            saved.tables.push(SavedTable {
                definition: recorded(&column::<Vec<u8>>(&mut row, 0)?)?,
                stage: TableStage::parse(column(&mut row, 1)?)?,
                rows: column(&mut row, 2)?,
                bytes: column(&mut row, 3)?,
                valid_from: column::<Option<Vec<u8>>>(&mut row, 4)?.map(|json| from_json(&json)).transpose()?,
            });
        }
        saved.change = self.read_change(&mut conn).await?;
        self.release(conn);
        Ok(Some(saved))
    }

    /// What each lane has applied; nothing before all rows are copied.
    pub(super) async fn read_applied(&self) -> Result<Vec<Position>> {
        let mut conn = self.conn().await?;
        if !self.exists(&mut conn).await? {
            return Ok(Vec::new());
        }
        let rows: Vec<(String, Option<Vec<u8>>)> = conn
            .exec(
                sql!(
                    "SELECT t.stage, l.position FROM {} t JOIN {} l ON l.task=t.task WHERE t.task=? AND l.lane<{}",
                    self.table("task"),
                    self.table("lane"),
                    WRITER_BASE
                ),
                (self.task.as_str(),),
            )
            .await?;
        self.release(conn);
        let mut positions = Vec::with_capacity(rows.len());
        for (stage, position) in rows {
            let Some(position) = position.filter(|_| Stage::parse(&stage).is_ok_and(|stage| stage >= Stage::Following)) else {
                return Ok(Vec::new());
            };
            positions.push(from_json(&position)?);
        }
        Ok(positions)
    }
}
