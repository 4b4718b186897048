//! How much the engine does at once, from what its pod has. Pure.
//!
//! Everything that grows with the load is a share of the memory; together they are not half of it (docs/design.md, "Memory and speed"): rows stand in
//! memory a second time as statements while they are written, and one row may be larger than a chunk is meant to be. The number of lanes is no
//! part of this: it is recorded with the task.

use super::binlog::LARGEST_EVENT;
use godwit_api::engine::EngineResources;

/// Bytes of rows that a chunk of the copy is meant to hold.
pub(crate) const CHUNK_BYTES: u64 = 8 << 20;

/// Workers and budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizing {
    /// Chunks that are read at once.
    pub readers: u32,
    /// Chunks that are written at once.
    pub writers: u32,
    /// Bytes of copied chunks in flight.
    pub copy_bytes: usize,
    /// What following the log holds.
    pub log: LogBudget,
    /// Bytes of one event of the log. The engine holds it whole, whatever the budgets are.
    pub largest_event: usize,
}

/// What is held while the log is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBudget {
    /// Bytes of changes in the lanes' queues.
    pub queue_bytes: usize,
    /// Bytes of what is kept of keys that are touched while chunks are read, of all chunks.
    pub touched_bytes: usize,
    /// Bytes of what cascades did to chunks on their way, of all chunks.
    pub cascaded_bytes: usize,
    /// A transaction with more is handed on in parts.
    pub part_bytes: usize,
    /// Bytes of changes of XA transactions that are not decided.
    pub prepared_bytes: usize,
}

const MIB: u64 = 1 << 20;

/// What one unit usually has; the defaults are made for it.
const UNIT_MEMORY: u64 = 512 * MIB;

/// The engine itself, while it applies one large event (docs/benchmarks.md).
const WITHOUT_EVENT: u64 = 75 * MIB;

/// More does not make a copy faster: the servers are the limit then.
const MOST_READERS: u32 = 12;
const MOST_WRITERS: u32 = 16;

impl Default for Sizing {
    fn default() -> Self {
        // Without a pod nobody knows how much memory there is.
        Self::of(&EngineResources { units: 1, cpu_millis: 0, memory_bytes: 0 })
    }
}

impl Sizing {
    /// For a pod; what it does not say (0) counts as one unit's.
    pub fn of(resources: &EngineResources) -> Self {
        let units = resources.units.max(1);
        let memory = if resources.memory_bytes == 0 { UNIT_MEMORY.saturating_mul(units.into()) } else { resources.memory_bytes };
        let share = |sixty_fourths: u64, least: u64, most: u64| (memory / 64 * sixty_fourths).clamp(least * MIB, most * MIB);
        let copy = share(8, 8, 256);
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        // Each reader has a chunk of its own.
        let chunks = u32::try_from(copy / CHUNK_BYTES).unwrap_or(u32::MAX).max(1);
        Self {
            readers: units.saturating_add(2).min(MOST_READERS).min(chunks),
            writers: units.saturating_add(3).min(MOST_WRITERS).min(chunks),
            copy_bytes: bytes(copy),
            log: LogBudget {
                queue_bytes: bytes(share(6, 6, 192)),
                touched_bytes: bytes(share(6, 6, 192) / 4),
                cascaded_bytes: bytes(share(1, 1, 32)),
                part_bytes: bytes(share(1, 1, 8)),
                prepared_bytes: bytes(share(4, 4, 128)),
            },
            largest_event: largest_event(resources.memory_bytes),
        }
    }

    /// Writers' rows that a claim of the task needs: tables from snapshots are written by readers.
    pub fn claimed_writers(&self) -> u32 {
        self.readers.max(self.writers)
    }
}

impl Default for LogBudget {
    fn default() -> Self {
        Sizing::default().log
    }
}

/// While an event is read nothing else is held that its size does not leave room for: all but what an engine takes without it. 0: not
/// known how much there is.
fn largest_event(memory: u64) -> usize {
    let room = memory.saturating_sub(WITHOUT_EVENT).max(memory / 2);
    if memory == 0 { LARGEST_EVENT } else { usize::try_from(room).unwrap_or(usize::MAX).min(LARGEST_EVENT) }
}

