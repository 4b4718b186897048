//! What the table ids of the log mean, until it says so again.
//!
//! A server gives a table a new id whenever it opens it anew, so there is no bound to how many ids a file has. Each statement
//! describes its tables again: between two of them any number may be forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use super::followed::Followed;

/// Beyond this many ids, or bytes of what they stand for, they are forgotten between two statements.
const MOST_IDS: usize = 4096;
const MOST_BYTES: usize = 16 << 20;

/// What a table id means.
#[derive(Clone)]
pub(super) enum Meaning {
    Followed(Arc<Followed>),
    /// Not migrated.
    Strange,
    /// Its rows could not be read in front of the floor, and why: the definitions are from behind it.
    Unreadable(String),
}

impl Meaning {
    fn size(&self) -> usize {
        match self {
            // Its map, and about the same once more for the decoder's columns.
            Self::Followed(followed) => 512 + 2 * followed.map.size(),
            Self::Strange => 64,
            Self::Unreadable(why) => 64 + why.len(),
        }
    }
}

/// The table ids of a stream.
pub(super) struct Tables {
    by_id: HashMap<u64, Meaning>,
    bytes: usize,
    pub limit_ids: usize,
}

impl Default for Tables {
    fn default() -> Self {
        Self { by_id: HashMap::new(), bytes: 0, limit_ids: MOST_IDS }
    }
}

impl Tables {
    pub(super) fn get(&self, id: u64) -> Option<&Meaning> {
        self.by_id.get(&id)
    }

    pub(super) fn insert(&mut self, id: u64, meaning: Meaning) {
        self.bytes += meaning.size();
        if let Some(earlier) = self.by_id.insert(id, meaning) {
            self.bytes -= earlier.size();
        }
    }

    pub(super) fn forget(&mut self) {
        self.by_id.clear();
        self.bytes = 0;
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.by_id.len()
    }

    /// To be called between two statements.
    pub(super) fn is_full(&self) -> bool {
        self.by_id.len() > self.limit_ids || self.bytes > MOST_BYTES
    }
}
