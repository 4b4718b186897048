//! What the database driver reads from the environment, and nowhere else.
//!
//! Its connections share up to 128 buffers and each may keep 4 MiB of what it once held, so that a few large rows leave half a
//! gigabyte behind. The limit is a variable that must stand before the first connection is made; a process cannot safely
//! change its own environment, so it starts itself again: same process id, same files, nothing done yet.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Bytes that one of the driver's buffers keeps.
const BUFFER_CAP: (&str, &str) = ("MYSQL_ASYNC_BUFFER_SIZE_CAP", "262144");

/// Returns in a process that has the variable, or in this one where the program cannot be started again.
pub fn settle_environment() {
    let (name, value) = BUFFER_CAP;
    if std::env::var_os(name).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(called) = arguments.next() {
        command.arg0(called);
    }
    let error = command.args(arguments).env(name, value).exec();
    // Only reached when that failed.
    let _ = writeln!(std::io::stderr(), "warning: the driver's buffers are not limited ({name}={value} would do it): {error}");
}
