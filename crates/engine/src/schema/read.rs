//! Definitions, read from a server.
//!
//! `information_schema` gives columns, indexes and foreign keys of a whole database in one query each, SHOW
//! CREATE TABLE the text, one table at a time; 10,000 tables cost 10,000 short statements and a handful of long
//! ones. The two are compared, and a table that was changed in between is read again. Needs SELECT on the
//! tables. Writes nothing: statistics are read past the server's cache, which would be refreshed otherwise.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use mysql_async::prelude::FromRow;
use mysql_async::{Conn, Value};

use crate::connection::server_info;
use crate::schema::column_type::parse_column_type;
use crate::schema::complete::complete;
use crate::schema::create::{CreateTable, ItemKind};
use crate::schema::exact::{ExactText, exact_text};
use crate::sql;
use crate::sql::{Qualified, Queries, Quoted, Sql, Statement};
use godwit_model::definition::{Column, ForeignKey, Generated, Index, IndexPart, TableDefinition};
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;
use godwit_model::server::ServerInfo;

/// Up to this many tables of a database are asked for by name; MySQL 5.7 opens every table of the database for
/// a longer list anyway.
const BY_NAME: usize = 8;

/// ER_NO_SUCH_TABLE, ER_BAD_DB_ERROR, ER_BAD_TABLE_ERROR.
const ABSENT: &[u16] = &[1146, 1049, 1051];

/// How often a table is read again because it changed meanwhile.
const TRIES: usize = 10;

/// Makes the session print definitions in one form: everything shown, quoted with backticks, no `sql_mode` in
/// force. Variables that a server does not have are left out.
///
/// # Errors
/// When the connection fails.
pub async fn prepare_session(conn: &mut Conn) -> Result<ServerInfo> {
    let info = server_info(conn).await?;
    // Results as the server keeps them (`exact`): names and what information_schema says are in UTF-8 then.
    let mut settings = vec!["character_set_results=NULL, character_set_client=utf8mb4, collation_connection=utf8mb4_general_ci"];
    settings.push("sql_mode='', sql_quote_show_create=1");
    if info.is_mariadb() {
        settings.push("lc_messages='en_US'");
    } else {
        if info.is_mysql_since(5, 7, 22) {
            // A format that nobody chose is not a part of the definition.
            settings.push("show_create_table_verbosity=0");
        }
        if info.is_mysql_since(8, 0, 3) {
            settings.push("information_schema_stats_expiry=0");
        }
        if info.is_mysql_since(8, 0, 18) {
            settings.push("show_create_table_skip_secondary_engine=1");
        }
        if info.is_mysql_since(8, 0, 30) {
            settings.push("show_gipk_in_create_table_and_information_schema=1");
        }
        if !info.is_mysql_since(8, 0, 0) {
            settings.push("show_old_temporals=0");
        }
    }
    for setting in settings {
        conn.query_drop(sql!("SET SESSION {}", setting)).await.context(format!("SET SESSION {setting}"))?;
    }
    Ok(info)
}

/// Reads the definitions of these tables, in their order. Tables that do not exist (any more) are left out.
///
/// Changes the session's `sql_mode` and character set ([`prepare_session`]).
///
/// # Errors
/// Definite when a table has a column of a type that cannot be carried.
pub async fn read_tables(conn: &mut Conn, wanted: &[TableName]) -> Result<Vec<TableDefinition>> {
    let info = prepare_session(conn).await?;
    let mut databases: Vec<&str> = wanted.iter().map(|name| name.database.as_str()).collect();
    databases.sort_unstable();
    databases.dedup();
    let mut found = HashMap::with_capacity(wanted.len());
    for database in databases {
        let tables: HashSet<&str> =
            wanted.iter().filter(|name| name.database == database).map(|name| name.table.as_str()).collect();
        for definition in read_database_tables(conn, &info, database, &tables)
            .await
            .context(format!("reading the definitions of {database}"))?
        {
            found.insert((definition.database.clone(), definition.table.clone()), definition);
        }
    }
    Ok(wanted.iter().filter_map(|name| found.remove(&(name.database.clone(), name.table.clone()))).collect())
}

