//! Workers: each takes a piece, compares it, and tries again when a connection is lost.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use super::Context;
use super::cut::{OUT_OF_TIME, Work};
use super::keyless::compare_keyless;
use super::options::DifferenceKind;
use super::run::Ticket;
use super::session::{Patience, Session, Sessions};
use super::settle::{Candidate, counts_under};
use super::streams::compare_keyed;
use crate::rows::{Side, count_statement};
use crate::sql::{Queries, Sql};
use godwit_model::error::{Class, Error, Result};

/// One worker.
pub(super) struct Worker {
    pub context: Arc<Context>,
    pub sessions: Sessions,
    pub work: Arc<Mutex<mpsc::Receiver<Work>>>,
    pub candidates: mpsc::Sender<Candidate>,
}

impl Worker {
    /// Works until there is nothing left.
    ///
    /// # Errors
    /// Cancellation; a server that stays away.
    pub(super) async fn run(mut self) -> Result<()> {
        loop {
            let next = async { self.work.lock().await.recv().await };
            let work = tokio::select! {
                () = self.context.cancel.cancelled() => return Err(Error::cancelled()),
                work = next => work,
            };
            let Some(work) = work else { break };
            self.piece(work).await?;
        }
        self.sessions.close().await;
        Ok(())
    }

    async fn piece(&mut self, mut work: Work) -> Result<()> {
        let context = self.context.clone();
        let mut patience = Patience::new(context.options.retry);
        loop {
            if work.ticket().run.has_failed() {
                work.ticket().release();
                return Ok(());
            }
            let result = tokio::select! {
                () = context.cancel.cancelled() => Err(Error::cancelled()),
                () = context.time_limit() => Err(Error::definite(OUT_OF_TIME)),
                result = self.compare(&work) => result,
            };
            let Err(error) = result else {
                work.ticket().release();
                return Ok(());
            };
            if error.class() == Class::Connection {
                self.sessions.reset();
            } else {
                self.sessions.abort();
            }
            let next = work.ticket().abandon();
            if error.class() == Class::Definite {
                next.run.fail(error);
                return Ok(());
            }
            let doing = format!("comparing {}", next.run.plan.source);
            patience.wait(error.context(doing), &context.cancel).await?;
            work = match work {
                Work::Keyed(_) => Work::Keyed(next),
                Work::Keyless(_) => Work::Keyless(next),
                Work::Count(_) => Work::Count(next),
            };
        }
    }

    async fn compare(&mut self, work: &Work) -> Result<()> {
        match work {
            Work::Keyed(ticket) => compare_keyed(&self.context, &mut self.sessions, ticket, &self.candidates).await,
            Work::Keyless(ticket) => compare_keyless(&self.context, &mut self.sessions, ticket).await,
            Work::Count(ticket) => compare_counts(&self.context, &mut self.sessions, ticket).await,
        }
    }
}

impl Work {
    fn ticket(&self) -> &Arc<Ticket> {
        match self {
            Work::Keyed(ticket) | Work::Keyless(ticket) | Work::Count(ticket) => ticket,
        }
    }
}

async fn count_rows(session: &mut Session, ticket: &Ticket, side: Side) -> Result<u64> {
    let statement = count_statement(&ticket.run.plan, side, &Sql::default(), false);
    let conn = session.get().await?;
    let rows: Option<u64> = conn.query_first(statement).await?;
    rows.ok_or_else(|| Error::transient("COUNT(*) returned nothing"))
}

/// Compares the numbers of rows; a surplus on either side counts as that many missing or extra rows.
async fn compare_counts(context: &Context, sessions: &mut Sessions, ticket: &Ticket) -> Result<()> {
    let pauses = sessions.still.pauses(context.options.recheck);
    for attempt in 0.. {
        let before = if attempt > 0 { sessions.still.applied().await } else { None };
        let (source, destination) = tokio::try_join!(
            count_rows(&mut sessions.source, ticket, Side::Source),
            count_rows(&mut sessions.destination, ticket, Side::Destination),
        )?;
        let is_still = source != destination && sessions.still.is_since(before).await;
        if source != destination
            && !is_still
            && let Some(pause) = pauses.get(attempt)
        {
            tokio::time::sleep(*pause).await;
            continue;
        }
        let if_counts = |kind, rows| if counts_under(context.options.reference, kind) { rows } else { 0 };
        ticket.count(|counts| {
            counts.rows += source;
            counts.missing += if_counts(DifferenceKind::Missing, source.saturating_sub(destination));
            counts.extra += if_counts(DifferenceKind::Extra, destination.saturating_sub(source));
        });
        break;
    }
    Ok(())
}
