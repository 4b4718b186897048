//! The records of tasks: one Tablestore table, a few rows a task.
//!
//! | key `task` | key `item` | holds |
//! |---|---|---|
//! | `namespace/name` | `task` | epoch, stage, what may not change between runs; `entered` is set last, so that a task is recorded or not |
//! | | `lane/N` | what the lane has applied; its epoch, on which a mark is conditional |
//! | | `table/[…]` | definition, stage and counts of a table, by its name at the source |
//! | | `chunk/[…]/N` | a copied key range |
//! | `table:NAME` | `owner` | which task writes the table |
//!
//! The epoch is raised by a conditional update. A mark or a stage of an engine that lost its claim fails its condition; rows of tables do not
//! have one (`Capabilities::zombie`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::send::patiently;
use super::{Instance, failure};
use crate::checkpoint::{Claim, LANES, NewTask, Saved, SavedChunk, SavedTable, Stage, TableStage};
use crate::destination::{Done, Mark, Records};
use godwit_model::definition::TableDefinition;
use godwit_model::error::{Context, Error, Result};
use godwit_model::position::Position;
use godwit_model::row::Row;
use godwit_tablestore::{
    Code, Column, ColumnFilter, ColumnUpdate, Comparator, Condition, Existence, KeyBound, KeyColumn, KeyType, KeyValue,
    PrimaryKey, Range, Read, Row as StoredRow, TableOptions, Throughput, Value,
};

/// Layout of the records; raised when it changes.
const LAYOUT: i64 = 1;

const TASK: &str = "task";
const ITEM: &str = "item";

/// A task enters its tables within this …
const ENTERS_WITHIN: Duration = Duration::from_secs(30);
/// … and whoever finds one that has begun to, by the clock of its machine, not longer ago than this, takes it for the tables' writer.
const BEGINS_FOR_MILLIS: i64 = 5 * 60 * 1000;

/// What is read of a task's records at once, at most: definitions of thousands of tables, or half a million chunks.
const RECORD_BYTES: usize = 64 << 20;

/// A claim is tried again so often when another engine raises the epoch at the same moment.
const CLAIM_TRIES: u32 = 20;

/// A table that was made a moment ago takes no rows yet.
const TABLE_LOADS_WITHIN: Duration = Duration::from_secs(60);

/// One task's records.
#[derive(Debug)]
pub(crate) struct TablestoreRecords {
    instance: Instance,
    task: String,
}

type Stored = BTreeMap<String, Value>;

impl TablestoreRecords {
    /// `task` is `namespace/name`.
    pub(crate) fn new(instance: &Instance, task: &str) -> Self {
        Self { instance: instance.clone(), task: task.to_owned() }
    }

    fn table(&self) -> &str {
        self.instance.records_table()
    }

    fn key(&self, item: &str) -> PrimaryKey {
        key(&self.task, item)
    }

    /// The columns of one record.
    async fn get(&self, key: &PrimaryKey) -> Result<Option<Stored>> {
        let all = Read::default();
        match patiently(|| self.instance.client().get_row(self.table(), key, &all)).await {
            Ok(row) => Ok(row.map(stored)),
            Err(error) if error.code() == Some(&Code::ObjectNotExist) => Ok(None),
            Err(error) => Err(failure(error).context("reading the record")),
        }
    }

    async fn put(&self, key: PrimaryKey, columns: Vec<Column>, condition: Condition) -> Result<bool> {
        let put = || self.instance.client().put_row(self.table(), key.clone(), columns.clone(), condition.clone());
        taken(patiently(put).await)
    }

    async fn update(&self, key: PrimaryKey, columns: Vec<Column>, condition: Condition) -> Result<bool> {
        let updates: Vec<ColumnUpdate> = columns.into_iter().map(ColumnUpdate::Put).collect();
        let update = || self.instance.client().update_row(self.table(), key.clone(), updates.clone(), condition.clone());
        taken(patiently(update).await)
    }

