//! Tables without a key: both sides as multisets of rows.
//!
//! One pass sums the digests of all rows on either side and, as long as it fits, holds what has not met its
//! like yet. When that grows too large, the sums say whether the sides are equal, and if not, further passes
//! look at one part of the digests each. What differs is looked at again later; only rows that still differ
//! in the same way are read once more for their values and reported.

use std::collections::HashMap;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use super::options::{DifferenceKind, RowDifference};
use super::run::Ticket;
use super::session::Sessions;
use super::settle::counts_under;
use super::streams::Streams;
use super::{Context, text};
use godwit_model::error::{Error, Result};
use godwit_model::row::Row;

/// A digest for so many of the bytes that may be held; a map of them takes up to 100 bytes each.
const BYTES_A_DIGEST: usize = 16;
/// Passes are not cut finer than this.
const MOST_PARTS: u64 = 1 << 20;

/// Digest → rows of the source minus rows of the destination; never 0.
type Surplus = HashMap<u128, i64>;

/// Digests whose remainder by `of` is `number`.
#[derive(Debug, Clone, Copy)]
struct Part {
    number: u64,
    of: u64,
}

impl Part {
    fn holds(self, digest: u128) -> bool {
        // The map's own hash does not depend on these bits.
        ((digest >> 64) as u64) % self.of == self.number
    }

    fn halves(self) -> [Self; 2] {
        [Self { number: self.number, of: self.of * 2 }, Self { number: self.number + self.of, of: self.of * 2 }]
    }
}

/// Sums that do not depend on the order of rows.
#[derive(Default, PartialEq, Eq)]
struct Sums {
    rows: u64,
    sum: u128,
    /// A second sum of other digests: two rows for two others could hit one sum by accident.
    mixed: u128,
}

impl Sums {
    fn add(&mut self, digest: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(digest);
        self.mixed = self.mixed.wrapping_add(xxh3_128(&digest.to_le_bytes()));
    }
}

struct Pass {
    rows: u64,
    total: u64,
    equal: bool,
    /// None: too much to hold.
    surplus: Option<Surplus>,
}

/// Digests held at once.
fn most_held(context: &Context) -> usize {
    (context.options.held_bytes / BYTES_A_DIGEST).max(1)
}

fn add(surplus: &mut Surplus, digest: u128, change: i64) {
    let count = surplus.entry(digest).or_insert(0);
    *count += change;
    if *count == 0 {
        surplus.remove(&digest);
    }
}

async fn pass(context: &Context, sessions: &mut Sessions, ticket: &Ticket, part: Part) -> Result<Pass> {
    let run = &*ticket.run;
    let mut streams = Streams::open(context, run, sessions, ticket).await?;
    let (mut source, mut destination) = (Sums::default(), Sums::default());
    let mut surplus = Some(Surplus::new());
    let most = most_held(context);
    while let Some((left, right)) = streams.next().await? {
        for (row, sums, change) in [(&left, &mut source, 1), (&right, &mut destination, -1)] {
            let Some(row) = row else { continue };
            let digest = xxh3_128(run.comparable(row).as_bytes());
            sums.add(digest);
            if part.holds(digest)
                && let Some(surplus) = &mut surplus
            {
                add(surplus, digest, change);
            }
        }
        if surplus.as_ref().is_some_and(|surplus| surplus.len() > most) {
            surplus = None;
        }
    }
    Ok(Pass { rows: source.rows, total: source.rows + destination.rows, equal: source == destination, surplus })
}

/// Compares a whole table without a key.
///
/// # Errors
/// Those of either server; the attempt has to be abandoned then.
pub(super) async fn compare_keyless(context: &Context, sessions: &mut Sessions, ticket: &Arc<Ticket>) -> Result<()> {
    let whole = Part { number: 0, of: 1 };
    let first = pass(context, sessions, ticket, whole).await?;
    ticket.count(|counts| counts.rows += first.rows);
    if first.equal {
        return Ok(());
    }
    let mut work = match first.surplus {
        Some(surplus) => vec![(whole, Some(surplus))],
        None => {
            let of = (first.total * 2 / most_held(context) as u64 + 1).next_power_of_two();
            (0..of).map(|number| (Part { number, of }, None)).collect()
        }
    };
    while let Some((part, known)) = work.pop() {
        let surplus = match known {
            Some(surplus) => Some(surplus),
            None => pass(context, sessions, ticket, part).await?.surplus,
        };
        match surplus {
            Some(surplus) => settle(context, sessions, ticket, part, surplus).await?,
            None if part.of < MOST_PARTS => work.extend(part.halves().map(|half| (half, None))),
            None => return Err(Error::definite("too many differing rows without a key to tell apart")),
        }
    }
    Ok(())
}

