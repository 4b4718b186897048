//! Every type: SELECT and log agree.

use godwit::engine::binlog::RowsKind;
use godwit::model::definition::Kind;
use mysql_async::prelude::Queryable;

use super::cases::cases;
use super::json;
use super::server::{Server, definition, logged, select, session};

/// Creates a table for each case, inserts, updates and deletes its rows, and compares.
async fn compare(server: &Server, prepare: &[&str]) {
    let mut connection = session(server).await;
    for statement in prepare {
        connection.query_drop(*statement).await.unwrap();
    }
    let mut expected = Vec::new();
    for (number, case) in cases(server).iter().enumerate() {
        let table = format!("t{number}");
        let create = format!("CREATE TABLE {table} (id INT PRIMARY KEY, v {}) CHARACTER SET utf8mb4", case.declaration);
        connection.query_drop(create).await.unwrap_or_else(|error| panic!("{}: {error}", case.declaration));
        connection.query_drop(format!("INSERT INTO {table} VALUES (0, NULL)")).await.unwrap();
        for (i, value) in case.values.iter().enumerate() {
            let insert = format!("INSERT INTO {table} VALUES ({}, {value})", i + 1);
            if let Err(error) = connection.query_drop(insert).await {
                assert!(!case.all_fit, "{} {} {value}: {error}", server.kind, case.declaration);
                // Not every character exists in every character set, not every server takes every expression.
                println!("{} {} {value}: {error}", server.kind, case.declaration);
            }
        }
        let definition = definition(&mut connection, &table).await;
        let rows = select(&mut connection, &definition).await;
        connection.query_drop(format!("UPDATE {table} SET id = id + 1000 ORDER BY id")).await.unwrap();
        let moved = select(&mut connection, &definition).await;
        connection.query_drop(format!("DELETE FROM {table} ORDER BY id")).await.unwrap();
        expected.push((case.declaration.clone(), definition, rows, moved));
    }
    let log = logged(server).await;
    let mut compared = 0;
    let mut differences = Vec::new();
    for (declaration, definition, rows, moved) in expected {
        let changes = log.decode(&definition);
        let of = |kind: RowsKind| changes.iter().filter(move |change| change.0 == kind);
        let inserted: Vec<_> = of(RowsKind::Insert).map(|change| change.2.clone().unwrap()).collect();
        let before: Vec<_> = of(RowsKind::Update).map(|change| change.1.clone().unwrap()).collect();
        let after: Vec<_> = of(RowsKind::Update).map(|change| change.2.clone().unwrap()).collect();
        let deleted: Vec<_> = of(RowsKind::Delete).map(|change| change.1.clone().unwrap()).collect();
        assert!(rows.len() >= 2, "{declaration}");
        for (what, found, wanted) in
            [("insert", inserted, &rows), ("before", before, &rows), ("after", after, &moved), ("delete", deleted, &moved)]
        {
            if found.len() != wanted.len() {
                differences.push(format!("{declaration} {what}: {} rows instead of {}", found.len(), wanted.len()));
            }
            for (found, wanted) in found.iter().zip(wanted).filter(|(found, wanted)| found != wanted) {
                differences.push(format!("{declaration} {what}: log {found:?} SELECT {wanted:?}"));
            }
            compared += found.len();
        }
    }
    assert!(differences.is_empty(), "{} {differences:#?}", server.kind);
    println!("{}: {compared} row images agree with SELECT", server.kind);
}

#[tokio::test]
async fn mysql_9_7() {
    compare(&Server::start("mysql97", &["--binlog-row-metadata=FULL"]), &[]).await;
}

#[tokio::test]
async fn mysql_8_0() {
    compare(&Server::start("mysql80", &[]), &[]).await;
}

#[tokio::test]
async fn mysql_5_7() {
    compare(&Server::start("mysql57", &[]), &[]).await;
}

#[tokio::test]
async fn mariadb_11_4() {
    compare(&Server::start("mariadb114", &["--binlog-row-metadata=FULL"]), &[]).await;
}

#[tokio::test]
async fn mariadb_with_its_own_temporal_formats_and_compressed_events() {
    let options = [
        "--mysql56-temporal-format=OFF",
        "--log-bin-compress=ON",
        "--log-bin-compress-min-len=10",
        "--binlog-row-event-max-size=256",
    ];
    compare(&Server::start("mariadb114", &options), &[]).await;
}

/// Random JSON documents, doubles above all.
#[tokio::test]
async fn random_json() {
    for kind in ["mysql97", "mysql80", "mysql57"] {
        let server = Server::start(kind, &[]);
        let mut connection = session(&server).await;
        connection.query_drop("CREATE TABLE j (id INT PRIMARY KEY, v JSON)").await.unwrap();
        connection.query_drop("START TRANSACTION").await.unwrap();
        for seed in 0..4000u64 {
            connection.exec_drop("INSERT INTO j VALUES (?, ?)", (seed, json::random(seed + 1))).await.unwrap();
        }
        connection.query_drop("COMMIT").await.unwrap();
        let definition = definition(&mut connection, "j").await;
        assert_eq!(definition.columns[1].kind, Kind::Json);
        let rows = select(&mut connection, &definition).await;
        let changes = logged(&server).await.decode(&definition);
        assert_eq!(changes.len(), rows.len());
        for ((_, _, after), wanted) in changes.iter().zip(&rows) {
            assert_eq!(after.as_ref().unwrap(), wanted, "{kind}");
        }
    }
}
