//! What a definition says in words: defaults, expressions, checks, comments, partitions, views.
//!
//! `information_schema` tells names and types, and `compare` holds those against each other. The rest stands in the text only. The
//! source's text is brought into the destination's names and words as for its creation, taken apart, and held against the
//! destination's own. Servers of one family print expressions alike, introducers and blanks aside; between families (and
//! in views between versions) only what a person wrote is compared: literals and names.

use std::ops::Range;

use crate::schema::adapt::adapt_for;
use crate::schema::compare_words::{Strictness, Word, same_words, words};
use crate::schema::complete::default_of;
use crate::schema::create::{CreateTable, Item, ItemKind};
use crate::schema::exact::{hex, literal_bytes};
use crate::schema::names::NameMap;
use crate::schema::rewrite::{Engine, TableRewrite, rewrite_create_table};
use crate::sql::lexer::{LexMode, TokenKind, tokens};
use godwit_model::definition::TableDefinition;
use godwit_model::names::TableName;
use godwit_model::server::ServerInfo;

/// Something that reads otherwise. None: it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextDifference {
    /// `column a: default`.
    pub what: String,
    pub source: Option<String>,
    pub destination: Option<String>,
}

/// What the destination's text says otherwise than the source's, seen through the names of a task.
pub fn text_differences(
    source: &TableDefinition,
    source_info: &ServerInfo,
    destination: &TableDefinition,
    destination_info: &ServerInfo,
    names: &dyn NameMap,
) -> Vec<TextDifference> {
    // MySQL 5.7 says a conversion or does not by the session that made the table.
    let prints_alike = source_info.is_mariadb() || source_info.is_mysql_since(8, 0, 0);
    let strictness = match () {
        () if source_info.flavor != destination_info.flavor => Strictness::Written,
        () if source_info.version == destination_info.version && prints_alike => Strictness::Words,
        () => Strictness::Converted,
    };
    let name = TableName { database: source.database.clone(), table: source.table.clone() };
    // A table that cannot be made in the destination's words was made there by hand: its own words are expected.
    let adapted = adapt_for(&source.create_statement, source_info, destination_info)
        .map_or_else(|_| source.create_statement.clone(), |adapted| adapted.create);
    let rules = TableRewrite {
        source: name,
        destination: TableName { database: destination.database.clone(), table: destination.table.clone() },
        key_index: None,
        engine: Engine::AsSource,
        needed: Vec::new(),
        defer_indexes: false,
        names,
    };
    let unreadable = |whose: &str, error: String| {
        vec![TextDifference { what: format!("the {whose} definition cannot be read"), source: Some(error), destination: None }]
    };
    let expected = match rewrite_create_table(&adapted, &rules) {
        Ok(rewritten) => rewritten.create,
        Err(error) => return unreadable("source's", error.to_string()),
    };
    match (CreateTable::parse(&expected), CreateTable::parse(&destination.create_statement)) {
        (Ok(expected), Ok(actual)) => {
            // Versions print the expressions of partitions with other quotes and parentheses.
            let of_partitions = if source_info == destination_info { Strictness::Words } else { Strictness::Bounds };
            Texts { expected, actual, strictness, of_partitions }.differences()
        }
        (Err(error), _) => unreadable("source's", error.to_string()),
        (_, Err(error)) => unreadable("destination's", error.to_string()),
    }
}

struct Texts<'a> {
    expected: CreateTable<'a>,
    actual: CreateTable<'a>,
    strictness: Strictness,
    of_partitions: Strictness,
}

