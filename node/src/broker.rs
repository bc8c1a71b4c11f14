//! The node's shards as the rest of this crate sees them. The only module that knows how the I/O crate starts them.

use std::net::SocketAddr;
use std::sync::Arc;

use highwater_cli::{Exit, Failure};

use crate::config::Settings;
use crate::observer::Observer;

/// Running shards.
#[derive(Debug)]
pub(crate) struct Broker {
    /// The address that was bound.
    pub(crate) address: SocketAddr,
    pub(crate) shards: usize,
    pub(crate) io_driver: &'static str,
    pub(crate) io_reason: String,
    pub(crate) durability: &'static str,
}

pub(crate) fn start(settings: &Settings, observer: &Arc<Observer>) -> Result<Broker, Failure> {
    let _ = (settings, observer, SocketAddr::from(([0, 0, 0, 0], 0)));
    Err(Failure { exit: Exit::Failed, what: "x".into(), place: "x".into(), why: "x".into(), fix: "x".into() })
}
impl Broker {
    pub(crate) fn when_ended(
        &mut self,
        _f: impl FnOnce(Result<(), Failure>) + Send + 'static,
    ) -> Result<(), Failure> {
        Ok(())
    }
    pub(crate) fn stop(&self) {}
}
