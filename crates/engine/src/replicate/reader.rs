//! Reads the log and feeds the dispatcher.
//!
//! Under overload the dispatcher makes it wait, and with it the source's dump thread. On restart it begins where
//! the slowest lane stands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::assemble::{Assembler, Group, Outcome};
use super::definition::Pending;
use super::dispatch::Dispatcher;
use super::guard::Guard;
use super::proof;
use super::reading::{Readings, mode_of};
use crate::binlog::{Decoder, Event, RawEvent, RowsEvent};
use crate::change::Change;
use crate::change::cascade::Cascades;
use crate::connection::{Connector, Role};
use crate::dump::LogEvent;
use crate::heartbeat::Listener;
use crate::live::Live;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::source::same_log;
use crate::source::stream::{Follow, LogStream};
use crate::source::visibility;
use godwit_model::error::{Class, Error, Result};
use godwit_model::position::Position;
use godwit_model::server::ServerInfo;

/// The position in the report is refreshed this often.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// Behind an event of more bytes nothing is read until the lanes have applied it: its rows and the next event are not
/// held at once.
const LARGE_EVENT: u32 = 8 << 20;

/// A task that has to stop gives the lanes this long to apply what was read before.
const DRAIN_WITHIN: Duration = Duration::from_secs(20);

/// A second stream beside the first is known to the source by an id of its own. The first one's ends in zeros.
const SECOND_STREAM: u32 = 0xff;

/// Everything the reader needs.
pub(crate) struct Reader {
    pub source: Connector,
    pub source_info: ServerInfo,
    /// Tells the source from another server.
    pub source_identity: String,
    pub plan: Arc<Plan>,
    pub dispatcher: Arc<Dispatcher>,
    /// From where the log is read; not behind where the dispatcher stands.
    pub start: Position,
    /// The log was looked at: it is the one that the start was recorded in.
    pub place_is_known: bool,
    pub guard: Guard,
    pub cascades: Arc<Cascades>,
    pub valid_from: HashMap<u32, Position>,
    pub server_id: u32,
    /// Microseconds to add to the source's clock.
    pub clock_offset: i64,
    pub progress: Progress,
    /// How fast changes may be read.
    pub live: Live,
    /// Hears the heartbeat on the source, where there is one.
    pub heartbeat: Option<Listener>,
    /// Where a definition statement is left.
    pub pending: Pending,
}

impl Reader {
    /// Reads until cancelled.
    ///
    /// # Errors
    /// A lost connection, or a definite reason to stop, with the place in the log.
    pub(crate) async fn run(self, cancel: CancellationToken) -> Result<()> {
        let floor = (*self.dispatcher.position()).clone();
        let mut stream = LogStream::open(&self.source, &self.source_info, &self.start, self.server_id, Follow::Forever).await?;
        let mut state = State {
            assembler: Assembler::new(
                self.plan,
                self.guard,
                self.cascades,
                self.start,
                floor,
                self.valid_from,
                self.clock_offset,
            )
            .with_heartbeat(self.heartbeat)
            .within(self.dispatcher.limits()),
            decoder: Decoder::for_version(&self.source_info.version_text).with_largest_event(self.source.largest_event()),
            readings: Readings::default(),
            dispatcher: self.dispatcher,
            progress: self.progress,
            live: self.live,
            info: self.source_info,
            identity: self.source_identity,
            server_id: self.server_id,
            reported: Instant::now(),
            source: self.source,
            pending: self.pending,
        };
        loop {
            let event = tokio::select! {
                event = stream.next() => event?,
                () = cancel.cancelled() => break,
            };
            let Some(event) = event else {
                return Err(Error::connection("the source closed the binary log stream"));
            };
            // Errors about the place come instead of the first event behind the head, which an idle source sends with its first heartbeat.
            if !event.raw().describes_file() || self.place_is_known && event.raw().is_head() {
                state.dispatcher.joined();
            }
            let handled = tokio::select! {
                handled = state.take(&mut stream, event) => handled,
                () = cancel.cancelled() => break,
            };
            if let Err(error) = handled {
                if error.class() == Class::Definite {
                    // Everything before this place is applied when the task stops.
                    let _ = tokio::time::timeout(DRAIN_WITHIN, state.dispatcher.drain()).await;
                }
                return Err(error);
            }
        }
        stream.close().await;
        Ok(())
    }
}

struct State {
    source: Connector,
    info: ServerInfo,
    identity: String,
    server_id: u32,
    assembler: Assembler,
    decoder: Decoder,
    readings: Readings,
    dispatcher: Arc<Dispatcher>,
    progress: Progress,
    live: Live,
    reported: Instant,
    pending: Pending,
}

impl State {
    async fn take(&mut self, stream: &mut LogStream, transported: LogEvent) -> Result<()> {
        match self.handle(stream, transported).await? {
            Some(group) => self.read_again(&group).await,
            None => Ok(()),
        }
    }

