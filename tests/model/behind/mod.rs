//! A destination that cannot commit rows and the record of them together: rows go one by one, the position behind them.
//!
//! Requests are on their way for a while, several at once, and arrive in any order. One whose sender died, or whose connection was lost, may still
//! arrive, up to a bound of time; after it, it never does. A claim is a conditional update; rows are not fenced: that an engine which lost its
//! claim sends nothing any more once the next one starts, and that nothing of it is on its way then, rests on the bound.
//!
//! One lane and one chunk, which has all keys. Its registration, drop set and gate are those of `keyed`, in short.

mod scenarios;

use stateright::{Model, Property};

use crate::Run;

const KEYS: usize = 2;
const ENGINES: usize = 3;

const EXACT: &str = "at rest the destination equals the source";

/// Values by key; 0: no such row.
type Rows = [u8; KEYS];
/// A bit a key.
type Keys = u8;

/// The rule a model leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Nothing,
    MarkBeforeRows,
    DoneBeforeRows,
    GateBeforeRows,
    NextWindowBeforeAnswers,
    StartsAtOnce,
    RetriesAtOnce,
    GoesOnWithoutClaim,
}

#[derive(Debug, Clone)]
struct Behind {
    initial: Rows,
    /// Key and value that each transaction sets.
    log: Vec<(usize, u8)>,
    crashes: u8,
    takeovers: u8,
    /// Answers that are lost; whether the request arrives is open.
    losses: u8,
    broken: Broken,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    rows: Rows,
    /// Transactions that the record says are applied.
    mark: u8,
    /// The record says that the chunk is copied.
    done: bool,
    epoch: u8,
    flights: Vec<Flight>,
    engines: Vec<Engine>,
    crashes: u8,
    takeovers: u8,
    losses: u8,
}

/// A request on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Flight {
    epoch: u8,
    /// Nobody waits for its answer any more.
    lost: bool,
    request: Request,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Request {
    /// Of the lane.
    Put(u8, u8),
    Mark(u8),
    /// Of the chunk.
    Copy(u8, u8),
    Done,
}

/// An engine's memory. Its epoch is its place in the list, from 1 on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Engine {
    alive: bool,
    started: bool,
    /// Transactions that the lane has applied.
    applied: u8,
    /// The lane's window ends here; `applied` while it has none.
    window: u8,
    /// Keys of the window that are not sent yet, and those without an answer.
    unsent: Keys,
    unanswered: Keys,
    marking: Recording,
    chunk: Chunk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Chunk {
    Idle,
    /// Registered when so many transactions were dispatched.
    Registered(u8),
    /// Handed over at this transaction.
    Writing {
        gate: u8,
        unsent: Keys,
        unanswered: Keys,
        recording: Recording,
    },
    Done,
}

/// What has become of the record of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Recording {
    No,
    Sent,
    Accepted,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Action {
    Claim,
    /// The bound has passed.
    Start(usize),
    Take(usize, u8),
    Send(usize, u8),
    SendMark(usize),
    Register(usize, u8),
    HandOver(usize, u8),
    Copy(usize, u8),
    SendDone(usize),
    Arrive(Flight),
    /// It will never arrive.
    Expire(Flight),
    LoseAnswer(Flight),
    Crash(usize),
}

impl Behind {
    fn length(&self) -> u8 {
        self.log.len() as u8
    }

    /// The source's rows after so many transactions.
    fn rows_at(&self, transactions: u8) -> Rows {
        let mut rows = self.initial;
        self.log.iter().take(transactions as usize).for_each(|(key, value)| rows[*key] = *value);
        rows
    }

    /// Keys that the transactions behind `from` up to `to` set.
    fn touched(&self, from: u8, to: u8) -> Keys {
        let between = self.log.iter().take(to as usize).skip(from as usize);
        between.fold(0, |keys, (key, _)| keys | 1 << key)
    }

    /// Whether an engine may send: it holds the claim, or the bound within which it finds out is not over.
    fn may_send(&self, state: &State, engine: usize) -> bool {
        let me = &state.engines[engine];
        let replaced = state.engines.iter().skip(engine + 1).any(|other| other.started);
        me.alive && me.started && (!replaced || self.broken == Broken::GoesOnWithoutClaim)
    }

    /// What an engine sent and nobody waits for: it does not send anything else as long as that may arrive.
    fn is_doubtful(&self, state: &State, engine: usize) -> bool {
        let epoch = engine as u8 + 1;
        self.broken != Broken::RetriesAtOnce && state.flights.iter().any(|flight| flight.epoch == epoch && flight.lost)
    }
}

impl Engine {
    fn has_window(&self) -> bool {
        self.window > self.applied
    }

    /// What is written and recorded is through.
    fn finish(&mut self) {
        if self.marking == Recording::Accepted && self.unsent == 0 && self.unanswered == 0 {
            (self.applied, self.marking) = (self.window, Recording::No);
        }
        if let Chunk::Writing { unsent: 0, unanswered: 0, recording: Recording::Accepted, .. } = self.chunk {
            self.chunk = Chunk::Done;
        }
    }

