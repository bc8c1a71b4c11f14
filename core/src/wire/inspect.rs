//! Decoded messages as generic values, for the judges of the codec: recorded messages, fuzzing. No part of a broker.

use alloc::string::String;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::{DecodeError, EncodeError, Reader, Records, RequestHeader, Writer};
use crate::buf::Slice;
use crate::id::Uuid;

/// A field's value, as Kafka's JSON form of its messages has it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A string, or a uuid as text.
    Text(String),
    Bytes(Vec<u8>),
    Records,
    List(Vec<Self>),
    /// Fields in order, under Kafka's names.
    Struct(Vec<(&'static str, Self)>),
}

/// Gives the value of what stands in a message of a version.
pub trait Inspect {
    fn inspect(&self, version: i16) -> Value;
}

/// Collects the fields of a struct that are in its version.
#[derive(Debug)]
pub struct Fields {
    version: i16,
    fields: Vec<(&'static str, Value)>,
}

impl Fields {
    pub fn new(version: i16) -> Self {
        Self { version, fields: Vec::new() }
    }

    pub fn put(&mut self, name: &'static str, versions: RangeInclusive<i16>, value: &dyn Inspect) {
        if versions.contains(&self.version) {
            self.fields.push((name, value.inspect(self.version)));
        }
    }

    pub fn end(self) -> Value {
        Value::Struct(self.fields)
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Inspect for $integer {
            fn inspect(&self, _: i16) -> Value {
                Value::Int(i64::from(*self))
            }
        }
    )*};
}

integers!(i8, i16, u16, i32, i64);

impl Inspect for f64 {
    fn inspect(&self, _: i16) -> Value {
        Value::Float(*self)
    }
}

impl Inspect for bool {
    fn inspect(&self, _: i16) -> Value {
        Value::Bool(*self)
    }
}

impl Inspect for Uuid {
    fn inspect(&self, _: i16) -> Value {
        Value::Text(self.to_string())
    }
}

impl Inspect for &str {
    fn inspect(&self, _: i16) -> Value {
        Value::Text((*self).into())
    }
}

impl Inspect for &[u8] {
    fn inspect(&self, _: i16) -> Value {
        Value::Bytes(self.to_vec())
    }
}

impl Inspect for Records<'_> {
    fn inspect(&self, _: i16) -> Value {
        Value::Records
    }
}

impl<T: Inspect> Inspect for Option<T> {
    fn inspect(&self, version: i16) -> Value {
        self.as_ref().map_or(Value::Null, |value| value.inspect(version))
    }
}

impl<T: Inspect> Inspect for Vec<T> {
    fn inspect(&self, version: i16) -> Value {
        Value::List(self.iter().map(|item| item.inspect(version)).collect())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
}

/// The codec of one request or response.
#[derive(Debug)]
pub struct Codec {
    pub key: i16,
    pub name: &'static str,
    pub kind: Kind,
    pub versions: fn() -> RangeInclusive<i16>,
    /// Decodes a body, all of it, and forgets it.
    pub decode: fn(i16, &[u8]) -> Result<(), DecodeError>,
    /// Decodes a body and shows what it holds.
    pub inspect: fn(i16, &[u8]) -> Result<Value, DecodeError>,
    /// Decodes a body and encodes what it holds.
    pub recode: fn(i16, &[u8]) -> Result<Recoded, DecodeError>,
}

/// The bytes of a message that was decoded, encoded again.
pub type Recoded = Result<Vec<u8>, EncodeError>;

macro_rules! codec {
    ($name:ident, $kind:ident, $message:ty) => {
        Codec {
            key: <$message>::KEY,
            name: stringify!($name),
            kind: super::inspect::Kind::$kind,
            versions: || <$message>::VERSIONS,
            decode: |version, bytes| {
                let mut reader = super::Reader::new(bytes);
                <$message>::decode(version, &mut reader)?;
                reader.finish()
            },
            inspect: |version, bytes| {
                let mut reader = super::Reader::new(bytes);
                let message = <$message>::decode(version, &mut reader)?;
                Ok(super::inspect::Inspect::inspect(&message, version))
            },
            recode: |version, bytes| {
                let mut reader = super::Reader::new(bytes);
                let message = <$message>::decode(version, &mut reader)?;
                let mut writer = super::Writer::new();
                Ok(message.encode(version, &mut writer).map(|()| super::inspect::flatten(writer)))
            },
        }
    };
}

pub(super) use codec;

/// The bytes that a writer collected.
pub fn flatten(writer: Writer) -> Vec<u8> {
    writer.into_parts().iter().flat_map(Slice::as_slice).copied().collect()
}

/// Every codec, ascending by key, request before response.
pub fn codecs() -> &'static [Codec] {
    super::messages::CODECS
}

/// One run of a fuzzer: two bytes choose the codec, one the version, the rest is the body. What decodes must encode, and what that
/// gives must decode and encode to itself.
pub fn fuzz(data: &[u8]) {
    let Some(([high, low, version], body)) = data.split_first_chunk() else { return };
    fuzz_header(body);
    let codec = &codecs()[usize::from(u16::from_be_bytes([*high, *low])) % codecs().len()];
    let versions = (codec.versions)();
    let version = versions.start() + i16::from(*version) % (versions.end() - versions.start() + 1);
    let Ok(once) = (codec.recode)(version, body) else { return };
    let once = once.expect("what was decoded can be encoded");
    // A varint may have been longer than needed or a null spelled otherwise, so only now are the bytes settled.
    let twice = (codec.recode)(version, &once).map(|twice| twice.expect("what was decoded can be encoded"));
    // What is written shorter than it was read has a smaller budget, so refusal for that is no fault.
    assert!(twice == Ok(once) || twice == Err(DecodeError::OverBudget), "encoding is a fixed point");
}

/// A header that decodes encodes to what decodes to it.
pub fn fuzz_header(data: &[u8]) {
    let Ok(header) = RequestHeader::decode(&mut Reader::new(data)) else { return };
    let mut writer = Writer::new();
    if header.encode(&mut writer).is_ok() {
        let bytes = flatten(writer);
        assert_eq!(RequestHeader::decode(&mut Reader::new(&bytes)), Ok(header), "encoding keeps the header");
    }
}
