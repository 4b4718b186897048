//! The dump against a scripted server.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::event::EventReader;
use super::packet::{FULL_PACKET, Packets};
use super::{Dump, LogEvent};
use crate::binlog::{HEADER_LENGTH, code};
use godwit_model::error::{Class, Error};

const PATIENCE: Duration = Duration::from_millis(200);

/// A dump, and the server's end of its connection.
fn dump(pipe: usize) -> (Dump, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(pipe);
    let packets = Packets::new(Box::new(ours) as Box<dyn super::Socket>, PATIENCE);
    (Dump { packets, events: EventReader::default(), idle: false }, theirs)
}

/// An event of this size, whose header says `said`.
fn sent(event_type: u8, size: usize, said: usize) -> Vec<u8> {
    let mut bytes = vec![1, 0, 0, 0, event_type, 7, 0, 0, 0];
    bytes.extend((said as u32).to_le_bytes());
    bytes.extend([0, 1, 0, 0, 0, 0]);
    // Places are recognised, and a test of 100 MB takes no second.
    let pattern: Vec<u8> = (0..251).collect();
    while bytes.len() < size {
        bytes.extend_from_slice(&pattern[..pattern.len().min(size - bytes.len())]);
    }
    bytes
}

/// Packets as the server frames payloads, numbered on from `first`.
fn framed(payloads: &[Vec<u8>], first: u8) -> Vec<u8> {
    let (mut bytes, mut number) = (Vec::new(), first);
    for payload in payloads {
        let mut rest = payload.as_slice();
        loop {
            let (piece, behind) = rest.split_at(rest.len().min(FULL_PACKET));
            bytes.extend_from_slice(&(piece.len() as u32).to_le_bytes()[..3]);
            bytes.push(number);
            bytes.extend_from_slice(piece);
            number = number.wrapping_add(1);
            rest = behind;
            if piece.len() < FULL_PACKET {
                break;
            }
        }
    }
    bytes
}

fn with_ok(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.insert(0, 0);
    bytes
}

fn error_packet(code: u16, text: &str) -> Vec<u8> {
    [&[0xff], code.to_le_bytes().as_slice(), b"#HY000", text.as_bytes()].concat()
}