    /// Transactions up to here may be taken.
    fn limit(&self, broken: Broken, length: u8) -> u8 {
        match self.chunk {
            Chunk::Writing { gate, .. } if broken != Broken::GateBeforeRows => gate,
            _ => length,
        }
    }
}

impl State {
    fn send(&mut self, engine: usize, request: Request) {
        self.flights.push(Flight { epoch: engine as u8 + 1, lost: false, request });
        self.flights.sort_unstable();
    }

    fn take_off(&mut self, flight: Flight) {
        if let Some(place) = self.flights.iter().position(|other| *other == flight) {
            self.flights.remove(place);
        }
    }

    /// An engine learns that its request was accepted.
    fn answer(&mut self, flight: Flight) {
        let Some(engine) = self.engines.get_mut(flight.epoch as usize - 1) else { return };
        match (flight.request, &mut engine.chunk) {
            (Request::Put(key, _), _) => engine.unanswered &= !(1 << key),
            (Request::Mark(mark), _) => {
                if mark == engine.window {
                    engine.marking = Recording::Accepted;
                }
            }
            (Request::Copy(key, _), Chunk::Writing { unanswered, .. }) => *unanswered &= !(1 << key),
            (Request::Done, Chunk::Writing { recording, .. }) => *recording = Recording::Accepted,
            (Request::Copy(..) | Request::Done, _) => {}
        }
        engine.finish();
    }

    /// An engine learns that a connection is lost: what was on its way over it goes once more.
    fn doubt(&mut self, flight: Flight) {
        let Some(engine) = self.engines.get_mut(flight.epoch as usize - 1) else { return };
        match (flight.request, &mut engine.chunk) {
            (Request::Put(key, _), _) => {
                engine.unanswered &= !(1 << key);
                engine.unsent |= 1 << key;
            }
            (Request::Mark(_), _) => engine.marking = Recording::No,
            (Request::Copy(key, _), Chunk::Writing { unsent, unanswered, .. }) => {
                *unanswered &= !(1 << key);
                *unsent |= 1 << key;
            }
            (Request::Done, Chunk::Writing { recording, .. }) => *recording = Recording::No,
            _ => {}
        }
    }
}

