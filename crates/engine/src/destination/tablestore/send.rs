//! Sends changes of rows in batches, and judges every answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::{Instance, Lease, failure};
use crate::checkpoint::Claim;
use godwit_api::BatchWriteMode;
use godwit_model::error::{Error, Result};
use godwit_model::text::Text;
use godwit_tablestore::limits::{BATCH_WRITE_ROWS, REQUEST_BYTES};
use godwit_tablestore::{Code, Refusal, RowChange, RowsOfTable};

/// What the service refuses for the moment is sent again after this, doubled up to the longest …
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// … for so long; then the attempt ends, and the next one goes on from the record.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that a batch may take beside what [`RowChange::size`] counts: tags and checksums of its cells.
const SPARE_BYTES: usize = 512 << 10;

/// A change of one row, and how errors name it.
#[derive(Debug)]
pub(super) struct Work {
    pub change: RowChange,
    pub shown: Text,
}

/// One lane's or worker's way to the instance.
pub(super) struct Sender {
    pub instance: Instance,
    lease: Arc<Lease>,
    claim: Claim,
}

impl Sender {
    pub(super) fn new(instance: &Instance, lease: Arc<Lease>, claim: Claim) -> Self {
        Self { instance: instance.clone(), lease, claim }
    }

    /// Sends changes of one table and returns when all are accepted; the number of those whose condition did not hold. No two are about one row.
    ///
    /// # Errors
    /// Definite: a row is refused for good, named with its key. Of another class where the fate of some rows is unknown.
    pub(super) async fn send(&self, table: &str, work: Vec<Work>) -> Result<u64> {
        let mut batches = batches(work)?.into_iter();
        let mut under_way = FuturesUnordered::new();
        let mut unmet = 0;
        loop {
            while under_way.len() < self.instance.together.max(1)
                && let Some(batch) = batches.next()
            {
                under_way.push(self.batch(table, batch));
            }
            match under_way.next().await {
                Some(done) => unmet += done?,
                None => return Ok(unmet),
            }
        }
    }

