//! Parts of a write or a send as one run of bytes.

use highwater_core::buf::Slice;

pub(crate) fn joined(parts: &[Slice]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(Slice::len).sum());
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}
