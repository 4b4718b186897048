//! Entry points of the fuzzers: events, transactions, documents. What a fuzzer may not see is a panic, or memory beyond what the decoder was
//! allowed; what two ways of reading must agree on is asserted.

use std::ops::ControlFlow;

use super::table_map::{MapColumn, column_type as t};
use super::{Decoder, Event, HEADER_LENGTH, JsonForm, Payload, RawEvent, RowDecoder, RowsEvent, TableMap};
use super::{json_diff, jsonb};
use crate::logged::classify;
use crate::sql::lexer::LexMode;
use crate::value::json_types;
use godwit_model::definition::{Column, Generated, Kind, TableDefinition};
use godwit_model::error::Result;
use godwit_model::row::Row;

/// What the decoder may spend on an event.
const LARGEST: usize = 8 << 20;

/// A log: each event a byte of type, a length of three bytes, and its body.
pub fn events(data: &[u8]) {
    let mut decoder = Decoder::new().with_largest_event(LARGEST);
    let mut rest = data;
    while let [event_type, a, b, c, behind @ ..] = rest {
        let length = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
        let (body, next) = behind.split_at(length.min(behind.len()));
        rest = next;
        // An event that is refused ends a task; whatever comes then finds a decoder that has seen it.
        let _ = event(&mut decoder, &raw(*event_type, body), true);
    }
}

/// The seed of an event.
pub fn framed(event_type: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_le_bytes();
    [&[event_type], length.get(..3).unwrap_or_default(), body].concat()
}

fn raw(event_type: u8, body: &[u8]) -> RawEvent<'_> {
    let event_size = (body.len() + HEADER_LENGTH) as u32;
    RawEvent { timestamp: 1, event_type, server_id: 7, event_size, log_pos: 0, flags: 0, body }
}

fn event(decoder: &mut Decoder, raw: &RawEvent<'_>, outside: bool) -> Result<()> {
    match decoder.decode(raw)? {
        Event::Rows(found) => rows(found, raw.body),
        Event::Payload(payload) if outside => inner_events(decoder, &payload),
        Event::Query(query) | Event::LoadQuery(query) => {
            let mode = LexMode::from_bits(query.session.sql_mode.unwrap_or_default(), None);
            classify(&query.sql, &query.database, &mode);
            Ok(())
        }
        Event::TableMap(map) => {
            assert!(map.size() <= 40 * raw.body.len() + 4096 * size_of::<MapColumn>() + 1024, "{} bytes", map.size());
            Ok(())
        }
        _ => Ok(()),
    }
}

fn inner_events(decoder: &mut Decoder, payload: &Payload<'_>) -> Result<()> {
    let mut events = payload.events()?;
    while let Some(inner) = events.next()? {
        event(decoder, &inner, false)?;
    }
    Ok(())
}

/// The body of a compressed transaction.
pub fn payload(data: &[u8]) {
    let mut decoder = Decoder::new().with_largest_event(LARGEST);
    if let Ok(payload) = Payload::parse(data, LARGEST) {
        let _ = inner_events(&mut decoder, &payload);
    }
}

/// A byte of settings, the length of a document in three bytes, the document, and changes of it.
pub fn json(data: &[u8]) {
    let [settings, a, b, c, rest @ ..] = data else { return };
    let (document, diffs) = rest.split_at((u32::from_le_bytes([*a, *b, *c, 0]) as usize).min(rest.len()));
    let form = if settings & 1 == 0 { JsonForm::MySql80 } else { JsonForm::MySql57 };
    let mut out = Vec::new();
    if jsonb::text(document, form, &mut out).is_ok() {
        printed(&out);
    }
    out.clear();
    if json_diff::apply(document, diffs, form, &mut out).is_ok() {
        printed(&out);
    }
}

/// A document that was decoded is JSON, once the marks of its types are off.
fn printed(document: &[u8]) {
    let text = json_types::plain(document);
    // Servers nest 100 levels at most, the parser of this check about as many.
    let deep = text.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > 100;
    let is_json = deep || std::str::from_utf8(&text).is_err() || serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok();
    assert!(is_json, "{}", String::from_utf8_lossy(&text));
}

