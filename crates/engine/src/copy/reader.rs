//! Reads chunks from the source.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mysql_async::Conn;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::chunks::Range;
use super::{CopyContext, Job, ReadChunk};
use crate::connection::Role;
use crate::replicate::dispatch::ChunkTicket;
use crate::rows::{KeyBound, RowReader, SelectOptions, Side, range_condition, select_statement};
use crate::sizing::CHUNK_BYTES;
use crate::source::visibility::{self, Visibility};
use crate::sql;
use crate::sql::{Queries, Sql};
use crate::stall::Watch;
use godwit_model::error::{Context, Error, Result};
use godwit_model::row::Row;

/// A chunk that grows beyond this is cut where it stands.
const LIMIT_BYTES: u64 = 2 * CHUNK_BYTES;

/// What a row's key takes in the drop set.
const KEY_BYTES: u64 = 17;

/// One reader.
pub(super) struct Reader {
    context: CopyContext,
    jobs: Arc<Vec<Arc<Job>>>,
    budget: Arc<Semaphore>,
    budget_kib: u32,
    sender: mpsc::UnboundedSender<ReadChunk>,
}

impl Reader {
    pub(super) fn new(
        context: CopyContext,
        jobs: Arc<Vec<Arc<Job>>>,
        budget: Arc<Semaphore>,
        budget_kib: u32,
        sender: mpsc::UnboundedSender<ReadChunk>,
    ) -> Self {
        Self { context, jobs, budget, budget_kib, sender }
    }

    pub(super) async fn run(self, _number: u32, cancel: CancellationToken) -> Result<()> {
        let mut conn = self.context.source.connect(Role::Read).await?;
        loop {
            tokio::select! {
                more = self.step(&mut conn) => if !more? {
                    let _ = conn.disconnect().await;
                    return Ok(());
                },
                () = cancel.cancelled() => return Ok(()),
            }
        }
    }

    /// Reads one chunk; false when nothing is left to read.
    async fn step(&self, conn: &mut Conn) -> Result<bool> {
        let live = &self.context.live;
        live.query().await;
        let Some((job, range, wanted_bytes)) = self.next_range(conn).await? else { return Ok(false) };
        let wanted = u32::try_from(wanted_bytes / 1024 + 1).unwrap_or(u32::MAX).min(self.budget_kib);
        let permit = Arc::clone(&self.budget).acquire_many_owned(wanted).await.map_err(|_| Error::cancelled())?;
        live.query().await;
        let doing = format!("reading {}", job.table.source);
        let (range, rows, bytes, ticket, end) = self.read(conn, &job, range).await.context(doing)?;
        job.cutter.lock().await.learn(rows.len() as u64, bytes);
        let count = rows.len() as u64;
        let chunk = ReadChunk { job, range, rows, bytes, ticket, end, permit };
        let more = self.sender.send(chunk).is_ok();
        // Afterwards: while it waits it holds neither a chunk's bytes nor locks, and the log's keys are collected for none.
        live.copied(count, bytes).await;
        Ok(more)
    }

