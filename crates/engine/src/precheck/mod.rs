//! What is looked at before a task starts. Everything is gathered once ([`gather`]); each check is a pure function over it.
//!
//! Nothing is written to either server, except that the definitions are tried at the destination in databases of their own ([`trial`]),
//! unless that is left out. A server that cannot be reached fails its connectivity item, and the rest does not run.
//! It is cheap enough to be run again at every start.

pub mod checks;
pub mod context;
pub mod finding;
pub mod fit;
#[cfg(test)]
mod fixture;
pub mod gather;
pub mod grants;
pub mod read_destination;
mod read_programs;
pub mod read_server;
pub mod read_source;
mod tablestore;
pub mod trial;

use std::collections::BTreeSet;

use crate::connection::Connector;
use crate::plan::Plan;
use crate::plan::select::Selection;
use crate::progress::precheck_passed;
use crate::task::{Far, Task};
use godwit_api::{MigrationTaskSpec, PrecheckItem, PrecheckStatus, Verdict};
use godwit_model::error::Result;
use godwit_model::names::TableName;

use self::checks::CHECKS;
use self::context::{Context, Server};
use self::finding::{Finding, count};
use self::gather::Gathered;

/// What the precheck found, and what it resolved on the way.
#[derive(Debug)]
pub struct Outcome {
    pub report: PrecheckStatus,
    /// None: it did not come that far. Made even where the report does not pass.
    pub resolved: Option<Resolved>,
}

/// The task, resolved against both servers.
#[derive(Debug)]
pub struct Resolved {
    pub plan: Plan,
    pub selection: Selection,
    pub source: Server,
    /// None: it is no server of the MySQL family.
    pub destination: Option<Server>,
}

impl Outcome {
    /// Whether the task may start.
    pub fn passed(&self) -> bool {
        passed(&self.report)
    }
}

/// Every item passed, or is a warning that the manifest ignores.
pub fn passed(report: &PrecheckStatus) -> bool {
    !report.items.is_empty() && precheck_passed(report)
}

/// The task that is checked, so that it does not stand in its own way.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// Its name in the records at the destination. Tables that it has entered there are its own.
    pub task: String,
    /// Further destination tables that it made in an earlier run.
    pub tables: BTreeSet<TableName>,
}

impl Own {
    /// Of a task by its name in the records.
    pub fn of(task: &str) -> Self {
        Self { task: task.to_owned(), tables: BTreeSet::new() }
    }
}

/// Whether the definitions are tried at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trials {
    /// Where the manifest does not leave it out.
    Made,
    /// To look at what there is, as for a preview: nothing at all is written.
    LeftOut,
}

/// Looks at both ends of a task, whatever kind the destination is of.
///
/// # Errors
/// When a connection is lost in the middle; what cannot be reached at all is an item of the report.
pub(crate) async fn of(task: &Task, source: &Connector, far: &Far, trials: Trials) -> Result<Outcome> {
    match far {
        Far::MySql(destination) => run(task.spec(), source, destination, Own::of(&task.name()), trials).await,
        Far::Tablestore(instance) => tablestore::run(task.spec(), source, instance, &task.name()).await,
    }
}

/// Looks at two servers of the MySQL family.
///
/// # Errors
/// When a connection is lost in the middle; a server that cannot be reached at all is an item of the report.
pub async fn run(
    spec: &MigrationTaskSpec,
    source: &Connector,
    destination: &Connector,
    own: Own,
    trials: Trials,
) -> Result<Outcome> {
    let gathered = gather::gather(spec, source, destination, own, trials).await?;
    let ignore = &spec.precheck.ignore;
    match gathered {
        Gathered::Stopped(findings) => {
            let items = findings.into_iter().map(|(name, finding)| finding.item(name, ignore)).collect();
            Ok(Outcome { report: report(items), resolved: None })
        }
        Gathered::Complete(context) => {
            let mut items = vec![
                gather::connected(&context.source).item("SourceConnectivity", ignore),
                gather::connected(&context.destination).item("DestinationConnectivity", ignore),
                objects(&context).item("Objects", ignore),
            ];
            items.extend(check_all(&context));
            let assessment = assess(&context);
            let Context { plan, unresolved, selection, source, destination, .. } = *context;
            let resolved = unresolved.is_none().then_some(Resolved { plan, selection, source, destination: Some(destination) });
            Ok(Outcome { report: PrecheckStatus { assessment, ..report(items) }, resolved })
        }
    }
}

