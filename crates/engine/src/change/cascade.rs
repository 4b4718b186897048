//! Rows that a foreign key changes at the source without a trace in its log.
//!
//! Before MySQL 9.6 and on MariaDB InnoDB carries ON DELETE and ON UPDATE actions out below the binary log. What a
//! logged change of a parent did to its children follows from the foreign keys alone, so it is derived: a [`Cascade`]
//! stands among the changes behind its parent's row, and the lane carries it out at the destination by the children's
//! columns, in the order of the log. This module knows which foreign keys act and what that demands of lanes and copy;
//! docs/correctness.md (F1–F7) has the argument.
//!
//! Whether the children's rows are in the log is said by each row event, not by the server that is asked: a server from 9.6
//! on passes what an older one has logged on as it was, and changes the children below its own log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;
use std::sync::Arc;

use crate::plan::{Plan, TablePlan};
use godwit_model::definition::{Column, ForeignKey, Kind};
use godwit_model::error::{Error, Result};
use godwit_model::names::TableName;
use godwit_model::position::Position;
use godwit_model::row::{Row, RowBuilder};

/// InnoDB goes no deeper than 15 levels, old versions 255 (`FK_MAX_CASCADE_DEL`); a deeper one here is a circle.
pub(crate) const DEEPEST: usize = 256;

/// What a change of the parent does to the children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// RESTRICT and NO ACTION: the source refused the change, if there were children.
    Nothing,
    Cascade,
    SetNull,
}

impl Rule {
    fn of(text: &str) -> Self {
        match text.to_ascii_uppercase().as_str() {
            "CASCADE" => Self::Cascade,
            "SET NULL" => Self::SetNull,
            // InnoDB refuses SET DEFAULT.
            _ => Self::Nothing,
        }
    }
}

/// A foreign key that acts, between two migrated tables.
#[derive(Debug, Clone)]
pub struct Link {
    /// For messages.
    pub name: String,
    pub parent: u32,
    pub child: u32,
    /// Places in [`Cascades::referenced`] of the parent.
    pub parent_cells: Vec<usize>,
    /// All referenced columns are migrated, so that it is known whether they changed.
    pub parent_known: bool,
    /// Places in the child's `columns`, in the same order.
    pub child_columns: Vec<usize>,
    pub on_delete: Rule,
    pub on_update: Rule,
    /// Why its children cannot be followed; the task stops when it would act.
    pub broken: Option<String>,
}

/// A change of a parent row that may have changed children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cascade {
    /// The referenced columns before ([`Cascades::referenced`]).
    pub before: Row,
    /// And after; None: the row was deleted.
    pub after: Option<Row>,
    /// The transaction's number among the dispatched ones.
    pub sequence: u64,
    /// Tables whose rows hold the transaction already.
    pub covered: Arc<[u32]>,
}

/// What happens to the rows of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Delete,
    /// New cells by the column's place.
    Set(Vec<(usize, Option<Vec<u8>>)>),
}

/// A step as it was carried out: what happened to all rows of a table with one of these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    pub table: u32,
    pub sequence: u64,
    /// Places in the table's `columns`.
    pub columns: Vec<usize>,
    /// Values of those columns.
    pub keys: Vec<Row>,
    pub effect: Effect,
    /// Whether equal values always have equal bytes on both sides of the foreign key.
    pub exact: bool,
}

impl Applied {
    /// Bytes held, about.
    pub(crate) fn size(&self) -> usize {
        let set = match &self.effect {
            Effect::Delete => 0,
            Effect::Set(cells) => cells.iter().map(|(_, cell)| 40 + cell.as_ref().map_or(0, Vec::len)).sum(),
        };
        128 + set + self.keys.iter().map(|key| 32 + key.size()).sum::<usize>()
    }
}

/// A parent that is not migrated, with children that are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stranger {
    pub keys: Vec<String>,
    /// The tables of those keys.
    children: BTreeSet<u32>,
    /// As the children's definitions spell it.
    pub name: Option<TableName>,
    pub on_delete: bool,
    pub on_update: bool,
}

/// All foreign keys that act, and what they demand.
#[derive(Debug, Default)]
pub struct Cascades {
    pub links: Vec<Link>,
    /// Per table: places in `links` where it is the parent.
    by_parent: Vec<Vec<usize>>,
    /// Per table: places in `links` where it is the child.
    by_child: Vec<Vec<usize>>,
    /// Per table: places in its `columns` that foreign keys of others reference.
    referenced: Vec<Vec<usize>>,
    /// Per table: what a change of one of its rows can change, over any number of steps.
    reach: Vec<BTreeSet<u32>>,
    /// Per table: the smallest table it is connected with.
    family: Vec<Option<u32>>,
    /// Per table: copied after all tables of smaller levels.
    level: Vec<u32>,
    /// Per table: must be copied from one snapshot.
    snapshot: Vec<bool>,
    strangers: HashMap<(String, String), Stranger>,
    folds: bool,
    /// Cascades that the log lacks are derived; false: one that is missing stops the task.
    derives: bool,
}

