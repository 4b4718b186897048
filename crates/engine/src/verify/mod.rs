//! Compares both sides row for row under a plan, generated columns included.
//!
//! Tables with a key are cut along it on the source ([`cut`]); workers read each piece on both sides in step
//! and compare canonical bytes ([`streams`], [`join`]); keys that look different are read again, now and
//! later, by one settler ([`settle`]) before they count. Tables without a key are compared as multisets
//! ([`keyless`]). Nothing is locked and no snapshot is held; a difference that is only a change on its way
//! disappears when it is looked at again. Definitions are compared at the end ([`definitions`]).
//!
//! Overload: memory is bounded whatever the tables look like (`held_bytes` of keys a worker, as much for
//! keys that wait, six times as much for a table without a key that differs entirely, beside the rows in hand); what waits
//! too long stops what comes before it. Restart: [`VerifyProgress`] says up to which key each table is
//! compared and what was found; hand it back and it goes on from there.

mod cut;
mod definitions;
mod generated;
mod join;
mod json;
mod keyless;
pub mod options;
mod order;
mod position;
mod programs;
pub mod progress;
mod repair;
mod run;
mod session;
mod settle;
mod still;
mod streams;
mod text;
mod triggers;
mod worker;

use std::borrow::Cow;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use options::{ColumnDifference, DifferenceKind, Hooks, Mode, OnProgress, Recheck, Reference, RowDifference, VerifyOptions};
pub use progress::{Counts, TableProgress, VerifyProgress};

use crate::computing;
use crate::connection::{Connector, Role};
use crate::group::Group;
use crate::plan::pattern::Pattern;
use crate::plan::{Plan, TablePlan};
use crate::throttle::Throttle;
use cut::Cutter;
use godwit_api::report::VerifyReport;
use godwit_api::verification::Difference;
use godwit_model::error::Result;
use repair::Repairer;
use run::{TableRun, Ticket};
use session::{Session, Sessions};
use settle::Settler;
use still::Still;
use worker::Worker;

/// Characters of a key in a sample.
const KEY_SHOWN: usize = 300;

/// What all parts of one verification share.
struct Context {
    options: VerifyOptions,
    hooks: Hooks,
    cancel: CancellationToken,
    throttle: Arc<Throttle>,
    deadline: Option<Instant>,
}

