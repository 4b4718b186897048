use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::fixture;
use crate::plan::mapping::NameRules;
use crate::plan::{ColumnPlan, DatabasePlan, JsonSides, Plan};
use godwit_model::definition::Kind;

/// `shop` is `store` there, its table `orders` is `sales`, `items` keeps its name; `other` keeps its name; column `code` of `codes` is `number`.
fn names() -> ProgramNames {
    let table = |database: &str, table: &str, to: (&str, &str), renamed: &[(&str, &str)]| {
        let columns: Vec<_> = std::iter::once("id")
            .chain(renamed.iter().map(|(from, _)| *from))
            .map(|name| fixture::column(name, Kind::Varchar))
            .collect();
        let mut plan = fixture::table_plan(fixture::definition(database, table, columns));
        plan.destination = TableName { database: to.0.into(), table: to.1.into() };
        plan.columns = plan
            .definition
            .columns
            .iter()
            .enumerate()
            .map(|(image, column)| ColumnPlan {
                image,
                destination_name: renamed
                    .iter()
                    .find(|(from, _)| *from == column.name)
                    .map_or(column.name.clone(), |to| to.1.into()),
                write: true,
                column: column.clone(),
                json: JsonSides::default(),
            })
            .collect();
        Arc::new(plan)
    };
    let database = |source: &str, destination: &str| DatabasePlan {
        source: source.into(),
        destination: destination.into(),
        character_set: "utf8mb4".into(),
        collation: "utf8mb4_bin".into(),
        whole: true,
    };
    let first = table("shop", "orders", ("store", "sales"), &[]);
    let mut plan: Plan = fixture::plan_of(TablePlan::clone(&first));
    plan.names = NameRules { source: 0, destination: 0, policy: godwit_api::NameCase::Default };
    plan.databases = vec![database("shop", "store"), database("other", "other")];
    plan.tables = vec![
        first,
        table("shop", "items", ("store", "items"), &[]),
        table("other", "o", ("other", "o"), &[]),
        table("shop", "codes", ("store", "codes"), &[("code", "number")]),
    ];
    ProgramNames::new(&plan)
}

use crate::plan::TablePlan;

fn at(database: &'static str, body: &str) -> Result<String, Vec<String>> {
    rewrite(body, &LexMode::default(), Home { database, table: None }, &names())
}

fn becomes(body: &str, expected: &str) {
    assert_eq!(at("shop", body).as_deref(), Ok(expected), "{body}");
}

fn stays(body: &str) {
    becomes(body, body);
}

fn refused(body: &str, part: &str) {
    let problems = at("shop", body).expect_err(body);
    assert!(problems.iter().any(|problem| problem.contains(part)), "{body}: {problems:?}");
}

#[test]
fn tables_where_the_grammar_has_tables() {
    becomes("SELECT * FROM shop.items", "SELECT * FROM `store`.`items`");
    becomes(
        "SELECT i.id FROM `shop` . `items` i, other.o, shop.items AS j",
        "SELECT i.id FROM `store`.`items` i, other.o, `store`.`items` AS j",
    );
    becomes("SELECT o.id FROM shop.orders o", "SELECT o.id FROM `store`.`sales` o");
    becomes(
        "BEGIN INSERT IGNORE INTO shop.items (id) VALUES (1); END",
        "BEGIN INSERT IGNORE INTO `store`.`items` (id) VALUES (1); END",
    );
    becomes("REPLACE shop.items SET id = REPLACE('a', 'b', 'c')", "REPLACE `store`.`items` SET id = REPLACE('a', 'b', 'c')");
    becomes(
        "UPDATE shop.items i JOIN shop.items j ON i.id = j.id SET i.id = 1, j.id = 2",
        "UPDATE `store`.`items` i JOIN `store`.`items` j ON i.id = j.id SET i.id = 1, j.id = 2",
    );
    becomes(
        "DELETE FROM shop.items WHERE id IN (SELECT id FROM shop.orders s)",
        "DELETE FROM `store`.`items` WHERE id IN (SELECT id FROM `store`.`sales` s)",
    );
    becomes("DELETE shop.items FROM shop.items, other.o", "DELETE `store`.`items` FROM `store`.`items`, other.o");
    becomes("TRUNCATE TABLE shop.items", "TRUNCATE TABLE `store`.`items`");
    becomes("DROP TEMPORARY TABLE IF EXISTS shop.items", "DROP TEMPORARY TABLE IF EXISTS `store`.`items`");
    becomes(
        "SELECT shop.items.id, shop.items.* FROM shop.items",
        "SELECT `store`.`items`.id, `store`.`items`.* FROM `store`.`items`",
    );
    becomes(
        "SELECT 1 FROM (shop.items a JOIN (SELECT 1 FROM shop.items) b)",
        "SELECT 1 FROM (`store`.`items` a JOIN (SELECT 1 FROM `store`.`items`) b)",
    );
}

