//! What the manifest asks for and this version cannot do. Nothing is ignored silently: the precheck refuses the task with these
//! sentences.

use godwit_api::{DdlOperation, DirtyData, MigrationTaskSpec, OnlineDdlMode, TableEngine, TableSelection};

/// One sentence each, with the field's path and what to do.
pub fn unsupported(spec: &MigrationTaskSpec) -> Vec<String> {
    let mut found = Vec::new();
    let mut refuse = |asked: bool, field: &str, what: &str, instead: &str| {
        if asked {
            found.push(format!("{field}: {what} not supported by this version; {instead}"));
        }
    };
    if let Some(tablestore) = &spec.destination.tablestore {
        let field = "spec.destination.tablestore.dirtyData";
        refuse(
            tablestore.dirty_data == DirtyData::Skip,
            field,
            "skipping rows is",
            "use Block: the task stops and names the row",
        );
        let verifies = spec.verification.full.is_some() || spec.verification.schema;
        refuse(verifies, "spec.verification", "comparing with Tablestore is", "remove it");
    }
    let engine = spec.destination.mysql.as_ref().map(|mysql| mysql.table_engine);
    refuse(
        engine == Some(TableEngine::XEngine),
        "spec.destination.mysql.tableEngine",
        "X-Engine tables are",
        "use InnoDB or AsSource",
    );
    let is_tablestore = spec.destination.tablestore.is_some();
    let (ddl, instead) = ddl_choice(is_tablestore);
    refuse(is_unknown(&spec.ddl, is_tablestore), "spec.ddl", ddl, instead);
    for (index, object) in spec.objects.iter().enumerate() {
        let field = format!("spec.objects[{index}]");
        refuse(is_unknown(&object.ddl, is_tablestore), &format!("{field}.ddl"), ddl, instead);
        for (place, table) in object.tables.iter().flatten().enumerate() {
            for (name, asked, what) in table_options(table, is_tablestore) {
                refuse(asked, &format!("{field}.tables[{place}].{name}"), what, "remove it");
            }
        }
    }
    refuse(
        spec.accounts.migrate,
        "spec.accounts.migrate",
        "migration of accounts is",
        "set it to false and create the accounts by hand",
    );
    refuse(spec.float_precision.is_some(), "spec.floatPrecision", "rounding is", "remove it; values arrive bit for bit");
    refuse(
        spec.online_ddl.mode != OnlineDdlMode::Copy,
        "spec.onlineDdl.mode",
        "special treatment of online schema change tools is",
        "set it to Copy: their tables are migrated like others",
    );
    let patterns = spec.online_ddl.shadow_tables.is_some() || spec.online_ddl.trash_tables.is_some();
    refuse(
        patterns && spec.online_ddl.mode == OnlineDdlMode::Copy,
        "spec.onlineDdl",
        "shadowTables and trashTables are",
        "remove them",
    );
    refuse(spec.verification.incremental, "spec.verification.incremental", "incremental verification is", "set it to false");
    refuse(spec.alerts.webhook.is_some(), "spec.alerts.webhook", "webhooks are", "remove it; events and metrics report the same");
    refuse(
        spec.cutover.requested,
        "spec.cutover.requested",
        "the cut-over is",
        "set it to false and switch the application by hand",
    );
    found
}

/// Kinds of definition statements that are carried out.
const CARRIED_OUT: [DdlOperation; 8] = [
    DdlOperation::CreateTable,
    DdlOperation::AlterTable,
    DdlOperation::AlterPartition,
    DdlOperation::RenameTable,
    DdlOperation::TruncateTable,
    DdlOperation::DropTable,
    DdlOperation::CreateIndex,
    DdlOperation::DropIndex,
];

fn is_unknown(chosen: &Option<Vec<DdlOperation>>, is_tablestore: bool) -> bool {
    chosen.as_ref().is_some_and(|chosen| is_tablestore || chosen.iter().any(|one| !CARRIED_OUT.contains(one)))
}

/// What is not supported, and what to do.
fn ddl_choice(is_tablestore: bool) -> (&'static str, &'static str) {
    match is_tablestore {
        true => ("a choice of definition statements is", "remove it"),
        false => (
            "carrying out other statements than those on tables and indexes is",
            "choose among CreateTable, AlterTable, AlterPartition, RenameTable, TruncateTable, DropTable, CreateIndex and DropIndex",
        ),
    }
}

fn table_options(table: &TableSelection, is_tablestore: bool) -> [(&'static str, bool, &'static str); 5] {
    [
        ("where", table.row_filter.is_some(), "row filters are"),
        ("ddl", is_unknown(&table.ddl, is_tablestore), ddl_choice(is_tablestore).0),
        ("etl", table.etl.is_some(), "ETL is"),
        (
            "primaryKey",
            !is_tablestore && !table.primary_key.is_empty(),
            "a primary key of its own in a MySQL-family destination is",
        ),
        (
            "columnTypes",
            !is_tablestore && !table.column_types.is_empty(),
            "choice of column types in a MySQL-family destination is",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What this version refuses stands in comments only.
    #[test]
    fn no_sample_is_refused_by_this_version() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/samples");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.ends_with(".yaml") || name == "kustomization.yaml" {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let refused = unsupported(&godwit_api::manifest::parse(&text, &name).unwrap().task.spec);
            assert_eq!(refused, Vec::<String>::new(), "{name}");
            seen += 1;
        }
        assert!(seen > 5, "{seen} samples");
    }
}
