//! Many rows in one request: BatchWriteRow, BulkImport, BatchGetRow.
//!
//! An answer of a batch says for each row whether it was done; HTTP's 200 says nothing about them. Every row that was sent has to be answered, in
//! its place: what is not answered is an error, never a success. Rows that the service could not do at this moment are sent again by themselves.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use crate::change::RowChange;
use crate::client::{Called, Client};
use crate::error::{AnswerError, Error, Refusal};
use crate::limits::{self, Invalid};
use crate::operations::row::row_of;
use crate::operations::{Consumed, Read, distrust, refuse};
use crate::plainbuffer;
use crate::proto;
use crate::value::{PrimaryKey, Row};

/// Changes of rows of one table. A batch holds a table once, and a key once.
#[derive(Clone, Copy, Debug)]
pub struct RowsOfTable<'a> {
    /// The table.
    pub table: &'a str,
    /// What happens to its rows.
    pub rows: &'a [RowChange],
}

/// Rows of one table to read.
#[derive(Clone, Copy, Debug)]
pub struct KeysOfTable<'a> {
    /// The table.
    pub table: &'a str,
    /// The keys of the rows.
    pub keys: &'a [PrimaryKey],
    /// What is read of them.
    pub read: &'a Read,
}

/// A row of a batch that was refused for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{refusal}")]
pub struct RowError {
    /// What the service said of the row, the last time.
    pub refusal: Refusal,
    /// Whether an attempt before the last may have done it although that was not answered. A condition that then fails may have failed because
    /// of this very call.
    pub earlier_attempt_may_have_succeeded: bool,
}

/// How one row of a batch ended.
pub type RowResult<T> = Result<T, RowError>;

/// How the rows of a batch that writes ended: for each table of the request, each of its rows, in their order.
pub type WriteResult = Vec<Vec<RowResult<Consumed>>>;

