//! What is in the repository besides code.

mod dependencies;
mod documents;
mod house;
mod package;
mod phrases;
mod units;
mod wizards;
