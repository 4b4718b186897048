//! Definition statements of the log, carried out at the destination.
//!
//! The reader stops behind the last change before the statement, and everything before it is applied. Then [`prepare`] runs the statement on empty
//! copies of its tables in a scratch database ([`shadow`]): what they look like afterwards are the tables' definitions behind this place of the log,
//! whatever the source's tables have become since. What will be done is recorded, and the attempt ends. The next one begins with [`finish()`]: it
//! carries out what is recorded unless the destination's definitions show that it was, and records the new definitions together with the
//! place behind the statement, so that a row is decoded by the definition of its place after any restart.
//!
//! Killed before the record: the statement is read again. After it: `finish` finds it. Two engines: the session that carries it out holds a lock
//! of the server; whoever takes the task over ends that session first ([`finish()`]).

mod finish;
mod session;
mod shadow;

pub(crate) use finish::finish;

use mysql_async::Conn;

use self::shadow::Shadow;
use crate::checkpoint::{Saved, SchemaChange, SchemaStep, TableEffect};
use crate::connection::{Connector, Role};
use crate::create::apply;
use crate::logged::{Ddl, DdlKind, NameRole};
use crate::plan::names::PlanNames;
use crate::plan::select::Selection;
use crate::plan::statements::Statements;
use crate::plan::{Plan, TablePlan};
use crate::replicate::definition::Defined;
use crate::schema::names::NameMap;
use crate::sql;
use crate::sql::lexer::LexMode;
use crate::sql::logged::LoggedDefinition;
use crate::sql::{Queries, Sql};
use godwit_api::MigrationTaskSpec;
use godwit_model::definition::TableDefinition;
use godwit_model::error::{Context as _, Error, Result};
use godwit_model::names::TableName;
use godwit_model::server::ServerInfo;

/// What a statement is judged by.
pub(crate) struct Ends<'a> {
    pub spec: &'a MigrationTaskSpec,
    pub selection: &'a Selection,
    pub plan: &'a Plan,
    pub source: &'a Connector,
    pub source_info: &'a ServerInfo,
    pub destination: &'a Connector,
    pub destination_info: &'a ServerInfo,
}

/// A plan of other definitions, as a resume would make it from the record.
pub(crate) type Replan<'a> = &'a (dyn Fn(Vec<TableDefinition>) -> Result<Plan> + Send + Sync);

/// Says what the statement does to the destination and to the task, and the plan behind it; changes neither.
///
/// # Errors
/// Definite: the statement cannot be carried over, with the statement and the reason; others pass by themselves.
pub(crate) async fn prepare(
    ends: &Ends<'_>,
    saved: &Saved,
    defined: &Defined,
    replan: Replan<'_>,
) -> Result<(SchemaChange, Plan)> {
    let prepared = prepared(ends, saved, defined, replan).await;
    prepared.map_err(|error| match error.is_retryable() {
        true => error,
        false => error.context(format!(
            "DDL that is not carried over; the task stops here with everything before it applied. Statement: {}",
            defined.shown
        )),
    })
}

