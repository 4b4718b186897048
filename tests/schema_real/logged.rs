//! What the servers write into their logs for many statements is understood, every one of it.

use godwit::engine::connection::server_info;
use godwit::engine::logged::{DdlKind, Statement, classify};
use godwit::engine::sql::lexer::LexMode;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use godwit_testkit::lab::Server;

const STATEMENTS: &str = "
CREATE DATABASE d1 CHARACTER SET utf8mb4;
USE d1;
CREATE TABLE a (id INT PRIMARY KEY, v INT);
/* lead */ CREATE TABLE IF NOT EXISTS a (id INT) -- trail;
CREATE TABLE `b``c` LIKE a;
CREATE TABLE s1 SELECT * FROM a;
CREATE TABLE s2 (PRIMARY KEY (id)) AS SELECT * FROM a;
CREATE TABLE x1 (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES a (id));
INSERT INTO a VALUES (1,1),(2,2);
START TRANSACTION;
INSERT INTO a VALUES (9,9);
SAVEPOINT `s p`;
INSERT INTO a VALUES (3,3);
ROLLBACK TO SAVEPOINT `s p`;
INSERT INTO a VALUES (4,4);
RELEASE SAVEPOINT `s p`;
COMMIT;
ALTER TABLE a ADD COLUMN w INT, ADD KEY kv (v);
ALTER TABLE a RENAME TO a2, ADD COLUMN y INT;
ALTER TABLE a2 RENAME a;
RENAME TABLE a TO z, `b``c` TO d1.bc;
RENAME TABLE z TO a;
TRUNCATE TABLE bc;
CREATE UNIQUE INDEX u ON bc (v);
DROP INDEX u ON bc;
CREATE VIEW vw AS SELECT * FROM a;
CREATE OR REPLACE VIEW vw AS SELECT id FROM a;
ALTER VIEW vw AS SELECT v FROM a;
CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW SET NEW.v = 1;
CREATE PROCEDURE pr() SELECT 1;
CREATE FUNCTION fu() RETURNS INT DETERMINISTIC RETURN 1;
CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1;
ALTER EVENT ev RENAME TO ev2;
ALTER PROCEDURE pr COMMENT 'x';
CREATE TEMPORARY TABLE tt (a INT);
INSERT INTO tt VALUES (1);
DROP TEMPORARY TABLE tt;
DROP EVENT ev2;
DROP FUNCTION fu;
DROP PROCEDURE pr;
DROP TRIGGER tr;
DROP VIEW IF EXISTS vw, no_such;
ANALYZE TABLE a;
OPTIMIZE TABLE a;
CREATE USER u1 IDENTIFIED BY 'x';
GRANT SELECT ON d1.* TO u1;
SET PASSWORD FOR u1 = 'y1';
REVOKE SELECT ON d1.* FROM u1;
RENAME USER u1 TO u2;
DROP USER u2;
FLUSH TABLES;
CREATE TABLE p (id INT) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (5));
ALTER TABLE p ADD PARTITION (PARTITION p1 VALUES LESS THAN (9));
CREATE TABLE pt (id INT);
ALTER TABLE p EXCHANGE PARTITION p0 WITH TABLE pt;
ALTER TABLE p TRUNCATE PARTITION p1;
ALTER TABLE p DROP PARTITION p1;
XA START 'ab','c',7;
INSERT INTO a (id, v) VALUES (100,1);
XA END 'ab','c',7;
XA PREPARE 'ab','c',7;
XA COMMIT 'ab','c',7;
XA START 'one';
INSERT INTO a (id, v) VALUES (101,1);
XA END 'one';
XA COMMIT 'one' ONE PHASE;
ALTER DATABASE d1 COLLATE utf8mb4_bin;
CREATE TABLE m (a INT) ENGINE=MEMORY;
INSERT INTO m VALUES (1);
DROP TABLE x1, s1;
DROP TABLE IF EXISTS s2, no_such;
SET SESSION sql_mode='ANSI_QUOTES';
CREATE TABLE \"q q\" (\"a\" INT);
DROP TABLE \"q q\";
DROP DATABASE d1";

