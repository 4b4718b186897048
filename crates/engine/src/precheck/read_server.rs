//! What one server says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use mysql_async::{Conn, Row};

use super::context::{self, LogStatus, ManagedRetention, Product, Server};
use super::grants::Grants;
use crate::connection::{Connector, Role, server_info};
use crate::sql::Queries;
pub(super) use crate::sql::permitted;
use godwit_api::Flavor;
use godwit_model::error::Result;
use godwit_model::server::ServerInfo;

/// A connection and how it is.
pub struct Link {
    pub conn: Conn,
    about: context::Link,
}

/// Connects and measures.
///
/// # Errors
/// Says side and address.
pub async fn connect(connector: &Connector) -> Result<Link> {
    connector.talk(measure(connector)).await
}

async fn measure(connector: &Connector) -> Result<Link> {
    let mut conn = connector.connect(Role::Metadata).await?;
    let mut round_trip_micros = u64::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        conn.query_drop("DO 0").await?;
        round_trip_micros = round_trip_micros.min(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    let status: Vec<(String, String)> =
        conn.query("SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')").await?;
    let value = |name: &str| status.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
    let tls = value("Ssl_cipher")
        .filter(|cipher| !cipher.is_empty())
        .map(|cipher| format!("{}, {cipher}", value("Ssl_version").unwrap_or("TLS")));
    Ok(Link { conn, about: context::Link { round_trip_micros, tls } })
}

/// The variables that checks read; nothing else is kept.
const VARIABLES: &[&str] = &[
    "binlog_expire_logs_auto_purge",
    "binlog_expire_logs_seconds",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_metadata",
    "binlog_row_value_options",
    "binlog_transaction_compression",
    "block_encryption_mode",
    "datadir",
    "default_week_format",
    "div_precision_increment",
    "encdb",
    "encdb_enabled",
    "enforce_storage_engine",
    "expire_logs_days",
    "explicit_defaults_for_timestamp",
    "gtid_mode",
    "innodb_native_foreign_keys",
    "innodb_read_only",
    "lc_time_names",
    "local_infile",
    "log_bin",
    "log_bin_trust_function_creators",
    "log_replica_updates",
    "log_slave_updates",
    "loose_encdb",
    "lower_case_table_names",
    "max_allowed_packet",
    "partial_revokes",
    "read_only",
    "restrict_fk_on_non_standard_key",
    "server_id",
    "server_uid",
    "server_uuid",
    "sql_generate_invisible_primary_key",
    "sql_mode",
    "sql_require_primary_key",
    "super_read_only",
    "system_time_zone",
    "time_zone",
    "transaction_read_only",
    "tx_read_only",
];

/// Reads everything. `flavor` is what the manifest says of the server.
///
/// # Errors
/// When the connection is lost.
pub async fn read_server(link: &mut Link, connector: &Connector, flavor: Flavor) -> Result<Server> {
    let conn = &mut link.conn;
    let info = server_info(conn).await?;
    let all: Vec<(String, Option<String>)> = conn.query("SHOW GLOBAL VARIABLES").await?;
    let managed = managed_retention(conn).await?;
    let product = product(&all, managed.is_some(), flavor);
    let variables: BTreeMap<String, String> = all
        .into_iter()
        .map(|(name, value)| (name.to_lowercase(), value.unwrap_or_default()))
        .filter(|(name, _)| VARIABLES.contains(&name.as_str()))
        .collect();
    let partial_revokes = variables.get("partial_revokes").is_some_and(|value| value == "ON");
    let is_replica = is_replica(conn, &info).await?;
    let replicas = replicas(connector, if info.is_mysql_since(8, 0, 22) { "SHOW REPLICAS" } else { "SHOW SLAVE HOSTS" }).await;
    Ok(Server {
        address: connector.address().to_owned(),
        product,
        link: link.about.clone(),
        grants: grants(conn, partial_revokes).await?,
        collations: collations(conn, &info).await?,
        engines: engines(conn).await?,
        log: log_status(conn, &info).await?,
        is_replica,
        managed_retention: managed.flatten(),
        replica_ids: replicas.into_iter().filter_map(|mut row| row.take_opt::<u32, _>(0)?.ok()).collect(),
        free_bytes: free_bytes(conn, variables.get("datadir").map(String::as_str).unwrap_or_default()).await?,
        variables,
        info,
    })
}

/// Whether the server replicates from another one, running or not. None: the account may not see it.
///
/// # Errors
/// When the connection is lost.
pub async fn is_replica(conn: &mut Conn, info: &ServerInfo) -> Result<Option<bool>> {
    let statement = match info.is_mariadb() {
        true => "SHOW ALL SLAVES STATUS",
        false if info.is_mysql_since(8, 0, 22) => "SHOW REPLICA STATUS",
        false => "SHOW SLAVE STATUS",
    };
    Ok(permitted::<Row>(conn, statement).await?.map(|rows| !rows.is_empty()))
}

/// Replicas that are registered, as far as the server says; they only serve to choose another server id. On a connection of
/// its own: a replica that registers without a UUID makes MySQL send a row that lacks a column, which ends the connection.
async fn replicas(connector: &Connector, statement: &'static str) -> Vec<Row> {
    let Ok(mut conn) = connector.connect(Role::Metadata).await else { return Vec::new() };
    let rows = conn.query(statement).await.unwrap_or_default();
    let _ = conn.disconnect().await;
    rows
}

/// Outer None: there is no such setting to be seen. Aurora and RDS keep it in a table.
async fn managed_retention(conn: &mut Conn) -> Result<Option<Option<ManagedRetention>>> {
    let statement = "SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'";
    let Some(rows) = permitted::<Row>(conn, statement).await? else { return Ok(None) };
    let value = rows.into_iter().next().and_then(|mut row| row.take_opt::<Option<String>, _>(0)?.ok().flatten());
    Ok(Some(Some(match value.and_then(|text| text.trim().parse().ok()) {
        Some(hours) => ManagedRetention::Hours(hours),
        None => ManagedRetention::NotSet,
    })))
}

/// Told by what only such a service has; the manifest's word counts too.
fn product(variables: &[(String, Option<String>)], has_rds_table: bool, flavor: Flavor) -> Product {
    let named = |wanted: &dyn Fn(&str) -> bool| variables.iter().any(|(name, _)| wanted(&name.to_lowercase()));
    let basedir = variables.iter().find(|(name, _)| name == "basedir").and_then(|(_, value)| value.as_deref());
    if flavor == Flavor::Aurora || named(&|name| name == "aurora_version") {
        Product::Aurora
    } else if flavor == Flavor::PolarDB || named(&|name| name.starts_with("polar") || name.starts_with("loose_polar")) {
        Product::PolarDb
    } else if has_rds_table || basedir.is_some_and(|path| path.contains("rdsdbbin")) {
        Product::Rds
    } else {
        Product::Plain
    }
}

async fn grants(conn: &mut Conn, partial_revokes: bool) -> Result<Grants> {
    let current: Option<String> = conn.query_first("SELECT CURRENT_USER()").await?;
    let current = current.unwrap_or_default();
    let (user, host) = current.rsplit_once('@').unwrap_or((current.as_str(), "%"));
    let account = format!("'{}'@'{}'", user.replace('\'', "''"), host);
    let rows: Vec<String> = conn.query("SHOW GRANTS").await?;
    Ok(Grants::parse(&account, &rows, partial_revokes))
}

async fn collations(conn: &mut Conn, info: &ServerInfo) -> Result<BTreeSet<String>> {
    let names: Vec<Option<String>> = conn.query("SELECT COLLATION_NAME FROM information_schema.COLLATIONS").await?;
    let mut all: BTreeSet<String> = names.into_iter().flatten().collect();
    if info.is_mariadb() {
        let full = "SELECT FULL_COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY";
        all.extend(permitted::<Option<String>>(conn, full).await?.unwrap_or_default().into_iter().flatten());
    }
    Ok(all)
}

async fn engines(conn: &mut Conn) -> Result<BTreeSet<String>> {
    let names: Vec<String> =
        conn.query("SELECT ENGINE FROM information_schema.ENGINES WHERE SUPPORT IN ('YES', 'DEFAULT')").await?;
    Ok(names.into_iter().map(|name| name.to_lowercase()).collect())
}

async fn log_status(conn: &mut Conn, info: &ServerInfo) -> Result<Option<LogStatus>> {
    let Some(rows) = permitted::<Row>(conn, info.log_status_statement()).await? else { return Ok(None) };
    let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
    let mut text =
        |place: usize| row.take_opt::<Option<String>, _>(place).and_then(|value| value.ok().flatten()).unwrap_or_default();
    let (file, position, only, ignored) = (text(0), text(1), text(2), text(3));
    let logs = permitted::<Row>(conn, "SHOW BINARY LOGS").await?.unwrap_or_default();
    let list = |names: &str| names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Ok(Some(LogStatus {
        file,
        position: position.parse().unwrap_or(0),
        only: list(&only),
        ignored: list(&ignored),
        files: logs.len(),
        bytes: logs.into_iter().filter_map(|mut row| row.take_opt::<u64, _>(1)?.ok()).sum(),
    }))
}

/// MariaDB's plugin DISKS tells; it is seldom there.
async fn free_bytes(conn: &mut Conn, datadir: &str) -> Result<Option<u64>> {
    let statement = "SELECT Path, CAST(Available AS UNSIGNED) FROM information_schema.DISKS";
    let disks = permitted::<(String, u64)>(conn, statement).await?.unwrap_or_default();
    let holds_data = |path: &str| datadir.starts_with(path);
    let best = disks.into_iter().filter(|(path, _)| holds_data(path)).max_by_key(|(path, _)| path.len());
    Ok(best.map(|(_, kilobytes)| kilobytes.saturating_mul(1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_told_by_what_only_they_have() {
        let variables = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), Some("x".to_owned()))).collect::<Vec<_>>();
        assert_eq!(product(&variables(&["port"]), false, Flavor::Auto), Product::Plain);
        assert_eq!(product(&variables(&["aurora_version"]), true, Flavor::Auto), Product::Aurora);
        assert_eq!(product(&variables(&["polardb_version"]), false, Flavor::Auto), Product::PolarDb);
        assert_eq!(product(&variables(&["port"]), true, Flavor::Auto), Product::Rds);
        assert_eq!(product(&variables(&["port"]), false, Flavor::PolarDB), Product::PolarDb);
        assert_eq!(product(&[("basedir".into(), Some("/rdsdbbin/mysql/".into()))], false, Flavor::MySQL), Product::Rds);
    }
}
