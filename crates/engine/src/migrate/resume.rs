//! A later start of a task: what was recorded, and whether both ends are still those it was recorded of.

use std::sync::Arc;

use super::attempt::{Attempt, CASCADES, LOGGED, cascades, lower_case_table_names, mode};
use super::end::End;
use crate::checkpoint::{Saved, SavedTable};
use crate::connection::{self, Connector, Role};
use crate::copy::json_sample;
use crate::destination::Records;
use crate::plan::mapping::NameRules;
use crate::plan::resolve::resolve;
use crate::plan::select::Selection;
use crate::precheck;
use crate::progress::Progress;
use crate::source::same_log::{self, Found};
use crate::source::stream::replica_id;
use crate::source::visibility;
use crate::sql::Queries;
use crate::task::{Far, Task};
use godwit_model::error::{Error, Result};
use godwit_model::position::{GtidPosition, MariaGtid, Position};
use godwit_model::server::ServerInfo;

/// A replica id of its own for the look at the log. Those of the dumps end in other bits.
pub(super) const LOOKING: u32 = 0xfe;

/// A recorded task: the plan is made from the recorded definitions, not from today's.
pub(super) async fn resume<'a>(
    task: &'a Task,
    progress: &'a Progress,
    source: Connector,
    far: Far,
    records: Arc<dyn Records>,
    saved: &Saved,
) -> Result<Attempt<'a>> {
    let mut conn = source.connect(Role::Metadata).await?;
    let source_info = connection::server_info(&mut conn).await?;
    let identity = visibility::server_identity(&mut conn, &source_info).await?;
    let there = match &far {
        Far::MySql(connector) => {
            let mut conn = connector.connect(Role::Metadata).await?;
            let info = connection::server_info(&mut conn).await?;
            let folding = lower_case_table_names(&mut conn).await?;
            let _ = conn.disconnect().await;
            Some((connector, info, folding))
        }
        Far::Tablestore(_) => None,
    };
    let names = NameRules {
        source: lower_case_table_names(&mut conn).await?,
        destination: there.as_ref().map_or(0, |(_, _, folding)| *folding),
        policy: task.spec().name_case,
    };
    let selection = Selection::new(task.spec(), names)?;
    let recorded = saved.tables.iter().map(|table| Arc::new(table.definition.clone())).collect();
    let catalog = precheck::read_source::recorded_catalog(&mut conn, &selection, recorded).await?;
    let mut plan = resolve(task.spec(), &selection, &catalog)?;
    if let Some((_, info, _)) = &there {
        (plan, _) = json_sample::look(plan.between(&source_info, info), &source).await?;
    }
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
    let of_begin = saved.fingerprint.iter().find(|(name, _)| name == CASCADES).map_or(LOGGED, |(_, value)| value.as_str());
    let cascades = cascades(&mut conn, &source_info, &plan, selection.names().source_folds(), Some(of_begin)).await?;
    if source_info.is_mariadb() {
        follow_other_mariadb(&mut conn, &identity, saved, &*records).await?;
    }
    if of_begin != mode(&cascades) {
        return Err(Error::definite(format!(
            "when the task was started, rows that foreign keys change at the source were {of_begin} its binary log; now they are {} it \
             (innodb_native_foreign_keys changed): start the task anew",
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
    let end = match (&far, there) {
        (Far::Tablestore(instance), _) => End::tablestore(task, instance, &plan)?,
        (Far::MySql(_), Some((connector, info, _))) => {
            End::MySql { connector: connector.clone(), info, record: task.record(connector) }
        }
        (Far::MySql(_), None) => return Err(Error::definite("the destination was not looked at; this is a bug")),
    };
    let places_hold = look_at_log(&source, &source_info, &identity, task, saved).await?;
    Ok(Attempt {
        task,
        progress,
        source,
        end,
        source_info,
        source_identity: identity,
        places_hold,
        plan: Arc::new(plan),
        selection,
        records,
        cascades: Arc::new(cascades),
    })
}

/// A recorded position as far as it holds for the source as it is now.
pub(super) fn on_this_source(position: &Position, saved: &Saved, identity: &str, places_hold: bool) -> Position {
    // Records of before did not say whose log it was: it was the first source's, as long as that is followed.
    let server = position.server.clone().unwrap_or_else(|| saved.source_uuid.as_str().into());
    let known = Position { server: Some(server), ..position.clone() };
    known.on_server(if places_hold { identity } else { "" })
}

/// Whether the log is the one that was followed, so far as that was on this server. Says whether recorded places can be read from.
async fn look_at_log(source: &Connector, info: &ServerInfo, identity: &str, task: &Task, saved: &Saved) -> Result<bool> {
    let places = saved.lanes.iter().map(|(position, _)| on_this_source(position, saved, identity, true));
    // Where the last of them is right, so is all that stands in front of it.
    let latest =
        places.filter(|position| position.server.as_deref() == Some(identity)).max_by(|a, b| a.compare_places(&b.file, b.offset));
    let Some(latest) = latest else { return Ok(true) };
    // Beside the dumps of an engine that may still be there.
    let server_id = replica_id(&task.name(), saved.epoch) | LOOKING;
    Ok(same_log::look(source, info, &latest, server_id).await? == Found::Same)
}

/// MariaDB has no server UUID, and two servers with one server id both have a 0-1-500. Another server than the recorded one is
/// followed when it is a replica that took over: with a server id of its own, and with everything the task has taken in its
/// binary log under the ids that it had.
async fn follow_other_mariadb(conn: &mut mysql_async::Conn, identity: &str, saved: &Saved, records: &dyn Records) -> Result<()> {
    let server_of = |position: &Position| position.server.as_deref().unwrap_or(&saved.source_uuid).to_owned();
    let foreign: Vec<&Position> = saved.lanes.iter().map(|(position, _)| position).filter(|p| server_of(p) != identity).collect();
    let Some(before) = foreign.first().map(|position| server_of(position)) else { return Ok(()) };
    let server_id = |identity: &str| identity.rsplit_once(':').map(|(_, id)| id.to_owned());
    if server_id(identity) == server_id(&before) {
        return Err(Error::definite(format!(
            "the source is another server ({identity}: host, port, server_id) than the one that the task has followed so far ({}); both have \
             the same server_id, so that their GTIDs are not told apart. If it is the same server under another name: {}",
            before,
            records.rename_source(&before, identity)
        )));
    }
    let state: Option<String> = conn.query_first("SELECT @@GLOBAL.gtid_binlog_state").await?;
    let logged: Vec<MariaGtid> =
        state.unwrap_or_default().split(',').filter(|gtid| !gtid.trim().is_empty()).map(str::parse).collect::<Result<_>>()?;
    for position in foreign {
        let GtidPosition::MariaDb(position) = &position.gtid else { continue };
        for taken in position.gtids() {
            let has =
                |gtid: &MariaGtid| gtid.domain == taken.domain && gtid.server == taken.server && gtid.sequence >= taken.sequence;
            if !logged.iter().any(has) {
                return Err(Error::definite(format!(
                    "the source is another server ({identity}) than before ({before}) and its binary log does not hold {taken}, which the \
                     task has applied: it is no replica with log_slave_updates, or it lost transactions in a failover"
                )));
            }
        }
    }
    tracing::warn!(%before, now = %identity, "the source is a replica that took over");
    Ok(())
}
