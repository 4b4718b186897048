//! Rows of one table: from the bytes of a row event to canonical rows, with the definition that the table
//! had at the event's position.
//!
//! Built once per definition and table map; a row then costs no look-ups. All columns are walked over, only
//! the selected ones are rendered.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::align::align;
use super::column::{ColumnDecoder, Scratch, mismatch};
use super::cursor::{Cursor, malformed};
use super::json_diff;
use super::rows::{RowsEvent, RowsKind};
use super::table_map::{MapColumn, TableMap, bit};
use godwit_model::definition::{Generated, TableDefinition};
use godwit_model::error::{Context, Error, Result};
use godwit_model::row::{Row, RowBuilder};

/// Decodes the rows of one table.
#[derive(Debug, Clone)]
pub struct RowDecoder {
    table: String,
    columns: Vec<NamedColumn>,
    before: Selection,
    after: Selection,
}

#[derive(Debug, Clone)]
struct NamedColumn {
    name: String,
    decoder: ColumnDecoder,
    /// Its value is no part of the table's data and some servers leave it out of the log.
    virtual_column: bool,
}

/// Columns of an image that are wanted, in the order of the row.
#[derive(Debug, Clone)]
struct Selection {
    order: Vec<usize>,
    wanted: Vec<bool>,
    /// The order is the image's own.
    ascending: bool,
}

impl Selection {
    /// `places`: where the log has the definition's columns; `columns`: how many the log has.
    fn new(selected: &[usize], places: &[usize], columns: usize, table: &str) -> Result<Self> {
        let mut wanted = vec![false; columns];
        let mut order = Vec::with_capacity(selected.len());
        for column in selected {
            let place = *places.get(*column).ok_or_else(|| Error::definite(format!("{table} has no column number {column}")))?;
            wanted.get_mut(place).into_iter().for_each(|slot| *slot = true);
            order.push(place);
        }
        let ascending = order.is_sorted_by(|left, right| left < right);
        Ok(Self { order, wanted, ascending })
    }
}

impl RowDecoder {
    /// Checks that `map`, from the log, agrees with `definition`, and prepares to decode the columns
    /// `selected_before` of before images (updates and deletes) and `selected_after` of after images (inserts
    /// and updates), in these orders.
    ///
    /// # Errors
    /// Definite when the log and the definition disagree about the number of columns or about a column.
    pub fn new(
        definition: &TableDefinition,
        map: &TableMap,
        selected_before: &[usize],
        selected_after: &[usize],
    ) -> Result<Self> {
        let table = definition.qualified();
        let mut columns = Vec::with_capacity(map.columns.len());
        // Place in the log of each column of the definition.
        let mut places = Vec::with_capacity(definition.columns.len());
        for (logged, defined) in map.columns.iter().zip(align(definition, map)?) {
            let Some(column) = defined.and_then(|i| definition.columns.get(i)) else {
                columns.push(hidden(&table, logged)?);
                continue;
            };
            places.push(columns.len());
            let decoder = ColumnDecoder::new(column, logged).map_err(|found| mismatch(&table, column, &found))?;
            columns.push(NamedColumn {
                name: column.name.clone(),
                decoder,
                virtual_column: column.generated == Generated::Virtual,
            });
        }
        let before = Selection::new(selected_before, &places, columns.len(), &table)?;
        let after = Selection::new(selected_after, &places, columns.len(), &table)?;
        Ok(Self { table, columns, before, after })
    }

    /// Hands every row to `sink`: the before image of updates and deletes, the after image of inserts and
    /// updates.
    ///
    /// # Errors
    /// The sink's; definite when bytes are malformed or an image lacks columns.
    pub fn decode_rows(&self, rows: &RowsEvent<'_>, sink: &mut impl FnMut(Option<Row>, Option<Row>) -> Result<()>) -> Result<()> {
        self.borrowed(rows, &mut |before, after| sink(before, after).map(|()| ControlFlow::Continue(()))).map(drop)
    }

