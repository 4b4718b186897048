//! What sessions and settings do to the log: compression, partial JSON, tags, XA, row images, statements.

use godwit::engine::binlog::{MapColumn, RowDecoder, RowsKind};
use godwit::model::position::{GtidPosition, GtidSet, MariaGtidPosition, Position, TransactionId};
use mysql_async::prelude::Queryable;

use super::json;
use super::server::{Log, Server, definition, logged, select, session, stream};

const ALL: [&str; 4] = ["mysql97", "mysql80", "mysql57", "mariadb114"];

fn trail(log: &Log, of: &str) -> Vec<String> {
    log.trail.iter().filter(|note| note.starts_with(of)).cloned().collect()
}

#[tokio::test]
async fn compressed_transactions() {
    let server = Server::start("mysql97", &["--binlog-transaction-compression=ON"]);
    let mut connection = session(&server).await;
    connection.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)").await.unwrap();
    connection.query_drop("INSERT INTO t VALUES (1, 'x'), (2, REPEAT('abc', 3000000)), (3, NULL)").await.unwrap();
    connection.query_drop("BEGIN").await.unwrap();
    for i in 10..2000 {
        connection.query_drop(format!("INSERT INTO t VALUES ({i}, REPEAT('y', {i}))")).await.unwrap();
    }
    connection.query_drop("COMMIT").await.unwrap();
    let definition = definition(&mut connection, "t").await;
    let rows = select(&mut connection, &definition).await;
    let log = logged(&server).await;
    let found: Vec<_> = log.decode(&definition).into_iter().map(|change| change.2.unwrap()).collect();
    assert_eq!(found, rows);
    assert!(log.rows_of("t").all(|change| change.payload));
    assert_eq!(trail(&log, "payload").len(), 2);
    assert_eq!(trail(&log, "xid").len(), 2);
}

