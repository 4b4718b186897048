//! XA transactions: their changes count once they are decided. Until then they are kept, as long as there is room; what
//! finds no room is read from the log once more when it is committed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::tables::Tables;
use super::{Assembler, Outcome};
use crate::binlog::TransactionStart;
use crate::change::Change;
use crate::replicate::dispatch::Began;
use crate::sizing::LogBudget;
use crate::source::visibility;
use godwit_model::error::{Error, Result};
use godwit_model::position::Position;

/// Stretches of a transaction that were rolled back to savepoints, one apart from the other.
const MOST_TAKEN_BACK: usize = 16_384;

/// Transactions that are prepared and not decided. Servers have room for fewer.
const MOST_UNDECIDED: usize = 65_536;

/// A transaction in the log: its name, its place, and what it can be told by when it is read again.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub start: TransactionStart,
    timestamp: u32,
    /// Place of its first event.
    pub file: String,
    pub offset: u64,
    /// Row events that were rolled back to a savepoint, by number.
    taken_back: Vec<Range<u64>>,
}

impl Group {
    pub(crate) fn new(start: TransactionStart, timestamp: u32, file: &str, offset: u64) -> Self {
        Self { start, timestamp, file: file.to_owned(), offset, taken_back: Vec::new() }
    }

    /// Seconds since 1970, by the source's clock.
    pub(super) fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// These row events were rolled back, to a savepoint in front of them.
    ///
    /// # Errors
    /// Definite where there are more stretches of them than can be kept.
    pub(super) fn take_back(&mut self, rows: Range<u64>) -> Result<()> {
        // What was rolled back behind that savepoint is a part of it.
        while self.taken_back.last().is_some_and(|last| last.end >= rows.start) {
            let last = self.taken_back.pop().unwrap_or_default();
            if last.start < rows.start {
                self.taken_back.push(last.start..rows.end);
                return Ok(());
            }
        }
        if self.taken_back.len() >= MOST_TAKEN_BACK {
            return Err(Error::definite(format!(
                "the XA transaction {} is rolled back to savepoints more than {MOST_TAKEN_BACK} times, which is more than is kept of one",
                self.start.id
            )));
        }
        if !rows.is_empty() {
            self.taken_back.push(rows);
        }
        Ok(())
    }

    pub(super) fn is_taken_back(&self, row: u64) -> bool {
        let behind = self.taken_back.partition_point(|range| range.start <= row);
        behind.checked_sub(1).and_then(|place| self.taken_back.get(place)).is_some_and(|range| range.contains(&row))
    }

    /// As the dispatcher knows it.
    pub(crate) fn began(&self) -> Began<'_> {
        Began { id: &self.start.id, file: &self.file, offset: self.offset }
    }

    /// Whether what has been taken up to `position` holds it.
    pub(crate) fn is_in(&self, position: &Position) -> bool {
        position.covers(&self.start.id, &self.file, self.offset + 1)
    }
}

/// A transaction that is prepared and not decided.
#[derive(Debug)]
pub(super) struct Prepared {
    /// None: they found no room.
    pub changes: Option<Vec<Change>>,
    /// Of the changes that are kept.
    pub bytes: usize,
    pub group: Group,
    /// In front of the transaction: where the log has to be read again after a restart.
    pub from: Arc<Position>,
    pub unreadable: Option<String>,
}

/// All transactions that are prepared and not decided.
#[derive(Debug)]
pub(super) struct Undecided {
    by_xid: HashMap<String, Prepared>,
    bytes: usize,
    /// Changes of prepared transactions and of the one at hand together are kept up to this.
    pub limit: usize,
}

impl Default for Undecided {
    fn default() -> Self {
        Self { by_xid: HashMap::new(), bytes: 0, limit: LogBudget::default().prepared_bytes }
    }
}

impl Undecided {
    pub(super) fn insert(&mut self, xid: &str, prepared: Prepared) -> Result<()> {
        self.remove(xid);
        if self.by_xid.len() >= MOST_UNDECIDED {
            return Err(Error::definite(format!(
                "more than {MOST_UNDECIDED} XA transactions are prepared on the source and not decided; commit or roll back those that \
                 XA RECOVER lists"
            )));
        }
        self.bytes += prepared.bytes;
        self.by_xid.insert(xid.to_owned(), prepared);
        Ok(())
    }

    pub(super) fn remove(&mut self, xid: &str) -> Option<Prepared> {
        let prepared = self.by_xid.remove(xid)?;
        self.bytes -= prepared.bytes;
        Some(prepared)
    }

    /// Makes room for the transaction at hand by letting go of larger ones. False: it is the largest, and has to go itself.
    pub(super) fn make_room(&mut self, at_hand: usize) -> bool {
        while self.bytes + at_hand > self.limit {
            let largest = self.by_xid.values_mut().max_by_key(|prepared| prepared.bytes);
            let Some(largest) = largest.filter(|prepared| prepared.bytes > at_hand) else { return false };
            self.bytes -= largest.bytes;
            largest.bytes = 0;
            largest.changes = None;
        }
        true
    }

