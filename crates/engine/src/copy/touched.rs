//! Which tables the log touches behind a moment: what tells whether a snapshot that was opened then is exact.
//!
//! One dump answers for all snapshots that are opened about the same time. It is read as far as an answer needs it and stands still
//! in between; it is opened anew when nobody has asked for a while, so that the log of a long copy is not read through it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::binlog::{Decoder, Event, TableMap};
use crate::connection::Connector;
use crate::plan::Plan;
use crate::source::stream::{Follow, LogStream};
use godwit_model::error::{Error, Result};
use godwit_model::position::{GtidPosition, Position, TransactionId, compare_files};
use godwit_model::server::ServerInfo;

/// A dump that nobody has asked for so long holds too much that is not read.
const ASKED_WITHIN: Duration = Duration::from_secs(10);

/// The names of what touched the tables are kept from its opening on; a dump serves no longer than this.
const SERVES: Duration = Duration::from_secs(60);

/// Names beyond this are not kept: the dump serves no longer, and every table counts as touched in it.
const MOST_NAMES: usize = 250_000;

/// See the module's page.
pub(super) struct Touched {
    source: Connector,
    info: ServerInfo,
    /// The replica id under which the source knows the dump.
    server_id: u32,
    tables: HashMap<(String, String), u32>,
    watch: Mutex<Option<Watch>>,
}

/// A dump, and what has been seen in it.
struct Watch {
    stream: LogStream,
    decoder: Decoder,
    /// Everything behind it has been seen or will be.
    from: GtidPosition,
    seen: Seen,
    opened: Instant,
    asked: Instant,
}

/// Transactions with rows of the tables, by name.
#[derive(Default)]
struct Seen {
    at_hand: Option<TransactionId>,
    by_table: HashMap<u32, GtidPosition>,
    /// With changes that foreign keys may have carried on without a trace.
    carried_on: HashMap<u32, GtidPosition>,
    /// Decided what was prepared before; its tables are not looked up.
    any_table: Option<GtidPosition>,
    /// Rows outside of a named transaction: nothing can be said.
    nameless: bool,
    /// Names in the sets, about.
    names: usize,
}

impl Touched {
    /// For the tables of a plan, on a source with GTIDs.
    pub(super) fn new(source: &Connector, info: &ServerInfo, plan: &Plan, server_id: u32) -> Self {
        let tables = plan.tables.iter().map(|t| ((t.source.database.clone(), t.source.table.clone()), t.id)).collect();
        Self { source: source.clone(), info: info.clone(), server_id, tables, watch: Mutex::default() }
    }

    /// Whether the log up to `end` (file and offset) holds, in transactions that are not in `from`, rows of one of the tables, or changes of one
    /// `above` that foreign keys may have carried into them.
    ///
    /// # Errors
    /// Those of reading the log.
    pub(super) async fn since(&self, tables: &[u32], above: &[u32], from: &Position, end: &(String, u64)) -> Result<bool> {
        let mut held = self.watch.lock().await;
        let mut watch = match held.take() {
            Some(watch) if watch.serves(&from.gtid) => watch,
            outdated => {
                if let Some(watch) = outdated {
                    watch.stream.close().await;
                }
                self.open(from).await?
            }
        };
        watch.read_to(end, &self.tables).await?;
        watch.asked = Instant::now();
        let found = watch.seen.is_touched(tables, above, &from.gtid);
        *held = Some(watch);
        Ok(found)
    }

    async fn open(&self, from: &Position) -> Result<Watch> {
        let stream = LogStream::open(&self.source, &self.info, from, self.server_id, Follow::Forever).await?;
        let now = Instant::now();
        let seen = Seen::default();
        let decoder = Decoder::new().with_largest_event(self.source.largest_event());
        Ok(Watch { stream, decoder, from: from.gtid.clone(), seen, opened: now, asked: now })
    }

    /// Ends the dump.
    pub(super) async fn close(&self) {
        if let Some(watch) = self.watch.lock().await.take() {
            watch.stream.close().await;
        }
    }
}

impl Watch {
    fn serves(&self, from: &GtidPosition) -> bool {
        let is_full = self.seen.names > MOST_NAMES;
        self.asked.elapsed() < ASKED_WITHIN && self.opened.elapsed() < SERVES && self.from.is_subset_of(from) && !is_full
    }

    async fn read_to(&mut self, end: &(String, u64), tables: &HashMap<(String, String), u32>) -> Result<()> {
        while compare_files(self.stream.file(), &end.0).then(self.stream.offset().cmp(&end.1)).is_lt() {
            let event = self.stream.next().await?;
            let event = event.ok_or_else(|| Error::connection("the source closed the binary log stream"))?;
            match self.decoder.decode(&event.raw())? {
                Event::Rotate(rotate) => self.stream.rotate(&rotate),
                Event::Payload(payload) => {
                    let mut events = payload.events()?;
                    while let Some(inner) = events.next()? {
                        self.seen.take(self.decoder.decode(&inner)?, tables);
                    }
                }
                event => self.seen.take(event, tables),
            }
        }
        Ok(())
    }
}