async fn prepared(ends: &Ends<'_>, saved: &Saved, defined: &Defined, replan: Replan<'_>) -> Result<(SchemaChange, Plan)> {
    let ddl = &defined.ddl;
    let names = concerned(ends, ddl)?;
    let database = names.first().map(|name| name.database.clone()).unwrap_or_default();
    if names.iter().any(|name| name.database != database) {
        return Err(Error::definite("it concerns tables of several databases"));
    }
    let tables: Vec<&TablePlan> = names.iter().filter_map(|name| planned(ends.plan, name)).collect();
    let same = PlanNames::new(ends.plan);
    for table in &tables {
        plain(&same, table)?;
    }
    let mode = LexMode::from_bits(defined.session.sql_mode.unwrap_or_default(), Some(ends.source_info));
    let session = session::of(defined, ends).await?;
    let made_at = ends.plan.databases.iter().find(|planned| planned.source == database);
    let made_at = made_at.ok_or_else(|| Error::definite(format!("database {database} came into being after the task began")))?;
    let mut shadow = Shadow::open(ends, made_at).await?;
    let effects = shadow.effects(ends, &tables, defined, &mode, &session).await;
    shadow.close().await?;
    let (stands, gone) = effects?;

    let destination = |name: &TableName| {
        let found = ends.selection.covers(&name.database, &name.table);
        let found = found.ok_or_else(|| Error::definite(format!("{name} is not among the task's objects")))?;
        Ok::<_, Error>(TableName { database: found.database, table: found.table })
    };
    let is_concerned = |definition: &TableDefinition| gone.iter().any(|name| *name == name_of(definition));
    let kept = saved.tables.iter().map(|table| &table.definition).filter(|definition| !is_concerned(definition));
    let replaced = |definition: &&TableDefinition| !stands.iter().any(|new| name_of(new) == name_of(definition));
    let mut definitions: Vec<TableDefinition> = kept.filter(replaced).cloned().collect();
    definitions.extend(stands.iter().cloned());
    let plan = replan(definitions)?;

    let step = step(ends, ddl, defined, &mode, session, &plan, &stands, &gone, &destination)?;
    let mut conn = ends.destination.connect(Role::Metadata).await?;
    let mut before = Vec::new();
    for source in names.iter().filter(|name| ddl.tables.contains(name)) {
        let name = destination(source)?;
        let fingerprint = fingerprint(&mut conn, &name).await?;
        let comes = matches!(&step, SchemaStep::Create { .. } | SchemaStep::Rename(_)) && planned(ends.plan, source).is_none();
        if comes && fingerprint.is_some() {
            return Err(Error::definite(format!(
                "{name} exists at the destination and is not this task's; drop or rename it there"
            )));
        }
        before.push((name, fingerprint));
    }
    let _ = conn.disconnect().await;
    let mut effects = Vec::new();
    for source in gone {
        effects.push(TableEffect::Gone { destination: destination(&source)?, source });
    }
    for definition in stands {
        let destination = destination(&name_of(&definition))?;
        effects.push(TableEffect::Stands { definition, destination });
    }
    let end = &defined.end;
    let replay_from = end.replay_from.as_deref().cloned();
    let (shown, end) = (defined.shown.clone(), end.position.clone());
    Ok((SchemaChange { shown, end, replay_from, step, before, effects, cascades: None }, plan))
}

fn name_of(definition: &TableDefinition) -> TableName {
    TableName { database: definition.database.clone(), table: definition.table.clone() }
}

fn planned<'a>(plan: &'a Plan, name: &TableName) -> Option<&'a TablePlan> {
    plan.tables.iter().find(|table| table.source == *name).map(|table| &**table)
}

/// The tables of the task that the statement is about, those that it only looks at included.
fn concerned(ends: &Ends<'_>, ddl: &Ddl) -> Result<Vec<TableName>> {
    let mut names: Vec<TableName> = Vec::new();
    for name in ddl.names.iter().filter(|name| matches!(name.role, NameRole::Changed | NameRole::Referenced | NameRole::Merged)) {
        let covered = ends.selection.covers(&name.name.database, &name.name.table).is_some();
        // Of several tables that are dropped some may be others' affair.
        if !covered && ddl.kind == DdlKind::DropTable {
            continue;
        }
        if !covered {
            return Err(Error::definite(format!("it also concerns {}, which is not among the task's objects", name.name)));
        }
        if !names.contains(&name.name) {
            names.push(name.name.clone());
        }
    }
    let folds = ends.selection.names().destination != 0;
    if let Some(name) = names.iter().find(|name| folds && name.table != name.table.to_lowercase()) {
        return Err(Error::definite(format!("the destination writes {name} in lower case (lower_case_table_names)")));
    }
    let merges = ddl.names.iter().any(|name| name.role == NameRole::Merged);
    if merges || ddl.kind == DdlKind::AlterTable && ddl.tables.len() > 1 {
        return Err(Error::definite("it renames a table, exchanges a partition with one, or makes a MERGE table"));
    }
    Ok(names)
}

/// Statements are carried over where a table has the same columns at both ends.
fn plain(names: &PlanNames, table: &TablePlan) -> Result<()> {
    let is_same = |column: &str| names.column(&table.source, column).as_deref() == Some(column);
    if let Some(column) = table.definition.columns.iter().find(|column| !is_same(&column.name)) {
        return Err(Error::definite(format!(
            "column {} of {} is renamed or left out by the task, and the statement would need other words",
            column.name, table.source
        )));
    }
    if let Some(key) = table.definition.foreign_keys.iter().find(|key| key.parent_database != table.source.database) {
        return Err(Error::definite(format!("foreign key {} of {} leads to another database", key.name, table.source)));
    }
    Ok(())
}

