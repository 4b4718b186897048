//! A lane: one queue, one worker, one writer at the destination.
//!
//! The worker takes all whole transactions that wait (a window), collapses them and commits them with the
//! lane's position. Windows grow with the backlog and are single transactions without one. A transaction too
//! large to hold arrives in parts, which stay in one open destination transaction until its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::dispatch::{Dispatcher, Gate, Item, Portion, Queue, TransactionEnd};
use crate::change::cascade::{Cascade, Cascades};
use crate::change::{Change, ChangeKind, Counts, NetChanges};
use crate::destination::{LaneWriter, Step};
use crate::progress::Progress;
use godwit_model::error::{Error, Result};
use godwit_model::position::Position;

/// A window holds no more bytes of changes than this.
const WINDOW_BYTES: usize = 4 << 20;

/// An idle lane records its position this often when the log moves on without it.
const IDLE_RECORD: Duration = Duration::from_secs(2);

/// The worker of one lane.
pub(crate) struct Lane {
    number: u32,
    cascades: Arc<Cascades>,
    dispatcher: Arc<Dispatcher>,
    queue: Arc<Queue>,
    writer: Box<dyn LaneWriter>,
    progress: Progress,
    gates: Vec<Arc<Gate>>,
    recorded: Position,
}

enum Taken {
    Window(Vec<Portion>),
    Gate(Arc<Gate>),
    /// The next change is behind a closed gate.
    Blocked(Arc<Gate>),
    Empty,
}

impl Lane {
    /// `recorded`: the position in the lane's row.
    pub(crate) fn new(
        number: u32,
        cascades: Arc<Cascades>,
        dispatcher: Arc<Dispatcher>,
        writer: Box<dyn LaneWriter>,
        progress: Progress,
        recorded: Position,
    ) -> Self {
        let queue = dispatcher.queue(number);
        Self { number, cascades, dispatcher, queue, writer, progress, gates: Vec::new(), recorded }
    }

    /// Works until cancelled; what is committed then is recorded, the rest is read again.
    ///
    /// # Errors
    /// The first error of the destination; nothing of the failed window is applied.
    pub(crate) async fn run(mut self, cancel: CancellationToken) -> Result<()> {
        loop {
            if cancel.is_cancelled() && !self.writer.is_open() {
                return self.record_idle().await;
            }
            match self.take() {
                Taken::Window(portions) => self.apply(portions).await?,
                Taken::Gate(gate) => {
                    gate.reach();
                    self.gates.push(gate);
                }
                Taken::Blocked(gate) => tokio::select! {
                    () = gate.wait_open() => {}
                    () = cancel.cancelled() => return Ok(()),
                },
                Taken::Empty => {
                    let queue = Arc::clone(&self.queue);
                    tokio::select! {
                        () = queue.filled.notified() => {}
                        () = tokio::time::sleep(IDLE_RECORD) => self.record_idle().await?,
                        () = cancel.cancelled() => {
                            if self.writer.is_open() {
                                // Where they cannot be taken back, the whole transaction comes again.
                                return self.writer.rollback().await.map(drop);
                            }
                        }
                    }
                }
            }
        }
    }

    fn closed_gate(&self, portion: &Portion) -> Option<Arc<Gate>> {
        let waits = |change: &Change, gate: &Gate| match change.kind {
            ChangeKind::Cascade(_) => gate.tables().iter().any(|table| self.cascades.reaches(change.table, *table)),
            _ => gate.tables().contains(&change.table),
        };
        portion.changes.iter().find_map(|change| self.gates.iter().find(|gate| waits(change, gate)).cloned())
    }

