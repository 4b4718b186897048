//! How far a verification got: what a caller stores and hands back to go on.

use serde::{Deserialize, Serialize};

use crate::rows::KeyBound;
use godwit_api::verification::{Difference, TableVerification};
use godwit_model::row::Row;

/// All tables that have got anywhere.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VerifyProgress {
    pub tables: Vec<TableProgress>,
}

impl VerifyProgress {
    /// Takes over what a table reports.
    pub fn update(&mut self, table: &TableProgress) {
        match self.tables.iter_mut().find(|known| known.source == table.source) {
            Some(known) => known.clone_from(table),
            None => self.tables.push(table.clone()),
        }
    }

    pub(super) fn of(&self, source: &str) -> Option<&TableProgress> {
        self.tables.iter().find(|known| known.source == source)
    }
}

/// One table: everything up to `bound` is compared and settled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TableProgress {
    /// `database.table`
    pub source: String,
    /// `database.table`
    pub destination: String,
    /// The last compared key, encoded; None: from the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
    /// Up to where the destination's rows are compared, by its own order, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached: Option<String>,
    /// Compared to its end.
    pub done: bool,
    pub counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What was found; rows that were repaired stand in `repaired` only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Rows of the source that were compared.
    pub rows: u64,
    pub missing: u64,
    pub extra: u64,
    pub different: u64,
    pub repaired: u64,
    /// Rows that stand in `samples`, which holds an entry for each of their differing columns.
    pub sampled_rows: usize,
    pub samples: Vec<Difference>,
}

impl Counts {
    pub(super) fn add(&mut self, other: Counts, sample_limit: usize) {
        self.rows += other.rows;
        self.missing += other.missing;
        self.extra += other.extra;
        self.different += other.different;
        self.repaired += other.repaired;
        if self.sampled_rows < sample_limit {
            self.sampled_rows += other.sampled_rows;
            self.samples.extend(other.samples);
        }
    }
}

impl TableProgress {
    pub(super) fn report(&self) -> TableVerification {
        TableVerification {
            source: self.source.clone(),
            destination: self.destination.clone(),
            rows: self.counts.rows,
            missing: self.counts.missing,
            extra: self.counts.extra,
            different: self.counts.different,
            repaired: self.counts.repaired,
            error: self.error.clone(),
            samples: self.counts.samples.clone(),
        }
    }
}

/// A bound as text.
pub(super) fn bound_text(bound: &KeyBound) -> String {
    bound.row().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A bound from its text; None when it is none.
pub(super) fn bound_from_text(text: &str) -> Option<KeyBound> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2) && !digits.is_empty())?;
    let bytes = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    Some(KeyBound::from_cells(Row::from_encoded(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use godwit_model::row::RowBuilder;

    #[test]
    fn bounds_survive_as_text() {
        let mut cells = RowBuilder::default();
        cells.push(Some(b"18446744073709551615"));
        cells.push(Some(b"\x00\xff"));
        let bound = KeyBound::from_cells(cells.finish());
        assert_eq!(bound_from_text(&bound_text(&bound)), Some(bound));
        assert_eq!(bound_from_text("0x"), None);
        assert_eq!(bound_from_text("123"), None);
    }

    #[test]
    fn progress_goes_through_json() {
        let mut progress = VerifyProgress::default();
        let table = TableProgress { source: "a.b".into(), done: true, ..TableProgress::default() };
        progress.update(&table);
        progress.update(&table);
        let text = serde_json::to_string(&progress).unwrap();
        assert_eq!(serde_json::from_str::<VerifyProgress>(&text).unwrap(), progress);
        assert_eq!(progress.tables.len(), 1);
    }
}
