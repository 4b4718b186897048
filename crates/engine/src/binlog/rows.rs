//! Row events: which table, which columns, and the bytes of the rows.

use std::borrow::Cow;
use std::sync::Arc;

use super::bounds::{self, MOST_COLUMNS};
use super::compress;
use super::cursor::{Cursor, malformed};
use super::event::code;
use super::jsonb::JsonForm;
use super::table_map::TableMap;
use godwit_model::error::Result;

/// What happened to the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsKind {
    Insert,
    Update,
    Delete,
    /// An update whose after image may hold changes of JSON documents instead of the documents
    /// (`binlog_row_value_options=PARTIAL_JSON`).
    PartialUpdate,
}

/// Changed rows of one table, still encoded.
#[derive(Debug, Clone)]
pub struct RowsEvent<'a> {
    pub kind: RowsKind,
    pub table: Arc<TableMap>,
    pub flags: u16,
    /// Which types inside JSON documents count.
    pub json: JsonForm,
    pub(super) columns: usize,
    pub(super) before_present: Cow<'a, [u8]>,
    pub(super) after_present: Cow<'a, [u8]>,
    pub(super) rows: Cow<'a, [u8]>,
    /// Bytes of `rows` that were decoded, and rows.
    pub(super) read: (usize, u64),
    /// What the engine may spend on a value that is compressed.
    pub(super) largest: usize,
}

/// A row event's head.
pub(super) struct RowsHead {
    pub table_id: u64,
    pub flags: u16,
}

impl RowsHead {
    pub(super) const STATEMENT_END: u16 = 0x1;

    /// An event without rows that only ends the statement.
    pub(super) fn is_dummy(&self) -> bool {
        matches!(self.table_id, 0x00ff_ffff | 0xffff_ffff | 0xffff_ffff_ffff)
    }

    pub(super) fn parse(cursor: &mut Cursor<'_>, id_length: usize) -> Result<Self> {
        Ok(Self { table_id: cursor.uint(id_length)?, flags: cursor.u16()? })
    }
}

/// Form of a row event type.
#[derive(Clone, Copy)]
pub(super) struct RowsForm {
    pub kind: RowsKind,
    /// Extra data before the columns.
    pub version_2: bool,
    pub compressed: bool,
}

impl RowsForm {
    pub(super) fn of(event_type: u8) -> Option<Self> {
        let (kind, version_2, compressed) = match event_type {
            code::WRITE_ROWS_V1 => (RowsKind::Insert, false, false),
            code::UPDATE_ROWS_V1 => (RowsKind::Update, false, false),
            code::DELETE_ROWS_V1 => (RowsKind::Delete, false, false),
            code::WRITE_ROWS => (RowsKind::Insert, true, false),
            code::UPDATE_ROWS => (RowsKind::Update, true, false),
            code::DELETE_ROWS => (RowsKind::Delete, true, false),
            code::PARTIAL_UPDATE_ROWS => (RowsKind::PartialUpdate, true, false),
            code::MARIA_WRITE_ROWS_COMPRESSED_V1 => (RowsKind::Insert, false, true),
            code::MARIA_UPDATE_ROWS_COMPRESSED_V1 => (RowsKind::Update, false, true),
            code::MARIA_DELETE_ROWS_COMPRESSED_V1 => (RowsKind::Delete, false, true),
            code::MARIA_WRITE_ROWS_COMPRESSED => (RowsKind::Insert, true, true),
            code::MARIA_UPDATE_ROWS_COMPRESSED => (RowsKind::Update, true, true),
            code::MARIA_DELETE_ROWS_COMPRESSED => (RowsKind::Delete, true, true),
            _ => return None,
        };
        Some(Self { kind, version_2, compressed })
    }
}

