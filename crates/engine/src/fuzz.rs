//! Everything that reads what somebody else wrote, as functions of bytes: the fuzzers of `fuzz/` call them, and the tests here call them with
//! the seeds that are kept there and with changes of these. They return when the input is refused as well as when it is taken; a panic or
//! memory without measure is a find.

use std::str::FromStr;

pub use crate::binlog::fuzz::{events, framed, json, payload};
pub use crate::dump::fuzz::{dump, login};
use crate::logged::{Statement, classify};
use crate::schema::column_type::parse_column_type;
use crate::schema::exact::{exact_text, introduced_as_hex};
use crate::schema::names::SameNames;
use crate::schema::rewrite::{Engine, TableRewrite, rewrite_create_table};
use crate::schema::view::{Definer, rewrite_view, view_references};
use crate::sql::charset::{MultiByte, in_utf8, names_beyond_ascii};
use crate::sql::lexer::{LexMode, tokens};
use godwit_model::definition::TableDefinition;
use godwit_model::names::TableName;
use godwit_model::position::{GtidSet, MariaGtidPosition, Position};

/// Reads bytes, whatever they are.
pub type Target = fn(&[u8]);

/// All entry points, by the names of their targets.
pub const TARGETS: &[(&str, Target)] = &[
    ("login", login),
    ("dump", dump),
    ("events", events),
    ("payload", payload),
    ("json", json),
    ("gtids", gtids),
    ("definitions", definitions),
    ("statements", statements),
    ("records", records),
    ("manifest", manifest),
];

/// Two GTID sets, a line each.
pub fn gtids(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (first, second) = text.split_once('\n').unwrap_or((&text, ""));
    if let (Ok(one), Ok(other)) = (GtidSet::from_str(first), GtidSet::from_str(second)) {
        let mut both = one.clone();
        both.union(&other);
        assert!(one.is_subset_of(&both) && other.is_subset_of(&both));
        assert!(both.difference(&one).is_subset_of(&other));
        assert_eq!(GtidSet::from_str(&both.to_string()).ok().as_ref(), Some(&both));
        let _ = crate::dump::sids::sids(&both);
    }
    if let Ok(position) = MariaGtidPosition::from_str(first) {
        let again = MariaGtidPosition::from_str(&position.to_string());
        assert!(again.is_ok_and(|again| again.is_subset_of(&position)));
    }
}

/// What SHOW CREATE says of `d`.`t`.
pub fn definitions(data: &[u8]) {
    let _ = (exact_text(data), introduced_as_hex(data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let name = TableName { database: "d".into(), table: "t".into() };
    let rules = TableRewrite {
        source: name.clone(),
        destination: TableName { database: "d".into(), table: "u".into() },
        key_index: Some("PRIMARY".into()),
        engine: Engine::AsSource,
        needed: vec!["k".into()],
        defer_indexes: true,
        names: &SameNames,
    };
    let _ = rewrite_create_table(text, &rules);
    let _ = rewrite_view(text, &name, &SameNames, Definer::Invoker);
    let _ = view_references(text, &name);
    let _ = parse_column_type(text);
}

/// A byte of settings, and a statement of the log.
pub fn statements(data: &[u8]) {
    let [settings, sql @ ..] = data else { return };
    let charsets = [MultiByte::None, MultiByte::Big5, MultiByte::Sjis, MultiByte::Gbk, MultiByte::Gb18030, MultiByte::EucKr];
    let mode = LexMode {
        ansi_quotes: settings & 1 != 0,
        no_backslash_escapes: settings & 2 != 0,
        charset: charsets.get(usize::from(settings >> 2) % charsets.len()).copied().unwrap_or(MultiByte::None),
        server: None,
    };
    let mut end = 0;
    for token in tokens(sql, &mode) {
        assert!(end <= token.start && token.start < token.end && token.end <= sql.len(), "{token:?}");
        end = token.end;
    }
    let _ = names_beyond_ascii(sql, &mode);
    let _ = in_utf8(sql, &mode, &std::collections::HashMap::new());
    if let Statement::Ddl(ddl) = classify(sql, "d", &mode) {
        assert_eq!(ddl.with_names(sql, |_| None), sql);
        assert!(ddl.names.iter().all(|name| name.span.start <= name.span.end && name.span.end <= sql.len()));
        let _ = ddl.with_names(sql, |_| Some("`x`".into()));
    }
}

/// What is read back from the records at the destination.
pub fn records(data: &[u8]) {
    if let Ok(position) = serde_json::from_slice::<Position>(data) {
        let again = serde_json::to_vec(&position).ok().and_then(|text| serde_json::from_slice::<Position>(&text).ok());
        assert_eq!(again.as_ref(), Some(&position));
        // It stands in a statement on the source.
        let shown = position.gtid.to_string();
        assert!(!shown.contains(['\'', '"', '\\', '`', ';', '\n']), "{shown}");
    }
    if let Ok(definition) = serde_json::from_slice::<TableDefinition>(data)
        && definition.check_words().is_ok()
    {
        let _ = definition.row_key();
        let words = definition.columns.iter().flat_map(|column| [&column.character_set, &column.collation]).flatten();
        words.for_each(|word| assert!(word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{word}"));
    }
}

/// A manifest.
pub fn manifest(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = godwit_api::manifest::load(text, "task.yaml");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::*;

    /// A small generator: the same changes at every run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % end.max(1) as u64) as usize
        }
    }

    /// Bytes changed, cut out, doubled, put in from another seed.
    fn changed(seed: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=numbers.below(4) {
            let place = numbers.below(bytes.len() + 1);
            let end = (place + numbers.below(24)).min(bytes.len());
            match numbers.below(6) {
                0 => bytes.get_mut(place).into_iter().for_each(|byte| *byte = numbers.below(256) as u8),
                1 => bytes.get_mut(place).into_iter().for_each(|byte| *byte ^= 1 << numbers.below(8)),
                2 => bytes.get_mut(place).into_iter().for_each(|byte| *byte = [0, 0x7f, 0x80, 0xff][numbers.below(4)]),
                3 => drop(bytes.drain(place..end)),
                4 => bytes.splice(place..place, bytes[place..end].to_vec()).for_each(drop),
                _ => {
                    let from = numbers.below(other.len());
                    let piece = other[from..(from + numbers.below(64)).min(other.len())].to_vec();
                    bytes.splice(place..end, piece).for_each(drop);
                }
            }
        }
        bytes
    }

    /// The seeds of every target and, for half a second each, changes of them. The fuzzers go on from here: `make fuzz`.
    #[test]
    fn seeds_and_changes_of_them_do_no_harm() {
        for (number, (name, target)) in TARGETS.iter().enumerate() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
            let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
            paths.sort();
            let seeds: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
            assert!(!seeds.is_empty(), "{name} has no seeds");
            seeds.iter().for_each(|seed| target(seed));
            let (started, mut numbers) = (Instant::now(), Numbers(0x9e37_79b9_7f4a_7c15 ^ number as u64));
            while started.elapsed() < Duration::from_millis(500) {
                let (seed, other) = (&seeds[numbers.below(seeds.len())], &seeds[numbers.below(seeds.len())]);
                let input = changed(seed, other, &mut numbers);
                let before = Instant::now();
                target(&input);
                assert!(before.elapsed() < Duration::from_secs(20), "{name} takes {:?} for {input:02x?}", before.elapsed());
            }
        }
    }
}
