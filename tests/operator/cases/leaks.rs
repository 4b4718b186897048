//! What no case may have left behind.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::support::world::base64_lite::encode;
use crate::support::world::{MARK, World};

/// The values of all Secrets begin with a mark, which stands nowhere else: in no object, event, log, audit record.
pub async fn no_secret_value_is_anywhere(world: Arc<World>) {
    let kinds = world.kubectl.out(&["api-resources", "--verbs=list", "-o", "name"]).await;
    let encoded = encode(MARK);
    // The last letters depend on what follows the mark.
    let marks = [MARK, &encoded[..encoded.len() - 4]];
    let clean = |what: &str, text: &str| {
        for mark in marks {
            assert!(!text.contains(mark), "a secret value stands in {what}");
        }
    };
    let secrets = world.kubectl.out(&["get", "secrets", "-A", "-o", "json"]).await;
    assert!(secrets.contains(marks[1]), "the mark does not stand in the Secrets, so this shows nothing");
    let mut looked_at = 0;
    for kind in kinds.lines().filter(|&kind| kind != "secrets") {
        let said = world.kubectl.run(&["get", kind, "-A", "-o", "json", "--show-managed-fields"]).await;
        clean(kind, &said.out);
        looked_at += usize::from(said.success);
    }
    assert!(looked_at > 20, "{looked_at} kinds were looked at");
    for entry in std::fs::read_dir(world.folder()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        clean(&entry.path().display().to_string(), &std::fs::read_to_string(entry.path()).unwrap());
    }
    clean("the audit log", &std::fs::read_to_string(&world.cluster.audit_log).unwrap());
}

pub async fn the_contract_was_kept(world: Arc<World>) {
    let complaints = world.hollow.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// Nothing that the operator wanted to do was forbidden to it.
pub async fn the_role_sufficed(world: Arc<World>) {
    let text = std::fs::read_to_string(&world.cluster.audit_log).unwrap();
    let mut forbidden: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(crate::support::world::OPERATOR_USER) && line.contains("\"code\":403"))
        // A quota refuses with the same code what the role allows.
        .filter(|line| !line.contains("\"authorization.k8s.io/decision\":\"allow\""))
        // Kinds that the chart may leave out on purpose are asked for once.
        .collect();
    forbidden.truncate(5);
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

/// Nothing is allowed to it that it does not do. Means something only after all cases.
pub async fn the_role_is_no_larger(world: Arc<World>) {
    if std::env::args().skip(1).any(|argument| !argument.starts_with('-')) {
        println!("not all cases ran: which rights are used was not looked at");
        return;
    }
    let mut used = BTreeSet::new();
    for line in std::fs::read_to_string(&world.cluster.audit_log).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        if event["user"]["username"] == crate::support::world::OPERATOR_USER {
            let text = |field: &str| event["objectRef"][field].as_str().unwrap_or_default().to_owned();
            let (resource, below) = (text("resource"), text("subresource"));
            let resource = if below.is_empty() { resource } else { format!("{resource}/{below}") };
            used.insert((text("apiGroup"), resource, event["verb"].as_str().unwrap_or_default().to_owned()));
        }
    }
    // The API server asks for "create" of who makes an object by applying it, and for "finalizers" of who names an owner; leases are not in the log.
    let unseen = [("", "configmaps", "create"), ("godwit.dev", "migrationtasks/finalizers", "update")];
    let mut unused = Vec::new();
    for name in ["godwit-cluster", "godwit-tasks"] {
        let role: Value = serde_json::from_str(&world.kubectl.out(&["get", "clusterrole", name, "-o", "json"]).await).unwrap();
        for rule in role["rules"].as_array().unwrap() {
            let words =
                |field: &str| rule[field].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect::<Vec<_>>();
            for (group, resource, verb) in words("apiGroups")
                .iter()
                .flat_map(|group| words("resources").into_iter().map(move |resource| (*group, resource)))
                .flat_map(|(group, resource)| words("verbs").into_iter().map(move |verb| (group, resource, verb)))
            {
                let right = (group.to_owned(), resource.to_owned(), verb.to_owned());
                if group != "events.k8s.io" && !unseen.contains(&(group, resource, verb)) && !used.contains(&right) {
                    unused.push(right);
                }
            }
        }
    }
    assert!(unused.is_empty(), "rights that nobody uses: {unused:?}");
}
