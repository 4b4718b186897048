//! From MySQL to Tablestore: the built binary, real MySQL under writes, and the server of `e2e/tablestore`, which the official SDKs agree with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use godwit_tablestore::{Client, Config, Credentials, KeyValue, Range, Replaceable, Value};
use godwit_tablestore_server::{Fault, FaultKind, Server as Instance, Settings};
use mysql_async::prelude::Queryable;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Migration, Server, place, sleep};

/// How a column is compared.
#[derive(Clone, Copy)]
enum As {
    Integer,
    Double,
    Text,
    Bytes,
}

/// A table with what its columns become. The key comes first.
struct Table {
    name: &'static str,
    create: &'static str,
    keys: usize,
    columns: &'static [(&'static str, As)],
}

const TABLES: [Table; 3] = [
    Table {
        name: "orders",
        create: "CREATE TABLE shop.orders (id BIGINT PRIMARY KEY AUTO_INCREMENT, state ENUM('new','paid','gone') NOT NULL, total DECIMAL(12,2), \
                 weight DOUBLE, note VARCHAR(200), at DATETIME(3), flags SET('a','b','c'), doc JSON, data VARBINARY(50), bits BIT(10), y YEAR)",
        keys: 1,
        columns: &[
            ("id", As::Integer),
            ("state", As::Text),
            ("total", As::Text),
            ("weight", As::Double),
            ("note", As::Text),
            ("at", As::Text),
            ("flags", As::Text),
            ("doc", As::Text),
            ("data", As::Bytes),
            ("bits", As::Integer),
            ("y", As::Integer),
        ],
    },
    Table {
        name: "items",
        create: "CREATE TABLE shop.items (`order` INT NOT NULL, code VARCHAR(40) COLLATE utf8mb4_bin NOT NULL, count INT UNSIGNED, name TEXT CHARACTER SET latin1, \
                 PRIMARY KEY (`order`, code))",
        keys: 2,
        columns: &[("order", As::Integer), ("code", As::Text), ("count", As::Integer), ("name", As::Text)],
    },
    Table { name: "bare", create: "CREATE TABLE shop.bare (k VARBINARY(30) PRIMARY KEY)", keys: 1, columns: &[("k", As::Bytes)] },
];

type Cells = BTreeMap<String, String>;

/// An instance, and a client that reads it without Godwit.
struct Ots {
    instance: Instance,
    client: Client,
}