impl Seen {
    fn take(&mut self, event: Event<'_>, tables: &HashMap<(String, String), u32>) {
        match event {
            Event::Gtid(start) => self.at_hand = Some(start.id),
            Event::TableMap(map) => self.rows_of(&map, tables, false),
            Event::Rows(rows) if rows.may_cascade() => self.rows_of(&rows.table, tables, true),
            // Its rows stand further up, where it was prepared.
            Event::Query(query) if query.sql.starts_with(b"XA COMMIT") => {
                let set = self.any_table.get_or_insert_with(no_transaction);
                self.nameless |= !insert(set, self.at_hand.as_ref(), &mut self.names);
            }
            _ => {}
        }
    }

    fn rows_of(&mut self, map: &TableMap, tables: &HashMap<(String, String), u32>, carries_on: bool) {
        let Some(table) = tables.get(&(map.database.clone(), map.table.clone())) else { return };
        let sets = if carries_on { &mut self.carried_on } else { &mut self.by_table };
        let set = sets.entry(*table).or_insert_with(no_transaction);
        self.nameless |= !insert(set, self.at_hand.as_ref(), &mut self.names);
    }

    fn is_touched(&self, tables: &[u32], above: &[u32], from: &GtidPosition) -> bool {
        let own = tables.iter().filter_map(|table| self.by_table.get(table));
        let sets = own.chain(above.iter().filter_map(|table| self.carried_on.get(table))).chain(&self.any_table);
        self.nameless || self.names > MOST_NAMES || sets.into_iter().any(|set| !set.is_subset_of(from))
    }
}

fn no_transaction() -> GtidPosition {
    GtidPosition::MySql(Default::default())
}

/// False: it has no name.
fn insert(set: &mut GtidPosition, id: Option<&TransactionId>, names: &mut usize) -> bool {
    let Some(id @ TransactionId::MySql(_)) = id else { return false };
    // A statement has a description for each table, a transaction many statements.
    if *names <= MOST_NAMES && set.contains(id) == Some(false) {
        *names += 1;
        set.insert(id);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binlog::RawEvent;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn up_to(number: u64) -> GtidPosition {
        GtidPosition::MySql(format!("{UUID}:1-{number}").parse().unwrap())
    }

    fn map(table: &str) -> TableMap {
        let length = table.len() as u8;
        let mut body = vec![9, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, length];
        body.extend_from_slice(table.as_bytes());
        body.extend([0, 1, 3, 0, 0]);
        let event = RawEvent { timestamp: 0, event_type: 19, server_id: 1, event_size: 0, log_pos: 0, flags: 0, body: &body };
        let Event::TableMap(map) = Decoder::new().decode(&event).unwrap() else { panic!() };
        (*map).clone()
    }

    #[test]
    fn each_table_for_itself_and_each_snapshot_from_its_own_moment() {
        let tables = HashMap::from([(("d".into(), "a".into()), 0), (("d".into(), "b".into()), 1)]);
        let mut seen = Seen::default();
        let mut touch = |number: u64, table: &str| {
            seen.at_hand = Some(TransactionId::MySql(format!("{UUID}:{number}").parse().unwrap()));
            seen.rows_of(&map(table), &tables, false);
        };
        touch(5, "a");
        touch(7, "b");
        touch(9, "elsewhere");
        assert!(seen.is_touched(&[0], &[], &up_to(4)) && !seen.is_touched(&[0], &[], &up_to(5)));
        assert!(seen.is_touched(&[1], &[], &up_to(6)) && !seen.is_touched(&[1], &[], &up_to(7)));
        assert!(seen.is_touched(&[0, 1], &[], &up_to(6)), "a family is touched where one of it is");
        seen.at_hand = Some(TransactionId::MySql(format!("{UUID}:8").parse().unwrap()));
        seen.rows_of(&map("a"), &tables, true);
        assert!(seen.is_touched(&[1], &[0], &up_to(7)) && !seen.is_touched(&[1], &[0], &up_to(8)), "by way of a foreign key");
        assert!(!seen.is_touched(&[1], &[], &up_to(7)));
        assert!(!seen.nameless && seen.names == 3);
        let names = std::mem::replace(&mut seen.names, MOST_NAMES + 1);
        assert!(seen.is_touched(&[1], &[], &up_to(100)), "there was no room for more names");
        seen.names = names;
        seen.at_hand = Some(TransactionId::Anonymous);
        seen.rows_of(&map("a"), &tables, false);
        assert!(seen.is_touched(&[1], &[], &up_to(100)), "without names nothing can be said");
    }
}
