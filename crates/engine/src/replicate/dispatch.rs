//! Hands transactions to the lanes, and lets copied chunks in between them.
//!
//! The dispatcher's position is the number everything is ordered by. For each open chunk it collects the keys
//! that the log touches (the drop set); a hand-over freezes that set and puts a gate into the lanes at the same
//! point of the order. docs/correctness.md has the argument.
//!
//! Under overload: bytes in all queues are bounded by one budget; the reader waits, then the source does.
//! On restart: nothing here outlives the process; lanes begin at their recorded positions.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::drop_set::{DropSet, KeyHasher, Touched};
pub(crate) use super::gate::Gate;
use super::gate::{Collected, Steps};
use crate::change::cascade::{Applied, Cascades};
use crate::change::{Change, ChangeKind};
use crate::destination::Mark;
use crate::plan::Plan;
use crate::sizing::LogBudget;
use godwit_model::error::{Error, Result};
use godwit_model::names::TableName;
use godwit_model::position::{Position, TransactionId};
use godwit_model::row::Row;

/// The end of a transaction in one lane: what the lane records once it has applied it.
#[derive(Debug, Clone)]
pub(crate) struct TransactionEnd {
    pub sequence: u64,
    pub position: Arc<Position>,
    pub replay_from: Option<Arc<Position>>,
    pub committed_at: Option<SystemTime>,
}

impl TransactionEnd {
    /// As the destination records it.
    pub(crate) fn mark(&self) -> Mark<'_> {
        Mark { position: &self.position, replay_from: self.replay_from.as_deref() }
    }
}

/// A transaction by name and by the place where it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Began<'a> {
    pub id: &'a TransactionId,
    pub file: &'a str,
    pub offset: u64,
}

/// The end of a transaction.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// Behind it.
    pub position: Position,
    /// From where the log must be read again after a restart, when prepared XA transactions are undecided.
    pub replay_from: Option<Arc<Position>>,
    pub committed_at: Option<SystemTime>,
}

/// One transaction's changes for one lane, or a part of them.
#[derive(Debug)]
pub(crate) struct Portion {
    pub changes: Vec<Change>,
    pub bytes: usize,
    /// None: the transaction goes on in the next portion.
    pub end: Option<TransactionEnd>,
    /// What was applied of this transaction must be taken back (its rollback stands in the log).
    pub aborted: bool,
    /// Gives the bytes back to the budget when dropped.
    pub permit: Option<Arc<OwnedSemaphorePermit>>,
}

/// What stands in a lane's queue.
#[derive(Debug)]
pub(crate) enum Item {
    Portion(Portion),
    /// Changes to the gate's table that come later wait until the gate is open.
    Gate(Arc<Gate>),
}

/// Whether a place in the log is behind us.
fn is_passed(position: &Position, file: &str, offset: u64) -> bool {
    position.compare_places(file, offset).is_ge()
}

/// A lane's queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    items: Mutex<VecDeque<Item>>,
    pub filled: Notify,
}

