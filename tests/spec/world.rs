//! Effects: disk, git and the network.

mod addresses;
mod checkout;
mod clock;
mod cron_heartbeat;
mod disk;
mod full_disk;
mod git;
mod git_apart;
pub(crate) mod git_bounds;
mod git_guard;
pub(crate) mod git_hostile;
mod git_refs;
mod git_slow;
mod git_written;
mod heartbeats;
mod ping;
mod random;
mod recordings;
mod removal;
mod root_lock;
