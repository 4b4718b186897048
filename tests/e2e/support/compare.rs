//! A comparison that owes nothing to `godwit verify`: every row of both sides as text, counted.
//!
//! Slow and simple. Also the names of tables and views, indexes and foreign keys.

use std::collections::{BTreeMap, HashMap};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::Server;

/// Differences that are shown of a table.
const SHOWN: usize = 6;

/// Fails with the first differences of each table, unless both servers have the same in this database.
#[track_caller]
pub fn assert_equal<'a>(source: &'a Server, destination: &'a Server, database: &'a str) -> impl Future<Output = u64> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let (rows, found) = differences(source, destination, database).await;
        assert!(found.is_empty(), "{caller}: source and destination differ:\n{}", found.join("\n"));
        rows
    }
}

/// Number of rows compared, and what differs.
pub async fn differences(source: &Server, destination: &Server, database: &str) -> (u64, Vec<String>) {
    let (mut left, mut right) = (source.connect().await, destination.connect().await);
    let mut found = Vec::new();
    let tables = columns(&mut left, database).await;
    let others = columns(&mut right, database).await;
    let names = |tables: &BTreeMap<String, Vec<Column>>| tables.keys().cloned().collect::<Vec<_>>();
    if names(&tables) != names(&others) {
        found.push(format!("tables: source {:?}, destination {:?}", names(&tables), names(&others)));
    }
    for (what, query) in OBJECTS {
        let query = query.replace("DATABASE", database);
        let (mut here, mut there): (Vec<String>, Vec<String>) =
            (left.query(&query).await.unwrap(), right.query(&query).await.unwrap());
        // Each server has its own order of text.
        here.sort();
        there.sort();
        if here != there {
            let missing: Vec<_> = here.iter().filter(|line| !there.contains(line)).collect();
            let extra: Vec<_> = there.iter().filter(|line| !here.contains(line)).collect();
            found.push(format!("{what}: missing {missing:?}, extra {extra:?}"));
        }
    }
    let mut rows = 0;
    for (table, columns) in &tables {
        if !others.contains_key(table) {
            continue;
        }
        let select = select(database, table, columns);
        let mut counts: HashMap<Vec<u8>, i64> = HashMap::new();
        rows += count(&mut left, &select, &mut counts, 1).await;
        count(&mut right, &select, &mut counts, -1).await;
        let mut different: Vec<_> = counts.into_iter().filter(|(_, count)| *count != 0).collect();
        different.sort();
        if !different.is_empty() {
            let missing: i64 = different.iter().map(|(_, count)| (*count).max(0)).sum();
            let extra: i64 = different.iter().map(|(_, count)| (-*count).max(0)).sum();
            found.push(format!("{table}: {missing} rows missing, {extra} extra"));
            for (row, count) in different.iter().take(SHOWN) {
                let text: String = String::from_utf8_lossy(row).chars().take(300).collect();
                found.push(format!("  {count:+} {text}"));
            }
        }
    }
    left.disconnect().await.unwrap();
    right.disconnect().await.unwrap();
    (rows, found)
}

/// What the catalogue says besides tables.
const OBJECTS: [(&str, &str); 2] = [
    (
        "indexes",
        "SELECT CONCAT_WS(' ', table_name, index_name, seq_in_index, column_name, non_unique, COALESCE(sub_part, '')) \
         FROM information_schema.statistics WHERE table_schema='DATABASE' ORDER BY 1",
    ),
    (
        "foreign keys",
        "SELECT CONCAT_WS(' ', table_name, constraint_name, referenced_table_name) \
         FROM information_schema.referential_constraints WHERE constraint_schema='DATABASE' ORDER BY 1",
    ),
];

struct Column {
    name: String,
    data_type: String,
}

/// Columns of all tables and views, in order; invisible and generated ones too.
async fn columns(conn: &mut Conn, database: &str) -> BTreeMap<String, Vec<Column>> {
    let list: Vec<(String, String, String)> = conn
        .query(format!(
            "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR), LOWER(CAST(data_type AS CHAR)) FROM information_schema.columns \
             WHERE table_schema='{database}' ORDER BY table_name, ordinal_position"
        ))
        .await
        .unwrap();
    let mut tables: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    for (table, name, data_type) in list {
        tables.entry(table).or_default().push(Column { name, data_type });
    }
    tables
}

/// Every column as text that keeps all of it.
fn select(database: &str, table: &str, columns: &[Column]) -> String {
    let expressions: Vec<String> = columns
        .iter()
        .map(|column| {
            let name = format!("`{}`", column.name);
            match column.data_type.as_str() {
                // A FLOAT shows six digits; as DOUBLE it shows what is stored.
                "float" => format!("CAST({name}*1e0 AS CHAR)"),
                "bit" => format!("CAST({name}+0 AS CHAR)"),
                "enum" | "set" => format!("CONCAT(CAST({name}+0 AS CHAR),HEX({name}))"),
                // On MariaDB JSON is LONGTEXT, where text and bytes are the same.
                "json" | "longtext" => format!("HEX(CAST({name} AS CHAR CHARACTER SET utf8mb4))"),
                "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "binary" | "varbinary" | "tinyblob" | "blob"
                | "mediumblob" | "longblob" | "vector" => format!("HEX({name})"),
                "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
                | "geomcollection" | "geometrycollection" => format!("CONCAT(ST_SRID({name}),':',HEX(ST_AsWKB({name})))"),
                _ => format!("CAST({name} AS CHAR)"),
            }
        })
        .collect();
    format!("SELECT {} FROM `{database}`.`{table}`", expressions.join(", "))
}

/// Adds `weight` for every row; the number of rows.
async fn count(conn: &mut Conn, select: &str, counts: &mut HashMap<Vec<u8>, i64>, weight: i64) -> u64 {
    let mut result = conn.query_iter(select).await.unwrap_or_else(|error| panic!("{select}: {error}"));
    let mut rows = 0;
    while let Some(row) = result.next().await.unwrap() {
        let row: Row = row;
        let mut text = Vec::new();
        for value in row.unwrap() {
            match value {
                mysql_async::Value::NULL => text.extend_from_slice(b"NULL"),
                mysql_async::Value::Bytes(bytes) => text.extend_from_slice(&bytes),
                other => panic!("{select}: {other:?} is not text"),
            }
            text.push(b'|');
        }
        let slot = counts.entry(text).or_default();
        *slot += weight;
        rows += 1;
    }
    rows
}
