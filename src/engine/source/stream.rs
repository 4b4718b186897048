//! The binary log as a stream of raw events with their places.
//!
//! The transport is `mysql_async`'s `BinlogStream`, used for headers and bodies only. Two of its habits are
//! dealt with here: it also unpacks compressed transactions by itself (those events are recognised and dropped,
//! ours come from [`super::binlog::Payload`]), and it truncates places to 32 bits (they are put together again).

use std::time::Duration;

use futures_util::StreamExt;
use mysql_async::binlog::events::Event as TransportEvent;
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStream, BinlogStreamRequest, Conn};

use super::binlog::{LogOffset, PayloadEcho, RawEvent, Rotate};
use super::position::{GtidPosition, Position};
use crate::engine::connection::{Connector, Role, ServerInfo};
use crate::engine::error::{Context, Error, Result};

/// The source sends a heartbeat when it has nothing else to say for this long. Short, because a copied chunk on an
/// idle source waits for the log to be read up to its end.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Without any event for this long the connection is dead, whatever TCP thinks.
const SILENCE: Duration = Duration::from_secs(30);

/// A dump of the source's log.
pub struct LogStream {
    stream: BinlogStream,
    place: LogOffset,
    /// Events of the last compressed transaction that the transport is going to repeat.
    echo: Option<PayloadEcho>,
}

/// How the log is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Waits for more at the end.
    Forever,
    /// Ends with the log.
    ToEnd,
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
        let mut conn = connector.connect(Role::Dump).await?;
        check_position(&mut conn, position).await?;
        let nanoseconds = HEARTBEAT.as_nanos();
        conn.query_drop(format!("SET @master_heartbeat_period={nanoseconds}, @source_heartbeat_period={nanoseconds}")).await?;
        // Without a UUID SHOW REPLICAS breaks for everybody on the source, as long as this stream is registered.
        let uuid = replica_uuid(server_id);
        conn.query_drop(format!("SET @slave_uuid='{uuid}', @replica_uuid='{uuid}'")).await?;
        let mut request = BinlogStreamRequest::new(server_id);
        if follow == Follow::ToEnd {
            request = request.with_non_blocking();
        }
        let request = match &position.gtid {
            GtidPosition::MySql(set) => request.with_gtid().with_gtid_set(set.to_sids()?),
            GtidPosition::MariaDb(gtid) => {
                conn.query_drop("SET @mariadb_slave_capability=4, @slave_gtid_strict_mode=0, @slave_gtid_ignore_duplicates=0")
                    .await?;
                conn.query_drop(format!("SET @slave_connect_state='{gtid}'")).await?;
                request
            }
            GtidPosition::None if info.is_mariadb() => {
                conn.query_drop("SET @mariadb_slave_capability=4").await?;
                by_place(request, position)
            }
            GtidPosition::None => by_place(request, position),
        };
        let stream = conn.get_binlog_stream(request).await.context("asking the source for its binary log")?;
        // By GTID the source chooses the file itself, and begins it at its head.
        let place = match position.gtid {
            GtidPosition::None => LogOffset::new(position.file.clone(), position.offset),
            _ => LogOffset::default(),
        };
        Ok(Self { stream, place, echo: None })
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
    pub async fn next(&mut self) -> Result<Option<TransportEvent>> {
        loop {
            let next = tokio::time::timeout(SILENCE, self.stream.next()).await;
            let event = match next {
                Err(_) => {
                    return Err(Error::connection(format!(
                        "the source sent nothing, not even a heartbeat, for {} s",
                        SILENCE.as_secs()
                    )));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(explain(error)),
                Ok(Some(Ok(event))) => event,
            };
            let raw = RawEvent::from_stream(&event);
            if let Some(echo) = self.echo.as_mut().filter(|echo| !echo.is_over()) {
                echo.swallow(&raw)?;
                continue;
            }
            if let Some(checksum) = event.checksum() {
                raw.verify_checksum(checksum)?;
            }
            self.place.advance(&raw);
            return Ok(Some(event));
        }
    }

    /// Tells of the events that a compressed transaction held, which the transport will deliver once more.
    pub fn expect_echo(&mut self, echo: PayloadEcho) {
        self.echo = Some(echo);
    }

    /// A ROTATE event names the file that follows.
    pub fn rotate(&mut self, rotate: &Rotate) {
        self.place.rotate(rotate);
    }

    /// Ends the dump.
    pub async fn close(self) {
        let _ = self.stream.close().await;
    }
}

fn by_place<'a>(request: BinlogStreamRequest<'a>, position: &'a Position) -> BinlogStreamRequest<'a> {
    // COM_BINLOG_DUMP has 32 bits for the place; behind 4 GiB the file is read from its start and lanes skip.
    let offset = if u32::try_from(position.offset).is_ok() { position.offset.max(4) } else { 4 };
    request.with_filename(position.file.as_bytes()).with_pos(offset)
}

/// `purged ⊆ position ⊆ executed`: nothing is missing between, and the source is the one (or a copy of the
/// one) that the task has followed so far.
async fn check_position(conn: &mut Conn, position: &Position) -> Result<()> {
    let GtidPosition::MySql(set) = &position.gtid else { return Ok(()) };
    let purged_and_executed: Option<(u8, u8, String)> = conn
        .query_first(format!(
            "SELECT GTID_SUBSET(@@GLOBAL.gtid_purged, '{set}'), GTID_SUBSET('{set}', @@GLOBAL.gtid_executed), @@GLOBAL.gtid_purged"
        ))
        .await?;
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

fn explain(error: mysql_async::Error) -> Error {
    match &error {
        // ER_MASTER_FATAL_ERROR_READING_BINLOG: purged, unknown file, GTID not found.
        mysql_async::Error::Server(server) if server.code == 1236 => Error::definite(format!(
            "the source cannot send the binary log from where the task stands: {}; if it was purged, the data must be copied \
             again with a longer retention (binlog_expire_logs_seconds)",
            server.message
        )),
        _ => Error::from(error).context("reading the source's binary log"),
    }
}
