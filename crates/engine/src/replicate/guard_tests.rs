use super::*;
use crate::logged::classify;
use crate::plan::mapping::NameRules;
use godwit_api::{MigrationTaskSpec, NameCase};
use godwit_model::server::ServerInfo;

/// What becomes of a statement on a source of this version when the database `shop` is migrated.
fn judged(sql: &str, version: &str, thread_specific: bool) -> Passage {
    let text =
        "source: {mysql: {host: s, username: u}}\ndestination: {mysql: {host: d, username: u}}\nobjects: [{database: shop}]";
    let spec: MigrationTaskSpec = serde_saphyr::from_str(text).unwrap();
    let names = NameRules { source: 0, destination: 0, policy: NameCase::Default };
    let guard = Guard::new(Selection::new(&spec, names).unwrap(), Progress::new("s".into(), "d".into()), HashSet::new());
    let mode = LexMode { server: Some(ServerInfo::parse(version)), ..LexMode::default() };
    let statement = classify(sql.as_bytes(), "other", &mode);
    guard.statement(&Logged { statement: &statement, text: sql, mode: &mode, thread_specific })
}

fn stops(sql: &str) {
    for version in ["5.7.22", "8.0.15", "9.7.4", "11.4.5-MariaDB"] {
        assert!(matches!(judged(sql, version, false), Passage::Stop(_)), "{sql} on {version}");
    }
}

fn passes(sql: &str) {
    for version in ["5.7.22", "8.0.15", "9.7.4", "11.4.5-MariaDB"] {
        assert_eq!(judged(sql, version, false), Passage::Free, "{sql} on {version}");
    }
}

fn doubt(sql: &str) -> Doubt {
    match judged(sql, "8.0.15", false) {
        Passage::Prove(doubt) => doubt,
        passage => panic!("{sql}: {passage:?}"),
    }
}

