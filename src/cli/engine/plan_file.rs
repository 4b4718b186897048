//! The mounted plan: reading it, the task that it describes, and what happens when the operator changes it.
//!
//! Some of it is followed while the task runs. The rest takes a new pod, which the operator makes; this one goes on as before and does not claim to know
//! the new generation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::api::engine::{EnginePlan, PLAN_KEY_PACKED, unpack};
use crate::api::{API_VERSION, MigrationTask};
use crate::engine::Task;
use crate::engine::live::Live;
use crate::engine::progress::Progress;
use crate::engine::sizing::Sizing;
use crate::http::Access;
use crate::manifest::{Manifest, Secrets};
use crate::model::error::{Error, Result};

/// How often the file is read again.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reads the plan.
///
/// # Errors
/// Definite ones: without a plan there is nothing to do.
pub(super) fn load(path: &Path) -> Result<EnginePlan> {
    let text = read(path).map_err(|error| Error::definite(format!("the plan {}: {error}", path.display())))?;
    parse(&text).map_err(|problem| Error::definite(format!("the plan {}: {problem}", path.display())))
}

/// The text of the file, or of the compressed one that stands in its place where the plan is long.
fn read(path: &Path) -> std::io::Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let Ok(packed) = std::fs::read(path.with_file_name(PLAN_KEY_PACKED)) else { return Err(error) };
            unpack(&packed).map_err(std::io::Error::other)
        }
        result => result,
    }
}

/// The plan's token, also of a plan that cannot be understood otherwise.
pub(super) fn token(path: &Path) -> Option<String> {
    let document: Value = serde_json::from_str(&read(path).ok()?).ok()?;
    Some(document.get("token")?.as_str()?.to_owned())
}

fn parse(text: &str) -> std::result::Result<EnginePlan, String> {
    let document: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    match document.get("apiVersion").and_then(Value::as_str) {
        Some(API_VERSION) => {}
        Some(other) => {
            return Err(format!(
                "apiVersion is {other:?}, and this engine knows {API_VERSION:?}; give the engine the image of the operator's version"
            ));
        }
        None => return Err(format!("apiVersion is missing; this engine knows {API_VERSION:?}")),
    }
    serde_json::from_value(document)
        .map_err(|error| format!("cannot be understood: {error}; is the engine's image that of the operator's version?"))
}

/// The task that the plan describes.
pub(super) fn task(plan: &EnginePlan, secrets_folder: PathBuf) -> Task {
    let mut resource = MigrationTask::new(&plan.task.name, plan.spec.clone());
    resource.metadata.namespace = Some(plan.task.namespace.clone());
    let manifest = Manifest { task: resource, secrets: Secrets::default(), ignored: Vec::new() };
    let live = Live::new(&plan.spec.throttle, &plan.retry);
    Task {
        secrets_folder: Some(secrets_folder),
        secret_hosts: plan.secret_hosts.clone(),
        live,
        sizing: Sizing::of(&plan.resources),
        ..Task::new(manifest)
    }
}

/// What follows a changed plan.
#[derive(Debug)]
pub(super) struct Followers {
    pub live: Live,
    pub progress: Progress,
    pub access: Access,
    /// Cancelled when the operator asks this engine to fence its task.
    pub fence: CancellationToken,
}

/// Follows the file for good.
pub(super) async fn watch(path: PathBuf, every: Duration, mut current: EnginePlan, followers: Followers) {
    let mut seen = None;
    loop {
        tokio::time::sleep(every).await;
        // A file that is away for a moment is being replaced.
        let Ok(text) = read(&path) else { continue };
        if seen.as_ref() == Some(&text) {
            continue;
        }
        match parse(&text) {
            Ok(new) => follow(&mut current, new, &followers),
            Err(problem) => tracing::warn!(file = %path.display(), problem, "the changed plan is left aside"),
        }
        seen = Some(text);
    }
}

