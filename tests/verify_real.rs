//! The verification against real servers: it finds a planted difference of every type, and nothing else.
//!
//! `cargo test --test verify_real -- --ignored` (starts servers of e2e/lab).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use godwit::api::VerifyReport;
use godwit::engine::plan::{Plan, ViewPlan};
use godwit::engine::schema::read_views::read_views;
use godwit::engine::verify::{
    DifferenceKind, Hooks, Mode, Recheck, Reference, RowDifference, VerifyOptions, VerifyProgress, verify,
};
use godwit::model::names::TableName;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use support::types::cases;
use support::{Server, connector, plan, run, session};
use tokio_util::sync::CancellationToken;

const QUIET: Recheck = Recheck { attempts: 0, delay: Duration::ZERO };

fn options() -> VerifyOptions {
    VerifyOptions { recheck: QUIET, sample_limit: 10_000, retry: Duration::from_secs(5), ..VerifyOptions::default() }
}

async fn compare(source: &Server, destination: &Server, plan: &Plan, options: VerifyOptions) -> VerifyReport {
    compare_with(source, destination, plan, options, Hooks::default()).await
}

async fn compare_with(source: &Server, destination: &Server, plan: &Plan, options: VerifyOptions, hooks: Hooks) -> VerifyReport {
    let (from, to) = (connector(source, "source"), connector(destination, "destination"));
    verify(plan, &from, &to, options, CancellationToken::new(), hooks).await.unwrap()
}

async fn databases(conn: &mut Conn) {
    run(conn, "DROP DATABASE IF EXISTS src;\nDROP DATABASE IF EXISTS dst;\nCREATE DATABASE src CHARACTER SET utf8mb4;\nCREATE DATABASE dst CHARACTER SET utf8mb4").await;
}

/// Row n holds all values, row 0 NULLs; at the destination, column n of row n is another one.
async fn every_type(server: &Server, kind: &str) {
    let mut conn = session(server).await;
    databases(&mut conn).await;
    let cases = cases(kind);
    let columns: Vec<String> = cases.iter().enumerate().map(|(n, case)| format!("c{} {}", n + 1, case.0)).collect();
    let values: Vec<&str> = cases.iter().map(|case| case.1).collect();
    for (table, key) in [("keyed", ", PRIMARY KEY (id)"), ("keyless", "")] {
        run(&mut conn, &format!("CREATE TABLE src.{table} (id INT NOT NULL{key}, {})", columns.join(", "))).await;
        run(&mut conn, &format!("INSERT INTO src.{table} (id) VALUES (0)")).await;
        for n in 1..=cases.len() {
            run(&mut conn, &format!("INSERT INTO src.{table} VALUES ({n},{})", values.join(","))).await;
        }
        run(&mut conn, &format!("CREATE TABLE dst.{table} LIKE src.{table};\nINSERT INTO dst.{table} SELECT * FROM src.{table}"))
            .await;
    }
    let plan = plan(server, "src", "dst").await;
    let report = compare(server, server, &plan, options()).await;
    assert!(report.equal, "{kind}: {report:#?}");
    assert_eq!(report.tables.len(), 2);
    assert!(report.tables.iter().all(|table| table.rows == cases.len() as u64 + 1));
    assert!(
        report.source_position.as_ref().is_some_and(|p| p.file.is_some() && p.gtid_set.is_some()),
        "{:?}",
        report.source_position
    );

    // By way of NULL: MySQL leaves a JSON document alone when the new one is equal by number, 1 and 1.0.
    for (n, case) in (1..).zip(&cases) {
        for table in ["keyed", "keyless"] {
            let set = |value| format!("UPDATE dst.{table} SET c{n} = {value} WHERE id = {n}");
            run(&mut conn, &format!("{};\n{}", set("NULL"), set(case.2))).await;
        }
    }
    let report = compare(server, server, &plan, options()).await;
    let keyed = &report.tables[0];
    let found: BTreeSet<(String, String)> =
        keyed.samples.iter().map(|sample| (sample.key.clone(), sample.column.clone().unwrap())).collect();
    for (n, case) in (1..).zip(&cases) {
        assert!(found.contains(&(format!("id={n}"), format!("c{n}"))), "{kind}: {case:?} was not seen");
    }
    assert_eq!(found.len(), cases.len(), "{kind}: more than what was planted: {found:?}");
    assert_eq!((keyed.different, keyed.missing, keyed.extra), (cases.len() as u64, 0, 0));
    let keyless = &report.tables[1];
    assert_eq!((keyless.different, keyless.missing, keyless.extra), (0, cases.len() as u64, cases.len() as u64));
    assert!(!report.equal);

    let report = compare(server, server, &plan, VerifyOptions { repair: true, ..options() }).await;
    let keyed = &report.tables[0];
    assert_eq!((keyed.repaired, keyed.different), (cases.len() as u64, 0), "{kind}: {:?}", keyed.samples);
    let report = compare(server, server, &plan, options()).await;
    assert_eq!(report.tables[0].different, 0);
}

