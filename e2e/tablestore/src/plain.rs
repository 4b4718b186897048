//! PlainBuffer from the side of the service: it reads keys and changes of rows, and writes rows. Written apart from the client's codec; what holds
//! the two to the format are the official SDKs.

use crate::refusal::{Refusal, invalid};
use crate::store::{Cell, Change, Edit, Part};

const HEADER: [u8; 4] = [0x75, 0, 0, 0];

/// What one buffer of a request holds.
pub(crate) struct Sent {
    pub(crate) key: Vec<(String, Part)>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) deletes_row: bool,
}

/// CRC-8 with the polynomial 0x07.
fn crc(start: u8, bytes: &[u8]) -> u8 {
    const REST: [u8; 256] = {
        let mut rest = [0u8; 256];
        let mut byte = 0usize;
        while byte < 256 {
            let mut value = (byte as u16) << 8;
            let mut bit = 15;
            while bit >= 8 {
                if value & (1 << bit) != 0 {
                    value ^= 0x107 << (bit - 8);
                }
                bit -= 1;
            }
            rest[byte] = (value & 0xff) as u8;
            byte += 1;
        }
        rest
    };
    bytes.iter().fold(start, |crc, byte| REST[usize::from(crc ^ byte)])
}

/// Reads the one row of a buffer.
pub(crate) fn read(buffer: &[u8]) -> Result<Sent, Refusal> {
    let damaged = |what: &str| invalid(format!("Invalid plain buffer: {what}."));
    let mut from = Source { rest: buffer.strip_prefix(&HEADER).ok_or_else(|| damaged("header"))? };
    let mut checksums = 0;
    let (mut key, mut edits) = (Vec::new(), Vec::new());
    from.expect(1).ok_or_else(|| damaged("a row begins with its key"))?;
    while from.rest.first() == Some(&3) {
        let cell = from.cell().ok_or_else(|| damaged("cell of a key"))?;
        checksums = crc(checksums, &[cell.checksum]);
        let part = cell.value.and_then(as_part).ok_or_else(|| damaged("value of a key"))?;
        if cell.operation.is_some() || cell.timestamp.is_some() {
            return Err(damaged("a key has no versions"));
        }
        key.push((cell.name, part));
    }
    if from.rest.first() == Some(&2) {
        from.rest = &from.rest[1..];
        while from.rest.first() == Some(&3) {
            let cell = from.cell().ok_or_else(|| damaged("cell"))?;
            checksums = crc(checksums, &[cell.checksum]);
            edits.push(as_edit(cell).ok_or_else(|| damaged("value or operation of a cell"))?);
        }
    }
    let deletes_row = from.rest.first() == Some(&8);
    if deletes_row {
        from.rest = &from.rest[1..];
    }
    let expected = crc(checksums, &[u8::from(deletes_row)]);
    match from.rest {
        [9, checksum] if *checksum == expected => Ok(Sent { key, edits, deletes_row }),
        [9, _] => Err(damaged("checksum of the row")),
        _ => Err(damaged("end of the row")),
    }
}

struct RawCell<'a> {
    name: String,
    value: Option<(u8, &'a [u8])>,
    operation: Option<u8>,
    timestamp: Option<i64>,
    checksum: u8,
}

struct Source<'a> {
    rest: &'a [u8],
}

impl<'a> Source<'a> {
    fn expect(&mut self, tag: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[tag])?;
        Some(())
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).ok()?;
        let (content, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(content)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    fn cell(&mut self) -> Option<RawCell<'a>> {
        self.expect(3)?;
        self.expect(4)?;
        let name = self.sized()?;
        let mut checksum = crc(0, name);
        let mut cell =
            RawCell { name: String::from_utf8(name.to_vec()).ok()?, value: None, operation: None, timestamp: None, checksum: 0 };
        if self.expect(5).is_some() {
            let content = self.sized()?;
            checksum = crc(checksum, content);
            let (kind, content) = content.split_first()?;
            cell.value = Some((*kind, content));
        }
        if self.expect(6).is_some() {
            cell.operation = Some(self.array::<1>()?[0]);
        }
        if self.expect(7).is_some() {
            let timestamp = self.array()?;
            checksum = crc(checksum, &timestamp);
            cell.timestamp = Some(i64::from_le_bytes(timestamp));
        }
        // Last, although it stands before the timestamp.
        if let Some(operation) = cell.operation {
            checksum = crc(checksum, &[operation]);
        }
        self.expect(10)?;
        let [written] = self.array()?;
        cell.checksum = checksum;
        (written == checksum).then_some(cell)
    }
}

fn sized(content: &[u8]) -> Option<&[u8]> {
    let (length, content) = content.split_first_chunk()?;
    (usize::try_from(u32::from_le_bytes(*length)) == Ok(content.len())).then_some(content)
}

