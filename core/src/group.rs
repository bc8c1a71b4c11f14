//! Groups of consumers and the offsets that they commit: a coordinator over one partition of `__consumer_offsets`. Knows no
//! connection, no wire format of requests and no storage.

pub mod assignor;
mod by_name;
pub mod classic;
pub mod command;
pub mod consumer;
pub mod groups;
mod offsets;
pub mod out;
pub mod record;
pub mod regex;
pub mod settings;
pub mod topics;

/// Where groups are kept.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
