//! What no case may have left behind.

use std::sync::Arc;

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
