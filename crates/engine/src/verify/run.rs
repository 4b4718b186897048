//! The state of one table under comparison, and the pieces it is cut into.
//!
//! A [`Ticket`] is one attempt at one piece. It ends when the piece is read *and* every key it brought up is
//! settled; then its counts go to the table, in the order of the pieces, so that the table's progress is
//! always "everything up to this key". An attempt that failed is abandoned with its counts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::json;
use super::options::OnProgress;
use super::order::Order;
use super::progress::{Counts, TableProgress, bound_text};
use crate::plan::TablePlan;
use crate::rows::{KeyBound, SelectOptions, Side, select_statement};
use crate::sql::Sql;
use crate::value::json_types::plain;
use godwit_model::row::{CellRef, Row, RowBuilder};

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the destination's table looks like, as far as reading it goes.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    /// The key's index exists there under the source's name.
    pub has_key_index: bool,
    /// Places of columns that are JSON on one side and text on the other.
    pub mixed_json: Vec<usize>,
    /// Where it is not the source's.
    pub order: Option<Order>,
}

/// One table.
pub(super) struct TableRun {
    pub plan: Arc<TablePlan>,
    pub shape: Shape,
    sample_limit: usize,
    state: Mutex<State>,
    rows: AtomicU64,
    bytes: AtomicU64,
    on_progress: Option<OnProgress>,
}

struct State {
    progress: TableProgress,
    /// Finished pieces behind the first unfinished one.
    finished: BTreeMap<u64, (Piece, Counts)>,
    next: u64,
    /// Number of pieces, once known.
    pieces: Option<u64>,
}

impl TableRun {
    pub(super) fn new(
        plan: Arc<TablePlan>,
        shape: Shape,
        resumed: Option<&TableProgress>,
        sample_limit: usize,
        on_progress: Option<OnProgress>,
    ) -> Arc<Self> {
        let mut progress = resumed.cloned().unwrap_or_default();
        progress.source = plan.source.to_string();
        progress.destination = plan.destination.to_string();
        progress.error = None;
        let state = State { progress, finished: BTreeMap::new(), next: 0, pieces: None };
        let (rows, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { plan, shape, sample_limit, state: Mutex::new(state), rows, bytes, on_progress })
    }

