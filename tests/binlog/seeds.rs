//! Seeds of the fuzzers from real logs: `GODWIT_FUZZ_SEEDS=fuzz/corpus cargo test --test binlog` writes every transaction of every server that
//! these tests read, in the form of `godwit::engine::fuzz::events` (a byte of type, a length of three bytes, the body), and what was compressed
//! once more by itself. `fuzz/run.sh seeds` keeps those of them that reach something new.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;

use godwit::engine::binlog::RawEvent;

const QUERY: u8 = 2;
const ROTATE: u8 = 4;
const FORMAT_DESCRIPTION: u8 = 15;
const GTIDS: [u8; 4] = [33, 34, 42, 162];
const PAYLOAD: u8 = 40;

/// Larger ones slow the fuzzers down and reach nothing new.
const LARGEST: usize = 8 << 10;

/// Writes them where the environment says; nothing without.
pub struct Seeds {
    folder: Option<PathBuf>,
    format: Vec<u8>,
    transaction: Vec<u8>,
}

impl Default for Seeds {
    fn default() -> Self {
        let folder = std::env::var_os("GODWIT_FUZZ_SEEDS").map(PathBuf::from);
        Self { folder, format: Vec::new(), transaction: Vec::new() }
    }
}

impl Seeds {
    pub fn take(&mut self, event: &RawEvent<'_>) {
        if self.folder.is_none() {
            return;
        }
        let length = (event.body.len() as u32).to_le_bytes();
        let framed = [&[event.event_type], &length[..3], event.body].concat();
        match event.event_type {
            FORMAT_DESCRIPTION => self.format.clone_from(&framed),
            PAYLOAD => self.write("payload", event.body),
            _ => {}
        }
        if GTIDS.contains(&event.event_type) || event.event_type == ROTATE {
            self.end();
        }
        if event.event_type != FORMAT_DESCRIPTION {
            self.transaction.extend(framed);
        }
        if event.event_type == QUERY {
            self.write("statements", &[&[0], event.body.rsplit(|byte| *byte == 0).next().unwrap_or_default()].concat());
        }
    }

    fn end(&mut self) {
        let transaction = std::mem::take(&mut self.transaction);
        self.write("events", &[&self.format[..], &transaction].concat());
    }

    fn write(&self, target: &str, seed: &[u8]) {
        let Some(folder) = self.folder.as_ref().filter(|_| seed.len() <= LARGEST) else { return };
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{:016x}", hasher.finish())), seed).unwrap();
    }
}

impl Drop for Seeds {
    fn drop(&mut self) {
        self.end();
    }
}
