//! GitOps with issues as the desired state: a Gitea issue asks for a Mission Cell, a directory exists for it, and the
//! issue shows its health.

pub mod mission;
pub mod world;
