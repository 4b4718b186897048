//! What foreign keys do at the source arrives, whether the log holds it or not: every action, chains, a tree, text that
//! is equal without being the same, while rows are copied and behind that, with engines that are killed meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use serde_json::json;

use crate::shop::random::Random;
use crate::support::{Migration, Server, number, place, sleep};

/// Exit code of a task that stopped.
const FAILED: i32 = 1;
const PRECHECK_FAILED: i32 = 3;

const CUSTOMERS: u64 = 3000;

const TABLES: &[&str] = &[
    "CREATE DATABASE shop",
    "CREATE TABLE shop.customers (id INT PRIMARY KEY, code VARCHAR(20) NOT NULL, region INT NOT NULL, n INT NOT NULL, UNIQUE KEY (code), UNIQUE KEY (region, id)) DEFAULT CHARSET utf8mb4",
    // A chain: customers, orders, items.
    "CREATE TABLE shop.orders (id INT PRIMARY KEY, customer INT NOT NULL, n INT NOT NULL, changed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (customer), FOREIGN KEY (customer) REFERENCES shop.customers (id) ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TABLE shop.items (id INT PRIMARY KEY AUTO_INCREMENT, o INT NOT NULL, n INT NOT NULL, KEY (o), FOREIGN KEY (o) REFERENCES shop.orders (id) ON DELETE CASCADE)",
    // By text, and two foreign keys that set NULL.
    "CREATE TABLE shop.notes (id INT PRIMARY KEY, customer INT, code VARCHAR(20), n INT NOT NULL, changed DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, FOREIGN KEY (customer) REFERENCES shop.customers (id) ON DELETE SET NULL ON UPDATE CASCADE, FOREIGN KEY (code) REFERENCES shop.customers (code) ON DELETE SET NULL ON UPDATE CASCADE) DEFAULT CHARSET utf8mb4",
    // Composite, and part of the child's own key.
    "CREATE TABLE shop.addresses (region INT NOT NULL, customer INT NOT NULL, line INT NOT NULL, n INT NOT NULL, PRIMARY KEY (region, customer, line), FOREIGN KEY (region, customer) REFERENCES shop.customers (region, id) ON DELETE CASCADE ON UPDATE CASCADE)",
    // Without a key.
    "CREATE TABLE shop.visits (customer INT NOT NULL, n INT NOT NULL, KEY (customer), FOREIGN KEY (customer) REFERENCES shop.customers (id) ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TABLE shop.tree (id INT PRIMARY KEY, parent INT, n INT NOT NULL, FOREIGN KEY (parent) REFERENCES shop.tree (id) ON DELETE CASCADE)",
    "CREATE TABLE shop.tags (id INT PRIMARY KEY, node INT, n INT NOT NULL, FOREIGN KEY (node) REFERENCES shop.tree (id) ON DELETE SET NULL)",
    // Nothing to do with the others.
    "CREATE TABLE shop.other (id INT PRIMARY KEY, n INT NOT NULL)",
    "CREATE TABLE shop.numbers (n INT PRIMARY KEY)",
    "INSERT INTO shop.numbers VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
    "INSERT INTO shop.customers SELECT a.n*1000+b.n*100+c.n*10+d.n, CONCAT('Code', a.n*1000+b.n*100+c.n*10+d.n), b.n, 0 FROM shop.numbers a, shop.numbers b, shop.numbers c, shop.numbers d WHERE a.n<3",
    "INSERT INTO shop.orders (id, customer, n) SELECT c.id*10+x.n, c.id, 0 FROM shop.customers c, shop.numbers x WHERE x.n<8",
    "INSERT INTO shop.items (o, n) SELECT o.id, x.n FROM shop.orders o, shop.numbers x WHERE x.n<2",
    "INSERT INTO shop.notes (id, customer, code, n) SELECT c.id*10+x.n, c.id, IF(x.n=0, LOWER(c.code), c.code), 0 FROM shop.customers c, shop.numbers x WHERE x.n<6",
    "INSERT INTO shop.addresses SELECT c.region, c.id, x.n, 0 FROM shop.customers c, shop.numbers x WHERE x.n<3",
    "INSERT INTO shop.visits SELECT c.id, x.n DIV 2 FROM shop.customers c, shop.numbers x WHERE x.n<4",
    "INSERT INTO shop.tree SELECT c.id, NULL, 0 FROM shop.customers c ORDER BY id",
    "UPDATE shop.tree SET parent=id DIV 3 WHERE id>0",
    "INSERT INTO shop.tags SELECT c.id*10+x.n, c.id, 0 FROM shop.customers c, shop.numbers x WHERE x.n<3",
    "INSERT INTO shop.other SELECT id, 0 FROM shop.orders",
];