impl Ots {
    async fn start(settings: Settings) -> Self {
        let instance = Instance::start(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
        let credentials = Credentials::new("test-id", "test-secret");
        let client = Client::new(Config::new(instance.endpoint(), "instance", Arc::new(Replaceable::new(credentials)))).unwrap();
        Self { instance, client }
    }

    async fn rows(&self, table: &str) -> Vec<Cells> {
        let found = self.client.describe_table(table).await.unwrap();
        let mut rows = Vec::new();
        let each = |page: godwit_tablestore::Page| {
            for row in page.rows {
                let key = row.key.into_iter().map(|(name, value)| (name.to_string(), key_text(&value)));
                let columns = row.columns.into_iter().map(|column| (column.name.to_string(), text(&column.value)));
                rows.push(key.chain(columns).collect::<Cells>());
            }
            true
        };
        self.client.each_page(table, Range::whole(&found.key), each).await.unwrap();
        rows.sort();
        rows
    }

    fn migration(&self, source: &Server) -> Migration {
        let mut migration = Migration::new(source, source).with(
            "/destination",
            json!({"tablestore": {"endpoint": self.instance.endpoint(), "instance": "instance", "credentials": {"secretName": "ots"}}}),
        );
        migration.secrets[1] = ("ots", json!({"accessKeyId": "test-id", "accessKeySecret": "test-secret"}));
        migration
    }
}

fn key_text(value: &KeyValue) -> String {
    match value {
        KeyValue::Integer(number) => format!("i{number}"),
        KeyValue::String(text) => format!("s{text}"),
        KeyValue::Binary(bytes) => hex(bytes),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Integer(number) => format!("i{number}"),
        Value::Double(number) => format!("d{number:?}"),
        Value::Boolean(is) => format!("b{is}"),
        Value::String(text) => format!("s{text}"),
        Value::Binary(bytes) => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("x".to_owned(), |text, byte| format!("{text}{byte:02X}"))
}

/// What the source holds, read by MySQL's own conversions.
async fn expected(source: &Server, table: &Table) -> Vec<Cells> {
    let column = |(name, kind): &(&str, As)| match kind {
        As::Integer => format!("CAST(`{name}`+0 AS CHAR)"),
        As::Double => format!("CAST(`{name}` AS CHAR)"),
        As::Text => format!("CONVERT(CAST(`{name}` AS CHAR) USING utf8mb4)"),
        As::Bytes => format!("HEX(`{name}`)"),
    };
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let query = format!("SELECT {} FROM shop.{}", columns.join(","), table.name);
    let mut conn = source.plain().await;
    conn.query_drop("SET NAMES utf8mb4").await.unwrap();
    let rows: Vec<mysql_async::Row> = conn.query(query).await.unwrap();
    let cells = |row: mysql_async::Row| {
        let values = table.columns.iter().enumerate().filter_map(|(place, (name, kind))| {
            let text: Option<String> = row.get(place).unwrap();
            let text = text?;
            let value = match kind {
                As::Integer => format!("i{text}"),
                As::Double => format!("d{:?}", text.parse::<f64>().unwrap()),
                As::Text => format!("s{text}"),
                As::Bytes => format!("x{text}"),
            };
            Some(((*name).to_owned(), value))
        });
        values.collect::<Cells>()
    };
    let mut rows: Vec<Cells> = rows.into_iter().map(cells).collect();
    rows.sort();
    rows
}

async fn assert_equal(source: &Server, ots: &Ots) -> usize {
    let mut count = 0;
    for table in &TABLES {
        let (found, expected) = (ots.rows(table.name).await, expected(source, table).await);
        let extra: Vec<_> = found.iter().filter(|row| !expected.contains(row)).take(3).collect();
        let missing: Vec<_> = expected.iter().filter(|row| !found.contains(row)).take(3).collect();
        assert!(
            found == expected,
            "{}: {} rows, expected {}; extra {extra:?}, missing {missing:?}",
            table.name,
            found.len(),
            expected.len()
        );
        assert_eq!(ots.client.describe_table(table.name).await.unwrap().key.len(), table.keys);
        count += found.len();
    }
    count
}

async fn load(source: &Server) {
    source.run(&["CREATE DATABASE shop"]).await;
    for table in &TABLES {
        source.run(&[table.create]).await;
    }
    let orders = "INSERT INTO shop.orders (state,total,weight,note,at,flags,doc,data,bits,y) \
                  WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i+1 FROM n WHERE i<3000) \
                  SELECT 1+i%3, i/7, i*0.125, CONCAT('é😀 ', i), '2024-02-29 12:00:00.25' + INTERVAL i MINUTE, i%8, JSON_OBJECT('i', i, 'a', JSON_ARRAY(1.50, NULL)), \
                  UNHEX(LPAD(HEX(i), 8, '0')), i%1024, 1990+i%100 FROM n";
    let items = "INSERT INTO shop.items WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i+1 FROM n WHERE i<2000) \
                 SELECT i DIV 5, CONCAT('Code-', i), IF(i%4=0, NULL, i), 'größe' FROM n";
    let bare = "INSERT INTO shop.bare WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i+1 FROM n WHERE i<500) SELECT UNHEX(LPAD(HEX(i*7919), 10, '0')) FROM n";
    source
        .run(&[
            "SET SESSION cte_max_recursion_depth=100000",
            orders,
            "UPDATE shop.orders SET total=NULL, note=NULL, doc=NULL WHERE id%10=0",
            items,
            // Nothing beside the key.
            "UPDATE shop.items SET count=NULL, name=NULL WHERE `order`%3=0",
            bare,
        ])
        .await;
}

/// Writes all the time, into rows that are copied and rows that are not; returns how many statements there were.
fn write(source: &Server, seed: u64) -> (CancellationToken, JoinHandle<u64>) {
    let stop = CancellationToken::new();
    let (url, stopped) = (source.url(), stop.clone());
    let writing = tokio::spawn(async move {
        let mut conn = mysql_async::Conn::from_url(url).await.unwrap();
        let mut state = seed | 1;
        let mut below = move |limit: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % limit
        };
        let mut count = 0;
        while !stopped.is_cancelled() {
            let (a, b) = (below(4000), below(1000));
            let statement = match below(9) {
                0 => format!("INSERT INTO shop.orders (state,note,weight) VALUES ('new','later {a}',{b}.5)"),
                1 => format!("DELETE FROM shop.orders WHERE id={a}"),
                2 => format!(
                    "UPDATE shop.orders SET state=1+id%3, total={b}.25, note=NULL, doc='[{b}]' WHERE id BETWEEN {a} AND {a}+20"
                ),
                // The key moves, and comes back.
                3 => format!("UPDATE IGNORE shop.orders SET id=id+100000 WHERE id={a}"),
                4 => "UPDATE IGNORE shop.orders SET id=id-100000 WHERE id>100000 LIMIT 1".to_owned(),
                5 => format!("REPLACE INTO shop.items VALUES ({b},'Code-{a}',{a},'neu')"),
                6 => format!("DELETE FROM shop.items WHERE `order`={b} LIMIT 2"),
                7 => format!("REPLACE INTO shop.items VALUES ({b},'Null-{a}',NULL,NULL)"),
                _ => format!("INSERT IGNORE INTO shop.bare VALUES (UNHEX(LPAD(HEX({a}*31), 8, '0')))"),
            };
            conn.query_drop(statement).await.unwrap();
            count += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        count
    });
    (stop, writing)
}

async fn stop((stop, writing): (CancellationToken, JoinHandle<u64>)) -> u64 {
    stop.cancel();
    writing.await.unwrap()
}

/// Everything of the source arrives, copied and followed, and goes on arriving after the engine was killed.
async fn arrives(kind: &str, mode: &str, batch: &str, kills: u64) {
    let _place = place().await;
    let source = Server::start(kind, &[]);
    load(&source).await;
    let ots = Ots::start(Settings::default()).await;
    let migration = ots
        .migration(&source)
        .with("/destination/tablestore/rowWriteMode", json!(mode))
        .with("/destination/tablestore/batchWriteMode", json!(batch));
    let writers = write(&source, 17);
    for kill in 0..kills {
        let running = migration.start(&[]);
        sleep(0.4 + kill as f64 * 0.9).await;
        running.kill();
    }
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(120)).await;
    sleep(1.0).await;
    let statements = stop(writers).await;
    assert!(statements > 200, "{statements}");
    running.terminate().await;
    migration.run_until_caught_up().await.expect(0);
    let rows = assert_equal(&source, &ots).await;
    assert!(rows > 5000, "{rows}");
    let counts = ots.instance.counts();
    let used = if batch == "BulkImport" { "BulkImport" } else { "BatchWriteRow" };
    assert!(counts.get(used).is_some_and(|count| *count > 20), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_changes_of_mysql80_arrive() {
    arrives("mysql80", "UpdateRow", "BulkImport", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_changes_of_mysql97_arrive_in_spite_of_kills() {
    arrives("mysql97", "OverwriteRow", "BatchWriteRow", 2).await;
}

/// `GODWIT_TABLESTORE_KILLS=30 cargo test --test e2e tablestore::killed_often -- --ignored`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "each kill is followed by the wait for what the killed engine had sent"]
async fn killed_often() {
    arrives("mysql97", "UpdateRow", "BulkImport", crate::support::number("GODWIT_TABLESTORE_KILLS", 30)).await;
}

/// A service that is busy, refuses rows, is slow, loses answers and resets connections.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_on_a_bad_day_loses_nothing() {
    let _place = place().await;
    let source = Server::start("mysql80", &[]);
    load(&source).await;
    let ots = Ots::start(Settings::default()).await;
    let fault = |operation: Option<&str>, one_in: u64, kind: FaultKind| Fault {
        operation: operation.map(str::to_owned),
        skip: 0,
        times: None,
        one_in,
        kind,
    };
    ots.instance.set_faults(vec![
        fault(Some("BulkImport"), 7, FaultKind::RefuseRows { code: "OTSRowOperationConflict".into(), one_in: 9 }),
        fault(None, 11, FaultKind::Refuse { code: "OTSServerBusy".into() }),
        fault(None, 13, FaultKind::Slow { milliseconds: 120 }),
        Fault { times: Some(1), skip: 40, ..fault(Some("BulkImport"), 1, FaultKind::LoseAnswer) },
        Fault { times: Some(1), skip: 60, ..fault(Some("BulkImport"), 1, FaultKind::Reset) },
    ]);
    let migration = ots.migration(&source);
    let writers = write(&source, 99);
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(240)).await;
    sleep(2.0).await;
    stop(writers).await;
    running.terminate().await;
    migration.run_until_caught_up().await.expect(0);
    ots.instance.set_faults(Vec::new());
    assert_equal(&source, &ots).await;
    let counts = ots.instance.counts();
    assert!(counts.keys().any(|name| name.contains("OTSServerBusy")), "{counts:?}");
}

/// Two engines of one task: the older one ends, fenced, and both together lose nothing.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_engines_one_goes_on() {
    let _place = place().await;
    let source = Server::start("mysql97", &[]);
    load(&source).await;
    let ots = Ots::start(Settings::default()).await;
    let migration = ots.migration(&source);
    let writers = write(&source, 5);
    let mut first = migration.start(&[]);
    first.until_phase("Replicating", Duration::from_secs(120)).await;
    let mut second = migration.start(&[]);
    assert_eq!(first.wait(Duration::from_secs(60)).await, Some(1), "{}", first.log());
    assert!(first.log().contains("another engine has taken this task over"), "{}", first.log());
    second.until_phase("Replicating", Duration::from_secs(120)).await;
    stop(writers).await;
    second.terminate().await;
    migration.run_until_caught_up().await.expect(0);
    assert_equal(&source, &ots).await;
}

/// Two tasks that would write one table, started at the same moment: one of them does not begin.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_tasks_for_one_table_one_does_not_begin() {
    let _place = place().await;
    let source = Server::start("mysql80", &[]);
    source.run(&["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)", "INSERT INTO shop.t VALUES (1)"]).await;
    let ots = Ots::start(Settings { table_operations_per_second: None, ..Settings::default() }).await;
    for round in 0..6 {
        let of = |name: &str| {
            let objects = json!([{"database": "shop", "tables": [{"table": "t", "renameTo": format!("t{round}")}]}]);
            let mut migration = ots.migration(&source).with("/objects", objects);
            migration.document["metadata"]["name"] = json!(format!("{name}{round}"));
            migration.document["spec"]["conflictPolicy"] = json!("IgnoreErrorsAndProceed");
            migration
        };
        let (one, two) = (of("one"), of("two"));
        let (one, two) = tokio::join!(one.run_until_caught_up(), two.run_until_caught_up());
        let mut codes = [one.code, two.code];
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(1)], "{one:?}\n{two:?}");
        let loser = if one.code == Some(1) { &one } else { &two };
        loser.says(&format!("Tablestore table t{round} is written by the task default/"));
    }
}

