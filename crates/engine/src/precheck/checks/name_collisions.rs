//! Names that belong to a whole database and would be taken twice when two databases become one: foreign keys and checks, which
//! the destination refuses, and triggers and routines, of which it takes the first. Tables and views are looked at by `plan::resolve`.
//!
//! MySQL has one name space for the foreign keys of a database and, since 8.0.16, one for its checks, both without regard to case
//! (errors 1826 and 3822). MariaDB has one for foreign keys (error 1005, errno 121) until 12.1, and a table's own for checks.
//! MySQL takes `é` and `e` for the same in a foreign key's name; that is left to the trial of the statements.

use std::collections::{HashMap, HashSet};

use crate::plan::TablePlan;
use crate::plan::statements::Statements;
use crate::precheck::context::{Constraint, Context};
use crate::precheck::finding::{Finding, count, some};
use crate::schema::create::{CreateTable, ItemKind};
use crate::schema::rewrite::{DeferredKind, RewrittenTable};
use godwit_model::names::TableName;
use godwit_model::server::ServerInfo;

pub(super) fn check(context: &Context) -> Option<Finding> {
    if !context.schema() {
        return None;
    }
    let constraints = constraints(context);
    let programs = programs(context);
    if !constraints.is_empty() {
        let others = if programs.is_empty() { String::new() } else { format!("; also {}", some(&programs)) };
        return Some(Finding::failed(
            format!("{}{others}", some(&constraints)),
            "at the destination these names hold for a whole database: the second one is refused, after its table's rows were copied",
            "rename one of each at the source (ALTER TABLE … DROP FOREIGN KEY old, ADD CONSTRAINT new FOREIGN KEY …; or DROP CHECK and ADD \
             CONSTRAINT new CHECK …), or map one of the databases to another name with renameTo",
        ));
    }
    if !programs.is_empty() {
        return Some(Finding::warning(
            some(&programs),
            "at the destination these names hold for a whole database: the second one would be missing",
            "give one of each another name at the source, map one of the databases to another name with renameTo, or ignore this item",
        ));
    }
    Some(Finding::passed(format!("the names of {} do not meet", count(context.plan.databases.len(), "database"))))
}

/// What has a name of its own within a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    ForeignKey,
    Check,
    Trigger,
    Routine,
}

impl Kind {
    fn noun(self) -> &'static str {
        match self {
            Self::ForeignKey => "foreign key",
            Self::Check => "check",
            Self::Trigger => "trigger",
            Self::Routine => "routine",
        }
    }

    /// Whether the destination has one name space a database for it.
    fn is_per_database(self, destination: &ServerInfo) -> bool {
        match self {
            Self::ForeignKey => !destination.is_mariadb() || destination.version < (12, 1, 0),
            Self::Check => destination.is_mysql_since(8, 0, 16),
            Self::Trigger | Self::Routine => true,
        }
    }
}

/// Who has a name; says who came first when another one asks for it.
struct Taken<'a> {
    destination: &'a ServerInfo,
    owners: HashMap<(Kind, String, String), String>,
    problems: Vec<String>,
}

impl<'a> Taken<'a> {
    fn new(destination: &'a ServerInfo) -> Self {
        Self { destination, owners: HashMap::new(), problems: Vec::new() }
    }

    fn take(&mut self, kind: Kind, database: &str, name: &str, owner: String) {
        if !kind.is_per_database(self.destination) {
            return;
        }
        match self.owners.get(&(kind, database.to_owned(), name.to_lowercase())) {
            Some(first) if *first == owner => {}
            Some(first) => self.problems.push(format!("{} `{name}` of {first} and of {owner} in {database}", kind.noun())),
            None => {
                self.owners.insert((kind, database.to_owned(), name.to_lowercase()), owner);
            }
        }
    }
}

fn constraints(context: &Context) -> Vec<String> {
    let names = context.selection.names();
    let mut taken = Taken::new(&context.destination.info);
    let planned: HashSet<TableName> =
        context.plan.tables.iter().map(|table| names.destination_name(&table.destination)).collect();
    for Constraint { name, table, foreign_key } in &context.constraints {
        let key = names.destination_name(table);
        if !planned.contains(&key) {
            let kind = if *foreign_key { Kind::ForeignKey } else { Kind::Check };
            taken.take(kind, &key.database, name, format!("{table}, which stands at the destination"));
        }
    }
    let statements = Statements::new(&context.spec, &context.plan, &context.source.info, &context.destination.info);
    for table in &context.plan.tables {
        if context.existing.contains_key(&table.destination) {
            continue;
        }
        // What cannot be written at all is the item Definitions.
        let Ok(rewritten) = statements.of(table) else { continue };
        let database = names.destination_key(&table.destination.database);
        for (kind, name) in named(table, &rewritten) {
            taken.take(kind, &database, &name, table.source.to_string());
        }
    }
    taken.problems
}

/// The foreign keys and checks that a table gets at the destination, under the names that they get.
fn named(table: &TablePlan, rewritten: &RewrittenTable) -> Vec<(Kind, String)> {
    let keys = rewritten.deferred.iter().filter(|step| step.kind == DeferredKind::ForeignKeys);
    let mut found: Vec<(Kind, String)> =
        keys.flat_map(|step| &step.additions).map(|addition| (Kind::ForeignKey, addition.name.clone())).collect();
    let has_checks = table.definition.create_statement.to_ascii_uppercase().contains("CHECK");
    if has_checks && let Ok(create) = CreateTable::parse(&rewritten.create) {
        let checks = create.items.into_iter().filter_map(|item| match item.kind {
            ItemKind::Check { name } => name,
            _ => None,
        });
        found.extend(checks.map(|name| (Kind::Check, name)));
    }
    found
}