    /// The next range of the first table that has one, and the bytes it probably holds.
    async fn next_range(&self, conn: &mut Conn) -> Result<Option<(Arc<Job>, Range, u64)>> {
        loop {
            let mut busy = false;
            for job in self.jobs.iter() {
                if job.finished.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(mut cutter) = job.cutter.try_lock() else {
                    busy = true;
                    continue;
                };
                if cutter.is_exhausted() {
                    // A chunk in flight may yet turn out too large and leave a rest.
                    busy |= job.in_flight.load(Ordering::SeqCst) > 0;
                    continue;
                }
                let most_rows = self.context.live.chunk_rows(cutter.row_bytes());
                let range = Watch::new(&self.context.source, conn)
                    .over(cutter.next(conn, &job.table, most_rows))
                    .await
                    .context(format!("cutting {} into chunks", job.table.source))?;
                if let Some(range) = range {
                    job.in_flight.fetch_add(1, Ordering::SeqCst);
                    let beside = if self.context.dispatcher.is_some() { KEY_BYTES } else { 0 };
                    let bytes = cutter.expected_bytes(beside);
                    drop(cutter);
                    return Ok(Some((Arc::clone(job), range, bytes)));
                }
            }
            if !busy {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[allow(clippy::type_complexity)]
    async fn read(
        &self,
        conn: &mut Conn,
        job: &Arc<Job>,
        range: Range,
    ) -> Result<(Range, Vec<Row>, u64, Option<ChunkTicket>, (String, u64))> {
        let table = &job.table;
        let condition = range_condition(table, Side::Source, range.low.as_ref(), range.high.as_ref());
        let options = SelectOptions { force_index: true, ordered: true, json_types: true };
        let mut statement = select_statement(table, Side::Source, &condition, options);
        if let Some(most) = range.most_rows.filter(|_| range.can_split()) {
            // One more shows that there is a rest.
            statement.add(&sql!(" LIMIT {}", most.saturating_add(1)));
        }
        let Some(dispatcher) = &self.context.dispatcher else {
            let (range, rows, bytes) = self.read_rows(conn, job, range, &statement).await?;
            return Ok((range, rows, bytes, None, (String::new(), 0)));
        };
        if dispatcher.is_pressed() {
            // While the log has far to go, more keys are touched than can be kept.
            let (file, offset) = visibility::log_end(conn, &self.context.source_info).await?;
            dispatcher.wait_passed(&file, offset).await;
            dispatcher.relieve();
        }
        // C1: from here on the log's keys are collected. C2: all before that is visible to the SELECT.
        let (ticket, from) = dispatcher.open_chunk(table.id).await;
        let watch = Watch::new(&self.context.source, conn);
        let mut end = None;
        match self.context.visibility {
            Visibility::GtidExecuted => visibility::answered(visibility::wait_visible(conn, &from)).await?,
            Visibility::ExactSnapshot => {
                let snapshot = visibility::answered(visibility::open_snapshot_at_least(conn, &from)).await?;
                end = Some((snapshot.file, snapshot.offset));
            }
            Visibility::LockingReads => statement.push(" LOCK IN SHARE MODE"),
        }
        let (range, rows, bytes) = self.read_rows(conn, job, range, &statement).await?;
        // C3: whatever the SELECT saw lies before this end.
        let end = match end {
            Some(end) => {
                conn.query_drop("ROLLBACK").await?;
                end
            }
            None => watch.over(visibility::log_end(conn, &self.context.source_info)).await?,
        };
        dispatcher.read(ticket, (&end.0, end.1), rows.iter().map(|row| row.project(&table.key)));
        Ok((range, rows, bytes, Some(ticket), end))
    }

    /// The rows of a range. A range that holds far more than was expected is cut; the rest goes back to the cutter.
    async fn read_rows(&self, conn: &mut Conn, job: &Arc<Job>, range: Range, statement: &Sql) -> Result<(Range, Vec<Row>, u64)> {
        let table = &job.table;
        let mut rows: Vec<Row> = Vec::new();
        let (mut bytes, mut largest) = (0u64, 0u64);
        let watch = Watch::new(&self.context.source, conn);
        let mut reader = watch.over(RowReader::start(conn, statement, table)).await?;
        let mut cut = None;
        let mut busy = true;
        while let Some(row) = watch.over(reader.next()).await? {
            let is_full = range.most_rows.is_some_and(|most| rows.len() as u64 >= most);
            if (is_full || bytes > LIMIT_BYTES) && range.can_split() {
                // The row is read again with the rest: no two rows share a bound, which is the whole key.
                cut = rows.last().map(|last| KeyBound::of_row(table, last));
                if cut.is_some() {
                    // Behind the limit comes nothing.
                    busy = !(is_full && watch.over(reader.next()).await?.is_none());
                    break;
                }
            }
            let size = row.size() as u64;
            (bytes, largest) = (bytes + size, largest.max(size));
            if size > CHUNK_BYTES && range.can_split() {
                // The row is not held while the driver, which needs twice its size, receives the next.
                cut = Some(KeyBound::of_row(table, &row)).filter(|reached| range.high.as_ref() != Some(reached));
            }
            rows.push(row);
            if cut.is_some() {
                break;
            }
        }
        drop(reader);
        busy &= cut.is_some();
        if busy || largest > CHUNK_BYTES {
            // A connection that has received a large row keeps the room for it.
            self.renew(conn, busy).await?;
        }
        let range = match cut {
            Some(reached) => job.cutter.lock().await.split(&range, reached),
            None => range,
        };
        Ok((range, rows, bytes))
    }

    /// A new connection in place of one; `busy`: with rows on the wire. Just dropped, the driver would read those to their
    /// end in the background.
    async fn renew(&self, conn: &mut Conn, busy: bool) -> Result<()> {
        let mut new = self.context.source.connect(Role::Read).await?;
        if busy {
            let id = conn.id();
            if let Err(error) = new.query_drop(sql!("KILL {}", id)).await {
                let error = Error::from(error);
                tracing::debug!(%error, "an abandoned statement could not be ended");
            }
        }
        *conn = new;
        Ok(())
    }
}
