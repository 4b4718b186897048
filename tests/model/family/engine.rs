//! The engine's steps: dispatch, chunks, the lane.

use super::source::{Event, LOWER, moved, parent};
use super::*;

/// What a lane is given: logged changes, and cascades among them.
#[derive(Debug, Clone, Copy)]
enum Change {
    Row {
        table: usize,
        key: usize,
        before: u8,
        after: u8,
    },
    /// A row of the root is gone, or has another number.
    OfRoot {
        number: u8,
        to: Option<u8>,
    },
    /// A row of the upper table is gone.
    OfUpper {
        number: u8,
    },
}

impl Change {
    fn is_cascade(self) -> bool {
        !matches!(self, Self::Row { .. })
    }

    /// Whether it may change rows of the table.
    fn touches(self, table: usize) -> bool {
        match self {
            Self::Row { table: own, .. } => own == table,
            Self::OfRoot { .. } => true,
            Self::OfUpper { .. } => table == LOWER,
        }
    }
}

impl Family {
    pub fn engine_steps(&self, state: &State, steps: &mut Vec<Step>) {
        let engine = &state.engine;
        if self.next_snapshot(state).is_some() {
            // The log is followed behind the snapshots.
            if self.may_go_on_with_snapshot(state) {
                steps.push(Step::Snapshot);
            }
            return;
        }
        if engine.dispatched < state.source.published() {
            steps.push(Step::Dispatch);
        }
        if !engine.begun && self.is_upper_done(state.done) {
            steps.push(Step::Begin);
        }
        for (place, chunk) in engine.chunks.iter().enumerate() {
            match chunk.phase {
                Phase::Idle if self.may_register(state, place) => steps.push(Step::Register(place)),
                Phase::Registered if state.source.visible >= chunk.since => steps.push(Step::Select(place)),
                Phase::Selected => steps.push(Step::ReadEnd(place)),
                Phase::Ended if engine.dispatched >= chunk.end => steps.push(Step::HandOver(place)),
                Phase::Frozen if self.is(Broken::ChunkBeforeLane) => steps.push(Step::Write(place)),
                Phase::Reached => steps.push(Step::Write(place)),
                _ => {}
            }
        }
        for lane in 0..self.lanes() {
            let ready = engine.queues[lane].iter().take_while(|item| self.is_open(state, lane, **item)).count();
            steps.extend((1..=ready).map(|count| Step::Apply(lane, count)));
        }
    }

    fn may_register(&self, state: &State, place: usize) -> bool {
        let engine = &state.engine;
        let is_behind_snapshots = state.valid_from.iter().flatten().all(|from| engine.dispatched >= *from);
        if !is_behind_snapshots && !self.is(Broken::RegisteredBeforeSnapshot) {
            return false;
        }
        let is_turn = self.chunks[place].0 == UPPER || engine.begun;
        let is_past = engine.from[..self.lanes()].iter().all(|position| engine.dispatched >= *position);
        is_turn && (is_past || self.is(Broken::RegisteredBehindPosition))
    }

    /// A transaction that no gate keeps.
    fn is_open(&self, state: &State, lane: usize, item: Item) -> bool {
        let Item::Transaction { number, begun } = item else { return false };
        let changes = self.changes(state, number, begun, lane);
        let kept =
            |change: Change, table: usize| change.touches(table) && !(change.is_cascade() && self.is(Broken::CascadePassesGate));
        let mut gates = state.engine.chunks.iter().zip(&self.chunks).filter(|(chunk, _)| chunk.phase == Phase::Reached);
        !gates.any(|(_, (table, _))| changes.iter().any(|&change| kept(change, *table)))
    }

    /// Whether the table's rows hold the transaction: its snapshot does, or its chunks are registered behind the snapshots above.
    fn is_covered(&self, state: &State, table: usize, number: u8) -> bool {
        let by = |from: Option<u8>| from.is_some_and(|from| number < from);
        let in_chunks = !self.snapshots.contains(&table) && !self.is(Broken::ChangesBeforeSnapshotsAbove);
        by(state.valid_from[table]) || in_chunks && state.valid_from.into_iter().any(by)
    }

