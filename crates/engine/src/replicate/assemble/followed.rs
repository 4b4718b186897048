//! The rows of one migrated table in the log, as changes.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::binlog::{RowDecoder, RowsEvent, TableMap};
use crate::change::cascade::{Cascade, Cascades, Rule};
use crate::change::{Change, ChangeKind, Operation};
use crate::plan::TablePlan;
use godwit_model::error::Result;
use godwit_model::row::Row;

/// A table as its rows are decoded.
pub(super) struct Followed {
    pub table: Arc<TablePlan>,
    pub map: Arc<TableMap>,
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
    pub transactional: bool,
}

impl Followed {
    /// Prepares the decoder: of before images only what identifies the row and what unique indexes hold.
    pub(super) fn new(table: &Arc<TablePlan>, map: &Arc<TableMap>, cascades: &Cascades) -> Result<Self> {
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
        let on_any_update = cascades.of_parent(table.id).any(|link| link.on_update != Rule::Nothing && !link.parent_known);
        Ok(Self {
            table: Arc::clone(table),
            map: Arc::clone(map),
            decoder,
            unique_after,
            referenced,
            referenced_before,
            on_delete,
            on_update,
            on_any_update,
            transactional: is_transactional(table),
        })
    }

    /// Whether foreign keys may act when rows of the table change.
    pub(super) fn cascades(&self) -> bool {
        self.on_delete || self.on_any_update || !self.on_update.is_empty()
    }

    /// Appends what the rows change, and what foreign keys do then if `cascades`, until it is more than `room` bytes; gives their bytes.
    /// `covered`: the table holds the rows' changes already.
    ///
    /// # Errors
    /// Rows that do not agree with the table.
    pub(super) fn changes(
        &self,
        rows: &mut RowsEvent<'_>,
        (covered, cascades): (bool, bool),
        room: usize,
        changes: &mut Vec<Change>,
    ) -> Result<usize> {
        let mut bytes = 0;
        self.decoder.next_rows(rows, &mut |before, after| {
            let first = changes.len();
            let cascade = if cascades { cascade_of(self, before.as_ref(), after.as_ref()) } else { None };
            if !covered {
                push_changes(self, before, after, &mut |change| changes.push(change));
            }
            if let Some(cascade) = cascade {
                changes.push(Change { table: self.table.id, kind: ChangeKind::Cascade(Box::new(cascade)) });
            }
            bytes += changes.iter().skip(first).map(Change::size).sum::<usize>();
            Ok(if bytes > room { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(bytes)
    }
}

/// Whether a rollback takes back what was done to the table.
fn is_transactional(table: &TablePlan) -> bool {
    !matches!(table.definition.engine.to_ascii_uppercase().as_str(), "MYISAM" | "ARIA" | "MEMORY" | "CSV" | "ARCHIVE")
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
