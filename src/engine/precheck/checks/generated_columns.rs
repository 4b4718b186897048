//! Generated columns are computed by the destination; told for the record.

use crate::engine::precheck::context::Context;
use crate::engine::precheck::finding::{Finding, some};
use crate::engine::schema::definition::Generated;

pub fn check(context: &Context) -> Option<Finding> {
    let mut found = Vec::new();
    for table in &context.plan.tables {
        let generated = table.definition.columns.iter().filter(|column| column.generated != Generated::No);
        found.extend(generated.map(|column| format!("{}.{}", table.source, column.name)));
    }
    Some(Finding::passed(if found.is_empty() {
        "no generated columns".to_owned()
    } else {
        format!("computed by the destination from the same expressions: {}", some(&found))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::precheck::fixture::{change_table, context};

    #[test]
    fn passes_and_lists_them() {
        let mut context = context();
        change_table(&mut context, |table| table.columns[1].generated = Generated::Virtual);
        assert!(check(&context).unwrap().seen.contains("shop.orders.state"));
    }
}
