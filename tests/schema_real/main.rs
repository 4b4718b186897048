//! Nasty definitions on real servers: read, rewritten, created on the same and on later servers, compared.
//!
//! `cargo test --test schema_real -- --ignored` (needs what e2e/lab/README.md says).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod fuzz;
mod logged;

use godwit::engine::create::apply::{self, Made, create_database, create_object, create_views, run_deferred};
use godwit::engine::plan::DatabasePlan;
use godwit::engine::plan::statements::says_conversions;
use godwit::engine::schema::ObjectFailure;
use godwit::engine::schema::adapt::adapt_for;
use godwit::engine::schema::compare::differences;
use godwit::engine::schema::compare_texts::text_differences;
use godwit::engine::schema::names::NameMap;
use godwit::engine::schema::read::{self, ObjectKind, list_databases, list_tables, read_database, read_tables};
use godwit::engine::schema::read_views::{ViewDefinition, read_views};
use godwit::engine::schema::rewrite::{DeferredKind, Engine, TableRewrite, rewrite_create_table};
use godwit::engine::schema::view::{Definer, order_views, rewrite_view};
use godwit::engine::schema::view_session::ViewStatement;
use godwit::model::definition::TableDefinition;
use godwit::model::names::TableName;
use godwit::model::server::{Flavor, ServerInfo};
use godwit_testkit::lab::Server;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

const DATABASE: &str = "we`ird db";

/// What happens to names on the way.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Names {
    /// Only the database has another name.
    Kept,
    /// Tables and columns get an ending.
    Changed,
    /// Columns called `v` and `pb` are left out.
    Fewer,
}

struct Mapping {
    names: Names,
    destination: String,
}

impl NameMap for Mapping {
    fn database(&self, source: &str) -> Option<String> {
        (source == DATABASE).then(|| self.destination.clone())
    }

    fn table(&self, source: &TableName) -> Option<TableName> {
        let ending = if self.names == Names::Changed { "`é.2" } else { "" };
        (source.database == DATABASE)
            .then(|| TableName { database: self.destination.clone(), table: format!("{}{ending}", source.table) })
    }

    fn column(&self, table: &TableName, column: &str) -> Option<String> {
        match self.names {
            // A view's columns keep their names.
            Names::Changed if !is_view(&table.table) && column != "my_row_id" => Some(format!("{column}`_é")),
            Names::Fewer if !is_view(&table.table) && ["v", "pb"].contains(&column) => None,
            _ => Some(column.to_owned()),
        }
    }
}

fn is_view(name: &str) -> bool {
    ["v1", "a view", "v3", "vcte", "vletters", "vaofv", "veq", "veq2", "vlatin1", "vcp", "vwith"].contains(&name)
}

struct Source<'a> {
    server: &'a Server,
    info: ServerInfo,
    tables: Vec<TableDefinition>,
    views: Vec<ViewDefinition>,
}

async fn load<'a>(server: &'a Server, files: &[&str]) -> Source<'a> {
    let mut conn = server.plain().await;
    run(&mut conn, "CREATE DATABASE `we``ird db` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci").await;
    run(&mut conn, "USE `we``ird db`").await;
    run(&mut conn, "SET SESSION foreign_key_checks=0, sql_mode='ALLOW_INVALID_DATES'").await;
    for optional in ["SET SESSION restrict_fk_on_non_standard_key=0"] {
        let _ = conn.query_drop(optional).await;
    }
    for file in files {
        let text = std::fs::read_to_string(format!("{}/tests/schema_real/sql/{file}.sql", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for statement in text.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            run(&mut conn, statement).await;
        }
    }
    let info = read::prepare_session(&mut conn).await.unwrap();
    assert!(list_databases(&mut conn).await.unwrap().contains(&DATABASE.to_owned()));
    assert_eq!(read_database(&mut conn, DATABASE).await.unwrap(), Some(("utf8mb4".into(), "utf8mb4_unicode_ci".into())));
    assert_eq!(read_database(&mut conn, "no such").await.unwrap(), None);
    let names: Vec<TableName> = list_tables(&mut conn, DATABASE)
        .await
        .unwrap()
        .into_iter()
        .filter(|table| matches!(table.kind, ObjectKind::BaseTable | ObjectKind::SystemVersioned))
        .map(|table| TableName { database: DATABASE.into(), table: table.name })
        .collect();
    let tables = read_tables(&mut conn, &names).await.unwrap();
    assert_eq!(tables.len(), names.len());
    // A few by name give the same as all at once.
    let few = read_tables(&mut conn, &names[..3]).await.unwrap();
    assert_eq!(few.iter().map(|t| &t.columns).collect::<Vec<_>>(), tables[..3].iter().map(|t| &t.columns).collect::<Vec<_>>());
    let (views, failures) = read_views(&mut conn, DATABASE).await.unwrap();
    assert!(failures.is_empty() && views.len() >= 3, "{failures:?}");
    assert!(tables.iter().all(|table| table.unread.is_empty()));
    Source { server, info, tables, views }
}

