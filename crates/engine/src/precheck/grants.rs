//! `SHOW GRANTS`, read: which privileges the account has where. Never kept as text: MariaDB prints the password's hash in it.

use godwit_model::names::quote_identifier;
use std::collections::BTreeSet;

/// Privileges on everything by which an account gets more: other accounts, files of the server, the server itself.
const TOO_MUCH: [&str; 9] = [
    "SUPER",
    "CREATE USER",
    "FILE",
    "SHUTDOWN",
    "ROLE_ADMIN",
    "SET_USER_ID",
    "SET_ANY_DEFINER",
    "SYSTEM_USER",
    "CREATE TABLESPACE",
];
/// Privileges by which rows and tables change.
const WRITING: [&str; 5] = ["INSERT", "UPDATE", "DELETE", "ALTER", "DROP"];

/// What an account may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// `'user'@'host'`, as `GRANT … TO` takes it.
    pub account: String,
    grants: Vec<Grant>,
    /// MySQL's partial revokes: privileges that a global grant does not give in one database.
    revokes: Vec<(String, BTreeSet<String>)>,
    /// Roles that were granted to it. Those that are active have their privileges among the grants.
    pub roles: Vec<String>,
    /// `_` and `%` in a database's name are just characters.
    literal_databases: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    privileges: BTreeSet<String>,
    scope: Scope,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    Global,
    /// As written, with `\_`, `_` and `%`.
    Database(String),
    Table(String, String),
    /// PROXY, routines: not looked at.
    Other,
}

impl Grants {
    /// Reads the rows of `SHOW GRANTS`. `partial_revokes`: the server's variable, which makes database names literal.
    pub fn parse(account: &str, rows: &[String], partial_revokes: bool) -> Self {
        let mut grants = Self { account: account.to_owned(), literal_databases: partial_revokes, ..Self::default() };
        for row in rows {
            grants.add(row);
        }
        grants
    }

    fn add(&mut self, row: &str) {
        if let Some(rest) = strip_word(row, "GRANT") {
            match split_on(rest) {
                Some((privileges, object)) => {
                    let mut privileges = privilege_names(privileges);
                    if find_word(object, " WITH GRANT OPTION").is_some() {
                        privileges.insert("GRANT OPTION".to_owned());
                    }
                    self.grants.push(Grant { privileges, scope: scope(object) });
                }
                // GRANT `role`@`%` TO `user`@`%`
                None => self.roles.extend(role_names(rest)),
            }
        } else if let Some(rest) = strip_word(row, "REVOKE")
            && let Some((privileges, object)) = split_on(rest)
            && let Scope::Database(database) = scope(object)
        {
            self.revokes.push((database, privilege_names(privileges)));
        }
    }

    /// A privilege on everything, dynamic ones included.
    pub fn global(&self, privilege: &str) -> bool {
        self.grants.iter().any(|grant| grant.scope == Scope::Global && gives(&grant.privileges, privilege))
    }

    /// Any of them on everything.
    pub fn any_global(&self, privileges: &[&str]) -> bool {
        privileges.iter().any(|privilege| self.global(privilege))
    }

    /// A privilege on a whole database.
    pub fn on_database(&self, privilege: &str, database: &str) -> bool {
        let revoked = self.revokes.iter().any(|(name, privileges)| name == database && gives(privileges, privilege));
        (self.global(privilege) && !revoked) || self.by_database(privilege, database)
    }

    /// A privilege on a table, through it or its database or everything. Grants on single columns do not count.
    pub fn on_table(&self, privilege: &str, database: &str, table: &str) -> bool {
        let through_table = self.grants.iter().any(|grant| {
            matches!(&grant.scope, Scope::Table(d, t) if d.eq_ignore_ascii_case(database) && t.eq_ignore_ascii_case(table))
                && gives(&grant.privileges, privilege)
        });
        through_table || self.on_database(privilege, database)
    }