impl Client {
    /// Changes up to 200 rows, of one table or several. The rows are independent of each other: some may be refused while others are done.
    /// A row that was refused for the moment is sent again, with its like; a batch whose answer was lost is sent again as a whole. Both do
    /// no harm, because a batch holds a key once and no change adds to what is there; for rows with a condition see [`RowError`].
    ///
    /// # Errors
    /// [`Error`] where nothing is known of some of the rows, with [`Error::may_have_succeeded`]; the answers for single rows are in the result.
    pub async fn batch_write_row(&self, tables: &[RowsOfTable<'_>]) -> Result<WriteResult, Error> {
        const OPERATION: &str = "BatchWriteRow";
        limits::batch(tables.iter().map(|table| (table.table, table.rows))).map_err(refuse(OPERATION))?;
        let mut batch = Batch::new(OPERATION, tables.iter().map(|table| (table.table, table.rows)));
        while !batch.is_done() {
            let tables = batch.pending().into_iter().map(|(table, rows)| write_request(table, &rows, true)).collect();
            let request = proto::BatchWriteRowRequest { tables };
            let called =
                self.call::<proto::BatchResponse>(OPERATION, &request, batch.began).await.map_err(|error| batch.failed(error))?;
            batch.take(&called, &called.answer.tables, consumed)?;
            batch.pause(self).await;
        }
        batch.finish()
    }

    /// Writes up to 200 rows of one table at the price of loading. It takes no conditions. What holds of [`Client::batch_write_row`] about
    /// single rows and about sending again holds here.
    ///
    /// # Errors
    /// [`Error`], as there.
    pub async fn bulk_import(&self, table: &str, changes: &[RowChange]) -> Result<Vec<RowResult<Consumed>>, Error> {
        const OPERATION: &str = "BulkImport";
        let invalid = refuse(OPERATION);
        limits::batch([(table, changes)]).map_err(&invalid)?;
        if let Some(at) = changes.iter().position(|row| !row.condition.is_none()) {
            return Err(invalid(Invalid::Condition(at)));
        }
        let mut batch = Batch::new(OPERATION, [(table, changes)]);
        while !batch.is_done() {
            let rows: Vec<&RowChange> = batch.pending().into_iter().flat_map(|(_, rows)| rows).collect();
            let request = write_request(table, &rows, false);
            let called = self
                .call::<proto::TableInBatchResponse>(OPERATION, &request, batch.began)
                .await
                .map_err(|error| batch.failed(error))?;
            batch.take(&called, std::slice::from_ref(&called.answer), consumed)?;
            batch.pause(self).await;
        }
        Ok(batch.finish()?.into_iter().flatten().collect())
    }

    /// Reads up to 100 rows, of one table or several: for each table of the request the row of each key, in their order, or None where there is
    /// none. A request holds a key once.
    ///
    /// # Errors
    /// [`Error`] where nothing is known of some of the rows; the answers for single rows are in the result.
    pub async fn batch_get_row(&self, tables: &[KeysOfTable<'_>]) -> Result<Vec<Vec<RowResult<Option<Row>>>>, Error> {
        const OPERATION: &str = "BatchGetRow";
        check_keys(tables).map_err(refuse(OPERATION))?;
        let reads: HashMap<&str, &Read> = tables.iter().map(|table| (table.table, table.read)).collect();
        let mut batch = Batch::new(OPERATION, tables.iter().map(|table| (table.table, table.keys)));
        while !batch.is_done() {
            let of_table = |(table, keys): (&str, Vec<&PrimaryKey>)| reads.get(table).map(|read| get_request(table, read, &keys));
            let request = proto::BatchGetRowRequest { tables: batch.pending().into_iter().filter_map(of_table).collect() };
            let called =
                self.call::<proto::BatchResponse>(OPERATION, &request, batch.began).await.map_err(|error| batch.failed(error))?;
            batch.take(&called, &called.answer.tables, |key, answer| {
                let bytes = answer.row.as_deref().ok_or(AnswerError::Field("row"))?;
                row_of(key, bytes, answer.next_token.as_ref())
            })?;
            batch.pause(self).await;
        }
        batch.finish()
    }
}

fn consumed(_row: &RowChange, answer: &proto::RowInBatchResponse) -> Result<Consumed, AnswerError> {
    Consumed::from_answer(answer.consumed.as_ref())
}

fn check_keys(tables: &[KeysOfTable<'_>]) -> Result<(), Invalid> {
    let mut rows = 0;
    let mut names = HashSet::new();
    for table in tables {
        limits::name(table.table)?;
        table.read.check()?;
        if !names.insert(table.table) {
            return Err(Invalid::DuplicateTable(table.table.to_owned()));
        }
        let mut keys = HashMap::new();
        for key in table.keys {
            limits::key(key)?;
            if let Some(first) = keys.insert(key, rows) {
                return Err(Invalid::DuplicateKey { first, second: rows });
            }
            rows += 1;
        }
    }
    limits::number_of_rows(rows, limits::BATCH_GET_ROWS)
}

fn write_request(table: &str, rows: &[&RowChange], conditions: bool) -> proto::TableInBatchWriteRequest {
    let row = |row: &&RowChange| proto::RowInBatchWriteRequest {
        r#type: row.kind().into(),
        row_change: plainbuffer::change(&row.key, &row.operation),
        condition: conditions.then(|| row.condition.to_proto()),
    };
    proto::TableInBatchWriteRequest { table_name: table.to_owned(), rows: rows.iter().map(row).collect() }
}

fn get_request(table: &str, read: &Read, keys: &[&PrimaryKey]) -> proto::TableInBatchGetRowRequest {
    proto::TableInBatchGetRowRequest {
        table_name: table.to_owned(),
        primary_key: keys.iter().map(|key| plainbuffer::primary_key(key)).collect(),
        columns_to_get: read.names(),
        max_versions: Some(read.max_versions),
        filter: read.filter(),
    }
}

/// The rows of a batch: how they ended, and which still have to.
struct Batch<'a, I, T> {
    operation: &'static str,
    began: Instant,
    tables: Vec<(&'a str, Vec<Item<'a, I, T>>)>,
    /// How often rows were answered.
    rounds: u32,
    /// Whether the last answer asked for fewer requests.
    throttled: bool,
    /// Whether the time for attempts is over: what is pending stays refused.
    over: bool,
}

/// One row of a batch.
struct Item<'a, I, T> {
    input: &'a I,
    state: State<T>,
    /// Whether an earlier attempt may have done it without its being answered so.
    uncertain: bool,
}

enum State<T> {
    /// To be sent; with what was said of it the last time.
    Pending(Option<Refusal>),
    Done(T),
    Refused(Refusal),
}

impl<'a, I, T> Batch<'a, I, T> {
    fn new(operation: &'static str, tables: impl IntoIterator<Item = (&'a str, &'a [I])>) -> Self {
        let items =
            |rows: &'a [I]| rows.iter().map(|input| Item { input, state: State::Pending(None), uncertain: false }).collect();
        let tables = tables.into_iter().map(|(table, rows)| (table, items(rows))).collect();
        Self { operation, began: Instant::now(), tables, rounds: 0, throttled: false, over: false }
    }

