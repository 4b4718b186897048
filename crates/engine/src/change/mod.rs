//! Changes of rows: what the log says, what foreign keys did, and what is left of a window of them.

pub(crate) mod cascade;

use std::collections::HashMap;

use self::cascade::Cascade;
use crate::plan::TablePlan;
use godwit_model::row::Row;

/// One row change of a migrated table.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// `TablePlan::id`.
    pub table: u32,
    pub kind: ChangeKind,
}

/// What happens to the row. Tables with a key are addressed by it; tables without one by the whole row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    /// The row with this key now is `row`.
    Upsert {
        key: Row,
        row: Row,
        /// The row gave up or took a value of a secondary unique index.
        unique_touched: bool,
        operation: Operation,
    },
    /// No row has this key.
    Delete {
        key: Row,
        /// Part of an UPDATE that changed the key; not counted as a deletion.
        moved: bool,
    },
    /// One more row like this.
    Insert { row: Row },
    /// One row like this less.
    Remove { row: Row },
    /// One row like `before` becomes `after`.
    Replace { before: Row, after: Row },
    /// What foreign keys did to the children of a row that was deleted, or whose referenced columns changed.
    Cascade(Box<Cascade>),
}

/// What the source did, for the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Insert,
    Update,
}

impl Change {
    /// Bytes held, about.
    pub(crate) fn size(&self) -> usize {
        64 + match &self.kind {
            ChangeKind::Upsert { key, row, .. } => key.size() + row.size(),
            ChangeKind::Delete { key, .. } => key.size(),
            ChangeKind::Insert { row } | ChangeKind::Remove { row } => row.size(),
            ChangeKind::Replace { before, after } => before.size() + after.size(),
            ChangeKind::Cascade(cascade) => 64 + cascade.before.size() + cascade.after.as_ref().map_or(0, Row::size),
        }
    }

    /// The key that the change is about; None for tables without one.
    pub(crate) fn key(&self) -> Option<&Row> {
        match &self.kind {
            ChangeKind::Upsert { key, .. } | ChangeKind::Delete { key, .. } => Some(key),
            _ => None,
        }
    }
}

/// The last state of one key within a window.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Net {
    /// None: the row is gone.
    pub row: Option<Row>,
    /// The row must be deleted before any row of the window is written, so that no write meets a unique value
    /// that another row of the window gives up.
    pub delete_first: bool,
}

/// The changes of one window to one table, collapsed to the last state per key.
#[derive(Debug, Default)]
pub(crate) struct NetChanges {
    by_key: HashMap<Row, Net>,
    /// Changes of a table without a key, in order.
    pub in_order: Vec<ChangeKind>,
}

impl NetChanges {
    /// Adds the next change of the table.
    pub(crate) fn add(&mut self, kind: ChangeKind) {
        match kind {
            ChangeKind::Upsert { key, row, unique_touched, .. } => match self.by_key.entry(key) {
                std::collections::hash_map::Entry::Occupied(mut entry) => {
                    let net = entry.get_mut();
                    net.delete_first |= unique_touched;
                    net.row = Some(row);
                }
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(Net { row: Some(row), delete_first: unique_touched });
                }
            },
            ChangeKind::Delete { key, .. } => {
                // A key that comes back may come back with other unique values.
                self.by_key.insert(key, Net { row: None, delete_first: true });
            }
            // It stands between windows, not in them.
            ChangeKind::Cascade(_) => {}
            keyless => self.in_order.push(keyless),
        }
    }

    /// The rows to write of a table with a key.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.by_key.values().filter_map(|net| net.row.as_ref())
    }

    /// Per key what its row is in the end; None: it is gone.
    pub(crate) fn into_last_states(self) -> impl Iterator<Item = (Row, Option<Row>)> {
        self.by_key.into_iter().map(|(key, net)| (key, net.row))
    }

    /// The keys to delete before anything is written, then the rows to write.
    pub(crate) fn split(self, table: &TablePlan) -> (Vec<Row>, Vec<Row>) {
        let mut deletes = Vec::new();
        let mut upserts = Vec::new();
        for (key, net) in self.by_key {
            match net.row {
                None => deletes.push(key),
                Some(row) => {
                    if net.delete_first && table.secondary_unique {
                        deletes.push(key);
                    }
                    upserts.push(row);
                }
            }
        }
        (deletes, upserts)
    }
}

/// Counts of what was applied, for the report.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
}

impl Counts {
    /// Counts one change.
    pub(crate) fn add(&mut self, kind: &ChangeKind) {
        match kind {
            ChangeKind::Upsert { operation: Operation::Insert, .. } | ChangeKind::Insert { .. } => self.inserts += 1,
            ChangeKind::Upsert { operation: Operation::Update, .. } | ChangeKind::Replace { .. } => self.updates += 1,
            ChangeKind::Delete { moved: false, .. } | ChangeKind::Remove { .. } => self.deletes += 1,
            ChangeKind::Delete { moved: true, .. } | ChangeKind::Cascade(_) => {}
        }
    }
}
