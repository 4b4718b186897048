//! A destination for tests: tables in memory, with either kind of commit. It can be killed after any number of steps, and rules of the contract can be
//! broken on purpose, so that a test shows that it would notice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Capabilities, ChunkSink, Commit, Destination, Done, Existing, LaneWriter, Mark, Records, Step};
use crate::change::cascade::Applied;
use crate::checkpoint::{Claim, LANES, NewTask, Saved, SavedChunk, SavedTable, Stage, TableStage};
use crate::plan::{Plan, TablePlan};
use godwit_model::definition::TableDefinition;
use godwit_model::error::{Error, Result};
use godwit_model::position::Position;
use godwit_model::row::Row;

/// A rule of the contract that this destination breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    Nothing,
    /// The position is recorded before the rows that it stands for.
    MarkBeforeRows,
    /// A chunk is recorded before its rows.
    DoneBeforeRows,
    /// What an engine sends that has lost its claim is taken.
    NoFence,
    /// A row of a chunk is accepted only some time after the call has returned.
    AcceptedLater,
}

/// The destination; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    plan: Arc<Plan>,
    commit: Commit,
    broken: Broken,
    store: Arc<Mutex<Store>>,
}

#[derive(Debug)]
struct Store {
    /// Steps until the engine that holds the claim is killed.
    fuel: u64,
    saved: Option<Saved>,
    chunks: Vec<(String, SavedChunk)>,
    rows: BTreeMap<u32, BTreeMap<Vec<u8>, Row>>,
    /// Rows that were not accepted when they should have been.
    late: Vec<(u32, Vec<u8>, Row)>,
}

/// One change of the store, accepted at once.
enum Write {
    Put(u32, Vec<u8>, Row, Existing),
    Delete(u32, Vec<u8>),
    Mark(u32, Position, Option<Position>),
    Done(String, SavedChunk),
    Clear(u32),
}

impl Memory {
    pub(crate) fn new(plan: Arc<Plan>, commit: Commit, broken: Broken) -> Self {
        let store = Store { fuel: u64::MAX, saved: None, chunks: Vec::new(), rows: BTreeMap::new(), late: Vec::new() };
        Self { plan, commit, broken, store: Arc::new(Mutex::new(store)) }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    /// The engine is killed after so many further steps.
    pub(crate) fn kill_after(&self, steps: u64) {
        self.store().fuel = steps;
    }

    /// All rows of a table, in the order of their keys.
    pub(crate) fn rows(&self, table: u32) -> Vec<Row> {
        self.store().rows.get(&table).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Whether all chunks of the table were recorded as copied.
    pub(crate) fn is_copied(&self, table: &str) -> bool {
        let store = self.store();
        store
            .saved
            .iter()
            .flat_map(|saved| &saved.tables)
            .any(|one| one.definition.table == table && one.stage == TableStage::Copied)
    }

    /// One step at the destination: all of the writes, or none of them.
    fn step(&self, claim: Claim, writes: Vec<Write>) -> Result<()> {
        let mut store = self.store();
        let holds = store.saved.as_ref().is_some_and(|saved| saved.epoch == claim.epoch);
        if !holds && self.broken != Broken::NoFence {
            return Err(Error::fenced("another engine has the task"));
        }
        if holds {
            store.fuel = store.fuel.checked_sub(1).ok_or_else(|| Error::transient("killed"))?;
        }
        writes.into_iter().for_each(|write| store.accept(write));
        Ok(())
    }

    fn saved_mut<T>(&self, claim: Claim, change: impl FnOnce(&mut Saved) -> T) -> Result<T> {
        self.step(claim, Vec::new())?;
        self.store().saved.as_mut().map(change).ok_or_else(|| Error::definite("no such task"))
    }
}

impl Store {
    fn accept(&mut self, write: Write) {
        match write {
            Write::Put(table, key, row, existing) => {
                let rows = self.rows.entry(table).or_default();
                if existing == Existing::Replaced || !rows.contains_key(&key) {
                    rows.insert(key, row);
                }
            }
            Write::Delete(table, key) => drop(self.rows.entry(table).or_default().remove(&key)),
            Write::Mark(lane, position, replay_from) => {
                if let Some(saved) = &mut self.saved {
                    saved.lanes[lane as usize] = (position, replay_from);
                }
            }
            Write::Done(table, chunk) => self.chunks.push((table, chunk)),
            Write::Clear(table) => drop(self.rows.remove(&table)),
        }
    }
}

impl Destination for Memory {
    fn capabilities(&self) -> Capabilities {
        Capabilities { commit: self.commit, zombie: Duration::ZERO, keyless: false, cascades: false }
    }

    fn lane(&self, claim: Claim, lane: u32) -> BoxFuture<'_, Result<Box<dyn LaneWriter>>> {
        let writer = MemoryLane { memory: self.clone(), claim, lane, parts: Vec::new(), open: false };
        Box::pin(async move { Ok(Box::new(writer) as Box<dyn LaneWriter>) })
    }

    fn chunks(&self, claim: Claim, _: u32) -> BoxFuture<'_, Result<Box<dyn ChunkSink>>> {
        let sink = MemorySink { memory: self.clone(), claim };
        Box::pin(async move { Ok(Box::new(sink) as Box<dyn ChunkSink>) })
    }
}

