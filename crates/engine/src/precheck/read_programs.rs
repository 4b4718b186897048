//! What both servers have beside the stored programs of the plan.

use std::collections::BTreeSet;

use mysql_async::Conn;

use super::context::Context;
use super::read_server::permitted;
use crate::create::programs::{Accounts, accounts};
use crate::sql;
use crate::sql::{Queries, Quoted, Sql};
use godwit_api::DefinerMode;
use godwit_model::error::{Context as _, Result};
use godwit_model::program::{ProgramKind, ProgramName};

/// What the checks of stored programs look at.
pub(super) struct Programs {
    pub there: BTreeSet<ProgramName>,
    pub accounts: Accounts,
    pub loadable_functions: Vec<String>,
}

/// Reads it.
///
/// # Errors
/// When a connection is lost.
pub(super) async fn gather(source: &mut Conn, destination: &mut Conn, context: &Context) -> Result<Programs> {
    let mut found = Programs { there: BTreeSet::new(), accounts: None, loadable_functions: Vec::new() };
    let has_begun = !context.owned.is_empty();
    if !context.plan.programs.is_empty() && !has_begun {
        let databases: BTreeSet<&str> =
            context.plan.programs.iter().map(|program| program.destination.database.as_str()).collect();
        for database in databases {
            found.there.extend(names(destination, database).await?);
        }
    }
    if context.spec.definer == DefinerMode::Keep {
        found.accounts = accounts(destination).await?;
    }
    let statement = Sql::new("SELECT CAST(name AS CHAR) FROM mysql.func");
    let loadable = permitted::<String>(source, &statement).await?.unwrap_or_default();
    if !loadable.is_empty() {
        let own = permitted::<String>(destination, &statement).await?.unwrap_or_default();
        let lacks = |name: &String| !own.iter().any(|own| own.eq_ignore_ascii_case(name));
        found.loadable_functions = loadable.into_iter().filter(lacks).collect();
    }
    Ok(found)
}

async fn names(conn: &mut Conn, database: &str) -> Result<Vec<ProgramName>> {
    let place = Quoted(database);
    let rows: Vec<(String, String)> = conn
        .query(sql!(
            "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {} \
             UNION ALL SELECT 'TRIGGER', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {} \
             UNION ALL SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {}",
            place,
            place,
            place
        ))
        .await
        .context("reading the destination's stored programs")?;
    let kind = |word: &str| {
        [ProgramKind::Function, ProgramKind::Procedure, ProgramKind::Trigger, ProgramKind::Event]
            .into_iter()
            .find(|kind| kind.keyword() == word)
    };
    let named = |(word, name): (String, String)| Some(ProgramName { kind: kind(&word)?, database: database.to_owned(), name });
    Ok(rows.into_iter().filter_map(named).collect())
}