async fn read_database_tables(
    conn: &mut Conn,
    info: &ServerInfo,
    database: &str,
    tables: &HashSet<&str>,
) -> Result<Vec<TableDefinition>> {
    let mut pending: HashSet<String> = tables.iter().map(|table| (*table).to_owned()).collect();
    let mut done = Vec::with_capacity(pending.len());
    for attempt in 0..TRIES {
        let definitions = match read_once(conn, info, database, &pending).await {
            Ok(definitions) => definitions,
            Err(error) => return Err(blamed(conn, info, database, &pending, error).await),
        };
        for definition in definitions {
            let stale = attempt + 1 < TRIES && !agrees(&definition);
            if !stale {
                pending.remove(&definition.table);
                done.push(definition);
            }
        }
        // What was not found at all is gone; what changed while it was read is read again.
        let existing = existing_tables(conn, database, &pending).await?;
        pending.retain(|table| existing.contains(table));
        if pending.is_empty() {
            return Ok(done);
        }
    }
    let mut names: Vec<_> = pending.into_iter().collect();
    names.sort();
    Err(Error::transient(format!("the definitions keep changing while they are read: {}", names.join(", "))))
}

/// The error with the table that it is about: one that the server cannot open spoils the answer about all.
async fn blamed(conn: &mut Conn, info: &ServerInfo, database: &str, wanted: &HashSet<String>, error: Error) -> Error {
    if !error.is_refusal() {
        return error;
    }
    let mut names: Vec<&String> = wanted.iter().collect();
    names.sort_unstable();
    for table in names {
        if let Err(error) = read_once(conn, info, database, &HashSet::from([table.clone()])).await {
            return error.context(format!(
                "the server does not show {database}.{table}; repair the table or leave it out with excludeTables"
            ));
        }
    }
    error
}

/// Whether `information_schema` and SHOW CREATE TABLE saw the same columns. A text that cannot be taken apart
/// (MariaDB prints constraint names with backticks unescaped) counts as agreeing; rewriting will refuse it.
fn agrees(definition: &TableDefinition) -> bool {
    let Ok(create) = CreateTable::parse(&definition.create_statement) else { return true };
    let shown = create.column_names();
    shown.len() == definition.columns.len() && shown.iter().zip(&definition.columns).all(|(name, column)| *name == column.name)
}

async fn existing_tables(conn: &mut Conn, database: &str, names: &HashSet<String>) -> Result<HashSet<String>> {
    if names.is_empty() {
        return Ok(HashSet::new());
    }
    let names_only: HashSet<String> = list_tables(conn, database).await?.into_iter().map(|table| table.name).collect();
    Ok(names.intersection(&names_only).cloned().collect())
}

async fn read_once(conn: &mut Conn, info: &ServerInfo, database: &str, wanted: &HashSet<String>) -> Result<Vec<TableDefinition>> {
    let mut tables = tables_of(conn, database, wanted).await?;
    let mut columns = columns_of(conn, database, wanted).await?;
    let mut indexes = indexes_of(conn, info, database, wanted).await?;
    let mut foreign_keys = foreign_keys_of(conn, database, wanted).await?;
    let mut definitions = Vec::with_capacity(tables.len());
    for (table, engine, estimated_rows, average_row_bytes) in tables.drain(..) {
        let name = TableName { database: database.to_owned(), table };
        let Some(shown) = show_create_table(conn, &name).await? else { continue };
        let ExactText { text: create_statement, doubts: unread } = exact_text(&shown);
        let mut own_indexes = indexes.remove(&name.table).unwrap_or_default();
        order_as_shown(&mut own_indexes, &create_statement);
        let mut definition = TableDefinition {
            columns: columns.remove(&name.table).unwrap_or_default(),
            indexes: own_indexes,
            foreign_keys: foreign_keys.remove(&name.table).unwrap_or_default(),
            database: name.database,
            table: name.table,
            engine,
            create_statement,
            estimated_rows,
            average_row_bytes,
            unread,
        };
        complete(conn, info, &mut definition).await?;
        definition.check_words()?;
        definitions.push(definition);
    }
    Ok(definitions)
}

