//! The engine's steps: dispatch, chunks, lanes.

use super::*;
use crate::source::{covers, has, unique, up_to};

impl Keyed {
    pub fn engine_steps(&self, state: &State, engine: &Engine, steps: &mut Vec<EngineStep>) {
        if !engine.started {
            return;
        }
        let between = engine.routed == 0;
        if engine.next_transaction(&state.source).is_some() {
            steps.push(EngineStep::Dispatch);
        }
        for (place, chunk) in engine.chunks[..self.chunks.len()].iter().enumerate() {
            if state.overflows > 0 && chunk.dropped != 0 && !chunk.full {
                steps.push(EngineStep::Overflow(place));
            }
            match chunk.phase {
                Phase::Idle if between || self.is(Broken::RegisteredInsideTransaction) => {
                    steps.push(EngineStep::Register(place));
                }
                Phase::Registered if self.can_read(state, place, chunk) => steps.push(EngineStep::Select(place)),
                Phase::Selected => steps.push(EngineStep::ReadEnd(place)),
                Phase::Ended
                    if (between || self.is(Broken::HandedOverInsideTransaction)) && covers(engine.dispatched, chunk.end) =>
                {
                    steps.push(EngineStep::HandOver(place))
                }
                Phase::Frozen if self.is_drained(engine, place) => steps.push(EngineStep::BeginChunk(place)),
                Phase::Writing => steps.push(EngineStep::CommitChunk(place)),
                _ => {}
            }
        }
        for lane in 0..self.lanes() {
            if engine.flights[lane] > 0 {
                steps.push(EngineStep::CommitLane(lane));
                continue;
            }
            let empty = engine.queues[lane].is_empty() || self.is(Broken::AdvancedPastQueue);
            if self.idle_advance && empty && between && !covers(state.positions[lane], engine.dispatched) {
                steps.push(EngineStep::Advance(lane));
            }
            let queue = &engine.queues[lane];
            let whole = |place: usize| has(engine.dispatched, queue[place]) && !queue[place + 1..].contains(&queue[place]);
            let ready = (0..queue.len()).take_while(|&place| queue[place] < GATE && whole(place)).count() as u8;
            steps.extend((1..=ready).map(|count| EngineStep::BeginLane(lane, count)));
        }
    }

    fn can_read(&self, state: &State, place: usize, chunk: &Chunk) -> bool {
        if self.is(Broken::NoVisibilityWait) {
            return true;
        }
        if self.locking_read {
            return self.next_key(place, chunk).is_some_and(|key| !state.source.is_locked(&self.workload, key));
        }
        covers(state.source.executed(), chunk.since)
    }

    fn next_key(&self, place: usize, chunk: &Chunk) -> Option<usize> {
        (0..KEYS).find(|key| (self.chunks[place] & !chunk.read) & (1 << key) != 0)
    }

    /// Everything dispatched before the hand-over is committed, where rows can collide.
    fn is_drained(&self, engine: &Engine, place: usize) -> bool {
        !self.workload.unique
            || self.is(Broken::NoDrain)
            || (engine.flights[0] == 0
                && engine.queues[0].iter().find(|&&item| item < GATE || item == GATE | place as u8) >= Some(&GATE))
    }

