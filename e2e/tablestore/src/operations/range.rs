//! Ranges of keys.

use std::ops::Bound;

use crate::filter::Reading;
use crate::operations::row::push;
use crate::operations::{Context, Instance, consumed, table};
use crate::plain;
use crate::refusal::{Refusal, invalid};
use crate::store::{Part, Row, Table, row_size, units};
use crate::wire::{Message, Writer};

/// Rows and bytes of one answer.
const ROWS: usize = 5000;
const BYTES: usize = 4 * 1024 * 1024;

fn end_of(table: &Table, sent: &[u8]) -> Result<Vec<Part>, Refusal> {
    let sent = plain::read(sent)?;
    if sent.deletes_row || !sent.edits.is_empty() {
        return Err(invalid("Attribute column cannot be given while reading data."));
    }
    table.key_of(sent.key, true)
}

pub(super) fn get(instance: &mut Instance, request: &Message<'_>, context: &Context<'_>) -> Result<Vec<u8>, Refusal> {
    let table = instance.ready(&request.needed_text(1, "table_name")?, context)?;
    let from = end_of(table, request.needed(7, "inclusive_start_primary_key")?)?;
    let to = end_of(table, request.needed(8, "exclusive_end_primary_key")?)?;
    let reading = Reading::parse(request, [3, 4, 5, 10, 11, 12, 13])?;
    let limit = match request.number(6) {
        None => ROWS,
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| *limit > 0)
            .ok_or_else(|| invalid("The limit must be greater than 0."))?
            .min(ROWS),
    };
    let rows: Box<dyn Iterator<Item = (&Vec<Part>, &Row)>> = match request.needed_number(2, "direction")? {
        0 if from < to => Box::new(table.rows.range((Bound::Included(from), Bound::Excluded(to)))),
        1 if from > to => Box::new(table.rows.range((Bound::Excluded(to), Bound::Included(from))).rev()),
        0 => return Err(invalid("Begin key must less than end key in FORWARD.")),
        1 => return Err(invalid("Begin key must more than end key in BACKWARD.")),
        _ => return Err(invalid("Invalid direction.")),
    };
    let mut answer = plain::Rows::new();
    let (mut seen, mut size, mut next) = (0, 0, None);
    for (key, row) in rows {
        if seen >= limit || answer.len() >= BYTES {
            next = Some(key);
            break;
        }
        seen += 1;
        let row = table.visible(row, context.now);
        size += row_size(key, &row);
        if let Some(row) = reading.of(row, |name| table.key.iter().any(|(column, _)| column == name)) {
            push(&mut answer, table, key, &row);
        }
    }
    let mut to = Writer::default();
    consumed(&mut to, 1, units(size), 0);
    to.bytes(2, &answer.finish());
    if let Some(next) = next {
        let mut point = plain::Rows::new();
        push(&mut point, table, next, &Row::new());
        to.bytes(3, &point.finish());
    }
    Ok(to.finish())
}

pub(super) fn split(instance: &mut Instance, request: &Message<'_>, context: &Context<'_>) -> Result<Vec<u8>, Refusal> {
    let table = instance.ready(&request.needed_text(1, "table_name")?, context)?;
    let size = request.needed_number(2, "split_size")?;
    let unit = request.number(3).unwrap_or(100 * 1024 * 1024);
    let size = size.checked_mul(unit).and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
    let size = size.ok_or_else(|| invalid("Invalid split size."))?;
    let mut points: Vec<&[Part]> = Vec::new();
    let mut lain = 0;
    let mut before: Option<&Vec<Part>> = None;
    for (key, row) in &table.rows {
        if lain >= size {
            // What is left out at the end of a point is at its minimum, so a new value of the first column needs no more than itself.
            let begins = before.is_some_and(|before| before.first() != key.first());
            points.push(if begins { key.split_at(1).0 } else { key });
            lain = 0;
        }
        lain += row_size(key, row);
        before = Some(key);
    }
    let mut to = Writer::default();
    consumed(&mut to, 1, 1, 0);
    table::write_schema(&mut to, 2, table);
    for point in &points {
        let mut row = plain::Rows::new();
        push(&mut row, table, point, &Row::new());
        to.bytes(3, &row.finish());
    }
    to.message(4, |to| {
        to.bytes(1, b"");
        to.zigzag(2, i64::try_from(points.len() + 1).unwrap_or(i64::MAX));
    });
    Ok(to.finish())
}