impl Queue {
    /// The items.
    pub(crate) fn items(&self) -> MutexGuard<'_, VecDeque<Item>> {
        lock(&self.items)
    }

    fn push(&self, item: Item) {
        self.items().push_back(item);
        self.filled.notify_one();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere ends the process through the join set; the data behind the lock is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Identifies an open chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ChunkTicket(u64);

#[derive(Debug)]
struct OpenChunk {
    table: u32,
    touched: Touched,
    cascaded: Collected,
    /// Keys were collected of changes that were rolled back: no lane writes those rows.
    spoiled: bool,
}

/// Collects what cascades do to a chunk on its way.
#[derive(Debug)]
struct Collector {
    table: u32,
    /// The last transaction before registration.
    registered: u64,
    /// Gone with the chunk.
    steps: Weak<Mutex<Steps>>,
}

#[derive(Debug)]
struct State {
    sequence: u64,
    replay_from: Option<Arc<Position>>,
    /// Sequence of the last portion pushed per lane.
    pushed: Vec<u64>,
    /// A transaction is partly in the queues: no gate may be put between its parts.
    in_transaction: bool,
    open_chunks: HashMap<ChunkTicket, OpenChunk>,
    /// Bytes of what was touched, of all open chunks.
    touched_bytes: usize,
    /// A chunk found no room for what was touched: no other is registered until the log's end is near.
    pressed: bool,
    chunks_of_table: HashMap<u32, Vec<ChunkTicket>>,
    /// Chunks that a cascade may change.
    collectors: Vec<Collector>,
    /// Tables whose copy has not begun and must not have rows before (F5).
    held_back: HashSet<u32>,
    next_ticket: u64,
}

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    lanes: Vec<Arc<Queue>>,
    applied: Vec<watch::Sender<u64>>,
    /// Transactions that a lane has applied before the restart are not given to it again.
    resumed_at: Vec<Option<Position>>,
    /// Lane of a table; None: by hash of the key.
    lane_of_table: Vec<Option<u32>>,
    cascades: Arc<Cascades>,
    /// Per table, where the dispatcher must have come to before its chunks are registered.
    not_before: HashMap<u32, Vec<Position>>,
    state: Mutex<State>,
    position: watch::Sender<Arc<Position>>,
    /// The source has begun to send the log from where it was asked to.
    joined: watch::Sender<bool>,
    between_transactions: Notify,
    budget: Arc<Semaphore>,
    budget_kib: u32,
    hasher: KeyHasher,
    limits: LogBudget,
}

/// A chunk's place among the changes of the log.
#[derive(Debug)]
pub(crate) enum HandedOver {
    /// The rows of these keys are not to be written; the gate opens when the others are.
    Write(DropSet, Arc<Gate>),
    /// More was touched than could be kept: the chunk is forgotten, and to be read again, in smaller pieces.
    ReadAgain,
}

fn lane_of_name(name: &TableName, lanes: usize) -> u32 {
    let mut key = name.database.clone().into_bytes();
    key.push(0);
    key.extend_from_slice(name.table.as_bytes());
    (xxhash_rust::xxh3::xxh3_64(&key) % lanes.max(1) as u64) as u32
}

/// Bytes become permits of a kibibyte.
fn permits(bytes: usize, limit: u32) -> u32 {
    u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(limit)
}

impl Dispatcher {
    /// `resumed_at`: the lanes' recorded positions, `start`: the earliest of them; `replay_from`: from where the log is read
    /// for XA transactions that were prepared before; `valid_from`: places of the snapshots of tables.
    pub(crate) fn new(
        plan: &Plan,
        start: Position,
        replay_from: Position,
        resumed_at: Vec<Position>,
        valid_from: &HashMap<u32, Position>,
        cascades: Arc<Cascades>,
        limits: LogBudget,
    ) -> Self {
        let lanes = resumed_at.len();
        let budget_kib = u32::try_from(limits.queue_bytes / 1024).unwrap_or(u32::MAX).max(1);
        let lane_of_table: Vec<Option<u32>> = plan
            .tables
            .iter()
            .map(|table| {
                if let Some(named) = cascades.family(table.id).and_then(|id| plan.tables.get(id as usize)) {
                    return Some(lane_of_name(&named.source, lanes));
                }
                let by_table = table.secondary_unique || !table.key_bytes_are_identity();
                // By name: the lane of a table must never change while the task lives.
                by_table.then(|| lane_of_name(&table.source, lanes))
            })
            .collect();
        let mut not_before = cascades.covered(&plan.tables, valid_from);
        not_before.retain(|table, _| cascades.is_child(*table));
        for table in plan.tables.iter().filter(|table| cascades.is_child(table.id)) {
            // A family has a lane.
            let lane = lane_of_table.get(table.id as usize).copied().flatten();
            let place = lane.and_then(|lane| resumed_at.get(lane as usize)).cloned();
            not_before.entry(table.id).or_default().extend(place);
        }
        Self {
            lanes: (0..lanes).map(|_| Arc::new(Queue::default())).collect(),
            applied: (0..lanes).map(|_| watch::Sender::new(0)).collect(),
            resumed_at: resumed_at.into_iter().map(Some).collect(),
            lane_of_table,
            cascades,
            not_before,
            state: Mutex::new(State {
                sequence: 0,
                replay_from: Some(Arc::new(replay_from)),
                pushed: vec![0; lanes],
                in_transaction: false,
                open_chunks: HashMap::new(),
                touched_bytes: 0,
                pressed: false,
                chunks_of_table: HashMap::new(),
                collectors: Vec::new(),
                held_back: HashSet::new(),
                next_ticket: 0,
            }),
            position: watch::Sender::new(Arc::new(start)),
            joined: watch::Sender::new(false),
            between_transactions: Notify::new(),
            budget: Arc::new(Semaphore::new(budget_kib as usize)),
            budget_kib,
            hasher: KeyHasher::default(),
            limits,
        }
    }

