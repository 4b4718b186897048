//! Small events that ask for much memory, and real ones that were cut or changed: an error, with no more memory taken than their
//! bytes can stand for.

use std::fmt::Debug;

use proptest::prelude::*;

use super::tests::{column, definition, event, payload};
use super::*;
use godwit_model::definition::{Kind, TableDefinition};
use godwit_model::error::Result;
use godwit_model::row::Row;

const MIB: usize = 1 << 20;

fn refused<T: Debug>(result: Result<T>, wanted: &str) {
    let error = result.err().unwrap_or_else(|| panic!("\"{wanted}\" expected")).to_string();
    assert!(error.contains(wanted), "{error}");
}

fn lenenc(value: u64) -> Vec<u8> {
    let mut out = vec![254];
    out.extend(value.to_le_bytes());
    out
}

/// d.t with columns of these types, and what follows.
fn map(types: &[u8], metadata: &[u8], optional: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![5, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0];
    body.extend(lenenc(types.len() as u64));
    body.extend(types);
    body.extend(lenenc(metadata.len() as u64));
    body.extend(metadata);
    body.extend(vec![0xff; types.len().div_ceil(8)]);
    for (field, value) in optional {
        body.push(*field);
        body.extend(lenenc(value.len() as u64));
        body.extend(value);
    }
    body
}

#[test]
fn a_table_has_no_more_columns_than_a_server_allows() {
    assert!(Decoder::new().decode(&event(19, &map(&[3; 4096], &[], &[]))).is_ok());
    refused(
        Decoder::new().decode(&event(19, &map(&[3; 4097], &[], &[]))),
        "4097 columns in a table map, where a server allows 4096",
    );
    refused(Decoder::new().decode(&event(19, &vec![0; 65 * MIB])), "bytes in a table map");
    let long = [vec![253, 1, 1, 0], vec![b'x'; 257]].concat();
    refused(Decoder::new().decode(&event(19, &map(&[3], &[], &[(4, long)]))), "bytes in the name of a column");
    let key = vec![0; 2];
    refused(Decoder::new().decode(&event(19, &map(&[3], &[], &[(8, key)]))), "columns in a primary key");
    let mut rows = vec![5, 0, 0, 0, 0, 0, 1, 0, 2, 0];
    rows.extend(lenenc(80_000_000));
    rows.extend(vec![0xff; 10_000_001]);
    let mut decoder = Decoder::new();
    decoder.decode(&event(19, &map(&[3], &[], &[]))).unwrap();
    refused(decoder.decode(&event(30, &rows)), "columns in a row event");
}

#[test]
fn labels_take_no_more_than_their_bytes_stand_for() {
    let labels = |columns: usize, count: u64| {
        let one = [lenenc(count), vec![0; count as usize]].concat();
        map(&vec![254; columns], &[247, 2].repeat(columns), &[(6, one.repeat(columns))])
    };
    assert!(Decoder::new().decode(&event(19, &labels(2, 65_535))).is_ok());
    refused(Decoder::new().decode(&event(19, &labels(1, 65_536))), "65536 labels of a column");
    refused(Decoder::new().decode(&event(19, &labels(30, 65_535))), "bytes of labels in a table map");
}

#[test]
fn maps_that_are_kept_are_bounded_by_their_bytes() {
    let mut decoder = Decoder::new();
    let labels = [lenenc(1), lenenc(300_000), vec![b'x'; 300_000]].concat();
    for id in 0..200u8 {
        let mut body = map(&[254], &[247, 2], &[(6, labels.clone())]);
        body[0] = id;
        decoder.decode(&event(19, &body)).unwrap();
        let mut rows = vec![id, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 1];
        rows.extend([0, 1, 0]);
        decoder.decode(&event(30, &rows)).unwrap();
        assert!(decoder.kept_bytes() <= 9 * MIB, "{id}");
    }
    // Of one statement all are needed, so that there are no more than can be held.
    let found = (0..255u8).find_map(|id| {
        let mut body = map(&[254], &[247, 2], &[(6, labels.clone())]);
        body[0] = id;
        decoder.decode(&event(19, &body)).err()
    });
    assert!(found.unwrap().to_string().contains("bytes that describe the tables of one statement"));
}