fn as_part((kind, content): (u8, &[u8])) -> Option<Part> {
    Some(match kind {
        0 => Part::Integer(i64::from_le_bytes(content.try_into().ok()?)),
        3 => Part::String(String::from_utf8(sized(content)?.to_vec()).ok()?),
        7 => Part::Binary(sized(content)?.to_vec()),
        9 if content.is_empty() => Part::Min,
        10 if content.is_empty() => Part::Max,
        _ => return None,
    })
}

fn as_cell((kind, content): (u8, &[u8])) -> Option<Cell> {
    Some(match (kind, content) {
        (0, _) => Cell::Integer(i64::from_le_bytes(content.try_into().ok()?)),
        (1, _) => Cell::Double(f64::from_bits(u64::from_le_bytes(content.try_into().ok()?))),
        (2, [truth @ (0 | 1)]) => Cell::Boolean(*truth == 1),
        (3, _) => Cell::String(String::from_utf8(sized(content)?.to_vec()).ok()?),
        (7, _) => Cell::Binary(sized(content)?.to_vec()),
        _ => return None,
    })
}

fn as_edit(cell: RawCell<'_>) -> Option<Edit> {
    let change = match (cell.operation, cell.value, cell.timestamp) {
        (None, Some(value), timestamp) => Change::Put(as_cell(value)?, timestamp),
        (Some(1), None, None) => Change::DeleteAll,
        (Some(3), None, Some(timestamp)) => Change::DeleteVersion(timestamp),
        _ => return None,
    };
    Some(Edit { column: cell.name, change })
}

/// A value by itself, as comparisons have it.
pub(crate) fn variant(bytes: &[u8]) -> Result<Cell, Refusal> {
    let value = bytes.split_first().and_then(|(kind, content)| as_cell((*kind, content)));
    value.ok_or_else(|| invalid("Invalid column value in a filter."))
}

/// Rows that are being written.
pub(crate) struct Rows(Vec<u8>);

impl Rows {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a row: its key, and its cells with their versions.
    pub(crate) fn push<'a>(
        &mut self,
        key: impl Iterator<Item = (&'a str, &'a Part)>,
        cells: impl Iterator<Item = (&'a str, &'a Cell, i64)>,
    ) {
        if self.0.is_empty() {
            self.0.extend_from_slice(&HEADER);
        }
        let mut checksums = 0;
        self.0.push(1);
        for (name, part) in key {
            checksums = crc(checksums, &[self.cell(name, &part_bytes(part), None)]);
        }
        let mut cells = cells.peekable();
        if cells.peek().is_some() {
            self.0.push(2);
        }
        for (name, cell, version) in cells {
            checksums = crc(checksums, &[self.cell(name, &cell_bytes(cell), Some(version))]);
        }
        self.0.extend_from_slice(&[9, crc(checksums, &[0])]);
    }

    fn cell(&mut self, name: &str, value: &[u8], version: Option<i64>) -> u8 {
        let mut checksum = crc(crc(0, name.as_bytes()), value);
        self.0.extend_from_slice(&[3, 4]);
        self.0.extend_from_slice(&length(name.len()));
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(5);
        self.0.extend_from_slice(&length(value.len()));
        self.0.extend_from_slice(value);
        if let Some(version) = version {
            self.0.push(7);
            self.0.extend_from_slice(&version.to_le_bytes());
            checksum = crc(checksum, &version.to_le_bytes());
        }
        self.0.extend_from_slice(&[10, checksum]);
        checksum
    }

    /// The buffer; no bytes for no rows.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// What lies in memory here came through a body of some megabytes.
#[allow(clippy::cast_possible_truncation)]
fn length(of: usize) -> [u8; 4] {
    (of as u32).to_le_bytes()
}

fn with_length(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&length(content.len()));
    bytes.extend_from_slice(content);
    bytes
}

fn fixed(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(content);
    bytes
}

fn part_bytes(part: &Part) -> Vec<u8> {
    match part {
        Part::Integer(number) => fixed(0, &number.to_le_bytes()),
        Part::String(text) => with_length(3, text.as_bytes()),
        Part::Binary(bytes) => with_length(7, bytes),
        Part::Min => vec![9],
        Part::Max => vec![10],
    }
}

fn cell_bytes(cell: &Cell) -> Vec<u8> {
    match cell {
        Cell::Integer(number) => fixed(0, &number.to_le_bytes()),
        Cell::Double(number) => fixed(1, &number.to_bits().to_le_bytes()),
        Cell::Boolean(truth) => fixed(2, &[u8::from(*truth)]),
        Cell::String(text) => with_length(3, text.as_bytes()),
        Cell::Binary(bytes) => with_length(7, bytes),
    }
}
