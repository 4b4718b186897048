//! MariaDB's GTIDs (knowledge base: "Global Transaction ID") and positions made of them.
//!
//! Without `gtid_strict_mode` (the default) the numbers of a domain are in no order: each of several servers that write in it counts on
//! from where it stood. The order of a domain is that of the log; numbers say something within one domain *and* server only.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

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

/// The last transaction of each domain and, as far as they are known, the last of each server in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MariaGtidPosition {
    domains: BTreeMap<u32, Domain>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Domain {
    /// Whose the last transaction is.
    last: u32,
    /// Last number of each server.
    servers: BTreeMap<u32, u64>,
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

    /// Whether this server's transactions in this domain have been taken up to this one.
    pub fn contains(&self, gtid: &MariaGtid) -> bool {
        let number = self.domains.get(&gtid.domain).and_then(|domain| domain.servers.get(&gtid.server));
        number.is_some_and(|number| gtid.sequence <= *number)
    }

    /// The transaction is the next one in the log: the last of its domain from here on.
    pub fn insert(&mut self, gtid: &MariaGtid) {
        let domain = self.domains.entry(gtid.domain).or_insert(Domain { last: gtid.server, servers: BTreeMap::new() });
        domain.last = gtid.server;
        domain.servers.insert(gtid.server, gtid.sequence);
    }

    /// Whether every transaction up to here is also up to `other`.
    pub fn is_subset_of(&self, other: &MariaGtidPosition) -> bool {
        self.all().all(|gtid| other.contains(&gtid))
    }

    /// What both have taken: per domain the position that stands before the other one. A domain in which only one of them has taken
    /// anything is left out.
    #[must_use]
    pub fn earlier(&self, other: &MariaGtidPosition) -> MariaGtidPosition {
        let both = |(number, here): (&u32, &Domain)| {
            let there = other.domains.get(number)?;
            let is_before =
                here.servers.iter().all(|(server, last)| there.servers.get(server).is_some_and(|other| last <= other));
            Some((*number, if is_before { here.clone() } else { there.clone() }))
        };
        Self { domains: self.domains.iter().filter_map(both).collect() }
    }

    /// The last transaction of each domain, by domain: what a server finds a place in its log by.
    pub fn gtids(&self) -> impl Iterator<Item = MariaGtid> {
        self.domains.iter().filter_map(|(number, domain)| {
            let sequence = *domain.servers.get(&domain.last)?;
            Some(MariaGtid { domain: *number, server: domain.last, sequence })
        })
    }

    /// The last transaction of each server in each domain; those of [`Self::gtids`] come last in theirs.
    fn all(&self) -> impl Iterator<Item = MariaGtid> {
        self.domains.iter().flat_map(|(number, domain)| {
            let others = domain.servers.iter().filter(|(server, _)| **server != domain.last);
            others.chain(domain.servers.get_key_value(&domain.last)).map(|(server, sequence)| MariaGtid {
                domain: *number,
                server: *server,
                sequence: *sequence,
            })
        })
    }

    /// Everything that is known, in the form of `gtid_binlog_state`; [`str::parse`] reads it.
    pub fn state(&self) -> String {
        self.all().map(|gtid| gtid.to_string()).collect::<Vec<_>>().join(",")
    }
}

/// The form of `gtid_binlog_pos`: the last transaction of each domain.
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

    fn at(text: &str) -> MariaGtidPosition {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_prints_the_server_form() {
        let position = at("1-2-5, 0-1-100");
        assert_eq!(position.to_string(), "0-1-100,1-2-5");
        assert!(position.contains(&"0-1-100".parse().unwrap()));
        assert!(!position.contains(&"0-1-101".parse().unwrap()));
        assert!(!position.contains(&"7-1-1".parse().unwrap()));
        assert!("0-1".parse::<MariaGtidPosition>().is_err());
        assert!("0-1-2-3".parse::<MariaGtidPosition>().is_err());
        assert!(at("").is_empty());
    }

    /// Two servers that write in one domain, without gtid_strict_mode.
    #[test]
    fn a_smaller_number_of_another_server_is_not_taken() {
        let mut position = at("0-1-100");
        assert!(!position.contains(&"0-2-50".parse().unwrap()));
        position.insert(&"0-2-50".parse().unwrap());
        assert_eq!((position.to_string(), position.state()), ("0-2-50".into(), "0-1-100,0-2-50".into()));
        assert!(position.contains(&"0-1-100".parse().unwrap()) && !position.contains(&"0-2-51".parse().unwrap()));
        assert!(at("0-1-100").is_subset_of(&position) && !position.is_subset_of(&at("0-1-100")));
        position.insert(&"0-1-101".parse().unwrap());
        assert_eq!((position.to_string(), position.state()), ("0-1-101".into(), "0-2-50,0-1-101".into()));
    }

    #[test]
    fn the_earlier_one_is_chosen_domain_by_domain() {
        let (a, b) = (at("0-1-100,0-2-50,3-1-7"), at("0-1-100,0-2-50,0-1-101,3-1-6,4-1-1"));
        for earlier in [a.earlier(&b), b.earlier(&a)] {
            assert_eq!(earlier.to_string(), "0-2-50,3-1-6");
            assert!(earlier.is_subset_of(&a) && earlier.is_subset_of(&b));
        }
    }

    proptest! {
        #[test]
        fn holds_what_was_inserted(seen in proptest::collection::vec((0u32..3, 1u32..3, 1u64..50), 0..30), probe in (0u32..3, 1u32..3, 1u64..50)) {
            let mut position = MariaGtidPosition::new();
            for (domain, server, sequence) in &seen {
                position.insert(&MariaGtid { domain: *domain, server: *server, sequence: *sequence });
            }
            let last = seen.iter().rev().find(|(domain, server, _)| (*domain, *server) == (probe.0, probe.1));
            let expected = last.is_some_and(|(_, _, sequence)| probe.2 <= *sequence);
            prop_assert_eq!(position.contains(&MariaGtid { domain: probe.0, server: probe.1, sequence: probe.2 }), expected);
            prop_assert_eq!(position.state().parse::<MariaGtidPosition>().unwrap(), position);
        }
    }
}
