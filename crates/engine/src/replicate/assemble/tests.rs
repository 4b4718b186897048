//! XA transactions that are kept, and those that are read again.

use std::collections::HashSet;

use super::*;
use crate::binlog::{Decoder, Event, HEADER_LENGTH, MariaStart, QuerySession, RawEvent};
use crate::fixture::{column, definition, plan_of, table_plan};
use crate::plan::mapping::NameRules;
use crate::plan::select::Selection;
use crate::progress::Progress;
use godwit_api::{MigrationTaskSpec, NameCase};
use godwit_model::definition::{Column, Kind};
use godwit_model::error::Class;
use godwit_model::position::{GtidPosition, TransactionId};

const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

/// d.t (a MEDIUMINT PRIMARY KEY, b LONGBLOB).
fn plan() -> Plan {
    let nullable = |name: &str, kind| Column { nullable: true, ..column(name, kind) };
    let columns = vec![nullable("a", Kind::MediumInt { unsigned: false }), nullable("b", Kind::Blob)];
    plan_of(table_plan(definition("d", "t", columns)))
}

/// A log that is written and read at once.
struct Log {
    assembler: Assembler,
    decoder: Decoder,
    offset: u64,
}

fn start(number: u64) -> TransactionStart {
    TransactionStart::named(TransactionId::MySql(format!("{UUID}:{number}").parse().unwrap()))
}

fn up_to(number: u64) -> Position {
    let gtid = GtidPosition::MySql(format!("{UUID}:1-{number}").parse().unwrap());
    Position { gtid, ..Position::at("b.000001", 4) }
}

impl Log {
    /// Of XA transactions `limit` bytes are kept; the table's rows hold everything in `valid_from`.
    fn new(limit: usize, valid_from: Option<Position>) -> Self {
        let text =
            "source: {mysql: {host: s, username: u}}\ndestination: {mysql: {host: d, username: u}}\nobjects: [{database: d}]";
        let spec: MigrationTaskSpec = serde_saphyr::from_str(text).unwrap();
        let names = NameRules { source: 0, destination: 0, policy: NameCase::Default };
        let guard = Guard::new(Selection::new(&spec, names).unwrap(), Progress::new("s".into(), "d".into()), HashSet::new());
        let valid_from = valid_from.into_iter().map(|position| (0, position)).collect();
        let cascades = Arc::new(Cascades::none());
        let mut assembler = Assembler::new(Arc::new(plan()), guard, cascades, up_to(1), up_to(1), valid_from, 0);
        assembler.undecided.limit = limit;
        Self { assembler, decoder: Decoder::new(), offset: 1000 }
    }

    /// The next place.
    fn next(&mut self) -> u64 {
        self.offset += 100;
        self.offset
    }

    fn begin(&mut self, start: TransactionStart) -> u64 {
        let offset = self.next();
        self.assembler.begin(start, "b.000001", offset, 7).unwrap();
        offset
    }

    fn query(&mut self, sql: &str) -> Outcome {
        let offset = self.next();
        let query = Query {
            thread_id: 1,
            execution_seconds: 0,
            error_code: 0,
            database: "d".into(),
            sql: sql.as_bytes().into(),
            session: QuerySession::default(),
            thread_specific: false,
            second_reading: None,
        };
        self.assembler.query(&query, &LexMode::default(), "b.000001", offset).unwrap()
    }

