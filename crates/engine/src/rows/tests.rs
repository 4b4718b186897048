use super::*;
use crate::fixture;
use godwit_model::definition::{Column, Kind};

fn column(name: &str, kind: Kind, character_set: Option<&str>) -> Column {
    Column { character_set: character_set.map(Into::into), ..fixture::column(name, kind) }
}

/// A table whose key is its first `keys` columns; destination names have a `2` appended.
fn table(columns: Vec<Column>, keys: usize, range_columns: usize) -> TablePlan {
    let mut plan = fixture::table_plan(fixture::definition("d", "t`", columns));
    plan.destination = TableName { database: "d2".into(), table: "t`2".into() };
    plan.columns.iter_mut().for_each(|column| column.destination_name.push('2'));
    plan.key = (0..keys).collect();
    plan.key_index = plan.key_index.filter(|_| keys > 0);
    plan.range_columns = range_columns;
    plan
}

/// A table with the key `id INT`.
pub(crate) fn keyed_by_id() -> TablePlan {
    table(vec![column("id", Kind::Int { unsigned: false }, None)], 1, 1)
}

fn bound(cells: &[&[u8]]) -> KeyBound {
    KeyBound::from_cells(row(cells))
}

fn row(cells: &[&[u8]]) -> Row {
    let mut builder = RowBuilder::default();
    for cell in cells {
        builder.push(Some(cell));
    }
    builder.finish()
}

fn text(sql: Sql) -> String {
    sql.to_string()
}

fn composite() -> TablePlan {
    table(
        vec![
            column("a", Kind::BigInt { unsigned: true }, None),
            column("b", Kind::Varchar, Some("latin1")),
            column("c", Kind::Date, None),
            column("e", Kind::Enum { labels: vec!["x".into()] }, None),
        ],
        4,
        3,
    )
}

#[test]
fn open_on_both_sides_is_no_condition() {
    assert_eq!(text(range_condition(&composite(), Side::Source, None, None)), "");
}

#[test]
fn single_column_bounds() {
    let t = table(vec![column("id", Kind::BigInt { unsigned: true }, None)], 1, 1);
    let (lo, hi) = (bound(&[b"7"]), bound(&[b"18446744073709551615"]));
    assert_eq!(text(range_condition(&t, Side::Source, Some(&lo), Some(&hi))), "`id`>7 AND `id`<=18446744073709551615");
    assert_eq!(text(range_condition(&t, Side::Destination, Some(&lo), None)), "`id2`>7");
    assert_eq!(text(range_condition(&t, Side::Destination, None, Some(&hi))), "`id2`<=18446744073709551615");
    // An empty piece stays a contradiction.
    assert_eq!(text(range_condition(&t, Side::Source, Some(&lo), Some(&lo))), "`id`>7 AND `id`<=7");
}

#[test]
fn composite_bounds_are_expanded() {
    let lo = bound(&[b"1", b"x'y\\", b"2024-02-29"]);
    assert_eq!(
        text(range_condition(&composite(), Side::Source, Some(&lo), None)),
        r"(`a`>1 OR (`a`=1 AND (`b`>_latin1'x\'y\\' OR (`b`=_latin1'x\'y\\' AND `c`>'2024-02-29'))))"
    );
    assert_eq!(
        text(range_condition(&composite(), Side::Destination, None, Some(&lo))),
        r"(`a2`<1 OR (`a2`=1 AND (`b2`<_latin1'x\'y\\' OR (`b2`=_latin1'x\'y\\' AND `c2`<='2024-02-29'))))"
    );
}

#[test]
fn common_leading_columns_become_equalities() {
    let (lo, hi) = (bound(&[b"1", b"k", b"2024-01-01"]), bound(&[b"1", b"k", b"2024-01-09"]));
    assert_eq!(
        text(range_condition(&composite(), Side::Source, Some(&lo), Some(&hi))),
        "`a`=1 AND `b`=_latin1'k' AND `c`>'2024-01-01' AND `c`<='2024-01-09'"
    );
    let hi = bound(&[b"1", b"l", b"2024-01-09"]);
    assert_eq!(
        text(range_condition(&composite(), Side::Source, Some(&lo), Some(&hi))),
        "`a`=1 AND (`b`>_latin1'k' OR (`b`=_latin1'k' AND `c`>'2024-01-01')) \
         AND (`b`<_latin1'l' OR (`b`=_latin1'l' AND `c`<='2024-01-09'))"
    );
}

