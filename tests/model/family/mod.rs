//! Tables that foreign keys connect, copied in chunks or from snapshots, from a source that does not log what the foreign keys do:
//! F1–F6.
//!
//! A destination transaction is one step; other engines and open transactions are the business of `keyed`.

mod engine;
mod scenarios;
mod snapshot;
mod source;

use stateright::{Model, Property};

use crate::Run;

use source::{KEYS, Rows, Source, SourceStep, TABLES, UPPER, Workload};

const LANES: usize = 2;

const EXACT: &str = "at rest the destination equals the source";
const NO_COLLISION: &str = "no row collides on the second unique key";

/// The rule a model leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// F1: the rows that cascades reach have a lane of their own.
    LaneOfItsOwn,
    /// The log's changes alone.
    NoCascades,
    /// F2
    NoBarrier,
    /// F3
    CascadePassesGate,
    ChunkBeforeLane,
    /// F4
    NotCarriedOutOnChunks,
    MadeValuesNotReadAgain,
    /// F5
    ChildrenTogetherWithParents,
    ChangesBeforeTheirTurn,
    RegisteredBehindPosition,
    RegisteredBeforeSnapshot,
    ChangesBeforeSnapshotsAbove,
    SnapshotOfChildrenFirst,
    CarriedOutOnSnapshots,
    /// F6
    ChildAloneIsQuiet,
    ChildAloneIsLocked,
}

/// A scenario.
#[derive(Debug, Clone)]
struct Family {
    workload: Workload,
    /// Table and keys of each chunk, a bit each.
    chunks: Vec<(usize, u8)>,
    /// Tables that are copied from one snapshot each.
    snapshots: Vec<usize>,
    /// A snapshot is opened under a lock, instead of being proven by the log.
    locks: bool,
    crashes: u8,
    broken: Broken,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    source: Source,
    rows: Rows,
    /// Transactions that each lane has committed.
    positions: [u8; LANES],
    /// Chunks recorded as done, a bit each.
    done: u8,
    /// Per table, the transactions that its recorded snapshot holds.
    valid_from: [Option<u8>; TABLES],
    engine: Engine,
    crashes: u8,
    collided: bool,
}

/// An engine's memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Engine {
    /// The lanes' positions it started from.
    from: [u8; LANES],
    /// Transactions that are dispatched.
    dispatched: u8,
    /// The lower table's turn has come: its changes are applied.
    begun: bool,
    snapshot: snapshot::Phase,
    chunks: Vec<Chunk>,
    queues: [Vec<Item>; LANES],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Item {
    /// `begun`: as it was at the dispatch.
    Transaction {
        number: u8,
        begun: bool,
    },
    Gate(usize),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd)]
enum Phase {
    #[default]
    Idle,
    Registered,
    Selected,
    Ended,
    /// Its gate is in a queue.
    Frozen,
    /// The lane has come to the gate.
    Reached,
    Done,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Chunk {
    phase: Phase,
    /// D0.
    since: u8,
    /// The drop set, a bit a key.
    dropped: u8,
    rows: [u8; KEYS],
    /// H.
    end: u8,
    /// What cascades did to the table since.
    steps: Vec<Applied>,
}

/// What happened to all rows with one of these parents (a bit each).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Applied {
    table: usize,
    parents: u8,
    /// The new parent; None: they are deleted.
    to: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Source(SourceStep),
    /// The engine is killed and started again; its log starts here.
    Crash(u8),
    /// The next step of the snapshot at hand.
    Snapshot,
    Dispatch,
    Begin,
    Register(usize),
    Select(usize),
    ReadEnd(usize),
    HandOver(usize),
    Write(usize),
    /// A window of so many transactions.
    Apply(usize, usize),
}

impl Family {
    fn is(&self, broken: Broken) -> bool {
        self.broken == broken
    }

    fn lanes(&self) -> usize {
        if self.is(Broken::LaneOfItsOwn) { LANES } else { 1 }
    }

    fn load(&self, state: &mut State, dispatched: u8) {
        let fresh = |place: usize| Chunk {
            phase: if state.done & (1 << place) != 0 { Phase::Done } else { Phase::Idle },
            ..Chunk::default()
        };
        state.engine = Engine {
            from: state.positions,
            dispatched,
            begun: self.is_upper_done(state.done) || self.is(Broken::ChildrenTogetherWithParents),
            snapshot: snapshot::Phase::default(),
            chunks: (0..self.chunks.len()).map(fresh).collect(),
            queues: [Vec::new(), Vec::new()],
        };
    }

    /// Whether all chunks of the upper table are written.
    fn is_upper_done(&self, done: u8) -> bool {
        self.chunks.iter().enumerate().all(|(place, (table, _))| *table != UPPER || done & (1 << place) != 0)
    }
}

impl Run for Family {
    fn is_exhausted(&self, state: &State) -> bool {
        state.source.is_exhausted(&self.workload)
    }

    fn is_at_rest(&self, state: &State) -> bool {
        let (engine, all) = (&state.engine, state.source.published());
        state.source.visible == all
            && self.next_snapshot(state).is_none()
            && engine.dispatched == all
            && engine.chunks.iter().all(|chunk| chunk.phase == Phase::Done)
            && engine.queues.iter().all(Vec::is_empty)
    }
}

impl Model for Family {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut state = State {
            source: Source::default(),
            rows: [[0; KEYS]; TABLES],
            positions: [0; LANES],
            done: 0,
            valid_from: [None; TABLES],
            engine: Engine {
                from: [0; LANES],
                dispatched: 0,
                begun: false,
                snapshot: snapshot::Phase::default(),
                chunks: Vec::new(),
                queues: [Vec::new(), Vec::new()],
            },
            crashes: self.crashes,
            collided: false,
        };
        self.load(&mut state, 0);
        vec![state]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        steps.extend(state.source.steps(&self.workload).into_iter().map(Step::Source));
        self.engine_steps(state, steps);
        if state.crashes > 0 {
            // Other lanes may be behind: the log may be taken up anywhere before.
            steps.extend((0..=state.positions[..self.lanes()].iter().copied().min().unwrap_or(0)).map(Step::Crash));
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Source(step) => state.source.take(step),
            Step::Crash(from) => {
                state.crashes -= 1;
                self.load(&mut state, from);
            }
            step => self.engine_step(&mut state, step),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(EXACT, |model: &Self, state: &State| {
                !model.is_at_rest(state) || state.rows == state.source.rows(&model.workload, state.source.published())
            }),
            Property::always(NO_COLLISION, |_, state: &State| !state.collided),
        ];
        properties.extend(crate::ends());
        properties
    }
}
