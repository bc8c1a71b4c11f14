//! The log against a twin that keeps every batch in a vector and searches it from end to end, on a disk and a WAL in memory.

mod deleted;
mod faults;
mod model;
mod random;
mod trimmed;
mod world;
