//! A table without a key: copied from one snapshot, then followed exactly once, with crashes, lost connections and
//! a second engine.
//!
//! Equal rows cannot be told apart, so the destination is a number of rows per value, and whatever is written twice
//! or not at all shows. The source's `key` is a hidden row number that the engine never sees.

mod scenarios;

use stateright::{Model, Property};

use crate::Run;
use crate::source::{KEYS, Rows, Set, Source, SourceStep, Workload, has, up_to};

/// Values are 1 and 2.
const VALUES: usize = 3;
const LANES: usize = 2;

const ONCE: &str = "at rest each row is there exactly once";
const TRUE_POSITION: &str = "the position always says what is there";
const FENCED: &str = "a fenced engine commits nothing";

/// Rows per value.
type Counts = [u8; VALUES];

/// The rule a model leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Nothing,
    StartFromPublished,
    NoScan,
    ScanToExecuted,
    NotEmptied,
    EmptiedWithoutFence,
    PositionApart,
    RetryWithoutPosition,
    NoEpochCheck,
    CheckWithoutLock,
    ReadBeforeRaise,
    OtherLaneAfterRestart,
}

#[derive(Debug, Clone)]
struct Keyless {
    workload: Workload,
    crashes: u8,
    takeovers: u8,
    lost_connections: u8,
    /// The table is read with locks and S is the log's end (sources without GTID), instead of from a snapshot.
    locking_read: bool,
    broken: Broken,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    source: Source,
    rows: Counts,
    epoch: u8,
    /// Per lane; recorded together with "all tables without a key are copied".
    positions: Option<[Set; LANES]>,
    engines: [Option<Engine>; 2],
    /// An open destination transaction whose client is gone: its COMMIT may still arrive, or it is rolled back.
    orphan: Option<Orphan>,
    crashes: u8,
    takeovers: u8,
    lost_connections: u8,
    stale: bool,
    missing: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Orphan {
    epoch: u8,
    lane: usize,
    write: Write,
}

/// What an open destination transaction writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Write {
    /// A row of the snapshot.
    Copy(u8),
    /// Transactions of the log.
    Window(Vec<u8>),
    /// A position alone (only when that rule is broken).
    Position(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    /// Has raised the epoch, has read nothing.
    Raised,
    /// Has read, has not raised (only when that rule is broken).
    Peeked,
    /// The destination may hold rows of an earlier attempt.
    Dirty,
    /// Has checked the epoch, is about to empty the table (only when that rule is broken).
    Emptying,
    Empty,
    Positioned,
    Opened,
    Copying,
    Following,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Engine {
    epoch: u8,
    stage: Stage,
    /// S.
    start: Set,
    /// Rows of the snapshot that are not written yet.
    left: Counts,
    lane: usize,
    from: Set,
    dispatched: Set,
    queue: Vec<u8>,
    /// The open destination transaction.
    write: Option<Write>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Source(SourceStep),
    /// The engine is killed; its open transaction is rolled back or left to its fate.
    Crash {
        orphaned: bool,
    },
    Peek,
    Raise,
    Orphan {
        commits: bool,
    },
    Engine(usize, EngineStep),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EngineStep {
    Load,
    CheckAndEmpty,
    Empty,
    ReadStart,
    OpenSnapshot,
    Scan,
    BeginCopy(u8),
    Record,
    Dispatch,
    BeginWindow(u8),
    Commit,
    LoseConnection,
}

fn count(rows: Rows) -> Counts {
    let mut counts = [0; VALUES];
    for value in rows.into_iter().filter(|&value| value != 0) {
        counts[usize::from(value)] += 1;
    }
    counts
}

impl Engine {
    fn new(stage: Stage, epoch: u8) -> Self {
        Self { epoch, stage, start: 0, left: [0; VALUES], lane: 0, from: 0, dispatched: 0, queue: Vec::new(), write: None }
    }

    /// Forgets what it did so far.
    fn again(&self, stage: Stage) -> Self {
        Self { lane: self.lane, ..Self::new(stage, self.epoch) }
    }

    fn follow(&mut self, positions: [Set; LANES]) {
        self.stage = Stage::Following;
        self.from = positions[self.lane];
        self.dispatched = positions.into_iter().fold(Set::MAX, |all, position| all & position);
    }

    fn next_transaction(&self, source: &Source) -> Option<u8> {
        let left = source.published() & !self.dispatched;
        (left != 0).then(|| left.trailing_zeros() as u8)
    }
}

impl Keyless {
    fn is(&self, broken: Broken) -> bool {
        self.broken == broken
    }

    fn is_touched(&self, source: &Source, transaction: u8) -> bool {
        !source.changes(&self.workload, transaction).is_empty()
    }

    /// Somebody's open transaction holds the fence row.
    fn is_locked(&self, state: &State) -> bool {
        let held = state.orphan.is_some() || state.engines.iter().flatten().any(|engine| engine.write.is_some());
        held && !self.is(Broken::CheckWithoutLock)
    }

    fn engine_steps(&self, state: &State, engine: &Engine, steps: &mut Vec<EngineStep>) {
        let free = !self.is_locked(state);
        if engine.write.is_some() {
            steps.push(EngineStep::Commit);
            if state.lost_connections > 0 && state.orphan.is_none() {
                steps.push(EngineStep::LoseConnection);
            }
            return;
        }
        match engine.stage {
            Stage::Raised => steps.push(EngineStep::Load),
            Stage::Dirty if self.is(Broken::EmptiedWithoutFence) => steps.push(EngineStep::CheckAndEmpty),
            Stage::Dirty if free => steps.push(EngineStep::Empty),
            Stage::Emptying => steps.push(EngineStep::Empty),
            Stage::Empty => steps.push(EngineStep::ReadStart),
            Stage::Positioned => {
                let waits = self.locking_read && (0..KEYS).any(|key| state.source.is_locked(&self.workload, key));
                if !waits {
                    steps.push(EngineStep::OpenSnapshot);
                }
            }
            Stage::Opened => steps.push(EngineStep::Scan),
            Stage::Copying if free => match (1..VALUES).find(|&value| engine.left[value] > 0) {
                Some(value) => steps.push(EngineStep::BeginCopy(value as u8)),
                None => steps.push(EngineStep::Record),
            },
            Stage::Following => {
                if engine.next_transaction(&state.source).is_some() {
                    steps.push(EngineStep::Dispatch);
                }
                if free {
                    steps.extend((1..=engine.queue.len() as u8).map(EngineStep::BeginWindow));
                }
            }
            _ => {}
        }
    }

    fn engine_step(&self, state: &mut State, who: usize, step: EngineStep) {
        let Some(mut engine) = state.engines[who].take() else { return };
        let checked = match step {
            EngineStep::Empty => engine.stage != Stage::Emptying,
            EngineStep::CheckAndEmpty | EngineStep::BeginCopy(_) | EngineStep::Record | EngineStep::BeginWindow(_) => true,
            _ => false,
        };
        if checked && engine.epoch != state.epoch && !self.is(Broken::NoEpochCheck) {
            return;
        }
        match step {
            EngineStep::Load => self.load(state, &mut engine),
            EngineStep::CheckAndEmpty => engine.stage = Stage::Emptying,
            EngineStep::Empty => {
                state.rows = [0; VALUES];
                engine.stage = Stage::Empty;
            }
            EngineStep::ReadStart => {
                let published = self.locking_read || self.is(Broken::StartFromPublished);
                engine.start = if published { state.source.published() } else { state.source.executed() };
                engine.stage = Stage::Positioned;
            }
            EngineStep::OpenSnapshot => {
                engine.left = count(state.source.rows(&self.workload, state.source.visible()));
                engine.stage = Stage::Opened;
            }
            EngineStep::Scan => {
                let executed = self.is(Broken::ScanToExecuted);
                let end = if executed { state.source.executed() } else { state.source.published() };
                let between = end & !engine.start;
                let touched = (0..8).any(|transaction| has(between, transaction) && self.is_touched(&state.source, transaction));
                if touched && !self.is(Broken::NoScan) {
                    engine = engine.again(Stage::Empty);
                } else {
                    engine.stage = Stage::Copying;
                }
            }
            EngineStep::BeginCopy(value) => {
                engine.left[usize::from(value)] -= 1;
                engine.write = Some(Write::Copy(value));
            }
            EngineStep::Record => {
                let positions = [engine.start; LANES];
                state.positions = Some(positions);
                state.stale |= engine.epoch != state.epoch;
                engine = engine.again(Stage::Following);
                engine.follow(positions);
            }
            EngineStep::Dispatch => {
                if let Some(transaction) = engine.next_transaction(&state.source) {
                    engine.dispatched |= 1 << transaction;
                    if self.is_touched(&state.source, transaction) && !has(engine.from, transaction) {
                        engine.queue.push(transaction);
                    }
                }
            }
            EngineStep::BeginWindow(length) => self.begin_window(state, &mut engine, usize::from(length)),
            EngineStep::Commit => {
                if let Some(write) = engine.write.take() {
                    engine.write = self.commit(state, engine.epoch, engine.lane, write);
                }
            }
            EngineStep::LoseConnection => {
                state.lost_connections -= 1;
                if let Some(write) = engine.write.take() {
                    if let Write::Window(window) | Write::Position(window) = &write {
                        engine.queue = [window.as_slice(), &engine.queue].concat();
                    } else {
                        engine = engine.again(Stage::Dirty);
                    }
                    state.orphan = Some(Orphan { epoch: engine.epoch, lane: engine.lane, write });
                }
            }
        }
        state.engines[who] = Some(engine);
    }

    fn load(&self, state: &State, engine: &mut Engine) {
        if self.is(Broken::OtherLaneAfterRestart) {
            engine.lane = usize::from(engine.epoch) % LANES;
        }
        match state.positions {
            Some(positions) => engine.follow(positions),
            None if self.is(Broken::NotEmptied) => engine.stage = Stage::Empty,
            None => engine.stage = Stage::Dirty,
        }
    }

    /// With the fence row locked, the position is looked at again: a transaction whose outcome was unknown may
    /// have been committed meanwhile.
    fn begin_window(&self, state: &State, engine: &mut Engine, length: usize) {
        let window: Vec<u8> = engine.queue.drain(..length).collect();
        let position = state.positions.map_or(0, |positions| positions[engine.lane]);
        // This comparison alone would save an engine that read its positions too early, so that model goes without.
        let blind = self.is(Broken::RetryWithoutPosition) || self.is(Broken::ReadBeforeRaise);
        let window: Vec<u8> = window.into_iter().filter(|&transaction| blind || !has(position, transaction)).collect();
        if !window.is_empty() {
            engine.write = Some(Write::Window(window));
        }
    }

    /// Commits, and says what has to follow.
    fn commit(&self, state: &mut State, epoch: u8, lane: usize, write: Write) -> Option<Write> {
        state.stale |= epoch != state.epoch;
        match write {
            Write::Copy(value) => state.rows[usize::from(value)] += 1,
            Write::Window(window) => {
                for &transaction in &window {
                    for event in state.source.changes(&self.workload, transaction) {
                        if event.before != 0 {
                            state.missing |= state.rows[usize::from(event.before)] == 0;
                            let rows = &mut state.rows[usize::from(event.before)];
                            *rows = rows.saturating_sub(1);
                        }
                        if event.after != 0 {
                            state.rows[usize::from(event.after)] += 1;
                        }
                    }
                }
                if self.is(Broken::PositionApart) {
                    return Some(Write::Position(window));
                }
                self.advance(state, lane, &window);
            }
            Write::Position(window) => self.advance(state, lane, &window),
        }
        None
    }

    fn advance(&self, state: &mut State, lane: usize, window: &[u8]) {
        if let (Some(positions), Some(&last)) = (&mut state.positions, window.last()) {
            positions[lane] |= up_to(last);
        }
    }
}

impl Run for Keyless {
    fn is_exhausted(&self, state: &State) -> bool {
        state.source.is_exhausted(&self.workload)
    }

    fn is_at_rest(&self, state: &State) -> bool {
        let all = state.source.published();
        state.source.visible() == all
            && state.positions.is_some()
            && state.orphan.is_none()
            && state.engines.iter().flatten().any(|engine| engine.epoch == state.epoch)
            && state.engines.iter().flatten().all(|engine| {
                let finished = engine.stage == Stage::Following && engine.dispatched == all && engine.queue.is_empty();
                engine.write.is_none() && (finished || engine.epoch != state.epoch)
            })
    }
}

impl Model for Keyless {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            source: Source::new(),
            rows: [0; VALUES],
            epoch: 0,
            positions: None,
            engines: [None, None],
            orphan: None,
            crashes: self.crashes,
            takeovers: self.takeovers,
            lost_connections: self.lost_connections,
            stale: false,
            missing: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        steps.extend(state.source.steps(&self.workload).into_iter().map(Step::Source));
        let mut engine_steps = Vec::new();
        for (who, engine) in state.engines.iter().enumerate() {
            let Some(engine) = engine else { continue };
            engine_steps.clear();
            self.engine_steps(state, engine, &mut engine_steps);
            steps.extend(engine_steps.iter().map(|&step| Step::Engine(who, step)));
        }
        if state.orphan.is_some() {
            steps.extend([Step::Orphan { commits: true }, Step::Orphan { commits: false }]);
        }
        if state.crashes > 0
            && let Some(first) = &state.engines[0]
        {
            steps.push(Step::Crash { orphaned: false });
            if first.write.is_some() && state.orphan.is_none() {
                steps.push(Step::Crash { orphaned: true });
            }
        }
        let wanted = match &state.engines {
            [_, Some(second)] => second.stage == Stage::Peeked,
            [None, None] => true,
            [Some(_), None] => state.takeovers > 0,
        };
        let peeks = self.is(Broken::ReadBeforeRaise) && state.engines[1].is_none() && state.engines[0].is_some();
        if wanted && peeks {
            steps.push(Step::Peek);
        } else if wanted && !self.is_locked(state) {
            steps.push(Step::Raise);
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Source(step) => state.source.take(&self.workload, step),
            Step::Crash { orphaned } => {
                state.crashes -= 1;
                let engine = state.engines[0].take()?;
                if let Some(write) = engine.write.filter(|_| orphaned) {
                    state.orphan = Some(Orphan { epoch: engine.epoch, lane: engine.lane, write });
                }
            }
            Step::Peek => {
                state.takeovers -= 1;
                let mut engine = Engine::new(Stage::Raised, 0);
                self.load(&state, &mut engine);
                // What it saw is all it will go by.
                if engine.stage != Stage::Following {
                    return None;
                }
                engine.stage = Stage::Peeked;
                state.engines[1] = Some(engine);
            }
            Step::Raise => {
                state.epoch += 1;
                match &mut state.engines {
                    [_, Some(second)] => {
                        second.epoch = state.epoch;
                        second.stage = Stage::Following;
                    }
                    [first @ None, None] => *first = Some(Engine::new(Stage::Raised, state.epoch)),
                    [Some(_), second] => {
                        state.takeovers -= 1;
                        *second = Some(Engine::new(Stage::Raised, state.epoch));
                    }
                }
            }
            Step::Orphan { commits } => {
                let orphan = state.orphan.take()?;
                if commits {
                    self.commit(&mut state, orphan.epoch, orphan.lane, orphan.write);
                }
            }
            Step::Engine(who, step) => self.engine_step(&mut state, who, step),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONCE, |model: &Self, state: &State| {
                !model.is_at_rest(state)
                    || state.rows == count(state.source.rows(&model.workload, state.source.published())) && !state.missing
            }),
            Property::always(TRUE_POSITION, |model: &Self, state: &State| {
                let position = |positions: [Set; LANES]| positions.into_iter().fold(0, |all, position| all | position);
                state.positions.is_none_or(|positions| {
                    state.rows == count(state.source.rows(&model.workload, position(positions))) && !state.missing
                })
            }),
            Property::always(FENCED, |_, state: &State| !state.stale),
        ];
        properties.extend(crate::ends());
        properties
    }
}
