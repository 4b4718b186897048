//! XA transactions too large to be kept in memory until they are decided: their rows are read from the log again.

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::json;

use crate::support::{Migration, Running, Server, place};

/// The README's figure. What is kept, the lanes' queues and what was read are far below; all these transactions together are far above.
const MEBIBYTES: u64 = 256;

async fn say(conn: &mut Conn, statements: &[&str]) {
    for statement in statements {
        conn.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// A megabyte of row each; `text` tells the transactions apart.
fn rows(table: &str, text: &str, from: u32, count: u32) -> String {
    let end = from + count;
    format!("INSERT INTO shop.{table} SELECT i, REPEAT('{text}', 500000) FROM shop.numbers WHERE i>={from} AND i<{end}")
}

/// A session leaves an XA transaction prepared.
async fn prepared(source: &Server, name: &str, statements: &[&str]) {
    let mut conn = source.connect().await;
    // Without locks of gaps, which rows that were rolled back leave behind too.
    say(&mut conn, &["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", &format!("XA START '{name}'")]).await;
    say(&mut conn, statements).await;
    say(&mut conn, &[&format!("XA END '{name}'"), &format!("XA PREPARE '{name}'")]).await;
    // Before 8.0.29 a prepared transaction belongs to its session until that ends.
    conn.disconnect().await.unwrap();
}

/// Waits until the destination says it.
async fn until(destination: &Server, query: &str, expected: &[&str], running: &mut Running) {
    for _ in 0..1200 {
        if destination.list(query).await == expected {
            return;
        }
        assert_eq!(running.ended(), None, "{}", running.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{query} is {:?}, not {expected:?}:\n{}", destination.list(query).await, running.log());
}

/// Other traffic goes on, in another file, and arrives.
async fn traffic_arrives(source: &Server, destination: &Server, number: u32, running: &mut Running) {
    let id = 9000 + number;
    source.run(&[&format!("INSERT INTO shop.items VALUES ({id}, 'x')"), "FLUSH BINARY LOGS"]).await;
    until(destination, &format!("SELECT content FROM shop.items WHERE id={id}"), &["x"], running).await;
}

/// The rows of one transaction at the destination: of both tables, with and without a key.
fn count(text: &str) -> String {
    let of = |table: &str| format!("(SELECT COUNT(*) FROM shop.{table} WHERE content LIKE '{text}%')");
    format!("SELECT CONCAT({}, ' ', {})", of("items"), of("events"))
}

async fn setup(source: &Server) {
    let numbers = (0..100).map(|number| format!("({number})")).collect::<Vec<_>>().join(",");
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.numbers (i INT PRIMARY KEY)",
            &format!("INSERT INTO shop.numbers VALUES {numbers}"),
            "CREATE TABLE shop.items (id INT PRIMARY KEY, content LONGTEXT)",
            "CREATE TABLE shop.events (n INT, content LONGTEXT)",
            "CREATE TABLE shop.parents (id INT PRIMARY KEY)",
            "CREATE TABLE shop.children (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES shop.parents (id) ON DELETE CASCADE)",
            "INSERT INTO shop.parents SELECT i FROM shop.numbers",
            "INSERT INTO shop.children SELECT i, i % 10 FROM shop.numbers",
            "INSERT INTO shop.items VALUES (5000, 'old'), (5001, 'old')",
        ])
        .await;
}

async fn of_any_size(kind: &str, options: &[&str]) {
    let _place = place().await;
    let (source, destination) = (Server::start(kind, options), Server::start(kind, &[]));
    setup(&source).await;
    let mut migration = Migration::new(&source, &destination).ignoring(&["GtidMode"]);
    migration.run_until_caught_up().await.expect(0);
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(60)).await;

    // Several at once, each larger than what is kept of all of them, and small ones beside.
    prepared(
        &source,
        "first",
        &[
            &rows("items", "aa", 0, 30),
            "UPDATE shop.items SET content='new' WHERE id=5000",
            "SAVEPOINT here",
            &rows("items", "tt", 70, 20),
            "ROLLBACK TO here",
            &rows("events", "aa", 0, 20),
            "DELETE FROM shop.parents WHERE id IN (1, 2)",
            "INSERT INTO shop.children VALUES (1000, 3)",
        ],
    )
    .await;
    prepared(&source, "second", &[&rows("items", "bb", 30, 25), &rows("events", "bb", 30, 20)]).await;
    prepared(&source, "small", &["INSERT INTO shop.events VALUES (1, 'ss')", "INSERT INTO shop.items VALUES (6000, 'ss')"]).await;
    prepared(&source, "never", &[&rows("items", "nn", 60, 40)]).await;
    traffic_arrives(&source, &destination, 1, &mut running).await;
    source.run(&["XA COMMIT 'small'"]).await;
    traffic_arrives(&source, &destination, 2, &mut running).await;
    until(&destination, &count("ss"), &["1 1"], &mut running).await;
    for (text, expected) in [("aa", "0 0"), ("bb", "0 0"), ("nn", "0 0"), ("tt", "0 0")] {
        assert_eq!(destination.list(&count(text)).await, [expected], "{text}");
    }
    let peak = running.peak_mebibytes();
    println!("{peak} MiB");
    assert!(peak < MEBIBYTES, "{peak} MiB");

    // Killed between the preparation and the commit, and while the rows are applied.
    running.kill();
    source.run(&["XA COMMIT 'first'"]).await;
    migration.set("/throttle", json!({"incremental": {"rowsPerSecond": 5}}));
    let running = migration.start(&[]);
    // Lanes have parts of it, and hold them open.
    let busy = "SELECT CAST(SUM(trx_rows_modified) AS CHAR) FROM information_schema.innodb_trx HAVING SUM(trx_rows_modified)>12";
    let mut seen = false;
    for _ in 0..300 {
        // The server makes this table anew once nobody has looked for 0.1 s.
        tokio::time::sleep(Duration::from_millis(150)).await;
        seen = !destination.list(busy).await.is_empty();
        if seen {
            break;
        }
    }
    assert!(seen, "no part of the transaction is seen at the destination:\n{}", running.log());
    running.kill();
    for _ in 0..300 {
        // The server may take a moment to notice.
        tokio::time::sleep(Duration::from_millis(150)).await;
        if destination.list(busy).await.is_empty() {
            break;
        }
    }
    assert_eq!(destination.list(&count("aa")).await, ["0 0"], "no lane commits a part of it");

    migration.set("/throttle", json!({}));
    let mut running = migration.start(&[]);
    traffic_arrives(&source, &destination, 3, &mut running).await;
    until(&destination, &count("aa"), &["30 20"], &mut running).await;
    source.run(&["XA ROLLBACK 'never'", "XA COMMIT 'second'"]).await;
    source
        .run(&[
            "XA START 'phase'",
            &rows("items", "pp", 60, 40),
            &rows("events", "pp", 60, 20),
            "XA END 'phase'",
            "XA COMMIT 'phase' ONE PHASE",
        ])
        .await;
    traffic_arrives(&source, &destination, 4, &mut running).await;
    for (text, expected) in [("bb", "25 20"), ("pp", "40 20"), ("nn", "0 0"), ("tt", "0 0")] {
        until(&destination, &count(text), &[expected], &mut running).await;
    }
    let peak = running.peak_mebibytes();
    println!("{peak} MiB");
    assert!(peak < MEBIBYTES, "{peak} MiB");
    running.terminate().await;
    migration.arrives(&source, &destination).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_any_size_on_mysql80() {
    of_any_size("mysql80", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_any_size_on_mysql80_by_place() {
    of_any_size("mysql80", &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_any_size_on_mysql97() {
    of_any_size("mysql97", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_any_size_on_mysql97_compressed() {
    of_any_size("mysql97", &["--binlog-transaction-compression=ON"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_any_size_on_mariadb114() {
    of_any_size("mariadb114", &[]).await;
}

async fn log_files(source: &Server) -> Vec<String> {
    let mut conn = source.connect().await;
    let rows: Vec<mysql_async::Row> = conn.query("SHOW BINARY LOGS").await.unwrap();
    conn.disconnect().await.unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

/// What would have to be read again is gone: the task stops, and says what and why.
async fn purged(kind: &str) {
    let _place = place().await;
    let (source, destination) = (Server::start(kind, &[]), Server::start(kind, &[]));
    setup(&source).await;
    let migration = Migration::new(&source, &destination);
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(60)).await;
    prepared(&source, "large", &[&rows("items", "aa", 0, 40)]).await;
    traffic_arrives(&source, &destination, 1, &mut running).await;
    traffic_arrives(&source, &destination, 2, &mut running).await;
    let files = log_files(&source).await;
    let last = files.last().unwrap();
    let mut gone = false;
    for _ in 0..300 {
        // The server keeps what a reader has open.
        source.run(&[&format!("PURGE BINARY LOGS TO '{last}'")]).await;
        gone = log_files(&source).await.first() == Some(last);
        if gone {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(gone, "{files:?}");
    source.run(&["XA COMMIT 'large'"]).await;
    assert_eq!(running.wait(Duration::from_secs(60)).await, Some(1), "{}", running.log());
    let log = running.log();
    assert!(log.contains("has purged the binary log binlog.000001") && log.contains("copied again"), "{log}");
    assert_eq!(destination.list(&count("aa")).await, ["0 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn purged_on_mysql97() {
    purged("mysql97").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn purged_on_mariadb114() {
    purged("mariadb114").await;
}

/// What is prepared before the task begins is decided afterwards: its rows are read from where they stand.
async fn prepared_before(kind: &str, options: &[&str]) {
    let _place = place().await;
    let (source, destination) = (Server::start(kind, options), Server::start(kind, &[]));
    setup(&source).await;
    source.run(&["UPDATE shop.items SET content='older' WHERE id=5000"]).await;
    let row = |id: u32| format!("INSERT INTO shop.items VALUES ({id}, 'xx')");
    // The same name once more, which is not it.
    prepared(&source, "again", &[&row(7000)]).await;
    source.run(&["XA COMMIT 'again'", "FLUSH BINARY LOGS", "UPDATE shop.items SET content='old' WHERE id=5000"]).await;
    prepared(&source, "again", &[&row(7001), "INSERT INTO shop.events VALUES (1, 'xx')"]).await;
    source.run(&["UPDATE shop.items SET content='newer' WHERE id=5000", "FLUSH BINARY LOGS"]).await;
    prepared(&source, "committed", &[&row(7002), "INSERT INTO shop.events VALUES (2, 'xx')"]).await;
    prepared(&source, "rolled back", &[&row(7003)]).await;
    source.run(&["FLUSH BINARY LOGS", "INSERT INTO shop.events VALUES (3, 'yy')"]).await;
    let migration = Migration::new(&source, &destination).ignoring(&["GtidMode"]);
    let ended = migration.run_until_caught_up().await.expect(0);
    assert!(!ended.text().contains("Failed"), "{ended:?}");
    assert_eq!(destination.list(&count("xx")).await, ["1 0"], "of what was committed before");
    source.run(&["XA COMMIT 'committed'"]).await;
    let mut running = migration.start(&[]);
    until(&destination, &count("xx"), &["2 1"], &mut running).await;
    source.run(&["XA ROLLBACK 'rolled back'", "XA COMMIT 'again'"]).await;
    until(&destination, &count("xx"), &["3 2"], &mut running).await;
    running.terminate().await;
    migration.arrives(&source, &destination).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_before_the_task_on_mysql97() {
    prepared_before("mysql97", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_before_the_task_on_mysql80() {
    prepared_before("mysql80", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_before_the_task_on_mariadb114() {
    prepared_before("mariadb114", &[]).await;
}

/// Where its rows are purged, the precheck names it; nothing is made.
#[tokio::test(flavor = "multi_thread")]
async fn prepared_and_purged() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    setup(&source).await;
    prepared(&source, "old", &["INSERT INTO shop.items VALUES (7000, 'xx')"]).await;
    source.run(&["FLUSH BINARY LOGS", "INSERT INTO shop.items VALUES (7001, 'yy')"]).await;
    let last = log_files(&source).await.pop().unwrap();
    source.run(&[&format!("PURGE BINARY LOGS TO '{last}'")]).await;
    let migration = Migration::new(&source, &destination);
    let ended = migration.run_until_caught_up().await.expect(3);
    ended.says("PreparedTransactions").says("X'6f6c64',X'',1").says(&last);
    assert!(destination.databases().await.is_empty());
    source.run(&["XA ROLLBACK 'old'"]).await;
    migration.arrives(&source, &destination).await;
}
