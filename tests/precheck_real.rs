//! The precheck on real servers: what it finds, and that its remedies are the statements that mend it.
//!
//! `cargo test --test precheck_real -- --ignored` (see e2e/lab/README.md).
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::BTreeSet;

use godwit::api::{PrecheckItem, Verdict};
use godwit::engine::connection::Connector;
use godwit::engine::precheck::{self, Outcome, Own};
use godwit::manifest::{self, resolve_endpoint};
use godwit::model::names::TableName;
use godwit_testkit::lab::Server;
use mysql_async::prelude::Queryable;

/// Runs a remedy that is made of statements only.
async fn mend(server: &Server, remedy: &str) {
    for statement in remedy.lines().filter_map(|line| line.strip_suffix(';')) {
        run(server, &[statement]).await;
    }
}

/// Statements in a session as the server gives it.
async fn run(server: &Server, statements: &[&str]) {
    let mut conn = server.plain().await;
    for statement in statements {
        conn.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    conn.disconnect().await.unwrap();
}

/// A pair of servers and the accounts of a task.
struct Pair<'a> {
    source: &'a Server,
    destination: &'a Server,
    account: &'a str,
    password: &'a str,
}

impl Pair<'_> {
    /// The precheck of a task with these further lines under `spec`.
    async fn check(&self, spec: &str) -> Outcome {
        // On the heap: each of a case's many checks would have its own place on the stack.
        Box::pin(self.check_owned(spec, BTreeSet::new())).await
    }

    async fn check_owned(&self, spec: &str, owned: BTreeSet<TableName>) -> Outcome {
        let lines: String = spec.lines().map(|line| format!("  {line}\n")).collect();
        let endpoint = |port| {
            format!(
                "mysql: {{host: 127.0.0.1, port: {port}, username: {}, credentials: {{secretName: s}}, tls: {{mode: Disabled}}}}",
                self.account
            )
        };
        let text = format!(
            "apiVersion: godwit.dev/v1alpha1\nkind: MigrationTask\nmetadata: {{name: t}}\nspec:\n  source:\n    {}\n  destination:\n    {}\n{lines}\
             ---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{password: '{}'}}\n",
            endpoint(self.source.port),
            endpoint(self.destination.port),
            self.password,
        );
        let manifest = manifest::load(&text, "task.yaml").unwrap_or_else(|error| panic!("{error}\n{text}"));
        let spec = &manifest.task.spec;
        let source = resolve_endpoint(&spec.source.mysql, &manifest.secrets, "spec.source.mysql").unwrap();
        let mysql = spec.destination.mysql.as_ref().unwrap().endpoint();
        let destination = resolve_endpoint(&mysql, &manifest.secrets, "spec.destination.mysql").unwrap();
        let (source, destination) = (Connector::new(&source, "source"), Connector::new(&destination, "destination"));
        let own = Own { task: "default/t".into(), tables: owned };
        precheck::run(spec, &source, &destination, own, precheck::Trials::Made).await.unwrap()
    }
}

/// `Name: Verdict, seen` of everything that did not pass.
fn not_passed(outcome: &Outcome) -> Vec<String> {
    let items = outcome.report.items.iter().filter(|item| item.verdict != Verdict::Passed);
    items.map(|item| format!("{}: {:?}, {}", item.name, item.verdict, item.seen)).collect()
}

#[track_caller]
fn assert_passes(outcome: &Outcome) {
    assert_eq!(not_passed(outcome), Vec::<String>::new());
    assert_eq!(outcome.report.success_rate, "100%");
    assert!(outcome.passed());
}

#[track_caller]
fn item(outcome: &Outcome, name: &str) -> PrecheckItem {
    let found = outcome.report.items.iter().find(|item| item.name == name);
    found.cloned().unwrap_or_else(|| panic!("no {name}: {:?}", outcome.report.items))
}

/// Just this item did not pass; its remedy.
#[track_caller]
fn only(outcome: &Outcome, name: &str, verdict: Verdict) -> String {
    let bad: Vec<_> = outcome.report.items.iter().filter(|item| item.verdict != Verdict::Passed).collect();
    assert!(bad.len() == 1 && bad[0].name == name && bad[0].verdict == verdict, "{:?}", not_passed(outcome));
    assert!(!outcome.passed());
    assert!(!bad[0].seen.is_empty() && !bad[0].why.is_empty());
    bad[0].remedy.clone()
}

