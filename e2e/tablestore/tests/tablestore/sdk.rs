//! The official SDKs as witnesses: what they write our client reads, what our client writes they read, and for the same operation both send the same
//! bytes.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use godwit_tablestore::{
    Column, ColumnFilter, ColumnUpdate, Comparator, Condition, Existence, KeyBound, KeyColumn, KeyPoint, KeyType, KeyValue,
    KeysOfTable, PrimaryKey, Range, Read, Row, RowChange, RowOperation, RowsOfTable, TableOptions, Throughput, Value, point,
};
use godwit_tablestore_server::{Fault, FaultKind, Settings, Version};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::bodies::without_defaults;
use crate::operations::{any_rows, as_read, everything, generated_key, without_versions};
use crate::setup::{Setup, id, number, put, v4, with};

/// A program that speaks for an SDK (`e2e/tablestore/sdk`).
struct Sdk {
    name: &'static str,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Sdk {
    fn start(language: &'static str, setup: &Setup, version: Version) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sdk");
        let program = match language {
            "python" => "driver.py",
            "java" => "Sdk.java",
            _ => "go",
        };
        let mut command = Command::new(format!("{folder}/run.sh"));
        command.arg(language).arg(format!("{folder}/{program}")).arg(setup.server.endpoint());
        if version == Version::V4 {
            command.arg("v4");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { name: language, child, to, from }
    }

    /// Gives a command and waits for its answer.
    fn ask(&mut self, command: &str) -> String {
        writeln!(self.to, "{command}").unwrap();
        let mut line = String::new();
        // The SDK may print what it has to say about itself first.
        while !line.starts_with("ok") && !line.starts_with("error") {
            line.clear();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "the driver of {} ended at: {command}", self.name);
        }
        line.trim_end().to_owned()
    }

