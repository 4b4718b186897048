//! Every operation, from the client to the server and back.

use godwit_tablestore::{
    Client, Code, Column, ColumnUpdate, Condition, Credentials, Direction, Error, ErrorKind, Invalid, KeyBound, KeyColumn,
    KeyType, KeyValue, KeysOfTable, Range, Read, Row, RowChange, RowOperation, RowsOfTable, TableOptions, Throughput, Value,
    point,
};
use godwit_tablestore_server::{Settings, Version};
use proptest::prelude::*;

use crate::setup::{self, id, number, put, start, unversioned, v4, with};

pub(crate) fn code(error: &Error) -> &str {
    error.code().map_or("", Code::as_str)
}

#[tokio::test]
async fn tables_are_created_described_changed_and_deleted() {
    let setup = start().await;
    let client = &setup.client;
    assert!(client.list_tables().await.unwrap().is_empty());
    let key = [
        KeyColumn::new("shard", KeyType::Binary),
        KeyColumn::new("name", KeyType::String),
        KeyColumn::new("id", KeyType::Integer),
    ];
    let options =
        TableOptions { time_to_live: Some(86_400), max_versions: Some(3), max_deviation: Some(3600), allow_update: Some(true) };
    client.create_table("t", &key, options, Throughput::default()).await.unwrap();
    let described = client.describe_table("t").await.unwrap();
    assert_eq!((described.key.as_slice(), described.options, described.throughput), (&key[..], options, Throughput::default()));
    let changed = TableOptions { max_versions: Some(1), ..TableOptions::default() };
    let (options, _) = client.update_table("t", Some(changed), None).await.unwrap();
    assert_eq!((options.max_versions, options.time_to_live), (Some(1), Some(86_400)));
    assert_eq!(client.list_tables().await.unwrap(), ["t"]);
    let again = client.create_table("t", &key, TableOptions::default(), Throughput::default()).await.unwrap_err();
    assert_eq!((code(&again), again.may_have_succeeded()), ("OTSObjectAlreadyExist", false));
    client.delete_table("t").await.unwrap();
    assert_eq!(code(&client.delete_table("t").await.unwrap_err()), "OTSObjectNotExist");
    assert_eq!(code(&client.describe_table("t").await.unwrap_err()), "OTSObjectNotExist");
}

#[tokio::test]
async fn a_quota_of_tables_is_final_and_one_of_operations_is_waited_for() {
    let setup = with(Settings { tables: 2, table_operations_per_second: Some(3), ..Settings::default() }, |_| {}).await;
    setup.numbered("a").await;
    setup.numbered("b").await;
    let key = [KeyColumn::new("id", KeyType::Integer)];
    let third = setup.client.create_table("c", &key, TableOptions::default(), Throughput::default()).await.unwrap_err();
    assert_eq!((code(&third), third.attempts), ("OTSQuotaExhausted", 1));
    // The fourth operation of this second: too frequent, and done when the second is over.
    assert_eq!(setup.client.list_tables().await.unwrap(), ["a", "b"]);
    assert!(setup.count("ListTable OTSQuotaExhausted") > 0);
}

#[tokio::test]
async fn a_table_that_is_being_loaded_is_waited_for() {
    let loading = std::time::Duration::from_millis(200);
    let setup = with(Settings { loading, ..Settings::default() }, |_| {}).await;
    setup.numbered("t").await;
    setup.client.put_row("t", id(1), vec![], Condition::default()).await.unwrap();
    assert!(setup.count("PutRow OTSTableNotReady") > 0);
}

#[tokio::test]
async fn rows_are_put_updated_and_deleted() {
    let setup = start().await;
    setup.numbered("t").await;
    let client = &setup.client;
    let read = async |at| client.get_row("t", &id(at), &Read::default()).await.unwrap().map(|row| unversioned(row.columns));
    assert_eq!(read(1).await, None);
    let consumed = client.put_row("t", id(1), vec![number("a", 1), number("b", 2)], Condition::default()).await.unwrap();
    assert_eq!((consumed.read, consumed.write), (0, 1));
    assert_eq!(read(1).await, Some(vec![number("a", 1), number("b", 2)]));
    // An update changes what it names; a put replaces the row.
    let updates = vec![ColumnUpdate::Put(number("b", 3)), ColumnUpdate::DeleteAll("a".into()), ColumnUpdate::Put(number("c", 4))];
    client.update_row("t", id(1), updates, Condition::default()).await.unwrap();
    assert_eq!(read(1).await, Some(vec![number("b", 3), number("c", 4)]));
    client.put_row("t", id(1), vec![number("z", 9)], Condition::default()).await.unwrap();
    assert_eq!(read(1).await, Some(vec![number("z", 9)]));
    // A row without columns is a row; deleting columns of one that is not there makes none.
    client.update_row("t", id(1), vec![ColumnUpdate::DeleteAll("z".into())], Condition::default()).await.unwrap();
    assert_eq!(read(1).await, Some(vec![]));
    client.update_row("t", id(2), vec![ColumnUpdate::DeleteAll("z".into())], Condition::default()).await.unwrap();
    assert_eq!(read(2).await, None);
    client.delete_row("t", id(1), Condition::default()).await.unwrap();
    client.delete_row("t", id(1), Condition::default()).await.unwrap();
    assert_eq!(read(1).await, None);
}

