//! The record bytes of a message, opaque here. They are the bulk of the traffic, so neither direction copies them.

use alloc::vec::Vec;

use crate::buf::Slice;

/// Record batches as they stand in a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Records<'a> {
    /// Part of the frame that was decoded.
    Borrowed(&'a [u8]),
    /// Pages to send, in order.
    Slices(Vec<Slice>),
}

impl<'a> Records<'a> {
    pub fn len(&self) -> usize {
        match self {
            Self::Borrowed(bytes) => bytes.len(),
            Self::Slices(slices) => slices.iter().map(Slice::len).sum(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of decoded records; `None` for those to be sent.
    pub fn borrowed(&self) -> Option<&'a [u8]> {
        match self {
            Self::Borrowed(bytes) => Some(bytes),
            Self::Slices(_) => None,
        }
    }
}