#[tokio::test]
async fn partial_json() {
    for kind in ["mysql97", "mysql80"] {
        let server = Server::start(kind, &["--binlog-row-value-options=PARTIAL_JSON"]);
        let mut connection = session(&server).await;
        connection.query_drop("CREATE TABLE j (id INT PRIMARY KEY, a JSON, n INT, v JSON, w JSON)").await.unwrap();
        let definition = definition(&mut connection, "j").await;
        let mut expected = Vec::new();
        let statements = [
            "INSERT INTO j VALUES (1, '{\"a\": 1, \"b\": [1, 2, {\"c\": \"xxxxxxxxxxxx\"}], \"q\\\\\"uote d\": {\"ü\": 1}}', 1, '[1, 2, 3]', NULL)",
            "UPDATE j SET a = JSON_SET(a, '$.a', 7)",
            "UPDATE j SET a = JSON_SET(a, '$.a', CAST(1.5 AS DECIMAL(5,2)), '$.new', 'v')",
            "UPDATE j SET a = JSON_REPLACE(a, '$.b[2].c', 'short', '$.b[last-2]', NULL), n = 2",
            "UPDATE j SET a = JSON_REMOVE(a, '$.b[0]'), v = JSON_SET(v, '$[1]', JSON_OBJECT('k', TRUE))",
            "UPDATE j SET a = JSON_SET(a, '$.\"q\\\\\"uote d\".\"ü\"', JSON_ARRAY(1, 2))",
            "UPDATE j SET a = JSON_SET(a, '$.zz', 1, '$.y', 2, '$.b[9]', 'end')",
            "UPDATE j SET v = JSON_SET(v, '$[last]', 'l'), w = '{\"a\": [5]}'",
            "UPDATE j SET w = JSON_SET(w, '$.a[0]', CAST('2020-01-01 01:02:03' AS DATETIME)), v = NULL",
            "UPDATE j SET w = JSON_REMOVE(JSON_SET(w, '$.a[1]', 2, '$.b', 3), '$.a[0]')",
            "UPDATE j SET w = JSON_REPLACE(w, '$.b[0]', 'wrapped'), id = 2",
        ];
        for statement in statements {
            connection.query_drop(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
            expected.push(select(&mut connection, &definition).await.remove(0));
        }
        let log = logged(&server).await;
        let changes = log.decode(&definition);
        assert!(changes.iter().any(|change| change.0 == RowsKind::PartialUpdate));
        for (i, (_, before, after)) in changes.iter().enumerate() {
            assert_eq!(after.as_ref(), Some(&expected[i]), "{kind} after {}", statements[i]);
            if i > 0 {
                assert_eq!(before.as_ref(), Some(&expected[i - 1]), "{kind} before {}", statements[i]);
            }
        }
    }
}

#[tokio::test]
async fn random_partial_json() {
    let server = Server::start("mysql97", &["--binlog-row-value-options=PARTIAL_JSON"]);
    let mut connection = session(&server).await;
    connection.query_drop("CREATE TABLE j (id INT PRIMARY KEY, v JSON)").await.unwrap();
    let definition = definition(&mut connection, "j").await;
    connection.query_drop("BEGIN").await.unwrap();
    for seed in 0..300u64 {
        connection.exec_drop("INSERT INTO j VALUES (?, ?)", (seed, json::random(seed + 77))).await.unwrap();
        let functions = ["JSON_SET", "JSON_REPLACE", "JSON_REMOVE"];
        let paths =
            ["$.k1", "$.kk2", "$.\"0\"", "$.\"0\".k1", "$[0]", "$[1]", "$[last]", "$[2].k1", "$.kkk0[1]", "$.k1.kk1", "$[0][0]"];
        for step in 0..8u64 {
            let choice = seed * 31 + step * 7;
            let function = functions[(choice % 3) as usize];
            let path = paths[(choice % 11) as usize];
            let update = if function == "JSON_REMOVE" {
                format!("UPDATE j SET v = {function}(v, '{path}') WHERE id = {seed}")
            } else {
                format!("UPDATE j SET v = {function}(v, '{path}', CAST(? AS JSON)) WHERE id = {seed}")
            };
            // Paths that a document cannot take are refused by the server.
            let _ = if function == "JSON_REMOVE" {
                connection.exec_drop(update, ()).await
            } else {
                connection.exec_drop(update, (json::random(choice + 5),)).await
            };
        }
    }
    connection.query_drop("COMMIT").await.unwrap();
    let rows = select(&mut connection, &definition).await;
    let mut state = std::collections::BTreeMap::new();
    let mut partial = 0;
    for (kind, before, after) in logged(&server).await.decode(&definition) {
        let after = after.unwrap();
        let id: u64 = String::from_utf8_lossy(after.cells().next().unwrap().unwrap()).parse().unwrap();
        assert_eq!(state.get(&id), before.as_ref());
        partial += u32::from(kind == RowsKind::PartialUpdate);
        state.insert(id, after);
    }
    assert!(partial > 100, "{partial}");
    assert_eq!(state.into_values().collect::<Vec<_>>(), rows);
}

#[tokio::test]
async fn gtids_of_mysql() {
    let server = Server::start("mysql97", &[]);
    let mut connection = session(&server).await;
    connection.query_drop("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    for tag in ["first", "second"] {
        for i in 0..150 {
            connection.query_drop(format!("SET gtid_next = 'AUTOMATIC:{tag}'")).await.unwrap();
            connection.query_drop(format!("INSERT INTO t VALUES ({i}{})", tag.len())).await.unwrap();
        }
    }
    connection.query_drop("SET gtid_next = '3e11fa47-71ca-11e1-9e33-c80aa9429562:a_tag:9223372036854775806'").await.unwrap();
    connection.query_drop("BEGIN").await.unwrap();
    connection.query_drop("COMMIT").await.unwrap();
    connection.query_drop("SET gtid_next = AUTOMATIC").await.unwrap();
    connection.query_drop("FLUSH BINARY LOGS").await.unwrap();
    let (executed,): (Vec<u8>,) = connection.query_first("SELECT @@GLOBAL.gtid_executed").await.unwrap().unwrap();
    let (now,): (f64,) = connection.exec_first("SELECT UNIX_TIMESTAMP(NOW(6)) + 0e0", ()).await.unwrap().unwrap();
    let executed: GtidSet = String::from_utf8(executed).unwrap().parse().unwrap();
    let log = logged(&server).await;
    let mut seen = GtidSet::new();
    for start in &log.starts {
        let TransactionId::MySql(gtid) = &start.id else { panic!("{start:?}") };
        assert!(!seen.contains(gtid));
        seen.insert(gtid);
        let age = now - start.original_commit_us.unwrap() as f64 / 1e6;
        assert!((-1.0..120.0).contains(&age), "{start:?}");
        assert!(start.transaction_length.unwrap() > 100);
    }
    assert_eq!(seen, executed);
    assert_eq!(*trail(&log, "previous").last().unwrap(), format!("previous {executed}"));
    // The server reads our form of the set.
    let (equal,): (bool,) = connection
        .exec_first(
            "SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed) AND GTID_SUBSET(@@GLOBAL.gtid_executed, ?)",
            (executed.to_string(), executed.to_string()),
        )
        .await
        .unwrap()
        .unwrap();
    assert!(equal);
    // A dump that starts after this set has nothing but the file's head.
    let start = Position { gtid: GtidPosition::MySql(executed), ..Position::default() };
    let mut stream = stream(&server, &start).await;
    while let Some(event) = stream.next().await.unwrap() {
        assert!(!matches!(event.raw().event_type, 33 | 42));
    }
}

#[tokio::test]
async fn xa_transactions() {
    for kind in ALL {
        let server = Server::start(kind, &[]);
        let mut connection = session(&server).await;
        connection.query_drop("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
        for (i, end) in [(1, "COMMIT"), (2, "ROLLBACK"), (3, "COMMIT")] {
            let xid = format!("'glo\\0bal{i}','br',{}", 7 + i);
            connection.query_drop(format!("XA START {xid}")).await.unwrap();
            connection.query_drop(format!("INSERT INTO t VALUES ({i})")).await.unwrap();
            connection.query_drop(format!("XA END {xid}")).await.unwrap();
            if i < 3 {
                connection.query_drop(format!("XA PREPARE {xid}")).await.unwrap();
                connection.query_drop(format!("XA {end} {xid}")).await.unwrap();
            } else {
                connection.query_drop(format!("XA {end} {xid} ONE PHASE")).await.unwrap();
            }
        }
        let log = logged(&server).await;
        let xid = |i: u8| format!("X'676c6f0062616c3{i}',X'6272',{}", 7 + i);
        assert!(log.trail.contains(&format!("prepare {} false", xid(1))), "{kind} {:?}", log.trail);
        assert!(log.trail.contains(&format!("query XA COMMIT {}", xid(1))), "{kind} {:?}", log.trail);
        assert!(log.trail.contains(&format!("query XA ROLLBACK {}", xid(2))), "{kind} {:?}", log.trail);
        if server.is_maria() {
            let of = |i: u8| {
                log.starts.iter().filter_map(|start| start.maria.clone()).filter(|maria| maria.prepares == Some(xid(i))).count()
            };
            let done = |i: u8| {
                log.starts.iter().filter_map(|start| start.maria.clone()).filter(|maria| maria.completes == Some(xid(i))).count()
            };
            assert_eq!((of(1), done(1), of(2), done(2)), (1, 1, 1, 1));
        } else if server.mysql() > Some(57) {
            assert!(log.trail.contains(&format!("prepare {} true", xid(3))), "{kind} {:?}", log.trail);
        }
        println!("{kind} {:#?}", log.trail);
    }
}

#[tokio::test]
async fn gtids_and_positions_of_mariadb() {
    let server = Server::start("mariadb114", &["--log-bin-compress=ON", "--log-bin-compress-min-len=10"]);
    let mut connection = session(&server).await;
    connection.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200))").await.unwrap();
    connection.query_drop("SET gtid_domain_id = 7").await.unwrap();
    connection.query_drop("INSERT INTO t VALUES (1, 'a'), (2, REPEAT('b', 200))").await.unwrap();
    connection.query_drop("SET gtid_domain_id = 0").await.unwrap();
    connection.query_drop("BEGIN").await.unwrap();
    connection.query_drop("UPDATE t SET v = CONCAT(v, 'x')").await.unwrap();
    connection.query_drop("DELETE FROM t WHERE id = 1").await.unwrap();
    connection.query_drop("COMMIT").await.unwrap();
    connection.query_drop("FLUSH BINARY LOGS").await.unwrap();
    connection.query_drop("INSERT INTO t VALUES (5, 'z')").await.unwrap();
    let (position,): (Vec<u8>,) = connection.query_first("SELECT @@GLOBAL.gtid_binlog_pos").await.unwrap().unwrap();
    let position: MariaGtidPosition = String::from_utf8(position).unwrap().parse().unwrap();
    let log = logged(&server).await;
    let mut seen = MariaGtidPosition::new();
    for start in &log.starts {
        let TransactionId::MariaDb(gtid) = &start.id else { panic!("{start:?}") };
        assert!(!seen.contains(gtid));
        seen.insert(gtid);
    }
    assert_eq!(seen, position);
    println!("{:#?}\n{:?}", log.trail, log.positions);
    for rotate in trail(&log, "rotate") {
        assert!(rotate.contains("binlog.00000") && rotate.is_ascii() && rotate.ends_with(" 4"), "{rotate}");
    }
    let standalone: Vec<bool> = log.starts.iter().map(|start| start.maria.as_ref().unwrap().standalone).collect();
    assert_eq!(standalone, [true, true, false, false, false]);
}

