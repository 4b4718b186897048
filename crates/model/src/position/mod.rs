//! Places in the binary log: what has been taken from it, by GTID where the source has them, and always
//! by file and offset too.

mod gtid;
mod mariadb;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use gtid::{Gtid, GtidSet, is_tag, parse_uuid};
pub use mariadb::{MariaGtid, MariaGtidPosition};

use crate::error::Error;

/// What a transaction is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TransactionId {
    MySql(Gtid),
    MariaDb(MariaGtid),
    /// Only its place in the log identifies it.
    Anonymous,
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql(gtid) => gtid.fmt(f),
            Self::MariaDb(gtid) => gtid.fmt(f),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

/// The transactions taken, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum GtidPosition {
    /// The source has no GTIDs.
    #[default]
    None,
    MySql(GtidSet),
    MariaDb(MariaGtidPosition),
}

impl GtidPosition {
    /// Adds a transaction of the same family; anonymous ones leave it as it is.
    pub fn insert(&mut self, id: &TransactionId) {
        match (self, id) {
            (Self::MySql(set), TransactionId::MySql(gtid)) => set.insert(gtid),
            (Self::MariaDb(position), TransactionId::MariaDb(gtid)) => position.insert(gtid),
            _ => {}
        }
    }

    /// Whether the transaction is in it; None when names cannot tell.
    pub fn contains(&self, id: &TransactionId) -> Option<bool> {
        match (self, id) {
            (Self::MySql(set), TransactionId::MySql(gtid)) => Some(set.contains(gtid)),
            (Self::MariaDb(position), TransactionId::MariaDb(gtid)) => Some(position.contains(gtid)),
            _ => None,
        }
    }

    /// Whether all of it is in `other`; false between families.
    pub fn is_subset_of(&self, other: &GtidPosition) -> bool {
        match (self, other) {
            (Self::None, _) => true,
            (Self::MySql(a), Self::MySql(b)) => a.is_subset_of(b),
            (Self::MariaDb(a), Self::MariaDb(b)) => a.is_subset_of(b),
            _ => false,
        }
    }
}

impl fmt::Display for GtidPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::MySql(set) => set.fmt(f),
            Self::MariaDb(position) => position.fmt(f),
        }
    }
}

/// Everything before it has been taken: the transactions in `gtid`, and the log up to `offset` of `file`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Position {
    pub gtid: GtidPosition,
    /// As the server calls it, without a directory. Empty: the place is not known.
    pub file: String,
    /// Byte after the last event taken; files may be larger than 4 GiB.
    pub offset: u64,
    /// Whose log it is a place in (its `server_uuid`, or what stands for it); None: nobody said.
    pub server: Option<Arc<str>>,
    /// By what the log is known again: an event that stands before this place.
    pub last: Option<LastEvent>,
}

/// An event in a log: where it begins, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastEvent {
    pub file: String,
    pub offset: u64,
    /// Of its head and the beginning of its body.
    pub hash: u64,
}

impl Position {
    /// A place in a log without names.
    pub fn at(file: impl Into<String>, offset: u64) -> Self {
        Self { file: file.into(), offset, ..Self::default() }
    }

    /// The transactions by name; the place is not known.
    pub fn named(gtid: GtidPosition) -> Self {
        Self { gtid, ..Self::default() }
    }

    /// As far as it holds for this server: places in another one's log mean nothing in this one's. Without names they are all there is.
    #[must_use]
    pub fn on_server(self, server: &str) -> Self {
        let stays = self.gtid == GtidPosition::None || self.server.as_deref() == Some(server);
        if stays { self } else { Self::named(self.gtid) }
    }

    /// Whether places decide what comes before what. MariaDB's names do not: the numbers of a domain need not rise.
    pub fn goes_by_place(&self) -> bool {
        match self.gtid {
            GtidPosition::None => true,
            GtidPosition::MySql(_) => false,
            GtidPosition::MariaDb(_) => !self.file.is_empty(),
        }
    }

