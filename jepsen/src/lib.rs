//! What clients did and saw, and the checkers that judge it. Knows no broker and no client, so any source of a history will do.

pub mod anomaly;
pub mod checker;
pub mod history;
pub mod ndjson;
mod version_order;
pub mod writes;

pub use version_order::SentTwice;