/// Keys of many kinds in small pieces; rows missing, extra and different at both ends and in the middle.
async fn keys_and_pieces(server: &Server, kind: &str) {
    let mut conn = session(server).await;
    databases(&mut conn).await;
    let ascii = "VARCHAR(30) CHARACTER SET latin1 COLLATE latin1_swedish_ci";
    let keys = [
        ("number", "a BIGINT UNSIGNED NOT NULL", "a", "18446744073709551000+n".to_owned()),
        ("sparse", "a INT NOT NULL", "a", "n*n*2147-1000000".to_owned()),
        ("text", "a VARCHAR(60) COLLATE utf8mb4_general_ci NOT NULL", "a", "CONCAT('Key é ''\\\\ ',n)".to_owned()),
        ("latin", &format!("a {ascii} NOT NULL"), "a", "CONCAT(CHAR(97+n%26),'ä',n)".to_owned()),
        ("binaries", "a BINARY(6) NOT NULL", "a", "CONCAT(CHAR(n%256),'\\'',CHAR(n DIV 256),CHAR(0))".to_owned()),
        (
            "dates",
            "a DATETIME(2) NOT NULL, b DATE NOT NULL",
            "a,b",
            "'2024-01-01 00:00:00.25' + INTERVAL n DIV 7 MINUTE, '2024-01-01' + INTERVAL n DAY".to_owned(),
        ),
        (
            "stamps",
            "a TIMESTAMP(6) NOT NULL DEFAULT '2000-01-01', b DECIMAL(20,5) NOT NULL",
            "a,b",
            "FROM_UNIXTIME(n DIV 3 + 1), -n/7".to_owned(),
        ),
        (
            "composite",
            "a INT NOT NULL, b VARCHAR(20) NOT NULL, c SMALLINT NOT NULL",
            "a,b,c",
            "n%5, CONCAT('x',n%11), n".to_owned(),
        ),
        ("enums", "a INT NOT NULL, b ENUM('z','y','x') NOT NULL, c INT NOT NULL", "a,b,c", "n%3, 1+n%2, n".to_owned()),
        ("enumfirst", "b ENUM('z','y','x') NOT NULL, c INT NOT NULL", "b,c", "1+n%2, n".to_owned()),
        ("doubles", "a DOUBLE NOT NULL", "a", "n/7-20".to_owned()),
        ("times", "a TIME(1) NOT NULL", "a", "SEC_TO_TIME(n*11-4000)".to_owned()),
    ];
    run(&mut conn, "CREATE TABLE src.seq (n INT PRIMARY KEY);\nINSERT INTO src.seq VALUES (1)").await;
    for _ in 0..9 {
        run(&mut conn, "INSERT INTO src.seq SELECT n + (SELECT COUNT(*) FROM src.seq s) FROM src.seq ORDER BY n").await;
    }
    for (table, columns, key, values) in &keys {
        let definition = format!("({columns}, id INT NOT NULL, v VARCHAR(100), UNIQUE KEY idx (id), PRIMARY KEY ({key}))");
        run(&mut conn, &format!("CREATE TABLE src.{table} {definition};\nCREATE TABLE dst.{table} {definition};\nINSERT INTO src.{table} SELECT {values}, n, REPEAT('v',n%90) FROM src.seq;\nINSERT INTO dst.{table} SELECT * FROM src.{table}")).await;
    }
    run(&mut conn, "DROP TABLE src.seq").await;
    let plan = plan(server, "src", "dst").await;
    for piece_bytes in [400, 5_000, 8 << 20] {
        let options = VerifyOptions { piece_bytes, ..options() };
        let report = compare(server, server, &plan, options.clone()).await;
        assert!(report.equal, "{kind} {piece_bytes}: {report:#?}");
        assert_eq!(report.tables.len(), keys.len());
        assert!(report.tables.iter().all(|table| table.rows == 512), "{kind}: {report:#?}");
    }
    for (table, _, key, _) in &keys {
        let ids =
            |order: &str, rows: &str| format!("SELECT id FROM (SELECT id FROM src.{table} ORDER BY {order} LIMIT {rows}) x");
        let backwards = format!("{} DESC", key.replace(',', " DESC,"));
        // Both ends and a stretch in the middle; the stretches of the two sides do not meet.
        for (side, end, middle) in [("dst", "0,1", "100,20"), ("src", "1,1", "300,30")] {
            let chosen = [ids(key, end), ids(key, middle), ids(&backwards, end)].join(" UNION ");
            run(&mut conn, &format!("CREATE TEMPORARY TABLE dst.ids AS {chosen};\nDELETE FROM {side}.{table} WHERE id IN (SELECT id FROM dst.ids);\nDROP TEMPORARY TABLE dst.ids")).await;
        }
        run(&mut conn, &format!("UPDATE dst.{table} SET v = CONCAT(v,' ') WHERE id IN (50,150,250)")).await;
    }
    for piece_bytes in [400, 8 << 20] {
        let report = compare(server, server, &plan, VerifyOptions { piece_bytes, ..options() }).await;
        for table in &report.tables {
            assert!(table.error.is_none(), "{table:?}");
            assert_eq!((table.missing, table.extra), (22, 32), "{kind} {} {piece_bytes}", table.source);
            assert!((1..=3).contains(&table.different), "{kind} {}", table.source);
        }
    }
    for (reference, missing, extra) in [(Reference::Source, 22, 0), (Reference::Destination, 0, 32)] {
        let report = compare(server, server, &plan, VerifyOptions { reference, ..options() }).await;
        assert!(report.tables.iter().all(|table| (table.missing, table.extra) == (missing, extra)), "{report:#?}");
    }
    let counted = compare(server, server, &plan, VerifyOptions { mode: Mode::RowCount, ..options() }).await;
    assert!(counted.tables.iter().all(|table| (table.missing, table.extra, table.rows) == (0, 10, 480)), "{counted:#?}");
    let report = compare(server, server, &plan, VerifyOptions { repair: true, piece_bytes: 2_000, ..options() }).await;
    assert!(report.equal, "{kind}: {report:#?}");
    assert!(compare(server, server, &plan, options()).await.equal);
}

