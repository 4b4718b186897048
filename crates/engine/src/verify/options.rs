//! What a caller chooses, and how it takes part while the comparison runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::progress::{TableProgress, VerifyProgress};
use crate::destination::Records;
use crate::throttle::Throttle;
use godwit_api::{ReferenceSide, Verification, VerificationMode};

/// How much of a table is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Every value of every row.
    #[default]
    Rows,
    /// The number of rows.
    RowCount,
    /// No rows: definitions only.
    Definitions,
}

/// Whose rows have to be on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reference {
    #[default]
    Both,
    /// Rows that only the destination has do not count.
    Source,
    /// Rows that only the source has do not count.
    Destination,
}

/// A difference may be a change on its way: it is looked at again, `attempts` times, `delay` apart; less often where it is
/// known that nothing is on its way ([`Hooks::records`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recheck {
    pub attempts: u32,
    pub delay: Duration,
}

/// Choices of one verification.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Pieces compared at once; each takes one connection on either side.
    pub concurrency: usize,
    /// Bytes of rows in one piece, about.
    pub piece_bytes: u64,
    /// Bytes of keys that a worker holds, and as much for keys that wait to be looked at again. A table without a
    /// key that differs in nearly all rows takes six times as much.
    pub held_bytes: usize,
    /// 1..100. Chunks are chosen by a hash of their place; tables of one chunk are compared whole.
    pub sample_percent: u8,
    pub mode: Mode,
    /// Also compare definitions, secondary indexes and foreign keys included.
    pub schema: bool,
    pub reference: Reference,
    /// Of the source; 0: no limit.
    pub rows_per_second: u64,
    /// Of the source; 0: no limit.
    pub megabytes_per_second: u64,
    /// After that no new piece is begun and the rest is reported as not compared.
    pub max_duration: Option<Duration>,
    pub recheck: Recheck,
    /// Only these tables, as `database.table` with * and ?, by their source names; empty: all.
    pub tables: Vec<String>,
    /// Differing rows of a table that stand in the report with their values; counts have no bound.
    pub sample_limit: usize,
    /// Make the destination's rows of tables with a key like the source's.
    pub repair: bool,
    /// How long lost connections and other passing errors of one piece are tried again.
    pub retry: Duration,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            concurrency: 4,
            piece_bytes: 8 << 20,
            held_bytes: 16 << 20,
            sample_percent: 100,
            mode: Mode::Rows,
            schema: false,
            reference: Reference::Both,
            rows_per_second: 0,
            megabytes_per_second: 0,
            max_duration: None,
            recheck: Recheck { attempts: 3, delay: Duration::from_secs(5) },
            tables: Vec::new(),
            sample_limit: 20,
            repair: false,
            retry: Duration::from_secs(600),
        }
    }
}

impl VerifyOptions {
    /// What a manifest asks for under `spec.verification`.
    pub fn of(spec: &Verification) -> Self {
        let full = spec.full.clone().unwrap_or_default();
        Self {
            sample_percent: u8::try_from(full.sample_percent).unwrap_or(100),
            mode: match full.mode {
                VerificationMode::Rows => Mode::Rows,
                VerificationMode::RowCount => Mode::RowCount,
            },
            schema: spec.schema,
            reference: match full.reference {
                ReferenceSide::Both => Reference::Both,
                ReferenceSide::Source => Reference::Source,
                ReferenceSide::Destination => Reference::Destination,
            },
            rows_per_second: full.rows_per_second,
            megabytes_per_second: full.megabytes_per_second,
            max_duration: (full.max_hours > 0).then(|| Duration::from_secs(u64::from(full.max_hours) * 3600)),
            tables: spec.tables.clone(),
            repair: spec.repair,
            ..Self::default()
        }
    }
}

/// Is told of each table that got further.
pub type OnProgress = Arc<dyn Fn(&TableProgress) + Send + Sync>;

/// How a caller takes part.
#[derive(Clone, Default)]
pub struct Hooks {
    pub on_progress: Option<OnProgress>,
    /// Gets every difference, without an upper bound; a full channel slows the comparison down. After a
    /// lost connection or a resume a difference can come twice: keep them by table and key.
    pub differences: Option<mpsc::Sender<RowDifference>>,
    /// What an earlier run reported, to go on from.
    pub resume: Option<VerifyProgress>,
    /// The task's records: from the lanes' positions it is known when nothing is on its way any more.
    pub records: Option<Arc<dyn Records>>,
    /// Instead of the options' rates: one that the caller can change.
    pub throttle: Option<Arc<Throttle>>,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// Only the source has it.
    Missing,
    /// Only the destination has it.
    Extra,
    /// Both have it, with other values.
    Different,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDifference {
    /// Place in `Plan::tables`.
    pub table: u32,
    /// `database.table`
    pub source: String,
    /// `database.table`
    pub destination: String,
    pub kind: DifferenceKind,
    /// The key as people read it: `id=17, part='x'`; the row itself where there is no key.
    pub key: String,
    /// Rows like this one; more than 1 only in tables without a key.
    pub count: u64,
    /// The differing columns; for a row that one side lacks: none.
    pub columns: Vec<ColumnDifference>,
    /// The whole row, where only the source has it, or the destination.
    pub row: Option<String>,
    /// The destination was made like the source.
    pub repaired: bool,
}

/// One value that differs, as SQL writes it; long values are cut around the first difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDifference {
    pub column: String,
    pub source: String,
    pub destination: String,
}
