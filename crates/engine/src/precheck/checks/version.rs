//! Versions that are known to work, upgrades with what they change, downgrades and changes of family.

use crate::precheck::context::{Context, Server};
use crate::precheck::finding::Finding;
use godwit_api::Flavor;
use godwit_model::server::ServerInfo;

/// `SourceVersion`.
pub(super) fn check_source(context: &Context) -> Option<Finding> {
    let source = &context.source;
    let contradiction = contradicts(context.spec.source.mysql.flavor, source, "spec.source.mysql.flavor");
    Some(contradiction.or_else(|| known(source, "source")).unwrap_or_else(|| Finding::passed(source.describe())))
}

/// The manifest may say what the server is; where it says wrong, it is another server than was meant.
fn contradicts(flavor: Flavor, server: &Server, field: &str) -> Option<Finding> {
    let says_mariadb = match flavor {
        Flavor::Auto => return None,
        Flavor::MariaDB => true,
        Flavor::MySQL | Flavor::PolarDB | Flavor::Aurora => false,
    };
    (says_mariadb != server.info.is_mariadb()).then(|| {
        Finding::failed(
            format!("{field} is {flavor:?}, but the server is {}", server.describe()),
            "it may be another server than was meant",
            format!("correct the address, or set {field}: Auto"),
        )
    })
}

/// `DestinationVersion`: also compares both.
pub(super) fn check_destination(context: &Context) -> Option<Finding> {
    let (source, destination) = (&context.source, &context.destination);
    let flavor = context.spec.destination.mysql.as_ref().map(|mysql| mysql.flavor).unwrap_or_default();
    let contradiction = contradicts(flavor, destination, "spec.destination.mysql.flavor");
    if let Some(found) = contradiction.or_else(|| known(destination, "destination")) {
        return Some(found);
    }
    let pair = format!("{} to {}", source.describe(), destination.describe());
    if source.info.flavor == destination.info.flavor && series(&destination.info) < series(&source.info) {
        return Some(Finding::warning(
            format!("{pair}: a downgrade"),
            "the destination may lack data types, collations, functions and syntax that the source has; a definition or a statement that it \
             does not understand stops the task",
            "use a destination of the source's version or later, or ignore this item after a look at `godwit plan`",
        ));
    }
    let notes = differences(&source.info, &destination.info);
    let text = if notes.is_empty() { pair } else { format!("{pair}; for the application: {}", notes.join("; ")) };
    Some(Finding::passed(text))
}

fn known(server: &Server, side: &str) -> Option<Finding> {
    let (oldest, newest, range) = if server.info.is_mariadb() {
        ((10, 11), (11, u16::MAX), "MariaDB 10.11 to 11.x")
    } else {
        ((5, 7), (9, u16::MAX), "MySQL 5.7 to 9.x")
    };
    if series(&server.info) < oldest {
        return Some(Finding::failed(
            format!("{}: too old", server.describe()),
            format!(
                "the {side} must be {range}: older servers write binary logs and definitions in forms that are not read here"
            ),
            format!("upgrade the {side}"),
        ));
    }
    (series(&server.info) > newest).then(|| {
        Finding::warning(
            format!("{}: newer than what was tested", server.describe()),
            format!(
                "this version of Godwit is tested with {range}; an unknown event in the log stops the task, it is never skipped"
            ),
            "use a newer Godwit, or ignore this item",
        )
    })
}

fn series(info: &ServerInfo) -> (u16, u16) {
    (info.version.0, info.version.1)
}

/// What a change of version or family means for the application, not for the migration.
fn differences(source: &ServerInfo, destination: &ServerInfo) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if source.is_mariadb() != destination.is_mariadb() {
        notes.push("MySQL and MariaDB differ in JSON (a type of its own in MySQL, text in MariaDB), in collation names, in GTIDs and in the optimizer");
        return notes;
    }
    if source.is_mariadb() {
        return notes;
    }
    let crosses = |version| series(source) < version && series(destination) >= version;
    if crosses((8, 0)) {
        notes.push("8.0 has new reserved words, GROUP BY no longer sorts, new tables default to utf8mb4_0900_ai_ci, accounts to caching_sha2_password");
    }
    if crosses((8, 4)) {
        notes.push("8.4 does not load mysql_native_password by default and wants a unique key under a foreign key");
    }
    if crosses((9, 0)) {
        notes.push("9.0 has no mysql_native_password");
    }
    if crosses((9, 6)) {
        notes.push("from 9.6 on cascades of foreign keys are in the binary log");
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::context;
    use godwit_api::Verdict::{self, *};

    fn verdicts(source: &str, destination: &str) -> (Verdict, Verdict, String) {
        let mut context = context();
        context.source.info = ServerInfo::parse(source);
        context.destination.info = ServerInfo::parse(destination);
        let found = check_destination(&context).unwrap();
        (check_source(&context).unwrap().verdict, found.verdict, found.seen)
    }

    #[test]
    fn ranges_upgrades_and_downgrades() {
        for (source, destination, expected) in [
            ("8.0.36", "9.7.4", (Passed, Passed)),
            ("5.7.22-log", "8.0.15", (Passed, Passed)),
            ("8.4.1", "8.4.0", (Passed, Passed)),
            ("5.6.50", "8.0.15", (Failed, Passed)),
            ("9.7.4", "8.0.36", (Passed, Warning)),
            ("10.0.1", "10.0.1", (Warning, Warning)),
            ("11.4.5-MariaDB", "9.7.4", (Passed, Passed)),
            ("10.6.1-MariaDB", "11.4.5-MariaDB", (Failed, Passed)),
            ("12.1.2-MariaDB", "12.1.2-MariaDB", (Warning, Warning)),
        ] {
            let (a, b, text) = verdicts(source, destination);
            assert_eq!((a, b), expected, "{source} {destination} {text}");
        }
        assert!(verdicts("5.7.44", "9.7.4").2.contains("reserved words"));
        assert!(verdicts("11.4.5-MariaDB", "9.7.4").2.contains("JSON"));
    }
}
