//! The statement that makes a program at the destination.

use super::names::ProgramNames;
use super::rewrite::{Home, rewrite};
use crate::plan::ProgramPlan;
use crate::schema::collation::destination_collation;
use crate::schema::program::guard::guarded;
use crate::schema::program::modes::{lex_mode, modes_at};
use crate::schema::program::{Head, ProgramDefinition};
use crate::schema::view::Definer;
use crate::schema::view_session::ViewSession;
use crate::sql::program::Program;
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::{TableName, quote_identifier, quote_qualified};
use godwit_model::program::ProgramName;
use godwit_model::server::ServerInfo;

/// How programs are made.
#[derive(Debug, Clone, Copy)]
pub struct Making<'a> {
    pub definer: Definer,
    /// Triggers do nothing for the task's own rows.
    pub guarded: bool,
    pub source: &'a ServerInfo,
    pub destination: &'a ServerInfo,
}

/// A program to make, and the session it is made in, by the names of the destination's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramStatement {
    pub name: ProgramName,
    pub program: Program,
    pub modes: Vec<&'static str>,
    pub client: ViewSession,
    /// Of an event; empty for all others.
    pub time_zone: String,
}

/// A statement, and what it is meant to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedProgram {
    pub statement: ProgramStatement,
    /// Of a trigger, at the destination.
    pub table: Option<TableName>,
    /// What the destination's database must have for parameters and variables to mean the same.
    pub database_collation: String,
    /// To compare with what is there.
    pub meant: ProgramDefinition,
}

/// The program as the destination is meant to have it: names mapped, the body's as well; definer and security as the source has them.
///
/// # Errors
/// Definite: it cannot be read at the source, or is wrong under the destination's names.
pub fn meant(plan: &ProgramPlan, names: &ProgramNames) -> Result<ProgramDefinition> {
    let name = &plan.source;
    let definition = plan.definition.as_ref().map_err(|why| Error::definite(format!("{name}: {why}")))?;
    let mode = lex_mode(&definition.session.sql_mode);
    let table = match &definition.head {
        Head::Trigger { table, .. } => Some(table),
        _ => None,
    };
    let home = Home { database: &name.database, table };
    let mapped = |text: &str| {
        rewrite(text, &mode, home, names).map_err(|problems| Error::definite(format!("{name}: {}", problems.join("; "))))
    };
    let head = match &definition.head {
        Head::Routine { aggregate, parameters, returns, access, deterministic, invoker } => Head::Routine {
            aggregate: *aggregate,
            parameters: mapped(parameters)?,
            returns: returns.clone(),
            access: *access,
            deterministic: *deterministic,
            invoker: *invoker,
        },
        Head::Trigger { moment, order, .. } => {
            let table = plan.table.clone().ok_or_else(|| Error::definite(format!("{name}: its table is not migrated")))?;
            Head::Trigger { table, moment: *moment, order: *order }
        }
        Head::Event { schedule, enabled } => Head::Event { schedule: schedule.clone(), enabled: *enabled },
    };
    Ok(ProgramDefinition {
        name: plan.destination.clone(),
        head,
        body: mapped(&definition.body)?,
        guarded: false,
        ..definition.clone()
    })
}

/// The statement of a program; `beside` says where a trigger stands among those of its table.
///
/// # Errors
/// Definite: why it cannot be made, with its name.
pub fn statement(
    plan: &ProgramPlan,
    names: &ProgramNames,
    making: Making<'_>,
    beside: Option<&Beside>,
) -> Result<PlannedProgram> {
    let meant = meant(plan, names)?;
    let statement = statement_of(&meant, making, beside).context(&plan.source)?;
    let database_collation =
        destination_collation(&meant.session.database_collation, making.destination).context(&plan.source)?;
    let table = match &meant.head {
        Head::Trigger { table, .. } => Some(table.clone()),
        _ => None,
    };
    Ok(PlannedProgram { statement, table, database_collation, meant })
}