#[tokio::test]
async fn logged_statements_are_understood() {
    for kind in ["mysql57", "mysql80", "mysql97", "mariadb114"] {
        let server = Server::start(kind, &[]);
        let mut conn = server.plain().await;
        let _ = conn.query_drop("SET SESSION explicit_defaults_for_timestamp=1").await;
        for statement in STATEMENTS.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
            if let Err(error) = conn.query_drop(statement).await {
                // GTIDs forbid some forms in some versions; an unknown view is an error.
                eprintln!("{kind}: {statement}: {error}");
            }
        }
        conn.query_drop("SET SESSION sql_mode=''").await.unwrap();
        let understood = logged(&mut conn).await;
        eprintln!("{kind}: {} statements", understood.len());
        let has = |wanted: &dyn Fn(&Statement) -> bool| understood.iter().any(|(_, statement)| wanted(statement));
        for (text, statement) in &understood {
            assert!(!matches!(statement, Statement::Unknown(_) | Statement::Dml { .. }), "{kind}: {text}: {statement:?}");
            if let Statement::Ddl(ddl) = statement {
                assert!(!ddl.select || kind != "mysql97", "{text}");
                assert!(ddl.tables.iter().all(|table| table.database == "d1"), "{text}: {ddl:?}");
            }
        }
        let ddl = |kind: DdlKind, tables: usize| {
            has(&|statement| matches!(statement, Statement::Ddl(ddl) if ddl.kind == kind && ddl.tables.len() == tables))
        };
        for (kind_of, tables) in
            [(DdlKind::RenameTable, 4), (DdlKind::DropTable, 2), (DdlKind::CreateView, 1), (DdlKind::AlterTable, 2)]
        {
            let texts: Vec<_> = understood.iter().map(|(text, _)| text.as_str()).collect();
            assert!(ddl(kind_of, tables), "{kind}: no {kind_of:?} of {tables} tables in {texts:#?}");
        }
        assert!(ddl(DdlKind::DropTrigger, 0) && ddl(DdlKind::CreateTrigger, 1));
        assert!(has(&|statement| *statement == Statement::Savepoint("s p".into())));
        assert!(has(&|statement| matches!(statement, Statement::XaCommit { xid, one_phase: false } if xid == "X'6162',X'63',7")));
        assert!(has(&|statement| matches!(statement, Statement::Ddl(ddl) if ddl.start_transaction)) == (kind == "mysql97"));
        assert!(has(
            &|statement| matches!(statement, Statement::Ddl(ddl) if ddl.databases == ["d1"] && ddl.kind == DdlKind::DropDatabase)
        ));
    }
}

/// All QUERY events of all logs, classified.
async fn logged(conn: &mut Conn) -> Vec<(String, Statement)> {
    let info = server_info(conn).await.unwrap();
    let logs: Vec<Row> = conn.query("SHOW BINARY LOGS").await.unwrap();
    let mut found = Vec::new();
    for log in logs {
        let name: String = log.get(0).unwrap();
        let events: Vec<Row> = conn.query(format!("SHOW BINLOG EVENTS IN '{name}'")).await.unwrap();
        for event in events {
            let (kind, text): (String, String) = (event.get(2).unwrap(), event.get(5).unwrap());
            if kind != "Query" {
                continue;
            }
            // ``use `db`; statement``
            let (database, statement) = match text.strip_prefix("use `").and_then(|rest| rest.split_once("`; ")) {
                Some((database, statement)) => (database.replace("``", "`"), statement.to_owned()),
                None => (String::new(), text.clone()),
            };
            // The event has the session's sql_mode; this statement does not show it.
            let ansi_quotes = text.contains("\"q q\"") || text.contains("\"m\"");
            let mode = LexMode { ansi_quotes, server: Some(info.clone()), ..LexMode::default() };
            found.push((text, classify(statement.as_bytes(), &database, &mode)));
        }
    }
    found
}
