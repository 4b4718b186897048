//! What libraries read from the environment, and nowhere else.
//!
//! The driver's connections share up to 128 buffers and each may keep 4 MiB of what it once held, so that a few large rows
//! leave half a gigabyte behind; the allocator keeps freed memory for ten seconds. Both read variables before `main` can do
//! anything about them, and a process cannot safely change its own environment. So it starts itself again: same process id,
//! same files, nothing done yet.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Bytes that one of the driver's buffers keeps.
const BUFFER_CAP: (&str, &str) = ("MYSQL_ASYNC_BUFFER_SIZE_CAP", "262144");

/// How soon jemalloc gives freed memory back. It has no background thread with musl; pages then go when others are asked for.
const ALLOCATOR: (&str, &str) = (
    "_RJEM_MALLOC_CONF",
    if cfg!(target_env = "gnu") {
        "background_thread:true,dirty_decay_ms:500,muzzy_decay_ms:0"
    } else {
        "dirty_decay_ms:500,muzzy_decay_ms:0"
    },
);

/// Returns in a process that has the variables, or in this one where the program cannot be started again.
pub(super) fn settle() {
    let missing: Vec<(&str, &str)> =
        [BUFFER_CAP, ALLOCATOR].into_iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    if missing.is_empty() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(called) = arguments.next() {
        command.arg0(called);
    }
    let error = command.args(arguments).envs(missing).exec();
    // Only reached when that failed.
    let (name, value) = BUFFER_CAP;
    let _ = writeln!(std::io::stderr(), "warning: the driver's buffers are not limited ({name}={value} would do it): {error}");
}
