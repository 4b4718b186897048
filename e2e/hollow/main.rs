//! `hollow`: hollow nodes and engines for the cluster of `KUBECONFIG`, until SIGTERM or SIGINT.

#[path = "mod.rs"]
mod hollow;

use std::error::Error;

use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubelet = hollow::kubelet::Hollow::start(kube::Client::try_default().await?).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let complaints = kubelet.complaints();
    for complaint in &complaints {
        println!("{complaint}");
    }
    if complaints.is_empty() { Ok(()) } else { Err(format!("{} breaches of the contract", complaints.len()).into()) }
}
