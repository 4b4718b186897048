//! Odd keys under all kinds of collations, and tables without a key, written to by chance while they are copied and followed by an
//! engine that is killed now and then. At the end both sides are equal.
//!
//! One round in `make test`, and one of `fuzz_keyless` on the same servers; rounds until `GODWIT_FUZZ_MINUTES` are over in
//! `make test-fuzz`. `GODWIT_FUZZ_SEED` begins elsewhere: the seed of a round that fails is printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::json;

use crate::fuzz_keyless;
use crate::shop::random::Random;
use crate::support::{Migration, Server, arrive, number, place};

/// Source and destination, by the seed.
const PAIRS: [(&str, &str); 4] =
    [("mysql97", "mysql97"), ("mysql57", "mariadb114"), ("mysql80", "mysql97"), ("mariadb114", "mariadb114")];

/// Rows of each table at the start.
const ROWS: u64 = 400;

/// A second's worth of rows is a chunk: a table has several.
const COPY_PACE: u64 = 1000;

/// Texts that collations hold for equal, in pairs and groups.
const WORDS: &[&str] =
    &["a", "A", "á", "Á", "a ", "b", "B", "ss", "ß", "SS", "i", "I", "ı", "", " ", "z", "Z", "ñ", "n", "ae", "æ", "0", "00"];

/// What a key consists of.
#[derive(Debug, Clone, Copy)]
enum Part {
    Text(&'static str),
    Bytes,
    Double,
    Float,
    Decimal,
    Bits,
    Label,
    Moment,
    Number,
}

impl Part {
    fn declaration(self) -> String {
        match self {
            Self::Text(collation) => {
                let (set, _) = collation.split_once('_').unwrap();
                format!("VARCHAR(30) CHARACTER SET {set} COLLATE {collation} NOT NULL")
            }
            Self::Bytes => "VARBINARY(20) NOT NULL".into(),
            Self::Double => "DOUBLE NOT NULL".into(),
            Self::Float => "FLOAT NOT NULL".into(),
            Self::Decimal => "DECIMAL(20,5) NOT NULL".into(),
            Self::Bits => "BIT(11) NOT NULL".into(),
            Self::Label => "ENUM('c','a','B','b2') NOT NULL".into(),
            Self::Moment => "DATETIME(3) NOT NULL".into(),
            Self::Number => "BIGINT NOT NULL".into(),
        }
    }

    fn value(self, random: &mut Random) -> String {
        match self {
            Self::Text(_) => {
                let first = random.pick(WORDS);
                let second = if random.chance(40) { random.pick(WORDS) } else { "" };
                let tail = if random.chance(50) { random.below(60).to_string() } else { String::new() };
                format!("'{first}{second}{tail}'")
            }
            Self::Bytes => {
                let bytes = random.between(0, 3) as usize;
                format!("X'{}'", random.hex(bytes))
            }
            Self::Double | Self::Float => match random.below(5) {
                0 => "-0e0".into(),
                1 => "0e0".into(),
                _ => format!("{}e-1", random.below(600) as i64 - 300),
            },
            Self::Decimal => format!("{}.{:05}", random.below(200) as i64 - 100, random.below(3) * 10_000),
            Self::Bits => format!("{}", random.below(2048)),
            Self::Label => format!("{}", random.between(1, 4)),
            Self::Moment => format!("'20{:02}-0{}-01 00:00:00.{:03}'", random.below(30), random.between(1, 9), random.below(3)),
            Self::Number => format!("{}", random.below(600) as i64 - 300),
        }
    }
}

/// The parts of a table's key, or of its rows where `keyed` is false.
struct Table {
    name: String,
    parts: Vec<Part>,
    keyed: bool,
}

fn tables(source: &str, random: &mut Random) -> Vec<Table> {
    let mut collations =
        vec!["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin", "latin1_swedish_ci", "latin1_bin", "utf8mb4_spanish_ci"];
    if source == "mysql97" || source == "mysql80" {
        collations.extend(["utf8mb4_0900_ai_ci", "utf8mb4_0900_as_cs", "utf8mb4_de_pb_0900_ai_ci"]);
    }
    // Since 8.0.17.
    if source == "mysql97" {
        collations.push("utf8mb4_0900_bin");
    }
    let text = |random: &mut Random| Part::Text(collations[random.below(collations.len() as u64) as usize]);
    let mut kinds: Vec<Vec<Part>> = vec![
        vec![text(random)],
        vec![text(random), text(random)],
        vec![text(random), Part::Number],
        vec![Part::Label, text(random)],
        vec![Part::Double],
        vec![Part::Float, Part::Bytes],
        vec![Part::Decimal, Part::Bits],
        vec![Part::Moment, text(random)],
    ];
    let keyed = kinds.drain(..).enumerate().map(|(number, parts)| Table { name: format!("keyed{number}"), parts, keyed: true });
    let mut all: Vec<Table> = keyed.collect();
    for number in 0..3 {
        let parts = vec![text(random), Part::Double, Part::Float, Part::Bits];
        all.push(Table { name: format!("bare{number}"), parts, keyed: false });
    }
    all
}

impl Table {
    fn create(&self) -> String {
        let columns: Vec<String> =
            self.parts.iter().enumerate().map(|(n, part)| format!("k{n} {}", part.declaration())).collect();
        let names: Vec<String> = (0..self.parts.len()).map(|n| format!("k{n}")).collect();
        let key = if self.keyed { format!(", PRIMARY KEY ({})", names.join(",")) } else { String::new() };
        format!("CREATE TABLE shop.{} ({}, v INT{key})", self.name, columns.join(", "))
    }