    /// What of `wanted` is missing on a database, and the statement that gives it. None: nothing is missing.
    ///
    /// Of several database grants the server takes the most specific one alone, so a new grant under the exact name would
    /// hide an older one under a pattern: it is extended where it names the database, and repeated where it is wider.
    pub fn missing_on_database(&self, wanted: &[&str], database: &str) -> Option<(String, String)> {
        let lacking: Vec<&str> = wanted.iter().copied().filter(|privilege| !self.on_database(privilege, database)).collect();
        if lacking.is_empty() {
            return None;
        }
        let best = self
            .grants
            .iter()
            .filter_map(|grant| match &grant.scope {
                Scope::Database(pattern) => self.specificity(pattern, database).map(|rank| (rank, pattern, grant)),
                _ => None,
            })
            .max_by_key(|(rank, ..)| *rank);
        let (privileges, target) = match best {
            Some((_, pattern, _)) if pattern == database => (lacking.join(", "), quote_identifier(pattern)),
            Some((rank, _, grant)) if rank < usize::MAX => {
                let mut all = grant.privileges.clone();
                all.extend(wanted.iter().map(|privilege| (*privilege).to_owned()));
                let all: Vec<String> =
                    all.into_iter().filter(|privilege| privilege != "USAGE" && privilege != "GRANT OPTION").collect();
                (all.join(", "), self.quoted_database(database))
            }
            _ => (lacking.join(", "), self.quoted_database(database)),
        };
        Some((format!("{} on {database}", lacking.join(", ")), format!("GRANT {privileges} ON {target}.* TO {};", self.account)))
    }

    /// What it may do beyond writing to the databases `own`: what reaches other accounts or the server itself, and writing elsewhere.
    pub fn beyond(&self, own: &[&str]) -> Vec<String> {
        // Those that give all the others come first, then where it writes: only the first few are shown.
        let (most, more) = TOO_MUCH.split_at(2);
        let global = |names: &[&str]| -> Vec<String> {
            names.iter().filter(|name| self.global(name)).map(|name| (*name).to_owned()).collect()
        };
        let mut found = global(most);
        if self.grants.iter().any(|grant| grant.privileges.contains("GRANT OPTION")) {
            found.push("GRANT OPTION".to_owned());
        }
        for grant in &self.grants {
            let written = WRITING.iter().filter(|name| gives(&grant.privileges, name)).copied().collect::<Vec<_>>().join(", ");
            let place = match &grant.scope {
                _ if written.is_empty() => continue,
                Scope::Global => "every database".to_owned(),
                // A pattern that takes in the accounts as well is none of the task's.
                Scope::Database(pattern)
                    if own.iter().any(|name| self.specificity(pattern, name).is_some())
                        && self.specificity(pattern, "mysql").is_none() =>
                {
                    continue;
                }
                Scope::Table(database, _) if own.iter().any(|name| name.eq_ignore_ascii_case(database)) => continue,
                Scope::Database(name) | Scope::Table(name, _) => format!("database {name}"),
                Scope::Other => continue,
            };
            found.push(format!("{place} ({written})"));
        }
        found.extend(global(more));
        let mut seen = BTreeSet::new();
        found.retain(|name| seen.insert(name.clone()));
        found
    }

    /// The statement that gives privileges on a database to an account of its own.
    pub fn grant_to_another(&self, privileges: &[&str], database: &str) -> String {
        format!("GRANT {} ON {}.* TO 'godwit'@'%';", privileges.join(", "), self.quoted_database(database))
    }

    /// A database's name as `GRANT … ON` takes it: `_` and `%` would be wildcards.
    fn quoted_database(&self, database: &str) -> String {
        if self.literal_databases {
            return quote_identifier(database);
        }
        quote_identifier(&database.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%"))
    }

    /// Of the database grants that match, the server takes the most specific one alone; with roles, they add up.
    fn by_database(&self, privilege: &str, database: &str) -> bool {
        let mut matching: Vec<(usize, &Grant)> = self
            .grants
            .iter()
            .filter_map(|grant| match &grant.scope {
                Scope::Database(pattern) => self.specificity(pattern, database).map(|rank| (rank, grant)),
                _ => None,
            })
            .collect();
        if self.roles.is_empty() {
            let best = matching.iter().map(|(rank, _)| *rank).max();
            matching.retain(|(rank, _)| Some(*rank) == best);
        }
        matching.iter().any(|(_, grant)| gives(&grant.privileges, privilege))
    }

    /// None: no match. Otherwise the number of characters before the first wildcard, the whole name being the most.
    fn specificity(&self, pattern: &str, database: &str) -> Option<usize> {
        if self.literal_databases {
            return (pattern == database).then_some(usize::MAX);
        }
        let tokens = like_tokens(pattern);
        if !like(&tokens, &database.chars().collect::<Vec<_>>()) {
            return None;
        }
        Some(tokens.iter().position(|token| !matches!(token, Like::Char(_))).unwrap_or(usize::MAX))
    }
}

fn gives(privileges: &BTreeSet<String>, privilege: &str) -> bool {
    privileges.contains(privilege) || (privileges.contains("ALL PRIVILEGES") && privilege != "GRANT OPTION")
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.trim_start().get(..word.len())?;
    let rest = &text.trim_start()[word.len()..];
    (head.eq_ignore_ascii_case(word) && rest.starts_with(' ')).then(|| rest.trim_start())
}

/// Cuts at the keyword ` ON ` that stands outside quotes and parentheses: privileges, object with what follows.
fn split_on(text: &str) -> Option<(&str, &str)> {
    let at = find_word(text, " ON ")?;
    Some((&text[..at], &text[at + 4..]))
}

/// The byte place of a word outside backticks, quotes and parentheses.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote: Option<u8> = None;
    let mut depth = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        match quote {
            Some(open) => {
                if byte == open {
                    quote = None;
                }
            }
            None => match byte {
                b'`' | b'\'' | b'"' => quote = Some(byte),
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ if depth == 0 && starts_with(&bytes[at..], word) => return Some(at),
                _ => {}
            },
        }
    }
    None
}

