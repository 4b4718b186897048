//! The log is joined: who reads it, who applies it, who beats on the source.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Run;
use crate::checkpoint::{LANES, Saved, Stage, TableStage};
use crate::connection::Role;
use crate::group::Group;
use crate::heartbeat::{self, Beats, HeartbeatTable, Listener};
use crate::migrate::attempt::Attempt;
use crate::migrate::end::End;
use crate::migrate::resume;
use crate::plan::TablePlan;
use crate::replicate::dispatch::Dispatcher;
use crate::replicate::guard::{self, Definitions, Guard};
use crate::replicate::lane::Lane;
use crate::replicate::reader::Reader;
use crate::source::same_log;
use crate::source::visibility;
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;
use godwit_model::position::Position;

/// Where changes are asked for.
pub(super) fn may_enter(run: &Run<'_>) -> bool {
    run.attempt.plan.incremental
}

/// Begins to follow the log from what the record says now, in tasks of `workers`.
pub(super) async fn join(run: &Run<'_>, workers: &mut Group) -> Result<Arc<Dispatcher>> {
    let attempt = run.attempt;
    let saved = attempt.records.load().await?.ok_or_else(|| Error::definite("the task's record is gone"))?;
    if saved.lanes.len() != LANES as usize {
        return Err(Error::definite(
            "the task's record has no position to follow the log from; it was started without Incremental",
        ));
    }
    let here = |position: &Position| resume::on_this_source(position, &saved, &attempt.source_identity, attempt.places_hold);
    let positions: Vec<Position> = saved.lanes.iter().map(|(position, _)| here(position)).collect();
    let from: Vec<Position> = saved.lanes.iter().map(|(position, replay)| here(replay.as_ref().unwrap_or(position))).collect();
    let place_is_known = positions.iter().any(|position| position.last.is_some());
    let no_lane = || Error::definite("the task's record has no lane to follow the log with");
    let mut start = visibility::earliest(&from).ok_or_else(no_lane)?;
    if !start.goes_by_place() {
        // The stream says where it is.
        start = Position { file: String::new(), offset: 0, ..start };
    }
    start.server = Some(attempt.source_identity.as_str().into());
    if start.goes_by_place() && start.last.is_none() {
        // A source on which nothing happens sends no event that its log could be known again by.
        let server_id = run.server_id | resume::LOOKING;
        start.last = same_log::first_event(&attempt.source, &attempt.source_info, &start.file, server_id).await?;
    }
    let mut floor = visibility::earliest(&positions).ok_or_else(no_lane)?;
    if floor.goes_by_place() && floor.last.is_none() {
        floor.last.clone_from(&start.last);
    }
    let valid_from = valid_from(attempt, &saved, here);
    let beats = attempt.task.spec().heartbeat.enabled.then(|| Beats::new(&attempt.task.name()));
    let dispatcher = Arc::new(Dispatcher::new(
        &attempt.plan,
        floor,
        start.clone(),
        positions.clone(),
        &valid_from,
        Arc::clone(&attempt.cascades),
        attempt.task.sizing.log,
    ));
    hold_back(attempt, &saved, &dispatcher);
    for (number, recorded) in (0u32..).zip(positions) {
        let cascades = Arc::clone(&attempt.cascades);
        let writer = run.context.destination.lane(run.claim, number).await?;
        let dispatcher = Arc::clone(&dispatcher);
        let lane = Lane::new(number, cascades, dispatcher, writer, attempt.progress.clone(), recorded);
        workers.spawn(lane.run(workers.stop()));
    }
    let reader = Reader {
        source: attempt.source.clone(),
        source_info: attempt.source_info.clone(),
        source_identity: attempt.source_identity.clone(),
        plan: Arc::clone(&attempt.plan),
        dispatcher: Arc::clone(&dispatcher),
        start,
        place_is_known,
        guard: Guard::new(attempt.selection.clone(), attempt.progress.clone(), sequences(attempt).await?)
            .with_definitions(definitions(run)),
        cascades: Arc::clone(&attempt.cascades),
        valid_from,
        server_id: run.server_id,
        clock_offset: run.clock_offset,
        progress: attempt.progress.clone(),
        live: attempt.task.live.clone(),
        heartbeat: beats.clone().map(Listener::new),
        pending: run.pending.clone(),
    };
    workers.spawn(reader.run(workers.stop()));
    if let Some(beats) = beats {
        workers.spawn(heartbeat(run, beats, &dispatcher).run(workers.stop()));
    }
    Ok(dispatcher)
}