impl Model for Behind {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            rows: [0; KEYS],
            mark: 0,
            done: false,
            epoch: 0,
            flights: Vec::new(),
            engines: Vec::new(),
            crashes: self.crashes,
            takeovers: self.takeovers,
            losses: self.losses,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let nobody = state.engines.iter().all(|engine| !engine.alive);
        if state.engines.len() < ENGINES && (nobody || state.takeovers > 0) {
            actions.push(Action::Claim);
        }
        for (number, engine) in state.engines.iter().enumerate().filter(|(_, engine)| engine.alive) {
            let epoch = number as u8 + 1;
            if !engine.started {
                let is_quiet = state.flights.iter().all(|flight| flight.epoch >= epoch);
                if state.epoch == epoch && (is_quiet || self.broken == Broken::StartsAtOnce) {
                    actions.push(Action::Start(number));
                }
            } else if self.may_send(state, number) && !self.is_doubtful(state, number) {
                self.lane_actions(number, engine, actions);
                self.chunk_actions(number, engine, actions);
            }
            if state.crashes > 0 {
                actions.push(Action::Crash(number));
            }
        }
        for flight in &state.flights {
            actions.push(Action::Arrive(*flight));
            if flight.lost {
                actions.push(Action::Expire(*flight));
            } else if state.losses > 0 {
                actions.push(Action::LoseAnswer(*flight));
            }
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Claim => {
                if state.engines.iter().any(|engine| engine.alive) {
                    state.takeovers -= 1;
                }
                state.epoch += 1;
                state.engines.push(Engine {
                    alive: true,
                    started: false,
                    applied: 0,
                    window: 0,
                    unsent: 0,
                    unanswered: 0,
                    marking: Recording::No,
                    chunk: Chunk::Idle,
                });
            }
            Action::Start(number) => {
                let (mark, done) = (state.mark, state.done);
                let engine = &mut state.engines[number];
                (engine.started, engine.applied, engine.window) = (true, mark, mark);
                engine.chunk = if done { Chunk::Done } else { Chunk::Idle };
            }
            Action::Take(number, end) => {
                let engine = &mut state.engines[number];
                if self.broken == Broken::NextWindowBeforeAnswers {
                    engine.applied = engine.window;
                }
                engine.window = end;
                engine.unsent = self.touched(engine.applied, end);
            }
            Action::Send(number, key) => {
                let engine = &mut state.engines[number];
                engine.unsent &= !(1 << key);
                engine.unanswered |= 1 << key;
                let value = self.rows_at(engine.window)[key as usize];
                state.send(number, Request::Put(key, value));
            }
            Action::SendMark(number) => {
                state.engines[number].marking = Recording::Sent;
                let mark = state.engines[number].window;
                state.send(number, Request::Mark(mark));
            }
            Action::Register(number, since) => state.engines[number].chunk = Chunk::Registered(since),
            Action::HandOver(number, gate) => {
                let Chunk::Registered(since) = state.engines[number].chunk else { return None };
                let there = (0..KEYS).filter(|key| self.rows_at(gate)[*key] != 0).fold(0, |keys, key| keys | 1 << key);
                let unsent = there & !self.touched(since, gate);
                state.engines[number].chunk = Chunk::Writing { gate, unsent, unanswered: 0, recording: Recording::No };
            }
            Action::Copy(number, key) => {
                let Chunk::Writing { gate, unsent, unanswered, .. } = &mut state.engines[number].chunk else { return None };
                *unsent &= !(1 << key);
                *unanswered |= 1 << key;
                let value = self.rows_at(*gate)[key as usize];
                state.send(number, Request::Copy(key, value));
            }
            Action::SendDone(number) => {
                let Chunk::Writing { recording, .. } = &mut state.engines[number].chunk else { return None };
                *recording = Recording::Sent;
                state.send(number, Request::Done);
            }
            Action::Arrive(flight) => {
                state.take_off(flight);
                match flight.request {
                    Request::Put(key, value) | Request::Copy(key, value) => state.rows[key as usize] = value,
                    // Conditional: only while the epoch is the sender's.
                    Request::Mark(mark) if flight.epoch == state.epoch => state.mark = mark,
                    Request::Done if flight.epoch == state.epoch => state.done = true,
                    Request::Mark(_) | Request::Done => {}
                }
                if !flight.lost {
                    state.answer(flight);
                }
            }
            Action::Expire(flight) => state.take_off(flight),
            Action::LoseAnswer(flight) => {
                state.losses -= 1;
                state.take_off(flight);
                state.doubt(flight);
                state.flights.push(Flight { lost: true, ..flight });
                state.flights.sort_unstable();
            }
            Action::Crash(number) => {
                state.crashes -= 1;
                state.engines[number].alive = false;
                let epoch = number as u8 + 1;
                state.flights.iter_mut().filter(|flight| flight.epoch == epoch).for_each(|flight| flight.lost = true);
                state.flights.sort_unstable();
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let exact = Property::always(EXACT, |model: &Self, state: &State| {
            !model.is_at_rest(state) || state.rows == model.rows_at(model.length())
        });
        std::iter::once(exact).chain(crate::ends()).collect()
    }
}

impl Behind {
    fn lane_actions(&self, number: usize, engine: &Engine, actions: &mut Vec<Action>) {
        let early = self.broken == Broken::NextWindowBeforeAnswers && engine.has_window() && engine.unsent == 0;
        if !engine.has_window() || early {
            let limit = engine.limit(self.broken, self.length());
            actions.extend((engine.window + 1..=limit.min(engine.window + 2)).map(|end| Action::Take(number, end)));
        }
        if engine.has_window() {
            let unsent = (0..KEYS as u8).filter(|key| engine.unsent & 1 << key != 0);
            actions.extend(unsent.map(|key| Action::Send(number, key)));
            let all_there = engine.unsent == 0 && engine.unanswered == 0 || self.broken == Broken::MarkBeforeRows;
            if all_there && engine.marking == Recording::No {
                actions.push(Action::SendMark(number));
            }
        }
    }

    fn chunk_actions(&self, number: usize, engine: &Engine, actions: &mut Vec<Action>) {
        match engine.chunk {
            // What is dispatched to the lane: its window, and anything behind it.
            Chunk::Idle => actions.extend((engine.window..=self.length()).map(|since| Action::Register(number, since))),
            Chunk::Registered(since) => {
                let places = since.max(engine.window)..=self.length();
                actions.extend(places.map(|gate| Action::HandOver(number, gate)));
            }
            Chunk::Writing { unsent, unanswered, recording, .. } => {
                let open = (0..KEYS as u8).filter(|key| unsent & 1 << key != 0);
                actions.extend(open.map(|key| Action::Copy(number, key)));
                let all_there = unsent == 0 && unanswered == 0 || self.broken == Broken::DoneBeforeRows;
                if all_there && recording == Recording::No {
                    actions.push(Action::SendDone(number));
                }
            }
            Chunk::Done => {}
        }
    }
}

impl Run for Behind {
    fn is_exhausted(&self, _: &State) -> bool {
        true
    }

    fn is_at_rest(&self, state: &State) -> bool {
        let through =
            |engine: &Engine| engine.alive && engine.started && engine.applied == self.length() && engine.chunk == Chunk::Done;
        state.flights.is_empty() && state.engines.last().is_some_and(through)
    }
}
