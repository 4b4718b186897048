//! What starts and ends transactions: GTID events of both families, XID, XA PREPARE.

use super::bounds::{self, LONGEST_TAG, LONGEST_XA_NAME};
use super::cursor::{Cursor, malformed};
use super::event::RawEvent;
use godwit_model::error::{Error, Result};
use godwit_model::position::{Gtid, GtidSet, MariaGtid, TransactionId, is_tag};

/// Head of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionStart {
    pub id: TransactionId,
    /// Microseconds since 1970 of the commit on the server where the transaction was made (MySQL 8.0).
    pub original_commit_us: Option<u64>,
    /// The same on the server that this log is read from.
    pub immediate_commit_us: Option<u64>,
    /// Bytes in the log, this event included (MySQL 8.0).
    pub transaction_length: Option<u64>,
    /// Logical clock: this transaction may run beside all those after `last_committed`.
    pub last_committed: Option<u64>,
    pub sequence_number: Option<u64>,
    /// MariaDB; None for MySQL.
    pub maria: Option<MariaStart>,
}

/// What only MariaDB's GTID event says. It takes the place of `BEGIN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MariaStart {
    /// One event follows and is the whole transaction: no BEGIN, no COMMIT.
    pub standalone: bool,
    pub transactional: bool,
    pub ddl: bool,
    /// Transactions with the same number were committed together.
    pub commit_id: Option<u64>,
    /// `XA PREPARE` of this identifier.
    pub prepares: Option<String>,
    /// `XA COMMIT` or `XA ROLLBACK` of this identifier.
    pub completes: Option<String>,
    /// Part of an ALTER TABLE logged in two phases (`binlog_alter_two_phase`).
    pub alter_phase: Option<AlterPhase>,
}

/// `binlog_alter_two_phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlterPhase {
    Start,
    Commit,
    Rollback,
}

impl TransactionStart {
    /// Nothing more is known of it.
    pub(crate) fn named(id: TransactionId) -> Self {
        Self {
            id,
            original_commit_us: None,
            immediate_commit_us: None,
            transaction_length: None,
            last_committed: None,
            sequence_number: None,
            maria: None,
        }
    }

    /// GTID and ANONYMOUS_GTID: fields were added at the end from version to version.
    pub(super) fn parse(body: &[u8], anonymous: bool) -> Result<Self> {
        const OTHER_FIELD_FOLLOWS: u64 = 1 << 55;
        let mut cursor = Cursor::new(body);
        cursor.u8()?;
        let uuid = cursor.take_array()?;
        let number = cursor.u64()?;
        let id = if anonymous { TransactionId::Anonymous } else { TransactionId::MySql(Gtid { uuid, tag: None, number }) };
        let mut start = Self::named(id);
        if cursor.is_empty() || cursor.u8()? != 2 {
            return Ok(start);
        }
        start.last_committed = Some(cursor.u64()?);
        start.sequence_number = Some(cursor.u64()?);
        if cursor.rest().len() < 7 {
            return Ok(start);
        }
        let immediate = cursor.uint(7)?;
        start.immediate_commit_us = Some(immediate & !OTHER_FIELD_FOLLOWS);
        start.original_commit_us =
            if immediate & OTHER_FIELD_FOLLOWS == 0 { start.immediate_commit_us } else { Some(cursor.uint(7)?) };
        if !cursor.is_empty() {
            start.transaction_length = Some(cursor.lenenc()?);
        }
        Ok(start)
    }

    /// GTID_TAGGED (MySQL 8.3): the `mysql::serialization` format, fields by number.
    pub(super) fn parse_tagged(body: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(body);
        let version = cursor.serialized_uint()?;
        // Size of the message, then the last field that a reader must know.
        cursor.serialized_uint()?;
        let must_know = cursor.serialized_uint()?;
        if version != 1 {
            return Err(malformed(format!("GTID event with serialization version {version}")));
        }
        let mut uuid = [0u8; 16];
        let mut number = None;
        let mut tag: Option<Box<str>> = None;
        let mut start = Self::named(TransactionId::Anonymous);
        while !cursor.is_empty() {
            let field = cursor.serialized_uint()?;
            match field {
                0 | 9 | 10 | 11 => {
                    cursor.serialized_uint()?;
                }
                1 => {
                    for byte in &mut uuid {
                        *byte = u8::try_from(cursor.serialized_uint()?).map_err(|_| malformed("UUID of a GTID"))?;
                    }
                }
                2 => number = u64::try_from(cursor.serialized_int()?).ok(),
                3 => {
                    let text = tag_text(&mut cursor)?;
                    if !text.is_empty() && !is_tag(text) {
                        return Err(malformed("tag of a GTID"));
                    }
                    tag = (!text.is_empty()).then(|| text.into());
                }
                4 => start.last_committed = u64::try_from(cursor.serialized_int()?).ok(),
                5 => start.sequence_number = u64::try_from(cursor.serialized_int()?).ok(),
                6 => start.immediate_commit_us = Some(cursor.serialized_uint()?),
                7 => start.original_commit_us = Some(cursor.serialized_uint()?),
                8 => start.transaction_length = Some(cursor.serialized_uint()?),
                unknown if unknown <= must_know => {
                    return Err(Error::definite(format!("GTID event has field {unknown}, which this version cannot read")));
                }
                // Fields are in order: nothing that must be known follows.
                _ => break,
            }
        }
        start.original_commit_us = start.original_commit_us.or(start.immediate_commit_us);
        let number = number.ok_or_else(|| malformed("GTID event without a number"))?;
        start.id = TransactionId::MySql(Gtid { uuid, tag, number });
        Ok(start)
    }

