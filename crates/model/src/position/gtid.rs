//! MySQL's GTIDs and sets of them (manual: "GTID Format and Storage").

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Largest transaction number a server assigns (`GNO_END - 1`).
const MAX_NUMBER: u64 = i64::MAX as u64 - 1;

/// A MySQL transaction identifier, `uuid[:tag]:number`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gtid {
    pub uuid: [u8; 16],
    /// MySQL 8.3 and later.
    pub tag: Option<Box<str>>,
    pub number: u64,
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(f, &self.uuid)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        write!(f, ":{}", self.number)
    }
}

impl FromStr for Gtid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let set: GtidSet = text.parse()?;
        let mut all = set.intervals();
        match (all.next(), all.next()) {
            (Some((uuid, tag, first, last)), None) if first == last => {
                Ok(Self { uuid: *uuid, tag: tag.map(Into::into), number: first })
            }
            _ => Err(Error::definite(format!("\"{text}\" is not one GTID"))),
        }
    }
}

/// From `start` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Interval {
    start: u64,
    end: u64,
}

/// Sorted, disjoint, not touching.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Intervals(Vec<Interval>);

impl Intervals {
    fn contains(&self, number: u64) -> bool {
        let after = self.0.partition_point(|interval| interval.start <= number);
        after.checked_sub(1).and_then(|i| self.0.get(i)).is_some_and(|interval| number < interval.end)
    }

    /// Of any intervals in any order. Adding them one by one would move those behind each time: the square of their number.
    fn of(mut unsorted: Vec<Interval>) -> Self {
        unsorted.sort_unstable_by_key(|interval| interval.start);
        let mut intervals = Self::default();
        unsorted.into_iter().filter(|interval| interval.start < interval.end).for_each(|interval| intervals.add_last(interval));
        intervals
    }

    /// Adds an interval that begins behind the beginning of the last one.
    fn add_last(&mut self, interval: Interval) {
        match self.0.last_mut() {
            Some(last) if interval.start <= last.end => last.end = last.end.max(interval.end),
            _ => self.0.push(interval),
        }
    }

    /// Adds all of `other`, of which each is come to once.
    fn merge(&mut self, other: &Intervals) {
        if other.0.len() <= 1 {
            other.0.iter().for_each(|interval| self.add(interval.start, interval.end));
            return;
        }
        // Two sorted runs: the sort finds them.
        let mut all = std::mem::take(&mut self.0);
        all.extend_from_slice(&other.0);
        all.sort_by_key(|interval| interval.start);
        all.into_iter().for_each(|interval| self.add_last(interval));
    }

    /// Adds `[start, end)`. The next number of a server costs one comparison.
    fn add(&mut self, start: u64, end: u64) {
        match self.0.last_mut() {
            Some(last) if last.end == start => {
                last.end = end;
                return;
            }
            Some(last) if start > last.end => {
                self.0.push(Interval { start, end });
                return;
            }
            None => {
                self.0.push(Interval { start, end });
                return;
            }
            Some(_) => {}
        }
        let first = self.0.partition_point(|interval| interval.end < start);
        let past = self.0.partition_point(|interval| interval.start <= end);
        let touched = self.0.get(first..past).unwrap_or_default();
        let merged = Interval {
            start: touched.first().map_or(start, |interval| interval.start.min(start)),
            end: touched.last().map_or(end, |interval| interval.end.max(end)),
        };
        self.0.splice(first..past, [merged]);
    }

    fn covers(&self, other: &Interval) -> bool {
        let after = self.0.partition_point(|interval| interval.start <= other.start);
        after.checked_sub(1).and_then(|i| self.0.get(i)).is_some_and(|interval| other.end <= interval.end)
    }

    fn without(&self, other: &Intervals) -> Intervals {
        let mut rest = Vec::new();
        for interval in &self.0 {
            let mut start = interval.start;
            let first = other.0.partition_point(|hole| hole.end <= interval.start);
            for hole in other.0.iter().skip(first).take_while(|hole| hole.start < interval.end) {
                if hole.start > start {
                    rest.push(Interval { start, end: hole.start });
                }
                start = start.max(hole.end);
            }
            if start < interval.end {
                rest.push(Interval { start, end: interval.end });
            }
        }
        Intervals(rest)
    }
}

/// A set of MySQL transactions.
///
/// `Display` writes the server's form on one line (`,` between the UUIDs where the server adds a line
/// break); parsing takes every form a server prints or accepts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct GtidSet {
    // No inner map and no interval list is empty. None (untagged) sorts first, as in the server's form.
    sids: BTreeMap<[u8; 16], BTreeMap<Option<Box<str>>, Intervals>>,
}

