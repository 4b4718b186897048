//! The live load of the shop, in this process.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Server;
use crate::shop;
use crate::shop::session::Totals;

/// Writers that go on until they are stopped.
pub struct Writers {
    stop: CancellationToken,
    handle: JoinHandle<shop::Result<Totals>>,
}

/// Fills a shop.
pub async fn load(server: &Server, rows: u64, portable: bool) {
    let options = shop::load::Options { rows, seed: 7, portable };
    shop::load::load(&server.url(), options).await.unwrap();
}

impl Writers {
    /// `rate`: changed rows a second.
    pub fn start(server: &Server, sessions: u64, rate: u64, seed: u64, xa_percent: u64) -> Self {
        let stop = CancellationToken::new();
        let options = shop::write::Options { url: server.url(), sessions, rate, seed, xa_percent };
        let handle = tokio::spawn(shop::write::write(options, stop.clone()));
        Self { stop, handle }
    }

    pub async fn stop(self) -> Totals {
        self.stop.cancel();
        self.handle.await.unwrap().unwrap()
    }
}