/// SHOW CREATE TABLE lists indexes in the server's own order, which decides about the first unique one.
fn order_as_shown(indexes: &mut [Index], create_statement: &str) {
    let Ok(create) = CreateTable::parse(create_statement) else { return };
    let place = |index: &Index| {
        create.items.iter().position(|item| match &item.kind {
            ItemKind::PrimaryKey => index.name == "PRIMARY",
            ItemKind::Index { name, .. } => *name == index.name,
            _ => false,
        })
    };
    indexes.sort_by_key(|index| place(index).unwrap_or(usize::MAX));
}

/// `SHOW CREATE TABLE`, as it is sent; None when the table is gone.
async fn show_create_table(conn: &mut Conn, name: &TableName) -> Result<Option<Vec<u8>>> {
    let statement = sql!("SHOW CREATE TABLE {}", Qualified { database: &name.database, object: &name.table });
    match conn.query_first::<mysql_async::Row>(statement).await {
        Ok(row) => Ok(row.and_then(|row| bytes_at(&row, 1))),
        Err(crate::sql::Failure::Server(error)) if ABSENT.contains(&error.code) => Ok(None),
        Err(error) => Err(Error::from(error).context(format!("SHOW CREATE TABLE {name}"))),
    }
}

pub(super) fn bytes_at(row: &mysql_async::Row, place: usize) -> Option<Vec<u8>> {
    match row.as_ref(place)? {
        Value::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    }
}

/// `WHERE` of an `information_schema` query: the database, and the tables when they are few.
fn condition(schema_column: &'static str, table_column: &'static str, database: &str, wanted: &HashSet<String>) -> Sql {
    let mut condition = sql!("{} = {}", schema_column, Quoted(database));
    if wanted.len() <= BY_NAME {
        let names = Sql::list(wanted.iter().map(|name| Quoted(name)));
        condition.add(&match wanted.len() {
            1 => sql!(" AND {} = {}", table_column, names),
            _ => sql!(" AND {} IN ({})", table_column, names),
        });
    }
    condition
}

/// Rows of a query; an unexpected NULL or type is an error, not a panic.
pub(crate) async fn rows<T: FromRow + Send + 'static>(
    conn: &mut Conn,
    statement: impl Statement + Display + Sync,
) -> Result<Vec<T>> {
    let raw: Vec<mysql_async::Row> = conn.query(&statement).await.context(&statement)?;
    let typed = raw.into_iter().map(|row| mysql_async::from_row_opt(row).map_err(|error| Error::definite(error.to_string())));
    typed.collect::<Result<Vec<T>>>().context(statement)
}

async fn query<T: FromRow + Send + 'static>(conn: &mut Conn, wanted: &HashSet<String>, statement: Sql) -> Result<Vec<T>> {
    if wanted.is_empty() { Ok(Vec::new()) } else { rows(conn, &statement).await }
}

type TableRow = (String, String, u64, u64);

async fn tables_of(conn: &mut Conn, database: &str, wanted: &HashSet<String>) -> Result<Vec<TableRow>> {
    let condition = condition("table_schema", "table_name", database, wanted);
    let statement = sql!(
        "SELECT table_name, IFNULL(engine, ''), CAST(IFNULL(table_rows, 0) AS UNSIGNED), CAST(IFNULL(avg_row_length, 0) AS UNSIGNED) \
         FROM information_schema.tables WHERE {} AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')",
        condition
    );
    let rows: Vec<TableRow> = query(conn, wanted, statement).await?;
    // Names compare in any case there; the file system may not.
    Ok(rows.into_iter().filter(|row| wanted.contains(&row.0)).collect())
}

type ColumnRow = (String, String, String, Option<String>, Option<String>, String, String);

