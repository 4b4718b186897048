//! The heartbeat on the source: an idle server whose latency is told, and one that nothing is written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::migration::Running;
use crate::support::writers::load;
use crate::support::{Migration, Server, assert_equal, place, sleep};

const WITHIN: Duration = Duration::from_secs(60);

/// The last beat in a database of the source, with the run it belongs to.
async fn beat(source: &Server, database: &str) -> (String, u64) {
    let rows = source.list(&format!("SELECT CONCAT(run, ' ', beat) FROM {database}.godwit_heartbeat")).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let (run, beat) = rows[0].split_once(' ').unwrap();
    (run.to_owned(), beat.parse().unwrap())
}

/// Waits for the first beat.
async fn first_beat(running: &Running, source: &Server, database: &str) -> (String, u64) {
    let deadline = Instant::now() + WITHIN;
    let tables = format!(
        "SELECT table_rows FROM information_schema.tables WHERE table_schema='{database}' AND table_name='godwit_heartbeat'"
    );
    while source.list(&tables).await.is_empty()
        || source.list(&format!("SELECT beat FROM {database}.godwit_heartbeat")).await.is_empty()
    {
        assert!(Instant::now() < deadline, "no beat; the report is {:#}\n{}", running.report(), running.log());
        sleep(0.1).await;
    }
    beat(source, database).await
}

/// Waits until another beat is written.
async fn beats_on(running: &mut Running, source: &Server, database: &str) {
    let before = first_beat(running, source, database).await;
    let deadline = Instant::now() + WITHIN;
    while beat(source, database).await == before {
        assert!(Instant::now() < deadline, "no beat; the report is {:#}\n{}", running.report(), running.log());
        sleep(0.1).await;
    }
}

fn latency(report: &Value) -> u64 {
    report["latencySeconds"].as_u64().unwrap_or_else(|| panic!("no latency: {report:#}"))
}

/// Everything that was ever logged.
async fn log_end(server: &Server, kind: &str) -> Vec<String> {
    let query = if kind.starts_with("mariadb") { "SELECT @@GLOBAL.gtid_binlog_pos" } else { "SELECT @@GLOBAL.gtid_executed" };
    server.list(query).await
}

