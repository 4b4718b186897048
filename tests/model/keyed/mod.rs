//! A table with a key: copied in chunks while its changes are applied, with crashes and with a second engine.
//!
//! A destination transaction is one step, or two (`split`: it takes the lock on its fence row and checks the
//! epoch, later it commits) where another engine can step in between.

mod engine;
mod scenarios;

use stateright::{Model, Property};

use crate::Run;
use crate::source::{Change, KEYS, Rows, Set, Source, SourceStep, Workload};

const LANES: usize = 2;
const CHUNKS: usize = 2;
const ENGINES: usize = 2;
/// Queue items from here on are gates of chunks, below they are transactions.
const GATE: u8 = 0x80;

const EXACT: &str = "at rest the destination equals the source";
const NO_COLLISION: &str = "no row collides on the second unique key";
const FENCED: &str = "a fenced engine commits nothing";

/// The rule a model leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Nothing,
    DropSetAfterSelect,
    DropSetOfAfterImages,
    DropSetWithoutSkipped,
    RegisteredInsideTransaction,
    HandedOverInsideTransaction,
    RolledBackKeptInDropSet,
    WrittenWithoutRoom,
    NoVisibilityWait,
    EndBeforeSelect,
    EndFromExecuted,
    NoEnd,
    NoGate,
    NoDrain,
    DoneBeforeRows,
    NoDeleteFirst,
    PositionApart,
    NoEpochCheck,
    CheckWithoutLock,
    ReadBeforeRaise,
    AdvancedPastQueue,
    StartWithHole,
}

/// A scenario.
#[derive(Debug, Clone)]
struct Keyed {
    workload: Workload,
    /// Keys of each chunk, a bit each.
    chunks: Vec<u8>,
    crashes: u8,
    takeovers: u8,
    /// Chunks whose drop sets find no room for what is touched.
    overflows: u8,
    /// Other tables' lanes may be behind: after a restart the log is read from an earlier place than this
    /// table's lanes stand at.
    others_behind: bool,
    /// Chunks are read row by row, waiting for locks, instead of from a snapshot (sources without GTID).
    locking_read: bool,
    /// Transactions are applied row by row inside the destination transaction (larger than the window's budget).
    in_batches: bool,
    /// A lane without work moves its position along with the dispatcher.
    idle_advance: bool,
    /// S of a fresh task is the log's end, not `gtid_executed`.
    start_from_published: bool,
    split: bool,
    broken: Broken,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    source: Source,
    rows: Rows,
    /// The fence rows of all lanes and writers; they are raised together.
    epoch: u8,
    /// What each lane has committed.
    positions: [Set; LANES],
    /// S, once it is recorded.
    start: Option<Set>,
    /// Chunks recorded as done, a bit each.
    done: u8,
    engines: [Option<Engine>; ENGINES],
    crashes: u8,
    takeovers: u8,
    overflows: u8,
    collided: bool,
    stale: bool,
}

/// An engine's memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Engine {
    epoch: u8,
    started: bool,
    /// The lanes' positions it started from.
    from: [Set; LANES],
    /// D.
    dispatched: Set,
    /// Row events of the next transaction that are dispatched already.
    routed: u8,
    chunks: [Chunk; CHUNKS],
    queues: [Vec<u8>; LANES],
    /// Transactions inside each lane's open destination transaction.
    flights: [u8; LANES],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd)]
