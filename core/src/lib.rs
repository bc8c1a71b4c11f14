//! Highwater's core: every decision of the broker and none of its doing.
//!
//! The core is a set of state machines. Bytes, completions and time come in as [`shard::Input`]; what the world shall do goes
//! out as [`shard::Effect`]. It reads no clock, no entropy, no environment and has no I/O trait, so the same code runs on
//! io_uring in production and inside the seeded simulator.
//!
//! Who may import whom is a table that `cargo xtask tidy` holds:
//! ```text
//! shard ► api ► {group, controller, txn} ► replica ► log ► batch ► {buf, id, time, prng, limits, mutant}
//! group ► coordinator
//! shard ► storage ► log
//! wire ► {batch, buf, id}        only `api` and `client` import wire
//! client ► wire
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

extern crate alloc;

mod api;
pub mod batch;
pub mod buf;
pub mod client;
pub mod config;
pub mod controller;
pub mod coordinator;
pub mod group;
pub mod id;
pub mod limits;
pub mod log;
pub mod mutant;
pub mod prng;
pub mod replica;
pub mod shard;
pub mod storage;
pub mod time;
pub mod wire;