async fn keyless(server: &Server, kind: &str) {
    let mut conn = session(server).await;
    databases(&mut conn).await;
    run(&mut conn, "CREATE TABLE src.t (a INT, b VARCHAR(20) COLLATE utf8mb4_general_ci);\nCREATE TABLE dst.t LIKE src.t").await;
    for _ in 0..3 {
        run(&mut conn, "INSERT INTO src.t VALUES (1,'x'),(1,'x'),(2,NULL),(2,''),(NULL,NULL)").await;
        run(&mut conn, "INSERT INTO dst.t VALUES (NULL,NULL),(2,''),(1,'x'),(2,NULL),(1,'x')").await;
    }
    let plan = plan(server, "src", "dst").await;
    assert!(compare(server, server, &plan, options()).await.equal, "{kind}");
    // One copy of a row less, one more of another: the numbers of rows are equal.
    run(&mut conn, "DELETE FROM dst.t WHERE a=1 LIMIT 2;\nINSERT INTO dst.t VALUES (2,NULL),(1,'X')").await;
    let (sender, mut differences) = tokio::sync::mpsc::channel(100);
    let hooks = Hooks { differences: Some(sender), ..Hooks::default() };
    let report = compare_with(server, server, &plan, options(), hooks).await;
    assert_eq!((report.tables[0].missing, report.tables[0].extra, report.tables[0].rows), (2, 2, 15), "{report:#?}");
    let mut all: Vec<RowDifference> = Vec::new();
    while let Some(difference) = differences.recv().await {
        all.push(difference);
    }
    let missing: Vec<_> = all.iter().filter(|d| d.kind == DifferenceKind::Missing).collect();
    assert_eq!((missing.len(), missing[0].count, missing[0].key.as_str()), (1, 2, "a=1, b='x'"));
    let counted = compare(server, server, &plan, VerifyOptions { mode: Mode::RowCount, ..options() }).await;
    assert!(counted.equal);
    // Room for two digests: equal sums in spite of the order, or many passes.
    let tiny = VerifyOptions { held_bytes: 40, ..options() };
    let report = compare(server, server, &plan, tiny.clone()).await;
    assert_eq!((report.tables[0].missing, report.tables[0].extra, report.tables[0].rows), (2, 2, 15), "{report:#?}");
    run(&mut conn, "DELETE FROM dst.t;\nINSERT INTO dst.t SELECT * FROM src.t ORDER BY b, a").await;
    assert!(compare(server, server, &plan, tiny).await.equal);
}

/// A key that differs in case only, a row that hides in another piece because the collations differ.
async fn collations(server: &Server, kind: &str) {
    let mut conn = session(server).await;
    databases(&mut conn).await;
    run(&mut conn, "CREATE TABLE src.t (k VARCHAR(20) COLLATE utf8mb4_bin PRIMARY KEY, v INT);\nCREATE TABLE dst.t (k VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)").await;
    for n in 0..200 {
        let first = if n % 2 == 0 { 'k' } else { 'K' };
        run(&mut conn, &format!("INSERT INTO src.t VALUES ('{first}{n}', {n})")).await;
    }
    run(&mut conn, "INSERT INTO dst.t SELECT * FROM src.t").await;
    let plan = plan(server, "src", "dst").await;
    let small = VerifyOptions { piece_bytes: 300, ..options() };
    let report = compare(server, server, &plan, small.clone()).await;
    assert!(report.equal, "{kind}: {report:#?}");
    run(&mut conn, "UPDATE dst.t SET k='K0' WHERE k='k0';\nUPDATE dst.t SET v=-1 WHERE k='K1'").await;
    let report = compare(server, server, &plan, small.clone()).await;
    let table = &report.tables[0];
    assert_eq!((table.missing, table.extra, table.different), (1, 1, 1), "{report:#?}");
    let report = compare(server, server, &plan, VerifyOptions { repair: true, ..small.clone() }).await;
    assert!(compare(server, server, &plan, small).await.equal, "{kind}: {report:#?}");
}

