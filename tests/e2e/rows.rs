//! Rows and keys out of the ordinary: values of many megabytes, keys whose index is hidden.

use mysql_async::prelude::Queryable;
use serde_json::json;

use crate::support::{Migration, Server, assert_equal, place};

/// Bytes that need escapes, and 4-byte characters.
const TEXT: &str = "CONCAT('it''s \\\\ a \\'text\\' ', CHAR(240,159,152,128 USING utf8mb4), ' ')";

/// Values that go ahead of their statement, by every way: copied by LOAD DATA or INSERT, inserted, changed and deleted by the
/// log, with a key, without one, and with one that the log's order depends on.
async fn large_values(kind: &str, local_infile: &str) {
    let _place = place().await;
    let options = ["--max-allowed-packet=64M", local_infile];
    let (source, destination) = (Server::start(kind, &options), Server::start(kind, &options));
    let columns =
        "small INT, bytes LONGBLOB, words LONGTEXT CHARACTER SET utf8mb4, wide LONGTEXT CHARACTER SET utf16, place GEOMETRY";
    let values = |small: u32, megabytes: u32| {
        format!(
            "{small}, REPEAT(UNHEX('0027225C61FF'), {megabytes} * 175000), REPEAT({TEXT}, {megabytes} * 45000), \
             REPEAT(CONCAT(CHAR(97 USING utf16), CHAR(0 USING utf16)), {}), ST_GeomFromText('POINT(1 2)')",
            megabytes * 250_000
        )
    };
    let tables =
        [("keyed", "id INT PRIMARY KEY, "), ("unique_too", "id INT PRIMARY KEY, code INT UNIQUE, "), ("keyless", "id INT, ")];
    let row = |table: &str, id: u32, megabytes: u32| {
        let code = if table == "unique_too" { format!("{id}, ") } else { String::new() };
        format!("INSERT INTO shop.{table} VALUES ({id}, {code}{})", values(id, megabytes))
    };
    source.run(&["CREATE DATABASE shop"]).await;
    for (table, key) in tables {
        source.run(&[&format!("CREATE TABLE shop.{table} ({key}{columns})")]).await;
        for id in 1..=4 {
            source.run(&[&row(table, id, if id == 3 { 0 } else { 5 + id })]).await;
        }
    }
    let migration = Migration::new(&source, &destination);
    migration.arrives(&source, &destination).await;
    for (table, _) in tables {
        let change = "bytes=CONCAT('changed', bytes), words=CONCAT(words, 'more'), wide=REVERSE(wide)";
        source
            .run(&[
                "START TRANSACTION",
                &row(table, 10, 6),
                &row(table, 11, 0),
                &format!("UPDATE shop.{table} SET small=small+1, {change} WHERE id IN (1, 2)"),
                &format!("UPDATE shop.{table} SET bytes=NULL WHERE id=1"),
                &format!("DELETE FROM shop.{table} WHERE id=4"),
                "COMMIT",
                // Small becomes large, and the key moves.
                &format!("UPDATE shop.{table} SET id=12, words=REPEAT('x', 9000000) WHERE id=11"),
            ])
            .await;
    }
    source.run(&["UPDATE shop.unique_too SET code=100 WHERE id=1", "UPDATE shop.unique_too SET code=1 WHERE id=2"]).await;
    migration.arrives(&source, &destination).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_on_mysql97() {
    large_values("mysql97", "--local-infile=1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_on_mysql57_by_insert() {
    large_values("mysql57", "--local-infile=0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_on_mariadb114_by_insert() {
    large_values("mariadb114", "--local-infile=0").await;
}

/// A value larger than the destination takes stops the task, whole: it is not cut, and not stored as NULL.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_beyond_max_allowed_packet() {
    let _place = place().await;
    let source = Server::start("mysql97", &["--max-allowed-packet=64M"]);
    let destination = Server::start("mysql97", &["--max-allowed-packet=8M"]);
    source.run(&["CREATE DATABASE shop", "CREATE TABLE shop.items (id INT PRIMARY KEY, content LONGBLOB)"]).await;
    let migration = Migration::new(&source, &destination).ignoring(&["MaxAllowedPacket"]);
    migration.run_until_caught_up().await.expect(0);
    source
        .run(&[
            "INSERT INTO shop.items VALUES (1, REPEAT('a', 7000000))",
            "INSERT INTO shop.items VALUES (2, REPEAT('b', 9000000))",
        ])
        .await;
    migration.run_until_caught_up().await.expect(1).says("shop.items").says("max_allowed_packet");
    let rows = destination.list("SELECT CONCAT(id, ' ', LENGTH(content)) FROM shop.items").await;
    assert_eq!(rows, ["1 7000000"]);
    destination.run(&["SET GLOBAL max_allowed_packet=67108864"]).await;
    migration.arrives(&source, &destination).await;
}

/// Of two keys the optimizer passes over the first by name: rows are found by the other.
async fn hidden_keys(kind: &str, word: &str) {
    let _place = place().await;
    let (source, destination) = (Server::start(kind, &[]), Server::start(kind, &[]));
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.items (b INT NOT NULL, a INT NOT NULL, v INT, UNIQUE b_key (b), UNIQUE a_key (a))",
            "INSERT INTO shop.items VALUES (1, 10, 1), (2, 20, 2), (3, 30, 3), (4, 40, 4)",
            &format!("ALTER TABLE shop.items ALTER INDEX a_key {word}"),
        ])
        .await;
    let migration = Migration::new(&source, &destination);
    change_and_compare(&source, &destination, &migration).await;
    let is_hidden = if word == "IGNORED" { "ignored='YES'" } else { "is_visible='NO'" };
    let hidden =
        format!("SELECT CAST(index_name AS CHAR) FROM information_schema.statistics WHERE table_schema='shop' AND {is_hidden}");
    assert_eq!(destination.list(&hidden).await, ["a_key"], "it was made, and hidden as at the source");
}

