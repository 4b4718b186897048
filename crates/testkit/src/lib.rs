//! What tests of several members need. It knows none of them: a server is asked by what any client can say.
#![deny(unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "for tests")]

pub mod lab;
