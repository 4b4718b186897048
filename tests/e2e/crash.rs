//! Engines and servers that die at any moment, under load. At the end both sides are equal, tables without a key too.
//!
//! `GODWIT_CRASH_KILLS` engines are killed (8); `GODWIT_CRASH_SEED` chooses other moments.

use std::cell::Cell;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use crate::memory;
use crate::shop::random::Random;
use crate::support::writers::load;
use crate::support::{Migration, Running, Server, Writers, assert_equal, number, place, sleep};

/// Kills of one migration; then it is led to its end, compared, and begun anew.
const KILLS_PER_ROUND: u64 = 10;

/// An engine that was killed is at work again within this time.
const RESUMED_WITHIN: Duration = Duration::from_secs(5);

/// Rows a second while engines are killed in the copy: slow enough that it is not over before the last of them.
const COPY_PACE: u64 = 12_000;

fn seed() -> u64 {
    number("GODWIT_CRASH_SEED", 20_261)
}

fn rows() -> u64 {
    number("GODWIT_TEST_ROWS", 120_000)
}

/// Whether the engine moves rows.
fn works(report: &Value) -> bool {
    let copied = report["full"]["rowsCopied"].as_u64().unwrap_or_default();
    report["phase"] == "Replicating" || (report["phase"] == "Copying" && copied > 0)
}

/// Waits until rows or transactions have gone through this process. What stands in its first report may be from an earlier one.
async fn resumes(running: &mut Running) {
    let first = Cell::new(None);
    let moves = |report: &Value| {
        let count = |part: &str, name: &str| report[part][name].as_u64().unwrap_or_default();
        let now = count("full", "rowsCopied") + count("incremental", "transactions");
        works(report) && now > first.replace(first.get().or(Some(now))).unwrap_or(now)
    };
    running.until("it works again", RESUMED_WITHIN, moves).await;
}

/// Changes a row ten times a second: the writers of the shop may pause for seconds after a large transaction.
async fn tick(source: &Server) -> tokio::task::JoinHandle<()> {
    source
        .run(&["CREATE TABLE IF NOT EXISTS shop.ticks (id INT PRIMARY KEY, n INT)", "REPLACE INTO shop.ticks VALUES (1, 0)"])
        .await;
    let mut conn = source.connect().await;
    tokio::spawn(async move {
        loop {
            conn.query_drop("UPDATE shop.ticks SET n = n + 1").await.unwrap();
            sleep(0.1).await;
        }
    })
}

/// Empties the destination, as if nothing had ever been there.
async fn empty(destination: &Server) {
    for database in destination.databases().await {
        destination.run(&[&format!("DROP DATABASE `{database}`")]).await;
    }
}

