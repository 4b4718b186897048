//! Single rows: PutRow, UpdateRow, DeleteRow, GetRow.

use std::time::Instant;

use crate::change::{ColumnFilter, ColumnUpdate, Condition, RowChange, RowOperation};
use crate::client::Client;
use crate::error::{AnswerError, Error};
use crate::limits::{self, Invalid};
use crate::operations::{Consumed, distrust, refuse};
use crate::plainbuffer;
use crate::proto;
use crate::value::{Column, Name, PrimaryKey, Row};

/// What is read of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The columns to read; none for all. The key always comes.
    pub columns: Vec<Name>,
    /// The newest versions of each column to read, at least one.
    pub max_versions: i32,
    /// Rows that do not pass are left out.
    pub filter: Option<ColumnFilter>,
}

impl Default for Read {
    /// The newest version of every column of every row.
    fn default() -> Self {
        Self { columns: Vec::new(), max_versions: 1, filter: None }
    }
}

impl Read {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        self.columns.iter().try_for_each(|column| limits::name(column))?;
        if self.max_versions < 1 {
            return Err(Invalid::Number { what: "the number of versions", value: self.max_versions.into() });
        }
        Ok(())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.columns.iter().map(ToString::to_string).collect()
    }

    pub(super) fn filter(&self) -> Option<Vec<u8>> {
        self.filter.as_ref().map(ColumnFilter::to_bytes)
    }
}

impl Client {
    /// Replaces a row as a whole, or creates it. Sent again after a lost answer it does the same once more, unless its condition says otherwise:
    /// see [`Error::may_have_succeeded`].
    ///
    /// # Errors
    /// [`Error`]; `OTSConditionCheckFail` where the condition does not hold.
    pub async fn put_row(
        &self,
        table: &str,
        key: PrimaryKey,
        columns: Vec<Column>,
        condition: Condition,
    ) -> Result<Consumed, Error> {
        self.write_row("PutRow", table, &RowChange { key, operation: RowOperation::Put(columns), condition }).await
    }

    /// Changes the named columns of a row, which comes into being if there is none. Sent again after a lost answer it does the same once more,
    /// unless its condition says otherwise: see [`Error::may_have_succeeded`].
    ///
    /// # Errors
    /// [`Error`]; `OTSConditionCheckFail` where the condition does not hold.
    pub async fn update_row(
        &self,
        table: &str,
        key: PrimaryKey,
        updates: Vec<ColumnUpdate>,
        condition: Condition,
    ) -> Result<Consumed, Error> {
        self.write_row("UpdateRow", table, &RowChange { key, operation: RowOperation::Update(updates), condition }).await
    }

    /// Deletes a row. That there is none is no error. Sent again after a lost answer it does the same once more, unless its condition says
    /// otherwise: see [`Error::may_have_succeeded`].
    ///
    /// # Errors
    /// [`Error`]; `OTSConditionCheckFail` where the condition does not hold.
    pub async fn delete_row(&self, table: &str, key: PrimaryKey, condition: Condition) -> Result<Consumed, Error> {
        self.write_row("DeleteRow", table, &RowChange { key, operation: RowOperation::Delete, condition }).await
    }

    async fn write_row(&self, operation: &'static str, table: &str, row: &RowChange) -> Result<Consumed, Error> {
        let invalid = refuse(operation);
        limits::name(table).map_err(&invalid)?;
        limits::change(&row.key, &row.operation).map_err(&invalid)?;
        limits::request(row.size()).map_err(&invalid)?;
        let request = proto::WriteRowRequest {
            table_name: table.to_owned(),
            row: plainbuffer::change(&row.key, &row.operation),
            condition: row.condition.to_proto(),
        };
        let called = self.call::<proto::WriteRowResponse>(operation, &request, Instant::now()).await?;
        Consumed::from_answer(called.answer.consumed.as_ref()).map_err(|error| distrust(operation, &called, error))
    }

    /// Reads a row, or nothing where there is none or the filter leaves it out.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn get_row(&self, table: &str, key: &PrimaryKey, read: &Read) -> Result<Option<Row>, Error> {
        const OPERATION: &str = "GetRow";
        let invalid = refuse(OPERATION);
        limits::name(table).map_err(&invalid)?;
        limits::key(key).map_err(&invalid)?;
        read.check().map_err(&invalid)?;
        let request = proto::GetRowRequest {
            table_name: table.to_owned(),
            primary_key: plainbuffer::primary_key(key),
            columns_to_get: read.names(),
            max_versions: Some(read.max_versions),
            filter: read.filter(),
        };
        let called = self.call::<proto::GetRowResponse>(OPERATION, &request, Instant::now()).await?;
        let bytes = called.answer.row.as_deref().ok_or(AnswerError::Field("row"));
        bytes
            .and_then(|bytes| row_of(key, bytes, called.answer.next_token.as_ref()))
            .map_err(|error| distrust(OPERATION, &called, error))
    }
}

/// The row of an answer, which has to be the one that was asked for, and whole.
pub(super) fn row_of(asked: &PrimaryKey, bytes: &[u8], next_token: Option<&Vec<u8>>) -> Result<Option<Row>, AnswerError> {
    // A token stands for columns that did not fit. Without it half a row would be taken for a whole one.
    if next_token.is_some_and(|token| !token.is_empty()) {
        return Err(AnswerError::Field("row (it is cut, and goes on elsewhere)"));
    }
    let row = plainbuffer::row(bytes)?;
    if row.as_ref().is_some_and(|row| row.key != *asked) { Err(AnswerError::Row) } else { Ok(row) }
}
