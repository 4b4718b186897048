//! Applies net changes: one destination transaction per window, with the lane's position in it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use mysql_async::Conn;

use super::cascade::{Carrier, Part};
use super::long;
use super::records::{Fence, fenced_error};
use super::statement::{
    ANOTHER_KEY, Limits, OnDuplicate, Statement, Warnings, collision, deletes, has_text_key, inserts, is_other_row,
    refuse_warnings, remove_one, replace_one, row_number, run,
};
use super::zones::{self, Zones};
use crate::change::cascade::{Applied, Cascades};
use crate::change::{ChangeKind, NetChanges};
use crate::connection::{Connector, Role};
use crate::destination::{LaneWriter, Mark, Step};
use crate::plan::{Plan, TablePlan};

use crate::sql::{Queries, Sql};
use crate::stall::Watch;
use godwit_model::definition::Kind;
use godwit_model::error::{Class, Error, Result};
use godwit_model::row::Row;

/// Ends the packet, and with it the transaction, when the statement before it gave a warning: error 1690 (a DOUBLE out of
/// range). It has no table, so that it leaves the diagnostics as they are (MySQL manual, "SHOW WARNINGS Statement").
const NO_WARNINGS: &str = ";SELECT EXP(1000*@@warning_count)";

/// What stands around a statement in a packet, at most.
const AROUND_BYTES: usize = 64;

/// A window that a deadlock or a lock wait rolled back is run again this often.
pub(crate) const LOCK_TRIES: u32 = 10;

/// A lane's connection to the destination.
pub(crate) struct Applier {
    conn: Conn,
    fence: Fence,
    limits: Limits,
    plan: Arc<Plan>,
    cascades: Arc<Cascades>,
    /// Parts of a large transaction stand uncommitted in the session.
    open: bool,
    zones: Zones,
    watch: Arc<Watch>,
}

impl Applier {
    /// Connects.
    pub(super) async fn connect(
        connector: &Connector,
        fence: Fence,
        limits: Limits,
        plan: Arc<Plan>,
        cascades: Arc<Cascades>,
    ) -> Result<Self> {
        let conn = connector.connect(Role::Write).await?;
        let watch = Arc::new(Watch::new(connector, &conn));
        Ok(Self { conn, fence, limits, plan, cascades, open: false, zones: Zones::default(), watch })
    }

    /// The statements of a table's net changes: deletes first, then rows, then the changes of tables without a key.
    fn statements(&self, table: &TablePlan, changes: NetChanges) -> Vec<Statement> {
        let mut changes = changes;
        let in_order = std::mem::take(&mut changes.in_order);
        let (mut gone, rows) = changes.split(table);
        // UPDATE leaves a JSON document as it is when the new one is numerically equal ({"a": 1} and {"a": 1.0}); rows
        // with documents are written anew.
        let has_json = table.columns.iter().any(|column| column.column.kind == Kind::Json);
        let mode = match has_json {
            // REPLACE would take another row away that holds a unique value of this one, or a key that is equal only here.
            true if table.secondary_unique || has_text_key(table) && !self.limits.adopts_rows => OnDuplicate::Fail,
            true => OnDuplicate::Replace,
            false => OnDuplicate::Update,
        };
        if table.has_key() && mode == OnDuplicate::Fail {
            let there: HashSet<Row> = gone.iter().cloned().collect();
            gone.extend(rows.iter().map(|row| row.project(&table.key)).filter(|key| !there.contains(key)));
        }
        let mut statements = deletes(table, &gone, self.limits);
        statements.extend(inserts(table, rows.into_iter().map(Cow::Owned), mode, self.limits));
        let mut run: Vec<Row> = Vec::new();
        let take =
            |run: &mut Vec<Row>| inserts(table, std::mem::take(run).into_iter().map(Cow::Owned), OnDuplicate::Fail, self.limits);
        for change in in_order {
            let single = match change {
                ChangeKind::Insert { row } => {
                    run.push(row);
                    continue;
                }
                ChangeKind::Remove { row } => remove_one(table, row, self.limits),
                ChangeKind::Replace { before, after } if has_json => {
                    statements.extend(take(&mut run));
                    run.push(after);
                    statements.push(remove_one(table, before, self.limits));
                    continue;
                }
                ChangeKind::Replace { before, after } => replace_one(table, before, after, self.limits),
                // Changes by key never stand here.
                ChangeKind::Upsert { .. } | ChangeKind::Delete { .. } | ChangeKind::Cascade(_) => continue,
            };
            statements.extend(take(&mut run));
            statements.push(single);
        }
        statements.extend(take(&mut run));
        statements
    }

