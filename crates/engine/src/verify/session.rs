//! Connections of one worker, made when first needed and thrown away after an error.

use std::time::Duration;

use mysql_async::Conn;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::still::Still;
use crate::connection::{Connector, Role};
use crate::sql;
use crate::sql::{Failure, Queries};
use godwit_model::error::{Error, Result};

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A connection that heals.
pub(super) struct Session {
    connector: Connector,
    role: Role,
    conn: Option<Conn>,
}

impl Session {
    pub(super) fn new(connector: &Connector, role: Role) -> Self {
        Self { connector: connector.clone(), role, conn: None }
    }

    /// The connection, made now if there is none.
    pub(super) async fn get(&mut self) -> Result<&mut Conn> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.connector.connect(self.role).await?,
        };
        Ok(self.conn.insert(conn))
    }

    /// Forgets the connection: something failed, or rows are left on the wire.
    pub(super) fn reset(&mut self) {
        self.conn = None;
    }

    /// Forgets the connection and has the server end what runs on it. Just dropped, the driver would read a
    /// table to its end in the background.
    pub(super) fn abort(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        let kill = sql!("KILL {}", conn.id());
        let connector = self.connector.clone();
        drop(conn);
        tokio::spawn(async move {
            let killed = async {
                let mut other = connector.connect(Role::Metadata).await?;
                other.query_drop(kill).await?;
                other.disconnect().await.map_err(Failure::from)?;
                Ok::<(), Error>(())
            };
            if let Err(error) = killed.await {
                tracing::debug!(%error, "an abandoned statement could not be ended");
            }
        });
    }

    pub(super) async fn close(mut self) {
        if let Some(conn) = self.conn.take() {
            let _ = conn.disconnect().await;
        }
    }
}

/// Both sides of one worker.
pub(super) struct Sessions {
    pub source: Session,
    pub destination: Session,
    pub still: Still,
}

impl Sessions {
    pub(super) fn reset(&mut self) {
        self.source.reset();
        self.destination.reset();
    }

    pub(super) fn abort(&mut self) {
        self.source.abort();
        self.destination.abort();
    }

    pub(super) async fn close(self) {
        self.source.close().await;
        self.destination.close().await;
        self.still.source.close().await;
    }
}

/// Decides after an error whether to try again, and waits.
pub(super) struct Patience {
    started: Instant,
    limit: Duration,
    pause: Duration,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self { started: Instant::now(), limit, pause: Duration::from_millis(250) }
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The error itself, when it does not pass or has lasted too long; cancellation.
    pub(super) async fn wait(&mut self, error: Error, cancel: &CancellationToken) -> Result<()> {
        if !error.is_retryable() || self.started.elapsed() > self.limit {
            return Err(error);
        }
        tracing::warn!(%error, pause_ms = self.pause.as_millis() as u64, "verification tries again");
        tokio::select! {
            () = cancel.cancelled() => return Err(Error::cancelled()),
            () = tokio::time::sleep(self.pause) => {}
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
