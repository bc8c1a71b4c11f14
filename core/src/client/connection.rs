//! One connection: frames, correlation ids and the versions that both ends know. Knows no broker, topic or retry.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::ClientError;
use crate::buf::Slice;
use crate::limits::CLIENT_RESPONSE_BYTES_MAX;
use crate::time::Instant;
use crate::wire::messages::api_versions_request::ApiVersionsRequest;
use crate::wire::messages::api_versions_response::ApiVersionsResponse;
use crate::wire::{ApiKey, EncodeError, ErrorCode, Reader, RequestHeader, ResponseHeader, Writer};

/// Puts frames together from bytes that come cut anywhere. Memory follows what was received, not what was announced.
#[derive(Debug, Default)]
struct Frames {
    head: [u8; 4],
    head_len: usize,
    body: Vec<u8>,
    body_len: usize,
}

impl Frames {
    /// Takes bytes off the front of `bytes`; a frame if it is whole.
    fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, ClientError> {
        while self.head_len < self.head.len() {
            let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
            self.head[self.head_len] = first;
            self.head_len += 1;
            *bytes = rest;
            if self.head_len == self.head.len() {
                let len = i32::from_be_bytes(self.head);
                self.body_len = usize::try_from(len).map_err(|_| ClientError::Malformed)?;
                if self.body_len > CLIENT_RESPONSE_BYTES_MAX {
                    return Err(ClientError::Malformed);
                }
            }
        }
        let (taken, rest) = bytes.split_at((self.body_len - self.body.len()).min(bytes.len()));
        self.body.extend_from_slice(taken);
        *bytes = rest;
        if self.body.len() < self.body_len {
            return Ok(None);
        }
        self.head_len = 0;
        Ok(Some(core::mem::take(&mut self.body)))
    }
}

#[derive(Debug)]
struct Pending<C> {
    correlation_id: i32,
    key: ApiKey,
    version: i16,
    deadline: Instant,
    /// `None` is the connection's own question for the versions.
    call: Option<C>,
}

/// An answer, its header taken off.
#[derive(Debug)]
pub(super) struct Answer<C> {
    pub(super) call: C,
    pub(super) version: i16,
    pub(super) body: Slice,
}

/// What to send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) key: ApiKey,
    pub(super) version: i16,
    pub(super) deadline: Instant,
}

/// A connection whose requests carry a `C` each, which comes back with the answer or when the connection is lost.
#[derive(Debug)]
pub(super) struct Connection<C> {
    client_id: String,
    frames: Frames,
    correlation_id: i32,
    pending: VecDeque<Pending<C>>,
    /// What the broker offers, once it has said so.
    versions: Option<BTreeMap<ApiKey, (i16, i16)>>,
}

impl<C> Connection<C> {
    pub(super) fn new(client_id: String) -> Self {
        Self {
            client_id,
            frames: Frames::default(),
            correlation_id: 0,
            pending: VecDeque::new(),
            versions: None,
        }
    }

    /// The first request: which versions are there?
    pub(super) fn on_connected(&mut self, deadline: Instant) -> Vec<Slice> {
        self.ask_versions(*ApiKey::ApiVersions.stable_versions().end(), deadline)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.versions.is_some()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// When the first answer is overdue.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pending.iter().map(|pending| pending.deadline).min()
    }

    /// The highest version of `key` that both know, and that is at most `cap`.
    pub(super) fn version(&self, key: ApiKey, cap: i16) -> Option<i16> {
        let &(theirs_min, theirs_max) = self.versions.as_ref()?.get(&key)?;
        let ours = key.stable_versions();
        let version = theirs_max.min(*ours.end()).min(cap);
        (version >= theirs_min && version >= *ours.start()).then_some(version)
    }

    /// The frame of a request that somebody waits for.
    pub(super) fn request(
        &mut self,
        request: Request,
        call: C,
        encode: impl FnOnce(i16, &mut Writer) -> Result<(), EncodeError>,
    ) -> Result<Vec<Slice>, C> {
        let Request { key, version, deadline } = request;
        match self.frame(request, encode) {
            Ok((correlation_id, parts)) => {
                self.pending.push_back(Pending { correlation_id, key, version, deadline, call: Some(call) });
                Ok(parts)
            }
            Err(_) => Err(call),
        }
    }

