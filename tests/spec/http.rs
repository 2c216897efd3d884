//! Endpoints for machines, pages for people.

mod endpoints;
mod page;
mod service;