impl Texts<'_> {
    fn of_one_family(&self) -> bool {
        matches!(self.strictness, Strictness::Words | Strictness::Converted)
    }

    fn differences(&self) -> Vec<TextDifference> {
        let mut found = Vec::new();
        for item in &self.expected.items {
            match &item.kind {
                ItemKind::Column { name, .. } => {
                    let same = |kind: &ItemKind| matches!(kind, ItemKind::Column { name: other, .. } if other.eq_ignore_ascii_case(name));
                    // A column that is missing is named already.
                    let Some(own) = self.actual.items.iter().find(|item| same(&item.kind)) else { continue };
                    self.column(name, item, own, &mut found);
                }
                ItemKind::Index { name, .. } => {
                    let same =
                        |kind: &ItemKind| matches!(kind, ItemKind::Index { name: other, .. } if other.eq_ignore_ascii_case(name));
                    let Some(own) = self.actual.items.iter().find(|item| same(&item.kind)) else { continue };
                    let what = format!("index {name}");
                    let comment = |create: &CreateTable, item: &Item| comment_of(create, &item.tokens);
                    push(&mut found, &what, "comment", comment(&self.expected, item), comment(&self.actual, own));
                    self.expressions(
                        &what,
                        "expression",
                        &parts_of(&self.expected, item),
                        &parts_of(&self.actual, own),
                        &mut found,
                    );
                }
                ItemKind::Check { .. } => self.check(item, &mut found),
                _ => {}
            }
        }
        self.extra_checks(&mut found);
        let comment = |create: &CreateTable| comment_of(create, &(create.options.start..partitions_of(create).start));
        push(&mut found, "table", "comment", comment(&self.expected), comment(&self.actual));
        let partitions = |create: &CreateTable| vec![partitions_of(create)];
        let (here, there) = (partitions(&self.expected), partitions(&self.actual));
        self.texts("table", "partitions", self.of_partitions, [&here, &there], &mut found);
        found
    }

    fn column(&self, name: &str, item: &Item, own: &Item, found: &mut Vec<TextDifference>) {
        let what = format!("column {name}");
        let facets = |create: &CreateTable, item: &Item| (labels_of(create, item), comment_of(create, &item.tokens));
        let (labels, comment) = facets(&self.expected, item);
        let (own_labels, own_comment) = facets(&self.actual, own);
        push(found, &what, "labels", labels, own_labels);
        push(found, &what, "comment", comment, own_comment);
        let default = |create: &CreateTable, item: &Item| default_text(create, item);
        match (default(&self.expected, item), default(&self.actual, own)) {
            (Some(ColumnDefault::Value(here)), Some(ColumnDefault::Value(there))) => push(found, &what, "default", here, there),
            (Some(ColumnDefault::Expression(here)), Some(ColumnDefault::Expression(there))) => {
                self.expressions(&what, "default", &[here], &[there], found);
            }
            // An expression of one family may be a value of another's; between versions of one it is not.
            (here, there) if self.of_one_family() && (here.is_some() || there.is_some()) => {
                let shown = |create: &CreateTable, default: Option<ColumnDefault>| default.map(|default| default.shown(create));
                push(found, &what, "default", shown(&self.expected, here), shown(&self.actual, there));
            }
            _ => {}
        }
        let on_update = |create: &CreateTable, item: &Item| {
            let says = |at: usize| create.any_word(at, &["ON"]) && create.any_word(at + 1, &["UPDATE"]);
            item.tokens.clone().any(says).then(|| "CURRENT_TIMESTAMP".to_owned())
        };
        push(found, &what, "on update", on_update(&self.expected, item), on_update(&self.actual, own));
        let generated =
            |create: &CreateTable, item: &Item| -> Vec<Range<usize>> { generated_of(create, item).into_iter().collect() };
        self.expressions(&what, "expression", &generated(&self.expected, item), &generated(&self.actual, own), found);
        // MariaDB keeps a column's own check in the column, and makes one for MySQL's JSON.
        let checks = check_of(&self.actual, own);
        let is_of_json =
            checks.first().is_some_and(|range| range.clone().take(2).any(|at| self.actual.any_word(at, &["json_valid"])));
        if self.of_one_family() || !is_of_json {
            self.expressions(&what, "check", &check_of(&self.expected, item), &checks, found);
        }
    }

    /// Checks that the source does not have refuse rows that it takes.
    fn extra_checks(&self, found: &mut Vec<TextDifference>) {
        for item in &self.actual.items {
            let ItemKind::Check { name } = &item.kind else { continue };
            let name = name.as_deref().unwrap_or_default();
            let same =
                |other: &Item| matches!(&other.kind, ItemKind::Check { name: Some(other) } if other.eq_ignore_ascii_case(name));
            if !self.expected.items.iter().any(same) {
                found.push(TextDifference { what: format!("check {name}"), source: None, destination: Some("present".into()) });
            }
        }
    }

    fn check(&self, item: &Item, found: &mut Vec<TextDifference>) {
        let ItemKind::Check { name } = &item.kind else { return };
        let what = format!("check {}", name.as_deref().unwrap_or_default());
        let same = |kind: &ItemKind| matches!(kind, ItemKind::Check { name: Some(other) } if name.as_deref().is_some_and(|name| other.eq_ignore_ascii_case(name)));
        match self.actual.items.iter().find(|item| same(&item.kind)) {
            Some(own) => {
                let group = |create: &CreateTable, item: &Item| -> Vec<Range<usize>> {
                    create.group(item.tokens.start, item.tokens.end).into_iter().collect()
                };
                self.expressions(&what, "expression", &group(&self.expected, item), &group(&self.actual, own), found);
                push(found, &what, "enforced", enforced(&self.expected, item), enforced(&self.actual, own));
            }
            None => found.push(TextDifference { what, source: Some("present".into()), destination: None }),
        }
    }

    fn expressions(
        &self,
        object: &str,
        facet: &str,
        expected: &[Range<usize>],
        actual: &[Range<usize>],
        found: &mut Vec<TextDifference>,
    ) {
        self.texts(object, facet, self.strictness, [expected, actual], found);
    }

    fn texts(
        &self,
        object: &str,
        facet: &str,
        strictness: Strictness,
        [expected, actual]: [&[Range<usize>]; 2],
        found: &mut Vec<TextDifference>,
    ) {
        let words = |create: &CreateTable, ranges: &[Range<usize>]| {
            let all = ranges.iter().flat_map(|range| words(create.sql.as_bytes(), &create.tokens, range.clone()));
            all.collect::<Vec<_>>()
        };
        if !same_words(words(&self.expected, expected), words(&self.actual, actual), strictness) {
            let shown = |create: &CreateTable, ranges: &[Range<usize>]| {
                let texts: Vec<&str> = ranges.iter().filter_map(|range| create.sql.get(create.bytes(range))).collect();
                (!texts.is_empty()).then(|| texts.join(", "))
            };
            let what = format!("{object}: {facet}");
            found.push(TextDifference {
                what,
                source: shown(&self.expected, expected),
                destination: shown(&self.actual, actual),
            });
        }
    }
}