#[test]
fn routines_and_what_stays() {
    becomes("CALL shop.p(shop.f(1))", "CALL `store`.p(`store`.f(1))");
    becomes("BEGIN CALL shop.p; SET @x = shop.f (1); END", "BEGIN CALL `store`.p; SET @x = `store`.f (1); END");
    becomes("DROP EVENT IF EXISTS shop.e", "DROP EVENT IF EXISTS `store`.e");
    for body in [
        "SELECT id FROM items WHERE items.id = NEW.id",
        "SELECT 'shop.items', \"shop.orders\" /* shop.orders */ FROM items -- shop.items\n",
        "SELECT EXTRACT(YEAR FROM i.id), TRIM(LEADING 'x' FROM i.id) FROM items i",
        "INSERT INTO items SELECT i.id FROM items i ON DUPLICATE KEY UPDATE items.id = 1, items.id = 2",
        "BEGIN DECLARE r ROW (a INT); SELECT 1, 2 FROM items INTO r.a, r.b; FETCH c INTO r.a; END",
        "SELECT * FROM information_schema.tables t, sys.version v",
        "SELECT a.id FROM items a FOR UPDATE",
        "lab: LOOP LEAVE lab; END LOOP lab",
        "SELECT * FROM other.o WHERE o.id = 1",
    ] {
        stays(body);
    }
}

#[test]
fn what_a_rename_breaks_is_named() {
    refused("SELECT * FROM orders", "orders without its database, and shop.orders is renamed");
    refused("SELECT orders.id FROM shop.orders", "orders without its database");
    refused("SELECT shop.id FROM items shop", "the database shop is renamed");
    refused("SELECT * FROM shop.later", "shop.later, which is not a part of the task");
    refused("BEGIN SET @s = 'DELETE FROM shop.items'; PREPARE s FROM @s; EXECUTE s; END", "the name shop");
    refused("SHOW TABLES FROM shop", "the database shop");
    refused("SELECT code FROM codes", "column code of shop.codes is renamed");
    refused("SELECT shop.codes.code FROM shop.codes", "column code of shop.codes");
    // Of another table.
    stays("SELECT code FROM items");
    let home = TableName { database: "shop".into(), table: "codes".into() };
    let of_trigger = |body| rewrite(body, &LexMode::default(), Home { database: "shop", table: Some(&home) }, &names());
    assert!(of_trigger("SET NEW.code = 1").is_err() && of_trigger("SET NEW.id = 1").is_ok());
    // From another database the name alone means another table.
    assert_eq!(at("other", "SELECT * FROM orders"), Ok("SELECT * FROM orders".to_owned()));
}

#[test]
fn what_leads_out_is_refused() {
    refused("INSERT INTO mysql.user VALUES (1)", "database mysql");
    refused("SELECT `MYSQL`.x.y FROM items", "database mysql");
    refused("SELECT * FROM items JOIN elsewhere.t", "elsewhere.t, whose database is not selected");
    refused("SET @x = elsewhere.f(1)", "calls elsewhere.f");
    refused("SELECT 'open", "no end");
}

#[test]
fn quotes_follow_the_mode() {
    let ansi = LexMode { ansi_quotes: true, no_backslash_escapes: true, ..LexMode::default() };
    let at = |body| rewrite(body, &ansi, Home { database: "shop", table: None }, &names());
    assert_eq!(at("SELECT 'a\\', \"id\" FROM \"shop\".\"items\"").as_deref(), Ok("SELECT 'a\\', \"id\" FROM `store`.`items`"));
    let long = "x".repeat(64);
    assert_eq!(at(&format!("SELECT \"{long}\" FROM items")), Ok(format!("SELECT \"{long}\" FROM items")));
}

/// Pieces of which bodies are put together.
const PIECES: &[&str] = &[
    "SELECT",
    "FROM",
    "shop.items",
    "`shop`.`items`",
    "(",
    ")",
    ",",
    ";",
    "i",
    "JOIN",
    "ON",
    "UPDATE",
    "SET",
    "INSERT",
    "INTO",
    "DELETE",
    "CALL",
    "shop.p",
    "shop.f(1)",
    "'shop.items'",
    "/* shop.items */",
    "WHERE",
    "BEGIN",
    "END",
    "IF",
    "THEN",
    "=",
    "1",
    "other.o",
    "@shop",
];

proptest! {
    /// Whatever stands there: no other byte than that of a qualified name in the mapping changes, and nothing panics.
    #[test]
    fn only_names_change(places in proptest::collection::vec(0..PIECES.len(), 0..40)) {
        let body = places.iter().map(|place| PIECES[*place]).collect::<Vec<_>>().join(" ");
        if let Ok(text) = at("shop", &body) {
            let back = text
                .replace("`store`.`items`", "shop.items")
                .replace("`store`.", "shop.");
            prop_assert_eq!(back, body.replace("`shop`.`items`", "shop.items"));
            // A name that stays would mean nothing there.
            let list = tokens(text.as_bytes(), &LexMode::default());
            let named = list.iter().any(|token| token.is_word(text.as_bytes(), "shop"));
            prop_assert!(!named, "{}", text);
        }
    }

    #[test]
    fn any_text_is_taken_or_refused(body in ".{0,80}") {
        let _ = at("shop", &body);
    }
}
