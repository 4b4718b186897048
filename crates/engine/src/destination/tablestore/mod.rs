//! Alibaba Cloud Tablestore as the destination: rows one by one, the record behind them ([`Commit::Behind`]).
//!
//! What holds the rules of docs/correctness.md ("Destinations that mark behind"):
//! - B1: rows are put or patched with given values, or deleted; nothing is added to what is there.
//! - B2: a window's mark is written when every row of it is answered; a chunk's record too.
//! - B3: the client tries nothing again by itself. What the service refused for the moment, and did not do, is sent again here; a request whose fate
//!   is unknown ends the attempt, and the next one waits for [`Capabilities::zombie`] before it reads the record.
//! - B4: [`Lease`]: a request is sent only within [`LEASE`] after the epoch was seen in the record.

mod lane;
mod records;
mod send;
mod sink;
pub(crate) mod tables;
pub(crate) mod target;
pub(crate) mod values;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::lane::Lane;
use self::sink::Sink;
use self::target::Target;
use super::{Capabilities, ChunkSink, Commit, Destination, LaneWriter};
use crate::checkpoint::Claim;
use godwit_api::manifest::ResolvedTablestore;
use godwit_api::{BatchWriteMode, MigrationTaskSpec, RowWriteMode};
use godwit_model::error::{Error, Result};
use godwit_tablestore::{Client, Config, Credentials, ErrorKind, Replaceable, Retry};

pub(crate) use self::records::TablestoreRecords;
pub(crate) use self::send::patiently;
pub(crate) use self::tables::Tables;

/// An engine sends rows for so long after it has last seen its epoch in the record.
const LEASE: Duration = Duration::from_secs(5);

/// The record is looked at so often, where its answers are old when they arrive.
const LOOKS: u32 = 5;

/// The longest that a request lives: one that was not answered within it is not carried out later. The client gives each attempt so long; that the
/// service begins none after its client has gone away is an assumption.
const REQUEST_LIFE: Duration = Duration::from_secs(10);

/// For so long an engine that lost its claim may change rows.
pub(crate) const ZOMBIE: Duration = LEASE.saturating_add(REQUEST_LIFE);

/// Bytes of rows in requests under way, however many of them `concurrency` and `buckets` allow; each stands in memory twice, as a change and as
/// the body that is sent.
const UNDER_WAY_BYTES: usize = 32 << 20;

/// What this kind of destination can do.
pub(crate) const CAPABILITIES: Capabilities =
    Capabilities { commit: Commit::Behind, zombie: ZOMBIE, keyless: false, cascades: false };

/// Requests at the record that may be under way besides.
const RECORDS_TOGETHER: usize = 64;

/// An instance, and how the task writes to it.
#[derive(Clone)]
pub(crate) struct Instance {
    client: Client,
    /// `https://host/instance`, for people.
    address: String,
    records_table: String,
    row_write_mode: RowWriteMode,
    batch_write_mode: BatchWriteMode,
    /// Requests of one lane or worker under way at a time.
    together: usize,
    /// Turns of all requests that write rows. Whoever has one does not wait for a connection: what the lease allows is sent at once.
    turns: Arc<Semaphore>,
    /// Kibibytes of requests that are made and not answered, of all lanes and workers: see [`UNDER_WAY_BYTES`].
    room: Arc<Semaphore>,
    max_tables: usize,
}

impl fmt::Debug for Instance {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Instance").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Instance {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// Definite: the address cannot be used.
    pub(crate) fn new(resolved: &ResolvedTablestore, spec: &MigrationTaskSpec) -> Result<Self> {
        let tablestore = spec
            .destination
            .tablestore
            .as_ref()
            .ok_or_else(|| Error::definite("spec.destination.tablestore is not set; this is a bug"))?;
        let mut credentials = Credentials::new(&resolved.access_key_id, resolved.access_key_secret.expose());
        credentials.security_token = resolved.security_token.as_ref().map(|token| token.expose().into());
        let mut config = Config::new(&resolved.endpoint, &resolved.instance, Arc::new(Replaceable::new(credentials)));
        config.retry = Retry::never();
        config.limits.connections = tablestore.concurrency as usize + RECORDS_TOGETHER;
        config.limits.attempt_timeout = REQUEST_LIFE;
        let client =
            Client::new(config).map_err(|error| Error::definite(format!("spec.destination.tablestore.endpoint: {error}")))?;
        Ok(Self {
            client,
            address: format!("{}/{}", resolved.endpoint, resolved.instance),
            records_table: spec.destination.records_database.clone(),
            row_write_mode: tablestore.row_write_mode,
            batch_write_mode: tablestore.batch_write_mode,
            together: tablestore.buckets as usize,
            turns: Arc::new(Semaphore::new(tablestore.concurrency as usize)),
            room: Arc::new(Semaphore::new(UNDER_WAY_BYTES / 1024)),
            max_tables: tablestore.max_tables as usize,
        })
    }

