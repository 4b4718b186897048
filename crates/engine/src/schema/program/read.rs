//! Programs, read from a server.
//!
//! `information_schema` shows those that the account may see, SHOW CREATE the text of each, as the server keeps it
//! (`character_set_results=NULL`, see [`crate::schema::exact`]): the body in the character set of the client that made the program. One that
//! cannot be read is listed with the reason.

use mysql_async::Conn;

use super::guard::unguarded;
use super::modes::lex_mode;
use super::text::{Taken, take_apart};
use super::{Access, Head, Moment, ProgramDefinition, ProgramSession};
use crate::schema::exact::{exact_text, introducer};
use crate::schema::read::{bytes_at, prepare_session, rows};
use crate::schema::view_session::{ViewSession, decode_by_server, is_plain};
use crate::sql;
use crate::sql::lexer::{LexMode, TokenKind, tokens};
use crate::sql::{Qualified, Queries, Quoted};
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;
use godwit_model::program::{ProgramKind, ProgramName};

/// A program at a server, or why it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedProgram {
    pub name: ProgramName,
    /// Of a trigger.
    pub table: Option<TableName>,
    pub definition: std::result::Result<ProgramDefinition, String>,
}

/// What `information_schema` says, before the text is known.
struct Facts {
    name: ProgramName,
    session: ProgramSession,
    definer: String,
    comment: String,
    rest: Rest,
}

enum Rest {
    Routine {
        access: String,
        deterministic: bool,
        invoker: bool,
    },
    Trigger {
        table: TableName,
        moment: Option<Moment>,
        order: u64,
    },
    Event,
    /// Of a kind that is not carried.
    Other(String),
}

/// The programs of a database, functions first, triggers of one table and moment in their order.
///
/// Changes the session's `sql_mode` and character set.
///
/// # Errors
/// From the server.
pub async fn read_programs(conn: &mut Conn, database: &str) -> Result<Vec<ListedProgram>> {
    prepare_session(conn).await?;
    let mut facts = routines(conn, database).await.context(format!("reading the routines of {database}"))?;
    facts.extend(triggers(conn, database).await.context(format!("reading the triggers of {database}"))?);
    facts.extend(events(conn, database).await.context(format!("reading the events of {database}"))?);
    let mut programs = Vec::with_capacity(facts.len());
    for facts in facts {
        let table = match &facts.rest {
            Rest::Trigger { table, .. } => Some(table.clone()),
            _ => None,
        };
        let name = facts.name.clone();
        let definition = definition(conn, facts).await?;
        programs.push(ListedProgram { name, table, definition });
    }
    let order = |program: &ListedProgram| match program.definition.as_ref().map(|definition| &definition.head) {
        Ok(Head::Trigger { moment, order, .. }) => Some((*moment, *order)),
        _ => None,
    };
    programs.sort_by_cached_key(|program| {
        (program.name.kind, program.table.as_ref().map(|table| table.table.clone()), order(program), program.name.name.clone())
    });
    Ok(programs)
}

/// Name, type, data access, deterministic, security, comment, mode, definer, client, collation, database's collation.
type RoutineRow = (String, String, String, String, String, String, String, String, String, String, String);

async fn routines(conn: &mut Conn, database: &str) -> Result<Vec<Facts>> {
    let found: Vec<RoutineRow> = rows(
        conn,
        &sql!(
            "SELECT ROUTINE_NAME, ROUTINE_TYPE, SQL_DATA_ACCESS, IS_DETERMINISTIC, SECURITY_TYPE, ROUTINE_COMMENT, SQL_MODE, DEFINER, \
             CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION FROM information_schema.ROUTINES \
             WHERE ROUTINE_SCHEMA = {} ORDER BY ROUTINE_NAME",
            Quoted(database)
        ),
    )
    .await?;
    let facts = found.into_iter().map(
        |(name, kind, access, deterministic, security, comment, mode, definer, client, collation, base)| {
            let own = Rest::Routine { access, deterministic: deterministic == "YES", invoker: security == "INVOKER" };
            let (kind, rest) = match kind.as_str() {
                "FUNCTION" => (ProgramKind::Function, own),
                "PROCEDURE" => (ProgramKind::Procedure, own),
                other => (ProgramKind::Procedure, Rest::Other(other.to_lowercase())),
            };
            Facts {
                name: ProgramName { kind, database: database.to_owned(), name },
                session: session(mode, client, collation, base),
                definer,
                comment,
                rest,
            }
        },
    );
    Ok(facts.collect())
}