    /// Bytes held, about.
    pub fn size(&self) -> usize {
        let names = match &self.gtid {
            GtidPosition::None => 0,
            // An interval, and its part of the tree.
            GtidPosition::MySql(set) => 64 * set.intervals().count(),
            GtidPosition::MariaDb(position) => 64 * position.gtids().count(),
        };
        128 + names + self.file.len()
    }

    /// Order of the places in one log.
    pub fn compare_places(&self, file: &str, offset: u64) -> Ordering {
        compare_files(&self.file, file).then(self.offset.cmp(&offset))
    }

    /// Whether everything that `other` has taken has been taken here too.
    pub fn reaches(&self, other: &Position) -> bool {
        if self.goes_by_place() && other.goes_by_place() {
            return self.compare_places(&other.file, other.offset).is_ge();
        }
        other.gtid.is_subset_of(&self.gtid)
    }

    /// Whether the transaction that ends at `end_offset` of `file` has been taken: judged by its place or, where names tell more, by
    /// its name.
    pub fn covers(&self, id: &TransactionId, file: &str, end_offset: u64) -> bool {
        let by_name = if self.goes_by_place() { None } else { self.gtid.contains(id) };
        by_name.unwrap_or_else(|| self.compare_places(file, end_offset).is_ge())
    }

    /// What both of two positions along one log cover.
    #[must_use]
    pub fn earlier(self, other: &Position) -> Position {
        let (first, second) = match self.compare_places(&other.file, other.offset).is_le() {
            true => (self, other.clone()),
            false => (other.clone(), self),
        };
        match (&first.gtid, &second.gtid) {
            // Intersection: a lane that lacks a transaction must see it again.
            (GtidPosition::MySql(x), GtidPosition::MySql(y)) => {
                let gtid = GtidPosition::MySql(x.difference(&x.difference(y)));
                Position { gtid, ..first }
            }
            (GtidPosition::MariaDb(x), GtidPosition::MariaDb(y)) if !(first.goes_by_place() && second.goes_by_place()) => {
                Position::named(GtidPosition::MariaDb(x.earlier(y)))
            }
            _ => first,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)?;
        match &self.gtid {
            GtidPosition::None => Ok(()),
            gtid => write!(f, " ({gtid})"),
        }
    }
}

/// Order of binary log files: by the number after the last point (`binlog.999999` is before
/// `binlog.1000000`); by name where there is no number.
pub fn compare_files(left: &str, right: &str) -> Ordering {
    match (file_number(left), file_number(right)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => left.cmp(right),
    }
}

fn file_number(file: &str) -> Option<u64> {
    let (_, number) = file.rsplit_once('.')?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}

/// The JSON form: `{"family":"mysql","gtid":"…","file":"binlog.000001","offset":4}`.
#[derive(Serialize, Deserialize)]
struct Stored {
    family: Family,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    gtid: String,
    file: String,
    offset: u64,
    // Since 0.2; records of before go without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<LastEvent>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Family {
    None,
    MySql,
    MariaDb,
}

impl From<Position> for Stored {
    fn from(position: Position) -> Self {
        let family = match &position.gtid {
            GtidPosition::None => Family::None,
            GtidPosition::MySql(_) => Family::MySql,
            GtidPosition::MariaDb(_) => Family::MariaDb,
        };
        let gtid = match &position.gtid {
            GtidPosition::MariaDb(gtid) => gtid.state(),
            gtid => gtid.to_string(),
        };
        let Position { file, offset, server, last, .. } = position;
        Self { family, gtid, file, offset, server, last }
    }
}

