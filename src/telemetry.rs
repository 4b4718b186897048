//! Logs: one line an event, on standard error, as text for people or as JSON for machines.
//!
//! Secrets never come near them: passwords are `SecretText`, whose `Debug` shows stars and which has no `Display`.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Environment variable that sets the level where `--log-level` does not.
pub const LEVEL_VARIABLE: &str = "GODWIT_LOG";

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged and where.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    pub format: LogFormat,
    /// A level (`debug`) or directives (`godwit::engine=trace,warn`); None: [`LEVEL_VARIABLE`], else `fallback`.
    pub level: Option<String>,
    /// The level of our own events when nobody names one.
    pub fallback: &'static str,
    /// Progress bars that log lines must not tear.
    pub bars: Option<MultiProgress>,
}

/// Installs the subscriber; call once.
///
/// # Errors
/// A sentence when the level cannot be read.
pub fn init(options: LogOptions) -> Result<(), String> {
    let given = options.level.or_else(|| std::env::var(LEVEL_VARIABLE).ok().filter(|level| !level.trim().is_empty()));
    let filter = filter(given.as_deref().unwrap_or(options.fallback))?;
    let writer = LogWriter { bars: options.bars };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A second call, from a test, leaves the first subscriber in place.
    let _ = match options.format {
        LogFormat::Json => subscriber.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        LogFormat::Text => subscriber.with_ansi(colours()).with_target(false).try_init(),
    };
    Ok(())
}

/// A plain level is about our own events; libraries are heard from warnings on.
fn filter(level: &str) -> Result<EnvFilter, String> {
    let level = level.trim();
    let directives = if level.contains(['=', ',']) { level.to_owned() } else { format!("warn,godwit={level}") };
    EnvFilter::try_new(directives)
        .map_err(|error| format!("log level '{level}': {error}; use off, error, warn, info, debug or trace, or directives such as godwit::engine=debug,warn"))
}

fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes whole lines to standard error, above the bars where there are some.
#[derive(Debug, Clone)]
struct LogWriter {
    bars: Option<MultiProgress>,
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().lock().write_all(line);
        match &self.bars {
            Some(bars) => bars.suspend(write)?,
            None => write()?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives() {
        assert_eq!(filter("debug").unwrap().to_string(), "godwit=debug,warn");
        assert!(filter("godwit::engine=trace,off").is_ok());
        assert!(filter("loud").unwrap_err().contains("loud"));
    }
}
