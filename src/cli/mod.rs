//! The commands: parsing, what is global to the process, and the exit code. One file a command.
//!
//! Standard output carries results and progress lines; standard error carries logs, progress bars and the one sentence of an error.

mod crd;
mod cutover;
mod drive;
mod engine;
mod environment;
mod input;
mod operator;
mod plan;
mod precheck;
mod run;
mod show;
mod signals;
mod status_file;
mod text;
mod verify;

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::manifest::ManifestError;
use crate::model::error::Error;
use crate::model::plain;
use crate::telemetry::{self, LogFormat, LogOptions};

/// Migrates live MySQL-family databases: schema, rows, binary log, proof.
#[derive(Debug, Parser)]
#[command(name = "godwit", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArguments,
}

#[derive(Debug, Clone, clap::Args)]
struct LogArguments {
    /// How log lines on standard error look [default: text; json for the command engine]
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormat>,
    /// off, error, warn, info, debug, trace, or directives such as godwit::engine=debug,warn [default: $GODWIT_LOG, else info, else warn where progress is shown]
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a task to its end: precheck, schema, rows, binary log; started again, it resumes
    Run(run::Arguments),
    /// Check both ends and say what to do where something is wrong; changes nothing
    Precheck(precheck::Arguments),
    /// Show what a task would do; changes nothing
    Plan(plan::Arguments),
    /// Compare both sides under the task's mapping and filters
    Verify(verify::Arguments),
    /// Switch the application to the destination (not available in this version)
    Cutover(cutover::Arguments),
    /// Run the Kubernetes controller
    Operator(Box<operator::Arguments>),
    /// Run inside an engine pod; the operator starts it
    Engine(engine::Arguments),
    /// Print the CustomResourceDefinitions as YAML
    Crd(crd::Arguments),
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Done, or stopped cleanly.
    Success = 0,
    Failed = 1,
    /// The manifest or the arguments are wrong.
    Usage = 2,
    PrecheckFailed = 3,
    /// Both sides differ.
    Different = 4,
}

/// Why a command could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Wrong arguments, or a file that cannot be used.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Manifest(#[from] ManifestError),
    #[error("{0}")]
    Engine(#[from] Error),
    /// The operator cannot work.
    #[error("{0}")]
    Operator(String),
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Manifest(_) => Exit::Usage,
            Self::Engine(_) | Self::Operator(_) => Exit::Failed,
        }
    }
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors: clap gives them 0, everything else 2.
            let code = u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8);
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    environment::settle();
    // One TLS provider for the whole process, before anything connects; a second installation would be refused, harmlessly.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exit = dispatch(cli).unwrap_or_else(|failure| {
        complain(&failure.to_string());
        failure.exit()
    });
    ExitCode::from(exit as u8)
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let log = cli.log;
    match cli.command {
        Command::Run(arguments) => run::run(arguments, log),
        Command::Precheck(arguments) => precheck::run(arguments, log),
        Command::Plan(arguments) => plan::run(arguments, log),
        Command::Verify(arguments) => verify::run(arguments, log),
        Command::Cutover(arguments) => cutover::run(arguments),
        Command::Operator(arguments) => operator::run(*arguments, log),
        Command::Engine(arguments) => engine::run(arguments, log),
        Command::Crd(arguments) => crd::run(arguments),
    }
}

impl LogArguments {
    /// With another format where the command line names none.
    fn or(mut self, format: LogFormat) -> Self {
        self.log_format.get_or_insert(format);
        self
    }

    /// Starts logging; `quiet` where something else shows the progress.
    fn start(self, quiet: bool, bars: Option<indicatif::MultiProgress>) -> Result<(), Failure> {
        let format = self.log_format.unwrap_or_default();
        let quiet = quiet && format == LogFormat::Text;
        let fallback = if quiet { "warn" } else { "info" };
        telemetry::init(LogOptions { format, level: self.log_level, fallback, bars }).map_err(Failure::Usage)
    }
}

/// Runs a command's future on the runtime.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    block_on_threads(None, future)
}

/// The same with a number of worker threads; None: one for each CPU.
fn block_on_threads<T>(threads: Option<usize>, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads.max(1));
    }
    let runtime = builder.enable_all().build().map_err(|error| Error::transient(format!("starting the runtime: {error}")))?;
    let result = runtime.block_on(future);
    // What still hangs in a system call must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

/// Writes to standard output, without what a terminal would obey; a reader that went away (`| head`) is no error.
fn print(text: &str) -> Result<(), Failure> {
    write_out(&plain::lines(text))
}

fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes())).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::definite(format!("writing to standard output: {error}")).into())
        }
        _ => Ok(()),
    }
}

/// Prints a value as indented JSON.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::definite(format!("writing JSON: {error}")))?;
    write_out(&plain::json(&text))
}

/// One sentence about an error, or one a line.
fn complain(message: &str) {
    let mut err = std::io::stderr().lock();
    for line in message.lines() {
        let _ = writeln!(err, "error: {}", plain::line(line));
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }
}