/// Looks again at what differs in a part, and reports what stays.
async fn settle(
    context: &Context,
    sessions: &mut Sessions,
    ticket: &Arc<Ticket>,
    part: Part,
    mut surplus: Surplus,
) -> Result<()> {
    for pause in sessions.still.pauses(context.options.recheck) {
        if surplus.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        let before = sessions.still.applied().await;
        let Some(again) = pass(context, sessions, ticket, part).await?.surplus else { break };
        surplus.retain(|digest, count| {
            let now = again.get(digest).copied().unwrap_or(0);
            let stays = if now.signum() == count.signum() { now.abs().min(count.abs()) } else { 0 };
            *count = stays * count.signum();
            stays > 0
        });
        if sessions.still.is_since(before).await {
            break;
        }
    }
    let reference = context.options.reference;
    surplus.retain(|_, count| counts_under(reference, kind_of(*count)));
    if surplus.is_empty() { Ok(()) } else { list(context, sessions, ticket, surplus).await }
}

fn kind_of(surplus: i64) -> DifferenceKind {
    if surplus > 0 { DifferenceKind::Missing } else { DifferenceKind::Extra }
}

/// Reads both sides once more for the values.
async fn list(context: &Context, sessions: &mut Sessions, ticket: &Arc<Ticket>, mut surplus: Surplus) -> Result<()> {
    let run = &*ticket.run;
    if context.options.repair {
        tracing::warn!(
            table = %run.plan.destination,
            "rows of a table without a key are not repaired: nothing tells which of several equal rows is meant, nor holds them while \
             both sides are read; correct them by hand"
        );
    }
    let mut streams = Streams::open(context, run, sessions, ticket).await?;
    while let Some((left, right)) = streams.next().await? {
        for (row, sign) in [(left, 1), (right, -1)] {
            let Some(row) = row else { continue };
            let digest = xxh3_128(run.comparable(&row).as_bytes());
            if surplus.get(&digest).is_some_and(|count| count.signum() == sign) {
                let count = surplus.remove(&digest).unwrap_or_default();
                report(context, ticket, Some(&row), count).await;
            }
        }
    }
    // Gone since; they were seen to differ often enough.
    for count in surplus.into_values() {
        report(context, ticket, None, count).await;
    }
    Ok(())
}

async fn report(context: &Context, ticket: &Arc<Ticket>, row: Option<&Row>, count: i64) {
    let table = &*ticket.run.plan;
    let shown = row.map(|row| text::row_text(table, row));
    let difference = RowDifference {
        table: table.id,
        source: table.source.to_string(),
        destination: table.destination.to_string(),
        kind: kind_of(count),
        key: shown.clone().unwrap_or_else(|| "a row that changed meanwhile".into()),
        count: count.unsigned_abs(),
        columns: Vec::new(),
        row: shown,
        repaired: false,
    };
    context.report(ticket, difference).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_digest_once() {
        let whole = Part { number: 0, of: 1 };
        let quarters: Vec<Part> = whole.halves().into_iter().flat_map(Part::halves).collect();
        for number in 0..1000u64 {
            let digest = xxh3_128(&number.to_le_bytes());
            assert_eq!(quarters.iter().filter(|part| part.holds(digest)).count(), 1);
        }
    }

    #[test]
    fn sums_see_multiplicity_but_not_order() {
        let sums = |values: &[u128]| {
            let mut sums = Sums::default();
            values.iter().for_each(|value| sums.add(*value));
            sums
        };
        assert!(sums(&[1, 2, 2]) == sums(&[2, 1, 2]));
        assert!(sums(&[1, 2, 2]) != sums(&[1, 1, 2]));
        // The plain sum alone would not see these.
        assert!(sums(&[1, 4]) != sums(&[2, 3]));
    }

    #[test]
    fn surplus_forgets_what_met_its_like() {
        let mut surplus = Surplus::new();
        add(&mut surplus, 7, 1);
        add(&mut surplus, 7, 1);
        add(&mut surplus, 7, -1);
        assert_eq!(surplus.get(&7), Some(&1));
        add(&mut surplus, 7, -1);
        assert!(surplus.is_empty());
    }
}
