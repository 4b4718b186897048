//! The databases in which a trial makes its objects, one for each destination database: the names of foreign keys and checks
//! belong to a database.
//!
//! A trial is named `godwit_trial_` and 32 hexadecimal digits that its server gave for unique. Each of its databases holds a table of the
//! database's own name with a comment that says whose it is, and the session that made them holds a lock of the trial's name. So a
//! later trial drops what has the name *and* the mark *and* nobody at work in it; the name alone proves nothing.

use std::collections::BTreeMap;

use mysql_async::Conn;

use super::super::context::Context;
use super::programs;
use crate::connection::{Connector, Role, is_access_denied};
use crate::create::apply;
use crate::plan::select::{TRIAL_PREFIX, is_trial_database};
use crate::sql;
use crate::sql::{Name, Qualified, Queries, Quoted, Sql};
use godwit_model::error::{Context as _, Error, Result};
use godwit_model::program::ProgramKind;

/// What the account must be allowed to do in such a database.
const TABLES: [&str; 6] = ["SELECT", "CREATE", "ALTER", "DROP", "INDEX", "REFERENCES"];
const VIEWS: [&str; 2] = ["CREATE VIEW", "SHOW VIEW"];

/// ER_BAD_DB_ERROR.
const NO_SUCH_DATABASE: u16 = 1049;

/// Which scratch database stands for which destination database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ScratchNames(BTreeMap<String, String>);

impl ScratchNames {
    /// The scratch database; None: nothing is made in that database.
    pub(crate) fn of(&self, destination: &str) -> Option<&String> {
        self.0.get(destination)
    }

    /// A server's message with the names that the objects will have.
    pub(super) fn told(&self, message: &str) -> String {
        let mut text = message.to_owned();
        // The longest first: `…_1` is the beginning of `…_10`.
        for (destination, scratch) in self.0.iter().rev() {
            text = text.replace(scratch, destination);
        }
        text
    }
}

/// A trial's databases and the session that holds them.
pub(crate) struct Scratch {
    conn: Conn,
    /// Of the trial and of its lock.
    name: String,
    names: ScratchNames,
    made: Vec<String>,
    /// Databases with a trial's name that hold nothing at all.
    pub unmarked: Vec<String>,
}

/// Whether the databases could be made.
pub(crate) enum Opened {
    Yes(Scratch),
    /// The server's words.
    Refused(String),
}

/// The privileges that are missing for a trial, and the statement that gives them.
pub(super) fn lacking(context: &Context) -> Option<(String, String)> {
    let grants = &context.destination.grants;
    let database = format!("{TRIAL_PREFIX}{}_0", "0".repeat(32));
    let missing: Vec<String> =
        wanted(context).into_iter().filter(|privilege| !grants.on_database(privilege, &database)).map(str::to_owned).collect();
    let why = || format!("{} lacks {} on {}", grants.account, missing.join(", "), pattern(context));
    (!missing.is_empty()).then(|| (why(), grant(context)))
}

fn wanted(context: &Context) -> Vec<&'static str> {
    let mut wanted = TABLES.to_vec();
    if !context.plan.views.is_empty() {
        wanted.extend(VIEWS);
    }
    if programs::tried(context) {
        let has = |kinds: &[ProgramKind]| {
            context.plan.programs.iter().any(|program| kinds.contains(&program.source.kind) && program.definition.is_ok())
        };
        if has(&[ProgramKind::Function, ProgramKind::Procedure]) {
            wanted.extend(["CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE"]);
        }
        if has(&[ProgramKind::Trigger]) && !context.plan.holds_triggers {
            wanted.push("TRIGGER");
        }
        if has(&[ProgramKind::Event]) {
            wanted.push("EVENT");
        }
    }
    wanted
}

/// The statement that lets the account try.
pub(super) fn grant(context: &Context) -> String {
    let account = &context.destination.grants.account;
    format!("GRANT {}, CREATE TEMPORARY TABLES ON {} TO {account};", wanted(context).join(", "), pattern(context))
}