    pub fn engine_step(&self, state: &mut State, who: usize, step: EngineStep) {
        let Some(mut engine) = state.engines[who].take() else { return };
        let fenced = match step {
            EngineStep::BeginChunk(_) | EngineStep::BeginLane(..) | EngineStep::Advance(_) => {
                engine.epoch != state.epoch && !self.is(Broken::NoEpochCheck)
            }
            _ => false,
        };
        if fenced {
            return;
        }
        match step {
            EngineStep::Dispatch => self.dispatch(state, &mut engine),
            EngineStep::Register(place) => {
                let chunk = &mut engine.chunks[place];
                chunk.phase = Phase::Registered;
                chunk.since = engine.dispatched;
                if self.is(Broken::EndBeforeSelect) {
                    chunk.end = state.source.published();
                }
            }
            EngineStep::Select(place) => self.select(state, &mut engine.chunks[place], place),
            EngineStep::ReadEnd(place) => {
                let chunk = &mut engine.chunks[place];
                chunk.phase = Phase::Ended;
                match self.broken {
                    Broken::EndBeforeSelect => {}
                    Broken::NoEnd => chunk.end = 0,
                    Broken::EndFromExecuted => chunk.end = state.source.executed(),
                    _ => chunk.end = state.source.published(),
                }
            }
            EngineStep::Overflow(place) => {
                state.overflows -= 1;
                let chunk = &mut engine.chunks[place];
                (chunk.full, chunk.dropped) = (true, 0);
            }
            EngineStep::HandOver(place) => {
                if engine.routed > 0
                    && let Some(transaction) = engine.next_transaction(&state.source)
                {
                    // Its first rows are in front of the gate, the others will be behind.
                    engine.queues[0].push(transaction);
                }
                self.hand_over(&mut engine, place);
            }
            EngineStep::BeginChunk(place) => {
                engine.chunks[place].phase = Phase::Writing;
                if self.is(Broken::DoneBeforeRows) {
                    state.done |= 1 << place;
                } else if !self.split {
                    self.commit_chunk(state, &mut engine, place);
                }
            }
            EngineStep::CommitChunk(place) => self.commit_chunk(state, &mut engine, place),
            EngineStep::BeginLane(lane, count) => {
                engine.flights[lane] = count;
                if self.is(Broken::PositionApart) {
                    self.apply_window(state, &engine, lane);
                } else if !self.split {
                    self.commit_lane(state, &mut engine, lane);
                }
            }
            EngineStep::CommitLane(lane) => self.commit_lane(state, &mut engine, lane),
            EngineStep::Advance(lane) => state.positions[lane] |= engine.dispatched,
        }
        state.engines[who] = Some(engine);
    }

    /// Dispatches one row event; the lanes get the transaction when it is complete.
    fn dispatch(&self, state: &State, engine: &mut Engine) {
        let Some(transaction) = engine.next_transaction(&state.source) else { return };
        let changes = state.source.changes(&self.workload, transaction);
        if let Some(event) = changes.get(usize::from(engine.routed)) {
            engine.routed += 1;
            let skipped = has(engine.from[self.lane(event.key)], transaction) && self.is(Broken::DropSetWithoutSkipped);
            let unseen = event.after == 0 && self.is(Broken::DropSetOfAfterImages);
            let first = if self.is(Broken::DropSetAfterSelect) { Phase::Selected } else { Phase::Registered };
            for chunk in &mut engine.chunks {
                if (first..Phase::Frozen).contains(&chunk.phase) && !skipped && !unseen && !chunk.full {
                    chunk.dropped |= 1 << event.key;
                }
            }
        }
        if usize::from(engine.routed) < changes.len() {
            return;
        }
        engine.routed = 0;
        engine.dispatched |= 1 << transaction;
        if is_rolled_back(changes) {
            // Its keys stand in drop sets, but no lane will write them.
            let spoiled = |chunk: &Chunk| (Phase::Registered..Phase::Frozen).contains(&chunk.phase);
            if !self.is(Broken::RolledBackKeptInDropSet) {
                engine.chunks.iter_mut().filter(|chunk| spoiled(chunk)).for_each(|chunk| *chunk = NEW_CHUNK);
            }
            return;
        }
        for lane in 0..self.lanes() {
            if !has(engine.from[lane], transaction) && changes.iter().any(|event| self.lane(event.key) == lane) {
                engine.queues[lane].push(transaction);
            }
        }
    }

    fn select(&self, state: &State, chunk: &mut Chunk, place: usize) {
        let rows = state.source.rows(&self.workload, state.source.visible());
        while let Some(key) = self.next_key(place, chunk) {
            chunk.rows[key] = rows[key];
            chunk.read |= 1 << key;
            if self.locking_read {
                break;
            }
        }
        if self.next_key(place, chunk).is_none() {
            chunk.phase = Phase::Selected;
            chunk.since = 0;
            chunk.read = 0;
        }
    }

