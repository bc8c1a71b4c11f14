//! A record as a user sees it: what the batch holds, and where it was. Knows nothing of how it came here.

use highwater_core::batch;

/// One consumed record; everything is borrowed from the response that brought it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consumed<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) record: batch::Record<'a>,
}