/// Every way in which a table comes into the selection, changes there, or leaves it.
#[test]
fn tables_that_come_and_go() {
    for sql in [
        "ALTER TABLE other.a RENAME TO shop.a",
        "ALTER TABLE other.a RENAME AS shop.a",
        "ALTER TABLE other.a RENAME = shop.a",
        "ALTER TABLE other.a RENAME shop.a",
        "ALTER TABLE a NOWAIT RENAME TO shop.a",
        "ALTER TABLE other.a WAIT 5 RENAME TO shop.a",
        "ALTER ONLINE TABLE other.a RENAME TO shop.a",
        "ALTER IGNORE TABLE other.a RENAME shop.a",
        "ALTER ONLINE IGNORE TABLE IF EXISTS other.a NOWAIT ADD x INT, RENAME TO shop.a",
        "ALTER TABLE other.a ADD x INT, RENAME TO shop.a, ALGORITHM=COPY, LOCK=NONE",
        "ALTER TABLE other.a ALGORITHM=INPLACE RENAME TO shop.a",
        "ALTER TABLE other.a ADD COLUMN (x INT, y INT) , RENAME TO shop.a",
        "ALTER TABLE other.a /*!50000 RENAME TO shop.a */",
        "ALTER TABLE other.a/**/RENAME/**/TO/**/shop.a",
        "ALTER TABLE other.a COMMENT 'x, y', RENAME TO `shop`.`a`",
        "ALTER TABLE shop.a NOWAIT ADD x INT",
        "ALTER TABLE other.a EXCHANGE PARTITION p WITH TABLE shop.a",
        "ALTER TABLE shop.a EXCHANGE PARTITION p WITH TABLE other.a WITHOUT VALIDATION",
        "ALTER TABLE other.a CONVERT PARTITION p TO TABLE shop.a",
        "ALTER TABLE other.a NOWAIT CONVERT TABLE shop.a TO PARTITION p VALUES LESS THAN (3)",
        "ALTER TABLE shop.a IMPORT TABLESPACE",
        "RENAME TABLE other.a TO shop.a",
        "RENAME TABLES other.a TO other.b, other.c TO shop.c",
        "RENAME TABLE IF EXISTS other.a WAIT 3 TO shop.a",
        "RENAME TABLE other.a NOWAIT TO shop.a",
        "CREATE OR REPLACE TABLE shop.a (id INT)",
        "CREATE TABLE IF NOT EXISTS shop.a LIKE other.a",
        "CREATE TABLE shop.a SELECT * FROM other.a",
        "DROP TABLE other.a, shop.a WAIT 5",
        "DROP TABLES IF EXISTS shop.a CASCADE",
        "TRUNCATE shop.a",
        "TRUNCATE TABLE shop.a WAIT 2",
        "CREATE UNIQUE INDEX i USING BTREE ON shop.a (x)",
        "CREATE OR REPLACE INDEX IF NOT EXISTS i ON shop.a (x) NOWAIT",
        "DROP INDEX i ON shop.a WAIT 1",
        "DROP DATABASE shop",
        "ALTER DATABASE `#mysql50#shop` UPGRADE DATA DIRECTORY NAME",
        "IMPORT TABLE FROM '/tmp/a.sdi'",
        "BEGIN NOT ATOMIC DELETE FROM shop.a; END",
    ] {
        stops(sql);
    }
    for sql in [
        "ALTER TABLE other.a RENAME COLUMN x TO y, RENAME INDEX i TO j, RENAME KEY k TO l",
        "ALTER TABLE other.rename ADD CONSTRAINT FOREIGN KEY (x) REFERENCES other.rename (id), COMMENT 'RENAME TO shop.a'",
        "ALTER TABLE other.a NOWAIT ADD x INT",
        "CREATE TABLE other.a (id INT) COMMENT 'x'",
        "DROP TABLE other.a WAIT 5",
        "CREATE TEMPORARY TABLE shop.a (id INT)",
        "DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `shop`.`a`",
    ] {
        passes(sql);
    }
    // For another family of servers it is a comment.
    assert_eq!(judged("ALTER TABLE other.a /*M! RENAME TO shop.a */", "8.0.15", false), Passage::Free);
    assert!(matches!(judged("ALTER TABLE other.a /*M! RENAME TO shop.a */", "11.4.5-MariaDB", false), Passage::Stop(_)));
}

#[test]
fn merge_tables_over_what_is_migrated() {
    for sql in [
        "CREATE TABLE other.m (id INT) ENGINE=MERGE UNION=(other.a, shop.b) INSERT_METHOD=LAST",
        "CREATE TABLE other.m (id INT) ENGINE=MRG_MyISAM UNION (`shop`.`b`)",
        "ALTER TABLE other.m UNION=(shop.a)",
    ] {
        stops(sql);
    }
    passes("CREATE TABLE other.m (id INT) ENGINE=MERGE UNION=(other.a, other.b)");
    passes("ALTER TABLE other.m UNION=()");
    doubt("CREATE TABLE other.x AS SELECT 1 UNION (SELECT a FROM other.y)");
}

/// MIXED sessions log an ALTER of a temporary table without the word; the event says that one was used.
#[test]
fn temporary_tables_without_the_word() {
    for sql in [
        "ALTER TABLE shop.a ADD x INT",
        "ALTER TABLE shop.a RENAME TO shop.b",
        "CREATE INDEX i ON shop.a (x)",
        "DROP INDEX i ON shop.a",
        "TRUNCATE TABLE shop.a",
    ] {
        assert_eq!(judged(sql, "5.7.22", true), Passage::Free, "{sql}");
        assert!(matches!(judged(sql, "5.7.22", false), Passage::Stop(_)), "{sql}");
    }
    // Where two tables are opened the temporary one may be the other; and MariaDB says so of any DROP TABLE.
    for sql in [
        "DROP TABLE shop.a",
        "CREATE TABLE shop.a LIKE other.t",
        "ALTER TABLE shop.a EXCHANGE PARTITION p WITH TABLE other.t",
        "ALTER TABLE shop.a ADD FOREIGN KEY (x) REFERENCES other.t (id)",
        "RENAME TABLE shop.a TO other.b",
        "INSERT INTO shop.a SELECT * FROM other.t",
    ] {
        assert!(matches!(judged(sql, "11.4.5-MariaDB", true), Passage::Stop(_)), "{sql}");
    }
}