    /// Hands on, as part of the transaction at hand, the changes of another one that it commits and that were not kept: they are
    /// read from the log once more. The first stream waits meanwhile.
    async fn read_again(&mut self, group: &Group) -> Result<()> {
        let place = Position::at(group.file.clone(), group.offset);
        let server_id = self.server_id | SECOND_STREAM;
        let mut stream = LogStream::open(&self.source, &self.info, &place, server_id, Follow::ToEnd).await?;
        let fresh = Decoder::for_version(&self.info.version_text).with_largest_event(self.source.largest_event());
        let decoder = std::mem::replace(&mut self.decoder, fresh);
        while !self.assembler.has_read_again() {
            let event = match stream.next().await {
                Ok(Some(event)) => event,
                Ok(None) => {
                    return Err(Error::connection(format!(
                        "the source's binary log ends before {}:{}",
                        group.file, group.offset
                    )));
                }
                Err(error) => return Err(self.explain(error, group).await),
            };
            // Where a place has more than 32 bits, the file is sent from its beginning.
            let is_in_front = stream.offset() <= group.offset && !event.raw().describes_file();
            if !is_in_front {
                self.handle(&mut stream, event).await?;
            }
        }
        stream.close().await;
        self.decoder = decoder;
        let outcome = self.assembler.end_again()?;
        self.hand_on(outcome).await.map(drop)
    }

    /// Why a transaction cannot be read again.
    async fn explain(&self, error: Error, group: &Group) -> Error {
        if error.class() != Class::Definite {
            return error;
        }
        let asked = async {
            let mut conn = self.source.connect(Role::Metadata).await?;
            let identity = visibility::server_identity(&mut conn, &self.info).await?;
            let files = visibility::log_files(&mut conn).await?;
            let _ = conn.disconnect().await;
            Ok::<_, Error>((identity, files))
        };
        match asked.await {
            Err(error) => error,
            // Places of another server mean nothing. The next attempt asks it by GTID, where there are GTIDs.
            Ok((identity, _)) if identity != self.identity => Error::connection(error.to_string()),
            Ok((_, files)) if !files.iter().any(|(name, _)| *name == group.file) => Error::definite(format!(
                "an XA transaction is committed whose changes were too large to be kept, and the source has purged the binary log {} \
                 that holds them (transaction {}, from {} on). The data must be copied again (delete the task's record and \
                 destination tables), with a retention (binlog_expire_logs_seconds) longer than XA transactions stay prepared",
                group.file, group.start.id, group.offset
            )),
            Ok(_) => error.context(format!("reading transaction {} again, at {}:{}", group.start.id, group.file, group.offset)),
        }
    }

    /// What has to be read again before the log goes on.
    async fn handle(&mut self, stream: &mut LogStream, transported: LogEvent) -> Result<Option<Box<Group>>> {
        let raw = transported.raw();
        self.assembler.came(same_log::fingerprint(&raw, stream.file(), stream.offset()));
        let is_large = raw.event_size > LARGE_EVENT;
        self.progress.add_log_bytes(u64::from(raw.event_size));
        let event = self.decoder.decode(&raw)?;
        if let Event::Payload(payload) = event {
            let mut events = payload.events()?;
            let mut again = None;
            while let Some(inner) = events.next()? {
                let is_large = inner.event_size > LARGE_EVENT;
                let event = self.decoder.decode(&inner)?;
                let outcome = match self.readings.read(event, &self.source, &self.info).await? {
                    Event::Rows(rows) if is_large => {
                        let rows = rows.detach();
                        self.rows(rows.attach(|length| events.take_tail(length))).await?
                    }
                    Event::Rows(rows) => self.rows(rows).await?,
                    event => apply(&mut self.assembler, &self.info, event, &inner, stream.file(), stream.offset())?,
                };
                self.prove().await?;
                again = self.hand_on(outcome).await?.or(again);
                if is_large {
                    self.dispatcher.wait_idle().await?;
                }
            }
            self.pass(stream);
            return Ok(again);
        }
        let event = self.readings.read(event, &self.source, &self.info).await?;
        if let Event::Rotate(rotate) = &event {
            stream.rotate(rotate);
            self.assembler.forget_tables();
        }
        let outcome = match event {
            // Its memory goes along, and is given back as the rows are read.
            Event::Rows(rows) if is_large => {
                let rows = rows.detach();
                self.rows(rows.attach(|length| transported.into_tail(length))).await?
            }
            Event::Rows(rows) => {
                let outcome = self.rows(rows).await?;
                drop(transported);
                outcome
            }
            event => {
                let outcome = apply(&mut self.assembler, &self.info, event, &raw, stream.file(), stream.offset())?;
                // It holds the rows once more.
                drop(transported);
                outcome
            }
        };
        self.prove().await?;
        let quiet = matches!(outcome, Outcome::Open | Outcome::Skipped);
        let again = self.hand_on(outcome).await?;
        if quiet {
            self.pass(stream);
        }
        if is_large {
            self.dispatcher.wait_idle().await?;
        }
        if self.reported.elapsed() > REPORT_EVERY {
            self.reported = Instant::now();
            let position = self.assembler.position();
            let gtid = position.gtid.to_string();
            self.progress.set_position((!gtid.is_empty()).then_some(gtid), position.file.clone(), position.offset);
        }
        Ok(again)
    }