/// Stops in the middle, goes on from what was stored, and counts as an undisturbed run does.
async fn resume_sampling_limits(server: &Server, kind: &str) {
    let mut conn = session(server).await;
    databases(&mut conn).await;
    run(&mut conn, "CREATE TABLE src.t (id INT PRIMARY KEY, v CHAR(50));\nINSERT INTO src.t VALUES (1,'x')").await;
    for _ in 0..12 {
        run(&mut conn, "INSERT INTO src.t SELECT id + (SELECT COUNT(*) FROM src.t s), v FROM src.t").await;
    }
    run(
        &mut conn,
        "CREATE TABLE dst.t LIKE src.t;\nINSERT INTO dst.t SELECT * FROM src.t;\nUPDATE dst.t SET v='y' WHERE id%10=0",
    )
    .await;
    let plan = plan(server, "src", "dst").await;
    let options = VerifyOptions { piece_bytes: 5_000, concurrency: 3, sample_limit: 5, ..options() };

    let cancel = CancellationToken::new();
    let stored = Arc::new(Mutex::new(VerifyProgress::default()));
    let hooks = Hooks {
        on_progress: Some({
            let (stored, cancel) = (stored.clone(), cancel.clone());
            Arc::new(move |table| {
                stored.lock().unwrap().update(table);
                if table.counts.rows > 1500 {
                    cancel.cancel();
                }
            })
        }),
        ..Hooks::default()
    };
    let (from, to) = (connector(server, "source"), connector(server, "destination"));
    // So slow that the rest of the table is not compared before the stop is noticed.
    let slowly = VerifyOptions { rows_per_second: 3_000, ..options.clone() };
    verify(&plan, &from, &to, slowly, cancel, hooks).await.unwrap_err();
    let text = serde_json::to_string(&*stored.lock().unwrap()).unwrap();
    let resume: VerifyProgress = serde_json::from_str(&text).unwrap();
    assert!(resume.tables[0].counts.rows < 4096 && resume.tables[0].bound.is_some(), "{text}");
    let hooks = Hooks { resume: Some(resume), ..Hooks::default() };
    let report = compare_with(server, server, &plan, options.clone(), hooks).await;
    let table = &report.tables[0];
    assert_eq!((table.rows, table.different, table.samples.len()), (4096, 409, 5), "{kind}");

    let others = VerifyOptions { tables: vec!["src.x*".into()], ..options.clone() };
    assert!(compare(server, server, &plan, others).await.tables.is_empty());
    let sampled = compare(server, server, &plan, VerifyOptions { sample_percent: 20, ..options.clone() }).await;
    assert!((200..2_000).contains(&sampled.tables[0].rows), "{}", sampled.tables[0].rows);

    let started = std::time::Instant::now();
    compare(server, server, &plan, VerifyOptions { rows_per_second: 3_000, ..options.clone() }).await;
    assert!(started.elapsed() > Duration::from_secs(1));

    let slow = VerifyOptions { rows_per_second: 100, max_duration: Some(Duration::from_millis(700)), ..options.clone() };
    let report = compare(server, server, &plan, slow).await;
    assert!(!report.equal && report.tables[0].error.is_some());
    // What was stopped does not go on at the servers.
    let reading = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT `id`%'";
    for _ in 0..100 {
        let running: Option<u64> = conn.query_first(reading).await.unwrap();
        if running == Some(0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(conn.query_first(reading).await.unwrap(), Some(0_u64));

    run(&mut conn, "DROP TABLE dst.t").await;
    let report = compare(server, server, &plan, options).await;
    assert!(report.tables[0].error.as_deref().is_some_and(|error| error.contains("no such table")), "{report:?}");
}

/// Changes reach the destination a moment later; that is no difference. What stays is.
async fn changes_flow(server: &Server, kind: &str) {
    let mut conn = session(server).await;
    databases(&mut conn).await;
    run(&mut conn, "CREATE TABLE src.t (id INT PRIMARY KEY, v INT);\nCREATE TABLE src.u (id INT, v INT);\nCREATE TABLE dst.t LIKE src.t;\nCREATE TABLE dst.u LIKE src.u").await;
    for id in 0..300 {
        run(&mut conn, &format!("INSERT INTO src.t VALUES ({id},0);\nINSERT INTO src.u VALUES ({id},0)")).await;
    }
    run(&mut conn, "INSERT INTO dst.t SELECT * FROM src.t;\nINSERT INTO dst.u SELECT * FROM src.u;\nUPDATE dst.t SET v=-1 WHERE id=299;\nUPDATE dst.u SET v=-1 WHERE id=299").await;
    let plan = plan(server, "src", "dst").await;
    let done = CancellationToken::new();
    let writer = tokio::spawn({
        let done = done.clone();
        async move {
            let mut number = 0;
            while !done.is_cancelled() {
                let id = number % 290;
                for database in ["src", "dst"] {
                    run(&mut conn, &format!("DELETE FROM {database}.t WHERE id={};\nREPLACE INTO {database}.t VALUES ({id},{number});\nUPDATE {database}.u SET v={number} WHERE id={id}", (id + 7) % 290)).await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                number += 1;
            }
        }
    });
    let recheck = Recheck { attempts: 6, delay: Duration::from_millis(150) };
    for _ in 0..3 {
        let report = compare(server, server, &plan, VerifyOptions { recheck, piece_bytes: 500, ..options() }).await;
        let (t, u) = (&report.tables[0], &report.tables[1]);
        assert_eq!((t.missing, t.extra, t.different), (0, 0, 1), "{kind}: {t:?}");
        assert_eq!((u.missing, u.extra, u.different), (1, 1, 0), "{kind}: {u:?}");
    }
    done.cancel();
    writer.await.unwrap();
}

/// A hundred thousand rows too many within one piece; the channel of differences sees each of them.
async fn many_extra_rows(server: &Server, kind: &str) {
    let mut conn = session(server).await;
    databases(&mut conn).await;
    run(&mut conn, "CREATE TABLE src.t (id BIGINT PRIMARY KEY, v CHAR(50));\nCREATE TABLE dst.t LIKE src.t;\nINSERT INTO dst.t VALUES (1,'x')").await;
    for _ in 0..17 {
        run(&mut conn, "INSERT INTO dst.t SELECT id + (SELECT COUNT(*) FROM dst.t s), v FROM dst.t").await;
    }
    run(&mut conn, "INSERT INTO src.t VALUES (0,'x'),(1,'x'),(131072,'x'),(200000,'x')").await;
    let plan = plan(server, "src", "dst").await;
    let (sender, mut differences) = tokio::sync::mpsc::channel(10);
    let hooks = Hooks { differences: Some(sender), ..Hooks::default() };
    let reading = tokio::spawn(async move {
        let mut keys = BTreeSet::new();
        while let Some(difference) = differences.recv().await {
            assert!(keys.insert(difference.key), "twice");
        }
        keys.len()
    });
    let small = VerifyOptions { sample_limit: 3, held_bytes: 64 << 10, ..options() };
    let report = compare_with(server, server, &plan, small, hooks).await;
    let table = &report.tables[0];
    assert_eq!((table.missing, table.extra, table.samples.len()), (2, 131_070, 3), "{kind}");
    assert_eq!(reading.await.unwrap(), 131_072);
}

/// Generated values that another session computed, or another expression, with a key and without.
async fn generated(server: &Server, kind: &str) {
    let mut conn = session(server).await;
    databases(&mut conn).await;
    // MariaDB stores nothing that depends on the session's zone.
    let day = if kind.starts_with("mysql") { "day DATE AS (DATE(at)) STORED" } else { "day DATE" };
    let columns = format!(
        "at TIMESTAMP NOT NULL DEFAULT '2024-01-01 00:00:00', {day}, part DECIMAL(20,10) AS (id/7) STORED, twice INT AS (id*2) VIRTUAL"
    );
    for database in ["src", "dst"] {
        run(
            &mut conn,
            &format!("CREATE TABLE {database}.t ({columns}, id INT PRIMARY KEY);\nCREATE TABLE {database}.u ({columns}, id INT)"),
        )
        .await;
    }
    let insert = |database: &str, ids: &str| {
        let ids: Vec<String> = ids.split(',').map(|id| format!("('2024-07-01 00:30:00',{id})")).collect();
        let values = ids.join(",");
        format!("INSERT INTO {database}.t (at,id) VALUES {values};\nINSERT INTO {database}.u (at,id) VALUES {values}")
    };
    run(&mut conn, "SET time_zone='+00:00'").await;
    for database in ["src", "dst"] {
        run(&mut conn, &insert(database, "1,2,3,4")).await;
    }
    let plan = plan(server, "src", "dst").await;
    // What depends on a zone is read by every step; the others by the comparison alone.
    let read: Vec<&str> = plan
        .tables
        .iter()
        .flat_map(|table| &table.columns)
        .filter(|column| !column.write)
        .map(|c| &*c.destination_name)
        .collect();
    assert_eq!(read, if kind.starts_with("mysql") { vec!["day"] } else { Vec::new() }, "{kind}");
    let report = compare(server, server, &plan, options()).await;
    assert!(report.equal, "{kind}: {report:#?}");
    // The same row, written with other settings. A table that is open is computed with the settings of the session that opened it.
    let flush = "FLUSH TABLES src.t, src.u, dst.t, dst.u";
    run(&mut conn, &format!("SET div_precision_increment=10;\n{flush}")).await;
    run(&mut conn, &insert("src", "5,6")).await;
    run(&mut conn, &format!("SET div_precision_increment=4;\n{flush}")).await;
    run(&mut conn, &insert("dst", "5,6")).await;
    let mut expected = vec!["part", "part"];
    if kind.starts_with("mysql") {
        run(&mut conn, &insert("src", "7")).await;
        run(&mut conn, "SET time_zone='-05:00'").await;
        let moved = insert("dst", "7").replace("2024-07-01 00:30:00", "2024-06-30 19:30:00");
        run(&mut conn, &moved).await;
        // The other way round: the source's row has a zone, which the repair has to find.
        let moved = insert("src", "14").replace("2024-07-01 00:30:00", "2024-06-30 19:30:00");
        run(&mut conn, &moved).await;
        run(&mut conn, "SET time_zone='+00:00'").await;
        run(&mut conn, &insert("dst", "14")).await;
        expected.extend(["day", "day"]);
    }
    let report = compare(server, server, &plan, options()).await;
    let (keyed, keyless) = (&report.tables[0], &report.tables[1]);
    let found: Vec<&str> = keyed.samples.iter().filter_map(|sample| sample.column.as_deref()).collect();
    assert_eq!(found, expected, "{kind}: {keyed:#?}");
    let rows = expected.len() as u64;
    assert_eq!((keyless.missing, keyless.extra), (rows, rows), "{kind}: {keyless:#?}");
    // What the writing sessions can know makes it right.
    if kind.starts_with("mysql") {
        run(&mut conn, &format!("SET GLOBAL div_precision_increment=10;\n{flush}")).await;
        let report = compare(server, server, &plan, VerifyOptions { repair: true, ..options() }).await;
        run(&mut conn, "SET GLOBAL div_precision_increment=4").await;
        assert_eq!((report.tables[0].repaired, report.tables[0].different), (4, 0), "{:#?}", report.tables[0]);
    }
    run(&mut conn, "ALTER TABLE dst.t DROP COLUMN twice;\nALTER TABLE dst.t ADD COLUMN twice INT AS (id*3) VIRTUAL").await;
    let report = compare(server, server, &plan, VerifyOptions { sample_limit: 100, ..options() }).await;
    assert!(
        report.tables[0].different >= 6
            && report.tables[0].samples.iter().any(|sample| sample.column.as_deref() == Some("twice"))
    );
    // A column that the destination does not have is the definitions' to tell.
    run(&mut conn, "ALTER TABLE dst.t DROP COLUMN twice").await;
    let report = compare(server, server, &plan, options()).await;
    assert!(report.tables[0].error.is_none(), "{:#?}", report.tables[0]);
}

/// Definitions: nothing to say of the same ones, each planted change is named.
async fn definitions(server: &Server, kind: &str) {
    let mut conn = session(server).await;
    databases(&mut conn).await;
    for database in ["src", "dst"] {
        run(&mut conn, &format!("CREATE TABLE {database}.p (id INT PRIMARY KEY) ENGINE=InnoDB;\nCREATE TABLE {database}.t (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, a VARCHAR(20) NOT NULL, b INT, d INT, c INT AS (d+1) STORED, e ENUM('x','y'), KEY a (a(5)), UNIQUE KEY b (b,e), CONSTRAINT fk_{database} FOREIGN KEY (b) REFERENCES {database}.p (id) ON DELETE CASCADE);\nCREATE VIEW {database}.v AS SELECT id FROM {database}.p;\nCREATE TABLE {database}.w (id INT PRIMARY KEY, a VARCHAR(20) DEFAULT '😀é', g VARCHAR(40) AS (CONCAT(a,'😀')) STORED, e ENUM('é','ü'), n INT COMMENT 'é', v VARBINARY(3) DEFAULT 0x00FF, k INT) CHARSET=utf8mb4 COMMENT='é';\nCREATE TABLE {database}.q (id INT NOT NULL, s VARCHAR(9) CHARACTER SET utf8mb4, PRIMARY KEY (id), KEY ks (s) COMMENT 'é') PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (5), PARTITION p1 VALUES LESS THAN (9));\nCREATE VIEW {database}.x AS SELECT 'é' = 'e' AS eq;\nCREATE VIEW {database}.y AS SELECT 'a' = 'A' AS eq")).await;
    }
    // MySQL takes CHECKs from 8.0.16 on.
    let checks = kind != "mysql80";
    if checks {
        for database in ["src", "dst"] {
            run(
                &mut conn,
                &format!("ALTER TABLE {database}.q ADD CONSTRAINT small CHECK (id < 100), ADD CONSTRAINT gone CHECK (s <> 'é')"),
            )
            .await;
        }
    }
    let mut plan = plan(server, "src", "dst").await;
    let (views, failures) = read_views(&mut conn, "src").await.unwrap();
    assert!(failures.is_empty() && views.len() == 3, "{failures:?}");
    plan.views.extend(views.into_iter().map(|view| ViewPlan {
        destination: TableName { database: "dst".into(), table: view.name.table.clone() },
        source: view.name,
        create_statement: view.create_statement,
        session: view.session,
    }));
    let schema = VerifyOptions { schema: true, ..options() };
    let report = compare(server, server, &plan, schema.clone()).await;
    assert!(report.equal, "{kind}: {:?}", report.schema);
    run(&mut conn, "ALTER TABLE dst.t DROP FOREIGN KEY fk_dst, DROP KEY a, ADD KEY a (a(6)), MODIFY a VARCHAR(21) NULL, ADD extra INT, MODIFY e ENUM('x','z');\nDROP VIEW dst.v;\nSET NAMES utf8mb4;\nALTER TABLE dst.w MODIFY a VARCHAR(20) DEFAULT '😁é', MODIFY e ENUM('é','u'), MODIFY n INT COMMENT 'e', MODIFY v VARBINARY(3) DEFAULT 0x003F, MODIFY k INT DEFAULT 7, COMMENT='e';\nALTER TABLE dst.w MODIFY g VARCHAR(40) AS (CONCAT(a,'😁')) STORED;\nCREATE OR REPLACE VIEW dst.x AS SELECT 'é' = 'f' AS eq;\nSET NAMES utf8mb4 COLLATE utf8mb4_bin;\nCREATE OR REPLACE VIEW dst.y AS SELECT 'a' = 'A' AS eq").await;
    run(
        &mut conn,
        "ALTER TABLE dst.q REORGANIZE PARTITION p1 INTO (PARTITION p1 VALUES LESS THAN (10));\nALTER TABLE dst.q DROP KEY ks, ADD KEY ks (s) COMMENT 'e'",
    )
    .await;
    let mut planted = vec![("table dst.q", "table: partitions"), ("table dst.q", "index ks: comment")];
    if checks {
        run(&mut conn, "ALTER TABLE dst.q DROP CONSTRAINT small, DROP CONSTRAINT gone;\nALTER TABLE dst.q ADD CONSTRAINT small CHECK (id > 100), ADD CONSTRAINT more CHECK (id <> 7)").await;
        planted.extend([
            ("table dst.q", "check small: expression"),
            ("table dst.q", "check gone"),
            ("table dst.q", "check more"),
        ]);
    }
    let report = compare(server, server, &plan, schema).await;
    let what: BTreeSet<&str> = report.schema.iter().map(|difference| difference.what.as_str()).collect();
    for (object, wanted) in [
        ("table dst.w", "column a: default"),
        ("table dst.w", "column g: expression"),
        ("table dst.w", "column e: labels"),
        ("table dst.w", "column n: comment"),
        ("table dst.w", "column v: default"),
        ("table dst.w", "column k: default"),
        ("table dst.w", "table: comment"),
        ("view dst.x", "text"),
        ("view dst.y", "collation_connection"),
    ]
    .into_iter()
    .chain(planted)
    {
        let named = report.schema.iter().any(|difference| difference.object == object && difference.what == wanted);
        assert!(named, "{kind}: {object}, {wanted}: {:#?}", report.schema);
    }
    let wanted = ["column a: type", "column a: nullable", "column extra", "column e: kind", "index a", "the object itself"];
    assert!(wanted.iter().all(|wanted| what.contains(wanted)), "{kind}: {:#?}", report.schema);
    assert!(what.iter().any(|what| what.starts_with("foreign key")), "{kind}: {what:?}");
    assert!(!report.equal);
}

/// JSON between MySQL and MariaDB: spelling does not count, values do; in both directions.
async fn json_across(mysql: &Server, mariadb: &Server) {
    let documents = [
        r#"{"b": 1, "a": [1.5, 1e2, true, null, "x\\u00e4\\n"], "long key": {}}"#,
        "12345678901234567890",
        r#"{"n": 0.1, "m": -0.0}"#,
        r#""text""#,
    ];
    let mut conns = [session(mysql).await, session(mariadb).await];
    for conn in &mut conns {
        databases(conn).await;
        for database in ["src", "dst"] {
            run(conn, &format!("CREATE TABLE {database}.t (id INT PRIMARY KEY, j JSON)")).await;
            for (id, document) in documents.iter().enumerate() {
                run(conn, &format!("INSERT INTO {database}.t VALUES ({id}, '{document}')")).await;
            }
        }
    }
    for (source, destination) in [(mysql, mariadb), (mariadb, mysql)] {
        let plan = plan_between(source, destination).await;
        let report = compare(source, destination, &plan, options()).await;
        assert!(report.equal, "{report:#?}");
    }
    for conn in &mut conns {
        run(conn, "UPDATE dst.t SET j='{\"b\": 1, \"a\": [1.5, 1e2, true, null, \"x\"], \"long key\": {}}' WHERE id=0;\nUPDATE dst.t SET j='12345678901234567891' WHERE id=1").await;
    }
    for (source, destination) in [(mysql, mariadb), (mariadb, mysql)] {
        let plan = plan_between(source, destination).await;
        let report = compare(source, destination, &plan, options()).await;
        assert_eq!(report.tables[0].different, 2, "{report:#?}");
    }
}

async fn plan_between(source: &Server, destination: &Server) -> Plan {
    let (from, to) = (
        connector(source, "source").server_info().await.unwrap(),
        connector(destination, "destination").server_info().await.unwrap(),
    );
    plan(source, "src", "dst").await.between(&from, &to)
}

#[tokio::test(flavor = "multi_thread")]
async fn json_between_families() {
    let (mysql, mariadb) = (Server::start("mysql97", &[]), Server::start("mariadb114", &[]));
    json_across(&mysql, &mariadb).await;
}

/// Types and collations that the two ends order differently: every row meets its counterpart, and a row that only the destination
/// has counts once, however many pieces hold it there.
async fn orders_across(source: &Server, destination: &Server) {
    let (mut left, mut right) = (session(source).await, session(destination).await);
    databases(&mut left).await;
    databases(&mut right).await;
    run(&mut left, "USE src;\nSET NAMES utf8mb4").await;
    run(&mut right, "SET NAMES utf8mb4").await;
    let uca = |collation: &str| format!("VARCHAR(40) CHARACTER SET utf8mb4 COLLATE {collation}");
    let tables = [
        (
            "uuids",
            "UUID".to_owned(),
            "CHAR(36) CHARACTER SET latin1".to_owned(),
            "CONCAT(LEFT(MD5(n),8),'-',MID(MD5(n),9,4),'-',ELT(1+n%3,'1','4','7'),MID(MD5(n),14,3),'-a',MID(MD5(n),18,3),'-',RIGHT(MD5(n),12))".to_owned(),
        ),
        ("sixes", "INET6".into(), "VARCHAR(39) CHARACTER SET latin1".into(), "CONCAT(HEX(n*n*37%65536),'::',HEX(n))".into()),
        (
            "fours",
            "INET4".into(),
            "VARCHAR(15) CHARACTER SET latin1".into(),
            "CONCAT(n*7%256,'.',n%251,'.',n DIV 256,'.1')".into(),
        ),
        ("words", uca("utf8mb4_bin"), uca("utf8mb4_0900_ai_ci"), "CONCAT(CHAR(65+n%26+32*(n%2) USING utf8mb4),'é-_ ',n)".into()),
        (
            "texts",
            uca("utf8mb4_uca1400_ai_ci"),
            uca("utf8mb4_0900_ai_ci"),
            "CONCAT(ELT(1+n%5,'ß','Zé','-','_x','日本'),n)".into(),
        ),
    ];
    for (table, own, other, value) in &tables {
        run(&mut left, &format!("CREATE TABLE src.{table} (k {own} PRIMARY KEY, n INT NOT NULL);\nINSERT INTO src.{table} SELECT {value}, n FROM (SELECT seq AS n FROM seq_1_to_500) s")).await;
        let shown = if own.starts_with("VARCHAR") { "k".to_owned() } else { "CAST(k AS CHAR)".to_owned() };
        let rows: Vec<(String, i32)> = left.query(format!("SELECT {shown}, n FROM src.{table}")).await.unwrap();
        assert_eq!(rows.len(), 500);
        let values: Vec<String> = rows.iter().map(|(key, n)| format!("('{key}',{n})")).collect();
        run(
            &mut right,
            &format!(
                "CREATE TABLE dst.{table} (k {other} PRIMARY KEY, n INT NOT NULL);\nINSERT INTO dst.{table} VALUES {}",
                values.join(",")
            ),
        )
        .await;
    }
    let plan = plan(source, "src", "dst").await;
    let sizes = [300, 4_000, 8 << 20];
    for piece_bytes in sizes {
        let report = compare(source, destination, &plan, VerifyOptions { piece_bytes, ..options() }).await;
        assert!(report.equal, "{piece_bytes}: {report:#?}");
        assert!(report.tables.iter().all(|table| table.rows == 500), "{report:#?}");
    }
    for (table, ..) in &tables {
        run(&mut left, &format!("DELETE FROM src.{table} WHERE n%10=3")).await;
        run(&mut right, &format!("DELETE FROM dst.{table} WHERE n%20=7;\nUPDATE dst.{table} SET n=-n WHERE n%50=9")).await;
    }
    for piece_bytes in sizes {
        let report = compare(source, destination, &plan, VerifyOptions { piece_bytes, ..options() }).await;
        for table in &report.tables {
            let found = (table.missing, table.extra, table.different, table.rows);
            assert_eq!(found, (25, 50, 10, 450), "{} {piece_bytes} {:?}", table.source, table.error);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_between_families() {
    let (mariadb, mysql) = (Server::start("mariadb114", &[]), Server::start("mysql97", &[]));
    orders_across(&mariadb, &mysql).await;
    let mysql = Server::start("mysql80", &[]);
    orders_across(&mariadb, &mysql).await;
}

async fn everything(kind: &str) {
    let server = Server::start(kind, &[]);
    every_type(&server, kind).await;
    keys_and_pieces(&server, kind).await;
    keyless(&server, kind).await;
    collations(&server, kind).await;
    resume_sampling_limits(&server, kind).await;
    changes_flow(&server, kind).await;
    many_extra_rows(&server, kind).await;
    definitions(&server, kind).await;
    generated(&server, kind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_8_0() {
    everything("mysql80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_9_7() {
    everything("mysql97").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_11_4() {
    everything("mariadb114").await;
}
