//! Stored programs: carried with the schema, triggers that never fire for the task's own rows.

use std::time::Duration;

use serde_json::json;

use crate::support::{Migration, Running, Server, place};

/// A shop with programs of every kind, odd texts among them.
const SHOP: &[&str] = &[
    "CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    "USE shop",
    "CREATE TABLE orders (id INT PRIMARY KEY, total INT NOT NULL, note VARCHAR(40))",
    "CREATE TABLE audit (n INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(80))",
    "INSERT INTO orders VALUES (1, 10, 'a'), (2, 20, 'b')",
    // Raises what is written: a row of the task's would differ.
    "CREATE TRIGGER raise BEFORE INSERT ON orders FOR EACH ROW SET NEW.total = NEW.total + 1000",
    "CREATE TRIGGER told AFTER INSERT ON orders FOR EACH ROW lab: BEGIN INSERT INTO shop.audit (what) VALUES (CONCAT('new; ', NEW.id, ' é')); \
     LEAVE lab; END lab",
    "CREATE TRIGGER changed BEFORE UPDATE ON orders FOR EACH ROW SET NEW.note = CONCAT(NEW.note, '!')",
    "CREATE TRIGGER gone AFTER DELETE ON orders FOR EACH ROW INSERT INTO audit (what) VALUES ('gone')",
    "CREATE TRIGGER raise_twice BEFORE INSERT ON orders FOR EACH ROW SET NEW.total = NEW.total * 2",
    "CREATE FUNCTION plus(a INT, b INT) RETURNS INT DETERMINISTIC COMMENT 'it''s \\\\ é' RETURN a + b",
    "CREATE FUNCTION twice(a INT) RETURNS INT READS SQL DATA RETURN shop.plus(a, (SELECT COUNT(*) FROM shop.orders WHERE 1 = 0) + a)",
    "CREATE VIEW doubled AS SELECT id, twice(total) AS total FROM orders",
    "CREATE PROCEDURE `od``d name; --`(IN a INT, OUT b INT) MODIFIES SQL DATA BEGIN DECLARE x VARCHAR(9) DEFAULT 'it''s; \"'; \
     SELECT COUNT(*) INTO b FROM `shop`.`orders` /* ; */ WHERE id > a; END",
    "CREATE PROCEDURE pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp() SQL SECURITY INVOKER SELECT 'p'",
    "SET sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
    "CREATE PROCEDURE ansi() COMMENT 'a\\b' SELECT \"id\", 'back\\' FROM \"orders\"",
    "SET NAMES latin1",
    "SET sql_mode=''",
    "CREATE FUNCTION latin() RETURNS INT NO SQL RETURN LENGTH('\u{e9}')",
    "SET NAMES gbk",
    "CREATE FUNCTION gbk() RETURNS INT NO SQL RETURN CHAR_LENGTH('\u{e9}\u{8a}\u{9a}')",
    "SET NAMES utf8mb4",
    "CREATE FUNCTION emoji() RETURNS INT NO SQL COMMENT '\u{1f600}' RETURN LENGTH('\u{1f600}')",
    "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' COMMENT 'c' DO BEGIN DELETE FROM shop.audit; END",
];

const TOTALS: &str = "SELECT CAST(CONCAT_WS('|', id, total, IFNULL(note, '-')) AS CHAR) FROM {}.orders ORDER BY id";

fn totals(database: &str) -> String {
    TOTALS.replace("{}", database)
}

/// A server whose accounts may create functions, and run events.
fn server(kind: &str) -> Server {
    Server::start(kind, &["--log-bin-trust-function-creators=1"])
}

async fn follows(run: &mut Running) {
    run.until("it follows", Duration::from_secs(60), |report| {
        report["phase"] == "Replicating" && report["latencySeconds"].is_number()
    })
    .await;
}