#[tokio::test]
async fn generated_and_invisible_columns() {
    for kind in ALL {
        let server = Server::start(kind, &[]);
        let mut connection = session(&server).await;
        let mut tables = vec![
            "CREATE TABLE g1 (id INT PRIMARY KEY, a INT, v INT AS (a + 1) VIRTUAL, s INT AS (a + 2) STORED, z VARCHAR(10))",
            "CREATE TABLE g2 (id INT PRIMARY KEY, a INT, v INT AS (a + 1) VIRTUAL, z VARCHAR(10), KEY (v))",
        ];
        if server.mysql() == Some(97) {
            tables.push("CREATE TABLE g3 (id INT PRIMARY KEY, a INT, i INT INVISIBLE DEFAULT 4, z VARCHAR(10), KEY ((a * 2)), KEY ((CONCAT(z, 'x'))))");
            tables.push("CREATE TABLE g4 (id INT PRIMARY KEY, a INT, z JSON, KEY ((CAST(z->'$.a' AS UNSIGNED ARRAY))))");
        }
        if server.is_maria() {
            tables.push("CREATE TABLE g3 (id INT PRIMARY KEY, a INT, i INT INVISIBLE DEFAULT 4, z VARCHAR(10))");
        }
        let mut expected = Vec::new();
        for create in &tables {
            let table = create.split(' ').nth(2).unwrap();
            connection.query_drop(*create).await.unwrap();
            let z = if table == "g4" { "'{\"a\": [1, 2]}'" } else { "'zz'" };
            connection.query_drop(format!("INSERT INTO {table} (id, a, z) VALUES (1, 5, {z}), (2, NULL, NULL)")).await.unwrap();
            let definition = definition(&mut connection, table).await;
            let inserted = select(&mut connection, &definition).await;
            connection.query_drop(format!("UPDATE {table} SET a = 9 ORDER BY id")).await.unwrap();
            let updated = select(&mut connection, &definition).await;
            expected.push((definition, inserted, updated));
        }
        let log = logged(&server).await;
        for (definition, inserted, updated) in expected {
            let changes = log.decode(&definition);
            let stored: Vec<usize> = (0..definition.columns.len())
                .filter(|i| definition.columns[*i].generated != godwit::model::definition::Generated::Virtual)
                .collect();
            for (i, (_, before, after)) in changes.iter().enumerate() {
                let of = |row: &godwit::model::row::Row| row.project(&stored);
                let wanted = if i < 2 { &inserted[i] } else { &updated[i - 2] };
                assert_eq!(of(after.as_ref().unwrap()), of(wanted), "{kind} {}", definition.table);
                if let Some(before) = before {
                    assert_eq!(of(before), of(&inserted[i - 2]), "{kind} {}", definition.table);
                }
            }
            assert_eq!(changes.len(), 4);
        }
    }
}

