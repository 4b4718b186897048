//! Columns that the server shows encrypted (EncDB) cannot be read as they are. Encryption at rest (TDE) is no matter.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let encrypts = ["encdb", "loose_encdb", "encdb_enabled"].into_iter().find(|name| context.source.flag(name) == Some(true));
    let is_encrypted = |column_type: &str| column_type.to_ascii_lowercase().starts_with("enc_");
    let mut columns = Vec::new();
    for table in &context.plan.tables {
        let found = table.columns.iter().filter(|column| is_encrypted(&column.column.column_type));
        columns.extend(found.map(|column| format!("{}.{}", table.source, column.column.name)));
    }
    let seen = match (encrypts, columns.is_empty()) {
        (None, true) => return Some(Finding::passed("no column encryption; encryption at rest does not matter")),
        (Some(variable), true) => format!("{variable} is ON at the source"),
        (_, false) => format!("encrypted columns: {}", some(&columns)),
    };
    Some(Finding::failed(
        seen,
        "what a SELECT shows of such a column is ciphertext for the reading account, while the log holds another form: the two cannot be brought together",
        "turn column encryption off for the selected tables, or leave the columns out with columns.exclude",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_plan, context, set};
    use godwit_api::Verdict;

    #[test]
    fn encrypted_columns_are_refused() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        change_plan(&mut context, |table| table.columns[1].column.column_type = "enc_text".into());
        assert_eq!(check(&context).unwrap().verdict, Verdict::Failed);
        let mut context = super::tests::context();
        set(&mut context.source, "encdb", "ON");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Failed);
    }
}