/// Threads for the runtime: as many as the CPUs that the pod may use, and a second one that answers `/livez` while the first computes. None: no limit
/// is known.
pub fn worker_threads(resources: &EngineResources) -> Option<usize> {
    let cpus = usize::try_from(resources.cpu_millis.div_ceil(1000)).unwrap_or(usize::MAX);
    (cpus > 0).then(|| cpus.clamp(2, 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(units: u32, mebibytes: u64) -> (u32, u32, u64, u64) {
        let sizing = Sizing::of(&EngineResources { units, cpu_millis: 500, memory_bytes: mebibytes * MIB });
        (sizing.readers, sizing.writers, sizing.copy_bytes as u64 / MIB, sizing.log.queue_bytes as u64 / MIB)
    }

    #[test]
    fn what_a_pod_gets() {
        let table = [
            // units, MiB: readers, writers, MiB of chunks, MiB of changes
            ((1, 512), (3, 4, 64, 48)),
            ((0, 0), (3, 4, 64, 48)),
            ((2, 1024), (4, 5, 128, 96)),
            ((2, 0), (4, 5, 128, 96)),
            ((4, 2048), (6, 7, 256, 192)),
            ((10, 5120), (12, 13, 256, 192)),
            ((1000, 512_000), (12, 16, 256, 192)),
            // Little memory: fewer at once, whatever the units are.
            ((4, 128), (2, 2, 16, 12)),
            ((1, 16), (1, 1, 8, 6)),
        ];
        for ((units, mebibytes), expected) in table {
            assert_eq!(of(units, mebibytes), expected, "{units} units, {mebibytes} MiB");
        }
        let log = LogBudget {
            queue_bytes: 48 << 20,
            touched_bytes: 12 << 20,
            cascaded_bytes: 8 << 20,
            part_bytes: 8 << 20,
            prepared_bytes: 32 << 20,
        };
        let expected = Sizing { readers: 3, writers: 4, copy_bytes: 64 << 20, log, largest_event: LARGEST_EVENT };
        assert_eq!(Sizing::default(), expected);
        assert_eq!(Sizing::default().claimed_writers(), 4);
    }

    /// Whoever adds a field decides here what it takes.
    #[test]
    fn the_budgets_leave_most_of_the_memory() {
        for mebibytes in [64, 128, 256, 512, 1024, 4096, 65_536] {
            let resources = EngineResources { units: 1, cpu_millis: 500, memory_bytes: mebibytes * MIB };
            let Sizing { readers: _, writers: _, copy_bytes, log, largest_event: _ } = Sizing::of(&resources);
            let LogBudget { queue_bytes, touched_bytes, cascaded_bytes, part_bytes, prepared_bytes } = log;
            let all = copy_bytes + queue_bytes + touched_bytes + cascaded_bytes + part_bytes + prepared_bytes;
            assert!(all as u64 * 8 <= 3 * mebibytes * MIB, "{mebibytes} MiB: {all}");
            // Descriptions of tables, parsed and raw, do not follow the memory.
            let described = (16 << 20) + (8 << 20);
            assert!(mebibytes < 256 || (all + described) as u64 * 2 <= mebibytes * MIB, "{mebibytes} MiB: {all}");
        }
    }

    #[test]
    fn an_event_is_no_larger_than_the_memory_for_it() {
        let event = |mebibytes| largest_event(mebibytes * MIB) as u64 / MIB;
        assert_eq!([64, 128, 512, 1024, 65_536].map(event), [32, 64, 437, 949, 1025]);
    }

    #[test]
    fn threads_follow_the_cpu_limit() {
        let threads = |cpu_millis| worker_threads(&EngineResources { cpu_millis, ..EngineResources::default() });
        assert_eq!([0, 1, 500, 2000, 2001, 1_000_000].map(threads), [None, Some(2), Some(2), Some(2), Some(3), Some(64)]);
    }
}
