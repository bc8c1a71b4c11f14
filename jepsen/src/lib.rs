//! What clients did and saw, and the checkers that judge it. Knows no broker and no client, so any source of a history will do.

pub mod checker;
pub mod history;
pub mod ndjson;
pub mod writes;
