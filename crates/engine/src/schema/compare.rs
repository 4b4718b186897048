//! Whether a destination table has what was meant: the verification of schemas.

use crate::schema::names::NameMap;
use godwit_model::definition::{Column, ForeignKey, Index, Kind, TableDefinition};
use godwit_model::names::TableName;

/// Differences between a source table, seen through the names of a task, and a destination table; a sentence each.
/// `indexes`: also secondary indexes and foreign keys, which come after the rows.
///
/// Estimates, engines, integer display widths and the order of secondary indexes are not compared.
pub fn differences(source: &TableDefinition, destination: &TableDefinition, names: &dyn NameMap, indexes: bool) -> Vec<String> {
    let name = TableName { database: source.database.clone(), table: source.table.clone() };
    let column_name = |column: &str| names.column(&name, column);
    let mut found = Vec::new();
    let expected: Vec<(String, &Column)> =
        source.columns.iter().filter_map(|column| Some((column_name(&column.name)?, column))).collect();
    for (expected_name, column) in &expected {
        match destination.columns.iter().find(|own| own.name.eq_ignore_ascii_case(expected_name)) {
            None => found.push(format!("column {expected_name} is missing")),
            Some(own) => found.extend(column_differences(expected_name, column, own)),
        }
    }
    for own in &destination.columns {
        if !expected.iter().any(|(expected_name, _)| expected_name.eq_ignore_ascii_case(&own.name)) {
            found.push(format!("column {} is not expected", own.name));
        }
    }
    let order = destination.columns.iter().map(|own| own.name.to_lowercase());
    if found.is_empty() && !order.eq(expected.iter().map(|(expected_name, _)| expected_name.to_lowercase())) {
        found.push("the columns stand in another order".into());
    }
    for index in source.indexes.iter().filter(|index| indexes || index.name == "PRIMARY") {
        if let Some(expected) = mapped_index(index, column_name) {
            found.extend(index_difference(&expected, destination));
        }
    }
    if indexes {
        for key in &source.foreign_keys {
            if let Some(expected) = mapped_foreign_key(key, &name, names) {
                found.extend(foreign_key_difference(&expected, destination));
            }
        }
    }
    found
}

fn column_differences(name: &str, source: &Column, destination: &Column) -> Vec<String> {
    let mut found = Vec::new();
    let mut differs = |what: &str, source: String, destination: String| {
        if source != destination {
            found.push(format!("column {name}: {what} is {destination}, not {source}"));
        }
    };
    differs("type", normal_type(source), normal_type(destination));
    if source.kind != destination.kind && !is_json_pair(&source.kind, &destination.kind) {
        differs("kind", format!("{:?}", source.kind), format!("{:?}", destination.kind));
    }
    if source.kind != Kind::Json {
        let set = |column: &Column| {
            column.character_set.as_deref().map_or("none", |set| if set == "utf8" { "utf8mb3" } else { set }).to_owned()
        };
        differs("character set", set(source), set(destination));
        let collation = |column: &Column| normal_collation(column.collation.as_deref().unwrap_or("none"));
        differs("collation", collation(source), collation(destination));
    }
    differs("nullable", source.nullable.to_string(), destination.nullable.to_string());
    differs("generated", format!("{:?}", source.generated), format!("{:?}", destination.generated));
    differs("invisible", source.invisible.to_string(), destination.invisible.to_string());
    differs("auto_increment", source.auto_increment.to_string(), destination.auto_increment.to_string());
    found
}

/// MySQL's JSON is a LONGTEXT with a check in MariaDB.
fn is_json_pair(source: &Kind, destination: &Kind) -> bool {
    matches!((source, destination), (Kind::Json, Kind::Text))
}

/// `utf8_bin` and `utf8mb3_bin`, `utf8mb4_0900_ai_ci` and its MariaDB counterpart, are the same.
pub fn normal_collation(collation: &str) -> String {
    let mariadb = godwit_model::server::ServerInfo::parse("11.4.5-MariaDB");
    let collation = collation.strip_prefix("utf8_").map_or_else(|| collation.to_owned(), |rest| format!("utf8mb3_{rest}"));
    let mapped = crate::schema::collation::destination_collation(&collation, &mariadb).unwrap_or(collation);
    // MariaDB's information_schema leaves the character set off some collation names.
    mapped.strip_prefix("utf8mb4_uca1400").map_or_else(|| mapped.clone(), |rest| format!("uca1400{rest}"))
}

/// The type without what says nothing about values: display widths of integers, comments.
fn normal_type(column: &Column) -> String {
    let text = column.column_type.to_ascii_lowercase();
    let text = text.split("/*").next().unwrap_or_default().trim().to_owned();
    match column.kind {
        Kind::TinyInt { .. }
        | Kind::SmallInt { .. }
        | Kind::MediumInt { .. }
        | Kind::Int { .. }
        | Kind::BigInt { .. }
        | Kind::Year
            if !text.contains("zerofill") =>
        {
            match (text.find('('), text.find(')')) {
                (Some(open), Some(close)) => format!("{}{}", &text[..open], &text[close + 1..]),
                _ => text,
            }
        }
        Kind::Geometry => text.replace("geomcollection", "geometrycollection"),
        Kind::Json => "longtext".into(),
        // Labels are compared as kinds; their case counts.
        Kind::Enum { .. } => "enum".into(),
        Kind::Set { .. } => "set".into(),
        _ => text,
    }
}