/// What is worth knowing and stops nothing.
fn assess(context: &Context) -> Vec<PrecheckItem> {
    if !context.spec.precheck.assessment {
        return Vec::new();
    }
    let account = checks::destination_account::check(context).map(|found| found.item("DestinationAccount", &[]));
    account.into_iter().collect()
}

/// Runs every check that applies.
pub fn check_all(context: &Context) -> Vec<PrecheckItem> {
    check_some(context, |_| true)
}

/// Of those checks that are wanted, by name, every one that applies.
fn check_some(context: &Context, wanted: impl Fn(&str) -> bool) -> Vec<PrecheckItem> {
    let applies = |check: &&checks::Check| {
        wanted(check.name)
            && (context.incremental() || !check.needs.log())
            && (context.unresolved.is_none() || !check.needs.tables())
    };
    let run = |check: &checks::Check| (check.run)(context).map(|found| found.item(check.name, &context.spec.precheck.ignore));
    CHECKS.iter().filter(applies).filter_map(run).collect()
}

fn objects(context: &Context) -> Finding {
    if let Some(problem) = &context.unresolved {
        return Finding::failed(
            problem.replace("; spec.", "\nspec."),
            "what is selected must exist and be readable; checks of tables were not run",
            "correct the fields that are named",
        );
    }
    let plan = &context.plan;
    Finding::passed(format!(
        "{}, {}, {} selected",
        count(plan.databases.len(), "database"),
        count(plan.tables.len(), "table"),
        count(plan.views.len(), "view")
    ))
}

/// Puts the success rate before the items; it is 100% only when the task may start.
fn report(items: Vec<PrecheckItem>) -> PrecheckStatus {
    let passes = |item: &&PrecheckItem| item.verdict == Verdict::Passed || (item.verdict == Verdict::Warning && item.ignored);
    let passing = items.iter().filter(passes).count();
    let rate = (passing * 100).checked_div(items.len()).unwrap_or(0);
    let checked_at = Some(godwit_api::condition::Time(jiff::Timestamp::now()));
    PrecheckStatus { success_rate: format!("{rate}%"), checked_at, items, assessment: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_healthy_pair_passes_every_item() {
        let items = check_all(&fixture::context());
        let bad: Vec<_> = items.iter().filter(|item| item.verdict != Verdict::Passed).collect();
        assert!(bad.is_empty(), "{bad:?}");
        assert!(items.len() > 35, "{}", items.len());
        let report = report(items);
        assert_eq!((report.success_rate.as_str(), passed(&report)), ("100%", true));
    }

    #[test]
    fn names_are_unique_and_camel_case() {
        let names: BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), CHECKS.len());
        assert!(
            names
                .iter()
                .all(|name| name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(char::is_alphanumeric))
        );
    }

    #[test]
    fn without_incremental_nothing_is_asked_of_the_log() {
        let mut context = fixture::context();
        context.plan.incremental = false;
        context.source.variables.insert("log_bin".into(), "OFF".into());
        assert!(check_all(&context).iter().all(|item| !item.name.starts_with("BinaryLog") && item.name != "SourceRetention"));
    }

    #[test]
    fn an_ignored_warning_counts_as_passed_and_a_failure_never() {
        let mut context = fixture::context();
        context.source.variables.insert("gtid_mode".into(), "OFF".into());
        let rate = |context: &Context| report(check_all(context)).success_rate;
        assert_ne!(rate(&context), "100%");
        context.spec.precheck.ignore = vec!["GtidMode".into(), "BinaryLogFormat".into()];
        assert_eq!(rate(&context), "100%");
        context.source.variables.insert("binlog_format".into(), "STATEMENT".into());
        assert_ne!(rate(&context), "100%");
    }
}