    /// The same for rows that were not decoded yet, until `sink` has enough: a decoded row may be far larger than its bytes. An event
    /// that has its own memory gives it back as its rows are read: the image before a large update is gone when the image after
    /// it is copied.
    ///
    /// # Errors
    /// As [`RowDecoder::decode_rows`].
    pub fn next_rows(
        &self,
        rows: &mut RowsEvent<'_>,
        sink: &mut impl FnMut(Option<Row>, Option<Row>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        if rows.kind == RowsKind::Update && matches!(rows.rows, Cow::Owned(_)) {
            return self.owned_updates(rows, sink);
        }
        rows.read = self.borrowed(rows, sink)?;
        Ok(())
    }

    /// Bytes and rows that are decoded then.
    fn borrowed(
        &self,
        rows: &RowsEvent<'_>,
        sink: &mut impl FnMut(Option<Row>, Option<Row>) -> Result<ControlFlow<()>>,
    ) -> Result<(usize, u64)> {
        let (start, mut number) = rows.read;
        let mut pass = self.pass(rows.rows.get(start..).unwrap_or_default(), rows);
        let before_present = self.present(rows, &rows.before_present)?;
        let after_present = self.present(rows, &rows.after_present)?;
        while !pass.input.is_empty() {
            number += 1;
            let images = pass.row(rows.kind, (&self.before, &before_present), (&self.after, &after_present));
            let (before, after) = images.context(format_args!("row {number} of an event for {}", self.table))?;
            if sink(before, after)?.is_break() {
                break;
            }
        }
        Ok((rows.rows.len() - pass.input.rest().len(), number))
    }

    fn owned_updates(
        &self,
        rows: &mut RowsEvent<'_>,
        sink: &mut impl FnMut(Option<Row>, Option<Row>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let before_present = self.present(rows, &rows.before_present)?;
        let after_present = self.present(rows, &rows.after_present)?;
        let (start, mut number) = rows.read;
        let mut memory = Front { bytes: std::mem::take(&mut rows.rows).into_owned(), start };
        while !memory.rest().is_empty() {
            number += 1;
            let mut image = |selection, present| {
                let mut pass = self.pass(memory.rest(), rows);
                let row =
                    pass.image((selection, present)).context(format_args!("row {number} of an event for {}", self.table))?;
                let left = pass.input.rest().len();
                memory.keep(left);
                Ok::<_, Error>(row)
            };
            let before = image(&self.before, &before_present)?;
            let after = image(&self.after, &after_present)?;
            if sink(Some(before), Some(after))?.is_break() {
                break;
            }
        }
        rows.read = (memory.start, number);
        rows.rows = Cow::Owned(memory.bytes);
        Ok(())
    }

    fn pass<'a>(&'a self, input: &'a [u8], rows: &RowsEvent<'_>) -> Pass<'a> {
        Pass {
            columns: &self.columns,
            input: Cursor::new(input),
            builder: RowBuilder::default(),
            scratch: Scratch::new(rows.json, rows.largest),
            values: Vec::new(),
            documents: Vec::new(),
        }
    }

    /// Checks that an image has all columns that matter.
    fn present(&self, rows: &RowsEvent<'_>, bitmap: &[u8]) -> Result<Vec<bool>> {
        if rows.columns != self.columns.len() {
            return Err(Error::definite(format!(
                "the binary log does not agree with the known definition of {}: its description has {} columns, a row has {}",
                self.table,
                self.columns.len(),
                rows.columns
            )));
        }
        // An image that this kind of event does not have.
        if bitmap.is_empty() {
            return Ok(Vec::new());
        }
        let present: Vec<bool> = (0..self.columns.len()).map(|i| bit(bitmap, i)).collect();
        let missing = self.columns.iter().zip(&present).enumerate().find(|(i, (column, present))| {
            let selected = [&self.before, &self.after].iter().any(|selection| selection.wanted.get(*i) == Some(&true));
            !**present && (!column.virtual_column || selected)
        });
        match missing {
            Some((_, (column, _))) => Err(Error::definite(format!(
                "rows of {} came without column `{}`: a session on the source wrote them with binlog_row_image other than FULL; \
                 set binlog_row_image=FULL for all sessions, and copy this table again",
                self.table, column.name
            ))),
            None => Ok(present),
        }
    }
}