/// 8.0 logs the columns behind them.
#[tokio::test]
async fn functional_indexes() {
    for kind in ["mysql80", "mysql97"] {
        let server = Server::start(kind, &[]);
        let mut connection = session(&server).await;
        let mut expected = Vec::new();
        for (metadata, create, later) in [
            (
                "FULL",
                "t1 (id INT PRIMARY KEY, a INT, z VARCHAR(10), KEY ((a * 2)), UNIQUE KEY ((CONCAT(z, 'x'))))",
                "z2 VARCHAR(10)",
            ),
            ("MINIMAL", "t2 (id INT PRIMARY KEY, a INT, z VARCHAR(10), KEY ((a * 2)), KEY ((a * 1e0)))", "w DATE"),
        ] {
            let table = &create[..2];
            connection.query_drop(format!("SET GLOBAL binlog_row_metadata = {metadata}")).await.unwrap();
            connection.query_drop(format!("CREATE TABLE {create}")).await.unwrap();
            connection.query_drop(format!("ALTER TABLE {table} ADD COLUMN {later}")).await.unwrap();
            connection
                .query_drop(format!("INSERT INTO {table} VALUES (1, 5, 'zz', '2020-01-02'), (2, NULL, NULL, NULL)"))
                .await
                .unwrap();
            let definition = definition(&mut connection, table).await;
            let rows = select(&mut connection, &definition).await;
            connection.query_drop(format!("UPDATE {table} SET id = id + 10, z = CONCAT('y', id) ORDER BY id")).await.unwrap();
            let moved = select(&mut connection, &definition).await;
            expected.push((definition, [rows, moved].concat()));
        }
        let log = logged(&server).await;
        for (definition, rows) in expected {
            let after: Vec<_> = log.decode(&definition).into_iter().map(|change| change.2.unwrap()).collect();
            assert_eq!(after, rows, "{kind} {}", definition.table);
            let map = log.maps.iter().find(|map| map.table == definition.table).unwrap();
            assert_eq!(map.columns.len(), if kind == "mysql80" { 6 } else { 4 });
        }
    }
}