/// What cannot be done is named before anything is written.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_before_anything_is_written() {
    let _place = place().await;
    let source = Server::start("mysql80", &[]);
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.five (a INT, b INT, c INT, d INT, e INT, PRIMARY KEY (a,b,c,d,e))",
            "CREATE TABLE shop.`my-table` (id INT PRIMARY KEY, `1st` INT)",
            "CREATE TABLE shop.keyless (id INT)",
            "CREATE TABLE shop.g (id INT PRIMARY KEY, s VARCHAR(9) CHARACTER SET gbk)",
            "CREATE TABLE shop.fine (id INT PRIMARY KEY, v INT)",
            "INSERT INTO shop.fine VALUES (1, 1)",
            "CREATE DATABASE other",
            "CREATE TABLE other.t (id INT PRIMARY KEY)",
        ])
        .await;
    let ots = Ots::start(Settings { tables: 2, ..Settings::default() }).await;
    let all = ots.migration(&source);
    all.run()
        .await
        .expect(3)
        .says("shop.five: its key has 5 columns (a, b, c, d, e), and Tablestore takes 4")
        .says("shop.my-table: the name \"my-table\" is not allowed in Tablestore")
        .says("the column name \"1st\" is not allowed")
        .says("shop.keyless: the table has no key")
        .says("shop.g: columnTypes: s is in character set gbk");
    let fine = json!([{"database": "shop", "tables": [{"table": "fine"}]}]);
    let two = json!([{"database": "shop", "tables": [{"table": "fine"}]}, {"database": "other"}]);
    ots.migration(&source).with("/objects", two).run().await.expect(2).says("spec.objects");
    let mut wrong = ots.migration(&source).with("/objects", fine.clone());
    wrong.secrets[1] = ("ots", json!({"accessKeyId": "test-id", "accessKeySecret": "no"}));
    wrong.run().await.expect(3).says("OTSAuthFailed").says("check accessKeyId and accessKeySecret");
    let nowhere =
        ots.migration(&source).with("/objects", fine.clone()).with("/destination/tablestore/instance", json!("nowhere"));
    nowhere.run().await.expect(3).says("DestinationConnectivity");
    let small = ots.migration(&source).with("/objects", fine.clone()).with("/destination/tablestore/maxTables", json!(1));
    small.run().await.expect(3).says("0 tables there, 2 to be made, of them one for the task's records; 1 allowed");
    ots.instance.add_fault(Fault { operation: None, skip: 0, times: None, one_in: 1, kind: FaultKind::Clock { seconds: 1200 } });
    ots.migration(&source).with("/objects", fine.clone()).run().await.expect(3).says("clock");
    ots.instance.set_faults(Vec::new());
    assert_eq!(ots.client.list_tables().await.unwrap(), Vec::<String>::new(), "nothing was made");
    let skipping = ots.migration(&source).with("/objects", fine.clone()).with("/destination/tablestore/dirtyData", json!("Skip"));
    skipping.run().await.expect(3).says("spec.destination.tablestore.dirtyData: skipping rows is not supported by this version");
    // What is chosen makes them fit.
    let chosen = json!([{"database": "shop", "tables": [{"table": "fine", "renameTo": "FINE", "columnTypes": {"v": "STRING"}}]}]);
    let migration = ots.migration(&source).with("/objects", chosen);
    migration.run_until_caught_up().await.expect(0);
    assert_eq!(ots.rows("FINE").await, [Cells::from([("id".into(), "i1".into()), ("v".into(), "s1".into())])]);
    // Another task finds the table there.
    let second =
        ots.migration(&source).with("/objects", json!([{"database": "shop", "tables": [{"table": "fine", "renameTo": "FINE"}]}]));
    let mut second = second;
    second.document["metadata"]["name"] = json!("second");
    second.run().await.expect(3).says("there already: FINE");
    second.set("/conflictPolicy", json!("IgnoreErrorsAndProceed"));
    second.run().await.expect(1).says("Tablestore table FINE is written by the task");
}

/// A value that does not fit stops the task with table, key and column; what was chosen instead lets it go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_stops_the_task_by_name() {
    let _place = place().await;
    let source = Server::start("mysql80", &[]);
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY, big BIGINT UNSIGNED)",
            "INSERT INTO shop.t VALUES (1, 9223372036854775807), (2, 18446744073709551615)",
        ])
        .await;
    let ots = Ots::start(Settings::default()).await;
    let whole = ots.migration(&source).with("/diagnostics", json!({"rowValues": true}));
    whole
        .run()
        .await
        .expect(1)
        .says("shop.t key (2): column big is larger than INTEGER holds (2^63−1); choose STRING for the column");
    let chosen = json!([{"database": "shop", "tables": [{"table": "t", "renameTo": "texts", "columnTypes": {"big": "STRING"}}]}]);
    let mut migration = ots.migration(&source).with("/objects", chosen);
    migration.document["metadata"]["name"] = json!("texts");
    migration.run_until_caught_up().await.expect(0);
    let rows: Vec<String> = ots.rows("texts").await.iter().map(|row| row["big"].clone()).collect();
    assert_eq!(rows, ["s18446744073709551615", "s9223372036854775807"]);
}