    /// Where the first of them begins.
    pub(super) fn replay_from(&self) -> Option<Arc<Position>> {
        let positions: Vec<Position> = self.by_xid.values().map(|prepared| (*prepared.from).clone()).collect();
        visibility::earliest(&positions).map(Arc::new)
    }
}

/// The transaction at hand commits changes that were not kept: until it is over, events come from their place in the log.
pub(super) struct Again {
    group: Group,
    /// Behind the transaction that commits them.
    file: String,
    offset: u64,
    is_found: bool,
    pub is_over: bool,
    /// What the table ids mean where the log was left: here they are others.
    tables: Tables,
}

impl Again {
    /// A transaction begins where the log is read again: it must be the one.
    pub(super) fn begin(&mut self, found: &Group) -> Result<()> {
        let wanted = &self.group;
        let is_it = (&found.file, found.offset, found.timestamp) == (&wanted.file, wanted.offset, wanted.timestamp)
            && found.start == wanted.start;
        if !is_it || std::mem::replace(&mut self.is_found, true) {
            // The connection goes to another server than the one before. To begin anew finds out.
            return Err(Error::connection(format!(
                "the binary log holds transaction {} at {}:{} when it is read again, where {} began, and ended, at {}:{} before",
                found.start.id, found.file, found.offset, wanted.start.id, wanted.file, wanted.offset
            )));
        }
        Ok(())
    }

    /// Whether the row event was rolled back to a savepoint.
    pub(super) fn is_taken_back(&self, number: u64) -> bool {
        self.group.is_taken_back(number)
    }
}

impl Assembler {
    /// Where prepared, undecided transactions begin.
    pub(crate) fn replay_from(&self) -> Option<Arc<Position>> {
        self.undecided.replay_from()
    }

    /// XA_PREPARE event: the changes wait for the decision.
    pub(crate) fn xa_prepare(&mut self, xid: &str, one_phase: bool, file: &str, offset: u64) -> Result<Outcome> {
        if one_phase || self.again.is_some() {
            return self.end(file, offset, false);
        }
        let from = Arc::new(self.position.clone());
        let open = self.transaction()?;
        let changes = std::mem::take(&mut open.changes);
        let in_log = std::mem::take(&mut open.in_log);
        let prepared = Prepared {
            changes: (!in_log).then_some(changes),
            bytes: open.bytes,
            group: (*open.group).clone(),
            from,
            unreadable: open.unreadable.take(),
        };
        self.undecided.insert(xid, prepared)?;
        self.end(file, offset, false)
    }

    /// XA COMMIT of what was prepared.
    pub(super) fn xa_commit(&mut self, xid: &str, file: &str, offset: u64) -> Result<Outcome> {
        let prepared = self.undecided.remove(xid);
        if prepared.is_none() && self.is_below_floor() {
            return self.end(file, offset, false);
        }
        let prepared = prepared.ok_or_else(|| {
            Error::definite(format!(
                "XA COMMIT {xid}: the transaction was prepared before the task began to read the log, so its changes are not known; \
                 the tables must be copied again, at a time when XA RECOVER lists nothing on the source"
            ))
        })?;
        if let Some(why) = prepared.unreadable
            && !self.is_below_floor()
        {
            return Err(Error::definite(format!("XA COMMIT {xid}: what it prepared cannot be applied: {why}")));
        }
        match prepared.changes {
            None if !self.is_below_floor() => self.begin_again(prepared.group, file, offset),
            changes => {
                let open = self.transaction()?;
                open.changes = changes.unwrap_or_default();
                open.xa = Some(xid.to_owned());
                self.end(file, offset, false)
            }
        }
    }

    /// What the transaction at hand commits was not kept: `group` is to be read again, until [`Assembler::has_read_again`].
    pub(super) fn begin_again(&mut self, group: Group, file: &str, offset: u64) -> Result<Outcome> {
        let open = self.transaction()?;
        // It commits them: from here on they are handed on like those of any large transaction.
        open.xa = None;
        open.in_log = false;
        open.rows = 0;
        open.savepoints.clear();
        self.again = Some(Again {
            group: group.clone(),
            file: file.to_owned(),
            offset,
            is_found: false,
            is_over: false,
            tables: std::mem::take(&mut self.tables),
        });
        Ok(Outcome::Again(Box::new(group)))
    }

    /// Whether everything was read again that had to be.
    pub(crate) fn has_read_again(&self) -> bool {
        self.again.as_ref().is_some_and(|again| again.is_found && again.is_over)
    }

    /// Goes on where the log was left, with the end of the transaction that commits what was read again.
    ///
    /// # Errors
    /// None that reading can lead to.
    pub(crate) fn end_again(&mut self) -> Result<Outcome> {
        let again = self.again.take().ok_or_else(|| Error::definite("nothing is read again; this is a bug"))?;
        self.tables = again.tables;
        self.end(&again.file, again.offset, false)
    }
}
