//! Which databases and tables a task covers, and under which names. Pure: made from the manifest and the servers' rules for
//! names; asked for tables that exist now and for tables that the binary log brings later.

use std::collections::{BTreeSet, HashMap};

use godwit_api::{DatabaseSelection, MigrationTaskSpec, TableSelection};
use godwit_model::error::{Error, Result};

use super::mapping::{NameRules, check_template};
use super::pattern::Pattern;

/// Databases that belong to the server, not to its users. Never selected.
pub const SYSTEM_DATABASES: [&str; 6] =
    ["mysql", "sys", "information_schema", "performance_schema", "ndbinfo", "__recycle_bin__"];

/// The table that heartbeats are written to, in `spec.heartbeat.database` of the source. Never selected, in no database: another task's
/// may lie in another one, and the field may change between two runs.
pub const HEARTBEAT_TABLE: &str = "godwit_heartbeat";

/// How the databases begin in which a precheck tries the destination's definitions.
pub const TRIAL_PREFIX: &str = "godwit_trial_";

/// Whether a database has the name of such a one: 32 hexadecimal digits, a number. It lives for seconds, also on a server that is another
/// task's source, and is selected by its exact name only.
pub fn is_trial_database(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(TRIAL_PREFIX) else { return false };
    let (trial, number) = rest.split_once('_').unwrap_or((rest, "0"));
    let is_hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    trial.len() == 32
        && trial.bytes().all(is_hexadecimal)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a task covers.
#[derive(Debug, Clone)]
pub struct Selection {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    excluded: Vec<Pattern>,
    /// The engine's own databases: selected by their exact name only.
    own: BTreeSet<String>,
    names: NameRules,
    /// The manifest has no `spec.objects`.
    everything: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    pattern: Pattern,
    spec: DatabaseSelection,
    tables: Vec<Pattern>,
    tables_by_name: HashMap<String, usize>,
    excluded: Vec<Pattern>,
}

/// A database that is covered.
#[derive(Debug, Clone)]
pub struct DatabaseMatch<'a> {
    /// Name at the destination.
    pub destination: String,
    /// Selected as a whole: views, and what is created later, belong to it.
    pub whole: bool,
    pub spec: &'a DatabaseSelection,
    /// Place in `spec.objects`.
    pub entry: usize,
}

/// A table that is covered.
#[derive(Debug, Clone)]
pub struct TableMatch<'a> {
    /// Database at the destination.
    pub database: String,
    /// Name at the destination.
    pub table: String,
    /// The database was selected as a whole.
    pub whole: bool,
    pub database_spec: &'a DatabaseSelection,
    /// None in a whole database.
    pub table_spec: Option<&'a TableSelection>,
    /// Where in the manifest: `spec.objects[0].tables[1]`.
    pub field: String,
}

impl Selection {
    /// Reads `spec.objects` and `spec.excludeDatabases`.
    ///
    /// # Errors
    /// Names the field that asks for a system database, or whose `renameTo` does not fit its pattern.
    pub fn new(spec: &MigrationTaskSpec, names: NameRules) -> Result<Self> {
        let everything = spec.objects.is_empty();
        let objects = if everything { vec![DatabaseSelection::whole("*")] } else { spec.objects.clone() };
        let fold = names.source_folds();
        let mut entries = Vec::with_capacity(objects.len());
        let mut by_name = HashMap::new();
        for (index, object) in objects.into_iter().enumerate() {
            let entry = Entry::new(object, index, fold)?;
            if entry.pattern.is_exact() {
                by_name.entry(key(entry.pattern.text(), fold)).or_insert(index);
            }
            entries.push(entry);
        }
        let own = [spec.destination.records_database.as_str(), spec.heartbeat.database.as_str()];
        Ok(Self {
            entries,
            by_name,
            excluded: spec.exclude_databases.iter().map(|text| Pattern::new(text)).collect(),
            own: own.into_iter().map(str::to_lowercase).collect(),
            names,
            everything,
        })
    }

    /// A selection of nothing: to look at servers where the manifest's objects cannot be read.
    pub fn nothing(spec: &MigrationTaskSpec, names: NameRules) -> Self {
        Self {
            entries: Vec::new(),
            by_name: HashMap::new(),
            excluded: Vec::new(),
            own: BTreeSet::from([spec.destination.records_database.to_lowercase()]),
            names,
            everything: false,
        }
    }

    /// The rules for names it was made with.
    pub fn names(&self) -> NameRules {
        self.names
    }

    /// Where in the manifest a database's entry stands.
    pub fn database_field(&self, entry: usize) -> String {
        if self.everything { "spec.objects".to_owned() } else { format!("spec.objects[{entry}]") }
    }

