//! Generated columns are computed by the destination. Where an expression depends on the session or the server that computes it, a
//! stored value may come out differently: it was computed by the session that wrote the row, which nobody knows any more.
//!
//! What the writing sessions take over from the source (`engine/computing.rs`) is told, and so is what depends on a time zone where the row is
//! written in one that gives the source's value (`plan/zoned.rs`); what they cannot know is a warning. Values are compared by
//! the verification either way. An expression without an index and not STORED is computed anew by whoever reads it, here as there.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::plan::{TablePlan, zoned};
use crate::precheck::context::{Context, Server};
use crate::precheck::finding::{Finding, some};
use crate::schema::create::{CreateTable, ItemKind};
use crate::schema::zone::Expressions;
use crate::sql::lexer::TokenKind;
use godwit_api::ConflictPolicy;
use godwit_model::definition::{Column, Generated, Kind};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let servers = Servers { source: &context.source, destination: &context.destination };
    let (mut all, mut doubtful, mut taken_over, mut zoned) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for table in &context.plan.tables {
        let generated = table.definition.columns.iter().filter(|column| column.generated != Generated::No);
        all.extend(generated.map(|column| format!("{}.{}", table.source, column.name)));
        let carried = carried_columns(table, context);
        for (name, reason) in dependences(table, &servers) {
            match reason {
                Reason::Zone(_) if carried.contains(&name) => zoned.push(name),
                Reason::Zone(why) => doubtful.push(format!("{name} ({why})")),
                Reason::Unknown(why) => doubtful.push(format!("{name} ({why})")),
                Reason::TakenOver(what) => taken_over.push(format!("{name} ({what})")),
            }
        }
    }
    if !doubtful.is_empty() {
        return Some(Finding::warning(
            format!("stored or indexed values that depend on who computes them: {}", some(&doubtful)),
            "the destination computes them anew, in sessions with the source's global div_precision_increment, default_week_format and \
             lc_time_names, and with time zone +00:00 where the row's own cannot be found; a row that was written in a session with other settings has another value there",
            "run a verification (spec.verification.full: {mode: Rows}), which compares these values and lists the rows that differ, and ignore this item; or \
             make the expression independent at the source (a DATETIME instead of a TIMESTAMP, ROUND, the mode of WEEK)",
        ));
    }
    zoned.dedup();
    let mut told =
        if taken_over.is_empty() { String::new() } else { format!("; with the source's global settings: {}", some(&taken_over)) };
    if !zoned.is_empty() {
        told.push_str(&format!("; each row in a time zone in which it has the source's value: {}", some(&zoned)));
    }
    Some(Finding::passed(if all.is_empty() && taken_over.is_empty() {
        "no generated columns".to_owned()
    } else {
        format!("computed by the destination from the same expressions: {}{told}", some(&all))
    }))
}

/// Names of the table's columns that depend on a time zone and arrive all the same.
fn carried_columns(table: &TablePlan, context: &Context) -> Vec<String> {
    if context.spec.conflict_policy == ConflictPolicy::IgnoreErrorsAndProceed {
        // Rows that were there before are left alone.
        return Vec::new();
    }
    let images = zoned::carried(table, &context.destination.info);
    images.iter().filter_map(|&image| Some(format!("{}.{}", table.source, table.definition.columns.get(image)?.name))).collect()
}

/// On what a value depends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// What the writing sessions cannot know.
    Unknown(String),
    /// The time zone of the session that wrote the row.
    Zone(String),
    /// What they take over from the source's global settings.
    TakenOver(String),
}

struct Servers<'a> {
    source: &'a Server,
    destination: &'a Server,
}

