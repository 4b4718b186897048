//! Tables without a key, full of rows that are alike, written to by chance while engines are killed at random moments: `kill -9`, a second
//! engine that takes over, a lost connection whose transaction may have been committed. A change that comes twice, or not at all, shows in
//! the number of equal rows at the end.
//!
//! One round stands beside `fuzz_keys` in `make test`; `GODWIT_FUZZ_MINUTES=60 cargo test --test e2e -- --ignored fuzz_keyless::` goes on with
//! new seeds for so long. `GODWIT_FUZZ_SEED` begins elsewhere: the seed of a round that fails is printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::json;

use crate::shop::random::Random;
use crate::support::{Migration, Server, arrive, number, place};

const WITHOUT_GTIDS: &[&str] = &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];

/// Source, its options and destination, by the seed.
const PAIRS: [(&str, &[&str], &str); 6] = [
    ("mysql97", &[], "mysql97"),
    ("mysql57", &[], "mariadb114"),
    ("mysql80", &[], "mysql97"),
    ("mariadb114", &[], "mariadb114"),
    ("mysql80", WITHOUT_GTIDS, "mysql80"),
    ("mysql57", WITHOUT_GTIDS, "mysql80"),
];

/// Rows a second: kills fall into the snapshots.
const COPY_PACE: u64 = 3000;

/// How long a round is.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    /// Engines that are killed before all rows are there, at most; about half as many while the log alone is followed.
    kills: u64,
    /// The latest moment of a kill.
    alive: u64,
}

pub const SHORT: Length = Length { kills: 3, alive: 900 };
const LONG: Length = Length { kills: 8, alive: 2500 };

