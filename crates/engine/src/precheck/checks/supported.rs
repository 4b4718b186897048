//! What the manifest asks for and this version cannot do is refused by name.

use crate::precheck::context::Context;
use crate::precheck::finding::Finding;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let refused = &context.plan.unsupported;
    if refused.is_empty() {
        return Some(Finding::passed("everything that the manifest asks for can be done"));
    }
    Some(Finding::failed(
        refused.join("\n"),
        "an option that is silently ignored would migrate something else than what was asked for",
        "change the manifest as stated for each field",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::context;
    use godwit_api::Verdict;

    #[test]
    fn refuses_by_name() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.plan.unsupported.push("spec.ddl: …".into());
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("spec.ddl"));
    }
}
