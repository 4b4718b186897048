//! How a source relates what a SELECT shows to places in its log.
//!
//! A transaction is readable in the log before a SELECT can see it (group commit syncs the log, then commits in
//! the engine). So the log's end is an *upper* bound of what is visible, and a *lower* bound needs something that
//! is updated after the engine commit:
//!
//! * MySQL with GTIDs: `gtid_executed`;
//! * MariaDB: `START TRANSACTION WITH CONSISTENT SNAPSHOT` and the status variables `binlog_snapshot_*`, which
//!   are exact;
//! * MySQL without GTIDs: nothing; chunks are read with locking reads, which wait for the row locks of
//!   transactions in between, and tables without a key under a table lock.

use std::time::Duration;

use mysql_async::{Conn, Row as SqlRow};

use crate::sql;
use crate::sql::{Queries, Quoted};
use godwit_model::error::{Error, Result};
use godwit_model::position::{GtidPosition, Position};
use godwit_model::server::ServerInfo;

/// What the source offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// `gtid_mode=ON`.
    GtidExecuted,
    /// `binlog_snapshot_*`.
    ExactSnapshot,
    /// Neither.
    LockingReads,
}

/// Asks the server.
pub async fn detect(conn: &mut Conn, info: &ServerInfo) -> Result<Visibility> {
    if info.is_mariadb() {
        return Ok(Visibility::ExactSnapshot);
    }
    let mode: Option<String> = conn.query_first("SELECT @@GLOBAL.gtid_mode").await?;
    Ok(if mode.as_deref() == Some("ON") { Visibility::GtidExecuted } else { Visibility::LockingReads })
}

/// The log's published end: file and offset. Everything visible lies before it.
pub async fn log_end(conn: &mut Conn, info: &ServerInfo) -> Result<(String, u64)> {
    let row: Option<SqlRow> = conn.query_first(info.log_status_statement()).await?;
    row.and_then(|mut row| Some((row.take_opt::<String, _>(0)?.ok()?, row.take_opt::<u64, _>(1)?.ok()?)))
        .ok_or_else(|| Error::definite("the source writes no binary log (set log_bin and restart it)"))
}

/// The binary logs that the server has, in their order, with their sizes.
pub async fn log_files(conn: &mut Conn) -> Result<Vec<(String, u64)>> {
    let rows: Vec<SqlRow> = conn.query("SHOW BINARY LOGS").await?;
    let file = |mut row: SqlRow| Some((row.take_opt::<String, _>(0)?.ok()?, row.take_opt::<u64, _>(1)?.ok()?));
    Ok(rows.into_iter().filter_map(file).collect())
}

fn parse_gtid_set(text: &str) -> Result<GtidPosition> {
    Ok(GtidPosition::MySql(text.parse()?))
}

/// `gtid_executed`: everything in it is visible.
pub async fn gtid_executed(conn: &mut Conn) -> Result<GtidPosition> {
    let text: Option<String> = conn.query_first("SELECT @@GLOBAL.gtid_executed").await?;
    parse_gtid_set(&text.unwrap_or_default())
}

/// Opens a consistent snapshot on a MariaDB source and says where it stands, exactly.
pub async fn open_exact_snapshot(conn: &mut Conn) -> Result<Position> {
    conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
    let status: Vec<(String, String)> = conn.query("SHOW STATUS LIKE 'binlog_snapshot_%'").await?;
    let value = |name: &str| status.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
    let file = value("binlog_snapshot_file").filter(|file| !file.is_empty()).ok_or_else(|| {
        Error::definite("the source does not say where its snapshot stands in the binary log (binlog_snapshot_file is empty)")
    })?;
    let offset: u64 = value("binlog_snapshot_position").and_then(|text| text.parse().ok()).unwrap_or(0);
    let gtid: Option<Option<String>> = conn.exec_first("SELECT BINLOG_GTID_POS(?, ?)", (file.as_str(), offset)).await?;
    let gtid = GtidPosition::MariaDb(gtid.flatten().unwrap_or_default().parse()?);
    Ok(Position { gtid, ..Position::at(file, offset) })
}