    fn values(&self, random: &mut Random) -> Vec<String> {
        self.parts.iter().map(|part| part.value(random)).collect()
    }

    /// A change of some rows; what it meets is up to chance.
    fn change(&self, random: &mut Random) -> String {
        let name = &self.name;
        let some = |random: &mut Random| {
            let place = random.below(self.parts.len() as u64);
            format!("k{place}={} LIMIT {}", self.parts[place as usize].value(random), random.between(1, 3))
        };
        match random.below(10) {
            0..4 => format!("INSERT IGNORE INTO shop.{name} VALUES ({}, {})", self.values(random).join(","), random.below(9)),
            4..6 => {
                let place = random.below(self.parts.len() as u64);
                let value = self.parts[place as usize].value(random);
                format!("UPDATE IGNORE shop.{name} SET k{place}={value} WHERE {}", some(random))
            }
            6 => format!("UPDATE shop.{name} SET v=v+1 WHERE {}", some(random)),
            7 if self.keyed => {
                format!("REPLACE INTO shop.{name} VALUES ({}, {})", self.values(random).join(","), random.below(9))
            }
            _ => format!("DELETE FROM shop.{name} WHERE {}", some(random)),
        }
    }
}

async fn run(conn: &mut Conn, statement: &str) {
    conn.query_drop(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// Transactions of a few changes each until told to stop; a deadlock is one that did not happen.
async fn write(mut conn: Conn, tables: Arc<Vec<Table>>, mut random: Random, stop: Arc<AtomicBool>) -> u64 {
    run(&mut conn, "SET NAMES utf8mb4").await;
    let mut transactions = 0;
    while !stop.load(Ordering::SeqCst) {
        run(&mut conn, "START TRANSACTION").await;
        let mut went = true;
        for _ in 0..random.between(1, 8) {
            let table = &tables[random.below(tables.len() as u64) as usize];
            went &= conn.query_drop(table.change(&mut random)).await.is_ok();
        }
        run(&mut conn, if went && random.chance(95) { "COMMIT" } else { "ROLLBACK" }).await;
        transactions += 1;
        tokio::time::sleep(Duration::from_millis(random.below(4))).await;
    }
    transactions
}

async fn round(source: &Server, destination: &Server, kind: &str, seed: u64) {
    let mut random = Random::of(seed, 1, 0);
    let tables = Arc::new(tables(kind, &mut random));
    for server in [source, destination] {
        server.run(&["DROP DATABASE IF EXISTS shop", "DROP DATABASE IF EXISTS godwit"]).await;
    }
    let mut conn = source.connect().await;
    run(&mut conn, "SET NAMES utf8mb4").await;
    run(&mut conn, "CREATE DATABASE shop CHARACTER SET utf8mb4").await;
    for table in tables.iter() {
        run(&mut conn, &table.create()).await;
        let rows: Vec<String> = (0..ROWS).map(|_| format!("({}, 1)", table.values(&mut random).join(","))).collect();
        run(&mut conn, &format!("INSERT IGNORE INTO shop.{} VALUES {}", table.name, rows.join(","))).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..3 {
        let conn = source.connect().await;
        writers.push(tokio::spawn(write(conn, Arc::clone(&tables), Random::of(seed, 2, writer), Arc::clone(&stop))));
    }
    let mut migration = Migration::new(source, destination).ignoring(&["MaxAllowedPacket", "GtidMode"]);
    migration.set("/throttle", json!({"full": {"rowsPerSecond": COPY_PACE}}));
    for _ in 0..random.between(1, 3) {
        let running = migration.start(&[]);
        tokio::time::sleep(Duration::from_millis(random.between(100, 2000))).await;
        running.kill();
    }
    migration.set("/throttle", json!({}));
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(120)).await;
    tokio::time::sleep(Duration::from_millis(random.between(100, 1500))).await;
    running.kill();
    stop.store(true, Ordering::SeqCst);
    let (transactions, rows) = arrive(&migration, source, destination, writers).await;
    println!("seed {seed}: {transactions} transactions, {rows} rows at the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_and_none_under_live_writes_and_kills() {
    let _place = place().await;
    let minutes = number("GODWIT_FUZZ_MINUTES", 0);
    let first = number("GODWIT_FUZZ_SEED", 1);
    let deadline = Instant::now() + Duration::from_secs(60 * minutes);
    for seed in first.. {
        let (from, to) = PAIRS[(seed % PAIRS.len() as u64) as usize];
        println!("seed {seed}, {from} to {to}; GODWIT_FUZZ_SEED={seed} begins here");
        let (source, destination) = (Server::start(from, &[]), Server::start(to, &["--local-infile=1"]));
        round(&source, &destination, from, seed).await;
        if minutes == 0 {
            fuzz_keyless::round(&source, &destination, from, seed, fuzz_keyless::SHORT).await;
        }
        if Instant::now() >= deadline {
            break;
        }
    }
}