/// Statements that change a parent and what hangs on it.
fn statements(random: &mut Random) -> Vec<String> {
    let id = random.below(CUSTOMERS);
    let other = CUSTOMERS + random.below(CUSTOMERS);
    let n = random.below(1_000_000);
    let order = random.below(CUSTOMERS * 10);
    match random.below(14) {
        0 | 1 => vec![format!("DELETE FROM shop.customers WHERE id={id}")],
        2 => vec![format!("DELETE FROM shop.customers WHERE id BETWEEN {id} AND {}", id + 3)],
        // It comes back under the same key, with and without children.
        3 | 4 => vec![
            format!("DELETE FROM shop.customers WHERE id={id}"),
            format!("INSERT INTO shop.customers VALUES ({id}, 'Code{id}', {}, {n})", n % 10),
            format!("INSERT INTO shop.orders (id, customer, n) VALUES ({}, {id}, {n})", id * 10 + n % 10),
            format!("INSERT INTO shop.items (o, n) VALUES ({}, {n}), ({}, {n})", id * 10 + n % 10, id * 10 + n % 10),
            format!("INSERT INTO shop.notes (id, customer, code, n) VALUES ({}, {id}, 'cODE{id}', {n})", 100_000 + n),
            format!("INSERT INTO shop.visits VALUES ({id}, {n}), ({id}, {n})"),
        ],
        5 => vec![format!("REPLACE INTO shop.customers VALUES ({id}, 'Code{id}', {}, {n})", n % 10)],
        // Keys that change, and may come back.
        6 => vec![format!("UPDATE shop.customers SET id={other} WHERE id={id}")],
        7 => vec![
            format!("UPDATE shop.customers SET id={other} WHERE id={id}"),
            format!("UPDATE shop.customers SET id={id} WHERE id={}", (id + 1) % CUSTOMERS),
        ],
        8 => vec![format!("UPDATE shop.customers SET code=CONCAT('N', {n}), region={} WHERE id={id}", n % 10)],
        9 => vec![
            format!("UPDATE shop.orders SET n={n} WHERE customer={id}"),
            format!("DELETE FROM shop.orders WHERE id={order}"),
            format!("UPDATE shop.items SET n=n+1 WHERE o={}", order + 1),
        ],
        10 => vec![format!("DELETE FROM shop.tree WHERE id={}", 30 + id)],
        11 => vec![
            format!("INSERT INTO shop.tree VALUES ({}, {}, {n})", 30 + id, id % 30),
            format!("UPDATE shop.tree SET parent={} WHERE id={}", 30 + id, 60 + id),
            format!("UPDATE shop.tags SET node={} WHERE id={}", 30 + id, id * 10),
        ],
        12 => vec![
            // Without checks nothing cascades.
            "SET foreign_key_checks=0".to_owned(),
            format!("DELETE FROM shop.customers WHERE id={id}"),
            format!("INSERT INTO shop.customers VALUES ({id}, 'Code{id}', {}, {n})", n % 10),
            "SET foreign_key_checks=1".to_owned(),
        ],
        _ => vec![
            format!("UPDATE shop.other SET n={n} WHERE id={order}"),
            format!("UPDATE shop.notes SET n={n} WHERE customer={id}"),
        ],
    }
}