enum Phase {
    Idle,
    Registered,
    Selected,
    Ended,
    Frozen,
    Writing,
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Chunk {
    phase: Phase,
    /// D0.
    since: Set,
    /// Keys that were read so far, a bit each.
    read: u8,
    /// The drop set, a bit a key.
    dropped: u8,
    /// There was no room for it: nothing is kept any more.
    full: bool,
    rows: Rows,
    /// H.
    end: Set,
}

const NEW_CHUNK: Chunk = Chunk { phase: Phase::Idle, since: 0, read: 0, dropped: 0, full: false, rows: [0; KEYS], end: 0 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Source(SourceStep),
    /// A fresh task records S.
    Initialise,
    /// The engine is killed and started again; its log starts with this set.
    Crash(Set),
    /// Reads the destination's record without having raised the epoch (only when that rule is broken).
    Peek,
    /// A second engine raises the epoch.
    Raise,
    /// … and reads the destination's record.
    Start(Set),
    Engine(usize, EngineStep),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EngineStep {
    Dispatch,
    Register(usize),
    Select(usize),
    ReadEnd(usize),
    Overflow(usize),
    HandOver(usize),
    BeginChunk(usize),
    CommitChunk(usize),
    BeginLane(usize, u8),
    CommitLane(usize),
    Advance(usize),
}

/// A transaction that the log ends with ROLLBACK: its row events change nothing.
fn is_rolled_back(changes: &[Change]) -> bool {
    !changes.is_empty() && changes.iter().all(|event| event.before == event.after)
}

impl Engine {
    fn load(state: &State, dispatched: Set, epoch: u8) -> Self {
        let mut engine = Self {
            epoch,
            started: true,
            from: state.positions,
            dispatched,
            routed: 0,
            chunks: [NEW_CHUNK; CHUNKS],
            queues: [Vec::new(), Vec::new()],
            flights: [0; LANES],
        };
        for (place, chunk) in engine.chunks.iter_mut().enumerate() {
            if state.done & (1 << place) != 0 {
                chunk.phase = Phase::Done;
            }
        }
        engine
    }

    fn next_transaction(&self, source: &Source) -> Option<u8> {
        let left = source.published() & !self.dispatched;
        (left != 0).then(|| left.trailing_zeros() as u8)
    }

    fn holds_lock(&self) -> bool {
        self.flights.iter().any(|&flight| flight > 0) || self.chunks.iter().any(|chunk| chunk.phase == Phase::Writing)
    }
}

impl Keyed {
    fn is(&self, broken: Broken) -> bool {
        self.broken == broken
    }

    /// Rows of a table with a second unique key go through one lane, other rows are spread by key.
    fn lane(&self, key: usize) -> usize {
        if self.workload.unique { 0 } else { key % LANES }
    }

    fn lanes(&self) -> usize {
        if self.workload.unique { 1 } else { LANES }
    }

    /// Where the log may be taken up: what all lanes have, or less because of other tables.
    fn restarts(&self, state: &State) -> Vec<Set> {
        let start = state.start.unwrap_or(0);
        let common = state.positions[..self.lanes()].iter().fold(Set::MAX, |all, position| all & position);
        if !self.others_behind {
            return vec![common];
        }
        let mut sets: Vec<Set> = (0..=self.workload.length).map(|count| start | (common & ((1 << count) - 1))).collect();
        sets.dedup();
        sets
    }
}

impl Run for Keyed {
    fn is_exhausted(&self, state: &State) -> bool {
        state.source.is_exhausted(&self.workload)
    }

    fn is_at_rest(&self, state: &State) -> bool {
        let all = state.source.published();
        state.done.count_ones() as usize == self.chunks.len()
            && state.source.visible() == all
            && state.engines.iter().flatten().all(|engine| {
                let idle = !engine.holds_lock();
                let finished = engine.started
                    && engine.dispatched == all
                    && engine.routed == 0
                    && engine.queues.iter().all(Vec::is_empty)
                    && engine.chunks[..self.chunks.len()].iter().all(|chunk| chunk.phase == Phase::Done);
                idle && (finished || engine.epoch != state.epoch)
            })
    }
}

impl Model for Keyed {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut state = State {
            source: Source::new(),
            rows: [0; KEYS],
            epoch: 1,
            positions: [0; LANES],
            start: None,
            done: 0,
            engines: [None, None],
            crashes: self.crashes,
            takeovers: self.takeovers,
            overflows: self.overflows,
            collided: false,
            stale: false,
        };
        let mut engine = Engine::load(&state, 0, 1);
        engine.started = false;
        state.engines[0] = Some(engine);
        vec![state]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        steps.extend(state.source.steps(&self.workload).into_iter().map(Step::Source));
        if state.start.is_none() {
            let executed = state.source.executed();
            let hole = executed & (executed + 1) != 0 && !self.start_from_published;
            if !hole || self.is(Broken::StartWithHole) {
                steps.push(Step::Initialise);
            }
            return;
        }
        let mut engine_steps = Vec::new();
        for (who, engine) in state.engines.iter().enumerate() {
            let Some(engine) = engine else { continue };
            engine_steps.clear();
            self.engine_steps(state, engine, &mut engine_steps);
            steps.extend(engine_steps.iter().map(|&step| Step::Engine(who, step)));
        }
        if state.crashes > 0 && state.engines[0].is_some() {
            steps.extend(self.restarts(state).into_iter().map(Step::Crash));
        }
        let locked = state.engines.iter().flatten().any(Engine::holds_lock) && !self.is(Broken::CheckWithoutLock);
        match &state.engines[1] {
            None if state.takeovers > 0 && self.is(Broken::ReadBeforeRaise) => steps.push(Step::Peek),
            None if state.takeovers > 0 && !locked => steps.push(Step::Raise),
            Some(second) if second.epoch == 0 && !locked => steps.push(Step::Raise),
            Some(second) if second.epoch != 0 && !second.started => {
                steps.extend(self.restarts(state).into_iter().map(Step::Start));
            }
            _ => {}
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Source(step) => state.source.take(&self.workload, step),
            Step::Initialise => {
                let start = if self.start_from_published { state.source.published() } else { state.source.executed() };
                state.start = Some(start);
                state.positions = [start; LANES];
                state.engines[0] = Some(Engine::load(&state, start, state.epoch));
            }
            Step::Crash(from) => {
                state.crashes -= 1;
                state.engines[0] = Some(Engine::load(&state, from, state.epoch));
            }
            Step::Peek => {
                let from = self.restarts(&state).pop()?;
                let mut engine = Engine::load(&state, from, 0);
                engine.started = false;
                state.takeovers -= 1;
                state.engines[1] = Some(engine);
            }
            Step::Raise => {
                state.epoch += 1;
                if let Some(second) = &mut state.engines[1] {
                    second.epoch = state.epoch;
                    second.started = true;
                } else {
                    state.takeovers -= 1;
                    let mut engine = Engine::load(&state, 0, state.epoch);
                    engine.started = false;
                    state.engines[1] = Some(engine);
                }
            }
            Step::Start(from) => state.engines[1] = Some(Engine::load(&state, from, state.epoch)),
            Step::Engine(who, step) => self.engine_step(&mut state, who, step),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(EXACT, |model: &Self, state: &State| {
                !model.is_at_rest(state) || state.rows == state.source.rows(&model.workload, state.source.published())
            }),
            Property::always(NO_COLLISION, |_, state: &State| !state.collided),
            Property::always(FENCED, |_, state: &State| !state.stale),
        ];
        properties.extend(crate::ends());
        properties
    }
}