/// Stored columns, and those that an index holds, with every reason.
fn dependences(table: &TablePlan, servers: &Servers) -> BTreeSet<(String, Reason)> {
    let mut found = BTreeSet::new();
    let statement = &table.definition.create_statement;
    let computes = statement.contains(" GENERATED ALWAYS AS ") || statement.contains("((") || statement.contains(" AS (");
    // What cannot be read is the item Definitions.
    let Some(create) = computes.then(|| CreateTable::parse(statement).ok()).flatten() else { return found };
    let expression = Expression { create: &create, columns: &table.definition.columns, servers };
    for item in &create.items {
        match &item.kind {
            ItemKind::Column { name, .. } => {
                let column = table.definition.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
                let is_held = column.is_some_and(|column| match column.generated {
                    Generated::No => false,
                    Generated::Stored => true,
                    Generated::Virtual => is_indexed(table, name),
                });
                let start = item.tokens.clone().find(|&at| create.any_word(at, &["AS"]));
                if let Some(group) = start.filter(|_| is_held).and_then(|at| create.group(at, item.tokens.end)) {
                    found.extend(
                        expression.reasons(&group).into_iter().map(|reason| (format!("{}.{name}", table.source), reason)),
                    );
                }
            }
            ItemKind::Index { name, .. } => {
                for part in create.parts(item).into_iter().filter(|part| part.column.is_none()) {
                    let named = format!("index {name} of {}", table.source);
                    found.extend(expression.reasons(&part.tokens).into_iter().map(|reason| (named.clone(), reason)));
                }
            }
            _ => {}
        }
    }
    found
}

fn is_indexed(table: &TablePlan, column: &str) -> bool {
    let mut parts = table.definition.indexes.iter().flat_map(|index| &index.parts);
    parts.any(|part| part.column.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(column)))
}

/// Reads the expressions of one table.
struct Expression<'a> {
    create: &'a CreateTable<'a>,
    columns: &'a [Column],
    servers: &'a Servers<'a>,
}

/// By the names of days and months.
const NAMES: &[&str] = &["DAYNAME", "MONTHNAME"];
/// By whom and where it is computed.
const SESSION: &[&str] =
    &["USER", "CURRENT_USER", "SESSION_USER", "SYSTEM_USER", "DATABASE", "SCHEMA", "VERSION", "CONNECTION_ID"];
/// By the libraries that a server was built with.
const VERSION: &[&str] =
    &["COMPRESS", "WEIGHT_STRING", "REGEXP_REPLACE", "REGEXP_SUBSTR", "REGEXP_INSTR", "REGEXP_LIKE", "REGEXP", "RLIKE"];
const CIPHERS: &[&str] = &["AES_ENCRYPT", "AES_DECRYPT"];

