//! Which changes between two runs show in the fingerprint, and which do not.

use super::*;

fn changed(before: &[(&str, Value)], after: &[(&str, Value)]) -> Vec<String> {
    let old = resume_fingerprint(&spec_with(before));
    let new = resume_fingerprint(&spec_with(after));
    let mut paths: Vec<String> = old
        .iter()
        .filter(|part| !new.contains(part))
        .chain(new.iter().filter(|part| !old.contains(part)))
        .map(|part| part.0.clone())
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

#[test]
fn what_must_stay_shows_with_its_path() {
    let cases: [(&str, Value, &str); 10] = [
        ("/spec/migrationTypes", json!(["Full"]), "spec.migrationTypes"),
        ("/spec/destination/recordsDatabase", json!("other"), "spec.destination"),
        ("/spec/destination/mysql/tableEngine", json!("AsSource"), "spec.destination"),
        ("/spec/excludeDatabases", json!(["tmp"]), "spec.excludeDatabases"),
        ("/spec/conflictPolicy", json!("IgnoreErrorsAndProceed"), "spec.conflictPolicy"),
        ("/spec/nameCase", json!("Lower"), "spec.nameCase"),
        ("/spec/definer", json!("Keep"), "spec.definer"),
        ("/spec/triggers", json!("Manual"), "spec.triggers"),
        ("/spec/floatPrecision", json!({}), "spec.floatPrecision"),
        ("/spec/objects", json!([{"database": "shop"}]), "spec.objects[shop]"),
    ];
    for (pointer, value, path) in cases {
        assert_eq!(changed(&[], &[(pointer, value)]), [path]);
    }
    let objects = |value: Value| [("/spec/objects", value)];
    let one = objects(json!([{"database": "shop", "tables": [{"table": "a"}]}, {"database": "crm"}]));
    let two = objects(json!([{"database": "shop", "tables": [{"table": "a", "where": "id > 3"}]}, {"database": "crm"}]));
    assert_eq!(changed(&one, &two), ["spec.objects[shop]"]);
    let first = objects(json!([{"database": "a*"}, {"database": "*b"}]));
    let second = objects(json!([{"database": "*b"}, {"database": "a*"}]));
    assert_eq!(changed(&first, &second), ["spec.objects"]);
}

#[test]
fn what_may_change_does_not_show() {
    let free = [
        ("/spec/source/mysql/host", json!("b.example.com")),
        ("/spec/source/mysql/tls", json!({"mode": "Required"})),
        ("/spec/destination/mysql/port", json!(3307)),
        ("/spec/migrationTypes", json!(["Incremental", "Full", "Schema"])),
        ("/spec/throttle/full/rowsPerSecond", json!(100)),
        ("/spec/retry/connectionMinutes", json!(60)),
        ("/spec/verification/schema", json!(true)),
        ("/spec/cutover/requested", json!(true)),
        ("/spec/desiredState", json!("Paused")),
        ("/spec/cluster/units", json!(4)),
        ("/spec/dml", json!(["Insert"])),
    ];
    for change in free {
        assert_eq!(changed(&[], std::slice::from_ref(&change)), Vec::<String>::new(), "{}", change.0);
    }
    let one = [("/spec/objects", json!([{"database": "shop", "tables": [{"table": "a"}]}, {"database": "crm"}]))];
    let two = [(
        "/spec/objects",
        json!([{"database": "crm"}, {"database": "shop", "ddl": [], "tables": [{"table": "a", "dml": ["Insert"]}]}]),
    )];
    assert_eq!(changed(&one, &two), Vec::<String>::new());
}