    async fn batch(&self, table: &str, work: Vec<Work>) -> Result<u64> {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        let (mut open, mut unmet) = (work, 0);
        loop {
            let turn = self.instance.turns.acquire().await.map_err(|_| Error::cancelled())?;
            self.lease.hold(self.claim).await?;
            let changes: Vec<RowChange> = open.iter().map(|work| work.change.clone()).collect();
            let refused = match self.request(table, &changes).await {
                Ok(results) => results,
                // It was not carried out: none of the rows.
                Err(error)
                    if error.is_retryable() && !error.may_have_succeeded() && !is_lost(&error) && began.elapsed() < PATIENCE =>
                {
                    tracing::debug!(%error, "sent again");
                    (0..changes.len()).map(|_| Outcome::Later).collect()
                }
                Err(error) => return Err(failure(error).context(format!("writing to table {table}"))),
            };
            drop(turn);
            let mut again = Vec::new();
            for (work, outcome) in open.into_iter().zip(refused) {
                match outcome {
                    Outcome::Done => {}
                    Outcome::Unmet => unmet += 1,
                    Outcome::Later if began.elapsed() < PATIENCE => again.push(work),
                    Outcome::Later => {
                        return Err(Error::transient(format!("table {table}: the service asks for fewer requests")));
                    }
                    Outcome::Refused(refusal) if refusal.code.may_have_succeeded() => {
                        return Err(Error::transient(format!("writing to table {table}: {refusal}")));
                    }
                    Outcome::Refused(refusal) => {
                        return Err(Error::definite(
                            work.shown.map(|row| format!("{row}: Tablestore does not take the row: {refusal}")),
                        ));
                    }
                }
            }
            if again.is_empty() {
                return Ok(unmet);
            }
            open = again;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn request(&self, table: &str, changes: &[RowChange]) -> std::result::Result<Vec<Outcome>, godwit_tablestore::Error> {
        let client = self.instance.client();
        // BulkImport takes no conditions.
        let plain = changes.iter().all(|change| change.condition.is_none());
        let results = match self.instance.batch_write_mode {
            BatchWriteMode::BulkImport if plain => client.bulk_import(table, changes).await?,
            _ => client.batch_write_row(&[RowsOfTable { table, rows: changes }]).await?.into_iter().flatten().collect(),
        };
        Ok(results.into_iter().map(|result| result.map_or_else(|error| Outcome::of(error.refusal), |_| Outcome::Done)).collect())
    }
}

/// What became of one row.
enum Outcome {
    Done,
    /// Its condition did not hold.
    Unmet,
    /// It was not done, and may be sent again.
    Later,
    Refused(Refusal),
}

impl Outcome {
    fn of(refusal: Refusal) -> Self {
        match refusal.code {
            Code::ConditionCheckFail => Self::Unmet,
            _ if refusal.is_retryable() && !refusal.code.may_have_succeeded() => Self::Later,
            _ => Self::Refused(refusal),
        }
    }
}

/// Asks until there is an answer, where the service asks for fewer requests. Only for what does no harm when it is done twice, or was not done.
pub(crate) async fn patiently<T, F>(call: impl Fn() -> F) -> std::result::Result<T, godwit_tablestore::Error>
where
    F: Future<Output = std::result::Result<T, godwit_tablestore::Error>>,
{
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match call().await {
            Err(error) if is_not_done(&error) && began.elapsed() < PATIENCE => tokio::time::sleep(pause).await,
            result => return result,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether the service has said that it did nothing, and may do it later.
fn is_not_done(error: &godwit_tablestore::Error) -> bool {
    error.is_retryable() && !error.may_have_succeeded() && !is_lost(error)
}

/// Whether the connection broke: what was on it may arrive.
fn is_lost(error: &godwit_tablestore::Error) -> bool {
    use godwit_tablestore::ErrorKind;
    matches!(error.kind, ErrorKind::Lost(_) | ErrorKind::Timeout(_) | ErrorKind::Answer(_) | ErrorKind::Connect(_))
}

/// As few batches as the service's limits allow, in the order given.
fn batches(work: Vec<Work>) -> Result<Vec<Vec<Work>>> {
    let mut batches: Vec<Vec<Work>> = Vec::new();
    let mut bytes = 0;
    for one in work {
        let size = one.change.size();
        if size > REQUEST_BYTES {
            return Err(Error::definite(
                one.shown.map(|row| format!("{row}: the row takes {size} bytes; a request holds {REQUEST_BYTES}")),
            ));
        }
        let is_full = |batch: &Vec<Work>| batch.len() >= BATCH_WRITE_ROWS || bytes + size > REQUEST_BYTES - SPARE_BYTES;
        if batches.last().is_none_or(is_full) {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(batch) = batches.last_mut() {
            batch.push(one);
        }
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use godwit_tablestore::{Column, KeyValue, RowOperation, Value};

    fn work(number: i64, bytes: usize) -> Work {
        let column = Column::new("v", Value::Binary(vec![0; bytes]));
        let change = RowChange::new(vec![("id".into(), KeyValue::Integer(number))], RowOperation::Put(vec![column]));
        Work { change, shown: Text::of_value(number.to_string()) }
    }

    fn sizes(work: Vec<Work>) -> Vec<usize> {
        batches(work).unwrap().iter().map(Vec::len).collect()
    }

    #[test]
    fn batches_keep_to_the_limits() {
        assert_eq!(sizes((0..450).map(|number| work(number, 10)).collect()), [200, 200, 50]);
        assert_eq!(sizes((0..5).map(|number| work(number, 1 << 20)).collect()), [3, 2]);
        assert_eq!(sizes(vec![work(1, REQUEST_BYTES - 100), work(2, 1)]), [1, 1]);
        let error = batches(vec![work(1, REQUEST_BYTES)]).unwrap_err();
        assert!(error.to_string().contains("a request holds 4194304"), "{error}");
    }
}