    /// The rows of an event, in parts where they are many.
    async fn rows(&mut self, mut rows: RowsEvent<'_>) -> Result<Outcome> {
        loop {
            let outcome = self.assembler.rows(&mut rows)?;
            if rows.is_read() || !matches!(outcome, Outcome::Part(_)) {
                return Ok(outcome);
            }
            self.hand_on(outcome).await?;
        }
    }

    /// Between transactions: moves the dispatcher along.
    fn pass(&mut self, stream: &LogStream) {
        if let Some(position) = self.assembler.pass(stream.file(), stream.offset())
            && self.assembler.has_reached_floor()
        {
            self.dispatcher.advance(position, self.assembler.replay_from());
        }
    }

    /// A change that was logged as a statement is passed by only if the source shows that it stays away from what is
    /// migrated.
    async fn prove(&mut self) -> Result<()> {
        let Some((doubt, place)) = self.assembler.take_doubt() else { return Ok(()) };
        let mut conn = self.source.connect(Role::Metadata).await?;
        let why = proof::disprove(&mut conn, &self.info, &doubt).await?;
        let _ = conn.disconnect().await;
        let Some(why) = why else { return Ok(()) };
        let tables: Vec<String> = doubt.tables.iter().map(ToString::to_string).collect();
        Err(Error::definite(format!(
            "a change of {} was logged as a statement, and that it leaves the migrated tables alone is not certain: {why}. A session on \
             the source runs with binlog_format other than ROW; set binlog_format=ROW for it and start the task anew. \
             Statement: {} ({place})",
            tables.join(", "),
            doubt.shown
        )))
    }

    async fn hand_on(&mut self, outcome: Outcome) -> Result<Option<Box<Group>>> {
        let (rows, bytes) = match &outcome {
            Outcome::Part(changes) | Outcome::End { changes, .. } => {
                (changes.len() as u64, changes.iter().map(Change::size).sum::<usize>() as u64)
            }
            Outcome::Open | Outcome::Skipped | Outcome::Again(_) | Outcome::Define(_) => (0, 0),
        };
        let again = self.dispatch(outcome).await?;
        if rows > 0 {
            // Afterwards: what has been read is applied meanwhile. The source's dump thread waits with the reader.
            self.live.changes(rows, bytes).await;
        }
        Ok(again)
    }

    async fn dispatch(&mut self, outcome: Outcome) -> Result<Option<Box<Group>>> {
        match outcome {
            Outcome::Open | Outcome::Skipped => {}
            Outcome::Again(group) => return Ok(Some(group)),
            Outcome::Define(defined) => {
                self.dispatcher.drain().await;
                let shown = defined.shown.clone();
                self.pending.leave(defined);
                return Err(Error::definite(format!("reading pauses at a definition statement: {shown}")));
            }
            Outcome::Part(changes) => {
                if let Some(open) = self.assembler.open() {
                    self.dispatcher.part(changes, &open.group.began()).await?;
                }
            }
            Outcome::End { changes, end, aborted, group } => {
                let began = group.began();
                // Lanes count rows; a transaction may be spread over several of them.
                self.progress.add_applied(0, 0, 0, u64::from(!changes.is_empty()));
                if aborted {
                    self.dispatcher.abort(changes, &began, end).await?;
                } else {
                    self.dispatcher.end(changes, &began, end).await?;
                }
            }
        }
        Ok(None)
    }
}

/// What an event means for the transaction at hand. `offset` is the place behind the event.
fn apply(
    assembler: &mut Assembler,
    info: &ServerInfo,
    event: Event<'_>,
    raw: &RawEvent<'_>,
    file: &str,
    offset: u64,
) -> Result<Outcome> {
    match event {
        Event::Gtid(start) => {
            let began = offset.saturating_sub(u64::from(raw.event_size));
            assembler.begin(start, file, began, raw.timestamp)?;
            Ok(Outcome::Open)
        }
        Event::Query(query) | Event::LoadQuery(query) => assembler.query(&query, &mode_of(&query, info), file, offset),
        Event::Xid(_) => assembler.commit(file, offset),
        Event::XaPrepare(prepare) => assembler.xa_prepare(&prepare.xid, prepare.one_phase, file, offset),
        Event::TableMap(map) => {
            assembler.table_map(&map)?;
            Ok(Outcome::Open)
        }
        _ => Ok(Outcome::Open),
    }
}