async fn change_and_compare(source: &Server, destination: &Server, migration: &Migration) {
    migration.run_until_caught_up().await.expect(0);
    source
        .run(&[
            "UPDATE shop.items SET v=v+1 WHERE a<30",
            "UPDATE shop.items SET a=a+1000 WHERE a=40",
            "DELETE FROM shop.items WHERE a=30",
        ])
        .await;
    migration.run_until_caught_up().await.expect(0);
    assert_equal(source, destination, "shop").await;
    migration.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invisible_keys() {
    hidden_keys("mysql80", "INVISIBLE").await;
    hidden_keys("mysql97", "INVISIBLE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_keys() {
    hidden_keys("mariadb114", "IGNORED").await;
}

/// The only key that identifies rows is invisible: the index of a generated column stands where a primary key would.
/// (8.0.15 does not let such an index be named in FORCE INDEX whatever `optimizer_switch` says; the task ends with that.)
#[tokio::test(flavor = "multi_thread")]
async fn an_invisible_key_alone() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    for server in [&source, &destination] {
        server
            .run(&[
                "CREATE DATABASE shop",
                "CREATE TABLE shop.items (b INT AS (a) STORED NOT NULL, a INT NOT NULL, v INT, UNIQUE b_key (b), UNIQUE a_key (a))",
                "ALTER TABLE shop.items ALTER INDEX a_key INVISIBLE",
            ])
            .await;
    }
    source.run(&["INSERT INTO shop.items (a, v) VALUES (10, 1), (20, 2), (30, 3), (40, 4)"]).await;
    let migration = Migration::new(&source, &destination).with("/migrationTypes", json!(["Full", "Incremental"]));
    change_and_compare(&source, &destination, &migration).await;
}

/// Tables whose keys are not numbers or text, and the statement that fills them with rows `i` of 1 to 3000.
const UNUSUAL_KEYS: &[(&str, &str, &str)] = &[
    ("doubles", "a DOUBLE PRIMARY KEY", "(i - 1500) / 7"),
    ("floats", "a FLOAT PRIMARY KEY", "(i - 1500) * 1.37"),
    ("bits", "a BIT(20) PRIMARY KEY", "i * 349"),
    ("wide_bits", "a BIT(64) PRIMARY KEY", "18446744073709551615 - CAST(i AS UNSIGNED) * 6148914691236517"),
    ("kinds", "a ENUM('z','y','x','a'), b INT, PRIMARY KEY (a, b)", "i % 4 + 1, i"),
    ("tenants", "t INT, a ENUM('z','y','x','a'), b BIGINT, PRIMARY KEY (t, a, b)", "1, i % 4 + 1, i"),
    ("labels", "t INT, a SET('z','y','x'), b BIGINT, PRIMARY KEY (t, a, b)", "1, i % 8, i"),
];

/// MariaDB's own types; UUIDs of several versions, which it orders otherwise than their text.
const UNUSUAL_KEYS_OF_MARIADB: &[(&str, &str, &str)] = &[
    ("uuids", "a UUID PRIMARY KEY", "u"),
    (
        "addresses",
        "a INET6 PRIMARY KEY",
        "IF(i % 3 = 0, CONCAT('::ffff:10.0.', i DIV 256, '.', i % 256), CONCAT(HEX(i * 13), '::', HEX(i)))",
    ),
    ("short_addresses", "a INET4 PRIMARY KEY", "CONCAT(i * 7 % 256, '.0.', i DIV 256, '.', i % 256)"),
];

/// A UUID as text, of different versions. (MariaDB does not take all whose second half begins with 80.)
const UUID_OF_NUMBER: &str = "CONCAT(LEFT(SHA2(i, 256), 8), '-', SUBSTR(SHA2(i, 256), 9, 4), '-', ELT(i % 5 + 1, '1', '4', '6', '7', '8'), SUBSTR(SHA2(i, 256), 14, 3), '-', ELT(i % 4 + 1, 'b', '9', 'a', '9'), SUBSTR(SHA2(i, 256), 18, 3), '-', RIGHT(SHA2(i, 256), 12))";

/// They are cut into chunks as others are: memory stays bounded whatever a leading column holds, and a restart goes on in the middle.
async fn unusual_keys(kind: &str) {
    let _place = place().await;
    let (source, destination) = (Server::start(kind, &[]), Server::start(kind, &[]));
    let mut tables = UNUSUAL_KEYS.to_vec();
    if kind.starts_with("mariadb") {
        tables.extend(UNUSUAL_KEYS_OF_MARIADB);
    }
    let digits = "SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 \
                  UNION SELECT 8 UNION SELECT 9";
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.numbers (i INT PRIMARY KEY, u VARCHAR(40))",
            &format!(
                "INSERT INTO shop.numbers (i) SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d FROM ({digits}) a, ({digits}) b, ({digits}) c, \
                 (SELECT 0 AS d UNION SELECT 1 UNION SELECT 2) e"
            ),
            &format!("UPDATE shop.numbers SET u={UUID_OF_NUMBER}"),
        ])
        .await;
    for (table, columns, values) in &tables {
        source
            .run(&[
                &format!("CREATE TABLE shop.{table} ({columns}, v INT)"),
                &format!("INSERT INTO shop.{table} SELECT {values}, i FROM shop.numbers"),
            ])
            .await;
        let count = source.list(&format!("SELECT CAST(COUNT(*) AS CHAR) FROM shop.{table}")).await;
        assert_eq!(count, ["3000"], "{table}");
    }
    for table in ["kinds", "tenants"] {
        let (whole, part) = if table == "kinds" { ("a IS NOT NULL", 5) } else { ("t=1", 13) };
        let plan: Vec<mysql_async::Row> = {
            let mut conn = source.connect().await;
            let query = format!(
                "EXPLAIN FORMAT=TRADITIONAL SELECT v FROM shop.{table} FORCE INDEX (PRIMARY) WHERE {whole} AND (a IN (2,3,4) OR (a=1 AND b>5)) AND (a IN (0,1,2) OR (a=3 AND b<=7))"
            );
            let plan = conn.query(query).await.unwrap();
            conn.disconnect().await.unwrap();
            plan
        };
        let read: String = plan[0].get("type").unwrap();
        let length: String = plan[0].get("key_len").unwrap();
        assert_eq!((read.as_str(), length), ("range", part.to_string()), "{table}: the whole key bounds what is read");
    }
    source.run(&["DROP TABLE shop.numbers"]).await;
    let throttle = json!({"full": {"rowsPerSecond": 1500 * tables.len() / 7}});
    let migration = Migration::new(&source, &destination).with("/throttle", throttle);
    for least in [4000, 11_000] {
        let mut running = migration.start(&[]);
        let copied = |report: &serde_json::Value| report["full"]["rowsCopied"].as_u64().unwrap_or_default() >= least;
        running.until("rows are copied", std::time::Duration::from_secs(40), copied).await;
        for (table, ..) in &tables {
            source
                .run(&[
                    &format!("UPDATE shop.{table} SET v=v+10000 WHERE v%10=3"),
                    &format!("DELETE FROM shop.{table} WHERE v%100=7"),
                ])
                .await;
        }
        source
            .run(&[
                "UPDATE shop.doubles SET a=a+0.001 WHERE a BETWEEN 1 AND 90",
                "UPDATE shop.tenants SET a=5-a, t=2 WHERE b%10=1",
                "UPDATE shop.labels SET a=7-a, t=3-t WHERE b%10=1",
            ])
            .await;
        running.kill();
    }
    migration.arrives(&source, &destination).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_keys_on_mysql57() {
    unusual_keys("mysql57").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_keys_on_mysql97() {
    unusual_keys("mysql97").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_keys_on_mariadb114() {
    unusual_keys("mariadb114").await;
}