const SHOP: &[&str] = &[
    "CREATE DATABASE shop_eu DEFAULT CHARACTER SET utf8mb4",
    "CREATE TABLE shop_eu.customers (id INT PRIMARY KEY, name VARCHAR(50) COLLATE utf8mb4_unicode_ci) ENGINE=InnoDB",
    "CREATE TABLE shop_eu.orders (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, customer INT, total DECIMAL(10,2), \
     twice DECIMAL(11,2) GENERATED ALWAYS AS (total * 2) STORED, KEY (customer), CONSTRAINT fk FOREIGN KEY (customer) \
     REFERENCES shop_eu.customers (id)) ENGINE=InnoDB",
    "CREATE TABLE shop_eu.log (at DATETIME(6), text TEXT) ENGINE=InnoDB",
    "INSERT INTO shop_eu.customers VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO shop_eu.orders (customer, total) VALUES (1, 5), (2, 6)",
    "CREATE VIEW shop_eu.totals AS SELECT customer, SUM(total) AS total FROM shop_eu.orders GROUP BY customer",
];

const ACCOUNT: &str = "CREATE USER 'mover'@'%' IDENTIFIED BY 'secret-word'";

fn mover<'a>(source: &'a Server, destination: &'a Server) -> Pair<'a> {
    Pair { source, destination, account: "mover", password: "secret-word" }
}

const OBJECTS: &str = "objects: [{database: shop_eu}]";