/// A trigger of this server as it is, without its guard.
///
/// # Errors
/// Definite: it cannot be said.
pub fn unguarded_statement(
    trigger: &ProgramDefinition,
    server: &ServerInfo,
    beside: Option<&Beside>,
) -> Result<ProgramStatement> {
    let making = Making { definer: Definer::Keep, guarded: false, source: server, destination: server };
    statement_of(trigger, making, beside)
}

fn statement_of(definition: &ProgramDefinition, making: Making<'_>, beside: Option<&Beside>) -> Result<ProgramStatement> {
    let modes = modes_at(&definition.session.sql_mode, making.source, making.destination)?;
    let client = definition.session.client.at(making.destination)?;
    let mode = lex_mode(&modes.join(","));
    // Several statements behind the guard would be one; without it they have to be as well.
    let plain = Making { guarded: false, ..making };
    let mut program = Program::parse(create(definition, plain, beside), &definition.name, &mode)?;
    if making.guarded {
        program = Program::parse(create(definition, making, beside), &definition.name, &mode)?;
    }
    Ok(ProgramStatement {
        name: definition.name.clone(),
        program,
        modes,
        client,
        time_zone: definition.session.time_zone.clone(),
    })
}

/// Where a trigger stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    Follows(String),
    Precedes(String),
}

fn create(definition: &ProgramDefinition, making: Making<'_>, beside: Option<&Beside>) -> String {
    let ProgramName { kind, database, name } = &definition.name;
    let (account, host) = &definition.definer;
    // Without one the account that makes it is the definer.
    let definer = match making.definer {
        Definer::Invoker => String::new(),
        Definer::Keep if host.is_empty() => format!("DEFINER={} ", quote_identifier(account)),
        Definer::Keep => format!("DEFINER={}@{} ", quote_identifier(account), quote_identifier(host)),
    };
    let mode = lex_mode(&definition.session.sql_mode);
    let comment = match definition.comment.is_empty() {
        true => String::new(),
        false => format!("COMMENT {}", quoted(&definition.comment, mode.no_backslash_escapes)),
    };
    let object = quote_qualified(database, name);
    let keyword = kind.keyword();
    match &definition.head {
        Head::Routine { aggregate, parameters, returns, access, deterministic, invoker } => {
            let aggregate = if *aggregate { "AGGREGATE " } else { "" };
            let returns = returns.as_ref().map_or_else(String::new, |returns| format!(" RETURNS {returns}"));
            let deterministic = if *deterministic { "DETERMINISTIC" } else { "NOT DETERMINISTIC" };
            let invoker = *invoker || making.definer == Definer::Invoker;
            let security = if invoker { "INVOKER" } else { "DEFINER" };
            let comment = if comment.is_empty() { comment } else { format!(" {comment}") };
            format!(
                "CREATE {definer}{aggregate}{keyword} {object}{parameters}{returns}\n{} {deterministic} SQL SECURITY {security}{comment}\n{}",
                access.words(),
                definition.body
            )
        }
        Head::Trigger { table, moment, .. } => {
            let table = quote_qualified(&table.database, &table.table);
            let order = match beside {
                None => String::new(),
                Some(Beside::Follows(other)) => format!("FOLLOWS {} ", quote_identifier(other)),
                Some(Beside::Precedes(other)) => format!("PRECEDES {} ", quote_identifier(other)),
            };
            let body = if making.guarded { guarded(&definition.body) } else { definition.body.clone() };
            format!("CREATE {definer}TRIGGER {object} {} ON {table} FOR EACH ROW {order}{body}", moment.words())
        }
        // Nobody shall run it beside the source's, which changes the same rows.
        Head::Event { schedule, .. } => {
            let comment = if comment.is_empty() { comment } else { format!("{comment} ") };
            format!("CREATE {definer}EVENT {object} {schedule} DISABLE {comment}DO {}", definition.body)
        }
    }
}

/// A string literal in a session with or without backslashes.
fn quoted(text: &str, no_backslash_escapes: bool) -> String {
    let text = text.replace('\'', "''");
    if no_backslash_escapes { format!("'{text}'") } else { format!("'{}'", text.replace('\\', "\\\\")) }
}
