//! The precheck of a task whose destination is Tablestore: the source as for any destination, and the instance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::{Context, SourceObjects};
use super::finding::{Finding, count, some};
use super::gather::{connected, empty_plan, look_at_source, named_databases, reached, resolve_objects};
use super::read_server::{connect, read_server};
use super::trial::Trial;
use super::{Outcome, Resolved, check_some, objects, report};
use crate::connection::Connector;
use crate::destination::Records;
use crate::destination::tablestore::tables::{describe, misfit};
use crate::destination::tablestore::target::{Target, targets};
use crate::destination::tablestore::{CAPABILITIES, Instance, TablestoreRecords, patiently};
use crate::plan::mapping::NameRules;
use crate::plan::select::Selection;
use godwit_api::{ConflictPolicy, MigrationTaskSpec, PrecheckItem, PrecheckStatus};
use godwit_model::error::{Class, Result};
use godwit_tablestore::Code;

/// The checks that look at source and manifest only.
const OF_THE_SOURCE: [&str; 21] = [
    "Supported",
    "SourceVersion",
    "Encryption",
    "SourcePrivileges",
    "SourceIsWriter",
    "BinaryLog",
    "BinaryLogFormat",
    "BinaryLogRowImage",
    "BinaryLogFilters",
    "LogReplicaUpdates",
    "RowMetadata",
    "RowValueOptions",
    "TransactionCompression",
    "SourceRetention",
    "PreparedTransactions",
    "GtidMode",
    "ServerId",
    "ForeignKeyCascades",
    "MergeTables",
    "EncryptedColumns",
    "OnlineSchemaChange",
];

/// An instance, as far as it could be looked at.
struct Seen {
    round_trip: Duration,
    tables: BTreeSet<String>,
}

/// Looks at both ends.
///
/// # Errors
/// When a connection is lost in the middle.
pub(super) async fn run(spec: &MigrationTaskSpec, source: &Connector, instance: &Instance, task: &str) -> Result<Outcome> {
    let ignore = &spec.precheck.ignore;
    let (connection, seen) = tokio::join!(connect(source), look(instance));
    let (mut conn, seen) = match (connection, seen) {
        (Ok(conn), Ok(seen)) => (conn, seen),
        (connection, seen) => {
            let there = match seen {
                Ok(_) => Finding::passed(format!("{} was reached", instance.address())),
                Err(finding) => finding,
            };
            let items = [("SourceConnectivity", reached(source, connection)), ("DestinationConnectivity", there)];
            let items = items.map(|(name, finding)| finding.item(name, ignore)).into();
            return Ok(Outcome { report: report(items), resolved: None });
        }
    };
    let server = source.talk(read_server(&mut conn, source, spec.source.mysql.flavor)).await?;
    let names = NameRules { source: server.lower_case_table_names(), destination: 0, policy: spec.name_case };
    let mut context = Context {
        spec: spec.clone(),
        selection: Selection::nothing(spec, names),
        plan: empty_plan(spec),
        unresolved: None,
        source: server.clone(),
        source_objects: SourceObjects::default(),
        // No check that runs here looks at it: see OF_THE_SOURCE.
        destination: server,
        existing: BTreeMap::new(),
        constraints: Vec::new(),
        owned: BTreeSet::new(),
        in_use: BTreeMap::new(),
        unsayable: BTreeMap::new(),
        programs_there: BTreeSet::new(),
        accounts: None,
        loadable_functions: Vec::new(),
        trial: Trial::default(),
    };
    match source.talk(resolve_objects(spec, names, &mut conn.conn)).await {
        Ok((selection, plan)) => look_at_source(&mut context, source, &mut conn.conn, selection, plan, task).await?,
        Err(error) if error.class() == Class::Definite => {
            context.plan.databases = named_databases(spec, names);
            context.unresolved = Some(error.to_string());
        }
        Err(error) => return Err(error),
    }
    let _ = conn.conn.disconnect().await;
    let milliseconds = seen.round_trip.as_secs_f64() * 1000.0;
    let there = Finding::passed(format!("{}, a round trip takes {milliseconds:.2} ms", instance.address()));
    let mut items = vec![
        connected(&context.source).item("SourceConnectivity", ignore),
        there.item("DestinationConnectivity", ignore),
        objects(&context).item("Objects", ignore),
    ];
    items.extend(check_some(&context, |name| OF_THE_SOURCE.contains(&name)));
    if context.unresolved.is_none() {
        items.extend(of_the_instance(&context, instance, &seen, task).await?);
    }
    let Context { plan, unresolved, selection, source, .. } = context;
    let resolved = unresolved.is_none().then_some(Resolved { plan, selection, source, destination: None });
    Ok(Outcome { report: PrecheckStatus { assessment: Vec::new(), ..report(items) }, resolved })
}

