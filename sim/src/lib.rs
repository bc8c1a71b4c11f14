//! Highwater's deterministic simulator, first floor: the core's shards on an event heap, under a simulated disk, network and
//! clock, with real clients of the wire protocol, planned faults, and checkers.
//!
//! A seed decides everything. The same seed in the same build gives the same run, byte for byte, and says so with a fingerprint.

mod bytes;
pub mod checker;
pub mod clients;
mod det;
pub mod disk;
pub mod draw;
pub mod fault;
pub mod fingerprint;
pub mod heap;
pub mod history;
#[cfg(madsim)]
pub mod mad;
pub mod marks;
pub mod model;
pub mod mutants;
pub mod network;
pub mod outcome;
pub mod page;
pub mod params;
pub mod plan;
pub mod profile;
pub mod report;
pub mod run;
pub mod scenario;
pub mod seed;
pub mod shrink;
pub mod story;
pub mod sweep;
pub mod tape;
pub mod world;
