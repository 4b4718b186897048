//! What keeps changes behind a chunk back until its rows are committed.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::dispatch::lock;
use crate::change::cascade::{Applied, Uncertain};

/// Keeps the changes behind a chunk until the chunk's rows are committed, or those of some tables while they are altered.
#[derive(Debug)]
pub(crate) struct Gate {
    tables: Vec<u32>,
    /// Lanes that have not yet committed everything before the gate.
    not_there: watch::Sender<usize>,
    opened: watch::Sender<bool>,
    /// What cascades did to the table since the chunk was registered; complete when the gate is reached.
    cascaded: Collected,
}

/// Steps of cascades, in the order of the log.
pub(super) type Collected = Arc<Mutex<Steps>>;

/// See [`Collected`].
#[derive(Debug, Default)]
pub(super) struct Steps {
    steps: Vec<Arc<Applied>>,
    bytes: usize,
    too_many: bool,
}

impl Steps {
    /// `room`: bytes that the steps of all chunks may still take. A chunk whose steps find none is read again.
    pub(super) fn add<'a>(&mut self, steps: impl Iterator<Item = &'a Arc<Applied>>, room: &mut usize) {
        for step in steps.filter(|_| !self.too_many).collect::<Vec<_>>() {
            let Some(left) = room.checked_sub(step.size()) else {
                *room += self.bytes;
                *self = Self { too_many: true, ..Self::default() };
                return;
            };
            *room = left;
            self.bytes += step.size();
            self.steps.push(Arc::clone(step));
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Gate {
    pub(super) fn new(tables: Vec<u32>, lanes: usize, cascaded: Collected) -> Self {
        Self { tables, not_there: watch::Sender::new(lanes), opened: watch::Sender::new(false), cascaded }
    }

    /// The tables whose changes it keeps.
    pub(crate) fn tables(&self) -> &[u32] {
        &self.tables
    }

    /// What cascades did to the table between registration and gate, once the gate is reached.
    ///
    /// # Errors
    /// Uncertain: it was too much to be kept, the chunk must be read again.
    pub(crate) fn cascaded(&self) -> Result<Vec<Arc<Applied>>, Uncertain> {
        let steps = lock(&self.cascaded);
        if steps.too_many { Err(Uncertain) } else { Ok(steps.steps.clone()) }
    }

    /// A lane has come to the gate.
    pub(crate) fn reach(&self) {
        self.not_there.send_modify(|lanes| *lanes = lanes.saturating_sub(1));
    }

    /// Waits until every lane that the tables have has come to the gate.
    pub(crate) async fn wait_reached(&self) {
        // The sender lives in self, so the channel cannot close.
        let _ = self.not_there.subscribe().wait_for(|lanes| *lanes == 0).await;
    }

    /// Lets the changes behind through.
    pub(crate) fn open(&self) {
        self.opened.send_replace(true);
    }

    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        *self.opened.borrow()
    }

    /// Waits until it is open.
    pub(crate) async fn wait_open(&self) {
        let _ = self.opened.subscribe().wait_for(|open| *open).await;
    }
}
