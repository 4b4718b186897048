//! What a person sees while a task runs: bars on a terminal, plain lines elsewhere, a summary at the end.
//!
//! What is shown is computed by pure functions ([`layout`], [`lines`], [`summary`]) from one [`View`]; only this file draws.

mod layout;
mod lines;
pub(super) mod summary;

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::MigrationTaskStatus;
use crate::engine::progress::{Counters, Progress};
use crate::model::plain;
use lines::Lines;

/// Bars are drawn anew this often.
const FRAME: Duration = Duration::from_millis(200);
/// Plain lines are looked for this often, so that a new phase shows soon.
const LOOK: Duration = Duration::from_millis(200);

/// What can be shown at one moment.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub status: MigrationTaskStatus,
    /// Finer than status has it.
    pub latency: Option<Duration>,
    /// Since this process started.
    pub running_for: Duration,
    /// Of that, what rows were copied in.
    pub copied_for: Duration,
    /// What this process did.
    pub counters: Counters,
    /// `godwit verify` knows this kind of destination.
    pub verifiable: bool,
}

impl View {
    pub(super) fn of(progress: &Progress) -> Self {
        let snapshot = progress.snapshot();
        Self {
            status: snapshot.report(),
            latency: snapshot.latency,
            running_for: snapshot.running_for,
            copied_for: snapshot.copied_for(),
            counters: snapshot.counters,
            verifiable: true,
        }
    }
}

/// How progress is shown.
#[derive(Debug, Clone)]
pub(super) enum Mode {
    Bars(MultiProgress),
    Lines,
    Nothing,
}

impl Mode {
    /// Bars where a person sits before standard error, lines elsewhere, nothing when asked for nothing.
    pub(super) fn choose(no_progress: bool) -> Self {
        if no_progress {
            Self::Nothing
        } else if std::io::stderr().is_terminal() {
            Self::Bars(MultiProgress::new())
        } else {
            Self::Lines
        }
    }

    /// The bars that log lines must not tear.
    pub(super) fn bars(&self) -> Option<MultiProgress> {
        match self {
            Self::Bars(bars) => Some(bars.clone()),
            Self::Lines | Self::Nothing => None,
        }
    }
}

/// Shows progress until it is told to stop.
#[derive(Debug)]
pub(super) struct Show {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Show {
    pub(super) fn start(mode: Mode, progress: Progress) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            match mode {
                Mode::Bars(bars) => draw(&bars, &progress, &stopped).await,
                Mode::Lines => print_lines(&progress, &stopped).await,
                Mode::Nothing => {}
            }
        });
        Self { stop, task }
    }

    /// Shows the last state, and takes the bars away.
    pub(super) async fn finish(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

async fn draw(bars: &MultiProgress, progress: &Progress, stop: &CancellationToken) {
    let mut drawn: Vec<ProgressBar> = Vec::new();
    while !sleep(FRAME, stop).await {
        let rows = layout::rows(&View::of(progress));
        while drawn.len() < rows.len() {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                bar.set_style(style);
            }
            drawn.push(bars.add(bar));
        }
        while drawn.len() > rows.len() {
            if let Some(bar) = drawn.pop() {
                bar.finish_and_clear();
                bars.remove(&bar);
            }
        }
        for (bar, row) in drawn.iter().zip(rows) {
            // One message a row: each setter draws by itself.
            bar.set_message(format!("\x1b[1m{:11}\x1b[0m {}", row.label, plain::line(&row.text)));
        }
    }
    for bar in drawn {
        bar.finish_and_clear();
    }
    let _ = bars.clear();
}

async fn print_lines(progress: &Progress, stop: &CancellationToken) {
    let mut lines = Lines::default();
    loop {
        let stopped = sleep(LOOK, stop).await;
        if let Some(line) = lines.next(&View::of(progress)) {
            let _ = super::print(&line);
        }
        if stopped {
            return;
        }
    }
}

/// Whether it was told to stop meanwhile.
async fn sleep(duration: Duration, stop: &CancellationToken) -> bool {
    tokio::time::timeout(duration, stop.cancelled()).await.is_ok()
}

#[cfg(test)]
mod samples;
