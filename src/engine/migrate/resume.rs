//! A later start of a task: what was recorded, and whether both ends are still those it was recorded of.

use std::sync::Arc;

use mysql_async::prelude::Queryable;

use super::{Attempt, CASCADES, LOGGED, cascades, lower_case_table_names, mode};
use crate::engine::checkpoint::{Record, Saved, SavedTable};
use crate::engine::connection::{self, Connector, Role};
use crate::engine::entry::Task;
use crate::engine::error::{Error, Result};
use crate::engine::plan::mapping::NameRules;
use crate::engine::plan::resolve::resolve;
use crate::engine::plan::select::Selection;
use crate::engine::precheck;
use crate::engine::progress::Progress;
use crate::engine::source::position::{GtidPosition, MariaGtid};
use crate::engine::source::visibility;

/// A recorded task: the plan is made from the recorded definitions, not from today's.
pub(super) async fn resume<'a>(
    task: &'a Task,
    progress: &'a Progress,
    source: Connector,
    destination: Connector,
    record: Record,
    saved: &Saved,
) -> Result<Attempt<'a>> {
    let mut conn = source.connect(Role::Metadata).await?;
    let source_info = connection::server_info(&mut conn).await?;
    let identity = visibility::server_identity(&mut conn, &source_info).await?;
    let mut destination_conn = destination.connect(Role::Metadata).await?;
    let destination_info = connection::server_info(&mut destination_conn).await?;
    let names = NameRules {
        source: lower_case_table_names(&mut conn).await?,
        destination: lower_case_table_names(&mut destination_conn).await?,
        policy: task.spec().name_case,
    };
    let _ = destination_conn.disconnect().await;
    let selection = Selection::new(task.spec(), names)?;
    let recorded = saved.tables.iter().map(|table| Arc::new(table.definition.clone())).collect();
    let catalog = precheck::read_source::recorded_catalog(&mut conn, &selection, recorded).await?;
    let plan = resolve(task.spec(), &selection, &catalog)?;
    // The fingerprint keeps the selection as it was, but for the heartbeat's database, which patterns leave out.
    let planned = |table: &&SavedTable| {
        plan.tables.iter().any(|t| t.source.database == table.definition.database && t.source.table == table.definition.table)
    };
    if plan.tables.len() < saved.tables.len()
        && let Some(lost) = saved.tables.iter().find(|table| !planned(table))
    {
        return Err(Error::definite(format!(
            "spec.heartbeat.database: the task migrates {}, which lies in that database and is covered by a pattern that leaves it out; \
             give the heartbeat a database of its own",
            lost.definition.qualified()
        )));
    }
    let cascades = cascades(&mut conn, &source_info, &plan, selection.names().source_folds()).await?;
    if let Some(start) = &saved.start
        && source_info.is_mariadb()
        && start.gtid != GtidPosition::None
        && identity != saved.source_uuid
    {
        follow_other_mariadb(&mut conn, &identity, saved, &record).await?;
    }
    let of_begin = saved.fingerprint.iter().find(|(name, _)| name == CASCADES).map_or(LOGGED, |(_, value)| value.as_str());
    if of_begin != mode(&cascades) {
        return Err(Error::definite(format!(
            "when the task was started, rows that foreign keys change at the source were {of_begin} its binary log; now they are {} it \
             (the source was upgraded, or innodb_native_foreign_keys changed): start the task anew",
            mode(&cascades)
        )));
    }
    let _ = conn.disconnect().await;
    let by_place = saved.start.as_ref().is_some_and(|start| start.gtid == GtidPosition::None);
    if by_place && identity != saved.source_uuid {
        return Err(Error::definite(format!(
            "the source is another server ({identity}) than the one whose binary log the task follows by file and offset ({}); \
             only a source with gtid_mode=ON can be changed under a task",
            saved.source_uuid
        )));
    }
    Ok(Attempt {
        task,
        progress,
        source,
        destination,
        source_info,
        source_identity: identity,
        destination_info,
        plan: Arc::new(plan),
        selection,
        record,
        cascades: Arc::new(cascades),
    })
}

/// MariaDB has no server UUID, and two servers with one server id both have a 0-1-500. Another server than the recorded one is
/// followed when it is a replica that took over: with a server id of its own, and with everything the task has taken in its
/// binary log under the ids that it had.
async fn follow_other_mariadb(conn: &mut mysql_async::Conn, identity: &str, saved: &Saved, record: &Record) -> Result<()> {
    let server_id = |identity: &str| identity.rsplit_once(':').map(|(_, id)| id.to_owned());
    if server_id(identity) == server_id(&saved.source_uuid) {
        return Err(Error::definite(format!(
            "the source is another server ({identity}: host, port, server_id) than the one that the task has followed so far ({}); both have \
             the same server_id, so that their GTIDs are not told apart. If it is the same server under another name: {}",
            saved.source_uuid,
            record.identity_statement(identity)
        )));
    }
    let state: Option<String> = conn.query_first("SELECT @@GLOBAL.gtid_binlog_state").await?;
    let logged: Vec<MariaGtid> =
        state.unwrap_or_default().split(',').filter(|gtid| !gtid.trim().is_empty()).map(str::parse).collect::<Result<_>>()?;
    for position in saved.lanes.iter().map(|(position, _)| position) {
        let GtidPosition::MariaDb(position) = &position.gtid else { continue };
        for taken in position.gtids() {
            let has =
                |gtid: &MariaGtid| gtid.domain == taken.domain && gtid.server == taken.server && gtid.sequence >= taken.sequence;
            if !logged.iter().any(has) {
                return Err(Error::definite(format!(
                    "the source is another server ({identity}) than before ({}) and its binary log does not hold {taken}, which the task has \
                     applied: it is no replica with log_slave_updates, or it lost transactions in a failover",
                    saved.source_uuid
                )));
            }
        }
    }
    tracing::warn!(before = %saved.source_uuid, now = %identity, "the source is a replica that took over");
    Ok(())
}
