//! The codec against the official Python SDK (`golden.txt`, made by `e2e/tablestore/sdk/golden.py`), against itself, and against bytes that are wrong.

use proptest::prelude::*;

use super::*;
use crate::change::{ColumnUpdate, RowOperation};
use crate::value::{self, Column, KeyBound, KeyPoint, KeyValue, PrimaryKey, Row, Value};

const GOLDEN: &str = include_str!("golden.txt");

fn golden(name: &str) -> String {
    let line = GOLDEN.lines().find_map(|line| line.split_once(' ').filter(|(of, _)| *of == name));
    line.unwrap_or_else(|| panic!("golden.txt has no {name}")).1.to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn full_key() -> PrimaryKey {
    vec![
        ("pk".into(), KeyValue::String("käy".to_owned())),
        ("n".into(), KeyValue::Integer(-2)),
        ("b".into(), KeyValue::Binary(vec![0, 255])),
    ]
}

fn columns() -> Vec<Column> {
    vec![
        Column::new("i", Value::Integer(i64::MAX)),
        Column::new("d", Value::Double(-0.1)),
        Column::new("t", Value::Boolean(true)),
        Column::new("f", Value::Boolean(false)),
        Column::new("s", Value::String("täxt".to_owned())),
        Column::new("e", Value::String(String::new())),
        Column::new("x", Value::Binary((0..=255).collect())),
        Column { name: "v".into(), value: Value::Integer(1), timestamp: Some(1_700_000_000_123) },
    ]
}

#[test]
fn keys_and_ranges_are_those_of_the_official_sdk() {
    assert_eq!(hex(&primary_key(&full_key())), golden("key"));
    assert_eq!(hex(&point(&value::point(&full_key()))), golden("key"));
    let ends: KeyPoint = vec![("pk".into(), KeyBound::Min), ("n".into(), KeyBound::Max)];
    assert_eq!(hex(&point(&ends)), golden("range"));
    assert_eq!(key(&point(&ends)), Ok(ends));
}

#[test]
fn changes_are_those_of_the_official_sdk() {
    let key = full_key();
    assert_eq!(hex(&change(&key, &RowOperation::Put(columns()))), golden("put"));
    assert_eq!(hex(&change(&key[..1].to_vec(), &RowOperation::Put(vec![]))), golden("put_nothing"));
    let updates = vec![
        ColumnUpdate::Put(Column::new("a", Value::Integer(1))),
        ColumnUpdate::Put(Column { name: "w".into(), value: Value::String("x".to_owned()), timestamp: Some(1_700_000_000_123) }),
        ColumnUpdate::DeleteVersion("o".into(), 1_700_000_000_456),
        ColumnUpdate::DeleteAll("g".into()),
    ];
    let number = key[1..2].to_vec();
    assert_eq!(hex(&change(&number, &RowOperation::Update(updates))), golden("update"));
    assert_eq!(hex(&change(&number, &RowOperation::Delete)), golden("delete"));
}

#[test]
fn values_by_themselves_are_those_of_the_official_sdk() {
    for (name, value) in [
        ("integer", Value::Integer(-5)),
        ("double", Value::Double(2.5)),
        ("boolean", Value::Boolean(true)),
        ("string", Value::String("é".to_owned())),
        ("binary", Value::Binary(vec![1])),
    ] {
        assert_eq!(hex(&variant(&value)), golden(&format!("variant_{name}")), "{name}");
    }
}

#[test]
fn a_row_of_the_official_sdk_is_read() {
    let put = golden("put");
    let bytes: Vec<u8> = (0..put.len()).step_by(2).map(|at| u8::from_str_radix(&put[at..at + 2], 16).unwrap()).collect();
    assert_eq!(row(&bytes), Ok(Some(Row { key: full_key(), columns: columns() })));
}

#[test]
fn no_bytes_are_no_rows_and_a_header_alone_is_none_either() {
    assert_eq!(rows(&[]), Ok(vec![]));
    assert_eq!(rows(&[0x75, 0, 0, 0]), Ok(vec![]));
    assert_eq!(rows(&[0x76, 0, 0, 0]), Err(Malformed::Header));
    assert_eq!(rows(&[0x75, 0, 0]), Err(Malformed::End));
    assert_eq!(key(&[0x75, 0, 0, 0]), Err(Malformed::End));
}

#[test]
fn a_length_beyond_the_end_takes_no_memory() {
    // A cell whose name is said to have four gigabytes.
    let bytes = [0x75, 0, 0, 0, TAG_ROW_KEY, TAG_CELL, TAG_CELL_NAME, 0xff, 0xff, 0xff, 0xff, b'a'];
    assert_eq!(rows(&bytes), Err(Malformed::End));
}

#[test]
fn a_second_row_is_not_dropped() {
    let mut bytes = change(&full_key(), &RowOperation::Put(columns()));
    bytes.extend_from_within(4..);
    assert_eq!(rows(&bytes).map(|rows| rows.len()), Ok(2));
    assert_eq!(row(&bytes), Err(Malformed::More));
}

fn any_name() -> impl Strategy<Value = value::Name> {
    "[a-zA-Z_][a-zA-Z0-9_]{0,12}".prop_map(Into::into)
}

fn any_key() -> impl Strategy<Value = PrimaryKey> {
    let value = prop_oneof![
        any::<i64>().prop_map(KeyValue::Integer),
        ".{0,24}".prop_map(KeyValue::String),
        prop::collection::vec(any::<u8>(), 0..24).prop_map(KeyValue::Binary),
    ];
    prop::collection::vec((any_name(), value), 1..=4)
}

fn any_columns() -> impl Strategy<Value = Vec<Column>> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_filter("NaN is unequal to itself", |number| !number.is_nan()).prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,40}".prop_map(Value::String),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Binary),
    ];
    let column = (any_name(), value, any::<Option<i64>>()).prop_map(|(name, value, timestamp)| Column { name, value, timestamp });
    prop::collection::vec(column, 0..8)
}

