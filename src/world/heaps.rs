//! Keeps the memory of a daemon small: sets how the C library divides and returns it.
//!
//! glibc creates a heap for nearly every thread, up to eight for each processor, and memory that is freed in one heap is not
//! used by the others. It also raises the size from which it returns freed blocks to the kernel each time it returns one.
//! With threads that come and go, and large requests from untrusted users, a daemon then holds several times the memory
//! that it uses.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// What glibc reads at the start of a program (`mallopt(3)`); later, only unsafe code can change it.
const VARIABLES: [(&str, &str); 3] = [
    // One heap for the threads that wait for the network, one for those that wait for the disk.
    ("MALLOC_ARENA_MAX", "2"),
    // Freed blocks of so many bytes are returned immediately.
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
    // So are so many bytes at the end of a heap.
    ("MALLOC_TRIM_THRESHOLD_", "65536"),
];

/// The other name for the same.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Executes this program again, as the same process, with these variables. Returns if its environment has one of them already,
/// or if that fails: the daemon then only needs more memory.
pub fn limit() {
    let mut names = VARIABLES.iter().map(|(name, _)| *name).chain([TUNABLES]);
    if names.any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_else(|| program.clone().into_os_string());
    let _why_not = Command::new(program).arg0(name).args(words).envs(VARIABLES).exec();
}