#[tokio::test]
async fn an_upgrade_with_the_least_rights() {
    let source = Server::start("mysql80", &[]);
    let destination = Server::start("mysql97", &[]);
    run(&source, SHOP).await;
    for server in [&source, &destination] {
        run(server, &[ACCOUNT]).await;
    }
    let pair = mover(&source, &destination);

    // An account without any right: the database cannot be seen, and yet both sides' statements are given.
    let bare = pair.check(OBJECTS).await;
    assert!(bare.resolved.is_none());
    let objects = item(&bare, "Objects");
    assert_eq!(objects.verdict, Verdict::Failed);
    assert!(objects.seen.contains("spec.objects[0].database"), "{}", objects.seen);
    mend(&destination, &item(&bare, "DestinationPrivileges").remedy).await;
    mend(&source, &item(&bare, "SourcePrivileges").remedy).await;
    // Now the view can be seen, which needs more.
    let seen = pair.check(OBJECTS).await;
    assert_eq!(item(&seen, "Objects").verdict, Verdict::Passed);
    // Without the right to make databases for it, the trial is left out, which is said.
    assert_eq!(item(&seen, "Trial").verdict, Verdict::Warning);
    for (server, name) in [(&source, "SourcePrivileges"), (&destination, "DestinationPrivileges"), (&destination, "Trial")] {
        mend(server, &item(&seen, name).remedy).await;
    }
    let outcome = pair.check(OBJECTS).await;
    assert_passes(&outcome);
    assert_eq!(item(&outcome, "Objects").seen, "1 database, 3 tables, 1 view selected");
    assert!(item(&outcome, "PrimaryKeys").seen.contains("shop_eu.log"));
    let resolved = outcome.resolved.unwrap();
    assert_eq!(resolved.plan.tables.len(), 3);
    assert!(!format!("{resolved:?}").contains("secret-word"));

    // The log's form.
    for (statement, name) in [
        ("SET GLOBAL binlog_format = STATEMENT", "BinaryLogFormat"),
        ("SET GLOBAL binlog_row_image = MINIMAL", "BinaryLogRowImage"),
    ] {
        run(&source, &[statement]).await;
        let remedy = only(&pair.check(OBJECTS).await, name, Verdict::Failed);
        mend(&source, &remedy).await;
        assert_passes(&pair.check(OBJECTS).await);
    }
    let full_only = "migrationTypes: [Schema, Full]\nobjects: [{database: shop_eu}]";
    run(&source, &["SET GLOBAL binlog_format = STATEMENT"]).await;
    assert_passes(&pair.check(full_only).await);
    run(&source, &["SET GLOBAL binlog_format = ROW", "SET GLOBAL binlog_expire_logs_seconds = 3600"]).await;
    let remedy = only(&pair.check(OBJECTS).await, "SourceRetention", Verdict::Warning);
    assert!(pair.check(&format!("{OBJECTS}\nprecheck: {{ignore: [SourceRetention]}}")).await.passed());
    mend(&source, &remedy).await;
    assert_passes(&pair.check(OBJECTS).await);

    // A destination that takes no writes.
    run(&destination, &["SET GLOBAL super_read_only = ON"]).await;
    let remedy = only(&pair.check(OBJECTS).await, "DestinationWritable", Verdict::Failed);
    mend(&destination, &remedy).await;

    // Names that are taken.
    run(&destination, &["CREATE DATABASE shop_eu", "CREATE TABLE shop_eu.log (at DATETIME(6), text TEXT)"]).await;
    only(&pair.check(OBJECTS).await, "NameConflicts", Verdict::Failed);
    let log = TableName { database: "shop_eu".into(), table: "log".into() };
    assert_passes(&pair.check_owned(OBJECTS, BTreeSet::from([log])).await);
    assert_passes(&pair.check(&format!("{OBJECTS}\nconflictPolicy: IgnoreErrorsAndProceed")).await);
    run(&destination, &["ALTER TABLE shop_eu.log DROP COLUMN text"]).await;
    only(&pair.check(&format!("{OBJECTS}\nconflictPolicy: IgnoreErrorsAndProceed")).await, "DestinationTables", Verdict::Failed);
    run(&destination, &["DROP DATABASE shop_eu"]).await;
    assert_passes(&pair.check(OBJECTS).await);

    definitions_that_the_destination_refuses(&pair).await;
    names_that_meet(&pair).await;

    // What is lost on the way.
    run(&source, &[
            "CREATE TABLE shop_eu.items (id INT PRIMARY KEY, o BIGINT UNSIGNED, FOREIGN KEY (o) REFERENCES shop_eu.orders (id) ON DELETE CASCADE)",
        ])
        .await;
    let derived = pair.check(OBJECTS).await;
    assert_passes(&derived);
    assert!(item(&derived, "ForeignKeyCascades").seen.contains("derived"), "{derived:?}");
    let no_parent = "objects: [{database: shop_eu, tables: [{table: items}]}]";
    let gaps = pair.check(no_parent).await;
    let gap = item(&gaps, "ForeignKeyCascades");
    assert!(gap.verdict == Verdict::Warning && gap.seen.contains("shop_eu.orders is not migrated"), "{gap:?}");
    run(
        &source,
        &["DROP TABLE shop_eu.items", "CREATE PROCEDURE shop_eu.p() SELECT 1", "GRANT EXECUTE ON `shop\\_eu`.* TO mover"],
    )
    .await;
    only(&pair.check(OBJECTS).await, "StoredPrograms", Verdict::Warning);
    assert!(pair.check(&format!("{OBJECTS}\nprecheck: {{ignore: [StoredPrograms]}}")).await.passed());
    assert_passes(&pair.check("objects: [{database: shop_eu, tables: [{table: '*'}]}]").await);
    programs_of_an_account_with_few_rights(&pair).await;

    // Nobody there, and somebody who does not let us in.
    let nobody = Pair { password: "wrong-secret", ..mover(&source, &destination) }.check(OBJECTS).await;
    assert_eq!(nobody.report.items.len(), 2);
    let refused = item(&nobody, "SourceConnectivity");
    assert_eq!(refused.verdict, Verdict::Failed);
    assert!(refused.remedy.contains("username and password") && refused.why.contains("were not run"), "{refused:?}");
    assert!(!format!("{nobody:?}").contains("wrong-secret"));
}

/// The rights that stored programs take are named, and suffice.
async fn programs_of_an_account_with_few_rights(pair: &Pair<'_>) {
    let event = "CREATE EVENT shop_eu.e ON SCHEDULE EVERY 1 DAY DO SELECT 1";
    run(pair.source, &["GRANT SELECT, EVENT, TRIGGER ON *.* TO mover", event]).await;
    let outcome = pair.check(OBJECTS).await;
    mend(pair.destination, &item(&outcome, "DestinationPrivileges").remedy).await;
    mend(pair.destination, &item(&outcome, "Trial").remedy).await;
    let outcome = pair.check(OBJECTS).await;
    assert_passes(&outcome);
    assert!(item(&outcome, "Trial").seen.contains("2 stored programs"), "{:?}", item(&outcome, "Trial"));
    let seen = &item(&outcome, "StoredPrograms").seen;
    assert!(seen.contains("1 procedure, 1 event can be made"), "{seen}");
    // A body that the destination does not take.
    run(pair.source, &["CREATE PROCEDURE shop_eu.old() SELECT MASTER_POS_WAIT('a', 1)"]).await;
    run(pair.source, &["CREATE PROCEDURE shop_eu.older() RESET MASTER"]).await;
    let outcome = pair.check(OBJECTS).await;
    only(&outcome, "Trial", Verdict::Warning);
    let seen = &item(&outcome, "Trial").seen;
    assert!(seen.contains("procedure shop_eu.older: ") && !seen.contains("godwit_trial"), "{seen}");
    run(pair.source, &["DROP PROCEDURE shop_eu.old", "DROP PROCEDURE shop_eu.older"]).await;
    // A routine leaves no privileges behind where it was tried.
    let mut conn = pair.destination.connect().await;
    let left: Option<u64> = conn.query_first("SELECT COUNT(*) FROM mysql.procs_priv WHERE Db LIKE 'godwit%'").await.unwrap();
    assert_eq!(left, Some(0));
}