#[tokio::test]
async fn versions_are_kept_as_the_table_says_and_read_as_asked() {
    let setup = start().await;
    let options = TableOptions { max_versions: Some(2), ..TableOptions::default() };
    let key = [KeyColumn::new("id", KeyType::Integer)];
    setup.client.create_table("t", &key, options, Throughput::default()).await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let version = |at: i64| Column { name: "c".into(), value: Value::Integer(at), timestamp: Some(now + at) };
    for at in [3, 1, 2] {
        setup.client.update_row("t", id(1), vec![ColumnUpdate::Put(version(at))], Condition::default()).await.unwrap();
    }
    let read = async |max_versions| {
        setup.client.get_row("t", &id(1), &Read { max_versions, ..Read::default() }).await.unwrap().unwrap().columns
    };
    assert_eq!(read(1).await, [version(3)]);
    assert_eq!(read(9).await, [version(3), version(2)]);
    setup
        .client
        .update_row("t", id(1), vec![ColumnUpdate::DeleteVersion("c".into(), now + 3)], Condition::default())
        .await
        .unwrap();
    assert_eq!(read(9).await, [version(2)]);
}

#[tokio::test]
async fn batches_answer_each_row_in_its_place() {
    let setup = start().await;
    setup.numbered("a").await;
    setup.numbered("b").await;
    let rows: Vec<RowChange> = (0..150).map(|at| put(at, at)).collect();
    let more = [put(1, 1), RowChange::new(id(2), RowOperation::Delete)];
    let tables = [RowsOfTable { table: "b", rows: &more }, RowsOfTable { table: "a", rows: &rows }];
    let written = setup.client.batch_write_row(&tables).await.unwrap();
    assert_eq!(written.iter().map(Vec::len).collect::<Vec<_>>(), [2, 150]);
    assert!(written.iter().flatten().all(Result::is_ok));
    // One table that is not there does not keep the others from being written.
    let tables = [RowsOfTable { table: "a", rows: &more[..1] }, RowsOfTable { table: "missing", rows: &more[..1] }];
    let written = setup.client.batch_write_row(&tables).await.unwrap();
    assert!(written[0][0].is_ok());
    assert_eq!(written[1][0].as_ref().unwrap_err().refusal.code, Code::ObjectNotExist);
    let (keys, read) = ([id(149), id(1000), id(0)], Read::default());
    let got = setup.client.batch_get_row(&[KeysOfTable { table: "a", keys: &keys, read: &read }]).await.unwrap();
    let found: Vec<Option<i64>> = got[0].iter().map(|row| row.as_ref().unwrap().as_ref().map(value)).collect();
    assert_eq!(found, [Some(149), None, Some(0)]);
}

#[tokio::test]
async fn an_import_writes_what_a_batch_writes() {
    let setup = start().await;
    setup.numbered("t").await;
    let rows: Vec<RowChange> = (0..200).map(|at| put(at, at * 2)).collect();
    let written = setup.client.bulk_import("t", &rows).await.unwrap();
    assert!(written.len() == 200 && written.iter().all(Result::is_ok));
    assert_eq!(everything(&setup.client, "t").await.len(), 200);
    assert_eq!(code(&setup.client.bulk_import("missing", &rows).await.unwrap_err()), "OTSObjectNotExist");
}

pub(crate) fn value(row: &Row) -> i64 {
    match row.columns.as_slice() {
        [Column { value: Value::Integer(value), .. }] => *value,
        other => panic!("{other:?}"),
    }
}

/// All rows of a table, page by page.
pub(crate) async fn everything(client: &Client, table: &str) -> Vec<Row> {
    let key = client.describe_table(table).await.unwrap().key;
    let mut rows = Vec::new();
    let keep = |page: godwit_tablestore::Page| {
        rows.extend(page.rows);
        true
    };
    client.each_page(table, Range { limit: Some(7), ..Range::whole(&key) }, keep).await.unwrap();
    rows
}