    /// All items of the task whose name begins so.
    async fn items(&self, prefix: &str) -> Result<Vec<(String, Stored)>> {
        let bound =
            |item: KeyBound| vec![(TASK.into(), KeyBound::Value(KeyValue::String(self.task.clone()))), (ITEM.into(), item)];
        let mut range = Range {
            direction: Default::default(),
            from: bound(KeyBound::Value(KeyValue::String(prefix.to_owned()))),
            to: bound(KeyBound::Max),
            read: Read::default(),
            limit: None,
        };
        let mut found = Vec::new();
        let mut bytes = 0;
        loop {
            let page = patiently(|| self.instance.client().get_range(self.table(), &range)).await;
            let page = page.map_err(failure).context("reading the record")?;
            for row in page.rows {
                let Some(name) = item_of(&row) else { continue };
                if !name.starts_with(prefix) {
                    return Ok(found);
                }
                bytes += name.len() + row.columns.iter().map(Column::size).sum::<usize>();
                if bytes > RECORD_BYTES {
                    return Err(Error::definite(format!(
                        "the record of task {} holds more than {RECORD_BYTES} bytes",
                        self.task
                    )));
                }
                found.push((name, stored(row)));
            }
            match page.next {
                Some(next) => range.from = next,
                None => return Ok(found),
            }
        }
    }

    /// Whether the epoch is still the claim's.
    ///
    /// # Errors
    /// Fenced, where it is not.
    pub(super) async fn look(&self, claim: Claim) -> Result<()> {
        let record = self.get(&self.key("task")).await?;
        let epoch = record.as_ref().map(|record| number(record, "epoch")).transpose()?;
        if epoch == Some(claim.epoch) { Ok(()) } else { Err(fenced()) }
    }

    /// Records a lane's position.
    ///
    /// # Errors
    /// Fenced, when another engine has the task.
    pub(super) async fn mark(&self, claim: Claim, lane: u32, mark: Mark<'_>) -> Result<()> {
        let mut columns = vec![text("position", json(mark.position)?)];
        // A column cannot be set to nothing: an empty text says that there is none.
        columns.push(text("replay_from", mark.replay_from.map(json).transpose()?.unwrap_or_default()));
        let condition = at_epoch(claim);
        if self.update(self.key(&format!("lane/{lane}")), columns, condition).await? { Ok(()) } else { Err(fenced()) }
    }

    /// Records what is done with rows that were accepted.
    pub(super) async fn done(&self, claim: Claim, definition: &TableDefinition, done: Done<'_>) -> Result<()> {
        match done {
            Done::Chunk(chunk) => {
                let mut columns = vec![
                    integer("number", chunk.number)?,
                    integer("copied_rows", chunk.rows)?,
                    integer("copied_bytes", chunk.bytes)?,
                ];
                for (name, bound) in [("low", &chunk.low), ("high", &chunk.high)] {
                    columns.extend(bound.as_ref().map(|row| Column::new(name, Value::Binary(row.as_bytes().to_vec()))));
                }
                let item = format!("{}{:020}", chunks_of(definition)?, chunk.number);
                self.look(claim).await?;
                self.put(self.key(&item), columns, Condition::default()).await.map(drop)
            }
            Done::Snapshot { rows, bytes, valid_from } => {
                let mut columns = copied(rows, bytes)?;
                columns.extend(valid_from.map(json).transpose()?.map(|position| text("valid_from", position)));
                self.change_table(claim, definition, columns).await
            }
        }
    }

    async fn change_table(&self, claim: Claim, definition: &TableDefinition, columns: Vec<Column>) -> Result<()> {
        self.look(claim).await?;
        let condition = Condition { existence: Existence::ExpectExist, column: None };
        match self.update(self.key(&item_of_table(definition)?), columns, condition).await? {
            true => Ok(()),
            false => Err(Error::definite(format!("{}: the table's record is gone", definition.qualified()))),
        }
    }

    /// Enters the task as the writer of its tables.
    async fn take_tables(&self, names: &[String]) -> Result<()> {
        for name in names {
            let place = key(&format!("table:{name}"), "owner");
            let mine = || vec![text("writer", self.task.clone())];
            let missing = Condition { existence: Existence::ExpectNotExist, column: None };
            if self.put(place.clone(), mine(), missing).await? {
                continue;
            }
            let owner = self.get(&place).await?.map(|record| string(&record, "writer")).transpose()?;
            let Some(owner) = owner.filter(|owner| *owner != self.task) else { continue };
            let writes = match self.get(&key(&owner, "task")).await? {
                None => false,
                Some(record) if !record.contains_key("entered") => began_lately(&record),
                Some(record) => !matches!(Stage::parse(&string(&record, "stage")?)?, Stage::Completed | Stage::Stopped),
            };
            if writes {
                return Err(Error::definite(format!(
                    "Tablestore table {name} is written by the task {owner}; stop that one (desiredState: Stopped), or choose another name with \
                     renameTo"
                )));
            }
            let as_it_was = Condition {
                existence: Existence::ExpectExist,
                column: Some(ColumnFilter::new("writer", Comparator::Equal, Value::String(owner))),
            };
            if !self.put(place, mine(), as_it_was).await? {
                return Err(Error::transient(format!("Tablestore table {name}: another task takes it at the same moment")));
            }
        }
        Ok(())
    }

