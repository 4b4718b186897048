//! The arrows of docs/design.md ("Walls"), held by what cargo says of the workspace: no member knows one that it must not know. Inside a member
//! the compiler lets folders know each other in circles; the imports are read for that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
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
    ("godwit-engine", &["godwit-api", "godwit-model", "godwit-tablestore"]),
    (
        "godwit",
        &[
            "godwit-api",
            "godwit-service",
            "godwit-operator",
            "godwit-engine",
            "godwit-model",
            "godwit-tablestore",
            "godwit-tablestore-server",
            "godwit-testkit",
        ],
    ),
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

/// Modules of a member's root, each with those it names: a folder is one, and so is each file beside it. Tests do not count.
fn modules(member: &str) -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(member).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let mut modules: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let inside = path.strip_prefix(&root).unwrap();
        let parts: Vec<&str> = inside.iter().map(|part| part.to_str().unwrap()).collect();
        let is_test = |part: &&str| ["tests", "simulation", "fixture", "fuzz"].iter().any(|word| part.contains(word));
        if parts.iter().any(is_test) || parts == ["lib.rs"] {
            continue;
        }
        let module = parts[0].trim_end_matches(".rs").to_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        let mut climbs = vec!["crate::"];
        // From a module of the root `super` is the root.
        if parts.len() == 1 || (parts.len() == 2 && parts[1] == "mod.rs") {
            climbs.push("super::");
        }
        let known = modules.entry(module.clone()).or_default();
        for climb in climbs {
            known.extend(code.split(climb).skip(1).flat_map(named).filter(|name| *name != module));
        }
    }
    modules
}

/// What follows `crate::`: a name, or several in braces.
fn named(rest: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    match rest.strip_prefix('{') {
        Some(list) => list.split('}').next().unwrap_or_default().split(',').map(|item| word(item.trim())).collect(),
        None => vec![word(rest)],
    }
}

/// A way from a module back to itself through a folder; a circle of files that stand side by side is none between folders.
fn circle(modules: &BTreeMap<String, BTreeSet<String>>, is_folder: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let way = |from: &str| {
        let mut ways = vec![vec![from.to_owned()]];
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop() {
            for next in modules.get(way.last()?)?.iter().filter(|next| modules.contains_key(*next)) {
                let mut further = way.clone();
                further.push(next.clone());
                if next == from {
                    return Some(further);
                }
                if seen.insert(next.clone()) {
                    ways.push(further);
                }
            }
        }
        None
    };
    modules.keys().filter(|name| is_folder(name)).find_map(|name| way(name))
}

#[test]
fn folders_of_a_member_do_not_know_each_other_in_circles() {
    for member in ["model", "api", "service", "operator", "engine"] {
        let modules = modules(member);
        assert!(!modules.is_empty(), "{member}");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(member).join("src");
        let found = circle(&modules, |name| root.join(name).is_dir());
        assert_eq!(found, None, "{member}: see docs/design.md, \"Walls\"");
    }
}

#[test]
fn a_circle_would_be_found() {
    let text = |known: &[&str]| known.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let mut modules =
        BTreeMap::from([("plan".into(), text(&["schema"])), ("schema".into(), text(&["sql"])), ("sql".into(), text(&[]))]);
    assert_eq!(circle(&modules, |_| true), None);
    modules.insert("sql".into(), text(&["plan"]));
    assert_eq!(circle(&modules, |name| name == "sql"), Some(text_in_order(&["sql", "plan", "schema", "sql"])));
    assert_eq!(named("{plan::Plan, sql}; x"), text_in_order(&["plan", "sql"]));
}

fn text_in_order(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
