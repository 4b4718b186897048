//! Whether a table that stands at the destination takes a source table's rows as they are, all of them. Pure.
//!
//! Three things lose or alter a row without an error: a column that rounds, cuts or reads a value otherwise (MySQL rounds
//! fractions of seconds without a warning, and those of a DECIMAL with a note, in strict mode too); a unique index that takes
//! two of the source's rows for one, so that the second replaces the first; and no key at all, so that a change is added to
//! the row instead of changing it. What is not known to be safe is refused.

use super::context::{ExistingColumn, ExistingTable};
use crate::plan::{ColumnPlan, TablePlan};
use crate::schema::compare::normal_collation;
use godwit_model::definition::{Column, Generated, Index, Kind};

/// Why the table does not take the rows, a sentence each; empty: it does.
pub fn misfits(table: &TablePlan, existing: &ExistingTable) -> Vec<String> {
    let name = &table.destination;
    if existing.is_view {
        return vec![format!("{name} is a view")];
    }
    let mut problems = Vec::new();
    for column in &table.columns {
        let wanted = &column.destination_name;
        match existing.column(wanted) {
            None => problems.push(format!("{name} has no column `{wanted}`")),
            Some(there) if column.write && there.generated => problems.push(format!("`{wanted}` of {name} is generated there")),
            Some(there) if column.write => problems.extend(column_misfit(&column.column, there, &name.to_string())),
            Some(_) => {}
        }
    }
    // Their values are not written: the destination has to compute them.
    for column in table.definition.columns.iter().filter(|column| column.generated != Generated::No) {
        if existing.column(&column.name).is_some_and(|there| !there.generated) {
            problems.push(format!("`{}` of {name} is not generated there, so that it would stay empty", column.name));
        }
    }
    let is_written = |there: &str| table.columns.iter().any(|column| column.destination_name.eq_ignore_ascii_case(there));
    for there in existing.columns.iter().filter(|there| !there.optional && !there.generated && !is_written(&there.name)) {
        problems.push(format!("`{}` of {name} has no default and no value from the source", there.name));
    }
    if problems.is_empty() {
        // What is said of keys rests on the columns.
        problems.extend(key_misfit(table, existing));
        problems.extend(existing.indexes.iter().filter_map(|index| unique_misfit(table, existing, index)));
    }
    problems
}

fn column_misfit(source: &Column, there: &ExistingColumn, table: &str) -> Option<String> {
    let named = format!("`{}` of {table}", there.name);
    if source.nullable && !there.nullable {
        return Some(format!("{named} is NOT NULL, the source's may be NULL"));
    }
    if let Some(why) = other_character_set(source, there) {
        return Some(format!("{named} {why}"));
    }
    if holds(source, there) {
        return None;
    }
    Some(format!("{named} is {}, which is not known to hold every {} as it is", there.column_type, source.column_type))
}

/// Bytes travel as they are, so they must mean the same. utf8mb3 is a part of utf8mb4, ASCII of all that extend it.
fn other_character_set(source: &Column, there: &ExistingColumn) -> Option<String> {
    if !matches!(source.kind, Kind::Char | Kind::Varchar | Kind::Text) {
        return None;
    }
    let plain =
        |set: &Option<String>| set.as_deref().map_or("binary", |set| if set == "utf8" { "utf8mb3" } else { set }).to_owned();
    let (own, other) = (plain(&source.character_set), plain(&there.character_set));
    let contained = own == other
        || own == "utf8mb3" && other == "utf8mb4"
        || own == "ascii" && matches!(other.as_str(), "utf8mb3" | "utf8mb4" | "latin1");
    (!contained).then(|| format!("has the character set {other}, the source's has {own}"))
}

