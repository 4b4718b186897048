//! What is checked: the protocol as it is, and with each rule left out.

use super::*;
use crate::source::change;
use crate::{NEVER_STUCK, holds};

/// Two rows in two chunks and two lanes: inserts, updates, deletes and rows that change their key.
fn plain(length: usize) -> Keyed {
    let menu = vec![
        vec![change(0, 1, 2)],
        vec![change(0, 2, 1)],
        vec![change(0, 1, 0)],
        vec![change(0, 0, 2)],
        vec![change(1, 0, 1)],
        vec![change(1, 1, 2)],
        vec![change(1, 2, 0)],
        vec![change(0, 1, 0), change(1, 0, 1)],
        vec![change(1, 1, 0), change(0, 0, 1)],
        vec![change(0, 2, 1), change(1, 1, 2)],
    ];
    let workload = Workload { initial: [1, 0, 0], menu, length, lag: false, unordered: false, unique: false };
    Keyed {
        workload,
        chunks: vec![0b01, 0b10],
        crashes: 0,
        takeovers: 0,
        overflows: 0,
        others_behind: false,
        locking_read: false,
        in_batches: false,
        idle_advance: false,
        start_from_published: false,
        split: false,
        broken: Broken::Nothing,
    }
}

/// Two rows with a second unique key: values are swapped, moved from row to row in one transaction and in two,
/// freed and taken again; another column changes without it.
fn unique_key(length: usize) -> Keyed {
    let menu = vec![
        vec![change(0, 1, 3), change(1, 2, 1), change(0, 3, 2)],
        vec![change(0, 1, 0), change(1, 2, 1)],
        vec![change(0, 1, 3)],
        vec![change(0, 3, 1)],
        vec![change(0, 1, 5)],
        vec![change(0, 0, 2)],
        vec![change(0, 2, 0), change(1, 1, 2)],
        vec![change(1, 2, 1)],
        vec![change(1, 2, 0)],
        vec![change(1, 0, 1)],
        vec![change(1, 1, 2)],
        vec![change(0, 3, 0), change(1, 2, 3)],
    ];
    let mut model = plain(length);
    model.workload = Workload { initial: [1, 2, 0], menu, length, lag: false, unordered: false, unique: true };
    model
}

/// One chunk, destination transactions that stay open, and a second engine.
fn contested(length: usize) -> Keyed {
    let mut model = unique_key(length);
    model.chunks = vec![0b11];
    model.takeovers = 1;
    model.split = true;
    model
}

fn without(mut model: Keyed, broken: Broken) -> Keyed {
    model.broken = broken;
    model
}

/// Visible and listed are two moments.
fn lagging(mut model: Keyed) -> Keyed {
    model.workload.lag = true;
    model
}

/// A crash, after which the log is read again from anywhere behind.
fn crashing(model: Keyed) -> Keyed {
    Keyed { crashes: 1, others_behind: true, ..model }
}

/// A chunk's drop set finds no room.
fn crowded(model: Keyed) -> Keyed {
    Keyed { overflows: 1, ..model }
}

/// A source without GTID.
fn without_gtid(model: Keyed) -> Keyed {
    Keyed { locking_read: true, start_from_published: true, ..model }
}

/// `binlog_order_commits=OFF`.
fn unordered(mut model: Keyed) -> Keyed {
    model.workload.unordered = true;
    model
}

/// Some transactions end with ROLLBACK in the log.
fn rolling_back(mut model: Keyed) -> Keyed {
    model.workload.menu.push(vec![change(0, 1, 1)]);
    model.workload.menu.push(vec![change(1, 1, 1)]);
    model
}

fn one_chunk(model: Keyed) -> Keyed {
    Keyed { chunks: vec![0b11], ..model }
}

#[test]
fn chunks_and_lanes() {
    holds("plain: 3 transactions, some rolled back, one chunk", rolling_back(one_chunk(plain(3))));
}

#[test]
fn crash() {
    holds("plain: 2 transactions, a crash", crashing(plain(2)));
    holds("plain: 2 transactions, one chunk, a crash, idle lanes", Keyed { idle_advance: true, ..crashing(one_chunk(plain(2))) });
}