/// 8.0's MD5 is gone in 9.7, and so on: named before anything is written, and nothing of the trial stays.
async fn definitions_that_the_destination_refuses(pair: &Pair<'_>) {
    let (source, destination) = (pair.source, pair.destination);
    // Temporary tables cannot be like these; they are tried for real.
    let fine = [
        "CREATE TABLE shop_eu.parts (id INT PRIMARY KEY, t TEXT, FULLTEXT (t))",
        "CREATE TABLE shop_eu.slices (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3",
        "CREATE TABLE shop_eu.packed (id INT PRIMARY KEY, a INT, KEY k (a)) ROW_FORMAT=COMPRESSED",
        "CREATE VIEW shop_eu.of_view AS SELECT * FROM shop_eu.totals",
    ];
    run(source, &fine).await;
    let outcome = pair.check(OBJECTS).await;
    assert_passes(&outcome);
    assert!(item(&outcome, "Trial").seen.contains("6 tables and 2 views"), "{:?}", item(&outcome, "Trial"));

    run(
        source,
        &[
            "CREATE TABLE shop_eu.hashed (id INT PRIMARY KEY, url VARCHAR(99), h CHAR(32) AS (MD5(url)) STORED)",
            "CREATE TABLE shop_eu.checked (id INT PRIMARY KEY, url VARCHAR(99), h CHAR(40) AS (SHA1(url)) VIRTUAL)",
            "CREATE VIEW shop_eu.hashes AS SELECT MD5(name) AS h FROM shop_eu.customers",
        ],
    )
    .await;
    let outcome = pair.check(OBJECTS).await;
    only(&outcome, "Trial", Verdict::Failed);
    let found = item(&outcome, "Trial");
    for part in
        ["shop_eu.hashed: ", "`md5`", "shop_eu.checked: ", "`sha`", "shop_eu.hashes: a function is not known there", "md5'"]
    {
        assert!(found.seen.contains(part), "{part}: {found:?}");
    }
    assert!(found.remedy.contains("replace the function") && !found.seen.contains("godwit_trial"), "{found:?}");
    assert!(pair.check(&format!("{OBJECTS}\nprecheck: {{trial: false}}")).await.passed());
    run(source, &["DROP TABLE shop_eu.hashed, shop_eu.checked"]).await;
    only(&pair.check(OBJECTS).await, "Trial", Verdict::Warning);
    run(source, &["DROP VIEW shop_eu.hashes, shop_eu.of_view", "DROP TABLE shop_eu.parts, shop_eu.slices, shop_eu.packed"]).await;

    // A client of latin1 cannot say a name in Cyrillic letters.
    let narrow = "CREATE VIEW shop_eu.narrow AS SELECT HEX('é') AS h FROM shop_eu.customers";
    run(source, &["SET NAMES latin1", narrow]).await;
    assert_eq!(item(&pair.check(OBJECTS).await, "Views").verdict, Verdict::Passed);
    let renamed = pair.check("objects: [{database: shop_eu, renameTo: лавка}]\nprecheck: {trial: false}").await;
    let found = item(&renamed, "Views");
    assert!(
        found.verdict == Verdict::Warning && found.seen.contains("shop_eu.narrow") && found.seen.contains("latin1"),
        "{found:?}"
    );
    run(source, &["DROP VIEW shop_eu.narrow"]).await;

    // What an interrupted trial left goes; what only has the name does not, nor what somebody is at.
    let trial = |digit: &str| format!("godwit_trial_{}_0000", digit.repeat(32));
    let (left, bare, taken, foreign) = (trial("a"), trial("b"), trial("c"), trial("d"));
    let mut conn = destination.plain().await;
    for name in [&left, &bare, &taken, &foreign] {
        conn.query_drop(format!("CREATE DATABASE {name}")).await.unwrap();
    }
    for name in [&left, &taken] {
        let comment = format!("{name}: made by a precheck, which drops it when it ends");
        conn.query_drop(format!("CREATE TABLE {name}.{name} (id INT) COMMENT = '{comment}'")).await.unwrap();
    }
    conn.query_drop(format!("CREATE TABLE {foreign}.{foreign} (id INT)")).await.unwrap();
    conn.query_drop(format!("DO GET_LOCK('godwit_trial_{}', 0)", "c".repeat(32))).await.unwrap();
    let outcome = pair.check(OBJECTS).await;
    assert_passes(&outcome);
    assert!(item(&outcome, "Trial").seen.contains(&format!("DROP DATABASE {bare}")), "{:?}", item(&outcome, "Trial"));
    let there: Vec<String> = conn.query("SHOW DATABASES LIKE 'godwit\\_trial\\_%'").await.unwrap();
    assert_eq!(there, [bare.clone(), taken.clone(), foreign.clone()]);
    for name in [&bare, &taken, &foreign] {
        conn.query_drop(format!("DROP DATABASE {name}")).await.unwrap();
    }
    conn.disconnect().await.unwrap();
}