#[allow(clippy::too_many_arguments)]
fn step(
    ends: &Ends<'_>,
    ddl: &Ddl,
    defined: &Defined,
    mode: &LexMode,
    session: crate::checkpoint::StatementSession,
    plan: &Plan,
    stands: &[TableDefinition],
    gone: &[TableName],
    destination: &dyn Fn(&TableName) -> Result<TableName>,
) -> Result<SchemaStep> {
    let known = |name: &&TableName| planned(ends.plan, name).is_some();
    Ok(match ddl.kind {
        DdlKind::DropTable if gone.is_empty() => SchemaStep::Nothing,
        DdlKind::DropTable => SchemaStep::Drop(gone.iter().map(destination).collect::<Result<_>>()?),
        DdlKind::TruncateTable => match ddl.tables.iter().find(known) {
            Some(name) => SchemaStep::Truncate(destination(name)?),
            None => SchemaStep::Nothing,
        },
        DdlKind::RenameTable => {
            let changed: Vec<&TableName> =
                ddl.names.iter().filter(|name| name.role == NameRole::Changed).map(|name| &name.name).collect();
            if gone.is_empty() {
                return Err(Error::definite(
                    "tables change their names with each other, which cannot be told from before after a crash",
                ));
            }
            let pair = |pair: &[&TableName]| match pair {
                [from, to] => Ok((destination(from)?, destination(to)?)),
                _ => Err(Error::definite("a name without a new one")),
            };
            // Of a chain the last names count, and those that are gone; see `finish`.
            SchemaStep::Rename(changed.chunks(2).map(pair).collect::<Result<_>>()?)
        }
        DdlKind::CreateTable => {
            let new = stands.iter().find(|definition| planned(ends.plan, &name_of(definition)).is_none());
            let Some(table) = new.and_then(|definition| planned(plan, &name_of(definition))) else {
                return Ok(SchemaStep::Nothing);
            };
            let made = Statements::new(ends.spec, plan, ends.source_info, ends.destination_info).of(table)?;
            SchemaStep::Create {
                statement: made.create,
                then: made.deferred.iter().map(|deferred| deferred.statement()).collect(),
            }
        }
        _ => {
            let text = spelled(ddl, &defined.text, destination)?;
            let statement = LoggedDefinition::read(&text, mode)?.as_str().to_owned();
            SchemaStep::Alter { statement, session }
        }
    })
}

/// The source's words with other names.
fn spelled(ddl: &Ddl, text: &str, destination: &dyn Fn(&TableName) -> Result<TableName>) -> Result<String> {
    let mut failed = None;
    let mut named = Vec::new();
    for name in &ddl.names {
        match destination(&name.name) {
            Ok(found) => named.push((name.span.clone(), found.quoted())),
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let of = |span: &std::ops::Range<usize>| named.iter().find(|(own, _)| own == span).map(|(_, text)| text.clone());
    let bytes = ddl.with_names(text.as_bytes(), |name| of(&name.span));
    String::from_utf8(bytes).map_err(|_| Error::definite("it is not in UTF-8"))
}

/// By what a definition is known again; None: there is no such table.
async fn fingerprint(conn: &mut Conn, table: &TableName) -> Result<Option<String>> {
    /// ER_NO_SUCH_TABLE, ER_BAD_DB_ERROR.
    const ABSENT: [u16; 2] = [1146, 1049];
    match conn.query_first::<(String, String)>(sql!("SHOW CREATE TABLE {}", table)).await {
        Ok(shown) => Ok(shown.map(|(_, text)| format!("{:016x}", xxhash_rust::xxh3::xxh3_64(without_counter(&text).as_bytes())))),
        Err(crate::sql::Failure::Server(error)) if ABSENT.contains(&error.code) => Ok(None),
        Err(error) => Err(Error::from(error).context(format!("looking at {table}"))),
    }
}

/// A definition without the next value of AUTO_INCREMENT, which rows move.
fn without_counter(text: &str) -> String {
    match text.rsplit_once(" AUTO_INCREMENT=") {
        Some((head, rest)) => format!("{head}{}", rest.trim_start_matches(|digit: char| digit.is_ascii_digit())),
        None => text.to_owned(),
    }
}

/// `RENAME TABLE a TO b, …`.
fn rename(pairs: &[(TableName, TableName)]) -> Sql {
    let mut statement = Sql::new("RENAME TABLE ");
    statement.add_list(pairs.iter().map(|(from, to)| sql!("{} TO {}", from, to)));
    statement
}

/// A session for definitions.
async fn defining(connector: &Connector) -> Result<Conn> {
    let mut conn = connector.connect(Role::Metadata).await?;
    apply::prepare_session(&mut conn).await.context("a session for definitions")?;
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_do_not_change_a_fingerprint() {
        let of = |number: u32| {
            without_counter(&format!("CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB AUTO_INCREMENT={number} DEFAULT CHARSET=x"))
        };
        assert_eq!(of(7), of(1234));
        assert!(of(7).ends_with("ENGINE=InnoDB DEFAULT CHARSET=x"));
    }
}
