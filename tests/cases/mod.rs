//! Real problems and published ones, through the API.

mod allocation;
mod published;
mod recorded;
mod scheduling;

pub use scheduling::diamond;