/// Children with a second unique index that foreign keys act on. A parent's children lie far apart, so that most chunks hold some.
const UNIQUE: &[&str] = &[
    "CREATE DATABASE shop",
    "CREATE TABLE shop.parents (id INT PRIMARY KEY, code INT NOT NULL UNIQUE, n INT NOT NULL)",
    // The foreign key's column is part of the unique index.
    "CREATE TABLE shop.seats (id INT PRIMARY KEY, p INT NOT NULL, seat INT NOT NULL, n INT NOT NULL, UNIQUE KEY (p, seat), FOREIGN KEY (p) REFERENCES shop.parents (id) ON DELETE CASCADE ON UPDATE CASCADE)",
    // Rows that go leave a value that others take.
    "CREATE TABLE shop.badges (id INT PRIMARY KEY, p INT, badge INT NOT NULL UNIQUE, n INT NOT NULL, KEY (p), FOREIGN KEY (p) REFERENCES shop.parents (id) ON DELETE CASCADE ON UPDATE SET NULL)",
    "CREATE TABLE shop.stamps (id INT PRIMARY KEY, b INT NOT NULL, stamp INT NOT NULL UNIQUE, KEY (b), FOREIGN KEY (b) REFERENCES shop.badges (id) ON DELETE CASCADE)",
    // It is the unique index.
    "CREATE TABLE shop.holders (id INT PRIMARY KEY, p INT UNIQUE, n INT NOT NULL, FOREIGN KEY (p) REFERENCES shop.parents (id) ON DELETE SET NULL ON UPDATE CASCADE)",
    "CREATE TABLE shop.codes (id INT PRIMARY KEY, code INT UNIQUE, n INT NOT NULL, FOREIGN KEY (code) REFERENCES shop.parents (code) ON DELETE SET NULL ON UPDATE CASCADE)",
    "CREATE TABLE shop.numbers (n INT PRIMARY KEY)",
    "INSERT INTO shop.numbers VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
    "INSERT INTO shop.parents SELECT a.n*1000+b.n*100+c.n*10+d.n, a.n*1000+b.n*100+c.n*10+d.n, 0 FROM shop.numbers a, shop.numbers b, shop.numbers c, shop.numbers d WHERE a.n<3",
    "INSERT INTO shop.seats SELECT x.n*10000+p.id, p.id, x.n, 0 FROM shop.parents p, shop.numbers x",
    "INSERT INTO shop.badges SELECT x.n*10000+p.id, p.id, p.id*10+x.n, 0 FROM shop.parents p, shop.numbers x",
    "INSERT INTO shop.stamps SELECT id, id, badge FROM shop.badges",
    "INSERT INTO shop.holders SELECT id, id, 0 FROM shop.parents",
    "INSERT INTO shop.codes SELECT id, code, 0 FROM shop.parents",
];