async fn run(conn: &mut Conn, statement: &str) {
    conn.query_drop(statement).await.unwrap_or_else(|error| panic!("{error}\n{statement}"));
}

/// Tables that have no counterpart at the destination, by design.
fn is_refused(source: &ServerInfo, destination: &ServerInfo, table: &str) -> bool {
    let to_mariadb = source.flavor == Flavor::MySql && destination.flavor == Flavor::MariaDb;
    // MariaDB lacks indexes on expressions, VECTOR (before 11.7), uuid_to_bin; it prints backticks in names of
    // foreign keys unescaped; MySQL 8.0.15 takes no partitions and keys that others take.
    let unlike = to_mariadb && ["func", "mvi", "vec", "defx", "letters8f"].contains(&table);
    let misprinted = source.flavor == Flavor::MariaDb && table == "child";
    // 8.0.15 prints a conversion that it carries out; said, it has another collation in MariaDB than the column beside it.
    let converted = to_mariadb && source.is_mysql_since(8, 0, 0) && !source.is_mysql_since(9, 0, 0) && table == "converts";
    unlike || misprinted || converted
}

async fn migrate(source: &Source<'_>, destination: &Server, names: Names) -> Vec<String> {
    let mut problems = Vec::new();
    let mut conn = destination.plain().await;
    let info = apply::prepare_session(&mut conn).await.unwrap();
    let label = format!("{} -> {} {names:?}", source.info.version_text, info.version_text);
    let mapping = Mapping { names, destination: format!("to {names:?} `{}", source.info.version_text) };
    let plan = DatabasePlan {
        source: DATABASE.into(),
        destination: mapping.destination.clone(),
        character_set: "utf8mb4".into(),
        collation: "utf8mb4_unicode_ci".into(),
        whole: true,
    };
    for _ in 0..2 {
        create_database(&mut conn, &plan, &info).await.unwrap();
    }
    if source.info.flavor == Flavor::MariaDb {
        let sequence = mapping.table(&TableName { database: DATABASE.into(), table: "seq1".into() }).unwrap();
        run(
            &mut conn,
            &format!("CREATE SEQUENCE `{}`.`{}`", sequence.database.replace('`', "``"), sequence.table.replace('`', "``")),
        )
        .await;
    }
    let mut deferred = Vec::new();
    let mut made = Vec::new();
    for table in &source.tables {
        let source_name = TableName { database: table.database.clone(), table: table.table.clone() };
        let destination_name = mapping.table(&source_name).unwrap();
        let rules = TableRewrite {
            source: source_name,
            destination: destination_name.clone(),
            key_index: table.row_key().map(|index| index.name.clone()),
            engine: Engine::AsSource,
            needed: Vec::new(),
            defer_indexes: !says_conversions(table, &info),
            names: &mapping,
        };
        let rewritten = adapt_for(&table.create_statement, &source.info, &info)
            .and_then(|adapted| rewrite_create_table(&adapted.create, &rules));
        if is_refused(&source.info, &info, &table.table) {
            continue;
        }
        let rewritten = match rewritten {
            Ok(rewritten) => rewritten,
            Err(error) => {
                problems.push(format!("{label}: {error}\n{}", table.create_statement));
                continue;
            }
        };
        if let Err(error) = create_object(&mut conn, &destination_name, &rewritten.create, false).await {
            problems.push(format!("{label}: {error}\n{}", rewritten.create));
            continue;
        }
        assert_eq!(create_object(&mut conn, &destination_name, &rewritten.create, true).await.unwrap(), Made::Before);
        assert!(create_object(&mut conn, &destination_name, &rewritten.create, false).await.is_err());
        deferred.extend(rewritten.deferred);
        made.push((table, destination_name));
    }
    let wanted: Vec<TableName> = made.iter().map(|(_, name)| name.clone()).collect();
    let before = read_tables(&mut conn, &wanted).await.unwrap();
    for ((table, name), found) in made.iter().zip(&before) {
        let found = differences(table, found, &mapping, false);
        if !found.is_empty() {
            problems.push(format!("{label}: {name} before its indexes: {found:?}"));
        }
    }
    apply::prepare_session(&mut conn).await.unwrap();
    // Indexes of all tables before foreign keys of any.
    deferred.sort_by_key(|deferred| deferred.kind);
    for deferred in &deferred {
        if deferred.kind == DeferredKind::ForeignKeys && is_parent_refused(&source.info, &info, &deferred.statement()) {
            continue;
        }
        match run_deferred(&mut conn, deferred).await {
            Ok(outcome) => assert_eq!(outcome, Made::Now, "{deferred:?}"),
            Err(error) => {
                problems.push(format!("{label}: {error}"));
                continue;
            }
        }
        assert_eq!(run_deferred(&mut conn, deferred).await.unwrap(), Made::Before, "{deferred:?}");
    }
    let after = read_tables(&mut conn, &wanted).await.unwrap();
    assert_eq!(after.len(), made.len());
    for ((table, name), found) in made.iter().zip(&after) {
        let mut differing = differences(table, found, &mapping, true);
        // MariaDB misprints backticks in the names of their foreign keys.
        let is_misprinted = info.flavor == Flavor::MariaDb && ["child", "parent"].contains(&table.table.as_str());
        if names != Names::Fewer && !is_misprinted {
            let texts = text_differences(table, &source.info, found, &info, &mapping);
            differing.extend(texts.into_iter().map(|difference| format!("{difference:?}")));
        }
        // Without a child table the parent's foreign key is not there either.
        differing.retain(|difference| !(source.info.flavor == Flavor::MariaDb && difference.starts_with("foreign key")));
        if names == Names::Fewer {
            differing.retain(|difference| difference != "index kn is another one");
        }
        if !differing.is_empty() {
            problems.push(format!("{label}: {name}: {differing:?}\n{}\n{}", table.create_statement, found.create_statement));
        }
        // The sequence's database has another name, and the child of `parent` was refused.
        let expected_to_differ = source.info.flavor == Flavor::MariaDb && ["useq", "parent"].contains(&table.table.as_str());
        let same_text = lines(&table.create_statement) == lines(&found.create_statement);
        if names == Names::Kept && source.info == info && !expected_to_differ && !same_text {
            problems.push(format!("{label}: text\n{}\n{}", table.create_statement, found.create_statement));
        }
    }
    let views: Vec<(TableName, String)> =
        source.views.iter().map(|view| (view.name.clone(), view.create_statement.clone())).collect();
    let mut statements = Vec::new();
    for at in order_views(&views) {
        let (name, create) = &views[at];
        match rewrite_view(create, name, &mapping, Definer::Invoker) {
            Ok(statement) => statements.push(ViewStatement {
                name: mapping.table(name).unwrap(),
                statement,
                session: source.views[at].session.at(&info).unwrap(),
            }),
            Err(error) if names != Names::Fewer => problems.push(format!("{label}: {error}")),
            Err(_) => {}
        }
    }
    let failures = create_views(&mut conn, &statements, |_| false).await.unwrap();
    // A client of cp1251 cannot say the name that it gets.
    let is_unsayable = |failure: &&ObjectFailure| names == Names::Changed && failure.object.table.starts_with("vcp");
    let unexpected: Vec<_> = failures
        .iter()
        .filter(|failure| names != Names::Fewer && !is_unsayable(failure) && !is_orphan(source, &failure.object.table))
        .collect();
    problems.extend(unexpected.iter().map(|failure| format!("{label}: {failure:#?}")));
    if names == Names::Kept {
        problems.extend(values_differ(source, &mut conn, &mapping).await.into_iter().map(|what| format!("{label}: {what}")));
        problems
            .extend(views_differ(source, &mut conn, &mapping, &info).await.into_iter().map(|what| format!("{label}: {what}")));
    }
    eprintln!("{label}: {} tables, {} views", made.len(), statements.len() - failures.len());
    problems
}

