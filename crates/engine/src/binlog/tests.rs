//! Events built by hand, and random bytes.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;
use crate::fixture;
use godwit_model::definition::{Column, Kind, TableDefinition};
use godwit_model::error::Class;
use godwit_model::row::Row;

pub(super) fn event(event_type: u8, body: &[u8]) -> RawEvent<'_> {
    RawEvent {
        timestamp: 1,
        event_type,
        server_id: 7,
        event_size: (body.len() + HEADER_LENGTH) as u32,
        log_pos: 0,
        flags: 0,
        body,
    }
}

pub(super) fn column(name: &str, kind: Kind) -> Column {
    Column { column_type: format!("{kind:?}"), nullable: true, ..fixture::column(name, kind) }
}

pub(super) fn definition(columns: Vec<Column>) -> TableDefinition {
    fixture::definition("d", "t", columns)
}

/// d.t (a MEDIUMINT, b VARCHAR(10)) with table id 5.
fn map_body() -> Vec<u8> {
    let mut body = vec![5, 0, 0, 0, 0, 0, 1, 0];
    body.extend([1, b'd', 0, 1, b't', 0, 2, 9, 15, 2, 10, 0, 0b11]);
    body
}

fn two_columns() -> TableDefinition {
    definition(vec![column("a", Kind::MediumInt { unsigned: false }), column("b", Kind::Varchar)])
}

fn update_body(present: u8) -> Vec<u8> {
    let mut body = vec![5, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 0b11, present];
    body.extend([0, 0xff, 0xff, 0xff, 2, b'h', b'i']);
    body.extend([0b10, 1, 0, 0]);
    body
}

fn rows(decoder: &mut Decoder, body: &[u8], selected: &[usize]) -> godwit_model::error::Result<Vec<(Option<Row>, Option<Row>)>> {
    let Event::Rows(rows) = decoder.decode(&event(31, body))? else { panic!("rows expected") };
    let row_decoder = RowDecoder::new(&two_columns(), &rows.table, selected, selected)?;
    let mut all = Vec::new();
    row_decoder.decode_rows(&rows, &mut |before, after| {
        all.push((before, after));
        Ok(())
    })?;
    Ok(all)
}