    async fn enter(&self, task: NewTask<'_>) -> Result<()> {
        // First that it begins, so that of two tasks that take one table at the same moment the second sees the first.
        let began = Instant::now();
        let missing = Condition { existence: Existence::ExpectNotExist, column: None };
        let begin = vec![Column::new("began", Value::Integer(now_millis()))];
        if !self.put(self.key("task"), begin.clone(), missing).await? {
            let found = self.get(&self.key("task")).await?.unwrap_or_default();
            if found.contains_key("entered") {
                return Err(recorded_meanwhile());
            }
            // An engine that ended in the middle of this.
            self.update(self.key("task"), begin, Condition::default()).await?;
        }
        let names: Vec<String> = task.destinations.iter().map(|name| name.table.clone()).collect();
        self.take_tables(&names).await?;
        for lane in 0..LANES {
            let mut columns = vec![integer("epoch", 0)?];
            if let Some((position, replay_from)) = task.start {
                columns.push(text("position", json(position)?));
                columns.push(text("replay_from", json(replay_from)?));
            }
            self.put(self.key(&format!("lane/{lane}")), columns, Condition::default()).await?;
        }
        for definition in task.definitions {
            let columns = vec![text("definition", json(definition)?), integer("stage", u64::from(TableStage::Planned.number()))?];
            self.put(self.key(&item_of_table(definition)?), columns, Condition::default()).await?;
        }
        let mut columns = vec![
            Column::new("entered", Value::Boolean(true)),
            Column::new("layout", Value::Integer(LAYOUT)),
            integer("epoch", 0)?,
            text("stage", Stage::Starting.name().to_owned()),
            text("fingerprint", json(&task.fingerprint)?),
            text("source_uuid", task.source_identity.to_owned()),
        ];
        if let Some((position, _)) = task.start {
            columns.push(text("start", json(position)?));
        }
        if began.elapsed() > ENTERS_WITHIN {
            return Err(Error::transient("the task took too long to be recorded; it begins again"));
        }
        let column = Some(ColumnFilter::new("entered", Comparator::NotEqual, Value::Boolean(true)));
        let column = column.map(|filter| ColumnFilter { pass_if_missing: true, ..filter });
        let not_entered = Condition { existence: Existence::ExpectExist, column };
        match self.update(self.key("task"), columns, not_entered).await? {
            true => Ok(()),
            false => Err(recorded_meanwhile()),
        }
    }

    async fn read(&self) -> Result<Option<Saved>> {
        let record = self.get(&self.key("task")).await?.filter(|record| record.contains_key("entered"));
        let Some(record) = record else { return Ok(None) };
        let layout = number(&record, "layout")?;
        if layout != LAYOUT.unsigned_abs() {
            return Err(Error::definite(format!(
                "the record in table {} was written by another version of godwit (layout {layout}, this one knows {LAYOUT})",
                self.table()
            )));
        }
        let start = record.contains_key("start").then(|| parsed(&record, "start")).transpose()?;
        let mut lanes = Vec::new();
        for (_, lane) in self.items("lane/").await? {
            if lane.contains_key("position") {
                let replay_from = string(&lane, "replay_from")?;
                let replay_from = (!replay_from.is_empty()).then(|| parsed(&lane, "replay_from")).transpose()?;
                lanes.push((parsed(&lane, "position")?, replay_from));
            }
        }
        let mut tables = Vec::new();
        for (_, table) in self.items("table/").await? {
            let definition: TableDefinition = parsed(&table, "definition")?;
            // The destination is not believed: its words go into statements on the source.
            definition.check_words().context("reading the record")?;
            let stage = u32::try_from(number(&table, "stage")?).unwrap_or(u32::MAX);
            let count = |name: &str| if table.contains_key(name) { number(&table, name) } else { Ok(0) };
            tables.push(SavedTable {
                definition,
                stage: TableStage::parse(stage)?,
                rows: count("copied_rows")?,
                bytes: count("copied_bytes")?,
                valid_from: table.contains_key("valid_from").then(|| parsed(&table, "valid_from")).transpose()?,
            });
        }
        tables.sort_by(|a, b| {
            let name = |table: &SavedTable| (table.definition.database.clone(), table.definition.table.clone());
            name(a).cmp(&name(b))
        });
        Ok(Some(Saved {
            epoch: number(&record, "epoch")?,
            stage: Stage::parse(&string(&record, "stage")?)?,
            fingerprint: parsed(&record, "fingerprint")?,
            source_uuid: string(&record, "source_uuid")?,
            start,
            lanes,
            tables,
            change: None,
        }))
    }

