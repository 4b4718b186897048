//! Stored generated columns that depend on the time zone of the session that wrote the row.

use std::time::Duration;

use mysql_async::prelude::Queryable;

use crate::support::{Migration, Server, assert_equal, place};

/// A zone with summer time, under a name that no server has by itself.
const BERLIN: [&str; 4] = [
    "INSERT INTO mysql.time_zone (Time_zone_id, Use_leap_seconds) VALUES (77, 'N')",
    "INSERT INTO mysql.time_zone_name (Name, Time_zone_id) VALUES ('Godwit/Berlin', 77)",
    "INSERT INTO mysql.time_zone_transition_type VALUES (77, 0, 3600, 0, 'CET'), (77, 1, 7200, 1, 'CEST')",
    "INSERT INTO mysql.time_zone_transition VALUES (77, 1711846800, 1), (77, 1729990800, 0), (77, 1743296400, 1)",
];

const TABLES: [&str; 4] = [
    "CREATE DATABASE shop CHARACTER SET utf8mb4",
    "CREATE TABLE shop.calls (id INT PRIMARY KEY, at TIMESTAMP(3) NULL, note VARCHAR(20), \
     changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, day DATE AS (DATE(at)) STORED, \
     hour INT AS (HOUR(at)) STORED NOT NULL, n VARCHAR(30) AS (CONCAT(day, ' ', hour)) STORED, KEY (day))",
    // Two instants of one row, of summer and winter: no offset is right for both.
    "CREATE TABLE shop.spans (name VARCHAR(20) PRIMARY KEY, a TIMESTAMP NULL, b TIMESTAMP NULL, \
     hours VARCHAR(20) AS (CONCAT_WS('/', HOUR(a), HOUR(b))) STORED)",
    "CREATE TABLE shop.numbers (id INT PRIMARY KEY, second INT NOT NULL, told DATETIME AS (FROM_UNIXTIME(second)) STORED)",
];

/// In the session's zone; `first` numbers the rows.
async fn write(conn: &mut mysql_async::Conn, zone: &str, first: usize) {
    conn.query_drop(format!("SET time_zone = '{zone}'")).await.unwrap();
    // The hour that a zone with summer time has twice is among them.
    let instants = [
        "2024-07-01 00:30:00.123",
        "2024-12-31 23:59:59.999",
        "2024-10-27 02:30:00",
        "2024-10-27 03:10:00",
        "1970-02-01 00:00:01",
    ];
    for (id, at) in (first..).zip(instants) {
        conn.query_drop(format!("INSERT INTO shop.calls (id, at) VALUES ({id}, '{at}')")).await.unwrap();
        conn.query_drop(format!("INSERT INTO shop.spans (name, a, b) VALUES ('{id}', '{at}', '2024-08-02 12:00:00')"))
            .await
            .unwrap();
        conn.query_drop(format!("INSERT INTO shop.numbers (id, second) VALUES ({id}, UNIX_TIMESTAMP('{at}'))")).await.unwrap();
    }
}

async fn held(server: &Server) -> Vec<String> {
    let mut rows = Vec::new();
    for query in [
        "SELECT CONCAT_WS('|', 'calls', id, UNIX_TIMESTAMP(at), UNIX_TIMESTAMP(changed), day, hour, n, note) FROM shop.calls ORDER BY id",
        "SELECT CONCAT_WS('|', 'spans', name, UNIX_TIMESTAMP(a), UNIX_TIMESTAMP(b), hours) FROM shop.spans ORDER BY name",
        "SELECT CONCAT_WS('|', 'numbers', id, second, told) FROM shop.numbers ORDER BY id",
    ] {
        rows.extend(server.list(query).await);
    }
    rows
}

async fn carry(source_kind: &'static str, destination_kind: &str, local_infile: &str) {
    let _place = place().await;
    let (source, destination) = (Server::start(source_kind, &[]), Server::start(destination_kind, &[local_infile]));
    let mut conn = source.connect().await;
    for server in [&source, &destination] {
        server.run(&BERLIN).await;
    }
    source.run(&TABLES).await;
    let zones = ["+00:00", "+09:00", "Godwit/Berlin", "-03:30"];
    for (place, zone) in (0..).zip(zones) {
        write(&mut conn, zone, 100 * place).await;
    }
    let migration = Migration::new(&source, &destination);
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(120)).await;
    for (place, zone) in (0..).zip(zones) {
        write(&mut conn, zone, 1000 + 100 * place).await;
    }
    // One transaction in two zones: the log tells the first at most. A row's update computes anew what it did not touch.
    for statement in [
        "BEGIN",
        "SET time_zone = '+05:45'",
        "INSERT INTO shop.calls (id, at) VALUES (5000, '2024-07-01 00:10:00')",
        "SET time_zone = 'Godwit/Berlin'",
        "UPDATE shop.calls SET note = 'later' WHERE id IN (5000, 100, 1101, 202)",
        "INSERT INTO shop.spans (name, a, b) VALUES ('x', '2024-02-01 00:10:00', '2024-07-01 00:10:00')",
        "SET time_zone = '-11:00'",
        "INSERT INTO shop.calls (id, at) VALUES (5001, '2024-07-01 23:10:00')",
        "DELETE FROM shop.calls WHERE id = 1",
        "UPDATE shop.calls SET id = 6000 WHERE id = 300",
        "COMMIT",
    ] {
        conn.query_drop(statement).await.unwrap();
    }
    let wanted = held(&source).await;
    for _ in 0..300 {
        if held(&destination).await == wanted {
            break;
        }
        crate::support::sleep(0.1).await;
    }
    assert_eq!(held(&destination).await, wanted);
    assert!(wanted.iter().any(|row| row.starts_with("spans|x|") && row.ends_with("|0/0")), "{wanted:?}");
    assert_equal(&source, &destination, "shop").await;
    migration.verify().await;
    running.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_mysql97_to_mysql97() {
    carry("mysql97", "mysql97", "--local-infile=ON").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_mysql57_to_mysql80() {
    carry("mysql57", "mysql80", "--local-infile=OFF").await;
}

/// A zone that no list has: the task stops and says what to do, and leaves the value where it is told to.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_no_zone_stops_the_task() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    let mut conn = source.connect().await;
    source.run(&TABLES).await;
    conn.query_drop("SET time_zone = '+07:13'").await.unwrap();
    conn.query_drop("INSERT INTO shop.numbers (id, second) VALUES (1, 1700000000), (2, 1700003600)").await.unwrap();
    let migration = Migration::new(&source, &destination);
    let ended = migration.run_until_caught_up().await;
    let text = ended.text();
    assert!(text.contains("shop.numbers key") && text.contains("told as the source has it in no time zone"), "{text}");
    let migration = migration.ignoring(&["GeneratedColumns"]);
    migration.run_until_caught_up().await.expect(0);
    let told = "SELECT CONCAT(id, '|', second, '|', told) FROM shop.numbers ORDER BY id";
    assert_eq!(destination.list(told).await, ["1|1700000000|2023-11-14 22:13:20", "2|1700003600|2023-11-14 23:13:20"]);
    // The remedy of the message.
    conn.query_drop("SET time_zone = '+08:45'").await.unwrap();
    conn.query_drop("UPDATE shop.numbers SET id = id, second = second").await.unwrap();
    migration.run_until_caught_up().await.expect(0);
    assert_eq!(destination.list(told).await, source.list(told).await);
}
