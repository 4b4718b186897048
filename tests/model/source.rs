//! The source server: transactions are published in the log, then become visible to a SELECT, then appear in
//! `gtid_executed`.

/// Rows of the table, at most.
pub const KEYS: usize = 3;
/// Transactions in the log, at most.
pub const LOG: usize = 4;

/// Value of every row, by key; 0: no such row.
pub type Rows = [u8; KEYS];

/// A set of transactions: one bit each, by place in the log. This is what a GTID set is, holes included.
pub type Set = u8;

/// One row event with both images; 0: no row. For a table without a key, `key` is the source's own hidden row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Change {
    pub key: usize,
    pub before: u8,
    pub after: u8,
}

/// A change, short to write.
pub const fn change(key: usize, before: u8, after: u8) -> Change {
    Change { key, before, after }
}

/// What clients of the source may do.
#[derive(Debug, Clone)]
pub struct Workload {
    pub initial: Rows,
    /// The transactions to choose from. One without changes is a transaction on another table.
    pub menu: Vec<Vec<Change>>,
    /// Transactions a run has.
    pub length: usize,
    /// Visible and listed in `gtid_executed` are two moments; otherwise one.
    pub lag: bool,
    /// Transactions may become visible in another order than the log's (`binlog_order_commits=OFF`).
    pub unordered: bool,
    /// Values collide on a second unique key, see [`unique`].
    pub unique: bool,
}

/// The unique column inside a value; the bit above it is another column.
pub const fn unique(value: u8) -> u8 {
    value & 3
}

/// The server's state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    log: [u8; LOG],
    length: u8,
    visible: Set,
    executed: Set,
}

/// A step of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceStep {
    /// A client's transaction gets into the log.
    Publish(u8),
    /// The engine commit: a SELECT sees it and its row locks are gone.
    Show(u8),
    /// `gtid_executed` lists it.
    List(u8),
}

impl Source {
    pub fn new() -> Self {
        Self { log: [0; LOG], length: 0, visible: 0, executed: 0 }
    }

    /// Everything in the log.
    pub fn published(&self) -> Set {
        (1 << self.length) - 1
    }

    /// Everything a SELECT sees.
    pub fn visible(&self) -> Set {
        self.visible
    }

    /// `gtid_executed`.
    pub fn executed(&self) -> Set {
        self.executed
    }

    /// The row events of a transaction.
    pub fn changes<'a>(&self, workload: &'a Workload, transaction: u8) -> &'a [Change] {
        &workload.menu[usize::from(self.log[usize::from(transaction)])]
    }

    /// The table after a set of transactions.
    pub fn rows(&self, workload: &Workload, set: Set) -> Rows {
        let mut rows = workload.initial;
        for transaction in 0..self.length {
            if has(set, transaction) {
                for change in self.changes(workload, transaction) {
                    rows[change.key] = change.after;
                }
            }
        }
        rows
    }

    /// Whether a transaction that is published but not yet visible holds a lock on the row.
    pub fn is_locked(&self, workload: &Workload, key: usize) -> bool {
        (0..self.length)
            .filter(|&transaction| !has(self.visible, transaction))
            .any(|transaction| self.changes(workload, transaction).iter().any(|change| change.key == key))
    }

    /// Nothing will ever happen here again.
    pub fn is_exhausted(&self, workload: &Workload) -> bool {
        usize::from(self.length) == workload.length && self.executed == self.published()
    }

    /// What can happen next.
    pub fn steps(&self, workload: &Workload) -> Vec<SourceStep> {
        let mut steps = Vec::new();
        if usize::from(self.length) < workload.length {
            let rows = self.rows(workload, self.published());
            for (choice, changes) in workload.menu.iter().enumerate() {
                if self.can_run(workload, rows, changes) {
                    steps.push(SourceStep::Publish(choice as u8));
                }
            }
        }
        for transaction in 0..self.length {
            if !has(self.visible, transaction) {
                steps.push(SourceStep::Show(transaction));
                if !workload.unordered {
                    break;
                }
            }
        }
        for transaction in 0..self.length {
            if has(self.visible, transaction) && !has(self.executed, transaction) {
                steps.push(SourceStep::List(transaction));
                if !workload.unordered {
                    break;
                }
            }
        }
        steps
    }

    /// The before images fit, and no lock of a transaction that is not yet visible is in the way.
    fn can_run(&self, workload: &Workload, mut rows: Rows, changes: &[Change]) -> bool {
        for change in changes {
            let taken = workload.unique
                && change.after != 0
                && (0..KEYS).any(|key| key != change.key && rows[key] != 0 && unique(rows[key]) == unique(change.after));
            if rows[change.key] != change.before || taken || self.is_locked(workload, change.key) {
                return false;
            }
            rows[change.key] = change.after;
        }
        let held = |value: u8| {
            (0..self.length).filter(|&transaction| !has(self.visible, transaction)).any(|transaction| {
                self.changes(workload, transaction)
                    .iter()
                    .any(|change| [change.before, change.after].iter().any(|&image| image != 0 && unique(image) == unique(value)))
            })
        };
        !workload.unique || !changes.iter().any(|change| change.after != 0 && held(change.after))
    }

    /// Takes a step.
    pub fn take(&mut self, workload: &Workload, step: SourceStep) {
        match step {
            SourceStep::Publish(choice) => {
                self.log[usize::from(self.length)] = choice;
                self.length += 1;
            }
            SourceStep::Show(transaction) => {
                self.visible |= 1 << transaction;
                if !workload.lag {
                    self.executed |= 1 << transaction;
                }
            }
            SourceStep::List(transaction) => self.executed |= 1 << transaction,
        }
    }
}

/// Whether a set holds a transaction.
pub const fn has(set: Set, transaction: u8) -> bool {
    set & (1 << transaction) != 0
}

/// Whether a set holds all of another.
pub const fn covers(set: Set, part: Set) -> bool {
    part & !set == 0
}

/// Everything in the log up to and with a transaction.
pub const fn up_to(transaction: u8) -> Set {
    (2 << transaction) - 1
}
