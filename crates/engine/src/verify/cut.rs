//! Walks through the tables, looks at each at the destination and cuts it into pieces for the workers.
//!
//! Boundaries are asked for one after the other, just ahead of the workers (the channel is short), sized by
//! the bytes that rows turned out to have.

use std::sync::Arc;

use tokio::sync::mpsc;
use xxhash_rust::xxh3::xxh3_64;

use super::Context;
use super::generated::with_generated;
use super::options::Mode;
use super::order::{DestinationColumn, Order};
use super::progress::{TableProgress, bound_from_text};
use super::run::{Piece, Shape, TableRun, Ticket};
use super::session::{Patience, Session};
use crate::plan::TablePlan;
use crate::rows::{KeyBound, Side, read_boundary};
use crate::sql::Queries;
use godwit_model::definition::Kind;
use godwit_model::error::{Class, Error, Result};

/// Rows in a piece at most.
const PIECE_ROWS: u64 = 100_000;

/// What the report says of a table that the time did not suffice for.
pub(super) const OUT_OF_TIME: &str = "not compared to its end: the time limit was reached";

/// One thing for a worker to do.
pub(super) enum Work {
    /// Compare a piece of a table with a key.
    Keyed(Arc<Ticket>),
    /// Compare a whole table without a key.
    Keyless(Arc<Ticket>),
    /// Compare the numbers of rows.
    Count(Arc<Ticket>),
}

/// Cuts tables.
pub(super) struct Cutter {
    pub context: Arc<Context>,
    pub source: Session,
    /// Of role Metadata.
    pub destination: Session,
    pub work: mpsc::Sender<Work>,
}

impl Cutter {
    /// Walks through the tables; what it made of each stands in the runs it gives back, in their order.
    ///
    /// # Errors
    /// Cancellation; a server that stays away.
    pub(super) async fn run(mut self, tables: Vec<Arc<TablePlan>>) -> Result<Vec<Arc<TableRun>>> {
        let mut runs = Vec::with_capacity(tables.len());
        for plan in tables {
            let resumed = self.context.hooks.resume.as_ref().and_then(|resume| resume.of(&plan.source.to_string()).cloned());
            let shape = self.shape(&plan).await;
            let (plan, shape, failure) = match shape {
                Ok((plan, shape)) => (plan, shape, None),
                Err(error) if error.class() == Class::Definite => (plan, Shape::default(), Some(error)),
                Err(error) => return Err(error),
            };
            let limit = self.context.options.sample_limit;
            let run = TableRun::new(plan, shape, resumed.as_ref(), limit, self.context.hooks.on_progress.clone());
            runs.push(run.clone());
            if let Some(error) = failure {
                run.fail(error);
            } else if !resumed.as_ref().is_some_and(|resumed| resumed.done) {
                self.table(&run, resumed.as_ref()).await?;
            }
        }
        self.source.close().await;
        self.destination.close().await;
        Ok(runs)
    }

    async fn send(&self, work: Work) -> Result<()> {
        self.work.send(work).await.map_err(|_| Error::cancelled())
    }

