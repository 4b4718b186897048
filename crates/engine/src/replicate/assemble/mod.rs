//! From events to transactions of changes.
//!
//! Knows what begins and ends a transaction in both families, prepared XA transactions, savepoints, rollbacks of
//! statements on non-transactional tables, and which statements a task must not pass by. One instance serves one
//! stream; after a restart a new one begins at the beginning of a transaction.

mod followed;
mod savepoint;
mod tables;
#[cfg(test)]
mod tests;
mod xa;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use followed::Followed;
use savepoint::{Savepoint, same_savepoint};
use tables::{Meaning, Tables};
use xa::{Again, Undecided};

pub(crate) use xa::Group;

use super::definition::Defined;
use super::dispatch::End;
use super::guard::{Doubt, Guard, Logged, Passage};
use crate::binlog::{Query, RowsEvent, RowsKind, TableMap, TransactionStart};
use crate::change::cascade::Cascades;
use crate::change::{Change, ChangeKind};
use crate::heartbeat::Listener;
use crate::logged::{Ddl, Statement, classify};
use crate::plan::Plan;
use crate::sizing::LogBudget;
use crate::sql::lexer::LexMode;
use godwit_model::error::{Error, Result};
use godwit_model::position::{LastEvent, Position};
use godwit_model::text::without_values;

/// A position takes no more bytes: each lane records one with what it commits. A set that servers make has some intervals for each server
/// that ever wrote; one that goes on growing comes from a log that names a new server each time.
const MOST_POSITION_BYTES: usize = 4 << 20;

/// What an event led to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing to hand on yet.
    Open,
    /// The transaction is complete, and every lane has it.
    Skipped,
    /// So many changes that they are handed on before the transaction's end.
    Part(Vec<Change>),
    /// The transaction is complete.
    End { changes: Vec<Change>, end: End, aborted: bool, group: Box<Group> },
    /// The transaction at hand commits changes that were not kept: they have to be read again, from this place on.
    Again(Box<Group>),
    /// A definition statement, which nothing may overtake.
    Define(Box<Defined>),
}

/// The transaction at hand.
pub(crate) struct Open {
    pub group: Box<Group>,
    committed_at: Option<SystemTime>,
    /// BEGIN, or MariaDB's GTID event in its place, was there: a statement does not end it.
    begun: bool,
    xa: Option<String>,
    changes: Vec<Change>,
    bytes: usize,
    /// Parts of it were handed on.
    parted: bool,
    /// Its changes found no room to be kept until they are decided.
    in_log: bool,
    /// Row events so far.
    rows: u64,
    savepoints: Vec<Savepoint>,
    /// Non-transactional tables that it has changed: a rollback takes nothing back there.
    lasting: Vec<u32>,
    /// Rows of it could not be read, and why.
    unreadable: Option<String>,
}

/// See the module's page.
pub(crate) struct Assembler {
    plan: Arc<Plan>,
    by_name: HashMap<(String, String), u32>,
    guard: Guard,
    cascades: Arc<Cascades>,
    position: Position,
    open: Option<Open>,
    tables: Tables,
    undecided: Undecided,
    again: Option<Again>,
    /// Per table, up to which places its rows hold the log already.
    covered: HashMap<u32, Vec<Position>>,
    /// What every lane has applied, or held from its beginning: read again only for XA transactions prepared there.
    floor: Position,
    /// A transaction with more bytes is handed on in parts.
    part_bytes: usize,
    /// Microseconds to add to the source's clock.
    clock_offset: i64,
    /// Hears the heartbeat on the source.
    heartbeat: Option<Listener>,
    /// The event at hand, if it stands in a file.
    last: Option<LastEvent>,
    /// A statement that may only be passed by when the source proves it harmless.
    doubt: Option<Doubt>,
    doubt_place: String,
}

impl Assembler {
    /// `position`: from where the log is read; `floor`: what every lane has; `valid_from`: per table, what its rows hold already.
    pub(crate) fn new(
        plan: Arc<Plan>,
        guard: Guard,
        cascades: Arc<Cascades>,
        position: Position,
        floor: Position,
        valid_from: HashMap<u32, Position>,
        clock_offset: i64,
    ) -> Self {
        let by_name = plan.tables.iter().map(|t| ((t.source.database.clone(), t.source.table.clone()), t.id)).collect();
        let covered = cascades.covered(&plan.tables, &valid_from);
        Self {
            plan,
            by_name,
            guard,
            cascades,
            position,
            open: None,
            tables: Tables::default(),
            undecided: Undecided::default(),
            again: None,
            covered,
            floor,
            part_bytes: LogBudget::default().part_bytes,
            clock_offset,
            heartbeat: None,
            last: None,
            doubt: None,
            doubt_place: String::new(),
        }
    }