    /// A row of `size` bytes.
    fn row(&mut self, table_id: u8, key: u8, size: usize) -> Outcome {
        let mut row = vec![0, key, 0, 0];
        row.extend((size as u32).to_le_bytes());
        row.extend(std::iter::repeat_n(key, size));
        let mut outcomes = self.rows(table_id, &row);
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    /// An event of these rows.
    fn rows(&mut self, table_id: u8, rows: &[u8]) -> Vec<Outcome> {
        let map = [table_id, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 2, 9, 252, 1, 4, 0b11];
        let mut body = vec![table_id, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 0b11];
        body.extend(rows);
        let event = |event_type, body| RawEvent {
            timestamp: 7,
            event_type,
            server_id: 1,
            event_size: HEADER_LENGTH as u32,
            log_pos: 0,
            flags: 0,
            body,
        };
        let Event::TableMap(map) = self.decoder.decode(&event(19, &map)).unwrap() else { panic!() };
        self.assembler.table_map(&map).unwrap();
        let Event::Rows(mut rows) = self.decoder.decode(&event(30, &body)).unwrap() else { panic!() };
        let mut outcomes = Vec::new();
        loop {
            outcomes.push(self.assembler.rows(&mut rows).unwrap());
            if rows.is_read() || !matches!(outcomes.last(), Some(Outcome::Part(_))) {
                return outcomes;
            }
        }
    }

    /// XA START to XA PREPARE of `keys`, a row of 1000 bytes each; where it begins.
    fn prepare(&mut self, number: u64, xid: &str, keys: std::ops::Range<u8>) -> u64 {
        let place = self.begin(start(number));
        self.query(&format!("XA START '{xid}'"));
        for key in keys {
            assert!(matches!(self.row(5, key, 1000), Outcome::Open));
        }
        self.query(&format!("XA END '{xid}'"));
        let offset = self.next();
        let xid = crate::logged::xid_key(xid.as_bytes(), b"", 1);
        let outcome = self.assembler.xa_prepare(&xid, false, "b.000001", offset).unwrap();
        assert!(keys_of(outcome).is_empty());
        place
    }

    fn commit(&mut self, number: u64, xid: &str) -> Outcome {
        self.begin(start(number));
        self.query(&format!("XA COMMIT '{xid}'"))
    }

    /// What was prepared at `place` is read again, from a stream in which the table has another id.
    fn read_again(&mut self, number: u64, place: u64, keys: &[u8]) -> Outcome {
        self.assembler.forget_tables();
        self.assembler.begin(start(number), "b.000001", place, 7).unwrap();
        self.query("XA START 'any'");
        for key in keys {
            assert!(matches!(self.row(9, *key, 1000), Outcome::Open));
        }
        assert!(!self.assembler.has_read_again());
        self.query("XA PREPARE 'any'");
        assert!(self.assembler.has_read_again());
        self.assembler.end_again().unwrap()
    }
}

/// Keys of the rows with which a transaction ends.
#[track_caller]
fn keys_of(outcome: Outcome) -> Vec<u8> {
    let Outcome::End { changes, .. } = outcome else { panic!("{outcome:?}") };
    let key =
        |change: &Change| std::str::from_utf8(change.key().unwrap().cells().next().unwrap().unwrap()).unwrap().parse().unwrap();
    changes.iter().map(key).collect()
}

#[test]
fn what_is_kept_comes_with_its_commit() {
    let mut log = Log::new(1 << 20, None);
    log.prepare(2, "x", 1..4);
    assert_eq!(log.assembler.replay_from().as_deref().map(|from| from.gtid.to_string()), Some(format!("{UUID}:1")));
    assert_eq!(keys_of(log.commit(3, "x")), [1, 2, 3]);
    assert_eq!(log.assembler.replay_from(), None);
}

#[test]
fn the_largest_are_read_again() {
    let mut log = Log::new(10_000, None);
    let large = log.prepare(2, "large", 1..9);
    // Finds room because the larger one gives way.
    log.prepare(3, "small", 10..13);
    // Finds none: nothing is larger.
    let largest = log.prepare(4, "largest", 20..34);
    assert_eq!(keys_of(log.commit(5, "small")), [10, 11, 12]);
    let Outcome::Again(group) = log.commit(6, "large") else { panic!() };
    assert_eq!((group.offset, group.start.id.clone()), (large, start(2).id));
    // In the middle of it a restart would need the log from the beginning of both, as recorded before.
    let Outcome::End { changes, end, group, .. } = log.read_again(2, large, &[1, 2, 3, 4, 5, 6, 7, 8]) else { panic!() };
    assert_eq!((changes.len(), group.start.id.clone()), (8, start(6).id), "they are the commit's");
    assert!(end.position.gtid.contains(&start(6).id) == Some(true));
    assert_eq!(end.replay_from.unwrap().gtid.to_string(), format!("{UUID}:1-3"), "the one that is left");
    // The ids of tables mean what they meant.
    log.begin(start(7));
    assert!(matches!(log.row(5, 99, 10), Outcome::Open));
    let offset = log.next();
    assert_eq!(keys_of(log.assembler.commit("b.000001", offset).unwrap()), [99]);
    assert!(matches!(log.commit(8, "largest"), Outcome::Again(group) if group.offset == largest));
}

#[test]
fn one_phase_is_read_again_too() {
    let mut log = Log::new(5000, None);
    let place = log.begin(start(2));
    log.query("XA START 'x'");
    (0..20).for_each(|key| assert!(matches!(log.row(5, key, 1000), Outcome::Open)));
    log.query("XA END 'x'");
    let offset = log.next();
    let outcome = log.assembler.xa_prepare("any", true, "b.000001", offset).unwrap();
    assert!(matches!(outcome, Outcome::Again(group) if group.offset == place));
    assert_eq!(keys_of(log.read_again(2, place, &[0, 1, 2])), [0, 1, 2]);
    assert_eq!(log.assembler.position().offset, offset);
}

#[test]
fn what_was_rolled_back_stays_away() {
    let mut log = Log::new(5000, None);
    let place = log.begin(start(2));
    log.query("XA START 'x'");
    log.row(5, 0, 1000);
    log.query("SAVEPOINT s");
    (1..9).for_each(|key| drop(log.row(5, key, 1000)));
    log.query("ROLLBACK TO s");
    log.row(5, 9, 1000);
    log.query("SAVEPOINT s");
    log.row(5, 10, 1000);
    log.query("ROLLBACK TO s");
    let offset = log.next();
    assert!(matches!(log.assembler.xa_prepare("any", true, "b.000001", offset).unwrap(), Outcome::Again(_)));
    assert_eq!(keys_of(log.read_again(2, place, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])), [0, 9]);
}

