//! The report, derived from a [`Snapshot`] by pure functions. Numbers are rounded here: whole seconds, tenths of a percent.

use std::cmp::Reverse;

use super::{Snapshot, TableSnapshot, TableState, whole_second};
use crate::connection::Link;
use godwit_api::condition::ENCRYPTED;
use godwit_api::conditions::{self, Facts, Finding, Holds, precheck_sentence};
use godwit_api::{
    FullStatus, IncrementalStatus, MigrationTaskStatus, Phase, PrecheckItem, PrecheckStatus, STATUS_LIST_LIMIT, TableProgress,
};

/// Everything of the status but its conditions.
pub(super) fn report(snapshot: &Snapshot) -> MigrationTaskStatus {
    let recorded = &snapshot.recorded;
    let full = recorded.parts.is_some_and(|parts| parts.full) && snapshot.stage() >= Phase::Copying;
    let incremental = recorded.parts.is_some_and(|parts| parts.incremental) && snapshot.stage() >= Phase::Copying;
    MigrationTaskStatus {
        observed_generation: recorded.generation,
        phase: Some(snapshot.phase()),
        message: Some(message(snapshot)),
        progress: full.then(|| percent(snapshot.share_done())),
        latency_seconds: snapshot.latency.map(|latency| latency.as_secs_f64().round() as u64),
        source: known(&recorded.source),
        destination: known(&recorded.destination),
        started_at: Some(whole_second(recorded.started_at)),
        completed_at: recorded.completed_at.map(whole_second),
        position: recorded.position.clone(),
        precheck: recorded.precheck.clone(),
        schema: recorded.schema.clone(),
        full: full.then(|| full_status(snapshot)),
        incremental: incremental.then(|| incremental_status(snapshot)),
        verification: recorded.verification.clone(),
        retry: recorded.retry.clone(),
        ..MigrationTaskStatus::default()
    }
}

fn known(address: &str) -> Option<String> {
    (!address.is_empty()).then(|| address.to_owned())
}

/// The conditions, without their times.
pub(super) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let recorded = &snapshot.recorded;
    let message = message(snapshot);
    let mut findings = conditions::conditions(&Facts {
        phase: snapshot.phase(),
        stage: snapshot.stage(),
        parts: recorded.parts,
        precheck_passed: recorded.precheck.as_ref().map(precheck_passed),
        precheck: recorded.precheck.as_ref(),
        schema_failures: recorded.schema.as_ref().map_or(0, |schema| schema.failed_total),
        latency: snapshot.latency,
        verification: recorded.verification.as_ref(),
        message: &message,
    });
    findings.extend(not_encrypted(snapshot).map(|servers| Finding {
        kind: ENCRYPTED,
        holds: Holds::False,
        reason: "NotOffered",
        message: format!("connections are not encrypted, because the server offers no TLS: {servers}"),
    }));
    findings
}

/// The servers to which connections are not encrypted although tls.mode wants it where it can be had.
fn not_encrypted(snapshot: &Snapshot) -> Option<String> {
    let open: Vec<&str> = snapshot.recorded.links.iter().filter(|link| link.is_open()).map(Link::server).collect();
    (!open.is_empty()).then(|| open.join(" and "))
}

/// Whether nothing of a precheck stands in the way: what is left are warnings that are ignored by name.
pub fn precheck_passed(precheck: &PrecheckStatus) -> bool {
    !precheck.items.iter().any(PrecheckItem::stands_in_the_way)
}

/// The sentence for a person: what failed, else what the engine said of this phase, else what the phase means. A heartbeat that cannot be
/// written is told beside it, and so are connections that are not encrypted.
fn message(snapshot: &Snapshot) -> String {
    let recorded = &snapshot.recorded;
    if let Some(error) = &recorded.failed {
        return error.clone();
    }
    if let (Phase::Retrying, Some(retry)) = (snapshot.phase(), &recorded.retry) {
        return format!("{} (tried again, attempt {})", retry.error, retry.attempts);
    }
    let mut message = doing(snapshot);
    if let Some(problem) = &recorded.heartbeat_problem {
        message.push_str(&format!("; without a heartbeat: {problem}"));
    }
    if let Some(servers) = not_encrypted(snapshot) {
        message.push_str(&format!("; not encrypted, as no TLS is offered: {servers}"));
    }
    message
}

