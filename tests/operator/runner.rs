//! Runs the cases: those that share an operator together, the others one by one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::operator::{Operator, Options};
use crate::support::world::World;

/// A case that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(300);
/// Cases that run at once: they mostly wait.
const AT_ONCE: usize = 24;

pub type Run = fn(Arc<World>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// When a case runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Beside others; needs no operator.
    Api,
    /// Beside others; one operator with the usual options serves them all.
    Shared,
    /// By itself, without any operator but its own.
    Alone,
    /// After all others, on what they have left.
    Last,
}

/// One test.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub stage: Stage,
    pub run: Run,
}

/// Runs the cases; whether one of them failed.
pub async fn run(cases: Vec<Case>) -> bool {
    if cases.is_empty() {
        println!("no case has such a name");
        return false;
    }
    let began = Instant::now();
    let world = Arc::new(World::start().await);
    println!("cluster ready after {:.1} s, {} cases", began.elapsed().as_secs_f32(), cases.len());
    let mut interrupt = signal(SignalKind::interrupt()).unwrap();
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let failed = tokio::select! {
        failed = stages(&world, &cases) => failed,
        _ = interrupt.recv() => vec!["interrupted".to_owned()],
        _ = terminate.recv() => vec!["terminated".to_owned()],
    };
    world.end(!failed.is_empty()).await;
    println!("\n{} cases, {} failed, {:.1} s", cases.len(), failed.len(), began.elapsed().as_secs_f32());
    failed.iter().for_each(|name| println!("failed: {name}"));
    !failed.is_empty()
}

async fn stages(world: &Arc<World>, cases: &[Case]) -> Vec<String> {
    let of = |stage: Stage| cases.iter().filter(move |case| case.stage == stage).copied();
    let mut failed = Vec::new();
    if of(Stage::Shared).next().is_some() {
        world.share(Some(Operator::start(world, Options::named("shared").with(&["--engine-ready-seconds", "5"])).await));
    }
    failed.extend(together(world, of(Stage::Shared).chain(of(Stage::Api))).await);
    world.share(None);
    for case in of(Stage::Alone).chain(of(Stage::Last)) {
        failed.extend(together(world, std::iter::once(case)).await);
    }
    failed
}

async fn together(world: &Arc<World>, cases: impl Iterator<Item = Case>) -> Vec<String> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for case in cases {
        let (world, places) = (world.clone(), places.clone());
        running.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            let began = Instant::now();
            let outcome = tokio::time::timeout(LIMIT, tokio::spawn((case.run)(world))).await;
            let passed = matches!(outcome, Ok(Ok(())));
            let word = match outcome {
                Ok(Ok(())) => "ok",
                Ok(Err(_)) => "FAILED",
                Err(_) => "FAILED (takes too long)",
            };
            println!("test {} ... {word} ({:.1} s)", case.name, began.elapsed().as_secs_f32());
            (!passed).then(|| case.name.to_owned())
        });
    }
    running.join_all().await.into_iter().flatten().collect()
}