    fn is_done(&self) -> bool {
        self.over || self.tables.iter().all(|(_, items)| items.iter().all(|item| !matches!(item.state, State::Pending(_))))
    }

    /// What is to be sent. A table without such rows is not.
    fn pending(&self) -> Vec<(&'a str, Vec<&'a I>)> {
        let rows = |items: &[Item<'a, I, T>]| {
            items.iter().filter(|item| matches!(item.state, State::Pending(_))).map(|item| item.input).collect::<Vec<_>>()
        };
        self.tables.iter().map(|(table, items)| (*table, rows(items))).filter(|(_, rows)| !rows.is_empty()).collect()
    }

    /// A call that failed. Others before it may have done a part of the rows.
    fn failed(&self, mut error: Error) -> Error {
        error.earlier_attempt_may_have_succeeded |= self.rounds > 0;
        error
    }

    /// Takes in an answer: each row that was sent is done, refused, or stays pending.
    fn take<R>(
        &mut self,
        called: &Called<R>,
        answers: &[proto::TableInBatchResponse],
        value: impl Fn(&I, &proto::RowInBatchResponse) -> Result<T, AnswerError>,
    ) -> Result<(), Error> {
        let taken = self.take_rows(called.uncertain, answers, value);
        taken.map_err(|error| self.failed(distrust(self.operation, called, error)))
    }

    fn take_rows(
        &mut self,
        uncertain: bool,
        answers: &[proto::TableInBatchResponse],
        value: impl Fn(&I, &proto::RowInBatchResponse) -> Result<T, AnswerError>,
    ) -> Result<(), AnswerError> {
        let sent = self.pending().iter().map(|(_, rows)| rows.len()).sum();
        let answered = answers.iter().map(|table| table.rows.len()).sum();
        if sent != answered {
            return Err(AnswerError::Count { sent, answered });
        }
        let mut answers = answers.iter().flat_map(|table| table.rows.iter().map(|row| (table.table_name.as_str(), row)));
        self.throttled = false;
        for (table, items) in &mut self.tables {
            for item in items.iter_mut().filter(|item| matches!(item.state, State::Pending(_))) {
                let (name, answer) = answers.next().ok_or(AnswerError::Count { sent, answered })?;
                if name != *table {
                    return Err(AnswerError::Table);
                }
                item.uncertain |= uncertain;
                item.state = match answer.is_ok {
                    None => return Err(AnswerError::Field("is_ok")),
                    Some(true) => State::Done(value(item.input, answer)?),
                    Some(false) => {
                        let error = answer.error.as_ref().ok_or(AnswerError::Field("error"))?;
                        let refusal = Refusal::new(&error.code, error.message.as_deref());
                        self.throttled |= refusal.code.is_throttling();
                        if refusal.is_retryable() { State::Pending(Some(refusal)) } else { State::Refused(refusal) }
                    }
                };
            }
        }
        self.rounds += 1;
        Ok(())
    }

    /// Waits before what is pending is sent again, or gives it up because the time for attempts is over.
    async fn pause(&mut self, client: &Client) {
        if self.is_done() {
            return;
        }
        match client.retry().pause(self.rounds, self.throttled, self.began) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => self.over = true,
        }
        for item in self.tables.iter_mut().flat_map(|(_, items)| items) {
            // Only what is sent once more has an earlier attempt.
            if let State::Pending(Some(refusal)) = &item.state
                && !self.over
            {
                item.uncertain |= refusal.code.may_have_succeeded();
            }
        }
    }

