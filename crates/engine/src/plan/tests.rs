//! Selection and resolving, from manifests as people write them.

use std::sync::Arc;

use super::mapping::NameRules;
use super::resolve::{Catalog, CatalogDatabase, CatalogView, resolve};
use super::select::{Selection, TRIAL_PREFIX, is_trial_database};
use super::*;
use crate::fixture::{column, definition};
use godwit_api::manifest::resume_changes as changed;
use godwit_api::manifest::resume_fingerprint;
use godwit_api::{MigrationTaskSpec, NameCase};
use godwit_model::definition::{ForeignKey, Index, IndexPart};
use godwit_model::error::Result;

const AS_SOURCE: NameRules = NameRules { source: 0, destination: 0, policy: NameCase::Default };

fn spec(objects: &str) -> MigrationTaskSpec {
    let text =
        format!("source: {{mysql: {{host: s, username: u}}}}\ndestination: {{mysql: {{host: d, username: u}}}}\n{objects}\n");
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn index(name: &str, columns: &[&str]) -> Index {
    let part = |column: &&str| IndexPart { column: Some((*column).into()), prefix: None, nullable: false };
    Index { name: name.into(), unique: true, kind: "BTREE".into(), parts: columns.iter().map(part).collect() }
}

fn table(database: &str, table: &str) -> TableDefinition {
    let mut double = column("double_total", Kind::BigInt { unsigned: false });
    double.generated = Generated::Virtual;
    let columns = vec![
        column("id", Kind::BigInt { unsigned: true }),
        column("code", Kind::Varchar),
        column("total", Kind::Decimal { precision: 10, scale: 2 }),
        double,
        column("rate", Kind::Double),
    ];
    TableDefinition {
        indexes: vec![index("PRIMARY", &["id"]), index("code", &["code"])],
        estimated_rows: 10,
        average_row_bytes: 100,
        unread: Vec::new(),
        ..definition(database, table, columns)
    }
}

fn catalog(tables: &[(&str, &str)]) -> Catalog {
    let mut databases: Vec<&str> = tables.iter().map(|(database, _)| *database).collect();
    databases.dedup();
    Catalog {
        databases: databases
            .into_iter()
            .map(|name| CatalogDatabase {
                name: name.into(),
                character_set: "utf8mb4".into(),
                collation: "utf8mb4_0900_ai_ci".into(),
            })
            .collect(),
        tables: tables.iter().map(|(d, t)| Arc::new(table(d, t))).collect(),
        views: vec![CatalogView {
            name: TableName { database: "shop".into(), table: "totals".into() },
            create_statement: "CREATE VIEW".into(),
            session: Default::default(),
        }],
        programs: vec![],
    }
}

fn plan(objects: &str, names: NameRules, catalog: &Catalog) -> Result<Plan> {
    let spec = spec(objects);
    resolve(&spec, &Selection::new(&spec, names)?, catalog)
}

fn names(plan: &Plan) -> Vec<String> {
    plan.tables.iter().map(|table| format!("{} -> {}", table.source, table.destination)).collect()
}

fn refusal(objects: &str, catalog: &Catalog) -> String {
    plan(objects, AS_SOURCE, catalog).unwrap_err().to_string()
}

#[test]
fn everything_that_is_not_the_systems_is_the_default() {
    let catalog = catalog(&[("a", "t"), ("godwit", "task"), ("mysql", "user"), ("shop", "orders"), ("sys", "x")]);
    let plan = plan("", AS_SOURCE, &catalog).unwrap();
    assert_eq!(names(&plan), ["a.t -> a.t", "shop.orders -> shop.orders"]);
    assert_eq!(plan.tables[1].id, 1);
    assert!(plan.databases.iter().all(|database| database.whole));
    assert_eq!(plan.views.len(), 1);
}

#[test]
fn exact_names_win_over_patterns_and_the_first_pattern_wins() {
    let spec = spec(
        r"objects:
- {database: 'shop_*', renameTo: 'new_$1'}
- {database: 'sh*'}
- {database: shop_eu, renameTo: europe, tables: [{table: 'o*', renameTo: 'x_$1'}, {table: orders, renameTo: orders_v2}, {table: '*s'}]}
excludeDatabases: ['*_tmp']",
    );
    let selection = Selection::new(&spec, AS_SOURCE).unwrap();
    let covered = |d: &str, t: &str| selection.covers(d, t).map(|m| format!("{}.{} {}", m.database, m.table, m.field));
    assert_eq!(covered("shop_us", "t").as_deref(), Some("new_us.t spec.objects[0]"));
    assert_eq!(covered("shed", "t").as_deref(), Some("shed.t spec.objects[1]"));
    assert_eq!(covered("shop_eu", "orders").as_deref(), Some("europe.orders_v2 spec.objects[2].tables[1]"));
    assert_eq!(covered("shop_eu", "offers").as_deref(), Some("europe.x_ffers spec.objects[2].tables[0]"));
    assert_eq!(covered("shop_eu", "users").as_deref(), Some("europe.users spec.objects[2].tables[2]"));
    assert_eq!(covered("shop_eu", "log"), None);
    assert_eq!(covered("shop_tmp", "t"), None);
    assert_eq!(covered("SHOP_us", "t"), None);
}

#[test]
fn relations_are_parents_and_children() {
    let mut catalog = catalog(&[("shop", "customers"), ("shop", "items"), ("shop", "orders"), ("shop", "other")]);
    let refer = |catalog: &mut Catalog, child: usize, parent: &str| {
        Arc::make_mut(&mut catalog.tables[child]).foreign_keys.push(ForeignKey {
            name: "f".into(),
            columns: vec!["id".into()],
            parent_database: "shop".into(),
            parent_table: parent.into(),
            parent_columns: vec!["id".into()],
            on_delete: "RESTRICT".into(),
            on_update: "RESTRICT".into(),
        });
    };
    refer(&mut catalog, 1, "orders");
    refer(&mut catalog, 2, "Customers");
    refer(&mut catalog, 2, "orders");
    let plan = plan("", AS_SOURCE, &catalog).unwrap();
    let relations: Vec<_> = plan.tables.iter().map(|table| plan.relations(table)).collect();
    assert_eq!(relations, [vec![0, 2], vec![1, 2], vec![0, 1, 2], vec![3]]);
}

#[test]
fn case_folds_where_the_source_folds_it() {
    let spec = spec("objects: [{database: Shop, tables: [{table: Orders}]}]");
    let folding = NameRules { source: 1, destination: 1, policy: NameCase::Default };
    let selection = Selection::new(&spec, folding).unwrap();
    assert_eq!(selection.covers("shop", "orders").map(|m| m.table).as_deref(), Some("orders"));
    let plan = plan("objects: [{database: Shop, tables: [{table: Orders}]}]", folding, &catalog(&[("shop", "orders")])).unwrap();
    assert_eq!(names(&plan), ["shop.orders -> shop.orders"]);
}

#[test]
fn chosen_tables_leave_out_views_and_exclusion_wins() {
    let catalog = catalog(&[("shop", "orders"), ("shop", "tmp_1")]);
    let whole = plan("objects: [{database: shop, excludeTables: ['tmp_*', 'tot*']}]", AS_SOURCE, &catalog).unwrap();
    assert_eq!(names(&whole), ["shop.orders -> shop.orders"]);
    assert!(whole.views.is_empty());
    let chosen = plan("objects: [{database: shop, tables: [{table: '*'}]}]", AS_SOURCE, &catalog).unwrap();
    assert_eq!(chosen.tables.len(), 2);
    assert!(chosen.views.is_empty() && !chosen.databases[0].whole);
}

#[test]
fn columns_keys_and_operations() {
    let catalog = catalog(&[("shop", "orders")]);
    let objects = r"dml: [Insert]
objects:
- database: shop
  tables:
  - {table: orders, dml: [Insert, Delete], columns: {exclude: [CODE], rename: {total: amount, 'r*': 'x_$1'}}}";
    let plan = plan(objects, AS_SOURCE, &catalog).unwrap();
    let orders = &plan.tables[0];
    let columns: Vec<_> = orders.columns.iter().map(|c| (c.image, c.destination_name.as_str(), c.write)).collect();
    assert_eq!(columns, [(0, "id", true), (2, "amount", true), (4, "x_ate", true)]);
    assert_eq!((orders.key.as_slice(), orders.range_columns, orders.secondary_unique), ([0].as_slice(), 1, false));
    assert_eq!(orders.key_index.as_deref(), Some("PRIMARY"));
    assert_eq!(orders.dml, DmlSelection { insert: true, update: false, delete: true });
}

#[test]
fn a_second_unique_index_and_unsafe_ranges_are_seen() {
    let mut definition = table("shop", "orders");
    definition.indexes = vec![index("k", &["id", "rate", "total"]), index("code", &["code"])];
    definition.columns[4].kind = Kind::Set { labels: vec!["a".into()] };
    let catalog = Catalog { tables: vec![Arc::new(definition)], ..catalog(&[("shop", "orders")]) };
    let plan = plan("", AS_SOURCE, &catalog).unwrap();
    assert_eq!(plan.tables[0].key, [0, 3, 2]);
    assert_eq!(plan.tables[0].range_columns, 0, "a part of the key is no bound for the rows of a chunk");
    assert!(plan.tables[0].secondary_unique);
}

#[test]
fn refusals_name_the_field_and_the_remedy() {
    let catalog = catalog(&[("shop", "orders"), ("shop2", "orders")]);
    for (objects, expected) in [
        ("objects: [{database: nope}]", vec!["spec.objects[0].database", "`nope`"]),
        ("objects: [{database: SHOP}]", vec!["did you mean `shop`"]),
        (
            "objects: [{database: shop, tables: [{table: orders}, {table: ordrs}]}]",
            vec!["spec.objects[0].tables[1].table", "`ordrs`"],
        ),
        ("objects: [{database: shop, tables: [{table: totals}]}]", vec!["spec.objects[0].tables[0].table", "is a view"]),
        ("objects: [{database: mysql}]", vec!["spec.objects[0].database", "belongs to the server"]),
        ("objects: [{database: 'shop*', renameTo: one}, {database: shop2, renameTo: two}]", vec![]),
        ("objects: [{database: 'sho*', renameTo: one}]", vec!["shop.orders and shop2.orders", "one.orders", "renameTo"]),
        ("objects: [{database: 'sho*', renameTo: 'x_$2'}]", vec!["spec.objects[0].renameTo", "$2"]),
        ("objects: [{database: shop, renameTo: godwit}]", vec!["spec.objects[0].renameTo", "recordsDatabase"]),
        ("objects: [{database: shop, renameTo: MySQL}]", vec!["belongs to the server"]),
        (
            "objects: [{database: shop, tables: [{table: orders, columns: {exclude: [id]}}]}]",
            vec!["spec.objects[0].tables[0].columns", "`id`", "`PRIMARY`", "include it"],
        ),
        (
            "objects: [{database: shop, tables: [{table: orders, columns: {include: [id, cod]}}]}]",
            vec!["spec.objects[0].tables[0].columns.include", "`cod`"],
        ),
        (
            "objects: [{database: shop, tables: [{table: orders, columns: {rename: {code: Total}}}]}]",
            vec!["`code` and `total`", "columns.rename"],
        ),
        (
            "objects: [{database: shop, tables: [{table: orders, columns: {exclude: [double_total]}}]}]",
            vec!["columns: leaves out the generated column `double_total`", "include it"],
        ),
        (
            "objects: [{database: shop, tables: [{table: orders, columns: {rename: {'dou*': 'x$1'}}}]}]",
            vec!["columns.rename: `double_total`"],
        ),
        ("excludeDatabases: ['*']", vec!["selects no database"]),
    ] {
        if expected.is_empty() {
            plan(objects, AS_SOURCE, &catalog).unwrap();
            continue;
        }
        let text = refusal(objects, &catalog);
        for part in expected {
            assert!(text.contains(part), "{objects}: {text}");
        }
    }
}

#[test]
fn names_that_differ_in_case_only_collide_where_the_destination_folds() {
    let catalog = catalog(&[("shop", "Orders"), ("shop", "orders")]);
    plan("", AS_SOURCE, &catalog).unwrap();
    let folding = NameRules { source: 0, destination: 1, policy: NameCase::AsSource };
    let text = plan("", folding, &catalog).unwrap_err().to_string();
    assert!(text.contains("shop.Orders and shop.orders"), "{text}");
}

#[test]
fn what_this_version_cannot_do_is_said_by_name() {
    let supported = plan("", AS_SOURCE, &catalog(&[("shop", "orders")])).unwrap();
    assert_eq!(supported.unsupported, Vec::<String>::new());
    let objects = r"objects: [{database: shop, ddl: [AlterTable, DropView], tables: [{table: orders, where: 'a=1', etl: {drop: [rate]}}]}]
accounts: {migrate: true}
floatPrecision: {float: 3}
onlineDdl: {mode: GhOst}
verification: {incremental: true}
alerts: {webhook: {secretName: hook}}
cutover: {requested: true}
ddl: [CreateView]";
    let plan = plan(objects, AS_SOURCE, &catalog(&[("shop", "orders")])).unwrap();
    let fields: Vec<&str> = plan.unsupported.iter().map(|text| text.split(": ").next().unwrap()).collect();
    assert_eq!(
        fields,
        [
            "spec.ddl",
            "spec.objects[0].ddl",
            "spec.objects[0].tables[0].where",
            "spec.objects[0].tables[0].etl",
            "spec.accounts.migrate",
            "spec.floatPrecision",
            "spec.onlineDdl.mode",
            "spec.verification.incremental",
            "spec.alerts.webhook",
            "spec.cutover.requested",
        ]
    );
}

#[test]
fn the_fingerprint_names_what_changed() {
    let of = |objects: &str| resume_fingerprint(&spec(objects));
    let before = of("objects: [{database: shop}]");
    let same = of("objects: [{database: shop, dml: [Insert]}]\ncluster: {units: 4}\nmigrationTypes: [Incremental, Full, Schema]");
    assert_eq!(changed(&before, &same), None);
    let text = changed(&before, &of("objects: [{database: shop2}]\nnameCase: Lower")).unwrap();
    assert!(
        text.starts_with("spec.nameCase, spec.objects[shop], spec.objects[shop2] changed since this task was started;"),
        "{text}"
    );
    let mut newer = before.clone();
    newer.push(("spec.invented".to_owned(), "1".to_owned()));
    assert_eq!(changed(&before, &newer), None);
}

#[test]
fn the_preview_shows_names_keys_and_statements() {
    let mut definition = table("shop", "orders");
    definition.create_statement =
        "CREATE TABLE `orders` (\n  `id` bigint unsigned NOT NULL,\n  `code` varchar(9) NOT NULL,\n  `total` decimal(10,2) NOT NULL,\n  \
         `double_total` bigint GENERATED ALWAYS AS (`total` * 2) VIRTUAL,\n  `rate` double NOT NULL,\n  PRIMARY KEY (`id`),\n  \
         UNIQUE KEY `code` (`code`)\n) ENGINE=MyISAM"
            .into();
    definition.estimated_rows = 1000;
    let catalog = Catalog { tables: vec![Arc::new(definition)], views: vec![], ..catalog(&[("shop", "orders")]) };
    let objects =
        "objects: [{database: shop, renameTo: new, tables: [{table: orders, renameTo: o2, columns: {rename: {code: name}}}]}]";
    let spec = spec(objects);
    let plan = plan(objects, AS_SOURCE, &catalog).unwrap();
    let info = godwit_model::server::ServerInfo::parse("8.0.36");
    let preview = super::render::preview(&spec, &plan, &info, &info, 10_000);
    let text = preview.text();
    for part in [
        "Does Schema, Full, Incremental\n",
        "\nshop      new                 utf8mb4_0900_ai_ci  chosen tables\n",
        "\nshop.orders  new.o2              id   1000          about 10 chunks\n",
        "CREATE TABLE `new`.`o2` (",
        "ENGINE=InnoDB;",
        "\nAfter the rows\n\nALTER TABLE `new`.`o2` ADD UNIQUE KEY `code` (`name`);\n",
        "shop.orders: columns id, code as name, total, rate\n",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let json = serde_json::to_value(&preview).unwrap();
    assert_eq!(json["tables"][0]["estimatedChunks"], 10);
    assert_eq!(json["tables"][0]["deferred"][0], "ALTER TABLE `new`.`o2` ADD UNIQUE KEY `code` (`name`)");
}

#[test]
fn ten_thousand_tables_resolve_quickly() {
    let tables: Vec<String> = (0..10_000).map(|number| format!("t{number}")).collect();
    let pairs: Vec<(&str, &str)> = tables.iter().map(|table| ("shop", table.as_str())).collect();
    let entries: Vec<String> = tables.iter().map(|table| format!("{{table: {table}}}")).collect();
    let objects = format!("objects: [{{database: shop, tables: [{}]}}]", entries.join(", "));
    let started = std::time::Instant::now();
    let plan = plan(&objects, AS_SOURCE, &catalog(&pairs)).unwrap();
    assert_eq!(plan.tables.len(), 10_000);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn the_heartbeats_table_is_never_selected() {
    let selection = |objects: &str| Selection::new(&spec(objects), AS_SOURCE).unwrap();
    let everything = selection("heartbeat: {database: beats}");
    assert!(everything.database("beats").is_none() && everything.covers("beats", "other").is_none());
    assert!(everything.covers("shop", "orders").is_some() && everything.covers("shop", "godwit_heartbeat").is_none());
    // By its exact name a database is selected, but not this table of it: whatever the field says now or said before.
    for objects in
        ["objects: [{database: godwit, renameTo: g}]", "heartbeat: {database: shop}\nobjects: [{database: godwit, renameTo: g}]"]
    {
        let named = selection(objects);
        assert!(named.covers("godwit", "orders").is_some() && named.covers("godwit", "Godwit_Heartbeat").is_none(), "{objects}");
    }
    let objects = "objects: [{database: shop, tables: [{table: orders}, {table: godwit_heartbeat}]}]";
    let text = refusal(objects, &catalog(&[("shop", "orders"), ("shop", "godwit_heartbeat")]));
    assert!(text.contains("spec.objects[0].tables[1].table") && text.contains("never migrated"), "{text}");
}

#[test]
fn databases_of_trials_are_known_by_a_name_that_nobody_gives() {
    let trial = format!("{TRIAL_PREFIX}{}", "0a".repeat(16));
    for (name, expected) in [
        (format!("{trial}_0000"), true),
        (trial.clone(), true),
        (format!("{trial}_x"), false),
        (format!("{TRIAL_PREFIX}run"), false),
        (format!("{TRIAL_PREFIX}{}", "G".repeat(32)), false),
        ("shop".to_owned(), false),
    ] {
        assert_eq!(is_trial_database(&name), expected, "{name}");
    }
}
