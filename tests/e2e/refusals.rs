//! Bad input: each has an error and an exit code of its own, and a destination that is as it was.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use crate::support::writers::load;
use crate::support::{Ended, Migration, Server, assert_equal, place, sleep};

/// Exit codes.
const FAILED: i32 = 1;
const MANIFEST: i32 = 2;
const PRECHECK: i32 = 3;

/// Two servers, a small table at the source, nothing at the destination.
async fn pair(source: &str, options: &[&str]) -> (Server, Server) {
    let (source, destination) = (Server::start(source, options), Server::start("mysql97", &[]));
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.items (id INT PRIMARY KEY, name VARCHAR(40), amount INT)",
            "INSERT INTO shop.items VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', 300)",
        ])
        .await;
    (source, destination)
}

/// The task is refused and nothing is made.
async fn refused(migration: &Migration, destination: &Server, code: i32, sentences: &[&str]) -> Ended {
    let before = destination.contents().await;
    let ended = migration.run().await.expect(code);
    for sentence in sentences {
        ended.says(sentence);
    }
    assert_eq!(destination.contents().await, before, "the destination was touched");
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests() {
    let _place = place().await;
    let (source, destination) = pair("mysql97", &[]).await;
    let new = || Migration::new(&source, &destination);

    let unknown = new().with("/sorce", json!({}));
    refused(&unknown, &destination, MANIFEST, &["spec", "sorce"]).await;
    let kind = new().with("/source/mysql/port", json!("many"));
    refused(&kind, &destination, MANIFEST, &["spec.source.mysql.port"]).await;
    let choice = new().with("/conflictPolicy", json!("Guess"));
    refused(&choice, &destination, MANIFEST, &["spec.conflictPolicy", "IgnoreErrorsAndProceed"]).await;
    let mut secretless = new();
    secretless.secrets.remove(0);
    refused(&secretless, &destination, MANIFEST, &["spec.source.mysql.credentials", "Secret", "source"]).await;
    let mut keyless = new();
    keyless.secrets[1].1 = json!({"username": "root"});
    refused(&keyless, &destination, MANIFEST, &["destination", "password"]).await;
    let missing = new().godwit(&["run", "-f", "nothing.yaml"]).await;
    assert_eq!(missing.code, Some(MANIFEST));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_grants() {
    let _place = place().await;
    let (source, destination) = pair("mysql97", &[]).await;
    let new = || Migration::new(&source, &destination);

    let mut password = new();
    password.secrets[0].1 = json!({"username": "root", "password": "not-the-one"});
    let ended = refused(&password, &destination, PRECHECK, &["SourceConnectivity", "Access denied"]).await;
    assert!(!ended.text().contains("not-the-one"));
    let mut password = new();
    password.secrets[1].1 = json!({"username": "root", "password": "not-the-one"});
    refused(&password, &destination, PRECHECK, &["DestinationConnectivity", "Access denied"]).await;
    let mut broken = new();
    broken.secrets[0].1 = json!({"username": "root", "password": format!("{}\n", source.password)});
    refused(&broken, &destination, PRECHECK, &["SourceConnectivity", "the password ends in a line break", "--from-literal"])
        .await;
    let down = new().with("/source/mysql/port", json!(1));
    refused(&down, &destination, PRECHECK, &["SourceConnectivity", "127.0.0.1:1"]).await;
    let name = new().with("/destination/mysql/host", json!("no-such-host.invalid"));
    let ended = name.run().await.expect(PRECHECK);
    ended.says("DestinationConnectivity").says("no-such-host.invalid");
    let verified = new().with("/source/mysql/tls", json!({"mode": "VerifyIdentity"}));
    refused(&verified, &destination, PRECHECK, &["SourceConnectivity", "TLS"]).await;

    source.run(&["CREATE USER reader IDENTIFIED BY 'reader-pass'", "GRANT SELECT ON shop.* TO reader"]).await;
    destination.run(&["CREATE USER writer IDENTIFIED BY 'writer-pass'"]).await;
    let mut grants = new();
    grants.secrets[0].1 = json!({"username": "reader", "password": "reader-pass"});
    refused(&grants, &destination, PRECHECK, &["SourcePrivileges", "GRANT", "REPLICATION SLAVE"]).await;
    grants.secrets[1].1 = json!({"username": "writer", "password": "writer-pass"});
    refused(&grants, &destination, PRECHECK, &["DestinationPrivileges", "GRANT"]).await;
    let objects = new().with("/objects", json!([{"database": "shopp"}]));
    refused(&objects, &destination, PRECHECK, &["shopp"]).await;
}

/// A task that is stopped before it ever wrote leaves nothing at the destination, and does not say that it does.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_before_it_began() {
    let _place = place().await;
    let (source, destination) = pair("mysql97", &[]).await;
    let stopped = Migration::new(&source, &destination).with("/desiredState", json!("Stopped"));
    stopped.run().await.expect(0).says("has never written to the destination, so nothing is marked there");
    let names = destination.databases().await;
    assert!(!names.iter().any(|name| name.starts_with("godwit")), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tls_where_it_is_demanded() {
    let _place = place().await;
    let (source, destination) = pair("mysql57", &[]).await;
    let required = Migration::new(&source, &destination).with("/source/mysql/tls", json!({"mode": "Required"}));
    refused(&required, &destination, PRECHECK, &["SourceConnectivity", "the server offers no TLS"]).await;
    Migration::new(&source, &destination).run_until_caught_up().await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_s_binary_log() {
    let _place = place().await;
    let (source, destination) = pair("mysql80", &[]).await;
    let migration = Migration::new(&source, &destination);

    source.run(&["SET GLOBAL binlog_format='STATEMENT'"]).await;
    refused(&migration, &destination, PRECHECK, &["BinaryLogFormat", "STATEMENT", "binlog_format = ROW"]).await;
    source.run(&["SET GLOBAL binlog_format='ROW'", "SET GLOBAL binlog_row_image='MINIMAL'"]).await;
    refused(&migration, &destination, PRECHECK, &["BinaryLogRowImage", "MINIMAL", "binlog_row_image"]).await;
    source.run(&["SET GLOBAL binlog_row_image='FULL'"]).await;
    drop(source);

    let (source, _) = pair("mysql97", &["--skip-log-bin", "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]).await;
    let migration = Migration::new(&source, &destination).ignoring(&["GtidMode"]);
    refused(&migration, &destination, PRECHECK, &["BinaryLog", "log_bin"]).await;
    // Without Incremental no log is needed.
    migration.with("/migrationTypes", json!(["Schema", "Full"])).run().await.expect(0);
    assert_equal(&source, &destination, "shop").await;
}

/// What one session does to the log in the middle of the stream stops the task before anything wrong is written.
async fn stops_in_the_middle(settings: &str, sentences: &[&str]) {
    let _place = place().await;
    let (source, destination) = pair("mysql80", &[]).await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(20)).await;
    let mut session = source.connect().await;
    session.query_drop("INSERT INTO shop.items VALUES (4, 'four', 40)").await.unwrap();
    session.query_drop(settings).await.unwrap();
    session.query_drop("UPDATE shop.items SET amount=7 WHERE id=2").await.unwrap();
    session.disconnect().await.unwrap();
    let code = running.wait(Duration::from_secs(20)).await;
    let log = running.log();
    assert_eq!(code, Some(FAILED), "{log}");
    for sentence in sentences.iter().chain(&["shop.items"]) {
        assert!(log.contains(sentence), "'{sentence}' is not in\n{log}");
    }
    assert_eq!(running.report()["phase"], "Failed");
    let rows = destination.list("SELECT CONCAT_WS(',', id, name, amount) FROM shop.items ORDER BY id").await;
    assert_eq!(rows, ["1,one,10", "2,two,20", "3,three,300", "4,four,40"], "everything before it, and nothing of it");
    // Trying again does not get past it.
    migration.run_until_caught_up().await.expect(FAILED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_minimal_row_images() {
    stops_in_the_middle("SET SESSION binlog_row_image='MINIMAL'", &["binlog_row_image"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_logs_statements() {
    stops_in_the_middle("SET SESSION binlog_format='STATEMENT'", &["binlog_format"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ddl_on_a_migrated_table() {
    // Nothing that a client of the source writes opens another server's or a file's rows at the destination.
    stops_in_the_middle("ALTER TABLE shop.items CONNECTION='mysql://u@h/d/t'", &["DDL", "ALTER TABLE", "CONNECTION"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_log() {
    let _place = place().await;
    let (source, destination) = pair("mysql97", &[]).await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    source
        .run(&[
            "INSERT INTO shop.items VALUES (5, 'five', 50)",
            "FLUSH BINARY LOGS",
            "INSERT INTO shop.items VALUES (6, 'six', 60)",
            "FLUSH BINARY LOGS",
        ])
        .await;
    sleep(1.1).await;
    source.run(&["PURGE BINARY LOGS BEFORE NOW()"]).await;
    let ended = migration.run_until_caught_up().await.expect(FAILED);
    ended.says("purged");
    let rows = destination.list("SELECT CAST(COUNT(*) AS CHAR) FROM shop.items").await;
    assert_eq!(rows, ["3"]);
}

/// The files and the GTIDs have the same names and numbers again, and are others: nothing is passed by in silence.
async fn a_reset_log(kind: &str, options: &[&str], reset: &str) {
    let _place = place().await;
    let (source, _) = pair(kind, options).await;
    let destination = Server::start(kind, &[]);
    let change = |number: u32| format!("UPDATE shop.items SET amount={number} WHERE id=1");
    for number in 0..5 {
        source.run(&[&change(number)]).await;
    }
    let migration = Migration::new(&source, &destination).ignoring(&["GtidMode"]);
    migration.run_until_caught_up().await.expect(0);
    // A record of before says neither whose log it was nor what stands in it; it is taken up, and says so from then on.
    let old = "JSON_REMOVE(position, '$.server', '$.last')";
    destination.run(&[&format!("UPDATE godwit.lane SET position={old} WHERE position IS NOT NULL")]).await;
    migration.run_until_caught_up().await.expect(0);
    let before = destination.contents().await;
    let stops = async || {
        let ended = migration.run_until_caught_up().await.expect(FAILED);
        ended.says("is not the one that the task has followed").says("copied again");
        assert_eq!(destination.contents().await, before);
    };
    // Shorter than it was, then as long and longer, then in files that the task has not seen.
    source.run(&[reset, "INSERT INTO shop.items VALUES (100, 'lost', 1)"]).await;
    stops().await;
    for number in 0..12 {
        source.run(&[&change(number), &format!("INSERT INTO shop.items VALUES ({}, 'lost', 1)", 101 + number)]).await;
    }
    stops().await;
    source.run(&["FLUSH BINARY LOGS", &change(77), "FLUSH BINARY LOGS", &change(78)]).await;
    stops().await;
    // Under a task that runs.
    destination.run(&["DROP DATABASE shop", "DROP DATABASE godwit"]).await;
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(30)).await;
    source.run(&[reset, "INSERT INTO shop.items VALUES (200, 'after', 1)"]).await;
    let code = running.wait(Duration::from_secs(60)).await;
    let log = running.log();
    // By what the source says when it sends no more, or by what is found when the log is looked at again.
    let reasons =
        ["the source cannot send the binary log from where the task stands", "is not the one that the task has followed"];
    assert!(code == Some(FAILED) && reasons.iter().any(|reason| log.contains(reason)), "{code:?}\n{log}");
    migration.run_until_caught_up().await.expect(FAILED).says("is not the one that the task has followed");
    assert_eq!(destination.list("SELECT id FROM shop.items WHERE name='after'").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_reset_on_mysql97() {
    a_reset_log("mysql97", &[], "RESET BINARY LOGS AND GTIDS").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_reset_on_mysql57_by_place() {
    a_reset_log("mysql57", &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"], "RESET MASTER").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_reset_on_mariadb114() {
    a_reset_log("mariadb114", &[], "RESET MASTER").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_destination() {
    let _place = place().await;
    let (source, destination) = pair("mysql97", &[]).await;
    let new = || Migration::new(&source, &destination);

    destination.run(&["SET GLOBAL super_read_only=ON"]).await;
    refused(&new(), &destination, PRECHECK, &["DestinationWritable", "read_only"]).await;
    destination.run(&["SET GLOBAL super_read_only=OFF", "SET GLOBAL read_only=OFF"]).await;
    let long = "x".repeat(65);
    for name in ["with blank ", long.as_str()] {
        let ended = new().with("/objects/0/renameTo", json!(name)).run().await;
        assert!(matches!(ended.code, Some(MANIFEST | PRECHECK)), "{ended:?}");
        ended.says("name");
        assert!(destination.databases().await.is_empty());
    }
    destination
        .run(&["CREATE DATABASE shop", "CREATE TABLE shop.items (id INT PRIMARY KEY, name VARCHAR(40), amount INT)"])
        .await;
    refused(&new(), &destination, PRECHECK, &["NameConflicts", "shop.items", "DROP TABLE"]).await;

    // A value that does not fit, in a table that was made beforehand.
    destination
        .run(&["DROP TABLE shop.items", "CREATE TABLE shop.items (id INT PRIMARY KEY, name VARCHAR(40), amount TINYINT)"])
        .await;
    let rows_only = new().with("/migrationTypes", json!(["Full", "Incremental"]));
    let sentence = "`amount` of shop.items is tinyint, which is not known to hold every int as it is";
    refused(&rows_only, &destination, PRECHECK, &["DestinationTables", sentence]).await;
}

/// It is waited for, and a person is told for whom.
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_turns_read_only() {
    let _place = place().await;
    let (source, destination) = pair("mysql97", &[]).await;
    let migration = Migration::new(&source, &destination);
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(60)).await;
    destination.run(&["SET GLOBAL super_read_only=ON"]).await;
    source.run(&["INSERT INTO shop.items VALUES (77, 'waits', 1)"]).await;
    let report = running.until_phase("Retrying", Duration::from_secs(60)).await;
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("the destination: ") && message.contains("read-only"), "{message}");
    destination.run(&["SET GLOBAL super_read_only=OFF", "SET GLOBAL read_only=OFF"]).await;
    running.until_phase("Replicating", Duration::from_secs(60)).await;
    running.terminate().await;
    migration.arrives(&source, &destination).await;
}

/// A value that fits nowhere arrives later, by the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_value_that_does_not_fit() {
    let _place = place().await;
    let (source, destination) = pair("mysql97", &[]).await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    destination.run(&["ALTER TABLE shop.items MODIFY amount SMALLINT"]).await;
    source.run(&["UPDATE shop.items SET amount=77777 WHERE id=2"]).await;
    let ended = migration.run_until_caught_up().await.expect(FAILED);
    ended.says("shop.items key (hidden): ").says("Out of range value for column 'amount' at row 1");
    let rows = destination.list("SELECT CONCAT_WS(',', id, name, amount) FROM shop.items ORDER BY id").await;
    assert_eq!(rows, ["1,one,10", "2,two,20", "3,three,300"], "nothing of it is there");
    destination.run(&["ALTER TABLE shop.items MODIFY amount INT"]).await;
    migration.arrives(&source, &destination).await;
}

/// No room: it is tried again, and goes on when there is some.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_destination() {
    let _place = place().await;
    let source = Server::start("mysql97", &[]);
    let destination = Server::start("mysql97", &["--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M;ibdata2:8M"]);
    load(&source, 100_000, false).await;
    let migration = Migration::new(&source, &destination);
    let mut running = migration.start(&[]);
    let full = |report: &Value| {
        report["phase"] == "Retrying" && report["retry"]["error"].as_str().is_some_and(|error| error.contains("full"))
    };
    running.until("the destination is full", Duration::from_secs(180), full).await;
    running.terminate().await;
    destination.kill();
    destination.restart(&["--innodb-data-file-path=ibdata1:12M;ibdata2:8M;ibdata3:10M:autoextend"]);
    migration.arrives(&source, &destination).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_changed() {
    let _place = place().await;
    let (source, destination) = pair("mysql97", &[]).await;
    let mut migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    let before = destination.databases().await;
    migration.set("/objects/0/renameTo", json!("elsewhere"));
    let ended = migration.run_until_caught_up().await.expect(FAILED);
    ended.says("spec.objects[shop]").says("changed since this task was started");
    migration.set("/objects", json!([{"database": "shop"}]));
    migration.set("/migrationTypes", json!(["Full", "Incremental"]));
    migration.run_until_caught_up().await.expect(FAILED).says("spec.migrationTypes");
    assert_eq!(destination.databases().await, before);
    // What may change, may change.
    migration.set("/migrationTypes", json!(["Schema", "Full", "Incremental"]));
    migration.set("/retry", json!({"connectionMinutes": 30, "otherMinutes": 5}));
    migration.run_until_caught_up().await.expect(0);
    // Another source under the same task is not followed.
    let (other, _) = pair("mysql97", &[]).await;
    migration.set("/source/mysql/port", json!(other.port));
    migration.run_until_caught_up().await.expect(FAILED).says("the source lacks transactions that the task has applied already");
}
