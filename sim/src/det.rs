//! The second tier: the real driver of `highwater-io` on a deterministic executor, over the same network, disk and clocks as the
//! first. A [`Driven`] takes and gives what a bare shard takes and gives, so the world need not know that between its event heap
//! and the machine there now are tasks, sockets with short reads and writes, a mesh that is full, and an orderly end.

mod contract;
mod disk;
mod driven;
mod executor;
mod host;
mod mesh;
mod rt;

#[cfg(madsim)]
pub(crate) use contract::{Ledger, Watched};
pub(crate) use driven::{Driven, Inner, Setup};
pub(crate) use mesh::Lanes;
pub(crate) use rt::Listener;
