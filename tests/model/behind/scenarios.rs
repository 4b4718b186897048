//! What is checked: the protocol as it is, and with each rule left out.

use super::*;
use crate::holds;

/// A row that changes, goes and comes back, beside one that only the copy brings.
fn behind(log: &[(usize, u8)]) -> Behind {
    Behind { initial: [1, 2], log: log.to_vec(), crashes: 0, takeovers: 0, losses: 0, broken: Broken::Nothing }
}

const SHORT: &[(usize, u8)] = &[(0, 3), (0, 4)];
const LONG: &[(usize, u8)] = &[(0, 3), (0, 0), (1, 4), (0, 5)];

fn crashing(log: &[(usize, u8)]) -> Behind {
    Behind { crashes: 1, ..behind(log) }
}

fn contested(log: &[(usize, u8)]) -> Behind {
    Behind { takeovers: 1, ..behind(log) }
}

fn losing(log: &[(usize, u8)]) -> Behind {
    Behind { losses: 1, ..behind(log) }
}

fn without(mut model: Behind, broken: Broken) -> Behind {
    model.broken = broken;
    model
}

#[test]
fn a_crash() {
    holds("behind: 4 transactions, a crash", crashing(LONG));
}

#[test]
#[ignore = "wide bounds, for an optimised build"]
fn two_crashes() {
    holds("behind: 2 transactions, two crashes", Behind { crashes: 2, ..behind(SHORT) });
}

#[test]
fn a_second_engine() {
    holds("behind: 2 transactions, a second engine", contested(SHORT));
}

#[test]
fn lost_answers() {
    holds("behind: 4 transactions, a lost answer", losing(LONG));
}

#[test]
fn lost_answers_and_a_crash() {
    holds("behind: 2 transactions, a lost answer, a crash", Behind { losses: 1, ..crashing(SHORT) });
}

#[test]
#[ignore = "wide bounds, for an optimised build"]
fn wide() {
    let all = Behind { losses: 1, crashes: 1, takeovers: 1, ..behind(SHORT) };
    holds("behind: 2 transactions, a lost answer, a crash, a second engine", all);
}

broken! {
    MarkBeforeRows: crashing(SHORT) => EXACT;
    DoneBeforeRows: crashing(SHORT) => EXACT;
    GateBeforeRows: behind(SHORT) => EXACT;
    NextWindowBeforeAnswers: behind(SHORT) => EXACT;
    StartsAtOnce: crashing(SHORT) => EXACT;
    RetriesAtOnce: losing(SHORT) => EXACT;
    GoesOnWithoutClaim: contested(SHORT) => EXACT;
}
