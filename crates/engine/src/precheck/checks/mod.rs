//! The checks: one file each, a pure function over the gathered [`Context`]. None: it does not apply to this task.

mod binary_log;
mod binary_log_filters;
mod binary_log_format;
mod binary_log_row_image;
mod character_sets;
mod definitions;
pub mod destination_account;
mod destination_in_use;
mod destination_privileges;
mod destination_space;
mod destination_tables;
mod destination_writable;
mod encrypted_columns;
mod encryption;
mod float_keys;
mod foreign_key_cascades;
mod foreign_key_targets;
mod foreign_keys;
mod full_text_ids;
mod generated_columns;
mod gtid_mode;
mod heartbeat;
mod invisible_columns;
mod json_types;
mod local_infile;
mod log_replica_updates;
mod lower_case_table_names;
mod max_allowed_packet;
mod merge_tables;
mod name_collisions;
mod name_conflicts;
mod name_rules;
mod online_schema_change;
mod prepared_transactions;
mod primary_keys;
mod program_definers;
mod program_logging;
mod row_metadata;
mod row_operations;
mod row_value_options;
mod same_server;
mod server_id;
mod source_is_writer;
mod source_privileges;
mod source_retention;
mod sql_mode;
mod storage_engines;
mod stored_programs;
mod supported;
mod system_versioning;
mod text_keys;
mod time_zone;
mod timestamp_defaults;
mod transaction_compression;
mod trial;
mod version;
mod views;

use super::context::Context;
use super::finding::Finding;

/// A check and the name under which it is reported and ignored.
pub struct Check {
    pub name: &'static str,
    pub needs: Needs,
    pub run: fn(&Context) -> Option<Finding>,
}

/// What a check says something about; it is left out where there is no such thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Servers and manifest only.
    Servers,
    /// The binary log is followed.
    Log,
    /// The selected tables could be read.
    Tables,
    /// Both.
    LogAndTables,
}

impl Needs {
    /// Whether the log must be followed.
    pub fn log(self) -> bool {
        matches!(self, Self::Log | Self::LogAndTables)
    }

    /// Whether the tables must have been read.
    pub fn tables(self) -> bool {
        matches!(self, Self::Tables | Self::LogAndTables)
    }
}

type Run = fn(&Context) -> Option<Finding>;

const fn check(name: &'static str, needs: Needs, run: Run) -> Check {
    Check { name, needs, run }
}

/// In the order of the report. Names are part of the interface: manifests ignore items by them.
pub const CHECKS: &[Check] = &[
    check("Supported", Needs::Servers, supported::check),
    check("SourceVersion", Needs::Servers, version::check_source),
    check("DestinationVersion", Needs::Servers, version::check_destination),
    check("Encryption", Needs::Servers, encryption::check),
    check("SourcePrivileges", Needs::Servers, source_privileges::check),
    check("DestinationPrivileges", Needs::Servers, destination_privileges::check),
    check("SameServer", Needs::Tables, same_server::check),
    check("SourceIsWriter", Needs::Log, source_is_writer::check),
    check("BinaryLog", Needs::Log, binary_log::check),
    check("BinaryLogFormat", Needs::Log, binary_log_format::check),
    check("BinaryLogRowImage", Needs::Log, binary_log_row_image::check),
    check("BinaryLogFilters", Needs::Log, binary_log_filters::check),
    check("LogReplicaUpdates", Needs::Log, log_replica_updates::check),
    check("RowMetadata", Needs::Log, row_metadata::check),
    check("RowValueOptions", Needs::Log, row_value_options::check),
    check("TransactionCompression", Needs::Log, transaction_compression::check),
    check("SourceRetention", Needs::Log, source_retention::check),
    check("PreparedTransactions", Needs::Log, prepared_transactions::check),
    check("GtidMode", Needs::Log, gtid_mode::check),
    check("ServerId", Needs::Log, server_id::check),
    check("PrimaryKeys", Needs::Tables, primary_keys::check),
    check("RowOperations", Needs::LogAndTables, row_operations::check),
    check("FloatKeys", Needs::Tables, float_keys::check),
    check("TextKeys", Needs::Tables, text_keys::check),
    check("NameConflicts", Needs::Tables, name_conflicts::check),
    check("NameCollisions", Needs::Tables, name_collisions::check),
    check("DestinationInUse", Needs::Tables, destination_in_use::check),
    check("DestinationTables", Needs::Tables, destination_tables::check),
    check("NameRules", Needs::Tables, name_rules::check),
    check("LowerCaseTableNames", Needs::Servers, lower_case_table_names::check),
    check("DestinationWritable", Needs::Servers, destination_writable::check),
    check("DestinationSpace", Needs::Tables, destination_space::check),
    check("ForeignKeys", Needs::Tables, foreign_keys::check),
    check("ForeignKeyTargets", Needs::Tables, foreign_key_targets::check),
    check("ForeignKeyCascades", Needs::LogAndTables, foreign_key_cascades::check),
    check("StorageEngines", Needs::Tables, storage_engines::check),
    check("SystemVersioning", Needs::Tables, system_versioning::check),
    check("MergeTables", Needs::LogAndTables, merge_tables::check),
    check("CharacterSets", Needs::Tables, character_sets::check),
    check("FullTextIds", Needs::LogAndTables, full_text_ids::check),
    check("Definitions", Needs::Tables, definitions::check),
    check("Views", Needs::Tables, views::check),
    check("Trial", Needs::Tables, trial::check),
    check("SqlMode", Needs::Servers, sql_mode::check),
    check("TimeZone", Needs::Servers, time_zone::check),
    check("TimestampDefaults", Needs::Tables, timestamp_defaults::check),
    check("MaxAllowedPacket", Needs::Servers, max_allowed_packet::check),
    check("EncryptedColumns", Needs::Tables, encrypted_columns::check),
    check("OnlineSchemaChange", Needs::Tables, online_schema_change::check),
    check("InvisibleColumns", Needs::Tables, invisible_columns::check),
    check("JsonTypes", Needs::Tables, json_types::check),
    check("GeneratedColumns", Needs::Tables, generated_columns::check),
    check("StoredPrograms", Needs::Tables, stored_programs::check),
    check("ProgramDefiners", Needs::Tables, program_definers::check),
    check("ProgramLogging", Needs::Tables, program_logging::check),
    check("LocalInfile", Needs::Servers, local_infile::check),
    check("Heartbeat", Needs::Servers, heartbeat::check),
];
