//! A table's rows from one snapshot, with its place in the log: J2 for a table that cascades reach.

use super::source::{Event, LOWER};
use super::*;

/// How far the snapshot at hand is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    #[default]
    Nothing,
    /// What was certainly visible before it was opened.
    Positioned(u8),
    Opened {
        from: u8,
        rows: [u8; KEYS],
    },
}

impl Family {
    /// The table whose snapshot comes next: what cascades come through before what they come to.
    pub fn next_snapshot(&self, state: &State) -> Option<usize> {
        let mut open = self.snapshots.iter().copied().filter(|&table| state.valid_from[table].is_none());
        if self.is(Broken::SnapshotOfChildrenFirst) { open.next_back() } else { open.next() }
    }

    /// Whether the transaction may change rows of the table, as far as one looks.
    fn is_touched(&self, state: &State, table: usize, transaction: u8) -> bool {
        let alone = if self.locks { Broken::ChildAloneIsLocked } else { Broken::ChildAloneIsQuiet };
        state.source.events(&self.workload, transaction).iter().any(|event| match *event {
            Event::Row { table: changed, .. } if changed == table => true,
            Event::Row { table: changed, after, .. } => !self.is(alone) && changed < table && after == 0,
            Event::RootDeleted(_) => !self.is(alone),
            Event::RootMoved(..) => !self.is(alone) && table != LOWER,
            Event::RootInserted(_) => false,
        })
    }

    /// A lock is granted when nothing of the locked tables is under way.
    pub fn may_go_on_with_snapshot(&self, state: &State) -> bool {
        let Some(table) = self.next_snapshot(state) else { return false };
        let mut under_way = state.source.visible..state.source.published();
        !self.locks || !under_way.any(|transaction| self.is_touched(state, table, transaction))
    }

    pub fn go_on_with_snapshot(&self, state: &mut State) {
        let Some(table) = self.next_snapshot(state) else { return };
        let rows = state.source.rows(&self.workload, state.source.visible)[table];
        if self.locks {
            let from = state.source.published();
            return record(state, table, from, rows);
        }
        match state.engine.snapshot {
            Phase::Nothing => state.engine.snapshot = Phase::Positioned(state.source.visible),
            Phase::Positioned(from) => state.engine.snapshot = Phase::Opened { from, rows },
            Phase::Opened { from, rows } => {
                state.engine.snapshot = Phase::Nothing;
                let mut between = from..state.source.published();
                if !between.any(|transaction| self.is_touched(state, table, transaction)) {
                    record(state, table, from, rows);
                }
            }
        }
    }
}

fn record(state: &mut State, table: usize, from: u8, rows: [u8; KEYS]) {
    state.rows[table] = rows;
    state.valid_from[table] = Some(from);
}
