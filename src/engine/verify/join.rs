//! Rows of both sides side by side.
//!
//! Both streams advance in step, so rows that are equal meet at once or soon after; only rows that have not
//! met their counterpart yet are held, by key and digest. What is held is bounded: when it grows too large,
//! the caller takes it away (and settles it key by key).

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128;

use super::run::TableRun;
use crate::engine::value::Row;

/// What an entry costs beside the bytes of its key.
const ENTRY_OVERHEAD: usize = 112;

/// Where a key was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Source,
    Destination,
    /// On both sides, with different rows.
    Both,
}

/// Rows that wait for their counterpart.
#[derive(Default)]
pub struct Join {
    /// Key → side, and digest of the row.
    waiting: HashMap<Row, (Seen, u128)>,
    /// Keys whose rows differ.
    differing: Vec<Row>,
    held: usize,
}

impl Join {
    /// Takes a row of each side (either may have ended).
    pub fn push(&mut self, run: &TableRun, source: Option<&Row>, destination: Option<&Row>) {
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
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes away everything held.
    pub fn drain(&mut self) -> impl Iterator<Item = (Row, Seen)> + use<> {
        self.held = 0;
        let differing = std::mem::take(&mut self.differing).into_iter().map(|key| (key, Seen::Both));
        differing.chain(std::mem::take(&mut self.waiting).into_iter().map(|(key, (seen, _))| (key, seen)))
    }
}