/// A position from which the log can be followed: everything before it is visible or, where nothing can say
/// so, will be waited for by locking reads.
pub async fn start_position(conn: &mut Conn, info: &ServerInfo, visibility: Visibility) -> Result<Position> {
    match visibility {
        Visibility::GtidExecuted => {
            // Without it gtid_executed can hold a transaction and lack an earlier one on the same row.
            let ordered: Option<u8> = conn.query_first("SELECT @@GLOBAL.binlog_order_commits").await?;
            if ordered != Some(1) {
                return Err(Error::definite(
                    "the source commits in another order than it logs, so no start position is exact; SET GLOBAL binlog_order_commits=ON",
                ));
            }
            let gtid = gtid_executed(conn).await?;
            Ok(Position::named(gtid))
        }
        Visibility::ExactSnapshot => {
            let position = open_exact_snapshot(conn).await?;
            conn.query_drop("ROLLBACK").await?;
            Ok(position)
        }
        Visibility::LockingReads => {
            let (file, offset) = log_end(conn, info).await?;
            Ok(Position::at(file, offset))
        }
    }
}

/// Semi-synchronous replication can keep a transaction between log and engine for seconds; longer is an error.
const VISIBLE_WITHIN: Duration = Duration::from_secs(120);

/// Waits until every transaction up to `position` is visible to a SELECT that begins afterwards.
pub async fn wait_visible(conn: &mut Conn, position: &Position) -> Result<()> {
    let GtidPosition::MySql(set) = &position.gtid else { return Ok(()) };
    let text = set.to_string();
    let deadline = tokio::time::Instant::now() + VISIBLE_WITHIN;
    let mut pause = Duration::from_micros(200);
    loop {
        let visible: Option<u8> = conn.query_first(sql!("SELECT GTID_SUBSET({}, @@GLOBAL.gtid_executed)", Quoted(&text))).await?;
        if visible == Some(1) {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(Error::transient(format!(
                "transactions that stand in the source's binary log have not become visible within {} s",
                VISIBLE_WITHIN.as_secs()
            )));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// What has a limit of its own, of a server that may not answer at all.
///
/// # Errors
/// Those of `waiting`; a lost connection where it has not ended long after its limit.
pub async fn answered<T>(waiting: impl Future<Output = Result<T>>) -> Result<T> {
    answered_within(2 * VISIBLE_WITHIN, waiting).await
}

async fn answered_within<T>(limit: Duration, waiting: impl Future<Output = Result<T>>) -> Result<T> {
    let silent = |_| Error::connection(format!("the source stalls: no answer for {} s", limit.as_secs()));
    tokio::time::timeout(limit, waiting).await.map_err(silent)?
}

/// Opens an exact snapshot that is not older than `position`.
pub async fn open_snapshot_at_least(conn: &mut Conn, position: &Position) -> Result<Position> {
    let deadline = tokio::time::Instant::now() + VISIBLE_WITHIN;
    loop {
        let snapshot = open_exact_snapshot(conn).await?;
        let behind = snapshot.compare_places(&position.file, position.offset).is_lt();
        if !behind || position.file.is_empty() {
            return Ok(snapshot);
        }
        conn.query_drop("ROLLBACK").await?;
        if tokio::time::Instant::now() > deadline {
            return Err(Error::transient("the source's snapshots stay behind its binary log"));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// `@@server_uuid`; MariaDB has none, there it is the server id with the host name.
pub async fn server_identity(conn: &mut Conn, info: &ServerInfo) -> Result<String> {
    let query =
        if info.is_mariadb() { "SELECT CONCAT(@@hostname, ':', @@port, ':', @@server_id)" } else { "SELECT @@server_uuid" };
    let identity: Option<String> = conn.query_first(query).await?;
    Ok(identity.unwrap_or_default())
}

/// The earliest of positions along one log: what every one of them covers.
pub fn earliest(positions: &[Position]) -> Option<Position> {
    let mut result: Option<Position> = None;
    for position in positions {
        result = Some(match result {
            None => position.clone(),
            Some(current) => current.earlier(position),
        });
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_covered_by_all() {
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let at = |gtid: &str, file: &str, offset| Position { gtid: parse_gtid_set(gtid).unwrap(), ..Position::at(file, offset) };
        let found = earliest(&[at(&format!("{uuid}:1-9"), "b.000002", 40), at(&format!("{uuid}:1-5"), "b.000001", 900)]).unwrap();
        assert_eq!(found, at(&format!("{uuid}:1-5"), "b.000001", 900));
    }

    #[tokio::test]
    async fn who_does_not_answer_is_not_waited_for() {
        let silent = answered_within(Duration::from_millis(20), std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(silent.class(), godwit_model::error::Class::Connection);
        assert!(answered(async { Ok(1) }).await.is_ok());
    }
}