impl Context {
    fn is_out_of_time(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Ends at the deadline; never without one.
    async fn time_limit(&self) {
        match self.deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }

    /// Counts a difference, keeps it as a sample while there is room, and passes it on.
    async fn report(&self, ticket: &Ticket, difference: RowDifference) {
        let limit = ticket.sample_limit();
        ticket.count(|counts| {
            let kind = match difference.kind {
                _ if difference.repaired => &mut counts.repaired,
                DifferenceKind::Missing => &mut counts.missing,
                DifferenceKind::Extra => &mut counts.extra,
                DifferenceKind::Different => &mut counts.different,
            };
            *kind += difference.count;
            if counts.sampled_rows < limit {
                counts.sampled_rows += 1;
                counts.samples.extend(samples(&difference));
            }
        });
        if let Some(sink) = &self.hooks.differences {
            // A sink that is gone has had enough; the counts go on.
            let _ = sink.send(difference).await;
        }
    }
}

fn samples(difference: &RowDifference) -> Vec<Difference> {
    let key = text::shortened(&difference.key, KEY_SHOWN).into_owned();
    match difference.kind {
        DifferenceKind::Missing => vec![Difference { key, source: difference.row.clone(), ..Difference::default() }],
        DifferenceKind::Extra => vec![Difference { key, destination: difference.row.clone(), ..Difference::default() }],
        DifferenceKind::Different => difference
            .columns
            .iter()
            .map(|column| Difference {
                key: key.clone(),
                column: Some(column.column.clone()),
                source: Some(column.source.clone()),
                destination: Some(column.destination.clone()),
            })
            .collect(),
    }
}

/// Compares all tables of the plan.
///
/// The position in the report is that of the source at the beginning: everything committed by then was
/// compared. A table that cannot be compared stands in the report with its error, and the others go on.
///
/// # Errors
/// Cancellation; a server that stays away longer than `options.retry`.
pub async fn verify(
    plan: &Plan,
    source: &Connector,
    destination: &Connector,
    options: VerifyOptions,
    cancel: CancellationToken,
    hooks: Hooks,
) -> Result<VerifyReport> {
    let position = position::read(source).await?;
    let destination = &computing::like_source(source, destination, plan).await?;
    let throttle = hooks.throttle.clone().unwrap_or_else(|| {
        let bytes = options.megabytes_per_second.saturating_mul(1_000_000);
        Arc::new(Throttle::new(options.rows_per_second, bytes))
    });
    let deadline = options.max_duration.and_then(|limit| Instant::now().checked_add(limit));
    // Ends all parts when one fails, without ending the caller's other work.
    let cancel = cancel.child_token();
    let _stop_on_drop = cancel.clone().drop_guard();
    let context = Arc::new(Context { options, hooks, cancel, throttle, deadline });
    let plan = chosen(plan, &context.options.tables);
    if context.options.repair {
        triggers::none_would_fire(destination, &plan).await?;
    }
    let runs = match context.options.mode {
        Mode::Definitions => Vec::new(),
        Mode::Rows | Mode::RowCount => compare_tables(&context, &plan, source, destination).await?,
    };
    let tables = runs.iter().map(|run| run.progress().report()).collect();
    let schema = if context.options.schema {
        definitions::compare(&plan, source, destination, context.options.retry, &context.cancel).await?
    } else {
        Vec::new()
    };
    Ok(VerifyReport::new(position, tables, schema))
}

/// The plan with those of its tables that are to be compared; the views only where all are.
fn chosen<'a>(plan: &'a Plan, patterns: &[String]) -> Cow<'a, Plan> {
    if patterns.is_empty() {
        return Cow::Borrowed(plan);
    }
    let patterns: Vec<Pattern> = patterns.iter().map(|text| Pattern::new(text)).collect();
    let is_chosen = |table: &&Arc<TablePlan>| patterns.iter().any(|pattern| pattern.matches(&table.source.to_string(), false));
    let tables = plan.tables.iter().filter(is_chosen).cloned().collect();
    Cow::Owned(Plan { tables, views: Vec::new(), programs: Vec::new(), ..plan.clone() })
}

async fn compare_tables(
    context: &Arc<Context>,
    plan: &Plan,
    source: &Connector,
    destination: &Connector,
) -> Result<Vec<Arc<TableRun>>> {
    let workers = context.options.concurrency.max(1);
    let sessions = || Sessions {
        source: Session::new(source, Role::Read),
        destination: Session::new(destination, Role::Read),
        still: Still { source: Session::new(source, Role::Metadata), records: context.hooks.records.clone(), info: None },
    };
    let (work_sender, work) = mpsc::channel(workers * 2);
    let (candidate_sender, candidates) = mpsc::channel(1024);
    let work = Arc::new(Mutex::new(work));
    let mut tasks = Group::stopped_by("a part of the verification", context.cancel.clone());
    let cutter = Cutter {
        context: context.clone(),
        source: Session::new(source, Role::Read),
        destination: Session::new(destination, Role::Metadata),
        work: work_sender,
    };
    tasks.spawn(cutter.run(plan.tables.clone()));
    for _ in 0..workers {
        let worker =
            Worker { context: context.clone(), sessions: sessions(), work: work.clone(), candidates: candidate_sender.clone() };
        tasks.spawn(async move { worker.run().await.map(|()| Vec::new()) });
    }
    drop((candidate_sender, work));
    let repairer = context.options.repair.then(|| Repairer { writer: Session::new(destination, Role::Write) });
    let settler = Settler::new(context.clone(), sessions(), repairer);
    tasks.spawn(async move { settler.run(candidates).await.map(|()| Vec::new()) });
    Ok(tasks.finish().await?.into_iter().flatten().collect())
}