fn doing(snapshot: &Snapshot) -> String {
    let recorded = &snapshot.recorded;
    if let Some(message) = &recorded.message {
        return message.clone();
    }
    match snapshot.phase() {
        Phase::Pending | Phase::Queued => "waiting to start".into(),
        Phase::Prechecking => "checking both ends".into(),
        Phase::PrecheckFailed => precheck_sentence(recorded.precheck.as_ref()),
        Phase::MigratingSchema => "creating the objects at the destination".into(),
        Phase::Copying => format!("copying rows, {} of {} tables are copied", snapshot.tables_done(), snapshot.tables.len()),
        Phase::Replicating => "following the source's binary log".into(),
        Phase::CuttingOver => "handing over to the destination".into(),
        Phase::Completed => "everything is done".into(),
        Phase::Paused => "stands still as asked, can go on at any time".into(),
        Phase::Stopped => "ended for good as asked".into(),
        // Both carry their error above.
        Phase::Retrying | Phase::Failed => String::new(),
    }
}

fn full_status(snapshot: &Snapshot) -> FullStatus {
    let done = snapshot.tables_done() as u64;
    let copied = |value: fn(&TableSnapshot) -> u64| snapshot.tables.iter().map(value).sum();
    FullStatus {
        tables_total: snapshot.tables.len() as u64,
        tables_done: done,
        rows_total: copied(rows_expected),
        rows_copied: copied(|table| table.rows),
        bytes_copied: copied(|table| table.bytes),
        rows_per_second: snapshot.rates.rows.round() as u64,
        bytes_per_second: snapshot.rates.bytes.round() as u64,
        eta_seconds: snapshot.time_left().map(|left| left.as_secs_f64().ceil() as u64),
        tables: listed(snapshot),
    }
}

/// The estimate, corrected by what is known better: a finished table has the rows it has, and none has fewer than were copied.
fn rows_expected(table: &TableSnapshot) -> u64 {
    if table.state == TableState::Done { table.rows } else { table.estimated_rows.max(table.rows) }
}

/// Those being copied first, then those that wait, then those that are done; the largest first.
fn listed(snapshot: &Snapshot) -> Vec<TableProgress> {
    let rank = |state: TableState| match state {
        TableState::Copying => 0,
        TableState::Indexing => 1,
        TableState::Pending => 2,
        TableState::Done => 3,
    };
    let mut tables: Vec<&TableSnapshot> = snapshot.tables.iter().collect();
    tables.sort_by_key(|table| (rank(table.state), Reverse(table.estimated_bytes.max(table.bytes)), table.id));
    tables.truncate(STATUS_LIST_LIMIT);
    tables.into_iter().map(|table| table_progress(snapshot, table)).collect()
}

fn table_progress(snapshot: &Snapshot, table: &TableSnapshot) -> TableProgress {
    let rate = snapshot.table_rate(table.id);
    let left = rows_expected(table).saturating_sub(table.rows);
    TableProgress {
        source: table.source.clone(),
        destination: table.destination.clone(),
        rows: table.rows,
        rows_estimate: rows_expected(table),
        bytes: table.bytes,
        rows_per_second: rate.round() as u64,
        eta_seconds: (left > 0 && rate >= 1.0).then(|| (left as f64 / rate).ceil() as u64),
        state: table.state.into(),
    }
}

fn incremental_status(snapshot: &Snapshot) -> IncrementalStatus {
    let counters = snapshot.counters;
    IncrementalStatus {
        rows_per_second: snapshot.rates.applied.round() as u64,
        bytes_per_second: snapshot.rates.log_bytes.round() as u64,
        transactions: counters.transactions,
        inserts: counters.inserts,
        updates: counters.updates,
        deletes: counters.deletes,
        ddl: counters.ddl,
        ddl_skipped: counters.ddl_skipped,
        last_ddl: snapshot.recorded.last_ddl.clone(),
        last_commit_at: snapshot.last_commit.map(whole_second),
        ..IncrementalStatus::default()
    }
}

/// `73.4%`, rounded down: 100.0% is said only when it is true.
fn percent(share: f64) -> String {
    format!("{:.1}%", (share * 1000.0).floor().clamp(0.0, 1000.0) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_never_more_than_true() {
        assert_eq!(percent(0.73459), "73.4%");
        assert_eq!(percent(0.99999), "99.9%");
        assert_eq!(percent(1.0), "100.0%");
        assert_eq!(percent(0.0), "0.0%");
    }
}
