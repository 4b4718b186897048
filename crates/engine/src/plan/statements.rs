//! The statements that make a plan's objects at the destination: for the preview, and to know before the start that every
//! definition can be written there.

use super::names::PlanNames;
use super::{DatabasePlan, Plan, TablePlan, ViewPlan};
use crate::schema::adapt::adapt_for;
use crate::schema::collation::destination_collation;
use crate::schema::compare_texts::generated_of;
use crate::schema::create::CreateTable;
use crate::schema::rewrite::{Engine, RewrittenTable, TableRewrite, rewrite_create_table};
use crate::schema::view::{Definer, order_views, rewrite_view};
use crate::schema::view_session::ViewStatement;
use crate::sql;
use crate::sql::lexer::TokenKind;
use crate::sql::{Name, Sql};
use godwit_api::{DefinerMode, MigrationTaskSpec, TableEngine};
use godwit_model::definition::{Generated, Index, TableDefinition};
use godwit_model::error::{Context, Result};
use godwit_model::names::TableName;
use godwit_model::server::ServerInfo;
use godwit_model::words::word;

/// Makes the statements of one table after the other.
pub struct Statements<'a> {
    names: PlanNames,
    engine: Engine,
    definer: Definer,
    source: &'a ServerInfo,
    destination: &'a ServerInfo,
}

impl<'a> Statements<'a> {
    /// For the tables of one plan.
    pub fn new(spec: &MigrationTaskSpec, plan: &Plan, source: &'a ServerInfo, destination: &'a ServerInfo) -> Self {
        let engine = match spec.destination.mysql.as_ref().map(|mysql| mysql.table_engine).unwrap_or_default() {
            TableEngine::AsSource => Engine::AsSource,
            TableEngine::InnoDB => Engine::Named("InnoDB".to_owned()),
            TableEngine::XEngine => Engine::Named("XENGINE".to_owned()),
        };
        Self { names: PlanNames::new(plan), engine, definer: definer(spec), source, destination }
    }

    /// CREATE, what follows the rows, and notes on what the destination will not have.
    ///
    /// # Errors
    /// Definite: the definition has no counterpart at the destination.
    pub fn of(&self, table: &TablePlan) -> Result<RewrittenTable> {
        table_statements(table, &self.names, self.source, self.destination, &self.engine)
    }

    /// The statements of views, each after those it reads.
    pub fn of_views(&self, views: &[ViewPlan]) -> Vec<(ViewPlan, Result<ViewStatement>)> {
        view_statements(views, &self.names, self.definer, self.destination)
    }
}

/// What the task makes of a view's definer.
pub fn definer(spec: &MigrationTaskSpec) -> Definer {
    match spec.definer {
        DefinerMode::Invoker => Definer::Invoker,
        DefinerMode::Keep => Definer::Keep,
    }
}

/// The statements of views, in the order in which they rest on each other.
pub fn view_statements(
    views: &[ViewPlan],
    names: &PlanNames,
    definer: Definer,
    destination: &ServerInfo,
) -> Vec<(ViewPlan, Result<ViewStatement>)> {
    let sources: Vec<(TableName, String)> =
        views.iter().map(|view| (view.source.clone(), view.create_statement.clone())).collect();
    let statement = |view: &ViewPlan| {
        let statement = rewrite_view(&view.create_statement, &view.source, names, definer)?;
        Ok(ViewStatement { name: view.destination.clone(), statement, session: view.session.at(destination)? })
    };
    order_views(&sources).into_iter().map(|place| (views[place].clone(), statement(&views[place]))).collect()
}

/// The statements of one table of a plan.
///
/// # Errors
/// Definite: the definition has no counterpart at the destination.
pub fn table_statements(
    table: &TablePlan,
    names: &PlanNames,
    source: &ServerInfo,
    destination: &ServerInfo,
    engine: &Engine,
) -> Result<RewrittenTable> {
    let adapted = adapt_for(&table.definition.create_statement, source, destination).context(&table.source)?;
    let rules = TableRewrite {
        source: table.source.clone(),
        destination: table.destination.clone(),
        key_index: table.key_index.clone(),
        engine: engine.clone(),
        needed: if source.logs_cascades(None) { Vec::new() } else { cascade_indexes(&table.definition) },
        defer_indexes: !says_conversions(&table.definition, destination),
        names,
    };
    let mut rewritten = rewrite_create_table(&adapted.create, &rules)?;
    rewritten.notes.splice(0..0, adapted.notes);
    Ok(rewritten)
}

