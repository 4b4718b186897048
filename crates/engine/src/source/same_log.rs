//! Whether the source's log still is the one that a position was taken in.
//!
//! A log that was reset, or whose data directory was replaced or restored, has files of the same names and GTIDs of the same numbers
//! again, for other transactions. So a position remembers an event in front of it: where it begins, and what it is. A task that is
//! taken up looks at that place before it writes anything.

use super::stream::{Follow, LogStream};
use super::visibility;
use crate::binlog::RawEvent;
use crate::connection::{Connector, Role};
use godwit_model::error::{Class, Error, Result};
use godwit_model::position::{LastEvent, Position, compare_files};
use godwit_model::server::ServerInfo;

/// Of a larger event the beginning tells it from others.
const HASHED_BYTES: usize = 4096;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The event, or a file that is long enough where no event is known.
    Same,
    /// The file is not there any more, and was not replaced as far as can be told.
    Purged,
}

/// The event that a log is known again by, if this one stands in a file. `file` and `end`: the place behind it.
pub fn fingerprint(event: &RawEvent<'_>, file: &str, end: u64) -> Option<LastEvent> {
    // The head of a file is sent, and changed, wherever reading begins.
    if event.is_artificial() || event.describes_file() || file.is_empty() {
        return None;
    }
    let offset = end.checked_sub(u64::from(event.event_size))?;
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    hasher.update(&event.timestamp.to_le_bytes());
    hasher.update(&event.server_id.to_le_bytes());
    hasher.update(&event.log_pos.to_le_bytes());
    hasher.update(&[event.event_type]);
    hasher.update(&(event.body.len() as u64).to_le_bytes());
    hasher.update(event.body.get(..HASHED_BYTES).unwrap_or(event.body));
    Some(LastEvent { file: file.to_owned(), offset, hash: hasher.digest() })
}

/// Looks for the place of `position`, which was taken on this server. `server_id`: for a dump of its own.
///
/// # Errors
/// Definite when the log is another one; else a lost connection.
pub async fn look(connector: &Connector, info: &ServerInfo, position: &Position, server_id: u32) -> Result<Found> {
    let (file, end) = match &position.last {
        Some(last) => (last.file.as_str(), last.offset),
        None => (position.file.as_str(), position.offset),
    };
    if file.is_empty() {
        return Ok(Found::Same);
    }
    let mut conn = connector.connect(Role::Metadata).await?;
    let files = visibility::log_files(&mut conn).await?;
    let _ = conn.disconnect().await;
    match files.iter().find(|(name, _)| name == file) {
        None => return is_gone(&files, file),
        Some((_, size)) if *size < end => {
            return Err(replaced(format!("{file} has {size} bytes, and the task has read it up to {end}")));
        }
        Some(_) => {}
    }
    let Some(last) = &position.last else { return Ok(Found::Same) };
    if u32::try_from(last.offset).is_err() {
        // A dump cannot begin behind 4 GiB. That the file is so long is something.
        return Ok(Found::Same);
    }
    match next_event(connector, info, &Position::at(file, end), server_id).await {
        Ok(Some(found)) if found == *last => Ok(Found::Same),
        Ok(_) => Err(replaced(format!("at {file}:{end} stands another event than the task has read there"))),
        Err(error) if error.class() == Class::Definite => Err(replaced(format!("it cannot be read at {file}:{end}: {error}"))),
        Err(error) => Err(error),
    }
}

/// What a file is known again by before anything is read from it: its first event behind the head (PREVIOUS_GTIDS, GTID_LIST).
///
/// # Errors
/// Those of reading the log.
pub async fn first_event(connector: &Connector, info: &ServerInfo, file: &str, server_id: u32) -> Result<Option<LastEvent>> {
    // 4: behind the magic number.
    next_event(connector, info, &Position::at(file, 4), server_id).await
}

/// The file is not among the log's files: purged, or of a log that began anew.
fn is_gone(files: &[(String, u64)], file: &str) -> Result<Found> {
    let base = |file: &str| file.rsplit_once('.').map(|(base, _)| base.to_owned());
    let last = files.last().map(|(name, _)| name.as_str()).unwrap_or_default();
    if base(last) == base(file) && compare_files(last, file).is_lt() {
        return Err(replaced(format!("the task has read {file}, and the last file now is {last}")));
    }
    Ok(Found::Purged)
}

async fn next_event(connector: &Connector, info: &ServerInfo, place: &Position, server_id: u32) -> Result<Option<LastEvent>> {
    let mut stream = LogStream::open(connector, info, place, server_id, Follow::ToEnd).await?;
    let mut found = None;
    while found.is_none() {
        let Some(event) = stream.next().await? else { break };
        found = fingerprint(&event.raw(), stream.file(), stream.offset());
    }
    stream.close().await;
    Ok(found)
}

fn replaced(how: String) -> Error {
    Error::definite(format!(
        "the source's binary log is not the one that the task has followed: {how}. It was reset (RESET MASTER, RESET BINARY LOGS AND \
         GTIDS), or the data directory was replaced or restored from a backup. What was changed in between is not known: the data must be \
         copied again (delete the task's record and destination tables)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(timestamp: u32, event_type: u8, body: &[u8]) -> RawEvent<'_> {
        RawEvent { timestamp, event_type, server_id: 1, event_size: 31, log_pos: 1031, flags: 0, body }
    }

    #[test]
    fn an_event_is_known_by_what_it_says_and_when() {
        let of = |event: RawEvent<'_>| fingerprint(&event, "b.000007", 1031);
        let known = of(event(5, 16, b"xid 1234")).unwrap();
        assert_eq!((known.file.as_str(), known.offset), ("b.000007", 1000));
        assert_eq!(of(event(5, 16, b"xid 1234")).unwrap(), known);
        assert_ne!(of(event(6, 16, b"xid 1234")).unwrap(), known);
        assert_ne!(of(event(5, 16, b"xid 1235")).unwrap(), known);
        assert_eq!(of(event(5, 15, b"format")), None, "it is changed on its way");
        assert_eq!(of(event(5, 27, b"heartbeat")), None);
    }

    #[test]
    fn a_file_that_is_gone_was_purged_or_is_of_another_log() {
        let files = [("b.000004".to_owned(), 157), ("b.000005".to_owned(), 400)];
        assert_eq!(is_gone(&files, "b.000003").unwrap(), Found::Purged);
        assert_eq!(is_gone(&files, "renamed.000009").unwrap(), Found::Purged);
        let error = is_gone(&files, "b.000006").unwrap_err();
        assert!(error.to_string().contains("RESET MASTER") && error.class() == Class::Definite, "{error}");
    }
}