/// Rows in memory are far larger than in the log: an event of many is handed on in parts, each as large as any other part.
#[test]
fn an_event_of_many_rows_comes_in_parts() {
    let count = 400_000usize;
    let rows: Vec<u8> = (0..count as u32).flat_map(|n| [0, n as u8, (n >> 8) as u8, (n >> 16) as u8, 0, 0, 0, 0]).collect();
    let mut log = Log::new(64 << 20, None);
    log.begin(start(2));
    let mut found = 0;
    let outcomes = log.rows(5, &rows);
    assert!(outcomes.len() > 3, "{}", outcomes.len());
    for outcome in outcomes {
        if let Outcome::Part(changes) = outcome {
            let bytes: usize = changes.iter().map(Change::size).sum();
            assert!(bytes < LogBudget::default().part_bytes + 1000, "{bytes}");
            found += changes.len();
        }
    }
    let offset = log.next();
    assert_eq!(found + keys_left(log.assembler.commit("b.000001", offset).unwrap()), count);
    // Of an XA transaction, what finds no room is not even decoded to its end.
    let mut log = Log::new(1 << 20, None);
    log.begin(start(2));
    log.query("XA START 'x'");
    assert!(log.rows(5, &rows[..8 * 100_000]).iter().all(|outcome| matches!(outcome, Outcome::Open)));
    assert!(log.assembler.open().unwrap().changes.is_empty());
}

fn keys_left(outcome: Outcome) -> usize {
    let Outcome::End { changes, .. } = outcome else { panic!("{outcome:?}") };
    changes.len()
}

/// Tables that are opened anew again and again have ever new ids.
#[test]
fn table_ids_are_forgotten_between_statements() {
    let mut log = Log::new(1 << 20, None);
    for number in 2..30 {
        log.begin(start(number));
        for id in 0..255 {
            assert!(matches!(log.row(id, 1, 10), Outcome::Open));
            // Statements of one transaction, too.
            log.assembler.tables.limit_ids = 100;
            assert!(log.assembler.tables.count() <= 101);
        }
        let offset = log.next();
        assert_eq!(keys_left(log.assembler.commit("b.000001", offset).unwrap()), 255);
    }
}

#[test]
fn savepoints_are_forgotten_when_they_are_many() {
    let mut log = Log::new(1 << 20, None);
    log.begin(start(2));
    log.row(5, 1, 10);
    (0..17_000).for_each(|number| drop(log.query(&format!("SAVEPOINT s{number}"))));
    assert!(log.assembler.open().unwrap().savepoints.len() <= 16_384);
    log.row(5, 2, 10);
    log.query("ROLLBACK TO s16999");
    let offset = log.next();
    assert_eq!(keys_of(log.assembler.commit("b.000001", offset).unwrap()), [1]);
}