async fn columns_of(conn: &mut Conn, database: &str, wanted: &HashSet<String>) -> Result<HashMap<String, Vec<Column>>> {
    let condition = condition("table_schema", "table_name", database, wanted);
    let statement = sql!(
        "SELECT table_name, column_name, column_type, character_set_name, collation_name, is_nullable, extra \
         FROM information_schema.columns WHERE {} ORDER BY table_name, ordinal_position",
        condition
    );
    let rows: Vec<ColumnRow> = query(conn, wanted, statement).await?;
    let mut columns: HashMap<String, Vec<Column>> = HashMap::new();
    for (table, name, column_type, character_set, collation, nullable, extra) in rows {
        if !wanted.contains(&table) {
            continue;
        }
        let Some(kind) = parse_column_type(&column_type) else {
            return Err(Error::definite(format!(
                "{database}.{table}: column {name} has type {column_type}, which cannot be migrated; leave the table out"
            )));
        };
        let extra = extra.to_ascii_uppercase();
        let generated = match () {
            () if extra.contains("VIRTUAL GENERATED") => Generated::Virtual,
            () if extra.contains("STORED GENERATED") || extra.contains("PERSISTENT") => Generated::Stored,
            () => Generated::No,
        };
        columns.entry(table).or_default().push(Column {
            name,
            column_type,
            kind,
            character_set,
            collation,
            nullable: nullable == "YES",
            generated,
            invisible: extra.split([' ', ',']).any(|word| word == "INVISIBLE"),
            auto_increment: extra.contains("AUTO_INCREMENT"),
        });
    }
    Ok(columns)
}

type IndexRow = (String, String, i64, Option<String>, Option<u32>, String, String);

/// The indexes of tables, in the servers' order, a hidden one behind the others.
///
/// # Errors
/// From the server.
pub async fn indexes_of(
    conn: &mut Conn,
    info: &ServerInfo,
    database: &str,
    wanted: &HashSet<String>,
) -> Result<HashMap<String, Vec<Index>>> {
    let condition = condition("table_schema", "table_name", database, wanted);
    // A functional part has no column name (MySQL 8.0.13); before, and in MariaDB, the column is never NULL.
    let column = if info.is_mysql_since(8, 0, 13) { "IF(expression IS NULL, column_name, NULL)" } else { "column_name" };
    // Indexes that the optimizer passes over come last: of several keys the first identifies the rows, and reading along it
    // must be possible. What makes a primary key, named or not, can be hidden in neither family.
    let hidden = match info.is_mariadb() {
        false if info.is_mysql_since(8, 0, 0) => "is_visible='NO'",
        true if info.version >= (10, 6, 0) => "ignored='YES'",
        _ => "''",
    };
    let statement = sql!(
        "SELECT table_name, index_name, CAST(non_unique AS SIGNED), {}, CAST(sub_part AS UNSIGNED), IFNULL(nullable, ''), index_type \
         FROM information_schema.statistics WHERE {} ORDER BY table_name, {}, index_name, seq_in_index",
        column,
        condition,
        hidden
    );
    let rows: Vec<IndexRow> = query(conn, wanted, statement).await?;
    let mut indexes: HashMap<String, Vec<Index>> = HashMap::new();
    for (table, name, non_unique, column, prefix, nullable, kind) in rows {
        if !wanted.contains(&table) {
            continue;
        }
        let list = indexes.entry(table).or_default();
        if list.last().is_none_or(|index| index.name != name) {
            list.push(Index { name, unique: non_unique == 0, kind, parts: Vec::new() });
        }
        if let Some(index) = list.last_mut() {
            index.parts.push(IndexPart { column, prefix, nullable: nullable == "YES" });
        }
    }
    Ok(indexes)
}

type KeyRow = (String, String, String, String, String, String);
type RuleRow = (String, String, String, String);