#[tokio::test]
async fn optional_metadata() {
    for kind in ["mysql97", "mysql80", "mariadb114"] {
        let server = Server::start(kind, &["--binlog-row-metadata=FULL"]);
        let mut connection = session(&server).await;
        let (own, invisible) = match kind {
            "mysql97" => ("x1 VECTOR(5), ", "INVISIBLE"),
            "mysql80" => ("", ""),
            _ => ("x1 TEXT COMPRESSED, x2 VARCHAR(9) COMPRESSED CHARACTER SET latin1, x3 UUID, x4 INET6, ", "INVISIBLE"),
        };
        connection
            .query_drop(format!(
                "CREATE TABLE m (id INT UNSIGNED, k VARCHAR(10) CHARACTER SET latin1, n BIGINT, f FLOAT UNSIGNED, dd DECIMAL(5,2), g POINT, c1 CHAR(3) CHARACTER SET ascii, {own} j JSON, b BLOB, bi BINARY(3), \
                 e ENUM('a','ü') CHARACTER SET latin1, s SET('p','q') CHARACTER SET utf8mb4, t TEXT CHARACTER SET cp1251, bt BIT(3), u TINYINT UNSIGNED, y YEAR, g2 GEOMETRY, i INT {invisible}, vb VARBINARY(3), last CHAR(5) CHARACTER SET greek, PRIMARY KEY (id, k(3)))"
            ))
            .await
            .unwrap();
        connection.query_drop("INSERT INTO m (id, k) VALUES (1, 'a')").await.unwrap();
        let collations: Vec<(Vec<u8>, u32)> = connection
            .exec("SELECT CAST(c.column_name AS CHAR), CAST(n.id AS UNSIGNED) FROM information_schema.columns c JOIN information_schema.collations n ON n.collation_name = c.collation_name WHERE c.table_schema = 'd' AND c.table_name = 'm'", ())
            .await
            .unwrap();
        let definition = definition(&mut connection, "m").await;
        let log = logged(&server).await;
        let map = log.maps.iter().find(|map| map.table == "m").unwrap();
        println!("{kind} {map:#?}");
        for (column, defined) in map.columns.iter().zip(&definition.columns) {
            assert_eq!(column.name.as_deref(), Some(defined.name.as_str()));
            let wanted = collations.iter().find(|(name, _)| *name == defined.name.as_bytes()).map(|(_, id)| *id);
            if let Some(wanted) = wanted {
                assert_eq!(column.collation.unwrap_or(wanted), wanted, "{kind} {}", defined.name);
            }
        }
        let of = |name: &str| -> &MapColumn { map.columns.iter().find(|column| column.name.as_deref() == Some(name)).unwrap() };
        assert_eq!(
            (of("id").unsigned, of("n").unsigned, of("f").unsigned, of("u").unsigned),
            (Some(true), Some(false), Some(true), Some(true))
        );
        assert_eq!(of("e").labels, Some(vec![b"a".to_vec(), b"\xfc".to_vec()]));
        assert_eq!(of("s").labels, Some(vec![b"p".to_vec(), b"q".to_vec()]));
        assert!(of("last").collation.is_some() && of("c1").collation.is_some() && of("t").collation.is_some());
        assert_eq!(map.primary_key, vec![(0, 0), (1, 3)]);
        assert_eq!(log.decode(&definition).len(), 1);
        // A changed name is a changed table.
        let mut renamed = definition.clone();
        renamed.columns[2].name = "other".into();
        assert!(RowDecoder::new(&renamed, map, &[], &[]).unwrap_err().to_string().contains("`other`"));
        let mut signed = definition;
        signed.columns[0].kind = godwit::model::definition::Kind::Int { unsigned: false };
        assert!(RowDecoder::new(&signed, map, &[], &[]).is_err());
    }
}