/// Unique values that a cascade frees, and that are taken in the same transaction and in the next one.
fn unique_values(random: &mut Random) -> Vec<String> {
    let id = random.below(CUSTOMERS);
    let next = (id + 1) % CUSTOMERS;
    let n = random.below(1_000_000);
    let fresh = 100_000 + n;
    let line = n % 10;
    let other = CUSTOMERS + n;
    let mut statements = match random.below(8) {
        0 => {
            vec![format!("DELETE FROM shop.parents WHERE id={id}"), format!("INSERT INTO shop.parents VALUES ({id}, {id}, {n})")]
        }
        1 => vec![
            format!("DELETE FROM shop.parents WHERE id BETWEEN {id} AND {}", id + 2),
            format!("INSERT INTO shop.parents VALUES ({id}, {next}, {n})"),
        ],
        // The children go along, and others come under the old key.
        2 => vec![
            format!("UPDATE shop.parents SET id={other} WHERE id={id}"),
            format!("INSERT INTO shop.parents VALUES ({id}, {other}, {n})"),
        ],
        // Two parents change keys, or codes.
        3 => vec![
            format!("UPDATE shop.parents SET id={other} WHERE id={id}"),
            format!("UPDATE shop.parents SET id={id} WHERE id={next}"),
            format!("UPDATE shop.parents SET id={next} WHERE id={other}"),
        ],
        4 => vec![
            format!("UPDATE shop.parents SET code={other} WHERE code={id}"),
            format!("UPDATE shop.parents SET code={id} WHERE code={next}"),
            format!("UPDATE shop.parents SET code={next} WHERE code={other}"),
        ],
        // Values move on without a cascade, and into the way of one.
        5 => vec![
            format!("UPDATE shop.badges SET badge={fresh} WHERE badge={}", id * 10 + line),
            format!("UPDATE shop.badges SET badge={} WHERE badge={}", id * 10 + line, next * 10 + line),
            format!("DELETE FROM shop.parents WHERE id={next}"),
        ],
        6 => vec![
            format!("UPDATE shop.seats SET seat={fresh} WHERE p={id} AND seat={line}"),
            format!("UPDATE shop.seats SET seat={line}, n={n} WHERE p={id} AND seat={}", (line + 1) % 10),
            format!("UPDATE shop.parents SET id={other} WHERE id={id}"),
        ],
        _ => vec![
            format!("INSERT INTO shop.parents VALUES ({id}, {id}, {n})"),
            format!("DELETE FROM shop.badges WHERE badge={}", id * 10 + line),
        ],
    };
    if random.chance(50) {
        statements.extend(["COMMIT".to_owned(), "START TRANSACTION".to_owned()]);
    }
    statements.extend([
        format!("INSERT INTO shop.badges VALUES ({fresh}, {id}, {}, {n})", id * 10 + line),
        format!("INSERT INTO shop.stamps VALUES ({fresh}, {fresh}, {})", id * 10 + line),
        format!("INSERT INTO shop.seats VALUES ({fresh}, {id}, {line}, {n})"),
        format!("INSERT INTO shop.holders VALUES ({fresh}, {id}, {n})"),
        format!("INSERT INTO shop.codes VALUES ({fresh}, {id}, {n})"),
    ]);
    statements
}

type Statements = fn(&mut Random) -> Vec<String>;

/// Sessions that change parents until told to stop; how many transactions they committed.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    sessions: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn start(server: &Server, statements: Statements, seed: u64) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut sessions = Vec::new();
        for session in 0..3 {
            let mut conn = server.connect().await;
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            sessions.push(tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(Ordering::SeqCst) {
                    number += 1;
                    let mut random = Random::of(seed + session, 77, number);
                    conn.query_drop("START TRANSACTION").await.unwrap();
                    for statement in statements(&mut random) {
                        // Keys that are taken, parents that are gone, deadlocks.
                        let _ = conn.query_drop(statement).await;
                    }
                    let end = if random.chance(5) { "ROLLBACK" } else { "COMMIT" };
                    conn.query_drop("SET foreign_key_checks=1").await.unwrap();
                    conn.query_drop(end).await.unwrap();
                    done.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(12)).await;
                }
            }));
        }
        Self { stop, done, sessions }
    }

    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        for session in self.sessions {
            session.await.unwrap();
        }
        self.done.load(Ordering::SeqCst)
    }
}

async fn migrate(source: &'static str, destination: &'static str) {
    let _place = place().await;
    let (source, destination) = (Server::start(source, &[]), Server::start(destination, &[]));
    migrate_under(&source, &destination, TABLES, statements).await;
}

async fn migrate_unique(server: &'static str) {
    let _place = place().await;
    let (source, destination) = (Server::start(server, &[]), Server::start(server, &[]));
    migrate_under(&source, &destination, UNIQUE, unique_values).await;
    for table in ["badges", "stamps", "seats", "holders", "codes"] {
        let taken = source.list(&format!("SELECT COUNT(*) FROM shop.{table} WHERE id>=100000")).await;
        assert!(taken[0].parse::<u64>().unwrap() > 50, "{taken:?} values of {table} were taken");
    }
}

