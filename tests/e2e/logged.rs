//! What single sessions write into the log: statements, savepoints, tags, DDL while a task begins.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use serde_json::json;

use crate::support::PASSWORD;
use crate::support::{Migration, Server, assert_equal, place, sleep};

/// Exit code of a task that stopped.
const FAILED: i32 = 1;
/// … that the precheck has refused.
const PRECHECK: i32 = 3;

async fn pair(kind: &'static str, options: &[&str]) -> (Server, Server) {
    let (source, destination) = (Server::start(kind, options), Server::start(kind, &[]));
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.items (id INT PRIMARY KEY, name VARCHAR(40), amount INT)",
            "INSERT INTO shop.items VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', 300)",
        ])
        .await;
    (source, destination)
}

/// A statement on a table that is not migrated is passed by only where nothing leads from there to one that is.
async fn statements(kind: &'static str) {
    let _place = place().await;
    let (source, destination) = pair(kind, &[]).await;
    source
        .run(&[
            "CREATE DATABASE other",
            "CREATE TABLE other.heart (id INT PRIMARY KEY, n INT)",
            "CREATE TABLE other.log (id INT PRIMARY KEY)",
            "CREATE TRIGGER other.t AFTER INSERT ON other.log FOR EACH ROW INSERT INTO shop.items VALUES (NEW.id, 'trigger', 0)",
            "CREATE VIEW other.v AS SELECT * FROM shop.items",
        ])
        .await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    let by_statement = async |statement: &str| {
        let mut session = source.connect().await;
        session.query_drop("SET SESSION binlog_format='STATEMENT'").await.unwrap();
        session.query_drop(statement).await.unwrap();
        session.disconnect().await.unwrap();
    };
    by_statement("REPLACE INTO other.heart VALUES (1, ABS(7))").await;
    source.run(&["INSERT INTO shop.items VALUES (4, 'four', 4)"]).await;
    migration.arrives(&source, &destination).await;
    // As a server would say it of a MEMORY table; no trigger fires on DELETE, yet.
    by_statement("DELETE FROM `other`.`log`").await;
    statements_of_other_character_sets(&source, kind == "mariadb114").await;
    source.run(&["INSERT INTO shop.items VALUES (5, 'five', 5)"]).await;
    migration.arrives(&source, &destination).await;
    source.run(&["CREATE TRIGGER other.d AFTER DELETE ON other.log FOR EACH ROW DELETE FROM shop.items WHERE id=OLD.id"]).await;
    by_statement("DELETE FROM `other`.`log`").await;
    migration.run_until_caught_up().await.expect(FAILED).says("other.log has triggers");
    destination.run(&["DROP DATABASE shop", "DROP DATABASE godwit"]).await;
    source.run(&["DROP TRIGGER other.d"]).await;
    migration.run_until_caught_up().await.expect(0);
    by_statement("INSERT INTO other.log VALUES (70)").await;
    migration.run_until_caught_up().await.expect(FAILED).says("other.log has triggers").says("binlog_format=ROW");
    assert_eq!(destination.list("SELECT id FROM shop.items WHERE id>5").await, Vec::<String>::new());
    merge_tables(&source, &destination).await;
}

/// Rows that are changed through a MERGE table are logged under its name: it may not be there, nor come into being.
async fn merge_tables(source: &Server, destination: &Server) {
    let migration = Migration::new(source, destination).ignoring(&["StorageEngines"]);
    destination.run(&["DROP DATABASE shop", "DROP DATABASE godwit"]).await;
    let columns = "(id INT NOT NULL PRIMARY KEY, n INT)";
    source.run(&[&format!("CREATE TABLE shop.plain {columns} ENGINE=MyISAM"), "INSERT INTO shop.plain VALUES (1, 1)"]).await;
    migration.run_until_caught_up().await.expect(0);
    source
        .run(&[
            &format!("CREATE TABLE other.merged {columns} ENGINE=MERGE UNION=(shop.plain) INSERT_METHOD=LAST"),
            "INSERT INTO other.merged VALUES (2, 2)",
        ])
        .await;
    migration
        .run_until_caught_up()
        .await
        .expect(FAILED)
        .says("a MERGE table over the migrated table shop.plain comes into being");
    assert_eq!(destination.list("SELECT id FROM shop.plain").await, ["1"]);
    destination.run(&["DROP DATABASE shop", "DROP DATABASE godwit"]).await;
    migration.run().await.expect(PRECHECK).says("MergeTables").says("other.merged over shop.plain");
    assert!(!destination.databases().await.contains(&"shop".to_owned()), "the destination was touched");
}