struct MemoryLane {
    memory: Memory,
    claim: Claim,
    lane: u32,
    /// What waits for the mark of its transaction ([`Commit::Atomic`]).
    parts: Vec<Write>,
    open: bool,
}

impl MemoryLane {
    fn writes(&self, window: Vec<Step>) -> Vec<Write> {
        let mut writes = Vec::new();
        for step in window {
            let Step::Changes(tables) = step else { panic!("refused by its capabilities") };
            for (id, changes) in tables {
                let table = &self.memory.plan.tables[id as usize];
                assert!(changes.in_order.is_empty(), "refused by its capabilities");
                let (deletes, rows) = changes.split(table);
                writes.extend(deletes.into_iter().map(|key| Write::Delete(id, key.as_bytes().to_vec())));
                let put = |row: Row| Write::Put(id, row.project(&table.key).as_bytes().to_vec(), row, Existing::Replaced);
                writes.extend(rows.into_iter().map(put));
            }
        }
        writes
    }
}

impl LaneWriter for MemoryLane {
    fn apply<'a>(&'a mut self, window: Vec<Step>, mark: Option<Mark<'a>>) -> BoxFuture<'a, Result<Vec<Arc<Applied>>>> {
        Box::pin(async move {
            let writes = self.writes(window);
            let mark = mark.map(|mark| Write::Mark(self.lane, mark.position.clone(), mark.replay_from.cloned()));
            self.open = mark.is_none();
            tokio::task::yield_now().await;
            if self.memory.commit == Commit::Atomic && self.memory.broken != Broken::MarkBeforeRows {
                self.parts.extend(writes);
                if let Some(mark) = mark {
                    self.parts.push(mark);
                    self.memory.step(self.claim, std::mem::take(&mut self.parts))?;
                }
                return Ok(Vec::new());
            }
            let mut steps = writes;
            match self.memory.broken {
                Broken::MarkBeforeRows => steps.splice(0..0, mark).for_each(drop),
                _ => steps.extend(mark),
            }
            for write in steps {
                self.memory.step(self.claim, vec![write])?;
                tokio::task::yield_now().await;
            }
            Ok(Vec::new())
        })
    }

    fn rollback(&mut self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            self.parts.clear();
            self.open = false;
            Ok(self.memory.commit == Commit::Atomic)
        })
    }

    fn is_open(&self) -> bool {
        self.open
    }
}

struct MemorySink {
    memory: Memory,
    claim: Claim,
}

impl ChunkSink for MemorySink {
    fn write<'a>(
        &'a mut self,
        table: &'a Arc<TablePlan>,
        rows: &'a Arc<Vec<Row>>,
        existing: Existing,
        done: Option<Done<'a>>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let key = |row: &Row| row.project(&table.key).as_bytes().to_vec();
            let mut steps: Vec<Write> = rows.iter().map(|row| Write::Put(table.id, key(row), row.clone(), existing)).collect();
            let done = match done {
                Some(Done::Chunk(chunk)) => Some(Write::Done(table.definition.table.clone(), chunk.clone())),
                Some(Done::Snapshot { .. }) => panic!("no table without a key comes here"),
                None => None,
            };
            if self.memory.broken == Broken::AcceptedLater {
                let late = rows.iter().map(|row| (table.id, key(row), row.clone()));
                self.memory.store().late.extend(late);
                let (memory, claim) = (self.memory.clone(), self.claim);
                tokio::spawn(async move {
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    let late = std::mem::take(&mut memory.store().late);
                    let puts = late.into_iter().map(|(id, key, row)| Write::Put(id, key, row, existing));
                    let _ = memory.step(claim, puts.collect());
                });
                steps.clear();
            }
            match self.memory.broken {
                Broken::DoneBeforeRows => steps.splice(0..0, done).for_each(drop),
                _ => steps.extend(done),
            }
            tokio::task::yield_now().await;
            if self.memory.commit == Commit::Atomic && self.memory.broken != Broken::DoneBeforeRows {
                return self.memory.step(self.claim, steps);
            }
            for write in steps {
                self.memory.step(self.claim, vec![write])?;
                tokio::task::yield_now().await;
            }
            Ok(())
        })
    }

    fn is_empty<'a>(&'a mut self, table: &'a TablePlan) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { Ok(self.memory.rows(table.id).is_empty()) })
    }

    fn empty<'a>(&'a mut self, table: &'a Arc<TablePlan>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.memory.step(self.claim, vec![Write::Clear(table.id)]) })
    }
}

