//! Everything the checks look at, gathered once; a check never asks a server.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::cascade::Cascades;
use crate::plan::Plan;
use crate::plan::select::Selection;
use crate::source::prepared::Undecided;
use godwit_api::{MigrationTaskSpec, MigrationType};
use godwit_model::definition::{Index, Kind};
use godwit_model::names::TableName;
use godwit_model::program::ProgramName;
use godwit_model::server::ServerInfo;

use super::grants::Grants;
use super::trial::Trial;

/// Both ends, and what shall be done.
#[derive(Debug, Clone)]
pub struct Context {
    pub spec: MigrationTaskSpec,
    pub selection: Selection,
    pub plan: Plan,
    /// Why the objects could not be resolved; `plan` then holds the databases that the manifest names, and no tables.
    pub unresolved: Option<String>,
    pub source: Server,
    pub source_objects: SourceObjects,
    pub destination: Server,
    /// What stands in the destination databases already.
    pub existing: BTreeMap<TableName, ExistingTable>,
    /// Foreign keys and checks of the destination databases.
    pub constraints: Vec<Constraint>,
    /// Destination tables that this very task made in an earlier run.
    pub owned: BTreeSet<TableName>,
    /// Destination tables that another task writes, with its name.
    pub in_use: BTreeMap<TableName, String>,
    /// Views, by their names at the source, that their clients' character sets cannot say with the destination's names.
    pub unsayable: BTreeMap<TableName, String>,
    /// Stored programs that stand in the destination databases; empty for a task that has begun, which compares them.
    pub programs_there: BTreeSet<ProgramName>,
    /// Of the destination, where `spec.definer` is Keep. None: the account may not see them.
    pub accounts: Option<BTreeSet<(String, String)>>,
    /// Loadable functions of the source that the destination lacks, as far as they may be seen.
    pub loadable_functions: Vec<String>,
    /// What the destination said to the definitions.
    pub trial: Trial,
}

impl Context {
    /// The binary log is followed.
    pub fn incremental(&self) -> bool {
        self.plan.incremental
    }

    /// Objects are created.
    pub fn schema(&self) -> bool {
        self.spec.migrates(MigrationType::Schema)
    }

    /// What foreign keys do that the source does not log; nothing where no log is followed.
    pub fn cascades(&self) -> Cascades {
        match !self.incremental() || self.logs_cascades() && self.source.is_replica != Some(true) {
            true => Cascades::none(),
            false => Cascades::derived(&self.plan, self.selection.names().source_folds()),
        }
    }

    /// The source logs the rows that foreign keys change when it changes their parents itself.
    pub fn logs_cascades(&self) -> bool {
        self.source.info.logs_cascades(self.source.flag("innodb_native_foreign_keys"))
    }
}

/// What one server says of itself.
#[derive(Debug, Clone)]
pub struct Server {
    /// `host:port`.
    pub address: String,
    pub info: ServerInfo,
    pub product: Product,
    pub link: Link,
    /// Global variables, lower-case names; those that the checks read.
    pub variables: BTreeMap<String, String>,
    pub grants: Grants,
    /// Names of collations; MariaDB's in full (`utf8mb4_uca1400_ai_ci`).
    pub collations: BTreeSet<String>,
    /// Storage engines that can be used, lower case.
    pub engines: BTreeSet<String>,
    /// None: no binary log, or the account may not see it.
    pub log: Option<LogStatus>,
    /// Whether the server is itself a replica. None: the account may not see it.
    pub is_replica: Option<bool>,
    /// `binlog retention hours` of `mysql.rds_configuration`. None: the server has no such setting, or it cannot be read.
    pub managed_retention: Option<ManagedRetention>,
    /// Server ids of the replicas that are connected or known; the engine takes another one.
    pub replica_ids: Vec<u32>,
    /// Bytes that are free where the data lies, where the server tells.
    pub free_bytes: Option<u64>,
}