impl GtidSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no transaction is in it.
    pub fn is_empty(&self) -> bool {
        self.sids.is_empty()
    }

    /// Whether the transaction is in it.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        self.sids.get(&gtid.uuid).and_then(|tags| tags.get(&gtid.tag)).is_some_and(|intervals| intervals.contains(gtid.number))
    }

    /// Adds a transaction.
    pub fn insert(&mut self, gtid: &Gtid) {
        let tags = self.sids.entry(gtid.uuid).or_default();
        if let Some(intervals) = tags.get_mut(&gtid.tag) {
            intervals.add(gtid.number, gtid.number.saturating_add(1));
        } else {
            self.insert_range(gtid.uuid, gtid.tag.as_deref(), gtid.number, gtid.number.saturating_add(1));
        }
    }

    /// Adds the transactions from `start` to before `end`.
    pub fn insert_range(&mut self, uuid: [u8; 16], tag: Option<&str>, start: u64, end: u64) {
        if start < end {
            self.sids.entry(uuid).or_default().entry(tag.map(Into::into)).or_default().add(start, end);
        }
    }

    /// Adds the transactions from each `start` to before its `end`, in any order.
    pub fn insert_ranges(&mut self, uuid: [u8; 16], tag: Option<&str>, ranges: impl IntoIterator<Item = (u64, u64)>) {
        let ranges = Intervals::of(ranges.into_iter().map(|(start, end)| Interval { start, end }).collect());
        if !ranges.0.is_empty() {
            self.sids.entry(uuid).or_default().entry(tag.map(Into::into)).or_default().merge(&ranges);
        }
    }

    /// Adds all of `other`.
    pub fn union(&mut self, other: &GtidSet) {
        for (uuid, tags) in &other.sids {
            let own = self.sids.entry(*uuid).or_default();
            for (tag, intervals) in tags {
                own.entry(tag.clone()).or_default().merge(intervals);
            }
        }
    }

    /// What is here and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &GtidSet) -> GtidSet {
        let mut rest = GtidSet::new();
        for (uuid, tags) in &self.sids {
            for (tag, intervals) in tags {
                let left = match other.sids.get(uuid).and_then(|tags| tags.get(tag)) {
                    Some(holes) => intervals.without(holes),
                    None => intervals.clone(),
                };
                if !left.0.is_empty() {
                    rest.sids.entry(*uuid).or_default().insert(tag.clone(), left);
                }
            }
        }
        rest
    }

    /// Whether all of it is in `other`.
    pub fn is_subset_of(&self, other: &GtidSet) -> bool {
        self.sids.iter().all(|(uuid, tags)| {
            tags.iter().all(|(tag, intervals)| {
                let whole = other.sids.get(uuid).and_then(|tags| tags.get(tag));
                whole.is_some_and(|whole| intervals.0.iter().all(|interval| whole.covers(interval)))
            })
        })
    }

    /// How many transactions.
    pub fn count(&self) -> u128 {
        self.intervals().map(|(_, _, first, last)| u128::from(last) - u128::from(first) + 1).sum()
    }

    /// Runs of transactions: uuid, tag, first, last.
    pub fn intervals(&self) -> impl Iterator<Item = (&[u8; 16], Option<&str>, u64, u64)> {
        self.sids.iter().flat_map(|(uuid, tags)| {
            tags.iter().flat_map(move |(tag, intervals)| {
                intervals.0.iter().map(move |interval| (uuid, tag.as_deref(), interval.start, interval.end - 1))
            })
        })
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (uuid, tags)) in self.sids.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write_uuid(f, uuid)?;
            for (tag, intervals) in tags {
                if let Some(tag) = tag {
                    write!(f, ":{tag}")?;
                }
                for interval in &intervals.0 {
                    write!(f, ":{}", interval.start)?;
                    if interval.end - interval.start > 1 {
                        write!(f, "-{}", interval.end - 1)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl FromStr for GtidSet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut set = GtidSet::new();
        for part in text.split(',') {
            let part: String = part.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            if part.is_empty() {
                continue;
            }
            parse_sid(&part, &mut set).ok_or_else(|| Error::definite(format!("\"{part}\" is not a GTID set")))?;
        }
        Ok(set)
    }
}

/// Whether it is the tag of a GTID: it stands in statements as it is.
pub fn is_tag(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn parse_sid(part: &str, set: &mut GtidSet) -> Option<()> {
    let mut pieces = part.split(':');
    let uuid = parse_uuid(pieces.next()?)?;
    let mut tag: Option<String> = None;
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for piece in pieces {
        if piece.is_empty() {
            continue;
        }
        if piece.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            if !is_tag(piece) {
                return None;
            }
            set.insert_ranges(uuid, tag.as_deref(), ranges.drain(..));
            tag = Some(piece.to_ascii_lowercase());
            continue;
        }
        let (first, last) = match piece.split_once('-') {
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
            None => {
                let number: u64 = piece.parse().ok()?;
                (number, number)
            }
        };
        if first == 0 || last > MAX_NUMBER {
            return None;
        }
        // The server reads an interval that runs backwards as an empty one.
        if first <= last {
            ranges.push((first, last + 1));
        }
    }
    set.insert_ranges(uuid, tag.as_deref(), ranges);
    Some(())
}

/// A UUID's 16 bytes from its text, with or without dashes or braces, as servers accept it.
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let mut uuid = [0u8; 16];
    let mut digits = text.bytes().filter(|byte| *byte != b'-');
    for byte in &mut uuid {
        let high = char::from(digits.next()?).to_digit(16)?;
        let low = char::from(digits.next()?).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    digits.next().is_none().then_some(uuid)
}

fn write_uuid(f: &mut fmt::Formatter<'_>, uuid: &[u8; 16]) -> fmt::Result {
    for (i, byte) in uuid.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "0b5f5e4e-0000-11e1-9e33-c80aa9429562";

    #[test]
    fn reads_what_servers_print() {
        let set: GtidSet = format!(" {A}:1-3:5-7:9,\n{B}:1:Tag_a:1-2:4:tag_b:8\n").parse().unwrap();
        assert_eq!(set.to_string(), format!("{B}:1:tag_a:1-2:4:tag_b:8,{A}:1-3:5-7:9"));
        let again: GtidSet = set.to_string().parse().unwrap();
        assert_eq!(again, set);
        assert_eq!(set.count(), 12);
        assert!(set.contains(&format!("{B}:tag_a:4").parse().unwrap()));
        assert!(!set.contains(&format!("{B}:tag_a:3").parse().unwrap()));
        assert!(!set.contains(&format!("{B}:4").parse().unwrap()));
        assert!("".parse::<GtidSet>().unwrap().is_empty());
        assert_eq!(format!("{A}:3-4,{A}:1-2:7-6").parse::<GtidSet>().unwrap().to_string(), format!("{A}:1-4"));
        for bad in [
            "x",
            "3e11fa47:1",
            &format!("{A}:0"),
            &format!("{A}:1-x"),
            &format!("{A}:a-b:1"),
            &format!("{A}:9223372036854775807"),
        ] {
            assert!(bad.parse::<GtidSet>().is_err(), "{bad}");
        }
    }

    fn gtid() -> impl Strategy<Value = Gtid> {
        (0u8..2, proptest::option::of(Just("t")), 1u64..40).prop_map(|(server, tag, number)| Gtid {
            uuid: [server; 16],
            tag: tag.map(Into::into),
            number,
        })
    }

    fn gtids() -> impl Strategy<Value = Vec<Gtid>> {
        proptest::collection::vec(gtid(), 0..60)
    }

    fn set_of(gtids: &[Gtid]) -> GtidSet {
        let mut set = GtidSet::new();
        gtids.iter().for_each(|gtid| set.insert(gtid));
        set
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(left in gtids(), right in gtids(), probe in gtid()) {
            let (naive_left, naive_right): (HashSet<Gtid>, HashSet<Gtid>) = (left.iter().cloned().collect(), right.iter().cloned().collect());
            let (a, b) = (set_of(&left), set_of(&right));
            prop_assert_eq!(a.contains(&probe), naive_left.contains(&probe));
            prop_assert_eq!(a.is_empty(), naive_left.is_empty());
            prop_assert_eq!(a.count(), naive_left.len() as u128);
            prop_assert_eq!(a.is_subset_of(&b), naive_left.is_subset(&naive_right));
            let mut both = a.clone();
            both.union(&b);
            prop_assert_eq!(&both, &set_of(&naive_left.union(&naive_right).cloned().collect::<Vec<_>>()));
            prop_assert!(a.is_subset_of(&both) && b.is_subset_of(&both));
            prop_assert_eq!(a.difference(&b), set_of(&naive_left.difference(&naive_right).cloned().collect::<Vec<_>>()));
            prop_assert_eq!(both.to_string().parse::<GtidSet>().unwrap(), both);
        }

        #[test]
        fn never_panics(text in "[0-9a-f:,\\-\\n _{}]{0,80}") {
            let _ = text.parse::<GtidSet>();
        }
    }
}
