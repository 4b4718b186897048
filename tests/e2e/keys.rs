//! Which row a statement at the destination finds: by all bytes of its key or of its values, in statements that every server takes.

use std::time::Duration;

use serde_json::json;

use crate::support::{Migration, Server, assert_equal, place};

/// Exit code.
const FAILED: i32 = 1;

/// Every server's least: the largest statement that the engine may send.
const SMALL_PACKETS: &str = "--max-allowed-packet=1M";

/// Keys of thousands of bytes that go at once, rows that take a whole packet, zeros of both signs without a key, letters in upper and
/// lower case as one key after the other.
async fn odd_keys(source_kind: &str, destination_kind: &str, local_infile: &str) {
    let _place = place().await;
    let source = Server::start(source_kind, &[SMALL_PACKETS]);
    let destination = Server::start(destination_kind, &[SMALL_PACKETS, local_infile]);
    let long = "CHARACTER SET latin1 COLLATE latin1_bin NOT NULL";
    source
        .run(&[
            "CREATE DATABASE shop CHARACTER SET utf8mb4",
            &format!("CREATE TABLE shop.wide (k VARCHAR(3000) {long} PRIMARY KEY)"),
            &format!("CREATE TABLE shop.pairs (a VARCHAR(1500) {long}, b VARCHAR(1500) {long}, PRIMARY KEY (a, b))"),
            "CREATE TABLE shop.rows_of_text (id INT PRIMARY KEY, a MEDIUMTEXT, b MEDIUMBLOB, c TEXT)",
            "CREATE TABLE shop.bare_rows (id INT, a MEDIUMTEXT, b MEDIUMBLOB, c TEXT)",
            "CREATE TABLE shop.zeros (f FLOAT, d DOUBLE, n INT)",
            "CREATE TABLE shop.words (w VARCHAR(20) PRIMARY KEY, n INT)",
            "INSERT INTO shop.zeros VALUES (0, 0, 1), (-0e0, 0, 1), (0, -0e0, 1), (-0e0, -0e0, 1), (0, 0, 1), (-0e0, -0e0, 1)",
            "INSERT INTO shop.words VALUES ('a', 1), ('b', 1), ('c', 1)",
        ])
        .await;
    // NUL needs an escape: a statement takes twice the bytes of its values.
    let numbered = |wide: u32| {
        format!(
            "SELECT CONCAT(LPAD(i.n, 6, '0'), REPEAT(CHAR(0), {wide})) AS k FROM (SELECT a.n + 10*b.n + 100*c.n AS n FROM \
             (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) a, \
             (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) b, \
             (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5) c) i"
        )
    };
    source
        .run(&[
            &format!("INSERT INTO shop.wide {}", numbered(2994)),
            &format!("INSERT INTO shop.pairs SELECT k, k FROM ({}) r", numbered(1494)),
            "INSERT INTO shop.rows_of_text VALUES (1, REPEAT('x', 400000), REPEAT(CHAR(0), 500000), 'y'), (2, '', NULL, NULL)",
            "INSERT INTO shop.bare_rows SELECT * FROM shop.rows_of_text",
        ])
        .await;
    let migration = Migration::new(&source, &destination);
    migration.arrives(&source, &destination).await;
    source
        .run(&[
            "DELETE FROM shop.wide WHERE k < '000590'",
            "DELETE FROM shop.pairs WHERE a < '000590'",
            "INSERT INTO shop.rows_of_text VALUES (3, REPEAT('x', 400000), REPEAT(CHAR(0), 500000), 'z')",
            "UPDATE shop.rows_of_text SET c='changed' WHERE id=1",
            "UPDATE shop.bare_rows SET c='changed' WHERE id=1",
            "DELETE FROM shop.bare_rows WHERE id=2",
            "DELETE FROM shop.zeros WHERE CAST(d AS CHAR)='-0' AND CAST(f AS CHAR)='0'",
            "UPDATE shop.zeros SET d=0, n=2 WHERE CAST(d AS CHAR)='-0' LIMIT 1",
            "UPDATE shop.zeros SET f=-0e0 WHERE CAST(f AS CHAR)='0' AND n=1 LIMIT 1",
            "DELETE FROM shop.zeros WHERE CAST(f AS CHAR)='-0' AND CAST(d AS CHAR)='-0' LIMIT 1",
            // The same key for the server, another one by its bytes.
            "UPDATE shop.words SET w=UPPER(w)",
            "DELETE FROM shop.words WHERE w='b'",
            "INSERT INTO shop.words VALUES ('B', 2)",
            "UPDATE shop.words SET w='b' WHERE w='b'",
        ])
        .await;
    migration.arrives(&source, &destination).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_from_mysql57_to_mysql97_by_insert() {
    odd_keys("mysql57", "mysql97", "--local-infile=0").await;
}

/// MariaDB has no UCA 9.0.0: two keys of the source are one under the collation that stands in for it. No row replaces another one.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_one_at_the_destination_alone() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mariadb114", &["--local-infile=1"]));
    let names = "SELECT CONCAT_WS(' ', name, n) FROM shop.names ORDER BY n";
    source
        .run(&[
            "CREATE DATABASE shop CHARACTER SET utf8mb4",
            "CREATE TABLE shop.names (name VARCHAR(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, n INT)",
            "CREATE TABLE shop.documents (name VARCHAR(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, j JSON)",
            "INSERT INTO shop.names VALUES ('აბ', 1), ('x', 2)",
            "INSERT INTO shop.documents VALUES ('აბ', '{}')",
        ])
        .await;
    let migration = Migration::new(&source, &destination).ignoring(&["MaxAllowedPacket"]);
    migration.run_until_caught_up().await.expect(0);
    // Gone before anybody saw it: the other one stays.
    source
        .run(&[
            "START TRANSACTION",
            "INSERT INTO shop.names VALUES ('ᲐᲑ', 3)",
            "DELETE FROM shop.names WHERE name='ᲐᲑ'",
            "UPDATE shop.names SET name='X' WHERE name='x'",
            "COMMIT",
        ])
        .await;
    migration.run_until_caught_up().await.expect(0);
    assert_eq!(destination.list(names).await, ["აბ 1", "X 2"]);
    assert_equal(&source, &destination, "shop").await;
    // By the log.
    source.run(&["INSERT INTO shop.names VALUES ('ᲐᲑ', 3)"]).await;
    migration.run_until_caught_up().await.expect(FAILED).says("shop.names").says("collation");
    assert_eq!(destination.list(names).await, ["აბ 1", "X 2"], "a row was replaced");
    // By the copy, through LOAD DATA and INSERT.
    for local_infile in [1, 0] {
        destination
            .run(&["DROP DATABASE shop", "DROP DATABASE godwit", &format!("SET GLOBAL local_infile={local_infile}")])
            .await;
        migration.run_until_caught_up().await.expect(FAILED).says("shop.names").says("collation");
    }
    // A table with documents is written in another way.
    source.run(&["DELETE FROM shop.names WHERE n=3"]).await;
    destination.run(&["DROP DATABASE shop", "DROP DATABASE godwit"]).await;
    migration.run_until_caught_up().await.expect(0);
    source.run(&["INSERT INTO shop.documents VALUES ('ᲐᲑ', '[]')"]).await;
    migration.run_until_caught_up().await.expect(FAILED).says("shop.documents").says("collation");
    assert_eq!(destination.list("SELECT name FROM shop.documents").await, ["აბ"], "a row was replaced");
}