/// DDL on tables that are not migrated, by clients whose characters can end in a backslash or a backtick.
async fn statements_of_other_character_sets(source: &Server, is_mariadb: bool) {
    let charsets: [(&str, &[&[u8]]); 5] = [
        // 誠 is the first.
        ("gbk", &[b"\xd5\x5c", b"\x81\x5c"]),
        ("big5", &[b"\xa5\x5c", b"\xb3\x5c"]),
        ("sjis", &[b"\x95\x5c", b"\x83\x5c"]),
        ("cp932", &[b"\x95\x5c", b"\x83\x5c"]),
        ("gb18030", &[b"\xd5\x5c", b"\x81\x30\x84\x36"]),
    ];
    let mut session = source.connect().await;
    for (charset, texts) in charsets.into_iter().filter(|(charset, _)| !(is_mariadb && *charset == "gb18030")) {
        session.query_drop(format!("SET NAMES {charset}")).await.unwrap();
        for (number, text) in texts.iter().enumerate() {
            let table = [format!("other.`{charset}{number}").as_bytes(), text, b"`"].concat();
            let create = [b"CREATE TABLE ", &table[..], b" (id INT, c INT COMMENT '", text, b"')"].concat();
            let alter = [b"ALTER TABLE ", &table[..], b" COMMENT '", text, b"', ADD x INT"].concat();
            let view = [b"CREATE OR REPLACE VIEW other.`v", *text, b"` AS SELECT '", text, b"' AS a"].concat();
            let drop = [b"DROP TABLE ", &table[..]].concat();
            for statement in [create, alter, view, drop] {
                session.query_drop(statement.clone()).await.unwrap_or_else(|error| panic!("{charset} {statement:x?}: {error}"));
            }
        }
    }
    session.disconnect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_on_mysql80() {
    statements("mysql80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_on_mariadb114() {
    statements("mariadb114").await;
}

/// An UPDATE of a view changes the table behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_on_a_view() {
    let _place = place().await;
    let (source, destination) = pair("mysql80", &[]).await;
    source.run(&["CREATE DATABASE other", "CREATE VIEW other.v AS SELECT * FROM shop.items"]).await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    let mut session = source.connect().await;
    session.query_drop("SET SESSION binlog_format='STATEMENT'").await.unwrap();
    session.query_drop("UPDATE other.v SET amount=5 WHERE id=1").await.unwrap();
    migration.run_until_caught_up().await.expect(FAILED).says("other.v is a view");
}

/// What happens between the engine's first look and the task's start is history when it starts.
#[tokio::test(flavor = "multi_thread")]
async fn ddl_while_a_task_begins() {
    let _place = place().await;
    for ddl in [
        &["CREATE TABLE shop.passing (id INT PRIMARY KEY)", "DROP TABLE shop.passing"][..],
        &["ALTER TABLE shop.items ADD more INT"][..],
    ] {
        let (source, destination) = pair("mysql80", &[]).await;
        source.run(&["CREATE DATABASE other", "CREATE TABLE other.t (id INT PRIMARY KEY)"]).await;
        let mut session = source.connect().await;
        // The task waits for it, behind the precheck.
        for statement in ["XA START 'x'", "INSERT INTO other.t VALUES (1)", "XA END 'x'", "XA PREPARE 'x'"] {
            session.query_drop(statement).await.unwrap();
        }
        let migration = Migration::new(&source, &destination);
        let mut running = migration.start(&[]);
        running.until("the precheck is done", Duration::from_secs(20), |report| !report["precheck"].is_null()).await;
        sleep(0.5).await;
        source.run(ddl).await;
        let mut by_statement = source.connect().await;
        by_statement.query_drop("SET SESSION binlog_format='STATEMENT'").await.unwrap();
        by_statement.query_drop("UPDATE shop.items SET amount=11 WHERE id=1").await.unwrap();
        session.query_drop("XA COMMIT 'x'").await.unwrap();
        running.until_phase("Replicating", Duration::from_secs(60)).await;
        source.run(&["UPDATE shop.items SET amount=12 WHERE id=2"]).await;
        running.terminate().await;
        migration.arrives(&source, &destination).await;
    }
}

/// Columns of one type change places while the engine is away: rows in front of that are read with the definition of their place, by every
/// attempt, though the source's table is another one by then.
async fn rows_in_front_of_ddl(kind: &'static str) {
    let _place = place().await;
    let (source, destination) = (Server::start(kind, &[]), Server::start(kind, &[]));
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.pairs (id INT PRIMARY KEY, a INT, b INT)",
            "INSERT INTO shop.pairs VALUES (1, 10, 20), (2, 30, 40)",
        ])
        .await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    source
        .run(&[
            "INSERT INTO shop.pairs (id, a, b) VALUES (3, 50, 60)",
            "UPDATE shop.pairs SET a=31 WHERE id=2",
            "ALTER TABLE shop.pairs MODIFY b INT AFTER id",
            "INSERT INTO shop.pairs (id, a, b) VALUES (4, 70, 80)",
        ])
        .await;
    for _ in 0..2 {
        migration.run_until_caught_up().await.expect(0);
        let rows = destination.list("SELECT CONCAT_WS(' ', id, a, b) FROM shop.pairs ORDER BY id").await;
        assert_eq!(rows, ["1 10 20", "2 31 40", "3 50 60", "4 70 80"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_in_front_of_ddl_mysql80() {
    rows_in_front_of_ddl("mysql80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_in_front_of_ddl_mariadb114() {
    rows_in_front_of_ddl("mariadb114").await;
}

/// Tags are part of a GTID (MySQL 8.3).
#[tokio::test(flavor = "multi_thread")]
async fn tagged_gtids() {
    let _place = place().await;
    let (source, destination) = pair("mysql97", &[]).await;
    let tagged = async |id: u32, tag: &str| {
        let mut session = source.connect().await;
        session.query_drop(format!("SET SESSION gtid_next='AUTOMATIC{tag}'")).await.unwrap();
        session.query_drop(format!("INSERT INTO shop.items VALUES ({id}, 'tagged', {id})")).await.unwrap();
        session.query_drop(format!("UPDATE shop.items SET amount=amount+1 WHERE id={}", id % 3 + 1)).await.unwrap();
        session.query_drop("SET SESSION gtid_next='AUTOMATIC'").await.unwrap();
        session.disconnect().await.unwrap();
    };
    tagged(20, ":before").await;
    let migration = Migration::new(&source, &destination);
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(60)).await;
    for (id, tag) in [(21, ":first"), (22, ""), (23, ":second"), (24, ":first")] {
        tagged(id, tag).await;
    }
    running.terminate().await;
    tagged(25, ":second").await;
    migration.run_until_caught_up().await.expect(0);
    assert!(source.list("SELECT @@GLOBAL.gtid_executed").await[0].contains("second"));
    assert_equal(&source, &destination, "shop").await;
}

/// A row that is not logged whole, whatever was done to it, stops the task.
async fn images(kind: &'static str, image: &str) {
    let _place = place().await;
    for (statement, stops) in [
        ("INSERT INTO shop.items (id, amount) VALUES (5, 5)", false),
        ("UPDATE shop.items SET amount=7 WHERE id=2", true),
        ("DELETE FROM shop.items WHERE id=2", false),
    ] {
        let (source, destination) = pair(kind, &[]).await;
        source.run(&["ALTER TABLE shop.items ADD text BLOB"]).await;
        let migration = Migration::new(&source, &destination);
        migration.run_until_caught_up().await.expect(0);
        let mut session = source.connect().await;
        session.query_drop(format!("SET SESSION binlog_row_image='{image}'")).await.unwrap();
        session.query_drop(statement).await.unwrap();
        session.disconnect().await.unwrap();
        let ended = migration.run_until_caught_up().await;
        if ended.code == Some(0) {
            // What is there is enough: a key to delete, or values that were given.
            assert!(!stops, "{statement} was followed");
            assert_equal(&source, &destination, "shop").await;
        } else {
            ended.expect(FAILED).says("shop.items").says("binlog_row_image");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn minimal_images_on_mysql80() {
    images("mysql80", "MINIMAL").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noblob_images_on_mariadb114() {
    images("mariadb114", "NOBLOB").await;
}

/// Two servers of one id have the same GTIDs; a replica that takes over has its own id, and the log of the one before.
#[tokio::test(flavor = "multi_thread")]
async fn another_mariadb() {
    let _place = place().await;
    let (source, destination) = pair("mariadb114", &["--server-id=1", "--log-slave-updates"]).await;
    let replica = Server::start("mariadb114", &["--server-id=2", "--log-slave-updates"]);
    replica
        .run(&[
            "SET GLOBAL gtid_slave_pos=''",
            &format!(
                "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='root', MASTER_PASSWORD='{PASSWORD}', MASTER_SSL=0, \
                 MASTER_USE_GTID=slave_pos",
                source.port
            ),
            "START SLAVE",
        ])
        .await;
    let mut migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);

    let (stranger, _) = pair("mariadb114", &["--server-id=1"]).await;
    stranger.run(&["UPDATE shop.items SET amount=amount+1", "UPDATE shop.items SET amount=0"]).await;
    migration.set("/source/mysql/port", json!(stranger.port));
    migration.run_until_caught_up().await.expect(FAILED).says("the source is another server").says("server_id");
    let (stranger, _) = pair("mariadb114", &["--server-id=3"]).await;
    migration.set("/source/mysql/port", json!(stranger.port));
    migration.run_until_caught_up().await.expect(FAILED).says("does not hold 0-1-");
    assert_eq!(destination.list("SELECT amount FROM shop.items ORDER BY id").await, ["10", "20", "300"]);

    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while replica.list("SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.tables WHERE table_schema='shop'").await != ["1"] {
        assert!(std::time::Instant::now() < deadline, "{:?}", replica.list("SELECT @@GLOBAL.gtid_current_pos").await);
        sleep(0.1).await;
    }
    sleep(1.0).await;
    replica.run(&["STOP SLAVE", "UPDATE shop.items SET amount=77 WHERE id=1"]).await;
    migration.set("/source/mysql/port", json!(replica.port));
    migration.run_until_caught_up().await.expect(0);
    assert_equal(&replica, &destination, "shop").await;
}

/// Without gtid_strict_mode (the default) the numbers in a domain need not rise: a server that writes in it counts on from where it stood.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_are_no_order() {
    let _place = place().await;
    let (source, destination) = pair("mariadb114", &["--gtid-strict-mode=OFF"]).await;
    source.run(&["CREATE TABLE shop.events (n INT)", "INSERT INTO shop.events VALUES (0)"]).await;
    // The other writer, as a replica's applier does it: `SET gtid_seq_no` with the server id that the event came with.
    let mut number = 10;
    let mut write = async |server: u32, id: u32, sequence: Option<u64>| {
        let mut session = source.connect().await;
        session.query_drop(format!("SET SESSION server_id={server}")).await.unwrap();
        for table in ["items VALUES (ID, 'x', 1)", "events VALUES (ID)"] {
            if let Some(sequence) = sequence {
                number += 1;
                session.query_drop(format!("SET SESSION gtid_seq_no={}", sequence + number)).await.unwrap();
            }
            session.query_drop(format!("INSERT INTO shop.{}", table.replace("ID", &id.to_string()))).await.unwrap();
        }
        session.disconnect().await.unwrap();
    };
    write(7, 100, Some(5000)).await;
    write(8, 101, Some(100)).await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    // While nobody reads, and while it is followed; killed in between.
    for round in 0..3 {
        write(7, 200 + round * 10, None).await;
        write(8, 201 + round * 10, Some(100)).await;
        let mut running = migration.start(&[]);
        running.until_phase("Replicating", Duration::from_secs(20)).await;
        write(8, 202 + round * 10, Some(100)).await;
        write(7, 203 + round * 10, Some(5000)).await;
        write(8, 204 + round * 10, Some(100)).await;
        running.kill();
    }
    let rows = migration.arrives(&source, &destination).await;
    let state = source.list("SELECT @@GLOBAL.gtid_binlog_state").await;
    assert!(state[0].contains("0-8-1") && state[0].contains("0-7-5"), "{state:?}");
    println!("{rows} rows, {state:?}");
}

/// While rows are copied DDL on other tables passes by; on a migrated one, or a row that is not logged whole, it stops the task.
async fn while_rows_are_copied(kind: &'static str, last: &[&str], sentences: &[&str]) {
    let _place = place().await;
    let (source, destination) = pair(kind, &[]).await;
    source
        .run(&[
            "CREATE DATABASE other",
            "INSERT INTO shop.items SELECT 1000 + a.id * 1000 + b.id * 100 + c.id * 10 + d.id, 'more', 1 FROM shop.items a, shop.items b, shop.items c, shop.items d",
            "INSERT INTO shop.items SELECT id + 10000, name, amount FROM shop.items WHERE id > 1000",
            "INSERT INTO shop.items SELECT id + 100000, name, amount FROM shop.items WHERE id > 1000",
            "INSERT INTO shop.items SELECT id + 1000000, name, amount FROM shop.items WHERE id > 1000",
        ])
        .await;
    let migration = Migration::new(&source, &destination).with("/throttle", json!({"full": {"rowsPerSecond": 60}}));
    let mut running = migration.start(&[]);
    running.until_phase("Copying", Duration::from_secs(30)).await;
    source
        .run(&[
            "CREATE TABLE other.x (id INT PRIMARY KEY)",
            "INSERT INTO other.x VALUES (1)",
            "ALTER TABLE other.x ADD n INT",
            "DROP TABLE other.x",
        ])
        .await;
    source.run(&["INSERT INTO shop.items VALUES (5, 'five', 5)"]).await;
    sleep(1.0).await;
    assert!(running.ended().is_none(), "{}", running.log());
    assert_eq!(running.phase(), "Copying");
    source.run(last).await;
    let code = running.wait(Duration::from_secs(30)).await;
    let log = running.log();
    assert_eq!(code, Some(FAILED), "{log}");
    for sentence in sentences {
        assert!(log.contains(sentence), "'{sentence}' is not in\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ddl_while_rows_are_copied() {
    while_rows_are_copied("mysql80", &["ALTER TABLE shop.items ADD more INT"], &["DDL on the migrated table shop.items"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minimal_images_while_rows_are_copied() {
    let last = ["SET SESSION binlog_row_image='MINIMAL'", "UPDATE shop.items SET amount=7 WHERE id=2"];
    while_rows_are_copied("mariadb114", &last, &["shop.items", "binlog_row_image"]).await;
}
