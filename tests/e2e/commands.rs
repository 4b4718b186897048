//! Every command on real servers: what it prints, its exit code, and what it leaves alone.

use std::sync::Arc;
use std::time::Duration;

use godwit::api::VerifyReport;
use godwit::engine::Task;
use godwit::engine::destination::Records;
use godwit::engine::destination::mysql::Record;
use godwit::engine::verify::{Hooks, Mode, Recheck, VerifyOptions, verify};
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::support::{Migration, Server, place};

const DIFFERENT: i32 = 4;

async fn shop(server: &Server) {
    server
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.items (id INT PRIMARY KEY, name VARCHAR(20), price DECIMAL(8,2))",
            "INSERT INTO shop.items VALUES (1,'anvil',9.99), (2,'bolt',0.10), (3,'crate',25)",
            "CREATE TABLE shop.notes (text VARCHAR(20))",
            "INSERT INTO shop.notes VALUES ('a'), ('a'), ('b')",
        ])
        .await;
}

/// Everything that a server logged as changed.
async fn changes(server: &Server) -> Vec<String> {
    server.list("SELECT @@GLOBAL.gtid_executed").await
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_and_precheck_change_nothing() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    shop(&source).await;
    let before = (changes(&source).await, changes(&destination).await, destination.databases().await);
    let migration = Migration::new(&source, &destination);
    let text = migration.godwit(&["plan"]).await.expect(0);
    text.says("shop.items").says("CREATE TABLE");
    let plan = json(&migration.godwit(&["plan", "-o", "json"]).await.expect(0).out);
    assert!(plan.to_string().contains("shop") && plan.to_string().contains("notes"), "{plan:#}");
    let items = json(&migration.godwit(&["precheck", "-o", "json"]).await.expect(0).out);
    assert_eq!(items["successRate"], "100%", "{items:#}");
    assert_eq!(before, (changes(&source).await, changes(&destination).await, destination.databases().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_tells_what_differs_and_repairs_it() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    shop(&source).await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    let equal = json(&migration.godwit(&["verify", "-o", "json"]).await.expect(0).out);
    assert_eq!((&equal["equal"], &equal["tables"].as_array().map(Vec::len)), (&Value::Bool(true), &Some(2)), "{equal:#}");
    destination
        .run(&[
            "UPDATE shop.items SET price = 10.00 WHERE id = 1",
            "DELETE FROM shop.items WHERE id = 2",
            "INSERT INTO shop.items VALUES (9,'extra',1)",
            "DELETE FROM shop.notes WHERE text = 'a' LIMIT 1",
        ])
        .await;
    migration.godwit(&["verify"]).await.expect(DIFFERENT).says("Different");
    let found = json(&migration.godwit(&["verify", "-o", "json"]).await.expect(DIFFERENT).out);
    assert_eq!(found["equal"], false);
    let tables = found["tables"].as_array().unwrap();
    let table = |name: &str| tables.iter().find(|table| table["source"].as_str().unwrap().contains(name)).unwrap();
    let counts = |table: &Value| ["rows", "missing", "extra", "different"].map(|field| table[field].as_u64().unwrap());
    assert_eq!(counts(table("items"))[1..], [1, 1, 1], "{found:#}");
    assert_eq!(counts(table("notes"))[1..], [1, 0, 0], "{found:#}");
    let sample = table("items")["samples"].as_array().unwrap().iter().find(|sample| sample["column"] == "price").unwrap();
    assert!(sample["source"].to_string().contains("9.99") && sample["destination"].to_string().contains("10.00"), "{sample}");
    migration.godwit(&["verify", "--repair"]).await.expect(DIFFERENT).says("a table without a key are not repaired");
    destination.run(&["INSERT INTO shop.notes VALUES ('a')"]).await;
    migration.verify().await;
    assert_eq!(
        destination.list("SELECT CONCAT(id, name, price) FROM shop.items ORDER BY id").await,
        ["1anvil9.99", "2bolt0.10", "3crate25.00"]
    );
}

/// One request; status line, head and body.
async fn get(address: &str, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn run_listens_and_stops_on_an_interrupt() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    shop(&source).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = free.to_string();
    let migration = Migration::new(&source, &destination);
    let mut running = migration.start(&["--listen", &address]);
    running.until_phase("Replicating", Duration::from_secs(60)).await;
    let status = get(&address, "/status").await;
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    let body = json(status.split_once("\r\n\r\n").unwrap().1);
    assert_eq!((&body["phase"], &body["full"]["rowsCopied"]), (&"Replicating".into(), &6.into()), "{body:#}");
    let metrics = get(&address, "/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("godwit_latency_seconds"), "{metrics}");
    assert!(get(&address, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/nothing").await.starts_with("HTTP/1.1 404"));
    running.signal("INT");
    assert_eq!(running.wait(Duration::from_secs(30)).await, Some(0), "{}", running.log());
    source.run(&["UPDATE shop.items SET name = 'later' WHERE id = 3"]).await;
    migration.run_until_caught_up().await.expect(0);
    migration.verify().await;
}

/// An index that takes its time at the destination keeps nobody from stopping, and the next run finds or makes it.
#[tokio::test(flavor = "multi_thread")]
async fn run_stops_while_an_index_is_added() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql80", &[]), Server::start("mysql80", &[]));
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.items (id INT PRIMARY KEY, a INT, b INT, KEY a (a), UNIQUE KEY b (b))",
            "INSERT INTO shop.items VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)",
        ])
        .await;
    let migration = Migration::new(&source, &destination).with("/throttle", serde_json::json!({"full": {"rowsPerSecond": 1}}));
    let mut running = migration.start(&[]);
    let made = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'shop' AND table_name = 'items'";
    while destination.list(made).await != ["1"] {
        assert!(running.ended().is_none(), "{}", running.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Someone reads the table in a transaction: no ALTER gets by.
    let mut reader = destination.connect().await;
    reader.query_drop("BEGIN").await.unwrap();
    reader.query_drop("SELECT * FROM shop.items").await.unwrap();
    let waiting =
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'ALTER TABLE%' AND state LIKE '%metadata lock%'";
    while destination.list(waiting).await != ["1"] {
        assert!(running.ended().is_none(), "{}", running.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.terminate().await;
    assert_eq!(destination.list(waiting).await, ["1"]);
    reader.query_drop("COMMIT").await.unwrap();
    source.run(&["UPDATE shop.items SET a = 9 WHERE id = 3"]).await;
    migration.run_until_caught_up().await.expect(0);
    let indexes = "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = 'shop' ORDER BY 1";
    assert_eq!(destination.list(indexes).await, ["a", "b", "PRIMARY"]);
    migration.verify().await;
}

/// `godwit verify` in this process, with pauses of our own.
async fn compare(migration: &Migration, mode: Mode, recheck: Recheck) -> VerifyReport {
    // Only the first caller installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let text = std::fs::read_to_string(migration.manifest()).unwrap();
    let task = Task::new(godwit::manifest::load(&text, "task.yaml").unwrap());
    let (source, destination) = task.connectors().unwrap();
    let plan = godwit::engine::plan_only(task.clone()).await.unwrap().plan;
    let records = Some(Arc::new(Record::new(destination.clone(), &task.record_database, &task.name())) as Arc<dyn Records>);
    let options = VerifyOptions { mode, recheck, ..VerifyOptions::default() };
    verify(&plan, &source, &destination, options, CancellationToken::new(), Hooks { records, ..Hooks::default() }).await.unwrap()
}

/// Where all that the source has committed is applied, a difference is one at once; where it is not, it is waited for.
async fn what_is_on_its_way(kind: &str) {
    let _place = place().await;
    let (source, destination) = (Server::start(kind, &[]), Server::start(kind, &[]));
    shop(&source).await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    destination.run(&["DELETE FROM shop.items WHERE id=2", "DELETE FROM shop.notes WHERE text='b'"]).await;
    // With pauses that no test lives to see the end of.
    let never = Recheck { attempts: 3, delay: Duration::from_secs(100_000) };
    for mode in [Mode::Rows, Mode::RowCount] {
        let report = tokio::time::timeout(Duration::from_secs(120), compare(&migration, mode, never)).await.unwrap();
        assert_eq!(report.tables.iter().map(|table| table.missing).collect::<Vec<_>>(), [1, 1], "{report:#?}");
    }
    destination.run(&["INSERT INTO shop.items VALUES (2,'bolt',0.10)", "INSERT INTO shop.notes VALUES ('b')"]).await;
    // Committed at the source and not applied yet: the engine begins when the comparison has seen the rows missing.
    source.run(&["UPDATE shop.items SET price=1 WHERE id=1", "INSERT INTO shop.notes VALUES ('c')"]).await;
    let often = Recheck { attempts: 3_000, delay: Duration::from_millis(100) };
    let (report, ()) = tokio::join!(compare(&migration, Mode::Rows, often), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        migration.run_until_caught_up().await.expect(0);
    });
    assert!(report.equal, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_mysql97() {
    what_is_on_its_way("mysql97").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_mariadb114() {
    what_is_on_its_way("mariadb114").await;
}