    /// What may be held.
    pub(crate) fn limits(&self) -> LogBudget {
        self.limits
    }

    /// A lane's queue.
    pub(crate) fn queue(&self, lane: u32) -> Arc<Queue> {
        Arc::clone(&self.lanes[lane as usize])
    }

    /// Where the dispatcher stands.
    pub(crate) fn position(&self) -> Arc<Position> {
        Arc::clone(&self.position.borrow())
    }

    /// The lane of a change. In another one its place among the changes of its row would be lost, so that there is no default.
    fn lane_of(&self, change: &Change) -> Result<usize> {
        let unknown = |what| Error::definite(format!("a change of table {} {what}; this is a bug", change.table));
        match (self.lane_of_table.get(change.table as usize), change.key()) {
            (None, _) => Err(unknown("that the plan does not have")),
            (Some(Some(lane)), _) => Ok(*lane as usize),
            (Some(None), Some(key)) => Ok((xxhash_rust::xxh3::xxh3_64(key.as_bytes()) % self.lanes.len() as u64) as usize),
            (Some(None), None) => Err(unknown("has neither a key nor a lane of its table")),
        }
    }

    async fn reserve(&self, bytes: usize) -> Result<Arc<OwnedSemaphorePermit>> {
        let wanted = permits(bytes, self.budget_kib);
        let permit = Arc::clone(&self.budget).acquire_many_owned(wanted).await.map_err(|_| Error::cancelled())?;
        Ok(Arc::new(permit))
    }

    /// Waits until nothing is left in the queues, nor in the hands of a lane.
    ///
    /// # Errors
    /// Cancelled.
    pub(crate) async fn wait_idle(&self) -> Result<()> {
        self.budget.acquire_many(self.budget_kib).await.map(drop).map_err(|_| Error::cancelled())
    }

    /// Hands on a part of a transaction that is too large to hold.
    pub(crate) async fn part(&self, changes: Vec<Change>, transaction: &Began<'_>) -> Result<()> {
        self.push(changes, transaction, None, false).await
    }

    /// Hands on a transaction, or its last part, and moves the position behind it.
    pub(crate) async fn end(&self, changes: Vec<Change>, transaction: &Began<'_>, end: End) -> Result<()> {
        self.push(changes, transaction, Some(end), false).await
    }

    /// A transaction of which parts were handed on was rolled back at its end.
    pub(crate) async fn abort(&self, changes: Vec<Change>, transaction: &Began<'_>, end: End) -> Result<()> {
        self.push(changes, transaction, Some(end), true).await
    }

    /// Every open chunk of the table takes note of the key.
    fn touch(&self, state: &mut State, table: u32, key: &Row) {
        let State { chunks_of_table, open_chunks, touched_bytes, pressed, .. } = state;
        let Some(tickets) = chunks_of_table.get(&table) else { return };
        let hash = self.hasher.hash(key);
        for ticket in tickets {
            let Some(chunk) = open_chunks.get_mut(ticket) else { continue };
            let (before, was_full) = (chunk.touched.bytes(), chunk.touched.is_full());
            chunk.touched.insert(hash, self.limits.touched_bytes.saturating_sub(*touched_bytes));
            *touched_bytes = *touched_bytes + chunk.touched.bytes() - before;
            *pressed |= chunk.touched.is_full() && !was_full;
        }
    }