#[test]
fn literals_keep_bytes_and_times() {
    let t = table(
        vec![
            column("s", Kind::Char, Some("gbk")),
            column("d", Kind::DateTime { fsp: 3 }, None),
            column("v", Kind::VarBinary, None),
        ],
        3,
        3,
    );
    let lo = bound(&[b"\x81\x5c", b"0000-00-00 00:00:00.000", b"\x00\xff"]);
    let sql = range_condition(&t, Side::Source, Some(&lo), None);
    let wanted: &[u8] = b"(`s`>_gbk'\x81\\\\' OR (`s`=_gbk'\x81\\\\' AND (`d`>'0000-00-00 00:00:00.000' \
        OR (`d`='0000-00-00 00:00:00.000' AND `v`>_binary'\\0\xff'))))";
    assert_eq!(sql.as_bytes(), wanted);
}

#[test]
fn statements() {
    let t = composite();
    let options = SelectOptions { force_index: true, ordered: true, json_types: true };
    assert_eq!(
        text(select_statement(&t, Side::Source, &Sql::new("1=1"), options)),
        "SELECT `a`,`b`,`c`,CAST(`e` AS UNSIGNED) FROM `d`.`t``` FORCE INDEX (`PRIMARY`) WHERE 1=1 ORDER BY `a`,`b`,`c`,`e`"
    );
    let options = SelectOptions { force_index: false, ordered: false, json_types: true };
    assert_eq!(
        text(select_statement(&t, Side::Destination, &Sql::default(), options)),
        "SELECT `a2`,`b2`,`c2`,CAST(`e2` AS UNSIGNED) FROM `d2`.`t``2`"
    );
    assert_eq!(
        text(boundary_statement(&t, Side::Source, None, 999, true)),
        "SELECT `a`,`b`,`c` FROM `d`.`t``` FORCE INDEX (`PRIMARY`) ORDER BY `a`,`b`,`c` LIMIT 1 OFFSET 999"
    );
    assert_eq!(
        text(count_statement(&t, Side::Destination, &Sql::new("`a2`>1"), false)),
        "SELECT COUNT(*) FROM `d2`.`t``2` WHERE `a2`>1"
    );
}

#[test]
fn keys_are_compared_on_all_columns() {
    let t = composite();
    let (first, second) = (row(&[b"1", b"x", b"2024-01-01", b"1"]), row(&[b"2", b"y", b"2024-01-02", b"1"]));
    assert_eq!(
        text(keys_condition(&t, Side::Source, [&first, &second])),
        "(`a`=1 AND `b`=_latin1'x' AND `c`='2024-01-01' AND `e`=1) OR (`a`=2 AND `b`=_latin1'y' AND `c`='2024-01-02' AND `e`=1)"
    );
}

#[test]
fn a_bound_is_cut_from_a_row() {
    let t = composite();
    let full = row(&[b"1", b"x", b"2024-01-01", b"1"]);
    assert_eq!(KeyBound::of_row(&t, &full), bound(&[b"1", b"x", b"2024-01-01"]));
}

#[test]
fn numbers_of_an_enum_are_listed() {
    let labels = ["a", "b", "c", "d"].map(String::from).to_vec();
    let table = table(vec![column("k", Kind::Enum { labels }, None), column("id", Kind::Int { unsigned: false }, None)], 2, 2);
    let condition = |lo: Option<&[&[u8]]>, hi: Option<&[&[u8]]>| {
        range_condition(&table, Side::Source, lo.map(bound).as_ref(), hi.map(bound).as_ref()).to_string()
    };
    assert_eq!(
        condition(Some(&[b"2", b"7"]), Some(&[b"3", b"9"])),
        "(`k` IN (3,4) OR (`k`=2 AND `id`>7)) AND (`k` IN (0,1,2) OR (`k`=3 AND `id`<=9))"
    );
    assert_eq!(condition(Some(&[b"4", b"7"]), None), "(FALSE OR (`k`=4 AND `id`>7))");
    assert_eq!(condition(None, Some(&[b"0", b"7"])), "(FALSE OR (`k`=0 AND `id`<=7))");
}
