//! Carries out at the destination what foreign keys did at the source (`change::cascade`).
//!
//! By the values of the children's columns, so it does not matter whether the destination has the foreign key; the
//! session's foreign key checks are off, so nothing is done twice. Runs inside the lane's transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mysql_async::Conn;

use super::statement::{Limits, Warnings, refuse_warnings_of};
use crate::change::cascade::{Applied, Cascade, Cascades, DEEPEST, Effect, Link, Rule};
use crate::plan::{Plan, TablePlan};
use crate::rows::{CONDITION_BYTES, RowReader, SelectOptions, Side, batches, select_statement};
use crate::sql;
use crate::sql::{Name, Queries, Sql};
use crate::value::literal::push_compare_literal;
use godwit_model::definition::Kind;
use godwit_model::error::{Error, Result};
use godwit_model::row::{Row, RowBuilder};

/// A part of a lane's transaction.
#[derive(Debug)]
pub(super) enum Part {
    Statements(Vec<super::Statement>),
    /// In the order of the log, with the parent's table.
    Cascades(Vec<(u32, Box<Cascade>)>),
    /// Rows of a table that were just written: by key what depends on a time zone.
    Zoned(u32, HashMap<Row, Row>),
}

/// Carries cascades out.
pub(super) struct Carrier<'a> {
    pub plan: &'a Plan,
    pub cascades: &'a Cascades,
    pub limits: Limits,
    /// What was done, for chunks that are on their way.
    pub done: &'a mut Vec<Arc<Applied>>,
}

/// A step to carry out.
struct Task<'a> {
    link: &'a Link,
    keys: Vec<Row>,
    effect: Effect,
    depth: usize,
}

impl<'a> Carrier<'a> {
    /// In order; neighbours that delete rows of one parent are taken together.
    ///
    /// # Errors
    /// What the destination says; definite where a foreign key cannot be followed.
    pub(super) async fn run(&mut self, conn: &mut Conn, changes: &[(u32, Box<Cascade>)]) -> Result<()> {
        let mut rest = changes;
        while let Some((parent, first)) = rest.first() {
            let alike = |(table, other): &&(u32, Box<Cascade>)| {
                table == parent && other.after.is_none() && other.sequence == first.sequence && other.covered == first.covered
            };
            let count = if first.after.is_some() { 1 } else { rest.iter().take_while(alike).count().max(1) };
            let (now, later) = rest.split_at(count);
            rest = later;
            let mut together: Vec<(&'a Link, Vec<Row>, Effect)> = Vec::new();
            let cascades = self.cascades;
            for (_, change) in now {
                for (link, key, effect) in cascades.effects(*parent, &change.before, change.after.as_ref())? {
                    match together.iter_mut().find(|(other, _, same)| std::ptr::eq(*other, link) && *same == effect) {
                        Some((_, keys, _)) => keys.push(key),
                        None => together.push((link, vec![key], effect)),
                    }
                }
            }
            let first_steps = together.into_iter().map(|(link, keys, effect)| Task { link, keys, effect, depth: 0 }).collect();
            self.follow(conn, first_steps, first).await?;
        }
        Ok(())
    }

    /// Carries the steps out, and what follows from each before the next one.
    async fn follow(&mut self, conn: &mut Conn, mut tasks: Vec<Task<'a>>, cause: &Cascade) -> Result<()> {
        let (plan, cascades) = (self.plan, self.cascades);
        tasks.reverse();
        while let Some(Task { link, keys, effect, depth }) = tasks.pop() {
            if depth > DEEPEST {
                return Err(Error::definite(format!("foreign key {} leads more than {DEEPEST} levels deep", link.name)));
            }
            // Its rows, and those of everything behind it, are from after this change (F5).
            if cause.covered.contains(&link.child) {
                continue;
            }
            let Some(child) = plan.tables.get(link.child as usize) else { continue };
            let mut behind = Vec::new();
            for keys in batches(child, &link.child_columns, &keys, self.limits.rows.min(1000), CONDITION_BYTES) {
                let condition = condition(child, &link.child_columns, keys);
                if self.goes_on(link.child, &effect) {
                    behind.extend(self.referenced(conn, child, &condition).await?);
                }
                let (statement, warnings) = match &effect {
                    Effect::Delete if child.dml.delete => (delete(child, &condition), Warnings::Ignored),
                    Effect::Set(cells) if child.dml.update && !cells.is_empty() => {
                        (update(child, cells, &condition), Warnings::Errors)
                    }
                    _ => continue,
                };
                let ran = match conn.query_drop(statement).await {
                    Ok(()) => refuse_warnings_of(conn, warnings, &[]).await,
                    Err(error) => Err(error.of_rows()),
                };
                ran.map_err(|error| error.context(format!("{}: what foreign key {} did", child.destination, link.name)))?;
                self.done.push(Arc::new(Applied {
                    table: link.child,
                    sequence: cause.sequence,
                    columns: link.child_columns.clone(),
                    keys: keys.to_vec(),
                    effect: effect.clone(),
                    exact: cascades.is_exact(plan, link),
                }));
            }
            let mut next: Vec<Task<'a>> = Vec::new();
            for before in behind {
                let after = match &effect {
                    Effect::Delete => None,
                    Effect::Set(cells) => Some(set(&before, cascades.referenced(link.child), cells)),
                };
                for (link, key, effect) in cascades.effects(link.child, &before, after.as_ref())? {
                    match next.iter_mut().find(|task| std::ptr::eq(task.link, link) && task.effect == effect) {
                        Some(task) => task.keys.push(key),
                        None => next.push(Task { link, keys: vec![key], effect, depth: depth + 1 }),
                    }
                }
            }
            tasks.extend(next.into_iter().rev());
        }
        Ok(())
    }

    /// Whether the effect on a table can change others.
    fn goes_on(&self, table: u32, effect: &Effect) -> bool {
        self.cascades.of_parent(table).any(|link| match effect {
            Effect::Delete => link.on_delete != Rule::Nothing,
            Effect::Set(cells) => {
                let referenced = self.cascades.referenced(table);
                let touches = |cell: &usize| referenced.get(*cell).is_some_and(|place| cells.iter().any(|(set, _)| set == place));
                link.on_update != Rule::Nothing && link.parent_cells.iter().any(touches)
            }
        })
    }

    /// The values that others reference, of the rows that a step is about to change.
    async fn referenced(&self, conn: &mut Conn, table: &TablePlan, condition: &Sql) -> Result<Vec<Row>> {
        let statement = select_statement(
            table,
            Side::Destination,
            condition,
            SelectOptions { force_index: false, ordered: false, json_types: false },
        );
        let mut reader = RowReader::start(conn, &statement, table).await?;
        let mut found = HashSet::new();
        while let Some(row) = reader.next().await? {
            found.insert(row.project(self.cascades.referenced(table.id)));
        }
        Ok(found.into_iter().collect())
    }
}

/// The referenced cells behind an update.
fn set(before: &Row, referenced: &[usize], cells: &[(usize, Option<Vec<u8>>)]) -> Row {
    let mut after = RowBuilder::default();
    for (place, cell) in referenced.iter().zip(before.cells()) {
        match cells.iter().find(|(column, _)| column == place) {
            Some((_, value)) => after.push(value.as_deref()),
            None => after.push(cell),
        }
    }
    after.finish()
}

fn name(table: &TablePlan, place: usize) -> Name<'_> {
    Name(&table.columns[place].destination_name)
}