/// `NOT ENFORCED`, which only MySQL has.
fn enforced(create: &CreateTable, item: &Item) -> Option<String> {
    let says = |at: usize| create.any_word(at, &["NOT"]) && create.any_word(at + 1, &["ENFORCED"]);
    item.tokens.clone().any(says).then(|| "NOT ENFORCED".to_owned())
}

fn push(found: &mut Vec<TextDifference>, object: &str, facet: &str, source: Option<String>, destination: Option<String>) {
    if source != destination {
        found.push(TextDifference { what: format!("{object}: {facet}"), source, destination });
    }
}

/// Whether two views say the same. `source`: rewritten to the destination's names.
pub fn same_view(source: &str, source_info: &ServerInfo, destination: &str, destination_info: &ServerInfo) -> bool {
    let strictness = if source_info == destination_info { Strictness::Words } else { Strictness::Written };
    let body = |text: &str| {
        let sql = text.as_bytes();
        let list = tokens(sql, &LexMode::default());
        let view = list.iter().position(|token| token.is_word(sql, "VIEW")).unwrap_or(0);
        let body = list.iter().skip(view).position(|token| token.is_word(sql, "AS")).map_or(0, |at| view + at);
        without_databases(words(sql, &list, body..list.len()))
    };
    same_words(body(source), body(destination), strictness)
}

/// MySQL 9 qualifies columns of a view with its database, older versions do not: of three names the last two count.
fn without_databases(list: Vec<Word>) -> Vec<Word> {
    let is_name = |at: usize| matches!(list.get(at), Some(Word::Name(_)));
    let is_dot = |at: usize| list.get(at) == Some(&Word::Other(".".into()));
    let mut kept = Vec::with_capacity(list.len());
    let mut at = 0;
    while at < list.len() {
        let starts = at == 0 || !is_dot(at - 1);
        if starts && is_name(at) && is_dot(at + 1) && is_name(at + 2) && is_dot(at + 3) && is_name(at + 4) {
            at += 2;
        }
        kept.push(list[at].clone());
        at += 1;
    }
    kept
}

/// What a column has without a value.
enum ColumnDefault {
    /// As text; None: NULL.
    Value(Option<String>),
    Expression(Range<usize>),
}

impl ColumnDefault {
    fn shown(&self, create: &CreateTable) -> String {
        match self {
            Self::Value(value) => value.clone().unwrap_or_else(|| "NULL".into()),
            Self::Expression(range) => create.sql.get(create.bytes(range)).unwrap_or_default().to_owned(),
        }
    }
}

