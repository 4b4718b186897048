//! Tables that foreign keys connect, where it depends on the moment: snapshots that are opened while parents come and go, and a source
//! that passes on what an older server has logged.
//!
//! `GODWIT_FUZZ_MINUTES=60 cargo test --test e2e families::` goes on with new seeds for so long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;

use crate::shop::random::Random;
use crate::support::PASSWORD;
use crate::support::{Migration, Server, number, place, sleep};

/// Exit code of a task that stopped.
const FAILED: i32 = 1;

const PARENTS: u64 = 4000;
/// Tables without a key that hang on the parents, one snapshot each.
const CHILDREN: u64 = 8;
const SESSIONS: u64 = 3;

const WITHOUT_GTIDS: &[&str] = &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];

async fn make(source: &Server) {
    let mut statements: Vec<String> = [
        "DROP DATABASE IF EXISTS shop",
        "CREATE DATABASE shop",
        "CREATE TABLE shop.numbers (n INT PRIMARY KEY)",
        "INSERT INTO shop.numbers VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
        "CREATE TABLE shop.parents (id INT PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO shop.parents SELECT a.n*1000+b.n*100+c.n*10+d.n, 0 FROM shop.numbers a, shop.numbers b, shop.numbers c, shop.numbers d WHERE a.n<4",
        // A tree, and in chunks what hangs on its nodes.
        "CREATE TABLE shop.tree (id INT PRIMARY KEY, up INT, KEY (up), FOREIGN KEY (up) REFERENCES shop.tree (id) ON DELETE CASCADE)",
        "INSERT INTO shop.tree SELECT id, NULL FROM shop.parents WHERE id<500",
        "CREATE TABLE shop.leaves (id INT PRIMARY KEY, node INT NOT NULL, n INT NOT NULL, KEY (node), FOREIGN KEY (node) REFERENCES shop.tree (id) ON DELETE CASCADE)",
        "INSERT INTO shop.leaves SELECT id, id, 0 FROM shop.tree",
    ]
    .map(str::to_owned)
    .to_vec();
    for child in 0..CHILDREN {
        let rules = if child % 2 == 0 { "ON DELETE CASCADE ON UPDATE CASCADE" } else { "ON DELETE SET NULL ON UPDATE CASCADE" };
        statements.extend([
            format!("CREATE TABLE shop.c{child} (p INT, n INT NOT NULL, KEY (p), FOREIGN KEY (p) REFERENCES shop.parents (id) {rules})"),
            format!("INSERT INTO shop.c{child} SELECT id, id FROM shop.parents"),
        ]);
    }
    source.run(&statements.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// Parents go, come back without their children, and change their numbers; leaves come and go with the node above their node.
fn statements(random: &mut Random, session: u64, step: u64) -> Vec<String> {
    let id = random.below(PARENTS / SESSIONS) * SESSIONS + session;
    let fresh = 1_000_000 * (session + 1) + 3 * step;
    match random.below(4) {
        0 => vec![format!("DELETE FROM shop.parents WHERE id={id}")],
        1 => vec![format!("DELETE FROM shop.parents WHERE id={id}"), format!("INSERT INTO shop.parents VALUES ({id}, {step})")],
        2 => vec![format!("UPDATE shop.parents SET id={fresh} WHERE id={id}")],
        _ => vec![
            format!("INSERT INTO shop.tree VALUES ({fresh}, NULL), ({}, {fresh})", fresh + 1),
            format!("INSERT INTO shop.leaves VALUES ({fresh}, {}, {step}), ({}, {fresh}, {step})", fresh + 1, fresh + 1),
            "COMMIT".to_owned(),
            format!("DELETE FROM shop.tree WHERE id={fresh}"),
        ],
    }
}

async fn change(source: &Server, seed: u64, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<u64>> {
    let mut sessions = Vec::new();
    for session in 0..SESSIONS {
        let mut conn = source.connect().await;
        let stop = Arc::clone(stop);
        sessions.push(tokio::spawn(async move {
            let mut step = 0;
            while !stop.load(Ordering::SeqCst) {
                step += 1;
                conn.query_drop("BEGIN").await.unwrap();
                for statement in statements(&mut Random::of(seed, session, step), session, step) {
                    // A parent that is gone already, or a deadlock.
                    let _ = conn.query_drop(statement).await;
                }
                conn.query_drop("COMMIT").await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            step
        }));
    }
    sessions
}

/// A migration that begins in the middle of it.
async fn begins_meanwhile(source: &Server, destination: &Server, seed: u64) {
    make(source).await;
    for database in ["shop", "godwit"] {
        destination.run(&[&format!("DROP DATABASE IF EXISTS {database}")]).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let sessions = change(source, seed, &stop).await;
    let migration = Migration::new(source, destination).ignoring(&["GtidMode", "PrimaryKeys"]);
    let mut running = migration.start(&[]);
    running.until_phase("Copying", Duration::from_secs(60)).await;
    // The snapshots are opened in the first moments; what goes on longer only has to be caught up with.
    sleep(1.5).await;
    stop.store(true, Ordering::SeqCst);
    let mut steps = 0;
    for session in sessions {
        steps += session.await.unwrap();
    }
    running.until_phase("Replicating", Duration::from_secs(120)).await;
    running.terminate().await;
    let rows = migration.arrives(source, destination).await;
    println!("seed {seed}: {steps} transactions, {rows} rows are equal");
    assert!(steps > 50, "only {steps} transactions");
}

/// Children without a key are read from snapshots, and what happens to them is in no event of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn cascades_beside_snapshots() {
    let _place = place().await;
    let destination = Server::start("mysql80", &[]);
    let sources = [Server::start("mysql57", WITHOUT_GTIDS), Server::start("mysql80", &[])];
    let minutes = number("GODWIT_FUZZ_MINUTES", 0);
    let mut seed = number("GODWIT_FUZZ_SEED", 1);
    let begun = Instant::now();
    loop {
        for source in &sources {
            begins_meanwhile(source, &destination, seed).await;
        }
        seed += 1;
        if begun.elapsed() >= Duration::from_secs(60 * minutes) {
            return;
        }
    }
}

async fn wait_for(replica: &Server, query: &str, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while replica.list(query).await != [expected] {
        assert!(Instant::now() < deadline, "{query}: {:?}", replica.list(query).await);
        sleep(0.05).await;
    }
}

/// A server from 9.6 on logs what its own foreign keys do, but not what they do when it applies rows of an older server.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_replicates_from_an_older_server() {
    let _place = place().await;
    let (upstream, source, destination) =
        (Server::start("mysql80", &[]), Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    let replicate = format!(
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={}, SOURCE_USER='root', SOURCE_PASSWORD='{PASSWORD}', \
         SOURCE_AUTO_POSITION=1, SOURCE_SSL=0, GET_SOURCE_PUBLIC_KEY=1",
        upstream.port
    );
    upstream
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.p (id INT PRIMARY KEY, n INT)",
            "CREATE TABLE shop.c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES shop.p (id) ON DELETE CASCADE ON UPDATE CASCADE)",
            "CREATE TABLE shop.d (p INT, n INT, FOREIGN KEY (p) REFERENCES shop.p (id) ON DELETE CASCADE ON UPDATE SET NULL)",
            "INSERT INTO shop.p VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)",
            "INSERT INTO shop.c SELECT id, id FROM shop.p",
            "INSERT INTO shop.d SELECT id, id FROM shop.p",
        ])
        .await;
    source.run(&[&replicate, "START REPLICA"]).await;
    let made = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='shop' AND table_name='d'";
    wait_for(&source, made, "1").await;
    wait_for(&source, "SELECT COUNT(*) FROM shop.d", "5").await;
    let migration = Migration::new(&source, &destination).ignoring(&["PrimaryKeys"]);
    migration.run_until_caught_up().await.expect(0);
    // Below the source's log, and in it.
    upstream
        .run(&["DELETE FROM shop.p WHERE id=1", "UPDATE shop.p SET id=20 WHERE id=2", "INSERT INTO shop.p VALUES (6, 6)"])
        .await;
    wait_for(&source, "SELECT COUNT(*) FROM shop.p WHERE id=6", "1").await;
    source
        .run(&["DELETE FROM shop.p WHERE id=3", "UPDATE shop.p SET id=40 WHERE id=4", "INSERT INTO shop.d VALUES (40, 7)"])
        .await;
    migration.arrives(&source, &destination).await;
    assert_eq!(destination.list("SELECT p FROM shop.c ORDER BY p").await, ["5", "20", "40"]);

    // A task that began when the source replicated from nobody has other lanes: it stops in front of such a change.
    source.run(&["STOP REPLICA", "RESET REPLICA ALL"]).await;
    destination.run(&["DROP DATABASE shop", "DROP DATABASE godwit"]).await;
    let migration = Migration::new(&source, &destination).ignoring(&["PrimaryKeys"]);
    migration.run_until_caught_up().await.expect(0);
    source.run(&["DELETE FROM shop.p WHERE id=40", &replicate, "START REPLICA"]).await;
    upstream.run(&["UPDATE shop.p SET n=9 WHERE id=20", "INSERT INTO shop.p VALUES (7, 7)"]).await;
    wait_for(&source, "SELECT COUNT(*) FROM shop.p WHERE id=7", "1").await;
    migration.arrives(&source, &destination).await;
    upstream.run(&["DELETE FROM shop.p WHERE id=5", "INSERT INTO shop.p VALUES (8, 8)"]).await;
    wait_for(&source, "SELECT COUNT(*) FROM shop.p WHERE id=8", "1").await;
    migration.run_until_caught_up().await.expect(FAILED).says("shop.p").says("replicates from");
    assert_eq!(destination.list("SELECT COUNT(*) FROM shop.p WHERE id IN (5, 8)").await, ["1"]);
}
