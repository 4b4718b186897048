//! Both sides of one piece as two streams that advance in step, and the comparison of keyed pieces.

use tokio::sync::mpsc;

use super::Context;
use super::join::{Join, Seen};
use super::run::{TableRun, Ticket};
use super::session::Sessions;
use super::settle::Candidate;
use crate::rows::{RowReader, Side, range_condition};
use godwit_model::error::{Error, Result};
use godwit_model::row::Row;

/// Rows after which the throttle is asked.
const BILL_ROWS: u64 = 256;
/// Bytes after which the throttle is asked.
const BILL_BYTES: u64 = 256 << 10;

/// A row of the source and one of the destination; None: that side has ended.
pub(super) type Pair = (Option<Row>, Option<Row>);

/// Two statements, read in step.
pub(super) struct Streams<'a> {
    run: &'a TableRun,
    context: &'a Context,
    source: Option<RowReader<'a>>,
    destination: Option<RowReader<'a>>,
    /// Rows of the source so far.
    pub rows: u64,
    unbilled_rows: u64,
    unbilled_bytes: u64,
}

async fn next_of(reader: &mut Option<RowReader<'_>>) -> Result<Option<Row>> {
    let Some(open) = reader else { return Ok(None) };
    let row = open.next().await?;
    if row.is_none() {
        *reader = None;
    }
    Ok(row)
}

impl<'a> Streams<'a> {
    /// Starts both statements at once.
    pub(super) async fn open(
        context: &'a Context,
        run: &'a TableRun,
        sessions: &'a mut Sessions,
        ticket: &Ticket,
    ) -> Result<Self> {
        let piece = &ticket.piece;
        let statement = |side| {
            let lo = match side {
                Side::Destination if run.shape.order.is_some() => &piece.behind,
                _ => &piece.lo,
            };
            run.select(side, &range_condition(&run.plan, side, lo.as_ref(), piece.hi.as_ref()))
        };
        let (source_sql, destination_sql) = (statement(Side::Source), statement(Side::Destination));
        let (source, destination) = tokio::try_join!(sessions.source.get(), sessions.destination.get())?;
        let source = async { RowReader::start(source, &source_sql, &run.plan).await.map_err(|e| e.context("source")) };
        let destination =
            async { RowReader::start(destination, &destination_sql, &run.plan).await.map_err(|e| e.context("destination")) };
        let (source, destination) = tokio::try_join!(source, destination)?;
        let (source, destination) = (Some(source), Some(destination));
        Ok(Self { run, context, source, destination, rows: 0, unbilled_rows: 0, unbilled_bytes: 0 })
    }

    /// The next row of each side; None when both have ended.
    pub(super) async fn next(&mut self) -> Result<Option<Pair>> {
        let (source, destination) =
            tokio::try_join!(async { next_of(&mut self.source).await.map_err(|e| e.context("source")) }, async {
                next_of(&mut self.destination).await.map_err(|e| e.context("destination"))
            },)?;
        if source.is_none() && destination.is_none() {
            self.bill().await;
            return Ok(None);
        }
        let size = |row: &Option<Row>| row.as_ref().map_or(0, |row| row.size() as u64);
        self.rows += u64::from(source.is_some());
        self.unbilled_rows += 1;
        self.unbilled_bytes += size(&source).max(size(&destination));
        if self.unbilled_rows >= BILL_ROWS || self.unbilled_bytes >= BILL_BYTES {
            self.bill().await;
        }
        Ok(Some((source, destination)))
    }

    async fn bill(&mut self) {
        self.run.measure(self.unbilled_rows, self.unbilled_bytes);
        self.context.throttle.acquire(self.unbilled_rows, self.unbilled_bytes).await;
        (self.unbilled_rows, self.unbilled_bytes) = (0, 0);
    }
}

/// Compares one piece of a table with a key; what differs goes to `candidates`.
///
/// # Errors
/// Those of either server; the connections have to be thrown away then.
pub(super) async fn compare_keyed(
    context: &Context,
    sessions: &mut Sessions,
    ticket: &std::sync::Arc<Ticket>,
    candidates: &mpsc::Sender<Candidate>,
) -> Result<()> {
    let run = &*ticket.run;
    let mut streams = Streams::open(context, run, sessions, ticket).await?;
    let mut join = Join::default();
    while let Some((source, destination)) = streams.next().await? {
        join.push(run, source.as_ref(), destination.as_ref());
        if join.held() > context.options.held_bytes {
            send(&mut join, ticket, candidates).await?;
        }
    }
    let rows = streams.rows;
    drop(streams);
    ticket.count(|counts| counts.rows += rows);
    send(&mut join, ticket, candidates).await
}

async fn send(join: &mut Join, ticket: &std::sync::Arc<Ticket>, candidates: &mpsc::Sender<Candidate>) -> Result<()> {
    for (key, seen) in join.drain() {
        debug_assert!(matches!(seen, Seen::Source | Seen::Destination | Seen::Both));
        ticket.hold();
        let candidate = Candidate { ticket: ticket.clone(), key, seen };
        candidates.send(candidate).await.map_err(|_| Error::cancelled())?;
    }
    Ok(())
}
