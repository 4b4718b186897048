//! The binary log as a stream of raw events with their places.

use std::time::Duration;

use mysql_common::packets::BinlogDumpFlags;
use mysql_common::packets::binlog_request::BinlogRequest;

use crate::binlog::{LogOffset, Rotate};
use crate::connection::{Connector, Role};
use crate::dump::sids::sids;
use crate::dump::{Dump, LogEvent};
use crate::sql;
use crate::sql::{Queries, Quoted, Sql};
use godwit_model::error::{Context, Error, Result};
use godwit_model::position::{GtidPosition, GtidSet, Position};
use godwit_model::server::ServerInfo;

/// The source sends a heartbeat when it has nothing else to say for this long. Not less than a second: MySQL 5.7 and 8.0 compare
/// whole seconds, and would send one for every event that they pass by (seen on 5.7.22 and 8.0.15: 1.4 million of them).
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A dump of the source's log.
pub struct LogStream {
    dump: Dump,
    place: LogOffset,
}

/// How the log is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Waits for more at the end.
    Forever,
    /// Ends with the log.
    ToEnd,
}

/// A replica id that no other engine and hardly any replica has. The last eight bits are for an engine's several dumps.
pub fn replica_id(task: &str, epoch: u64) -> u32 {
    let hash = xxhash_rust::xxh3::xxh3_64(format!("{task} {epoch} {}", std::process::id()).as_bytes());
    (hash as u32 | 0x4000_0000) & 0x7fff_ff00
}

/// A UUID that belongs to this process and replica id.
fn replica_uuid(server_id: u32) -> String {
    let hash = xxhash_rust::xxh3::xxh3_64(format!("{} {server_id}", std::process::id()).as_bytes());
    let (a, b, c, d) = (hash >> 32, (hash >> 16) & 0xffff, (hash >> 4) & 0xfff, hash & 0xf);
    format!("{a:08x}-{b:04x}-4{c:03x}-8{d:x}00-{server_id:012x}")
}

impl LogStream {
    /// Starts to read behind `position`.
    ///
    /// # Errors
    /// Definite when the source no longer has what comes next, or never had what came before.
    pub async fn open(
        connector: &Connector,
        info: &ServerInfo,
        position: &Position,
        server_id: u32,
        follow: Follow,
    ) -> Result<Self> {
        if let GtidPosition::MySql(set) = &position.gtid {
            check_position(connector, set).await?;
        }
        let mut dump = connector.dump(info).await?;
        let nanoseconds = HEARTBEAT.as_nanos();
        // Without a UUID SHOW REPLICAS breaks for everybody on the source, as long as this stream is registered.
        let uuid = replica_uuid(server_id);
        for statement in [
            sql!("SET @master_heartbeat_period={}, @source_heartbeat_period={}", nanoseconds, nanoseconds),
            sql!("SET @slave_uuid={}, @replica_uuid={}", Quoted(&uuid), Quoted(&uuid)),
            // Or the source takes this replica for one that does not know of checksums, and sends no log that has them.
            Sql::new("SET @master_binlog_checksum=@@GLOBAL.binlog_checksum, @source_binlog_checksum=@@GLOBAL.binlog_checksum"),
        ] {
            dump.execute(&statement).await?;
        }
        let mut request = BinlogRequest::new(server_id);
        if follow == Follow::ToEnd {
            request = request.with_flags(BinlogDumpFlags::BINLOG_DUMP_NON_BLOCK);
        }
        if info.is_mariadb() {
            dump.execute("SET @mariadb_slave_capability=4, @slave_gtid_strict_mode=0, @slave_gtid_ignore_duplicates=0").await?;
        }
        let request = match &position.gtid {
            GtidPosition::MySql(set) => request.with_use_gtid(true).with_sids(sids(set)?),
            // The exact place, where it is this server's.
            GtidPosition::MariaDb(_) if position.goes_by_place() => by_place(request, position),
            GtidPosition::MariaDb(gtid) => {
                dump.execute(sql!("SET @slave_connect_state={}", Quoted(&gtid.to_string()))).await?;
                request
            }
            GtidPosition::None => by_place(request, position),
        };
        dump.request(server_id, &request).await.context("asking the source for its binary log")?;
        Ok(Self { dump, place: first_place(position) })
    }

    /// The file being read.
    pub fn file(&self) -> &str {
        &self.place.file
    }

    /// Byte behind the last event; more than 32 bits.
    pub fn offset(&self) -> u64 {
        self.place.offset
    }

    /// The next event; None at the log's end (only [`Follow::ToEnd`]).
    ///
    /// # Errors
    /// A lost or silent connection, a damaged event, or what the source says (purged log: definite).
    pub async fn next(&mut self) -> Result<Option<LogEvent>> {
        let event = self.dump.next().await?;
        if let Some(event) = &event {
            self.place.advance(&event.raw());
        }
        Ok(event)
    }

    /// A ROTATE event names the file that follows.
    pub fn rotate(&mut self, rotate: &Rotate) {
        self.place.rotate(rotate);
    }

    /// Ends the dump.
    pub async fn close(self) {
        self.dump.close().await;
    }
}

fn by_place<'a>(request: BinlogRequest<'a>, position: &'a Position) -> BinlogRequest<'a> {
    request.with_filename(position.file.as_bytes()).with_pos(sent_from(position))
}

/// Where the stream begins. By GTID the source chooses the file itself, and begins it at its head.
fn first_place(position: &Position) -> LogOffset {
    match position.goes_by_place() {
        true => LogOffset::new(position.file.clone(), sent_from(position).into()),
        false => LogOffset::default(),
    }
}

/// COM_BINLOG_DUMP has 32 bits for the place; behind 4 GiB the file is read from its start and lanes skip.
fn sent_from(position: &Position) -> u32 {
    u32::try_from(position.offset).unwrap_or_default().max(4)
}

/// `purged ⊆ position ⊆ executed`: nothing is missing between, and the source is the one (or a copy of the
/// one) that the task has followed so far.
async fn check_position(connector: &Connector, set: &GtidSet) -> Result<()> {
    let shown = set.to_string();
    let text = Quoted(&shown);
    let mut conn = connector.connect(Role::Metadata).await?;
    let purged_and_executed: Option<(u8, u8, String)> = conn
        .query_first(sql!(
            "SELECT GTID_SUBSET(@@GLOBAL.gtid_purged, {}), GTID_SUBSET({}, @@GLOBAL.gtid_executed), @@GLOBAL.gtid_purged",
            text,
            text
        ))
        .await?;
    let _ = conn.disconnect().await;
    match purged_and_executed {
        Some((1, 1, _)) => Ok(()),
        Some((0, _, purged)) => Err(Error::definite(format!(
            "the source has purged binary logs that are still needed: gtid_purged is {purged}, the task stands at {set}; \
             the data must be copied again (delete the task's record and destination tables), with a longer retention \
             (SET PERSIST binlog_expire_logs_seconds = 604800)"
        ))),
        _ => Err(Error::definite(format!(
            "the source lacks transactions that the task has applied already ({set}): it is another server, or it lost them in a failover"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_beyond_4_gib_is_come_to_from_the_beginning_of_its_file() {
        let at = |offset| first_place(&Position::at("b.000001", offset));
        assert_eq!(at(5_000_000_000), LogOffset::new("b.000001", 4));
        assert_eq!(at(0), LogOffset::new("b.000001", 4));
        assert_eq!(at(5_000_000), LogOffset::new("b.000001", 5_000_000));
    }
}
