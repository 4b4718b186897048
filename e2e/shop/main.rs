//! `shop load` makes and fills a shop, `shop write` changes it: `cargo run --release --example shop -- --help`.

#![allow(clippy::disallowed_methods, reason = "statements of the shop's own, for servers of a test")]

mod probe;
#[path = "mod.rs"]
mod shop;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Parser)]
#[command(about = "A shop to migrate, and a load that keeps changing it")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the database shop and fill it
    Load {
        /// mysql://user:password@host:port
        #[arg(long)]
        url: String,
        /// Rows of all tables together, about
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Only collations that MySQL and MariaDB both have
        #[arg(long)]
        portable: bool,
    },
    /// Measure how long a commit on the source takes to be seen at the destination, in milliseconds
    Probe {
        #[arg(long)]
        source: String,
        #[arg(long)]
        destination: String,
        #[arg(long, default_value_t = 30)]
        seconds: u64,
        /// Milliseconds between two probes
        #[arg(long, default_value_t = 20)]
        every: u64,
    },
    /// Change the shop until SIGTERM or for a while; prints what was done as JSON
    Write {
        #[arg(long)]
        url: String,
        /// Sessions at once
        #[arg(long, default_value_t = 4)]
        threads: u64,
        /// Changed rows a second, all sessions together; 0: as many as the server takes
        #[arg(long, default_value_t = 0)]
        rate: u64,
        /// 0: until SIGTERM or SIGINT
        #[arg(long, default_value_t = 0)]
        seconds: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// That many transactions in a hundred are XA transactions
        #[arg(long, default_value_t = 0)]
        xa: u64,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("shop: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> shop::Result<String> {
    match command {
        Command::Load { url, rows, seed, portable } => {
            let loaded = shop::load::load(&url, shop::load::Options { rows, seed, portable }).await?;
            Ok(serde_json::to_string(&loaded)?)
        }
        Command::Probe { source, destination, seconds, every } => {
            let measured = probe::probe(&source, &destination, seconds, Duration::from_millis(every)).await?;
            Ok(serde_json::to_string(&measured)?)
        }
        Command::Write { url, threads, rate, seconds, seed, xa } => {
            let stop = CancellationToken::new();
            stop_later(stop.clone(), seconds)?;
            let options = shop::write::Options { url, sessions: threads, rate, seed, xa_percent: xa };
            let totals = shop::write::write(options, stop).await?;
            Ok(serde_json::to_string(&totals)?)
        }
    }
}

/// Cancels on a signal or when the time is over.
fn stop_later(stop: CancellationToken, seconds: u64) -> shop::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let limit = if seconds == 0 { Duration::MAX } else { Duration::from_secs(seconds) };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            () = tokio::time::sleep(limit) => {}
        }
        stop.cancel();
    });
    Ok(())
}
