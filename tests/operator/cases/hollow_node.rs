//! The hollow node itself: what the other cases build on does what it says.

use std::sync::Arc;
use std::time::Duration;

use godwit::api::engine::{LABEL_MODE, LABEL_TASK, PLAN_FOLDER, PLAN_KEY};
use godwit::api::{API_VERSION, EngineMode, EnginePlan, EngineResources, Phase, Retry, StatusReport, TaskIdentity};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::hollow::kubelet::Order;
use crate::support::fixtures::{Task, condition, eventually};
use crate::support::http;
use crate::support::world::World;

pub async fn speaks_the_contract(world: Arc<World>) {
    let namespace = world.namespace("hollow").await;
    // Unschedulable to any operator that may be there: the name of its pod is another's.
    let task = Task::new(&world, &namespace, "byhand");
    let spec = serde_json::from_value(crate::support::fixtures::manifest(&namespace, "byhand")["spec"].clone()).unwrap();
    let mut plan = EnginePlan {
        api_version: API_VERSION.into(),
        mode: EngineMode::Run,
        task: TaskIdentity { namespace: namespace.clone(), name: "byhand".into(), uid: "u".into() },
        generation: 7,
        spec,
        retry: Retry::default(),
        resources: EngineResources::default(),
        secret_hosts: std::collections::BTreeMap::new(),
        token: String::new(),
    };
    let pods = Api::<Pod>::namespaced(world.client.clone(), &namespace);
    let maps = Api::<ConfigMap>::namespaced(world.client.clone(), &namespace);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "byhand-engine", "labels": {LABEL_TASK: "byhand", LABEL_MODE: "Run"}},
        "spec": {
            "containers": [{"name": "engine", "image": "i", "volumeMounts": [{"name": "plan", "mountPath": PLAN_FOLDER}]}],
            "volumes": [{"name": "plan", "configMap": {"name": "byhand-engine"}}]
        }
    });
    let create = PostParams::default();
    pods.create(&create, &serde_json::from_value(pod).unwrap()).await.unwrap();
    // Nothing starts before everything that is mounted is there.
    let waits = eventually("waiting for the plan", || async {
        let pod = pods.get("byhand-engine").await.unwrap();
        let state = pod.status.clone().and_then(|status| status.container_statuses?.first()?.state.clone()?.waiting);
        state.and_then(|waiting| waiting.message).ok_or(pod.status)
    });
    assert!(waits.await.contains("configmap \"byhand-engine\" not found"));
    let map = |plan: &EnginePlan| -> ConfigMap {
        let text = serde_json::to_string(plan).unwrap();
        serde_json::from_value(json!({"metadata": {"name": "byhand-engine"}, "data": {PLAN_KEY: text}})).unwrap()
    };
    maps.create(&create, &map(&plan)).await.unwrap();
    let address = eventually("running", || async {
        let pod = pods.get("byhand-engine").await.unwrap();
        pod.status.clone().and_then(|status| status.pod_ip).ok_or(pod.status)
    });
    let address = format!("{}:8080", address.await);
    let report = || async {
        let (code, body) = http::get(&address, "/status").await.ok_or("no answer".to_owned())?;
        assert_eq!(code, 200);
        serde_json::from_str::<StatusReport>(&body).map_err(|error| error.to_string())
    };
    let in_sync = |report: &StatusReport| condition(&report.status, "InSync") == "True";
    let reached =
        eventually("in sync", || async { report().await.and_then(|r| if in_sync(&r) { Ok(r) } else { Err(format!("{r:?}")) }) })
            .await;
    assert_eq!((reached.status.phase, reached.status.observed_generation), (Some(Phase::Replicating), Some(7)));
    // A plan that changes is seen with the annotation, and only then.
    plan.generation = 8;
    let mut changed = map(&plan);
    changed.metadata.resource_version = maps.get("byhand-engine").await.unwrap().resource_version();
    maps.replace("byhand-engine", &create, &changed).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(report().await.unwrap().status.observed_generation, Some(7));
    let annotated = json!({"metadata": {"annotations": {"godwit.dev/plan": "2"}}});
    pods.patch("byhand-engine", &Default::default(), &kube::api::Patch::Merge(annotated)).await.unwrap();
    let eight =
        |report: StatusReport| if report.status.observed_generation == Some(8) { Ok(()) } else { Err("seven".to_owned()) };
    eventually("at generation 8", || async { report().await.and_then(eight) }).await;
    // A crash is followed by a restart that goes on where it was.
    assert!(world.hollow.order(&namespace, "byhand", Order::Crash { code: 137, reason: "OOMKilled" }));
    eventually("restarted", || async {
        let statuses =
            pods.get("byhand-engine").await.unwrap().status.and_then(|status| status.container_statuses).unwrap_or_default();
        if statuses.iter().any(|status| status.restart_count == 1 && status.ready) { Ok(()) } else { Err(statuses) }
    })
    .await;
    assert!(in_sync(&report().await.unwrap()));
    pods.delete("byhand-engine", &DeleteParams::default()).await.unwrap();
    eventually("deleted", || async { pods.get_opt("byhand-engine").await.unwrap().map_or(Ok(()), Err) }).await;
    assert!(http::get(&address, "/status").await.is_none());
    assert_eq!((task.record().runs, task.record().generations), (2, vec![7, 8]));
}