async fn foreign_keys_of(conn: &mut Conn, database: &str, wanted: &HashSet<String>) -> Result<HashMap<String, Vec<ForeignKey>>> {
    let rules_condition = condition("constraint_schema", "table_name", database, wanted);
    let statement = sql!(
        "SELECT table_name, constraint_name, delete_rule, update_rule FROM information_schema.referential_constraints \
         WHERE {} ORDER BY table_name, constraint_name",
        rules_condition
    );
    let rules: Vec<RuleRow> = query(conn, wanted, statement).await?;
    if rules.is_empty() {
        return Ok(HashMap::new());
    }
    let keys_condition = condition("table_schema", "table_name", database, wanted);
    let statement = sql!(
        "SELECT table_name, constraint_name, column_name, referenced_table_schema, referenced_table_name, referenced_column_name \
         FROM information_schema.key_column_usage WHERE {} AND referenced_table_name IS NOT NULL \
         ORDER BY table_name, constraint_name, ordinal_position",
        keys_condition
    );
    let keys: Vec<KeyRow> = query(conn, wanted, statement).await?;
    let mut parts: HashMap<(String, String), Vec<KeyRow>> = HashMap::new();
    for key in keys {
        parts.entry((key.0.clone(), key.1.clone())).or_default().push(key);
    }
    let mut foreign_keys: HashMap<String, Vec<ForeignKey>> = HashMap::new();
    for (table, name, on_delete, on_update) in rules {
        let own = parts.remove(&(table.clone(), name.clone())).unwrap_or_default();
        let Some(first) = own.first().filter(|_| wanted.contains(&table)) else { continue };
        let (parent_database, parent_table) = (first.3.clone(), first.4.clone());
        let (columns, parent_columns) = own.into_iter().map(|key| (key.2, key.5)).unzip();
        let key = ForeignKey { name, columns, parent_database, parent_table, parent_columns, on_delete, on_update };
        foreign_keys.entry(table).or_default().push(key);
    }
    Ok(foreign_keys)
}

/// What a name in a database stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    BaseTable,
    View,
    /// MariaDB.
    Sequence,
    /// MariaDB; a base table in every other respect.
    SystemVersioned,
    /// `SYSTEM VIEW`, `TEMPORARY`, and what this version does not know.
    Other,
}

/// A table, view or sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTable {
    pub name: String,
    pub kind: ObjectKind,
}

/// Databases in order, without the server's own.
///
/// # Errors
/// From the server.
pub async fn list_databases(conn: &mut Conn) -> Result<Vec<String>> {
    let mut names: Vec<String> = rows(conn, "SELECT schema_name FROM information_schema.schemata").await?;
    names.retain(|name| !is_system_database(name));
    names.sort();
    Ok(names)
}

/// `mysql`, `sys` and the schemas made of views.
pub fn is_system_database(name: &str) -> bool {
    let system = ["information_schema", "performance_schema", "mysql", "sys"];
    system.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Tables, views and sequences of a database, by name.
///
/// # Errors
/// From the server.
pub async fn list_tables(conn: &mut Conn, database: &str) -> Result<Vec<ListedTable>> {
    let statement = sql!(
        "SELECT table_name, table_type, table_schema FROM information_schema.tables WHERE table_schema = {}",
        Quoted(database)
    );
    let found: Vec<(String, String, String)> = rows(conn, &statement).await?;
    let kind = |text: &str| match text {
        "BASE TABLE" => ObjectKind::BaseTable,
        "VIEW" => ObjectKind::View,
        "SEQUENCE" => ObjectKind::Sequence,
        "SYSTEM VERSIONED" => ObjectKind::SystemVersioned,
        _ => ObjectKind::Other,
    };
    let own = found.into_iter().filter(|row| row.2 == database);
    let mut tables: Vec<_> = own.map(|(name, text, _)| ListedTable { kind: kind(&text), name }).collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tables)
}

/// A database's default character set and collation; None when it does not exist.
///
/// # Errors
/// From the server.
pub async fn read_database(conn: &mut Conn, database: &str) -> Result<Option<(String, String)>> {
    let statement = sql!(
        "SELECT schema_name, default_character_set_name, default_collation_name FROM information_schema.schemata WHERE schema_name = {}",
        Quoted(database)
    );
    let found: Vec<(String, String, String)> = rows(conn, &statement).await?;
    Ok(found.into_iter().find(|row| row.0 == database).map(|row| (row.1, row.2)))
}
