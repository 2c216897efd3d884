//! The sandbox does as a real Gitea does.

mod comments;
mod forge;
mod git;