fn starts_with(bytes: &[u8], word: &str) -> bool {
    bytes.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
}

/// Upper-case names; a privilege that holds for some columns only is left out.
fn privilege_names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut depth = 0;
    let mut current = String::new();
    let mut columns = false;
    for c in text.chars().chain([',']) {
        match c {
            '(' => {
                depth += 1;
                columns = true;
            }
            ')' => depth -= 1,
            ',' if depth == 0 => {
                let name = current.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
                if !columns && !name.is_empty() {
                    names.insert(if name == "ALL" { "ALL PRIVILEGES".to_owned() } else { name });
                }
                current.clear();
                columns = false;
            }
            other if depth == 0 => current.push(other),
            _ => {}
        }
    }
    names
}

/// `*.*`, `` `db`.* ``, `` `db`.`t` ``, with ` TO …` behind.
fn scope(object: &str) -> Scope {
    let object = object.trim_start();
    if object.starts_with("*.*") {
        return Scope::Global;
    }
    let object = strip_word(object, "TABLE").unwrap_or(object);
    if ["PROCEDURE", "FUNCTION", "PACKAGE"].into_iter().any(|word| strip_word(object, word).is_some()) {
        return Scope::Other;
    }
    let Some((database, rest)) = identifier(object) else { return Scope::Other };
    let Some(rest) = rest.strip_prefix('.') else { return Scope::Other };
    if rest.starts_with('*') {
        return Scope::Database(database);
    }
    match identifier(rest) {
        Some((table, _)) => Scope::Table(database, table),
        None => Scope::Other,
    }
}

/// A name, quoted or not, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '`' | '\'' | '"'));
    let Some(quote) = quote else {
        let end = text.find(['.', ' ', '@']).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = text[1..].char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        if c != quote {
            name.push(c);
        } else if rest.peek().is_some_and(|(_, next)| *next == quote) {
            name.push(c);
            rest.next();
        } else {
            return Some((name, &text[at + 2..]));
        }
    }
    None
}

fn role_names(rest: &str) -> Vec<String> {
    let end = find_word(rest, " TO ").unwrap_or(rest.len());
    rest[..end].split(',').filter_map(|role| identifier(role.trim()).map(|(name, _)| name)).collect()
}

enum Like {
    Char(char),
    One,
    Many,
}

fn like_tokens(pattern: &str) -> Vec<Like> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '\\' => Like::Char(chars.next().unwrap_or('\\')),
            '_' => Like::One,
            '%' => Like::Many,
            other => Like::Char(other),
        });
    }
    tokens
}