    /// Gives a command that has to succeed; what it answers.
    fn done(&mut self, command: &str) -> String {
        let said = self.ask(command);
        let answer = said.strip_prefix("ok").unwrap_or_else(|| panic!("{}: {command}: {said}", self.name));
        answer.trim().to_owned()
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn value_token(value: &Value) -> String {
    match value {
        Value::Integer(number) => format!("i:{number}"),
        Value::Double(number) => format!("d:{:016x}", number.to_bits()),
        Value::Boolean(truth) => format!("b:{}", u8::from(*truth)),
        Value::String(text) => format!("s:{}", hex(text.as_bytes())),
        Value::Binary(bytes) => format!("x:{}", hex(bytes)),
    }
}

fn key_token(key: &PrimaryKey) -> String {
    point_token(&point(key))
}

fn point_token(point: &KeyPoint) -> String {
    let bound = |bound: &KeyBound| match bound {
        KeyBound::Min => "min".to_owned(),
        KeyBound::Max => "max".to_owned(),
        KeyBound::Value(KeyValue::Integer(number)) => format!("i:{number}"),
        KeyBound::Value(KeyValue::String(text)) => format!("s:{}", hex(text.as_bytes())),
        KeyBound::Value(KeyValue::Binary(bytes)) => format!("x:{}", hex(bytes)),
    };
    point.iter().map(|(name, of)| format!("{name}={}", bound(of))).collect::<Vec<_>>().join(",")
}

fn cells(columns: &[Column]) -> String {
    let cells: Vec<String> = columns.iter().map(|column| format!("{}={}", column.name, value_token(&column.value))).collect();
    if cells.is_empty() { "-".to_owned() } else { cells.join(",") }
}

fn condition(condition: &Condition) -> String {
    let existence = match condition.existence {
        Existence::Ignore => "ignore",
        Existence::ExpectExist => "exist",
        Existence::ExpectNotExist => "absent",
    };
    let Some(column) = &condition.column else { return existence.to_owned() };
    let comparator = match column.comparator {
        Comparator::Equal => "eq",
        Comparator::NotEqual => "ne",
        Comparator::Greater => "gt",
        Comparator::GreaterOrEqual => "ge",
        Comparator::Less => "lt",
        Comparator::LessOrEqual => "le",
    };
    format!("{existence}/{}/{comparator}/{}", column.column, value_token(&column.value))
}

/// A change without its table: its operation, and the rest.
fn change(row: &RowChange) -> (&'static str, String) {
    let (key, when) = (key_token(&row.key), condition(&row.condition));
    match &row.operation {
        RowOperation::Put(columns) => ("put", format!("{key} {} {when}", cells(columns))),
        RowOperation::Update(updates) => {
            let edit = |update: &ColumnUpdate| match update {
                ColumnUpdate::Put(column) => format!("+{}={}", column.name, value_token(&column.value)),
                ColumnUpdate::DeleteAll(name) => format!("~{name}"),
                ColumnUpdate::DeleteVersion(..) => panic!("the drivers have no word for it"),
            };
            ("update", format!("{key} {} {when}", updates.iter().map(edit).collect::<Vec<_>>().join(",")))
        }
        RowOperation::Delete => ("delete", format!("{key} {when}")),
    }
}

fn changes(rows: &[RowChange]) -> String {
    let change = |row| {
        let (operation, rest) = change(row);
        format!("{operation} {rest}").replace(' ', "_")
    };
    rows.iter().map(change).collect::<Vec<_>>().join(";")
}

/// Rows as the drivers show them.
fn shown(rows: &[Row]) -> String {
    let rows: Vec<String> = rows.iter().map(|row| format!("{}|{}", key_token(&row.key), cells(&row.columns))).collect();
    if rows.is_empty() { "-".to_owned() } else { rows.join(";") }
}

/// The ends of a table with this key.
fn ends(key: &[KeyColumn]) -> [String; 2] {
    ["min", "max"].map(|end| key.iter().map(|column| format!("{}={end}", column.name)).collect::<Vec<_>>().join(","))
}

fn whole(key: &[KeyColumn]) -> String {
    let [from, to] = ends(key);
    format!("{from} {to} forward 7")
}

/// Changes of every kind, with values and conditions of every kind.
fn all_changes() -> Vec<RowChange> {
    let columns = vec![
        number("i", i64::MIN),
        Column::new("d", Value::Double(-1.5e300)),
        Column::new("t", Value::Boolean(true)),
        Column::new("f", Value::Boolean(false)),
        Column::new("s", Value::String("ä€😀".to_owned())),
        Column::new("x", Value::Binary((0..=255).collect())),
    ];
    let when = |existence, column| Condition { existence, column };
    let comparison = |comparator, value| Some(ColumnFilter::new("i", comparator, value));
    let updates = vec![ColumnUpdate::Put(number("i", 7)), ColumnUpdate::Put(number("j", 8)), ColumnUpdate::DeleteAll("d".into())];
    vec![
        RowChange::new(id(1), RowOperation::Put(columns.clone())),
        RowChange::new(id(2), RowOperation::Put(vec![])),
        RowChange { condition: when(Existence::ExpectNotExist, None), ..RowChange::new(id(3), RowOperation::Put(columns)) },
        RowChange {
            condition: when(Existence::ExpectExist, comparison(Comparator::LessOrEqual, Value::Integer(5))),
            ..RowChange::new(id(1), RowOperation::Update(updates.clone()))
        },
        RowChange {
            condition: when(Existence::Ignore, comparison(Comparator::NotEqual, Value::String("é".to_owned()))),
            ..RowChange::new(id(2), RowOperation::Update(updates))
        },
        RowChange::new(id(3), RowOperation::Update(vec![ColumnUpdate::DeleteAll("d".into())])),
        RowChange {
            condition: when(Existence::Ignore, comparison(Comparator::Equal, Value::Double(0.5))),
            ..RowChange::new(id(2), RowOperation::Delete)
        },
        RowChange::new(id(3), RowOperation::Delete),
    ]
}

/// Does a change by itself.
async fn single(setup: &Setup, row: RowChange) {
    let _ = match row.operation {
        RowOperation::Put(columns) => setup.client.put_row("t", row.key, columns, row.condition).await,
        RowOperation::Update(updates) => setup.client.update_row("t", row.key, updates, row.condition).await,
        RowOperation::Delete => setup.client.delete_row("t", row.key, row.condition).await,
    };
}

/// What both sent last, when the SDK and then our client did the same.
struct Bodies<'a> {
    setup: &'a Setup,
    theirs: Vec<u8>,
}

impl<'a> Bodies<'a> {
    fn after_theirs(setup: &'a Setup) -> Self {
        let theirs = setup.server.recorded().pop().unwrap();
        Self { setup, theirs: without_defaults(&theirs.operation, &theirs.body) }
    }