    async fn push(&self, changes: Vec<Change>, transaction: &Began<'_>, end: Option<End>, aborted: bool) -> Result<()> {
        let place = end.as_ref().map_or(0, |end| end.position.size());
        let bytes: usize = changes.iter().map(Change::size).sum::<usize>() + place;
        let permit = if changes.is_empty() { None } else { Some(self.reserve(bytes).await?) };
        let mut portions: Vec<Option<Portion>> = (0..self.lanes.len()).map(|_| None).collect();
        let skips: Vec<bool> = self
            .resumed_at
            .iter()
            .map(|at| {
                at.as_ref().is_some_and(|position| position.covers(transaction.id, transaction.file, transaction.offset + 1))
            })
            .collect();
        let mut state = lock(&self.state);
        for mut change in changes {
            if let ChangeKind::Cascade(cascade) = &mut change.kind {
                cascade.sequence = state.sequence + 1;
            } else if state.held_back.contains(&change.table) {
                continue;
            }
            if let Some(key) = change.key() {
                self.touch(&mut state, change.table, key);
            }
            let lane = self.lane_of(&change)?;
            if skips[lane] {
                continue;
            }
            let portion = portions[lane].get_or_insert_with(|| Portion {
                changes: Vec::new(),
                bytes: 0,
                end: None,
                aborted,
                permit: permit.clone(),
            });
            portion.bytes += change.size();
            portion.changes.push(change);
        }
        if aborted {
            // The transaction's parts put keys into the drop sets that no lane is going to write.
            state.open_chunks.values_mut().for_each(|chunk| chunk.spoiled = true);
        }
        let was_in_transaction = state.in_transaction;
        state.in_transaction = end.is_none();
        if let Some(end) = end {
            state.sequence += 1;
            state.replay_from = end.replay_from;
            let mark = TransactionEnd {
                sequence: state.sequence,
                position: Arc::new(end.position),
                replay_from: state.replay_from.clone(),
                committed_at: end.committed_at,
            };
            for (lane, portion) in portions.iter_mut().enumerate() {
                // After parts, every lane that may hold one is told of the end.
                if portion.is_none() && was_in_transaction && !skips[lane] {
                    *portion = Some(Portion { changes: Vec::new(), bytes: 0, end: None, aborted, permit: None });
                }
                if let Some(portion) = portion {
                    portion.end = Some(mark.clone());
                }
            }
            for (lane, portion) in portions.into_iter().enumerate() {
                if let Some(portion) = portion {
                    state.pushed[lane] = mark.sequence;
                    self.lanes[lane].push(Item::Portion(portion));
                }
            }
            self.position.send_replace(mark.position);
            drop(state);
            self.between_transactions.notify_waiters();
        } else {
            for (lane, portion) in portions.into_iter().enumerate() {
                if let Some(portion) = portion {
                    self.lanes[lane].push(Item::Portion(portion));
                }
            }
        }
        Ok(())
    }

    /// Moves the position past log that holds nothing for the task (heartbeats, other statements).
    pub(crate) fn advance(&self, position: Position, replay_from: Option<Arc<Position>>) {
        let mut state = lock(&self.state);
        state.replay_from = replay_from;
        if !state.in_transaction && **self.position.borrow() != position {
            self.position.send_replace(Arc::new(position));
        }
    }

    /// The source sends the log from the recorded place on.
    pub(crate) fn joined(&self) {
        self.joined.send_if_modified(|joined| !std::mem::replace(joined, true));
    }