    fn take(&mut self) -> Taken {
        self.gates.retain(|gate| !gate.is_open());
        let queue = Arc::clone(&self.queue);
        let mut items = queue.items();
        let mut window: Vec<Portion> = Vec::new();
        let mut bytes = 0;
        loop {
            match items.front() {
                None => break,
                Some(Item::Gate(_)) => {
                    if window.is_empty()
                        && let Some(Item::Gate(gate)) = items.pop_front()
                    {
                        return Taken::Gate(gate);
                    }
                    break;
                }
                Some(Item::Portion(portion)) => {
                    if !self.gates.is_empty()
                        && let Some(gate) = self.closed_gate(portion)
                    {
                        if window.is_empty() {
                            return Taken::Blocked(gate);
                        }
                        break;
                    }
                    let alone = portion.end.is_none() || portion.aborted || self.writer.is_open();
                    if !window.is_empty() && (alone || bytes + portion.bytes > WINDOW_BYTES) {
                        break;
                    }
                    let Some(Item::Portion(portion)) = items.pop_front() else { break };
                    bytes += portion.bytes;
                    window.push(portion);
                    if alone {
                        break;
                    }
                }
            }
        }
        if window.is_empty() { Taken::Empty } else { Taken::Window(window) }
    }

    async fn apply(&mut self, portions: Vec<Portion>) -> Result<()> {
        let mut window = Window::default();
        let mut counts = Counts::default();
        let mut ends: Vec<TransactionEnd> = Vec::new();
        let mut permits = Vec::new();
        let mut aborted = false;
        for portion in portions {
            aborted |= portion.aborted;
            for Change { table, kind } in portion.changes {
                counts.add(&kind);
                window.add(self, table, kind);
            }
            ends.extend(portion.end);
            permits.extend(portion.permit);
        }
        if aborted && self.writer.is_open() {
            // The rows of transactional tables never happened; what is left in this portion did.
            if !self.writer.rollback().await? {
                return Err(Error::definite(
                    "a large transaction was rolled back at the source after the destination had been given parts of it, which it cannot take \
                     back; start the task anew",
                ));
            }
        }
        let steps = window.finish();
        let last = ends.last().cloned();
        if last.is_some() || !steps.is_empty() {
            let mark = last.as_ref().map(TransactionEnd::mark);
            let cascaded = self.writer.apply(steps, mark).await?;
            self.dispatcher.cascaded(&cascaded);
        }
        self.progress.add_applied(counts.inserts, counts.updates, counts.deletes, 0);
        if let Some(end) = last {
            self.recorded = (*end.position).clone();
            self.dispatcher.applied(self.number, end.sequence);
            let now = SystemTime::now();
            for committed_at in ends.iter().filter_map(|end| end.committed_at) {
                self.progress.applied(committed_at, now);
            }
        }
        drop(permits);
        Ok(())
    }

    /// Records the position of a lane that had nothing to do.
    async fn record_idle(&mut self) -> Result<()> {
        let Some(end) = self.dispatcher.idle_mark(self.number) else { return Ok(()) };
        // After a resume the log is read from the slowest lane's place on; this one may stand further ahead.
        if self.writer.is_open() || *end.position == self.recorded || !end.position.reaches(&self.recorded) {
            return Ok(());
        }
        self.writer.apply(Vec::new(), Some(end.mark())).await?;
        self.recorded = (*end.position).clone();
        self.dispatcher.applied(self.number, end.sequence);
        Ok(())
    }
}

/// A window on its way to the destination: changes collapse per key, except across a cascade that has to do with them.
#[derive(Default)]
struct Window {
    steps: Vec<Step>,
    /// Of tables that no pending cascade reaches.
    tables: BTreeMap<u32, NetChanges>,
    cascades: Vec<(u32, Box<Cascade>)>,
}

impl Window {
    fn add(&mut self, lane: &Lane, table: u32, kind: ChangeKind) {
        match kind {
            ChangeKind::Cascade(cascade) => {
                if self.tables.keys().any(|other| lane.cascades.reaches(table, *other)) {
                    self.rows();
                }
                self.cascades.push((table, cascade));
            }
            kind => {
                if self.cascades.iter().any(|(parent, _)| lane.cascades.reaches(*parent, table)) {
                    self.cascades();
                }
                self.tables.entry(table).or_default().add(kind);
            }
        }
    }

    fn rows(&mut self) {
        if !self.tables.is_empty() {
            self.steps.push(Step::Changes(std::mem::take(&mut self.tables).into_iter().collect()));
        }
    }

    fn cascades(&mut self) {
        if !self.cascades.is_empty() {
            self.steps.push(Step::Cascades(std::mem::take(&mut self.cascades)));
        }
    }

    fn finish(mut self) -> Vec<Step> {
        self.rows();
        self.cascades();
        self.steps
    }
}