    /// MariaDB's GTID event.
    pub(super) fn parse_maria(event: &RawEvent<'_>) -> Result<Self> {
        let mut cursor = Cursor::new(event.body);
        let sequence = cursor.u64()?;
        let domain = cursor.u32()?;
        let flags = cursor.u8()?;
        let mut start = Self::named(TransactionId::MariaDb(MariaGtid { domain, server: event.server_id, sequence }));
        let commit_id = if flags & 0x02 != 0 { Some(cursor.u64()?) } else { None };
        let xid = if flags & (0x40 | 0x80) != 0 { Some(maria_xid(&mut cursor)?) } else { None };
        let extra = if cursor.is_empty() { 0 } else { cursor.u8()? };
        let alter_phase = match extra & 0x0e {
            0x02 => Some(AlterPhase::Start),
            0x04 => Some(AlterPhase::Commit),
            0x08 => Some(AlterPhase::Rollback),
            _ => None,
        };
        start.maria = Some(MariaStart {
            standalone: flags & 0x01 != 0,
            transactional: flags & 0x04 != 0,
            ddl: flags & 0x20 != 0,
            commit_id,
            prepares: if flags & 0x40 != 0 { xid.clone() } else { None },
            completes: if flags & 0x80 != 0 { xid } else { None },
            alter_phase,
        });
        Ok(start)
    }
}

fn maria_xid(cursor: &mut Cursor<'_>) -> Result<String> {
    let format = cursor.u32()?;
    let global = usize::from(cursor.u8()?);
    let branch = usize::from(cursor.u8()?);
    xid_text(format, cursor.take(global)?, cursor.take(branch)?)
}

/// As servers write it into `XA COMMIT`: `X'676c6f62616c',X'6272616e6368',1`.
fn xid_text(format: u32, global: &[u8], branch: &[u8]) -> Result<String> {
    use std::fmt::Write;
    bounds::count(global.len().max(branch.len()), LONGEST_XA_NAME, "bytes in the name of an XA transaction")?;
    let mut text = String::with_capacity(16 + 2 * (global.len() + branch.len()));
    for part in [global, branch] {
        text.push_str("X'");
        for byte in part {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push_str("',");
    }
    // Format ids are signed on the server; MySQL prints them as they were given.
    let _ = write!(text, "{}", format as i32);
    Ok(text)
}

/// XA PREPARE: the transaction ends here and waits for its XA COMMIT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XaPrepare {
    /// `X'…',X'…',format`.
    pub xid: String,
    /// `XA COMMIT … ONE PHASE`: committed at once.
    pub one_phase: bool,
}

impl XaPrepare {
    pub(super) fn parse(body: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(body);
        let one_phase = cursor.u8()? != 0;
        let format = cursor.u32()?;
        let global = cursor.u32()? as usize;
        let branch = cursor.u32()? as usize;
        Ok(Self { xid: xid_text(format, cursor.take(global)?, cursor.take(branch)?)?, one_phase })
    }
}

/// A GTID's tag, behind its length.
fn tag_text<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str> {
    let length = usize::try_from(cursor.serialized_uint()?).unwrap_or(usize::MAX);
    bounds::count(length, LONGEST_TAG, "letters in the tag of a GTID")?;
    std::str::from_utf8(cursor.take(length)?).map_err(|_| malformed("tag of a GTID"))
}

/// PREVIOUS_GTIDS: what lies in the files before this one (`Gtid_set::encode`).
pub(super) fn previous_gtids(body: &[u8]) -> Result<GtidSet> {
    let mut cursor = Cursor::new(body);
    let head = cursor.u64()?;
    // Byte 7 is the format; the tagged one has the count in bytes 1 to 6.
    let tagged = head >> 56 != 0;
    let count = if tagged { head >> 8 & 0xffff_ffff_ffff } else { head & 0x00ff_ffff_ffff_ffff };
    let mut set = GtidSet::new();
    for _ in 0..count {
        let uuid = cursor.take_array()?;
        let tag = if tagged { tag_text(&mut cursor)? } else { "" };
        let intervals = cursor.u64()?;
        let ranges: Result<Vec<(u64, u64)>> = (0..intervals).map(|_| Ok((cursor.u64()?, cursor.u64()?))).collect();
        set.insert_ranges(uuid, (!tag.is_empty()).then_some(tag), ranges?);
    }
    Ok(set)
}

/// GTID_LIST: MariaDB's counterpart, the last transaction of each domain and server.
pub(super) fn gtid_list(body: &[u8]) -> Result<Vec<MariaGtid>> {
    let mut cursor = Cursor::new(body);
    // The upper four bits are flags.
    let count = cursor.u32()? & 0x0fff_ffff;
    (0..count).map(|_| Ok(MariaGtid { domain: cursor.u32()?, server: cursor.u32()?, sequence: cursor.u64()? })).collect()
}