    /// Counts rows and bytes, by which later pieces are sized.
    pub(super) fn measure(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of a row: measured, or what the server estimates.
    pub(super) fn average_row_bytes(&self) -> u64 {
        let rows = self.rows.load(Ordering::Relaxed);
        let measured = self.bytes.load(Ordering::Relaxed).checked_div(rows);
        measured.unwrap_or(self.plan.definition.average_row_bytes).max(16)
    }

    /// The statement that reads the rows under a condition.
    pub(super) fn select(&self, side: Side, condition: &Sql) -> Sql {
        let force_index = self.plan.has_key() && self.force_index(side);
        // Where JSON meets text, only texts can be compared.
        let json_types = self.shape.mixed_json.is_empty();
        select_statement(&self.plan, side, condition, SelectOptions { force_index, ordered: self.plan.has_key(), json_types })
    }

    /// Whether statements may name the key's index on this side.
    pub(super) fn force_index(&self, side: Side) -> bool {
        side == Side::Source || self.shape.has_key_index
    }

    /// The row as it is compared: documents in one spelling where JSON meets text.
    pub(super) fn comparable<'a>(&self, row: &'a Row) -> Cow<'a, Row> {
        if self.shape.mixed_json.is_empty() {
            return Cow::Borrowed(row);
        }
        let mut builder = RowBuilder::with_capacity(row.size());
        for (place, cell) in row.cells().enumerate() {
            builder.push(self.comparable_cell(place, cell).as_deref());
        }
        Cow::Owned(builder.finish())
    }

    fn comparable_cell<'a>(&self, place: usize, cell: CellRef<'a>) -> Option<Cow<'a, [u8]>> {
        let bytes = cell?;
        let document = if self.shape.mixed_json.contains(&place) { json::canonical(&plain(bytes)) } else { None };
        Some(document.map_or(Cow::Borrowed(bytes), Cow::Owned))
    }

    /// Whether two values of a column count as equal.
    pub(super) fn cells_equal(&self, place: usize, left: CellRef<'_>, right: CellRef<'_>) -> bool {
        left == right || self.comparable_cell(place, left) == self.comparable_cell(place, right)
    }

    /// Whether two rows count as equal.
    pub(super) fn rows_equal(&self, left: &Row, right: &Row) -> bool {
        left == right || (!self.shape.mixed_json.is_empty() && self.comparable(left) == self.comparable(right))
    }

    /// A piece's first attempt.
    pub(super) fn ticket(self: &Arc<Self>, number: u64, piece: Piece) -> Arc<Ticket> {
        Arc::new(Ticket {
            run: self.clone(),
            number,
            piece,
            open: AtomicUsize::new(1),
            abandoned: AtomicBool::new(false),
            counts: Mutex::new(Counts::default()),
        })
    }

    /// Says how many pieces there are.
    pub(super) fn cut_into(&self, pieces: u64) {
        lock(&self.state).pieces = Some(pieces);
        self.advance();
    }

    /// The table cannot be compared.
    pub(super) fn fail(&self, error: impl std::fmt::Display) {
        lock(&self.state).progress.error.get_or_insert_with(|| error.to_string());
        self.tell();
    }

    /// Whether comparing it further makes no sense.
    pub(super) fn has_failed(&self) -> bool {
        lock(&self.state).progress.error.is_some()
    }

    pub(super) fn progress(&self) -> TableProgress {
        lock(&self.state).progress.clone()
    }

    fn finish(&self, ticket: &Ticket) {
        let counts = std::mem::take(&mut *lock(&ticket.counts));
        lock(&self.state).finished.insert(ticket.number, (ticket.piece.clone(), counts));
        self.advance();
    }

    fn advance(&self) {
        {
            let mut state = lock(&self.state);
            let mut number = state.next;
            while let Some((piece, counts)) = state.finished.remove(&number) {
                state.progress.counts.add(counts, self.sample_limit);
                state.progress.bound = piece.hi.as_ref().map(bound_text).or_else(|| state.progress.bound.take());
                state.progress.reached = piece.reached.as_ref().map(bound_text);
                number += 1;
            }
            state.next = number;
            state.progress.done = state.pieces == Some(state.next);
        }
        self.tell();
    }

    fn tell(&self) {
        if let Some(tell) = &self.on_progress {
            tell(&self.progress());
        }
    }
}

/// A piece: `(lo, hi]`.
#[derive(Debug, Clone, Default)]
pub(super) struct Piece {
    pub lo: Option<KeyBound>,
    pub hi: Option<KeyBound>,
    /// Where the destination has another order: the greatest bound there up to the piece before, instead of `lo`, …
    pub behind: Option<KeyBound>,
    /// … and with this piece.
    pub reached: Option<KeyBound>,
}

/// One attempt at one piece.
pub(super) struct Ticket {
    pub run: Arc<TableRun>,
    number: u64,
    pub piece: Piece,
    open: AtomicUsize,
    abandoned: AtomicBool,
    counts: Mutex<Counts>,
}

impl Ticket {
    /// Another one waits for this piece: a key that has to be settled.
    pub(super) fn hold(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// One of those who wait is done.
    pub(super) fn release(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 && !self.is_abandoned() {
            self.run.finish(self);
        }
    }

    /// This attempt failed; gives the next one.
    pub(super) fn abandon(&self) -> Arc<Ticket> {
        self.abandoned.store(true, Ordering::Release);
        self.run.ticket(self.number, self.piece.clone())
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut lock(&self.counts));
    }

    pub(super) fn sample_limit(&self) -> usize {
        self.run.sample_limit
    }
}
