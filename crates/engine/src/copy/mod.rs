//! The full copy: tables are cut into chunks, read, written and remembered, while the log is followed.
//!
//! Readers take ranges from the cutters of the largest tables first and read them; writers hand a chunk over to
//! the order of the log ([`Dispatcher::hand_over`]), drop the rows that the log has touched meanwhile, and commit
//! the rest together with the record of the chunk. docs/correctness.md argues why nothing is lost or doubled.
//!
//! Under overload: bytes of chunks in flight are bounded by one budget; readers wait. On restart: recorded chunks
//! are skipped, all others read again.

pub(crate) mod chunks;
pub(crate) mod json_sample;
mod reader;
#[cfg(test)]
mod simulation;
pub(crate) mod snapshot;
mod touched;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use self::chunks::Cutter;
use crate::change::cascade::Cascades;
use crate::checkpoint::Claim;
use crate::connection::Connector;
use crate::destination::{Destination, Existing, Records};
use crate::group::Group;
use crate::live::Live;
use crate::plan::{Plan, TablePlan};
use crate::progress::{Progress, TableState};
use crate::replicate::dispatch::{ChunkTicket, Dispatcher};
use crate::source::visibility::Visibility;
use godwit_model::error::{Error, Result};
use godwit_model::row::Row;
use godwit_model::server::ServerInfo;

/// Everything a copy needs; shared by its workers.
#[derive(Clone)]
pub(crate) struct CopyContext {
    pub plan: Arc<Plan>,
    pub cascades: Arc<Cascades>,
    pub source: Connector,
    pub source_info: ServerInfo,
    /// Tells the source from another server.
    pub source_identity: Arc<str>,
    pub visibility: Visibility,
    pub destination: Arc<dyn Destination>,
    /// What becomes of rows that stand at the destination already.
    pub existing: Existing,
    pub records: Arc<dyn Records>,
    pub claim: Claim,
    pub progress: Progress,
    /// None: nothing follows the log (no Incremental), chunks are written as they were read.
    pub dispatcher: Option<Arc<Dispatcher>>,
    /// The log is followed, now or after the snapshots.
    pub follows: bool,
    pub readers: u32,
    pub writers: u32,
    /// Bytes of chunks in flight.
    pub budget_bytes: usize,
    /// How fast rows may be read.
    pub live: Live,
}

/// What to do with a table whose rows are all there.
pub(crate) type Copied = Arc<dyn Fn(Arc<TablePlan>) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// One table on its way.
struct Job {
    table: Arc<TablePlan>,
    cutter: Mutex<Cutter>,
    in_flight: AtomicUsize,
    finished: AtomicBool,
    rows: AtomicU64,
    bytes: AtomicU64,
}

/// A chunk between reader and writer.
struct ReadChunk {
    job: Arc<Job>,
    range: chunks::Range,
    rows: Vec<Row>,
    bytes: u64,
    /// The chunk's place among the changes; None when no log is followed.
    ticket: Option<ChunkTicket>,
    /// The log's end after the read.
    end: (String, u64),
    permit: tokio::sync::OwnedSemaphorePermit,
}

/// Copies all tables that have a key to cut along and are not copied yet; `copied` runs once for each of them when
/// its last row is committed.
///
/// # Errors
/// The first error of any worker; recorded chunks stay.
pub(crate) async fn run(
    context: CopyContext,
    pending: Vec<Arc<TablePlan>>,
    cancel: CancellationToken,
    copied: Copied,
) -> Result<()> {
    let mut jobs = Vec::new();
    for table in pending {
        let done = context.records.copied_chunks(&table.definition).await?;
        let (rows, bytes) = done.iter().fold((0, 0), |(rows, bytes), chunk| (rows + chunk.rows, bytes + chunk.bytes));
        if rows > 0 {
            context.progress.table_resumed(table.id, rows, bytes);
        }
        context.progress.table_state(table.id, TableState::Copying);
        jobs.push(Arc::new(Job {
            cutter: Mutex::new(Cutter::new(&table, &done)),
            table,
            in_flight: AtomicUsize::new(0),
            finished: AtomicBool::new(false),
            rows: AtomicU64::new(rows),
            bytes: AtomicU64::new(bytes),
        }));
    }
    jobs.sort_by_key(|job| {
        let definition = &job.table.definition;
        std::cmp::Reverse(definition.estimated_rows.saturating_mul(definition.average_row_bytes.max(1)))
    });
    let jobs = Arc::new(jobs);
    let budget_kib = u32::try_from(context.budget_bytes / 1024).unwrap_or(u32::MAX).max(1);
    let budget = Arc::new(Semaphore::new(budget_kib as usize));
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = Arc::new(Mutex::new(receiver));
    let mut workers = Group::new("a copy worker", &cancel);
    for number in 0..context.readers.max(1) {
        let reader = reader::Reader::new(context.clone(), Arc::clone(&jobs), Arc::clone(&budget), budget_kib, sender.clone());
        workers.spawn(reader.run(number, workers.stop()));
    }
    drop(sender);
    for number in 0..context.writers.max(1) {
        let writer = writer::Writer::new(context.clone(), Arc::clone(&receiver));
        workers.spawn(writer.run(number, workers.stop(), Arc::clone(&copied)));
    }
    // Tables of which everything was recorded before the restart have no chunk to finish them.
    for job in jobs.iter() {
        if writer::is_finished(job).await {
            writer::finish(&context, job, &copied).await?;
        }
    }
    workers.finish().await?;
    let all = jobs.iter().all(|job| job.finished.load(Ordering::SeqCst));
    if all { Ok(()) } else { Err(Error::transient("the copy ended with tables unfinished")) }
}
