//! Every pair of versions, with writers from before the first row is copied until after the last.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use serde_json::json;

use crate::support::writers::load;
use crate::support::{Migration, Server, Writers, assert_equal, number, place, sleep};

/// One pair of versions, and how the migration is set up.
struct Pair {
    source: &'static str,
    destination: &'static str,
    /// Warnings of the precheck that such a pair has by its nature.
    ignore: &'static [&'static str],
    /// Only collations that both flavours have.
    portable: bool,
    xa_percent: u64,
    /// Options of the source.
    options: &'static [&'static str],
}

impl Pair {
    fn of(source: &'static str, destination: &'static str) -> Self {
        Self { source, destination, ignore: &[], portable: false, xa_percent: 0, options: &[] }
    }
}

/// Rows of the shop; `GODWIT_TEST_ROWS` changes it.
fn rows() -> u64 {
    number("GODWIT_TEST_ROWS", 30_000)
}

/// Changed rows a second while the migration runs.
fn rate() -> u64 {
    number("GODWIT_TEST_RATE", 1500)
}

async fn migrate(pair: Pair) {
    let _place = place().await;
    let source = Server::start(pair.source, pair.options);
    let destination = Server::start(pair.destination, &[]);
    between(&source, &destination, pair).await;
}

async fn between(source: &Server, destination: &Server, pair: Pair) {
    load(source, rows(), pair.portable).await;
    let migration = Migration::new(source, destination).ignoring(pair.ignore);
    let writers = Writers::start(source, 4, rate(), 11, pair.xa_percent);
    sleep(0.5).await;
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(180)).await;
    sleep(4.0).await;
    running.terminate().await;
    // What is written while the engine is down is there after the resume.
    sleep(1.0).await;
    let totals = writers.stop().await;
    assert!(totals.rows.deleted > 0 && totals.rolled_back_rows > 0, "{totals:?}");
    migration.run_until_caught_up().await.expect(0).says("Caught up");
    let compared = assert_equal(source, destination, "shop").await;
    assert!(compared > rows() / 2);
    migration.verify().await;
}