async fn migrate_under(source: &Server, destination: &Server, tables: &[&str], statements: Statements) {
    source.run(tables).await;
    let seed = number("GODWIT_CASCADE_SEED", 4711);
    let load = Load::start(source, statements, seed).await;
    let migration = Migration::new(source, destination)
        .with("/throttle", json!({"full": {"rowsPerSecond": 20_000}}))
        .ignoring(&["ForeignKeyCascades"]);
    let mut random = Random::of(seed, 5, 5);
    // Killed while rows are copied, and behind that.
    for _ in 0..3 {
        let mut running = migration.start(&[]);
        running.until_phase("Copying", Duration::from_secs(60)).await;
        sleep(0.3 + 2.0 * random.fraction()).await;
        assert!(running.ended().is_none(), "{}", running.log());
        running.kill();
    }
    for _ in 0..2 {
        let mut running = migration.start(&[]);
        running.until_phase("Replicating", Duration::from_secs(120)).await;
        sleep(0.3 + random.fraction()).await;
        assert!(running.ended().is_none(), "{}", running.log());
        running.kill();
    }
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(120)).await;
    sleep(2.0).await;
    let transactions = load.stop().await;
    assert!(transactions > 200, "{transactions} transactions");
    running.terminate().await;
    let rows = migration.arrives(source, destination).await;
    println!("{transactions} transactions, {rows} rows are equal");
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql80_to_mysql80() {
    migrate("mysql80", "mysql80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql57_to_mysql80() {
    migrate("mysql57", "mysql80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb114_to_mariadb114() {
    migrate("mariadb114", "mariadb114").await;
}

/// From 9.6 on the log holds what cascades do.
#[tokio::test(flavor = "multi_thread")]
async fn mysql97_to_mysql97() {
    migrate("mysql97", "mysql97").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unique_values_that_cascades_free_mysql80() {
    migrate_unique("mysql80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unique_values_that_cascades_free_mariadb114() {
    migrate_unique("mariadb114").await;
}

/// Children whose parent is not migrated can not be followed: the task stops in front of such a change.
#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_is_not_migrated() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql80", &[]), Server::start("mysql80", &[]));
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.p (id INT PRIMARY KEY, n INT)",
            "CREATE TABLE shop.c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES shop.p (id) ON DELETE CASCADE)",
            "INSERT INTO shop.p VALUES (1, 1), (2, 2)",
            "INSERT INTO shop.c VALUES (1, 1), (2, 2)",
        ])
        .await;
    let objects = json!([{"database": "shop", "tables": [{"table": "c"}]}]);
    let migration = Migration::new(&source, &destination).with("/objects", objects);
    let refused = migration.run().await;
    refused.says("ForeignKeyCascades").says("shop.p is not migrated");
    let migration = migration.ignoring(&["ForeignKeyCascades", "ForeignKeyParents", "ForeignKeys", "ForeignKeyTargets"]);
    migration.run_until_caught_up().await.expect(0);
    source.run(&["UPDATE shop.p SET n=3", "INSERT INTO shop.c VALUES (3, 2)"]).await;
    migration.run_until_caught_up().await.expect(0);
    source.run(&["DELETE FROM shop.p WHERE id=1"]).await;
    migration.run_until_caught_up().await.expect(FAILED).says("shop.p").says("not migrated");
    assert_eq!(destination.list("SELECT id FROM shop.c ORDER BY id").await, ["1", "2", "3"]);
}

/// A cascade that comes through a table which is not migrated stands in no event, so that nothing could stop in front of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_cascade_without_any_event_is_refused() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql80", &[]), Server::start("mysql80", &[]));
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.p (id INT PRIMARY KEY)",
            "CREATE TABLE shop.x (id INT PRIMARY KEY, p INT, up INT, FOREIGN KEY (up) REFERENCES shop.x (id) ON DELETE CASCADE, \
             CONSTRAINT of_p FOREIGN KEY (p) REFERENCES shop.p (id) ON DELETE CASCADE)",
            "CREATE TABLE shop.t (id INT PRIMARY KEY, x INT, CONSTRAINT of_x FOREIGN KEY (x) REFERENCES shop.x (id) ON DELETE CASCADE)",
            "INSERT INTO shop.p VALUES (1)",
            "INSERT INTO shop.x VALUES (1, 1, NULL)",
            "INSERT INTO shop.t VALUES (1, 1)",
        ])
        .await;
    let ignored = ["ForeignKeyCascades", "ForeignKeyParents", "ForeignKeys", "ForeignKeyTargets"];
    let migration =
        Migration::new(&source, &destination).with("/objects", json!([{"database": "shop", "tables": [{"table": "t"}]}]));
    let migration = migration.ignoring(&ignored);
    migration
        .run_until_caught_up()
        .await
        .expect(PRECHECK_FAILED)
        .says("of_x of shop.t (through shop.x")
        .says("foreign key of_p to shop.p");
    // What the table between is changed by is seen in its own events alone once nothing stands above it.
    source.run(&["ALTER TABLE shop.x DROP FOREIGN KEY of_p"]).await;
    migration.run_until_caught_up().await.expect(0);
    source.run(&["DELETE FROM shop.x"]).await;
    migration.run_until_caught_up().await.expect(FAILED).says("shop.x").says("not migrated");
}