    /// Tells the heartbeat's row to `listener`.
    #[must_use]
    pub(crate) fn with_heartbeat(self, listener: Option<Listener>) -> Self {
        Self { heartbeat: listener, ..self }
    }

    /// Holds no more than this.
    #[must_use]
    pub(crate) fn within(mut self, limits: LogBudget) -> Self {
        self.part_bytes = limits.part_bytes;
        self.undecided.limit = limits.prepared_bytes;
        self
    }

    /// An event comes from the log; positions behind it remember it.
    pub(crate) fn came(&mut self, event: Option<LastEvent>) {
        // What is read again stands elsewhere.
        if event.is_some() && self.again.is_none() {
            self.last = event;
        }
    }

    /// The statement that was just read must be proven harmless before its transaction is handed on; with its place.
    pub(crate) fn take_doubt(&mut self) -> Option<(Doubt, String)> {
        Some((self.doubt.take()?, std::mem::take(&mut self.doubt_place)))
    }

    /// The transaction at hand.
    pub(crate) fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    /// Whether everything is behind us that every lane has.
    pub(crate) fn has_reached_floor(&self) -> bool {
        self.position.reaches(&self.floor)
    }

    /// Behind the last complete transaction.
    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// Between transactions: the log has moved on without anything for us.
    pub(crate) fn pass(&mut self, file: &str, offset: u64) -> Option<Position> {
        if self.open.is_some() {
            return None;
        }
        self.move_to(file, offset);
        Some(self.position.clone())
    }

    fn move_to(&mut self, file: &str, offset: u64) {
        file.clone_into(&mut self.position.file);
        self.position.offset = offset;
        if self.last.is_some() {
            self.position.last.clone_from(&self.last);
        }
    }

    /// A new file: table ids start anew.
    pub(crate) fn forget_tables(&mut self) {
        self.tables.forget();
        if let Some(listener) = &mut self.heartbeat
            && self.again.is_none()
        {
            listener.forget_tables();
        }
    }

    /// GTID event: a transaction begins at this place.
    pub(crate) fn begin(&mut self, start: TransactionStart, file: &str, offset: u64, timestamp: u32) -> Result<()> {
        if let Some(again) = &mut self.again {
            return again.begin(&Group::new(start, timestamp, file, offset));
        }
        if self.tables.is_full() {
            self.forget_tables();
        }
        if let Some(open) = &self.open {
            return Err(Error::definite(format!(
                "transaction {} in the binary log has no end before {} begins",
                open.group.start.id, start.id
            )));
        }
        let committed_at = start
            .immediate_commit_us
            .or(start.original_commit_us)
            .or_else(|| (timestamp > 0).then(|| u64::from(timestamp) * 1_000_000))
            .map(|us| UNIX_EPOCH + Duration::from_micros(us.saturating_add_signed(self.clock_offset)));
        self.open = Some(Open {
            committed_at,
            begun: start.maria.as_ref().is_some_and(|maria| !maria.standalone),
            // MariaDB has no XA START in its log.
            xa: start.maria.as_ref().and_then(|maria| maria.prepares.clone()),
            group: Box::new(Group::new(start, timestamp, file, offset)),
            changes: Vec::new(),
            bytes: 0,
            parted: false,
            in_log: false,
            rows: 0,
            savepoints: Vec::new(),
            lasting: Vec::new(),
            unreadable: None,
        });
        Ok(())
    }

    fn transaction(&mut self) -> Result<&mut Open> {
        self.open.as_mut().ok_or_else(|| Error::definite("the binary log holds a change outside of a transaction"))
    }