impl Server {
    /// A global variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// A variable that is ON. None: the server does not have it.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.variable(name).map(|value| matches!(value.to_ascii_uppercase().as_str(), "ON" | "1" | "YES" | "TRUE"))
    }

    /// A variable that is a number; fractions are cut off.
    pub fn number(&self, name: &str) -> Option<u64> {
        let value = self.variable(name)?;
        value.split('.').next().and_then(|whole| whole.parse().ok())
    }

    /// `lower_case_table_names`.
    pub fn lower_case_table_names(&self) -> u8 {
        self.number("lower_case_table_names").and_then(|value| u8::try_from(value).ok()).unwrap_or(0)
    }

    /// Whether the account may change session variables that are kept from others (MySQL manual, "System Variable Privileges").
    pub fn sets_restricted_variables(&self) -> bool {
        self.info.is_mariadb() || self.grants.any_global(&["SUPER", "SYSTEM_VARIABLES_ADMIN", "SESSION_VARIABLES_ADMIN"])
    }

    /// Variables that keep the account from writing; empty: nothing does.
    pub fn write_obstacles(&self) -> Vec<&'static str> {
        let on = |name: &str| self.flag(name) == Some(true);
        let mut found = Vec::new();
        for name in ["innodb_read_only", "super_read_only", "read_only", "transaction_read_only", "tx_read_only"] {
            // Accounts with these privileges write in spite of read_only; nobody does in spite of super_read_only.
            let exempt = name == "read_only" && self.grants.any_global(&["SUPER", "CONNECTION_ADMIN", "READ_ONLY ADMIN"]);
            if on(name) && !exempt {
                found.push(name);
            }
        }
        // read_only of newer MariaDB has more values than ON.
        if self.variable("read_only").unwrap_or("OFF").to_ascii_uppercase().starts_with("NO_LOCK") {
            found.push("read_only");
        }
        found
    }

    /// Whether the binary log takes changes in a database (`--binlog-do-db`, `--binlog-ignore-db`). None: the account may not see it.
    pub fn logs_database(&self, name: &str) -> Option<bool> {
        let log = self.log.as_ref()?;
        let named = |list: &[String]| list.iter().any(|entry| entry.eq_ignore_ascii_case(name));
        Some(if log.only.is_empty() { !named(&log.ignored) } else { named(&log.only) })
    }

    /// Version and product in a few words: `MySQL 8.0.36 (Aurora)`.
    pub fn describe(&self) -> String {
        let family = if self.info.is_mariadb() { "MariaDB" } else { "MySQL" };
        let (major, minor, patch) = self.info.version;
        let product = match self.product {
            Product::Plain => String::new(),
            other => format!(" ({other})"),
        };
        format!("{family} {major}.{minor}.{patch}{product}")
    }

    /// The statement that changes a global variable, and keeps it over a restart where the server can do that.
    pub fn set_variable(&self, name: &str, value: &str) -> String {
        match self.product {
            Product::Rds | Product::Aurora => format!("set {name} = {value} in the parameter group of the instance"),
            Product::PolarDb => format!("set {name} (loose_{name}) = {value} in the cluster's parameters"),
            Product::Plain if self.info.is_mysql_since(8, 0, 0) => format!("SET PERSIST {name} = {value};"),
            Product::Plain => format!("SET GLOBAL {name} = {value}; and {name} = {value} in the server's configuration file"),
        }
    }
}

/// A managed service is one of the two families with its own procedures and tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    Plain,
    Rds,
    Aurora,
    PolarDb,
}

impl std::fmt::Display for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain => "self-managed",
            Self::Rds => "RDS",
            Self::Aurora => "Aurora",
            Self::PolarDb => "PolarDB",
        })
    }
}

/// How the connection is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// The quickest of a few round trips, in microseconds.
    pub round_trip_micros: u64,
    /// `TLSv1.3, TLS_AES_256_GCM_SHA384`; None: not encrypted.
    pub tls: Option<String>,
}

/// `SHOW BINARY LOG STATUS` and `SHOW BINARY LOGS`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogStatus {
    pub file: String,
    pub position: u64,
    /// Databases that alone are logged (`--binlog-do-db`); empty: all.
    pub only: Vec<String>,
    /// Databases that are not logged (`--binlog-ignore-db`).
    pub ignored: Vec<String>,
    /// Files that still exist, and their size together.
    pub files: usize,
    pub bytes: u64,
}

/// How long a managed service keeps the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagedRetention {
    /// The value is NULL: files go as soon as the service does not need them.
    NotSet,
    Hours(u64),
}

/// What the source holds beside tables and views, as far as the account may see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceObjects {
    /// Of all selected databases, with the table.
    pub triggers: Vec<(TableName, String)>,
    /// Of databases that are selected as a whole; names as `database.name`.
    pub routines: Vec<String>,
    pub events: Vec<String>,
    /// MariaDB.
    pub sequences: Vec<String>,
    /// Parents that are not migrated and are themselves changed by foreign keys, without an event: a sentence each.
    pub unseen_parents: Vec<String>,
    /// MERGE tables that are not migrated, each with the migrated tables that hold its rows.
    pub merges: Vec<(TableName, Vec<TableName>)>,
    /// Tables that patterns would select, if `spec.heartbeat.database` did not name their database.
    pub beside_heartbeat: Vec<String>,
    /// XA transactions that are prepared, where the log is followed.
    pub undecided: Undecided,
    /// Of some documents that were looked at: columns with values that the destination cannot be given, and why.
    pub refused_documents: Vec<String>,
}

/// A foreign key or check that stands at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    pub name: String,
    pub table: TableName,
    /// False: a check.
    pub foreign_key: bool,
}

/// A table or view that stands at the destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExistingTable {
    pub is_view: bool,
    pub engine: String,
    pub columns: Vec<ExistingColumn>,
    pub indexes: Vec<Index>,
    pub has_rows: bool,
    /// Names of its triggers.
    pub triggers: Vec<String>,
}

impl ExistingTable {
    /// A column by its name, in any case.
    pub fn column(&self, name: &str) -> Option<&ExistingColumn> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// A column of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExistingColumn {
    pub name: String,
    pub column_type: String,
    /// None: a type that this version does not know.
    pub kind: Option<Kind>,
    pub character_set: Option<String>,
    pub collation: Option<String>,
    pub nullable: bool,
    pub auto_increment: bool,
    /// An INSERT that does not name it works.
    pub optional: bool,
    pub generated: bool,
}