impl Cascades {
    /// Where no log is followed: there is nothing to derive.
    pub fn none() -> Self {
        Self::default()
    }

    /// For a source that logs what its foreign keys do, as far as is known. Lanes and copy need not care; a change that
    /// lacks its cascades all the same is told by [`Cascades::refuse`].
    pub fn logged(plan: &Plan, folds: bool) -> Self {
        Self { derives: false, ..Self::derived(plan, folds) }
    }

    /// `folds`: the source's table names do not tell upper from lower case.
    pub fn derived(plan: &Plan, folds: bool) -> Self {
        let count = plan.tables.len();
        let fold = |name: &str| if folds { name.to_lowercase() } else { name.to_owned() };
        let by_name: HashMap<(String, String), u32> =
            plan.tables.iter().map(|t| ((fold(&t.source.database), fold(&t.source.table)), t.id)).collect();
        let mut all = Self {
            by_parent: vec![Vec::new(); count],
            by_child: vec![Vec::new(); count],
            referenced: vec![Vec::new(); count],
            reach: vec![BTreeSet::new(); count],
            family: vec![None; count],
            level: vec![0; count],
            snapshot: vec![false; count],
            folds,
            derives: true,
            ..Self::default()
        };
        for child in &plan.tables {
            for key in child.definition.foreign_keys.iter().filter(|key| key.acts()) {
                let name = (fold(&key.parent_database), fold(&key.parent_table));
                match by_name.get(&name).and_then(|id| plan.tables.get(*id as usize)) {
                    Some(parent) => all.add(parent, child, key),
                    None => {
                        let stranger = all.strangers.entry(name).or_default();
                        stranger.children.insert(child.id);
                        stranger.name =
                            Some(TableName { database: key.parent_database.clone(), table: key.parent_table.clone() });
                        stranger.keys.push(format!("{} of {}", key.name, child.source));
                        stranger.on_delete |= Rule::of(&key.on_delete) != Rule::Nothing;
                        stranger.on_update |= Rule::of(&key.on_update) != Rule::Nothing;
                    }
                }
            }
        }
        all.close(plan);
        all
    }

    fn add(&mut self, parent: &TablePlan, child: &TablePlan, key: &ForeignKey) {
        let place =
            |table: &TablePlan, name: &str| table.columns.iter().position(|column| column.column.name.eq_ignore_ascii_case(name));
        let mut broken = None;
        let mut parent_cells = Vec::new();
        for name in &key.parent_columns {
            match place(parent, name) {
                Some(found) => {
                    let referenced = &mut self.referenced[parent.id as usize];
                    let cell = referenced.iter().position(|other| *other == found).unwrap_or_else(|| {
                        referenced.push(found);
                        referenced.len() - 1
                    });
                    parent_cells.push(cell);
                }
                None => broken = Some(format!("column {name} of {} is not migrated", parent.source)),
            }
        }
        let mut child_columns = Vec::new();
        for name in &key.columns {
            match place(child, name) {
                Some(found) if matches!(child.columns[found].column.kind, Kind::Float | Kind::Double) => {
                    broken = Some(format!("column {name} of {} is inexact", child.source));
                }
                Some(found) => child_columns.push(found),
                None => broken = Some(format!("column {name} of {} is not migrated", child.source)),
            }
        }
        self.by_parent[parent.id as usize].push(self.links.len());
        self.by_child[child.id as usize].push(self.links.len());
        self.links.push(Link {
            name: format!("{} of {}", key.name, child.source),
            parent: parent.id,
            child: child.id,
            parent_known: parent_cells.len() == key.parent_columns.len(),
            parent_cells,
            child_columns,
            on_delete: Rule::of(&key.on_delete),
            on_update: Rule::of(&key.on_update),
            broken,
        });
    }