/// Two databases become one, and what was apart has one name.
async fn names_that_meet(pair: &Pair<'_>) {
    let (source, destination) = (pair.source, pair.destination);
    run(source, &[
            "CREATE DATABASE shop_us",
            "CREATE TABLE shop_us.clients (id INT PRIMARY KEY)",
            "CREATE TABLE shop_us.bills (id INT PRIMARY KEY, c INT, CONSTRAINT FK FOREIGN KEY (c) REFERENCES shop_us.clients (id))",
            "GRANT SELECT, SHOW VIEW, TRIGGER ON `shop\\_us`.* TO mover",
        ])
        .await;
    run(destination, &["GRANT ALL ON one.* TO mover"]).await;
    let merged = "objects: [{database: shop_eu, renameTo: one}, {database: shop_us, renameTo: one}]";
    let outcome = pair.check(merged).await;
    let found = item(&outcome, "NameCollisions");
    assert!(
        found.verdict == Verdict::Failed && found.seen.contains("of shop_eu.orders and of shop_us.bills in one"),
        "{found:?}"
    );
    // The trial comes to the same by itself.
    assert!(item(&outcome, "Trial").seen.contains("error 1826"), "{:?}", item(&outcome, "Trial"));
    let apart = pair.check("objects: [{database: shop_eu}, {database: shop_us, renameTo: one}]").await;
    assert_eq!(item(&apart, "NameCollisions").verdict, Verdict::Passed);
    run(source, &["DROP DATABASE shop_us"]).await;
}

#[tokio::test]
async fn a_source_without_gtids_and_without_a_log() {
    let source = Server::start("mysql57", &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]);
    let destination = Server::start("mysql80", &[]);
    run(&source, SHOP).await;
    let retention = "precheck: {ignore: [SqlMode]}";
    for server in [&source, &destination] {
        run(
            server,
            &[
                ACCOUNT,
                "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, \
                     REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'mover'@'%'",
            ],
        )
        .await;
    }
    let pair = mover(&source, &destination);
    let spec = format!("{OBJECTS}\n{retention}");
    let outcome = pair.check(&spec).await;
    let names: Vec<&str> =
        outcome.report.items.iter().filter(|item| item.verdict != Verdict::Passed).map(|item| item.name.as_str()).collect();
    assert_eq!(
        names,
        ["SourcePrivileges", "GtidMode", "MaxAllowedPacket"].into_iter().filter(|name| names.contains(name)).collect::<Vec<_>>(),
        "{:?}",
        not_passed(&outcome)
    );
    assert!(names.contains(&"SourcePrivileges") && names.contains(&"GtidMode"));
    mend(&source, &item(&outcome, "SourcePrivileges").remedy).await;
    only(&pair.check(&spec).await, "GtidMode", Verdict::Warning);
    assert!(pair.check(&format!("{OBJECTS}\nprecheck: {{ignore: [GtidMode, SqlMode]}}")).await.passed());

    source.restart(&["--skip-log-bin", "--skip-log-slave-updates"]);
    let outcome = pair.check(&format!("{OBJECTS}\nprecheck: {{ignore: [GtidMode, SqlMode]}}")).await;
    let failed: Vec<_> = outcome.report.items.iter().filter(|item| item.verdict == Verdict::Failed).collect();
    assert!(failed.len() == 1 && failed[0].name == "BinaryLog", "{:?}", not_passed(&outcome));
    assert!(failed[0].remedy.contains("log_bin"));
    assert_passes(&pair.check(&format!("{OBJECTS}\nmigrationTypes: [Schema, Full]")).await);
}

