use super::*;
use crate::fixture::column;
use crate::schema::column_type::parse_column_type;

fn source(column_type: &str, character_set: &str) -> Column {
    Column {
        column_type: column_type.into(),
        character_set: (!character_set.is_empty()).then(|| character_set.to_owned()),
        nullable: true,
        ..column("a", parse_column_type(column_type).unwrap())
    }
}

fn there(column_type: &str, character_set: &str) -> ExistingColumn {
    ExistingColumn {
        name: "a".into(),
        column_type: column_type.into(),
        kind: parse_column_type(column_type),
        character_set: (!character_set.is_empty()).then(|| character_set.to_owned()),
        nullable: true,
        ..ExistingColumn::default()
    }
}

fn takes(own: &str, other: &str) -> bool {
    column_misfit(&source(own, ""), &there(other, ""), "d.t").is_none()
}

#[test]
fn what_holds_every_value() {
    for (own, other) in [
        ("int(11)", "int"),
        ("int", "bigint"),
        ("int unsigned", "bigint"),
        ("tinyint(1)", "smallint"),
        ("decimal(8,2)", "decimal(12,2)"),
        ("decimal(8,2) unsigned", "decimal(8,2)"),
        ("float(7,2)", "float(7,2)"),
        ("float(7,2)", "float"),
        ("bit(9)", "bit(16)"),
        ("time(2)", "time(6)"),
        ("datetime", "datetime(6)"),
        ("char(5)", "varchar(5)"),
        ("varchar(85)", "tinytext"),
        ("varbinary(10)", "blob"),
        ("tinytext", "text"),
        ("mediumblob", "longblob"),
        ("binary(4)", "binary(4)"),
        ("enum('a','b')", "enum('a','b','c')"),
        ("set('a')", "set('a','b')"),
        ("point", "geometry"),
        ("geomcollection", "geometrycollection"),
        ("uuid", "char(36)"),
        ("year(4)", "year"),
        ("json", "json"),
    ] {
        assert!(takes(own, other), "{own} into {other}");
    }
}

#[test]
fn what_rounds_cuts_or_reads_otherwise() {
    for (own, other) in [
        ("int", "int unsigned"),
        ("int unsigned", "int"),
        ("bigint", "decimal(20,0)"),
        ("bigint unsigned", "bigint"),
        ("decimal(8,2)", "decimal(8,1)"),
        ("decimal(8,2)", "decimal(8,3)"),
        ("decimal(8,2)", "decimal(8,2) unsigned"),
        ("float", "float(7,2)"),
        ("double", "float"),
        ("float", "double"),
        ("bit(9)", "bit(8)"),
        ("bit(8)", "bit(9)"),
        ("time(2)", "time"),
        ("datetime(6)", "datetime(3)"),
        ("datetime", "timestamp"),
        ("timestamp", "datetime"),
        ("date", "datetime"),
        ("varchar(5)", "char(5)"),
        ("varchar(5)", "varchar(4)"),
        ("varchar(256)", "tinytext"),
        ("text", "tinytext"),
        ("text", "varchar(100)"),
        ("varbinary(300)", "tinyblob"),
        ("binary(4)", "binary(5)"),
        ("binary(4)", "varbinary(4)"),
        ("enum('a','b')", "enum('b','a')"),
        ("enum('a','b')", "enum('a')"),
        ("geometry", "point"),
        ("uuid", "char(35)"),
        ("vector(3)", "vector(4)"),
        ("int", "xmltype"),
    ] {
        assert!(!takes(own, other), "{own} into {other}");
    }
}

#[test]
fn bytes_must_mean_the_same() {
    let takes = |own: &str, other: &str| other_character_set(&source("text", own), &there("text", other)).is_none();
    assert!(takes("utf8", "utf8mb3") && takes("utf8mb3", "utf8mb4") && takes("ascii", "latin1") && takes("latin1", "latin1"));
    assert!(!takes("latin1", "utf8mb4") && !takes("utf8mb4", "utf8") && !takes("utf8mb4", "latin1") && !takes("latin1", "ascii"));
}

#[test]
fn collations_that_take_more_for_equal() {
    let coarser = |own: &str, other: &str| {
        let with = |collation: &str| Some(collation.to_owned()).filter(|name| !name.is_empty());
        let own = Column { collation: with(own), ..source("varchar(3)", "utf8mb4") };
        is_coarser(&own, &ExistingColumn { collation: with(other), ..there("varchar(3)", "utf8mb4") })
    };
    for (own, other) in [
        ("utf8mb4_bin", "utf8mb4_bin"),
        ("utf8_general_ci", "utf8mb3_general_ci"),
        ("utf8mb3_unicode_ci", "utf8mb4_unicode_ci"),
        ("utf8mb4_general_ci", "utf8mb4_bin"),
        ("utf8mb4_0900_ai_ci", "utf8mb4_0900_bin"),
        ("utf8mb4_0900_ai_ci", "uca1400_nopad_ai_ci"),
    ] {
        assert!(!coarser(own, other), "{own} by {other}");
    }
    for (own, other) in [
        ("utf8mb4_bin", "utf8mb4_general_ci"),
        ("utf8mb4_0900_as_cs", "utf8mb4_0900_ai_ci"),
        ("utf8mb4_0900_bin", "utf8mb4_bin"),
        ("utf8mb4_unicode_ci", "utf8mb4_general_ci"),
    ] {
        assert!(coarser(own, other), "{own} by {other}");
    }
}
