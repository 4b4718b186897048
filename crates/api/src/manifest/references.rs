//! Which Secrets a task names.

use crate::{MigrationTaskSpec, Tls};

/// Field path and name of every Secret that the spec names, in the order of the fields; a name may come twice.
pub fn secret_references(spec: &MigrationTaskSpec) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut endpoint = |path: &str, credentials: Option<&String>, tls: &Tls| {
        let mut add = |field: &str, name: &String| found.push((format!("{path}.{field}.secretName"), name.clone()));
        if let Some(name) = credentials {
            add("credentials", name);
        }
        if let Some(ca) = &tls.ca {
            add("tls.ca", &ca.secret_name);
        }
        if let Some(client) = &tls.client_certificate {
            add("tls.clientCertificate", &client.secret_name);
        }
        if let Some(key) = &tls.server_public_key {
            add("tls.serverPublicKey", &key.secret_name);
        }
    };
    let source = &spec.source.mysql;
    endpoint("spec.source.mysql", source.credentials.as_ref().map(|secret| &secret.secret_name), &source.tls);
    if let Some(mysql) = &spec.destination.mysql {
        endpoint("spec.destination.mysql", mysql.credentials.as_ref().map(|secret| &secret.secret_name), &mysql.tls);
    }
    if let Some(tablestore) = &spec.destination.tablestore {
        found.push(("spec.destination.tablestore.credentials.secretName".to_owned(), tablestore.credentials.secret_name.clone()));
    }
    if let Some(webhook) = &spec.alerts.webhook {
        found.push(("spec.alerts.webhook.secretName".to_owned(), webhook.secret_name.clone()));
    }
    found
}
