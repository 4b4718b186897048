//! Secrets: where they come from, what is missing, and that they never show.

use super::*;

fn with_secret(changes: &[(&str, Value)], secret: &str) -> Result<Manifest, ManifestError> {
    load(&format!("{}\n---\napiVersion: v1\nkind: Secret\n{secret}", task_document(changes)), "task.yaml")
}

fn message(changes: &[(&str, Value)], secret: &str) -> String {
    with_secret(changes, secret).expect_err("is refused").to_string()
}

#[test]
fn a_whole_connection_comes_from_one_secret() {
    let document = task_document(&[("/spec/source/mysql", json!({"credentials": {"secretName": "saved"}}))]);
    let saved = "metadata: {name: saved}\nstringData: {host: \"db.example.com\\n\", port: \"3307\", username: u, password: \" p \", type: mysql}";
    let text = format!("{}\n---\napiVersion: v1\nkind: Secret\n{saved}", file(&document));
    let manifest = load(&text, "task.yaml").expect("is accepted");
    let endpoint = resolve_endpoint(&manifest.task.spec.source.mysql, &manifest.secrets, "spec.source.mysql").expect("resolves");
    assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.username.as_str()), ("db.example.com", 3307, "u"));
    assert_eq!(endpoint.password.expose(), " p ", "a password is taken as it is");
}

#[test]
fn a_secret_is_shown_to_the_hosts_of_its_annotation_only() {
    let document = task_document(&[("/spec/source/mysql", json!({"credentials": {"secretName": "saved"}}))]);
    let load_with = |hosts: &str| {
        let saved = format!(
            "metadata: {{name: saved, annotations: {{godwit.dev/hosts: '{hosts}'}}}}\nstringData: {{host: db.example.com, username: u, password: p}}"
        );
        load(&format!("{}\n---\napiVersion: v1\nkind: Secret\n{saved}", file(&document)), "task.yaml")
    };
    load_with("10.0.*, *.example.com").expect("is for this host");
    let refused = load_with("10.0.*, *.example.org").expect_err("is for others").to_string();
    assert!(
        refused.contains("spec.source.mysql.credentials.secretName: Secret \"saved\" is for other hosts")
            && refused.contains("not for \"db.example.com\""),
        "{refused}"
    );
    load_with("").expect_err("an empty list is for nobody");
}

#[test]
fn the_manifest_wins_over_the_secret_and_3306_is_the_last_resort() {
    let mut secrets = Secrets::default();
    for (key, value) in [("host", "b"), ("port", "1"), ("username", "v"), ("password", "p")] {
        secrets.insert("login", key, value);
    }
    let mut mysql = MysqlEndpoint {
        host: Some("a".into()),
        port: Some(3310),
        username: Some("u".into()),
        credentials: Some(SecretRef { secret_name: "login".into() }),
        ..MysqlEndpoint::default()
    };
    let endpoint = resolve_endpoint(&mysql, &secrets, "spec.source.mysql").expect("resolves");
    assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.username.as_str()), ("a", 3310, "u"));
    mysql.credentials = None;
    mysql.port = None;
    let endpoint = resolve_endpoint(&mysql, &secrets, "spec.source.mysql").expect("resolves");
    assert_eq!((endpoint.port, endpoint.password.expose()), (3306, ""));
}

