//! Definition statements in the log, carried out at the destination.

use std::time::Duration;

use mysql_async::prelude::Queryable;

use crate::support::{Migration, Server, assert_equal, place, sleep};

/// Exit code of a task that stopped.
const FAILED: i32 = 1;

async fn pair(source: &'static str, destination: &'static str) -> (Server, Server) {
    let (source, destination) = (Server::start(source, &[]), Server::start(destination, &[]));
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.items (id INT PRIMARY KEY, name VARCHAR(40), amount INT)",
            "CREATE TABLE shop.logs (id INT PRIMARY KEY AUTO_INCREMENT, line VARCHAR(100)) DEFAULT CHARSET latin1",
            "CREATE TABLE shop.keyless (a INT, b VARCHAR(10))",
            "INSERT INTO shop.items VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', 300)",
            "INSERT INTO shop.logs (line) VALUES ('a'), ('b')",
            "INSERT INTO shop.keyless VALUES (1, 'x'), (1, 'x'), (2, NULL)",
        ])
        .await;
    (source, destination)
}

/// Statements of every kind, each with rows before and after it.
const STATEMENTS: &[&str] = &[
    "/* an application */ ALTER TABLE shop.items ADD COLUMN more VARCHAR(20) NOT NULL DEFAULT 'a;b' AFTER id, ADD INDEX by_name (name)",
    "UPDATE shop.items SET more='set', amount=11 WHERE id=1",
    "INSERT INTO shop.items VALUES (4, 'new', 'four', 40)",
    "ALTER TABLE shop.items MODIFY amount BIGINT FIRST, ALGORITHM=COPY",
    "INSERT INTO shop.items (id, name, amount) VALUES (5, 'five', 5000000000)",
    "CREATE UNIQUE INDEX u ON shop.items (name, id)",
    "ALTER TABLE shop.items ADD at TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP, ADD d DATETIME DEFAULT CURRENT_TIMESTAMP",
    "ALTER TABLE shop.items CHANGE name title VARCHAR(60)",
    "DELETE FROM shop.items WHERE id=2",
    "ALTER TABLE shop.items DROP COLUMN more",
    "UPDATE shop.items SET title='renamed' WHERE id=3",
    "DROP INDEX u ON shop.items",
    "ALTER TABLE shop.logs CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "INSERT INTO shop.logs (line) VALUES ('né 😀')",
    "ALTER TABLE shop.keyless ADD c INT DEFAULT 7",
    "DELETE FROM shop.keyless WHERE a=1 LIMIT 1",
    "INSERT INTO shop.keyless VALUES (3, 'y', 1), (3, 'y', 1)",
    "CREATE TABLE shop.orders (id INT PRIMARY KEY, item INT, KEY (item), CONSTRAINT to_item FOREIGN KEY (item) REFERENCES items (id) ON DELETE CASCADE)",
    "INSERT INTO shop.orders VALUES (1, 1), (2, 3)",
    "DELETE FROM shop.items WHERE id=3",
    "CREATE TABLE shop.copied LIKE shop.logs",
    "INSERT INTO shop.copied SELECT * FROM shop.logs",
    "RENAME TABLE shop.logs TO shop.old_logs, shop.copied TO shop.logs",
    "INSERT INTO shop.logs (line) VALUES ('after')",
    "INSERT INTO shop.old_logs (line) VALUES ('old')",
    "TRUNCATE TABLE shop.old_logs",
    "INSERT INTO shop.old_logs (line) VALUES ('only')",
    "CREATE TABLE IF NOT EXISTS shop.items (z INT)",
    "DROP TABLE IF EXISTS shop.nothing",
    "CREATE TABLE shop.passing (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET latin1)",
    "INSERT INTO shop.passing VALUES (1, 'é')",
    "DROP TABLE shop.passing",
    "ALTER TABLE shop.keyless ENGINE=InnoDB",
    "INSERT INTO shop.keyless VALUES (9, 'z', 9)",
];

