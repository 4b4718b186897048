//! Row images are complete.

use crate::precheck::context::Context;
use crate::precheck::finding::Finding;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let image = context.source.variable("binlog_row_image").unwrap_or("FULL");
    if image.eq_ignore_ascii_case("FULL") {
        return Some(Finding::passed("binlog_row_image is FULL"));
    }
    Some(Finding::failed(
        format!("binlog_row_image is {image}"),
        "an image without all columns does not tell the row that it belongs to; missing values would have to be read again, at another point in time",
        format!(
            "{}\nThen reconnect the application: open sessions keep the old value.",
            context.source.set_variable("binlog_row_image", "FULL")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn only_full_images_pass() {
        for (value, expected) in [
            ("FULL", Verdict::Passed),
            ("MINIMAL", Verdict::Failed),
            ("NOBLOB", Verdict::Failed),
            ("FULL_NODUP", Verdict::Failed),
        ] {
            let mut context = context();
            set(&mut context.source, "binlog_row_image", value);
            let found = check(&context).unwrap();
            assert_eq!(found.verdict, expected, "{value}");
            assert!(found.verdict == Verdict::Passed || found.remedy.starts_with("SET PERSIST binlog_row_image = FULL;"));
        }
    }
}
