//! The server by itself: `tablestore-server --listen 127.0.0.1:8087`. It prints its endpoint and runs until it is ended.

use std::net::SocketAddr;

use clap::Parser;
use godwit_tablestore_server::{Server, Settings};

/// Answers as Alibaba Cloud Tablestore does, from memory. For tests: it keeps nothing, and whoever reaches it may control it.
#[derive(Parser)]
struct Arguments {
    /// The address to listen at; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8087")]
    listen: SocketAddr,
    /// The name of the instance.
    #[arg(long, default_value = "instance")]
    instance: String,
    /// The AccessKey ID.
    #[arg(long, default_value = "test-id")]
    access_key_id: String,
    /// The secret of the access key.
    #[arg(long, env = "TABLESTORE_SERVER_SECRET", hide_env_values = true, default_value = "test-secret")]
    access_key_secret: String,
    /// The tables that the instance may have.
    #[arg(long, default_value_t = 64)]
    tables: usize,
    /// Takes any number of operations on tables within a second; the service takes ten.
    #[arg(long)]
    any_rate: bool,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let defaults = Settings::default();
    let settings = Settings {
        instance: arguments.instance,
        access_key_id: arguments.access_key_id,
        access_key_secret: arguments.access_key_secret,
        tables: arguments.tables,
        table_operations_per_second: defaults.table_operations_per_second.filter(|_| !arguments.any_rate),
        ..defaults
    };
    let server = Server::start(arguments.listen, settings).await?;
    println!("{}", server.endpoint());
    tokio::signal::ctrl_c().await
}