fn like(tokens: &[Like], name: &[char]) -> bool {
    let mut fits = vec![false; name.len() + 1];
    fits[name.len()] = true;
    for token in tokens.iter().rev() {
        let mut next = vec![false; name.len() + 1];
        for at in (0..=name.len()).rev() {
            next[at] = match token {
                Like::Char(c) => at < name.len() && name[at].to_lowercase().eq(c.to_lowercase()) && fits[at + 1],
                Like::One => at < name.len() && fits[at + 1],
                Like::Many => fits[at] || (at < name.len() && next[at + 1]),
            };
        }
        fits = next;
    }
    fits[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(rows: &[&str]) -> Grants {
        Grants::parse("'u'@'%'", &rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>(), false)
    }

    #[test]
    fn global_and_dynamic_privileges() {
        let all = grants(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION"]);
        assert!(all.global("REPLICATION SLAVE") && all.on_table("SELECT", "a", "b"));
        let some = grants(&[
            "GRANT SELECT, REPLICATION CLIENT ON *.* TO 'u'@'%' IDENTIFIED BY PASSWORD '*ABC'",
            "GRANT BACKUP_ADMIN,CONNECTION_ADMIN ON *.* TO `u`@`%`",
        ]);
        assert!(some.global("REPLICATION CLIENT") && some.global("CONNECTION_ADMIN"));
        assert!(!some.global("REPLICATION SLAVE"));
        assert!(!format!("{some:?}").contains("ABC"));
    }

    #[test]
    fn database_patterns_with_and_without_escapes() {
        let escaped = grants(&[r"GRANT SELECT ON `shop\_eu`.* TO `u`@`%`"]);
        assert!(escaped.on_database("SELECT", "shop_eu") && !escaped.on_database("SELECT", "shopXeu"));
        let pattern = grants(&["GRANT SELECT ON `shop_%`.* TO `u`@`%`"]);
        assert!(pattern.on_database("SELECT", "shop1abc") && !pattern.on_database("SELECT", "shop"));
        assert_eq!(Grants::default().quoted_database("shop_eu`x"), r"`shop\_eu``x`");
        let literal = Grants::parse("u", &["GRANT SELECT ON `shop_%`.* TO `u`@`%`".to_owned()], true);
        assert!(!literal.on_database("SELECT", "shop1abc") && literal.on_database("SELECT", "shop_%"));
    }

    #[test]
    fn the_most_specific_database_grant_counts_alone() {
        let two = grants(&["GRANT SELECT ON `a%`.* TO `u`@`%`", "GRANT INSERT ON `ab`.* TO `u`@`%`"]);
        assert!(!two.on_database("SELECT", "ab") && two.on_database("SELECT", "ac"));
        let roles =
            grants(&["GRANT SELECT ON `a%`.* TO `u`@`%`", "GRANT INSERT ON `ab`.* TO `u`@`%`", "GRANT `r`@`%` TO `u`@`%`"]);
        assert!(roles.on_database("SELECT", "ab"));
        assert_eq!(roles.roles, ["r"]);
    }

    #[test]
    fn a_statement_never_hides_an_older_grant() {
        let wanted = ["SELECT", "SHOW VIEW"];
        let statement = |rows: &[&str]| grants(rows).missing_on_database(&wanted, "shop_eu").map(|(_, statement)| statement);
        for (row, expected) in [
            ("GRANT USAGE ON *.* TO `u`@`%`", r"GRANT SELECT, SHOW VIEW ON `shop\_eu`.* TO 'u'@'%';"),
            (r"GRANT SELECT ON `shop\_eu`.* TO `u`@`%`", r"GRANT SHOW VIEW ON `shop\_eu`.* TO 'u'@'%';"),
            ("GRANT SELECT ON `shop_eu`.* TO `u`@`%`", "GRANT SHOW VIEW ON `shop_eu`.* TO 'u'@'%';"),
            ("GRANT EXECUTE ON `shop%`.* TO `u`@`%`", r"GRANT EXECUTE, SELECT, SHOW VIEW ON `shop\_eu`.* TO 'u'@'%';"),
        ] {
            assert_eq!(statement(&[row]).as_deref(), Some(expected), "{row}");
        }
        assert_eq!(statement(&["GRANT ALL PRIVILEGES ON `shop%`.* TO `u`@`%`"]), None);
    }

    #[test]
    fn tables_columns_and_routines() {
        let some = grants(&[
            "GRANT SELECT, INSERT (`id`, `on`) ON `shop`.`on hold` TO `u`@`%`",
            "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `u`@`%`",
            "GRANT PROXY ON ''@'' TO 'root'@'localhost' WITH GRANT OPTION",
        ]);
        assert!(some.on_table("SELECT", "shop", "on hold") && !some.on_table("INSERT", "shop", "on hold"));
        assert!(!some.on_database("SELECT", "shop") && !some.on_table("EXECUTE", "shop", "p"));
    }

    #[test]
    fn partial_revokes_take_away_from_global_grants() {
        let revoked = grants(&["GRANT SELECT, INSERT ON *.* TO `u`@`%`", "REVOKE SELECT ON `shop`.* FROM `u`@`%`"]);
        assert!(!revoked.on_database("SELECT", "shop") && revoked.on_database("INSERT", "shop"));
        assert!(revoked.on_database("SELECT", "other"));
    }
}
