//! Keys that looked different are read again on both sides, until they agree or have had their chances.
//!
//! This is where a row that a chunk's edge hid on one side (the servers may order differently), or a change
//! on its way, is told from a difference. A key that waits costs its bytes; when too many wait, no new ones
//! are taken, which stops the workers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::join::Seen;
use super::options::{DifferenceKind, Reference, RowDifference};
use super::repair::Repairer;
use super::run::{TableRun, Ticket};
use super::session::{Patience, Session, Sessions};
use super::{Context, text};
use crate::rows::{CONDITION_BYTES, RowReader, Side, batches, keys_condition};
use crate::sql::Sql;
use godwit_model::error::{Class, Result};
use godwit_model::row::Row;

/// Keys of one statement.
const BATCH_KEYS: usize = 200;
/// Bytes of rows that one statement should bring.
const BATCH_BYTES: u64 = 4 << 20;
/// Bytes of rows after which a statement of several keys is given up and halved.
const MOST_BYTES: usize = 32 << 20;

/// A key that looked different.
pub(super) struct Candidate {
    pub ticket: Arc<Ticket>,
    pub key: Row,
    pub seen: Seen,
}

/// What both sides hold for a key that differs.
pub(super) struct Found {
    pub kind: DifferenceKind,
    pub source: Option<Row>,
    pub destination: Option<Row>,
}

struct Waiting {
    candidate: Candidate,
    /// How often it was looked at again.
    attempts: usize,
}

/// Settles keys.
pub(super) struct Settler {
    context: Arc<Context>,
    /// Before each further look.
    pauses: Vec<Duration>,
    sessions: Sessions,
    repairer: Option<Repairer>,
    /// By when they are due, and a number.
    waiting: BTreeMap<(Instant, u64), Waiting>,
    number: u64,
    waiting_bytes: usize,
}

impl Settler {
    pub(super) fn new(context: Arc<Context>, sessions: Sessions, repairer: Option<Repairer>) -> Self {
        let pauses = sessions.still.pauses(context.options.recheck);
        Self { context, pauses, sessions, repairer, waiting: BTreeMap::new(), number: 0, waiting_bytes: 0 }
    }