/// All databases, but not the heartbeat's. `named`: its name in the manifest, where it is not the default.
async fn idle(kind: &str, options: &[&str], ignore: &[&str], named: Option<&str>) {
    let _place = place().await;
    let (source, destination) = (Server::start(kind, options), Server::start(kind, &[]));
    load(&source, 500, false).await;
    let heartbeat = match named {
        Some(name) => json!({"enabled": true, "database": name}),
        None => json!({"enabled": true}),
    };
    let database = named.unwrap_or("godwit");
    let migration = Migration::new(&source, &destination)
        .ignoring(ignore)
        .with("/objects", json!([]))
        .with("/excludeDatabases", json!(["test"]))
        .with("/heartbeat", heartbeat);
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", WITHIN).await;
    running.until("a latency", WITHIN, |report| report["latencySeconds"].is_u64()).await;
    let (first, start) = (first_beat(&running, &source, database).await, running.report()["position"].clone());
    let began = Instant::now();
    let mut positions = 0;
    let mut position = start;
    while began.elapsed() < Duration::from_secs(6) {
        let report = running.report();
        assert!(latency(&report) < 2, "{report:#}");
        if report["position"] != position {
            positions += 1;
            position = report["position"].clone();
        }
        sleep(0.2).await;
    }
    let last = beat(&source, database).await;
    assert_eq!(last.0, first.0, "one run");
    assert!((4..=9).contains(&(last.1 - first.1)), "once a second: {first:?} {last:?}");
    assert!(positions >= 3, "the position in the report moves: {positions}");
    assert_eq!(
        running.report()["incremental"]["transactions"],
        0,
        "heartbeats are not counted as the application's transactions"
    );
    running.terminate().await;
    // The row stays as it was; the next run takes it over.
    let stopped = beat(&source, database).await;
    sleep(1.5).await;
    assert_eq!(beat(&source, database).await, stopped);
    source.run(&["UPDATE shop.customers SET name='Ada' ORDER BY id LIMIT 1"]).await;
    migration.run_until_caught_up().await.expect(0).says("Caught up");
    assert_eq!(destination.databases().await, ["godwit", "shop"], "nothing of it is at the destination");
    let tables = destination
        .list("SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_name LIKE '%heartbeat%'")
        .await;
    assert_eq!(tables, Vec::<String>::new());
    assert_equal(&source, &destination, "shop").await;
    migration.verify().await;
    // Dropped when nobody needs it: no reason to stop. Switched off, it is not made again.
    let mut migration = migration;
    migration.set("/heartbeat", json!({"enabled": false, "database": database}));
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", WITHIN).await;
    source.run(&[&format!("DROP DATABASE {database}")]).await;
    sleep(2.0).await;
    assert_eq!(running.phase(), "Replicating", "{}", running.log());
    assert_eq!(source.databases().await, ["shop"]);
    running.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_idle() {
    idle("mysql97", &["--binlog-transaction-compression=ON", "--max-binlog-size=4096"], &[], Some("beats")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb114_idle() {
    idle("mariadb114", &[], &[], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql57_idle() {
    idle("mysql57", &[], &[], None).await;
}

/// Places in files instead of GTIDs.
#[tokio::test(flavor = "multi_thread")]
async fn mysql80_without_gtids_idle() {
    idle("mysql80", &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"], &["GtidMode"], None).await;
}

/// Without it nothing at all is written.
async fn off(kind: &str) {
    let _place = place().await;
    let (source, destination) = (Server::start(kind, &[]), Server::start(kind, &[]));
    load(&source, 500, false).await;
    let before = (log_end(&source, kind).await, source.databases().await);
    let migration = Migration::new(&source, &destination).with("/heartbeat", json!({"enabled": false, "database": "beats"}));
    let mut running = migration.start(&[]);
    running.until("a latency", WITHIN, |report| report["phase"] == "Replicating" && report["latencySeconds"] == 0).await;
    sleep(3.0).await;
    running.terminate().await;
    migration.verify().await;
    assert_eq!((log_end(&source, kind).await, source.databases().await), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_off() {
    off("mysql97").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb114_off() {
    off("mariadb114").await;
}

/// The right to write it is taken away and given back; the precheck asks for it before that.
#[tokio::test(flavor = "multi_thread")]
async fn refused_while_it_runs() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    load(&source, 500, false).await;
    source
        .run(&[
            "CREATE USER reader@'%' IDENTIFIED BY 'reader-secret'",
            "GRANT SELECT, SHOW VIEW, REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO reader@'%'",
        ])
        .await;
    let mut migration = Migration::new(&source, &destination).with("/heartbeat", json!({"enabled": true, "database": "beats"}));
    migration.secrets[0].1 = json!({"username": "reader", "password": "reader-secret"});
    let refused = migration.run().await.expect(3);
    refused.says("GRANT CREATE, INSERT, UPDATE ON `beats`.* TO 'reader'@'%';");
    source.run(&["GRANT CREATE, INSERT, UPDATE ON `beats`.* TO 'reader'@'%'"]).await;
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", WITHIN).await;
    beats_on(&mut running, &source, "beats").await;
    source.run(&["REVOKE UPDATE ON `beats`.* FROM 'reader'@'%'"]).await;
    let told = |report: &Value| report["message"].as_str().is_some_and(|message| message.contains("without a heartbeat: "));
    let report = running.until("the message tells it", WITHIN, told).await;
    assert_eq!(report["phase"], "Replicating");
    assert!(report["message"].as_str().unwrap().contains("UPDATE command denied"), "{report:#}");
    assert_eq!(running.log().matches("the heartbeat cannot be written").count(), 1, "{}", running.log());
    // The task goes on: changes arrive, the latency is told as it is without a heartbeat.
    source.run(&["UPDATE shop.customers SET name='Ada' ORDER BY id LIMIT 1"]).await;
    running.until("the change", WITHIN, |report| report["incremental"]["updates"].as_u64() >= Some(1)).await;
    running.until("when it was committed", WITHIN, |report| report["incremental"]["lastCommitAt"].is_string()).await;
    sleep(3.0).await;
    assert!(latency(&running.report()) < 2);
    source.run(&["GRANT UPDATE ON `beats`.* TO 'reader'@'%'"]).await;
    running.until("the message is as before", WITHIN, |report| !told(report)).await;
    beats_on(&mut running, &source, "beats").await;
    running.terminate().await;
    assert_equal(&source, &destination, "shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beats_again_when_the_source_is_back() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    load(&source, 500, false).await;
    let migration = Migration::new(&source, &destination).with("/heartbeat", json!({"enabled": true}));
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", WITHIN).await;
    beats_on(&mut running, &source, "godwit").await;
    source.kill();
    running.until_phase("Retrying", WITHIN).await;
    source.restart(&[]);
    running.until_phase("Replicating", WITHIN).await;
    beats_on(&mut running, &source, "godwit").await;
    // Its own connection alone, and the row: both come back without the task noticing.
    source.run(&["DELETE FROM godwit.godwit_heartbeat"]).await;
    first_beat(&running, &source, "godwit").await;
    source.run(&["DROP TABLE godwit.godwit_heartbeat"]).await;
    first_beat(&running, &source, "godwit").await;
    beats_on(&mut running, &source, "godwit").await;
    assert_eq!(running.phase(), "Replicating");
    running.terminate().await;
}

/// Of two engines on one task the one that was taken over beats no more.
#[tokio::test(flavor = "multi_thread")]
async fn the_heartbeat_is_the_newer_engines() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    load(&source, 500, false).await;
    let migration = Migration::new(&source, &destination).with("/heartbeat", json!({"enabled": true}));
    let mut first = migration.start(&[]);
    first.until_phase("Replicating", WITHIN).await;
    beats_on(&mut first, &source, "godwit").await;
    let old = beat(&source, "godwit").await.0;
    let mut second = migration.start(&[]);
    second.until_phase("Replicating", WITHIN).await;
    let deadline = Instant::now() + WITHIN;
    while first.ended().is_none() {
        assert!(Instant::now() < deadline, "{}", first.log());
        sleep(0.1).await;
    }
    let new = beat(&source, "godwit").await.0;
    assert_ne!(new, old);
    beats_on(&mut second, &source, "godwit").await;
    assert_eq!(beat(&source, "godwit").await.0, new);
    second.terminate().await;
}

/// Stands between engine and source, and can keep back what the source sends on connections that asked for the log.
struct Between {
    port: u16,
    holds: Arc<AtomicBool>,
}

impl Between {
    async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let holds = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&holds);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Self::pair(client, server_port, Arc::clone(&shared)));
            }
        });
        Self { port, holds }
    }

    async fn pair(client: TcpStream, server_port: u16, holds: Arc<AtomicBool>) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)).await else { return };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let is_dump = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_dump);
        let up = async move {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                // COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID as the first command of a packet.
                if read > 4 && buffer[3] == 0 && matches!(buffer[4], 0x12 | 0x1e) {
                    seen.store(true, Ordering::SeqCst);
                }
                if to_server.write_all(&buffer[..read]).await.is_err() {
                    break;
                }
            }
        };
        let down = async move {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                while is_dump.load(Ordering::SeqCst) && holds.load(Ordering::SeqCst) {
                    sleep(0.02).await;
                }
                if to_client.write_all(&buffer[..read]).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! { () = up => {}, () = down => {} }
    }
}

