//! Whether a statement of the log leads to what is migrated, as the source itself knows.
//!
//! A change that was logged as a statement, of tables that are not migrated, can still reach migrated ones: through triggers, views,
//! foreign keys and stored functions. The source is asked for them. What the account may not see is not taken for absent.

use mysql_async::Conn;

use super::guard::Doubt;
use crate::sql;
use crate::sql::{Queries, Sql};
use godwit_model::error::Result;
use godwit_model::names::TableName;
use godwit_model::server::ServerInfo;

/// So many names are looked up for one statement; one with more is not proven.
const NAMES: usize = 1000;

/// Asks the source whether anything leads from the statement to other tables. None: nothing does. Some: why that is not proven.
///
/// # Errors
/// From the server.
pub(crate) async fn disprove(conn: &mut Conn, info: &ServerInfo, doubt: &Doubt) -> Result<Option<String>> {
    for table in &doubt.tables {
        if let Some(why) = leads_on(conn, table, doubt.deletes).await? {
            return Ok(Some(why));
        }
    }
    if doubt.called.len() + doubt.read.len() > NAMES {
        return Ok(Some(format!("it has more than {NAMES} names")));
    }
    if let Some(view) = view_among(conn, &doubt.read).await? {
        return Ok(Some(format!("it may read the view {view}, which can call functions")));
    }
    calls_stored_function(conn, info, &doubt.called).await
}

const COUNT: &str = "SELECT COUNT(*) FROM information_schema.";
const OF_ACCOUNT: &str = "REPLACE(GRANTEE,CHAR(39),'')=CURRENT_USER()";

async fn leads_on(conn: &mut Conn, table: &TableName, deletes: bool) -> Result<Option<String>> {
    let names = (table.database.as_str(), table.table.as_str());
    let kind: Option<(String, Option<String>)> = conn
        .exec_first("SELECT table_type, engine FROM information_schema.tables WHERE table_schema=? AND table_name=?", names)
        .await?;
    match kind {
        Some((_, Some(engine))) if engine.eq_ignore_ascii_case("MRG_MYISAM") => {
            return Ok(Some(format!("{table} is a MERGE table, whose rows are in other tables")));
        }
        Some((kind, _)) if kind == "BASE TABLE" => {}
        Some(_) => return Ok(Some(format!("{table} is a view"))),
        None => return Ok(Some(format!("{table} is not there any more, or the account may not see it (GRANT SELECT)"))),
    }
    // Without the privilege triggers are not shown.
    let grantee = sql!("{} AND privilege_type='TRIGGER'", OF_ACCOUNT);
    let global: Option<u64> = conn.query_first(sql!("{}user_privileges WHERE {}", COUNT, grantee)).await?;
    let of_database: Option<u64> =
        conn.exec_first(sql!("{}schema_privileges WHERE {} AND ? LIKE table_schema", COUNT, grantee), (names.0,)).await?;
    let of_table: Option<u64> =
        conn.exec_first(sql!("{}table_privileges WHERE {} AND table_schema=? AND table_name=?", COUNT, grantee), names).await?;
    if [global, of_database, of_table].into_iter().flatten().sum::<u64>() == 0 {
        return Ok(Some(format!("the account may not see the triggers of {table} (GRANT TRIGGER ON it)")));
    }
    // A server's own DELETE, by which it tells that a MEMORY table is empty after its restart, cannot be told from a session's.
    let fired = if deletes { " AND event_manipulation='DELETE'" } else { "" };
    let triggers: Option<u64> =
        conn.exec_first(sql!("{}triggers WHERE event_object_schema=? AND event_object_table=?{}", COUNT, fired), names).await?;
    if triggers != Some(0) {
        return Ok(Some(format!("{table} has triggers")));
    }
    let acting: Option<u64> = conn
        .exec_first(
            sql!(
                "{}referential_constraints WHERE unique_constraint_schema=? AND referenced_table_name=? \
                 AND (delete_rule IN ('CASCADE','SET NULL') OR update_rule IN ('CASCADE','SET NULL'))",
                COUNT
            ),
            names,
        )
        .await?;
    if acting != Some(0) {
        return Ok(Some(format!("{table} has foreign keys that change other tables")));
    }
    Ok(None)
}

