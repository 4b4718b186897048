//! Installs what is global, parses, dispatches; nothing else.
use std::process::ExitCode;

fn main() -> ExitCode {
    godwit::cli::main()
}
