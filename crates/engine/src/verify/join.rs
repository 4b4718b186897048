//! Rows of both sides side by side.
//!
//! Both streams advance in step, so rows that are equal meet at once or soon after; only rows that have not
//! met their counterpart yet are held, by key and digest. What is held is bounded: when it grows too large,
//! the caller takes it away (and settles it key by key).

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128;

use super::run::TableRun;
use godwit_model::row::Row;

/// What an entry costs beside the bytes of its key.
const ENTRY_OVERHEAD: usize = 112;

/// Where a key was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Source,
    Destination,
    /// On both sides, with different rows.
    Both,
}

/// Rows that wait for their counterpart.
#[derive(Default)]
pub(super) struct Join {
    /// Key → side, and digest of the row.
    waiting: HashMap<Row, (Seen, u128)>,
    /// Keys whose rows differ.
    differing: Vec<Row>,
    held: usize,
}

impl Join {
    /// Takes a row of each side (either may have ended).
    pub(super) fn push(&mut self, run: &TableRun, source: Option<&Row>, destination: Option<&Row>) {
        if source.is_some() && source == destination {
            return;
        }
        if let Some(row) = source {
            self.push_one(run, Seen::Source, row);
        }
        if let Some(row) = destination {
            self.push_one(run, Seen::Destination, row);
        }
    }

    fn push_one(&mut self, run: &TableRun, side: Seen, row: &Row) {
        let key = row.project(&run.plan.key);
        let digest = xxh3_128(run.comparable(row).as_bytes());
        match self.waiting.get(&key) {
            Some((other, _)) if *other == side => {
                // The same key twice on one side: it moved while the stream was open. Look at it again.
                self.hold(&key);
                self.differing.push(key);
            }
            Some((_, other)) => {
                let differs = *other != digest;
                self.waiting.remove(&key);
                if differs {
                    self.differing.push(key);
                } else {
                    self.held -= key.size() + ENTRY_OVERHEAD;
                }
            }
            None => {
                self.hold(&key);
                self.waiting.insert(key, (side, digest));
            }
        }
    }

    fn hold(&mut self, key: &Row) {
        self.held += key.size() + ENTRY_OVERHEAD;
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes away everything held.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Row, Seen)> + use<> {
        self.held = 0;
        let differing = std::mem::take(&mut self.differing).into_iter().map(|key| (key, Seen::Both));
        differing.chain(std::mem::take(&mut self.waiting).into_iter().map(|(key, (seen, _))| (key, seen)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixture::{column, definition, table_plan};
    use crate::plan::TablePlan;
    use crate::verify::run::{Piece, Shape};
    use godwit_model::definition::Kind;
    use godwit_model::row::RowBuilder;

    /// `id INT PRIMARY KEY, v VARBINARY`
    pub(in crate::verify) fn two_columns() -> Arc<TablePlan> {
        let columns = vec![column("id", Kind::Int { unsigned: false }), column("v", Kind::VarBinary)];
        Arc::new(table_plan(definition("d", "t", columns)))
    }

    fn row(id: &str, value: &str) -> Row {
        let mut cells = RowBuilder::default();
        cells.push(Some(id.as_bytes()));
        cells.push(Some(value.as_bytes()));
        cells.finish()
    }

    fn joined(source: &[(&str, &str)], destination: &[(&str, &str)]) -> Vec<(String, Seen)> {
        let run = TableRun::new(two_columns(), Shape::default(), None, 0, None);
        let mut join = Join::default();
        for place in 0..source.len().max(destination.len()) {
            let at = |side: &[(&str, &str)]| side.get(place).map(|(id, value)| row(id, value));
            join.push(&run, at(source).as_ref(), at(destination).as_ref());
        }
        let mut left: Vec<_> = join
            .drain()
            .map(|(key, seen)| (String::from_utf8_lossy(key.cells().next().flatten().unwrap()).into_owned(), seen))
            .collect();
        left.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(join.held(), 0);
        left
    }

    #[test]
    fn equal_rows_meet_whatever_their_order() {
        assert_eq!(joined(&[("1", "a"), ("2", "b"), ("3", "c")], &[("3", "c"), ("1", "a"), ("2", "b")]), []);
    }

    #[test]
    fn what_does_not_meet_is_left() {
        let left = joined(&[("1", "a"), ("2", "b"), ("3", "c")], &[("2", "x"), ("3", "c"), ("4", "d"), ("5", "e")]);
        let wanted = [("1", Seen::Source), ("2", Seen::Both), ("4", Seen::Destination), ("5", Seen::Destination)];
        assert_eq!(left, wanted.map(|(key, seen)| (key.to_owned(), seen)));
    }

    #[test]
    fn pieces_count_in_order_and_abandoned_ones_not_at_all() {
        let run = TableRun::new(two_columns(), Shape::default(), None, 0, None);
        let tickets: Vec<_> = (0..3).map(|number| run.ticket(number, Piece::default())).collect();
        run.cut_into(3);
        for ticket in &tickets {
            ticket.count(|counts| counts.rows += 10);
        }
        tickets[2].release();
        tickets[1].hold();
        tickets[1].release();
        assert_eq!((run.progress().counts.rows, run.progress().done), (0, false));
        let again = tickets[0].abandon();
        tickets[0].release();
        again.count(|counts| counts.rows += 1);
        again.release();
        assert_eq!(run.progress().counts.rows, 1);
        tickets[1].release();
        assert_eq!((run.progress().counts.rows, run.progress().done), (21, true));
    }
}
