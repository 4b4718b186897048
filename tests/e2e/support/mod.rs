//! Servers of the lab, the built binary, a shop with writers, and a comparison of our own.

mod arrive;
pub mod compare;
pub mod migration;
pub mod writers;

pub use arrive::arrive;
pub use compare::assert_equal;
pub use godwit_testkit::lab::{PASSWORD, Server};
pub use migration::{Ended, Migration, Running};
pub use writers::Writers;

use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Tests that run at once; the others wait. `GODWIT_TEST_PARALLEL` changes it.
const AT_ONCE: usize = 2;

/// Waits for a place: servers and engines of many tests at once would only measure the machine.
pub async fn place() -> SemaphorePermit<'static> {
    static PLACES: OnceLock<Semaphore> = OnceLock::new();
    let places = PLACES.get_or_init(|| Semaphore::new(number("GODWIT_TEST_PARALLEL", AT_ONCE as u64) as usize));
    places.acquire().await.unwrap()
}

/// A number from the environment.
pub fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

pub async fn sleep(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
