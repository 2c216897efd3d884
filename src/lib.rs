//! GitOps with issues as the desired state: a Gitea issue asks for a Mission Cell, a directory exists for it, and the
//! issue shows its health.

pub mod arguments;
pub mod beat;
pub mod demo;
pub mod init;
pub mod job;
pub mod mission;
pub mod pass;
pub mod reconcile;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod scan;
pub mod settings;
pub mod survey;
pub mod world;