fn hidden(table: &str, logged: &MapColumn) -> Result<NamedColumn> {
    let decoder = ColumnDecoder::hidden(logged).ok_or_else(|| {
        Error::definite(format!(
            "the binary log has the hidden column of an index of {table} with type {}, which cannot be read; \
             drop the functional or multi-valued index on the source and copy the table again",
            logged.column_type
        ))
    })?;
    let name = logged.name.clone().unwrap_or_else(|| "(hidden)".to_owned());
    Ok(NamedColumn { name, decoder, virtual_column: true })
}

/// Less than this is not given back: the rest would have to be moved for it.
const GIVEN_BACK: usize = 1 << 20;

/// Memory that is given back from its beginning on.
struct Front {
    bytes: Vec<u8>,
    start: usize,
}

impl Front {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Only the last `left` bytes are needed any more.
    fn keep(&mut self, left: usize) {
        self.start = self.bytes.len().saturating_sub(left);
        // What is moved is never more than a few times what was given back, however many rows there are.
        if self.start >= GIVEN_BACK.max(left / 4) {
            self.bytes.drain(..self.start);
            self.bytes.shrink_to_fit();
            self.start = 0;
        }
    }
}

/// One pass over the rows of an event.
struct Pass<'a> {
    columns: &'a [NamedColumn],
    input: Cursor<'a>,
    builder: RowBuilder,
    scratch: Scratch,
    /// The image's values by column, where they are rendered in another order.
    values: Vec<Option<&'a [u8]>>,
    /// JSON documents of the before image, by column, where the after image may refer to them.
    documents: Vec<Option<&'a [u8]>>,
}

type Image<'s> = (&'s Selection, &'s [bool]);

impl<'a> Pass<'a> {
    fn row(
        &mut self,
        kind: RowsKind,
        before: (&Selection, &Vec<bool>),
        after: (&Selection, &Vec<bool>),
    ) -> Result<(Option<Row>, Option<Row>)> {
        let before: Image<'_> = (before.0, before.1);
        let after: Image<'_> = (after.0, after.1);
        Ok(match kind {
            RowsKind::Insert => (None, Some(self.image(after)?)),
            RowsKind::Delete => (Some(self.image(before)?), None),
            RowsKind::Update => (Some(self.image(before)?), Some(self.image(after)?)),
            RowsKind::PartialUpdate => {
                self.walk(before.1)?;
                let old = self.render_values(before.0)?;
                std::mem::swap(&mut self.values, &mut self.documents);
                (Some(old), Some(self.partial_image(after)?))
            }
        })
    }

    fn image(&mut self, (selection, present): Image<'_>) -> Result<Row> {
        if !selection.ascending {
            self.walk(present)?;
            return self.render_values(selection);
        }
        let mut nulls = self.nulls(present)?;
        for ((column, present), wanted) in self.columns.iter().zip(present).zip(&selection.wanted) {
            if !*present {
                continue;
            }
            if nulls.next() {
                if *wanted {
                    self.builder.push_null();
                }
                continue;
            }
            let bytes = column.decoder.take(&mut self.input).map_err(|error| named(error, column))?;
            if *wanted {
                column.decoder.render(bytes, &mut self.builder, &mut self.scratch).map_err(|error| named(error, column))?;
            }
        }
        Ok(self.builder.take())
    }

