//! The operator, a real process, on a real kube-apiserver (`e2e/cluster`), with hollow nodes and engines (`e2e/hollow`).
//!
//! One cluster, one hollow kubelet; every case has a namespace of its own. First come the cases that share one operator, many at once; then, one
//! by one, those that kill it, start several, or stand between it and the API server. `cargo test --test operator -- PART` runs the cases whose name
//! contains PART. The cases end the processes that they started, so this has its own `main` instead of the usual harness, which could not clean up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod cases;
#[path = "../../e2e/hollow/mod.rs"]
mod hollow;
mod runner;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    let filter: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if std::env::args().any(|argument| argument == "--list") {
        cases::all().iter().for_each(|case| println!("{}: test", case.name));
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<_> = cases::all()
        .into_iter()
        .filter(|case| filter.is_empty() || filter.iter().any(|part| case.name.contains(part.as_str())))
        .collect();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let failed = runtime.block_on(runner::run(chosen));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