#[test]
fn what_is_missing_is_named_with_the_remedy() {
    let path = "task.yaml: spec.source.mysql.credentials.secretName: ";
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    assert_eq!(
        first_line(message(&[], "metadata: {name: other}\nstringData: {password: p}")),
        format!("{path}Secret \"login\" is not in the file (it has other); add a document with kind: Secret of that name")
    );
    assert_eq!(
        first_line(load(&task_document(&[]).to_string(), "task.yaml").expect_err("is refused").to_string()),
        format!("{path}Secret \"login\" is not in the file (there is none in it); add a document with kind: Secret of that name")
    );
    assert_eq!(
        first_line(message(&[], "metadata: {name: login}\nstringData: {pasword: p}")),
        format!(
            "{path}Secret \"login\" lacks the key \"password\" (it has pasword); add it; for an account without a password set it to \"\""
        )
    );
    let no_host = [("/spec/source/mysql/host", Value::Null)];
    assert_eq!(
        first_line(message(&no_host, "metadata: {name: login}\nstringData: {password: p}")),
        format!("{path}Secret \"login\" lacks the key \"host\" (it has password); add it, or set spec.source.mysql.host")
    );
    assert_eq!(
        first_line(message(&[], "metadata: {name: login}\nstringData: {password: p, port: \"33o6\"}")),
        format!("{path}key \"port\" of Secret \"login\" is not a port; use 1 to 65535")
    );
    let tls = [("/spec/source/mysql/tls", json!({"mode": "VerifyCA", "ca": {"secretName": "login"}}))];
    assert_eq!(
        message(&tls, "metadata: {name: login}\nstringData: {password: p, ca.crt: nonsense}"),
        "task.yaml: spec.source.mysql.tls.ca.secretName: key \"ca.crt\" of Secret \"login\" is not PEM: it has no line with -----BEGIN CERTIFICATE-----; put the text of a PEM file into it"
    );
    let hook = [("/spec/alerts/webhook", json!({"secretName": "login"}))];
    assert_eq!(
        message(&hook, "metadata: {name: login}\nstringData: {password: p}"),
        "task.yaml: spec.alerts.webhook.secretName: Secret \"login\" lacks the key \"url\" (it has password); add it with the webhook's address"
    );
}

#[test]
fn a_tablestore_destination_takes_its_access_key_from_the_secret() {
    let tablestore = json!({
        "endpoint": "https://shop.cn-hangzhou.ots.aliyuncs.com/", "instance": "shop", "credentials": {"secretName": "login"}
    });
    let changes = [("/spec/destination", json!({"tablestore": tablestore})), ("/spec/objects", json!([{"database": "shop"}]))];
    let manifest =
        with_secret(&changes, "metadata: {name: login}\nstringData: {password: p, accessKeyId: AK, accessKeySecret: hush}");
    let manifest = manifest.expect("is accepted");
    let destination = manifest.task.spec.destination.tablestore.as_ref().expect("tablestore");
    assert_eq!((destination.queue_size, destination.concurrency, destination.buckets, destination.max_tables), (1024, 10, 3, 64));
    let resolved = resolve_tablestore(destination, &manifest.secrets, "spec.destination.tablestore").expect("resolves");
    assert_eq!(resolved.endpoint, "https://shop.cn-hangzhou.ots.aliyuncs.com");
    assert_eq!((resolved.access_key_id.as_str(), resolved.access_key_secret.expose()), ("AK", "hush"));
    assert!(message(&changes, "metadata: {name: login}\nstringData: {password: p}").contains("lacks the key \"accessKeyId\""));
}

#[test]
fn the_secret_documents_themselves_are_checked() {
    let secret = |text: &str| message(&[], text);
    assert!(secret("stringData: {password: p}").contains("document 2.metadata.name: set it to the Secret's name"));
    assert!(
        secret("metadata: {name: login}\nstringData: {password: 1234567}")
            .contains("Secret login.stringData.password: expected a text; put the value in quotes")
    );
    assert!(secret("metadata: {name: login}\ndata: {password: \"hunter2!\"}").contains(
        "Secret login.data.password: is not valid base64; encode the value, or move the key to stringData, which takes plain text"
    ));
    assert!(
        secret("metadata: {name: login}\nstringData: [p]")
            .contains("Secret login.stringData: expected a mapping; use lines of key: value")
    );
    assert!(
        secret("metadata: {name: login}\nstringdata: {password: p}")
            .contains("Secret login.stringdata: unknown field; did you mean stringData?")
    );
    let twice = "metadata: {name: login}\nstringData: {password: p}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: login}";
    assert!(secret(twice).contains("Secret \"login\" appears twice in the file; keep one of them"));
    let changes = [("/metadata/namespace", json!("data"))];
    let elsewhere = message(&changes, "metadata: {name: login, namespace: prod}\nstringData: {password: p}");
    assert!(
        elsewhere.contains("document 2.metadata.namespace: Secret \"login\" is in \"prod\", the task in \"data\""),
        "{elsewhere}"
    );
}

