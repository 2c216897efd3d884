//! What prepares roots and repositories.

mod gc;
mod install;
mod install_forms;
mod team_labels;