/// Which definition statements are carried out.
fn definitions(run: &Run<'_>) -> Definitions {
    let attempt = run.attempt;
    let never = match &attempt.end {
        End::Tablestore { .. } => Some("a Tablestore destination takes none"),
        End::MySql { info, .. } if info.is_mariadb() != attempt.source_info.is_mariadb() => {
            Some("between MySQL and MariaDB it is not carried over in this version")
        }
        End::MySql { .. } => None,
    };
    run.defines.store(run.saved.stage >= Stage::Following, Ordering::Release);
    Definitions { is_open: Arc::clone(&run.defines), never, chosen: attempt.task.spec().ddl.clone() }
}

/// From where on changes of a table are applied: behind the snapshot that its rows were read from.
fn valid_from(attempt: &Attempt<'_>, saved: &Saved, here: impl Fn(&Position) -> Position) -> HashMap<u32, Position> {
    let tables = saved.tables.iter().filter_map(|table| {
        let from = here(table.valid_from.as_ref()?);
        let definition = &table.definition;
        let is_it = |planned: &&Arc<TablePlan>| {
            (planned.source.database.as_str(), planned.source.table.as_str()) == (&*definition.database, &*definition.table)
        };
        Some((attempt.plan.tables.iter().find(is_it)?.id, from))
    });
    tables.collect()
}

/// Changes wait for a table of a higher level whose turn has not come: a table that its cascades come through is not copied yet.
fn hold_back(attempt: &Attempt<'_>, saved: &Saved, dispatcher: &Dispatcher) {
    if !attempt.plan.full {
        return;
    }
    let tables = attempt.plan.tables.iter().zip(attempt.stages(saved));
    let open: Vec<u32> = tables.filter(|(_, stage)| *stage < TableStage::Copied).map(|(table, _)| table.id).collect();
    let level = |id: &u32| attempt.cascades.level(*id);
    let lowest = open.iter().map(level).min().unwrap_or_default();
    dispatcher.hold_back(open.iter().copied().filter(|id| level(id) > lowest));
}

/// Tables of MariaDB that are sequences.
async fn sequences(attempt: &Attempt<'_>) -> Result<HashSet<TableName>> {
    if !attempt.source_info.is_mariadb() {
        return Ok(HashSet::new());
    }
    let mut conn = attempt.source.connect(Role::Metadata).await?;
    let found = guard::sequences(&mut conn, &attempt.plan).await.context("reading the sequences of the source")?;
    let _ = conn.disconnect().await;
    Ok(found)
}

/// Begins after the claim: of two engines only the one that holds the task beats.
fn heartbeat(run: &Run<'_>, beats: Beats, dispatcher: &Arc<Dispatcher>) -> heartbeat::Writer {
    let attempt = run.attempt;
    let asked = &attempt.task.spec().heartbeat;
    heartbeat::Writer {
        source: attempt.source.clone(),
        table: HeartbeatTable::new(&asked.database),
        task: attempt.task.name(),
        destination: format!("{}/{}", attempt.end.address(), attempt.task.record_database),
        interval: Duration::from_secs(u64::from(asked.interval_seconds.max(1))),
        beats,
        records: Arc::clone(&attempt.records),
        claim: run.claim,
        applied: {
            let dispatcher = Arc::clone(dispatcher);
            Box::new(move || {
                let dispatcher = Arc::clone(&dispatcher);
                Box::pin(async move { dispatcher.drain().await })
            })
        },
        progress: attempt.progress.clone(),
    }
}