/// Lists the tables of the instance; what an answer says of keys, clocks and permissions.
async fn look(instance: &Instance) -> std::result::Result<Seen, Finding> {
    let asked = Instant::now();
    match patiently(|| instance.client().list_tables()).await {
        Ok(tables) => Ok(Seen { round_trip: asked.elapsed(), tables: tables.into_iter().collect() }),
        Err(error) => {
            let remedy = match error.code() {
                Some(Code::AuthFailed) => {
                    "check accessKeyId and accessKeySecret in the Secret of spec.destination.tablestore.credentials, the instance's name, and \
                     that the clocks differ by less than 15 minutes"
                }
                Some(Code::NoPermissionAccess) => {
                    "give the RAM user AliyunOTSFullAccess, or a policy for this instance that allows tables to be listed, created, read and \
                     written"
                }
                _ => "check spec.destination.tablestore.endpoint and instance, and the way there",
            };
            let why = "without a connection nothing can be looked at; the other items were not run";
            Err(Finding::failed(error.to_string(), why, remedy))
        }
    }
}

async fn of_the_instance(context: &Context, instance: &Instance, seen: &Seen, task: &str) -> Result<Vec<PrecheckItem>> {
    let ignore = &context.spec.precheck.ignore;
    let mut items = vec![one_database(context).item("TablestoreDatabase", ignore)];
    let found = match targets(&context.plan) {
        Ok(found) => found,
        Err(error) => {
            let refused = Finding::failed(
                error.to_string().replace("; ", "\n"),
                "such a table has no counterpart in Tablestore, or not all of its rows do",
                "correct the fields that are named",
            );
            items.push(refused.item("TablestoreTables", ignore));
            return Ok(items);
        }
    };
    let records = TablestoreRecords::new(instance, task);
    let refuses = CAPABILITIES.refuses(&context.plan, &context.cascades());
    let tables = match refuses.or_else(|| same_name(&found)) {
        Some(why) => Finding::failed(why, "rows would be lost or could not be told apart", "change what is named"),
        None => Finding::passed(format!("{} with a key, types and names that Tablestore takes", count(found.len(), "table"))),
    };
    items.push(tables.item("TablestoreTables", ignore));
    let begun = records.load().await?.is_some();
    items.push(existing(context, instance, seen, &found, begun).await?.item("NameConflicts", ignore));
    items.push(quota(context, instance, seen, &found).item("TablestoreQuota", ignore));
    Ok(items)
}

fn one_database(context: &Context) -> Finding {
    let databases: BTreeSet<&str> = context.plan.tables.iter().map(|table| table.source.database.as_str()).collect();
    match databases.len() {
        0 | 1 => Finding::passed("tables of one database"),
        _ => Finding::failed(
            format!("tables of {}", some(&databases.into_iter().map(str::to_owned).collect::<Vec<_>>())),
            "an instance has no databases: tables of two would stand beside each other",
            "make a task for each database, with one entry in spec.objects",
        ),
    }
}

/// Several tables into one are not supported by this version.
fn same_name(targets: &[Arc<Target>]) -> Option<String> {
    let mut names = BTreeSet::new();
    let twice = targets.iter().find(|target| !names.insert(target.name()))?;
    Some(format!("two tables would become {}; choose another name for one of them with renameTo", twice.name()))
}

async fn existing(context: &Context, instance: &Instance, seen: &Seen, targets: &[Arc<Target>], begun: bool) -> Result<Finding> {
    let there: Vec<&Arc<Target>> = targets.iter().filter(|target| seen.tables.contains(target.name())).collect();
    let makes = context.schema() && context.spec.conflict_policy == ConflictPolicy::PrecheckAndReportErrors;
    if makes && !begun && !there.is_empty() {
        let names: Vec<String> = there.iter().map(|target| target.name().to_owned()).collect();
        return Ok(Finding::failed(
            format!("there already: {}", some(&names)),
            "conflictPolicy PrecheckAndReportErrors: rows of others would be mixed with the source's",
            "delete the tables, choose other names with renameTo, or set conflictPolicy: IgnoreErrorsAndProceed",
        ));
    }
    let mut problems = Vec::new();
    for target in targets {
        let is_there = seen.tables.contains(target.name());
        if is_there || !context.schema() {
            let found = if is_there { describe(instance, target.name()).await? } else { None };
            problems.extend(misfit(target, found.as_ref()));
        }
    }
    Ok(match problems.is_empty() {
        true => Finding::passed(format!("{} there, all with the key that rows are written by", count(there.len(), "table"))),
        false => Finding::failed(problems.join("\n"), "rows could not be written by that key", "change what is named"),
    })
}

/// The instance's quota counts the table of the records, too.
fn quota(context: &Context, instance: &Instance, seen: &Seen, targets: &[Arc<Target>]) -> Finding {
    let own = targets.iter().map(|target| target.name()).filter(|_| context.schema());
    let new = own.chain([instance.records_table()]).filter(|name| !seen.tables.contains(*name)).count();
    let total = seen.tables.len() + new;
    let most = instance.max_tables();
    let seen = format!(
        "{} there, {new} to be made, of them one for the task's records; {most} allowed",
        count(seen.tables.len(), "table")
    );
    match total > most {
        false => Finding::passed(seen),
        true => Finding::failed(
            seen,
            "the instance refuses to create more",
            "migrate fewer tables, delete some, or have the quota raised and say so in spec.destination.tablestore.maxTables",
        ),
    }
}
