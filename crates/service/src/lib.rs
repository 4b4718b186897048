//! What a process of ours that answers HTTP has: answers within limits ([`serve`]) at an address ([`listen`]), and the [`handshake`] by which
//! operator and engine know each other.
#![deny(unreachable_pub)]

pub mod handshake;
pub mod listen;
pub mod serve;