impl Expression<'_> {
    fn reasons(&self, tokens: &Range<usize>) -> BTreeSet<Reason> {
        tokens.clone().filter_map(|at| self.reason(at)).collect()
    }

    fn reason(&self, at: usize) -> Option<Reason> {
        let token = self.create.tokens.get(at)?;
        let expressions = Expressions { create: self.create, columns: self.columns };
        if let Some(why) = expressions.dependence(at) {
            return Some(Reason::Zone(why));
        }
        match token.kind {
            TokenKind::Quoted => self.of_column(at),
            TokenKind::Punct(b'/') => Some(self.taken_over("div_precision_increment", "4", "a division")),
            TokenKind::Punct(b'-') => self.of_mode("NO_UNSIGNED_SUBTRACTION", "a subtraction"),
            TokenKind::SystemVariable => Some(Reason::Unknown("a system variable".into())),
            TokenKind::Word => self.of_word(at),
            _ => None,
        }
    }

    fn of_word(&self, at: usize) -> Option<Reason> {
        let is = |words: &[&str]| self.create.any_word(at, words);
        let word = || self.create.name_at(at).unwrap_or_default().to_lowercase();
        let unknown = |why: &str| Some(Reason::Unknown(format!("{}: {why}", word())));
        if is(&["REGEXP", "RLIKE"]) {
            return self.other_servers().then(|| unknown("other libraries")).flatten();
        }
        // A name without a parenthesis is a keyword here.
        let arguments = self.create.group(at, at + 2).filter(|group| group.start == at + 1)?;
        if is(NAMES) || is(&["DATE_FORMAT", "TIME_FORMAT"]) && self.writes_names(&arguments) {
            return Some(self.taken_over("lc_time_names", "en_US", &word()));
        }
        if is(&["WEEK"]) && self.arguments(&arguments) == 1 {
            return Some(self.taken_over("default_week_format", "0", "week without a mode"));
        }
        if is(SESSION) {
            return unknown("who computes it");
        }
        if is(CIPHERS) {
            return self.differs("block_encryption_mode").then(|| unknown("block_encryption_mode differs")).flatten();
        }
        if is(VERSION) && self.other_servers() {
            return unknown("other libraries");
        }
        None
    }

    fn of_column(&self, at: usize) -> Option<Reason> {
        let name = self.create.name_at(at)?;
        let column = self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(&name))?;
        let is_char = column.kind == Kind::Char;
        is_char.then(|| self.of_mode("PAD_CHAR_TO_FULL_LENGTH", &format!("`{name}` is a CHAR"))).flatten()
    }

    fn arguments(&self, group: &Range<usize>) -> usize {
        crate::schema::create::split_list(&self.create.tokens, group.start, group.end - 1).len()
    }

    /// Whether a format has names of days or months in it, or is none that can be read here.
    fn writes_names(&self, group: &Range<usize>) -> bool {
        let strings = group.clone().filter_map(|at| {
            let token = self.create.tokens.get(at).filter(|token| token.kind == TokenKind::String)?;
            self.create.sql.get(token.span())
        });
        let formats: Vec<&str> = strings.collect();
        formats.is_empty() || formats.iter().any(|format| ["%a", "%b", "%M", "%W"].iter().any(|name| format.contains(name)))
    }

    /// A setting that the writing sessions take from the source. Where the source's is not what servers come with, somebody sets
    /// it, and its sessions may set it too.
    fn taken_over(&self, variable: &str, usual: &str, what: &str) -> Reason {
        match self.servers.source.variable(variable) {
            Some(value) if value == usual => Reason::TakenOver(format!("{what}: {variable}")),
            Some(value) => {
                Reason::Unknown(format!("{what}: {variable} is {value} at the source, and may be another in a session"))
            }
            None => Reason::Unknown(format!("{what}: {variable} is not known")),
        }
    }

    fn of_mode(&self, mode: &str, what: &str) -> Option<Reason> {
        let modes = self.servers.source.variable("sql_mode").unwrap_or_default();
        modes.split(',').any(|set| set == mode).then(|| Reason::Unknown(format!("{what}: {mode} is in the source's sql_mode")))
    }

    fn differs(&self, variable: &str) -> bool {
        self.servers.source.variable(variable) != self.servers.destination.variable(variable)
    }

    /// Of two families, or before and after MySQL 8.0.4, which brought other regular expressions.
    fn other_servers(&self) -> bool {
        let (source, destination) = (&self.servers.source.info, &self.servers.destination.info);
        source.flavor != destination.flavor || source.is_mysql_since(8, 0, 4) != destination.is_mysql_since(8, 0, 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::column;
    use crate::precheck::fixture::{change_table, context, set};
    use godwit_api::Verdict;
    use godwit_model::definition::{Index, IndexPart};
    use godwit_model::server::ServerInfo;

    /// A table with a generated column of this expression.
    fn with(expression: &str, generated: Generated) -> Context {
        let mut context = context();
        for (name, value) in [("div_precision_increment", "4"), ("default_week_format", "0"), ("lc_time_names", "en_US")] {
            set(&mut context.source, name, value);
        }
        change_table(&mut context, |table| {
            table.columns = vec![
                column("id", Kind::Int { unsigned: false }),
                column("at", Kind::Timestamp { fsp: 0 }),
                column("dt", Kind::DateTime { fsp: 0 }),
                column("c", Kind::Char),
                Column { generated, ..column("g", Kind::Varchar) },
            ];
            table.create_statement = format!(
                "CREATE TABLE `orders` (\n  `id` int NOT NULL,\n  `at` timestamp NULL,\n  `dt` datetime,\n  `c` char(3),\n  \
                 `g` varchar(20) GENERATED ALWAYS AS ({expression}) STORED COMMENT 'dayname(`at`)',\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB"
            );
        });
        context
    }

    fn verdict(expression: &str) -> Verdict {
        check(&with(expression, Generated::Stored)).unwrap().verdict
    }

    #[test]
    fn what_depends_on_the_session_is_named() {
        for expression in ["user()", "concat(`id`,@@version)"] {
            assert_eq!(verdict(expression), Verdict::Warning, "{expression}");
        }
        for expression in [
            "(`id` + 1)",
            "if((`at` is null),1,NULL)",
            "if(isnull(`at`),1,NULL)",
            "unix_timestamp(`at`)",
            "(`id` / 7)",
            "dayname(`dt`)",
            "date_format(`dt`,_utf8mb4'%M')",
            "week(`dt`)",
            "week(`dt`,3)",
            "concat(`c`,_utf8mb4'user()/@@version')",
            "regexp_like(`c`,_utf8mb4'a')",
        ] {
            assert_eq!(verdict(expression), Verdict::Passed, "{expression}");
        }
    }

    #[test]
    fn what_depends_on_a_time_zone_is_carried_or_named() {
        for expression in [
            "cast(`at` as date)",
            "date_format(`at`,_utf8mb4'%Y')",
            "unix_timestamp(`dt`)",
            "from_unixtime(`id`)",
            "if((`at` is null),`at`,1)",
        ] {
            let mut context = with(expression, Generated::Stored);
            let found = check(&context).unwrap();
            assert_eq!(found.verdict, Verdict::Passed, "{expression}");
            assert!(found.seen.contains("in a time zone in which it has the source's value: shop.orders.g"), "{found:?}");
            context.spec.conflict_policy = ConflictPolicy::IgnoreErrorsAndProceed;
            assert_eq!(check(&context).unwrap().verdict, Verdict::Warning, "{expression}");
        }
        let mut context = with("concat(cast(`at` as date),user())", Generated::Stored);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Warning);
        context = with("cast(`at` as date)", Generated::Stored);
        context.destination.info = ServerInfo::parse("11.4.5-MariaDB");
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(found.seen.contains("shop.orders.g (time zone: `at` is a TIMESTAMP)"), "{found:?}");
    }

    #[test]
    fn settings_that_the_source_changed_are_named_and_the_usual_ones_are_told() {
        for (expression, variable, value) in [
            ("(`id` / 7)", "div_precision_increment", "10"),
            ("week(`dt`)", "default_week_format", "3"),
            ("dayname(`dt`)", "lc_time_names", "de_DE"),
            ("date_format(`dt`,_utf8mb4'%M')", "lc_time_names", "de_DE"),
            ("(`id` - 1)", "sql_mode", "ANSI,NO_UNSIGNED_SUBTRACTION"),
            ("concat(`c`,1)", "sql_mode", "PAD_CHAR_TO_FULL_LENGTH"),
            ("aes_encrypt(`c`,_utf8mb4'k')", "block_encryption_mode", "aes-256-cbc"),
        ] {
            let mut context = with(expression, Generated::Stored);
            let found = check(&context).unwrap();
            assert_eq!(found.verdict, Verdict::Passed, "{expression}");
            set(&mut context.source, variable, value);
            assert_eq!(check(&context).unwrap().verdict, Verdict::Warning, "{expression}");
        }
        assert!(check(&with("(`id` / 7)", Generated::Stored)).unwrap().seen.contains("div_precision_increment"));
    }

    #[test]
    fn what_no_row_and_no_index_holds_is_left() {
        let mut context = with("cast(`at` as date)", Generated::Virtual);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        change_table(&mut context, |table| {
            let part = IndexPart { column: Some("g".into()), prefix: None, nullable: true };
            table.indexes.push(Index { name: "g".into(), unique: true, kind: "BTREE".into(), parts: vec![part] });
        });
        assert_eq!(check(&context).unwrap().verdict, Verdict::Warning);
        change_table(&mut context, |table| {
            table.create_statement =
                "CREATE TABLE `orders` (\n  `id` int NOT NULL,\n  `at` timestamp NULL,\n  KEY `k` ((cast(`at` as date)))\n)"
                    .into();
        });
        let found = check(&context).unwrap();
        assert!(found.verdict == Verdict::Warning && found.seen.contains("index k of shop.orders"), "{found:?}");
    }

    #[test]
    fn other_servers_have_other_libraries() {
        let mut context = with("regexp_like(`c`,_utf8mb4'a')", Generated::Stored);
        context.source.info = ServerInfo::parse("5.7.22");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Warning);
    }

    #[test]
    fn passes_and_lists_them() {
        let mut context = context();
        change_table(&mut context, |table| table.columns[1].generated = Generated::Virtual);
        assert!(check(&context).unwrap().seen.contains("shop.orders.state"));
    }
}