    fn hand_over(&self, engine: &mut Engine, place: usize) {
        let chunk = &mut engine.chunks[place];
        if chunk.full && !self.is(Broken::WrittenWithoutRoom) {
            // It has written nothing and put no gate: as if it had never been registered.
            *chunk = NEW_CHUNK;
            return;
        }
        let mut rows = chunk.rows;
        for (key, row) in rows.iter_mut().enumerate() {
            if chunk.dropped & (1 << key) != 0 {
                *row = 0;
            }
        }
        *chunk = Chunk { phase: Phase::Frozen, rows, ..NEW_CHUNK };
        if !self.is(Broken::NoGate) {
            for queue in &mut engine.queues[..self.lanes()] {
                queue.push(GATE | place as u8);
            }
        }
    }

    /// The surviving rows with REPLACE, and the record that the chunk is done.
    fn commit_chunk(&self, state: &mut State, engine: &mut Engine, place: usize) {
        let rows = engine.chunks[place].rows;
        for key in (0..KEYS).filter(|&key| rows[key] != 0) {
            if let Some(other) = self.collision(&state.rows, key, rows[key]) {
                state.collided = true;
                state.rows[other] = 0;
            }
            state.rows[key] = rows[key];
        }
        state.done |= 1 << place;
        state.stale |= engine.epoch != state.epoch;
        engine.chunks[place] = Chunk { phase: Phase::Done, ..NEW_CHUNK };
        for queue in &mut engine.queues {
            queue.retain(|&item| item != GATE | place as u8);
        }
    }

    fn commit_lane(&self, state: &mut State, engine: &mut Engine, lane: usize) {
        if !self.is(Broken::PositionApart) {
            self.apply_window(state, engine, lane);
        }
        let window: Vec<u8> = engine.queues[lane].drain(..usize::from(engine.flights[lane])).collect();
        if let Some(&last) = window.last() {
            state.positions[lane] |= up_to(last);
        }
        state.stale |= engine.epoch != state.epoch;
        engine.flights[lane] = 0;
    }

    fn apply_window(&self, state: &mut State, engine: &Engine, lane: usize) {
        let window = &engine.queues[lane][..usize::from(engine.flights[lane])];
        let changes: Vec<Change> = window
            .iter()
            .flat_map(|&transaction| state.source.changes(&self.workload, transaction))
            .filter(|event| self.lane(event.key) == lane)
            .copied()
            .collect();
        let batch = if self.in_batches { 1 } else { changes.len() };
        for batch in changes.chunks(batch) {
            self.apply_net(state, batch);
        }
    }

    /// Net changes: the last state of each key; deletes first, then upserts.
    fn apply_net(&self, state: &mut State, changes: &[Change]) {
        let mut last: [Option<u8>; KEYS] = [None; KEYS];
        let mut moved = [false; KEYS];
        for event in changes {
            last[event.key] = Some(event.after);
            moved[event.key] |= unique(event.before) != unique(event.after);
        }
        let delete_first = self.workload.unique && !self.is(Broken::NoDeleteFirst);
        for (key, row) in state.rows.iter_mut().enumerate() {
            if last[key] == Some(0) || (moved[key] && delete_first) {
                *row = 0;
            }
        }
        for (key, last) in last.into_iter().enumerate() {
            let Some(value) = last.filter(|&value| value != 0) else { continue };
            state.collided |= self.collision(&state.rows, key, value).is_some();
            state.rows[key] = value;
        }
    }

    /// Another row with the same value in the second unique key.
    fn collision(&self, rows: &Rows, key: usize, value: u8) -> Option<usize> {
        let same = |&other: &usize| other != key && rows[other] != 0 && unique(rows[other]) == unique(value);
        if self.workload.unique { (0..KEYS).find(same) } else { None }
    }
}
