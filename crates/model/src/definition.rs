//! What a table is: the definition that rows are read with. Pure data; read by `schema::read`,
//! kept in the task's record, used by the binary-log decoder, the copy and the verification.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::words::word;

/// How a column's values are stored, as far as decoding and rendering need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    TinyInt {
        unsigned: bool,
    },
    SmallInt {
        unsigned: bool,
    },
    MediumInt {
        unsigned: bool,
    },
    Int {
        unsigned: bool,
    },
    BigInt {
        unsigned: bool,
    },
    /// Exact number, kept as text.
    Decimal {
        precision: u8,
        scale: u8,
    },
    Float,
    Double,
    /// 1..64 bits.
    Bit {
        bits: u8,
    },
    Year,
    Date,
    /// `fsp`: digits after the second, 0..6.
    Time {
        fsp: u8,
    },
    DateTime {
        fsp: u8,
    },
    Timestamp {
        fsp: u8,
    },
    /// CHAR: trailing spaces are not part of the value.
    Char,
    Varchar,
    /// TINYTEXT..LONGTEXT, and MariaDB's JSON.
    Text,
    /// BINARY(n): padded with zero bytes to `length`.
    Binary {
        length: u16,
    },
    VarBinary,
    /// TINYBLOB..LONGBLOB.
    Blob,
    /// The labels in order, decoded to UTF-8; values travel as their index.
    Enum {
        labels: Vec<String>,
    },
    /// The labels in order; values travel as the bitmap.
    Set {
        labels: Vec<String>,
    },
    /// MySQL's native JSON.
    Json,
    Geometry,
    /// MySQL 9 VECTOR: little-endian 32-bit floats.
    Vector,
    /// MariaDB UUID, travels as text.
    Uuid,
    /// MariaDB INET4, travels as text.
    Inet4,
    /// MariaDB INET6, travels as text.
    Inet6,
}

impl Kind {
    /// Whether a value's canonical bytes are a number and stand in statements without quotes. The only list of these kinds: what is read
    /// as such a value must be a number, and what is written as one is checked to be one. A new kind has to be decided on here.
    pub fn is_written_as_number(&self) -> bool {
        match self {
            Self::TinyInt { .. }
            | Self::SmallInt { .. }
            | Self::MediumInt { .. }
            | Self::Int { .. }
            | Self::BigInt { .. }
            | Self::Decimal { .. }
            | Self::Float
            | Self::Double
            | Self::Year
            | Self::Enum { .. }
            | Self::Set { .. } => true,
            Self::Bit { .. }
            | Self::Date
            | Self::Time { .. }
            | Self::DateTime { .. }
            | Self::Timestamp { .. }
            | Self::Char
            | Self::Varchar
            | Self::Text
            | Self::Binary { .. }
            | Self::VarBinary
            | Self::Blob
            | Self::Json
            | Self::Geometry
            | Self::Vector
            | Self::Uuid
            | Self::Inet4
            | Self::Inet6 => false,
        }
    }

    /// Whether a server takes two values for the same exactly when their bytes here are the same, and orders them by one rule that
    /// its indexes follow. Collated strings are not so ('a' and 'A'), nor inexact numbers (0 and -0).
    pub fn is_identified_by_bytes(&self) -> bool {
        matches!(
            self,
            Self::TinyInt { .. }
                | Self::SmallInt { .. }
                | Self::MediumInt { .. }
                | Self::Int { .. }
                | Self::BigInt { .. }
                | Self::Decimal { .. }
                | Self::Year
                | Self::Date
                | Self::Time { .. }
                | Self::DateTime { .. }
                | Self::Timestamp { .. }
                | Self::Binary { .. }
                | Self::VarBinary
                | Self::Bit { .. }
                | Self::Uuid
                | Self::Inet4
                | Self::Inet6
        )
    }
}

/// GENERATED ALWAYS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Generated {
    No,
    Virtual,
    Stored,
}