fn session(sql_mode: String, client: String, collation: String, database_collation: String) -> ProgramSession {
    let client = ViewSession { character_set_client: client, collation_connection: collation };
    ProgramSession { sql_mode, client, database_collation, time_zone: String::new() }
}

/// Name, table, timing, manipulation, order, mode, definer, client, collation, database's collation.
type TriggerRow = (String, String, String, String, u64, String, String, String, String, String);

async fn triggers(conn: &mut Conn, database: &str) -> Result<Vec<Facts>> {
    let found: Vec<TriggerRow> = rows(
        conn,
        &sql!(
            "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER, SQL_MODE, DEFINER, \
             CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION FROM information_schema.TRIGGERS \
             WHERE TRIGGER_SCHEMA = {}",
            Quoted(database)
        ),
    )
    .await?;
    let facts = found.into_iter().map(|(name, table, timing, change, order, mode, definer, client, collation, base)| Facts {
        name: ProgramName { kind: ProgramKind::Trigger, database: database.to_owned(), name },
        session: session(mode, client, collation, base),
        definer,
        comment: String::new(),
        rest: Rest::Trigger {
            table: TableName { database: database.to_owned(), table },
            moment: Moment::of(&timing, &change),
            order,
        },
    });
    Ok(facts.collect())
}

/// Name, zone, mode, definer, comment, client, collation, database's collation.
type EventRow = (String, String, String, String, String, String, String, String);

async fn events(conn: &mut Conn, database: &str) -> Result<Vec<Facts>> {
    let found: Vec<EventRow> = rows(
        conn,
        &sql!(
            "SELECT EVENT_NAME, TIME_ZONE, SQL_MODE, DEFINER, EVENT_COMMENT, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, \
             DATABASE_COLLATION FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {}",
            Quoted(database)
        ),
    )
    .await?;
    let facts = found.into_iter().map(|(name, time_zone, mode, definer, comment, client, collation, base)| Facts {
        name: ProgramName { kind: ProgramKind::Event, database: database.to_owned(), name },
        session: ProgramSession { time_zone, ..session(mode, client, collation, base) },
        definer,
        comment,
        rest: Rest::Event,
    });
    Ok(facts.collect())
}

async fn definition(conn: &mut Conn, facts: Facts) -> Result<std::result::Result<ProgramDefinition, String>> {
    if let Rest::Other(kind) = &facts.rest {
        return Ok(Err(format!("it is a {kind}, which this version does not carry")));
    }
    let shown = match shown(conn, &facts.name).await? {
        Ok(shown) => shown,
        Err(why) => return Ok(Err(why)),
    };
    let mode = lex_mode(&facts.session.sql_mode);
    let text = match decode(conn, &shown, &facts.session.client, &mode).await? {
        Ok(text) => text,
        Err(why) => return Ok(Err(why)),
    };
    Ok(assemble(facts, &shown, &text, &mode))
}

/// What lets an account see routines of others (MySQL manual, "SHOW CREATE PROCEDURE Statement", of each version).
pub const SEES_ROUTINES: &str =
    "SHOW_ROUTINE ON *.* (MySQL 8.0.0 to 8.0.19: SELECT ON *.*; MySQL 5.7 and MariaDB: SELECT ON mysql.proc)";