    async fn table(&mut self, run: &Arc<TableRun>, resumed: Option<&TableProgress>) -> Result<()> {
        let plan = run.plan.clone();
        if self.context.is_out_of_time() {
            run.fail(OUT_OF_TIME);
            return Ok(());
        }
        let counts_only = self.context.options.mode == Mode::RowCount;
        if counts_only || !plan.is_chunked() {
            run.cut_into(1);
            let ticket = run.ticket(0, Piece::default());
            let work = if counts_only {
                Work::Count(ticket)
            } else if plan.has_key() {
                Work::Keyed(ticket)
            } else {
                Work::Keyless(ticket)
            };
            return self.send(work).await;
        }
        let bound = |of: fn(&TableProgress) -> Option<&str>| resumed.and_then(of).and_then(bound_from_text);
        let mut lo = bound(|resumed| resumed.bound.as_deref());
        let mut behind = bound(|resumed| resumed.reached.as_deref());
        let mut number = 0;
        loop {
            if run.has_failed() {
                return Ok(());
            }
            if self.context.is_out_of_time() {
                run.fail(OUT_OF_TIME);
                return Ok(());
            }
            let cut = match self.boundary(run, lo.as_ref()).await {
                Ok(hi) => self.reached(run, behind.clone(), hi.as_ref()).await.map(|reached| (hi, reached)),
                Err(error) => Err(error),
            };
            let (hi, reached) = match cut {
                Ok(cut) => cut,
                Err(error) if error.class() == Class::Definite => {
                    run.fail(error);
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            let piece = Piece { lo: lo.clone(), hi: hi.clone(), behind: behind.clone(), reached: reached.clone() };
            let ticket = run.ticket(number, piece);
            number += 1;
            if hi.is_none() {
                run.cut_into(number);
            }
            if self.is_sampled(run, lo.as_ref(), hi.as_ref()) {
                self.send(Work::Keyed(ticket)).await?;
            } else {
                ticket.release();
            }
            if hi.is_none() {
                return Ok(());
            }
            (lo, behind) = (hi, reached);
        }
    }

    /// How far the destination's rows are compared with the piece that ends at `hi`, where it has an order of its own.
    async fn reached(&mut self, run: &TableRun, behind: Option<KeyBound>, hi: Option<&KeyBound>) -> Result<Option<KeyBound>> {
        let (Some(order), Some(hi)) = (&run.shape.order, hi) else { return Ok(None) };
        let context = self.context.clone();
        let mut patience = Patience::new(context.options.retry);
        loop {
            let attempt = async {
                let conn = self.destination.get().await?;
                order.greater(conn, &run.plan, behind.clone(), hi).await
            };
            match attempt.await {
                Ok(reached) => return Ok(Some(reached)),
                Err(error) => {
                    self.destination.reset();
                    let error = error.context(format!("destination {}", run.plan.destination));
                    patience.wait(error, &context.cancel).await?;
                }
            }
        }
    }

    /// Whether a piece belongs to the sample. The first and the last always do: what lies outside the
    /// source's range is found there, and tables of one piece are compared whole.
    fn is_sampled(&self, run: &TableRun, lo: Option<&KeyBound>, hi: Option<&KeyBound>) -> bool {
        let (Some(lo), Some(_)) = (lo, hi) else { return true };
        let mut place = run.plan.source.to_string().into_bytes();
        place.extend_from_slice(lo.row().as_bytes());
        xxh3_64(&place) % 100 < u64::from(self.context.options.sample_percent)
    }

    async fn boundary(&mut self, run: &TableRun, lo: Option<&KeyBound>) -> Result<Option<KeyBound>> {
        let rows = (self.context.options.piece_bytes / run.average_row_bytes()).clamp(1, PIECE_ROWS);
        let context = self.context.clone();
        let mut patience = Patience::new(context.options.retry);
        loop {
            let attempt = async {
                let conn = self.source.get().await?;
                read_boundary(conn, &run.plan, Side::Source, lo, rows, run.force_index(Side::Source)).await
            };
            let result = tokio::select! {
                () = context.cancel.cancelled() => return Err(Error::cancelled()),
                result = attempt => result,
            };
            match result {
                Ok(bound) => return Ok(bound),
                Err(error) => {
                    self.source.reset();
                    let error = error.context(format!("source {}", run.plan.source));
                    patience.wait(error, &context.cancel).await?;
                }
            }
        }
    }

    async fn shape(&mut self, plan: &Arc<TablePlan>) -> Result<(Arc<TablePlan>, Shape)> {
        let context = self.context.clone();
        let mut patience = Patience::new(context.options.retry);
        loop {
            match read_shape(&mut self.destination, plan).await {
                Ok(shape) => return Ok(shape),
                Err(error) => {
                    self.destination.reset();
                    patience.wait(error, &context.cancel).await?;
                }
            }
        }
    }
}

/// Looks at the destination's table: what is compared of it, and how.
async fn read_shape(session: &mut Session, plan: &Arc<TablePlan>) -> Result<(Arc<TablePlan>, Shape)> {
    let conn = session.get().await?;
    let name = (plan.destination.database.as_str(), plan.destination.table.as_str());
    let rows: Vec<(String, String, Option<String>, Option<String>)> = conn
        .exec(
            "SELECT column_name, LOWER(data_type), character_set_name, collation_name FROM information_schema.columns \
             WHERE table_schema=? AND table_name=?",
            name,
        )
        .await?;
    let columns: Vec<DestinationColumn> = rows
        .into_iter()
        .map(|(name, data_type, character_set, collation)| DestinationColumn { name, data_type, character_set, collation })
        .collect();
    if columns.is_empty() {
        return Err(Error::definite("the destination has no such table"));
    }
    let data_type =
        |wanted: &str| columns.iter().find(|there| there.name.eq_ignore_ascii_case(wanted)).map(|there| there.data_type.as_str());
    let plan = with_generated(plan, |name| data_type(name).is_some());
    let mut mixed_json = Vec::new();
    for (place, column) in plan.columns.iter().enumerate() {
        let Some(kind) = data_type(&column.destination_name) else {
            return Err(Error::definite(format!("the destination's table has no column {}", column.destination_name)));
        };
        if (column.column.kind == Kind::Json) != (kind == "json") {
            mixed_json.push(place);
        }
    }
    let index: Option<u8> = conn
        .exec_first(
            "SELECT 1 FROM information_schema.statistics WHERE table_schema=? AND table_name=? AND index_name=? LIMIT 1",
            (name.0, name.1, plan.key_index.as_deref().unwrap_or_default()),
        )
        .await?;
    let order = Order::of(&plan, &columns);
    Ok((plan, Shape { has_key_index: index.is_some(), mixed_json, order }))
}
