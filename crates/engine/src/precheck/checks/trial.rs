//! What the destination said when its definitions were tried.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, count, some};
use crate::precheck::trial::{Failure, Trial, Tried};

const WHY: &str =
    "the destination refuses what the task would create there; found out in a database that was made for it and dropped";

pub(super) fn check(context: &Context) -> Option<Finding> {
    match &context.trial {
        Trial::LeftOut => None,
        Trial::NothingToMake => Some(Finding::passed("every object stands at the destination already; nothing was tried")),
        Trial::Impossible { why, remedy } => Some(Finding::warning(
            format!("the definitions were not tried at the destination: {why}"),
            "whether the destination takes every table and view is then known only when the task makes them",
            format!("{remedy}\nor leave the trial out with spec.precheck.trial: false"),
        )),
        Trial::Done(tried) => Some(done(tried)),
    }
}

fn done(tried: &Tried) -> Finding {
    let programs = match tried.programs {
        0 => String::new(),
        some => format!(", {}", count(some, "stored program")),
    };
    let objects = format!("{} and {}{programs}", count(tried.tables, "table"), count(tried.views, "view"));
    if !tried.table_failures.is_empty() {
        let others = tried.program_failures.iter().chain(&tried.view_failures);
        let all: Vec<&Failure> = tried.table_failures.iter().chain(others).collect();
        return Finding::failed(format!("of {objects} tried: {}", sentences(&all)), WHY, remedies(&all));
    }
    if !tried.program_failures.is_empty() {
        // Views may fail for want of a function.
        let all: Vec<&Failure> = tried.program_failures.iter().chain(&tried.view_failures).collect();
        let remedy = "change the program at the source to what both servers take, let the destination's account make it, or ignore this item: what is \
                      named will be missing";
        return Finding::warning(format!("of {objects} tried: {}", sentences(&all)), WHY, remedy);
    }
    if !tried.view_failures.is_empty() {
        let all: Vec<&Failure> = tried.view_failures.iter().collect();
        let remedy = "create what the view needs at the destination first, change it at the source, leave it out with excludeTables, or ignore this \
                      item: the view will be missing";
        return Finding::warning(format!("of {objects} tried, views: {}", sentences(&all)), WHY, remedy);
    }
    let unmarked = match tried.unmarked.is_empty() {
        true => String::new(),
        false => format!("; DROP DATABASE {}: empty, and named like an interrupted trial", some(&tried.unmarked)),
    };
    Finding::passed(format!("the destination takes {objects}, tried in a database that was dropped again{unmarked}"))
}

fn sentences(failures: &[&Failure]) -> String {
    let sentence = |failure: &&Failure| match failure.code {
        0 => format!("{}: {}", failure.object, failure.error),
        code => format!("{}: {} (error {code})", failure.object, failure.error),
    };
    let sentences: Vec<String> = failures.iter().map(sentence).collect();
    some(&sentences)
}

/// What helps against each kind of refusal, once.
fn remedies(failures: &[&Failure]) -> String {
    let mut remedies: Vec<&str> = Vec::new();
    for failure in failures {
        let remedy = remedy(failure.code);
        if !remedies.contains(&remedy) {
            remedies.push(remedy);
        }
    }
    remedies.push(
        "or leave the table out with excludeTables, or create it at the destination by hand, and leave Schema out of spec.migrationTypes or \
         set conflictPolicy: IgnoreErrorsAndProceed",
    );
    remedies.join("\n")
}

fn remedy(code: u16) -> &'static str {
    match code {
        // ER_NO_DB_ERROR, ER_SP_DOES_NOT_EXIST, "disallowed function" in generated columns, defaults, checks and indexes; MariaDB's 1901.
        1046 | 1305 | 1370 | 3763 | 3770 | 3814 | 3815 | 3758 | 1901 => {
            "replace the function in the table's definition at the source by one that both servers have (ALTER TABLE … MODIFY the column, the \
             check or the index)"
        }
        // ER_TOO_BIG_ROWSIZE.
        1118 => "make columns of the table TEXT or BLOB at the source, or choose ROW_FORMAT=DYNAMIC there",
        // ER_TOO_LONG_KEY, ER_INDEX_COLUMN_TOO_LONG.
        1071 | 1709 => "shorten the index or give it a prefix at the source, or choose ROW_FORMAT=DYNAMIC there",
        // ER_UNKNOWN_COLLATION, ER_UNKNOWN_CHARACTER_SET, ER_COLLATION_CHARSET_MISMATCH.
        1273 | 1115 | 1253 => "change the collation at the source to one that both servers have",
        // ER_INVALID_DEFAULT, ER_CANT_AGGREGATE_2COLLATIONS and its kin, ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, MariaDB's 1918.
        1067 => "give the column a default at the source that its character set and its type can hold",
        1267 | 1270 | 1271 | 1366 | 1918 | 3854 => {
            "say the literals of the expression at the source in the character set of the columns that they stand with, without an introducer"
        }
        // ER_FK_DUP_NAME, ER_CHECK_CONSTRAINT_DUP_NAME, ER_DUP_KEY.
        1826 | 3822 | 1022 => "give the constraint another name at the source; the item NameCollisions names both owners",
        // ER_PARSE_ERROR.
        1064 => "change the definition at the source: the destination does not read what its server prints",
        _ => "change the definition at the source to one that both servers take",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::context;
    use godwit_api::Verdict;

    fn failure(object: &str, code: u16) -> Failure {
        Failure { object: object.into(), code, error: "refused".into() }
    }

    #[test]
    fn each_outcome_has_its_verdict() {
        let mut context = context();
        assert_eq!(check(&context), None);
        context.trial = Trial::Impossible { why: "no CREATE".into(), remedy: "GRANT CREATE;".into() };
        let found = check(&context).unwrap();
        assert!(
            found.verdict == Verdict::Warning && found.remedy.contains("GRANT CREATE;") && found.remedy.contains("trial: false")
        );
        let mut tried = Tried { tables: 3, views: 1, ..Tried::default() };
        context.trial = Trial::Done(tried.clone());
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        tried.programs = 1;
        tried.program_failures.push(failure("function shop.f", 0));
        context.trial = Trial::Done(tried.clone());
        let found = check(&context).unwrap();
        assert!(
            found.verdict == Verdict::Warning && found.seen.contains("1 stored program tried: function shop.f: refused"),
            "{found:?}"
        );
        tried.program_failures.clear();
        tried.view_failures.push(failure("shop.v", 1305));
        context.trial = Trial::Done(tried.clone());
        let found = check(&context).unwrap();
        assert!(found.verdict == Verdict::Warning && found.seen.contains("shop.v: refused (error 1305)"), "{found:?}");
        tried.table_failures = vec![failure("shop.a", 1118), failure("shop.b", 1118), failure("shop.c", 3763)];
        context.trial = Trial::Done(tried);
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("shop.a") && found.seen.contains("shop.v"), "{found:?}");
        assert!(found.remedy.matches("TEXT or BLOB").count() == 1 && found.remedy.contains("replace the function"), "{found:?}");
        assert!(remedy(1067).contains("default") && remedy(1267).contains("introducer"));
    }
}
