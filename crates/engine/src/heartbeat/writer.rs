//! Writes the beats, and tells when they are applied.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use mysql_async::Conn;
use tokio_util::sync::CancellationToken;

use super::{Beats, HeartbeatTable};
use crate::checkpoint::Claim;
use crate::connection::{Connector, Role};
use crate::destination::Records;
use crate::progress::Progress;
use crate::sql;
use crate::sql::Queries;
use godwit_model::error::{Class, Context, Error, Result};

/// Locks of the source (a backup's, an ALTER's) are waited for this long; the server ends the statement then, so that no session of ours
/// stays behind in its queue.
const LOCK_SECONDS: u32 = 5;

/// A lost connection is tried again after this, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What the source refuses is tried again this often: somebody may grant it.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// How often the figures are refreshed.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE.
const NO_DATABASE: u16 = 1049;
const NO_TABLE: u16 = 1146;

/// Everything it needs. It works while its engine holds the claim.
pub(crate) struct Writer {
    pub source: Connector,
    pub table: HeartbeatTable,
    /// The row's key: the task's name, and where its data goes.
    pub task: String,
    pub destination: String,
    pub interval: Duration,
    pub beats: Beats,
    pub records: Arc<dyn Records>,
    pub claim: Claim,
    /// Waits until what was read of the log so far is applied.
    pub applied: Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
    pub progress: Progress,
}

impl Writer {
    /// Beats until cancelled, or until another engine has the task.
    ///
    /// # Errors
    /// Never: what fails here is tried again and does not end the task.
    pub(crate) async fn run(self, cancel: CancellationToken) -> Result<()> {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = self.write() => {}
            () = self.follow() => {}
            () = self.report() => {}
        }
        self.progress.set_heartbeat(None, Duration::ZERO);
        self.progress.heartbeat_problem(None);
        Ok(())
    }

    /// Ends when another engine has taken the task over.
    async fn write(&self) {
        let mut number = 0;
        let mut pause = FIRST_PAUSE;
        let mut said: Option<String> = None;
        loop {
            let before = number;
            let Err(error) = self.session(&mut number, &mut said).await;
            if error.class() == Class::Fenced {
                tracing::info!("another engine has taken the task over; its heartbeat is the other one's");
                return;
            }
            self.progress.heartbeat_failed();
            let text = error.to_string();
            if said.as_ref() != Some(&text) {
                tracing::warn!(error = %text, table = %self.table.shown(), "the heartbeat cannot be written to the source; the task goes on without it");
            }
            self.progress.heartbeat_problem(Some(text.clone()));
            said = Some(text);
            if number > before + 1 {
                pause = FIRST_PAUSE;
            }
            let passing = error.class() == Class::Connection || error.is_lock_conflict();
            tokio::time::sleep(if passing { pause } else { REFUSED_PAUSE }).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Connects, takes the row and beats, until something fails. `number`: of the last beat; `said`: what was reported as being in the way.
    async fn session(&self, number: &mut u64, said: &mut Option<String>) -> std::result::Result<std::convert::Infallible, Error> {
        let mut conn = self.source.connect(Role::Metadata).await?;
        conn.query_drop(sql!("SET SESSION lock_wait_timeout={}, innodb_lock_wait_timeout={}", LOCK_SECONDS, LOCK_SECONDS))
            .await?;
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut has_row = false;
        loop {
            ticks.tick().await;
            *number += 1;
            self.beats.sent(*number, Instant::now());
            let written = if has_row { self.beat(&mut conn, *number).await } else { self.take(&mut conn, *number).await };
            match written {
                Ok(true) => {
                    self.beats.committed(*number);
                    self.progress.heartbeat_written();
                    if said.take().is_some() {
                        tracing::info!(table = %self.table.shown(), "the heartbeat is written again");
                        self.progress.heartbeat_problem(None);
                    }
                    has_row = true;
                }
                Ok(false) => {
                    self.beats.lost(*number);
                    has_row = false;
                }
                Err(error) => {
                    self.beats.lost(*number);
                    return Err(error);
                }
            }
        }
    }

    /// False: the row is not this run's any more.
    async fn beat(&self, conn: &mut Conn, number: u64) -> Result<bool> {
        conn.exec_drop(self.table.beat(), (number, &self.task, &self.destination, self.beats.run()))
            .await
            .context("updating the heartbeat on the source")?;
        // Rows found, not rows changed (CLIENT_FOUND_ROWS).
        Ok(conn.affected_rows() > 0)
    }

    /// Makes the row this run's; makes table and database where they are missing.
    async fn take(&self, conn: &mut Conn, number: u64) -> Result<bool> {
        // An engine that was taken over would otherwise take the row back from its successor.
        self.records.check(self.claim).await?;
        let row = || (self.task.as_str(), self.destination.as_str(), self.beats.run(), number);
        if let Err(error) = conn.exec_drop(self.table.take(), row()).await {
            // Only where it is missing: the statements would go into the log at every start, and ask for a privilege.
            if !is(&error, &[NO_DATABASE, NO_TABLE]) {
                return Err(error).context("writing the heartbeat to the source");
            }
            self.create(conn).await.context("creating the heartbeat's table on the source")?;
            conn.exec_drop(self.table.take(), row()).await.context("writing the heartbeat to the source")?;
        }
        Ok(true)
    }

    async fn create(&self, conn: &mut Conn) -> crate::sql::Answer<()> {
        match conn.query_drop(self.table.create_table()).await {
            // The one who makes a table is told the truth; who writes into it hears of the table even where the database is missing (MariaDB).
            Err(error) if is(&error, &[NO_DATABASE]) => {
                conn.query_drop(self.table.create_database()).await?;
                conn.query_drop(self.table.create_table()).await
            }
            result => result,
        }
    }

    /// Marks beats as applied. Never ends.
    async fn follow(&self) {
        let mut seen = self.beats.0.seen.subscribe();
        loop {
            // The sender lives in self.beats, so the channel cannot close.
            let _ = seen.changed().await;
            let number = *seen.borrow_and_update();
            // The log is read in order: what came before this beat has been dispatched.
            (self.applied)().await;
            self.beats.applied(number, Instant::now());
        }
    }

    async fn report(&self) {
        loop {
            let now = Instant::now();
            self.progress.set_heartbeat(self.beats.latency(now), self.beats.outstanding(now));
            tokio::time::sleep(REPORT_EVERY).await;
        }
    }
}

fn is(error: &crate::sql::Failure, codes: &[u16]) -> bool {
    matches!(error, crate::sql::Failure::Server(server) if codes.contains(&server.code))
}
