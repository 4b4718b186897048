//! The source: a root, a table whose rows hang on it, and one whose rows hang on that. The log holds what clients did, not what
//! the foreign keys did.

/// Rows of a table, at most.
pub const KEYS: usize = 2;
/// Tables that are copied: the upper one hangs on the root, the lower one on the upper one. No cascade reads the root, so
/// it is here only.
pub const TABLES: usize = 2;
pub const UPPER: usize = 0;
pub const LOWER: usize = 1;

/// What stands in a foreign key's column for NULL; otherwise it is the parent's number.
pub const NULL: u8 = 4;

/// A row: the foreign key, and above it a unique column. 0: no such row.
pub const fn row(parent: u8, unique: u8) -> u8 {
    parent | unique << 3
}

pub const fn parent(row: u8) -> u8 {
    row & 7
}

pub const fn unique(row: u8) -> u8 {
    row >> 3
}

/// The row with another parent.
pub const fn moved(old: u8, to: u8) -> u8 {
    row(to, unique(old))
}

/// By table and key. The row with key 0 has the number 1.
pub type Rows = [[u8; KEYS]; TABLES];

/// What the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    RootInserted(u8),
    RootDeleted(u8),
    RootMoved(u8, u8),
    Row { table: usize, key: usize, before: u8, after: u8 },
}

/// A row event, short to write.
pub const fn change(table: usize, key: usize, before: u8, after: u8) -> Event {
    Event::Row { table, key, before, after }
}

#[derive(Debug, Clone)]
pub struct Workload {
    /// The root's rows, a bit each.
    pub root: u8,
    pub initial: Rows,
    /// The transactions to choose from.
    pub menu: Vec<Vec<Event>>,
    /// Transactions a run has.
    pub length: usize,
    /// ON DELETE SET NULL instead of CASCADE, from the root to the upper table.
    pub sets_null: bool,
    pub unique: Unique,
}

/// What no two rows of a table may have the same value of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unique {
    Nothing,
    Column,
    /// The foreign key, which cascades change.
    Parent,
}

/// The server's state: transactions show later than they are published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Source {
    log: Vec<u8>,
    pub visible: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceStep {
    Publish(u8),
    Show,
}

impl Source {
    pub fn published(&self) -> u8 {
        self.log.len() as u8
    }

    pub fn events<'a>(&self, workload: &'a Workload, transaction: u8) -> &'a [Event] {
        &workload.menu[usize::from(self.log[usize::from(transaction)])]
    }

    /// The tables after so many transactions.
    pub fn rows(&self, workload: &Workload, transactions: u8) -> Rows {
        self.state(workload, transactions).1
    }

    fn state(&self, workload: &Workload, transactions: u8) -> (u8, Rows) {
        let mut state = (workload.root, workload.initial);
        for transaction in 0..transactions {
            for &event in self.events(workload, transaction) {
                state = workload.run(state, event).unwrap_or(state);
            }
        }
        state
    }

    pub fn is_exhausted(&self, workload: &Workload) -> bool {
        self.log.len() == workload.length && self.visible == self.published()
    }

    pub fn steps(&self, workload: &Workload) -> Vec<SourceStep> {
        let mut steps = Vec::new();
        if self.log.len() < workload.length {
            let now = self.state(workload, self.published());
            let runs = |events: &[Event]| events.iter().try_fold(now, |state, &event| workload.run(state, event)).is_some();
            let possible = workload.menu.iter().enumerate().filter(|(_, events)| runs(events));
            steps.extend(possible.map(|(choice, _)| SourceStep::Publish(choice as u8)));
        }
        if self.visible < self.published() {
            steps.push(SourceStep::Show);
        }
        steps
    }

    pub fn take(&mut self, step: SourceStep) {
        match step {
            SourceStep::Publish(choice) => self.log.push(choice),
            SourceStep::Show => self.visible += 1,
        }
    }
}

impl Workload {
    /// The value that is unique.
    pub fn unique_value(&self, row: u8) -> Option<u8> {
        match self.unique {
            Unique::Column if row != 0 => Some(unique(row)),
            Unique::Parent if row != 0 && parent(row) != NULL => Some(parent(row)),
            _ => None,
        }
    }

    /// Another row with the unique value of this one.
    pub fn collision(&self, rows: &[u8; KEYS], key: usize, row: u8) -> Option<usize> {
        let value = self.unique_value(row)?;
        (0..KEYS).find(|&other| other != key && self.unique_value(rows[other]) == Some(value))
    }

    /// An event and what foreign keys do behind it; None: the server refuses it.
    fn run(&self, (mut root, mut rows): (u8, Rows), event: Event) -> Option<(u8, Rows)> {
        let bit = |number: u8| 1 << number;
        match event {
            Event::RootInserted(number) if root & bit(number) == 0 => root |= bit(number),
            Event::RootDeleted(number) if root & bit(number) != 0 => {
                root &= !bit(number);
                for key in 0..KEYS {
                    if parent(rows[UPPER][key]) == number {
                        if self.sets_null {
                            rows[UPPER][key] = moved(rows[UPPER][key], NULL);
                        } else {
                            delete_upper(&mut rows, key);
                        }
                    }
                }
            }
            Event::RootMoved(from, to) if root & bit(from) != 0 && root & bit(to) == 0 => {
                root = root & !bit(from) | bit(to);
                for row in rows[UPPER].iter_mut().filter(|row| parent(**row) == from) {
                    *row = moved(*row, to);
                }
            }
            Event::Row { table, key, before, after } if rows[table][key] == before => {
                let there = |number: u8| match table {
                    UPPER => root & bit(number) != 0,
                    _ => rows[UPPER][usize::from(number) - 1] != 0,
                };
                if after != 0 && parent(after) != NULL && !there(parent(after)) {
                    return None;
                }
                if self.collision(&rows[table], key, after).is_some() {
                    return None;
                }
                if table == UPPER && after == 0 {
                    delete_upper(&mut rows, key);
                }
                rows[table][key] = after;
            }
            _ => return None,
        }
        Some((root, rows))
    }
}

fn delete_upper(rows: &mut Rows, key: usize) {
    rows[UPPER][key] = 0;
    for row in rows[LOWER].iter_mut().filter(|row| parent(**row) == key as u8 + 1) {
        *row = 0;
    }
}
