//! Batches: each row has its own verdict.

use std::collections::HashSet;

use crate::faults::FaultKind;
use crate::filter::Reading;
use crate::operations::row::{self, Condition, Kind, wants_key};
use crate::operations::{Context, Instance, consumed};
use crate::plain;
use crate::refusal::{Refusal, invalid};
use crate::wire::{Message, Writer};

/// Refuses rows that a fault is for, and counts them.
struct Verdicts<'a> {
    fault: Option<&'a FaultKind>,
    seen: usize,
    rows: usize,
}

impl<'a> Verdicts<'a> {
    fn new(context: &Context<'a>, rows: usize) -> Self {
        Self { fault: context.fault, seen: 0, rows }
    }

    /// Writes the verdict of the next row: what it did, or why not.
    fn row(&mut self, to: &mut Writer, act: impl FnOnce(&mut Writer) -> Result<(), Refusal>) {
        self.seen += 1;
        let refused = match self.fault {
            Some(FaultKind::RefuseRows { code, one_in }) if (self.seen - 1).is_multiple_of((*one_in).max(1)) => {
                Some(Refusal::known(code).unwrap_or_else(|| Refusal::new(400, code, "Refused by a fault.")))
            }
            _ => None,
        };
        let mut done = Writer::default();
        let verdict = match refused {
            Some(refusal) => Err(refusal),
            None => act(&mut done),
        };
        if matches!(self.fault, Some(FaultKind::OmitRow)) && self.seen == self.rows {
            return;
        }
        match verdict {
            Ok(()) => {
                let mut row = Writer::default();
                row.number(1, 1);
                to.bytes(2, &[row.finish(), done.finish()].concat());
            }
            Err(refusal) => to.message(2, |to| {
                to.number(1, 0);
                to.message(2, |to| refusal.write(to));
            }),
        }
    }
}

/// One change of a batch, as it was sent.
struct Change<'a> {
    kind: Kind,
    bytes: &'a [u8],
    condition: Option<&'a [u8]>,
    wants_key: bool,
}

fn changes<'a>(table: &Message<'a>) -> Result<Vec<Change<'a>>, Refusal> {
    let mut changes = Vec::new();
    for row in table.all_bytes(2) {
        let row = Message::parse(row)?;
        let kind = match row.needed_number(1, "type")? {
            1 => Kind::Put,
            2 => Kind::Update,
            3 => Kind::Delete,
            _ => return Err(invalid("Invalid operation type of a row.")),
        };
        changes.push(Change {
            kind,
            bytes: row.needed(2, "row_change")?,
            condition: row.bytes(3),
            wants_key: wants_key(&row, 4)?,
        });
    }
    Ok(changes)
}

/// What is refused of a batch as a whole: its number of rows, its size, a key that it holds twice.
fn check<'a>(tables: impl Iterator<Item = (&'a str, &'a [Change<'a>])> + Clone) -> Result<usize, Refusal> {
    let rows: usize = tables.clone().map(|(_, changes)| changes.len()).sum();
    if rows == 0 {
        return Err(invalid("No row is specified in BatchWriteRow."));
    }
    if rows > 200 {
        return Err(invalid(format!("Rows count exceeds the upper limit: 200, actual: {rows}.")));
    }
    if tables.clone().map(|(_, changes)| changes.iter().map(|change| change.bytes.len()).sum::<usize>()).sum::<usize>()
        > 5 * 1024 * 1024
    {
        return Err(invalid("The total data size of the request exceeds the limit."));
    }
    let (mut names, mut size) = (HashSet::new(), 0);
    for (table, changes) in tables {
        if !names.insert(table) {
            return Err(invalid(format!("Duplicated table name: '{table}'.")));
        }
        if changes.is_empty() {
            return Err(invalid(format!("No operation is specified for table: '{table}'.")));
        }
        let mut keys = HashSet::new();
        for change in changes {
            // A row that cannot be read is refused by itself, with its reason.
            let Ok(sent) = plain::read(change.bytes) else { continue };
            let cells = sent.edits.iter().map(|edit| {
                edit.column.len()
                    + if let crate::store::Change::Put(cell, version) = &edit.change {
                        cell.size() + version.map_or(0, |_| 8)
                    } else {
                        0
                    }
            });
            size += sent.key.iter().map(|(name, part)| name.len() + part.size()).sum::<usize>() + cells.sum::<usize>();
            if !keys.insert(format!("{:?}", sent.key)) {
                return Err(invalid("Duplicate rows detected in MultiPut."));
            }
        }
    }
    if size > 4 * 1024 * 1024 {
        return Err(invalid(format!("The total data size of the request exceeds the limit: 4194304, actual: {size}.")));
    }
    Ok(rows)
}