/// One column, at its place in the row image (`TableDefinition::columns[i]` is image column `i`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// `information_schema.columns.column_type`, for messages and comparison.
    pub column_type: String,
    pub kind: Kind,
    /// None for types without one.
    pub character_set: Option<String>,
    pub collation: Option<String>,
    pub nullable: bool,
    pub generated: Generated,
    pub invisible: bool,
    pub auto_increment: bool,
}

/// One index, as far as keys and deferral need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// `PRIMARY` for the primary key.
    pub name: String,
    pub unique: bool,
    /// BTREE, HASH, FULLTEXT, SPATIAL, RTREE, VECTOR.
    pub kind: String,
    pub parts: Vec<IndexPart>,
}

/// A part of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPart {
    /// None for a functional part.
    pub column: Option<String>,
    /// Length of a prefix part.
    pub prefix: Option<u32>,
    pub nullable: bool,
}

/// A foreign key of the table (the child side).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    pub parent_database: String,
    pub parent_table: String,
    pub parent_columns: Vec<String>,
    /// RESTRICT, NO ACTION, CASCADE, SET NULL, SET DEFAULT.
    pub on_delete: String,
    pub on_update: String,
}

/// A table as it stood at one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDefinition {
    pub database: String,
    pub table: String,
    /// InnoDB, MyISAM, …
    pub engine: String,
    /// In ordinal order, generated and invisible ones included.
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
    pub foreign_keys: Vec<ForeignKey>,
    /// `SHOW CREATE TABLE` of the source; literals that it does not show as they are, are written as they are.
    pub create_statement: String,
    /// What of it could not be read for certain, a sentence each; empty for nearly every table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// Estimates of `information_schema.tables`; never trusted for correctness.
    pub estimated_rows: u64,
    pub average_row_bytes: u64,
}

impl ForeignKey {
    /// Whether it changes rows of its table by itself. InnoDB refuses SET DEFAULT.
    pub fn acts(&self) -> bool {
        [&self.on_delete, &self.on_update]
            .into_iter()
            .any(|rule| matches!(rule.to_ascii_uppercase().as_str(), "CASCADE" | "SET NULL"))
    }
}

impl TableDefinition {
    /// What stands in statements without quotes is a word, whoever said it: a source, or a record at the destination.
    ///
    /// # Errors
    /// Definite, with the column.
    pub fn check_words(&self) -> Result<()> {
        for column in &self.columns {
            let named = [("character set", &column.character_set), ("collation", &column.collation)];
            for (what, name) in named.into_iter().filter_map(|(what, name)| Some((what, name.as_deref()?))) {
                word(name, &format!("the {what} of column {} of {}", column.name, self.qualified()))?;
            }
        }
        Ok(())
    }

    /// `database.table`, for messages.
    pub fn qualified(&self) -> String {
        format!("{}.{}", self.database, self.table)
    }

    /// Place of a column in the row image.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Whether MariaDB keeps a hidden column of hashes for a unique index over whole texts. Rows are neither found nor ordered by it.
    pub fn is_hashed(&self, index: &Index) -> bool {
        let engine = self.engine.as_str();
        index.unique
            && index.kind.eq_ignore_ascii_case("HASH")
            && ["InnoDB", "MyISAM", "Aria"].iter().any(|own| engine.eq_ignore_ascii_case(own))
    }

    /// The index whose columns identify a row: the primary key, else the first unique index whose parts
    /// are all NOT NULL, whole, plain, non-generated columns, unless it is one of hashes. None: a table without a key.
    pub fn row_key(&self) -> Option<&Index> {
        let usable = |index: &&Index| {
            index.unique
                && !self.is_hashed(index)
                && !index.parts.is_empty()
                && index.parts.iter().all(|part| {
                    let column = part.column.as_deref().and_then(|name| self.column_index(name)).map(|i| &self.columns[i]);
                    part.prefix.is_none() && !part.nullable && column.is_some_and(|c| !c.nullable && c.generated == Generated::No)
                })
        };
        self.indexes.iter().filter(|index| index.name == "PRIMARY").find(usable).or_else(|| self.indexes.iter().find(usable))
    }
}
