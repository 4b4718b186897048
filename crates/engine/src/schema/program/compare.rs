//! Whether two servers have the same program.

use std::collections::BTreeSet;

use super::modes::{lex_mode, modes_at};
use super::{Head, ProgramDefinition};
use crate::schema::collation::destination_collation;
use crate::schema::compare::normal_collation;
use crate::schema::view_session::ViewSession;
use crate::sql::lexer::{LexMode, TokenKind, tokens};
use godwit_model::server::ServerInfo;

/// What differs, and how each side has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub what: &'static str,
    pub source: String,
    pub destination: String,
}

/// What differs between what is meant (`plan::programs::make::meant`) and what a destination has. Definer and security are the task's choice and are not
/// compared; events arrive disabled; a trigger may stand behind the guard. Blanks and comments say nothing.
pub fn differences(
    meant: &ProgramDefinition,
    source: &ServerInfo,
    own: &ProgramDefinition,
    destination: &ServerInfo,
) -> Vec<Difference> {
    let mut found = of_heads(meant, own);
    let texts = (said(&meant.body, &meant.session.sql_mode), said(&own.body, &own.session.sql_mode));
    if texts.0 != texts.1 {
        found.push(Difference { what: "body", source: meant.body.clone(), destination: own.body.clone() });
    }
    found.extend(difference("comment", meant.comment.clone(), own.comment.clone()));
    found.extend(of_sessions(meant, source, own, destination));
    found
}

fn difference(what: &'static str, source: String, destination: String) -> Option<Difference> {
    (source != destination).then_some(Difference { what, source, destination })
}

fn of_heads(meant: &ProgramDefinition, own: &ProgramDefinition) -> Vec<Difference> {
    let (left, right) = (head(meant), head(own));
    left.into_iter().zip(right).filter_map(|((what, source), (_, destination))| difference(what, source, destination)).collect()
}

/// What is compared of a head; both of one kind have the same items in the same order.
fn head(program: &ProgramDefinition) -> Vec<(&'static str, String)> {
    let kind = ("kind", program.name.kind.word().to_owned());
    let items = match &program.head {
        Head::Routine { aggregate, parameters, returns, access, deterministic, .. } => vec![
            ("parameters", said(parameters, &program.session.sql_mode)),
            ("type", returns.as_deref().map(normal_type).unwrap_or_default()),
            ("data access", access.words().to_owned()),
            ("deterministic", deterministic.to_string()),
            ("aggregate", aggregate.to_string()),
        ],
        Head::Trigger { table, moment, .. } => vec![("table", table.to_string()), ("moment", moment.words().to_owned())],
        Head::Event { schedule, .. } => vec![("schedule", said(schedule, ""))],
    };
    std::iter::once(kind).chain(items).collect()
}

fn of_sessions(
    meant: &ProgramDefinition,
    source: &ServerInfo,
    own: &ProgramDefinition,
    destination: &ServerInfo,
) -> Vec<Difference> {
    let mut found = Vec::new();
    // What has no counterpart there was made by hand.
    if let Ok(modes) = modes_at(&meant.session.sql_mode, source, destination) {
        let wanted: BTreeSet<String> = modes.into_iter().map(str::to_owned).collect();
        // By the same rules: the destination's own additions say nothing more than what they stand for.
        let has = modes_at(&own.session.sql_mode, destination, destination).unwrap_or_default();
        let has: BTreeSet<String> = has.into_iter().map(str::to_owned).collect();
        let text = |modes: &BTreeSet<String>| modes.iter().cloned().collect::<Vec<_>>().join(",");
        found.extend(difference("sql_mode", text(&wanted), text(&has)));
    }
    if let Ok(session) = meant.session.client.at(destination) {
        let ViewSession { character_set_client, collation_connection } = &own.session.client;
        found.extend(difference("character_set_client", session.character_set_client, character_set_client.clone()));
        let collations = (normal_collation(&session.collation_connection), normal_collation(collation_connection));
        found.extend(difference("collation_connection", collations.0, collations.1));
    }
    if meant.depends_on_database()
        && let Ok(collation) = destination_collation(&meant.session.database_collation, destination)
    {
        let collations = (normal_collation(&collation), normal_collation(&own.session.database_collation));
        found.extend(difference("collation of the database", collations.0, collations.1));
    }
    found.extend(difference("time_zone", meant.session.time_zone.clone(), own.session.time_zone.clone()));
    found
}

/// The tokens of a text, without comments; what stands in executable ones counts.
fn said(text: &str, sql_mode: &str) -> String {
    let bytes = text.as_bytes();
    let list = tokens(bytes, &lex_mode(sql_mode));
    let shown = list.iter().filter(|token| !matches!(token.kind, TokenKind::ExecOpen | TokenKind::ExecClose));
    shown.map(|token| String::from_utf8_lossy(token.bytes(bytes)).into_owned()).collect::<Vec<_>>().join(" ")
}

