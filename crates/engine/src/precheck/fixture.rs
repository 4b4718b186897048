//! A healthy pair of servers and a small plan, for the checks' tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::context::{Context, ExistingColumn, ExistingTable, Link, LogStatus, Product, Server, SourceObjects};
use super::grants::Grants;
use super::trial::Trial;
use crate::fixture::{self, definition, table_plan};
use crate::plan::mapping::NameRules;
use crate::plan::select::Selection;
use crate::plan::{DatabasePlan, Plan, ProgramPlan, TablePlan, ViewPlan};
use crate::schema::program::{Access, Head, ProgramDefinition, ProgramSession};
use crate::schema::view_session::ViewSession;
use godwit_api::{Destination, MigrationTaskSpec, MysqlDestination, MysqlEndpoint, NameCase, Source};
use godwit_model::definition::{Column, ForeignKey, Index, IndexPart, Kind, TableDefinition};
use godwit_model::names::TableName;
use godwit_model::program::{ProgramKind, ProgramName};
use godwit_model::server::ServerInfo;

pub(super) const VIEW: &str = "CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW `shop`.`totals` AS \
                    select `shop`.`orders`.`id` AS `id` from `shop`.`orders`";

/// Passes every check.
pub(super) fn context() -> Context {
    let endpoint = MysqlEndpoint { host: Some("s".into()), ..MysqlEndpoint::default() };
    let spec = MigrationTaskSpec::new(Source { mysql: endpoint }, Destination::mysql(MysqlDestination::default()));
    let names = NameRules { source: 0, destination: 0, policy: NameCase::Default };
    let mut source = server("source:3306");
    let mut destination = server("destination:3306");
    set(&mut source, "server_uuid", "11111111-1111-1111-1111-111111111111");
    set(&mut destination, "server_uuid", "22222222-2222-2222-2222-222222222222");
    Context {
        selection: Selection::new(&spec, names).expect("a selection of everything"),
        spec,
        plan: plan(),
        unresolved: None,
        source,
        source_objects: SourceObjects::default(),
        destination,
        existing: BTreeMap::new(),
        constraints: Vec::new(),
        owned: BTreeSet::new(),
        in_use: BTreeMap::new(),
        unsayable: BTreeMap::new(),
        programs_there: Default::default(),
        accounts: None,
        loadable_functions: Vec::new(),
        trial: Trial::default(),
    }
}

fn server(address: &str) -> Server {
    let variables = [
        ("log_bin", "ON"),
        ("binlog_format", "ROW"),
        ("binlog_row_image", "FULL"),
        ("binlog_row_metadata", "MINIMAL"),
        ("binlog_expire_logs_seconds", "2592000"),
        ("gtid_mode", "ON"),
        ("server_id", "1"),
        ("log_replica_updates", "ON"),
        ("sql_mode", "STRICT_TRANS_TABLES"),
        ("lower_case_table_names", "0"),
        ("max_allowed_packet", "67108864"),
        ("local_infile", "ON"),
    ];
    Server {
        address: address.into(),
        info: ServerInfo::parse("8.0.36"),
        product: Product::Plain,
        link: Link { round_trip_micros: 400, tls: Some("TLSv1.3, TLS_AES_256_GCM_SHA384".into()) },
        variables: variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        grants: grants(&["GRANT ALL PRIVILEGES ON *.* TO `u`@`%`"]),
        collations: BTreeSet::from(["utf8mb4_0900_ai_ci".to_owned()]),
        engines: BTreeSet::from(["innodb".to_owned()]),
        log: Some(LogStatus { file: "binlog.000001".into(), position: 4, ..LogStatus::default() }),
        is_replica: Some(false),
        managed_retention: None,
        replica_ids: vec![],
        free_bytes: None,
    }
}

fn plan() -> Plan {
    let columns = vec![column("id", Kind::BigInt { unsigned: true }), column("state", Kind::Varchar)];
    let create = "CREATE TABLE `orders` (\n  `id` bigint\n) ENGINE=InnoDB COLLATE=utf8mb4_0900_ai_ci";
    let table = table_plan(TableDefinition { create_statement: create.into(), ..definition("shop", "orders", columns) });
    let view = TableName { database: "shop".into(), table: "totals".into() };
    Plan {
        schema: true,
        full: true,
        incremental: true,
        databases: vec![DatabasePlan {
            source: "shop".into(),
            destination: "shop".into(),
            character_set: "utf8mb4".into(),
            collation: "utf8mb4_0900_ai_ci".into(),
            whole: true,
        }],
        tables: vec![Arc::new(table)],
        views: vec![ViewPlan {
            source: view.clone(),
            destination: view,
            create_statement: VIEW.into(),
            session: Default::default(),
        }],
        programs: Vec::new(),
        holds_triggers: false,
        names: crate::plan::mapping::NameRules::default(),
        unsupported: vec![],
    }
}