#[test]
fn string_data_wins_over_data_and_base64_may_be_wrapped() {
    let manifest = with_secret(
        &[],
        "metadata: {name: login}\ndata: {password: bm8=, ca: |-\n    b25l\n    dHdv}\nstringData: {password: yes}",
    );
    // The block in a flow mapping is not YAML; the same as a block mapping is.
    assert!(manifest.is_err());
    let text = "metadata: {name: login}\ndata:\n  password: bm8=\n  more: |\n    b25l\n    dHdv\nstringData: {password: yes}";
    let manifest = with_secret(&[], text).expect("is accepted");
    assert_eq!(manifest.secrets.get("login", "password"), Some(&b"yes"[..]));
    assert_eq!(manifest.secrets.get("login", "more"), Some(&b"onetwo"[..]));
}

#[test]
fn no_secret_shows_in_debug() {
    let manifest = load(SHOP, "shop.yaml").expect("is accepted");
    let source = resolve_endpoint(&manifest.task.spec.source.mysql, &manifest.secrets, "spec.source.mysql").expect("resolves");
    let shown = format!("{manifest:?} {source:?}");
    for secret in ["s3cr3t", "t0k3n", "BEGIN"] {
        assert!(!shown.contains(secret), "{secret} shows in {shown}");
    }
    assert!(shown.contains("password: ***"), "{shown}");
}

#[test]
fn no_secret_shows_in_an_error() {
    let documents = [
        "metadata: {name: login}\nstringData:\n  password: *hunter2",
        "metadata: {name: login}\nstringData:\n  password: !hunter2 x",
        "metadata: {name: login}\nstringData:\n  password: 'hunter2",
        "metadata: {name: login}\nstringData:\n  password: \"hunter2\\q\"",
        "metadata: {name: login}\nstringData:\n  password: hunter2: x: y",
        "metadata: {name: login}\nstringData:\n  password: [hunter2, 7]",
        "metadata: {name: login}\nstringData:\n  password: {hunter2",
        "metadata: {name: login}\nstringData:\n  password: @hunter2",
        "metadata: {name: login}\nstringData:\n\tpassword: hunter2",
        "metadata: {name: login}\ndata: {password: hunter2}",
        "metadata: {name: login}\nstringData: hunter2",
    ];
    for document in documents {
        let error = with_secret(&[], document);
        let shown = format!("{error:?} {}", error.as_ref().err().map(ToString::to_string).unwrap_or_default());
        assert!(!shown.contains("hunter2"), "{document}\n{shown}");
    }
    let misplaced = task_document(&[
        ("/spec/source/mysql/password", json!("hunter2")),
        ("/spec/source/mysql/host", json!("root:hunter2@db")),
        ("/spec/destination/mysql/credentials", json!("hunter2")),
        ("/spec/objects", json!("hunter2")),
    ]);
    let shown = errors_of(&file(&misplaced));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("spec.source.mysql.password: unknown field; passwords never stand here"), "{shown}");
    assert!(
        shown.contains("spec.destination.mysql.credentials: expected a mapping, found a text; put secretName: before it"),
        "{shown}"
    );
}

#[test]
fn broken_yaml_is_located() {
    let error = errors_of("apiVersion: v1\nkind: [Secret\n");
    assert!(error.starts_with("task.yaml: line "), "{error}");
    let twice = errors_of("kind: Secret\nkind: Secret\n");
    assert!(twice.starts_with("task.yaml: line 2, column 1: field kind stands here twice"), "{twice}");
}
