//! Speed of the row decoder, without a server: `cargo bench --bench binlog_decode`.
//!
//! Ten columns, 152 bytes. The floor beside it is one copy of the same bytes into a new allocation.

use std::hint::black_box;
use std::time::Instant;

use godwit::engine::binlog::{Decoder, Event, HEADER_LENGTH, RawEvent, RowDecoder};
use godwit::model::definition::{Column, Generated, Kind, TableDefinition};

const ROWS: usize = 50_000;
const ROUNDS: usize = 20;

fn event(event_type: u8, body: &[u8]) -> RawEvent<'_> {
    RawEvent {
        timestamp: 1,
        event_type,
        server_id: 1,
        event_size: (body.len() + HEADER_LENGTH) as u32,
        log_pos: 0,
        flags: 0,
        body,
    }
}

fn definition(kinds: &[Kind]) -> TableDefinition {
    let column = |(i, kind): (usize, &Kind)| Column {
        name: format!("c{i}"),
        column_type: String::new(),
        kind: kind.clone(),
        character_set: None,
        collation: None,
        nullable: true,
        generated: Generated::No,
        invisible: false,
        auto_increment: false,
    };
    TableDefinition {
        database: "d".into(),
        table: "t".into(),
        engine: "InnoDB".into(),
        columns: kinds.iter().enumerate().map(column).collect(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        create_statement: String::new(),
        estimated_rows: 0,
        average_row_bytes: 0,
        unread: Vec::new(),
    }
}

/// The table map's body, and a row event's body with the length of its head.
fn bodies() -> (Vec<u8>, Vec<u8>, usize) {
    let mut map = vec![5, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 10];
    map.extend([8, 3, 15, 15, 246, 18, 17, 1, 5, 254]);
    map.extend([11, 40, 0, 200, 0, 12, 2, 6, 0, 8, 254, 40, 0xff, 0xff]);
    let mut rows = vec![5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 10, 0xff, 0xff];
    let head = rows.len();
    for i in 0..ROWS as u64 {
        rows.extend([0, 0]);
        rows.extend((i * 7919).to_le_bytes());
        rows.extend((i as i32 - 25_000).to_le_bytes());
        rows.extend([24]);
        rows.extend(b"customer-name-0123456789");
        rows.extend([60]);
        rows.extend([b'x'; 60]);
        rows.extend([0x80, 0, 0x01, 0x86, 0xa0, (i % 100) as u8]);
        rows.extend([0x99, 0xb2, 0x5c, 0xc8, 0xb8, 0x01, 0xe2, 0x40]);
        rows.extend((1_700_000_000 + i as u32).to_be_bytes());
        rows.extend([(i % 200) as u8]);
        rows.extend((i as f64 * 1.25 + 0.1).to_le_bytes());
        rows.extend([10]);
        rows.extend(b"0123456789");
    }
    (map, rows, head)
}

fn nanoseconds_a_row(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64 / (ROWS * ROUNDS) as f64
}

fn measure(
    name: &str,
    map: &[u8],
    rows: &[u8],
    definition: &TableDefinition,
    selected: &[usize],
) -> godwit::model::error::Result<()> {
    let start = Instant::now();
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let mut decoder = Decoder::new();
        decoder.decode(&event(19, map))?;
        let Event::Rows(event) = decoder.decode(&event(30, rows))? else { continue };
        let row_decoder = RowDecoder::new(definition, &event.table, &[], selected)?;
        row_decoder.decode_rows(&event, &mut |_, after| {
            bytes += after.as_ref().map_or(0, |row| row.size());
            black_box(after);
            Ok(())
        })?;
    }
    println!("{name:26} {:7.0} ns/row, {} bytes/row out", nanoseconds_a_row(start), bytes / ROWS / ROUNDS);
    Ok(())
}

fn main() -> godwit::model::error::Result<()> {
    let kinds = [
        Kind::BigInt { unsigned: true },
        Kind::Int { unsigned: false },
        Kind::Varchar,
        Kind::Varchar,
        Kind::Decimal { precision: 12, scale: 2 },
        Kind::DateTime { fsp: 6 },
        Kind::Timestamp { fsp: 0 },
        Kind::TinyInt { unsigned: false },
        Kind::Double,
        Kind::Char,
    ];
    let definition = definition(&kinds);
    let (map, rows, head) = bodies();
    measure("all columns", &map, &rows, &definition, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])?;
    measure("all, in another order", &map, &rows, &definition, &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0])?;
    measure("all but the double", &map, &rows, &definition, &[0, 1, 2, 3, 4, 5, 6, 7, 9])?;
    measure("the key only", &map, &rows, &definition, &[0])?;
    let start = Instant::now();
    let length = (rows.len() - head) / ROWS;
    for _ in 0..ROUNDS {
        for row in rows.get(head..).unwrap_or_default().chunks_exact(length) {
            black_box(row.to_vec());
        }
    }
    println!("{:26} {:7.0} ns/row, {length} bytes/row in", "one copy of the row", nanoseconds_a_row(start));
    Ok(())
}
