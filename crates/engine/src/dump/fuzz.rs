//! Entry points of the fuzzers: what a server says at the login, and what it sends as its log.
//!
//! The password is never encrypted with a key of the server's here: the driver's crate panics on keys that are none, which the engine catches
//! and a fuzzer would take for a find.

use std::time::Duration;

use mysql_async::{Opts, OptsBuilder};
use mysql_common::constants::MariadbCapabilities;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Runtime;

use super::event::EventReader;
use super::login::{Client, Plain, PublicKey, Socket, authenticate, read_greeting, receive};
use super::packet::Packets;
use super::{Dump, explain};
use crate::binlog::Decoder;
use crate::sql::Failure;
use godwit_model::error::Error;
use godwit_model::plain;
use godwit_model::text::MOST;

/// Nothing is waited for: what the server says is there.
const PATIENCE: Duration = Duration::from_millis(20);

thread_local! {
    static RUNTIME: Option<Runtime> = tokio::runtime::Builder::new_current_thread().enable_time().build().ok();
}

/// What is told of it is short, and does nothing where it is printed.
fn told(error: &Error) {
    let text = error.to_string();
    assert!(text.len() <= MOST && plain::lines(&text) == text, "{text}");
}

/// The server's bytes: packets as a number, a length of two bytes and a payload, or (first byte 255) as they come.
fn sent(data: &[u8]) -> Vec<u8> {
    if let [255, rest @ ..] = data {
        return rest.to_vec();
    }
    let (mut bytes, mut rest) = (Vec::new(), data);
    while let [number, a, b, behind @ ..] = rest {
        let (payload, next) = behind.split_at(usize::from(u16::from_le_bytes([*a, *b])).min(behind.len()));
        bytes.extend_from_slice((payload.len() as u32).to_le_bytes().get(..3).unwrap_or_default());
        bytes.push(*number);
        bytes.extend_from_slice(payload);
        rest = next;
    }
    bytes
}

fn run<F: Future<Output = ()>>(data: &[u8], client: impl FnOnce(Packets<Box<dyn Socket>>) -> F) {
    let bytes = sent(data);
    RUNTIME.with(|runtime| {
        let Some(runtime) = runtime else { return };
        runtime.block_on(async {
            // Room for everything both say.
            let (ours, mut server) = tokio::io::duplex(bytes.len() + (1 << 20));
            if server.write_all(&bytes).await.is_err() || server.shutdown().await.is_err() {
                return;
            }
            client(Packets::new(Box::new(ours) as Box<dyn Socket>, PATIENCE)).await;
        });
    });
}

/// A login where somebody may stand between, or may not.
pub fn login(data: &[u8]) {
    let [settings, data @ ..] = data else { return };
    let plain = Plain { key: PublicKey::Refused, strict: settings & 1 == 0 };
    let opts: Opts = OptsBuilder::default().user(Some("u")).pass(Some("fuzzed-pass")).into();
    run(data, async |mut packets| {
        let logged_in = async {
            let greeting = receive(&mut packets).await?;
            let greeting = read_greeting(&greeting)?;
            let client =
                Client { capabilities: greeting.capabilities(), mariadb: MariadbCapabilities::empty(), largest_packet: 1 << 24 };
            authenticate(&mut packets, &greeting, &opts, &plain, client).await
        };
        if let Err(error) = logged_in.await {
            told(&Error::from(Failure::from(error)));
        }
    });
}

/// A log as it arrives, decoded.
pub fn dump(data: &[u8]) {
    run(data, async |mut packets| {
        packets.largest_event = 1 << 20;
        let mut dump = Dump { packets, events: EventReader::default(), idle: false };
        let mut decoder = Decoder::new().with_largest_event(1 << 20);
        loop {
            match dump.next().await {
                Ok(Some(event)) => {
                    if let Err(error) = decoder.decode(&event.raw()) {
                        told(&error);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    told(&error);
                    break;
                }
            }
        }
    });
    // What a server says instead of a log.
    if let [0xff, ..] = data {
        told(&explain(super::login::server_error(data)));
    }
}
