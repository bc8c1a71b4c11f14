//! What stands in front of every request and response. Knows which version of the header goes with which message.

use super::{ApiKey, DecodeError, EncodeError, Reader, UnknownTags, Wire, Writer};

/// Headers 0 and 1 are not flexible, header 2 is.
const FLEXIBLE_FROM: i16 = 2;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestHeader<'a> {
    pub api_key: i16,
    pub api_version: i16,
    pub correlation_id: i32,
    pub client_id: Option<&'a str>,
    pub unknown_tags: UnknownTags,
}

impl<'a> RequestHeader<'a> {
    /// Decodes the header and leaves the body. For a key that we do not know, what follows the correlation id has no known
    /// shape and stays unread; for a version that we do not know, the header is that of its neighbours, so that it can be answered.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let api_key = i16::read(reader);
        let api_version = i16::read(reader);
        let correlation_id = i32::read(reader);
        let mut header = Self { api_key, api_version, correlation_id, ..Self::default() };
        if let Some(key) = ApiKey::from_code(api_key) {
            // The client id has a two-byte length in every version: brokers read it before they know the client's.
            reader.set_version(0, FLEXIBLE_FROM);
            header.client_id = reader.nullable_string();
            reader.set_version(key.request_header_version(api_version), FLEXIBLE_FROM);
            header.unknown_tags = reader.unknown_tags();
        }
        reader.check()?;
        Ok(header)
    }

    pub fn encode(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        let key = ApiKey::from_code(self.api_key).ok_or(EncodeError::UnsupportedVersion)?;
        self.api_key.write(writer);
        self.api_version.write(writer);
        self.correlation_id.write(writer);
        writer.set_version(0, FLEXIBLE_FROM);
        writer.nullable_string(self.client_id);
        writer.set_version(key.request_header_version(self.api_version), FLEXIBLE_FROM);
        writer.unknown_tags(&self.unknown_tags);
        writer.check()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseHeader {
    pub correlation_id: i32,
    pub unknown_tags: UnknownTags,
}

/// Response headers 0 are not flexible, headers 1 are.
const RESPONSE_FLEXIBLE_FROM: i16 = 1;

impl ResponseHeader {
    pub fn new(correlation_id: i32) -> Self {
        Self { correlation_id, unknown_tags: UnknownTags::NONE }
    }

    pub fn decode(key: ApiKey, version: i16, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.set_version(key.response_header_version(version), RESPONSE_FLEXIBLE_FROM);
        let header = Self { correlation_id: i32::read(reader), unknown_tags: reader.unknown_tags() };
        reader.check()?;
        Ok(header)
    }

    pub fn encode(&self, key: ApiKey, version: i16, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.set_version(key.response_header_version(version), RESPONSE_FLEXIBLE_FROM);
        self.correlation_id.write(writer);
        writer.unknown_tags(&self.unknown_tags);
        writer.check()
    }
}

impl ApiKey {
    fn is_flexible(self, version: i16) -> bool {
        self.flexible_from().is_some_and(|from| version >= from)
    }

    /// 1, or 2 with tagged fields. Header 0, without a client id, went with an API that Kafka 4 no longer has.
    pub fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// 0, or 1 with tagged fields. A client may not yet know the version of an answer to `ApiVersions`, so that one never has them.
    pub fn response_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) && self != Self::ApiVersions { 1 } else { 0 }
    }
}