#[test]
fn an_update_and_its_table_map() {
    let mut decoder = Decoder::new();
    let Event::TableMap(first) = decoder.decode(&event(19, &map_body())).unwrap() else { panic!() };
    assert_eq!(first.qualified(), "d.t");
    let all = rows(&mut decoder, &update_body(0b11), &[0, 1]).unwrap();
    assert_eq!(format!("{all:?}"), r#"[(Some([Some("-1"), Some("hi")]), Some([Some("1"), None]))]"#);
    // The statement ended: its maps are gone.
    assert!(rows(&mut decoder, &update_body(0b11), &[0]).unwrap_err().to_string().contains("without a description"));
    // The same map again is not parsed again.
    let Event::TableMap(second) = decoder.decode(&event(19, &map_body())).unwrap() else { panic!() };
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    let all = rows(&mut decoder, &update_body(0b11), &[1, 0]).unwrap();
    assert_eq!(format!("{all:?}"), r#"[(Some([Some("hi"), Some("-1")]), Some([None, Some("1")]))]"#);
}

#[test]
fn rows_with_their_own_memory_are_the_same_rows() {
    // d.t (a MEDIUMINT, b LONGBLOB); the images differ in size, some by far.
    let map = vec![5, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 2, 9, 252, 1, 4, 0b11];
    let definition = definition(vec![column("a", Kind::MediumInt { unsigned: false }), column("b", Kind::Blob)]);
    let mut body = vec![5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 0b11, 0b11];
    let sizes = [3 << 20, 5, (1 << 20) - 9, 0, 7, 2 << 20, 1 << 20, 1 << 20, 9, 3 << 20];
    for (number, size) in (0u8..).zip(sizes) {
        body.extend([0, number, 0, 0]);
        body.extend((size as u32).to_le_bytes());
        body.extend(std::iter::repeat_n(number, size));
    }
    let mut decoder = Decoder::new();
    let Event::TableMap(map) = decoder.decode(&event(19, &map)).unwrap() else { panic!() };
    let row_decoder = RowDecoder::new(&definition, &map, &[0], &[0, 1]).unwrap();
    let Event::Rows(rows) = decoder.decode(&event(31, &body)).unwrap() else { panic!() };
    let mut expected = Vec::new();
    row_decoder
        .decode_rows(&rows, &mut |before, after| {
            expected.push((before, after));
            Ok(())
        })
        .unwrap();
    assert_eq!(expected.len(), sizes.len() / 2);
    let mut own = rows.detach().attach(|length| body[body.len() - length..].to_vec());
    let mut consumed = Vec::new();
    let mut turns = 0;
    while !own.is_read() {
        turns += 1;
        row_decoder
            .next_rows(&mut own, &mut |before, after| {
                consumed.push((before, after));
                Ok(if consumed.len() % 2 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })
            .unwrap();
    }
    assert!(consumed == expected);
    assert_eq!(turns, expected.len().div_ceil(2));
}

#[test]
fn a_partial_row_image_stops() {
    let mut decoder = Decoder::new();
    decoder.decode(&event(19, &map_body())).unwrap();
    let error = rows(&mut decoder, &update_body(0b01), &[0]).unwrap_err();
    assert_eq!(error.class(), Class::Definite);
    assert!(error.to_string().contains("d.t") && error.to_string().contains("binlog_row_image"), "{error}");
}

#[test]
fn a_changed_table_stops() {
    let mut decoder = Decoder::new();
    let Event::TableMap(map) = decoder.decode(&event(19, &map_body())).unwrap() else { panic!() };
    let other = definition(vec![column("a", Kind::Int { unsigned: false }), column("b", Kind::Varchar)]);
    let error = RowDecoder::new(&other, &map, &[], &[]).unwrap_err().to_string();
    assert!(error.contains("d.t") && error.contains("`a`") && error.contains("MEDIUMINT"), "{error}");
    let shorter = definition(vec![column("a", Kind::MediumInt { unsigned: false })]);
    let error = RowDecoder::new(&shorter, &map, &[], &[]).unwrap_err().to_string();
    assert!(error.contains("1 columns, the log has 2"), "{error}");
}

#[test]
fn what_must_not_be_skipped_stops() {
    let mut decoder = Decoder::new();
    let error = decoder.decode(&event(99, &[])).unwrap_err();
    assert_eq!(error.class(), Class::Definite);
    let mut ignorable = event(99, &[]);
    ignorable.flags = FLAG_IGNORABLE;
    assert!(matches!(decoder.decode(&ignorable), Ok(Event::Ignored)));
    let error = decoder.decode(&event(26, &[1, 0, 3, b'd', b'i', b'e'])).unwrap_err();
    assert!(error.to_string().contains("LOST_EVENTS"), "{error}");
    assert!(decoder.decode(&event(164, &[])).is_err());
}

#[test]
fn gtid_of_8_0() {
    let mut body = vec![0u8];
    body.extend([0x11; 16]);
    body.extend(9u64.to_le_bytes());
    body.push(2);
    body.extend(3u64.to_le_bytes());
    body.extend(4u64.to_le_bytes());
    body.extend(&(1_700_000_000_000_000u64 | 1 << 55).to_le_bytes()[..7]);
    body.extend(&1_600_000_000_000_000u64.to_le_bytes()[..7]);
    body.extend([252, 0, 2]);
    body.extend(80_036u32.to_le_bytes());
    let Event::Gtid(start) = Decoder::new().decode(&event(33, &body)).unwrap() else { panic!() };
    assert_eq!(start.id.to_string(), "11111111-1111-1111-1111-111111111111:9");
    assert_eq!(start.immediate_commit_us, Some(1_700_000_000_000_000));
    assert_eq!(start.original_commit_us, Some(1_600_000_000_000_000));
    assert_eq!(start.transaction_length, Some(512));
    assert_eq!(start.sequence_number, Some(4));
}

#[test]
fn xa_prepare_names_its_transaction() {
    let mut body = vec![0u8];
    body.extend(1u32.to_le_bytes());
    body.extend(3u32.to_le_bytes());
    body.extend(0u32.to_le_bytes());
    body.extend(b"abc");
    let Event::XaPrepare(prepare) = Decoder::new().decode(&event(38, &body)).unwrap() else { panic!() };
    assert_eq!(prepare.xid, "X'616263',X'',1");
}

#[test]
fn a_stray_checksum_is_taken_off_a_rotate() {
    let mut body = 4u64.to_le_bytes().to_vec();
    body.extend(b"bin.000001");
    let mut whole = event(4, &[]);
    whole.event_size = (body.len() + HEADER_LENGTH + 4) as u32;
    let mut raw = Vec::new();
    raw.extend(whole.timestamp.to_le_bytes());
    raw.push(4);
    raw.extend(whole.server_id.to_le_bytes());
    raw.extend(whole.event_size.to_le_bytes());
    raw.extend([0; 6]);
    raw.extend(&body);
    let checksum = crc32fast::hash(&raw).to_le_bytes();
    assert!(RawEvent { body: &body, ..whole }.verify_checksum(checksum).is_ok());
    assert!(RawEvent { body: &body, ..whole }.verify_checksum([0; 4]).is_err());
    let mut with_checksum = body.clone();
    with_checksum.extend(checksum);
    for body in [&body, &with_checksum] {
        let Event::Rotate(rotate) = Decoder::new().decode(&RawEvent { body, ..whole }).unwrap() else { panic!() };
        assert_eq!(rotate, Rotate { file: "bin.000001".into(), position: 4 });
    }
}

/// A payload event of the inner events (type, body).
pub(super) fn payload(inner: &[(u8, Vec<u8>)], compression: u8) -> (Vec<u8>, u64) {
    let mut plain = Vec::new();
    for (event_type, body) in inner {
        plain.extend(1u32.to_le_bytes());
        plain.push(*event_type);
        plain.extend(7u32.to_le_bytes());
        plain.extend((body.len() as u32 + 19).to_le_bytes());
        plain.extend([0; 6]);
        plain.extend(body);
    }
    let size = plain.len() as u64;
    let data = if compression == 0 { zstd::bulk::compress(&plain, 3).unwrap() } else { plain };
    let mut body = vec![2, 1, compression, 3, 9, 254];
    if compression == 255 {
        body = vec![2, 3, 252, 255, 0, 3, 9, 254];
    }
    body.extend(size.to_le_bytes());
    body.extend([1, 3, 252]);
    body.extend((data.len() as u16).to_le_bytes());
    body.push(0);
    body.extend(data);
    (body, size)
}

#[test]
fn compressed_transactions() {
    let inner = vec![(19, map_body()), (31, update_body(0b11)), (16, 8u64.to_le_bytes().to_vec())];
    for compression in [0, 255] {
        let (body, size) = payload(&inner, compression);
        let mut decoder = Decoder::new();
        let Event::Payload(payload) = decoder.decode(&event(40, &body)).unwrap() else { panic!() };
        assert_eq!(payload.uncompressed_size, size);
        let mut events = payload.events().unwrap();
        let mut seen = Vec::new();
        while let Some(inner) = events.next().unwrap() {
            seen.push((inner.event_type, inner.body.to_vec()));
            decoder.decode(&inner).unwrap();
        }
        assert_eq!(seen, inner);
    }
    let (body, _) = payload(&inner, 7);
    let Event::Payload(unknown) = Decoder::new().decode(&event(40, &body)).unwrap() else { panic!() };
    assert!(unknown.events().err().unwrap().to_string().contains("type 7"));
}

#[test]
fn a_payload_with_other_sizes_stops() {
    let (mut body, size) = payload(&[(16, 8u64.to_le_bytes().to_vec())], 0);
    for wrong in [size - 1, size + 1] {
        body[6..14].copy_from_slice(&wrong.to_le_bytes());
        let Event::Payload(payload) = Decoder::new().decode(&event(40, &body)).unwrap() else { panic!() };
        let mut events = payload.events().unwrap();
        let mut end = Ok(());
        loop {
            match events.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    end = Err(error);
                    break;
                }
            }
        }
        assert!(end.is_err(), "{wrong} instead of {size}");
    }
}

fn any_kind() -> impl Strategy<Value = (Kind, u8, Vec<u8>)> {
    prop_oneof![
        Just((Kind::MediumInt { unsigned: false }, 9, vec![])),
        Just((Kind::BigInt { unsigned: true }, 8, vec![])),
        Just((Kind::Decimal { precision: 12, scale: 3 }, 246, vec![12, 3])),
        Just((Kind::Double, 5, vec![8])),
        Just((Kind::Bit { bits: 11 }, 16, vec![3, 1])),
        Just((Kind::Time { fsp: 3 }, 19, vec![3])),
        Just((Kind::DateTime { fsp: 6 }, 18, vec![6])),
        Just((Kind::Timestamp { fsp: 0 }, 17, vec![0])),
        Just((Kind::Binary { length: 4 }, 254, vec![254, 4])),
        Just((Kind::Varchar, 141, vec![44, 1])),
        Just((Kind::Blob, 140, vec![3])),
        Just((Kind::Json, 245, vec![4])),
        Just((Kind::Uuid, 254, vec![254, 16])),
        Just((Kind::Inet6, 254, vec![254, 16])),
        Just((Kind::Set { labels: vec![] }, 254, vec![248, 8])),
    ]
}

proptest! {
    #[test]
    fn random_events_do_not_panic(event_type: u8, flags: u16, bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..4)) {
        let mut decoder = Decoder::new();
        for body in &bodies {
            let mut raw = event(event_type, body);
            raw.flags = flags;
            if let Ok(Event::Payload(payload)) = decoder.decode(&raw)
                && let Ok(mut events) = payload.events()
            {
                while let Ok(Some(_)) = events.next() {}
            }
        }
    }

    #[test]
    fn random_rows_do_not_panic(columns in proptest::collection::vec(any_kind(), 1..12), kind in prop_oneof![Just(30u8), Just(31), Just(32), Just(39), Just(23), Just(166), Just(167)], tail in proptest::collection::vec(0u8..20, 0..300), reverse: bool) {
        let mut body = vec![5, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, columns.len() as u8];
        body.extend(columns.iter().map(|column| column.1));
        let metadata: Vec<u8> = columns.iter().flat_map(|column| column.2.clone()).collect();
        body.push(metadata.len() as u8);
        body.extend(metadata);
        body.extend([0xff, 0xff].iter().take(columns.len().div_ceil(8)));
        let mut decoder = Decoder::new();
        decoder.decode(&event(19, &body)).unwrap();
        let definition = definition(columns.iter().enumerate().map(|(i, c)| column(&format!("c{i}"), c.0.clone())).collect());
        let mut rows_body = vec![5, 0, 0, 0, 0, 0, 0, 0];
        if matches!(kind, 30 | 31 | 32 | 39) {
            rows_body.extend([2, 0]);
        }
        rows_body.push(columns.len() as u8);
        let images = if matches!(kind, 31 | 39 | 167) { 2 } else { 1 };
        for _ in 0..images {
            rows_body.extend([0xff, 0xff].iter().take(columns.len().div_ceil(8)));
        }
        rows_body.extend(&tail);
        let mut selected: Vec<usize> = (0..columns.len()).collect();
        if reverse {
            selected.reverse();
        }
        if let Ok(Event::Rows(rows)) = decoder.decode(&event(kind, &rows_body)) {
            let row_decoder = RowDecoder::new(&definition, &rows.table, &selected, &selected).unwrap();
            let _ = row_decoder.decode_rows(&rows, &mut |_, _| Ok(()));
        }
    }
}
