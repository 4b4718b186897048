//! Texts for people that may quote values of rows.
//!
//! A row's values, its key among them, belong to the database's owner; whoever reads status, events and logs may be somebody else. So
//! a text knows where such values stand, and shows them only when it was told to (`spec.diagnostics.rowValues`). Names, types, places in
//! the log and definitions are no row values.
//!
//! What others wrote is in it as it may be shown ([`plain`]), and it is never longer than [`MOST`]: a server may say anything.

use std::fmt;

use crate::plain;

/// Bytes of a text, with everything that was put around it.
pub const MOST: usize = 4 << 10;

/// What stands in place of a value.
pub const HIDDEN: &str = "(hidden)";

/// A text, with and without the row values in it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Text {
    shown: String,
    /// None: no value stands in it.
    whole: Option<String>,
}

impl Text {
    /// A value, or several in one text.
    pub fn of_value(value: impl Into<String>) -> Self {
        Self { shown: HIDDEN.to_owned(), whole: Some(shown(value.into())) }
    }

    /// Puts words around it.
    #[must_use]
    pub fn map(self, words: impl Fn(&str) -> String) -> Self {
        Self { shown: shown(words(&self.shown)), whole: self.whole.map(|whole| shown(words(&whole))) }
    }

    /// Puts words around two.
    #[must_use]
    pub fn with(self, other: &Self, words: impl Fn(&str, &str) -> String) -> Self {
        let hides = self.whole.is_some() || other.whole.is_some();
        let whole = hides.then(|| shown(words(self.whole(), other.whole())));
        Self { shown: shown(words(&self.shown, &other.shown)), whole }
    }

    /// With the values: to look at, never to show.
    pub fn whole(&self) -> &str {
        self.whole.as_deref().unwrap_or(&self.shown)
    }

    /// Whether something is left out when it is shown.
    pub fn hides(&self) -> bool {
        self.whole.is_some()
    }

    /// From here on its values are shown.
    #[must_use]
    pub fn revealed(self) -> Self {
        Self { shown: self.whole.unwrap_or(self.shown), whole: None }
    }

    /// What a server said. Of its errors some quote a value, and where it stands is known; `strict`: the statement held row values, so that
    /// what else the server may say is not shown either.
    pub fn of_server(code: u16, message: &str, strict: bool) -> Self {
        let whole = plain::said(message);
        let shown = match quotes_value(code) {
            // Of all of it: a place of two that was cut out would let the value through.
            Some((before, behind)) => plain::said(&hide_between(message, before, behind)),
            None if strict && !NO_VALUES.contains(&code) => HIDDEN.to_owned(),
            None => return whole.into(),
        };
        Self { shown, whole: Some(whole) }
    }
}

/// What stands before and behind a value in the text of an error (MySQL and MariaDB error references).
fn quotes_value(code: u16) -> Option<(&'static str, &'static str)> {
    Some(match code {
        // ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME
        1062 | 1586 => ("entry '", "' for key"),
        // ER_PARSE_ERROR
        1064 => ("near '", "' at line"),
        // ER_TRUNCATED_WRONG_VALUE, ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
        1292 | 1366 => ("value: '", "'"),
        // ER_ILLEGAL_VALUE_FOR_TYPE, ER_NO_PARTITION_FOR_GIVEN_VALUE, ER_WRONG_VALUE_FOR_TYPE
        1367 => ("value '", "' found"),
        1411 => ("value: '", "' for function"),
        1526 => ("for value ", ""),
        // ER_INVALID_CHARACTER_STRING, ER_DATA_OUT_OF_RANGE
        1300 => ("string: '", "'"),
        1690 => ("in '", "'"),
        // ER_FOREIGN_DUPLICATE_KEY_WITH_CHILD_INFO and _WITHOUT_
        1761 | 1762 => ("record '", "' would lead"),
        // MariaDB: ER_CANNOT_CONVERT_CHARACTER, ER_CONSTRAINT… of JSON
        1977 => ("character ", " to"),
        // ER_INVALID_JSON_TEXT, ER_INVALID_JSON_TEXT_IN_PARAM, ER_CANNOT_CONVERT_STRING
        3140 => ("text: ", " in value for column"),
        3141 => (": ", ""),
        3854 | 3988 => ("string '", "' from"),
        _ => return None,
    })
}

/// Errors and warnings whose texts name tables, columns, accounts and limits only.
const NO_VALUES: &[u16] = &[
    182, 1021, 1022, 1028, 1030, 1031, 1036, 1037, 1038, 1040, 1041, 1044, 1045, 1048, 1049, 1050, 1051, 1053, 1054, 1091, 1114,
    1136, 1142, 1143, 1146, 1153, 1158, 1159, 1160, 1161, 1176, 1180, 1196, 1203, 1205, 1213, 1226, 1227, 1242, 1264, 1265, 1287,
    1290, 1317, 1364, 1370, 1406, 1436, 1451, 1452, 1467, 1615, 1637, 1665, 1698, 1705, 1792, 1799, 1836, 1927, 1969, 3024, 3098,
    3100, 3101, 3719, 3750, 3778, 3819, 4025, 4031,
];

