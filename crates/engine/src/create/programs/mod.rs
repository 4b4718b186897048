//! Stored programs at the destination: made in the schema phase, and triggers without their guard when the task has ended.
//!
//! Nothing of it is recorded beforehand. What stands there already is read and compared: a program that says what was meant is the task's own, made
//! before a crash; one that says something else is left alone and told. So every step may run twice, and what could not be made is tried again at
//! every start. A program that is refused stops nothing: it is named in status with the statement and the server's words.

mod accounts;
mod maker;
mod put_back;
mod session;

pub(crate) use accounts::{Accounts, accounts};
pub(crate) use maker::Programs;
pub(crate) use put_back::put_back;
pub(crate) use session::DefiningSession;
