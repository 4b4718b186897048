//! Installs what is global, parses, dispatches; nothing else.
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    godwit::cli::main()
}