/// The trial's databases as `GRANT … ON` takes them. With partial revokes there are no patterns.
fn pattern(context: &Context) -> String {
    match context.destination.flag("partial_revokes") {
        Some(true) => "*.*".to_owned(),
        _ => format!("`{}%`.*", TRIAL_PREFIX.replace('_', "\\_")),
    }
}

fn mark(database: &str) -> String {
    format!("{database}: made by a precheck, which drops it when it ends")
}

impl Scratch {
    /// Makes the databases; `databases` are statements of the form `CREATE DATABASE name …` by destination name, without the name.
    ///
    /// # Errors
    /// What may pass by itself.
    pub(crate) async fn open(destination: &Connector, databases: BTreeMap<String, Sql>) -> Result<Opened> {
        let mut conn = destination.connect(Role::Metadata).await?;
        apply::prepare_session(&mut conn).await?;
        not_logged(&mut conn).await?;
        let unmarked = sweep(&mut conn).await?;
        let unique: Option<String> = conn.query_first("SELECT LOWER(REPLACE(UUID(), '-', ''))").await?;
        let name = format!("{TRIAL_PREFIX}{}", unique.unwrap_or_default());
        if !is_trial_database(&name) || !lock(&mut conn, &name).await? {
            return Err(Error::transient(format!("the destination gave no name for a trial of the definitions: {name}")));
        }
        // Numbered from behind, so that the last name is no beginning of another: see `ScratchNames::told`.
        let numbered = databases.keys().enumerate().map(|(number, database)| (database.clone(), format!("{name}_{number:04}")));
        let names = ScratchNames(numbered.collect());
        let mut scratch = Self { conn, name, names, made: Vec::new(), unmarked };
        match scratch.make(&databases).await {
            Ok(()) => Ok(Opened::Yes(scratch)),
            Err(crate::sql::Failure::Server(error)) if is_access_denied(&crate::sql::Failure::Server(error.clone())) => {
                scratch.close().await?;
                Ok(Opened::Refused(error.message))
            }
            Err(error) => {
                let _ = scratch.close().await;
                Err(Error::from(error).context("making a database for the trial of the definitions"))
            }
        }
    }

    async fn make(&mut self, databases: &BTreeMap<String, Sql>) -> crate::sql::Answer<()> {
        for (destination, options) in databases {
            let Some(name) = self.names.of(destination).cloned() else { continue };
            self.conn.query_drop(sql!("CREATE DATABASE {}{}", Name(&name), options)).await?;
            self.made.push(name.clone());
            let table = Qualified { database: &name, object: &name };
            self.conn.query_drop(sql!("CREATE TABLE {} (id INT PRIMARY KEY) COMMENT = {}", table, Quoted(&mark(&name)))).await?;
        }
        Ok(())
    }

    /// Which database stands for which.
    pub(crate) fn names(&self) -> &ScratchNames {
        &self.names
    }

    /// The session that made the databases.
    pub(crate) fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Nobody can have dropped the databases meanwhile.
    ///
    /// # Errors
    /// When the session that holds them was lost: what was refused says nothing then.
    pub(crate) async fn still_ours(&mut self) -> Result<()> {
        let held: Option<Option<bool>> =
            self.conn.query_first(sql!("SELECT IS_USED_LOCK({}) = CONNECTION_ID()", Quoted(&self.name))).await?;
        match held.flatten() {
            Some(true) => Ok(()),
            _ => Err(Error::transient("the session of the trial of the definitions was lost")),
        }
    }

    /// Drops the databases.
    ///
    /// # Errors
    /// When the server does not drop one, with its name.
    pub(crate) async fn close(mut self) -> Result<()> {
        for name in &self.made {
            let statement = sql!("DROP DATABASE IF EXISTS {}", Name(name));
            self.conn.query_drop(&statement).await.context(statement)?;
        }
        let _ = self.conn.disconnect().await;
        Ok(())
    }
}

