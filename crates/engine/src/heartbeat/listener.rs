//! Finds the heartbeat's row in the log. What of it cannot be read is said once and passed over: it is no part of the data.

use std::collections::HashMap;
use std::sync::Arc;

use super::Beats;
use super::table::{BEAT, RUN, definition};
use crate::binlog::{RowDecoder, RowsEvent, TableMap};
use crate::plan::select::HEARTBEAT_TABLE;
use godwit_model::error::Result;

/// Listens to one stream of the log.
#[derive(Debug)]
pub(crate) struct Listener {
    beats: Beats,
    /// Heartbeat tables by their number in the log; another task's may lie in another database.
    tables: HashMap<u64, (Arc<TableMap>, RowDecoder)>,
    complained: bool,
}

impl Listener {
    pub(crate) fn new(beats: Beats) -> Self {
        Self { beats, tables: HashMap::new(), complained: false }
    }

    /// A table that is not migrated.
    pub(crate) fn table_map(&mut self, map: &Arc<TableMap>) {
        if self.tables.get(&map.id).is_some_and(|(known, _)| Arc::ptr_eq(known, map)) {
            return;
        }
        self.tables.remove(&map.id);
        if map.table.eq_ignore_ascii_case(HEARTBEAT_TABLE) {
            let decoder = RowDecoder::new(&definition(), map, &[], &[RUN, BEAT]);
            if let Some(decoder) = self.readable(decoder) {
                self.tables.insert(map.id, (Arc::clone(map), decoder));
            }
        }
    }

    /// Rows of a table that is not migrated.
    pub(crate) fn rows(&mut self, rows: &RowsEvent<'_>) {
        let Some((_, decoder)) = self.tables.get(&rows.table.id) else { return };
        let mut found = Vec::new();
        let decoded = decoder.decode_rows(rows, &mut |_, after| {
            let numbers = after.map(|row| row.cells().map(number).collect::<Vec<_>>());
            if let Some([Some(run), Some(beat)]) = numbers.as_deref() {
                found.push((*run, *beat));
            }
            Ok(())
        });
        if self.readable(decoded).is_some() {
            found.into_iter().for_each(|(run, beat)| self.beats.arrived(run, beat));
        }
    }

    /// A new file: table numbers start anew.
    pub(crate) fn forget_tables(&mut self) {
        self.tables.clear();
    }

    fn readable<T>(&mut self, result: Result<T>) -> Option<T> {
        result
            .inspect_err(|error| {
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!(error = %error, "a heartbeat in the binary log cannot be read");
                }
            })
            .ok()
    }
}

fn number(cell: Option<&[u8]>) -> Option<u64> {
    std::str::from_utf8(cell?).ok()?.parse().ok()
}