#[test]
fn no_room_for_a_drop_set() {
    holds("plain: 2 transactions, some rolled back, no room for a drop set", crowded(rolling_back(plain(2))));
    holds("plain: 2 transactions, one chunk, a crash, no room", crowded(crashing(one_chunk(plain(2)))));
    holds("unique: 2 transactions, no room", crowded(unique_key(2)));
}

#[test]
fn visible_out_of_order() {
    holds("plain: 2 transactions, visible and listed out of order", unordered(lagging(plain(2))));
}

#[test]
fn started_at_the_end_of_the_log() {
    let start = |model| Keyed { start_from_published: true, ..model };
    holds("plain: 2 transactions, S is the log's end", start(unordered(lagging(plain(2)))));
}

#[test]
fn source_without_gtid() {
    holds("plain: 2 transactions, one chunk, locking reads, a crash", without_gtid(crashing(one_chunk(plain(2)))));
    holds("unique: 2 transactions, locking reads, a crash", without_gtid(crashing(unique_key(2))));
}

#[test]
fn second_unique_key() {
    holds("unique: 3 transactions", unique_key(3));
    holds("unique: 2 transactions, listed later, a crash", lagging(crashing(unique_key(2))));
}

#[test]
fn large_transactions() {
    holds("unique: 2 transactions, row by row, a crash", Keyed { in_batches: true, ..crashing(unique_key(2)) });
}

#[test]
fn a_second_engine() {
    holds("unique: 2 transactions, a second engine", contested(2));
}

#[test]
#[ignore = "wide bounds, for an optimised build"]
fn wide_plain() {
    holds("plain: 3 transactions", plain(3));
    holds("plain: 3 transactions, a crash", crashing(plain(3)));
}

#[test]
#[ignore = "wide bounds, for an optimised build"]
fn wide_unique_key() {
    holds("unique: 3 transactions, two crashes", Keyed { crashes: 2, ..crashing(unique_key(3)) });
}

#[test]
#[ignore = "wide bounds, for an optimised build"]
fn wide_without_gtid() {
    holds("unique: 3 transactions, locking reads, a crash", without_gtid(crashing(unique_key(3))));
}

#[test]
#[ignore = "wide bounds, for an optimised build"]
fn wide_contested() {
    holds("unique: 1 transaction, a second engine, two chunks", Keyed { chunks: vec![0b01, 0b10], ..contested(1) });
}

broken! {
    DropSetAfterSelect: plain(2) => EXACT;
    DropSetOfAfterImages: plain(2) => EXACT;
    DropSetWithoutSkipped: crashing(plain(2)) => EXACT;
    RegisteredInsideTransaction: plain(2) => EXACT;
    HandedOverInsideTransaction: unique_key(2) => NEVER_STUCK;
    RolledBackKeptInDropSet: rolling_back(one_chunk(plain(2))) => EXACT;
    WrittenWithoutRoom: crowded(plain(2)) => EXACT;
    NoVisibilityWait: plain(2) => EXACT;
    EndBeforeSelect: unique_key(2) => NO_COLLISION;
    EndFromExecuted: lagging(unique_key(2)) => NO_COLLISION;
    NoEnd: crashing(plain(2)) => EXACT;
    NoGate: plain(2) => EXACT;
    NoDrain: unique_key(2) => NO_COLLISION;
    DoneBeforeRows: crashing(plain(2)) => EXACT;
    NoDeleteFirst: unique_key(2) => NO_COLLISION;
    PositionApart: crashing(unique_key(2)) => NO_COLLISION;
    AdvancedPastQueue: Keyed { idle_advance: true, ..crashing(one_chunk(plain(2))) } => EXACT;
    StartWithHole: unordered(lagging(plain(2))) => EXACT;
    NoEpochCheck: contested(2) => FENCED;
    CheckWithoutLock: contested(2) => FENCED;
    ReadBeforeRaise: contested(2) => NO_COLLISION;
}