/// None when a column of it is left out.
fn mapped_index(index: &Index, column_name: impl Fn(&str) -> Option<String>) -> Option<Index> {
    let mut mapped = index.clone();
    for part in &mut mapped.parts {
        if let Some(column) = &part.column {
            part.column = Some(column_name(column)?);
        }
    }
    Some(mapped)
}

fn index_difference(expected: &Index, destination: &TableDefinition) -> Option<String> {
    let name = &expected.name;
    let Some(own) = destination.indexes.iter().find(|index| index.name.eq_ignore_ascii_case(name)) else {
        return Some(format!("index {name} is missing"));
    };
    let parts = |index: &Index| {
        let parts = index.parts.iter().map(|part| (part.column.as_ref().map(|column| column.to_lowercase()), part.prefix));
        parts.collect::<Vec<_>>()
    };
    // How values are found is the engine's choice: HASH of MEMORY, SE_SPECIFIC of ARCHIVE, BTREE.
    let special =
        |index: &Index| Some(index.kind.to_uppercase()).filter(|kind| !["BTREE", "HASH", "SE_SPECIFIC"].contains(&kind.as_str()));
    let same = own.unique == expected.unique && special(own) == special(expected) && parts(own) == parts(expected);
    (!same).then(|| format!("index {name} is another one"))
}

/// None when it is not migrated.
fn mapped_foreign_key(key: &ForeignKey, table: &TableName, names: &dyn NameMap) -> Option<ForeignKey> {
    let parent = TableName { database: key.parent_database.clone(), table: key.parent_table.clone() };
    let new_parent = names.table(&parent)?;
    let columns = key.columns.iter().map(|column| names.column(table, column)).collect::<Option<_>>()?;
    let parent_columns = key.parent_columns.iter().map(|column| names.column(&parent, column)).collect::<Option<_>>()?;
    Some(ForeignKey {
        columns,
        parent_database: new_parent.database,
        parent_table: new_parent.table,
        parent_columns,
        ..key.clone()
    })
}

fn foreign_key_difference(expected: &ForeignKey, destination: &TableDefinition) -> Option<String> {
    let rule = |rule: &str| if rule == "RESTRICT" { "NO ACTION".to_owned() } else { rule.to_owned() };
    let same = |own: &&ForeignKey| {
        let list = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>();
        list(&own.columns) == list(&expected.columns)
            && own.parent_database == expected.parent_database
            && own.parent_table == expected.parent_table
            && list(&own.parent_columns) == list(&expected.parent_columns)
            && rule(&own.on_delete) == rule(&expected.on_delete)
            && rule(&own.on_update) == rule(&expected.on_update)
    };
    let found = destination.foreign_keys.iter().any(|own| same(&own));
    (!found).then(|| format!("foreign key {} is missing or another one", expected.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::schema::names::SameNames;
    use godwit_model::definition::IndexPart;

    fn table() -> TableDefinition {
        let column = |name: &str, column_type: &str, kind: Kind| Column {
            column_type: column_type.into(),
            character_set: Some("utf8".into()),
            collation: Some("utf8_bin".into()),
            ..fixture::column(name, kind)
        };
        let part = |name: &str| IndexPart { column: Some(name.into()), prefix: None, nullable: false };
        let columns = vec![column("a", "int(11)", Kind::Int { unsigned: false }), column("b", "varchar(3)", Kind::Varchar)];
        TableDefinition {
            indexes: vec![Index { name: "k".into(), unique: false, kind: "BTREE".into(), parts: vec![part("a"), part("b")] }],
            foreign_keys: vec![ForeignKey {
                name: "f".into(),
                columns: vec!["a".into()],
                parent_database: "d".into(),
                parent_table: "p".into(),
                parent_columns: vec!["id".into()],
                on_delete: "RESTRICT".into(),
                on_update: "CASCADE".into(),
            }],
            ..fixture::definition("d", "t", columns)
        }
    }

    fn found(change: impl Fn(&mut TableDefinition)) -> Vec<String> {
        let mut other = table();
        change(&mut other);
        differences(&table(), &other, &SameNames, true)
    }

    #[test]
    fn what_means_the_same_is_equal() {
        let none = found(|other| {
            other.columns[0].column_type = "int".into();
            other.columns[1].character_set = Some("utf8mb3".into());
            other.columns[1].collation = Some("utf8mb3_bin".into());
            other.foreign_keys[0].on_delete = "NO ACTION".into();
            other.foreign_keys[0].name = "g".into();
            other.indexes[0].kind = "HASH".into();
        });
        assert!(none.is_empty(), "{none:?}");
    }

    #[test]
    fn each_difference_is_named() {
        let one = |change: fn(&mut TableDefinition), word: &str| {
            let list = found(change);
            assert!(list.len() == 1 && list[0].contains(word), "{word}: {list:?}");
        };
        one(|other| other.columns[1].column_type = "varchar(2)".into(), "type");
        one(|other| other.columns[1].collation = Some("utf8_general_ci".into()), "collation");
        one(|other| other.columns[0].nullable = true, "nullable");
        one(|other| other.columns[0].auto_increment = true, "auto_increment");
        one(|other| other.columns.swap(0, 1), "order");
        one(|other| other.indexes[0].unique = true, "index k");
        one(|other| other.indexes[0].kind = "FULLTEXT".into(), "index k");
        one(|other| other.indexes.clear(), "missing");
        one(|other| other.foreign_keys[0].parent_table = "q".into(), "foreign key f");
    }
}
