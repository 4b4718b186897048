//! From events to transactions of changes.
//!
//! Knows what begins and ends a transaction in both families, prepared XA transactions, savepoints, rollbacks of
//! statements on non-transactional tables, and which statements a task must not pass by. One instance serves one
//! stream; after a restart a new one begins at the beginning of a transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::cascade::{Cascade, Cascades, Rule};
use super::change::{Change, ChangeKind, Operation};
use super::dispatch::End;
use super::guard::{Doubt, Guard, Passage};
use crate::engine::error::{Context, Error, Result};
use crate::engine::heartbeat::Listener;
use crate::engine::plan::{Plan, TablePlan};
use crate::engine::schema::lexer::LexMode;
use crate::engine::schema::statement::{Statement, classify};
use crate::engine::source::binlog::{Query, RowDecoder, RowsEvent, RowsKind, TableMap, TransactionStart};
use crate::engine::source::position::{Position, TransactionId};
use crate::engine::value::Row;

/// A transaction with more bytes is handed on in parts.
const PART_BYTES: usize = 8 << 20;

/// Changes of prepared, undecided XA transactions are kept up to this.
const XA_BYTES: usize = 64 << 20;

/// What an event led to.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing to hand on yet.
    Open,
    /// The transaction is complete, and every lane has it.
    Skipped,
    /// So many changes that they are handed on before the transaction's end.
    Part(Vec<Change>),
    /// The transaction is complete.
    End { changes: Vec<Change>, end: End, aborted: bool, id: TransactionId, file: String, offset: u64 },
}

/// A table as its rows are decoded.
struct Followed {
    table: Arc<TablePlan>,
    map: Arc<TableMap>,
    decoder: RowDecoder,
    /// Of the after image: places of the columns of secondary unique indexes.
    unique_after: Vec<usize>,
    /// Of the after image: places of the columns that foreign keys of others reference.
    referenced: Vec<usize>,
    /// Of the before image: where those begin.
    referenced_before: usize,
    /// Foreign keys that act on DELETE lead from here.
    on_delete: bool,
    /// Of `referenced`: places whose change makes foreign keys act.
    on_update: Vec<usize>,
    /// What is referenced is not wholly known: any UPDATE may have changed it.
    on_any_update: bool,
    transactional: bool,
}

/// The transaction at hand.
pub struct Open {
    pub id: TransactionId,
    /// Place of its first event.
    pub file: String,
    pub offset: u64,
    committed_at: Option<SystemTime>,
    /// BEGIN, or MariaDB's GTID event in its place, was there: a statement does not end it.
    begun: bool,
    xa: Option<String>,
    changes: Vec<Change>,
    bytes: usize,
    /// Parts of it were handed on.
    parted: bool,
    savepoints: Vec<(String, usize)>,
    /// Rows of it could not be read, and why.
    unreadable: Option<String>,
}

struct Prepared {
    changes: Vec<Change>,
    bytes: usize,
    /// In front of the transaction: where the log has to be read again after a restart.
    from: Arc<Position>,
    unreadable: Option<String>,
}

/// See the module's page.
pub struct Assembler {
    plan: Arc<Plan>,
    by_name: HashMap<(String, String), u32>,
    guard: Guard,
    cascades: Arc<Cascades>,
    position: Position,
    open: Option<Open>,
    followed: HashMap<u64, Option<Arc<Followed>>>,
    /// Tables whose rows could not be read in front of the floor, and why: the definitions are from behind it.
    unreadable: HashMap<u64, String>,
    prepared: HashMap<String, Prepared>,
    valid_from: HashMap<u32, Position>,
    /// What every lane has applied, or held from its beginning: read again only for XA transactions prepared there.
    floor: Position,
    /// Microseconds to add to the source's clock.
    clock_offset: i64,
    /// Hears the heartbeat on the source.
    heartbeat: Option<Listener>,
    /// A statement that may only be passed by when the source proves it harmless.
    doubt: Option<Doubt>,
    doubt_place: String,
}

