//! The log against a twin that keeps every batch in a vector and searches it from end to end, on a disk and a WAL in memory.

mod compacting;
mod deleted;
mod faults;
pub(in crate::log) mod model;
mod points;
mod random;
mod trimmed;
pub(in crate::log) mod world;
