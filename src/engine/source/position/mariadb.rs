//! MariaDB's GTIDs (knowledge base: "Global Transaction ID"): a sequence per domain, so that one number
//! per domain says where one stands.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::engine::error::{Error, Result};

/// `domain-server-sequence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MariaGtid {
    pub domain: u32,
    pub server: u32,
    pub sequence: u64,
}

impl fmt::Display for MariaGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server, self.sequence)
    }
}

impl FromStr for MariaGtid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let mut parts = text.trim().split('-');
            let gtid = Self {
                domain: parts.next()?.parse().ok()?,
                server: parts.next()?.parse().ok()?,
                sequence: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(gtid)
        };
        parse().ok_or_else(|| Error::definite(format!("\"{text}\" is not a MariaDB GTID")))
    }
}

/// The last transaction of each domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MariaGtidPosition {
    domains: BTreeMap<u32, (u32, u64)>,
}

impl MariaGtidPosition {
    /// Before every transaction.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it stands before every transaction.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// Whether the transaction lies at or before this position in its domain.
    pub fn contains(&self, gtid: &MariaGtid) -> bool {
        self.domains.get(&gtid.domain).is_some_and(|(_, sequence)| gtid.sequence <= *sequence)
    }

    /// Moves the domain to this transaction, never backwards.
    pub fn insert(&mut self, gtid: &MariaGtid) {
        let last = self.domains.entry(gtid.domain).or_insert((gtid.server, gtid.sequence));
        if gtid.sequence > last.1 {
            *last = (gtid.server, gtid.sequence);
        }
    }

    /// Moves every domain to the later of both.
    pub fn union(&mut self, other: &MariaGtidPosition) {
        other.gtids().for_each(|gtid| self.insert(&gtid));
    }

    /// Whether every transaction up to here is also up to `other`.
    pub fn is_subset_of(&self, other: &MariaGtidPosition) -> bool {
        self.gtids().all(|gtid| other.contains(&gtid))
    }

    /// The last transaction of each domain, by domain.
    pub fn gtids(&self) -> impl Iterator<Item = MariaGtid> {
        self.domains.iter().map(|(domain, (server, sequence))| MariaGtid {
            domain: *domain,
            server: *server,
            sequence: *sequence,
        })
    }
}

impl fmt::Display for MariaGtidPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, gtid) in self.gtids().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{gtid}")?;
        }
        Ok(())
    }
}

impl FromStr for MariaGtidPosition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut position = Self::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            position.insert(&part.parse()?);
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_prints_the_server_form() {
        let position: MariaGtidPosition = "1-2-5, 0-1-100".parse().unwrap();
        assert_eq!(position.to_string(), "0-1-100,1-2-5");
        assert!(position.contains(&"0-9-100".parse().unwrap()));
        assert!(!position.contains(&"0-1-101".parse().unwrap()));
        assert!(!position.contains(&"7-1-1".parse().unwrap()));
        assert!("0-1".parse::<MariaGtidPosition>().is_err());
        assert!("0-1-2-3".parse::<MariaGtidPosition>().is_err());
        assert!("".parse::<MariaGtidPosition>().unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn holds_what_was_inserted(seen in proptest::collection::vec((0u32..3, 1u32..3, 1u64..50), 0..30), probe in (0u32..3, 1u64..50)) {
            let mut position = MariaGtidPosition::new();
            for (domain, server, sequence) in &seen {
                position.insert(&MariaGtid { domain: *domain, server: *server, sequence: *sequence });
            }
            let expected = seen.iter().any(|(domain, _, sequence)| *domain == probe.0 && probe.1 <= *sequence);
            prop_assert_eq!(position.contains(&MariaGtid { domain: probe.0, server: 9, sequence: probe.1 }), expected);
            prop_assert_eq!(position.to_string().parse::<MariaGtidPosition>().unwrap(), position);
        }
    }
}
