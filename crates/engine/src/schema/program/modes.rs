//! `sql_mode` of a program at another server.
//!
//! Modes that say nothing about how a program is read or run are dropped where a server no longer has them; combined modes as well, because
//! servers list what they stand for beside them (MySQL manual, "Combination SQL Modes"). What is left and not known there is an error by name.

use godwit_model::error::{Error, Result};
use godwit_model::server::ServerInfo;

use crate::sql::charset::MultiByte;
use crate::sql::lexer::LexMode;

/// Modes that every server of either family has.
const COMMON: &[&str] = &[
    "REAL_AS_FLOAT",
    "PIPES_AS_CONCAT",
    "ANSI_QUOTES",
    "IGNORE_SPACE",
    "ONLY_FULL_GROUP_BY",
    "NO_UNSIGNED_SUBTRACTION",
    "NO_DIR_IN_CREATE",
    "ANSI",
    "NO_AUTO_VALUE_ON_ZERO",
    "NO_BACKSLASH_ESCAPES",
    "STRICT_TRANS_TABLES",
    "STRICT_ALL_TABLES",
    "NO_ZERO_IN_DATE",
    "NO_ZERO_DATE",
    "ALLOW_INVALID_DATES",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "TRADITIONAL",
    "HIGH_NOT_PRECEDENCE",
    "NO_ENGINE_SUBSTITUTION",
    "PAD_CHAR_TO_FULL_LENGTH",
];

/// Of SHOW CREATE TABLE, of GRANT, of pacts with other products that are listed beside what they stand for, of servers that are long gone.
const WITHOUT_MEANING: &[&str] = &[
    "NO_AUTO_CREATE_USER",
    "NO_KEY_OPTIONS",
    "NO_TABLE_OPTIONS",
    "NO_FIELD_OPTIONS",
    "NOT_USED",
    "POSTGRESQL",
    "MSSQL",
    "DB2",
    "MAXDB",
    "MYSQL323",
    "MYSQL40",
];

/// MariaDB's own.
const MARIADB: &[&str] =
    &["IGNORE_BAD_TABLE_OPTIONS", "EMPTY_STRING_IS_NULL", "SIMULTANEOUS_ASSIGNMENT", "TIME_ROUND_FRACTIONAL", "ORACLE"];

const TRUNCATES: &str = "TIME_TRUNCATE_FRACTIONAL";
const ROUNDS: &str = "TIME_ROUND_FRACTIONAL";

/// The modes of a program at a destination, in the order of the source.
///
/// # Errors
/// Definite: the destination has no such mode, or reads another language in it.
pub fn modes_at(sql_mode: &str, source: &ServerInfo, destination: &ServerInfo) -> Result<Vec<&'static str>> {
    let to_other_family = source.is_mariadb() != destination.is_mariadb();
    let mut modes = Vec::new();
    for mode in sql_mode.split(',').filter(|mode| !mode.is_empty()) {
        let mode = mode.to_ascii_uppercase();
        let known = |list: &[&'static str]| list.iter().copied().find(|known| *known == mode);
        if let Some(known) = known(COMMON) {
            modes.push(known);
        } else if let Some(known) = known(MARIADB).filter(|_| source.is_mariadb() && destination.is_mariadb()) {
            modes.push(known);
        } else if mode == TRUNCATES && !destination.is_mariadb() && destination.version >= (8, 0, 0) {
            modes.push(TRUNCATES);
        } else if mode == TRUNCATES && destination.is_mariadb() {
            // It always does, unless it is told to round.
        } else if known(WITHOUT_MEANING).is_some() || (mode == "ORACLE" && !source.is_mariadb()) {
        } else {
            return Err(Error::definite(format!("it was made with sql_mode {mode}, which the destination does not have")));
        }
    }
    let rounds = !source.is_mariadb() && !sql_mode.to_ascii_uppercase().contains(TRUNCATES);
    if to_other_family && destination.is_mariadb() && rounds {
        modes.push(ROUNDS);
    }
    Ok(modes)
}

/// How a program's text is cut into tokens.
pub fn lex_mode(sql_mode: &str) -> LexMode {
    let has = |wanted: &str| sql_mode.split(',').any(|mode| mode.eq_ignore_ascii_case(wanted));
    LexMode {
        ansi_quotes: has("ANSI_QUOTES"),
        no_backslash_escapes: has("NO_BACKSLASH_ESCAPES"),
        // The text is UTF-8 when it is cut.
        charset: MultiByte::None,
        server: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_of_other_servers() {
        let at = |modes: &str, source: &str, destination: &str| {
            modes_at(modes, &ServerInfo::parse(source), &ServerInfo::parse(destination)).map(|modes| modes.join(","))
        };
        assert_eq!(at("ANSI_QUOTES,NO_AUTO_CREATE_USER", "5.7.22", "8.0.36").unwrap(), "ANSI_QUOTES");
        let oracle = "PIPES_AS_CONCAT,ANSI_QUOTES,ORACLE,NO_KEY_OPTIONS";
        assert_eq!(at(oracle, "5.7.22", "9.7.4").unwrap(), "PIPES_AS_CONCAT,ANSI_QUOTES");
        assert_eq!(at("", "8.0.36", "9.7.4").unwrap(), "");
        // MariaDB's ORACLE is another language.
        assert_eq!(at("ORACLE", "11.4.5-MariaDB", "11.4.5-MariaDB").unwrap(), "ORACLE");
        assert!(at("ORACLE", "11.4.5-MariaDB", "8.0.36").unwrap_err().to_string().contains("ORACLE"));
        assert!(at("TIME_TRUNCATE_FRACTIONAL", "8.0.36", "5.7.22").is_err());
        assert_eq!(at("TIME_TRUNCATE_FRACTIONAL", "8.0.36", "11.4.5-MariaDB").unwrap(), "");
        assert_eq!(at("STRICT_ALL_TABLES", "8.0.36", "11.4.5-MariaDB").unwrap(), "STRICT_ALL_TABLES,TIME_ROUND_FRACTIONAL");
        assert!(at("SOME_DAY", "8.0.36", "8.0.36").is_err());
    }
}
