//! The keys of a chunk that the log touches while the chunk is on its way: its rows of these keys are dropped (C1–C4 in
//! docs/correctness.md).
//!
//! Until the chunk is read any key of the table may be one of its own, so the hashes of all of them are kept; from then on only
//! those of its rows count, however long the log takes to come to the chunk's end. All sets together are bounded: the chunk whose
//! set finds no room is read again, in smaller pieces. Nothing here outlives the process.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use godwit_model::row::Row;

/// What a hash takes in a hash table, at the worst.
const ENTRY_BYTES: usize = 40;

/// Hashes keys. A row whose key had the hash of another that was touched would be dropped and never be written: 128 bits under keys
/// that nobody knows and that no two runs share make sure that there is none, whoever chooses the keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyHasher {
    left: RandomState,
    right: RandomState,
}

impl KeyHasher {
    pub(crate) fn hash(&self, key: &Row) -> u128 {
        let bytes = key.as_bytes();
        u128::from(self.left.hash_one(bytes)) << 64 | u128::from(self.right.hash_one(bytes))
    }
}

/// Keys that were touched, while the chunk is open.
#[derive(Debug)]
pub(super) enum Touched {
    /// Of the whole table: the chunk's rows are not known yet.
    All(HashSet<u128>),
    /// Of the chunk's rows, in order, each with whether it was touched.
    OfRows { keys: Vec<u128>, touched: Vec<bool> },
    /// There was no room for them.
    TooMany,
}

impl Default for Touched {
    fn default() -> Self {
        Self::All(HashSet::new())
    }
}

impl Touched {
    /// Bytes that count against what all sets may take together. The hashes of a chunk's rows count with the chunk.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::All(all) => all.len() * ENTRY_BYTES,
            Self::OfRows { .. } | Self::TooMany => 0,
        }
    }

    /// There was no room for more.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::TooMany)
    }

    /// The log touches a key; `room`: bytes that the set may still take.
    pub(super) fn insert(&mut self, key: u128, room: usize) {
        match self {
            Self::All(all) => {
                all.insert(key);
                if room < ENTRY_BYTES {
                    *self = Self::TooMany;
                }
            }
            Self::OfRows { keys, touched } => {
                if let Ok(place) = keys.binary_search(&key)
                    && let Some(touched) = touched.get_mut(place)
                {
                    *touched = true;
                }
            }
            Self::TooMany => {}
        }
    }

    /// The chunk is read: these are the keys of its rows, in order.
    pub(super) fn restrict(&mut self, keys: Vec<u128>) {
        let Self::All(all) = self else { return };
        let touched = keys.iter().map(|key| all.contains(key)).collect();
        *self = Self::OfRows { keys, touched };
    }

    /// The chunk is handed over; None: it must be read again.
    pub(super) fn freeze(self, hasher: KeyHasher) -> Option<DropSet> {
        let mut keys: Vec<u128> = match self {
            Self::All(all) => all.into_iter().collect(),
            Self::OfRows { keys, touched } => keys.into_iter().zip(touched).filter_map(|(key, is)| is.then_some(key)).collect(),
            Self::TooMany => return None,
        };
        keys.sort_unstable();
        Some(DropSet { keys, hasher })
    }
}

/// The keys whose rows a chunk must not write.
#[derive(Debug)]
pub(crate) struct DropSet {
    keys: Vec<u128>,
    hasher: KeyHasher,
}

impl DropSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn contains(&self, key: &Row) -> bool {
        self.keys.binary_search(&self.hasher.hash(key)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use godwit_model::row::RowBuilder;

    fn key(number: u16) -> Row {
        let mut builder = RowBuilder::default();
        builder.push(Some(&number.to_be_bytes()));
        builder.finish()
    }

    proptest! {
        /// Whenever the rows become known, the same ones go: those whose keys were touched before or after.
        #[test]
        fn rows_go_whose_keys_were_touched(
            rows in proptest::collection::hash_set(0u16..60, 0..40),
            before in proptest::collection::vec(0u16..60, 0..40),
            after in proptest::collection::vec(0u16..60, 0..40),
            restricted: bool,
        ) {
            let hasher = KeyHasher::default();
            let mut touched = Touched::default();
            before.iter().for_each(|number| touched.insert(hasher.hash(&key(*number)), usize::MAX));
            if restricted {
                let mut keys: Vec<u128> = rows.iter().map(|number| hasher.hash(&key(*number))).collect();
                keys.sort_unstable();
                touched.restrict(keys);
                prop_assert_eq!(touched.bytes(), 0);
            }
            after.iter().for_each(|number| touched.insert(hasher.hash(&key(*number)), 0));
            let frozen = touched.freeze(hasher);
            match frozen {
                None => prop_assert!(!restricted && !after.is_empty(), "only an open set can be too large"),
                Some(frozen) => {
                    for number in rows {
                        prop_assert_eq!(frozen.contains(&key(number)), before.contains(&number) || after.contains(&number));
                    }
                }
            }
        }
    }

    #[test]
    fn two_hashers_agree_in_nothing() {
        assert_ne!(KeyHasher::default().hash(&key(1)), KeyHasher::default().hash(&key(1)));
    }
}
