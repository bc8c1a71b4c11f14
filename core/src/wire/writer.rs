//! Writes fields into a frame. Owns the lengths and their limits; leaves record bytes in the pages where they lie. Knows no message.

use alloc::vec::Vec;

use super::records::Records;
use super::tags::UnknownTags;
use super::{EncodeError, Wire};
use crate::buf::Slice;
use crate::limits::WIRE_STRING_BYTES_MAX;

/// Collects one frame. What a failed `encode` left in it is worthless.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    /// Pages that stand before the byte of that index, in ascending order.
    slices: Vec<(usize, Slice)>,
    slices_len: usize,
    framed: bool,
    version: i16,
    flexible: bool,
    error: Option<EncodeError>,
    error_code: i16,
}

const FRAME_LENGTH_BYTES: usize = 4;

/// Most frames are no longer than this, but for their records.
const FRAME_BYTES_USUAL: usize = 128;

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that puts the length of all that follows in front, as requests and responses want it.
    pub fn frame() -> Self {
        let mut writer = Self { bytes: Vec::with_capacity(FRAME_BYTES_USUAL), ..Self::new() };
        writer.framed = true;
        writer.put(&[0; FRAME_LENGTH_BYTES]);
        writer
    }

    /// Bytes written so far, those of the frame's length included.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.slices_len
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame, in order. Only the record bytes are shared; the rest is one page.
    pub fn into_parts(mut self) -> Vec<Slice> {
        if self.framed {
            let len = self.len() - FRAME_LENGTH_BYTES;
            let len = i32::try_from(len).expect("encode holds the frame below 2 GiB");
            self.bytes[..FRAME_LENGTH_BYTES].copy_from_slice(&len.to_be_bytes());
        }
        let end = self.bytes.len();
        let page = Slice::from_vec(self.bytes);
        let mut parts = Vec::with_capacity(2 * self.slices.len() + 1);
        let mut from = 0;
        for (place, slice) in self.slices {
            if place > from {
                parts.push(page.cut(from, place));
                from = place;
            }
            parts.push(slice);
        }
        if end > from {
            parts.push(page.cut(from, end));
        }
        parts
    }

    /// The first error code that was written and is one.
    pub fn first_error_code(&self) -> i16 {
        self.error_code
    }

    pub(super) fn error_code(&mut self, code: i16) {
        if self.error_code == 0 {
            self.error_code = code;
        }
        code.write(self);
    }

    pub(super) fn set_version(&mut self, version: i16, flexible_from: i16) {
        self.version = version;
        self.flexible = version >= flexible_from;
    }

    pub(super) fn version(&self) -> i16 {
        self.version
    }

    pub(super) fn check(&mut self) -> Result<(), EncodeError> {
        if i32::try_from(self.len()).is_err() {
            self.fail(EncodeError::TooLong);
        }
        self.error.map_or(Ok(()), Err)
    }

    #[cold]
    #[inline(never)]
    fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Makes room for a varint that could not be known earlier. No slice lies behind `place`: tagged fields hold no records.
    fn insert_varints(&mut self, place: usize, values: &[u32]) {
        let mut digits = [0; 10];
        let mut len = 0;
        for &value in values {
            let mut value = value;
            loop {
                let digit = value.to_le_bytes()[0] & 0x7f;
                value >>= 7;
                digits[len] = if value == 0 { digit } else { digit | 0x80 };
                len += 1;
                if value == 0 {
                    break;
                }
            }
        }
        self.bytes.splice(place..place, digits[..len].iter().copied());
    }

    fn varint(&mut self, value: u32) {
        self.insert_varints(self.bytes.len(), &[value]);
    }

    fn length_32(&mut self, len: Option<usize>) {
        let value = len.map_or(Ok(-1), i32::try_from).unwrap_or_else(|_| {
            self.fail(EncodeError::TooLong);
            -1
        });
        if self.flexible {
            self.varint(u32::try_from(value + 1).unwrap_or(0));
        } else {
            value.write(self);
        }
    }

    #[inline(never)]
    pub(super) fn nullable_string(&mut self, text: Option<&str>) {
        let len = text.map(str::len);
        if len.is_some_and(|len| len > WIRE_STRING_BYTES_MAX) {
            self.fail(EncodeError::TooLong);
            return;
        }
        if self.flexible {
            self.length_32(len);
        } else {
            len.map_or(-1, |len| i16::try_from(len).expect("a string's bound is that of an i16")).write(self);
        }
        self.put(text.unwrap_or_default().as_bytes());
    }

    pub(super) fn string(&mut self, text: &str) {
        self.nullable_string(Some(text));
    }

    #[inline(never)]
    pub(super) fn nullable_bytes(&mut self, bytes: Option<&[u8]>) {
        self.length_32(bytes.map(<[u8]>::len));
        self.put(bytes.unwrap_or_default());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.nullable_bytes(Some(bytes));
    }

    #[inline(never)]
    pub(super) fn records(&mut self, records: Option<&Records<'_>>) {
        self.length_32(records.map(Records::len));
        match records {
            Some(Records::Borrowed(bytes)) => self.put(bytes),
            Some(Records::Slices(slices)) => {
                for slice in slices {
                    self.slices_len += slice.len();
                    self.slices.push((self.bytes.len(), slice.clone()));
                }
            }
            None => {}
        }
    }

    pub(super) fn array<'a, T: Wire<'a>>(&mut self, items: &[T]) {
        self.length_32(Some(items.len()));
        for item in items {
            item.write(self);
        }
    }

    pub(super) fn nullable_array<'a, T: Wire<'a>>(&mut self, items: Option<&[T]>) {
        match items {
            Some(items) => self.array(items),
            None => self.length_32(None),
        }
    }

    pub(super) fn nullable_struct<'a, T: Wire<'a>>(&mut self, value: Option<&T>) {
        match value {
            Some(value) => {
                1_i8.write(self);
                value.write(self);
            }
            None => (-1_i8).write(self),
        }
    }

    /// Unwraps what may not be null in this version.
    pub(super) fn required<T: Default>(&mut self, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            self.fail(EncodeError::UnexpectedNull);
            T::default()
        })
    }

    #[inline(never)]
    pub(super) fn unknown_tags(&mut self, unknown: &UnknownTags) {
        self.tags(unknown, &mut |_| {});
    }

    /// The tagged fields at the end of a struct: those that `known` puts, in ascending order, among the unknown ones.
    #[inline(never)]
    pub(super) fn tags(&mut self, unknown: &UnknownTags, known: &mut dyn FnMut(&mut TagWriter<'_, '_>)) {
        if !self.flexible {
            return;
        }
        let start = self.bytes.len();
        let mut tags = TagWriter { writer: self, unknown, unknown_next: 0, count: 0 };
        known(&mut tags);
        tags.put_unknown_below(None);
        let count = tags.count;
        self.insert_varints(start, &[count]);
    }
}

/// Writes the tagged section of one struct.
pub(super) struct TagWriter<'w, 'u> {
    writer: &'w mut Writer,
    unknown: &'u UnknownTags,
    unknown_next: usize,
    count: u32,
}

impl TagWriter<'_, '_> {
    #[inline(never)]
    pub(super) fn put(&mut self, tag: u32, value: &dyn Fn(&mut Writer)) {
        self.put_unknown_below(Some(tag));
        let start = self.writer.bytes.len();
        value(self.writer);
        self.close(tag, start);
    }

    fn put_unknown_below(&mut self, tag: Option<u32>) {
        while let Some(next) = self.unknown.as_slice().get(self.unknown_next) {
            if tag.is_some_and(|tag| next.tag >= tag) {
                return;
            }
            self.unknown_next += 1;
            let start = self.writer.bytes.len();
            self.writer.put(&next.value);
            self.close(next.tag, start);
        }
    }

    /// Puts tag and size in front of the value that began at `start`.
    fn close(&mut self, tag: u32, start: usize) {
        let Ok(len) = u32::try_from(self.writer.bytes.len() - start) else {
            self.writer.fail(EncodeError::TooLong);
            return;
        };
        self.writer.insert_varints(start, &[tag, len]);
        self.count += 1;
    }
}
