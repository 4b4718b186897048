//! The tables of the full copy: one cell of counters each, so that writers never meet on a lock.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::plan::TablePlan;

/// What is being done with a table in the full copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TableState {
    Pending,
    Copying,
    Indexing,
    Done,
}

impl TableState {
    fn from_u8(state: u8) -> Self {
        match state {
            1 => Self::Copying,
            2 => Self::Indexing,
            3 => Self::Done,
            _ => Self::Pending,
        }
    }
}

impl From<TableState> for godwit_api::TableState {
    fn from(state: TableState) -> Self {
        match state {
            TableState::Pending => Self::Waiting,
            TableState::Copying => Self::Copying,
            TableState::Indexing => Self::Indexing,
            TableState::Done => Self::Done,
        }
    }
}

/// Counters of one table.
#[derive(Debug)]
pub(super) struct TableCell {
    pub id: u32,
    pub source: String,
    pub destination: String,
    pub estimated_rows: u64,
    pub estimated_bytes: u64,
    rows: AtomicU64,
    bytes: AtomicU64,
    state: AtomicU8,
}

/// A table at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSnapshot {
    pub id: u32,
    pub source: String,
    pub destination: String,
    pub estimated_rows: u64,
    pub estimated_bytes: u64,
    pub rows: u64,
    pub bytes: u64,
    pub state: TableState,
}

impl TableCell {
    /// A table that nothing was done with yet.
    pub(super) fn new(plan: &TablePlan) -> Self {
        let definition = &plan.definition;
        Self {
            id: plan.id,
            source: plan.source.to_string(),
            destination: plan.destination.to_string(),
            estimated_rows: definition.estimated_rows,
            estimated_bytes: definition.estimated_rows.saturating_mul(definition.average_row_bytes),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            state: AtomicU8::new(TableState::Pending as u8),
        }
    }

    /// Takes over the counters of the same table of an earlier plan.
    pub(super) fn inherit(&self, earlier: &Self) {
        self.resume(earlier.rows.load(Relaxed), earlier.bytes.load(Relaxed));
        self.state.store(earlier.state.load(Relaxed), Relaxed);
    }

    pub(super) fn add(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn resume(&self, rows: u64, bytes: u64) {
        self.rows.store(rows, Relaxed);
        self.bytes.store(bytes, Relaxed);
    }

    pub(super) fn set_state(&self, state: TableState) {
        self.state.store(state as u8, Relaxed);
    }

    pub(super) fn state(&self) -> TableState {
        TableState::from_u8(self.state.load(Relaxed))
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Work of the whole table, in bytes, at least one.
    pub(super) fn weight(&self) -> u64 {
        self.estimated_bytes.max(self.estimated_rows).max(1)
    }

    /// Work done. The estimate may be far off: only the state says that a table is finished.
    pub(super) fn work_done(&self) -> u64 {
        work_done(self.state(), self.rows(), self.estimated_rows, self.weight())
    }

    pub(super) fn snapshot(&self) -> TableSnapshot {
        TableSnapshot {
            id: self.id,
            source: self.source.clone(),
            destination: self.destination.clone(),
            estimated_rows: self.estimated_rows,
            estimated_bytes: self.estimated_bytes,
            rows: self.rows(),
            bytes: self.bytes.load(Relaxed),
            state: self.state(),
        }
    }
}

fn work_done(state: TableState, rows: u64, estimated_rows: u64, weight: u64) -> u64 {
    match state {
        TableState::Done => weight,
        TableState::Pending if rows == 0 => 0,
        _ => {
            let share = (rows as f64 / estimated_rows.max(1) as f64).min(0.99);
            (weight as f64 * share) as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_state_ends_a_table() {
        assert_eq!(work_done(TableState::Copying, 5_000, 1_000, 100_000), 99_000);
        assert_eq!(work_done(TableState::Copying, 500, 1_000, 100_000), 50_000);
        assert_eq!(work_done(TableState::Done, 500, 1_000, 100_000), 100_000);
        assert_eq!(work_done(TableState::Pending, 0, 0, 1), 0);
    }
}
