//! The first start of a task: precheck, where the log is joined, and what is recorded for every later start.

use std::collections::HashMap;
use std::sync::Arc;

use super::attempt::{Attempt, CASCADES, cascades, mode};
use super::end::End;
use crate::checkpoint::NewTask;
use crate::connection::{self, Connector, Role};
use crate::destination::Records;
use crate::plan::Plan;
use crate::plan::mapping::NameRules;
use crate::plan::select::Selection;
use crate::precheck;
use crate::progress::Progress;
use crate::source::prepared;
use crate::source::stream::replica_id;
use crate::source::visibility;
use crate::task::{Far, Task};
use godwit_api::Phase;
use godwit_model::definition::TableDefinition;
use godwit_model::error::{Error, Result};
use godwit_model::position::Position;

/// A new task: precheck, then everything that a resume needs is recorded. None: the precheck did not pass.
pub(super) async fn begin<'a>(
    task: &'a Task,
    progress: &'a Progress,
    source: Connector,
    far: Far,
    records: Arc<dyn Records>,
    now: &[(String, String)],
) -> Result<Option<Attempt<'a>>> {
    progress.set_phase(Phase::Prechecking);
    // Before the definitions are read: a definition that changes after this point is seen in the log.
    let early_start = start_position(&source).await;
    let outcome = precheck::of(task, &source, &far, precheck::Trials::Made).await?;
    progress.set_precheck(outcome.report.clone());
    let passed = outcome.passed();
    let Some(resolved) = outcome.resolved.filter(|_| passed) else {
        progress.set_phase(Phase::PrecheckFailed);
        return Ok(None);
    };
    let start = match resolved.plan.incremental {
        true => {
            let early = before_prepared(&source, task, early_start?).await?;
            // What was prepared before the early place and is not read from there is decided before this one.
            Some((start_position(&source).await?, early))
        }
        false => None,
    };
    let mut again_conn = source.connect(Role::Metadata).await?;
    let mut conn = source.connect(Role::Metadata).await?;
    let identity = visibility::server_identity(&mut conn, &resolved.source.info).await?;
    let folds = resolved.source.lower_case_table_names() != 0;
    let cascades = cascades(&mut conn, &resolved.source.info, &resolved.plan, folds, None).await?;
    let _ = conn.disconnect().await;
    let here = |position: Position| Position { server: Some(identity.as_str().into()), ..position };
    let start = start.map(|(position, early)| (here(position), here(early)));
    // Read again behind the start: what the precheck read holds there, so that the log's own DDL in front of it is history.
    let again = precheck::read_source::catalog(&mut again_conn, &resolved.selection).await?;
    let _ = again_conn.disconnect().await;
    if start.is_some()
        && let Some(table) = changed_definition(&resolved.plan, &resolved.selection, &again.tables)
    {
        return Err(Error::transient(format!("{table} was changed while the task began; it begins again")));
    }
    let end = match (&far, resolved.destination.as_ref()) {
        (Far::Tablestore(instance), _) => End::tablestore(task, instance, &resolved.plan)?,
        (Far::MySql(connector), Some(server)) => {
            End::MySql { connector: connector.clone(), info: server.info.clone(), record: task.record(connector) }
        }
        (Far::MySql(_), None) => return Err(Error::definite("the destination was not looked at; this is a bug")),
    };
    records.prepare().await?;
    let names = NameRules {
        source: resolved.source.lower_case_table_names(),
        destination: resolved.destination.as_ref().map_or(0, |server| server.lower_case_table_names()),
        policy: task.spec().name_case,
    };
    let destinations: Vec<_> = resolved.plan.tables.iter().map(|table| names.destination_name(&table.destination)).collect();
    let definitions: Vec<_> = resolved.plan.tables.iter().map(|table| &*table.definition).collect();
    // Which lane has which table follows from it, so that it holds for the task's life.
    let mut recorded = now.to_vec();
    recorded.push((CASCADES.to_owned(), mode(&cascades).to_owned()));
    records
        .create(NewTask {
            fingerprint: &recorded,
            source_identity: &identity,
            start: start.as_ref().map(|(position, early)| (position, early)),
            definitions: &definitions,
            destinations: &destinations,
        })
        .await?;
    Ok(Some(Attempt {
        task,
        progress,
        source,
        end,
        source_info: resolved.source.info,
        source_identity: identity,
        places_hold: true,
        plan: Arc::new(resolved.plan),
        selection: resolved.selection,
        records,
        cascades: Arc::new(cascades),
    }))
}

/// The first table whose definition is not the planned one, or that came or went.
fn changed_definition(plan: &Plan, selection: &Selection, now: &[Arc<TableDefinition>]) -> Option<String> {
    // AUTO_INCREMENT=n in the statement rises with every row.
    let statement = |table: &TableDefinition| {
        let words = table.create_statement.split_whitespace().filter(|word| !word.starts_with("AUTO_INCREMENT="));
        words.collect::<Vec<_>>().join(" ")
    };
    let same = |a: &TableDefinition, b: &TableDefinition| {
        a.columns == b.columns && a.indexes == b.indexes && a.foreign_keys == b.foreign_keys && statement(a) == statement(b)
    };
    let name = |table: &TableDefinition| (table.database.clone(), table.table.clone());
    let covered = now.iter().filter(|table| selection.covers(&table.database, &table.table).is_some());
    let mut open: HashMap<(String, String), &TableDefinition> = covered.map(|table| (name(table), &**table)).collect();
    for table in &plan.tables {
        match open.remove(&name(&table.definition)) {
            Some(found) if same(found, &table.definition) => {}
            _ => return Some(table.source.to_string()),
        }
    }
    open.into_values().next().map(TableDefinition::qualified)
}

/// The place from where the log holds every XA transaction that is prepared now: its rows stand where it was prepared, and are not
/// known to who begins behind that.
async fn before_prepared(source: &Connector, task: &Task, early: Position) -> Result<Position> {
    let mut conn = source.connect(Role::Metadata).await?;
    let info = connection::server_info(&mut conn).await?;
    let _ = conn.disconnect().await;
    let open = prepared::undecided(source, &info, replica_id(&task.name(), 0)).await?;
    if !open.gone.is_empty() {
        return Err(Error::transient(format!(
            "XA transactions are prepared on the source and not decided, and the binary logs that hold their rows are purged (the oldest \
             is {}). {}",
            open.oldest,
            open.remedy()
        )));
    }
    let family = std::mem::discriminant(&early.gtid);
    let mut from = early;
    for (name, begins) in open.found {
        if std::mem::discriminant(&begins.gtid) != family {
            return Err(Error::transient(format!(
                "XA transaction {name} was prepared while gtid_mode was another; XA COMMIT or XA ROLLBACK it at the source"
            )));
        }
        tracing::info!(xid = name, at = %begins, "prepared and not decided: the log is read from there");
        from = from.earlier(&begins);
    }
    Ok(from)
}

async fn start_position(source: &Connector) -> Result<Position> {
    let mut conn = source.connect(Role::Metadata).await?;
    let info = connection::server_info(&mut conn).await?;
    let visibility = visibility::detect(&mut conn, &info).await?;
    let position = visibility::start_position(&mut conn, &info, visibility).await?;
    let _ = conn.disconnect().await;
    Ok(position)
}