    fn finish(self) -> Result<Vec<Vec<RowResult<T>>>, Error> {
        let operation = self.operation;
        let rows = |items: Vec<Item<'a, I, T>>| {
            let sent = items.len();
            let row = |item: Item<'a, I, T>| match item.state {
                State::Done(value) => Ok(Ok(value)),
                State::Refused(refusal) | State::Pending(Some(refusal)) => {
                    Ok(Err(RowError { refusal, earlier_attempt_may_have_succeeded: item.uncertain }))
                }
                // Every round answers all rows that it sends; a row without an answer was never sent.
                State::Pending(None) => Err(Error::new(operation, AnswerError::Count { sent, answered: 0 }.into())),
            };
            items.into_iter().map(row).collect::<Result<Vec<_>, Error>>()
        };
        self.tables.into_iter().map(|(_, items)| rows(items)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok() -> proto::RowInBatchResponse {
        proto::RowInBatchResponse { is_ok: Some(true), ..Default::default() }
    }

    fn refused(code: &str) -> proto::RowInBatchResponse {
        let error = proto::Error { code: code.to_owned(), message: None };
        proto::RowInBatchResponse { is_ok: Some(false), error: Some(error), ..Default::default() }
    }

    fn of(table: &str, rows: Vec<proto::RowInBatchResponse>) -> proto::TableInBatchResponse {
        proto::TableInBatchResponse { table_name: table.to_owned(), rows }
    }

    const NUMBERS: [i32; 3] = [1, 2, 3];

    fn batch() -> Batch<'static, i32, i32> {
        Batch::new("BatchWriteRow", [("t", &NUMBERS[..2]), ("u", &NUMBERS[2..])])
    }

    fn take(batch: &mut Batch<'_, i32, i32>, answers: &[proto::TableInBatchResponse]) -> Result<(), AnswerError> {
        batch.take_rows(false, answers, |input, _| Ok(*input))
    }

    #[test]
    fn a_row_that_is_not_answered_is_an_error_and_no_success() {
        assert_eq!(take(&mut batch(), &[]), Err(AnswerError::Count { sent: 3, answered: 0 }));
        assert_eq!(take(&mut batch(), &[of("t", vec![ok(), ok()])]), Err(AnswerError::Count { sent: 3, answered: 2 }));
        let four = [of("t", vec![ok(), ok()]), of("u", vec![ok(), ok()])];
        assert_eq!(take(&mut batch(), &four), Err(AnswerError::Count { sent: 3, answered: 4 }));
        assert_eq!(take(&mut batch(), &[of("t", vec![ok()]), of("u", vec![ok(), ok()])]), Err(AnswerError::Table));
        assert_eq!(take(&mut batch(), &[of("t", vec![ok(), ok()]), of("v", vec![ok()])]), Err(AnswerError::Table));
    }

    #[test]
    fn a_row_without_a_verdict_is_an_error() {
        let silent = proto::RowInBatchResponse::default();
        assert_eq!(take(&mut batch(), &[of("t", vec![ok(), silent]), of("u", vec![ok()])]), Err(AnswerError::Field("is_ok")));
        let no_reason = proto::RowInBatchResponse { is_ok: Some(false), ..Default::default() };
        assert_eq!(take(&mut batch(), &[of("t", vec![ok(), no_reason]), of("u", vec![ok()])]), Err(AnswerError::Field("error")));
    }

    #[test]
    fn what_was_refused_for_the_moment_is_sent_again_alone_and_in_its_place() {
        let mut batch = batch();
        let answer =
            [of("t", vec![refused("OTSConditionCheckFail"), refused("OTSServerBusy")]), of("u", vec![refused("OTSTimeout")])];
        take(&mut batch, &answer).unwrap();
        assert!(batch.throttled && !batch.is_done());
        assert_eq!(batch.pending(), [("t", vec![&2]), ("u", vec![&3])]);
        take(&mut batch, &[of("t", vec![ok()]), of("u", vec![refused("OTSServerBusy")])]).unwrap();
        assert_eq!(batch.pending(), [("u", vec![&3])]);
        take(&mut batch, &[of("u", vec![ok()])]).unwrap();
        assert!(batch.is_done());
        let ended = batch.finish().unwrap();
        let codes: Vec<Vec<Result<i32, String>>> =
            ended.into_iter().map(|rows| rows.into_iter().map(|row| row.map_err(|error| error.to_string())).collect()).collect();
        assert_eq!(codes, [vec![Err("OTSConditionCheckFail: ".to_owned()), Ok(2)], vec![Ok(3)]]);
    }
}
