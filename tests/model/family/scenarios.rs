//! What is checked: the protocol as it is, and with each rule left out.

use super::source::{Event, LOWER, NULL, Unique, change, row};
use super::*;
use crate::holds;

use Event::{RootDeleted, RootInserted, RootMoved};

/// Two parents with a child each: parents go, come back and change their number, alone and with what takes the place of the
/// children that went; children change meanwhile.
fn children(length: usize) -> Family {
    let menu = vec![
        vec![RootDeleted(1)],
        vec![RootDeleted(2)],
        vec![RootInserted(1)],
        vec![RootMoved(1, 3)],
        vec![RootMoved(2, 1)],
        vec![RootDeleted(1), RootMoved(2, 1)],
        vec![RootDeleted(1), RootInserted(1), change(UPPER, 0, 0, row(1, 1))],
        vec![RootDeleted(1), change(UPPER, 1, row(2, 2), row(2, 1))],
        vec![change(UPPER, 1, row(2, 2), row(2, 1))],
        vec![change(UPPER, 1, row(2, 2), row(1, 2))],
        vec![change(UPPER, 0, 0, row(1, 1))],
        vec![change(UPPER, 0, row(1, 1), row(2, 1))],
        vec![change(UPPER, 0, row(1, 1), row(1, 3)), change(UPPER, 1, row(2, 2), row(2, 1)), RootDeleted(1)],
    ];
    let workload = Workload {
        root: 0b110,
        initial: [[row(1, 1), row(2, 2)], [0, 0]],
        menu,
        length,
        sets_null: false,
        unique: Unique::Nothing,
    };
    Family {
        workload,
        chunks: vec![(UPPER, 0b01), (UPPER, 0b10)],
        snapshots: Vec::new(),
        locks: false,
        crashes: 0,
        broken: Broken::Nothing,
    }
}

/// Rows that a cascade takes away, or gives another parent, make room for others on a second unique key.
fn unique_column(length: usize) -> Family {
    let mut model = children(length);
    model.workload.unique = Unique::Column;
    model
}

/// The foreign key is the second unique key itself.
fn unique_parent(length: usize) -> Family {
    let mut model = children(length);
    model.workload.unique = Unique::Parent;
    model.workload.menu.extend([
        vec![RootMoved(1, 3), RootMoved(2, 1), RootMoved(3, 2)],
        vec![RootMoved(1, 3), RootInserted(1), change(UPPER, 1, row(2, 2), row(1, 2))],
        vec![RootDeleted(1), RootInserted(1), change(UPPER, 1, row(2, 2), row(1, 2))],
    ]);
    model
}

/// ON DELETE SET NULL.
fn set_null(mut model: Family) -> Family {
    model.workload.sets_null = true;
    model.workload.menu.extend([
        vec![change(UPPER, 0, row(NULL, 1), row(2, 1))],
        vec![change(UPPER, 0, row(NULL, 1), 0)],
        vec![RootDeleted(1), RootInserted(1), change(UPPER, 1, row(2, 2), row(1, 2))],
    ]);
    model
}

/// A third level below: what a cascade comes through is copied before what it comes to.
fn grandchildren(length: usize) -> Family {
    let menu = vec![
        vec![RootDeleted(1)],
        vec![RootDeleted(1), RootInserted(1), change(UPPER, 0, 0, row(1, 1)), change(LOWER, 0, 0, row(1, 3))],
        vec![change(UPPER, 0, row(1, 1), 0)],
        vec![change(UPPER, 1, row(2, 2), row(1, 2))],
        vec![change(LOWER, 0, row(1, 1), row(2, 1))],
        vec![change(LOWER, 1, 0, row(1, 2))],
        vec![change(LOWER, 1, row(1, 2), 0)],
        vec![RootMoved(1, 3)],
    ];
    let workload = Workload {
        root: 0b110,
        initial: [[row(1, 1), row(2, 2)], [row(1, 1), 0]],
        menu,
        length,
        sets_null: false,
        unique: Unique::Nothing,
    };
    Family {
        workload,
        chunks: vec![(UPPER, 0b11), (LOWER, 0b11)],
        snapshots: Vec::new(),
        locks: false,
        crashes: 0,
        broken: Broken::Nothing,
    }
}

/// The children come from one snapshot.
fn from_snapshot(model: Family) -> Family {
    Family { chunks: Vec::new(), snapshots: vec![UPPER], ..model }
}

/// Both levels, each from a snapshot of its own.
fn from_snapshots(model: Family) -> Family {
    Family { chunks: Vec::new(), snapshots: vec![UPPER, LOWER], ..model }
}

