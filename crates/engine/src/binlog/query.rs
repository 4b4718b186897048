//! QUERY: a statement, with the session it ran in.

use std::borrow::Cow;

use super::compress;
use super::cursor::{Cursor, malformed};
use godwit_model::error::Result;

/// A statement in the log: BEGIN, COMMIT, DDL, and changes where the log is not row-based.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    pub thread_id: u32,
    /// Seconds it ran.
    pub execution_seconds: u32,
    /// Not 0: the statement failed on the source after it had changed something.
    pub error_code: u16,
    /// Default database.
    pub database: String,
    /// In the character set of `session.charset_client`.
    pub sql: Cow<'a, [u8]>,
    pub session: QuerySession,
    /// It used a temporary table of its session (`LOG_EVENT_THREAD_SPECIFIC_F`). MariaDB and MySQL 9 set it for every DROP TABLE, too.
    pub thread_specific: bool,
    /// What the statement is, too, where its bytes can be read in two ways; `sql` is UTF-8 then.
    pub second_reading: Option<Vec<u8>>,
}

/// Settings under which the statement ran; None: the log does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuerySession {
    /// Options of the session: see the methods.
    pub flags2: Option<u32>,
    pub sql_mode: Option<u64>,
    pub auto_increment_increment: Option<u16>,
    pub auto_increment_offset: Option<u16>,
    /// Collation ids of `character_set_client`, `collation_connection`, `collation_server`.
    pub charset_client: Option<u16>,
    pub collation_connection: Option<u16>,
    pub collation_server: Option<u16>,
    pub time_zone: Option<String>,
    pub lc_time_names: Option<u16>,
    /// Collation id of the default database, where the log has it.
    pub collation_database: Option<u16>,
    /// Microseconds beyond the header's second.
    pub microseconds: Option<u32>,
    pub explicit_defaults_for_timestamp: Option<bool>,
    /// XID of a statement that commits by itself in the engine (atomic DDL).
    pub ddl_xid: Option<u64>,
    /// `default_collation_for_utf8mb4`, a collation id.
    pub default_collation_for_utf8mb4: Option<u16>,
    pub sql_require_primary_key: Option<bool>,
    pub default_table_encryption: Option<bool>,
    /// `user@host` of the statement's definer.
    pub invoker: Option<(String, String)>,
    /// Databases it changes; None: not said, or too many to list.
    pub updated_databases: Option<Vec<String>>,
    /// MariaDB: `character_set_collations`, pairs of collation ids.
    pub character_set_collations: Vec<(u16, u16)>,
}

impl QuerySession {
    const NO_FOREIGN_KEY_CHECKS: u32 = 1 << 26;
    const RELAXED_UNIQUE_CHECKS: u32 = 1 << 27;
    const AUTO_IS_NULL: u32 = 1 << 14;

    /// `foreign_key_checks`.
    pub fn foreign_key_checks(&self) -> bool {
        self.flags2.unwrap_or_default() & Self::NO_FOREIGN_KEY_CHECKS == 0
    }

    /// Whether the client spoke UTF-8: collations of utf8mb3 and utf8mb4, by the numbers that MySQL and MariaDB give them.
    pub fn speaks_utf8(&self) -> bool {
        matches!(self.charset_client, Some(33 | 45 | 46 | 76 | 83 | 192..=247 | 255..=323 | 2048..=2559))
    }

    /// `unique_checks`.
    pub fn unique_checks(&self) -> bool {
        self.flags2.unwrap_or_default() & Self::RELAXED_UNIQUE_CHECKS == 0
    }

    /// `sql_auto_is_null`.
    pub fn sql_auto_is_null(&self) -> bool {
        self.flags2.unwrap_or_default() & Self::AUTO_IS_NULL != 0
    }