/// Of a table without a key a part of the operations cannot be followed; nor can a full-text index that the application numbers.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_refused_by_name() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.bare (n INT, v INT)",
            "CREATE TABLE shop.unique_too (id INT PRIMARY KEY, code INT UNIQUE)",
            "CREATE TABLE shop.texts (FTS_DOC_ID BIGINT UNSIGNED NOT NULL PRIMARY KEY, t TEXT, FULLTEXT KEY (t)) ENGINE=InnoDB",
            "INSERT INTO shop.bare VALUES (1, 1), (1, 1)",
            "INSERT INTO shop.texts VALUES (1, 'one'), (60000, 'two'), (60001, 'three')",
        ])
        .await;
    let mut migration = Migration::new(&source, &destination).with("/dml", json!(["Insert", "Delete"]));
    let refused = migration.run_until_caught_up().await.expect(3);
    for sentence in ["RowOperations", "shop.bare", "FullTextIds", "shop.texts"] {
        refused.says(sentence);
    }
    assert_eq!(destination.databases().await, Vec::<String>::new(), "something was written");
    // Copied alone, all of it arrives.
    migration.set("/dml", json!(["Insert", "Update", "Delete"]));
    migration.set("/migrationTypes", json!(["Schema", "Full"]));
    migration.run().await.expect(0);
    assert_equal(&source, &destination, "shop").await;
    values_are_not_told(&source, &destination).await;
}

/// A row that stops the task: its values stand in no report and in no log, unless they were asked for.
async fn values_are_not_told(source: &Server, destination: &Server) {
    destination.run(&["DROP DATABASE shop", "DROP DATABASE godwit"]).await;
    source.run(&["DROP DATABASE shop", "CREATE DATABASE shop"]).await;
    source.run(&["CREATE TABLE shop.items (name VARCHAR(40) PRIMARY KEY, code VARCHAR(40) UNIQUE) CHARACTER SET utf8mb4"]).await;
    let mut migration = Migration::new(source, destination);
    migration.run_until_caught_up().await.expect(0);
    destination.run(&["INSERT INTO shop.items VALUES ('foreign', 'code-4711')"]).await;
    source.run(&["INSERT INTO shop.items VALUES ('secret-4711', 'code-4711')"]).await;
    let told = async |migration: &Migration| {
        let mut running = migration.start(&[]);
        assert_eq!(running.wait(Duration::from_secs(30)).await, Some(FAILED), "{}", running.log());
        let all = format!("{}{}", running.log(), running.report());
        assert!(all.contains("shop.items"), "{all}");
        all
    };
    let all = told(&migration).await;
    assert!(!all.contains("4711"), "{all}");
    assert!(all.contains("rowValues"), "it is not said how to see them: {all}");
    migration.set("/diagnostics", json!({"rowValues": true}));
    assert!(told(&migration).await.contains("secret-4711"));
    migration.set("/diagnostics", json!({"rowValues": false}));
    destination.run(&["DELETE FROM shop.items WHERE name='foreign'"]).await;
    // A statement in the log.
    source.run(&["SET SESSION binlog_format=STATEMENT", "UPDATE shop.items SET code='code-4712' WHERE name='secret-4711'"]).await;
    let all = told(&migration).await;
    assert!(!all.contains("4711") && !all.contains("4712") && all.contains("UPDATE shop.items SET code="), "{all}");
}