#[test]
fn a_compressed_transaction_is_no_larger_than_it_can_be() {
    // 4 GiB of zeros, as one event, in 131 KB.
    let bomb = |promised: u64, compressed: usize| {
        let mut body = vec![2, 1, 0, 3, 9];
        body.extend(lenenc(promised));
        body.extend([1, 9]);
        body.extend(lenenc(compressed as u64));
        body.push(0);
        body.extend(vec![0; compressed]);
        body
    };
    refused(Decoder::new().decode(&event(40, &bomb(5 << 30, 131_000))), "that says it has 5368709120");
    refused(Decoder::new().decode(&event(40, &bomb(u64::MAX, 10))), "that says it has");
    // It says what is true, and its only event is larger than any server's, or than there is memory for.
    let inner = |decoder: &mut Decoder, body: &[u8]| {
        let Event::Payload(payload) = decoder.decode(&event(40, body))? else { panic!() };
        let mut events = payload.events()?;
        while events.next()?.is_some() {}
        Ok(())
    };
    let (mut body, _) = payload(&[(2, vec![0; 40_000])], 255);
    let head = body.len() - 40_000 - HEADER_LENGTH;
    body[head + 9..head + 13].copy_from_slice(&(2_000_000_000u32).to_le_bytes());
    refused(inner(&mut Decoder::new(), &body), "of 2000000000 bytes");
    let (body, _) = payload(&[(2, vec![0; 40_000])], 0);
    assert!(inner(&mut Decoder::new(), &body).is_ok());
    refused(inner(&mut Decoder::new().with_largest_event(30_000), &body), "give the task more memory");
}