/// Changes the rows of one table, each with its verdict.
fn write_rows(
    instance: &mut Instance,
    name: &str,
    changes: &[Change<'_>],
    conditions: bool,
    verdicts: &mut Verdicts<'_>,
    to: &mut Writer,
    context: &Context<'_>,
) {
    to.bytes(1, name.as_bytes());
    for change in changes {
        verdicts.row(to, |to| {
            let table = instance.ready(name, context)?;
            let condition = match change.condition {
                Some(condition) => Condition::parse(condition)?,
                None if conditions => return Err(invalid("Missing required field: condition.")),
                None => Condition::none(),
            };
            let written = row::change(table, change.kind, plain::read(change.bytes)?, &condition, context)?;
            written.answer(to, table, 3, change.wants_key.then_some(4));
            Ok(())
        });
    }
}

pub(super) fn write(instance: &mut Instance, request: &Message<'_>, context: &Context<'_>) -> Result<Vec<u8>, Refusal> {
    if request.bytes(2).is_some() || request.number(3).is_some_and(|atomic| atomic != 0) {
        return Err(invalid("This test server has no transactions."));
    }
    let mut tables = Vec::new();
    for table in request.all_bytes(1) {
        let table = Message::parse(table)?;
        tables.push((table.needed_text(1, "table_name")?, changes(&table)?));
    }
    let rows = check(tables.iter().map(|(name, changes)| (name.as_str(), changes.as_slice())))?;
    let mut verdicts = Verdicts::new(context, rows);
    let mut to = Writer::default();
    for (name, changes) in &tables {
        to.message(1, |to| write_rows(instance, name, changes, true, &mut verdicts, to, context));
    }
    Ok(to.finish())
}

pub(super) fn import(instance: &mut Instance, request: &Message<'_>, context: &Context<'_>) -> Result<Vec<u8>, Refusal> {
    let name = request.needed_text(1, "table_name")?;
    let changes = changes(request)?;
    let rows = check([(name.as_str(), changes.as_slice())].into_iter())?;
    if changes.iter().any(|change| change.condition.is_some() || change.wants_key) {
        return Err(invalid("BulkImport takes no condition and returns no rows."));
    }
    // The table is looked up first: an import into a table that is not there is refused as a whole.
    instance.ready(&name, context)?;
    let mut verdicts = Verdicts::new(context, rows);
    let mut to = Writer::default();
    write_rows(instance, &name, &changes, false, &mut verdicts, &mut to, context);
    Ok(to.finish())
}

pub(super) fn get(instance: &mut Instance, request: &Message<'_>, context: &Context<'_>) -> Result<Vec<u8>, Refusal> {
    let mut tables = Vec::new();
    for table in request.all_bytes(1) {
        let table = Message::parse(table)?;
        let name = table.needed_text(1, "table_name")?;
        let keys: Vec<&[u8]> = table.all_bytes(2).collect();
        tables.push((name, keys, Reading::parse(&table, [4, 5, 6, 8, 9, 10, 3])?));
    }
    if tables.iter().any(|(_, keys, _)| keys.iter().collect::<HashSet<_>>().len() < keys.len()) {
        return Err(invalid("Duplicate rows detected in MultiGet."));
    }
    let rows: usize = tables.iter().map(|(_, keys, _)| keys.len()).sum();
    if !(1..=100).contains(&rows) {
        return Err(invalid(format!("Rows count exceeds the upper limit: 100, actual: {rows}.")));
    }
    let mut verdicts = Verdicts::new(context, rows);
    let mut to = Writer::default();
    for (name, keys, reading) in &tables {
        to.message(1, |to| {
            to.bytes(1, name.as_bytes());
            for key in keys {
                verdicts.row(to, |to| {
                    let (row, units) = row::read(instance.ready(name, context)?, key, reading, context)?;
                    consumed(to, 3, units, 0);
                    to.bytes(4, &row);
                    Ok(())
                });
            }
        });
    }
    Ok(to.finish())
}