/// Nothing that changes rows passes without a proof, whatever it looks like.
#[test]
fn changes_by_statement() {
    for sql in [
        "DELETE FROM `other`.`log`",
        "DELETE FROM `other`.`log` /* generated by server */",
        "INSERT DELAYED INTO other.log VALUES (1)",
        "INSERT HIGH_PRIORITY IGNORE other.log VALUES (1)",
        "REPLACE LOW_PRIORITY other.log VALUES (1)",
        "LOAD DATA INFILE 'x' REPLACE INTO TABLE other.log",
        "UPDATE other.log SET n=1",
        "INSERT INTO sys.sys_config VALUES (1)",
        "INSERT INTO __recycle_bin__.log VALUES (1)",
    ] {
        assert_eq!(doubt(sql).tables.len(), 1, "{sql}");
    }
    assert!(doubt("DELETE FROM `other`.`log`").deletes);
    assert!(!doubt("REPLACE INTO other.log VALUES (1)").deletes);
    for sql in [
        "CALL other.p()",
        "DO other.f()",
        "SELECT other.f()",
        "WITH x AS (SELECT 1) UPDATE other.a SET n=1",
        "UPDATE other.a JOIN shop.b USING (id) SET b.n=1",
        "UPDATE other.a x, shop.b y SET y.n=1",
        "DELETE y FROM other.a x JOIN shop.b y",
        "DELETE FROM y USING other.a AS x INNER JOIN shop.b AS y",
        "DELETE QUICK shop.b.* FROM other.a, shop.b",
        "/*!50000 DELETE FROM shop.a */",
        "SET STATEMENT max_statement_time=1 FOR INSERT INTO shop.a VALUES (1)",
        "LOAD DATA LOCAL INFILE 'x' INTO TABLE shop.a",
        "HANDLER shop.a OPEN",
        "EXECUTE IMMEDIATE 'DELETE FROM shop.a'",
    ] {
        stops(sql);
    }
}

#[test]
fn what_a_query_calls_and_reads() {
    // The server's own tables have no triggers, but what is written there can come from anywhere.
    passes("INSERT INTO mysql.heartbeat (id, value) VALUES (1, 1) ON DUPLICATE KEY UPDATE value=2");
    let found = doubt("INSERT INTO mysql.heartbeat (id) VALUES (shop.f(1))");
    assert_eq!((found.tables.len(), found.called), (0, vec!["f".to_owned()]));
    let found = doubt("INSERT INTO other.log (id) SELECT n FROM other.v WHERE n IN (1, 2)");
    assert!(found.called.is_empty() && found.read.contains(&"v".to_owned()), "{found:?}");
    assert!(doubt("INSERT INTO other.log VALUES (1)").read.is_empty());
    // The query of a CREATE TABLE is in the log where the log is not row-based.
    assert_eq!(doubt("CREATE TABLE other.x AS SELECT `f`(1)").called, ["f"]);
    assert_eq!(doubt("CREATE TEMPORARY TABLE other.x AS SELECT f (1)").called, ["f"]);
    passes("CREATE TABLE other.x (id INT) START TRANSACTION");
}

#[test]
fn of_two_readings_the_one_that_lets_less_pass() {
    let stop = || Passage::Stop("x".into());
    let doubt = |sql| Passage::Prove(doubt(sql));
    assert_eq!(Passage::Free.stricter(stop()), stop());
    assert_eq!(stop().stricter(doubt("DELETE FROM other.a")), stop());
    assert_eq!(Passage::Free.stricter(Passage::Free), Passage::Free);
    let Passage::Prove(both) = doubt("DELETE FROM other.a").stricter(doubt("DELETE FROM other.b")) else { panic!() };
    assert_eq!(both.tables.len(), 2);
}
