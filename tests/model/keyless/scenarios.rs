//! What is checked: the protocol as it is, and with each rule left out.

use super::*;
use crate::holds;
use crate::source::change;

/// Two equal rows at first; rows come, change and go; one transaction is on another table.
fn keyless(length: usize) -> Keyless {
    let menu = vec![
        vec![],
        vec![change(2, 0, 1)],
        vec![change(0, 1, 0)],
        vec![change(0, 1, 2)],
        vec![change(0, 2, 1), change(1, 1, 2)],
        vec![change(1, 1, 0)],
    ];
    let workload = Workload { initial: [1, 1, 0], menu, length, lag: true, unordered: false, unique: false };
    Keyless { workload, crashes: 0, takeovers: 0, lost_connections: 0, locking_read: false, broken: Broken::Nothing }
}

fn crashing(length: usize) -> Keyless {
    Keyless { crashes: 1, lost_connections: 1, ..keyless(length) }
}

fn contested(length: usize) -> Keyless {
    Keyless { takeovers: 1, ..keyless(length) }
}

fn without(mut model: Keyless, broken: Broken) -> Keyless {
    model.broken = broken;
    model
}

#[test]
fn crashes_and_lost_connections() {
    holds("keyless: 3 transactions, a crash, a lost connection", crashing(3));
}

#[test]
fn a_second_engine() {
    holds("keyless: 2 transactions, a second engine, a lost connection", Keyless { lost_connections: 1, ..contested(2) });
}

#[test]
fn read_with_locks() {
    holds("keyless: 2 transactions, read with locks, a crash", Keyless { locking_read: true, ..crashing(2) });
}

#[test]
#[ignore = "wide bounds, for an optimised build"]
fn wide() {
    let all = Keyless { crashes: 2, lost_connections: 1, takeovers: 1, ..keyless(3) };
    holds("keyless: 3 transactions, two crashes, a lost connection, a second engine", all);
}

broken! {
    StartFromPublished: keyless(2) => ONCE;
    NoScan: keyless(2) => ONCE;
    ScanToExecuted: keyless(2) => ONCE;
    NotEmptied: crashing(2) => ONCE;
    EmptiedWithoutFence: contested(2) => ONCE;
    PositionApart: crashing(2) => ONCE;
    RetryWithoutPosition: crashing(2) => ONCE;
    NoEpochCheck: contested(2) => ONCE;
    CheckWithoutLock: contested(2) => ONCE;
    ReadBeforeRaise: contested(2) => ONCE;
    OtherLaneAfterRestart: crashing(2) => ONCE;
}