    /// A transaction's changes for a lane.
    fn changes(&self, state: &State, number: u8, begun: bool, lane: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        for &event in state.source.events(&self.workload, number) {
            match event {
                Event::RootInserted(_) => {}
                Event::RootDeleted(number) => changes.push(Change::OfRoot { number, to: None }),
                Event::RootMoved(number, to) => changes.push(Change::OfRoot { number, to: Some(to) }),
                Event::Row { table, key, before, after } => {
                    let is_turn = table == UPPER || begun || self.is(Broken::ChangesBeforeTheirTurn);
                    if is_turn && !self.is_covered(state, table, number) {
                        changes.push(Change::Row { table, key, before, after });
                    }
                    if table == UPPER && after == 0 {
                        changes.push(Change::OfUpper { number: key as u8 + 1 });
                    }
                }
            }
        }
        changes.retain(|change| match (change.is_cascade(), self.broken) {
            (true, Broken::NoCascades) => false,
            (false, Broken::LaneOfItsOwn) => lane == 1,
            _ => lane == 0,
        });
        changes
    }

    pub fn engine_step(&self, state: &mut State, step: Step) {
        match step {
            Step::Snapshot => self.go_on_with_snapshot(state),
            Step::Dispatch => self.dispatch(state),
            Step::Begin => state.engine.begun = true,
            Step::Register(place) => {
                let chunk = &mut state.engine.chunks[place];
                (chunk.phase, chunk.since) = (Phase::Registered, state.engine.dispatched);
            }
            Step::Select(place) => {
                let (table, keys) = self.chunks[place];
                let rows = state.source.rows(&self.workload, state.source.visible)[table];
                let chunk = &mut state.engine.chunks[place];
                chunk.phase = Phase::Selected;
                for key in (0..KEYS).filter(|key| keys & (1 << key) != 0) {
                    chunk.rows[key] = rows[key];
                }
            }
            Step::ReadEnd(place) => {
                let chunk = &mut state.engine.chunks[place];
                (chunk.phase, chunk.end) = (Phase::Ended, state.source.published());
            }
            Step::HandOver(place) => {
                let lane = usize::from(self.is(Broken::LaneOfItsOwn));
                let chunk = &mut state.engine.chunks[place];
                chunk.phase = Phase::Frozen;
                for key in (0..KEYS).filter(|key| chunk.dropped & (1 << key) != 0) {
                    chunk.rows[key] = 0;
                }
                state.engine.queues[lane].push(Item::Gate(place));
            }
            Step::Write(place) => self.write(state, place),
            Step::Apply(lane, count) => self.apply(state, lane, count),
            Step::Source(_) | Step::Crash(_) => {}
        }
        reach_gates(&mut state.engine);
    }

    fn dispatch(&self, state: &mut State) {
        let (number, begun) = (state.engine.dispatched, state.engine.begun);
        for &event in state.source.events(&self.workload, number) {
            let Event::Row { table, key, .. } = event else { continue };
            for (chunk, (own, _)) in state.engine.chunks.iter_mut().zip(&self.chunks) {
                if *own == table && (Phase::Registered..Phase::Frozen).contains(&chunk.phase) {
                    chunk.dropped |= 1 << key;
                }
            }
        }
        for lane in 0..self.lanes() {
            if number >= state.engine.from[lane] && !self.changes(state, number, begun, lane).is_empty() {
                state.engine.queues[lane].push(Item::Transaction { number, begun });
            }
        }
        state.engine.dispatched += 1;
    }

    /// The surviving rows with REPLACE, and the record that the chunk is done; or it is read again.
    fn write(&self, state: &mut State, place: usize) {
        let (table, _) = self.chunks[place];
        let chunk = std::mem::take(&mut state.engine.chunks[place]);
        for queue in &mut state.engine.queues {
            queue.retain(|item| *item != Item::Gate(place));
        }
        let mut rows = chunk.rows;
        if !self.is(Broken::NotCarriedOutOnChunks) {
            if is_uncertain(&chunk.steps) && !self.is(Broken::MadeValuesNotReadAgain) {
                return;
            }
            for step in &chunk.steps {
                carry_out(&mut rows, step);
            }
        }
        for key in (0..KEYS).filter(|&key| rows[key] != 0) {
            if let Some(other) = self.workload.collision(&state.rows[table], key, rows[key]) {
                state.collided = true;
                state.rows[table][other] = 0;
            }
            state.rows[table][key] = rows[key];
        }
        state.done |= 1 << place;
        state.engine.chunks[place].phase = Phase::Done;
    }