    #[track_caller]
    fn are_equal(self, operation: &str) {
        let ours = self.setup.server.recorded().pop().unwrap();
        assert_eq!(ours.operation, operation);
        assert_eq!(hex(&self.theirs), hex(&ours.body), "{operation}");
    }
}

/// Every operation that the SDK has, done by it and then by us: the bodies are the same, byte for byte.
async fn bodies_are_equal(sdk: &mut Sdk, setup: &Setup) {
    let key = [KeyColumn::new("id", KeyType::Integer)];
    let options = TableOptions { time_to_live: Some(-1), max_versions: Some(1), max_deviation: Some(86_400), allow_update: None };
    sdk.done("create t id:integer -1 1 86400");
    let bodies = Bodies::after_theirs(setup);
    setup.client.create_table("t", &key, options, Throughput::default()).await.unwrap_err();
    bodies.are_equal("CreateTable");
    assert_eq!(sdk.done("describe t"), "id:integer -1 1 86400");
    let bodies = Bodies::after_theirs(setup);
    assert_eq!(setup.client.describe_table("t").await.unwrap().key, key);
    bodies.are_equal("DescribeTable");
    assert_eq!(sdk.done("list"), "t");
    let bodies = Bodies::after_theirs(setup);
    setup.client.list_tables().await.unwrap();
    bodies.are_equal("ListTable");
    assert_eq!(sdk.done("update-table t -1 3"), "3");
    let bodies = Bodies::after_theirs(setup);
    setup
        .client
        .update_table("t", Some(TableOptions { time_to_live: Some(-1), max_versions: Some(3), ..TableOptions::default() }), None)
        .await
        .unwrap();
    bodies.are_equal("UpdateTable");
    for row in all_changes() {
        let (operation, rest) = change(&row);
        sdk.ask(&format!("{operation} t {rest}"));
        let bodies = Bodies::after_theirs(setup);
        single(setup, row).await;
        bodies.are_equal(match operation {
            "put" => "PutRow",
            "update" => "UpdateRow",
            _ => "DeleteRow",
        });
    }
    let rows: Vec<RowChange> =
        all_changes().into_iter().enumerate().map(|(at, row)| RowChange { key: id(at as i64), ..row }).collect();
    sdk.done(&format!("batch t {}", changes(&rows)));
    let bodies = Bodies::after_theirs(setup);
    setup.client.batch_write_row(&[RowsOfTable { table: "t", rows: &rows }]).await.unwrap();
    bodies.are_equal("BatchWriteRow");
    sdk.done(&format!("get t {}", key_token(&id(1))));
    let bodies = Bodies::after_theirs(setup);
    setup.client.get_row("t", &id(1), &Read::default()).await.unwrap();
    bodies.are_equal("GetRow");
    sdk.done(&format!("batch-get t {};{}", key_token(&id(1)), key_token(&id(77))));
    let bodies = Bodies::after_theirs(setup);
    let (keys, read) = ([id(1), id(77)], Read::default());
    setup.client.batch_get_row(&[KeysOfTable { table: "t", keys: &keys, read: &read }]).await.unwrap();
    bodies.are_equal("BatchGetRow");
    let [from, to] = ends(&key);
    sdk.done(&format!("range t {from} {to} forward 500"));
    let bodies = Bodies::after_theirs(setup);
    setup.client.get_range("t", &Range { limit: Some(500), ..Range::whole(&key) }).await.unwrap();
    bodies.are_equal("GetRange");
    sdk.done(&format!("range t {} {} backward 500", key_token(&id(9)), key_token(&id(-9))));
    let bodies = Bodies::after_theirs(setup);
    let backward = |from: KeyPoint, to: KeyPoint| Range {
        direction: godwit_tablestore::Direction::Backward,
        from,
        to,
        ..Range::whole(&key)
    };
    let range = Range { limit: Some(500), ..backward(point(&id(9)), point(&id(-9))) };
    setup.client.get_range("t", &range).await.unwrap();
    bodies.are_equal("GetRange");
    sdk.done("delete-table t");
    let bodies = Bodies::after_theirs(setup);
    setup.client.delete_table("t").await.unwrap_err();
    bodies.are_equal("DeleteTable");
}

/// Generated rows, the same ones in each run.
fn generated(rounds: usize) -> Vec<Vec<RowChange>> {
    let mut runner = TestRunner::deterministic();
    (0..rounds).map(|_| any_rows().new_tree(&mut runner).unwrap().current()).collect()
}

/// Rows that one side wrote and the other read, in both directions.
async fn rows_are_equal(sdk: &mut Sdk, setup: &Setup, by_import: bool) {
    let key = generated_key();
    for (round, rows) in generated(40).into_iter().enumerate() {
        let expected = as_read(&rows);
        let (theirs, ours) = (format!("theirs{round}"), format!("ours{round}"));
        setup.table(&theirs, &key).await;
        setup.table(&ours, &key).await;
        let write = if by_import { "import" } else { "batch" };
        assert_eq!(sdk.done(&format!("{write} {theirs} {}", changes(&rows))), "all");
        assert_eq!(without_versions(everything(&setup.client, &theirs).await), expected);
        let written = if by_import {
            setup.client.bulk_import(&ours, &rows).await.unwrap()
        } else {
            setup.client.batch_write_row(&[RowsOfTable { table: &ours, rows: &rows }]).await.unwrap().remove(0)
        };
        assert!(written.iter().all(Result::is_ok));
        assert_eq!(sdk.done(&format!("range {ours} {}", whole(&key))), shown(&expected));
        let keys: Vec<String> = rows.iter().map(|row| key_token(&row.key)).collect();
        assert_eq!(sdk.done(&format!("batch-get {ours} {}", keys.join(";"))), shown(&expected));
        setup.client.delete_table(&theirs).await.unwrap();
        setup.client.delete_table(&ours).await.unwrap();
    }
}

/// What is refused is understood: codes of whole requests and of single rows.
fn refusals_are_understood(sdk: &mut Sdk, setup: &Setup) {
    assert_eq!(sdk.ask("describe missing"), "error OTSObjectNotExist");
    sdk.done("create r id:integer -1 1 86400");
    assert_eq!(sdk.ask("create r id:integer -1 1 86400"), "error OTSObjectAlreadyExist");
    assert_eq!(sdk.ask("put r id=i:1 - exist"), "error OTSConditionCheckFail");
    assert_eq!(sdk.ask("put r id=s:61 - ignore"), "error OTSInvalidPK");
    let rows = [RowChange { condition: Condition { existence: Existence::ExpectExist, column: None }, ..put(2, 2) }, put(3, 3)];
    assert_eq!(sdk.done(&format!("batch r {}", changes(&rows))), "0:OTSConditionCheckFail");
    limits_are_the_servers_as_well(sdk);
    if sdk.name != "go" {
        // The Go SDK believes every answer. The Java SDK asks again before it gives up.
        setup.server.set_faults(vec![Fault::always("GetRow", FaultKind::WrongSignature)]);
        let said = sdk.ask("get r id=i:3");
        assert!(said.starts_with("error client:"), "a wrong signature is not believed by the SDK either: {said}");
    }
    setup.server.set_faults(vec![]);
    assert_eq!(sdk.done("get r id=i:3"), "id=i:3|value=i:3");
    assert_eq!(sdk.done("get r id=i:4"), "none");
}

/// What our client refuses to send, and the SDKs send.
fn limits_are_the_servers_as_well(sdk: &mut Sdk) {
    let key = |bytes: usize| "61".repeat(bytes);
    sdk.done("create l id:string -1 1 86400");
    assert_eq!(sdk.ask("create my-table id:integer -1 1 86400"), "error OTSParameterInvalid");
    assert_eq!(sdk.ask("create m id:integer,id:integer -1 1 86400"), "error OTSParameterInvalid");
    sdk.done(&format!("put l id=s:{} - ignore", key(1024)));
    assert_eq!(sdk.ask(&format!("put l id=s:{} - ignore", key(1025))), "error OTSParameterInvalid");
    assert_eq!(sdk.ask("put l id=s:61 my-column=i:1 ignore"), "error OTSParameterInvalid");
    assert_eq!(sdk.ask("put l id=s:61 id=i:1 ignore"), "error OTSParameterInvalid");
    for number in ["7ff8000000000000", "7ff0000000000000", "fff0000000000000"] {
        assert_eq!(sdk.ask(&format!("put l id=s:61 c=d:{number} ignore")), "error OTSParameterInvalid");
    }
    assert_eq!(sdk.ask("batch-get r id=i:3;id=i:3"), "error OTSParameterInvalid");
    let batch = |rows: usize| (1000..1000 + rows).map(|at| format!("delete_id=i:{at}_ignore")).collect::<Vec<_>>().join(";");
    assert_eq!(sdk.done(&format!("batch r {}", batch(200))), "all");
    assert_eq!(sdk.ask(&format!("batch r {}", batch(201))), "error OTSParameterInvalid");
    assert_eq!(sdk.ask(&format!("batch r {};{}", batch(1), batch(1))), "error OTSParameterInvalid");
}

async fn unlimited(configure: fn(&mut godwit_tablestore::Config)) -> Setup {
    with(Settings { table_operations_per_second: None, ..Settings::default() }, configure).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_sdk_agrees() {
    for (configure, version) in [(v4 as fn(&mut _), Version::V4), (|_: &mut _| {}, Version::V2)] {
        let setup = unlimited(configure).await;
        let mut sdk = Sdk::start("python", &setup, version);
        bodies_are_equal(&mut sdk, &setup).await;
        assert!(setup.server.recorded().iter().all(|request| request.version == version));
        refusals_are_understood(&mut sdk, &setup);
        rows_are_equal(&mut sdk, &setup, false).await;
    }
}

/// BulkImport and ComputeSplitPointsBySize, which no other SDK has both of.
async fn what_only_java_has_is_equal(sdk: &mut Sdk, setup: &Setup) {
    setup.numbered("i").await;
    let rows: Vec<RowChange> = all_changes()
        .into_iter()
        .enumerate()
        .map(|(at, row)| RowChange { key: id(at as i64), condition: Condition::default(), ..row })
        .collect();
    assert_eq!(sdk.done(&format!("import i {}", changes(&rows))), "all");
    let bodies = Bodies::after_theirs(setup);
    setup.client.bulk_import("i", &rows).await.unwrap();
    bodies.are_equal("BulkImport");
    setup.server.set_faults(vec![Fault::once(
        "BulkImport",
        FaultKind::RefuseRows { code: "OTSNoPermissionAccess".to_owned(), one_in: 5 },
    )]);
    assert_eq!(sdk.done(&format!("import i {}", changes(&rows))), "0:OTSNoPermissionAccess,5:OTSNoPermissionAccess");
    let key = [KeyColumn::new("part", KeyType::String), KeyColumn::new("id", KeyType::Integer)];
    setup.table("s", &key).await;
    for at in 0..12i64 {
        let row = vec![("part".into(), KeyValue::String(format!("p{}", at / 6))), ("id".into(), KeyValue::Integer(at))];
        let large = Column::new("large", Value::Binary(vec![7; 600_000]));
        setup.client.put_row("s", row, vec![large], Condition::default()).await.unwrap();
    }
    let theirs = sdk.done("split s 1");
    let bodies = Bodies::after_theirs(setup);
    let split = setup.client.compute_split_points_by_size("s", 1).await.unwrap();
    bodies.are_equal("ComputeSplitPointsBySize");
    // The SDK answers ranges: the first begins at the minimum, each other at a point.
    let first: KeyPoint = key.iter().map(|column| (column.name.clone(), KeyBound::Min)).collect();
    let ours: Vec<String> = std::iter::once(first).chain(split.points).map(|point| point_token(&point)).collect();
    assert_eq!(theirs, ours.join(";"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_java_sdk_agrees() {
    for (configure, version) in [(v4 as fn(&mut _), Version::V4), (|_: &mut _| {}, Version::V2)] {
        let setup = unlimited(configure).await;
        let mut sdk = Sdk::start("java", &setup, version);
        bodies_are_equal(&mut sdk, &setup).await;
        what_only_java_has_is_equal(&mut sdk, &setup).await;
        assert!(setup.server.recorded().iter().all(|request| request.version == version));
        refusals_are_understood(&mut sdk, &setup);
        rows_are_equal(&mut sdk, &setup, false).await;
        rows_are_equal(&mut sdk, &setup, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_go_sdk_agrees() {
    let setup = unlimited(|_| {}).await;
    let mut sdk = Sdk::start("go", &setup, Version::V2);
    bodies_are_equal(&mut sdk, &setup).await;
    refusals_are_understood(&mut sdk, &setup);
    rows_are_equal(&mut sdk, &setup, false).await;
}

/// The functional tests that the vendor wrote for its SDK: those of what the server does not have fail, the others pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tests_of_the_go_sdk_pass() {
    let setup = unlimited(|_| {}).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/sdk/run.sh");
    let run = Command::new(script).args(["go-tests", &setup.server.endpoint()]).output().unwrap();
    let said = [run.stdout, run.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let failed: BTreeSet<&str> = said
        .lines()
        .filter(|line| line.starts_with("FAIL: ") || line.starts_with("PANIC: "))
        .filter_map(|line| line.split("TableStoreSuite.").nth(1))
        .collect();
    let without = ["TestCreateTableWithStream", "TestListStream", "TestStream", "TestTableWithKeyAutoIncrement"];
    assert_eq!(failed, BTreeSet::from(without), "{said}");
    assert!(said.contains("OOPS: 20 passed"), "{said}");
}