/// None: the column has no default, not even NULL.
fn default_text(create: &CreateTable, item: &Item) -> Option<ColumnDefault> {
    let sql = create.sql.as_bytes();
    let Some(at) = default_of(create, &item.tokens) else {
        // MySQL does not print DEFAULT NULL for TEXT and BLOB.
        let nullable = !item.tokens.clone().any(|at| create.any_word(at, &["NOT"]) && create.any_word(at + 1, &["NULL"]));
        return nullable.then_some(ColumnDefault::Value(None));
    };
    let token = create.tokens.get(at)?;
    if create.any_word(at, &["NULL"]) {
        return Some(ColumnDefault::Value(None));
    }
    if let Some(bytes) = literal_bytes(token, sql) {
        return Some(ColumnDefault::Value(Some(
            String::from_utf8(bytes).unwrap_or_else(|error| format!("0x{}", hex(error.as_bytes()))),
        )));
    }
    if matches!(token.kind, TokenKind::Number | TokenKind::HexOrBit) {
        return Some(ColumnDefault::Value(Some(String::from_utf8_lossy(token.bytes(sql)).into_owned())));
    }
    if token.is_punct(b'-') {
        let number = create.tokens.get(at + 1)?;
        return Some(ColumnDefault::Value(Some(format!("-{}", String::from_utf8_lossy(number.bytes(sql))))));
    }
    let end = (at..item.tokens.end).find(|&at| create.any_word(at, &["COMMENT", "CHECK"])).unwrap_or(item.tokens.end);
    Some(ColumnDefault::Expression(at..end))
}

/// The expression of a generated column.
pub(crate) fn generated_of(create: &CreateTable, item: &Item) -> Option<Range<usize>> {
    let at = item.tokens.clone().find(|&at| create.any_word(at, &["GENERATED"]) && create.any_word(at + 1, &["ALWAYS"]))?;
    create.group(at, item.tokens.end)
}

/// The checks in a column.
fn check_of(create: &CreateTable, item: &Item) -> Vec<Range<usize>> {
    let at = item.tokens.clone().find(|&at| create.any_word(at, &["CHECK"]));
    at.and_then(|at| create.group(at, item.tokens.end)).into_iter().collect()
}

/// The expressions of an index.
fn parts_of(create: &CreateTable, item: &Item) -> Vec<Range<usize>> {
    create.parts(item).into_iter().filter(|part| part.column.is_none()).map(|part| part.tokens).collect()
}

/// The values of an ENUM or SET.
fn labels_of(create: &CreateTable, item: &Item) -> Option<String> {
    let at = item.tokens.start + 1;
    let group = create.any_word(at, &["enum", "set"]).then(|| create.group(at, item.tokens.end)).flatten()?;
    let sql = create.sql.as_bytes();
    let labels = group.filter_map(|at| literal_bytes(create.tokens.get(at)?, sql));
    let shown = labels.map(|label| String::from_utf8(label).unwrap_or_else(|error| format!("0x{}", hex(error.as_bytes()))));
    Some(shown.collect::<Vec<_>>().join("','"))
}

/// The text behind COMMENT, outside of parentheses.
fn comment_of(create: &CreateTable, range: &Range<usize>) -> Option<String> {
    let mut depth = 0usize;
    for at in range.clone() {
        match create.tokens.get(at)?.kind {
            TokenKind::Punct(b'(') => depth += 1,
            TokenKind::Punct(b')') => depth = depth.saturating_sub(1),
            TokenKind::Word if depth == 0 && create.any_word(at, &["COMMENT"]) => {
                let equals = create.tokens.get(at + 1).is_some_and(|token| token.is_punct(b'='));
                let literal = create.tokens.get(at + 1 + usize::from(equals))?;
                let text =
                    literal_bytes(literal, create.sql.as_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                // MariaDB prints an empty comment of an index or column, MySQL does not.
                return text.filter(|text| !text.is_empty());
            }
            _ => {}
        }
    }
    None
}

/// From PARTITION BY to the end.
fn partitions_of(create: &CreateTable) -> Range<usize> {
    let start = create.options.clone().find(|&at| create.any_word(at, &["PARTITION"]) && create.any_word(at + 1, &["BY"]));
    start.unwrap_or(create.options.end)..create.options.end
}

#[cfg(test)]
#[path = "compare_texts_tests.rs"]
mod tests;