    /// TABLE_MAP: prepares to decode the rows that follow.
    pub(crate) fn table_map(&mut self, map: &Arc<TableMap>) -> Result<()> {
        if let Some(Meaning::Followed(known)) = self.tables.get(map.id)
            && Arc::ptr_eq(&known.map, map)
        {
            return Ok(());
        }
        let id = self.by_name.get(&(map.database.clone(), map.table.clone())).copied();
        let meaning = match id.and_then(|id| self.plan.tables.get(id as usize)) {
            None => Meaning::Strange,
            Some(table) => match Followed::new(table, map, &self.cascades) {
                Ok(followed) => Meaning::Followed(Arc::new(followed)),
                // The table had another definition then; only an XA transaction that is committed later matters.
                Err(error) if self.is_below_floor() => {
                    self.tables.insert(map.id, Meaning::Unreadable(error.to_string()));
                    return Ok(());
                }
                Err(error) => return Err(error),
            },
        };
        if matches!(meaning, Meaning::Strange) {
            if !self.is_below_floor() {
                self.guard.rows_of(&map.database, &map.table)?;
            }
            if self.again.is_none()
                && let Some(listener) = &mut self.heartbeat
            {
                listener.table_map(map);
            }
        }
        self.tables.insert(map.id, meaning);
        Ok(())
    }

    /// Row event. After [`Outcome::Part`] it may have further rows, for which it is to be handed in again.
    pub(crate) fn rows(&mut self, rows: &mut RowsEvent<'_>) -> Result<Outcome> {
        let outcome = self.changes_of(rows)?;
        if rows.ends_statement() && rows.is_read() && self.tables.is_full() {
            self.forget_tables();
        }
        Ok(outcome)
    }

    fn changes_of(&mut self, rows: &mut RowsEvent<'_>) -> Result<Outcome> {
        let is_below_floor = self.is_below_floor();
        let number = self.open.as_mut().map_or(0, |open| {
            open.rows += u64::from(rows.is_new());
            open.rows.saturating_sub(1)
        });
        let meaning = self.tables.get(rows.table.id).cloned().ok_or_else(|| {
            Error::definite(format!("rows of {} come without a description of the table; this is a bug", rows.table.qualified()))
        })?;
        let Meaning::Followed(followed) = meaning else {
            self.strange_parent(rows)?;
            if let (Meaning::Unreadable(why), Some(open)) = (meaning, self.open.as_mut()) {
                open.unreadable = Some(why);
            }
            if let Some(listener) = &mut self.heartbeat
                && self.again.is_none()
            {
                listener.rows(rows);
            }
            return Ok(Outcome::Open);
        };
        let table = &followed.table;
        let open = self.open.as_mut().ok_or_else(|| Error::definite("the binary log holds rows outside of a transaction"))?;
        if !followed.transactional && !open.lasting.contains(&table.id) {
            open.lasting.push(table.id);
        }
        if is_below_floor && open.xa.is_none() || open.in_log {
            return Ok(Outcome::Open);
        }
        if followed.transactional && self.again.as_ref().is_some_and(|again| again.is_taken_back(number)) {
            return Ok(Outcome::Open);
        }
        // Of an XA transaction it is the commit that counts, which comes later; see end().
        let covered = open.xa.is_none() && is_covered(&self.covered, table.id, &open.group);
        let cascades = rows.may_cascade() && followed.cascades();
        if covered && !cascades {
            return Ok(Outcome::Open);
        }
        loop {
            let room = self.part_bytes.saturating_sub(open.bytes);
            let before = open.changes.len();
            open.bytes += followed.changes(rows, (covered, cascades), room, &mut open.changes)?;
            let is_cascade = |change: &Change| matches!(change.kind, ChangeKind::Cascade(_));
            if cascades && open.changes.iter().skip(before).any(is_cascade) {
                self.cascades.refuse(&table.source)?;
            }
            if open.xa.is_none() {
                break;
            }
            if !self.undecided.make_room(open.bytes) {
                open.in_log = true;
                open.bytes = 0;
                open.changes = Vec::new();
                return Ok(Outcome::Open);
            }
            if rows.is_read() {
                return Ok(Outcome::Open);
            }
        }
        if open.bytes > self.part_bytes {
            open.parted = true;
            open.bytes = 0;
            // Savepoints before this point are out of reach now; rolling back to one is an error then.
            open.savepoints.clear();
            let mut changes = std::mem::take(&mut open.changes);
            mark_covered(&mut changes, &self.covered, &open.group);
            return Ok(Outcome::Part(changes));
        }
        Ok(Outcome::Open)
    }

