//! Servers that are not there: the precheck says so, with what to do, and ends with 3; the others say it in one sentence.

use serde_json::Value;

use crate::support::{Folder, MANIFEST, with_manifest};

fn failed_items(precheck: &Value) -> Vec<&str> {
    let items = precheck["items"].as_array().unwrap();
    items.iter().filter(|item| item["verdict"] == "Failed").filter_map(|item| item["name"].as_str()).collect()
}

#[test]
fn precheck_names_the_item_and_the_remedy() {
    let folder = Folder::new();
    let manifest = folder.manifest(MANIFEST);
    let ended = with_manifest("precheck", &manifest, &["-o", "json"]);
    assert_eq!(ended.code, 3, "{}", ended.err);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(report["apiVersion"], "godwit.dev/v1alpha1");
    assert!(report["successRate"].as_str().unwrap().ends_with('%'));
    assert!(failed_items(&report).contains(&"SourceConnectivity"), "{report}");
    let item = report["items"].as_array().unwrap().iter().find(|item| item["name"] == "SourceConnectivity").unwrap();
    assert!(item["seen"].as_str().unwrap().contains("127.0.0.1:1") && !item["remedy"].as_str().unwrap().is_empty(), "{item}");

    let ended = with_manifest("precheck", &manifest, &[]);
    assert_eq!(ended.code, 3);
    assert!(ended.out.contains("SourceConnectivity"), "{}", ended.out);
}

#[test]
fn run_ends_with_3_and_leaves_the_report() {
    let folder = Folder::new();
    let status_file = folder.path("status.json");
    let ended = with_manifest("run", &folder.manifest(MANIFEST), &["--status-file", status_file.to_str().unwrap()]);
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(ended.out.contains("SourceConnectivity"), "{}", ended.out);
    assert!(ended.err.contains("error: the precheck failed"), "{}", ended.err);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(status_file).unwrap()).unwrap();
    assert_eq!(report["phase"], "PrecheckFailed");
    assert!(failed_items(&report["precheck"]).contains(&"SourceConnectivity"));
    let condition = |kind: &str| {
        let conditions = report["conditions"].as_array().unwrap();
        conditions.iter().find(|condition| condition["type"] == kind).unwrap()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!([condition("Ready"), condition("Stalled"), condition("PrecheckPassed")], ["False", "True", "False"]);
}

#[test]
fn plan_and_verify_end_with_1_and_one_sentence() {
    let folder = Folder::new();
    let manifest = folder.manifest(MANIFEST);
    for name in ["plan", "verify"] {
        let ended = with_manifest(name, &manifest, &[]);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{name}: {}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert!(ended.err.starts_with("error: ") && ended.err.contains("127.0.0.1:1"), "{}", ended.err);
    }
}