/// Whether each value of the source's column can be stored there, and is read there as the same text.
fn holds(source: &Column, there: &ExistingColumn) -> bool {
    let Some(kind) = &there.kind else { return false };
    let (own_type, other_type) = (base(&source.column_type), base(&there.column_type));
    let keeps_sign = !other_type.contains("unsigned") && !other_type.contains("zerofill")
        || own_type.contains("unsigned")
        || own_type.contains("zerofill");
    match (&source.kind, kind) {
        (own, other) if integer_range(own).is_some() => match (integer_range(own), integer_range(other)) {
            (Some((low, high)), Some((other_low, other_high))) => other_low <= low && high <= other_high,
            _ => false,
        },
        (Kind::Decimal { precision, scale }, Kind::Decimal { precision: other, scale: other_scale }) => {
            keeps_sign && scale == other_scale && precision <= other
        }
        // FLOAT(7,2) rounds.
        (Kind::Float, Kind::Float) | (Kind::Double, Kind::Double) => {
            keeps_sign && (!other_type.contains('(') || arguments(&own_type) == arguments(&other_type))
        }
        // Of as many bytes: as text their number counts.
        (Kind::Bit { bits }, Kind::Bit { bits: other }) => bits <= other && bits.div_ceil(8) == other.div_ceil(8),
        (Kind::Time { fsp }, Kind::Time { fsp: other })
        | (Kind::DateTime { fsp }, Kind::DateTime { fsp: other })
        | (Kind::Timestamp { fsp }, Kind::Timestamp { fsp: other }) => fsp <= other,
        // VARCHAR to CHAR loses spaces at the end.
        (Kind::Char, Kind::Char | Kind::Varchar) | (Kind::Varchar, Kind::Varchar) | (Kind::VarBinary, Kind::VarBinary) => {
            matches!((length(&own_type), length(&other_type)), (Some(own), Some(other)) if own <= other)
        }
        (Kind::Char | Kind::Varchar, Kind::Text) => {
            let bytes = length(&own_type).map(|length| length * bytes_of_character(there.character_set.as_deref()));
            matches!((bytes, capacity(&other_type)), (Some(own), Some(other)) if own <= other)
        }
        (Kind::VarBinary, Kind::Blob) => {
            matches!((length(&own_type), capacity(&other_type)), (Some(own), Some(other)) if own <= other)
        }
        (Kind::Text, Kind::Text) | (Kind::Blob, Kind::Blob) => capacity(&own_type) <= capacity(&other_type),
        // MariaDB's JSON is a LONGTEXT.
        (Kind::Json, Kind::Text) => other_type == "longtext" && there.character_set.as_deref() == Some("utf8mb4"),
        (Kind::Binary { length }, Kind::Binary { length: other }) => length == other,
        // Values travel as the label's number.
        (Kind::Enum { labels }, Kind::Enum { labels: others }) | (Kind::Set { labels }, Kind::Set { labels: others }) => {
            others.starts_with(labels)
        }
        (Kind::Geometry, Kind::Geometry) => {
            let normal = |text: &str| text.replace("geomcollection", "geometrycollection");
            other_type == "geometry" || normal(&own_type) == normal(&other_type)
        }
        (Kind::Vector, Kind::Vector) => own_type == other_type,
        // As text: 36 characters, 15, and 39 at most.
        (Kind::Uuid, Kind::Char | Kind::Varchar) => length(&other_type) >= Some(36),
        (Kind::Inet4, Kind::Char | Kind::Varchar) => length(&other_type) >= Some(15),
        (Kind::Inet6, Kind::Char | Kind::Varchar) => length(&other_type) >= Some(39),
        (own, other) => own == other,
    }
}

/// The type in lower case, without comments.
fn base(column_type: &str) -> String {
    column_type.split("/*").next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn arguments(column_type: &str) -> Option<&str> {
    let (_, rest) = column_type.split_once('(')?;
    rest.split_once(')').map(|(inside, _)| inside)
}

fn length(column_type: &str) -> Option<u64> {
    arguments(column_type)?.trim().parse().ok()
}

/// Bytes that a TEXT or BLOB holds.
fn capacity(column_type: &str) -> Option<u64> {
    let word = column_type.split([' ', '(']).next().unwrap_or_default();
    let bytes = match word.trim_end_matches("text").trim_end_matches("blob") {
        "tiny" => 1,
        "" => 2,
        "medium" => 3,
        "long" => 4,
        _ => return None,
    };
    Some((1 << (8 * bytes)) - 1)
}

fn bytes_of_character(character_set: Option<&str>) -> u64 {
    match character_set.unwrap_or("binary") {
        "utf8" | "utf8mb3" | "ujis" | "eucjpms" => 3,
        "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" => 4,
        "ucs2" | "big5" | "gbk" | "gb2312" | "sjis" | "cp932" | "euckr" => 2,
        _ => 1,
    }
}

fn integer_range(kind: &Kind) -> Option<(i128, i128)> {
    let (bits, unsigned) = match kind {
        Kind::TinyInt { unsigned } => (8, *unsigned),
        Kind::SmallInt { unsigned } => (16, *unsigned),
        Kind::MediumInt { unsigned } => (24, *unsigned),
        Kind::Int { unsigned } => (32, *unsigned),
        Kind::BigInt { unsigned } => (64, *unsigned),
        _ => return None,
    };
    Some(if unsigned { (0, (1 << bits) - 1) } else { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) })
}

/// Rows are found by the key: a unique index must stand on exactly its columns, whole and NOT NULL.
fn key_misfit(table: &TablePlan, existing: &ExistingTable) -> Option<String> {
    if !table.has_key() {
        return None;
    }
    let key: Vec<&str> = table.key.iter().map(|&place| table.columns[place].destination_name.as_str()).collect();
    let is_key = |index: &Index| {
        let whole = |part: &godwit_model::definition::IndexPart| {
            !part.nullable && part.prefix.is_none() && part.column.as_deref().is_some_and(|name| contains(&key, name))
        };
        index.unique && index.parts.len() == key.len() && index.parts.iter().all(whole)
    };
    if existing.indexes.iter().any(is_key) {
        return None;
    }
    let columns: Vec<String> = key.iter().map(|name| format!("`{name}`")).collect();
    Some(format!(
        "{} has no primary key or unique index on {}, all NOT NULL, by which the source's rows are found",
        table.destination,
        columns.join(", ")
    ))
}

fn contains(names: &[&str], wanted: &str) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(wanted))
}