/// Kills the engine `kills` times in one migration. Says in which phases.
async fn round(source: &Server, destination: &Server, round: u64, kills: u64) -> Vec<String> {
    let mut random = Random::of(seed(), 2, round);
    let xa_percent = if round % 2 == 1 { 5 } else { 0 };
    let writers = Writers::start(source, 4, 1200, seed() + round, xa_percent);
    let ticks = tick(source).await;
    let mut migration = Migration::new(source, destination).ignoring(&["GtidMode"]);
    migration.set("/throttle", json!({"full": {"rowsPerSecond": COPY_PACE}}));
    let mut phases = Vec::new();
    let mut copied_to_the_end = false;
    for kill in 0..kills {
        // The first ones die soon after they started, or soon after they copied the first rows; the others while the log alone is followed.
        let follows = kill * 10 >= kills * 6;
        if follows && !copied_to_the_end {
            migration.set("/throttle", json!({}));
        }
        let mut running = migration.start(&[]);
        if follows {
            if !copied_to_the_end {
                resumes(&mut running).await;
                copied_to_the_end = true;
            }
            running.until_phase("Replicating", Duration::from_secs(180)).await;
        } else if kill % 2 == 1 {
            running.until("rows are copied", Duration::from_secs(60), works).await;
        }
        let longest = if follows { 1500 } else { 1100 };
        let dies_at = running.started.elapsed() + Duration::from_millis(random.between(10, longest));
        while running.started.elapsed() < dies_at {
            assert!(running.ended().is_none(), "godwit ended before it was killed, moment {dies_at:?}:\n{}", running.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        phases.push(running.phase());
        running.kill();
    }
    // The last one lives, and has to be quick.
    let mut running = migration.start(&[]);
    resumes(&mut running).await;
    running.until_phase("Replicating", Duration::from_secs(240)).await;
    sleep(1.0).await;
    running.terminate().await;
    ticks.abort();
    let _ = ticks.await;
    let totals = writers.stop().await;
    migration.run_until_caught_up().await.expect(0);
    println!("round {round}: {kills} kills in {phases:?}; {totals:?}");
    let died = |phase: &str| phases.iter().any(|found| found == phase);
    assert!(
        kills < 4 || died("Copying") && died("Replicating"),
        "no kill fell into the copy, or none into what follows: {phases:?}"
    );
    assert_equal(source, destination, "shop").await;
    migration.verify().await;
    phases
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_killed_at_any_moment() {
    let _place = place().await;
    let source = Server::start("mysql97", &[]);
    let destination = Server::start("mysql97", &[]);
    load(&source, rows(), false).await;
    let all = number("GODWIT_CRASH_KILLS", 8);
    let mut done = 0;
    let mut number = 0;
    while done < all {
        let kills = KILLS_PER_ROUND.min(all - done);
        empty(&destination).await;
        round(&source, &destination, number, kills).await;
        done += kills;
        number += 1;
    }
}

/// Without GTIDs there is other reasoning about what is visible, and positions are places in files.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_killed_where_there_are_no_gtids() {
    let _place = place().await;
    // `memory` holds a row for as long as it takes to change all others.
    let patient = "--innodb-lock-wait-timeout=600";
    let source = Server::start("mysql80", &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF", patient]);
    let destination = Server::start("mysql80", &[]);
    load(&source, rows(), false).await;
    round(&source, &destination, 100, number("GODWIT_CRASH_KILLS", 8).div_ceil(2)).await;
    memory::keys_without_room(&source, &destination).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_killed_on_mariadb() {
    let _place = place().await;
    let source = Server::start("mariadb114", &[]);
    let destination = Server::start("mariadb114", &[]);
    load(&source, rows(), false).await;
    round(&source, &destination, 200, number("GODWIT_CRASH_KILLS", 8).div_ceil(2)).await;
}

/// Servers die under a running engine, which goes on by itself when they are back.
#[tokio::test(flavor = "multi_thread")]
async fn servers_are_killed() {
    let _place = place().await;
    let durable = ["--profile", "durable"];
    let source = Server::start_with("mysql97", &durable, &[]);
    let destination = Server::start_with("mysql97", &durable, &[]);
    load(&source, rows(), false).await;
    let writers = Writers::start(&source, 3, 800, seed(), 0);
    let migration = Migration::new(&source, &destination);
    let mut running = migration.start(&[]);
    running.until("rows are copied", Duration::from_secs(30), works).await;
    let mut random = Random::of(seed(), 3, 0);
    for kill in 0..5 {
        sleep(random.fraction() * 2.0).await;
        let victim = if kill % 2 == 0 { &destination } else { &source };
        victim.kill();
        sleep(random.fraction()).await;
        victim.restart(&[]);
        let since = Instant::now();
        // What stands in the report may be from before.
        let applied = |report: &Value| report["incremental"]["transactions"].as_u64().unwrap_or_default();
        let before = applied(&running.report());
        running.until("it goes on", Duration::from_secs(30), |report| works(report) && applied(report) > before).await;
        println!("kill {kill}: back at work {:?} after the server", since.elapsed());
    }
    running.until_phase("Replicating", Duration::from_secs(180)).await;
    sleep(1.0).await;
    let totals = writers.stop().await;
    assert!(totals.reconnected > 0);
    running.terminate().await;
    migration.arrives(&source, &destination).await;
}

/// Two engines on one task: the later one takes it over, the earlier one stops and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_engine_fences_the_first() {
    let _place = place().await;
    let source = Server::start("mysql97", &[]);
    let destination = Server::start("mysql97", &[]);
    load(&source, rows(), false).await;
    let writers = Writers::start(&source, 4, 1500, seed(), 0);
    let migration = Migration::new(&source, &destination);
    let mut engine = migration.start(&[]);
    for phase in ["Copying", "Replicating", "Replicating"] {
        engine.until_phase(phase, Duration::from_secs(180)).await;
        sleep(0.5).await;
        let mut second = migration.start(&[]);
        let code = engine.wait(Duration::from_secs(30)).await;
        assert_eq!(code, Some(1), "{}", engine.log());
        assert!(engine.log().contains("another engine has taken this task over"), "{}", engine.log());
        second.until("the second engine works", Duration::from_secs(30), works).await;
        engine = second;
    }
    sleep(1.0).await;
    writers.stop().await;
    engine.terminate().await;
    migration.arrives(&source, &destination).await;
}
