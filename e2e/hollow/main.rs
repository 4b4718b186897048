//! `hollow serve`: hollow nodes and engines for the cluster of `KUBECONFIG`. `hollow load`: many tasks at a steady rate, and how fast they
//! were taken up. `hollow change`: changes every task, and how long it takes until each is seen. All print one line of JSON.

#[path = "mod.rs"]
mod hollow;
mod load;

use std::error::Error;

use clap::{Parser, Subcommand};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(about = "Hollow nodes and engines, and many tasks for them")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve every engine's pod until SIGTERM or SIGINT
    Serve,
    /// Create tasks and wait until all are in sync
    Load {
        #[arg(long, default_value_t = 5000)]
        tasks: usize,
        #[arg(long, default_value_t = 20)]
        pools: usize,
        /// Tasks created a second
        #[arg(long, default_value_t = 50)]
        rate: u32,
    },
    /// Change every task
    Change,
    /// Wait until every change is in the status of its task
    Settle,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = kube::Client::try_default().await?;
    match Arguments::parse().command {
        Command::Serve => serve(client).await,
        Command::Load { tasks, pools, rate } => load::load(client, tasks, pools, rate).await,
        Command::Change => load::change(client).await,
        Command::Settle => load::settle(client).await,
    }
}

async fn serve(client: kube::Client) -> Result<(), Box<dyn Error>> {
    let kubelet = hollow::kubelet::Hollow::start(client).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let records = kubelet.records().list();
    let twice = records.iter().filter(|record| record.runs > 1).count();
    println!("{}", json!({"tasks": records.len(), "runTwice": twice, "complaints": kubelet.complaints()}));
    Ok(())
}