/// What SHOW CREATE prints, or why it prints nothing.
async fn shown(conn: &mut Conn, name: &ProgramName) -> Result<std::result::Result<Vec<u8>, String>> {
    let place = Qualified { database: &name.database, object: &name.name };
    let (statement, column, privilege) = match name.kind {
        ProgramKind::Function => (sql!("SHOW CREATE FUNCTION {}", place), 2, SEES_ROUTINES),
        ProgramKind::Procedure => (sql!("SHOW CREATE PROCEDURE {}", place), 2, SEES_ROUTINES),
        ProgramKind::Trigger => (sql!("SHOW CREATE TRIGGER {}", place), 2, "TRIGGER on the table"),
        ProgramKind::Event => (sql!("SHOW CREATE EVENT {}", place), 3, "EVENT on the database"),
    };
    let hidden = || format!("the account may not see its definition; GRANT {privilege}");
    let row: Option<mysql_async::Row> = match conn.query_first(&statement).await {
        Ok(row) => row,
        Err(crate::sql::Failure::Server(error)) if !Error::from(crate::sql::Failure::Server(error.clone())).is_retryable() => {
            return Ok(Err(format!("the source does not show it: {}; {}", error.message, hidden())));
        }
        Err(error) => return Err(Error::from(error)).context(statement),
    };
    Ok(row.and_then(|row| bytes_at(&row, column)).ok_or_else(hidden))
}

/// The text in UTF-8, or why it cannot be read.
async fn decode(
    conn: &mut Conn,
    shown: &[u8],
    session: &ViewSession,
    mode: &LexMode,
) -> Result<std::result::Result<String, String>> {
    let client = session.character_set_client.as_str();
    if let Ok(text) = std::str::from_utf8(shown)
        && shown.is_ascii()
    {
        return Ok(Ok(text.to_owned()));
    }
    let is_odd = mode.ansi_quotes || mode.no_backslash_escapes;
    if !is_plain(client) {
        return match is_odd {
            true => Ok(Err(format!(
                "it was made by a client of character set {client} with sql_mode ANSI_QUOTES or NO_BACKSLASH_ESCAPES; create it again \
                 at the source in a session with SET NAMES utf8mb4"
            ))),
            false => decode_by_server(conn, shown, client).await,
        };
    }
    if is_odd {
        let list = tokens(shown, mode);
        let is_foreign = |place: usize| {
            list[place].kind == TokenKind::String
                && !list[place].bytes(shown).is_ascii()
                && introducer(shown, &list, place).is_some()
        };
        if (0..list.len()).any(is_foreign) {
            return Ok(Err("with its sql_mode, literals of other character sets in it cannot be read".into()));
        }
        return Ok(String::from_utf8(shown.to_vec()).map_err(|_| "its text is no UTF-8".into()));
    }
    let exact = exact_text(shown);
    Ok(if exact.doubts.is_empty() { Ok(exact.text) } else { Err(exact.doubts.join("; ")) })
}

fn assemble(facts: Facts, shown: &[u8], text: &str, mode: &LexMode) -> std::result::Result<ProgramDefinition, String> {
    let Facts { name, session, definer, comment, rest } = facts;
    let Taken { aggregate, parameters, returns, schedule, enabled, body } = take_apart(name.kind, text, mode)?;
    if let Some(returns) = &returns {
        // The type is the server's own print, in UTF-8 and with backslashes: not what a client of another kind would have written.
        let foreign = !returns.is_ascii() && !is_plain(&session.client.character_set_client) && !shown.is_ascii();
        if foreign || (mode.no_backslash_escapes && returns.contains('\\')) {
            return Err("the type that it returns cannot be read in its session".into());
        }
    }
    let (guarded, body) = match unguarded(&body) {
        Some(plain) if name.kind == ProgramKind::Trigger => (true, plain.to_owned()),
        _ => (false, body),
    };
    let head = match rest {
        Rest::Routine { access, deterministic, invoker } => Head::Routine {
            aggregate,
            parameters,
            returns,
            access: Access::of(&access).ok_or_else(|| format!("its data access {access} is not known"))?,
            deterministic,
            invoker,
        },
        Rest::Trigger { table, moment, order } => {
            Head::Trigger { table, moment: moment.ok_or("it fires for what this version does not know")?, order }
        }
        Rest::Event => Head::Event { schedule, enabled },
        Rest::Other(kind) => return Err(format!("it is a {kind}, which this version does not carry")),
    };
    // The host has no @.
    let (account, host) = definer.rsplit_once('@').unwrap_or((&definer, ""));
    let definer = (account.to_owned(), host.to_owned());
    Ok(ProgramDefinition { name, session, definer, comment, head, body, guarded })
}
