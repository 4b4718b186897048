//! Single rows, and what batches do to each of theirs.

use crate::filter::{Filter, Reading};
use crate::operations::{Context, Instance, consumed};
use crate::plain::{self, Sent};
use crate::refusal::{Refusal, condition_failed, invalid};
use crate::store::{Change, Part, Row, Table, row_size, units};
use crate::wire::{Message, Writer};

/// What a change does to its row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Put,
    Update,
    Delete,
}

/// When a change happens.
pub(super) struct Condition {
    existence: i64,
    filter: Option<Filter>,
}

impl Condition {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let condition = Message::parse(bytes)?;
        let existence = condition.needed_number(1, "row_existence")?;
        if !(0..=2).contains(&existence) {
            return Err(invalid("Invalid row existence expectation."));
        }
        let filter = condition.bytes(2).filter(|bytes| !bytes.is_empty()).map(Filter::parse).transpose()?;
        Ok(Self { existence, filter })
    }

    pub(super) fn none() -> Self {
        Self { existence: 0, filter: None }
    }

    /// A comparison of a column of a row that is not there is one of a column that is not there.
    fn holds(&self, row: Option<&Row>) -> bool {
        let exists = match self.existence {
            1 => row.is_some(),
            2 => row.is_none(),
            _ => true,
        };
        exists && self.filter.as_ref().is_none_or(|filter| filter.passes(row.unwrap_or(&Row::new())))
    }
}

/// A change that was written, for what its answer says.
pub(super) struct Written {
    key: Vec<Part>,
    read: i64,
    write: i64,
}

/// Whether a request asks for the key in its answer. RT_PK is 1, RT_NONE 0.
pub(super) fn wants_key(request: &Message<'_>, field: u64) -> Result<bool, Refusal> {
    match request.message(field)?.and_then(|content| content.number(1)) {
        None | Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(_) => Err(invalid("This test server returns keys, not columns.")),
    }
}

impl Written {
    pub(super) fn answer(&self, to: &mut Writer, table: &Table, consumed_field: u64, row_field: Option<u64>) {
        consumed(to, consumed_field, self.read, self.write);
        if let Some(field) = row_field {
            let mut rows = plain::Rows::new();
            rows.push(named(table, &self.key), std::iter::empty());
            to.bytes(field, &rows.finish());
        }
    }
}

fn named<'a>(table: &'a Table, key: &'a [Part]) -> impl Iterator<Item = (&'a str, &'a Part)> {
    table.key.iter().map(|(name, _)| name.as_str()).zip(key)
}

/// Changes one row, or refuses to.
pub(super) fn change(
    table: &mut Table,
    kind: Kind,
    sent: Sent,
    condition: &Condition,
    context: &Context<'_>,
) -> Result<Written, Refusal> {
    let key = table.key_of(sent.key, false)?;
    if sent.deletes_row != (kind == Kind::Delete) || (kind == Kind::Delete && !sent.edits.is_empty()) {
        return Err(invalid("The row change does not fit its operation."));
    }
    if kind == Kind::Update && sent.edits.is_empty() {
        return Err(invalid("Attribute column is missing."));
    }
    if kind == Kind::Update && !table.options.allow_update {
        return Err(invalid("UpdateRow is not allowed for this table."));
    }
    table.check_edits(&sent.edits, kind == Kind::Put, context.now)?;
    let size = key.iter().map(Part::size).sum::<usize>()
        + sent
            .edits
            .iter()
            .map(|edit| edit.column.len() + if let Change::Put(cell, _) = &edit.change { cell.size() } else { 0 })
            .sum::<usize>();
    if size > 4 * 1024 * 1024 {
        return Err(invalid(format!(
            "The total data size of the request exceeds the limit, limit size: 4194304, data size: {size}."
        )));
    }
    let before = table.rows.get(&key).map(|row| table.visible(row, context.now));
    if !condition.holds(before.as_ref()) {
        return Err(condition_failed());
    }
    // A condition reads before it writes.
    let read = if condition.existence == 0 && condition.filter.is_none() { 0 } else { 1 };
    match kind {
        Kind::Delete => {
            table.rows.remove(&key);
        }
        Kind::Put => {
            let mut row = Row::new();
            table.edit(&mut row, sent.edits, context.now);
            table.rows.insert(key.clone(), row);
        }
        // An update that only deletes columns does not bring a row into being.
        Kind::Update if before.is_none() && sent.edits.iter().all(|edit| !matches!(edit.change, Change::Put(..))) => {}
        Kind::Update => {
            let mut row = table.rows.remove(&key).unwrap_or_default();
            table.edit(&mut row, sent.edits, context.now);
            table.rows.insert(key.clone(), row);
        }
    }
    Ok(Written { key, read, write: units(size) })
}

pub(super) fn write(
    instance: &mut Instance,
    operation: &str,
    request: &Message<'_>,
    context: &Context<'_>,
) -> Result<Vec<u8>, Refusal> {
    let kind = match operation {
        "PutRow" => Kind::Put,
        "UpdateRow" => Kind::Update,
        _ => Kind::Delete,
    };
    let table = instance.ready(&request.needed_text(1, "table_name")?, context)?;
    let sent = plain::read(request.needed(2, "row")?)?;
    let condition = Condition::parse(request.needed(3, "condition")?)?;
    let wants_key = wants_key(request, 4)?;
    if request.bytes(5).is_some() {
        return Err(invalid("This test server has no transactions."));
    }
    let written = change(table, kind, sent, &condition, context)?;
    let mut to = Writer::default();
    written.answer(&mut to, table, 1, wants_key.then_some(2));
    Ok(to.finish())
}

/// One row as an answer has it: no bytes where there is none or the reading leaves it out. Also the units that it took.
pub(super) fn read(table: &Table, sent: &[u8], reading: &Reading, context: &Context<'_>) -> Result<(Vec<u8>, i64), Refusal> {
    let sent = plain::read(sent)?;
    if sent.deletes_row || !sent.edits.is_empty() {
        return Err(invalid("Attribute column cannot be given while reading data."));
    }
    let key = table.key_of(sent.key, false)?;
    let mut rows = plain::Rows::new();
    let mut size = 0;
    if let Some(row) = table.rows.get(&key) {
        let row = table.visible(row, context.now);
        size = row_size(&key, &row);
        if let Some(row) = reading.of(row, |name| table.key.iter().any(|(column, _)| column == name)) {
            push(&mut rows, table, &key, &row);
        }
    }
    Ok((rows.finish(), units(size)))
}

/// Adds a row to an answer: columns by name, and of each the newest version first.
pub(super) fn push(rows: &mut plain::Rows, table: &Table, key: &[Part], row: &Row) {
    let cells =
        row.iter().flat_map(|(name, versions)| versions.iter().rev().map(move |(time, cell)| (name.as_str(), cell, *time)));
    rows.push(named(table, key), cells);
}

pub(super) fn get(instance: &mut Instance, request: &Message<'_>, context: &Context<'_>) -> Result<Vec<u8>, Refusal> {
    let table = instance.ready(&request.needed_text(1, "table_name")?, context)?;
    let reading = Reading::parse(request, [3, 4, 5, 7, 8, 9, 10])?;
    let (row, units) = read(table, request.needed(2, "primary_key")?, &reading, context)?;
    let mut to = Writer::default();
    consumed(&mut to, 1, units, 0);
    to.bytes(2, &row);
    Ok(to.finish())
}
