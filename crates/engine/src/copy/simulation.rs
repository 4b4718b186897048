//! Copy and log together over a destination in memory: the real dispatcher, lanes and writers, a source that is a list of transactions, and an engine
//! that is killed after so many steps, or cut off while another one takes over. Whatever happens, in the end the destination holds the source's rows.
//!
//! The model (`tests/model`) visits every order of a few steps; this runs many orders of many steps, of the code itself. Each destination of
//! [`Broken`] must be noticed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::chunks::{Cutter, Range};
use super::writer::Writer;
use super::{Copied, CopyContext, Job, ReadChunk};
use crate::change::cascade::Cascades;
use crate::change::{Change, ChangeKind, Operation};
use crate::checkpoint::{LANES, NewTask};
use crate::connection::Connector;
use crate::destination::memory::{Broken, Memory};
use crate::destination::{Commit, Destination, Existing, Records};
use crate::fixture::{column, definition, plan_of, table_plan};
use crate::group::Group;
use crate::live::Live;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::replicate::dispatch::{Began, Dispatcher, End};
use crate::replicate::lane::Lane;
use crate::rows::KeyBound;
use crate::sizing::LogBudget;
use crate::source::visibility::{self, Visibility};
use godwit_api::manifest::{ResolvedEndpoint, ResolvedTls, SecretText};
use godwit_api::{Flavor, Retry, Throttle, TlsMode};
use godwit_model::definition::Kind;
use godwit_model::error::{Class, Error, Result};
use godwit_model::position::{Position, TransactionId};
use godwit_model::row::{Row, RowBuilder};
use godwit_model::server::ServerInfo;

/// Keys of the table; a digit each, so that their order is that of their bytes.
const KEYS: u8 = 8;
/// The table is cut behind these keys.
const CUTS: [u8; 3] = [1, 3, 5];
const TRANSACTIONS: u64 = 30;
const FILE: &str = "binlog.000001";

/// xorshift: the same run for the same seed, as far as the scheduler's order goes.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Rows by key; a value is never written twice, so that an old one is told from a new one.
type Content = BTreeMap<u8, u64>;

/// A source: what its transactions do, and what is there after so many of them.
#[derive(Debug)]
struct Source {
    transactions: Vec<Vec<(u8, Option<u64>)>>,
    states: Vec<Content>,
}

impl Source {
    fn new(random: &mut Random) -> Self {
        let mut content: Content = (0..KEYS).filter(|_| random.below(2) == 0).map(|key| (key, 1000 + u64::from(key))).collect();
        let (mut transactions, mut states) = (Vec::new(), vec![content.clone()]);
        let mut value = 0;
        for _ in 0..TRANSACTIONS {
            let changes: Vec<_> = (0..=random.below(4))
                .map(|_| {
                    // Some keys often, some never: what only the copy brings must be missed as well.
                    let key = (random.below(u64::from(KEYS)) * random.below(u64::from(KEYS)) / u64::from(KEYS)) as u8;
                    value += 1;
                    let after = (random.below(3) > 0 || !content.contains_key(&key)).then_some(value);
                    match after {
                        Some(value) => content.insert(key, value),
                        None => content.remove(&key),
                    };
                    (key, after)
                })
                .collect();
            transactions.push(changes);
            states.push(content.clone());
        }
        Self { transactions, states }
    }
}

/// The place behind so many transactions.
fn place(transactions: u64) -> Position {
    Position { file: FILE.into(), offset: 4 + 100 * transactions, ..Position::default() }
}

fn transactions(position: &Position) -> u64 {
    (position.offset - 4) / 100
}

fn cells(cells: &[String]) -> Row {
    let mut builder = RowBuilder::default();
    cells.iter().for_each(|cell| builder.push(Some(cell.as_bytes())));
    builder.finish()
}

fn row(key: u8, value: u64) -> Row {
    cells(&[key.to_string(), value.to_string()])
}

fn bound(key: u8) -> KeyBound {
    KeyBound::from_cells(cells(&[key.to_string()]))
}