/// Keeps a session's statements out of the destination's binary log, where the account may do that.
pub(super) async fn not_logged(conn: &mut Conn) -> Result<()> {
    match conn.query_drop("SET SESSION sql_log_bin = 0").await {
        Ok(()) | Err(crate::sql::Failure::Server(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn lock(conn: &mut Conn, trial: &str) -> Result<bool> {
    let got: Option<Option<bool>> = conn.query_first(sql!("SELECT GET_LOCK({}, 0)", Quoted(trial))).await?;
    Ok(got.flatten() == Some(true))
}

async fn unlock(conn: &mut Conn, trial: &str) -> Result<()> {
    Ok(conn.query_drop(sql!("DO RELEASE_LOCK({})", Quoted(trial))).await?)
}

/// The trial of a database.
fn trial_of(database: &str) -> &str {
    database.get(..TRIAL_PREFIX.len() + 32).unwrap_or(database)
}

/// Drops the databases of trials that were interrupted; gives those that are empty, which cannot be told from somebody else's.
async fn sweep(conn: &mut Conn) -> Result<Vec<String>> {
    let like = format!("{}%", TRIAL_PREFIX.replace('_', "\\_"));
    let databases: Vec<String> =
        conn.query(sql!("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE {}", Quoted(&like))).await?;
    let mut unmarked = Vec::new();
    for database in databases.into_iter().filter(|name| is_trial_database(name)) {
        if !lock(conn, trial_of(&database)).await? {
            continue;
        }
        let place = Quoted(&database);
        let tables: Vec<(String, String)> = conn
            .query(sql!("SELECT TABLE_NAME, TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}", place))
            .await?;
        if tables.iter().any(|(table, comment)| *table == database && *comment == mark(&database)) {
            tracing::info!(%database, "dropping what an interrupted trial of definitions left");
            drop_leftover(conn, &database).await?;
        } else if tables.is_empty() {
            unmarked.push(database.clone());
        }
        unlock(conn, trial_of(&database)).await?;
    }
    Ok(unmarked)
}

async fn drop_leftover(conn: &mut Conn, database: &str) -> Result<()> {
    match conn.query_drop(sql!("DROP DATABASE {}", Name(database))).await {
        Ok(()) => Ok(()),
        Err(crate::sql::Failure::Server(error)) if error.code == NO_SUCH_DATABASE || error.code == 1008 => Ok(()),
        // Of another account: it is no obstacle.
        Err(error) if is_access_denied(&error) => {
            let error = Error::from(error);
            tracing::warn!(%database, %error, "a database of an interrupted trial stays: DROP DATABASE it");
            Ok(())
        }
        Err(error) => Err(Error::from(error).context(format!("dropping {database}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, grants, set};

    #[test]
    fn messages_name_what_will_be() {
        let trial = format!("{TRIAL_PREFIX}{}", "a".repeat(32));
        let names =
            ScratchNames(BTreeMap::from([("shop".into(), format!("{trial}_0000")), ("eu".into(), format!("{trial}_0001"))]));
        assert_eq!(names.told(&format!("Table '{trial}_0001.t' and `{trial}_0000`.`u`")), "Table 'eu.t' and `shop`.`u`");
        assert_eq!(trial_of(&format!("{trial}_0001")), trial);
    }

    #[test]
    fn missing_privileges_are_given_with_their_statement() {
        let mut context = context();
        assert_eq!(lacking(&context), None);
        context.destination.grants = grants(&["GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`"]);
        let (why, remedy) = lacking(&context).unwrap();
        assert!(why.contains("CREATE") && why.contains("godwit\\_trial\\_%"), "{why}");
        context.destination.grants = grants(&[&remedy]);
        assert_eq!(lacking(&context), None, "{remedy}");
        context.destination.grants = grants(&[]);
        set(&mut context.destination, "partial_revokes", "ON");
        assert!(lacking(&context).unwrap().1.contains("ON *.* TO"));
    }
}