    /// A parent that is not migrated changes children that are.
    fn strange_parent(&mut self, rows: &RowsEvent<'_>) -> Result<()> {
        let cascades = Arc::clone(&self.cascades);
        let Some(stranger) = cascades.stranger(&rows.table.database, &rows.table.table) else { return Ok(()) };
        let acts = match rows.kind {
            RowsKind::Insert => false,
            RowsKind::Delete => stranger.on_delete,
            RowsKind::Update | RowsKind::PartialUpdate => stranger.on_update,
        };
        if !acts || !rows.may_cascade() {
            return Ok(());
        }
        let reason = format!(
            "a parent row in {}.{} was changed, which is not migrated; what that did to child rows (foreign key {}) is not in the \
             binary log and cannot be followed. Select the parent in spec.objects and start the task anew",
            rows.table.database,
            rows.table.table,
            stranger.keys.join(", ")
        );
        if !self.is_below_floor() {
            return Err(Error::definite(reason));
        }
        // Of an XA transaction that was prepared in front of the floor the commit may come behind it.
        if let Some(open) = self.open.as_mut() {
            open.unreadable = Some(reason);
        }
        Ok(())
    }

    /// XID event.
    pub(crate) fn commit(&mut self, file: &str, offset: u64) -> Result<Outcome> {
        self.end(file, offset, false)
    }

    fn end(&mut self, file: &str, offset: u64, aborted: bool) -> Result<Outcome> {
        if let Some(again) = &mut self.again {
            again.is_over = true;
            return Ok(Outcome::Open);
        }
        let is_below_floor = self.is_below_floor();
        let mut open =
            self.open.take().ok_or_else(|| Error::definite("the binary log ends a transaction that has no beginning"))?;
        if open.in_log && !aborted && !is_below_floor {
            let group = (*open.group).clone();
            self.open = Some(open);
            return self.begin_again(group, file, offset);
        }
        if open.xa.is_some() && !self.covered.is_empty() {
            let mut changes = std::mem::take(&mut open.changes);
            let is_cascade = |change: &Change| matches!(change.kind, ChangeKind::Cascade(_));
            changes.retain(|change| is_cascade(change) || !is_covered(&self.covered, change.table, &open.group));
            open.changes = changes;
        }
        let mut changes = std::mem::take(&mut open.changes);
        mark_covered(&mut changes, &self.covered, &open.group);
        open.changes = changes;
        self.position.gtid.insert(&open.group.start.id);
        if self.position.size() > MOST_POSITION_BYTES {
            return Err(Error::definite(format!(
                "with transaction {} the position in the source's log has more than {} parts, a record of which is written with every \
                 window of changes; servers name their transactions with few ids, one for each server that writes. Find out what gives \
                 the transactions on the source their names (gtid_next, tags, server_id)",
                open.group.start.id,
                MOST_POSITION_BYTES / 64
            )));
        }
        self.move_to(file, offset);
        if is_below_floor {
            return Ok(Outcome::Skipped);
        }
        let aborted_parts = aborted && open.parted;
        let end = End { position: self.position.clone(), replay_from: self.replay_from(), committed_at: open.committed_at };
        Ok(Outcome::End { changes: open.changes, end, aborted: aborted_parts, group: open.group })
    }

