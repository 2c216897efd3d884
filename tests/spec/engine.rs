//! The reconcile loop: passes, the daemon, its queue, and what it costs.

mod bounds;
mod bounds_in_sum;
mod bounds_of_daemon;
mod closings;
mod daemon;
mod failures;
mod faults;
mod issue;
mod lasting;
mod once;
mod one_engine;
mod queue;
mod races;
mod roots;
mod scopes;
mod starts;
mod takeover;
