//! How many tasks are looked at at the same time, and which come first.
//!
//! A task that nobody has looked at yet shall get its first pod at once, also while thousands of others move from phase to phase and the API server
//! is the bottleneck. So new tasks have places of their own, and while any is being taken up the others keep to a few of theirs. Large tasks are looked at
//! a few at a time, whoever they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Of the places of known tasks, the share that stays theirs while new ones are taken up: 1 of so many.
const SHARE_BESIDE_NEW: usize = 16;

/// Of the texts of tasks that are looked at at once, in pieces: 4 MiB together, or one task of any size alone. As values they take ten times as much, and
/// whoever may make tasks may make many of the largest.
const PIECE: usize = 4 << 10;
const PIECES: u32 = 1024;

/// Places for looks at tasks.
#[derive(Debug)]
pub(crate) struct Slots {
    new: Semaphore,
    /// Whoever looks at a known task needs a place here …
    known: Semaphore,
    /// … and one of these few as well while new tasks are there.
    beside_new: Semaphore,
    /// Room for the texts of the tasks that are looked at.
    texts: Semaphore,
    arriving: Arc<AtomicUsize>,
}

/// A place that is given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    _places: (SemaphorePermit<'a>, Option<SemaphorePermit<'a>>),
    _room: SemaphorePermit<'a>,
    _arriving: Option<Arriving>,
}

#[derive(Debug)]
struct Arriving(Arc<AtomicUsize>);

impl Arriving {
    fn count(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slots {
    /// Half of `places` for new tasks, half for the others; at least one for each.
    pub(crate) fn new(places: usize) -> Self {
        let half = (places / 2).max(1);
        Self {
            new: Semaphore::new(half),
            known: Semaphore::new(half),
            beside_new: Semaphore::new((half / SHARE_BESIDE_NEW).max(1)),
            texts: Semaphore::new(PIECES as usize),
            arriving: Arc::default(),
        }
    }

    /// Waits for a place. None: the operator ends.
    pub(crate) async fn take(&self, is_new: bool, size: usize) -> Option<Slot<'_>> {
        if is_new {
            let arriving = Arriving::count(&self.arriving);
            let place = self.new.acquire().await.ok()?;
            let room = self.room(size).await?;
            return Some(Slot { _places: (place, None), _room: room, _arriving: Some(arriving) });
        }
        let place = self.known.acquire().await.ok()?;
        let crowded = self.arriving.load(Ordering::Relaxed) > 0;
        let beside = if crowded { Some(self.beside_new.acquire().await.ok()?) } else { None };
        let room = self.room(size).await?;
        Some(Slot { _places: (place, beside), _room: room, _arriving: None })
    }

    /// Waits until the texts of the tasks that are looked at leave room for one more.
    async fn room(&self, size: usize) -> Option<SemaphorePermit<'_>> {
        let pieces = u32::try_from(size / PIECE + 1).unwrap_or(u32::MAX).min(PIECES);
        self.texts.acquire_many(pieces).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn new_tasks_never_wait_for_known_ones() {
        let slots = Slots::new(32);
        let known: Vec<_> = (0..16).map(|_| slots.take(false, 0).now_or_never().flatten().unwrap()).collect();
        assert!(slots.take(false, 0).now_or_never().is_none(), "the places of known tasks are taken");
        let new: Vec<_> = (0..16).map(|_| slots.take(true, 0).now_or_never().flatten().unwrap()).collect();
        assert!(slots.take(true, 0).now_or_never().is_none(), "bounded as well");
        drop((known, new));
        assert!(slots.take(false, 0).now_or_never().is_some());
    }

    #[test]
    fn while_new_tasks_arrive_the_others_keep_to_a_few_places() {
        let slots = Slots::new(32);
        let new = slots.take(true, 0).now_or_never().flatten().unwrap();
        let known = slots.take(false, 0).now_or_never().flatten().unwrap();
        assert!(slots.take(false, 0).now_or_never().is_none(), "1 of 16");
        drop(new);
        assert!(slots.take(false, 0).now_or_never().is_some(), "nobody arrives any more");
        drop(known);
    }
    #[test]
    fn large_tasks_are_looked_at_a_few_at_a_time() {
        let slots = Slots::new(64);
        let large: Vec<_> = (0..3).map(|_| slots.take(true, 1 << 20).now_or_never().flatten().unwrap()).collect();
        assert!(slots.take(false, 1 << 20).now_or_never().is_none(), "4 MiB together");
        assert!(slots.take(false, 10_000).now_or_never().is_some(), "a usual one");
        drop(large);
        assert!(slots.take(false, 100 << 20).now_or_never().is_some(), "any size alone");
    }
}