/// The upper level from a snapshot, the lower one in a chunk.
fn below_snapshot(model: Family) -> Family {
    Family { chunks: vec![(LOWER, 0b11)], snapshots: vec![UPPER], ..model }
}

fn locked(model: Family) -> Family {
    Family { locks: true, ..model }
}

/// Each child in a chunk of its own, and fewer transactions to choose from.
fn two_chunks(mut model: Family) -> Family {
    let menu = &model.workload.menu;
    model.workload.menu = [0, 5, 6, 7, 9, 10].map(|place| menu[place].clone()).to_vec();
    model
}

fn one_chunk(model: Family) -> Family {
    Family { chunks: vec![(UPPER, 0b11)], ..model }
}

fn crashing(model: Family) -> Family {
    Family { crashes: 1, ..model }
}

fn without(mut model: Family, broken: Broken) -> Family {
    model.broken = broken;
    model
}

#[test]
fn one_level() {
    holds("unique children: 2 transactions, two chunks", two_chunks(unique_column(2)));
    holds("children: 2 transactions, one chunk, a crash", crashing(one_chunk(children(2))));
}

#[test]
fn freed_unique_values() {
    holds("unique children: 3 transactions, one chunk", one_chunk(unique_column(3)));
    holds("unique children: 2 transactions, one chunk, a crash", crashing(one_chunk(unique_column(2))));
}

#[test]
fn unique_foreign_key() {
    holds("unique foreign key: 3 transactions, one chunk", one_chunk(unique_parent(3)));
    holds("unique foreign key, SET NULL: 2 transactions, one chunk, a crash", crashing(one_chunk(set_null(unique_parent(2)))));
}

#[test]
fn two_levels() {
    holds("grandchildren: 2 transactions, a crash", crashing(grandchildren(2)));
}

#[test]
fn snapshots() {
    holds("children from a snapshot: 3 transactions", from_snapshot(children(3)));
    holds("children from a snapshot, SET NULL: 2 transactions, a crash", crashing(from_snapshot(set_null(children(2)))));
    holds("children from a locked snapshot: 3 transactions", locked(from_snapshot(children(3))));
    holds("grandchildren from snapshots: 3 transactions, a crash", crashing(from_snapshots(grandchildren(3))));
    holds("grandchildren from locked snapshots: 3 transactions", locked(from_snapshots(grandchildren(3))));
    holds("grandchildren below a snapshot: 2 transactions, a crash", crashing(below_snapshot(grandchildren(2))));
}

#[test]
#[ignore = "wide bounds, for an optimised build"]
fn wide_family() {
    holds("children: 2 transactions, a crash", crashing(children(2)));
    holds("unique children: 3 transactions, a crash", crashing(unique_column(3)));
    holds("unique foreign key: 3 transactions", unique_parent(3));
    holds("unique foreign key, SET NULL: 2 transactions, a crash", crashing(set_null(unique_parent(2))));
    holds("grandchildren: 3 transactions, a crash", crashing(grandchildren(3)));
    holds("grandchildren below a snapshot: 3 transactions, a crash", crashing(below_snapshot(grandchildren(3))));
}

broken! {
    LaneOfItsOwn: one_chunk(children(2)) => EXACT;
    NoCascades: one_chunk(children(2)) => EXACT;
    NoBarrier: one_chunk(unique_column(2)) => NO_COLLISION;
    CascadePassesGate: one_chunk(children(2)) => EXACT;
    ChunkBeforeLane: one_chunk(unique_column(2)) => NO_COLLISION;
    NotCarriedOutOnChunks: one_chunk(children(2)) => EXACT;
    MadeValuesNotReadAgain: one_chunk(children(2)) => EXACT;
    ChildrenTogetherWithParents: grandchildren(2) => EXACT;
    ChangesBeforeTheirTurn: grandchildren(2) => EXACT;
    RegisteredBehindPosition: crashing(one_chunk(children(2))) => EXACT;
    RegisteredBeforeSnapshot: below_snapshot(grandchildren(2)) => EXACT;
    ChangesBeforeSnapshotsAbove: below_snapshot(grandchildren(2)) => EXACT;
    SnapshotOfChildrenFirst: from_snapshots(grandchildren(2)) => EXACT;
    CarriedOutOnSnapshots: from_snapshot(children(2)) => EXACT;
    ChildAloneIsQuiet: from_snapshot(children(1)) => EXACT;
    ChildAloneIsLocked: locked(from_snapshot(children(1))) => EXACT;
}
