//! Asks both servers for what the checks look at. Reads only. What the account may not see stays unknown; the checks say so.

use std::collections::BTreeMap;

use mysql_async::Conn;

use super::context::{Context, Server, SourceObjects};
use super::finding::Finding;
use super::read_server::{Link, connect, read_server};
use super::trial::{self, Trial};
use super::{Own, Trials};
use super::{read_destination, read_programs, read_source};
use crate::connection::Connector;
use crate::copy::json_sample;
use crate::plan::mapping::NameRules;
use crate::plan::resolve::resolve;
use crate::plan::select::Selection;
use crate::plan::unsupported::unsupported;
use crate::plan::{DatabasePlan, Plan};
use crate::schema::read::list_tables;
use crate::source::prepared::{self, Undecided};
use crate::source::stream::replica_id;
use godwit_api::{MigrationTaskSpec, MigrationType};
use godwit_model::error::{Class, Error, Result};
use godwit_model::server::ServerInfo;

/// How far it came.
pub enum Gathered {
    /// A server could not be reached, or the destination is of a kind that cannot be looked at: the items that are known.
    Stopped(Vec<(&'static str, Finding)>),
    Complete(Box<Context>),
}

/// Gathers everything.
///
/// # Errors
/// When a connection is lost in the middle.
pub async fn gather(
    spec: &MigrationTaskSpec,
    source: &Connector,
    destination: &Connector,
    own: Own,
    trials: Trials,
) -> Result<Gathered> {
    let (mut source_conn, mut destination_conn) = match tokio::join!(connect(source), connect(destination)) {
        (Ok(source), Ok(destination)) => (source, destination),
        (source_result, destination_result) => {
            return Ok(Gathered::Stopped(vec![
                ("SourceConnectivity", reached(source, source_result)),
                ("DestinationConnectivity", reached(destination, destination_result)),
            ]));
        }
    };
    let flavors = (spec.source.mysql.flavor, spec.destination.mysql.as_ref().map(|mysql| mysql.flavor).unwrap_or_default());
    let source_server = source.talk(read_server(&mut source_conn, source, flavors.0)).await?;
    let destination_server = destination.talk(read_server(&mut destination_conn, destination, flavors.1)).await?;
    let names = NameRules {
        source: source_server.lower_case_table_names(),
        destination: destination_server.lower_case_table_names(),
        policy: spec.name_case,
    };
    let mut context = Context {
        spec: spec.clone(),
        selection: Selection::nothing(spec, names),
        plan: empty_plan(spec),
        unresolved: None,
        source: source_server,
        source_objects: SourceObjects::default(),
        destination: destination_server,
        existing: BTreeMap::new(),
        constraints: Vec::new(),
        owned: own.tables,
        in_use: BTreeMap::new(),
        unsayable: BTreeMap::new(),
        programs_there: Default::default(),
        accounts: None,
        loadable_functions: Vec::new(),
        trial: Trial::default(),
    };
    match source.talk(resolve_objects(spec, names, &mut source_conn.conn)).await {
        Ok((selection, plan)) => {
            let plan = plan.between(&context.source.info, &context.destination.info);
            let (plan, refused_documents) = source.talk(json_sample::look(plan, source)).await?;
            look_at_source(&mut context, source, &mut source_conn.conn, selection, plan, &own.task).await?;
            context.source_objects.refused_documents = refused_documents;
            let records = &spec.destination.records_database;
            let owners = read_destination::owners(&mut destination_conn.conn, records, &context.plan, names);
            let owners = destination.talk(owners).await?;
            let (mine, others): (BTreeMap<_, _>, BTreeMap<_, _>) = owners.into_iter().partition(|(_, task)| *task == own.task);
            if !mine.is_empty() {
                // A task that has begun made the views, too.
                let views = context.plan.views.iter().map(|view| view.destination.clone());
                context.owned.extend(views);
            }
            context.owned.extend(mine.into_keys());
            context.in_use = others;
            let (conn, info) = (&mut destination_conn.conn, &context.destination.info);
            let existing = read_destination::existing(conn, info, &context.plan, names, &context.owned);
            context.existing = destination.talk(existing).await?;
            if context.schema() {
                let constraints = read_destination::constraints(&mut destination_conn.conn, &context.plan);
                context.constraints = destination.talk(constraints).await?;
            }
            if context.schema() {
                let programs = read_programs::gather(&mut source_conn.conn, &mut destination_conn.conn, &context);
                let programs = destination.talk(programs).await?;
                context.programs_there = programs.there;
                context.accounts = programs.accounts;
                context.loadable_functions = programs.loadable_functions;
                let unsayable = read_destination::unsayable_views(&mut destination_conn.conn, &context);
                let unsayable = destination.talk(unsayable).await?;
                context.unsayable = unsayable;
            }
            if trials == Trials::Made && context.schema() && spec.precheck.trial {
                context.trial = trial::run(destination, &context).await?;
            }
        }
        Err(error) if error.class() == Class::Definite => {
            context.plan.databases = named_databases(spec, names);
            context.unresolved = Some(error.to_string());
        }
        Err(error) => return Err(error),
    }
    let _ = source_conn.conn.disconnect().await;
    let _ = destination_conn.conn.disconnect().await;
    Ok(Gathered::Complete(Box::new(context)))
}

/// What the source says of the plan, which is the context's from here on.
pub(super) async fn look_at_source(
    context: &mut Context,
    source: &Connector,
    conn: &mut Conn,
    selection: Selection,
    plan: Plan,
    task: &str,
) -> Result<()> {
    (context.selection, context.plan) = (selection, plan);
    let objects = read_source::objects(conn, &context.source.info, &context.plan);
    context.source_objects = source.talk(objects).await?;
    let beside = beside_heartbeat(&context.spec, &context.selection, conn);
    context.source_objects.beside_heartbeat = source.talk(beside).await?;
    if context.plan.incremental && context.source.flag("log_bin") == Some(true) {
        context.source_objects.undecided = source.talk(undecided(source, &context.source.info, task)).await?;
    }
    let cascades = context.cascades();
    let unseen = read_source::unseen_parents(conn, &cascades);
    context.source_objects.unseen_parents = source.talk(unseen).await?;
    Ok(())
}

/// An account that may not read the log is told by another item.
async fn undecided(source: &Connector, info: &ServerInfo, task: &str) -> Result<Undecided> {
    match prepared::undecided(source, info, replica_id(task, 0)).await {
        Err(error) if error.class() == Class::Definite => {
            tracing::debug!(%error, "where prepared XA transactions begin cannot be told");
            Ok(Undecided::default())
        }
        result => result,
    }
}

pub(super) async fn resolve_objects(spec: &MigrationTaskSpec, names: NameRules, conn: &mut Conn) -> Result<(Selection, Plan)> {
    let selection = Selection::new(spec, names)?;
    let catalog = read_source::catalog(conn, &selection).await?;
    let plan = resolve(spec, &selection, &catalog)?;
    Ok((selection, plan))
}

/// What the heartbeat's database holds that a pattern selects, if the heartbeat does not lie there.
async fn beside_heartbeat(spec: &MigrationTaskSpec, selection: &Selection, conn: &mut Conn) -> Result<Vec<String>> {
    let database = &spec.heartbeat.database;
    let mut elsewhere = spec.clone();
    elsewhere.heartbeat.database.clone_from(&spec.destination.records_database);
    let without = Selection::new(&elsewhere, selection.names())?;
    if selection.database(database).is_some() || without.database(database).is_none() {
        return Ok(Vec::new());
    }
    let names = list_tables(conn, database).await?.into_iter().map(|object| object.name);
    Ok(names.filter(|name| without.covers(database, name).is_some()).map(|name| format!("{database}.{name}")).collect())
}

pub(super) fn empty_plan(spec: &MigrationTaskSpec) -> Plan {
    Plan {
        schema: spec.migrates(MigrationType::Schema),
        full: spec.migrates(MigrationType::Full),
        incremental: spec.migrates(MigrationType::Incremental),
        databases: Vec::new(),
        tables: Vec::new(),
        views: Vec::new(),
        programs: Vec::new(),
        holds_triggers: false,
        names: crate::plan::mapping::NameRules::default(),
        unsupported: unsupported(spec),
    }
}

/// The databases that the manifest names, so that privileges on them can be looked at although they cannot be seen.
pub(super) fn named_databases(spec: &MigrationTaskSpec, names: NameRules) -> Vec<DatabasePlan> {
    let Ok(selection) = Selection::new(spec, names) else { return Vec::new() };
    let databases = selection.exact_databases().filter_map(|(_, name)| {
        let found = selection.database(name)?;
        Some(DatabasePlan {
            source: name.to_owned(),
            destination: found.destination,
            character_set: String::new(),
            collation: String::new(),
            whole: found.whole,
        })
    });
    databases.collect()
}

/// The item of a server that was reached.
pub fn connected(server: &Server) -> Finding {
    let link = &server.link;
    let milliseconds = link.round_trip_micros as f64 / 1000.0;
    let tls = link.tls.as_deref().unwrap_or("no encryption");
    Finding::passed(format!("{}, a round trip takes {milliseconds:.2} ms, {tls}", server.address))
}

pub(super) fn reached(connector: &Connector, result: Result<Link>) -> Finding {
    match result {
        Ok(_) => Finding::passed(format!("{} was reached", connector.address())),
        Err(error) => unreachable(connector, &error),
    }
}

/// The item of a server that was not reached.
fn unreachable(connector: &Connector, error: &Error) -> Finding {
    let side = connector.side();
    let text = error.to_string();
    let remedy = if error.class() == Class::Connection {
        format!(
            "check host and port in spec.{side}.mysql, the firewall between, and that the server runs and listens on that address"
        )
    } else if text.contains("1045") || text.contains("Access denied") {
        format!(
            "check username and password in the Secret of spec.{side}.mysql.credentials, and that the account may log in from here: \
             SELECT user, host FROM mysql.user;"
        )
    } else {
        format!("check spec.{side}.mysql, its tls above all")
    };
    Finding::failed(text, "without a connection nothing can be looked at; the other items were not run", remedy)
}