#[tokio::test]
async fn ranges_go_on_from_page_to_page_in_both_directions() {
    let setup = start().await;
    setup.numbered("t").await;
    let rows: Vec<RowChange> = (0..20).map(|at| put(at, at)).collect();
    setup.client.bulk_import("t", &rows).await.unwrap();
    let read: Vec<i64> = everything(&setup.client, "t").await.iter().map(value).collect();
    assert_eq!(read, (0..20).collect::<Vec<_>>());
    let range = Range {
        direction: Direction::Backward,
        from: point(&id(15)),
        to: vec![("id".into(), KeyBound::Value(KeyValue::Integer(3)))],
        read: Read::default(),
        limit: Some(5),
    };
    let mut read = Vec::new();
    setup
        .client
        .each_page("t", range, |page| {
            read.extend(page.rows.iter().map(value));
            true
        })
        .await
        .unwrap();
    assert_eq!(read, (4..=15).rev().collect::<Vec<_>>());
    // Who has seen enough stops.
    let mut pages = 0;
    let all = Range { limit: Some(1), ..Range::whole(&setup.client.describe_table("t").await.unwrap().key) };
    setup
        .client
        .each_page("t", all, |_| {
            pages += 1;
            pages < 3
        })
        .await
        .unwrap();
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn split_points_cut_a_table_into_ranges() {
    let setup = start().await;
    let key = [KeyColumn::new("part", KeyType::String), KeyColumn::new("id", KeyType::Integer)];
    setup.table("t", &key).await;
    assert!(setup.client.compute_split_points_by_size("t", 1).await.unwrap().points.is_empty());
    for at in 0..12i64 {
        let row = vec![("part".into(), KeyValue::String(format!("p{}", at / 6))), ("id".into(), KeyValue::Integer(at))];
        let large = Column::new("large", Value::Binary(vec![7; 600_000]));
        setup.client.put_row("t", row, vec![large], Condition::default()).await.unwrap();
    }
    let split = setup.client.compute_split_points_by_size("t", 1).await.unwrap();
    assert_eq!(split.key, key);
    assert!(split.points.len() >= 4, "{}", split.points.len());
    // A point that is the first of its part leaves the second column out, which then is at its minimum.
    assert!(split.points.iter().any(|point| point[1].1 == KeyBound::Min));
    assert!(split.points.iter().any(|point| matches!(point[1].1, KeyBound::Value(_))));
    let whole = Range::whole(&key);
    let ends: Vec<_> = std::iter::once(whole.from.clone()).chain(split.points).chain([whole.to.clone()]).collect();
    let mut rows = 0;
    for pair in ends.windows(2) {
        let range = Range { from: pair[0].clone(), to: pair[1].clone(), ..whole.clone() };
        setup
            .client
            .each_page("t", range, |page| {
                rows += page.rows.len();
                true
            })
            .await
            .unwrap();
    }
    assert_eq!(rows, 12);
}

#[tokio::test]
async fn limits_are_refused_before_anything_is_sent() {
    let setup = start().await;
    setup.numbered("t").await;
    let sent = setup.server.counts();
    let client = &setup.client;
    let long_key = vec![("id".into(), KeyValue::String("x".repeat(1025)))];
    let refused = client.put_row("t", long_key, vec![], Condition::default()).await.unwrap_err();
    assert!(matches!(refused.kind, ErrorKind::Invalid(Invalid::KeySize { bytes: 1025, .. })), "{refused}");
    let large = vec![Column::new("c", Value::String("x".repeat(2 * 1024 * 1024 + 1)))];
    let refused = client.put_row("t", id(1), large, Condition::default()).await.unwrap_err();
    assert!(refused.to_string().starts_with("Tablestore PutRow: the column c holds 2097153 bytes"), "{refused}");
    let refused = client.describe_table("my-table").await.unwrap_err();
    assert!(matches!(refused.kind, ErrorKind::Invalid(Invalid::Name(_))), "{refused}");
    let rows: Vec<RowChange> = (0..201).map(|at| put(at, at)).collect();
    assert!(client.bulk_import("t", &rows).await.is_err());
    assert_eq!(setup.server.counts(), sent);
}

/// What only the server can know. The limits that the client checks before sending it holds as well: the SDKs, which check less, are refused.
#[tokio::test]
async fn the_server_refuses_keys_of_other_tables() {
    let setup = start().await;
    setup.table("t", &[KeyColumn::new("name", KeyType::String)]).await;
    for key in [id(1), vec![("name".into(), KeyValue::Integer(1))], [id(1), id(2)].concat()] {
        let refused = setup.client.put_row("t", key, vec![], Condition::default()).await.unwrap_err();
        assert_eq!(code(&refused), "OTSInvalidPK", "{refused}");
    }
}

#[tokio::test]
async fn both_signatures_are_taken_and_a_wrong_key_is_told() {
    for (configure, version) in [(v4 as fn(&mut _), Version::V4), (|_: &mut _| {}, Version::V2)] {
        let setup = with(Settings::default(), configure).await;
        setup.numbered("t").await;
        assert_eq!(setup.server.recorded().last().unwrap().version, version);
        setup.credentials.replace(Credentials::new("test-id", "another-secret"));
        let refused = setup.client.list_tables().await.unwrap_err();
        assert_eq!(
            refused.to_string().split(" (request").next(),
            Some("Tablestore ListTable: OTSAuthFailed: Signature mismatch.")
        );
        assert!(refused.request_id.is_some() && !refused.is_retryable());
        setup.credentials.replace(Credentials::new("another-id", "test-secret"));
        assert!(setup.client.list_tables().await.unwrap_err().to_string().contains("The AccessKeyID does not exist."));
    }
}

#[tokio::test]
async fn a_renewed_token_is_used_by_the_next_request() {
    let setup = with(Settings { security_token: Some("first".to_owned()), ..Settings::default() }, |_| {}).await;
    assert!(setup.client.list_tables().await.unwrap_err().to_string().contains("security token"));
    let with_token =
        |token: &str| Credentials { security_token: Some(token.into()), ..Credentials::new("test-id", "test-secret") };
    setup.credentials.replace(with_token("first"));
    setup.client.list_tables().await.unwrap();
    setup.server.set_security_token(Some("second".to_owned()));
    assert!(setup.client.list_tables().await.is_err());
    setup.credentials.replace(with_token("second"));
    setup.client.list_tables().await.unwrap();
}

#[tokio::test]
async fn credentials_that_no_header_can_carry_are_told_without_being_shown() {
    let setup = start().await;
    let credentials = Credentials { security_token: Some("first\nsecond".into()), ..Credentials::new("test-id", "test-secret") };
    setup.credentials.replace(credentials);
    let refused = setup.client.list_tables().await.unwrap_err();
    assert!(matches!(refused.kind, ErrorKind::Header("x-ots-ststoken")), "{refused}");
    assert!(!format!("{refused} {refused:?}").contains("second"), "{refused:?}");
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_filter("the service stores no others", |number| number.is_finite()).prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,60}".prop_map(Value::String),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(Value::Binary),
    ]
}