    /// Waits until the dispatcher has passed the place in the log. A recorded place passes nothing before the source has found it again.
    pub(crate) async fn wait_passed(&self, file: &str, offset: u64) {
        let _ = self.joined.subscribe().wait_for(|joined| *joined).await;
        let mut receiver = self.position.subscribe();
        let _ = receiver.wait_for(|position| is_passed(position, file, offset)).await;
    }

    /// Begins to collect the keys that the log touches in a table, and says from which position on.
    pub(crate) async fn open_chunk(&self, table: u32) -> (ChunkTicket, Arc<Position>) {
        if let Some(places) = self.not_before.get(&table) {
            let reached = |position: &Arc<Position>| places.iter().all(|place| position.reaches(place));
            let _ = self.position.subscribe().wait_for(reached).await;
        }
        // In the middle of a transaction some of its keys have gone by already.
        self.between(|state| {
            let ticket = ChunkTicket(state.next_ticket);
            state.next_ticket += 1;
            let cascaded = Collected::default();
            if self.cascades.is_child(table) {
                let collector = Collector { table, registered: state.sequence, steps: Arc::downgrade(&cascaded) };
                state.collectors.push(collector);
            }
            state.open_chunks.insert(ticket, OpenChunk { table, touched: Touched::default(), cascaded, spoiled: false });
            state.chunks_of_table.entry(table).or_default().push(ticket);
            (ticket, Arc::clone(&self.position.borrow()))
        })
        .await
    }