    /// A window: changes collapse, except across a cascade that has to do with them.
    fn apply(&self, state: &mut State, lane: usize, count: usize) {
        let window: Vec<Item> = state.engine.queues[lane].drain(..count).collect();
        let mut rows: Vec<Change> = Vec::new();
        let mut cascades: Vec<(u8, Change)> = Vec::new();
        let barrier = !self.is(Broken::NoBarrier);
        for item in window {
            let Item::Transaction { number, begun } = item else { continue };
            for change in self.changes(state, number, begun, lane) {
                let met = |table: usize| move |other: &Change| other.touches(table);
                match change {
                    Change::Row { table, .. } => {
                        if barrier && cascades.iter().any(|(_, cascade)| met(table)(cascade)) {
                            self.cascades(state, &mut cascades);
                        }
                        rows.push(change);
                    }
                    cascade => {
                        if barrier && rows.iter().any(|row| (0..TABLES).any(|table| cascade.touches(table) && met(table)(row))) {
                            self.net(state, &mut rows);
                        }
                        cascades.push((number, cascade));
                    }
                }
            }
            state.positions[lane] = number + 1;
        }
        self.net(state, &mut rows);
        self.cascades(state, &mut cascades);
    }

    /// Net changes: the last state of each key; deletes first, then upserts.
    fn net(&self, state: &mut State, changes: &mut Vec<Change>) {
        let mut last = [[None; KEYS]; TABLES];
        for change in changes.drain(..) {
            let Change::Row { table, key, before, after } = change else { continue };
            last[table][key] = Some(after);
            if after == 0 || self.workload.unique_value(before) != self.workload.unique_value(after) {
                state.rows[table][key] = 0;
            }
        }
        for (table, last) in last.iter().enumerate() {
            for (key, last) in last.iter().enumerate() {
                let Some(row) = *last else { continue };
                state.collided |= self.workload.collision(&state.rows[table], key, row).is_some();
                state.rows[table][key] = row;
            }
        }
    }

    fn cascades(&self, state: &mut State, cascades: &mut Vec<(u8, Change)>) {
        for (number, cascade) in cascades.drain(..) {
            let mut steps = Vec::new();
            match cascade {
                Change::OfRoot { number, to } => {
                    let to = if self.workload.sets_null { to.or(Some(source::NULL)) } else { to };
                    let of_root = Applied { table: UPPER, parents: 1 << number, to };
                    let gone = (0..KEYS).filter(|&key| to.is_none() && meets(state.rows[UPPER][key], &of_root));
                    let parents = gone.fold(0, |parents, key| parents | 1 << (key + 1));
                    steps.push(of_root);
                    if parents != 0 {
                        steps.push(Applied { table: LOWER, parents, to: None });
                    }
                }
                Change::OfUpper { number } => steps.push(Applied { table: LOWER, parents: 1 << number, to: None }),
                Change::Row { .. } => {}
            }
            for step in steps {
                // Everything further down is from behind the change, too.
                if self.is_covered(state, step.table, number) && !self.is(Broken::CarriedOutOnSnapshots) {
                    break;
                }
                self.step(state, number, step);
            }
        }
    }

    /// By the rows' parents; chunks that are on their way are told.
    fn step(&self, state: &mut State, number: u8, step: Applied) {
        let before = state.rows[step.table];
        carry_out(&mut state.rows[step.table], &step);
        let now = state.rows[step.table];
        for key in (0..KEYS).filter(|&key| now[key] != before[key]) {
            state.collided |= self.workload.collision(&now, key, now[key]).is_some();
        }
        for (chunk, (table, _)) in state.engine.chunks.iter_mut().zip(&self.chunks) {
            let is_later = number >= chunk.since;
            if *table == step.table && (Phase::Registered..Phase::Reached).contains(&chunk.phase) && is_later {
                chunk.steps.push(step);
            }
        }
    }
}

fn meets(row: u8, step: &Applied) -> bool {
    row != 0 && step.parents & (1 << parent(row)) != 0
}

fn carry_out(rows: &mut [u8; KEYS], step: &Applied) {
    for row in rows.iter_mut().filter(|row| meets(**row, step)) {
        *row = step.to.map_or(0, |to| moved(*row, to));
    }
}

/// A step makes a value that an earlier one looks for.
fn is_uncertain(steps: &[Applied]) -> bool {
    let made = |later: &Applied, earlier: &Applied| later.to.is_some_and(|to| earlier.parents & (1 << to) != 0);
    steps.iter().enumerate().any(|(place, later)| steps[..place].iter().any(|earlier| made(later, earlier)))
}

/// The lane has come to the gates that stand in front.
fn reach_gates(engine: &mut Engine) {
    for queue in &mut engine.queues {
        while let Some(Item::Gate(place)) = queue.first().copied() {
            engine.chunks[place].phase = Phase::Reached;
            queue.remove(0);
        }
    }
}