impl Assembler {
    /// `position`: from where the log is read; `floor`: what every lane has; `valid_from`: per table, what its rows hold already.
    pub fn new(
        plan: Arc<Plan>,
        guard: Guard,
        cascades: Arc<Cascades>,
        position: Position,
        floor: Position,
        valid_from: HashMap<u32, Position>,
        clock_offset: i64,
    ) -> Self {
        let by_name = plan.tables.iter().map(|t| ((t.source.database.clone(), t.source.table.clone()), t.id)).collect();
        Self {
            plan,
            by_name,
            guard,
            cascades,
            position,
            open: None,
            followed: HashMap::new(),
            unreadable: HashMap::new(),
            prepared: HashMap::new(),
            valid_from,
            floor,
            clock_offset,
            heartbeat: None,
            doubt: None,
            doubt_place: String::new(),
        }
    }

    /// Tells the heartbeat's row to `listener`.
    #[must_use]
    pub fn with_heartbeat(self, listener: Option<Listener>) -> Self {
        Self { heartbeat: listener, ..self }
    }

    /// The statement that was just read must be proven harmless before its transaction is handed on; with its place.
    pub fn take_doubt(&mut self) -> Option<(Doubt, String)> {
        Some((self.doubt.take()?, std::mem::take(&mut self.doubt_place)))
    }

    /// The transaction at hand.
    pub fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    /// Whether everything is behind us that every lane has.
    pub fn has_reached_floor(&self) -> bool {
        self.position.reaches(&self.floor)
    }

    /// Behind the last complete transaction.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Between transactions: the log has moved on without anything for us.
    pub fn pass(&mut self, file: &str, offset: u64) -> Option<Position> {
        if self.open.is_some() {
            return None;
        }
        file.clone_into(&mut self.position.file);
        self.position.offset = offset;
        Some(self.position.clone())
    }

    /// A new file: table ids start anew.
    pub fn forget_tables(&mut self) {
        self.followed.clear();
        if let Some(listener) = &mut self.heartbeat {
            listener.forget_tables();
        }
        self.unreadable.clear();
    }

    /// GTID event: a transaction begins at this place.
    pub fn begin(&mut self, start: TransactionStart, file: &str, offset: u64, timestamp: u32) -> Result<()> {
        if let Some(open) = &self.open {
            return Err(Error::definite(format!(
                "transaction {} in the binary log has no end before {} begins",
                open.id, start.id
            )));
        }
        let committed_at = start
            .immediate_commit_us
            .or(start.original_commit_us)
            .or_else(|| (timestamp > 0).then(|| u64::from(timestamp) * 1_000_000))
            .map(|us| UNIX_EPOCH + Duration::from_micros(us.saturating_add_signed(self.clock_offset)));
        self.open = Some(Open {
            id: start.id,
            file: file.to_owned(),
            offset,
            committed_at,
            begun: start.maria.as_ref().is_some_and(|maria| !maria.standalone),
            xa: None,
            changes: Vec::new(),
            bytes: 0,
            parted: false,
            savepoints: Vec::new(),
            unreadable: None,
        });
        Ok(())
    }

    fn transaction(&mut self) -> Result<&mut Open> {
        self.open.as_mut().ok_or_else(|| Error::definite("the binary log holds a change outside of a transaction"))
    }

    /// TABLE_MAP: prepares to decode the rows that follow.
    pub fn table_map(&mut self, map: &Arc<TableMap>) -> Result<()> {
        if let Some(Some(known)) = self.followed.get(&map.id)
            && Arc::ptr_eq(&known.map, map)
        {
            return Ok(());
        }
        let id = self.by_name.get(&(map.database.clone(), map.table.clone())).copied();
        let followed = match id.and_then(|id| self.plan.tables.get(id as usize)) {
            None => None,
            Some(table) => match follow(table, map, &self.cascades) {
                Ok(followed) => Some(Arc::new(followed)),
                // The table had another definition then; only an XA transaction that is committed later matters.
                Err(error) if self.is_below_floor() => {
                    self.unreadable.insert(map.id, error.to_string());
                    self.followed.insert(map.id, None);
                    return Ok(());
                }
                Err(error) => return Err(error),
            },
        };
        self.unreadable.remove(&map.id);
        if followed.is_none() && !self.is_below_floor() {
            self.guard.rows_of(&map.database, &map.table)?;
        }
        if followed.is_none()
            && let Some(listener) = &mut self.heartbeat
        {
            listener.table_map(map);
        }
        self.followed.insert(map.id, followed);
        Ok(())
    }

