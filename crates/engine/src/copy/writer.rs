//! Writes chunks to the destination, in their place among the changes of the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::{Copied, CopyContext, Job, ReadChunk};
use crate::change::cascade::carry_out;
use crate::checkpoint::SavedChunk;
use crate::destination::{ChunkSink, Done};
use crate::plan::TablePlan;
use crate::replicate::dispatch::HandedOver;
use godwit_model::error::{Error, Result};

/// One writer.
pub(super) struct Writer {
    context: CopyContext,
    receiver: Arc<Mutex<mpsc::UnboundedReceiver<ReadChunk>>>,
}

impl Writer {
    pub(super) fn new(context: CopyContext, receiver: Arc<Mutex<mpsc::UnboundedReceiver<ReadChunk>>>) -> Self {
        Self { context, receiver }
    }

    pub(super) async fn run(self, number: u32, cancel: CancellationToken, copied: Copied) -> Result<()> {
        let context = &self.context;
        let mut sink = context.destination.chunks(context.claim, number).await?;
        loop {
            let next = async { self.receiver.lock().await.recv().await };
            let chunk = tokio::select! {
                chunk = next => chunk,
                () = cancel.cancelled() => return Ok(()),
            };
            let Some(chunk) = chunk else { return Ok(()) };
            let job = Arc::clone(&chunk.job);
            tokio::select! {
                written = self.write(&mut *sink, chunk) => written?,
                // Dropping the connection rolls back what is not committed.
                () = cancel.cancelled() => return Ok(()),
            }
            job.in_flight.fetch_sub(1, Ordering::SeqCst);
            if is_finished(&job).await {
                finish(context, &job, &copied).await?;
            }
        }
    }

    async fn write(&self, sink: &mut dyn ChunkSink, chunk: ReadChunk) -> Result<()> {
        let context = &self.context;
        let ReadChunk { job, range, mut rows, bytes, ticket, end, permit } = chunk;
        let table = &job.table;
        let gate = match (&context.dispatcher, ticket) {
            (Some(dispatcher), Some(ticket)) => {
                dispatcher.wait_passed(&end.0, end.1).await;
                let HandedOver::Write(touched, gate) = dispatcher.hand_over(ticket).await? else {
                    tracing::info!(table = %table.source, "a chunk is read again in pieces: the log changed too many rows meanwhile");
                    job.cutter.lock().await.give_back_smaller(range, rows.len() as u64);
                    return Ok(());
                };
                if !touched.is_empty() {
                    // The log sets these rows; what the SELECT saw of them may be older.
                    rows.retain(|row| !touched.contains(&row.project(&table.key)));
                }
                if table.secondary_unique || !table.key_bytes_are_identity() || dispatcher.is_child(table.id) {
                    // The rows at the destination must be those of one moment, or unique values collide; keys too, where different bytes
                    // can be one key: 'A' that became 'a' is still to go.
                    gate.wait_reached().await;
                }
                if gate.cascaded().and_then(|steps| carry_out(&mut rows, &steps)).is_err() {
                    tracing::info!(table = %table.source, "a chunk is read again: cascades changed its rows meanwhile");
                    job.cutter.lock().await.give_back(range);
                    gate.open();
                    return Ok(());
                }
                Some(gate)
            }
            _ => None,
        };
        let count = rows.len() as u64;
        let saved = SavedChunk {
            number: range.number,
            low: range.low.map(|bound| bound.row().clone()),
            high: range.high.map(|bound| bound.row().clone()),
            rows: count,
            bytes,
        };
        let rows = Arc::new(rows);
        sink.write(table, &rows, context.existing, Some(Done::Chunk(&saved))).await.map_err(|error| doing(table, error))?;
        if let Some(gate) = gate {
            gate.open();
        }
        drop(permit);
        job.rows.fetch_add(count, Ordering::SeqCst);
        job.bytes.fetch_add(bytes, Ordering::SeqCst);
        context.progress.add_copied(table.id, count, bytes);
        Ok(())
    }
}

fn doing(table: &TablePlan, error: Error) -> Error {
    error.context(format!("copying {}", table.source))
}

/// Whether the last chunk of the table is committed; true once only.
pub(super) async fn is_finished(job: &Job) -> bool {
    let cutter = job.cutter.lock().await;
    cutter.is_exhausted() && job.in_flight.load(Ordering::SeqCst) == 0 && !job.finished.swap(true, Ordering::SeqCst)
}

/// Records a copied table and tells the caller.
pub(super) async fn finish(context: &CopyContext, job: &Job, copied: &Copied) -> Result<()> {
    let (rows, bytes) = (job.rows.load(Ordering::SeqCst), job.bytes.load(Ordering::SeqCst));
    context.records.finish_copy(context.claim, &job.table.definition, rows, bytes).await?;
    copied(Arc::clone(&job.table)).await
}