/// Waits until the destination answers a query with as many rows.
async fn answers(server: &Server, query: &str, wanted: &[String]) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let found = server.list(query).await;
        if found == wanted {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{query}: {found:?}, not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The names of the triggers of a database, those without the guard marked.
async fn triggers(server: &Server, database: &str) -> Vec<String> {
    server
        .list(&format!(
            "SELECT CAST(CONCAT(TRIGGER_NAME, IF(ACTION_STATEMENT LIKE 'IF @godwit\\_writes IS NULL THEN %', '', ' plain')) AS CHAR) \
             FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA='{database}' ORDER BY CAST(CONCAT(ACTION_TIMING, EVENT_MANIPULATION) AS CHAR), ACTION_ORDER"
        ))
        .await
}

async fn carried(source_kind: &str, destination_kind: &str) {
    let _place = place().await;
    let (source, destination) = (server(source_kind), server(destination_kind));
    source.run(SHOP).await;
    let objects = json!([{"database": "shop", "renameTo": "store"}]);
    let migration = Migration::new(&source, &destination).with("/objects", objects);
    let mut run = migration.start(&[]);
    follows(&mut run).await;
    let report = run.report();
    let schema = &report["schema"];
    assert_eq!(schema["failedTotal"], 0, "{schema:#}");
    assert_eq!(
        (&schema["procedures"], &schema["functions"], &schema["triggers"], &schema["events"]),
        (&json!(3), &json!(5), &json!(5), &json!(1))
    );
    let guarded = triggers(&destination, "store").await;
    assert_eq!(guarded, ["gone", "told", "raise", "raise_twice", "changed"]);
    // The task's own rows: as at the source, and nothing is told of.
    source
        .run(&[
            "INSERT INTO shop.orders (id, total) VALUES (3, 30)",
            "UPDATE shop.orders SET note = 'x' WHERE id = 1",
            "DELETE FROM shop.orders WHERE id = 2",
        ])
        .await;
    let wanted = source.list(&totals("shop")).await;
    assert_eq!(wanted[1], "3|2060|-");
    answers(&destination, &totals("store"), &wanted).await;
    let audit = |database: &str| format!("SELECT CAST(what AS CHAR) FROM {database}.audit ORDER BY n");
    let told = source.list(&audit("shop")).await;
    answers(&destination, &audit("store"), &told).await;
    assert_eq!(told.len(), 2);
    // An application's row fires all of them, in their order, before the task has ended.
    destination.run(&["INSERT INTO store.orders (id, total) VALUES (100, 1)"]).await;
    assert!(destination.list(&totals("store")).await.contains(&"100|2002|-".to_owned()));
    destination
        .run(&["DELETE FROM store.orders WHERE id = 100", "DELETE FROM store.audit WHERE n > (SELECT m FROM (SELECT 2 AS m) x)"])
        .await;
    // Views and routines work under their new names.
    assert_eq!(destination.list("SELECT CAST(total AS CHAR) FROM store.doubled ORDER BY id LIMIT 1").await, ["20"]);
    destination
        .run(&[
            "CALL store.`od``d name; --`(0, @n)",
            "CALL store.pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp()",
            "CALL store.ansi()",
        ])
        .await;
    for function in ["latin", "gbk", "emoji"] {
        let answer = |database: &str| format!("SELECT CAST({database}.{function}() AS CHAR)");
        assert_eq!(destination.list(&answer("store")).await, source.list(&answer("shop")).await, "{function}");
    }
    let events = "SELECT CAST(CONCAT_WS('|', EVENT_NAME, STATUS, TIME_ZONE, EVENT_COMMENT) AS CHAR) FROM information_schema.EVENTS WHERE EVENT_SCHEMA='store'";
    assert_eq!(destination.list(events).await, ["nightly|DISABLED|+00:00|c"]);
    let security = "SELECT DISTINCT CAST(SECURITY_TYPE AS CHAR) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='store'";
    assert_eq!(destination.list(security).await, ["INVOKER"]);
    run.terminate().await;
    migration.verify().await;
    // Another difference is found.
    destination
        .run(&[
            "DROP TRIGGER store.gone",
            "DROP FUNCTION store.plus",
            "CREATE FUNCTION store.plus(a INT, b INT) RETURNS INT DETERMINISTIC RETURN a - b",
        ])
        .await;
    let found = migration.godwit(&["verify"]).await.expect(4);
    found.says("trigger store.gone").says("function store.plus");
    destination.run(&["DROP FUNCTION store.plus"]).await;
    // A second start makes what is missing, and finds the others.
    let mut run = migration.start(&[]);
    follows(&mut run).await;
    assert_eq!(run.report()["schema"]["failedTotal"], 0);
    assert_eq!(triggers(&destination, "store").await, guarded);
    run.terminate().await;
    migration.verify().await;
    // At the end for good the plain bodies are put back, in their order.
    let stopped = migration.with("/desiredState", json!("Stopped"));
    stopped.run().await.expect(0);
    let plain: Vec<String> = guarded.iter().map(|name| format!("{name} plain")).collect();
    assert_eq!(triggers(&destination, "store").await, plain);
    stopped.verify().await;
    stopped.run().await.expect(0);
    assert_eq!(triggers(&destination, "store").await, plain);
    // An engine that died between the two statements left a record; one that a liar has put there is not believed.
    let record = |name: &str, statement: &str| {
        format!(
            "INSERT INTO godwit.trigger_put_back VALUES ('default/shop', 'store', '{name}', '', 'utf8mb4', 'utf8mb4_general_ci', '{statement}')"
        )
    };
    let again = "CREATE TRIGGER `store`.`gone` AFTER DELETE ON `store`.`orders` FOR EACH ROW SET @again = 1";
    destination.run(&["DROP TRIGGER store.gone", &record("gone", again)]).await;
    stopped.run().await.expect(0);
    assert_eq!(triggers(&destination, "store").await, plain);
    assert_eq!(destination.list("SELECT CAST(COUNT(*) AS CHAR) FROM godwit.trigger_put_back").await, ["0"]);
    destination.run(&[&record("other", "DROP DATABASE store")]).await;
    let told = stopped.run().await.expect(0);
    assert!(told.text().contains("its CREATE makes another object"), "{}", told.text());
    assert_eq!(triggers(&destination, "store").await, plain);
    // What repairs rows would fire them.
    let told = stopped.godwit(&["verify", "--repair"]).await;
    told.says("these triggers of the destination would fire for them: ").says("trigger store.gone on store.orders");
}

#[tokio::test(flavor = "multi_thread")]
async fn carried_from_57_to_80() {
    carried("mysql57", "mysql80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn carried_from_80_to_97() {
    carried("mysql80", "mysql97").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn carried_on_mariadb114() {
    carried("mariadb114", "mariadb114").await;
}

/// Killed again and again while programs are made, resumed, and all is there once.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_they_are_made() {
    let _place = place().await;
    let (source, destination) = (server("mysql97"), server("mysql97"));
    source.run(SHOP).await;
    let many: Vec<String> = (0..60)
        .flat_map(|number| {
            [
                format!("CREATE FUNCTION shop.f{number}() RETURNS INT NO SQL RETURN {number}"),
                format!(
                    "CREATE TRIGGER shop.t{number:02} AFTER UPDATE ON shop.orders FOR EACH ROW SET @t = CONCAT(@t, ',{number}')"
                ),
            ]
        })
        .collect();
    source.run(&many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let migration = Migration::new(&source, &destination).with("/precheck/trial", json!(false));
    let made = "SELECT CAST(COUNT(*) AS CHAR) FROM (SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='shop' UNION ALL SELECT 1 \
                FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA='shop') x";
    let count = async || destination.list(made).await[0].parse::<usize>().unwrap();
    let mut kills = 0;
    for wanted in [1, 30, 64, 80, 110] {
        let mut run = migration.start(&[]);
        while run.ended().is_none() && count().await < wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        kills += usize::from(count().await < 133);
        run.kill();
    }
    assert!(kills > 1, "the programs were made before anybody was killed");
    let mut run = migration.start(&[]);
    follows(&mut run).await;
    let schema = run.report()["schema"].clone();
    assert_eq!(
        (&schema["failedTotal"], &schema["functions"], &schema["triggers"]),
        (&json!(0), &json!(65), &json!(65)),
        "{schema:#}"
    );
    run.terminate().await;
    migration.verify().await;
    destination.run(&["SET @t = ''", "UPDATE shop.orders SET note = 'y' WHERE id = 1"]).await;
    let order = "SELECT CAST(GROUP_CONCAT(TRIGGER_NAME ORDER BY ACTION_ORDER) AS CHAR) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA='shop' \
                 AND ACTION_TIMING='AFTER' AND EVENT_MANIPULATION='UPDATE'";
    assert_eq!(destination.list(order).await, source.list(order).await);
}

/// What cannot be made is named, in the precheck and in status, and the rest arrives; it is made when that becomes possible.
async fn refused(source_kind: &str, destination_kind: &str) {
    let _place = place().await;
    let (source, destination) = (server(source_kind), server(destination_kind));
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, total INT)",
            "INSERT INTO shop.orders VALUES (1, 1)",
            "CREATE DATABASE elsewhere",
            "CREATE TABLE elsewhere.t (a INT)",
            "CREATE TRIGGER shop.out_of_it AFTER INSERT ON shop.orders FOR EACH ROW INSERT INTO elsewhere.t VALUES (NEW.id)",
            "CREATE PROCEDURE shop.accounts() SELECT user FROM mysql.user",
            "CREATE PROCEDURE shop.prepared() BEGIN SET @s = 'SELECT * FROM shop.orders'; PREPARE s FROM @s; EXECUTE s; END",
            "CREATE PROCEDURE shop.taken() SELECT 'the source''s'",
            "CREATE FUNCTION shop.fine() RETURNS INT NO SQL RETURN 1",
        ])
        .await;
    destination.run(&["CREATE DATABASE store", "CREATE PROCEDURE store.taken() SELECT 'somebody''s'"]).await;
    let objects = json!([{"database": "shop", "renameTo": "store"}]);
    let migration = Migration::new(&source, &destination).with("/objects", objects);
    let told = migration.godwit(&["precheck"]).await.expect(3);
    told.says("trigger shop.out_of_it: it uses elsewhere.t, whose database is not selected")
        .says("procedure shop.accounts: it uses the database mysql")
        .says("procedure shop.prepared: it prepares a statement from a text with the name shop")
        .says("procedure store.taken stands at the destination already");
    let migration = migration.ignoring(&["StoredPrograms"]);
    let mut run = migration.start(&[]);
    follows(&mut run).await;
    let schema = run.report()["schema"].clone();
    assert_eq!(
        (&schema["failedTotal"], &schema["functions"], &schema["tables"]),
        (&json!(4), &json!(1), &json!(1)),
        "{schema:#}"
    );
    let failed = schema["failed"].as_array().unwrap();
    let taken = failed.iter().find(|failure| failure["object"] == "procedure store.taken").unwrap();
    assert!(taken["statement"].as_str().unwrap().contains("the source''s"), "{taken}");
    assert!(taken["error"].as_str().unwrap().contains("says something else (body)"), "{taken}");
    source.run(&["INSERT INTO shop.orders VALUES (2, 2)"]).await;
    answers(&destination, "SELECT CAST(COUNT(*) AS CHAR) FROM store.orders", &["2".to_owned()]).await;
    run.terminate().await;
    // Somebody makes room, and the next start makes it.
    destination.run(&["DROP PROCEDURE store.taken"]).await;
    let mut run = migration.start(&[]);
    follows(&mut run).await;
    let schema = run.report()["schema"].clone();
    assert_eq!((&schema["failedTotal"], &schema["procedures"]), (&json!(3), &json!(1)), "{schema:#}");
    run.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_on_mysql80() {
    refused("mysql80", "mysql80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_from_57_to_mariadb114() {
    refused("mysql57", "mariadb114").await;
}

/// With the binary log's rule in force, an account without SUPER: told beforehand, and the tables arrive.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_the_binary_log_does_not_trust() {
    let _place = place().await;
    let (source, mut destination) = (server("mysql97"), Server::start("mysql97", &[]));
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, total INT)",
            "INSERT INTO shop.orders VALUES (1, 1)",
            "CREATE FUNCTION shop.f() RETURNS INT RETURN 1",
            "CREATE TRIGGER shop.t BEFORE INSERT ON shop.orders FOR EACH ROW SET NEW.total = 0",
            "CREATE PROCEDURE shop.p() SELECT 1",
        ])
        .await;
    destination
        .run(&[
            "CREATE USER mover@'%' IDENTIFIED BY 'mover-secret'",
            "GRANT SESSION_VARIABLES_ADMIN ON *.* TO mover@'%'",
            "GRANT ALL ON shop.* TO mover@'%'",
            "GRANT ALL ON godwit.* TO mover@'%'",
            "GRANT ALL ON `godwit\\_trial\\_%`.* TO mover@'%'",
        ])
        .await;
    let root = (destination.user.clone(), destination.password.clone());
    (destination.user, destination.password) = ("mover".into(), "mover-secret".into());
    let migration = Migration::new(&source, &destination);
    (destination.user, destination.password) = root;
    let told = migration.godwit(&["precheck"]).await.expect(3);
    told.says("log_bin_trust_function_creators is OFF at the destination")
        .says("SET PERSIST log_bin_trust_function_creators = 1;");
    let migration = migration.ignoring(&["ProgramLogging", "Trial"]);
    let mut run = migration.start(&[]);
    follows(&mut run).await;
    let schema = run.report()["schema"].clone();
    assert_eq!(
        (&schema["failedTotal"], &schema["procedures"], &schema["tables"]),
        (&json!(2), &json!(1), &json!(1)),
        "{schema:#}"
    );
    assert!(schema["failed"][0]["error"].as_str().unwrap().contains("log_bin_trust_function_creators"), "{schema:#}");
    run.terminate().await;
    // The remedy that was told.
    destination.run(&["SET GLOBAL log_bin_trust_function_creators = 1"]).await;
    let mut run = migration.start(&[]);
    follows(&mut run).await;
    assert_eq!(run.report()["schema"]["failedTotal"], 0);
    run.terminate().await;
    migration.verify().await;
}