fn deflated(plain: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_values_are_no_larger_than_they_can_be() {
    let stream = deflated(&vec![b'x'; MIB]);
    let value = |length: u32| [vec![0x84], length.to_be_bytes().to_vec(), stream.clone()].concat();
    assert_eq!(compress::maria_column(&value(MIB as u32), MIB).unwrap().unwrap().len(), MIB);
    refused(compress::maria_column(&value(u32::MAX), LARGEST_EVENT), "more than a server can send");
    refused(compress::maria_column(&value(512 << 20), LARGEST_EVENT), "compressed bytes that say they are 536870912");
    refused(compress::maria_column(&value(MIB as u32), MIB - 1), "give the task more memory");
    refused(compress::maria_event(&value(u32::MAX), LARGEST_EVENT), "more than a server can send");
    refused(compress::maria_event(&value(512 << 20), LARGEST_EVENT), "compressed bytes that say they are 536870912");
    refused(compress::maria_event(&value(MIB as u32), MIB - 1), "give the task more memory");
}

/// A small object whose keys, `count` of them, are one stretch of `length` bytes, behind the tables.
fn overlapping(count: u16, length: u16) -> Vec<u8> {
    let tables = 4 + usize::from(count) * 7;
    let size = tables + usize::from(length);
    let mut document = vec![0];
    document.extend(count.to_le_bytes());
    document.extend((size as u16).to_le_bytes());
    for _ in 0..count {
        document.extend((tables as u16).to_le_bytes());
        document.extend(length.to_le_bytes());
    }
    (0..count).for_each(|_| document.extend([4, 0, 0]));
    document.extend(vec![b'k'; usize::from(length)]);
    document
}

#[test]
fn documents_whose_parts_overlap_are_refused() {
    let document = overlapping(4000, 30_000);
    refused(json_diff::apply(&document, &[], JsonForm::MySql80, &mut Vec::new()), "JSON whose parts overlap");
    refused(jsonb::text(&document, JsonForm::MySql80, &mut Vec::new()), "JSON whose parts overlap");
    // A string that every element of an array is.
    let mut array = vec![2, 0xa0, 0x0f, 0, 0];
    array[3..5].copy_from_slice(&(40_000u16).to_le_bytes());
    (0..4000).for_each(|_| array.extend([12, 0xe4, 0x2e]));
    array.extend([0xb0, 0xb0, 0x01]);
    array.resize(40_001, b'x');
    refused(json_diff::apply(&array, &[], JsonForm::MySql80, &mut Vec::new()), "JSON whose parts overlap");
    // Each change nests deeper than the one before: paths are as long as documents may be deep.
    let path = format!("${}", ".a".repeat(200));
    let diff = [vec![2, path.len() as u8 - 0x80], vec![]].concat();
    let diff = [vec![diff[0]], vec![252], (path.len() as u16).to_le_bytes().to_vec(), path.into_bytes()].concat();
    refused(json_diff::apply(&[4, 0], &diff, JsonForm::MySql80, &mut Vec::new()), "a path that cannot be read");
}

#[test]
fn a_million_intervals_of_gtids_take_no_time() {
    let count = 1_000_000u64;
    let mut body = (1u64).to_le_bytes().to_vec();
    body.extend([7; 16]);
    body.extend(count.to_le_bytes());
    // From the last to the first: each would move all others.
    for number in (1..=count).rev() {
        body.extend((3 * number).to_le_bytes());
        body.extend((3 * number + 1).to_le_bytes());
    }
    let started = std::time::Instant::now();
    let Event::PreviousGtids(set) = Decoder::new().decode(&event(35, &body)).unwrap() else { panic!() };
    assert_eq!((set.count(), set.intervals().count()), (1_000_000, 1_000_000));
    let mut both = set.clone();
    both.union(&set);
    assert!(both == set && set.difference(&both).is_empty());
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn the_name_of_an_xa_transaction_is_no_longer_than_a_server_allows() {
    let mut body = vec![0u8];
    body.extend(1u32.to_le_bytes());
    body.extend(65u32.to_le_bytes());
    body.extend(0u32.to_le_bytes());
    body.extend([b'x'; 65]);
    refused(Decoder::new().decode(&event(38, &body)), "65 bytes in the name of an XA transaction");
}

#[test]
fn what_every_position_holds_is_short() {
    let mut body = 4u64.to_le_bytes().to_vec();
    body.extend([b'x'; 600]);
    refused(Decoder::new().decode(&event(4, &body)), "bytes in the name of a log file");
    refused(Decoder::new().decode(&event(27, &[b'x'; 600])), "bytes in the name of a log file");
    // Version, size, last field that must be known, then field 3 with a length of 40.
    let tagged = [vec![2, 2, 0, 6, 80], vec![b'a'; 40]].concat();
    refused(Decoder::new().decode(&event(42, &tagged)), "40 letters in the tag of a GTID");
}

/// A transaction as servers write it: a table with the types whose lengths come from the wire, and what happens to its rows.
fn transaction() -> (TableDefinition, Vec<(u8, Vec<u8>)>) {
    let kinds = [
        (Kind::MediumInt { unsigned: false }, 9, vec![]),
        (Kind::Varchar, 141, vec![44, 1]),
        (Kind::Json, 245, vec![4]),
        (Kind::Blob, 252, vec![4]),
        (Kind::Blob, 140, vec![4]),
    ];
    let types: Vec<u8> = kinds.iter().map(|kind| kind.1).collect();
    let metadata: Vec<u8> = kinds.iter().flat_map(|kind| kind.2.clone()).collect();
    let names = kinds.iter().enumerate().flat_map(|(i, _)| [2, b'c', b'0' + i as u8]).collect();
    let columns = kinds.iter().enumerate().map(|(i, kind)| column(&format!("c{i}"), kind.0.clone())).collect();
    let packed = [vec![0x81, 200], deflated(&[b'x'; 200])].concat();
    let json: &[u8] = &[0x00, 1, 0, 14, 0, 11, 0, 1, 0, 5, 1, 0, b'a', 0, 0];
    let image = |number: u8| {
        let mut image = vec![0, number, 0, 0, packed.len() as u8, 0];
        image.extend(&packed);
        image.extend((json.len() as u32).to_le_bytes());
        image.extend(json);
        image.extend([3, 0, 0, 0, b'a', b'b', b'c']);
        image.extend((packed.len() as u32).to_le_bytes());
        image.extend(&packed);
        image
    };
    let head = |images: usize| [vec![5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 5], vec![0x1f; images]].concat();
    let events = vec![
        (19, map(&types, &metadata, &[(4, names)])),
        (30, [head(1), image(1), image(2)].concat()),
        (31, [head(2), image(1), image(3)].concat()),
        (32, [head(1), image(2)].concat()),
        (16, 8u64.to_le_bytes().to_vec()),
    ];
    (definition(columns), events)
}

/// Bytes of the rows that come out.
fn read(definition: &TableDefinition, events: &[(u8, Vec<u8>)]) -> Result<usize> {
    let mut decoder = Decoder::new();
    let mut bytes = 0;
    let mut take = |decoder: &mut Decoder, raw: &RawEvent<'_>| {
        if let Event::Rows(rows) = decoder.decode(raw)? {
            let all = [0, 1, 2, 3, 4];
            let size = |row: Option<Row>| row.as_ref().map_or(0, Row::size);
            RowDecoder::new(definition, &rows.table, &all, &all)?.decode_rows(&rows, &mut |before, after| {
                bytes += size(before) + size(after);
                Ok(())
            })?;
        }
        Ok::<_, godwit_model::error::Error>(())
    };
    for (event_type, body) in events {
        let raw = event(*event_type, body);
        if *event_type != 40 {
            take(&mut decoder, &raw)?;
            continue;
        }
        let Event::Payload(payload) = decoder.decode(&raw)? else { continue };
        let mut inner = payload.events()?;
        while let Some(raw) = inner.next()? {
            take(&mut decoder, &raw)?;
        }
    }
    Ok(bytes)
}

#[test]
fn the_transaction_itself_is_read() {
    let (definition, events) = transaction();
    assert!(read(&definition, &events).unwrap() > 5 * 400);
    assert!(read(&definition, &[(40, payload(&events, 0).0)]).unwrap() > 5 * 400);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Cut, changed in a few bytes, packed or not: no panic, and no more comes out than went in, at the greatest ratio.
    #[test]
    fn what_was_cut_or_changed_stays_in_bounds(
        which in 0usize..5,
        cut in proptest::option::of(0usize..300),
        changes in proptest::collection::vec((0usize..700, any::<u8>()), 0..5),
        packed in proptest::option::of(prop_oneof![Just(0u8), Just(255)]),
        outside: bool,
    ) {
        let (definition, mut events) = transaction();
        let change = |body: &mut Vec<u8>| {
            for (place, byte) in &changes {
                let length = body.len().max(1);
                if let Some(slot) = body.get_mut(place % length) {
                    *slot = *byte;
                }
            }
            body.truncate(cut.unwrap_or(usize::MAX));
        };
        if !outside || packed.is_none() {
            change(&mut events[which].1);
        }
        if let Some(compression) = packed {
            let mut body = payload(&events, compression).0;
            if outside {
                change(&mut body);
            }
            events = vec![(40, body)];
        }
        let went_in: usize = events.iter().map(|(_, body)| body.len()).sum();
        if let Ok(bytes) = read(&definition, &events) {
            prop_assert!(bytes < (went_in + 300) * 1032 * 8, "{bytes} of {went_in}");
        }
    }
}