/// Foreign keys are added while tables and their relations are written to in the same transactions. No attempt is lost by it:
/// the server's lock on a table and a transaction's lock on its relation never wait for each other.
async fn many_are_added_under_load(server: &'static str) {
    const PAIRS: u64 = 20;
    const PARENTS: u64 = 60;
    let _place = place().await;
    let (source, destination) = (Server::start(server, &[]), Server::start(server, &[]));
    source.run(&["CREATE DATABASE shop", "CREATE TABLE shop.a (id INT PRIMARY KEY, n INT NOT NULL)"]).await;
    for id in 0..PARENTS {
        source.run(&[&format!("INSERT INTO shop.a VALUES ({id}, 0)")]).await;
    }
    for pair in 0..PAIRS {
        for (table, parent) in [(format!("m{pair}"), "a".to_owned()), (format!("c{pair}"), format!("m{pair}"))] {
            source
                .run(&[
                    &format!("CREATE TABLE shop.{table} (id INT PRIMARY KEY, p INT NOT NULL, n INT NOT NULL, FOREIGN KEY (p) REFERENCES shop.{parent} (id))"),
                    &format!("INSERT INTO shop.{table} SELECT id, id, 0 FROM shop.a"),
                ])
                .await;
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut sessions = Vec::new();
    for session in 0..3 {
        let mut conn = source.connect().await;
        let stop = Arc::clone(&stop);
        sessions.push(tokio::spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::SeqCst) {
                number += 1;
                let mut random = Random::of(91, session, number);
                // Rows of one's own for each session: the source has no deadlocks.
                let id = session + 3 * random.below(PARENTS / 3);
                conn.query_drop("START TRANSACTION").await.unwrap();
                conn.query_drop(format!("UPDATE shop.a SET n=n+1 WHERE id={id}")).await.unwrap();
                for _ in 0..3 {
                    let pair = random.below(PAIRS);
                    conn.query_drop(format!("UPDATE shop.m{pair} SET n=n+1 WHERE id={id}")).await.unwrap();
                    conn.query_drop(format!("UPDATE shop.c{pair} SET n=n+1 WHERE id={id}")).await.unwrap();
                }
                conn.query_drop("COMMIT").await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            number
        }));
    }
    let migration = Migration::new(&source, &destination);
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(120)).await;
    stop.store(true, Ordering::SeqCst);
    for session in sessions {
        assert!(session.await.unwrap() > 100);
    }
    let log = running.log();
    running.terminate().await;
    assert!(!log.contains("trying again"), "{log}");
    migration.arrives(&source, &destination).await;
    let made = "SELECT COUNT(*) FROM information_schema.referential_constraints WHERE constraint_schema='shop'";
    assert_eq!(destination.list(made).await, [(2 * PAIRS).to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_are_added_under_load() {
    many_are_added_under_load("mysql80").await;
    many_are_added_under_load("mariadb114").await;
}