    /// The null bits: one for each column that is present.
    fn nulls(&mut self, present: &[bool]) -> Result<NullBits<'a>> {
        let count = present.iter().filter(|present| **present).count();
        if count == 0 {
            return Err(malformed("row image without columns"));
        }
        Ok(NullBits { bytes: self.input.take(count.div_ceil(8))?, place: 0 })
    }

    /// Reads an image into `values`, rendering nothing.
    fn walk(&mut self, present: &[bool]) -> Result<()> {
        self.values.clear();
        let mut nulls = self.nulls(present)?;
        for (column, present) in self.columns.iter().zip(present) {
            let value = if !*present || nulls.next() {
                None
            } else {
                Some(column.decoder.take(&mut self.input).map_err(|error| named(error, column))?)
            };
            self.values.push(value);
        }
        Ok(())
    }

    fn render_values(&mut self, selection: &Selection) -> Result<Row> {
        for i in &selection.order {
            match (self.columns.get(*i), self.values.get(*i).copied().flatten()) {
                (Some(column), Some(bytes)) => {
                    column.decoder.render(bytes, &mut self.builder, &mut self.scratch).map_err(|error| named(error, column))?;
                }
                _ => self.builder.push_null(),
            }
        }
        Ok(self.builder.take())
    }

    /// The after image of a PARTIAL_UPDATE_ROWS event: options, a bit for each JSON column of the table that
    /// says whether it is partial, then an image in which a partial column has a length and changes.
    fn partial_image(&mut self, (selection, present): Image<'_>) -> Result<Row> {
        const PARTIAL_JSON: u64 = 1;
        let json_columns = self.columns.iter().filter(|column| column.decoder.is_json).count();
        let partial = if self.input.lenenc()? & PARTIAL_JSON != 0 { self.input.take(json_columns.div_ceil(8))? } else { &[] };
        let mut partial = NullBits { bytes: partial, place: 0 };
        let mut nulls = self.nulls(present)?;
        let mut values = Vec::with_capacity(self.columns.len());
        for (column, present) in self.columns.iter().zip(present) {
            let is_partial = column.decoder.is_json && partial.next();
            if !*present || nulls.next() {
                values.push(None);
            } else if is_partial {
                let length = self.input.u32().map_err(|error| named(error, column))?;
                values.push(Some((self.input.take(length as usize).map_err(|error| named(error, column))?, true)));
            } else {
                values.push(Some((column.decoder.take(&mut self.input).map_err(|error| named(error, column))?, false)));
            }
        }
        let mut text = Vec::new();
        for i in &selection.order {
            let Some(column) = self.columns.get(*i) else { continue };
            match values.get(*i).copied().flatten() {
                None => self.builder.push_null(),
                Some((bytes, false)) => {
                    column.decoder.render(bytes, &mut self.builder, &mut self.scratch).map_err(|error| named(error, column))?;
                }
                Some((changes, true)) => {
                    let document = self.documents.get(*i).copied().flatten();
                    let document = document.ok_or_else(|| named(malformed("change of a JSON document that is NULL"), column))?;
                    self.scratch.has_room_for_change(document).map_err(|error| named(error, column))?;
                    text.clear();
                    json_diff::apply(document, changes, self.scratch.json, &mut text).map_err(|error| named(error, column))?;
                    self.builder.push(Some(&text));
                }
            }
        }
        Ok(self.builder.take())
    }
}

#[cold]
fn named(error: Error, column: &NamedColumn) -> Error {
    error.context(format_args!("column `{}`", column.name))
}

/// Bits in order, least significant first; beyond the end they are off.
struct NullBits<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl NullBits<'_> {
    #[inline]
    fn next(&mut self) -> bool {
        let on = bit(self.bytes, self.place);
        self.place += 1;
        on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_from_the_front() {
        let mut front = Front { bytes: (0..4 << 20).map(|place| (place % 251) as u8).collect(), start: 0 };
        let whole = front.bytes.clone();
        for left in [(4 << 20) - 10, (3 << 20) - 10, (3 << 20) - 11, 1 << 20, 100, 0] {
            front.keep(left);
            assert!(front.rest() == &whole[whole.len() - left..], "{left}");
            assert!(front.bytes.capacity() <= left + GIVEN_BACK.max(left / 4), "{left}");
        }
    }
}