/// A part of a unique index of the source, as it arrives.
struct Part<'a> {
    column: &'a ColumnPlan,
    prefix: Option<u32>,
}

/// The unique indexes of the source that arrive whole, the key among them.
fn source_uniques(table: &TablePlan) -> Vec<Vec<Part<'_>>> {
    let planned = |name: &str| table.columns.iter().find(|column| column.column.name.eq_ignore_ascii_case(name));
    let arrives = |index: &Index| -> Option<Vec<Part<'_>>> {
        index.parts.iter().map(|part| Some(Part { column: planned(part.column.as_deref()?)?, prefix: part.prefix })).collect()
    };
    let mut uniques: Vec<Vec<Part<'_>>> =
        table.definition.indexes.iter().filter(|index| index.unique).filter_map(arrives).collect();
    if table.has_key() {
        uniques.push(table.key.iter().map(|&place| Part { column: &table.columns[place], prefix: None }).collect());
    }
    uniques
}

/// A unique index of the destination must tell apart whatever a unique index of the source tells apart.
fn unique_misfit(table: &TablePlan, existing: &ExistingTable, index: &Index) -> Option<String> {
    if !index.unique || has_own_values(table, existing, index) || is_the_source_s(table, index) {
        return None;
    }
    let mut coarser = None;
    for unique in source_uniques(table) {
        let covered = unique.iter().all(|part| {
            let wanted = &part.column.destination_name;
            index.parts.iter().any(|own| {
                let same = own.column.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
                same && match (own.prefix, part.prefix) {
                    (None, _) => true,
                    (Some(own), Some(source)) => own >= source,
                    (Some(_), None) => false,
                }
            })
        });
        if !covered {
            continue;
        }
        let blurred = unique.iter().find_map(|part| {
            let there = existing.column(&part.column.destination_name)?;
            is_coarser(&part.column.column, there).then(|| {
                let collation = |text: &Option<String>| text.clone().unwrap_or_else(|| "binary".to_owned());
                format!(
                    "unique index `{}` of {} compares `{}` by {}, the source by {}: rows that differ there could be one here",
                    index.name,
                    table.destination,
                    there.name,
                    collation(&there.collation),
                    collation(&part.column.column.collation)
                )
            })
        });
        match blurred {
            None => return None,
            Some(sentence) => coarser = Some(sentence),
        }
    }
    Some(coarser.unwrap_or_else(|| {
        format!(
            "unique index `{}` of {} has no counterpart at the source, where rows may be equal in it (DROP INDEX, or create it when the \
             migration has ended)",
            index.name, table.destination
        )
    }))
}

/// A column that the destination numbers itself.
fn has_own_values(table: &TablePlan, existing: &ExistingTable, index: &Index) -> bool {
    let is_written =
        |name: &str| table.columns.iter().any(|column| column.write && column.destination_name.eq_ignore_ascii_case(name));
    index
        .parts
        .iter()
        .filter_map(|part| part.column.as_deref())
        .any(|name| !is_written(name) && existing.column(name).is_some_and(|there| there.auto_increment))
}

/// On generated columns or expressions: the index of that name at the source has the same parts. What is computed there is not
/// compared.
fn is_the_source_s(table: &TablePlan, index: &Index) -> bool {
    let computed = |name: Option<&str>| {
        name.is_none_or(|name| {
            let column = table.definition.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
            column.is_some_and(|column| column.generated != Generated::No)
        })
    };
    let renamed = |name: &str| {
        let column = table.columns.iter().find(|column| column.column.name.eq_ignore_ascii_case(name));
        column.map_or_else(|| name.to_lowercase(), |column| column.destination_name.to_lowercase())
    };
    index.parts.iter().any(|part| computed(part.column.as_deref()))
        && table.definition.indexes.iter().filter(|own| own.unique && own.name.eq_ignore_ascii_case(&index.name)).any(|own| {
            let own_parts = own.parts.iter().map(|part| (part.column.as_deref().map(renamed), part.prefix));
            own_parts.eq(index.parts.iter().map(|part| (part.column.as_deref().map(str::to_lowercase), part.prefix)))
        })
}

/// Whether the destination may take for equal what the source tells apart.
fn is_coarser(source: &Column, there: &ExistingColumn) -> bool {
    let Some(own) = source.collation.as_deref().filter(|_| matches!(source.kind, Kind::Char | Kind::Varchar | Kind::Text)) else {
        // As text, digits and lower-case letters of one form only: whatever compares them tells them apart.
        return false;
    };
    let other = there.collation.as_deref().unwrap_or("binary");
    let (own, other) = (normal_collation(own), normal_collation(other));
    // The same order over a part of the characters.
    let without_set =
        |name: &str| name.strip_prefix("utf8mb3_").or_else(|| name.strip_prefix("utf8mb4_")).unwrap_or(name).to_owned();
    if own == other || without_set(&own) == without_set(&other) {
        return false;
    }
    let pads = |name: &str| name != "binary" && !name.contains("0900") && !name.contains("nopad");
    // By its code points, and by spaces at the end where the source has them count.
    let is_binary = other == "binary" || other.ends_with("_bin");
    !(is_binary && (!pads(&other) || pads(&own)))
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