/// Nobody writes, and the log does not arrive any more: only a heartbeat can tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_arrive_is_latency() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    load(&source, 500, false).await;
    let between = Between::start(source.port).await;
    let mut migration = Migration::new(&source, &destination).with("/source/mysql/port", json!(between.port));
    migration.set("/source/mysql/tls", json!({"mode": "Disabled"}));
    for enabled in [false, true] {
        migration.set("/heartbeat", json!({"enabled": enabled}));
        let mut running = migration.start(&[]);
        running.until("in sync", WITHIN, |report| report["phase"] == "Replicating" && report["latencySeconds"] == 0).await;
        if enabled {
            beats_on(&mut running, &source, "godwit").await;
        }
        between.holds.store(true, Ordering::SeqCst);
        if enabled {
            running.until("it rises", Duration::from_secs(20), |report| report["latencySeconds"].as_u64() >= Some(6)).await;
            // The silence ends the attempt, and the next one gets no log either: the latency is the time since there was one.
            let mut highest = 6;
            while highest < 45 {
                let now = latency(&running.report());
                assert!(now + 1 >= highest, "{now} after {highest}: {:#}", running.report());
                assert_eq!(running.ended(), None, "{}", running.log());
                highest = highest.max(now);
                sleep(0.1).await;
            }
            assert!(running.log().contains("reading the source's binary log: the server sent nothing"), "{}", running.log());
        } else {
            sleep(8.0).await;
            assert_eq!(latency(&running.report()), 0, "with nothing outstanding nothing is late");
        }
        between.holds.store(false, Ordering::SeqCst);
        running.until("in sync again", WITHIN, |report| report["latencySeconds"] == 0).await;
        running.terminate().await;
    }
}

