//! XA transactions that are prepared and not decided: who they are, and where in the log they begin.
//!
//! Their rows stand in the log where they were prepared, in front of where a task would join it, and count once they are
//! committed, behind it. So a task that begins reads from where the first of them begins.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mysql_async::Conn;

use super::stream::{Follow, LogStream};
use super::visibility;
use crate::binlog::{Decoder, Event, TransactionStart};
use crate::connection::{Connector, Role};
use crate::logged::{Statement, classify};
use crate::sql::Queries;
use crate::sql::lexer::LexMode;
use godwit_model::error::Result;
use godwit_model::position::{GtidPosition, GtidSet, Position, TransactionId};
use godwit_model::server::ServerInfo;

/// Most are decided within milliseconds; the others are looked for in the log.
const DECIDED_WITHIN: Duration = Duration::from_secs(1);

/// What is known of those that are not decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undecided {
    /// Where each begins in the log, by name.
    pub found: BTreeMap<String, Position>,
    /// In no file that the source has.
    pub gone: Vec<String>,
    /// The oldest of the files that the source has.
    pub oldest: String,
}

impl Undecided {
    /// None is open.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty() && self.gone.is_empty()
    }

    /// What to do about those whose beginning is gone.
    pub fn remedy(&self) -> String {
        format!("XA COMMIT or XA ROLLBACK them at the source, then start the task again: {}", self.gone.join("; "))
    }
}

/// XA transactions that are prepared and not decided, as `XA COMMIT` names them. None: the account may not see them
/// (MySQL from 8.0 on: XA_RECOVER_ADMIN).
pub async fn list(conn: &mut Conn) -> Option<Vec<String>> {
    let rows: Vec<(u64, usize, usize, Vec<u8>)> = conn.query("XA RECOVER").await.ok()?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let name = |(format, length, _, data): &(u64, usize, usize, Vec<u8>)| {
        let (transaction, branch) = data.split_at((*length).min(data.len()));
        // Signed, as the log has it.
        format!("X'{}',X'{}',{}", hex(transaction), hex(branch), *format as u32 as i32)
    };
    Some(rows.iter().map(name).collect())
}

/// Those that are open now and stay so for a moment, with their places in the log. `server_id`: for dumps of its own.
///
/// # Errors
/// Those of reading the log.
pub async fn undecided(connector: &Connector, info: &ServerInfo, server_id: u32) -> Result<Undecided> {
    let mut conn = connector.connect(Role::Metadata).await?;
    let asked = Instant::now();
    let Some(mut open) = list(&mut conn).await else {
        tracing::debug!(
            "the account may not list XA transactions; one that is prepared just now would stop the task at its XA COMMIT"
        );
        return Ok(Undecided::default());
    };
    while !open.is_empty() && asked.elapsed() < DECIDED_WITHIN {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = list(&mut conn).await.unwrap_or_default();
        open.retain(|name| now.contains(name));
    }
    let mut wanted: BTreeSet<String> = open.into_iter().collect();
    let mut result = Undecided::default();
    if wanted.is_empty() {
        return Ok(result);
    }
    let files = visibility::log_files(&mut conn).await?;
    result.oldest = files.first().map(|(name, _)| name.clone()).unwrap_or_default();
    for (file, _) in files.iter().rev() {
        for (name, mut position) in in_file(connector, info, file, &wanted, server_id).await? {
            if info.is_mariadb() {
                let gtid: Option<Option<String>> =
                    conn.exec_first("SELECT BINLOG_GTID_POS(?, ?)", (file.as_str(), position.offset)).await?;
                position.gtid = GtidPosition::MariaDb(gtid.flatten().unwrap_or_default().parse()?);
            }
            wanted.remove(&name);
            result.found.insert(name, position);
        }
        if wanted.is_empty() {
            break;
        }
    }
    let _ = conn.disconnect().await;
    // With every file since the server was made there is none that it could have been in: it has no rows.
    let all_are_there = result.oldest.rsplit_once('.').is_some_and(|(_, number)| number.parse() == Ok(1_u64));
    if !all_are_there {
        result.gone = wanted.into_iter().collect();
    }
    Ok(result)
}