async fn view_among(conn: &mut Conn, names: &[String]) -> Result<Option<String>> {
    if names.is_empty() {
        return Ok(None);
    }
    let places = Sql::list(names.iter().map(|_| "?"));
    let statement = sql!(
        "SELECT CONCAT(table_schema,'.',table_name) FROM information_schema.views WHERE LOWER(table_name) IN ({}) \
         AND table_schema NOT IN ('sys','mysql','information_schema','performance_schema') LIMIT 1",
        places
    );
    Ok(conn.exec_first(statement, names.to_vec()).await?)
}

async fn calls_stored_function(conn: &mut Conn, info: &ServerInfo, names: &[String]) -> Result<Option<String>> {
    if names.is_empty() {
        return Ok(None);
    }
    let places = Sql::list(names.iter().map(|_| "?"));
    let statement = sql!(
        "SELECT routine_name FROM information_schema.routines WHERE routine_type='FUNCTION' AND LOWER(routine_name) IN ({}) LIMIT 1",
        places
    );
    let found: Option<String> = conn.exec_first(statement, names.to_vec()).await?;
    if let Some(name) = found {
        return Ok(Some(format!("it calls the stored function {name}")));
    }
    // Functions that the account may not see are not listed.
    let global: Option<u64> = conn
        .query_first(sql!("{}user_privileges WHERE {} AND privilege_type IN ('SELECT','SHOW_ROUTINE')", COUNT, OF_ACCOUNT))
        .await?;
    let of_mysql: Option<u64> = match info.is_mysql_since(8, 0, 0) {
        true => None,
        false => {
            let of_database = "schema_privileges WHERE privilege_type='SELECT' AND 'mysql' LIKE table_schema";
            let of_table = "table_privileges WHERE privilege_type='SELECT' AND table_schema='mysql' AND table_name='proc'";
            let [database, table] = [of_database, of_table].map(|which| sql!("({}{} AND {})", COUNT, which, OF_ACCOUNT));
            conn.query_first(sql!("SELECT {}+{}", database, table)).await?
        }
    };
    if [global, of_mysql].into_iter().flatten().sum::<u64>() == 0 && !names.iter().all(|name| is_native(name)) {
        let needed = if info.is_mysql_since(8, 0, 20) { "SHOW_ROUTINE ON *.*" } else { "SELECT ON mysql.proc" };
        return Ok(Some(format!(
            "it may call a stored function ({}), and the account may not see all of them (GRANT {needed})",
            names.join(", ")
        )));
    }
    Ok(None)
}

/// Functions of the server that statements on tables of their own often have.
fn is_native(name: &str) -> bool {
    const NATIVE: &[&str] = &[
        "abs",
        "adddate",
        "cast",
        "ceil",
        "char",
        "coalesce",
        "concat",
        "concat_ws",
        "connection_id",
        "convert",
        "count",
        "crc32",
        "curdate",
        "current_date",
        "current_timestamp",
        "current_user",
        "curtime",
        "database",
        "date",
        "date_add",
        "date_format",
        "date_sub",
        "datediff",
        "floor",
        "from_unixtime",
        "greatest",
        "hex",
        "ifnull",
        "json_array",
        "json_object",
        "json_set",
        "last_insert_id",
        "least",
        "left",
        "length",
        "localtime",
        "localtimestamp",
        "lower",
        "max",
        "md5",
        "min",
        "mod",
        "now",
        "nullif",
        "rand",
        "round",
        "sha1",
        "sha2",
        "substr",
        "substring",
        "sum",
        "sysdate",
        "time",
        "timestamp",
        "timestampadd",
        "timestampdiff",
        "trim",
        "unhex",
        "unix_timestamp",
        "upper",
        "user",
        "utc_timestamp",
        "uuid",
        "uuid_short",
        "version",
    ];
    NATIVE.contains(&name)
}