    /// Does something between two transactions, at one point of the order: no part of one is before it and another behind.
    async fn between<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        loop {
            let notified = self.between_transactions.notified();
            {
                let mut state = lock(&self.state);
                if !state.in_transaction {
                    return act(&mut state);
                }
            }
            notified.await;
        }
    }

    /// Freezes a chunk's drop set and puts its gate into the lanes, at one point of the order.
    pub(crate) async fn hand_over(&self, ticket: ChunkTicket) -> Result<HandedOver> {
        self.between(|state| {
            let chunk = self.close(state, ticket)?;
            if chunk.spoiled {
                return Err(Error::transient("a large transaction was rolled back while chunks were read; they are read again"));
            }
            let Some(touched) = chunk.touched.freeze(self.hasher.clone()) else { return Ok(HandedOver::ReadAgain) };
            Ok(HandedOver::Write(touched, self.put_gate(vec![chunk.table], chunk.cascaded)))
        })
        .await
    }

    fn close(&self, state: &mut State, ticket: ChunkTicket) -> Result<OpenChunk> {
        let chunk =
            state.open_chunks.remove(&ticket).ok_or_else(|| Error::definite("a chunk was handed over twice; this is a bug"))?;
        state.touched_bytes -= chunk.touched.bytes();
        if let Some(tickets) = state.chunks_of_table.get_mut(&chunk.table) {
            tickets.retain(|other| *other != ticket);
        }
        if state.chunks_of_table.get(&chunk.table).is_some_and(Vec::is_empty) {
            state.chunks_of_table.remove(&chunk.table);
        }
        Ok(chunk)
    }

    /// The chunk is read: only the keys of its rows are minded from here on. Until the log comes to its end, and a writer to it, any
    /// number of others may be touched. Where nothing was touched so far nothing is expected, and the work is spared.
    pub(crate) fn read<'a>(&self, ticket: ChunkTicket, end: (&str, u64), keys: impl Iterator<Item = Row> + 'a) {
        // The position's own lock is not to be held here: whoever has the state goes on to that.
        let is_passed = is_passed(&self.position(), end.0, end.1);
        let is_quiet = lock(&self.state).open_chunks.get(&ticket).is_none_or(|chunk| chunk.touched.bytes() == 0);
        if is_passed && is_quiet {
            return;
        }
        // Not under the lock, which the log's reader needs.
        let mut keys: Vec<u128> = keys.map(|key| self.hasher.hash(&key)).collect();
        keys.sort_unstable();
        let mut state = lock(&self.state);
        let State { open_chunks, touched_bytes, .. } = &mut *state;
        if let Some(chunk) = open_chunks.get_mut(&ticket) {
            *touched_bytes -= chunk.touched.bytes();
            chunk.touched.restrict(keys);
            *touched_bytes += chunk.touched.bytes();
        }
    }

    /// Whether touched keys found no room: chunks should be registered near the log's end only, until [`Dispatcher::relieve`].
    pub(crate) fn is_pressed(&self) -> bool {
        lock(&self.state).pressed
    }

    /// The log was read up to its end.
    pub(crate) fn relieve(&self) {
        lock(&self.state).pressed = false;
    }

    /// A gate for whole tables: everything before it is applied once it is reached, what comes after waits. One gate
    /// for several tables, because a lane that waits at one does not come to the next.
    pub(crate) async fn gate_tables(&self, tables: Vec<u32>) -> Arc<Gate> {
        self.between(|_| self.put_gate(tables, Collected::default())).await
    }

    /// To be called between two transactions, under the lock of the state.
    fn put_gate(&self, tables: Vec<u32>, cascaded: Collected) -> Arc<Gate> {
        let mut lanes = BTreeSet::new();
        for table in &tables {
            match self.lane_of_table.get(*table as usize).copied().flatten() {
                Some(lane) => drop(lanes.insert(lane as usize)),
                None => lanes.extend(0..self.lanes.len()),
            }
        }
        let gate = Arc::new(Gate::new(tables, lanes.len(), cascaded));
        lanes.into_iter().for_each(|lane| self.lanes[lane].push(Item::Gate(Arc::clone(&gate))));
        gate
    }

    /// A lane has carried out cascades: chunks that are on their way are told.
    pub(crate) fn cascaded(&self, steps: &[Arc<Applied>]) {
        if steps.is_empty() {
            return;
        }
        let mut state = lock(&self.state);
        state.collectors.retain(|collector| collector.steps.strong_count() > 0);
        let held: usize = state.collectors.iter().filter_map(|one| one.steps.upgrade()).map(|steps| lock(&steps).bytes()).sum();
        let mut room = self.limits.cascaded_bytes.saturating_sub(held);
        for collector in &state.collectors {
            let Some(collected) = collector.steps.upgrade() else { continue };
            let of_chunk = steps.iter().filter(|step| step.table == collector.table && step.sequence > collector.registered);
            lock(&collected).add(of_chunk, &mut room);
        }
    }

    /// Whether a foreign key can change rows of the table, so that its chunks wait for the lane.
    pub(crate) fn is_child(&self, table: u32) -> bool {
        self.cascades.is_child(table)
    }

    /// Changes of these tables are passed by until [`Dispatcher::begin`]: every chunk of them is registered later.
    pub(crate) fn hold_back(&self, tables: impl IntoIterator<Item = u32>) {
        lock(&self.state).held_back.extend(tables);
    }

    /// From here on changes of the table are applied.
    pub(crate) async fn begin(&self, table: u32) {
        self.between(|state| state.held_back.remove(&table)).await;
    }

    /// A lane has committed everything up to the mark.
    pub(crate) fn applied(&self, lane: u32, sequence: u64) {
        self.applied[lane as usize].send_replace(sequence);
    }

    /// With an empty queue a lane has applied all that was dispatched: the mark it may record.
    pub(crate) fn idle_mark(&self, lane: u32) -> Option<TransactionEnd> {
        let state = lock(&self.state);
        if state.in_transaction || !self.lanes[lane as usize].items().is_empty() {
            return None;
        }
        Some(TransactionEnd {
            sequence: state.sequence,
            position: self.position(),
            replay_from: state.replay_from.clone(),
            committed_at: None,
        })
    }

    /// Waits until everything dispatched by now is applied.
    pub(crate) async fn drain(&self) {
        let pushed = lock(&self.state).pushed.clone();
        for (pushed, applied) in pushed.into_iter().zip(&self.applied) {
            let _ = applied.subscribe().wait_for(|sequence| *sequence >= pushed).await;
        }
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
