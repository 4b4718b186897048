//! Which key ranges of a table are still to be copied.
//!
//! A table is cut from its beginning to its end, one cut after the other, while other workers already read
//! the pieces cut before. After a restart the ranges between recorded chunks come first, then the cutting goes
//! on behind the last one.

use std::collections::VecDeque;

use mysql_async::Conn;

use crate::checkpoint::SavedChunk;
use crate::plan::TablePlan;
use crate::rows::{KeyBound, Side, read_boundary};
use crate::sizing::CHUNK_BYTES;
use godwit_model::error::Result;

/// No chunk has more rows: the drop set and the cut's OFFSET stay cheap.
const MAX_CHUNK_ROWS: u64 = 100_000;

/// Rows of the first chunk at most: the statistics that its size rests on may be wrong.
const FIRST_CHUNK_ROWS: u64 = 10_000;

/// Cuts are numbered this far apart, so that the pieces of a cut that came out too large find room behind it:
/// numbers rise with the keys.
const NUMBER_STEP: u64 = 1 << 20;

/// Numbers for the pieces of a piece.
const PIECE_NUMBERS: u64 = 64;

/// A key range `(low, high]` to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub number: u64,
    /// Numbers from here on belong to ranges behind this one.
    pub next_number: u64,
    pub low: Option<KeyBound>,
    pub high: Option<KeyBound>,
    /// It is cut where it has so many.
    pub most_rows: Option<u64>,
}

impl Range {
    /// Whether there is a number left for a rest.
    pub(crate) fn can_split(&self) -> bool {
        self.number + 1 < self.next_number
    }
}

/// Cuts one table.
#[derive(Debug)]
pub(crate) struct Cutter {
    next_number: u64,
    /// End of the last cut; None: nothing is cut yet.
    last: Option<KeyBound>,
    finished: bool,
    /// Ranges given back or left over from an earlier run.
    waiting: VecDeque<Range>,
    row_bytes: u64,
    rows_per_chunk: u64,
}

impl Cutter {
    /// `done`: the recorded chunks in the order of their numbers.
    pub(crate) fn new(table: &TablePlan, done: &[SavedChunk]) -> Self {
        let mut ordered: Vec<&SavedChunk> = done.iter().collect();
        ordered.sort_by_key(|chunk| chunk.number);
        let mut waiting = VecDeque::new();
        let mut reached: Option<KeyBound> = None;
        let mut last_number = 0;
        let mut finished = false;
        for chunk in ordered {
            let low = chunk.low.clone().map(KeyBound::from_cells);
            if low != reached {
                // The range between two recorded chunks is one chunk now.
                waiting.push_back(Range {
                    number: last_number + 1,
                    next_number: chunk.number,
                    low: reached,
                    high: low,
                    most_rows: None,
                });
            }
            reached = chunk.high.clone().map(KeyBound::from_cells);
            finished = chunk.high.is_none();
            last_number = chunk.number;
        }
        let row_bytes = table.definition.average_row_bytes.max(16);
        let rows_per_chunk = (CHUNK_BYTES / row_bytes).clamp(1, FIRST_CHUNK_ROWS);
        let next_number = (last_number / NUMBER_STEP + 1) * NUMBER_STEP;
        Self { next_number, last: reached, finished, waiting, row_bytes, rows_per_chunk }
    }