impl<'a> RowsEvent<'a> {
    /// `cursor` stands behind the head; `largest`: what the engine may spend on an event.
    pub(super) fn parse(
        form: RowsForm,
        flags: u16,
        table: Arc<TableMap>,
        mut cursor: Cursor<'a>,
        largest: usize,
    ) -> Result<Self> {
        if form.version_2 {
            let length = usize::from(cursor.u16()?);
            cursor.take(length.checked_sub(2).ok_or_else(|| malformed("row event's extra data"))?)?;
        }
        let columns = bounds::count(cursor.lenenc_size()?, MOST_COLUMNS, "columns in a row event")?;
        let present = cursor.take(columns.div_ceil(8))?;
        let (before_present, after_present): (&[u8], &[u8]) = match form.kind {
            RowsKind::Insert => (&[], present),
            RowsKind::Delete => (present, &[]),
            RowsKind::Update | RowsKind::PartialUpdate => (present, cursor.take(columns.div_ceil(8))?),
        };
        let rows = match form.compressed {
            true => Cow::Owned(compress::maria_event(cursor.rest(), largest)?),
            false => Cow::Borrowed(cursor.rest()),
        };
        Ok(Self {
            kind: form.kind,
            table,
            flags,
            json: JsonForm::default(),
            columns,
            before_present: Cow::Borrowed(before_present),
            after_present: Cow::Borrowed(after_present),
            rows,
            read: (0, 0),
            largest,
        })
    }

    /// Last row event of its statement.
    pub fn ends_statement(&self) -> bool {
        self.flags & RowsHead::STATEMENT_END != 0
    }

    /// `foreign_key_checks` of the session that made the change.
    pub fn foreign_key_checks(&self) -> bool {
        self.flags & 0x2 == 0
    }

    /// The SQL layer carried foreign keys out, so that what they changed is in the log as rows of its own (MySQL 9.6 on, unless
    /// `innodb_native_foreign_keys` is on). A replica that writes an older server's change into its log leaves the mark out, as it
    /// leaves out the children's rows.
    pub fn logs_cascades(&self) -> bool {
        self.flags & 0x10 != 0
    }

    /// Foreign keys may have changed children of these rows without a trace in the log.
    pub fn may_cascade(&self) -> bool {
        self.kind != RowsKind::Insert && self.foreign_key_checks() && !self.logs_cascades()
    }

    /// `unique_checks` of the session that made the change.
    pub fn unique_checks(&self) -> bool {
        self.flags & 0x4 == 0
    }

    /// Whether no row of it was decoded yet.
    pub fn is_new(&self) -> bool {
        self.read.1 == 0
    }

    /// Whether all of its rows were decoded.
    pub fn is_read(&self) -> bool {
        self.read.0 >= self.rows.len()
    }

    /// Bytes of the rows, decompressed: what a queue that holds the event needs.
    pub fn size(&self) -> usize {
        self.rows.len()
    }

    /// Takes the event off the memory that it came in, to be given that memory as its own.
    pub fn detach(self) -> DetachedRows {
        let (rows, missing) = match self.rows {
            Cow::Owned(rows) => (rows, None),
            Cow::Borrowed(rows) => (Vec::new(), Some(rows.len())),
        };
        let event = RowsEvent {
            kind: self.kind,
            table: self.table,
            flags: self.flags,
            json: self.json,
            columns: self.columns,
            before_present: Cow::Owned(self.before_present.into_owned()),
            after_present: Cow::Owned(self.after_present.into_owned()),
            rows: Cow::Owned(rows),
            read: self.read,
            largest: self.largest,
        };
        DetachedRows { event, missing }
    }

    /// The event with its own bytes, to be decoded later or elsewhere.
    pub fn into_owned(self) -> RowsEvent<'static> {
        let rows = self.rows.to_vec();
        self.detach().attach(|_| rows)
    }
}

/// A row event whose rows are still where it came from.
pub struct DetachedRows {
    event: RowsEvent<'static>,
    /// How many bytes they are; None: the event has them (they were decompressed).
    missing: Option<usize>,
}

impl DetachedRows {
    /// The event, with the last bytes of the body that it came in: `tail` is told how many.
    pub fn attach(self, tail: impl FnOnce(usize) -> Vec<u8>) -> RowsEvent<'static> {
        let mut event = self.event;
        if let Some(length) = self.missing {
            event.rows = Cow::Owned(tail(length));
        }
        event
    }
}
