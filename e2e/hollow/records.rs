//! What the destinations remember of the tasks: by namespace and name, as the engine's own records do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// One task's record.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Time that engines have worked on the task, all runs together.
    pub worked: Duration,
    /// Engines that were started to run the task.
    pub runs: u32,
    /// Prechecks that were made.
    pub prechecks: u32,
    /// The task was stopped for good.
    pub fenced: bool,
    /// An engine that ran was asked to mark it as stopped.
    pub fenced_live: bool,
    /// Generations that engines have worked by, in their order, without repetitions.
    pub generations: Vec<i64>,
}

/// All records.
#[derive(Debug, Clone, Default)]
pub struct Records(Arc<Mutex<HashMap<String, Record>>>);

impl Records {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A copy of the record of `namespace/name`.
    pub fn get(&self, task: &str) -> Record {
        self.all().get(task).cloned().unwrap_or_default()
    }

    /// Copies of all.
    pub fn list(&self) -> Vec<Record> {
        self.all().values().cloned().collect()
    }

    /// Changes a record.
    pub fn change(&self, task: &str, change: impl FnOnce(&mut Record)) {
        change(self.all().entry(task.to_owned()).or_default());
    }
}