    /// What follows from the links: reach, families, the order of the copy.
    fn close(&mut self, plan: &Plan) {
        let count = self.reach.len();
        for start in 0..count {
            let mut open = vec![start];
            while let Some(at) = open.pop() {
                for &link in &self.by_parent[at] {
                    let child = self.links[link].child;
                    if self.reach[start].insert(child) {
                        open.push(child as usize);
                    }
                }
            }
        }
        for (table, reach) in self.reach.iter().enumerate() {
            if reach.contains(&(table as u32))
                && reach.iter().any(|&other| other as usize != table && self.reach[other as usize].contains(&(table as u32)))
            {
                for &link in &self.by_parent[table] {
                    let child = self.links[link].child as usize;
                    if child != table && self.reach[child].contains(&(table as u32)) {
                        self.links[link].broken = Some("foreign keys lead in a circle over several tables".to_owned());
                    }
                }
            }
        }
        self.families();
        self.copying(plan);
    }

    fn families(&mut self) {
        loop {
            let mut changed = false;
            for link in &self.links {
                let (parent, child) = (link.parent as usize, link.child as usize);
                let both = [self.family[parent], self.family[child], Some(link.parent), Some(link.child)];
                let least = both.into_iter().flatten().min();
                for table in [parent, child] {
                    changed |= self.family[table] != least;
                    self.family[table] = least;
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// Which tables are read from one snapshot, and in which order tables are copied.
    fn copying(&mut self, plan: &Plan) {
        let intermediate: Vec<bool> =
            self.by_child.iter().zip(&self.by_parent).map(|(up, down)| !up.is_empty() && !down.is_empty()).collect();
        for table in &plan.tables {
            let id = table.id as usize;
            let moves_keys = self.by_child[id].iter().map(|&place| &self.links[place]).any(|link| {
                link.on_update != Rule::Nothing && link.child_columns.iter().any(|column| table.key.contains(column))
            });
            self.snapshot[id] = !table.is_chunked() || moves_keys || self.reach[id].contains(&table.id);
        }
        for (table, is_between) in intermediate.iter().enumerate() {
            // What is read from a snapshot comes before all chunks, and after the tables that its cascades come through.
            if *is_between && self.reach[table].iter().any(|&below| self.snapshot[below as usize]) {
                self.snapshot[table] = true;
            }
        }
        // A circle never settles, so that there are bounded rounds.
        for _ in 0..self.reach.len() {
            let mut changed = false;
            for link in &self.links {
                let (parent, child) = (link.parent as usize, link.child as usize);
                let above = self.level[parent] + u32::from(intermediate[parent]);
                if parent != child && link.broken.is_none() && self.level[child] < above {
                    self.level[child] = above;
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// Whether nothing has to be derived.
    pub fn is_empty(&self) -> bool {
        !self.derives || self.links.is_empty()
    }

    /// A change whose cascades are not in the log.
    ///
    /// # Errors
    /// Definite, where the task began on a source that logs them.
    pub fn refuse(&self, parent: &impl Display) -> Result<()> {
        if self.derives {
            return Ok(());
        }
        Err(Error::definite(format!(
            "a parent row in {parent} was changed, and what foreign keys did to its children is not in the binary log: the change comes \
             from a server older than MySQL 9.6 that the source replicates from, or innodb_native_foreign_keys was switched on. Start \
             the task anew while the source is a replica: such changes are derived from the foreign keys then"
        )))
    }

    /// The foreign keys that lead from the table.
    pub fn of_parent(&self, table: u32) -> impl Iterator<Item = &Link> {
        self.by_parent.get(table as usize).into_iter().flatten().filter_map(|&place| self.links.get(place))
    }

    /// Places of the columns that others reference.
    pub fn referenced(&self, table: u32) -> &[usize] {
        self.referenced.get(table as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether a change of the parent can change the table.
    pub fn reaches(&self, parent: u32, table: u32) -> bool {
        self.derives && self.reach.get(parent as usize).is_some_and(|reach| reach.contains(&table))
    }

    /// Tables whose changes can change the table without a trace of it in the log.
    pub fn above(&self, table: u32) -> Vec<u32> {
        if !self.derives {
            return Vec::new();
        }
        let reaching = self.reach.iter().zip(0u32..).filter(|(reach, parent)| *parent != table && reach.contains(&table));
        reaching.map(|(_, parent)| parent).collect()
    }

    /// The same, of tables that are not migrated.
    pub fn strangers_above(&self, table: u32) -> Vec<&TableName> {
        if !self.derives {
            return Vec::new();
        }
        let leads_there = |child: &u32| *child == table || self.reaches(*child, table);
        let leading = self.strangers.values().filter(|stranger| stranger.children.iter().any(leads_there));
        leading.filter_map(|stranger| stranger.name.as_ref()).collect()
    }

    /// Per table, up to which places its rows hold the log already: those of its own snapshot; of a table in chunks those of all
    /// snapshots of its family, as its chunks are registered behind them (F5).
    pub fn covered(&self, tables: &[Arc<TablePlan>], valid_from: &HashMap<u32, Position>) -> HashMap<u32, Vec<Position>> {
        let of_family = |table: u32| {
            let family = self.family(table);
            let relatives = valid_from.iter().filter(move |(other, _)| family.is_some() && self.family(**other) == family);
            relatives.map(|(_, from)| from.clone()).collect::<Vec<_>>()
        };
        let places = |table: u32| match valid_from.get(&table) {
            Some(own) => vec![own.clone()],
            None if self.is_child(table) => of_family(table),
            None => Vec::new(),
        };
        tables.iter().map(|table| (table.id, places(table.id))).filter(|(_, places)| !places.is_empty()).collect()
    }

    /// Whether a foreign key can change rows of the table.
    pub fn is_child(&self, table: u32) -> bool {
        self.derives && self.by_child.get(table as usize).is_some_and(|links| !links.is_empty())
    }

    /// The table that names the lane of all tables that cascades connect with this one.
    pub fn family(&self, table: u32) -> Option<u32> {
        self.family.get(table as usize).copied().flatten().filter(|_| self.derives)
    }

    /// Whether the table must be read from one snapshot.
    pub fn needs_snapshot(&self, table: u32) -> bool {
        self.derives && self.snapshot.get(table as usize).copied().unwrap_or_default()
    }

    /// Tables are copied level by level.
    pub fn level(&self, table: u32) -> u32 {
        self.level.get(table as usize).copied().filter(|_| self.derives).unwrap_or_default()
    }

    /// A parent that is not migrated.
    pub fn stranger(&self, database: &str, table: &str) -> Option<&Stranger> {
        if self.strangers.is_empty() {
            return None;
        }
        let fold = |name: &str| if self.folds { name.to_lowercase() } else { name.to_owned() };
        self.strangers.get(&(fold(database), fold(table)))
    }

    /// All parents that are not migrated.
    pub fn strangers(&self) -> impl Iterator<Item = &Stranger> {
        self.strangers.values()
    }

    /// Why some children cannot be followed, a sentence each.
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps: BTreeMap<String, ()> = BTreeMap::new();
        for link in &self.links {
            if let Some(why) = &link.broken {
                gaps.insert(format!("{} ({why})", link.name), ());
            }
        }
        for ((database, table), stranger) in &self.strangers {
            gaps.insert(format!("{} (its parent {database}.{table} is not migrated)", stranger.keys.join(", ")), ());
        }
        gaps.into_keys().collect()
    }

    /// What a change of a parent row does directly: foreign key, values of the children's columns, effect.
    ///
    /// # Errors
    /// Definite: it acts through a foreign key that cannot be followed.
    pub fn effects<'a>(&'a self, parent: u32, before: &Row, after: Option<&Row>) -> Result<Vec<(&'a Link, Row, Effect)>> {
        let mut effects = Vec::new();
        for link in self.of_parent(parent) {
            let rule = if after.is_some() { link.on_update } else { link.on_delete };
            if rule == Rule::Nothing {
                continue;
            }
            let key = before.project(&link.parent_cells);
            let new = after.map(|row| row.project(&link.parent_cells));
            if new.as_ref() == Some(&key) && link.parent_known {
                continue;
            }
            if let Some(why) = &link.broken {
                return Err(Error::definite(format!(
                    "a parent row of foreign key {} was changed, and what that did to the child rows cannot be followed: {why}; \
                     select what is missing and start the task anew",
                    link.name
                )));
            }
            // NULL references nothing.
            if key.cells().any(|cell| cell.is_none()) {
                continue;
            }
            let effect = match (rule, &new) {
                (Rule::Cascade, None) => Effect::Delete,
                (Rule::Cascade, Some(new)) => {
                    // As InnoDB does: only columns that changed.
                    let cells = link.child_columns.iter().zip(key.cells().zip(new.cells()));
                    let changed = cells.filter(|(_, (old, new))| old != new);
                    Effect::Set(changed.map(|(column, (_, new))| (*column, new.map(<[u8]>::to_vec))).collect())
                }
                (Rule::SetNull | Rule::Nothing, _) => {
                    Effect::Set(link.child_columns.iter().map(|column| (*column, None)).collect())
                }
            };
            effects.push((link, key, effect));
        }
        Ok(effects)
    }

    /// Whether bytes tell whether a child's value is the parent's.
    pub fn is_exact(&self, plan: &Plan, link: &Link) -> bool {
        let (Some(parent), Some(child)) = (plan.tables.get(link.parent as usize), plan.tables.get(link.child as usize)) else {
            return false;
        };
        let referenced = self.referenced(link.parent);
        link.parent_cells.iter().zip(&link.child_columns).all(|(cell, column)| {
            let theirs = referenced.get(*cell).and_then(|place| parent.columns.get(*place)).map(|column| &column.column);
            let own = child.columns.get(*column).map(|column| &column.column);
            matches!((theirs, own), (Some(theirs), Some(own)) if theirs.kind == own.kind && is_identity(own))
        })
    }
}

/// Whether equal values have equal bytes.
fn is_identity(column: &Column) -> bool {
    !matches!(column.kind, Kind::Char | Kind::Varchar | Kind::Text | Kind::Float | Kind::Double | Kind::Json)
}

/// A row of the chunk may have been changed in a way that bytes do not tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Uncertain;

/// Carries out on rows that were read what happened to them between registration and hand-over (F4).
///
/// # Errors
/// Uncertain: the chunk must be read again.
pub(crate) fn carry_out(rows: &mut Vec<Row>, steps: &[Arc<Applied>]) -> std::result::Result<(), Uncertain> {
    if steps.is_empty() {
        return Ok(());
    }
    for (place, later) in steps.iter().enumerate() {
        let Effect::Set(set) = &later.effect else { continue };
        // A value that comes into being behind a step that looks for it: whether a row had it before is not to be told.
        if steps[..place].iter().any(|earlier| may_make(set, earlier)) {
            return Err(Uncertain);
        }
    }
    let mut uncertain = false;
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows.drain(..) {
        match changed(row, steps) {
            Ok(Some(row)) => kept.push(row),
            Ok(None) => {}
            Err(Uncertain) => uncertain = true,
        }
    }
    *rows = kept;
    if uncertain { Err(Uncertain) } else { Ok(()) }
}

/// Whether setting these cells may give a row the values that the step looks for.
fn may_make(set: &[(usize, Option<Vec<u8>>)], step: &Applied) -> bool {
    let shared: Vec<(usize, &Option<Vec<u8>>)> = step
        .columns
        .iter()
        .enumerate()
        .filter_map(|(cell, column)| set.iter().find(|(place, _)| place == column).map(|(_, value)| (cell, value)))
        .collect();
    // What a step looks for is never NULL.
    if shared.is_empty() || shared.iter().any(|(_, value)| value.is_none()) {
        return false;
    }
    step.keys.iter().any(|key| {
        let cells: Vec<_> = key.cells().collect();
        shared.iter().all(|(cell, value)| match (cells.get(*cell).copied().flatten(), value) {
            (Some(looked_for), Some(value)) => !step.exact || looked_for == value.as_slice(),
            _ => false,
        })
    })
}

/// The row behind the steps; None: it is gone.
fn changed(row: Row, steps: &[Arc<Applied>]) -> std::result::Result<Option<Row>, Uncertain> {
    let mut row = row;
    for step in steps {
        let own = row.project(&step.columns);
        if own.cells().any(|cell| cell.is_none()) {
            continue;
        }
        if !step.keys.contains(&own) {
            if !step.exact && step.keys.iter().any(|key| may_be_equal(key, &own)) {
                return Err(Uncertain);
            }
            continue;
        }
        match &step.effect {
            Effect::Delete => return Ok(None),
            Effect::Set(set) => {
                let mut builder = RowBuilder::with_capacity(row.size() + 64);
                for (place, cell) in row.cells().enumerate() {
                    match set.iter().find(|(column, _)| *column == place) {
                        Some(_) if !step.exact && !is_null(set, place) => return Err(Uncertain),
                        Some((_, value)) => builder.push(value.as_deref()),
                        None => builder.push(cell),
                    }
                }
                row = builder.finish();
            }
        }
    }
    Ok(Some(row))
}

fn is_null(set: &[(usize, Option<Vec<u8>>)], place: usize) -> bool {
    set.iter().any(|(column, value)| *column == place && value.is_none())
}

/// Whether two values of collated text can be one: never where both are plain ASCII and differ in their digits, which
/// no collation treats alike; always where a letter beyond ASCII is in play.
fn may_be_equal(left: &Row, right: &Row) -> bool {
    left.cells().zip(right.cells()).all(|(left, right)| match (left, right) {
        (Some(left), Some(right)) if left.is_ascii() && right.is_ascii() => {
            let digits = |text: &[u8]| text.iter().copied().filter(u8::is_ascii_digit).collect::<Vec<_>>();
            digits(left) == digits(right)
        }
        (Some(_), Some(_)) => true,
        _ => false,
    })
}

#[cfg(test)]
#[path = "cascade_tests.rs"]
mod tests;