fn column(name: &str, kind: Kind) -> Column {
    let column_type = match kind {
        Kind::Varchar => "varchar(20)".into(),
        _ => "bigint unsigned".into(),
    };
    Column { column_type, ..fixture::column(name, kind) }
}

/// Rows of `SHOW GRANTS` of 'u'@'%'.
pub(super) fn grants(rows: &[&str]) -> Grants {
    Grants::parse("'u'@'%'", &rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>(), false)
}

/// Sets a variable.
pub(super) fn set(server: &mut Server, name: &str, value: &str) {
    server.variables.insert(name.to_owned(), value.to_owned());
}

/// Changes the one planned table.
pub(super) fn change_plan(context: &mut Context, change: impl FnOnce(&mut TablePlan)) {
    let mut table = TablePlan::clone(&context.plan.tables[0]);
    change(&mut table);
    context.plan.tables[0] = Arc::new(table);
}

/// Changes the one table's definition.
pub(super) fn change_table(context: &mut Context, change: impl FnOnce(&mut TableDefinition)) {
    change_plan(context, |table| {
        let mut definition = TableDefinition::clone(&table.definition);
        change(&mut definition);
        table.definition = Arc::new(definition);
    });
}

/// Takes the key away.
pub(super) fn keyless(context: &mut Context) {
    change_plan(context, |table| {
        table.key.clear();
        table.key_index = None;
        table.range_columns = 0;
    });
}

/// A foreign key to `shop.{parent}`.
pub(super) fn foreign_key(parent: &str, rule: &str) -> ForeignKey {
    ForeignKey {
        name: "fk".into(),
        columns: vec!["state".into()],
        parent_database: "shop".into(),
        parent_table: parent.into(),
        parent_columns: vec!["id".into()],
        on_delete: rule.into(),
        on_update: "NO ACTION".into(),
    }
}

/// Puts the table at the destination.
pub(super) fn existing(context: &mut Context, has_rows: bool) {
    let column = |column: &Column| ExistingColumn {
        name: column.name.clone(),
        column_type: column.column_type.clone(),
        kind: Some(column.kind.clone()),
        character_set: column.character_set.clone(),
        collation: column.collation.clone(),
        nullable: column.nullable,
        optional: true,
        ..ExistingColumn::default()
    };
    let key = IndexPart { column: Some("id".into()), prefix: None, nullable: false };
    let table = ExistingTable {
        columns: context.plan.tables[0].definition.columns.iter().map(column).collect(),
        indexes: vec![Index { name: "PRIMARY".into(), unique: true, kind: "BTREE".into(), parts: vec![key] }],
        has_rows,
        engine: "InnoDB".into(),
        ..ExistingTable::default()
    };
    context.existing.insert(context.plan.tables[0].destination.clone(), table);
}

/// A procedure of the source, of the account `app`.
pub(super) fn procedure(database: &str, name: &str, body: &str) -> ProgramPlan {
    let source = ProgramName { kind: ProgramKind::Procedure, database: database.into(), name: name.into() };
    let client = ViewSession { character_set_client: "utf8mb4".into(), collation_connection: "utf8mb4_0900_ai_ci".into() };
    let definition = ProgramDefinition {
        name: source.clone(),
        session: ProgramSession {
            sql_mode: "STRICT_TRANS_TABLES".into(),
            client,
            database_collation: "utf8mb4_0900_ai_ci".into(),
            time_zone: String::new(),
        },
        definer: ("app".into(), "%".into()),
        comment: String::new(),
        head: Head::Routine {
            aggregate: false,
            parameters: "()".into(),
            returns: None,
            access: Access::ContainsSql,
            deterministic: false,
            invoker: false,
        },
        body: body.into(),
        guarded: false,
    };
    ProgramPlan { destination: source.clone(), source, table: None, definition: Ok(definition) }
}
