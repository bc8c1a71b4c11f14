//! The log against a twin that keeps every batch in a vector and searches it from end to end, on a disk and a WAL in memory.

mod compacting;
mod deleted;
mod faults;
pub(super) mod model;
mod random;
mod trimmed;
pub(super) mod world;