#[tokio::test]
async fn mariadb_to_itself_and_a_managed_surface() {
    let source = Server::start("mariadb114", &[]);
    run(&source, SHOP).await;
    run(
        &source,
        &["CREATE USER 'mover'@'%' IDENTIFIED BY 'secret-word'", "GRANT SELECT, SHOW VIEW ON `shop\\_eu`.* TO 'mover'@'%'"],
    )
    .await;
    let pair = mover(&source, &source);
    // The same server: a table onto itself is refused, another name is not.
    let onto_itself = pair.check(OBJECTS).await;
    assert_eq!(item(&onto_itself, "SameServer").verdict, Verdict::Failed);
    let renamed = "objects: [{database: shop_eu, renameTo: copy}]";
    let outcome = pair.check(renamed).await;
    mend(&source, &item(&outcome, "SourcePrivileges").remedy).await;
    mend(&source, &item(&outcome, "DestinationPrivileges").remedy).await;
    mend(&source, &item(&outcome, "Trial").remedy).await;
    assert_passes(&pair.check(renamed).await);
    run(&source, &["CREATE SEQUENCE shop_eu.numbers"]).await;
    only(&pair.check(renamed).await, "StoredPrograms", Verdict::Warning);
    run(&source, &["DROP SEQUENCE shop_eu.numbers", "CREATE TABLE shop_eu.past (id INT PRIMARY KEY) WITH SYSTEM VERSIONING"])
        .await;
    only(&pair.check(renamed).await, "SystemVersioning", Verdict::Failed);
    run(&source, &["DROP TABLE shop_eu.past"]).await;
    // MariaDB takes what it prints of this, as a table that is no temporary one, and refuses to open it.
    let mixed = "CREATE TABLE shop_eu.mixed (id INT PRIMARY KEY, s VARCHAR(20), c VARCHAR(40) AS (IF(s = 'Zé', _utf8mb4'b', _latin1 0xB66C)) STORED) \
                 DEFAULT CHARSET=utf16";
    run(&source, &["SET NAMES utf8mb4", mixed]).await;
    only(&pair.check(renamed).await, "Trial", Verdict::Failed);
    let found = item(&pair.check(renamed).await, "Trial");
    assert!(found.seen.contains("shop_eu.mixed: Illegal mix") && found.remedy.contains("without an introducer"), "{found:?}");
    // Its rows get another text than SHOW CREATE says.
    let said = "CREATE TABLE shop_eu.said (id INT PRIMARY KEY, d VARCHAR(9) DEFAULT (CONCAT(_latin1 0xE9, 'a')))";
    run(&source, &["DROP TABLE shop_eu.mixed", said]).await;
    only(&pair.check(renamed).await, "Definitions", Verdict::Failed);
    run(&source, &["DROP TABLE shop_eu.said"]).await;

    // The table by which Aurora and RDS are known.
    let managed = Server::start("mysql97", &[]);
    run(&managed, SHOP).await;
    run(
        &managed,
        &[
            "CREATE TABLE mysql.rds_configuration (name VARCHAR(100) PRIMARY KEY, value VARCHAR(100), description VARCHAR(300))",
            "INSERT INTO mysql.rds_configuration VALUES ('binlog retention hours', NULL, '')",
        ],
    )
    .await;
    let pair = Pair { source: &managed, destination: &managed, account: "root", password: "godwit-root" };
    let remedy = only(&pair.check(renamed).await, "SourceRetention", Verdict::Warning);
    assert_eq!(remedy, "CALL mysql.rds_set_configuration('binlog retention hours', 168);");
    run(&managed, &["UPDATE mysql.rds_configuration SET value = '168'"]).await;
    assert_passes(&pair.check(renamed).await);
}
