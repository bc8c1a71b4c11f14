//! Tagged fields that this build does not know: kept as they came and written again, so that they survive a passage.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// The unknown tagged fields of one struct, mostly none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnknownTags(Option<Box<Tags>>);

/// In ascending order of their tags.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tags(Vec<UnknownTag>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownTag {
    pub(super) tag: u32,
    pub(super) value: Box<[u8]>,
}

impl UnknownTags {
    pub const NONE: Self = Self(None);

    /// Memory that one field takes besides its value; the first one's share of the box is in it.
    pub(super) const BYTES_EACH: usize = size_of::<UnknownTag>() + size_of::<Tags>();

    /// `tags` ascend.
    pub(super) fn new(tags: Vec<UnknownTag>) -> Self {
        if tags.is_empty() { Self::NONE } else { Self(Some(Box::new(Tags(tags)))) }
    }

    pub(super) fn as_slice(&self) -> &[UnknownTag] {
        self.0.as_ref().map_or(&[], |tags| &tags.0)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}
