//! Logs: one line an event, on standard error, as text for people or as JSON for machines.
//!
//! Secrets never come near them: passwords are `SecretText`, whose `Debug` shows stars and which has no `Display`. What servers say and what their
//! objects are called is written without what a terminal would obey, and in one line: nobody but us begins a line.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::model::plain;

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
    let colours = options.format == LogFormat::Text && colours();
    let writer = LogWriter { bars: options.bars, format: options.format, colours };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A second call, from a test, leaves the first subscriber in place.
    let _ = match options.format {
        LogFormat::Json => subscriber.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        LogFormat::Text => subscriber.with_ansi(colours).with_target(false).try_init(),
    };
    Ok(())
}

/// A plain level is about our own events; libraries are heard from warnings on.
fn filter(level: &str) -> Result<EnvFilter, String> {
    let level = level.trim();
    let directives = if level.contains(['=', ',']) { level.to_owned() } else { format!("warn,godwit={level}") };
    EnvFilter::try_new(directives)
        .map_err(|error| format!("log level '{level}': {error}; use off, error, warn, info, debug or trace, or directives such as godwit_engine=debug,warn"))
}

fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes whole lines to standard error, above the bars where there are some.
#[derive(Debug, Clone)]
struct LogWriter {
    bars: Option<MultiProgress>,
    format: LogFormat,
    colours: bool,
}

impl LogWriter {
    /// A whole event, which is one line.
    fn plain<'a>(&self, event: &'a str) -> Cow<'a, str> {
        let (line, end) = event.strip_suffix('\n').map_or((event, ""), |line| (line, "\n"));
        let plain = match self.format {
            LogFormat::Json => plain::json(line),
            LogFormat::Text if self.colours => Cow::Owned(plain_coloured(line)),
            LogFormat::Text => plain::line(line),
        };
        match plain {
            Cow::Borrowed(_) => Cow::Borrowed(event),
            Cow::Owned(plain) => Cow::Owned(plain + end),
        }
    }
}

/// The subscriber's own colours stay (`ESC [ numbers m`); it writes escape characters of others as text.
fn plain_coloured(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    for (place, piece) in line.split("\x1b[").enumerate() {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        let is_colour = place > 0 && rest.starts_with('m');
        if place > 0 {
            plain.push_str(if is_colour { "\x1b[" } else { "\\u{1b}[" });
        }
        plain.push_str(&plain::line(piece));
    }
    plain
}

impl Write for LogWriter {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = self.plain(&text);
        let write = || io::stderr().lock().write_all(line.as_bytes());
        match &self.bars {
            Some(bars) => bars.suspend(write)?,
            None => write()?,
        }
        Ok(event.len())
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
    fn an_event_is_one_line_that_does_nothing() {
        let writer = |format, colours| LogWriter { bars: None, format, colours };
        let event = "\x1b[33m WARN\x1b[0m it says \x1b]0;x\x07 \u{202e}\nERROR forged\n";
        let shown = "\x1b[33m WARN\x1b[0m it says \\u{1b}]0;x\\u{7} \\u{202e}\\nERROR forged\n";
        assert_eq!(writer(LogFormat::Text, true).plain(event), shown);
        assert_eq!(writer(LogFormat::Text, true).plain("\x1b[2J\x1b[1;31m"), "\\u{1b}[2J\x1b[1;31m");
        assert_eq!(writer(LogFormat::Text, false).plain(event), shown.replace('\x1b', "\\u{1b}"));
        assert_eq!(writer(LogFormat::Json, false).plain("{\"a\":\"\u{9b}\"}\n"), "{\"a\":\"\\u009b\"}\n");
    }

    #[test]
    fn levels_and_directives() {
        assert_eq!(filter("debug").unwrap().to_string(), "godwit=debug,warn");
        assert!(filter("godwit_engine=trace,off").is_ok());
        assert!(filter("loud").unwrap_err().contains("loud"));
    }
}
