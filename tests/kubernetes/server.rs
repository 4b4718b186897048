//! MySQL servers that pods reach, and people who buy.

use godwit_testkit::lab::Server;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::shop;
use crate::shop::session::Totals;

/// A server at an address that pods reach.
pub fn server(cluster: &Cluster) -> Server {
    Server::start_with("mysql97", &["--bind", &cluster.host], &[])
}

/// The number that a query answers.
pub async fn number(server: &Server, query: &str) -> u64 {
    server.list(query).await[0].parse().unwrap()
}

/// People who buy until they are stopped.
pub struct Writers {
    stop: CancellationToken,
    handle: JoinHandle<shop::Result<Totals>>,
}

impl Writers {
    pub fn start(server: &Server) -> Self {
        let stop = CancellationToken::new();
        let options = shop::write::Options { url: server.url(), sessions: 2, rate: 200, seed: 1, xa_percent: 0 };
        let handle = tokio::spawn(shop::write::write(options, stop.clone()));
        Self { stop, handle }
    }

    pub async fn stop(self) -> Totals {
        self.stop.cancel();
        self.handle.await.unwrap().unwrap()
    }
}
