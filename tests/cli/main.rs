//! The command line as scripts see it: exit codes, what stands on standard output and standard error, and what never stands there.

// Clippy spares #[test] functions by itself, not what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod engine;
#[path = "../support/pod.rs"]
mod pod_files;
mod support;
mod unreachable;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use support::{Ended, Folder, MANIFEST, command, godwit, with_manifest};

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"], &["precheck", "-h"]] {
        let ended = godwit(arguments);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{arguments:?}");
        assert!(!ended.out.is_empty());
    }
}

/// A script must not take half a file for the whole.
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command().arg("crd").stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("standard output"), "{said}");
}

#[test]
fn wrong_usage_ends_with_2() {
    let folder = Folder::new();
    let manifest = folder.manifest(MANIFEST);
    let manifest = manifest.to_str().unwrap();
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["run"],
        &["run", "-f"],
        &["run", "-f", manifest, "--frobnicate"],
        &["run", "-f", manifest, "--listen", "8080"],
        &["run", "-f", manifest, "--log-level", "loud"],
        &["run", "-f", manifest, "--log-format", "xml"],
        &["precheck", "-f", manifest, "-o", "yaml"],
        &["crd", "more"],
    ] {
        let ended = godwit(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{arguments:?}: {}", ended.err);
        assert!(!ended.err.is_empty());
    }
}

#[test]
fn a_status_file_that_cannot_be_written_is_said_before_anything_starts() {
    let folder = Folder::new();
    let path = folder.path("absent/status.json");
    let ended = with_manifest("run", &folder.manifest(MANIFEST), &["--status-file", path.to_str().unwrap()]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("--status-file") && ended.err.contains("absent/status.json"), "{}", ended.err);
}

#[test]
fn an_address_that_is_taken_is_said_before_anything_starts() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = with_manifest("run", &folder.manifest(MANIFEST), &["--listen", &address]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains(&format!("--listen {address}")), "{}", ended.err);
}

#[test]
fn a_wrong_manifest_names_file_and_field() {
    let folder = Folder::new();
    for (right, wrong, expected) in [
        ("migrationTypes", "migrationTyps", "spec.migrationTyps"),
        ("[Schema, Full]", "[Schema, Fool]", "spec.migrationTypes[1]"),
        ("kind: MigrationTask", "kind: MigrationTusk", "kind"),
        ("secretName: source }", "secretName: elsewhere }", "spec.source.mysql.credentials.secretName"),
        ("metadata: { name: shop }", "metadata: { name: shop", ""),
    ] {
        let manifest = folder.manifest(&MANIFEST.replacen(right, wrong, 1));
        for name in ["run", "precheck", "plan", "verify", "cutover"] {
            let ended = with_manifest(name, &manifest, &[]);
            assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{name} {wrong}");
            let first = ended.err.lines().next().unwrap_or_default();
            assert!(
                first.starts_with("error: ") && first.contains("task.yaml: ") && first.contains(expected),
                "{name} {wrong}: {first}"
            );
        }
    }
}

#[test]
fn every_problem_of_a_manifest_is_told_at_once() {
    let folder = Folder::new();
    let ended = with_manifest("plan", &folder.manifest(&MANIFEST.replace("port: 1,", "prot: 1,")), &[]);
    assert_eq!((ended.code, ended.err.lines().count()), (2, 2), "{}", ended.err);
    assert!(ended.err.contains("spec.source.mysql.prot") && ended.err.contains("spec.destination.mysql.prot"));
}

#[test]
fn a_manifest_comes_from_a_file_or_from_standard_input() {
    let folder = Folder::new();
    let ended = with_manifest("run", &folder.path("absent.yaml"), &[]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("absent.yaml: No such file"), "{}", ended.err);

    let mut command = command();
    let mut child =
        command.args(["plan", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"kind: Frob\n").unwrap();
    let ended = Ended::new(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("standard input: "), "{}", ended.err);
}

#[test]
fn what_this_version_cannot_do_is_said_plainly() {
    let folder = Folder::new();
    let manifest = folder.manifest(MANIFEST);
    let ended = with_manifest("cutover", &manifest, &[]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(ended.err.contains("not available in this version"), "{}", ended.err);
}

#[test]
fn the_operator_needs_an_image_and_a_way_to_the_cluster() {
    let ended = godwit(&["operator"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("--image"), "{}", ended.err);
    let ended = command()
        .args(["operator", "--image", "x:1"])
        .env("KUBECONFIG", "/nowhere/config")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output();
    let ended = ended.unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("KUBECONFIG"), "{ended:?}");
}

#[test]
fn the_crds_are_those_of_the_repository() {
    let ended = godwit(&["crd"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    let printed: Vec<&str> = ended.out.split("---\n").collect();
    assert_eq!(printed.len(), 2);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    for (document, kind) in printed.iter().zip(["migrationtasks", "dedicatedclusters"]) {
        let file = std::fs::read_to_string(folder.join(format!("godwit.dev_{kind}.yaml"))).unwrap();
        assert!(file.ends_with(document), "crds/godwit.dev_{kind}.yaml: run make crds");
    }
}

#[test]
fn a_pipe_that_closes_early_is_no_error() {
    let mut child = command().arg("crd").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = Ended::new(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}