/// Servers of one's own: `GODWIT_TEST_SOURCE_URL` and `GODWIT_TEST_DESTINATION_URL`, mysql://user:password@host:port. Without them, two of the lab
/// and an account that is not root.
#[tokio::test(flavor = "multi_thread")]
async fn servers_given_by_address() {
    let _place = place().await;
    let given = |side: &str| std::env::var(format!("GODWIT_TEST_{side}_URL")).ok();
    let lab: Vec<Server>;
    let (source, destination) = match (given("SOURCE"), given("DESTINATION")) {
        (Some(source), Some(destination)) => (Server::given(&source), Server::given(&destination)),
        _ => {
            lab = vec![Server::start("mysql80", &[]), Server::start("mysql80", &[])];
            let mut accounts = Vec::new();
            for server in &lab {
                server.run(&["CREATE USER mover IDENTIFIED BY 'moves-all'", "GRANT ALL ON *.* TO mover WITH GRANT OPTION"]).await;
                accounts.push(Server::given(&format!("mysql://mover:moves-all@{}:{}", server.host, server.port)));
            }
            let destination = accounts.pop().unwrap();
            (accounts.pop().unwrap(), destination)
        }
    };
    for server in [&source, &destination] {
        let there = server.databases().await;
        assert!(!there.contains(&"shop".to_owned()), "{} has a database shop, which this test would overwrite", server.host);
    }
    between(&source, &destination, Pair { portable: true, ..Pair::of("", "") }).await;
    source.run(&["DROP DATABASE shop"]).await;
    destination.run(&["DROP DATABASE shop", "DROP DATABASE godwit"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql57_to_mysql80() {
    migrate(Pair::of("mysql57", "mysql80")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql80_to_mysql80() {
    migrate(Pair::of("mysql80", "mysql80")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql80_to_mysql97() {
    migrate(Pair::of("mysql80", "mysql97")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_to_mysql97() {
    migrate(Pair::of("mysql97", "mysql97")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_to_mysql97_with_xa() {
    migrate(Pair { xa_percent: 10, ..Pair::of("mysql97", "mysql97") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb114_to_mariadb114() {
    migrate(Pair { xa_percent: 10, ..Pair::of("mariadb114", "mariadb114") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql80_to_mariadb114() {
    migrate(Pair { portable: true, ignore: &["MaxAllowedPacket"], ..Pair::of("mysql80", "mariadb114") }).await;
}

/// Places in files instead of GTIDs.
#[tokio::test(flavor = "multi_thread")]
async fn mysql80_without_gtids() {
    let options = &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
    migrate(Pair { options, ignore: &["GtidMode"], ..Pair::of("mysql80", "mysql97") }).await;
}

/// The log in its tersest form: compressed transactions, JSON as differences.
#[tokio::test(flavor = "multi_thread")]
async fn mysql97_compressed_and_partial() {
    let options = &["--binlog-transaction-compression=ON", "--binlog-row-value-options=PARTIAL_JSON"];
    migrate(Pair { options, ..Pair::of("mysql97", "mysql97") }).await;
}

/// The log in its most talkative form, in small files.
#[tokio::test(flavor = "multi_thread")]
async fn mysql97_talkative() {
    let options = &["--binlog-row-metadata=FULL", "--binlog-rows-query-log-events=ON", "--max-binlog-size=262144"];
    migrate(Pair { options, ..Pair::of("mysql97", "mysql97") }).await;
}

/// An XA transaction that is prepared before the task begins: its rows stand in the log before the place where it joins.
#[tokio::test(flavor = "multi_thread")]
async fn an_xa_transaction_from_before() {
    let _place = place().await;
    let source = Server::start("mysql97", &[]);
    let destination = Server::start("mysql97", &[]);
    load(&source, 1000, false).await;
    let change = |name: &str| {
        [
            format!("XA START '{name}'"),
            "INSERT INTO shop.audit_log (actor, action) VALUES ('before', 'xa'), ('before', 'xa')".to_owned(),
            "UPDATE shop.vouchers SET uses=uses+1 LIMIT 3".to_owned(),
            format!("XA END '{name}'"),
            format!("XA PREPARE '{name}'"),
        ]
    };
    let first = change("first");
    source.run(&first.each_ref().map(String::as_str)).await;
    let migration = Migration::new(&source, &destination);
    let mut running = migration.start(&[]);
    sleep(2.0).await;
    assert_ne!(running.phase(), "Replicating", "the transaction is not decided yet");
    source.run(&["XA COMMIT 'first'"]).await;
    running.until_phase("Replicating", Duration::from_secs(30)).await;
    let second = change("second");
    source.run(&second.each_ref().map(String::as_str)).await;
    sleep(0.5).await;
    // Decided while the engine is down: it reads the rows again.
    running.terminate().await;
    source.run(&["XA COMMIT 'second'"]).await;
    migration.arrives(&source, &destination).await;
}

/// Without the log: nobody writes, and the task ends by itself.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_log_it_completes() {
    let _place = place().await;
    let source = Server::start("mysql97", &[]);
    let destination = Server::start("mysql97", &[]);
    load(&source, rows(), false).await;
    let migration = Migration::new(&source, &destination).with("/migrationTypes", json!(["Schema", "Full"]));
    migration.run().await.expect(0).says("Completed");
    assert_equal(&source, &destination, "shop").await;
    // Started again, it has nothing to do.
    migration.run().await.expect(0);
    migration.verify().await;
}

/// A task that copies no rows makes tables as whole as one that does: indexes come behind the rows, but not only then.
#[tokio::test(flavor = "multi_thread")]
async fn definitions_alone_are_whole() {
    let _place = place().await;
    let source = Server::start("mysql97", &[]);
    let destination = Server::start("mysql97", &[]);
    let tables = ["groups", "people", "notes"];
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.`groups` (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL, UNIQUE KEY (name))",
            "CREATE TABLE shop.people (id INT AUTO_INCREMENT PRIMARY KEY, part_of INT, mail VARCHAR(60), born DATE, KEY (born), \
             UNIQUE KEY mail (mail), FOREIGN KEY (part_of) REFERENCES `groups` (id))",
            "CREATE TABLE shop.notes (text TEXT, at DATETIME, FULLTEXT KEY (text), KEY (at))",
        ])
        .await;
    let shown = async |server: &Server, table: &str| {
        let (_, text): (String, String) =
            server.connect().await.query_first(format!("SHOW CREATE TABLE shop.`{table}`")).await.unwrap().unwrap();
        text.split(' ').filter(|word| !word.starts_with("AUTO_INCREMENT=")).collect::<Vec<_>>().join(" ")
    };
    let new = || Migration::new(&source, &destination);
    let definitions = new().with("/migrationTypes", json!(["Schema"]));
    definitions.run().await.expect(0).says("Completed");
    for table in tables {
        assert_eq!(shown(&destination, table).await, shown(&source, table).await);
    }
    destination.run(&["DROP DATABASE shop", "DROP DATABASE godwit"]).await;
    // Rows that are there do not come, those that are written do; unique indexes are built while they do.
    let followed = new().with("/migrationTypes", json!(["Schema", "Incremental"]));
    let mut running = followed.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(60)).await;
    source
        .run(&["INSERT INTO shop.`groups` VALUES (1, 'one')", "INSERT INTO shop.people (part_of, mail) VALUES (1, 'a@b')"])
        .await;
    running.terminate().await;
    followed.run_until_caught_up().await.expect(0);
    for table in tables {
        assert_eq!(shown(&destination, table).await, shown(&source, table).await);
    }
    assert_eq!(destination.list("SELECT mail FROM shop.people").await, ["a@b"]);
}