/// Rows of the table `generated_key` in the order of their keys.
pub(crate) fn any_rows() -> impl Strategy<Value = Vec<RowChange>> {
    let key = (any::<i8>(), "[a-zäß€😀]{0,3}", prop::collection::vec(any::<u8>(), 0..3));
    let columns = prop::collection::btree_map("[a-f]{1,2}", any_value(), 0..6);
    prop::collection::btree_map(key, columns, 1..24).prop_map(|rows| {
        let row = |((number, text, bytes), columns): ((i8, String, Vec<u8>), std::collections::BTreeMap<String, Value>)| {
            let key = vec![
                ("number".into(), KeyValue::Integer(number.into())),
                ("text".into(), KeyValue::String(text)),
                ("bytes".into(), KeyValue::Binary(bytes)),
            ];
            RowChange::new(key, RowOperation::Put(columns.into_iter().map(|(name, value)| Column::new(name, value)).collect()))
        };
        rows.into_iter().map(row).collect()
    })
}

pub(crate) fn generated_key() -> [KeyColumn; 3] {
    [
        KeyColumn::new("number", KeyType::Integer),
        KeyColumn::new("text", KeyType::String),
        KeyColumn::new("bytes", KeyType::Binary),
    ]
}

/// What was put, as it is read.
pub(crate) fn as_read(rows: &[RowChange]) -> Vec<Row> {
    let columns = |operation: &RowOperation| match operation {
        RowOperation::Put(columns) => columns.clone(),
        other => panic!("{other:?}"),
    };
    rows.iter().map(|row| Row { key: row.key.clone(), columns: columns(&row.operation) }).collect()
}

pub(crate) fn without_versions(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().map(|row| Row { columns: setup::unversioned(row.columns), ..row }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn rows_come_back_as_they_were_written_in_the_order_of_their_keys(rows in any_rows()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let read = runtime.block_on(async {
            let setup = start().await;
            setup.table("t", &generated_key()).await;
            // Written backwards, read forwards.
            let backwards: Vec<RowChange> = rows.iter().rev().cloned().collect();
            setup.client.batch_write_row(&[RowsOfTable { table: "t", rows: &backwards }]).await.unwrap();
            everything(&setup.client, "t").await
        });
        prop_assert_eq!(without_versions(read), as_read(&rows));
    }
}