impl Records for Memory {
    fn task(&self) -> &str {
        "tests/memory"
    }

    fn place(&self) -> &str {
        "memory"
    }

    fn prepare(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn create<'a>(&'a self, task: NewTask<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let start = task.start.map(|(position, replay_from)| (position.clone(), Some(replay_from.clone())));
            let table = |definition: &&TableDefinition| SavedTable {
                definition: (*definition).clone(),
                stage: TableStage::Planned,
                rows: 0,
                bytes: 0,
                valid_from: None,
            };
            self.store().saved = Some(Saved {
                change: None,
                epoch: 0,
                stage: Stage::Starting,
                fingerprint: task.fingerprint.to_vec(),
                source_uuid: task.source_identity.to_owned(),
                start: task.start.map(|(position, _)| position.clone()),
                lanes: start.map(|start| vec![start; LANES as usize]).unwrap_or_default(),
                tables: task.definitions.iter().map(table).collect(),
            });
            Ok(())
        })
    }

    fn load(&self) -> BoxFuture<'_, Result<Option<Saved>>> {
        Box::pin(async { Ok(self.store().saved.clone()) })
    }

    fn claim(&self, _: u32) -> BoxFuture<'_, Result<Claim>> {
        Box::pin(async {
            let mut store = self.store();
            let saved = store.saved.as_mut().ok_or_else(|| Error::definite("no such task"))?;
            saved.epoch += 1;
            Ok(Claim { epoch: saved.epoch })
        })
    }

    fn check(&self, claim: Claim) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.step(claim, Vec::new()) })
    }

    fn set_stage(&self, claim: Claim, stage: Stage) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.saved_mut(claim, |saved| saved.stage = stage) })
    }

    fn set_table_stage<'a>(
        &'a self,
        claim: Claim,
        definition: &'a TableDefinition,
        stage: TableStage,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.saved_mut(claim, |saved| {
                let of_table = saved.tables.iter_mut().filter(|one| one.definition.table == definition.table);
                of_table.for_each(|one| one.stage = stage);
            })
        })
    }

    fn copied_chunks<'a>(&'a self, definition: &'a TableDefinition) -> BoxFuture<'a, Result<Vec<SavedChunk>>> {
        Box::pin(async {
            let store = self.store();
            Ok(store.chunks.iter().filter(|(table, _)| *table == definition.table).map(|(_, chunk)| chunk.clone()).collect())
        })
    }

    fn finish_copy<'a>(&'a self, claim: Claim, definition: &'a TableDefinition, _: u64, _: u64) -> BoxFuture<'a, Result<()>> {
        self.set_table_stage(claim, definition, TableStage::Copied)
    }

    fn applied(&self) -> BoxFuture<'_, Result<Vec<Position>>> {
        Box::pin(async {
            let store = self.store();
            Ok(store.saved.iter().flat_map(|saved| &saved.lanes).map(|(position, _)| position.clone()).collect())
        })
    }

    fn rename_source(&self, _: &str, now: &str) -> String {
        now.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::cascade::Cascades;
    use crate::fixture::{column, definition, plan_of, table_plan};
    use godwit_model::definition::Kind;

    #[test]
    fn what_a_destination_cannot_do_is_refused_by_the_tables_name() {
        let memory = |commit| Memory::new(Arc::new(plan_of(table_plan(table("InnoDB")))), commit, Broken::Nothing);
        let behind = memory(Commit::Behind).capabilities();
        let refused = |capabilities: Capabilities, table: TablePlan| {
            capabilities.refuses(&plan_of(table), &Cascades::none()).unwrap_or_default()
        };
        assert_eq!(refused(behind, table_plan(table("InnoDB"))), "");
        let stays = refused(behind, table_plan(table("MyISAM")));
        assert!(stays.starts_with("d.t: rows of engine MyISAM stay"), "{stays}");
        assert_eq!(refused(memory(Commit::Atomic).capabilities(), table_plan(table("MyISAM"))), "");
        let keyless =
            refused(behind, TablePlan { key: vec![], key_index: None, range_columns: 0, ..table_plan(table("InnoDB")) });
        assert!(keyless.starts_with("d.t: the destination tells rows apart by their keys only"), "{keyless}");
    }

    fn table(engine: &str) -> TableDefinition {
        TableDefinition { engine: engine.into(), ..definition("d", "t", vec![column("id", Kind::VarBinary)]) }
    }
}
