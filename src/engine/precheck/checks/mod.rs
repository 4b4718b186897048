//! The checks: one file each, a pure function over the gathered [`Context`]. None: it does not apply to this task.

mod binary_log;
mod binary_log_filters;
mod binary_log_format;
mod binary_log_row_image;
mod character_sets;
mod destination_privileges;
mod destination_space;
mod destination_tables;
mod destination_writable;
mod encrypted_columns;
mod float_keys;
mod foreign_key_cascades;
mod foreign_keys;
mod generated_columns;
mod gtid_mode;
mod heartbeat;
mod invisible_columns;
mod local_infile;
mod log_replica_updates;
mod lower_case_table_names;
mod max_allowed_packet;
mod name_conflicts;
mod name_rules;
mod online_schema_change;
mod primary_keys;
mod row_metadata;
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
mod time_zone;
mod transaction_compression;
mod version;

use super::context::Context;
use super::finding::Finding;

/// A check and the name under which it is reported and ignored.
pub struct Check {
    pub name: &'static str,
    /// Runs only where the binary log is followed.
    pub follows_log: bool,
    pub run: fn(&Context) -> Option<Finding>,
}

const fn always(name: &'static str, run: fn(&Context) -> Option<Finding>) -> Check {
    Check { name, follows_log: false, run }
}

const fn log(name: &'static str, run: fn(&Context) -> Option<Finding>) -> Check {
    Check { name, follows_log: true, run }
}

/// In the order of the report. Names are part of the interface: manifests ignore items by them.
pub const CHECKS: &[Check] = &[
    always("Supported", supported::check),
    always("SourceVersion", version::check_source),
    always("DestinationVersion", version::check_destination),
    always("SourcePrivileges", source_privileges::check),
    always("DestinationPrivileges", destination_privileges::check),
    always("SameServer", same_server::check),
    log("SourceIsWriter", source_is_writer::check),
    log("BinaryLog", binary_log::check),
    log("BinaryLogFormat", binary_log_format::check),
    log("BinaryLogRowImage", binary_log_row_image::check),
    log("BinaryLogFilters", binary_log_filters::check),
    log("LogReplicaUpdates", log_replica_updates::check),
    log("RowMetadata", row_metadata::check),
    log("RowValueOptions", row_value_options::check),
    log("TransactionCompression", transaction_compression::check),
    log("SourceRetention", source_retention::check),
    log("GtidMode", gtid_mode::check),
    log("ServerId", server_id::check),
    always("PrimaryKeys", primary_keys::check),
    always("FloatKeys", float_keys::check),
    always("NameConflicts", name_conflicts::check),
    always("DestinationTables", destination_tables::check),
    always("NameRules", name_rules::check),
    always("LowerCaseTableNames", lower_case_table_names::check),
    always("DestinationWritable", destination_writable::check),
    always("DestinationSpace", destination_space::check),
    always("ForeignKeys", foreign_keys::check),
    log("ForeignKeyCascades", foreign_key_cascades::check),
    always("StorageEngines", storage_engines::check),
    always("CharacterSets", character_sets::check),
    always("SqlMode", sql_mode::check),
    always("TimeZone", time_zone::check),
    always("MaxAllowedPacket", max_allowed_packet::check),
    always("EncryptedColumns", encrypted_columns::check),
    always("OnlineSchemaChange", online_schema_change::check),
    always("InvisibleColumns", invisible_columns::check),
    always("GeneratedColumns", generated_columns::check),
    always("StoredPrograms", stored_programs::check),
    always("LocalInfile", local_infile::check),
    log("Heartbeat", heartbeat::check),
];