/// Source and destination are one server: its database `godwit` holds both the records and the heartbeat.
#[tokio::test(flavor = "multi_thread")]
async fn beside_the_records() {
    let _place = place().await;
    let server = Server::start("mysql97", &[]);
    load(&server, 500, false).await;
    let migration = Migration::new(&server, &server)
        .with("/objects", json!([{"database": "shop", "renameTo": "shop_new"}]))
        .with("/heartbeat", json!({"enabled": true}));
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", WITHIN).await;
    beats_on(&mut running, &server, "godwit").await;
    server.run(&["UPDATE shop.customers SET name='Ada' ORDER BY id LIMIT 1"]).await;
    running.until("the change", WITHIN, |report| report["incremental"]["updates"].as_u64() >= Some(1)).await;
    sleep(3.0).await;
    assert!(latency(&running.report()) < 2, "{:#}", running.report());
    running.terminate().await;
    migration.verify().await;
    assert_eq!(server.databases().await, ["godwit", "shop", "shop_new"]);
}

/// A database that is migrated by its exact name may hold the heartbeat, which then stays behind; one that only a pattern covers may not,
/// because the pattern leaves it out.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_database_that_is_migrated() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    load(&source, 500, false).await;
    let heartbeat = json!({"enabled": true, "database": "shop"});
    let mut patterns = Migration::new(&source, &destination).with("/objects", json!([{"database": "sh*"}, {"database": "*"}]));
    patterns.set("/heartbeat", heartbeat.clone());
    source.run(&["CREATE DATABASE other", "CREATE TABLE other.t (id INT PRIMARY KEY)"]).await;
    patterns.run().await.expect(3).says("leave the heartbeat's database shop out, which holds").says("shop.customers");
    let mut exact = Migration::new(&source, &destination).with("/heartbeat", heartbeat.clone());
    exact.document["metadata"]["name"] = json!("exact");
    // The table comes into being while the whole database is followed.
    let mut running = exact.start(&[]);
    running.until_phase("Replicating", WITHIN).await;
    beats_on(&mut running, &source, "shop").await;
    running.terminate().await;
    exact.run_until_caught_up().await.expect(0);
    exact.verify().await;
    let there = destination
        .list("SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_name='godwit_heartbeat'")
        .await;
    assert_eq!(there, Vec::<String>::new());
    exact.godwit(&["precheck"]).await.says("shop.godwit_heartbeat is written every 1 s, and never migrated");
    exact.with("/desiredState", json!("Stopped")).run().await.expect(0);
    destination.run(&["DROP DATABASE shop"]).await;
    // The field may change between runs, but not so that it takes tables out of a task that has begun.
    patterns.set("/heartbeat", json!({"enabled": true}));
    patterns.run_until_caught_up().await.expect(0);
    patterns.set("/heartbeat", heartbeat);
    patterns.run_until_caught_up().await.expect(1).says("give the heartbeat a database of its own");
    patterns.set("/heartbeat", json!({"enabled": true, "database": "beats"}));
    patterns.run_until_caught_up().await.expect(0);
    assert_eq!(destination.databases().await, ["godwit", "other", "shop"]);
    patterns.verify().await;
}
