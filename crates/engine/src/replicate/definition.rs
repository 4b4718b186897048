//! A definition statement on its way from the reader to whoever carries it out.

use std::sync::{Arc, Mutex};

use super::dispatch::{End, lock};
use crate::binlog::QuerySession;
use crate::logged::Ddl;

/// A statement of the log that changes what is migrated.
#[derive(Debug)]
pub(crate) struct Defined {
    pub ddl: Ddl,
    /// In UTF-8.
    pub text: String,
    pub session: QuerySession,
    /// Seconds since 1970.
    pub timestamp: u32,
    /// Behind it.
    pub end: End,
    /// The statement up to its first value, with its place.
    pub shown: String,
}

/// Where the reader leaves a statement when everything before it is applied; it reads no further then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pending(Arc<Mutex<Option<Box<Defined>>>>);

impl Pending {
    pub(crate) fn leave(&self, defined: Box<Defined>) {
        *lock(&self.0) = Some(defined);
    }

    pub(crate) fn take(&self) -> Option<Box<Defined>> {
        lock(&self.0).take()
    }
}
