//! Sends changes of rows in batches, and judges every answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::OwnedSemaphorePermit;

use super::target::Target;
use super::{Instance, Lease, failure};
use crate::checkpoint::Claim;
use godwit_api::BatchWriteMode;
use godwit_model::error::{Error, Result};
use godwit_model::row::Row;
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

/// A change of one row, and the row's key at the source, by which errors name it; None: it is not known.
#[derive(Debug)]
pub(super) struct Work {
    pub change: RowChange,
    pub key: Option<Row>,
}

/// What one request carries.
#[derive(Debug, Default)]
struct Batch {
    changes: Vec<RowChange>,
    keys: Vec<Option<Row>>,
    bytes: usize,
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
    /// Rows become changes as there is room for them.
    ///
    /// # Errors
    /// Definite: a row is refused for good, named with its key. Of another class where the fate of some rows is unknown.
    pub(super) async fn send(&self, target: &Target, work: impl Iterator<Item = Result<Work>>) -> Result<u64> {
        let mut batches = Batches { target, work, left: None };
        let mut next = batches.next().transpose()?;
        let mut under_way = FuturesUnordered::new();
        let mut unmet = 0;
        loop {
            let kibibytes = next.as_ref().map_or(0, |batch| batch.bytes / 1024 + 1);
            tokio::select! {
                Some(done) = under_way.next(), if !under_way.is_empty() => unmet += done?,
                room = self.instance.room(kibibytes), if next.is_some() && under_way.len() < self.instance.together.max(1) => {
                    let room = room?;
                    under_way.extend(next.take().map(|batch| self.batch(target, batch, room)));
                    next = batches.next().transpose()?;
                }
                else => return Ok(unmet),
            }
        }
    }

    async fn batch(&self, target: &Target, batch: Batch, _room: OwnedSemaphorePermit) -> Result<u64> {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        let (mut open, mut unmet) = (batch, 0);
        let table = target.name();
        loop {
            let turn = self.instance.turns.acquire().await.map_err(|_| Error::cancelled())?;
            self.lease.hold(self.claim).await?;
            let outcomes = match self.request(table, &open.changes).await {
                Ok(outcomes) => outcomes,
                Err(error) if is_not_done(&error) && began.elapsed() < PATIENCE => {
                    tracing::debug!(%error, "sent again");
                    (0..open.changes.len()).map(|_| Outcome::Later).collect()
                }
                Err(error) => return Err(failure(error).context(format!("writing to table {table}"))),
            };
            drop(turn);
            let mut again = Batch::default();
            for ((change, key), outcome) in open.changes.into_iter().zip(open.keys).zip(outcomes) {
                match outcome {
                    Outcome::Done => {}
                    Outcome::Unmet => unmet += 1,
                    Outcome::Later if began.elapsed() < PATIENCE => {
                        again.changes.push(change);
                        again.keys.push(key);
                    }
                    Outcome::Later => {
                        return Err(Error::transient(format!("table {table}: the service asks for fewer requests")));
                    }
                    Outcome::Refused(refusal) if refusal.code.may_have_succeeded() => {
                        return Err(Error::transient(format!("writing to table {table}: {refusal}")));
                    }
                    Outcome::Refused(refusal) => {
                        let row = shown(target, key.as_ref());
                        return Err(Error::definite(
                            row.map(|row| format!("{row}: Tablestore does not take the row: {refusal}")),
                        ));
                    }
                }
            }
            if again.changes.is_empty() {
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

fn shown(target: &Target, key: Option<&Row>) -> Text {
    key.map_or_else(|| format!("a row of {}", target.name()).into(), |key| target.shown(key))
}

/// As few batches as the service's limits allow, in the order given, each made when it is asked for.
struct Batches<'a, I> {
    target: &'a Target,
    work: I,
    /// What found no room in the batch before.
    left: Option<Work>,
}

impl<I: Iterator<Item = Result<Work>>> Iterator for Batches<'_, I> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        let mut batch = Batch::default();
        while let Some(one) = self.left.take().map(Ok).or_else(|| self.work.next()) {
            let one = match one {
                Ok(one) => one,
                Err(error) => return Some(Err(error)),
            };
            let size = one.change.size();
            if size > REQUEST_BYTES {
                let row = shown(self.target, one.key.as_ref());
                let text = row.map(|row| format!("{row}: the row takes {size} bytes; a request holds {REQUEST_BYTES}"));
                return Some(Err(Error::definite(text)));
            }
            let is_full = batch.changes.len() >= BATCH_WRITE_ROWS || batch.bytes + size > REQUEST_BYTES - SPARE_BYTES;
            if is_full && !batch.changes.is_empty() {
                self.left = Some(one);
                break;
            }
            batch.bytes += size;
            batch.changes.push(one.change);
            batch.keys.push(one.key);
        }
        (!batch.changes.is_empty()).then_some(Ok(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{column, definition, table_plan};
    use godwit_model::definition::Kind;
    use godwit_tablestore::{Column, KeyValue, RowOperation, Value};

    fn work(number: i64, bytes: usize) -> Work {
        let column = Column::new("v", Value::Binary(vec![0; bytes]));
        let change = RowChange::new(vec![("id".into(), KeyValue::Integer(number))], RowOperation::Put(vec![column]));
        Work { change, key: None }
    }

    fn sizes(work: Vec<Work>) -> Result<Vec<usize>> {
        let table = table_plan(definition("d", "t", vec![column("id", Kind::Int { unsigned: false })]));
        let target = Target::of(&Arc::new(table)).unwrap();
        let batches = Batches { target: &target, work: work.into_iter().map(Ok), left: None };
        batches.map(|batch| batch.map(|batch| batch.changes.len())).collect()
    }

    #[test]
    fn batches_keep_to_the_limits() {
        assert_eq!(sizes((0..450).map(|number| work(number, 10)).collect()).unwrap(), [200, 200, 50]);
        assert_eq!(sizes((0..5).map(|number| work(number, 1 << 20)).collect()).unwrap(), [3, 2]);
        assert_eq!(sizes(vec![work(1, REQUEST_BYTES - 100), work(2, 1)]).unwrap(), [1, 1]);
        let error = sizes(vec![work(1, REQUEST_BYTES)]).unwrap_err();
        assert!(
            error.to_string().contains("a row of t: the row takes") && error.to_string().contains("a request holds 4194304"),
            "{error}"
        );
    }
}