    /// Whether every lane has the transaction at hand.
    fn is_below_floor(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.group.is_in(&self.floor))
    }

    /// What becomes of a statement that is not part of transaction control, however its bytes are read.
    fn judge(&self, statement: &Statement, query: &Query<'_>, mode: &LexMode) -> Passage {
        let thread_specific = query.thread_specific;
        let text = String::from_utf8_lossy(&query.sql);
        let passage = self.guard.statement(&Logged { statement, text: &text, mode, thread_specific });
        let Some(second) = &query.second_reading else { return passage };
        let text = String::from_utf8_lossy(second);
        match &classify(second, &query.database, mode) {
            // It makes no sense this way.
            Statement::Unknown(_) => passage,
            statement => passage.stricter(self.guard.statement(&Logged { statement, text: &text, mode, thread_specific })),
        }
    }

    /// A statement that is carried out at the destination ends its transaction.
    fn define(&mut self, ddl: Ddl, query: &Query<'_>, file: &str, offset: u64, place: &str) -> Result<Outcome> {
        let open = self.transaction()?;
        let (id, timestamp) = (open.group.start.id.to_string(), open.group.timestamp());
        let (begun, place) = (open.begun, format!("transaction {id}, {place}"));
        let text = String::from_utf8_lossy(&query.sql).into_owned();
        let shown = format!("{} ({place})", without_values(&text));
        if begun || query.error_code != 0 || !(query.sql.is_ascii() || query.session.speaks_utf8()) {
            return Err(Error::definite(format!(
                "a definition statement on what is migrated stands inside a transaction, failed half way, or is in a character set other than \
                 UTF-8, and is not carried over in this version. Statement: {shown}"
            )));
        }
        let session = query.session.clone();
        match self.end(file, offset, false)? {
            Outcome::End { end, .. } => Ok(Outcome::Define(Box::new(Defined { ddl, text, session, timestamp, end, shown }))),
            other => Ok(other),
        }
    }

    /// QUERY event.
    pub(crate) fn query(&mut self, query: &Query<'_>, mode: &LexMode, file: &str, offset: u64) -> Result<Outcome> {
        if query.sql.as_ref() == b"BEGIN" {
            self.transaction()?.begun = true;
            return Ok(Outcome::Open);
        }
        let statement = classify(&query.sql, &query.database, mode);
        if self.again.is_some() {
            // Everything else was judged, and what it says of savepoints noted, when it was read for the first time.
            let ends = matches!(statement, Statement::Commit | Statement::XaPrepare(_) | Statement::XaCommit { .. });
            return if ends { self.end(file, offset, false) } else { Ok(Outcome::Open) };
        }
        match statement {
            Statement::Begin => self.transaction()?.begun = true,
            Statement::Commit => return self.end(file, offset, false),
            Statement::Rollback => return self.rollback(file, offset),
            Statement::Savepoint(name) => {
                self.transaction()?.set_savepoint(name);
            }
            Statement::RollbackTo(name) => self.rollback_to(&name)?,
            Statement::ReleaseSavepoint(name) => {
                self.transaction()?.savepoints.retain(|other| !same_savepoint(&other.name, &name));
            }
            Statement::XaStart(xid) => {
                let open = self.transaction()?;
                open.begun = true;
                open.xa = Some(xid);
            }
            Statement::XaEnd(_) => {}
            Statement::XaPrepare(xid) => return self.xa_prepare(&xid, false, file, offset),
            Statement::XaCommit { one_phase: true, .. } => return self.end(file, offset, false),
            Statement::XaCommit { xid, .. } => return self.xa_commit(&xid, file, offset),
            Statement::XaRollback(xid) => {
                self.undecided.remove(&xid);
                return self.end(file, offset, false);
            }
            other => {
                // What every lane has been given was judged then; in front of the task's start it is part of the definitions.
                if self.is_below_floor() {
                    if !self.transaction()?.begun {
                        return self.end(file, offset, false);
                    }
                    return Ok(Outcome::Open);
                }
                let place = format!("{}:{}", file, offset);
                match self.judge(&other, query, mode) {
                    Passage::Free => {}
                    Passage::Prove(doubt) => {
                        let ends = !self.transaction()?.begun;
                        self.doubt = Some(doubt);
                        self.doubt_place = place;
                        return if ends { self.end(file, offset, false) } else { Ok(Outcome::Open) };
                    }
                    Passage::Define(ddl) => return self.define(*ddl, query, file, offset, &place),
                    Passage::Stop(reason) => {
                        let id = self.open.as_ref().map(|open| open.group.start.id.to_string()).unwrap_or_default();
                        return Err(Error::definite(format!("{reason} (transaction {id}, {place})")));
                    }
                }
                if !self.transaction()?.begun {
                    return self.end(file, offset, false);
                }
            }
        }
        Ok(Outcome::Open)
    }
}

/// Whether a table's rows hold the transaction already.
fn is_covered(covered: &HashMap<u32, Vec<Position>>, table: u32, group: &Group) -> bool {
    covered.get(&table).is_some_and(|places| places.iter().any(|place| group.is_in(place)))
}

/// Tells the cascades which tables hold the transaction already.
fn mark_covered(changes: &mut [Change], covered: &HashMap<u32, Vec<Position>>, group: &Group) {
    let mut tables: Option<Arc<[u32]>> = None;
    for change in changes {
        if let ChangeKind::Cascade(cascade) = &mut change.kind {
            let tables = tables
                .get_or_insert_with(|| covered.keys().copied().filter(|table| is_covered(covered, *table, group)).collect());
            cascade.covered = Arc::clone(tables);
        }
    }
}