/// A view of a table that MariaDB misprints, or on such a view.
fn is_orphan(source: &Source<'_>, view: &str) -> bool {
    source.info.flavor == Flavor::MariaDb && ["v1", "a view"].iter().any(|own| view.starts_with(own))
}

/// What a row with defaults and generated values holds, here and there.
async fn values_differ(source: &Source<'_>, destination: &mut Conn, mapping: &Mapping) -> Vec<String> {
    let mut problems = Vec::new();
    for table in source.tables.iter().filter(|table| table.table.starts_with("le") || table.table == "labels") {
        let columns: Vec<String> = table.columns.iter().map(|column| format!("HEX(`{}`)", column.name)).collect();
        let mut found = Vec::new();
        let mut origin = source.server.plain().await;
        for (conn, database) in [(&mut origin, DATABASE), (&mut *destination, mapping.destination.as_str())] {
            let database = database.replace('`', "``");
            // MariaDB has no index on an expression: that table is refused.
            if let Err(mysql_async::Error::Server(error)) =
                conn.query_drop(format!("REPLACE INTO `{database}`.`{}` (id, s) VALUES (1, 'ä')", table.table)).await
            {
                assert_eq!(error.code, 1146, "{error}");
                continue;
            }
            let statement = format!("SELECT CONCAT_WS(',', {}) FROM `{database}`.`{}`", columns.join(","), table.table);
            found.push(conn.query_first::<String, _>(statement).await.unwrap().unwrap());
        }
        if found.len() == 2 && found[0] != found[1] {
            problems.push(format!("{}: {found:?}", table.table));
        }
    }
    problems
}