/// `a IN (…)`, or `(a=… AND b=…) OR …`.
fn condition(table: &TablePlan, columns: &[usize], keys: &[Row]) -> Sql {
    let mut sql = Sql::default();
    if let [place] = columns {
        sql.add(&name(table, *place));
        for (number, key) in keys.iter().enumerate() {
            sql.push(if number == 0 { " IN (" } else { "," });
            push_compare_literal(&mut sql, &table.columns[*place].column, key.cells().next().flatten());
        }
        sql.push(")");
        return sql;
    }
    for (number, key) in keys.iter().enumerate() {
        sql.push(if number == 0 { "(" } else { " OR (" });
        for (number, (place, cell)) in columns.iter().zip(key.cells()).enumerate() {
            if number > 0 {
                sql.push(" AND ");
            }
            sql.add(&name(table, *place));
            sql.push("=");
            push_compare_literal(&mut sql, &table.columns[*place].column, cell);
        }
        sql.push(")");
    }
    sql
}

fn delete(table: &TablePlan, condition: &Sql) -> Sql {
    sql!("DELETE FROM {} WHERE {}", table.destination, condition)
}

fn update(table: &TablePlan, cells: &[(usize, Option<Vec<u8>>)], condition: &Sql) -> Sql {
    let mut sql = sql!("UPDATE {} SET ", table.destination);
    for (number, (place, value)) in cells.iter().enumerate() {
        if number > 0 {
            sql.push(",");
        }
        sql.add(&sql!("{}=", name(table, *place)));
        table.columns[*place].push_value(&mut sql, value.as_deref());
    }
    // A cascade leaves ON UPDATE CURRENT_TIMESTAMP alone.
    for (place, column) in table.columns.iter().enumerate() {
        let is_time = matches!(column.column.kind, Kind::Timestamp { .. } | Kind::DateTime { .. });
        if is_time && column.write && cells.iter().all(|(set, _)| *set != place) {
            let name = Name(&column.destination_name);
            sql.add(&sql!(",{}={}", name, name));
        }
    }
    sql.push(" WHERE ");
    sql.add(condition);
    sql
}