fn plan() -> Arc<Plan> {
    let columns = vec![column("id", Kind::VarBinary), column("v", Kind::Int { unsigned: false })];
    Arc::new(plan_of(table_plan(definition("d", "t", columns))))
}

/// A run of a task, over as many engines as it takes.
struct Run {
    plan: Arc<Plan>,
    source: Arc<Source>,
    memory: Memory,
    /// Transactions that the source has published.
    published: Arc<AtomicU64>,
    random: Arc<StdMutex<Random>>,
}

impl Run {
    fn below(&self, limit: u64) -> u64 {
        self.random.lock().unwrap().below(limit)
    }

    async fn pause(random: &StdMutex<Random>) {
        let turns = random.lock().unwrap().below(6);
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    /// One engine, from its claim to the end or to its death.
    async fn engine(&self) -> Result<()> {
        let claim = self.memory.claim(2).await?;
        self.memory.kill_after(self.below(60));
        let saved = self.memory.load().await?.unwrap();
        let positions: Vec<Position> = saved.lanes.iter().map(|(position, _)| position.clone()).collect();
        let start = visibility::earliest(&positions).unwrap();
        let cascades = Arc::new(Cascades::none());
        let limits = LogBudget::default();
        let dispatcher = Arc::new(Dispatcher::new(
            &self.plan,
            start.clone(),
            start.clone(),
            positions.clone(),
            &Default::default(),
            Arc::clone(&cascades),
            limits,
        ));
        let progress = Progress::new("source".into(), "destination".into());
        let cancel = CancellationToken::new();
        let mut workers = Group::new("a worker", &cancel);
        for (number, recorded) in (0u32..).zip(positions) {
            let writer = self.memory.lane(claim, number).await?;
            let lane = Lane::new(number, Arc::clone(&cascades), Arc::clone(&dispatcher), writer, progress.clone(), recorded);
            workers.spawn(lane.run(workers.stop()));
        }
        let context = context(&self.plan, &self.memory, claim, &dispatcher, &progress);
        let copied: Copied = Arc::new(|_| Box::pin(async { Ok(()) }));
        let (sender, receiver) = mpsc::unbounded_channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..2 {
            let writer = Writer::new(context.clone(), Arc::clone(&receiver));
            workers.spawn(writer.run(number, workers.stop(), Arc::clone(&copied)));
        }
        let done = self.memory.copied_chunks(&self.plan.tables[0].definition).await?;
        let finish = tokio::time::timeout(Duration::from_secs(20), async {
            let log = follow(&self.source, &self.published, &dispatcher, transactions(&start), &self.random);
            let (followed, read) = tokio::join!(log, self.read(&dispatcher, &context, done, sender));
            followed.and(read)?;
            while !self.memory.is_copied("t") {
                self.memory.check(claim).await?;
                tokio::task::yield_now().await;
            }
            dispatcher.drain().await;
            Ok(())
        });
        let outcome = tokio::select! {
            outcome = finish => outcome.expect("an engine that stands still"),
            error = workers.failure() => Err(error),
        };
        let _ = workers.end(Duration::from_secs(5)).await;
        outcome
    }

    /// Reads what is not copied, in chunks, each at some moment between what is dispatched and what is published.
    async fn read(
        &self,
        dispatcher: &Dispatcher,
        context: &CopyContext,
        done: Vec<crate::checkpoint::SavedChunk>,
        sender: mpsc::UnboundedSender<ReadChunk>,
    ) -> Result<()> {
        if self.memory.is_copied("t") {
            return Ok(());
        }
        let table = Arc::clone(&self.plan.tables[0]);
        let whole: Vec<Range> = ranges();
        let open: Vec<Range> = whole.into_iter().filter(|range| done.iter().all(|chunk| chunk.number != range.number)).collect();
        // It has handed out everything: what is left is in flight.
        let end = crate::checkpoint::SavedChunk { number: 99, low: None, high: None, rows: 0, bytes: 0 };
        let job = Arc::new(Job {
            cutter: Mutex::new(Cutter::new(&table, &[end])),
            table: Arc::clone(&table),
            in_flight: AtomicUsize::new(open.len()),
            finished: Default::default(),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        });
        if open.is_empty() {
            let copied: Copied = Arc::new(|_| Box::pin(async { Ok(()) }));
            return super::writer::finish(context, &job, &copied).await;
        }
        let budget = Arc::new(Semaphore::new(1000));
        for _ in 0..self.below(300) {
            tokio::task::yield_now().await;
        }
        for range in open {
            Self::pause(&self.random).await;
            let permit = Arc::clone(&budget).acquire_many_owned(1).await.map_err(|_| Error::cancelled())?;
            let (ticket, from) = dispatcher.open_chunk(0).await;
            Self::pause(&self.random).await;
            let (dispatched, published) = (transactions(&from), self.published.load(Ordering::SeqCst));
            let seen = dispatched + self.below(published.saturating_sub(dispatched) + 1);
            let inside = |key: &u8| {
                range.low.as_ref().is_none_or(|low| bound(*key).row().as_bytes() > low.row().as_bytes())
                    && range.high.as_ref().is_none_or(|high| bound(*key).row().as_bytes() <= high.row().as_bytes())
            };
            let rows: Vec<Row> = self.source.states[seen as usize]
                .iter()
                .filter(|(key, _)| inside(key))
                .map(|(key, value)| row(*key, *value))
                .collect();
            Self::pause(&self.random).await;
            let end = place(self.published.load(Ordering::SeqCst));
            let end = (end.file, end.offset);
            dispatcher.read(ticket, (&end.0, end.1), rows.iter().map(|row| row.project(&table.key)));
            let bytes = rows.iter().map(|row| row.size() as u64).sum();
            let chunk = ReadChunk { job: Arc::clone(&job), range, rows, bytes, ticket: Some(ticket), end, permit };
            if sender.send(chunk).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn ranges() -> Vec<Range> {
    let bounds: Vec<Option<KeyBound>> =
        std::iter::once(None).chain(CUTS.iter().map(|key| Some(bound(*key)))).chain(std::iter::once(None)).collect();
    let range = |(number, pair): (u64, &[Option<KeyBound>])| Range {
        number,
        next_number: number + 1,
        low: pair[0].clone(),
        high: pair[1].clone(),
        most_rows: None,
    };
    (1u64..).zip(bounds.windows(2)).map(range).collect()
}

/// The log: transactions are published, then dispatched, some of them in parts.
async fn follow(
    source: &Source,
    published: &AtomicU64,
    dispatcher: &Dispatcher,
    from: u64,
    random: &StdMutex<Random>,
) -> Result<()> {
    dispatcher.joined();
    for (number, changes) in (0u64..).zip(&source.transactions).skip(from as usize) {
        Run::pause(random).await;
        published.fetch_max(number + 1, Ordering::SeqCst);
        Run::pause(random).await;
        let began = Began { id: &TransactionId::Anonymous, file: FILE, offset: place(number).offset + 10 };
        let kind = |(key, after): &(u8, Option<u64>)| {
            let name = cells(&[key.to_string()]);
            match after {
                Some(value) => {
                    ChangeKind::Upsert { key: name, row: row(*key, *value), unique_touched: false, operation: Operation::Update }
                }
                None => ChangeKind::Delete { key: name, moved: false },
            }
        };
        let mut changes: Vec<Change> = changes.iter().map(|change| Change { table: 0, kind: kind(change) }).collect();
        let in_parts = random.lock().unwrap().below(3) == 0;
        if in_parts && changes.len() > 1 {
            let rest = changes.split_off(1);
            dispatcher.part(changes, &began).await?;
            Run::pause(random).await;
            changes = rest;
        }
        let end = End { position: place(number + 1), replay_from: None, committed_at: None };
        dispatcher.end(changes, &began, end).await?;
    }
    Ok(())
}

fn context(
    plan: &Arc<Plan>,
    memory: &Memory,
    claim: crate::checkpoint::Claim,
    dispatcher: &Arc<Dispatcher>,
    progress: &Progress,
) -> CopyContext {
    let endpoint = ResolvedEndpoint {
        host: "127.0.0.1".into(),
        port: 1,
        username: String::new(),
        password: SecretText::new(""),
        flavor: Flavor::Auto,
        tls: ResolvedTls { mode: TlsMode::Disabled, ..ResolvedTls::default() },
    };
    CopyContext {
        plan: Arc::clone(plan),
        cascades: Arc::new(Cascades::none()),
        source: Connector::new(&endpoint, "source"),
        source_info: ServerInfo::parse("9.7.0"),
        source_identity: "source".into(),
        visibility: Visibility::GtidExecuted,
        destination: Arc::new(memory.clone()),
        existing: Existing::Replaced,
        records: Arc::new(memory.clone()),
        claim,
        progress: progress.clone(),
        dispatcher: Some(Arc::clone(dispatcher)),
        follows: true,
        readers: 1,
        writers: 2,
        budget_bytes: 1 << 20,
        live: Live::new(&Throttle::default(), &Retry::default()),
    }
}

/// A whole task; what is at the destination in the end, and what was at the source.
async fn task(seed: u64, commit: Commit, broken: Broken) -> (Vec<Row>, Vec<Row>, u32) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let source = Arc::new(Source::new(&mut random));
    let plan = plan();
    let memory = Memory::new(Arc::clone(&plan), commit, broken);
    let start = place(0);
    let task = NewTask {
        fingerprint: &[],
        source_identity: "source",
        start: Some((&start, &start)),
        definitions: &[&plan.tables[0].definition],
        destinations: &[],
    };
    memory.create(task).await.unwrap();
    let expected: Vec<Row> = source.states.last().unwrap().iter().map(|(key, value)| row(*key, *value)).collect();
    let random = Arc::new(StdMutex::new(random));
    let run = Arc::new(Run { plan, source, memory: memory.clone(), published: Arc::default(), random });
    let mut cut_off = Vec::new();
    let mut engines = 0;
    loop {
        engines += 1;
        assert!(engines < 1000, "it never comes to its end");
        let engine = tokio::spawn({
            let run = Arc::clone(&run);
            async move { run.engine().await }
        });
        if run.below(4) == 0 {
            // It is cut off from whoever watches it and works on, while the next one begins.
            for _ in 0..run.below(300) {
                tokio::task::yield_now().await;
            }
            cut_off.push(engine);
            continue;
        }
        match engine.await.unwrap() {
            Ok(()) => break,
            Err(error) => assert!(error.is_retryable() || error.class() == Class::Fenced, "{error}"),
        }
    }
    for engine in cut_off {
        let _ = engine.await.unwrap();
    }
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(memory.load().await.unwrap().unwrap().lanes.len(), LANES as usize);
    (memory.rows(0), expected, engines)
}

/// How many of the runs ended with something else than the source's rows, and how many engines there were.
async fn differing(seeds: std::ops::Range<u64>, commit: Commit, broken: Broken) -> (usize, u32) {
    let (mut wrong, mut engines) = (0, 0);
    for seed in seeds {
        let (found, expected, begun) = task(seed, commit, broken).await;
        engines += begun;
        wrong += usize::from(found != expected);
    }
    (wrong, engines)
}

#[tokio::test]
async fn killed_and_cut_off_engines_lose_nothing() {
    for commit in [Commit::Atomic, Commit::Behind] {
        let (wrong, engines) = differing(1..200, commit, Broken::Nothing).await;
        assert_eq!(wrong, 0, "{commit:?}");
        assert!(engines > 400, "{commit:?}: only {engines} engines");
    }
}

/// Each broken rule is noticed, so that the runs above say something.
#[tokio::test]
async fn a_destination_that_breaks_the_contract_is_noticed() {
    for broken in [Broken::MarkBeforeRows, Broken::DoneBeforeRows, Broken::NoFence, Broken::AcceptedLater] {
        for commit in [Commit::Atomic, Commit::Behind] {
            let (wrong, _) = differing(1..200, commit, broken).await;
            assert!(wrong > 0, "{broken:?}, {commit:?}: not noticed");
        }
    }
}
