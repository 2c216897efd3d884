//! Whatever strangers write into the form, publish as a repository, or make of a cell from inside: each ends as it is
//! documented, nothing outside the root is touched or read, and nothing is run but git where nobody else can reach it.

mod canary;
mod corpus;
mod inputs;
mod inside;
mod markup;
mod programs;
mod repositories;
mod trace;
mod traps;