/// The message without what stands between the words; all of it goes where they are not found.
fn hide_between(message: &str, before: &str, behind: &str) -> String {
    let Some(start) = message.find(before).map(|place| place + before.len()) else { return HIDDEN.to_owned() };
    let end = if behind.is_empty() { Some(message.len()) } else { message.rfind(behind) };
    match end.filter(|end| *end >= start) {
        // The last one: the value may hold the same words.
        Some(end) => {
            let rest = &message[end..];
            // "Incorrect integer value: 'x' for column `d`.`t`.`c` at row 1": the names are quoted too.
            let column =
                if behind == "'" { message[start..].rfind("' for column").map(|place| &message[start + place..]) } else { None };
            format!("{}{HIDDEN}{}", &message[..start], column.unwrap_or(rest))
        }
        None => format!("{}{HIDDEN}", &message[..start]),
    }
}

/// The beginning of a logged statement, up to the first value in it: a string, a number, or a comment, which may hold anything.
pub fn without_values(sql: &str) -> String {
    const MOST: usize = 200;
    let mut shown = String::new();
    let mut in_name = false;
    let mut previous = ' ';
    for letter in sql.chars().take(MOST) {
        let begins_number = letter.is_ascii_digit() && !previous.is_alphanumeric() && !matches!(previous, '_' | '$');
        let begins_comment = letter == '#' || matches!((previous, letter), ('/', '*') | ('-', '-'));
        if !in_name && (matches!(letter, '\'' | '"') || begins_number || begins_comment) {
            return format!("{}…", shown.trim_end_matches(['/', '-']));
        }
        in_name ^= letter == '`';
        shown.push(letter);
        previous = letter;
    }
    shown
}

/// As it may be shown.
fn shown(text: String) -> String {
    match plain::bounded(&text, MOST) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(plain) => plain,
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self { shown: shown(text), whole: None }
    }
}

impl From<&str> for Text {
    fn from(shown: &str) -> Self {
        shown.to_owned().into()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// As it is shown: a debug print is no way around.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_shows_its_values_when_told() {
        let text = Text::of_value("secret").map(|key| format!("shop.items key {key}: "));
        let text =
            text.with(&Text::of_server(1062, "Duplicate entry 'secret' for key 'items.u'", true), |a, b| format!("{a}{b}"));
        assert_eq!(text.to_string(), "shop.items key (hidden): Duplicate entry '(hidden)' for key 'items.u'");
        assert!(!format!("{text:?}").contains("secret"));
        assert_eq!(text.revealed().to_string(), "shop.items key secret: Duplicate entry 'secret' for key 'items.u'");
    }

    #[test]
    fn what_servers_say_is_shown_without_values() {
        for (code, message, shown) in [
            (
                1062,
                "Duplicate entry 'a' for key 'b' for key 'items.PRIMARY'",
                "Duplicate entry '(hidden)' for key 'items.PRIMARY'",
            ),
            (
                1366,
                "Incorrect integer value: 'secret' for column 'code' at row 2",
                "Incorrect integer value: '(hidden)' for column 'code' at row 2",
            ),
            (
                1366,
                "Incorrect string value: 'it's' for column `shop`.`items`.`code` at row 1",
                "Incorrect string value: '(hidden)' for column `shop`.`items`.`code` at row 1",
            ),
            (1292, "Truncated incorrect DOUBLE value: 'secret'", "Truncated incorrect DOUBLE value: '(hidden)'"),
            (1292, "Something else: secret", "(hidden)"),
            (
                1064,
                "You have an error in your SQL syntax; … near 'secret' at line 1",
                "You have an error in your SQL syntax; … near '(hidden)' at line 1",
            ),
            (1526, "Table has no partition for value 17", "Table has no partition for value (hidden)"),
            (1264, "Out of range value for column 'amount' at row 1", "Out of range value for column 'amount' at row 1"),
            // A trigger may say anything.
            (1644, "no secret allowed", "(hidden)"),
        ] {
            assert_eq!(Text::of_server(code, message, true).to_string(), shown);
            assert_eq!(Text::of_server(code, message, true).whole(), message);
        }
        assert_eq!(Text::of_server(1644, "of a definition", false).to_string(), "of a definition");
    }

    #[test]
    fn statements_are_shown_up_to_their_first_value() {
        for (sql, shown) in [
            ("DELETE FROM `it's 1`.`t2` WHERE a = 'secret'", "DELETE FROM `it's 1`.`t2` WHERE a = …"),
            ("UPDATE t2 SET a_1=17", "UPDATE t2 SET a_1=…"),
            ("/* secret */ DELETE FROM t", "…"),
            ("DELETE FROM t -- secret", "DELETE FROM t …"),
            ("INSERT INTO t VALUES (\"secret\")", "INSERT INTO t VALUES (…"),
            ("DELETE FROM t WHERE b = x'41'", "DELETE FROM t WHERE b = x…"),
            ("ALTER TABLE shop.items ADD c INT", "ALTER TABLE shop.items ADD c INT"),
        ] {
            assert_eq!(without_values(sql), shown);
        }
    }
}