fn programs(context: &Context) -> Vec<String> {
    let names = context.selection.names();
    let mut taken = Taken::new(&context.destination.info);
    for database in &context.plan.databases {
        let key = names.destination_key(&database.destination);
        for (table, name) in context.source_objects.triggers.iter().filter(|(table, _)| table.database == database.source) {
            taken.take(Kind::Trigger, &key, name, table.database.clone());
        }
        let prefix = format!("{}.", database.source);
        for name in context.source_objects.routines.iter().filter_map(|routine| routine.strip_prefix(&prefix)) {
            taken.take(Kind::Routine, &key, name, database.source.clone());
        }
    }
    taken.problems
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixture::{column, definition, table_plan};
    use crate::plan::DatabasePlan;
    use crate::precheck::fixture::context;
    use godwit_api::Verdict;
    use godwit_model::definition::{Kind as Type, TableDefinition};

    fn name(database: &str, table: &str) -> TableName {
        TableName { database: database.into(), table: table.into() }
    }

    /// Two databases that become one; each has a table with these constraints.
    fn merged(first: &str, second: &str, destination: &str) -> Context {
        let mut context = context();
        context.destination.info = ServerInfo::parse(destination);
        context.plan.views.clear();
        context.plan.tables.clear();
        context.plan.databases.clear();
        for (database, constraint) in [("a", first), ("b", second)] {
            let table = format!("t{database}");
            let create = format!("CREATE TABLE `{table}` (\n  `id` int NOT NULL,\n  {constraint}\n) ENGINE=InnoDB");
            let columns = vec![column("id", Type::Int { unsigned: false })];
            let mut plan = table_plan(TableDefinition { create_statement: create, ..definition(database, &table, columns) });
            plan.destination = name("one", &table);
            plan.id = context.plan.tables.len() as u32;
            context.plan.tables.push(Arc::new(plan));
            context.plan.databases.push(DatabasePlan {
                source: database.into(),
                destination: "one".into(),
                character_set: "utf8mb4".into(),
                collation: "utf8mb4_bin".into(),
                whole: true,
            });
        }
        context
    }

    fn key(name: &str) -> String {
        format!("CONSTRAINT `{name}` FOREIGN KEY (`id`) REFERENCES `ta` (`id`)")
    }

    #[test]
    fn foreign_keys_and_checks_collide_by_the_destinations_rules() {
        let own = "CONSTRAINT `Fk` FOREIGN KEY (`id`) REFERENCES `ta` (`id`)";
        let other = "CONSTRAINT `fK` FOREIGN KEY (`id`) REFERENCES `tb` (`id`)";
        let check_of = |name: &str| format!("CONSTRAINT `{name}` CHECK (`id` > 0)");
        let (one, two) = (check_of("Ck"), check_of("cK"));
        for (first, second, destination, collides) in [
            (own, other, "9.7.4", true),
            (own, other, "5.7.22", true),
            (own, other, "11.4.5-MariaDB", true),
            (own, other, "12.1.2-MariaDB", false),
            (&*one, &*two, "9.7.4", true),
            (&*one, &*two, "8.0.15", false),
            (&*one, &*two, "11.4.5-MariaDB", false),
            // Name spaces of their own.
            (&*check_of("fk"), own, "9.7.4", false),
        ] {
            let mut context = merged(first, second, destination);
            context.source.info = context.destination.info.clone();
            let found = check(&context).unwrap();
            assert_eq!(found.verdict == Verdict::Failed, collides, "{first} {second} {destination}: {found:?}");
            if collides {
                assert!(found.seen.contains("of a.ta and of b.tb in one"), "{found:?}");
            }
        }
    }

    #[test]
    fn databases_that_stay_apart_and_names_that_a_server_makes_do_not_collide() {
        let mut context = merged(&key("ta_ibfk_1"), &key("tb_ibfk_1").replace("`ta`", "`tb`"), "9.7.4");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context = merged(&key("k"), &key("k").replace("`ta`", "`tb`"), "9.7.4");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Failed);
        let mut apart = TablePlan::clone(&context.plan.tables[1]);
        apart.destination.database = "two".into();
        context.plan.tables[1] = Arc::new(apart);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }

    #[test]
    fn what_stands_at_the_destination_counts_unless_it_is_the_tasks_own() {
        let mut context = merged(&key("k"), "KEY `i` (`id`)", "9.7.4");
        context.constraints.push(Constraint { name: "K".into(), table: name("one", "other"), foreign_key: true });
        let found = check(&context).unwrap();
        assert!(found.verdict == Verdict::Failed && found.seen.contains("one.other, which stands"), "{found:?}");
        context.constraints[0].table = name("one", "ta");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }

    #[test]
    fn triggers_and_routines_are_told() {
        let mut context = merged("KEY `i` (`id`)", "KEY `i` (`id`)", "9.7.4");
        context.source_objects.triggers = vec![(name("a", "ta"), "touch".into()), (name("b", "tb"), "Touch".into())];
        context.source_objects.routines = vec!["a.total".into(), "b.total".into(), "b.other".into()];
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(found.seen.contains("trigger `Touch` of a and of b") && found.seen.contains("routine `total` of a and of b"));
    }
}