    async fn raise_epoch(&self) -> Result<Claim> {
        for _ in 0..CLAIM_TRIES {
            let record = self.get(&self.key("task")).await?;
            let record = record.ok_or_else(|| Error::definite(format!("the record of task {} is gone", self.task)))?;
            let claim = Claim { epoch: number(&record, "epoch")? };
            let next = Claim { epoch: claim.epoch + 1 };
            if self.update(self.key("task"), vec![integer("epoch", next.epoch)?], at_epoch(claim)).await? {
                for lane in 0..LANES {
                    let condition = Condition { existence: Existence::ExpectExist, column: None };
                    let key = self.key(&format!("lane/{lane}"));
                    if !self.update(key, vec![integer("epoch", next.epoch)?], condition).await? {
                        return Err(Error::definite(format!("the record of lane {lane} of task {} is gone", self.task)));
                    }
                }
                // Another one may have come meanwhile and raised them first.
                self.look(next).await?;
                return Ok(next);
            }
        }
        Err(Error::transient("other engines claim this task again and again"))
    }

    async fn forget_chunks(&self, definition: &TableDefinition) -> Result<()> {
        for (item, _) in self.items(&chunks_of(definition)?).await? {
            let condition = Condition::default();
            let deleted = patiently(|| self.instance.client().delete_row(self.table(), self.key(&item), condition.clone())).await;
            deleted.map_err(failure).context("writing the record")?;
        }
        Ok(())
    }

    /// The record table, where it is missing.
    async fn make_table(&self) -> Result<()> {
        let columns = [KeyColumn::new(TASK, KeyType::String), KeyColumn::new(ITEM, KeyType::String)];
        let client = self.instance.client();
        let (options, throughput) = (TableOptions::default(), Throughput::default());
        match patiently(|| client.create_table(self.table(), &columns, options, throughput)).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(&Code::ObjectAlreadyExist) => {}
            Err(error) => return Err(failure(error).context("creating the table of the records")),
        }
        let found = patiently(|| client.describe_table(self.table()))
            .await
            .map_err(failure)
            .context("creating the table of the records")?;
        if found.key != columns {
            return Err(Error::definite(format!(
                "Tablestore table {} stands there with another key than (task STRING, item STRING); choose another name in \
                 spec.destination.recordsDatabase",
                self.table()
            )));
        }
        let began = Instant::now();
        loop {
            match client.get_row(self.table(), &self.key("task"), &Read::default()).await {
                Err(error) if error.code() == Some(&Code::TableNotReady) && began.elapsed() < TABLE_LOADS_WITHIN => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(failure(error)),
                Ok(_) => return Ok(()),
            }
        }
    }
}

impl Records for TablestoreRecords {
    fn task(&self) -> &str {
        &self.task
    }

    fn place(&self) -> &str {
        self.table()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.make_table())
    }

    fn create<'a>(&'a self, task: NewTask<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.enter(task))
    }

    fn load(&self) -> BoxFuture<'_, Result<Option<Saved>>> {
        Box::pin(self.read())
    }

    fn claim(&self, _: u32) -> BoxFuture<'_, Result<Claim>> {
        Box::pin(self.raise_epoch())
    }

    fn check(&self, claim: Claim) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.look(claim))
    }

    fn set_stage(&self, claim: Claim, stage: Stage) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let columns = vec![text("stage", stage.name().to_owned())];
            if self.update(self.key("task"), columns, at_epoch(claim)).await? { Ok(()) } else { Err(fenced()) }
        })
    }

    fn set_table_stage<'a>(
        &'a self,
        claim: Claim,
        definition: &'a TableDefinition,
        stage: TableStage,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.change_table(claim, definition, vec![integer("stage", u64::from(stage.number()))?]).await })
    }

    fn copied_chunks<'a>(&'a self, definition: &'a TableDefinition) -> BoxFuture<'a, Result<Vec<SavedChunk>>> {
        Box::pin(async move {
            let items = self.items(&chunks_of(definition)?).await?;
            let bound = |record: &Stored, name: &str| match record.get(name) {
                Some(Value::Binary(bytes)) => Some(Row::from_encoded(bytes.clone())),
                _ => None,
            };
            let chunk = |(_, record): (String, Stored)| {
                Ok(SavedChunk {
                    number: number(&record, "number")?,
                    low: bound(&record, "low"),
                    high: bound(&record, "high"),
                    rows: number(&record, "copied_rows")?,
                    bytes: number(&record, "copied_bytes")?,
                })
            };
            items.into_iter().map(chunk).collect()
        })
    }

    fn finish_copy<'a>(
        &'a self,
        claim: Claim,
        definition: &'a TableDefinition,
        rows: u64,
        bytes: u64,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.change_table(claim, definition, copied(rows, bytes)?).await?;
            self.forget_chunks(definition).await
        })
    }

    fn applied(&self) -> BoxFuture<'_, Result<Vec<Position>>> {
        Box::pin(async {
            let saved = self.read().await?.filter(|saved| saved.stage >= Stage::Following);
            Ok(saved.into_iter().flat_map(|saved| saved.lanes).map(|(position, _)| position).collect())
        })
    }

    fn rename_source(&self, before: &str, now: &str) -> String {
        format!(
            "in table {} of the instance, in the rows of task {}, replace {before} by {now} in the columns source_uuid, position, replay_from and \
             valid_from",
            self.table(),
            self.task
        )
    }
}