/// Whether an ALTER TABLE would say the definition in other words, or not take it any more.
///
/// Before MySQL 9, and in MariaDB, the conversions between character sets that a server carries out in an expression are printed into it, by
/// some with the CREATE and by 5.7 with any ALTER. A conversion that is said has the character set's default collation, and beside a column of
/// another one the server refuses its own words with the next ALTER (1267; measured on 5.7, 8.0.15 and MariaDB 11.4). So a table whose
/// generated columns read text gets its indexes at once; foreign keys still come later.
pub fn says_conversions(definition: &TableDefinition, destination: &ServerInfo) -> bool {
    let generates = definition.columns.iter().any(|column| column.generated != Generated::No);
    if !generates || destination.is_mysql_since(9, 0, 0) {
        return false;
    }
    // What cannot be read is the item Definitions.
    let Ok(create) = CreateTable::parse(&definition.create_statement) else { return false };
    let is_text = |name: &str| {
        let column = definition.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
        column.is_some_and(|column| column.character_set.as_deref().is_some_and(|set| set != "binary"))
    };
    create.items.iter().filter_map(|item| generated_of(&create, item)).flatten().any(|at| {
        create.tokens.get(at).is_some_and(|token| token.kind == TokenKind::Quoted)
            && create.name_at(at).is_some_and(|name| is_text(&name))
    })
}

/// The indexes by which the children of a foreign key that acts are found: cascades are carried out while rows are copied.
fn cascade_indexes(definition: &TableDefinition) -> Vec<String> {
    let leads = |index: &&Index, columns: &[String]| {
        index.parts.len() >= columns.len()
            && index.parts.iter().zip(columns).all(|(part, column)| part.column.as_ref() == Some(column) && part.prefix.is_none())
    };
    let acting = definition.foreign_keys.iter().filter(|key| key.acts());
    acting
        .filter_map(|key| definition.indexes.iter().find(|index| leads(index, &key.columns)))
        .map(|index| index.name.clone())
        .collect()
}

/// `CREATE DATABASE IF NOT EXISTS` with character set and collation.
///
/// # Errors
/// Definite when the destination has no such collation.
pub fn create_database_statement(database: &DatabasePlan, destination: &ServerInfo) -> Result<Sql> {
    let options = database_options(database, destination)?;
    Ok(sql!("CREATE DATABASE IF NOT EXISTS {}{}", Name(&database.destination), options))
}

/// The character set and the collation of a database, as its CREATE says them.
///
/// # Errors
/// Definite when the destination has no such collation.
pub fn database_options(database: &DatabasePlan, destination: &ServerInfo) -> Result<Sql> {
    let collation = destination_collation(&database.collation, destination).context(format!("database {}", database.source))?;
    let character_set = word(&database.character_set, "a character set")?;
    let collation = word(&collation, "a collation")?;
    Ok(sql!(" CHARACTER SET {} COLLATE {}", character_set, collation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use godwit_model::definition::{Column, Kind};

    #[test]
    fn indexes_that_come_at_once() {
        let text = Column { character_set: Some("latin1".into()), ..fixture::column("s", Kind::Varchar) };
        let number = fixture::column("n", Kind::Int { unsigned: false });
        let generated = Column { generated: Generated::Stored, ..fixture::column("g", Kind::Varchar) };
        let of = |expression: &str, version: &str| {
            let create = format!(
                "CREATE TABLE `t` (\n  `s` varchar(9) COMMENT '`s`',\n  `n` int,\n  `g` varchar(9) GENERATED ALWAYS AS ({expression}) STORED\n)"
            );
            let columns = vec![text.clone(), number.clone(), generated.clone()];
            let definition = TableDefinition { create_statement: create, ..fixture::definition("d", "t", columns) };
            says_conversions(&definition, &ServerInfo::parse(version))
        };
        for version in ["5.7.22", "8.0.15", "8.4.3", "11.4.5-MariaDB"] {
            assert!(of("concat(`S`,hex(`n`))", version) && !of("concat(`n`,'s')", version), "{version}");
        }
        assert!(!of("concat(`s`,hex(`n`))", "9.7.4"));
    }

    #[test]
    fn database_statement() {
        let database = DatabasePlan {
            source: "s".into(),
            destination: "d`x".into(),
            character_set: "utf8mb4".into(),
            collation: "utf8mb4_0900_ai_ci".into(),
            whole: true,
        };
        let at = |version: &str| create_database_statement(&database, &ServerInfo::parse(version)).unwrap().to_string();
        assert_eq!(at("9.7.4"), "CREATE DATABASE IF NOT EXISTS `d``x` CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci");
        assert!(at("11.4.5-MariaDB").ends_with("COLLATE utf8mb4_uca1400_nopad_ai_ci"));
    }
}