    /// Runs until all senders are gone and nothing waits.
    ///
    /// # Errors
    /// Cancellation; a server that stays away.
    pub(super) async fn run(mut self, mut candidates: mpsc::Receiver<Candidate>) -> Result<()> {
        let cancel = self.context.cancel.clone();
        let mut open = true;
        let mut received = Vec::with_capacity(BATCH_KEYS);
        while open || !self.waiting.is_empty() {
            let due = self.waiting.first_key_value().map_or_else(Instant::now, |((due, _), _)| *due);
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(godwit_model::error::Error::cancelled()),
                () = tokio::time::sleep_until(due), if !self.waiting.is_empty() => {}
                count = candidates.recv_many(&mut received, BATCH_KEYS), if open && self.waiting_bytes < self.context.options.held_bytes => {
                    open = count > 0;
                }
            }
            let now = Instant::now();
            let mut batch: Vec<Waiting> = received.drain(..).map(|candidate| Waiting { candidate, attempts: 0 }).collect();
            while batch.len() < BATCH_KEYS {
                let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= now) else { break };
                let first = first.remove();
                self.waiting_bytes -= first.candidate.key.size();
                batch.push(first);
            }
            self.settle(batch).await?;
        }
        self.sessions.close().await;
        Ok(())
    }

    /// Looks at a batch, table by table, a bounded number of bytes at once.
    async fn settle(&mut self, mut batch: Vec<Waiting>) -> Result<()> {
        batch.retain(|waiting| {
            let keep = !waiting.candidate.ticket.is_abandoned() && !waiting.candidate.ticket.run.has_failed();
            if !keep {
                waiting.candidate.ticket.release();
            }
            keep
        });
        batch.sort_by_key(|waiting| waiting.candidate.ticket.run.plan.id);
        while let Some(first) = batch.first() {
            let run = first.candidate.ticket.run.clone();
            let most = usize::try_from(BATCH_BYTES / run.average_row_bytes()).unwrap_or(BATCH_KEYS).clamp(1, BATCH_KEYS);
            let same = batch.iter().take(most).take_while(|w| w.candidate.ticket.run.plan.id == run.plan.id).count();
            let rest = batch.split_off(same);
            let group = std::mem::replace(&mut batch, rest);
            self.settle_patiently(&run, group).await?;
        }
        Ok(())
    }

    async fn settle_patiently(&mut self, run: &TableRun, group: Vec<Waiting>) -> Result<()> {
        let mut patience = Patience::new(self.context.options.retry);
        let keys: Vec<Row> = group.iter().map(|waiting| waiting.candidate.key.clone()).collect();
        let is_again = group.iter().any(|waiting| waiting.attempts > 0);
        let before = if is_again { self.sessions.still.applied().await } else { None };
        let found = loop {
            match look(run, &mut self.sessions, &keys).await {
                Ok(found) => break found,
                Err(error) => {
                    self.sessions.reset();
                    if error.class() == Class::Definite {
                        run.fail(error);
                        group.iter().for_each(|waiting| waiting.candidate.ticket.release());
                        return Ok(());
                    }
                    patience.wait(error, &self.context.cancel).await?;
                }
            }
        };
        let is_still = !found.is_empty() && self.sessions.still.is_since(before).await;
        self.judge(run, group, found, is_still).await
    }

    /// `is_still`: what was looked at for a second time would show the same again.
    async fn judge(&mut self, run: &TableRun, group: Vec<Waiting>, mut found: HashMap<Row, Found>, is_still: bool) -> Result<()> {
        let mut last = Vec::new();
        for mut waiting in group {
            let candidate = &waiting.candidate;
            let Some(found) = take(&mut found, candidate, self.context.options.reference) else {
                candidate.ticket.release();
                continue;
            };
            let Some(pause) = self.pauses.get(waiting.attempts).filter(|_| !is_still || waiting.attempts == 0) else {
                last.push((waiting.candidate, found));
                continue;
            };
            waiting.attempts += 1;
            let due = Instant::now() + *pause;
            self.waiting_bytes += waiting.candidate.key.size();
            self.number += 1;
            self.waiting.insert((due, self.number), waiting);
        }
        let repaired = match &mut self.repairer {
            Some(repairer) if !last.is_empty() => repairer.repair(&self.context, run, &mut self.sessions, &last).await?,
            _ => HashSet::new(),
        };
        for (candidate, found) in last {
            let is_repaired = repaired.contains(&candidate.key);
            report_keyed(&self.context, &candidate, &found, is_repaired).await;
            candidate.ticket.release();
        }
        Ok(())
    }
}

/// Takes what was found of a candidate's key, if this candidate is to be judged for it. The key may have a second candidate,
/// which another piece brought: what does not concern the one is left to the other.
fn take(found: &mut HashMap<Row, Found>, candidate: &Candidate, reference: Reference) -> Option<Found> {
    let kind = found.get(&candidate.key)?.kind;
    // A key that only the destination's stream brought is judged for being extra only: whatever the source has, the
    // source's stream brings up itself. So nothing counts twice.
    let ours = candidate.seen != Seen::Destination || kind == DifferenceKind::Extra;
    if ours && counts_under(reference, kind) { found.remove(&candidate.key) } else { None }
}

/// Whether a kind of difference counts when one side is the reference.
pub(super) fn counts_under(reference: Reference, kind: DifferenceKind) -> bool {
    match kind {
        DifferenceKind::Different => true,
        DifferenceKind::Missing => reference != Reference::Destination,
        DifferenceKind::Extra => reference != Reference::Source,
    }
}

/// Reads the keys on both sides; gives those that differ.
pub(super) async fn look(run: &TableRun, sessions: &mut Sessions, keys: &[Row]) -> Result<HashMap<Row, Found>> {
    let mut differing = HashMap::new();
    // Taken from the end.
    let mut parts: Vec<&[Row]> = batches(&run.plan, &run.plan.key, keys, BATCH_KEYS, CONDITION_BYTES).collect();
    while let Some(part) = parts.pop() {
        let (source, destination) = tokio::try_join!(
            fetch(run, &mut sessions.source, Side::Source, part),
            fetch(run, &mut sessions.destination, Side::Destination, part),
        )?;
        let (Some(mut source), Some(mut destination)) = (source, destination) else {
            let (left, right) = part.split_at(part.len() / 2);
            parts.extend([left, right]);
            continue;
        };
        for key in part {
            if let Some(found) = judge_rows(run, source.remove(key), destination.remove(key)) {
                differing.insert(key.clone(), found);
            }
        }
    }
    Ok(differing)
}

