use super::*;
use crate::fixture::{column, definition, table_plan};
use crate::value::json_types::JsonServer;
use godwit_model::definition::Column;

/// `k VARCHAR PRIMARY KEY, n BIGINT, v LONGBLOB`
fn text_keyed() -> TablePlan {
    let text = Column { character_set: Some("utf8mb4".into()), ..column("k", Kind::Varchar) };
    table_plan(definition("d", "t", vec![text, column("n", Kind::BigInt { unsigned: false }), column("v", Kind::Blob)]))
}

fn row(cells: &[&[u8]]) -> Row {
    let mut row = RowBuilder::default();
    cells.iter().for_each(|cell| row.push(Some(cell)));
    row.finish()
}

fn limits() -> Limits {
    Limits::of(SMALL_BYTES, false, false)
}

fn text(sql: &Sql) -> String {
    sql.to_string()
}

#[test]
fn deletes_are_bounded_by_bytes() {
    let table = text_keyed();
    // Each byte needs an escape, and stands there twice.
    let keys: Vec<Row> = (0..1000u32).map(|number| row(&[&[number.to_string().as_bytes(), &[0; 3000]].concat()])).collect();
    let statements = deletes(&table, &keys, limits());
    assert_eq!(statements.iter().map(|statement| statement.subjects.len()).sum::<usize>(), 1000);
    assert!(statements.iter().all(|statement| statement.sql.len() <= limits().statement_bytes));
    assert!(statements.len() < 50, "{} statements", statements.len());
    let short: Vec<Row> = (0..1000u32).map(|number| row(&[number.to_string().as_bytes()])).collect();
    assert_eq!(deletes(&table, &short, limits()).len(), 1);
}

#[test]
fn a_delete_finds_no_key_of_other_bytes() {
    let mut table = text_keyed();
    let keys = [row(&[b"a"]), row(&[b"b'"])];
    assert_eq!(
        text(&deletes(&table, &keys, limits())[0].sql),
        "DELETE FROM `d`.`t` WHERE `k` IN (_utf8mb4'a',_utf8mb4'b\\'') AND CAST(`k` AS BINARY) IN ('a','b\\'')"
    );
    let adopting = Limits::of(SMALL_BYTES, false, true);
    assert_eq!(text(&deletes(&table, &keys, adopting)[0].sql), "DELETE FROM `d`.`t` WHERE `k` IN (_utf8mb4'a',_utf8mb4'b\\'')");
    table.key = vec![0, 1];
    let keys = [row(&[b"a", b"1"]), row(&[b"A", b"2"])];
    assert_eq!(
        text(&deletes(&table, &keys, limits())[0].sql),
        "DELETE FROM `d`.`t` WHERE ((`k`=_utf8mb4'a' AND `n`=1) AND CAST(`k` AS BINARY)='a') \
         OR ((`k`=_utf8mb4'A' AND `n`=2) AND CAST(`k` AS BINARY)='A')"
    );
}

#[test]
fn an_upsert_takes_no_row_with_a_key_of_other_bytes() {
    let table = text_keyed();
    let rows = [row(&[b"a", b"1", b"x"])];
    let sql = |limits| text(&inserts(&table, rows.iter().map(Cow::Borrowed), OnDuplicate::Update, limits)[0].sql);
    let guard = "`k`=IF(CAST(`d`.`t`.`k` AS BINARY)=CAST(VALUES(`k`) AS BINARY),`d`.`t`.`k`,NULL)";
    assert!(sql(limits()).contains(guard), "{}", sql(limits()));
    assert!(!sql(Limits::of(SMALL_BYTES, false, true)).contains("IF("));
}

#[test]
fn inserts_are_bounded_by_what_they_take() {
    let table = text_keyed();
    // 200 KiB each, 400 KiB with their escapes: one to a statement, as two take more than half of a packet.
    let rows: Vec<Row> = (0..5u32).map(|number| row(&[number.to_string().as_bytes(), b"1", &[0; 200 << 10]])).collect();
    let statements = inserts(&table, rows.iter().map(Cow::Borrowed), OnDuplicate::Update, limits());
    assert_eq!(statements.iter().map(|statement| statement.subjects.len()).collect::<Vec<_>>(), [1; 5]);
    assert!(statements.iter().all(|statement| statement.sql.len() <= limits().statement_bytes && statement.long.is_empty()));
    // 600 KiB with escapes do not fit into a packet: the value goes ahead.
    let large = row(&[b"1", b"1", &[0; 600 << 10]]);
    let statements = inserts(&table, [Cow::Borrowed(&large)], OnDuplicate::Update, limits());
    assert!(statements[0].sql.len() < 1000 && statements[0].long.len() == 1);
    // 4 of 5 go together where there is room.
    let roomy = Limits::of(64 << 20, false, false);
    assert_eq!(inserts(&table, rows.iter().map(Cow::Borrowed), OnDuplicate::Update, roomy).len(), 3);
}

#[test]
fn what_no_packet_takes_is_refused_by_name() {
    let table = text_keyed();
    let mut statement = inserts(&table, [Cow::Owned(row(&[b"a", b"1", b"x"]))], OnDuplicate::Fail, limits()).remove(0);
    assert!(limits().check(&table, &statement).is_ok());
    statement.sql.push_string(&vec![b'x'; SMALL_BYTES]);
    let error = limits().check(&table, &statement).unwrap_err();
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("d.t") && error.to_string().contains("max_allowed_packet"), "{error}");
}

#[test]
fn documents_with_types_that_the_destination_cannot_make_are_refused() {
    let columns = vec![column("id", Kind::Int { unsigned: false }), column("j", Kind::Json)];
    let mut table = table_plan(definition("d", "t", columns));
    let mut refusals = |document: &[u8], server| {
        table.columns[1].json.destination = server;
        let rows = [row(&[b"1", b"[1]"]), row(&[b"2", document]), row(&[b"3", b"[2]"])];
        let statements = inserts(&table, rows.into_iter().map(Cow::Owned), OnDuplicate::Replace, limits());
        let errors = statements.iter().filter_map(|statement| limits().check(&table, statement).err());
        errors.map(|error| error.to_string()).collect::<Vec<_>>()
    };
    assert!(refusals(b"#[#D1.50]", JsonServer::MySql80).is_empty());
    let timestamp = br##"#[#s"2024-01-02 03:04:05.000000"]"##;
    // The row alone, whatever is written with it.
    let errors = refusals(timestamp, JsonServer::MySql80);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("TIMESTAMP") && errors[0].contains("column j"), "{errors:?}");
    assert!(refusals(timestamp, JsonServer::MySql8021).is_empty());
}

#[test]
fn warnings_that_are_not_shown_are_not_taken_for_harmless() {
    for (count, shown) in [(0, 0), (3, 3), (65535, 65535)] {
        assert!(all_shown(count, shown).is_ok());
    }
    let error = all_shown(5, 0).unwrap_err().to_string();
    assert!(error.contains("shows 0 of 5 warnings") && error.contains("max_error_count"), "{error}");
}