impl TryFrom<Stored> for Position {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let gtid = match stored.family {
            Family::None => GtidPosition::None,
            Family::MySql => GtidPosition::MySql(stored.gtid.parse()?),
            Family::MariaDb => GtidPosition::MariaDb(stored.gtid.parse()?),
        };
        let Stored { file, offset, server, last, .. } = stored;
        Ok(Self { gtid, file, offset, server, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn files_are_ordered_by_number() {
        assert_eq!(compare_files("binlog.999999", "binlog.1000000"), Ordering::Less);
        assert_eq!(compare_files("binlog.000010", "binlog.000009"), Ordering::Greater);
        assert_eq!(compare_files("a.000010", "b.000010"), Ordering::Equal);
        assert_eq!(compare_files("", "binlog.000001"), Ordering::Less);
    }

    #[test]
    fn covers_by_name_and_else_by_place() {
        let named =
            Position { gtid: GtidPosition::MySql(format!("{UUID}:1-5").parse().unwrap()), ..Position::at("b.000002", 100) };
        let id = |number| TransactionId::MySql(format!("{UUID}:{number}").parse().unwrap());
        assert!(named.covers(&id(5), "b.000009", 1));
        assert!(!named.covers(&id(6), "b.000001", 1));
        assert!(named.covers(&TransactionId::Anonymous, "b.000002", 100));
        assert!(!named.covers(&TransactionId::Anonymous, "b.000002", 101));
        assert!(named.covers(&TransactionId::Anonymous, "b.000001", 1 << 33));
        assert!(!named.covers(&TransactionId::Anonymous, "b.000003", 4));
    }

    fn maria(gtid: &str, file: &str, offset: u64) -> Position {
        Position { gtid: GtidPosition::MariaDb(gtid.parse().unwrap()), ..Position::at(file, offset) }
    }

    /// Two servers write in one domain: 0-1-100, 0-2-50, 0-1-101, 0-2-51.
    #[test]
    fn mariadb_goes_by_place_and_on_another_server_by_name() {
        let id = |text: &str| TransactionId::MariaDb(text.parse().unwrap());
        let (early, late) = (maria("0-1-100", "b.000001", 500), maria("0-2-50", "b.000001", 600));
        assert!(!early.covers(&id("0-2-50"), "b.000001", 501) && late.covers(&id("0-2-50"), "b.000001", 501));
        // It began before the place: what a position from a snapshot says of servers that were not last.
        assert!(late.covers(&id("0-7-900"), "b.000001", 300));
        assert!(late.reaches(&early) && !early.reaches(&late));
        assert_eq!(late.clone().earlier(&early), early);
        let foreign = Position { server: Some("other".into()), ..late.clone() }.on_server("this");
        assert_eq!(foreign, Position::named(late.gtid.clone()));
        assert!(foreign.covers(&id("0-2-50"), "x.000009", 4) && !foreign.covers(&id("0-2-51"), "b.000001", 4));
        assert!(maria("0-1-100,0-2-50,0-1-101", "x.000009", 4).reaches(&foreign));
        assert_eq!(
            early.earlier(&maria("0-1-100,0-2-50", "", 0)),
            Position::named(GtidPosition::MariaDb("0-1-100".parse().unwrap()))
        );
    }

    #[test]
    fn survives_json() {
        let last = LastEvent { file: "b.000002".into(), offset: 96, hash: u64::MAX };
        for position in [
            Position::default(),
            Position {
                gtid: GtidPosition::MySql(format!("{UUID}:1-5:tag:7").parse().unwrap()),
                server: Some(UUID.into()),
                last: Some(last),
                ..Position::at("b.000002", 1 << 40)
            },
            maria("0-2-6,0-1-7,3-1-9", "b.000002", 4),
        ] {
            let text = serde_json::to_string(&position).unwrap();
            assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position, "{text}");
        }
        let old = r#"{"family":"mariadb","gtid":"0-1-7","file":"b.1","offset":4}"#;
        let position = maria("0-1-7", "b.1", 4);
        assert_eq!(serde_json::to_string(&position).unwrap(), old);
        assert_eq!(serde_json::from_str::<Position>(old).unwrap(), position);
    }
}
