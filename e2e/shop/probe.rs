//! How long a commit takes to be seen at the destination, measured from outside: a row is committed on the source, and the
//! destination is asked for it until it is there.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use serde::Serialize;

use crate::shop::{DATABASE, Result, connect};

/// Between two questions; also the measurement's resolution.
const ASK_EVERY: Duration = Duration::from_micros(500);

/// A row that is not there by then is lost.
const LOST_AFTER: Duration = Duration::from_secs(60);

/// Milliseconds.
#[derive(Debug, Serialize)]
pub struct Measured {
    pub probes: usize,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

/// Sends a probe every `every` for this many seconds.
pub async fn probe(source: &str, destination: &str, seconds: u64, every: Duration) -> Result<Measured> {
    let (mut source, mut destination) = (connect(source).await?, connect(destination).await?);
    source.query_drop(format!("USE {DATABASE}")).await?;
    destination.query_drop(format!("USE {DATABASE}")).await?;
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < Duration::from_secs(seconds) {
        let code = format!("probe-{}-{}", std::process::id(), times.len());
        source.query_drop(format!("INSERT INTO vouchers VALUES ('{code}',0,NULL,0)")).await?;
        // The answer to the statement is the commit.
        let committed = Instant::now();
        let question = format!("SELECT 1 FROM vouchers WHERE code='{code}'");
        while destination.query_first::<u8, _>(question.as_str()).await?.is_none() {
            if committed.elapsed() > LOST_AFTER {
                return Err(format!("{code} is not at the destination after {} s", LOST_AFTER.as_secs()).into());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        times.push(committed.elapsed().as_secs_f64() * 1000.0);
        tokio::time::sleep(every).await;
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1))).copied();
    let round = |value: Option<f64>| (value.unwrap_or_default() * 10.0).round() / 10.0;
    Ok(Measured {
        probes: times.len(),
        p50: round(at(0.5)),
        p90: round(at(0.9)),
        p99: round(at(0.99)),
        max: round(times.last().copied()),
    })
}
