//! The plugin author's kit: from nothing to a measured component.
//!
//! `project` knows what a project looks like, `new` makes one, `build` makes its component.
//! `problem` reads problems that people write, `cases` holds a component to them in the real sandbox,
//! `shared` has problems for comparisons, `recorded` takes those of a daemon, `bench` compares, `summary` adds up. `report`, `gantt`, `settings` and `svg` show.

pub(crate) mod bench;
pub(crate) mod build;
pub(crate) mod cases;
mod claims;
mod flow;
mod gantt;
pub(crate) mod new;
mod problem;
mod project;
pub(crate) mod recorded;
mod report;
pub(crate) mod settings;
mod shared;
pub(crate) mod summary;
mod svg;
mod vendored;

pub(crate) use problem::read;
pub(crate) use project::{Language, Project};
pub(crate) use report::show;
