//! Reads fields out of a frame that it borrows from. Owns the checks that make any input safe: bounds, lengths, UTF-8, and the
//! memory that a frame may cost. Knows no message.

use alloc::vec::Vec;

use super::records::Records;
use super::tags::{UnknownTag, UnknownTags};
use super::{DecodeError, Wire};
use crate::limits::{DECODE_BYTES_MAX, DECODE_BYTES_MIN, DECODE_FACTOR, WIRE_STRING_BYTES_MAX};

/// A bounded cursor over one frame. After its first error it is empty, and every read gives a zero, an empty value or null.
///
/// Invariant: what decoding allocates is at most the budget that the length of the frame set.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// Bytes of memory that may yet be allocated.
    budget: usize,
    version: i16,
    flexible: bool,
    error: Option<DecodeError>,
}

/// How a length is written in versions that are not flexible.
#[derive(Clone, Copy)]
enum Width {
    I16,
    I32,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        let budget = bytes.len().saturating_mul(DECODE_FACTOR).saturating_add(DECODE_BYTES_MIN);
        Self { bytes, budget: budget.min(DECODE_BYTES_MAX), version: 0, flexible: false, error: None }
    }

    /// The bytes that are not read yet.
    pub fn remaining(&self) -> &'a [u8] {
        self.bytes
    }

    /// Fails if bytes are left over; whether that matters is for the caller to say.
    pub fn finish(self) -> Result<(), DecodeError> {
        self.check()?;
        if self.bytes.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }

    pub(super) fn check(&self) -> Result<(), DecodeError> {
        self.error.map_or(Ok(()), Err)
    }

    pub(super) fn set_version(&mut self, version: i16, flexible_from: i16) {
        self.version = version;
        self.flexible = version >= flexible_from;
    }

    pub(super) fn version(&self) -> i16 {
        self.version
    }

    #[cold]
    #[inline(never)]
    pub(super) fn fail(&mut self, error: DecodeError) {
        self.error.get_or_insert(error);
        self.bytes = &[];
    }

    #[inline]
    pub(super) fn fixed<const N: usize>(&mut self) -> [u8; N] {
        if let Some((head, rest)) = self.bytes.split_first_chunk() {
            self.bytes = rest;
            *head
        } else {
            self.fail(DecodeError::Truncated);
            [0; N]
        }
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        if let Some((head, rest)) = self.bytes.split_at_checked(len) {
            self.bytes = rest;
            head
        } else {
            self.fail(DecodeError::Truncated);
            &[]
        }
    }

    /// A base-128 number of at most 32 bits, lowest digit first.
    fn varint(&mut self) -> u32 {
        let mut value: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed();
            let digit = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= digit << shift;
            if byte < 0x80 {
                return value;
            }
        }
        self.fail(DecodeError::InvalidVarint);
        0
    }

    /// `None` is null. As in Kafka, every negative length means null.
    fn length(&mut self, width: Width) -> Option<usize> {
        if self.flexible {
            let length = self.varint().checked_sub(1)?;
            return Some(usize::try_from(length).unwrap_or(usize::MAX));
        }
        let length = match width {
            Width::I16 => i32::from(i16::read(self)),
            Width::I32 => i32::read(self),
        };
        usize::try_from(length).ok()
    }

    /// Unwraps what may not be null.
    fn required<T: Default>(&mut self, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            self.fail(DecodeError::UnexpectedNull);
            T::default()
        })
    }

    #[inline(never)]
    pub(super) fn nullable_string(&mut self) -> Option<&'a str> {
        let len = self.length(Width::I16)?;
        if len > WIRE_STRING_BYTES_MAX {
            self.fail(DecodeError::InvalidLength);
        }
        let bytes = self.take(len);
        let text = core::str::from_utf8(bytes);
        if text.is_err() {
            self.fail(DecodeError::InvalidUtf8);
        }
        Some(text.unwrap_or_default())
    }

    #[inline(never)]
    pub(super) fn string(&mut self) -> &'a str {
        let text = self.nullable_string();
        self.required(text)
    }

    #[inline(never)]
    pub(super) fn nullable_bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.length(Width::I32)?;
        Some(self.take(len))
    }

    #[inline(never)]
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let bytes = self.nullable_bytes();
        self.required(bytes)
    }

    pub(super) fn records(&mut self) -> Option<Records<'a>> {
        self.nullable_bytes().map(Records::Borrowed)
    }

    /// The count of an array whose elements fit what remains of the frame and of the budget.
    #[inline(never)]
    fn count(&mut self, bytes_min: usize, size: usize) -> Option<usize> {
        let count = self.length(Width::I32)?;
        if count > self.bytes.len() / bytes_min {
            self.fail(DecodeError::Truncated);
            return Some(0);
        }
        Some(if self.charge(count.saturating_mul(size)) { count } else { 0 })
    }

    #[must_use]
    fn charge(&mut self, size: usize) -> bool {
        let Some(rest) = self.budget.checked_sub(size) else {
            self.fail(DecodeError::OverBudget);
            return false;
        };
        self.budget = rest;
        true
    }

    pub(super) fn nullable_array<T: Wire<'a>>(&mut self) -> Option<Vec<T>> {
        let count = self.count(T::BYTES_MIN, size_of::<T>())?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(T::read(self));
            if self.error.is_some() {
                break;
            }
        }
        Some(items)
    }

    pub(super) fn array<T: Wire<'a>>(&mut self) -> Vec<T> {
        let items = self.nullable_array();
        self.required(items)
    }

    /// A struct behind a byte that says whether there is one.
    pub(super) fn nullable_struct<T: Wire<'a>>(&mut self) -> Option<T> {
        if i8::read(self) < 0 { None } else { Some(T::read(self)) }
    }

    #[inline(never)]
    pub(super) fn unknown_tags(&mut self) -> UnknownTags {
        self.tags(&mut |_, _| false)
    }

    /// The tagged fields at the end of a struct, ascending. `known` reads the value of a tag that it knows and says whether it did.
    #[inline(never)]
    pub(super) fn tags(&mut self, known: &mut dyn FnMut(u32, &mut Self) -> bool) -> UnknownTags {
        if !self.flexible {
            return UnknownTags::NONE;
        }
        let count = usize::try_from(self.varint()).unwrap_or(usize::MAX);
        if count > self.bytes.len() / 2 {
            self.fail(DecodeError::Truncated);
        }
        let mut unknown = Vec::new();
        let mut tag_min = 0;
        for left in (1..=count).rev() {
            let tag = self.varint();
            let len = usize::try_from(self.varint()).unwrap_or(usize::MAX);
            let value = self.take(len);
            if tag < tag_min {
                self.fail(DecodeError::InvalidTag);
            }
            if self.error.is_some() {
                break;
            }
            tag_min = tag.saturating_add(1);
            let rest = core::mem::replace(&mut self.bytes, value);
            if known(tag, self) {
                if !self.bytes.is_empty() {
                    self.fail(DecodeError::InvalidTag);
                }
            } else {
                let slots = if unknown.is_empty() { left } else { 0 };
                if self.charge(slots.saturating_mul(UnknownTags::BYTES_EACH).saturating_add(len)) {
                    unknown.reserve_exact(slots);
                    unknown.push(UnknownTag { tag, value: value.into() });
                }
            }
            if self.error.is_some() {
                break;
            }
            self.bytes = rest;
        }
        UnknownTags::new(unknown)
    }
}