#[test]
fn what_is_rolled_back_of_a_transaction_is_kept_in_few_stretches() {
    let mut group = Group::new(start(2), 7, "b.000001", 4);
    for range in [3..5, 7..9, 9..12, 6..14, 20..20, 21..22] {
        group.take_back(range).unwrap();
    }
    let again = |rows: std::ops::Range<u64>| rows.filter(|row| group.is_taken_back(*row)).collect::<Vec<_>>();
    assert_eq!(again(0..30), [3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 21]);
    let result = (0..20_000u64).try_for_each(|number| group.take_back(100 + 3 * number..101 + 3 * number));
    assert!(result.unwrap_err().to_string().contains("more than 16384 times"));
}

#[test]
fn a_position_that_grows_with_every_transaction_stops_the_task() {
    let mut log = Log::new(5000, None);
    // A transaction of each of as many servers.
    let mut uuids: Vec<String> = (0..65_540u32).map(|number| format!("{number:08x}-0000-0000-0000-000000000000:1")).collect();
    let last = uuids.split_off(65_530);
    log.assembler.position.gtid = GtidPosition::MySql(uuids.join(",").parse().unwrap());
    let error = last.into_iter().find_map(|name| {
        log.begin(TransactionStart::named(TransactionId::MySql(name.parse().unwrap())));
        let offset = log.next();
        log.assembler.commit("b.000001", offset).err()
    });
    let error = error.unwrap();
    assert!(!error.is_retryable() && error.to_string().contains("more than 65536 parts"), "{error}");
}

#[test]
fn another_server_has_another_transaction_there() {
    let mut log = Log::new(5000, None);
    let place = log.prepare(2, "x", 0..20);
    assert!(matches!(log.commit(3, "x"), Outcome::Again(_)));
    let wrong = [(start(9), place, 7), (start(2), place + 1, 7), (start(2), place, 8)];
    for (start, offset, timestamp) in wrong {
        let error = log.assembler.begin(start, "b.000001", offset, timestamp).unwrap_err();
        assert_eq!(error.class(), Class::Connection, "{error}");
    }
    log.assembler.begin(start(2), "b.000001", place, 7).unwrap();
    assert!(log.assembler.begin(start(2), "b.000001", place, 7).is_err(), "it has no end");
}

#[test]
fn a_rollback_reads_nothing_again() {
    let mut log = Log::new(5000, None);
    log.prepare(2, "x", 0..20);
    log.begin(start(3));
    assert!(keys_of(log.query("XA ROLLBACK 'x'")).is_empty());
    assert_eq!(log.assembler.replay_from(), None);
}

#[test]
fn a_table_holds_what_was_committed_before_its_snapshot() {
    for (valid_from, expected) in [(2, vec![0, 1]), (3, vec![])] {
        let mut log = Log::new(1000, Some(up_to(valid_from)));
        let place = log.prepare(2, "x", 0..2);
        assert!(matches!(log.commit(3, "x"), Outcome::Again(_)));
        assert_eq!(keys_of(log.read_again(2, place, &[0, 1])), expected, "{valid_from}");
    }
}

#[test]
fn mariadb_says_at_the_beginning_that_it_will_be_prepared() {
    let mut log = Log::new(64 << 20, None);
    let maria = MariaStart {
        standalone: false,
        transactional: true,
        ddl: false,
        commit_id: None,
        prepares: Some("X'78',X'',1".into()),
        completes: None,
        alter_phase: None,
    };
    log.begin(TransactionStart { maria: Some(maria), ..start(2) });
    for key in 0..20 {
        assert!(matches!(log.row(5, key, 1 << 20), Outcome::Open), "nothing is handed on before it is decided");
    }
    let offset = log.next();
    assert!(keys_of(log.assembler.xa_prepare("X'78',X'',1", false, "b.000001", offset).unwrap()).is_empty());
    assert_eq!(keys_of(log.commit(3, "x")).len(), 20);
}
