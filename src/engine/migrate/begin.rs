//! The first start of a task: precheck, where the log is joined, and what is recorded for every later start.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Attempt, CASCADES, cascades, mode};
use crate::api::Phase;
use crate::engine::checkpoint::Record;
use crate::engine::connection::{self, Connector, Role};
use crate::engine::entry::Task;
use crate::engine::error::{Error, Result};
use crate::engine::plan::Plan;
use crate::engine::plan::mapping::NameRules;
use crate::engine::plan::select::Selection;
use crate::engine::precheck;
use crate::engine::progress::Progress;
use crate::engine::schema::definition::TableDefinition;
use crate::engine::source::position::Position;
use crate::engine::source::visibility;

/// A new task: precheck, then everything that a resume needs is recorded. None: the precheck did not pass.
pub(super) async fn begin<'a>(
    task: &'a Task,
    progress: &'a Progress,
    source: Connector,
    destination: Connector,
    record: Record,
    now: &[(String, String)],
) -> Result<Option<Attempt<'a>>> {
    progress.set_phase(Phase::Prechecking);
    // Before the definitions are read: a definition that changes after this point is seen in the log.
    let early_start = start_position(&source).await;
    let outcome = precheck::run(task.spec(), &source, Some(&destination), task.own()).await?;
    progress.set_precheck(outcome.report.clone());
    let passed = outcome.passed();
    let Some(resolved) = outcome.resolved.filter(|_| passed) else {
        progress.set_phase(Phase::PrecheckFailed);
        return Ok(None);
    };
    let start = match resolved.plan.incremental {
        true => {
            let early = early_start?;
            wait_for_prepared(&source).await?;
            // What was prepared before the early place is decided before this one, the rest is read from there.
            Some((start_position(&source).await?, early))
        }
        false => None,
    };
    let mut again_conn = source.connect(Role::Metadata).await?;
    let mut conn = source.connect(Role::Metadata).await?;
    let identity = visibility::server_identity(&mut conn, &resolved.source.info).await?;
    let folds = resolved.source.lower_case_table_names() != 0;
    let cascades = cascades(&mut conn, &resolved.source.info, &resolved.plan, folds).await?;
    let _ = conn.disconnect().await;
    // Read again behind the start: what the precheck read holds there, so that the log's own DDL in front of it is history.
    let again = precheck::read_source::catalog(&mut again_conn, &resolved.selection).await?;
    let _ = again_conn.disconnect().await;
    if start.is_some()
        && let Some(table) = changed_definition(&resolved.plan, &resolved.selection, &again.tables)
    {
        return Err(Error::transient(format!("{table} was changed while the task began; it begins again")));
    }
    record.prepare().await?;
    let names = NameRules {
        source: resolved.source.lower_case_table_names(),
        destination: resolved.destination.lower_case_table_names(),
        policy: task.spec().name_case,
    };
    let destinations: Vec<_> = resolved.plan.tables.iter().map(|table| names.destination_name(&table.destination)).collect();
    let definitions: Vec<_> = resolved.plan.tables.iter().map(|table| &*table.definition).collect();
    // Which lane has which table follows from it, so that it holds for the task's life.
    let mut recorded = now.to_vec();
    recorded.push((CASCADES.to_owned(), mode(&cascades).to_owned()));
    record
        .create(&recorded, &identity, start.as_ref().map(|(position, early)| (position, early)), &definitions, &destinations)
        .await?;
    Ok(Some(Attempt {
        task,
        progress,
        source,
        destination,
        source_info: resolved.source.info,
        source_identity: identity,
        destination_info: resolved.destination.info,
        plan: Arc::new(resolved.plan),
        selection: resolved.selection,
        record,
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

/// XA transactions that are prepared when the log is joined get this long to be decided.
const DECIDED_WITHIN: Duration = Duration::from_secs(10);

/// Waits until every XA transaction that is prepared now is decided: its rows stand in the log where it was prepared, and
/// are not known to who begins behind that.
async fn wait_for_prepared(source: &Connector) -> Result<()> {
    let mut conn = source.connect(Role::Metadata).await?;
    let asked = Instant::now();
    let Some(mut open) = visibility::prepared_transactions(&mut conn).await else {
        tracing::debug!(
            "the account may not list XA transactions; one that is prepared just now would stop the task at its XA COMMIT"
        );
        return Ok(());
    };
    while !open.is_empty() {
        if asked.elapsed() > DECIDED_WITHIN {
            return Err(Error::transient(format!(
                "XA transactions are prepared on the source and not decided, so their rows are not known: {}; XA COMMIT or XA ROLLBACK them",
                open.join("; ")
            )));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = visibility::prepared_transactions(&mut conn).await.unwrap_or_default();
        open.retain(|name| now.contains(name));
    }
    let _ = conn.disconnect().await;
    Ok(())
}

async fn start_position(source: &Connector) -> Result<Position> {
    let mut conn = source.connect(Role::Metadata).await?;
    let info = connection::server_info(&mut conn).await?;
    let visibility = visibility::detect(&mut conn, &info).await?;
    let position = visibility::start_position(&mut conn, &info, visibility).await?;
    let _ = conn.disconnect().await;
    Ok(position)
}