    /// The frame of a request that is never answered: produce without acknowledgement.
    pub(super) fn request_unanswered(
        &mut self,
        request: Request,
        encode: impl FnOnce(i16, &mut Writer) -> Result<(), EncodeError>,
    ) -> Result<Vec<Slice>, EncodeError> {
        self.frame(request, encode).map(|(_, parts)| parts)
    }

    fn frame(
        &mut self,
        request: Request,
        encode: impl FnOnce(i16, &mut Writer) -> Result<(), EncodeError>,
    ) -> Result<(i32, Vec<Slice>), EncodeError> {
        let correlation_id = self.correlation_id;
        let header = RequestHeader {
            api_key: request.key.code(),
            api_version: request.version,
            correlation_id,
            client_id: Some(&self.client_id),
            ..RequestHeader::default()
        };
        let mut writer = Writer::frame();
        header.encode(&mut writer)?;
        encode(request.version, &mut writer)?;
        self.correlation_id = correlation_id.wrapping_add(1) & i32::MAX;
        Ok((correlation_id, writer.into_parts()))
    }

    fn ask_versions(&mut self, version: i16, deadline: Instant) -> Vec<Slice> {
        let question = ApiVersionsRequest {
            client_software_name: "highwater",
            client_software_version: env!("CARGO_PKG_VERSION"),
            ..ApiVersionsRequest::default()
        };
        let key = ApiKey::ApiVersions;
        let request = Request { key, version, deadline };
        let framed = self.frame(request, |version, writer| question.encode(version, writer));
        let (correlation_id, parts) = framed.expect("a question for the versions always has bytes");
        self.pending.push_back(Pending { correlation_id, key, version, deadline, call: None });
        parts
    }

    /// Takes bytes; gives answers through `answers` and, while versions are negotiated, a further request.
    pub(super) fn on_received(
        &mut self,
        mut bytes: &[u8],
        answers: &mut Vec<Answer<C>>,
    ) -> Result<Option<Vec<Slice>>, ClientError> {
        let mut further = None;
        while let Some(frame) = self.frames.read(&mut bytes)? {
            let frame = Slice::from_vec(frame);
            let pending = self.pending.pop_front().ok_or(ClientError::Malformed)?;
            let mut reader = Reader::new(&frame);
            let header = ResponseHeader::decode(pending.key, pending.version, &mut reader);
            if header.is_ok_and(|header| header.correlation_id == pending.correlation_id) {
                let body = frame.cut(frame.len() - reader.remaining().len(), frame.len());
                match pending.call {
                    Some(call) => answers.push(Answer { call, version: pending.version, body }),
                    None => further = self.on_versions(pending.version, &body, pending.deadline)?,
                }
            } else {
                // The call goes down with the connection.
                self.pending.push_front(pending);
                return Err(ClientError::Malformed);
            }
        }
        Ok(further)
    }

    /// A broker that does not know the version of the question answers in version 0, and names its own (KIP-511).
    fn on_versions(
        &mut self,
        asked: i16,
        body: &Slice,
        deadline: Instant,
    ) -> Result<Option<Vec<Slice>>, ClientError> {
        let refused = body.starts_with(&ErrorCode::UnsupportedVersion.code().to_be_bytes());
        let response = ApiVersionsResponse::decode(if refused { 0 } else { asked }, &mut Reader::new(body));
        let response = response.map_err(|_| ClientError::Malformed)?;
        let offered: BTreeMap<ApiKey, (i16, i16)> = response
            .api_keys
            .iter()
            .filter_map(|api| Some((ApiKey::from_code(api.api_key)?, (api.min_version, api.max_version))))
            .collect();
        if refused {
            if asked == 0 {
                return Err(ClientError::UnsupportedVersion);
            }
            let max = offered.get(&ApiKey::ApiVersions).map_or(0, |&(_, max)| max);
            return Ok(Some(self.ask_versions(max.clamp(0, asked - 1), deadline)));
        }
        if let Some(error) = ClientError::from_code(response.error_code) {
            return Err(error);
        }
        self.versions = Some(offered);
        Ok(None)
    }

    /// The calls that will never be answered.
    pub(super) fn into_lost(self) -> impl Iterator<Item = C> {
        self.pending.into_iter().filter_map(|pending| pending.call)
    }
}
