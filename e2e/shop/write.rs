//! The live load: sessions that change the shop until they are told to stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::Error;
use mysql_async::prelude::Queryable;
use tokio_util::sync::CancellationToken;

use super::actions::{Action, End};
use super::random::Random;
use super::session::{Rows, Session, Shop, Totals};
use super::{DATABASE, Result, connect};

/// What the load is like.
#[derive(Debug, Clone)]
pub struct Options {
    pub url: String,
    pub sessions: u64,
    /// Changed rows a second, all sessions together; 0: as many as the server takes.
    pub rate: u64,
    pub seed: u64,
    /// That many transactions in a hundred are prepared and then committed or rolled back (XA).
    pub xa_percent: u64,
}

/// Deadlocks in a row after which a transaction is given up.
const TRIES: u32 = 20;

/// Writes until `stop` is cancelled.
pub async fn write(options: Options, stop: CancellationToken) -> Result<Totals> {
    let started = Instant::now();
    let mut conn = connect(&options.url).await?;
    conn.query_drop(format!("USE {DATABASE}")).await?;
    let shop = Arc::new(Shop::read(&mut conn).await?);
    end_leftovers(&mut conn).await?;
    conn.disconnect().await?;
    let options = Arc::new(options);
    let mut sessions = tokio::task::JoinSet::new();
    for number in 0..options.sessions {
        let (options, shop, stop) = (Arc::clone(&options), Arc::clone(&shop), stop.clone());
        sessions.spawn(async move { session(&options, &shop, number, &stop).await });
    }
    let mut totals = Totals::default();
    while let Some(ended) = sessions.join_next().await {
        totals.add(&ended??);
    }
    totals.seconds = started.elapsed().as_secs_f64();
    Ok(totals)
}

/// Rolls back what an earlier load prepared and left undecided.
async fn end_leftovers(conn: &mut mysql_async::Conn) -> Result<()> {
    let prepared: Vec<(i64, u64, u64, Vec<u8>)> = conn.query("XA RECOVER").await?;
    for (_, _, _, data) in prepared {
        let name = String::from_utf8_lossy(&data).into_owned();
        if name.starts_with("shop-") {
            // Gone if another session was faster.
            let _ = conn.query_drop(format!("XA ROLLBACK '{name}'")).await;
        }
    }
    Ok(())
}

async fn session(options: &Options, shop: &Shop, number: u64, stop: &CancellationToken) -> Result<Totals> {
    let mut session = Session::open(&options.url, shop, Random::of(options.seed, 1, number)).await?;
    let started = Instant::now();
    let mut changes = 0;
    let mut transaction = 0u64;
    while !stop.is_cancelled() {
        transaction += 1;
        let xa = session.random.chance(options.xa_percent).then(|| format!("shop-{}-{number}-{transaction}", options.seed));
        changes += one(&mut session, xa.as_deref()).await?;
        if options.rate > 0 {
            let due = Duration::from_secs_f64(changes as f64 * options.sessions as f64 / options.rate as f64);
            let ahead = due.saturating_sub(started.elapsed());
            tokio::select! {
                () = tokio::time::sleep(ahead), if !ahead.is_zero() => {}
                () = stop.cancelled(), if !ahead.is_zero() => {}
                else => {}
            }
        }
    }
    Ok(session.totals)
}

/// One transaction, tried again after deadlocks; the number of rows it changed.
async fn one(session: &mut Session<'_>, xa: Option<&str>) -> Result<u64> {
    let action = Action::choose(&mut session.random);
    let from = session.random.clone();
    for _ in 0..TRIES {
        session.pending = Rows::default();
        session.random = from.clone();
        let error = match attempt(session, action, xa).await {
            Ok(rows) => return Ok(rows),
            Err(error) => error,
        };
        match &error {
            // Deadlock, lock wait; XA: the branch was rolled back.
            Error::Server(server) if matches!(server.code, 1213 | 1205 | 1614 | 1613) => {
                session.totals.retried += 1;
                take_back(session, xa).await?;
            }
            // Duplicate; parent or child missing; out of range; JSON path.
            Error::Server(server) if matches!(server.code, 1062 | 1451 | 1452 | 1264 | 1690 | 3143) => {
                session.totals.refused += 1;
                take_back(session, xa).await?;
                return Ok(0);
            }
            // Shut down, killed.
            Error::Server(server) if !matches!(server.code, 1053 | 1077 | 1079 | 1927 | 1317 | 3032 | 4031) => {
                return Err(format!("{action:?}: {error}").into());
            }
            _ => {
                session.reopen().await?;
                return Ok(0);
            }
        }
    }
    Ok(0)
}

async fn take_back(session: &mut Session<'_>, xa: Option<&str>) -> Result<()> {
    let ended = match xa {
        None => session.run("ROLLBACK").await,
        Some(name) => {
            // In whichever state the error left it.
            let _ = session.run(&format!("XA END '{name}'")).await;
            match session.run(&format!("XA ROLLBACK '{name}'")).await {
                // Unknown: it is gone already.
                Err(Error::Server(server)) if matches!(server.code, 1397 | 1402 | 1614 | 1613) => Ok(()),
                other => other,
            }
        }
    };
    match ended {
        Ok(()) => Ok(()),
        Err(_) => Ok(session.reopen().await?),
    }
}

async fn attempt(session: &mut Session<'_>, action: Action, xa: Option<&str>) -> std::result::Result<u64, Error> {
    match xa {
        None => session.run("BEGIN").await?,
        Some(name) => session.run(&format!("XA START '{name}'")).await?,
    }
    let end = action.run(session).await?;
    if let Some(name) = xa {
        session.run(&format!("XA END '{name}'")).await?;
        session.run(&format!("XA PREPARE '{name}'")).await?;
    }
    let rows = session.pending.total();
    let word = if end == End::Commit { "COMMIT" } else { "ROLLBACK" };
    match xa {
        None => session.run(word).await?,
        Some(name) => session.run(&format!("XA {word} '{name}'")).await?,
    }
    let (totals, pending) = (&mut session.totals, session.pending);
    if end == End::Commit {
        totals.transactions += 1;
        totals.xa_transactions += u64::from(xa.is_some());
        totals.rows.add(pending);
    } else {
        totals.rolled_back_transactions += 1;
        totals.rolled_back_rows += rows;
    }
    Ok(rows)
}
