//! The tiers on madsim, a deterministic runtime that we did not write; built only by `cargo mad`, which sets its cfg.

mod actor;
mod node;
mod rt;
mod run;
pub mod sandbox;
mod stage;

pub use run::run;