    /// The database, if anything of it may be covered.
    pub fn database(&self, database: &str) -> Option<DatabaseMatch<'_>> {
        let fold = self.names.source_folds();
        let index = self.entry_of(database, fold)?;
        let entry = &self.entries[index];
        let field = self.database_field(index);
        // The template was checked when the selection was made.
        let destination = self.names.rename(entry.spec.rename_to.as_deref(), &entry.pattern, database, &field).ok()?;
        Some(DatabaseMatch { destination, whole: entry.spec.tables.is_none(), spec: &entry.spec, entry: index })
    }

    /// The table, if it is covered. Says nothing of whether it is a table or a view.
    pub fn covers(&self, database: &str, table: &str) -> Option<TableMatch<'_>> {
        let found = self.database(database)?;
        if table.eq_ignore_ascii_case(HEARTBEAT_TABLE) {
            return None;
        }
        let fold = self.names.source_folds();
        let entry = &self.entries[found.entry];
        if entry.excluded.iter().any(|pattern| pattern.matches(table, fold)) {
            return None;
        }
        let database_field = self.database_field(found.entry);
        let Some(tables) = &entry.spec.tables else {
            return Some(TableMatch {
                database: found.destination,
                table: self.names.apply(table),
                whole: true,
                database_spec: found.spec,
                table_spec: None,
                field: database_field,
            });
        };
        let index = entry
            .tables_by_name
            .get(&key(table, fold))
            .copied()
            .or_else(|| entry.tables.iter().position(|pattern| !pattern.is_exact() && pattern.matches(table, fold)))?;
        let spec = &tables[index];
        let field = format!("{database_field}.tables[{index}]");
        let name = self.names.rename(spec.rename_to.as_deref(), &entry.tables[index], table, &field).ok()?;
        Some(TableMatch {
            database: found.destination,
            table: name,
            whole: false,
            database_spec: found.spec,
            table_spec: Some(spec),
            field,
        })
    }

    /// Every entry that names one database: place, name.
    pub fn exact_databases(&self) -> impl Iterator<Item = (usize, &str)> {
        let exact = |(index, entry): (usize, &'_ Entry)| entry.pattern.is_exact().then_some(index);
        self.entries.iter().enumerate().filter_map(exact).map(|index| (index, self.entries[index].pattern.text()))
    }

    /// Every table that an entry names exactly: the database entry's place, the table entry's place, the name.
    pub fn exact_tables(&self) -> impl Iterator<Item = (usize, usize, &str)> {
        self.entries.iter().enumerate().flat_map(|(place, entry)| {
            let exact = entry.tables.iter().enumerate().filter(|(_, pattern)| pattern.is_exact());
            exact.map(move |(table, pattern)| (place, table, pattern.text()))
        })
    }

    fn entry_of(&self, database: &str, fold: bool) -> Option<usize> {
        let folded = database.to_lowercase();
        if SYSTEM_DATABASES.contains(&folded.as_str()) || self.excluded.iter().any(|pattern| pattern.matches(database, fold)) {
            return None;
        }
        if let Some(&index) = self.by_name.get(&key(database, fold)) {
            return Some(index);
        }
        if self.own.contains(&folded) || is_trial_database(database) {
            return None;
        }
        self.entries.iter().position(|entry| !entry.pattern.is_exact() && entry.pattern.matches(database, fold))
    }
}

impl Entry {
    fn new(spec: DatabaseSelection, index: usize, fold: bool) -> Result<Self> {
        let field = format!("spec.objects[{index}]");
        let pattern = Pattern::new(&spec.database);
        if pattern.is_exact() && SYSTEM_DATABASES.contains(&spec.database.to_lowercase().as_str()) {
            return Err(Error::definite(format!(
                "{field}.database: `{}` belongs to the server and cannot be migrated; remove the entry",
                spec.database
            )));
        }
        check_template(spec.rename_to.as_deref(), &pattern, &format!("{field}.renameTo"))?;
        let mut tables = Vec::new();
        let mut tables_by_name = HashMap::new();
        for (place, table) in spec.tables.iter().flatten().enumerate() {
            let table_pattern = Pattern::new(&table.table);
            check_template(table.rename_to.as_deref(), &table_pattern, &format!("{field}.tables[{place}].renameTo"))?;
            if table_pattern.is_exact() {
                tables_by_name.entry(key(&table.table, fold)).or_insert(place);
            }
            tables.push(table_pattern);
        }
        let excluded = spec.exclude_tables.iter().map(|text| Pattern::new(text)).collect();
        Ok(Self { pattern, spec, tables, tables_by_name, excluded })
    }
}

fn key(name: &str, fold: bool) -> String {
    if fold { name.to_lowercase() } else { name.to_owned() }
}
