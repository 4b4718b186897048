//! The arrows of docs/design.md ("Walls"), held by what cargo says of the workspace: no member knows one that it must not know.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Who may know whom of the workspace. What a member knows only in its tests counts as well.
const ARROWS: [(&str, &[&str]); 9] = [
    ("godwit-testkit", &[]),
    ("godwit-tablestore", &[]),
    ("godwit-tablestore-server", &["godwit-tablestore"]),
    ("godwit-model", &[]),
    ("godwit-api", &[]),
    ("godwit-service", &[]),
    ("godwit-operator", &["godwit-api", "godwit-service"]),
    ("godwit-engine", &["godwit-api", "godwit-model"]),
    ("godwit", &["godwit-api", "godwit-service", "godwit-operator", "godwit-engine", "godwit-model", "godwit-testkit"]),
];

/// What belongs to one side of the wall: no other member may use it.
const OUTSIDE: [(&str, &[&str]); 7] = [
    ("mysql_async", &["godwit", "godwit-engine", "godwit-testkit"]),
    ("mysql_common", &["godwit", "godwit-engine"]),
    ("prost", &["godwit-tablestore"]),
    ("hyper-rustls", &["godwit-tablestore"]),
    ("k8s-controller", &["godwit-operator"]),
    ("axum", &["godwit", "godwit-operator", "godwit-service"]),
    ("prometheus-client", &["godwit", "godwit-operator"]),
];

/// Every member with the packages that it names.
fn members() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |of: &Value| of["name"].as_str().unwrap().to_owned();
    let packages = said["packages"].as_array().unwrap().iter();
    packages.map(|package| (name(package), package["dependencies"].as_array().unwrap().iter().map(name).collect())).collect()
}

#[test]
fn members_know_only_those_below_them() {
    let members = members();
    let drawn: BTreeSet<&str> = ARROWS.iter().map(|(member, _)| *member).collect();
    assert_eq!(members.keys().map(String::as_str).collect::<BTreeSet<_>>(), drawn, "a member that is not drawn");
    for (member, may) in ARROWS {
        let known: Vec<&str> = members[member].iter().map(String::as_str).filter(|name| drawn.contains(name)).collect();
        let wrong: Vec<&&str> = known.iter().filter(|name| !may.contains(name)).collect();
        assert!(wrong.is_empty(), "{member} must not know {wrong:?}");
        let unused: Vec<&&str> = may.iter().filter(|name| !known.contains(name)).collect();
        assert!(unused.is_empty(), "{member} does not know {unused:?}: take the arrow out of the drawing");
    }
}

#[test]
fn what_belongs_to_one_side_is_used_there_only() {
    let members = members();
    for (package, may) in OUTSIDE {
        let users: Vec<&str> =
            members.iter().filter(|(_, names)| names.contains(package)).map(|(member, _)| member.as_str()).collect();
        assert!(!users.is_empty(), "nobody uses {package}");
        let wrong: Vec<&&str> = users.iter().filter(|user| !may.contains(user)).collect();
        assert!(wrong.is_empty(), "{package} is used by {wrong:?}");
    }
}