    /// Nothing is left to hand out.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.finished && self.waiting.is_empty()
    }

    /// Memory that a chunk of the present size probably takes. The driver holds a row twice, which counts where a
    /// chunk is one large row. `beside`: what each row takes besides.
    pub(crate) fn expected_bytes(&self, beside: u64) -> u64 {
        let chunk = self.row_bytes.saturating_add(beside).saturating_mul(self.rows_per_chunk);
        if self.row_bytes > CHUNK_BYTES { chunk.saturating_mul(3) } else { chunk }
    }

    /// Bytes of a row, about.
    pub(crate) fn row_bytes(&self) -> u64 {
        self.row_bytes
    }

    /// The next range, of at most about so many rows; None when the table is handed out.
    pub(crate) async fn next(&mut self, conn: &mut Conn, table: &TablePlan, most_rows: u64) -> Result<Option<Range>> {
        if let Some(range) = self.waiting.pop_front() {
            return Ok(Some(range));
        }
        if self.finished {
            return Ok(None);
        }
        let high = read_boundary(conn, table, Side::Source, self.last.as_ref(), self.rows_per_chunk.min(most_rows), true).await?;
        let number = self.next_number;
        self.next_number += NUMBER_STEP;
        let range = Range { number, next_number: self.next_number, low: self.last.take(), high: high.clone(), most_rows: None };
        self.finished = high.is_none();
        self.last = high;
        Ok(Some(range))
    }

    /// Learns from a chunk how many rows make the wanted size.
    pub(crate) fn learn(&mut self, rows: u64, bytes: u64) {
        if let Some(measured) = bytes.checked_div(rows) {
            self.row_bytes = (self.row_bytes + measured).div_ceil(2).max(1);
            self.rows_per_chunk = (CHUNK_BYTES / self.row_bytes).clamp(1, MAX_CHUNK_ROWS);
        }
    }

    /// A range that was not written is read again, after the others that wait.
    pub(crate) fn give_back(&mut self, range: Range) {
        self.waiting.push_back(range);
    }

    /// The same in smaller pieces: to read its `rows` took so long that the log touched too many keys meanwhile.
    pub(crate) fn give_back_smaller(&mut self, range: Range, rows: u64) {
        self.waiting.push_back(Range { most_rows: Some((rows / 4).max(1)), ..range });
    }

    /// A chunk came out too large and was read only up to `reached`: the rest is a chunk of its own.
    pub(crate) fn split(&mut self, range: &Range, reached: KeyBound) -> Range {
        // Pieces that may have to be cut again leave numbers for that.
        let spare = if range.most_rows.is_some() { ((range.next_number - range.number) / 2).clamp(1, PIECE_NUMBERS) } else { 1 };
        let number = range.number + spare;
        let most_rows = range.most_rows;
        let rest =
            Range { number, next_number: range.next_number, low: Some(reached.clone()), high: range.high.clone(), most_rows };
        self.waiting.push_front(rest);
        Range { number: range.number, next_number: number, low: range.low.clone(), high: Some(reached), most_rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use godwit_model::row::{Row, RowBuilder};

    fn key(number: u32) -> Row {
        let mut builder = RowBuilder::default();
        builder.push(Some(number.to_string().as_bytes()));
        builder.finish()
    }

    fn saved(number: u64, low: Option<u32>, high: Option<u32>) -> SavedChunk {
        SavedChunk { number: number * NUMBER_STEP, low: low.map(key), high: high.map(key), rows: 1, bytes: 1 }
    }

    type Bounds = (Option<Row>, Option<Row>);

    fn resumed(done: &[SavedChunk]) -> (Vec<Bounds>, Option<Row>, bool) {
        let table = crate::rows::tests::keyed_by_id();
        let cutter = Cutter::new(&table, done);
        let rest =
            cutter.waiting.iter().map(|r| (r.low.as_ref().map(|b| b.row().clone()), r.high.as_ref().map(|b| b.row().clone())));
        (rest.collect(), cutter.last.as_ref().map(|b| b.row().clone()), cutter.finished)
    }

    #[test]
    fn a_fresh_table_is_cut_from_its_beginning() {
        assert_eq!(resumed(&[]), (vec![], None, false));
    }

    #[test]
    fn gaps_between_recorded_chunks_are_copied_again() {
        let (gaps, last, finished) = resumed(&[saved(2, Some(10), Some(20)), saved(4, Some(30), Some(40))]);
        assert_eq!(gaps, vec![(None, Some(key(10))), (Some(key(20)), Some(key(30)))]);
        assert_eq!((last, finished), (Some(key(40)), false));
    }

    #[test]
    fn what_is_read_again_comes_in_smaller_pieces() {
        let table = crate::rows::tests::keyed_by_id();
        let mut cutter = Cutter::new(&table, &[]);
        let bound = |number| KeyBound::from_cells(key(number));
        let whole = Range { number: 8, next_number: 16, low: None, high: Some(bound(90)), most_rows: None };
        cutter.give_back_smaller(whole, 4000);
        let again = cutter.waiting.pop_front().unwrap();
        assert_eq!((again.number, again.most_rows), (8, Some(1000)));
        let piece = cutter.split(&again, bound(30));
        let rest = cutter.waiting.pop_front().unwrap();
        assert!(piece.can_split() && rest.can_split());
        assert_eq!((piece.low, piece.high, rest.low, rest.high), (None, Some(bound(30)), Some(bound(30)), Some(bound(90))));
        assert_eq!((rest.number, rest.most_rows), (12, Some(1000)));
    }

    #[test]
    fn an_open_end_ends_the_cutting() {
        let (gaps, _, finished) = resumed(&[saved(1, None, Some(10)), saved(2, Some(10), None)]);
        assert!(gaps.is_empty() && finished);
    }
}
