//! The decoder's state: what earlier events say about later ones.

use std::collections::HashMap;
use std::sync::Arc;

use super::bounds::{self, LARGEST_EVENT, MOST_MAP_BYTES, MOST_TABLES};
use super::cursor::Cursor;
use super::event::{FLAG_IGNORABLE, RawEvent, code};
use super::format::{Flavour, FormatDescription, Heartbeat, Rotate};
use super::jsonb::JsonForm;
use super::payload::Payload;
use super::query::Query;
use super::rows::{RowsEvent, RowsForm, RowsHead};
use super::table_map::TableMap;
use super::transaction::{self, TransactionStart, XaPrepare};
use godwit_model::error::{Context, Error, Result};
use godwit_model::position::{GtidSet, MariaGtid};

/// Table maps kept for reuse, and their bytes; a server that goes through more tables than this makes us parse again.
const KEPT_MAPS: usize = MOST_TABLES;
const KEPT_BYTES: usize = 8 << 20;

/// A decoded event.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    FormatDescription(FormatDescription),
    Rotate(Rotate),
    /// GTID, ANONYMOUS_GTID, GTID_TAGGED, and MariaDB's GTID, which also stands for BEGIN.
    Gtid(TransactionStart),
    PreviousGtids(GtidSet),
    GtidList(Vec<MariaGtid>),
    Query(Query<'a>),
    /// Commit, with the engine's transaction number.
    Xid(u64),
    XaPrepare(XaPrepare),
    /// Text of the statement behind the following row events.
    RowsQuery(&'a [u8]),
    TableMap(Arc<TableMap>),
    Rows(RowsEvent<'a>),
    /// Ends a statement and has no rows.
    StatementEnd,
    /// A compressed transaction; its events go through the same decoder.
    Payload(Payload<'a>),
    Heartbeat(Heartbeat),
    /// LOAD DATA logged as a statement.
    LoadQuery(Query<'a>),
    /// Part of a change logged as a statement: a variable, a random seed, a block of LOAD DATA.
    StatementPart,
    /// The server was stopped; another file follows.
    Stop,
    /// Says nothing about data.
    Ignored,
}

/// Decodes the events of one stream in their order.
#[derive(Debug)]
pub struct Decoder {
    flavour: Flavour,
    table_id_length: Option<usize>,
    /// Set from outside, or by the first event of the file.
    json: Option<JsonForm>,
    json_of_file: JsonForm,
    /// Maps of the current statement.
    current: Vec<Arc<TableMap>>,
    /// Maps seen in this file, so that an unchanged one is not parsed again and callers can compare pointers.
    kept: HashMap<u64, Arc<TableMap>>,
    kept_bytes: usize,
    /// What the engine may spend on one event.
    largest: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            flavour: Flavour::default(),
            table_id_length: None,
            json: None,
            json_of_file: JsonForm::default(),
            current: Vec::new(),
            kept: HashMap::new(),
            kept_bytes: 0,
            largest: LARGEST_EVENT,
        }
    }
}

impl Decoder {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// For a source that answers `@@version` with this today: its files may be older than it is, and JSON
    /// has the types that its SELECTs tell. Without this the version in the file decides.
    #[must_use]
    pub fn for_version(version: &str) -> Self {
        Self { json: Some(JsonForm::of_version(version)), ..Self::default() }
    }

    /// Events that take more memory, once they are decompressed, are an error.
    #[must_use]
    pub fn with_largest_event(self, largest: usize) -> Self {
        Self { largest, ..self }
    }

    /// Family of the server that wrote the log, as the last FORMAT_DESCRIPTION said.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// Decodes one event.
    ///
    /// # Errors
    /// Definite for what cannot be read or must not be skipped: an incident, encryption, an unknown event that
    /// is not marked as ignorable, malformed bytes.
    pub fn decode<'a>(&mut self, event: &RawEvent<'a>) -> Result<Event<'a>> {
        self.decode_body(event).context(format_args!("binary log event of type {} ending at {}", event.event_type, event.log_pos))
    }

    fn decode_body<'a>(&mut self, event: &RawEvent<'a>) -> Result<Event<'a>> {
        let body = event.body;
        if let Some(form) = RowsForm::of(event.event_type) {
            return self.rows(form, body);
        }
        Ok(match event.event_type {
            code::FORMAT_DESCRIPTION => {
                let format = FormatDescription::parse(body)?;
                self.flavour = format.flavour;
                self.table_id_length = Some(format.table_id_length());
                self.json_of_file = JsonForm::of_version(&format.server_version);
                self.forget_tables();
                Event::FormatDescription(format)
            }
            code::ROTATE => {
                self.forget_tables();
                Event::Rotate(Rotate::parse(event)?)
            }
            code::GTID => Event::Gtid(TransactionStart::parse(body, false)?),
            code::ANONYMOUS_GTID => Event::Gtid(TransactionStart::parse(body, true)?),
            code::GTID_TAGGED => Event::Gtid(TransactionStart::parse_tagged(body)?),
            code::MARIA_GTID => Event::Gtid(TransactionStart::parse_maria(event)?),
            code::PREVIOUS_GTIDS => Event::PreviousGtids(transaction::previous_gtids(body)?),
            code::MARIA_GTID_LIST => Event::GtidList(transaction::gtid_list(body)?),
            code::QUERY => Event::Query(Query::parse(body, 0, false, self.largest)?.with_flags(event.flags)),
            code::MARIA_QUERY_COMPRESSED => Event::Query(Query::parse(body, 0, true, self.largest)?.with_flags(event.flags)),
            code::EXECUTE_LOAD_QUERY => Event::LoadQuery(Query::parse(body, 13, false, self.largest)?.with_flags(event.flags)),
            code::XID => Event::Xid(Cursor::new(body).u64()?),
            code::XA_PREPARE => Event::XaPrepare(XaPrepare::parse(body)?),
            // One byte of length, which says nothing for texts over 255 bytes.
            code::ROWS_QUERY => Event::RowsQuery(body.split_first().map_or(&[], |(_, text)| text)),
            code::MARIA_ANNOTATE_ROWS => Event::RowsQuery(body),
            code::TABLE_MAP => Event::TableMap(self.table_map(body)?),
            code::TRANSACTION_PAYLOAD => Event::Payload(Payload::parse(body, self.largest)?),
            code::HEARTBEAT => Event::Heartbeat(Heartbeat::parse(event)?),
            code::HEARTBEAT_V2 => Event::Heartbeat(Heartbeat::parse_v2(body)?),
            code::INTVAR | code::RAND | code::USER_VAR | code::APPEND_BLOCK | code::DELETE_FILE | code::BEGIN_LOAD_QUERY => {
                Event::StatementPart
            }
            code::STOP => Event::Stop,
            code::IGNORABLE | code::TRANSACTION_CONTEXT | code::VIEW_CHANGE | code::MARIA_BINLOG_CHECKPOINT => Event::Ignored,
            code::INCIDENT => return Err(incident(body)),
            code::MARIA_START_ENCRYPTION => {
                return Err(Error::definite(
                    "the source sends its binary log encrypted, which only its own replicas can read; let it decrypt the log for this reader or turn encrypt_binlog off",
                ));
            }
            _ if event.flags & FLAG_IGNORABLE != 0 => Event::Ignored,
            other => {
                return Err(Error::definite(format!(
                    "the source's binary log holds an event of unknown type {other} that must not be skipped; this version of godwit cannot follow this source"
                )));
            }
        })
    }

    fn id_length(&self) -> usize {
        self.table_id_length.unwrap_or(6)
    }

    fn forget_tables(&mut self) {
        self.current.clear();
        self.forget_kept();
    }

    /// Of the maps that are kept for reuse.
    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept.values().map(|map| map.size()).sum()
    }

    fn forget_kept(&mut self) {
        self.kept.clear();
        self.kept_bytes = 0;
    }

    fn table_map(&mut self, body: &[u8]) -> Result<Arc<TableMap>> {
        let id = TableMap::peek_id(body, self.id_length())?;
        let map = match self.kept.get(&id) {
            Some(map) if *map.raw == *body => Arc::clone(map),
            _ => {
                let map = Arc::new(TableMap::parse(body, self.id_length(), self.flavour)?);
                if self.kept.len() >= KEPT_MAPS || self.kept_bytes + map.size() > KEPT_BYTES {
                    self.forget_kept();
                }
                self.kept_bytes += map.size();
                if let Some(earlier) = self.kept.insert(id, Arc::clone(&map)) {
                    self.kept_bytes -= earlier.size();
                }
                map
            }
        };
        self.current.retain(|other| other.id != id);
        let bytes = self.current.iter().map(|map| map.size()).sum::<usize>() + map.size();
        bounds::count(self.current.len() + 1, MOST_TABLES, "tables in one statement")?;
        bounds::count(bytes, MOST_MAP_BYTES, "bytes that describe the tables of one statement")?;
        self.current.push(Arc::clone(&map));
        Ok(map)
    }

    fn rows<'a>(&mut self, form: RowsForm, body: &'a [u8]) -> Result<Event<'a>> {
        let mut cursor = Cursor::new(body);
        let head = RowsHead::parse(&mut cursor, self.id_length())?;
        let table = self.current.iter().find(|map| map.id == head.table_id).map(Arc::clone);
        if head.flags & RowsHead::STATEMENT_END != 0 {
            self.current.clear();
        }
        match table {
            Some(table) => {
                let name = Arc::clone(&table);
                let mut rows = RowsEvent::parse(form, head.flags, table, cursor, self.largest)
                    .map_err(|error| error.context(name.qualified()))?;
                rows.json = self.json.unwrap_or(self.json_of_file);
                Ok(Event::Rows(rows))
            }
            None if head.is_dummy() => Ok(Event::StatementEnd),
            None => Err(Error::definite(format!(
                "rows of table id {} come without a description of the table; reading must start at the beginning of a transaction",
                head.table_id
            ))),
        }
    }
}

fn incident(body: &[u8]) -> Error {
    let mut cursor = Cursor::new(body);
    let number = cursor.u16().unwrap_or_default();
    let message = cursor.short_bytes().map(String::from_utf8_lossy).unwrap_or_default();
    let name = if number == 1 { "LOST_EVENTS" } else { "unknown" };
    Error::definite(format!(
        "the source recorded incident {number} ({name}) in its binary log: \"{message}\". Changes may be missing from the log here; the tables must be copied again"
    ))
}