    /// For people.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The tables that the instance may have.
    pub(crate) fn max_tables(&self) -> usize {
        self.max_tables
    }

    /// Name of the table of the records.
    pub(crate) fn records_table(&self) -> &str {
        &self.records_table
    }

    /// Room for a request, until it is answered.
    async fn room(&self, kibibytes: usize) -> Result<OwnedSemaphorePermit> {
        let wanted = u32::try_from(kibibytes.min(UNDER_WAY_BYTES / 1024)).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(wanted).await.map_err(|_| Error::cancelled())
    }

    /// The operations.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

/// What an error of the client means to a task.
pub(crate) fn failure(error: godwit_tablestore::Error) -> Error {
    let text = error.to_string();
    match &error.kind {
        ErrorKind::Connect(_) | ErrorKind::Lost(_) | ErrorKind::Timeout(_) => Error::connection(text),
        _ if error.is_retryable() || error.may_have_succeeded() => Error::transient(text),
        _ => Error::definite(text),
    }
}

/// The destination of one attempt.
#[derive(Debug)]
pub(crate) struct Tablestore {
    instance: Instance,
    records: Arc<TablestoreRecords>,
    targets: Arc<Vec<Arc<Target>>>,
    lease: Arc<Lease>,
}

impl Tablestore {
    pub(crate) fn new(instance: &Instance, records: Arc<TablestoreRecords>, targets: Arc<Vec<Arc<Target>>>) -> Self {
        let lease = Arc::new(Lease { records: Arc::clone(&records), seen: Mutex::new(None) });
        Self { instance: instance.clone(), records, targets, lease }
    }
}

impl Destination for Tablestore {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn lane(&self, claim: Claim, lane: u32) -> BoxFuture<'_, Result<Box<dyn LaneWriter>>> {
        let sender = send::Sender::new(&self.instance, Arc::clone(&self.lease), claim);
        let writer = Lane::new(sender, Arc::clone(&self.records), Arc::clone(&self.targets), claim, lane);
        Box::pin(async move { Ok(Box::new(writer) as Box<dyn LaneWriter>) })
    }

    fn chunks(&self, claim: Claim, _: u32) -> BoxFuture<'_, Result<Box<dyn ChunkSink>>> {
        let sender = send::Sender::new(&self.instance, Arc::clone(&self.lease), claim);
        let sink = Sink::new(sender, Arc::clone(&self.records), Arc::clone(&self.targets), claim);
        Box::pin(async move { Ok(Box::new(sink) as Box<dyn ChunkSink>) })
    }
}

/// When the engine last saw that the task is its own.
#[derive(Debug)]
struct Lease {
    records: Arc<TablestoreRecords>,
    seen: Mutex<Option<Instant>>,
}

impl Lease {
    /// Returns when a request may be sent, after a look at the record where the last one is old.
    ///
    /// # Errors
    /// Fenced, when another engine has the task.
    async fn hold(&self, claim: Claim) -> Result<()> {
        let is_fresh = |seen: Instant| seen.elapsed() < LEASE / 2;
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_some_and(is_fresh) {
            return Ok(());
        }
        for _ in 0..LOOKS {
            // Before the question: what it answers was true at no earlier moment.
            let asked = Instant::now();
            self.records.look(claim).await?;
            if is_fresh(asked) {
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
                return Ok(());
            }
        }
        Err(Error::transient("the record answers too slowly to know that the task is still this engine's"))
    }
}