/// What views say, and in which session.
async fn views_differ(source: &Source<'_>, destination: &mut Conn, mapping: &Mapping, info: &ServerInfo) -> Vec<String> {
    let mut problems = Vec::new();
    let (found, failures) = read_views(destination, &mapping.destination).await.unwrap();
    problems.extend(failures.into_iter().map(|failure| format!("{failure:?}")));
    let mut origin = source.server.plain().await;
    for view in source.views.iter().filter(|view| !is_orphan(source, &view.name.table)) {
        let Some(own) = found.iter().find(|own| own.name.table == view.name.table) else {
            problems.push(format!("{} is missing", view.name));
            continue;
        };
        if own.session != view.session.at(info).unwrap() {
            problems.push(format!("{}: {:?}, {:?}", view.name, view.session, own.session));
        }
        let body = |text: &str, database: &str| {
            let (_, body) = text.split_once(" VIEW ").unwrap();
            body.replace(&format!("`{}`", database.replace('`', "``")), "`d`")
        };
        let texts = [body(&view.create_statement, DATABASE), body(&own.create_statement, &mapping.destination)];
        if source.info == *info && texts[0] != texts[1] {
            problems.push(format!("{}: {texts:?}", view.name));
        }
        if ["veq", "veq2", "vlatin1", "vcp"].contains(&view.name.table.as_str()) {
            let first = if view.name.table.starts_with("veq") { "eq" } else { "h" };
            let select =
                |name: &TableName| format!("SELECT HEX({first}) FROM `{}`.`{}`", name.database.replace('`', "``"), name.table);
            let here: Option<String> = origin.query_first(select(&view.name)).await.unwrap();
            let there: Option<String> = destination.query_first(select(&own.name)).await.unwrap();
            if here != there {
                problems.push(format!("{}: {here:?}, {there:?}", view.name));
            }
        }
    }
    problems
}