/// Takes over what can be followed.
fn follow(current: &mut EnginePlan, new: EnginePlan, followers: &Followers) {
    if new == *current {
        return;
    }
    let Followers { live, progress, access, fence } = followers;
    // Whatever else has changed: the operator asks with this one from now on.
    access.set_token(&new.token);
    current.token.clone_from(&new.token);
    if current.fences(&new) {
        tracing::info!(generation = new.generation, "the task is to be fenced: the work ends, and its record is marked");
        progress.set_generation(new.generation);
        fence.cancel();
        *current = new;
        return;
    }
    let others = current.needs_new_pod(&new);
    if !others.is_empty() {
        tracing::warn!(
            fields = others.join(", "),
            generation = new.generation,
            "the plan changed in what only a new pod follows; this one goes on as before"
        );
        return;
    }
    live.set_throttle(&new.spec.throttle);
    live.set_retry(&new.retry);
    progress.set_generation(new.generation);
    tracing::info!(generation = new.generation, "the changed plan is followed");
    *current = new;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::engine::EngineMode;
    use crate::model::error::Class;

    fn document() -> Value {
        let end = json!({"mysql": {"host": "db", "credentials": {"secretName": "login"}}});
        json!({
            "apiVersion": API_VERSION,
            "mode": "Run",
            "task": {"namespace": "shops", "name": "shop", "uid": "1"},
            "generation": 3,
            "spec": {"source": end, "destination": end, "retry": {"connectionMinutes": 600}},
            "retry": {"connectionMinutes": 30, "otherMinutes": 5, "failedTaskDays": 7},
            "resources": {"units": 1, "cpuMillis": 500, "memoryBytes": 536_870_912}
        })
    }

    fn plan(document: &Value) -> EnginePlan {
        parse(&document.to_string()).unwrap()
    }

    fn followers(live: &Live, progress: &Progress) -> Followers {
        Followers {
            live: live.clone(),
            progress: progress.clone(),
            access: Access::operator(""),
            fence: CancellationToken::new(),
        }
    }

    #[test]
    fn a_plan_is_a_task() {
        let plan = plan(&document());
        assert_eq!((plan.mode, plan.generation), (EngineMode::Run, 3));
        let task = task(&plan, "/secrets".into());
        assert_eq!(task.name(), "shops/shop");
        // The plan's retry times hold, not the task's own wish.
        assert_eq!(task.live.retried_for(Class::Connection), Duration::from_secs(1800));
    }

    #[test]
    fn what_is_no_plan_is_refused_by_name() {
        let mut other = document();
        other["apiVersion"] = json!("godwit.dev/v9");
        let refused = |text: &str| parse(text).unwrap_err();
        assert!(refused(&other.to_string()).contains("\"godwit.dev/v9\", and this engine knows \"godwit.dev/v1alpha1\""));
        assert!(refused("{}").contains("apiVersion is missing"));
        assert!(refused("{").contains("is not JSON"));
        other["apiVersion"] = json!(API_VERSION);
        other["mode"] = json!("Dance");
        assert!(refused(&other.to_string()).contains("Dance"));
        let absent = load(Path::new("/no/such/plan.json")).unwrap_err();
        assert!(absent.to_string().contains("/no/such/plan.json") && absent.class() == Class::Definite);
    }

    #[test]
    fn what_is_live_is_followed_and_reported() {
        let mut current = plan(&document());
        let live = task(&current, "/secrets".into()).live;
        let progress = Progress::new(String::new(), String::new());
        progress.set_generation(3);
        let followers = followers(&live, &progress);
        let mut new = document();
        new["generation"] = json!(4);
        new["spec"]["throttle"] = json!({"full": {"rowsPerSecond": 10}});
        new["spec"]["alerts"] = json!({"latencySeconds": 5});
        new["spec"]["deletionPolicy"] = json!("Fence");
        new["retry"]["connectionMinutes"] = json!(60);
        follow(&mut current, plan(&new), &followers);
        assert_eq!((progress.status().observed_generation, current.generation), (Some(4), 4));
        assert_eq!(live.retried_for(Class::Connection), Duration::from_secs(3600));
        // Anything else: nothing is followed, and the generation stays what it was.
        new["generation"] = json!(5);
        new["spec"]["objects"] = json!([{"database": "shop"}]);
        new["retry"]["connectionMinutes"] = json!(90);
        follow(&mut current, plan(&new), &followers);
        assert_eq!((progress.status().observed_generation, current.generation), (Some(4), 4));
        assert_eq!(live.retried_for(Class::Connection), Duration::from_secs(3600));
    }

    #[test]
    fn what_is_no_engines_business_keeps_nothing_from_being_followed() {
        let mut current = plan(&document());
        let live = task(&current, "/secrets".into()).live;
        let progress = Progress::new(String::new(), String::new());
        let followers = followers(&live, &progress);
        let mut new = document();
        new["generation"] = json!(4);
        new["spec"]["precheck"] = json!({"ignore": ["SourceRetention"]});
        new["spec"]["cluster"] = json!({"name": "other", "units": 4, "priority": 1});
        new["resources"] = json!({"units": 4, "cpuMillis": 2000, "memoryBytes": 2_147_483_648_u64});
        new["retry"]["connectionMinutes"] = json!(60);
        follow(&mut current, plan(&new), &followers);
        assert_eq!(progress.status().observed_generation, Some(4));
        assert_eq!(live.retried_for(Class::Connection), Duration::from_secs(3600));
    }

    #[test]
    fn a_plan_that_stops_this_task_asks_for_the_fence() {
        let mut current = plan(&document());
        let live = task(&current, "/secrets".into()).live;
        let followers = followers(&live, &Progress::new(String::new(), String::new()));
        let mut new = document();
        new["mode"] = json!("Stop");
        new["task"]["uid"] = json!("another");
        follow(&mut current, plan(&new), &followers);
        assert!(!followers.fence.is_cancelled(), "of another task");
        new["task"]["uid"] = json!("1");
        new["spec"]["objects"] = json!([{"database": "shop"}]);
        follow(&mut current, plan(&new), &followers);
        assert!(followers.fence.is_cancelled());
    }

    #[test]
    fn a_long_plan_is_read_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let packed = zstd::bulk::compress(document().to_string().as_bytes(), 1).unwrap();
        std::fs::write(folder.path().join(PLAN_KEY_PACKED), packed).unwrap();
        assert_eq!(load(&folder.path().join("plan.json")).unwrap(), plan(&document()));
    }

    #[tokio::test]
    async fn the_file_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        let mut document = document();
        std::fs::write(&path, document.to_string()).unwrap();
        let (first, progress) = (load(&path).unwrap(), Progress::new(String::new(), String::new()));
        let live = task(&first, "/secrets".into()).live;
        let watching = tokio::spawn(watch(path.clone(), Duration::from_millis(2), first, followers(&live, &progress)));
        std::fs::write(&path, "{ half a pl").unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(progress.status().observed_generation, None);
        document["generation"] = json!(9);
        std::fs::write(&path, document.to_string()).unwrap();
        let followed = async {
            while progress.status().observed_generation != Some(9) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), followed).await.unwrap();
        watching.abort();
    }
}