    /// What the rows of a table's net changes must have of what depends on a time zone; None where nothing does.
    fn zoned(&self, table: &TablePlan, changes: &NetChanges) -> Option<Part> {
        if table.zoned.is_empty() || self.limits.adopts_rows {
            return None;
        }
        let wanted = zones::wanted(table, changes.rows());
        (!wanted.is_empty()).then_some(Part::Zoned(table.id, wanted))
    }

    /// The window as statements: those of all tables of a step together, then what is to be looked at of their rows.
    fn parts(&self, window: Vec<Step>) -> Vec<Part> {
        let mut parts = Vec::new();
        for step in window {
            match step {
                Step::Changes(tables) => {
                    let (mut statements, mut zoned) = (Vec::new(), Vec::new());
                    for (id, changes) in tables {
                        let Some(table) = self.plan.tables.get(id as usize) else { continue };
                        zoned.extend(self.zoned(table, &changes));
                        statements.extend(self.statements(table, changes));
                    }
                    if !statements.is_empty() {
                        parts.push(Part::Statements(statements));
                    }
                    parts.extend(zoned);
                }
                Step::Cascades(cascades) => parts.push(Part::Cascades(cascades)),
            }
        }
        parts
    }

    /// Runs the parts and says which cascades were carried out; `mark` commits them with the position, None leaves the transaction open for
    /// what comes next.
    async fn commit(&mut self, parts: &[Part], mark: Option<Mark<'_>>) -> Result<Vec<Arc<Applied>>> {
        let plan = Arc::clone(&self.plan);
        let whole = !self.open;
        let mut tries = 0;
        loop {
            let mut done = Vec::new();
            let watch = Arc::clone(&self.watch);
            let result = watch.over(self.try_commit(&plan, parts, mark, &mut done)).await;
            match result {
                Err(error) if whole && error.is_lock_conflict() && tries < LOCK_TRIES => {
                    tries += 1;
                    self.take_back().await?;
                }
                Ok(()) => return Ok(done),
                // A definite one names table and key.
                Err(error) if matches!(error.class(), Class::Connection | Class::Other) => {
                    return Err(error.context("writing to the destination"));
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_commit(
        &mut self,
        plan: &Plan,
        parts: &[Part],
        mark: Option<Mark<'_>>,
        done: &mut Vec<Arc<Applied>>,
    ) -> Result<()> {
        let mut packet = Sql::default();
        if !self.open {
            packet.push("START TRANSACTION;");
            // The fence comes first: its lock is what a new engine waits for.
            packet.add(&self.fence.statement(mark)?);
        } else if mark.is_some() {
            packet.add(&self.fence.statement(mark)?);
        }
        self.open = true;
        for part in parts {
            let statements = match part {
                Part::Statements(statements) => statements,
                Part::Cascades(changes) => {
                    self.send(plan, &mut packet, parts).await?;
                    let cascades = Arc::clone(&self.cascades);
                    let mut carrier = Carrier { plan, cascades: &cascades, limits: self.limits, done };
                    carrier.run(&mut self.conn, changes).await?;
                    continue;
                }
                Part::Zoned(id, wanted) => {
                    self.send(plan, &mut packet, parts).await?;
                    let Some(table) = plan.tables.get(*id as usize) else { continue };
                    self.zones.settle(&mut self.conn, table, wanted, self.limits.leaves_computed).await?;
                    continue;
                }
            };
            let joined = self.limits.joined_bytes();
            for statement in statements {
                if !statement.is_plain() || packet.len() + statement.sql.len() + AROUND_BYTES > joined {
                    self.send(plan, &mut packet, parts).await?;
                }
                if !statement.is_plain() {
                    self.run_alone(plan, statement).await?;
                    continue;
                }
                if statement.sql.len() + AROUND_BYTES > joined {
                    self.limits.check(&plan.tables[statement.table as usize], statement)?;
                    // Not copied into a packet with others: it may hold a row of any size.
                    if let Err(error) = self.conn.query_drop(&statement.sql).await {
                        return Err(self.explain(plan, error, parts).await);
                    }
                    let table = &plan.tables[statement.table as usize];
                    refuse_warnings(&mut self.conn, statement).await.map_err(|error| name(table, statement, error))?;
                    continue;
                }
                if !packet.is_empty() {
                    packet.push(";");
                }
                packet.add(&statement.sql);
                if statement.warnings == Warnings::Errors {
                    packet.push(NO_WARNINGS);
                }
            }
        }
        if mark.is_some() {
            if !packet.is_empty() {
                packet.push(";");
            }
            packet.push("COMMIT");
        }
        self.send(plan, &mut packet, parts).await?;
        self.open = mark.is_none();
        Ok(())
    }

    async fn take_back(&mut self) -> Result<()> {
        self.conn.query_drop("ROLLBACK").await?;
        self.open = false;
        Ok(())
    }

    async fn send(&mut self, plan: &Plan, packet: &mut Sql, parts: &[Part]) -> Result<()> {
        if packet.is_empty() {
            return Ok(());
        }
        let sql = std::mem::take(packet);
        match self.conn.query_drop(sql).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain(plan, error, parts).await),
        }
    }

    async fn run_alone(&mut self, plan: &Plan, statement: &Statement) -> Result<()> {
        let table = &plan.tables[statement.table as usize];
        let found = run(&mut self.conn, table, statement, self.limits).await.map_err(|error| name(table, statement, error))?;
        long::forget(&mut self.conn, &statement.long).await?;
        if statement.must_find.is_none_or(|wanted| wanted == found) {
            return Ok(());
        }
        let subject = statement.subjects.first().map(|row| table.describe_key(row)).unwrap_or_default();
        Err(Error::definite(subject.map(|subject| {
            format!(
                "{}: {subject}, which the source changed, is not at the destination ({found} rows found); \
                 something else has written to the destination table",
                table.destination
            )
        })))
    }

    /// Finds the statement that failed, so that the error can name table and key. Everything is rolled back.
    async fn explain(&mut self, plan: &Plan, error: crate::sql::Failure, parts: &[Part]) -> Error {
        let original = fenced_error(error);
        if original.class() != Class::Definite || self.conn.query_drop("ROLLBACK").await.is_err() {
            return original;
        }
        self.open = false;
        let mut found = None;
        if self.conn.query_drop("START TRANSACTION").await.is_ok() {
            found = self.first_refusal(plan, parts).await;
            let _ = self.conn.query_drop("ROLLBACK").await;
        }
        found.unwrap_or(original)
    }

    /// Runs the steps one statement at a time up to the one that fails. Cascades too: what they take away may hold unique values
    /// of the rows behind them.
    async fn first_refusal(&mut self, plan: &Plan, parts: &[Part]) -> Option<Error> {
        for part in parts {
            let statements = match part {
                Part::Statements(statements) => statements,
                Part::Cascades(changes) => {
                    let cascades = Arc::clone(&self.cascades);
                    let mut carrier = Carrier { plan, cascades: &cascades, limits: self.limits, done: &mut Vec::new() };
                    match carrier.run(&mut self.conn, changes).await {
                        Ok(()) => continue,
                        Err(error) => return Some(error),
                    }
                }
                Part::Zoned(..) => continue,
            };
            let can_run =
                |statement: &&Statement| statement.lenient.is_empty() && statement.long.is_empty() && statement.refused.is_none();
            for statement in statements.iter().filter(can_run) {
                let table = &plan.tables[statement.table as usize];
                let refused = match self.conn.query_drop(&statement.sql).await {
                    Ok(()) => refuse_warnings(&mut self.conn, statement).await.err(),
                    Err(error) if is_other_row(table, self.limits, &error) => return Some(other_row(table, statement)),
                    Err(error) => Some(error.of_rows()),
                };
                if let Some(error) = refused {
                    return Some(name(table, statement, error));
                }
            }
        }
        None
    }
}

impl LaneWriter for Applier {
    fn apply<'a>(&'a mut self, window: Vec<Step>, mark: Option<Mark<'a>>) -> BoxFuture<'a, Result<Vec<Arc<Applied>>>> {
        let parts = self.parts(window);
        Box::pin(async move { self.commit(&parts, mark).await })
    }

    fn rollback(&mut self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move { self.take_back().await.map(|()| true) })
    }

    fn is_open(&self) -> bool {
        self.open
    }
}

/// The error of a row that would have overwritten another one.
fn other_row(table: &TablePlan, statement: &Statement) -> Error {
    let key = statement.subjects.first().map(|row| table.describe_key(row)).unwrap_or_default();
    let among = match statement.subjects.len() {
        1 => String::new(),
        count => format!(" (or one of the {} rows written with it)", count - 1),
    };
    let other = match has_text_key(table) {
        true => format!("its key or a unique index; something else has written to the destination table{ANOTHER_KEY}"),
        false => "a unique index; something else has written to the destination table".to_owned(),
    };
    Error::definite(key.map(|key| {
        let row = format!("{} key {key}{among}", table.destination);
        format!("{row}: another row at the destination holds the value that this row has in {other}")
    }))
}

/// Puts the table and, where the server says `at row N`, the row's key before the error.
fn name(table: &TablePlan, statement: &Statement, error: Error) -> Error {
    let place = row_number(error.whole()).unwrap_or(1);
    let key = statement.subjects.get(place.saturating_sub(1)).map(|row| table.describe_key(row)).unwrap_or_default();
    let why = collision(table, error.whole());
    error.context_of(&key.map(|key| format!("{} key {key}", table.destination))).explained(why)
}