fn rows(rows: RowsEvent<'_>, body: &[u8]) -> Result<()> {
    let definition = definition_of(&rows.table);
    let all: Vec<usize> = (0..definition.columns.len()).collect();
    let decoder = RowDecoder::new(&definition, &rows.table, &all, &all)?;
    let size = |row: Option<Row>| row.as_ref().map_or(0, Row::size);
    let (mut number, mut bytes) = (0u64, 0usize);
    let borrowed = decoder.decode_rows(&rows, &mut |before, after| {
        number += 1;
        bytes += size(before) + size(after);
        Ok(())
    });
    // The same with memory of its own, in parts.
    let mut own = rows.detach().attach(|length| body.get(body.len().saturating_sub(length)..).unwrap_or_default().to_vec());
    let (mut owned_number, mut owned_bytes) = (0u64, 0usize);
    // Once at least: which columns are there is looked at without a row, too.
    let ended = loop {
        let result = decoder.next_rows(&mut own, &mut |before, after| {
            owned_number += 1;
            owned_bytes += size(before) + size(after);
            Ok(if owned_number.is_multiple_of(3) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        if own.is_read() || result.is_err() {
            break result;
        }
    };
    assert_eq!((borrowed.is_ok(), number, bytes), (ended.is_ok(), owned_number, owned_bytes));
    borrowed
}

/// A definition that the map can be of; where several can, the column's place chooses.
fn definition_of(map: &TableMap) -> TableDefinition {
    let columns = map.columns.iter().enumerate().map(|(place, column)| {
        let kind = kind_of(column, place);
        Column {
            name: column.name.clone().unwrap_or_else(|| format!("c{place}")),
            column_type: String::new(),
            kind,
            character_set: None,
            collation: None,
            nullable: column.nullable,
            generated: Generated::No,
            invisible: false,
            auto_increment: false,
        }
    });
    TableDefinition {
        database: map.database.clone(),
        table: map.table.clone(),
        engine: "InnoDB".into(),
        columns: columns.collect(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        create_statement: String::new(),
        unread: Vec::new(),
        estimated_rows: 0,
        average_row_bytes: 0,
    }
}

fn kind_of(column: &MapColumn, place: usize) -> Kind {
    let unsigned = column.unsigned.unwrap_or(place % 2 == 1);
    let (meta, fsp) = (column.metadata, (column.metadata % 7) as u8);
    let labels = || match &column.labels {
        Some(labels) => labels.iter().map(|label| String::from_utf8_lossy(label).into_owned()).collect(),
        None => (0..if meta & 0xff == 1 { 8 } else { 300 }).map(|label: u32| label.to_string()).collect(),
    };
    match column.column_type {
        t::TINY => Kind::TinyInt { unsigned },
        t::SHORT => Kind::SmallInt { unsigned },
        t::INT24 => Kind::MediumInt { unsigned },
        t::LONG => Kind::Int { unsigned },
        t::LONGLONG => Kind::BigInt { unsigned },
        t::FLOAT => Kind::Float,
        t::DOUBLE => Kind::Double,
        t::NEWDECIMAL => Kind::Decimal { precision: (meta >> 8) as u8, scale: meta as u8 },
        t::BIT => Kind::Bit { bits: ((meta >> 8) * 8 + (meta & 0xff)).min(255) as u8 },
        t::YEAR => Kind::Year,
        t::DATE | t::NEWDATE => Kind::Date,
        t::TIME | t::TIME2 => Kind::Time { fsp },
        t::DATETIME | t::DATETIME2 => Kind::DateTime { fsp },
        t::TIMESTAMP | t::TIMESTAMP2 => Kind::Timestamp { fsp },
        t::ENUM => Kind::Enum { labels: labels() },
        t::SET => Kind::Set { labels: labels() },
        t::JSON => Kind::Json,
        t::GEOMETRY => Kind::Geometry,
        t::VECTOR => Kind::Vector,
        t::STRING => [Kind::Char, Kind::Binary { length: meta }, Kind::Uuid, Kind::Inet4, Kind::Inet6][place % 5].clone(),
        t::BLOB | t::MARIA_BLOB_COMPRESSED => [Kind::Blob, Kind::Text][place % 2].clone(),
        _ => [Kind::Varchar, Kind::VarBinary][place % 2].clone(),
    }
}
