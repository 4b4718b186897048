//! What the cluster's own roles view, edit and admin let a person do with tasks and pools, once the chart has added to them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::fixtures::{eventually, manifest};
use crate::support::world::World;

/// A person with one of the cluster's roles in one namespace.
async fn person(world: &World, namespace: &str, role: &str) -> String {
    let user = format!("{role}-of-{namespace}");
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": role, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]
    });
    world.kubectl.apply(&binding.to_string()).await;
    // The controllers add up the roles, and the API server hears of it, a moment later.
    eventually("allowed to look", || async {
        let said = world.kubectl.run(&["get", "mt", "-n", namespace, "--as", &user]).await;
        if said.success { Ok(()) } else { Err(said.err) }
    })
    .await;
    user
}

async fn may(world: &World, user: &str, arguments: &[&str], input: Option<&Value>) -> bool {
    let arguments = [arguments, &["--as", user]].concat();
    let said = match input {
        Some(object) => world.kubectl.run_with(&arguments, &object.to_string()).await,
        None => world.kubectl.run(&arguments).await,
    };
    assert!(said.success || said.err.contains("orbidden"), "{arguments:?}: {}", said.err);
    said.success
}

pub async fn roles_of_the_cluster_take_in_tasks(world: Arc<World>) {
    let (ours, theirs) = (world.namespace("people").await, world.namespace("others").await);
    let viewer = person(&world, &ours, "view").await;
    let editor = person(&world, &ours, "edit").await;
    let task = |namespace: &str, name: &str| {
        let mut object = manifest(namespace, name);
        // Nobody works on it, whichever operators run.
        object["spec"]["desiredState"] = json!("Paused");
        object
    };
    let create = ["create", "-f", "-"];
    let change = [r#"{"spec":{"desiredState":"Running"}}"#, r#"{"status":{"phase":"Completed"}}"#];
    let patch = |patch: &'static str| ["patch", "mt", "shop", "-n", &*ours, "--type=merge", "-p", patch].map(str::to_owned);

    assert!(!may(&world, &viewer, &create, Some(&task(&ours, "shop"))).await, "view can create");
    assert!(may(&world, &editor, &create, Some(&task(&ours, "shop"))).await, "edit cannot create");
    assert!(!may(&world, &editor, &create, Some(&task(&theirs, "shop"))).await, "edit of another namespace");
    for user in [&viewer, &editor] {
        assert!(may(&world, user, &["get", "mt", "shop", "-n", &ours], None).await);
        assert!(may(&world, user, &["describe", "mt", "shop", "-n", &ours], None).await);
        assert!(!may(&world, user, &["get", "mt", "-n", &theirs], None).await, "{user} looks into another namespace");
    }
    // Status is the operator's.
    for (user, words, more, allowed) in [
        (&viewer, change[0], None, false),
        (&viewer, change[1], Some("--subresource=status"), false),
        (&editor, change[1], Some("--subresource=status"), false),
        (&editor, r#"{"spec":{"resourceGroup":"crm"}}"#, None, true),
    ] {
        let arguments = patch(words);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(more).collect();
        assert_eq!(may(&world, user, &arguments, None).await, allowed, "{user} {arguments:?}");
    }
    assert!(!may(&world, &viewer, &["delete", "mt", "shop", "-n", &ours], None).await, "view can delete");
    assert!(may(&world, &editor, &["delete", "mt", "shop", "-n", &ours], None).await, "edit cannot delete");
    pools_are_for_administrators(&world, &viewer, &editor).await;
}

async fn pools_are_for_administrators(world: &World, viewer: &str, editor: &str) {
    let name = world.unique("people");
    let pool = json!({"apiVersion": "godwit.dev/v1alpha1", "kind": "DedicatedCluster", "metadata": {"name": name}, "spec": {"units": 1}});
    let create = ["create", "--dry-run=server", "-f", "-"];
    // They stand outside of namespaces: a role in one does not reach them.
    assert!(!may(world, viewer, &["get", "dc"], None).await && !may(world, editor, &create, Some(&pool)).await);
    for (role, sees, makes) in [("view", true, false), ("edit", true, false), ("admin", true, true)] {
        let user = format!("{role}-{name}");
        let arguments = ["create", "clusterrolebinding", &user, "--clusterrole", role, "--user", &user];
        world.kubectl.out(&arguments).await;
        let wanted = if makes { "create" } else { "list" };
        eventually("allowed", || async {
            let said = world.kubectl.run(&["auth", "can-i", wanted, "dc", "--as", &user]).await;
            if said.success { Ok(()) } else { Err(said.err) }
        })
        .await;
        assert_eq!(may(world, &user, &["get", "dc"], None).await, sees, "{role}");
        assert_eq!(may(world, &user, &create, Some(&pool)).await, makes, "{role}");
        world.kubectl.out(&["delete", "clusterrolebinding", &user]).await;
    }
}