fn is_parent_refused(source: &ServerInfo, destination: &ServerInfo, statement: &str) -> bool {
    source.flavor == Flavor::MariaDb && destination.flavor == Flavor::MariaDb && statement.contains("child")
}

/// A definition without what rises with every row.
fn lines(create: &str) -> Vec<String> {
    let plain = |line: &str| line.split(' ').filter(|word| !word.starts_with("AUTO_INCREMENT=")).collect::<Vec<_>>().join(" ");
    create.lines().map(plain).collect()
}

/// Everything in `sql`, on all pairs of servers.
async fn corpora(mysql57: &Server, mysql80: &Server, mysql97: &Server, mariadb: &Server) -> Vec<String> {
    let from57 = load(mysql57, &["common", "mysql"]).await;
    let from80 = load(mysql80, &["common", "mysql", "mysql80"]).await;
    let from97 = load(mysql97, &["common", "mysql", "mysql80", "mysql97"]).await;
    let from_mariadb = load(mariadb, &["common", "mariadb114"]).await;
    let mut problems = Vec::new();
    for names in [Names::Kept, Names::Changed, Names::Fewer] {
        for (source, destination) in [
            (&from57, mysql57),
            (&from57, mysql80),
            (&from57, mysql97),
            (&from80, mysql80),
            (&from80, mysql97),
            (&from97, mysql97),
            (&from57, mariadb),
            (&from80, mariadb),
            (&from97, mariadb),
            (&from_mariadb, mariadb),
        ] {
            problems.extend(migrate(source, destination, names).await);
        }
    }
    problems
}

#[tokio::test]
async fn definitions_survive_the_way() {
    let mysql57 = Server::start("mysql57", &[]);
    let mysql80 = Server::start("mysql80", &[]);
    let mysql97 = Server::start("mysql97", &[]);
    let mariadb = Server::start("mariadb114", &[]);
    let mut problems = Vec::new();
    if !fuzz::is_alone() {
        problems.extend(corpora(&mysql57, &mysql80, &mysql97, &mariadb).await);
    }
    // Each with the places of the servers that its definitions can go to.
    let pairs: [(&Server, &[usize]); 4] =
        [(&mysql57, &[0, 1, 2, 3]), (&mysql80, &[1, 2, 3]), (&mysql97, &[2, 3]), (&mariadb, &[3])];
    problems.extend(fuzz::run(&pairs).await);
    assert!(problems.is_empty(), "{} problems\n\n{}", problems.len(), problems.join("\n\n"));
}

/// Prints what reading many definitions costs; the figure in docs comes from here.
#[tokio::test]
#[ignore = "takes minutes: cargo test --test schema_real -- --ignored ten_thousand --nocapture"]
async fn ten_thousand_tables() {
    for kind in ["mysql57", "mysql97", "mariadb114"] {
        let server = Server::start(kind, &[]);
        let mut conn = server.plain().await;
        run(&mut conn, "CREATE DATABASE many").await;
        run(&mut conn, "USE many").await;
        let names: Vec<TableName> =
            (0..10_000).map(|at| TableName { database: "many".into(), table: format!("t{at:05}") }).collect();
        for name in &names {
            let columns = "id INT PRIMARY KEY, a VARCHAR(10), b INT, c DATETIME, d TEXT, KEY (b), KEY (a, b)";
            run(&mut conn, &format!("CREATE TABLE {} ({columns})", name.table)).await;
        }
        let begun = std::time::Instant::now();
        let tables = read_tables(&mut conn, &names).await.unwrap();
        assert_eq!(tables.len(), names.len());
        assert!(tables.iter().all(|table| table.columns.len() == 5 && table.indexes.len() == 3));
        eprintln!("{kind}: 10,000 definitions in {:.1} s", begun.elapsed().as_secs_f64());
    }
}