/// A column: its declaration, and the few values that it takes.
type Column = (&'static str, &'static [&'static str]);

/// Values are few, so that rows are alike; some differ for bytes only, some for the collation only.
const TABLES: &[(&str, u64, &[Column])] = &[
    ("twins", 900, &[("INT", &["0", "1", "2", "3", "NULL"]), ("VARCHAR(20)", &["'a'", "'b'", "'c'", "NULL"])]),
    (
        "words",
        700,
        &[
            (
                "VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
                &["'a'", "'A'", "'á'", "'a '", "''", "'ß'", "'ss'", "NULL"],
            ),
            ("VARCHAR(30) CHARACTER SET latin1", &["'o'", "'O'", "'ö'", "'o '", "''"]),
            ("VARBINARY(8)", &["X''", "X'00'", "X'0000'", "X'61'", "X'6120'", "NULL"]),
            ("BINARY(3)", &["X'61'", "X'610000'", "X'00'", "NULL"]),
        ],
    ),
    (
        "numbers",
        700,
        &[
            ("DOUBLE", &["0e0", "-0e0", "1e-1", "1e300", "NULL"]),
            ("FLOAT", &["0e0", "-0e0", "1e-1", "16777217", "NULL"]),
            ("DECIMAL(12,4)", &["0", "-0.0001", "1.1", "12345678.9", "NULL"]),
            ("BIT(5)", &["0", "1", "31", "NULL"]),
            ("BIGINT UNSIGNED", &["0", "18446744073709551615", "NULL"]),
        ],
    ),
    (
        "moments",
        700,
        &[
            ("ENUM('x','','X2')", &["1", "2", "3", "NULL"]),
            ("SET('p','q','r')", &["0", "1", "7", "NULL"]),
            ("TIMESTAMP(2) NULL DEFAULT NULL", &["'2021-01-01 00:00:00.01'", "'2021-01-01 00:00:00.02'", "NULL"]),
            ("DATETIME(3)", &["'1999-12-31 23:59:59.999'", "'2000-01-01 00:00:00'", "NULL"]),
            ("TIME(1)", &["'-838:59:59'", "'00:00:00.1'", "NULL"]),
            ("YEAR", &["1901", "2155", "NULL"]),
        ],
    ),
    // Several chunks of a snapshot, and transactions that come in parts.
    (
        "wide",
        1200,
        &[
            ("INT", &["0", "1", "2", "3", "4", "5"]),
            ("MEDIUMTEXT", &["REPEAT('w', 9000)", "REPEAT('W', 9000)", "REPEAT('ä', 7000)", "''", "NULL"]),
            ("BLOB", &["REPEAT(X'00', 2000)", "REPEAT(X'27', 2000)", "X''", "NULL"]),
        ],
    ),
    ("nearly_unique", 0, &[("INT NULL DEFAULT NULL UNIQUE", &["NULL", "1", "2", "3", "4", "5"]), ("INT", &["0", "1"])]),
];

/// The same text in different types, and what changes a part of a document.
const DOCUMENTS: &[&str] = &[
    "JSON_OBJECT('a', 1.5e0)",
    "JSON_OBJECT('a', CAST(1.5 AS DECIMAL(3,1)))",
    "JSON_OBJECT('a', CAST('2020-01-02' AS DATE))",
    "JSON_OBJECT('a', '2020-01-02')",
    "JSON_OBJECT('a', 7)",
    "JSON_OBJECT('a', CAST(7 AS UNSIGNED))",
    "CAST('null' AS JSON)",
    "NULL",
];

struct Table {
    name: &'static str,
    rows: u64,
    columns: Vec<Column>,
}

fn tables(source: &str) -> Vec<Table> {
    let of = |&(name, rows, columns): &(&'static str, u64, &[Column])| Table { name, rows, columns: columns.to_vec() };
    let mut tables: Vec<Table> = TABLES.iter().map(of).collect();
    if source == "mysql97" || source == "mysql80" {
        tables.push(Table { name: "documents", rows: 500, columns: vec![("JSON", DOCUMENTS), ("INT", &["0", "1"])] });
    }
    tables
}

impl Table {
    fn create(&self) -> String {
        let columns: Vec<String> =
            self.columns.iter().enumerate().map(|(number, (kind, _))| format!("c{number} {kind}")).collect();
        let partitions = if self.name == "twins" { " PARTITION BY HASH (c0) PARTITIONS 3" } else { "" };
        format!("CREATE TABLE shop.{} ({}){partitions}", self.name, columns.join(", "))
    }

    fn row(&self, random: &mut Random) -> String {
        let values: Vec<&str> = self.columns.iter().map(|(_, values)| random.pick(values)).collect();
        format!("({})", values.join(", "))
    }

    /// Columns that can be looked for.
    fn place(&self, random: &mut Random) -> (usize, &'static [&'static str]) {
        // A JSON value is not found by an equal one of another type.
        let first = usize::from(self.name == "documents");
        let place = first + random.below((self.columns.len() - first) as u64) as usize;
        (place, self.columns[place].1)
    }

    fn some(&self, random: &mut Random) -> String {
        let (place, values) = self.place(random);
        format!("c{place} <=> {} LIMIT {}", random.pick(values), random.between(1, 4))
    }

    fn update(&self, random: &mut Random) -> String {
        let (name, place) = (self.name, random.below(self.columns.len() as u64) as usize);
        if name == "documents" && random.chance(40) {
            let value = random.pick(&["2.5e0", "CAST(2.5 AS DECIMAL(3,1))", "'x'", "NULL"]);
            return format!("UPDATE shop.documents SET c0=JSON_SET(c0, '$.a', {value}) WHERE {}", self.some(random));
        }
        let value = random.pick(self.columns[place].1);
        format!("UPDATE IGNORE shop.{name} SET c{place}={value} WHERE {}", self.some(random))
    }

    /// A change of some rows; what it meets is up to chance.
    fn change(&self, random: &mut Random) -> String {
        let name = self.name;
        match random.below(20) {
            0..6 => {
                let row = self.row(random);
                let rows: Vec<&str> = (0..random.between(1, 3)).map(|_| row.as_str()).collect();
                format!("INSERT IGNORE INTO shop.{name} VALUES {}", rows.join(", "))
            }
            6 => format!("INSERT IGNORE INTO shop.{name} SELECT * FROM shop.{name} LIMIT {}", random.between(1, 4)),
            7..13 => self.update(random),
            // Rows change places.
            13 => {
                let (place, values) = self.place(random);
                let (one, other) = (random.pick(values), random.pick(values));
                let set = format!("c{place}=IF(c{place} <=> {one}, {other}, {one})");
                format!("UPDATE IGNORE shop.{name} SET {set} WHERE c{place} <=> {one} OR c{place} <=> {other} LIMIT 9")
            }
            _ => format!("DELETE FROM shop.{name} WHERE {}", self.some(random)),
        }
    }
}

async fn run(conn: &mut Conn, statement: &str) {
    conn.query_drop(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// A writer's session.
struct Session {
    conn: Conn,
    number: u64,
    tables: Arc<Vec<Table>>,
    random: Random,
    with_xa: bool,
}

impl Session {
    /// False: a deadlock, or nobody waits that long.
    async fn try_one(&mut self) -> bool {
        let table = &self.tables[self.random.below(self.tables.len() as u64) as usize];
        let statement = table.change(&mut self.random);
        self.conn.query_drop(statement).await.is_ok()
    }

    async fn transaction(&mut self) {
        run(&mut self.conn, "START TRANSACTION").await;
        let mut went = true;
        for step in 0..self.random.between(1, 8) {
            went &= self.try_one().await;
            if went && self.random.chance(15) {
                run(&mut self.conn, &format!("SAVEPOINT s{step}")).await;
                went &= self.try_one().await;
                if went && self.random.chance(50) {
                    run(&mut self.conn, &format!("ROLLBACK TO SAVEPOINT s{step}")).await;
                }
            }
        }
        let end = if went && self.random.chance(95) { "COMMIT" } else { "ROLLBACK" };
        run(&mut self.conn, end).await;
    }

    /// More than one window holds: it stays in an open transaction of the destination until its end.
    async fn large_transaction(&mut self) {
        run(&mut self.conn, "START TRANSACTION").await;
        let copy = "INSERT INTO shop.wide SELECT * FROM shop.wide LIMIT 900";
        let change = "UPDATE shop.wide SET c0=c0+10 LIMIT 400";
        let remove = "DELETE FROM shop.wide LIMIT 950";
        let mut went = true;
        for statement in [copy, change, remove] {
            went = went && self.conn.query_drop(statement).await.is_ok();
        }
        run(&mut self.conn, if went { "COMMIT" } else { "ROLLBACK" }).await;
    }

    /// Prepared for a while, and then decided.
    async fn xa(&mut self, step: u64) {
        let name = format!("'s{}-{step}'", self.number);
        run(&mut self.conn, &format!("XA START {name}")).await;
        let mut went = true;
        for _ in 0..self.random.between(1, 4) {
            went = went && self.try_one().await;
        }
        // After a deadlock it can only be rolled back.
        went &= self.conn.query_drop(format!("XA END {name}")).await.is_ok();
        let commits = self.random.chance(80);
        if went && self.random.chance(20) {
            let end = if commits { format!("XA COMMIT {name} ONE PHASE") } else { format!("XA ROLLBACK {name}") };
            return run(&mut self.conn, &end).await;
        }
        let prepared = went && self.conn.query_drop(format!("XA PREPARE {name}")).await.is_ok();
        if prepared {
            tokio::time::sleep(Duration::from_millis(self.random.below(300))).await;
        }
        let end = if prepared && commits { "COMMIT" } else { "ROLLBACK" };
        let ended = self.conn.query_drop(format!("XA {end} {name}")).await;
        assert!(!prepared || ended.is_ok(), "XA {end} {name}: {ended:?}");
    }

    /// Until it is told to stop; the number of transactions.
    async fn write(mut self, stop: Arc<AtomicBool>) -> u64 {
        run(&mut self.conn, "SET SESSION innodb_lock_wait_timeout=2").await;
        run(&mut self.conn, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await;
        let mut transactions = 0;
        while !stop.load(Ordering::SeqCst) {
            transactions += 1;
            match self.random.below(200) {
                0 => self.large_transaction().await,
                1..20 if self.with_xa => self.xa(transactions).await,
                _ => self.transaction().await,
            }
            tokio::time::sleep(Duration::from_millis(self.random.below(6))).await;
        }
        self.conn.disconnect().await.unwrap();
        transactions
    }
}

/// Cuts connections of the engine, at the destination and where it reads the log; it never knows how a COMMIT on its way ended.
async fn disturb(mut source: Conn, mut destination: Conn, mut random: Random, stop: Arc<AtomicBool>, cut: Arc<AtomicU64>) {
    while !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(random.between(100, 900))).await;
        // Before there is a record, the precheck would say that the server hung up.
        let recorded = destination.query::<u8, _>("SELECT 1 FROM godwit.task").await.unwrap_or_default();
        if recorded.is_empty() {
            continue;
        }
        let at_destination = random.chance(75);
        let conn = if at_destination { &mut destination } else { &mut source };
        let which = if at_destination { "id<>CONNECTION_ID() AND command<>'Daemon'" } else { "command LIKE 'Binlog Dump%'" };
        let query = format!("SELECT id FROM information_schema.processlist WHERE {which} AND user='root'");
        let ids: Vec<u64> = conn.query(query).await.unwrap();
        let Some(id) = ids.get(random.below(ids.len() as u64) as usize) else { continue };
        // It may have gone by itself.
        if conn.query_drop(format!("KILL {id}")).await.is_ok() {
            cut.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn fill(source: &Server, tables: &[Table], random: &mut Random) {
    let mut conn = source.connect().await;
    run(&mut conn, "CREATE DATABASE shop CHARACTER SET utf8mb4").await;
    for table in tables {
        run(&mut conn, &table.create()).await;
        if table.rows > 0 {
            let rows: Vec<String> = (0..table.rows).map(|_| table.row(random)).collect();
            run(&mut conn, &format!("INSERT INTO shop.{} VALUES {}", table.name, rows.join(","))).await;
        }
    }
    conn.disconnect().await.unwrap();
}

/// One engine that dies, or two.
async fn live_and_die(migration: &Migration, random: &mut Random, length: Length, follows: bool) {
    let mut running = migration.start(&[]);
    if follows {
        running.until_phase("Replicating", Duration::from_secs(120)).await;
    }
    tokio::time::sleep(Duration::from_millis(random.between(30, length.alive))).await;
    let second = random.chance(15).then(|| migration.start(&[]));
    if second.is_some() {
        tokio::time::sleep(Duration::from_millis(random.between(30, length.alive))).await;
    }
    running.kill();
    if let Some(second) = second {
        tokio::time::sleep(Duration::from_millis(random.between(0, length.alive / 2))).await;
        second.kill();
    }
}

/// The servers are `kind`s of source; what they held of an earlier round goes.
pub async fn round(source: &Server, destination: &Server, kind: &str, seed: u64, length: Length) {
    let mut random = Random::of(seed, 21, 0);
    for server in [source, destination] {
        server.run(&["DROP DATABASE IF EXISTS shop", "DROP DATABASE IF EXISTS godwit"]).await;
    }
    let tables = Arc::new(tables(kind));
    fill(source, &tables, &mut random).await;
    let (stop, calm) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mut writers = Vec::new();
    for number in 0..3 {
        let random = Random::of(seed, 22, number);
        let with_xa = kind != "mysql57";
        let session = Session { conn: source.connect().await, number, tables: Arc::clone(&tables), random, with_xa };
        writers.push(tokio::spawn(session.write(Arc::clone(&stop))));
    }
    let cut = Arc::new(AtomicU64::new(0));
    let disturber = random
        .chance(60)
        .then_some((source.connect().await, destination.connect().await))
        .map(|(left, right)| tokio::spawn(disturb(left, right, Random::of(seed, 23, 0), Arc::clone(&calm), Arc::clone(&cut))));
    let mut migration = Migration::new(source, destination).ignoring(&["PrimaryKeys", "MaxAllowedPacket", "GtidMode"]);
    migration.set("/throttle", json!({"full": {"rowsPerSecond": COPY_PACE}}));
    let kills = random.between(1, length.kills);
    for _ in 0..kills {
        live_and_die(&migration, &mut random, length, false).await;
    }
    migration.set("/throttle", json!({}));
    let later = random.between(1, length.kills.div_ceil(2));
    for _ in 0..later {
        live_and_die(&migration, &mut random, length, true).await;
    }
    calm.store(true, Ordering::SeqCst);
    if let Some(disturber) = disturber {
        disturber.await.unwrap();
    }
    // Changes behind the last kill are read from the recorded positions, too.
    tokio::time::sleep(Duration::from_millis(random.below(300))).await;
    stop.store(true, Ordering::SeqCst);
    let (transactions, rows) = arrive(&migration, source, destination, writers).await;
    let cut = cut.load(Ordering::SeqCst);
    println!("seed {seed}: {transactions} transactions, {kills}+{later} kills, {cut} connections cut, {rows} rows at the end");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "goes on for GODWIT_FUZZ_MINUTES; a short round is in fuzz_keys"]
async fn rows_without_a_key_under_kills() {
    let _place = place().await;
    let minutes = number("GODWIT_FUZZ_MINUTES", 0);
    let first = number("GODWIT_FUZZ_SEED", 1);
    let deadline = Instant::now() + Duration::from_secs(60 * minutes);
    for seed in first.. {
        let (from, options, to) = PAIRS[(seed % PAIRS.len() as u64) as usize];
        println!("seed {seed}, {from} {options:?} to {to}; GODWIT_FUZZ_SEED={seed} begins here");
        let (source, destination) = (Server::start(from, options), Server::start(to, &["--local-infile=1"]));
        round(&source, &destination, from, seed, LONG).await;
        if Instant::now() >= deadline {
            break;
        }
    }
}