/// `definer: Keep`: the definers of the source, where they exist; `definer: Invoker` needs none of them.
async fn definers(kind: &str) {
    let _place = place().await;
    let (source, destination) = (server(kind), server(kind));
    for server in [&source, &destination] {
        server.run(&["CREATE USER app@'10.%' IDENTIFIED BY 'x'", "CREATE DATABASE shop"]).await;
    }
    source
        .run(&[
            "CREATE USER gone@'%' IDENTIFIED BY 'x'",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, total INT)",
            "CREATE DEFINER=app@'10.%' PROCEDURE shop.p() SELECT 1",
            "CREATE DEFINER=app@'10.%' FUNCTION shop.f() RETURNS INT NO SQL SQL SECURITY INVOKER RETURN 1",
            "GRANT ALL ON shop.* TO gone@'%', app@'10.%'",
            "CREATE DEFINER=app@'10.%' TRIGGER shop.t BEFORE INSERT ON shop.orders FOR EACH ROW SET NEW.total = 5",
            "CREATE DEFINER=gone@'%' TRIGGER shop.g BEFORE DELETE ON shop.orders FOR EACH ROW SET @gone = 1",
            "CREATE DEFINER=app@'10.%' EVENT shop.e ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DO SELECT 1",
            "INSERT INTO shop.orders VALUES (1, 1)",
        ])
        .await;
    destination.run(&["GRANT ALL ON shop.* TO app@'10.%'"]).await;
    let migration = Migration::new(&source, &destination).with("/definer", json!("Keep"));
    let told = migration.godwit(&["precheck"]).await.expect(3);
    told.says("these definers do not exist there: 'gone'@'%'").says("CREATE USER 'gone'@'%' ACCOUNT LOCK;");
    let migration = migration.ignoring(&["ProgramDefiners"]);
    let mut run = migration.start(&[]);
    follows(&mut run).await;
    let schema = run.report()["schema"].clone();
    assert_eq!((&schema["failedTotal"], &schema["triggers"]), (&json!(1), &json!(1)), "{schema:#}");
    // A trigger of a definer that is not there would have failed this.
    source.run(&["INSERT INTO shop.orders VALUES (2, 2)", "DELETE FROM shop.orders WHERE id = 1"]).await;
    answers(&destination, "SELECT CAST(CONCAT(id, '|', total) AS CHAR) FROM shop.orders", &["2|5".to_owned()]).await;
    run.terminate().await;
    let shown = "SELECT CAST(CONCAT_WS('|', ROUTINE_NAME, DEFINER, SECURITY_TYPE) AS CHAR) FROM information_schema.ROUTINES WHERE \
                 ROUTINE_SCHEMA='shop' UNION ALL SELECT CAST(CONCAT_WS('|', TRIGGER_NAME, DEFINER) AS CHAR) FROM information_schema.TRIGGERS WHERE \
                 TRIGGER_SCHEMA='shop' UNION ALL SELECT CAST(CONCAT_WS('|', EVENT_NAME, DEFINER) AS CHAR) FROM information_schema.EVENTS WHERE \
                 EVENT_SCHEMA='shop' ORDER BY 1";
    assert_eq!(destination.list(shown).await, ["e|app@10.%", "f|app@10.%|INVOKER", "p|app@10.%|DEFINER", "t|app@10.%"]);
    destination.run(&["DROP DATABASE shop", "DROP DATABASE godwit", "DROP USER app@'10.%'", "CREATE DATABASE shop"]).await;
    let migration = Migration::new(&source, &destination);
    migration.run_until_caught_up().await.expect(0);
    assert_eq!(destination.list(shown).await, ["e|root@%", "f|root@%|INVOKER", "g|root@%", "p|root@%|INVOKER", "t|root@%"]);
    migration.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn definers_on_mysql80() {
    definers("mysql80").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn definers_on_mariadb114() {
    definers("mariadb114").await;
}

/// `triggers: Manual` holds them back and lists them. A task without a log makes triggers plainly, as its last step. Choosing tables leaves
/// programs out.
#[tokio::test(flavor = "multi_thread")]
async fn held_plain_and_left_out() {
    let _place = place().await;
    let (source, destination) = (server("mysql97"), server("mysql97"));
    source.run(SHOP).await;
    let migration = Migration::new(&source, &destination).with("/triggers", json!("Manual"));
    let mut run = migration.start(&[]);
    follows(&mut run).await;
    let schema = run.report()["schema"].clone();
    let held: Vec<&str> = schema["heldTriggers"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(held.len(), 5);
    assert!(held.contains(&"trigger shop.raise") && schema["triggers"] == 0, "{schema:#}");
    run.terminate().await;
    migration.verify().await;
    assert!(triggers(&destination, "shop").await.is_empty());
    destination.run(&["DROP DATABASE shop", "DROP DATABASE godwit"]).await;
    let migration = Migration::new(&source, &destination).with("/migrationTypes", json!(["Schema", "Full"]));
    migration.run().await.expect(0);
    assert_eq!(
        triggers(&destination, "shop").await,
        ["gone plain", "told plain", "raise plain", "raise_twice plain", "changed plain"]
    );
    assert_eq!(destination.list(&totals("shop")).await, source.list(&totals("shop")).await);
    migration.verify().await;
    destination.run(&["DROP DATABASE shop", "DROP DATABASE godwit"]).await;
    let tables = json!([{"database": "shop", "tables": [{"table": "*"}]}]);
    let migration = Migration::new(&source, &destination).with("/objects", tables);
    migration.run_until_caught_up().await.expect(0);
    let programs = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='shop'";
    assert!(triggers(&destination, "shop").await.is_empty() && destination.list(programs).await == ["0"]);
}