    /// Row event.
    pub fn rows(&mut self, rows: RowsEvent<'_>) -> Result<Outcome> {
        let is_below_floor = self.is_below_floor();
        let Some(Some(followed)) = self.followed.get(&rows.table.id) else {
            self.strange_parent(&rows)?;
            if let (Some(why), Some(open)) = (self.unreadable.get(&rows.table.id), self.open.as_mut()) {
                open.unreadable = Some(why.clone());
            }
            if let Some(listener) = &mut self.heartbeat {
                listener.rows(&rows);
            }
            return Ok(Outcome::Open);
        };
        let followed = Arc::clone(followed);
        let table = &followed.table;
        let open = self.open.as_mut().ok_or_else(|| Error::definite("the binary log holds rows outside of a transaction"))?;
        if is_below_floor && open.xa.is_none() {
            return Ok(Outcome::Open);
        }
        // Of an XA transaction it is the commit that counts, which comes later; see end().
        let covered = open.xa.is_none() && is_covered(&self.valid_from, table.id, open);
        let cascades =
            rows.foreign_key_checks() && (followed.on_delete || followed.on_any_update || !followed.on_update.is_empty());
        if covered && !cascades {
            return Ok(Outcome::Open);
        }
        let mut bytes = 0;
        let changes = &mut open.changes;
        followed.decoder.consume_rows(rows, &mut |before, after| {
            let cascade = if cascades { cascade_of(&followed, before.as_ref(), after.as_ref()) } else { None };
            let mut push = |change: Change| {
                bytes += change.size();
                changes.push(change);
            };
            if !covered {
                push_changes(&followed, before, after, &mut push);
            }
            if let Some(cascade) = cascade {
                push(Change { table: table.id, kind: ChangeKind::Cascade(Box::new(cascade)) });
            }
            Ok(())
        })?;
        open.bytes += bytes;
        if open.bytes > PART_BYTES && open.xa.is_none() {
            open.parted = true;
            open.bytes = 0;
            // Savepoints before this point are out of reach now; rolling back to one is an error then.
            open.savepoints.clear();
            let mut changes = std::mem::take(&mut open.changes);
            mark_covered(&mut changes, &self.valid_from, open);
            return Ok(Outcome::Part(changes));
        }
        if open.xa.is_some() && open.bytes > XA_BYTES {
            return Err(Error::definite(format!(
                "XA transaction {} changes more than {} MiB; this version keeps the changes of an XA transaction in memory until it is \
                 decided, COMMIT ONE PHASE included. Start the task anew, and make such changes without XA or in smaller transactions",
                open.id,
                XA_BYTES >> 20
            )));
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
        if !acts || !rows.foreign_key_checks() {
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
    pub fn commit(&mut self, file: &str, offset: u64) -> Result<Outcome> {
        self.end(file, offset, false)
    }

    fn end(&mut self, file: &str, offset: u64, aborted: bool) -> Result<Outcome> {
        let is_below_floor = self.is_below_floor();
        let mut open =
            self.open.take().ok_or_else(|| Error::definite("the binary log ends a transaction that has no beginning"))?;
        if open.xa.is_some() && !self.valid_from.is_empty() {
            let mut changes = std::mem::take(&mut open.changes);
            let is_cascade = |change: &Change| matches!(change.kind, ChangeKind::Cascade(_));
            changes.retain(|change| is_cascade(change) || !is_covered(&self.valid_from, change.table, &open));
            open.changes = changes;
        }
        let mut changes = std::mem::take(&mut open.changes);
        mark_covered(&mut changes, &self.valid_from, &open);
        open.changes = changes;
        self.position.gtid.insert(&open.id);
        file.clone_into(&mut self.position.file);
        self.position.offset = offset;
        if is_below_floor {
            return Ok(Outcome::Skipped);
        }
        let aborted_parts = aborted && open.parted;
        let end = End { position: self.position.clone(), replay_from: self.replay_from(), committed_at: open.committed_at };
        Ok(Outcome::End { changes: open.changes, end, aborted: aborted_parts, id: open.id, file: open.file, offset: open.offset })
    }

    /// Whether every lane has the transaction at hand.
    fn is_below_floor(&self) -> bool {
        self.open.as_ref().is_some_and(|open| self.floor.covers(&open.id, &open.file, open.offset + 1))
    }

    /// Where prepared, undecided transactions begin.
    pub fn replay_from(&self) -> Option<Arc<Position>> {
        let positions: Vec<Position> = self.prepared.values().map(|prepared| (*prepared.from).clone()).collect();
        crate::engine::source::visibility::earliest(&positions).map(Arc::new)
    }

    /// XA_PREPARE event: the changes wait for the decision.
    pub fn xa_prepare(&mut self, xid: &str, one_phase: bool, file: &str, offset: u64) -> Result<Outcome> {
        if one_phase {
            return self.end(file, offset, false);
        }
        let from = Arc::new(self.position.clone());
        let open = self.transaction()?;
        let changes = std::mem::take(&mut open.changes);
        let bytes = open.bytes;
        let unreadable = open.unreadable.take();
        let kept: usize = self.prepared.values().map(|prepared| prepared.bytes).sum();
        if kept + bytes > XA_BYTES {
            return Err(Error::definite(format!(
                "prepared XA transactions hold more than {} MiB of changes; commit or roll back the ones that XA RECOVER lists on the source",
                XA_BYTES >> 20
            )));
        }
        self.prepared.insert(xid.to_owned(), Prepared { changes, bytes, from, unreadable });
        self.end(file, offset, false)
    }

    /// QUERY event.
    pub fn query(&mut self, query: &Query<'_>, mode: &LexMode, file: &str, offset: u64) -> Result<Outcome> {
        if query.sql.as_ref() == b"BEGIN" {
            self.transaction()?.begun = true;
            return Ok(Outcome::Open);
        }
        let statement = classify(&query.sql, &query.database, mode);
        match statement {
            Statement::Begin => self.transaction()?.begun = true,
            Statement::Commit => return self.end(file, offset, false),
            Statement::Rollback => return self.rollback(file, offset),
            Statement::Savepoint(name) => {
                let open = self.transaction()?;
                open.savepoints.retain(|(other, _)| !same_savepoint(other, &name));
                open.savepoints.push((name, open.changes.len()));
            }
            Statement::RollbackTo(name) => self.rollback_to(&name)?,
            Statement::ReleaseSavepoint(name) => {
                self.transaction()?.savepoints.retain(|(other, _)| !same_savepoint(other, &name));
            }
            Statement::XaStart(xid) => {
                let open = self.transaction()?;
                open.begun = true;
                open.xa = Some(xid);
            }
            Statement::XaEnd(_) => {}
            Statement::XaPrepare(xid) => return self.xa_prepare(&xid, false, file, offset),
            Statement::XaCommit { one_phase: true, .. } => return self.end(file, offset, false),
            Statement::XaCommit { xid, .. } => {
                let prepared = self.prepared.remove(&xid);
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
                let open = self.transaction()?;
                open.changes = prepared.changes;
                open.xa = Some(xid);
                return self.end(file, offset, false);
            }
            Statement::XaRollback(xid) => {
                self.prepared.remove(&xid);
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
                let text = String::from_utf8_lossy(&query.sql).into_owned();
                match self.guard.statement(&other, &text)? {
                    Passage::Free => {}
                    Passage::Prove(doubt) => {
                        let ends = !self.transaction()?.begun;
                        self.doubt = Some(doubt);
                        self.doubt_place = place;
                        return if ends { self.end(file, offset, false) } else { Ok(Outcome::Open) };
                    }
                    Passage::Stop(reason) => {
                        let id = self.open.as_ref().map(|open| open.id.to_string()).unwrap_or_default();
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

    /// ROLLBACK in the log: what was done to non-transactional tables stays, the rest never happened.
    fn rollback(&mut self, file: &str, offset: u64) -> Result<Outcome> {
        let lasting = self.lasting_tables();
        let open = self.transaction()?;
        if open.parted && !lasting.is_empty() {
            return Err(Error::definite(format!(
                "transaction {} is larger than {} MiB and was rolled back after changing non-transactional tables; copy those tables again",
                open.id,
                PART_BYTES >> 20
            )));
        }
        open.changes.retain(|change| lasting.contains(&change.table));
        self.end(file, offset, true)
    }

    fn lasting_tables(&self) -> Vec<u32> {
        self.followed.values().flatten().filter(|followed| !followed.transactional).map(|followed| followed.table.id).collect()
    }

    fn rollback_to(&mut self, name: &str) -> Result<()> {
        let lasting = self.lasting_tables();
        let open = self.transaction()?;
        let doubtful = |other: &str| other != name && !(other.is_ascii() && name.is_ascii());
        if open.savepoints.iter().any(|(other, _)| doubtful(other)) {
            return Err(Error::definite(format!(
                "transaction {} rolls back to savepoint {name} and has others beside it; whether two names with letters beyond ASCII are \
                 one for the server cannot be told",
                open.id
            )));
        }
        let Some(place) = open.savepoints.iter().position(|(other, _)| same_savepoint(other, name)) else {
            return Err(Error::definite(format!(
                "transaction {} rolls back to savepoint {name}, whose changes were handed on already",
                open.id
            )))
            .context("the transaction is larger than this version can take back");
        };
        let keep = open.savepoints[place].1;
        open.savepoints.truncate(place + 1);
        let mut number = 0;
        open.changes.retain(|change| {
            number += 1;
            number <= keep || lasting.contains(&change.table)
        });
        Ok(())
    }
}

/// Servers compare the names of savepoints without regard to case (and to accents, which rolling back looks at).
fn same_savepoint(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

/// Whether a table's rows hold the transaction already.
fn is_covered(valid_from: &HashMap<u32, Position>, table: u32, open: &Open) -> bool {
    valid_from.get(&table).is_some_and(|from| from.covers(&open.id, &open.file, open.offset + 1))
}

/// Prepares the decoder of a table: of before images only what identifies the row and what unique indexes hold.
fn follow(table: &Arc<TablePlan>, map: &Arc<TableMap>, cascades: &Cascades) -> Result<Followed> {
    let after: Vec<usize> = table.columns.iter().map(|column| column.image).collect();
    let unique_after = if table.has_key() && table.secondary_unique { unique_places(table) } else { Vec::new() };
    let mut before: Vec<usize> = if table.has_key() {
        table.key.iter().chain(&unique_after).map(|&place| table.columns[place].image).collect()
    } else {
        after.clone()
    };
    let referenced = cascades.referenced(table.id).to_vec();
    let referenced_before = before.len();
    before.extend(referenced.iter().map(|&place| table.columns[place].image));
    let on_delete = cascades.of_parent(table.id).any(|link| link.on_delete != Rule::Nothing);
    let acting = cascades.of_parent(table.id).filter(|link| link.on_update != Rule::Nothing);
    let on_update = acting.flat_map(|link| link.parent_cells.iter().copied()).collect();
    let decoder = RowDecoder::new(&table.definition, map, &before, &after)?;
    let transactional =
        !matches!(table.definition.engine.to_ascii_uppercase().as_str(), "MYISAM" | "ARIA" | "MEMORY" | "CSV" | "ARCHIVE");
    let on_any_update = cascades.of_parent(table.id).any(|link| link.on_update != Rule::Nothing && !link.parent_known);
    Ok(Followed {
        table: Arc::clone(table),
        map: Arc::clone(map),
        decoder,
        unique_after,
        referenced,
        referenced_before,
        on_delete,
        on_update,
        on_any_update,
        transactional,
    })
}

/// Places of the columns that secondary unique indexes rest on; all columns where an index part is an expression.
fn unique_places(table: &TablePlan) -> Vec<usize> {
    let all = || (0..table.columns.len()).collect::<Vec<_>>();
    let mut places = Vec::new();
    for index in table.definition.indexes.iter().filter(|index| index.unique && Some(&index.name) != table.key_index.as_ref()) {
        for part in &index.parts {
            let place = part.column.as_ref().and_then(|name| table.columns.iter().position(|column| column.column.name == *name));
            match place {
                Some(place) => places.push(place),
                // An expression, or a generated column: it depends on columns that are not told apart here.
                None => return all(),
            }
        }
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// What foreign keys did when the row changed.
fn cascade_of(followed: &Followed, before: Option<&Row>, after: Option<&Row>) -> Option<Cascade> {
    let places: Vec<usize> = (0..followed.referenced.len()).map(|place| followed.referenced_before + place).collect();
    let before = before?.project(&places);
    let cascade = |after| Cascade { before: before.clone(), after, sequence: 0, covered: Arc::from([]) };
    match after {
        None => followed.on_delete.then(|| cascade(None)),
        Some(row) => {
            let after = row.project(&followed.referenced);
            let changed = followed.on_any_update || before.project(&followed.on_update) != after.project(&followed.on_update);
            changed.then(|| cascade(Some(after)))
        }
    }
}

/// Tells the cascades which tables hold the transaction already.
fn mark_covered(changes: &mut [Change], valid_from: &HashMap<u32, Position>, open: &Open) {
    let mut covered: Option<Arc<[u32]>> = None;
    for change in changes {
        if let ChangeKind::Cascade(cascade) = &mut change.kind {
            let tables = covered
                .get_or_insert_with(|| valid_from.keys().copied().filter(|table| is_covered(valid_from, *table, open)).collect());
            cascade.covered = Arc::clone(tables);
        }
    }
}

fn push_changes(followed: &Followed, before: Option<Row>, after: Option<Row>, push: &mut impl FnMut(Change)) {
    let table = &followed.table;
    let dml = table.dml;
    let mut send = |kind| push(Change { table: table.id, kind });
    if !table.has_key() {
        // Behind a before image stand the columns that others reference.
        let whole: Vec<usize> = (0..table.columns.len()).collect();
        let before = before.map(|row| if followed.referenced.is_empty() { row } else { row.project(&whole) });
        match (before, after) {
            (None, Some(row)) if dml.insert => send(ChangeKind::Insert { row }),
            (Some(row), None) if dml.delete => send(ChangeKind::Remove { row }),
            (Some(before), Some(after)) if dml.update && before != after => send(ChangeKind::Replace { before, after }),
            _ => {}
        }
        return;
    }
    let key_of_before = |row: &Row| row.project(&(0..table.key.len()).collect::<Vec<_>>());
    match (before, after) {
        (None, Some(row)) if dml.insert => {
            let key = row.project(&table.key);
            send(ChangeKind::Upsert { key, row, unique_touched: false, operation: Operation::Insert });
        }
        (Some(before), None) if dml.delete => send(ChangeKind::Delete { key: key_of_before(&before), moved: false }),
        (Some(before), Some(row)) if dml.update => {
            let old_key = key_of_before(&before);
            let key = row.project(&table.key);
            let old_unique: Vec<_> = before.cells().skip(table.key.len()).take(followed.unique_after.len()).collect();
            let cells: Vec<_> = row.cells().collect();
            let touched = followed.unique_after.iter().zip(&old_unique).any(|(&place, old)| cells.get(place) != Some(old));
            if old_key != key {
                send(ChangeKind::Delete { key: old_key, moved: true });
            }
            send(ChangeKind::Upsert { key, row, unique_touched: touched, operation: Operation::Update });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn savepoints_have_no_case() {
        assert!(same_savepoint("Here", "hERE") && same_savepoint("Ü", "ü"));
        assert!(!same_savepoint("here", "there"));
    }
}