fn judge_rows(run: &TableRun, source: Option<Row>, destination: Option<Row>) -> Option<Found> {
    let kind = match (&source, &destination) {
        (None, None) => return None,
        (Some(left), Some(right)) if run.rows_equal(left, right) => return None,
        (Some(_), Some(_)) => DifferenceKind::Different,
        (Some(_), None) => DifferenceKind::Missing,
        (None, Some(_)) => DifferenceKind::Extra,
    };
    Some(Found { kind, source, destination })
}

/// The rows of these keys, by key; None: too many bytes at once.
async fn fetch(run: &TableRun, session: &mut Session, side: Side, keys: &[Row]) -> Result<Option<HashMap<Row, Row>>> {
    let statement = run.select(side, &keys_condition(&run.plan, side, keys));
    let rows = fetch_rows(run, session.get().await?, &statement, keys).await;
    if matches!(rows, Ok(None)) {
        session.reset();
    }
    rows.map_err(|error| error.context(format!("{:?}", side).to_lowercase()))
}

/// Runs a statement that finds keys by the server's comparison and keeps the rows whose keys are the same
/// byte for byte: under a case-insensitive collation it finds more.
pub(super) async fn fetch_rows(
    run: &TableRun,
    conn: &mut mysql_async::Conn,
    statement: &Sql,
    keys: &[Row],
) -> Result<Option<HashMap<Row, Row>>> {
    let wanted: HashSet<&Row> = keys.iter().collect();
    let mut reader = RowReader::start(conn, statement, &run.plan).await?;
    let mut rows = HashMap::new();
    let mut bytes = 0;
    while let Some(row) = reader.next().await? {
        let key = row.project(&run.plan.key);
        if !wanted.contains(&key) {
            continue;
        }
        bytes += row.size();
        if bytes > MOST_BYTES && keys.len() > 1 {
            return Ok(None);
        }
        rows.insert(key, row);
    }
    Ok(Some(rows))
}

async fn report_keyed(context: &Context, candidate: &Candidate, found: &Found, repaired: bool) {
    let run = &*candidate.ticket.run;
    let table = &*run.plan;
    let columns = match (&found.source, &found.destination) {
        (Some(left), Some(right)) => text::column_differences(table, left, right, |place, a, b| run.cells_equal(place, a, b)),
        _ => Vec::new(),
    };
    let row = match found.kind {
        DifferenceKind::Different => None,
        DifferenceKind::Missing => found.source.as_ref(),
        DifferenceKind::Extra => found.destination.as_ref(),
    };
    let difference = RowDifference {
        table: table.id,
        source: table.source.to_string(),
        destination: table.destination.to_string(),
        kind: found.kind,
        key: text::key_text(table, &candidate.key),
        count: 1,
        columns,
        row: row.map(|row| text::row_text(table, row)),
        repaired,
    };
    context.report(&candidate.ticket, difference).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::join::tests::two_columns;
    use crate::verify::run::{Piece, Shape};
    use godwit_model::row::RowBuilder;

    /// Where the sides order differently, a row that differs comes from two pieces, one after the other.
    #[test]
    fn a_key_of_two_pieces_counts_once() {
        let run = TableRun::new(two_columns(), Shape::default(), None, 0, None);
        let mut key = RowBuilder::default();
        key.push(Some(b"7"));
        let key = key.finish();
        let candidate = |number, seen| Candidate { ticket: run.ticket(number, Piece::default()), key: key.clone(), seen };
        let (ours, theirs) = (candidate(0, Seen::Source), candidate(1, Seen::Destination));
        for kind in [DifferenceKind::Different, DifferenceKind::Extra] {
            for group in [[&ours, &theirs], [&theirs, &ours]] {
                let mut found = HashMap::from([(key.clone(), Found { kind, source: None, destination: None })]);
                let counted = group.into_iter().filter_map(|one| take(&mut found, one, Reference::Both)).count();
                assert_eq!(counted, 1, "{kind:?}");
            }
        }
    }
}