    /// Variables in ascending order of code; what follows an unknown one is unknown too (servers read them
    /// the same way).
    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut session = Self::default();
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            match cursor.u8()? {
                0 => session.flags2 = Some(cursor.u32()?),
                1 => session.sql_mode = Some(cursor.u64()?),
                // Catalog, with a NUL in logs of 5.0.
                2 => {
                    cursor.short_bytes()?;
                    cursor.u8()?;
                }
                3 => {
                    session.auto_increment_increment = Some(cursor.u16()?);
                    session.auto_increment_offset = Some(cursor.u16()?);
                }
                4 => {
                    session.charset_client = Some(cursor.u16()?);
                    session.collation_connection = Some(cursor.u16()?);
                    session.collation_server = Some(cursor.u16()?);
                }
                5 => session.time_zone = Some(text(cursor.short_bytes()?)),
                6 => {
                    cursor.short_bytes()?;
                }
                7 => session.lc_time_names = Some(cursor.u16()?),
                8 => session.collation_database = Some(cursor.u16()?),
                9 => {
                    cursor.u64()?;
                }
                10 => {
                    cursor.u32()?;
                }
                11 => session.invoker = Some((text(cursor.short_bytes()?), text(cursor.short_bytes()?))),
                12 => session.updated_databases = updated_databases(&mut cursor)?,
                // MariaDB's Q_HRNOW carries the same.
                13 | 128 => session.microseconds = Some(cursor.uint(3)? as u32),
                // Group commit tickets of test builds.
                14 | 15 => {
                    cursor.u64()?;
                }
                16 => session.explicit_defaults_for_timestamp = Some(cursor.u8()? != 0),
                17 | 129 => session.ddl_xid = Some(cursor.u64()?),
                18 => session.default_collation_for_utf8mb4 = Some(cursor.u16()?),
                19 => session.sql_require_primary_key = Some(cursor.u8()? != 0),
                20 => session.default_table_encryption = Some(cursor.u8()? != 0),
                130 => {
                    // Sequence number of a two-phase ALTER's first part.
                    if cursor.u8()? & 0x0c != 0 {
                        cursor.u64()?;
                    }
                }
                131 => {
                    for _ in 0..cursor.u8()? {
                        session.character_set_collations.push((cursor.u16()?, cursor.u16()?));
                    }
                }
                _ => break,
            }
        }
        Ok(session)
    }
}

fn updated_databases(cursor: &mut Cursor<'_>) -> Result<Option<Vec<String>>> {
    let count = cursor.u8()?;
    // OVER_MAX_DBS_IN_EVENT_MTS: no names follow.
    if count == 254 {
        return Ok(None);
    }
    let mut names = Vec::new();
    for _ in 0..count {
        let length = cursor.rest().iter().position(|byte| *byte == 0).ok_or_else(|| malformed("database name without an end"))?;
        names.push(text(cursor.take(length)?));
        cursor.u8()?;
    }
    Ok(Some(names))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl<'a> Query<'a> {
    /// `extra`: bytes of the post-header beyond a QUERY's 13 (EXECUTE_LOAD_QUERY has 13 more); `largest`: what the engine may spend
    /// on one that is compressed.
    pub(super) fn parse(body: &'a [u8], extra: usize, compressed: bool, largest: usize) -> Result<Self> {
        let mut cursor = Cursor::new(body);
        let thread_id = cursor.u32()?;
        let execution_seconds = cursor.u32()?;
        let database_length = usize::from(cursor.u8()?);
        let error_code = cursor.u16()?;
        let session_length = usize::from(cursor.u16()?);
        cursor.take(extra)?;
        let session = QuerySession::parse(cursor.take(session_length)?)?;
        let database = text(cursor.take(database_length)?);
        cursor.u8()?;
        let sql =
            if compressed { Cow::Owned(compress::maria_event(cursor.rest(), largest)?) } else { Cow::Borrowed(cursor.rest()) };
        Ok(Self {
            thread_id,
            execution_seconds,
            error_code,
            database,
            sql,
            session,
            thread_specific: false,
            second_reading: None,
        })
    }

    /// With what the event's header says.
    pub(super) fn with_flags(self, flags: u16) -> Self {
        const THREAD_SPECIFIC: u16 = 0x4;
        Self { thread_specific: flags & THREAD_SPECIFIC != 0, ..self }
    }

    /// Whether the statement is this keyword and nothing else (`BEGIN`, `COMMIT`, `ROLLBACK`).
    pub fn is(&self, keyword: &str) -> bool {
        self.sql.trim_ascii().eq_ignore_ascii_case(keyword.as_bytes())
    }
}
