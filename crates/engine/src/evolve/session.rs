//! The settings that a logged statement ran in, at another server.

use mysql_async::Conn;

use super::Ends;
use crate::checkpoint::StatementSession;
use crate::connection::Role;
use crate::replicate::definition::Defined;
use crate::schema::collation::destination_collation;
use crate::sql;
use crate::sql::{Queries, Quoted, Sql};
use godwit_model::error::{Error, Result};
use godwit_model::words::word;

/// `sql_mode` by the bits of the log (`sql/sql_const.h`, `query_options.h`), as far as both families and all versions have them and a
/// definition depends on them.
const MODES: &[(u64, &str)] = &[
    (1 << 0, "REAL_AS_FLOAT"),
    (1 << 1, "PIPES_AS_CONCAT"),
    (1 << 2, "ANSI_QUOTES"),
    (1 << 3, "IGNORE_SPACE"),
    (1 << 6, "NO_UNSIGNED_SUBTRACTION"),
    (1 << 19, "NO_AUTO_VALUE_ON_ZERO"),
    (1 << 20, "NO_BACKSLASH_ESCAPES"),
    (1 << 21, "STRICT_TRANS_TABLES"),
    (1 << 22, "STRICT_ALL_TABLES"),
    (1 << 23, "NO_ZERO_IN_DATE"),
    (1 << 24, "NO_ZERO_DATE"),
    (1 << 25, "ALLOW_INVALID_DATES"),
    (1 << 26, "ERROR_FOR_DIVISION_BY_ZERO"),
    (1 << 29, "HIGH_NOT_PRECEDENCE"),
    (1 << 30, "NO_ENGINE_SUBSTITUTION"),
    (1 << 31, "PAD_CHAR_TO_FULL_LENGTH"),
];

/// What the log says, with names instead of the source's numbers.
///
/// # Errors
/// When the source cannot be asked; definite when the destination lacks a collation.
pub(super) async fn of(defined: &Defined, ends: &Ends<'_>) -> Result<StatementSession> {
    let logged = &defined.session;
    let mut conn = ends.source.connect(Role::Metadata).await?;
    let collation_connection = collation(&mut conn, logged.collation_connection, ends).await?;
    let mut utf8mb4_collation = collation(&mut conn, logged.default_collation_for_utf8mb4, ends).await?;
    if utf8mb4_collation.is_none() && !ends.source_info.is_mariadb() && !ends.source_info.is_mysql_since(8, 0, 1) {
        utf8mb4_collation = Some("utf8mb4_general_ci".to_owned());
    }
    let time_zone = match logged.time_zone.as_deref() {
        None => "+00:00".to_owned(),
        Some("SYSTEM") => system_zone(&mut conn).await?,
        Some(zone) => zone.to_owned(),
    };
    let explicit_defaults_for_timestamp = match logged.explicit_defaults_for_timestamp {
        Some(explicit) => Some(explicit),
        None => conn.query_first::<u8>("SELECT @@GLOBAL.explicit_defaults_for_timestamp").await?.map(|value| value == 1),
    };
    let _ = conn.disconnect().await;
    Ok(StatementSession {
        sql_mode: logged.sql_mode.unwrap_or_default(),
        timestamp: (defined.timestamp, logged.microseconds.unwrap_or_default()),
        time_zone,
        collation_connection,
        explicit_defaults_for_timestamp,
        utf8mb4_collation,
        foreign_key_checks: logged.foreign_key_checks(),
        unique_checks: logged.unique_checks(),
    })
}

async fn collation(conn: &mut Conn, id: Option<u16>, ends: &Ends<'_>) -> Result<Option<String>> {
    let Some(id) = id else { return Ok(None) };
    let statement = "SELECT CAST(collation_name AS CHAR) FROM information_schema.collations WHERE id=?";
    let name: Option<String> = conn.exec_first(statement, (id,)).await?;
    name.map(|name| destination_collation(&name, ends.destination_info)).transpose()
}

/// The offset that the source's own zone has now.
async fn system_zone(conn: &mut Conn) -> Result<String> {
    conn.query_drop("SET SESSION time_zone='SYSTEM'").await?;
    let minutes: Option<i64> = conn.query_first("SELECT TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), NOW())").await?;
    let minutes = minutes.ok_or_else(|| Error::definite("the source does not say its time zone"))?;
    Ok(format!("{}{:02}:{:02}", if minutes < 0 { '-' } else { '+' }, minutes.abs() / 60, minutes.abs() % 60))
}

/// Makes the session like the one that the statement ran in. `text` is the statement.
///
/// # Errors
/// The server's; definite when a setting that the statement depends on may not be made.
pub(super) async fn set(conn: &mut Conn, session: &StatementSession, text: &str) -> Result<()> {
    let mut modes = Sql::default();
    // Files stay where the destination keeps its own.
    modes.push("NO_DIR_IN_CREATE");
    for (bit, name) in MODES {
        if session.sql_mode & bit != 0 {
            modes.push(",");
            modes.push(name);
        }
    }
    let (seconds, microseconds) = session.timestamp;
    conn.query_drop(sql!(
        "SET SESSION sql_mode='{}', time_zone={}, timestamp={}+{}*0.000001, foreign_key_checks={}, unique_checks={}",
        modes,
        Quoted(&session.time_zone),
        seconds,
        microseconds,
        u32::from(session.foreign_key_checks),
        u32::from(session.unique_checks)
    ))
    .await?;
    if let Some(collation) = &session.collation_connection {
        conn.query_drop(sql!("SET SESSION collation_connection={}", word(collation, "a collation")?)).await?;
    }
    if let Some(explicit) = session.explicit_defaults_for_timestamp {
        let needed = text.to_ascii_uppercase().contains("TIMESTAMP");
        let set = sql!("SET SESSION explicit_defaults_for_timestamp={}", u32::from(explicit));
        allowed(conn.query_drop(set).await, needed, "explicit_defaults_for_timestamp")?;
    }
    if let Some(collation) = &session.utf8mb4_collation {
        let set = sql!("SET SESSION default_collation_for_utf8mb4={}", word(collation, "a collation")?);
        let upper = text.to_ascii_uppercase();
        allowed(
            conn.query_drop(set).await,
            upper.contains("UTF8MB4") && !upper.contains("COLLATE"),
            "default_collation_for_utf8mb4",
        )?;
    }
    Ok(())
}

/// A setting that the server lacks, or that the account may not make, matters where the statement depends on it.
fn allowed(set: crate::sql::Answer<()>, needed: bool, name: &str) -> Result<()> {
    match set {
        Err(crate::sql::Failure::Server(error)) if needed => Err(Error::definite(format!(
            "it depends on {name}, which the destination's account may not set as the source's session had it: {}",
            error.message
        ))),
        Ok(()) | Err(crate::sql::Failure::Server(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