/// Types of which servers print the width or do not, without saying another type by it (MySQL 8.0.19, "Numeric Type Syntax").
const WITH_WIDTHS: &[&str] = &["tinyint", "smallint", "mediumint", "int", "bigint", "year"];

/// A type as every server prints it: no widths of integers, one name for three-byte UTF-8, no collation beside its character set.
fn normal_type(printed: &str) -> String {
    let bytes = printed.as_bytes();
    let list = tokens(bytes, &LexMode::default());
    let text = |at: usize| list.get(at).map(|token| String::from_utf8_lossy(token.bytes(bytes)).into_owned()).unwrap_or_default();
    let mut words: Vec<String> = Vec::new();
    let mut at = 0;
    while at < list.len() {
        let word = text(at);
        let lower = word.to_lowercase();
        at += 1;
        match lower.as_str() {
            "collate" => at += 1,
            "utf8" => words.push("utf8mb3".into()),
            name if WITH_WIDTHS.contains(&name) && text(at) == "(" => {
                words.push(lower);
                at += 3;
            }
            _ => words.push(if list[at - 1].kind == TokenKind::Word { lower } else { word }),
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::{Access, ProgramSession};
    use super::*;
    use godwit_model::program::{ProgramKind, ProgramName};

    fn routine(returns: &str, body: &str) -> ProgramDefinition {
        let client = ViewSession { character_set_client: "utf8mb4".into(), collation_connection: "utf8mb4_general_ci".into() };
        ProgramDefinition {
            name: ProgramName { kind: ProgramKind::Function, database: "d".into(), name: "f".into() },
            session: ProgramSession {
                sql_mode: "STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER".into(),
                client,
                database_collation: "utf8mb4_general_ci".into(),
                time_zone: String::new(),
            },
            definer: ("u".into(), "%".into()),
            comment: String::new(),
            head: Head::Routine {
                aggregate: false,
                parameters: "(a INT)".into(),
                returns: Some(returns.into()),
                access: Access::NoSql,
                deterministic: true,
                invoker: false,
            },
            body: body.into(),
            guarded: false,
        }
    }

    #[test]
    fn what_says_the_same_is_the_same() {
        let (old, new) = (ServerInfo::parse("5.7.22"), ServerInfo::parse("9.7.4"));
        let source = routine("int(11)", "BEGIN /* one */ RETURN a ; END");
        let mut own = routine("int", "BEGIN\n  RETURN a;\nEND");
        own.session.sql_mode = "STRICT_TRANS_TABLES".into();
        own.definer = ("other".into(), "%".into());
        assert_eq!(differences(&source, &old, &own, &new), []);
        assert_eq!(normal_type("varchar(9) CHARSET utf8 COLLATE utf8_bin"), "varchar ( 9 ) charset utf8mb3");
    }

    #[test]
    fn every_difference_is_found() {
        let info = ServerInfo::parse("9.7.4");
        let source = routine("int", "RETURN 'a b'");
        let differs = |change: fn(&mut ProgramDefinition)| {
            let mut own = source.clone();
            change(&mut own);
            differences(&source, &info, &own, &info).into_iter().map(|found| found.what).collect::<Vec<_>>()
        };
        assert_eq!(differs(|own| own.body = "RETURN 'a  b'".into()), ["body"]);
        assert_eq!(differs(|own| own.comment = "c".into()), ["comment"]);
        assert_eq!(differs(|own| own.session.sql_mode.clear()), ["sql_mode"]);
        assert_eq!(differs(|own| own.session.client.character_set_client = "latin1".into()), ["character_set_client"]);
        assert_eq!(differs(|own| own.session.client.collation_connection = "utf8mb4_bin".into()), ["collation_connection"]);
        assert!(differs(|own| own.session.database_collation = "latin1_bin".into()).is_empty());
        let declares = |body: &str, collation: &str| {
            let mut text = routine("int", body);
            text.session.database_collation = collation.into();
            text
        };
        let text = "BEGIN DECLARE v VARCHAR(9); RETURN 1; END";
        let found = differences(&declares(text, "utf8mb4_bin"), &info, &declares(text, "latin1_bin"), &info);
        assert_eq!(found.first().map(|found| found.what), Some("collation of the database"));
        let head = |change: fn(&mut Head)| {
            let mut own = source.clone();
            change(&mut own.head);
            differences(&source, &info, &own, &info).into_iter().map(|found| found.what).collect::<Vec<_>>()
        };
        assert_eq!(
            head(|head| if let Head::Routine { parameters, .. } = head {
                *parameters = "(b INT)".into()
            }),
            ["parameters"]
        );
        assert_eq!(
            head(|head| if let Head::Routine { returns, .. } = head {
                *returns = Some("bigint".into())
            }),
            ["type"]
        );
        assert_eq!(
            head(|head| if let Head::Routine { access, .. } = head {
                *access = Access::ContainsSql
            }),
            ["data access"]
        );
        assert_eq!(
            head(|head| if let Head::Routine { deterministic, .. } = head {
                *deterministic = false
            }),
            ["deterministic"]
        );
    }
}