async fn followed(source: &'static str, destination: &'static str) {
    let _place = place().await;
    let (source, destination) = pair(source, destination).await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    // The source's tables are what the last statement made of them before the first one is read.
    source.run(STATEMENTS).await;
    migration.run_until_caught_up().await.expect(0);
    migration.arrives(&source, &destination).await;
    migration.verify().await;
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema='shop' ORDER BY 1";
    assert_eq!(destination.list(tables).await, source.list(tables).await);
    // Definitions and place were recorded: a later start reads on.
    source.run(&["INSERT INTO shop.items (id, title) VALUES (77, 'later')", "ALTER TABLE shop.items ADD last INT"]).await;
    source.run(&["UPDATE shop.items SET last=1"]).await;
    migration.arrives(&source, &destination).await;
    migration.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_on_mysql80() {
    followed("mysql80", "mysql80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_from_mysql57_to_80() {
    followed("mysql57", "mysql80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_from_mysql80_to_97() {
    followed("mysql80", "mysql97").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_on_mariadb114() {
    followed("mariadb114", "mariadb114").await;
}

/// Engines are killed again and again while statements and rows come.
async fn killed(kind: &'static str) {
    let _place = place().await;
    let (source, destination) = pair(kind, kind).await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    for round in 0..8 {
        let mut running = migration.start(&[]);
        if round % 2 == 0 {
            running.until_phase("Replicating", Duration::from_secs(60)).await;
        }
        source
            .run(&[
                &format!("ALTER TABLE shop.items ADD c{round} INT DEFAULT {round}, ADD INDEX i{round} (c{round})"),
                &format!("INSERT INTO shop.items (id, amount) VALUES ({}, {round})", 100 + round),
                &format!("CREATE TABLE shop.t{round} (id INT PRIMARY KEY)"),
                &format!("INSERT INTO shop.t{round} VALUES (1)"),
                "DELETE FROM shop.logs",
                "INSERT INTO shop.logs (line) VALUES ('kept')",
                "TRUNCATE TABLE shop.logs",
                &format!("INSERT INTO shop.logs (line) VALUES ('{round}')"),
                &format!("RENAME TABLE shop.t{round} TO shop.r{round}"),
                &format!("UPDATE shop.items SET c{round}=amount"),
            ])
            .await;
        sleep(0.13 * f64::from(round)).await;
        running.kill();
    }
    migration.arrives(&source, &destination).await;
    migration.verify().await;
    assert!(assert_equal(&source, &destination, "shop").await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_on_mysql80() {
    killed("mysql80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_on_mariadb114() {
    killed("mariadb114").await;
}

/// Names follow the mapping; what `ddl` leaves out stays out; what cannot be carried over stops the task in front of it.
#[tokio::test(flavor = "multi_thread")]
async fn names_choices_and_refusals() {
    let _place = place().await;
    let (source, destination) = pair("mysql80", "mysql80").await;
    let objects = serde_json::json!([{"database": "shop", "renameTo": "store", "ddl": ["AlterTable", "CreateTable"]}]);
    let migration = Migration::new(&source, &destination).with("/objects", objects);
    migration.run_until_caught_up().await.expect(0);
    source
        .run(&[
            "TRUNCATE TABLE shop.logs",
            "CREATE TABLE shop.child (id INT PRIMARY KEY, item INT, FOREIGN KEY (item) REFERENCES shop.items (id))",
            "INSERT INTO shop.child VALUES (1, 1)",
            "ALTER TABLE shop.child ADD n INT DEFAULT 3",
            "INSERT INTO shop.child VALUES (2, 2, 4)",
        ])
        .await;
    migration.run_until_caught_up().await.expect(0);
    let rows = destination.list("SELECT CONCAT_WS(' ', id, item, n) FROM store.child ORDER BY id").await;
    assert_eq!(rows, ["1 1 3", "2 2 4"]);
    let shown = destination.list("SELECT CONCAT(referenced_table_schema, '.', referenced_table_name) FROM information_schema.key_column_usage WHERE table_schema='store' AND referenced_table_name IS NOT NULL").await;
    assert_eq!(shown, ["store.items"]);
    let logs = destination.list("SELECT CAST(COUNT(*) AS CHAR) FROM store.logs").await;
    assert_eq!(logs, ["2"], "TRUNCATE was not chosen");
    // Somebody else's table has the name: nothing is done.
    destination.run(&["CREATE TABLE store.theirs (x INT)"]).await;
    source.run(&["CREATE TABLE shop.theirs (id INT PRIMARY KEY)", "INSERT INTO shop.items VALUES (50, 'x', 1)"]).await;
    for _ in 0..2 {
        migration.run_until_caught_up().await.expect(FAILED).says("store.theirs exists").says("CREATE TABLE");
    }
    destination.run(&["DROP TABLE store.theirs"]).await;
    migration.run_until_caught_up().await.expect(0);
    let rows = destination.list("SELECT CAST(COUNT(*) AS CHAR) FROM store.items").await;
    assert_eq!(rows, ["4"]);
    // The destination refuses it for a row of its own. That its definition changes meanwhile is not taken for the statement's doing.
    destination.run(&["INSERT INTO store.child VALUES (9, 1, 4)"]).await;
    source.run(&["ALTER TABLE shop.child ADD UNIQUE u (n)"]).await;
    migration.run_until_caught_up().await.expect(FAILED).says("ALTER TABLE shop.child");
    destination.run(&["ALTER TABLE store.child ADD theirs INT"]).await;
    migration.run_until_caught_up().await.expect(FAILED).says("altered at the destination by somebody else").says("index u");
    destination.run(&["DELETE FROM store.child WHERE id=9", "ALTER TABLE store.child DROP theirs"]).await;
    migration.run_until_caught_up().await.expect(0);
    let unique = "SELECT index_name FROM information_schema.statistics WHERE table_schema='store' AND table_name='child' AND index_name='u'";
    assert_eq!(destination.list(unique).await, ["u"]);
    // The destination does not take it: told with the statement, and nothing is half done.
    source.run(&["ALTER TABLE shop.items RENAME TO shop.things"]).await;
    migration.run_until_caught_up().await.expect(FAILED).says("ALTER TABLE shop.items RENAME").says("not carried over");
}

/// The engine stops when it is asked to, though the destination lets a statement wait; the next one ends what is left of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_waits_is_left() {
    let _place = place().await;
    let (source, destination) = pair("mysql80", "mysql80").await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    let mut reader = destination.connect().await;
    reader.query_drop("START TRANSACTION").await.unwrap();
    reader.query_drop("SELECT * FROM shop.items").await.unwrap();
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(60)).await;
    source.run(&["ALTER TABLE shop.items ADD more INT DEFAULT 5", "INSERT INTO shop.items VALUES (4, 'four', 4, 4)"]).await;
    let waits =
        "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock'";
    for _ in 0..100 {
        if destination.list(waits).await != ["0"] {
            break;
        }
        sleep(0.1).await;
    }
    assert_ne!(destination.list(waits).await, ["0"]);
    running.terminate().await;
    reader.query_drop("ROLLBACK").await.unwrap();
    migration.arrives(&source, &destination).await;
    migration.verify().await;
}