/// What the dump gives while the server sends this and closes.
async fn answers(bytes: Vec<u8>, pipe: usize) -> (Vec<LogEvent>, Result<(), Error>) {
    let (mut dump, mut server) = dump(pipe);
    let sending = tokio::spawn(async move {
        let _ = server.write_all(&bytes).await;
    });
    let mut events = Vec::new();
    let end = loop {
        match dump.next().await {
            Ok(Some(event)) => events.push(event),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(dump);
    sending.await.unwrap();
    (events, end)
}

const EOF: &[u8] = &[0xfe, 0, 0, 2, 0];

#[tokio::test]
async fn events_of_every_size_come_whole() {
    // Around the read buffer, around the greatest packet, and exactly as large as one and as two of them.
    let sizes = [HEADER_LENGTH, 20, 300, 50_000, (128 << 10) - 1, 128 << 10, (128 << 10) + 1, 300_000];
    let large = [FULL_PACKET - 2, FULL_PACKET - 1, FULL_PACKET, 2 * FULL_PACKET - 1, 2 * FULL_PACKET + 77];
    for pipe in [1 << 20, 100_003] {
        // A small one behind each: nothing is lost in between.
        let sizes: Vec<usize> = sizes.iter().chain(&large).flat_map(|size| [*size, 40]).collect();
        let mut payloads: Vec<Vec<u8>> = sizes.iter().map(|size| with_ok(sent(30, *size, *size))).collect();
        payloads.push(EOF.to_vec());
        let (events, end) = answers(framed(&payloads, 0), pipe).await;
        end.unwrap();
        assert_eq!(events.len(), sizes.len());
        for (event, size) in events.iter().zip(&sizes) {
            let raw = event.raw();
            assert_eq!((raw.event_type, raw.event_size as usize, raw.server_id, raw.log_pos), (30, *size, 7, 256));
            assert!(raw.body == &sent(30, *size, *size)[HEADER_LENGTH..], "{size}");
        }
    }
}

#[tokio::test]
async fn a_large_event_has_memory_of_its_own_size() {
    let size = FULL_PACKET + 1000;
    let payloads = [with_ok(sent(30, size, size)), EOF.to_vec()];
    let (ours, mut server) = tokio::io::duplex(1 << 20);
    let mut packets = Packets::new(ours, PATIENCE);
    tokio::spawn(async move { server.write_all(&framed(&payloads, 0)).await });
    let payload = packets.receive().await.unwrap();
    assert_eq!(payload.len(), size + 1);
    assert_eq!(payload.try_into_mut().unwrap().capacity(), size + 1);
}

#[tokio::test]
async fn many_small_events_pass_through_the_buffer() {
    let sizes: Vec<usize> = (0..20_000).map(|number| 19 + number % 977).collect();
    let mut payloads: Vec<Vec<u8>> = sizes.iter().map(|size| with_ok(sent(19, *size, *size))).collect();
    payloads.push(EOF.to_vec());
    // Kept, as a reader may, so that no part of the buffer can be used again under them.
    let (events, end) = answers(framed(&payloads, 0), 70_001).await;
    end.unwrap();
    assert!(events.iter().map(|event| event.raw().event_size as usize).eq(sizes));
    for event in events {
        let raw = event.raw();
        let size = raw.event_size as usize;
        assert!(raw.body == &sent(19, size, size)[HEADER_LENGTH..]);
    }
}

#[tokio::test]
async fn errors_of_the_server_have_their_class() {
    let first = with_ok(sent(30, 40, 40));
    let purged = framed(&[first.clone(), error_packet(1236, "Could not find first log file name")], 0);
    let (events, end) = answers(purged, 1 << 20).await;
    assert_eq!(events.len(), 1);
    let error = end.unwrap_err();
    assert_eq!(error.class(), Class::Definite);
    assert!(error.to_string().contains("where the task stands: Could not find first log file name; "), "{error}");
    let shutdown = framed(&[first, error_packet(1053, "Server shutdown in progress")], 0);
    let error = answers(shutdown, 1 << 20).await.1.unwrap_err();
    assert_eq!(error.class(), Class::Connection);
    assert!(error.to_string().starts_with("reading the source's binary log: "), "{error}");
}

/// The error that ends a dump of these bytes, behind one good event.
async fn refused(bytes: Vec<u8>) -> Error {
    let good = framed(&[with_ok(sent(30, 40, 40))], 0);
    let (events, end) = answers([good, bytes].concat(), 1 << 20).await;
    assert_eq!(events.len(), 1);
    end.unwrap_err()
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_a_lost_connection() {
    let large = framed(&[with_ok(sent(30, FULL_PACKET + 500_000, FULL_PACKET + 500_000))], 1);
    let small = framed(&[with_ok(sent(30, 400, 400))], 1);
    let full = 4 + FULL_PACKET;
    for cut in [0, 3, 4, 10, 200_000, full, full + 2, full + 4, large.len() - 1] {
        let error = refused(large[..cut].to_vec()).await;
        assert_eq!(error.class(), Class::Connection);
        assert!(error.to_string().contains("the server closed the connection"), "{cut}: {error}");
    }
    let error = refused(small[..small.len() - 1].to_vec()).await;
    assert_eq!(error.class(), Class::Connection);
}

#[tokio::test]
async fn sizes_that_contradict_each_other_are_refused() {
    let whole = FULL_PACKET + 5000;
    let cases = [
        // One packet, and a header that says more, less, and far less.
        (40, 41, "no event of that size"),
        (40, 39, "no event of that size"),
        (300_000, 300_001, "says that it has 300001 bytes, but 300000"),
        (300_000, 299_999, "says that it has 299999 bytes, but 300000"),
        (300_000, 20, "says that it has 20 bytes, but 300000"),
        // Two packets.
        (whole, whole + 1, "bytes, but"),
        (whole, whole - 1, "bytes, but"),
        (whole, FULL_PACKET - 1, "bytes, but"),
        // More than a server can send: no memory is asked for.
        (300_000, u32::MAX as usize, "more than a server can send"),
        (whole, (1 << 30) + (2 << 20), "more than a server can send"),
    ];
    for (size, said, sentence) in cases {
        let error = refused(framed(&[with_ok(sent(30, size, said))], 1)).await;
        assert_eq!(error.class(), Class::Connection);
        assert!(error.to_string().contains(sentence), "{size} {said}: {error}");
    }
    // A continuation that goes on and on.
    let mut endless = framed(&[with_ok(sent(30, 2 * FULL_PACKET, FULL_PACKET + 10))], 1);
    endless.extend(framed(&[vec![0; FULL_PACKET]], 3));
    assert!(refused(endless).await.to_string().contains("bytes, but"));
    // Large, and no event.
    assert!(refused(framed(&[vec![0xfe; 200_000]], 1)).await.to_string().contains("holds no event"));
    // No room for a header.
    assert!(refused(framed(&[with_ok(vec![1; HEADER_LENGTH - 1])], 1)).await.to_string().contains("no event"));
    assert!(refused(framed(&[Vec::new()], 1)).await.to_string().contains("Unexpected packet"));
    // The first bytes of EOF, but longer than it.
    assert!(refused(framed(&[vec![0xfe; 20]], 1)).await.to_string().contains("Unexpected packet"));
}

#[tokio::test]
async fn packets_come_in_order() {
    let error = refused(framed(&[with_ok(sent(30, 40, 40))], 2)).await;
    assert_eq!(error.class(), Class::Connection);
    assert!(error.to_string().contains("packet 2 came where packet 1 was due"), "{error}");
}

#[tokio::test]
async fn silence_is_a_lost_connection() {
    for head in [Vec::new(), framed(&[with_ok(sent(30, 300_000, 300_000))], 0)[..200_000].to_vec()] {
        let (mut dump, mut server) = dump(1 << 20);
        server.write_all(&head).await.unwrap();
        let error = dump.next().await.unwrap_err();
        assert_eq!(error.class(), Class::Connection);
        assert!(error.to_string().contains("the server sent nothing for"), "{error}");
    }
}

/// A FORMAT_DESCRIPTION of a server of this version, with its trailer.
fn format(version: &str, trailer: &[u8]) -> Vec<u8> {
    let size = HEADER_LENGTH + 2 + 50 + 4 + 1 + 40 + trailer.len();
    let mut bytes = sent(code::FORMAT_DESCRIPTION, HEADER_LENGTH, size);
    bytes.extend([4, 0]);
    bytes.extend(version.bytes().chain(std::iter::repeat(0)).take(50));
    bytes.extend([0; 45]);
    bytes.extend(trailer);
    bytes
}

fn checked(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 4;
    let checksum = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

#[tokio::test]
async fn checksums_are_checked_where_the_file_has_them() {
    let plain = || with_ok(sent(30, 60, 60));
    let crc = || with_ok(checked(sent(30, 60, 60)));
    let with = checked(format("8.0.36", &[1, 0, 0, 0, 0]));
    let without = format("8.0.36", &[0, 9, 9, 9, 9]);
    // A file with, a file without, a file of a server that did not know of them.
    let old = format("5.5.62-log", &[]);
    let payloads = [
        with_ok(with.clone()),
        crc(),
        with_ok(without),
        plain(),
        with_ok(with.clone()),
        crc(),
        with_ok(old),
        plain(),
        EOF.to_vec(),
    ];
    let (events, end) = answers(framed(&payloads, 0), 1 << 20).await;
    end.unwrap();
    let lengths: Vec<usize> = events.iter().map(|event| event.raw().body.len()).collect();
    assert_eq!(lengths, [97, 37, 97, 41, 97, 37, 97, 41]);

    let mut damaged = crc();
    damaged[30] ^= 1;
    let (_, end) = answers(framed(&[with_ok(with.clone()), damaged], 0), 1 << 20).await;
    let error = end.unwrap_err();
    assert_eq!(error.class(), Class::Connection);
    assert!(error.to_string().contains("CRC32"), "{error}");

    let tiny = with_ok(sent(30, HEADER_LENGTH + 3, HEADER_LENGTH + 3));
    let (_, end) = answers(framed(&[with_ok(with), tiny], 0), 1 << 20).await;
    assert!(end.unwrap_err().to_string().contains("no room for its checksum"));

    let unknown = format("9.9.0", &[2, 0, 0, 0, 0]);
    let error = answers(framed(&[with_ok(unknown)], 0), 1 << 20).await.1.unwrap_err();
    assert_eq!(error.class(), Class::Definite);
}

#[tokio::test]
async fn what_is_sent_is_framed_too() {
    for length in [0, 10, FULL_PACKET - 1, FULL_PACKET, FULL_PACKET + 1] {
        let payload = vec![7; length];
        let expected = framed(std::slice::from_ref(&payload), 0);
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let sending = tokio::spawn(async move { Packets::new(ours, Duration::from_secs(20)).send(&payload).await });
        let mut received = Vec::new();
        theirs.read_to_end(&mut received).await.unwrap();
        sending.await.unwrap().unwrap();
        assert!(received == expected, "{length}");
    }
}

#[tokio::test]
async fn nothing_may_come_before_encryption_begins() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let mut packets = Packets::new(ours, PATIENCE);
    theirs.write_all(&framed(&[vec![10; 50], vec![0; 7]], 0)).await.unwrap();
    packets.receive().await.unwrap();
    let wrapped = packets.wrap(|socket| async { Ok::<_, std::io::Error>(socket) }).await;
    assert_eq!(wrapped.err().unwrap().kind(), std::io::ErrorKind::InvalidData);
}
