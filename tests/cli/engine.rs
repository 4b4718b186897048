//! `godwit engine` where there is nothing to work with: it says so in its reports, parks, and goes when it is told to.

use std::time::Duration;

use serde_json::{Value, json};

use crate::pod_files::{Engine, Pod, condition};

const SOON: Duration = Duration::from_secs(30);

/// A plan between servers that are not there: nothing listens on port 1.
fn plan(mode: &str) -> Value {
    let end = |secret: &str| json!({"mysql": {"host": "127.0.0.1", "port": 1, "credentials": {"secretName": secret}}});
    json!({
        "apiVersion": "godwit.dev/v1alpha1",
        "mode": mode,
        "task": {"namespace": "shops", "name": "shop", "uid": "1-2-3"},
        "generation": 4,
        "spec": {"source": end("source"), "destination": end("destination")},
        "retry": {"connectionMinutes": 30, "otherMinutes": 10, "failedTaskDays": 7},
        "resources": {"units": 1, "cpuMillis": 500, "memoryBytes": 536_870_912}
    })
}

fn pod(mode: &str) -> Pod {
    let mut pod = Pod::new();
    pod.plan(&plan(mode).to_string());
    pod.secret("source", &[("username", "app"), ("password", "geheim-source")]);
    pod.secret("destination", &[("username", "app"), ("password", "geheim-destination")]);
    pod
}

fn parked(mut engine: Engine) -> Value {
    let status = engine.until_phase("Failed", SOON);
    assert_eq!([condition(&status, "Stalled"), condition(&status, "Ready")], ["True", "False"]);
    assert_eq!(engine.get("/livez").0, 200);
    assert_eq!(engine.get("/healthz").0, 503);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(engine.ended(), None, "{}", engine.log());
    assert_eq!(engine.last_report().unwrap()["phase"], "Failed");
    let last = engine.terminate();
    assert_eq!(last["message"], status["message"]);
    last
}

#[test]
fn a_plan_that_cannot_be_read_parks() {
    let pod = Pod::new();
    // Without a plan there is no token, so nobody is told more than the phase while it lives.
    let mut engine = pod.start();
    let mut told = String::new();
    // It answers before it has looked at its plan.
    for _ in 0..100 {
        (_, told) = engine.get_as_a_stranger("/status");
        if told.contains("Failed") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(told.contains("Failed") && !told.contains("plan.json"), "{told}");
    assert_eq!(engine.ended(), None, "{}", engine.log());
    let last = engine.terminate();
    assert!(last["message"].as_str().unwrap().contains("plan.json"), "{last}");
    pod.plan(&plan("Run").to_string().replace("v1alpha1", "v2"));
    let last = parked(pod.start());
    assert!(last["message"].as_str().unwrap().contains("\"godwit.dev/v2\""), "{last}");
}

#[test]
fn a_missing_secret_and_a_missing_key_park() {
    let mut pod = Pod::new();
    pod.plan(&plan("Run").to_string());
    pod.secret("source", &[("username", "app"), ("password", "geheim-source")]);
    let last = parked(pod.start());
    let message = last["message"].as_str().unwrap();
    assert!(
        message.contains("spec.destination.mysql.credentials.secretName: Secret \"destination\" is not mounted"),
        "{message}"
    );
    assert_eq!(last["observedGeneration"], 4);
    pod.secret("destination", &[("username", "app")]);
    let last = parked(pod.start());
    let message = last["message"].as_str().unwrap();
    assert!(message.contains("Secret \"destination\" lacks the key \"password\""), "{message}");
}

#[test]
fn a_precheck_reports_servers_that_are_not_there_and_ends() {
    let pod = pod("Precheck");
    let mut engine = pod.start();
    let status = engine.until_phase("PrecheckFailed", SOON);
    assert_eq!((&status["observedGeneration"], condition(&status, "PrecheckPassed")), (&json!(4), "False"));
    assert_eq!((&status["source"], &status["destination"]), (&json!("127.0.0.1:1"), &json!("127.0.0.1:1")));
    let last = engine.terminate();
    let names: Vec<_> = last["precheck"]["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, ["SourceConnectivity", "DestinationConnectivity"]);
    assert!(last["conditions"].as_array().unwrap().iter().all(|condition| condition["observedGeneration"] == 4), "{last}");
}

#[test]
fn a_run_and_a_stop_wait_for_servers_and_go_when_told() {
    for mode in ["Run", "Stop"] {
        let pod = pod(mode);
        let mut engine = pod.start();
        let status = engine.until_phase("Retrying", SOON);
        assert!(status["message"].as_str().unwrap().contains("127.0.0.1:1"), "{status}");
        assert_eq!((engine.get("/healthz").0, engine.get("/livez").0), (200, 200));
        // What can be followed is followed meanwhile, and reported.
        let mut changed = plan(mode);
        changed["generation"] = json!(5);
        changed["spec"]["throttle"] = json!({"full": {"rowsPerSecond": 100}});
        pod.plan(&changed.to_string());
        if mode == "Run" {
            engine.until("generation 5", SOON, |status| status["observedGeneration"] == 5);
        }
        engine.terminate();
    }
}