fn recorded_meanwhile() -> Error {
    Error::transient("another engine has just recorded this task, which is taken up from its record")
}

fn now_millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Whether a task that is not entered yet may still be about to.
fn began_lately(record: &Stored) -> bool {
    match record.get("began") {
        Some(Value::Integer(began)) => now_millis().saturating_sub(*began) < BEGINS_FOR_MILLIS,
        _ => false,
    }
}

fn key(task: &str, item: &str) -> PrimaryKey {
    vec![(TASK.into(), KeyValue::String(task.to_owned())), (ITEM.into(), KeyValue::String(item.to_owned()))]
}

/// A name that is no part of another one.
fn name_of(definition: &TableDefinition) -> Result<String> {
    json(&(&definition.database, &definition.table))
}

fn item_of_table(definition: &TableDefinition) -> Result<String> {
    Ok(format!("table/{}", name_of(definition)?))
}

fn chunks_of(definition: &TableDefinition) -> Result<String> {
    Ok(format!("chunk/{}/", name_of(definition)?))
}

fn item_of(row: &StoredRow) -> Option<String> {
    match row.key.iter().find(|(name, _)| &**name == ITEM) {
        Some((_, KeyValue::String(item))) => Some(item.clone()),
        _ => None,
    }
}

fn stored(row: StoredRow) -> Stored {
    row.columns.into_iter().map(|column| (column.name.to_string(), column.value)).collect()
}

fn copied(rows: u64, bytes: u64) -> Result<Vec<Column>> {
    let stage = u64::from(TableStage::Copied.number());
    Ok(vec![integer("stage", stage)?, integer("copied_rows", rows)?, integer("copied_bytes", bytes)?])
}

fn text(name: &str, value: String) -> Column {
    Column::new(name, Value::String(value))
}

fn integer(name: &str, value: u64) -> Result<Column> {
    let value = i64::try_from(value).map_err(|_| Error::definite(format!("writing the record: {name} is beyond 2^63−1")))?;
    Ok(Column::new(name, Value::Integer(value)))
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::definite(format!("writing the record: {error}")))
}

fn lacks(name: &str) -> Error {
    Error::definite(format!("reading the record: it lacks {name}"))
}

fn number(record: &Stored, name: &str) -> Result<u64> {
    match record.get(name) {
        Some(Value::Integer(number)) => u64::try_from(*number).map_err(|_| lacks(name)),
        _ => Err(lacks(name)),
    }
}

fn string(record: &Stored, name: &str) -> Result<String> {
    match record.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(lacks(name)),
    }
}

fn parsed<T: DeserializeOwned>(record: &Stored, name: &str) -> Result<T> {
    serde_json::from_str(&string(record, name)?).map_err(|error| Error::definite(format!("reading the record: {name}: {error}")))
}

/// The record still has the claim's epoch.
fn at_epoch(claim: Claim) -> Condition {
    // An epoch beyond 2^63 cannot be in a record.
    let epoch = i64::try_from(claim.epoch).unwrap_or(i64::MAX);
    let column = Some(ColumnFilter::new("epoch", Comparator::Equal, Value::Integer(epoch)));
    Condition { existence: Existence::ExpectExist, column }
}

fn fenced() -> Error {
    Error::fenced(
        "another engine has taken this task over (its epoch at the destination is newer); this one stops without writing",
    )
}

/// Whether a conditional write was taken; false: its condition does not hold.
fn taken<T>(result: std::result::Result<T, godwit_tablestore::Error>) -> Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(&Code::ConditionCheckFail) => Ok(false),
        Err(error) => Err(failure(error).context("writing the record")),
    }
}