proptest! {
    #[test]
    fn what_is_written_is_read(wrote in prop::collection::vec((any_key(), any_columns()), 0..4)) {
        let mut bytes = HEADER.to_le_bytes().to_vec();
        for (key, columns) in &wrote {
            bytes.extend_from_slice(&change(key, &RowOperation::Put(columns.clone()))[4..]);
        }
        let read = rows(&bytes).unwrap();
        prop_assert_eq!(read, wrote.into_iter().map(|(key, columns)| Row { key, columns }).collect::<Vec<_>>());
    }

    #[test]
    fn every_bit_of_a_row_is_covered(key in any_key(), columns in any_columns(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let bytes = change(&key, &RowOperation::Put(columns));
        let mut damaged = bytes.clone();
        damaged[at.index(bytes.len())] ^= 1 << bit;
        prop_assert!(row(&damaged).is_err());
    }

    #[test]
    fn a_row_that_is_cut_is_never_read(key in any_key(), columns in any_columns(), at in any::<prop::sample::Index>()) {
        let bytes = change(&key, &RowOperation::Put(columns));
        let end = 5 + at.index(bytes.len() - 5);
        prop_assert!(row(&bytes[..end]).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut with_header = HEADER.to_le_bytes().to_vec();
        with_header.extend_from_slice(&bytes);
        let _ = (rows(&bytes), rows(&with_header), key(&with_header));
    }

    #[test]
    fn no_tags_make_it_panic(bytes in prop::collection::vec(prop_oneof![0u8..12, any::<u8>()], 0..80)) {
        let mut with_header = HEADER.to_le_bytes().to_vec();
        with_header.extend_from_slice(&bytes);
        let _ = (rows(&with_header), row(&with_header), key(&with_header));
    }
}
