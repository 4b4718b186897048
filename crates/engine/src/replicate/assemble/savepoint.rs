//! What the log takes back: rollbacks to savepoints, and of whole transactions after changes of non-transactional tables.

use super::{Assembler, Open, Outcome};
use godwit_model::error::{Context, Error, Result};

/// A transaction keeps so many; rolling back to an older one is an error.
const MOST_SAVEPOINTS: usize = 16_384;

/// A savepoint of the transaction at hand.
pub(super) struct Savepoint {
    pub name: String,
    /// Equal for names that are one: there may be many to compare with.
    hash: u64,
    /// Changes and row events in front of it.
    pub changes: usize,
    pub rows: u64,
}

impl Open {
    pub(super) fn set_savepoint(&mut self, name: String) {
        let hash = hash_of(&name);
        self.savepoints.retain(|other| other.hash != hash || !same_savepoint(&other.name, &name));
        if self.savepoints.len() >= MOST_SAVEPOINTS {
            self.savepoints.drain(..MOST_SAVEPOINTS / 2);
        }
        self.savepoints.push(Savepoint { name, hash, changes: self.changes.len(), rows: self.rows });
    }
}

impl Assembler {
    /// ROLLBACK in the log: what was done to non-transactional tables stays, the rest never happened.
    pub(super) fn rollback(&mut self, file: &str, offset: u64) -> Result<Outcome> {
        let part_bytes = self.part_bytes;
        let open = self.transaction()?;
        if (open.parted || open.in_log) && !open.lasting.is_empty() {
            return Err(Error::definite(format!(
                "transaction {} is larger than {} bytes and was rolled back after changing non-transactional tables; copy those tables again",
                open.group.start.id, part_bytes
            )));
        }
        open.changes.retain(|change| open.lasting.contains(&change.table));
        self.end(file, offset, true)
    }

    pub(super) fn rollback_to(&mut self, name: &str) -> Result<()> {
        let open = self.transaction()?;
        let doubtful = |other: &str| other != name && !(other.is_ascii() && name.is_ascii());
        if open.savepoints.iter().any(|other| doubtful(&other.name)) {
            return Err(Error::definite(format!(
                "transaction {} rolls back to savepoint {name} and has others beside it; whether two names with letters beyond ASCII are \
                 one for the server cannot be told",
                open.group.start.id
            )));
        }
        let Some(place) = open.savepoints.iter().position(|other| same_savepoint(&other.name, name)) else {
            return Err(Error::definite(format!(
                "transaction {} rolls back to savepoint {name}, whose changes were handed on already (or it has set more than {MOST_SAVEPOINTS} since)",
                open.group.start.id
            )))
            .context("the transaction is larger than this version can take back");
        };
        let (keep, rows) = (open.savepoints[place].changes, open.savepoints[place].rows);
        open.savepoints.truncate(place + 1);
        if open.xa.is_some() {
            open.group.take_back(rows..open.rows)?;
        }
        let mut number = 0;
        open.changes.retain(|change| {
            number += 1;
            number <= keep || open.lasting.contains(&change.table)
        });
        Ok(())
    }
}

fn hash_of(name: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(name.to_lowercase().as_bytes())
}

/// Servers compare the names of savepoints without regard to case (and to accents, which rolling back looks at).
pub(super) fn same_savepoint(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn savepoints_have_no_case() {
        assert!(same_savepoint("Here", "hERE") && same_savepoint("Ü", "ü"));
        assert!(!same_savepoint("here", "there"));
    }
}
