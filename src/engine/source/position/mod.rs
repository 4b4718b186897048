//! Places in the binary log: what has been taken from it, by GTID where the source has them, and always
//! by file and offset too.

mod gtid;
mod mariadb;

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use gtid::{Gtid, GtidSet, parse_uuid};
pub use mariadb::{MariaGtid, MariaGtidPosition};

use crate::engine::error::Error;

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
    /// As the server calls it, without a directory.
    pub file: String,
    /// Byte after the last event taken; files may be larger than 4 GiB.
    pub offset: u64,
}

impl Position {
    /// Whether everything that `other` has taken has been taken here too.
    pub fn reaches(&self, other: &Position) -> bool {
        match (&self.gtid, &other.gtid) {
            (GtidPosition::None, GtidPosition::None) => {
                compare_files(&self.file, &other.file).then(self.offset.cmp(&other.offset)).is_ge()
            }
            (here, there) => there.is_subset_of(here),
        }
    }

    /// Whether the transaction that ends at `end_offset` of `file` has been taken: judged by name where both
    /// sides have one, else by place.
    pub fn covers(&self, id: &TransactionId, file: &str, end_offset: u64) -> bool {
        self.gtid.contains(id).unwrap_or_else(|| match compare_files(file, &self.file) {
            Ordering::Less => true,
            Ordering::Equal => end_offset <= self.offset,
            Ordering::Greater => false,
        })
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
        Self { family, gtid: position.gtid.to_string(), file: position.file, offset: position.offset }
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
        Ok(Self { gtid, file: stored.file, offset: stored.offset })
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
            Position { gtid: GtidPosition::MySql(format!("{UUID}:1-5").parse().unwrap()), file: "b.000002".into(), offset: 100 };
        let id = |number| TransactionId::MySql(format!("{UUID}:{number}").parse().unwrap());
        assert!(named.covers(&id(5), "b.000009", 1));
        assert!(!named.covers(&id(6), "b.000001", 1));
        assert!(named.covers(&TransactionId::Anonymous, "b.000002", 100));
        assert!(!named.covers(&TransactionId::Anonymous, "b.000002", 101));
        assert!(named.covers(&TransactionId::Anonymous, "b.000001", 1 << 33));
        assert!(!named.covers(&TransactionId::Anonymous, "b.000003", 4));
    }

    #[test]
    fn survives_json() {
        for position in [
            Position::default(),
            Position {
                gtid: GtidPosition::MySql(format!("{UUID}:1-5:tag:7").parse().unwrap()),
                file: "b.000002".into(),
                offset: 1 << 40,
            },
            Position { gtid: GtidPosition::MariaDb("0-1-7,3-1-9".parse().unwrap()), file: "b.000002".into(), offset: 4 },
        ] {
            let text = serde_json::to_string(&position).unwrap();
            assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position, "{text}");
        }
        let text = serde_json::to_string(&Position {
            gtid: GtidPosition::MariaDb("0-1-7".parse().unwrap()),
            file: "b.1".into(),
            offset: 4,
        });
        assert_eq!(text.unwrap(), r#"{"family":"mariadb","gtid":"0-1-7","file":"b.1","offset":4}"#);
    }
}
