//! Real servers of the lab (e2e/lab), and what tests of the engine need around them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod types;

use std::sync::Arc;

use godwit::api::{MigrationTaskSpec, NameCase, TlsMode};
use godwit::engine::connection::{Connector, Role};
use godwit::engine::plan::Plan;
use godwit::engine::plan::mapping::NameRules;
use godwit::engine::plan::resolve::{Catalog, CatalogDatabase, resolve};
use godwit::engine::plan::select::Selection;
use godwit::engine::schema::read::{ObjectKind, list_tables, read_tables};
use godwit::manifest::{ResolvedEndpoint, ResolvedTls, SecretText};
use godwit::model::names::TableName;
pub use godwit_testkit::lab::Server;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

/// The engine's way to a server.
pub fn connector(server: &Server, side: &'static str) -> Connector {
    // Only the first caller installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = ResolvedEndpoint {
        host: server.host.clone(),
        port: server.port,
        username: server.user.clone(),
        password: SecretText::new(server.password.clone()),
        flavor: godwit::api::Flavor::Auto,
        tls: ResolvedTls { mode: TlsMode::Disabled, ..ResolvedTls::default() },
    };
    Connector::new(&endpoint, side)
}

/// A session without strictness, in UTC, utf8mb4.
pub async fn session(server: &Server) -> Conn {
    let mut conn = connector(server, "source").connect(Role::Metadata).await.unwrap();
    conn.query_drop("SET SESSION sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'").await.unwrap();
    conn
}

/// Runs statements, one a line or separated by `;` at a line's end.
pub async fn run(conn: &mut Conn, statements: &str) {
    for statement in statements.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        conn.query_drop(statement).await.unwrap_or_else(|error| panic!("{error}\n{statement}"));
    }
}

/// The plan that migrates database `source` to database `destination` of another or the same server.
pub async fn plan(server: &Server, source: &str, destination: &str) -> Plan {
    let text = format!(
        "source: {{mysql: {{host: s, username: u}}}}\ndestination: {{mysql: {{host: d, username: u}}}}\n\
         objects: [{{database: {source}, renameTo: {destination}}}]\n"
    );
    let spec: MigrationTaskSpec = serde_saphyr::from_str(&text).unwrap();
    let selection = Selection::new(&spec, NameRules { source: 0, destination: 0, policy: NameCase::Default }).unwrap();
    let mut conn = connector(server, "source").connect(Role::Metadata).await.unwrap();
    let listed = list_tables(&mut conn, source).await.unwrap();
    let names: Vec<TableName> = listed
        .iter()
        .filter(|table| table.kind == ObjectKind::BaseTable)
        .map(|table| TableName { database: source.into(), table: table.name.clone() })
        .collect();
    let tables = read_tables(&mut conn, &names).await.unwrap().into_iter().map(Arc::new).collect();
    let database = CatalogDatabase { name: source.into(), character_set: "utf8mb4".into(), collation: "utf8mb4_bin".into() };
    let plan = resolve(&spec, &selection, &Catalog { databases: vec![database], tables, ..Catalog::default() }).unwrap();
    let info = connector(server, "source").server_info().await.unwrap();
    plan.between(&info, &info)
}
