//! Rows under other names, and rows of which only a part is wanted: by the copy and by the log, compared by plain queries.

use serde_json::json;

use crate::support::{Migration, Server, place};

/// The same rows, by two queries; how many.
async fn same(source: &Server, here: &str, destination: &Server, there: &str) -> usize {
    let (mut left, mut right) = (source.list(here).await, destination.list(there).await);
    left.sort();
    right.sort();
    assert_eq!(left, right, "{here}\n{there}");
    left.len()
}

async fn renamed(kind: &str, local_infile: &str) {
    let _place = place().await;
    let (source, destination) = (Server::start(kind, &[]), Server::start(kind, &[local_infile]));
    source
        .run(&[
            "CREATE DATABASE shop CHARACTER SET utf8mb4",
            "CREATE TABLE shop.orders (secret VARCHAR(20) NOT NULL, id INT PRIMARY KEY, code VARCHAR(20) UNIQUE, total DECIMAL(8,2), \
             twice DECIMAL(9,2) AS (total * 2) STORED)",
            "CREATE TABLE shop.items (word VARCHAR(30), order_id INT, private INT, n INT, PRIMARY KEY (n, order_id))",
            "CREATE TABLE shop.bare (hidden INT, n INT, word VARCHAR(30))",
            "INSERT INTO shop.orders (secret, id, code, total) VALUES ('s1', 1, 'a', 1.50), ('s2', 2, 'b', 2.50), ('s3', 3, NULL, 3.50)",
            "INSERT INTO shop.items VALUES ('one', 1, 7, 1), ('two', 1, 7, 2), ('three', 2, 7, 1)",
            "INSERT INTO shop.bare VALUES (1, 1, 'x'), (2, 1, 'x'), (3, 2, NULL)",
        ])
        .await;
    let objects = json!([{
        "database": "shop",
        "renameTo": "store",
        "tables": [
            {"table": "orders", "renameTo": "sales", "columns": {"exclude": ["secret"], "rename": {"code": "number of it", "id": "sale"}}},
            {"table": "items", "columns": {"include": ["order_id", "n", "word"], "rename": {"n": "order_id", "order_id": "n"}}},
            {"table": "bare", "renameTo": "plain", "columns": {"exclude": ["hidden"], "rename": {"word": "term"}}}
        ]
    }]);
    let migration = Migration::new(&source, &destination).with("/objects", objects);
    let compare = async || {
        let mut rows = 0;
        for (here, there) in [
            (
                "SELECT CONCAT_WS('|', id, IFNULL(code, '-'), total, twice) FROM shop.orders",
                "SELECT CONCAT_WS('|', sale, IFNULL(`number of it`, '-'), total, twice) FROM store.sales",
            ),
            (
                "SELECT CONCAT_WS('|', order_id, n, word) FROM shop.items",
                "SELECT CONCAT_WS('|', n, order_id, word) FROM store.items",
            ),
            (
                "SELECT CONCAT_WS('|', n, IFNULL(word, '-')) FROM shop.bare",
                "SELECT CONCAT_WS('|', n, IFNULL(term, '-')) FROM store.plain",
            ),
        ] {
            rows += same(&source, here, &destination, there).await;
        }
        rows
    };
    migration.run_until_caught_up().await.expect(0);
    assert_eq!(compare().await, 9);
    let columns = "SELECT CONCAT_WS('.', table_name, column_name) FROM information_schema.columns WHERE table_schema='store' ORDER BY \
                   table_name, ordinal_position";
    assert_eq!(
        destination.list(columns).await,
        [
            "items.word",
            "items.n",
            "items.order_id",
            "plain.n",
            "plain.term",
            "sales.sale",
            "sales.number of it",
            "sales.total",
            "sales.twice"
        ]
    );
    source
        .run(&[
            "INSERT INTO shop.orders (secret, id, code, total) VALUES ('s4', 4, 'd', 4.50), ('s5', 5, 'e', 5.50)",
            // Keys that move, unique values that change places, a change of what is left out only.
            "UPDATE shop.orders SET id=id+100 WHERE id<3",
            "UPDATE shop.orders SET code='tmp' WHERE id=101",
            "UPDATE shop.orders SET code='a' WHERE id=102",
            "UPDATE shop.orders SET code='b' WHERE id=101",
            "UPDATE shop.orders SET secret='other'",
            "DELETE FROM shop.orders WHERE id=4",
            "INSERT INTO shop.items VALUES ('four', 9, 7, 4), ('gone', 9, 7, 5)",
            "UPDATE shop.items SET n=n+10, word='moved' WHERE order_id=1",
            "UPDATE shop.items SET private=8",
            "DELETE FROM shop.items WHERE word='gone'",
            "INSERT INTO shop.bare VALUES (9, 9, 'new')",
            "UPDATE shop.bare SET n=5 WHERE hidden=2",
            "UPDATE shop.bare SET hidden=hidden+1",
            "DELETE FROM shop.bare WHERE word IS NULL",
        ])
        .await;
    migration.run_until_caught_up().await.expect(0);
    assert_eq!(compare().await, 11);
    migration.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_on_mysql97() {
    renamed("mysql97", "--local-infile=1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_on_mysql57_by_insert() {
    renamed("mysql57", "--local-infile=0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_on_mariadb114() {
    renamed("mariadb114", "--local-infile=1").await;
}

/// Columns that `SELECT *` does not show, and keys that the server has made itself.
async fn invisible(source_kind: &str, destination_kind: &str) {
    let _place = place().await;
    let (source, destination) = (Server::start(source_kind, &[]), Server::start(destination_kind, &[]));
    let generates = source_kind == "mysql97";
    source
        .run(&[
            "CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            "CREATE TABLE shop.items (id INT PRIMARY KEY, hidden INT DEFAULT 5 INVISIBLE, v INT)",
            "CREATE TABLE shop.bare (hidden INT DEFAULT 5 INVISIBLE, v INT)",
            "INSERT INTO shop.items (id, hidden, v) VALUES (1, 10, 1), (2, NULL, 2), (3, 30, 3)",
            "INSERT INTO shop.bare (hidden, v) VALUES (10, 1), (NULL, 1), (30, 3)",
        ])
        .await;
    let mut queries = vec![
        "SELECT CONCAT_WS('|', id, IFNULL(hidden, '-'), v) FROM shop.items",
        "SELECT CONCAT_WS('|', IFNULL(hidden, '-'), v) FROM shop.bare",
    ];
    if generates {
        source
            .run(&[
                "SET SESSION sql_generate_invisible_primary_key=ON",
                "CREATE TABLE shop.made (a INT, b VARCHAR(10))",
                "INSERT INTO shop.made (a, b) VALUES (1, 'one'), (1, 'one'), (3, 'three')",
            ])
            .await;
        queries.push("SELECT CONCAT_WS('|', my_row_id, a, b) FROM shop.made");
    }
    let migration = Migration::new(&source, &destination).ignoring(&["MaxAllowedPacket"]);
    migration.run_until_caught_up().await.expect(0);
    let compare = async || {
        let mut rows = 0;
        for query in &queries {
            rows += same(&source, query, &destination, query).await;
        }
        rows
    };
    assert_eq!(compare().await, 3 * queries.len());
    let hidden = "SELECT CONCAT_WS('.', table_name, column_name) FROM information_schema.columns WHERE table_schema='shop' AND extra LIKE \
                  '%INVISIBLE%' ORDER BY 1";
    assert_eq!(source.list(hidden).await, destination.list(hidden).await);
    source
        .run(&[
            "INSERT INTO shop.items (id, v) VALUES (4, 4)",
            "UPDATE shop.items SET hidden=11 WHERE id=1",
            "UPDATE shop.items SET id=20 WHERE hidden IS NULL",
            "DELETE FROM shop.items WHERE id=3",
            "INSERT INTO shop.bare (v) VALUES (4)",
            "UPDATE shop.bare SET hidden=11 WHERE hidden=10",
            "DELETE FROM shop.bare WHERE hidden IS NULL",
        ])
        .await;
    if generates {
        source
            .run(&[
                "INSERT INTO shop.made (a, b) VALUES (4, 'four')",
                "UPDATE shop.made SET b='changed' WHERE my_row_id=2",
                "UPDATE shop.made SET my_row_id=77 WHERE a=3",
                "DELETE FROM shop.made WHERE my_row_id=1",
            ])
            .await;
    }
    migration.run_until_caught_up().await.expect(0);
    assert_eq!(compare().await, 3 * queries.len());
    migration.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invisible_columns_on_mysql97() {
    invisible("mysql97", "mysql97").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invisible_columns_on_mariadb114() {
    invisible("mariadb114", "mariadb114").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invisible_columns_from_mysql97_to_mariadb114() {
    invisible("mysql97", "mariadb114").await;
}
