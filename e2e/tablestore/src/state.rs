//! What all connections share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::faults::Faults;
use crate::operations::Instance;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::sign::Version;

/// A request as it came: signed rightly, whatever became of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The operation.
    pub operation: String,
    /// How it was signed.
    pub version: Version,
    /// Its body.
    pub body: Bytes,
}

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    instance: Mutex<Instance>,
    faults: Mutex<Faults>,
    recorded: Mutex<VecDeque<Recorded>>,
    security_token: Mutex<Option<String>>,
    /// How often each operation was answered, by "operation" and "operation code".
    counts: Mutex<BTreeMap<String, u64>>,
    requests: AtomicU64,
    pub(crate) connections: AtomicU64,
}

/// A lock whose holder panicked is taken all the same: this is a server for tests, and the panic itself makes the test fail.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            instance: Mutex::default(),
            faults: Mutex::default(),
            recorded: Mutex::default(),
            security_token: Mutex::new(settings.security_token.clone()),
            counts: Mutex::default(),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            settings,
        }
    }

    pub(crate) fn instance(&self) -> MutexGuard<'_, Instance> {
        lock(&self.instance)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn security_token(&self) -> MutexGuard<'_, Option<String>> {
        lock(&self.security_token)
    }

    pub(crate) fn record(&self, request: Recorded) {
        let mut recorded = lock(&self.recorded);
        if recorded.len() >= self.settings.recorded {
            recorded.pop_front();
        }
        if self.settings.recorded > 0 {
            recorded.push_back(request);
        }
    }

    pub(crate) fn recorded(&self) -> Vec<Recorded> {
        lock(&self.recorded).iter().cloned().collect()
    }

    pub(crate) fn count(&self, operation: &str, refusal: Option<&Refusal>) {
        let mut counts = lock(&self.counts);
        *counts.entry(operation.to_owned()).or_default() += 1;
        if let Some(refusal) = refusal {
            *counts.entry(format!("{operation} {}", refusal.code)).or_default() += 1;
        }
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        lock(&self.counts).clone()
    }

    /// A name for a request, in the form that the service has for it.
    pub(crate) fn next_request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", number >> 32, (number >> 16) & 0xffff, number & 0xffff, 0, 0)
    }
}