/// Where the wanted ones begin that were prepared in this file.
async fn in_file(
    connector: &Connector,
    info: &ServerInfo,
    file: &str,
    wanted: &BTreeSet<String>,
    server_id: u32,
) -> Result<BTreeMap<String, Position>> {
    let mut stream = LogStream::open(connector, info, &Position::at(file, 4), server_id, Follow::ToEnd).await?;
    let mut decoder = Decoder::for_version(&info.version_text);
    let mut scan = Scan { file: file.to_owned(), ..Scan::default() };
    while let Some(event) = stream.next().await? {
        let raw = event.raw();
        match decoder.decode(&raw)? {
            Event::Rotate(rotate) => {
                stream.rotate(&rotate);
                if stream.file() != file {
                    break;
                }
            }
            Event::PreviousGtids(set) => scan.before.union(&set),
            Event::Gtid(start) => scan.begin(start, stream.offset().saturating_sub(u64::from(raw.event_size))),
            Event::Payload(payload) => {
                let mut events = payload.events()?;
                while let Some(inner) = events.next()? {
                    scan.event(&decoder.decode(&inner)?, wanted);
                }
            }
            event => scan.event(&event, wanted),
        }
    }
    stream.close().await;
    Ok(scan.found)
}

/// A file that is gone through.
#[derive(Default)]
struct Scan {
    file: String,
    /// MySQL's transactions in front of the one at hand.
    before: GtidSet,
    at_hand: Option<(TransactionId, u64)>,
    found: BTreeMap<String, Position>,
}

impl Scan {
    fn begin(&mut self, start: TransactionStart, offset: u64) {
        if let Some((TransactionId::MySql(gtid), _)) = self.at_hand.take() {
            self.before.insert(&gtid);
        }
        self.at_hand = Some((start.id, offset));
    }

    fn event(&mut self, event: &Event<'_>, wanted: &BTreeSet<String>) {
        match event {
            Event::XaPrepare(prepare) if !prepare.one_phase => self.prepared(&prepare.xid, wanted),
            Event::Query(query) if query.sql.starts_with(b"XA PREPARE") => {
                if let Statement::XaPrepare(xid) = classify(&query.sql, &query.database, &LexMode::default()) {
                    self.prepared(&xid, wanted);
                }
            }
            _ => {}
        }
    }

    /// A name may come again; the last one counts.
    fn prepared(&mut self, xid: &str, wanted: &BTreeSet<String>) {
        let Some((id, offset)) = self.at_hand.as_ref().filter(|_| wanted.contains(xid)) else { return };
        let gtid = match id {
            TransactionId::MySql(_) => GtidPosition::MySql(self.before.clone()),
            _ => GtidPosition::None,
        };
        self.found.insert(xid.to_owned(), Position { gtid, ..Position::at(self.file.clone(), *offset) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn one_is_found_where_it_was_prepared_last() {
        let wanted = BTreeSet::from(["X'61',X'',1".to_owned()]);
        let mut scan = Scan { file: "b.000003".into(), before: format!("{UUID}:1-4").parse().unwrap(), ..Scan::default() };
        let start = |number: u64| TransactionStart::named(TransactionId::MySql(format!("{UUID}:{number}").parse().unwrap()));
        for (number, xid) in [(5, "X'61',X'',1"), (6, "X'62',X'',1"), (7, "X'61',X'',1"), (8, "X'63',X'',1")] {
            scan.begin(start(number), number * 100);
            scan.prepared(xid, &wanted);
        }
        let gtid = GtidPosition::MySql(format!("{UUID}:1-6").parse().unwrap());
        let expected = Position { gtid, ..Position::at("b.000003", 700) };
        assert_eq!(scan.found, BTreeMap::from([("X'61',X'',1".to_owned(), expected)]));
    }
}
