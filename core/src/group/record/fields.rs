//! How Kafka lays the fields of a record out: lengths in full in its older messages, as varints in the flexible ones, which end in
//! fields that are known by a tag. Knows no message.

use alloc::string::String;
use alloc::vec::Vec;

use crate::coordinator::Unreadable;
use crate::id::{TopicId, Uuid};
use crate::limits::WIRE_STRING_BYTES_MAX;

/// How a message writes its lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Flexible,
}

/// Writes fields, one after the other.
#[derive(Debug)]
pub(super) struct Sink {
    bytes: Vec<u8>,
    form: Form,
}

impl Sink {
    /// A message: its version, or the kind of a key, stands before it.
    pub(super) fn new(version: i16, form: Form) -> Self {
        Self { bytes: version.to_be_bytes().to_vec(), form }
    }

    /// The value of a tagged field.
    pub(super) fn tagged() -> Self {
        Self { bytes: Vec::new(), form: Form::Flexible }
    }

    pub(super) fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes.extend(bytes);
    }

    pub(super) fn int(&mut self, value: i32) {
        self.put(value.to_be_bytes());
    }

    pub(super) fn long(&mut self, value: i64) {
        self.put(value.to_be_bytes());
    }

    pub(super) fn id(&mut self, topic: TopicId) {
        self.put(topic.0.0);
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.bytes.push(value.to_le_bytes()[0]);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.maybe_text(Some(text));
    }

    pub(super) fn maybe_text(&mut self, text: Option<&str>) {
        match (self.form, text) {
            (Form::Plain, None) => self.put((-1_i16).to_be_bytes()),
            (Form::Plain, Some(text)) => {
                let len = i16::try_from(text.len()).expect("a text of a request fits its length");
                self.put(len.to_be_bytes());
            }
            (Form::Flexible, None) => self.varint(0),
            (Form::Flexible, Some(text)) => self.count(text.len()),
        }
        self.bytes.extend(text.unwrap_or_default().as_bytes());
    }

    pub(super) fn blob(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.bytes.extend(bytes);
    }

    /// The length of bytes or of an array.
    pub(super) fn count(&mut self, count: usize) {
        let count = i32::try_from(count).expect("a record is far below 2 GiB");
        match self.form {
            Form::Plain => self.int(count),
            Form::Flexible => self.varint(count.unsigned_abs() + 1),
        }
    }

    pub(super) fn ints(&mut self, values: impl ExactSizeIterator<Item = i32>) {
        self.count(values.len());
        values.for_each(|value| self.int(value));
    }

    /// The end of a structure without tagged fields.
    pub(super) fn end(&mut self) {
        if self.form == Form::Flexible {
            self.varint(0);
        }
    }

    /// The end of a structure with the tagged field 0, if it is there.
    pub(super) fn end_with(&mut self, tagged: Option<Self>) {
        let Some(tagged) = tagged else { return self.end() };
        self.varint(1);
        self.varint(0);
        self.varint(u32::try_from(tagged.bytes.len()).expect("a record is far below 2 GiB"));
        self.bytes.extend(tagged.bytes);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads fields, one after the other. Nothing is allocated for a count: only for what is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    form: Form,
}

type Read<T> = Result<T, Unreadable>;

const SHORT: Unreadable = Unreadable("it ends too early");

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, form: Form::Plain }
    }

    pub(super) fn set_form(&mut self, form: Form) {
        self.form = form;
    }

    fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(SHORT)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| SHORT)
    }

    pub(super) fn byte(&mut self) -> Read<i8> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(super) fn short(&mut self) -> Read<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn int(&mut self) -> Read<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn long(&mut self) -> Read<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(super) fn id(&mut self) -> Read<TopicId> {
        Ok(TopicId(Uuid(self.array()?)))
    }

    fn varint(&mut self) -> Read<u32> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            let part = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unreadable("a length of more than 32 bits"))
    }

    /// The length of bytes or of an array.
    pub(super) fn maybe_count(&mut self) -> Read<Option<usize>> {
        let count = match self.form {
            Form::Plain => i64::from(self.int()?),
            Form::Flexible => i64::from(self.varint()?) - 1,
        };
        Ok(usize::try_from(count).ok())
    }

    pub(super) fn count(&mut self) -> Read<usize> {
        self.maybe_count()?.ok_or(Unreadable("null where a value belongs"))
    }

    pub(super) fn maybe_text(&mut self) -> Read<Option<String>> {
        let len = match self.form {
            Form::Plain => usize::try_from(self.short()?).ok(),
            Form::Flexible => self.maybe_count()?,
        };
        let Some(len) = len else { return Ok(None) };
        if len > WIRE_STRING_BYTES_MAX {
            return Err(Unreadable("a text that no request can bring"));
        }
        let text =
            core::str::from_utf8(self.take(len)?).map_err(|_| Unreadable("a text that is not UTF-8"))?;
        Ok(Some(String::from(text)))
    }

    pub(super) fn text(&mut self) -> Read<String> {
        self.maybe_text()?.ok_or(Unreadable("null where a value belongs"))
    }

    pub(super) fn blob(&mut self) -> Read<Vec<u8>> {
        let len = self.count()?;
        Ok(self.take(len)?.to_vec())
    }

    /// An array of what `read` reads, each of which takes at least a byte.
    pub(super) fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let mut list = Vec::new();
        for _ in 0..self.count()? {
            list.push(read(self)?);
        }
        Ok(list)
    }

    /// The end of a structure; the tagged field 0, if it is there. Others are passed over.
    pub(super) fn end(&mut self) -> Read<Option<Self>> {
        let mut found = None;
        if self.form == Form::Flexible {
            for _ in 0..self.varint()? {
                let tag = self.varint()?;
                let len = usize::try_from(self.varint()?).map_err(|_| SHORT)?;
                let bytes = self.take(len)?;
                if tag == 0 {
                    found = Some(Self { bytes, form: Form::Flexible });
                }
            }
        }
        Ok(found)
    }
}