#[tokio::test]
async fn other_row_images_are_refused() {
    for kind in ALL {
        let server = Server::start(kind, &[]);
        let mut connection = session(&server).await;
        connection.query_drop("CREATE TABLE t (id INT PRIMARY KEY, a INT, b BLOB)").await.unwrap();
        connection.query_drop("INSERT INTO t VALUES (1, 2, 'x')").await.unwrap();
        let definition = definition(&mut connection, "t").await;
        for image in ["MINIMAL", "NOBLOB"] {
            connection.query_drop(format!("SET SESSION binlog_row_image = {image}")).await.unwrap();
            connection.query_drop("UPDATE t SET a = a + 1").await.unwrap();
        }
        let log = logged(&server).await;
        let results: Vec<_> = log
            .rows_of("t")
            .map(|change| {
                let decoder = RowDecoder::new(&definition, &change.rows.table, &[0], &[0, 1, 2]).unwrap();
                decoder.decode_rows(&change.rows, &mut |_, _| Ok(())).map_err(|error| error.to_string())
            })
            .collect();
        assert_eq!(results.len(), 3);
        assert!(results[0].is_ok());
        for result in &results[1..] {
            let error = result.as_ref().unwrap_err();
            assert!(error.contains("d.t") && error.contains("binlog_row_image"), "{error}");
        }
    }
}

#[tokio::test]
async fn statements() {
    for kind in ALL {
        let options = if kind == "mariadb114" { "--binlog-annotate-row-events=ON" } else { "--binlog-rows-query-log-events=ON" };
        let server = Server::start(kind, &[options]);
        let mut connection = session(&server).await;
        connection.query_drop("SET time_zone = 'SYSTEM', foreign_key_checks = 0, sql_mode = 'ANSI_QUOTES,NO_ZERO_DATE', auto_increment_increment = 5").await.unwrap();
        connection.query_drop("SET timestamp = 1700000000.123456").await.unwrap();
        connection.query_drop("CREATE TABLE \"t\" (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(10), n DATETIME)").await.unwrap();
        connection.query_drop("INSERT INTO t (v) VALUES ('annotated')").await.unwrap();
        connection.query_drop("SET SESSION binlog_format = STATEMENT").await.ok();
        connection.query_drop("SET @x = 'user variable'").await.unwrap();
        connection.query_drop("INSERT INTO t (v, n) VALUES (LEFT(@x, 3), FROM_UNIXTIME(RAND() * 1000 + 1))").await.unwrap();
        connection.query_drop("DROP TABLE t").await.unwrap();
        let log = logged(&server).await;
        println!("{kind} {:#?}", log.trail);
        // MariaDB sends them only to those that ask.
        let annotated = if server.is_maria() { 0 } else { 1 };
        assert_eq!(trail(&log, "rows query INSERT INTO t (v) VALUES ('annotated')").len(), annotated, "{kind} {:?}", log.trail);
        assert_eq!(trail(&log, "StatementPart").len(), 3, "{kind} {:?}", log.trail);
        assert_eq!(trail(&log, "query CREATE TABLE \"t\"").len(), 1);
    }
}
