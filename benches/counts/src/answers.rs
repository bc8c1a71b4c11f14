//! Whether a broker answered what it was asked: without that, one that does nothing would be the cheapest. Knows the answers by
//! their messages.

use highwater_core::wire::messages::fetch_response::FetchResponse;
use highwater_core::wire::messages::list_offsets_response::ListOffsetsResponse;
use highwater_core::wire::messages::metadata_response::MetadataResponse;
use highwater_core::wire::messages::offset_commit_response::OffsetCommitResponse;
use highwater_core::wire::messages::produce_response::ProduceResponse;
use highwater_core::wire::{ApiKey, DecodeError, Reader, Records, ResponseHeader};

use crate::Failure;
use crate::transcript::{Frame, api_of};

/// Checks the answers to all requests of a connection. Gives how many things the answers that count hold: partitions, or bytes of
/// records.
pub(crate) fn check(asked: &Asked<'_>, mut answers: &[u8]) -> Result<u64, Failure> {
    let mut things = 0;
    for (nth, frame) in asked.frames.iter().enumerate() {
        let body = &asked.bodies[frame.body];
        let (code, version) = api_of(body);
        let wrong = |why: &str| Failure(format!("request {nth}, API {code} version {version}: {why}"));
        let (len, rest) = answers.split_first_chunk::<4>().ok_or_else(|| wrong("no answer"))?;
        let len = usize::try_from(u32::from_be_bytes(*len)).expect("32 bits fit");
        let (answer, rest) = rest.split_at_checked(len).ok_or_else(|| wrong("half an answer"))?;
        answers = rest;
        let key = ApiKey::from_code(code).ok_or_else(|| wrong("an unknown API"))?;
        let mut reader = Reader::new(answer);
        let header = ResponseHeader::decode(key, version, &mut reader);
        let header = header.map_err(|_| wrong("an answer without a head"))?;
        if header.correlation_id != frame.correlation {
            return Err(wrong("the answer to another request"));
        }
        if nth >= asked.counted_from && code == asked.api {
            let contents = contents(key, version, &mut reader).map_err(|_| wrong("an unreadable answer"))?;
            if let Some(error) = contents.errors.into_iter().find(|error| *error != 0) {
                return Err(wrong(&format!("answered with error {error}")));
            }
            things += contents.things;
        }
    }
    if answers.is_empty() { Ok(things) } else { Err(Failure("more answers than requests".into())) }
}

/// What was asked on one connection.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) bodies: &'a [Vec<u8>],
    pub(crate) frames: &'a [Frame],
    /// Which requests count, and from which on.
    pub(crate) api: i16,
    pub(crate) counted_from: usize,
}

/// The errors of an answer, and how much it holds.
#[derive(Debug, Default)]
struct Contents {
    errors: Vec<i16>,
    things: u64,
}

/// Of an API that is not known here an answer holds nothing.
fn contents(key: ApiKey, version: i16, reader: &mut Reader<'_>) -> Result<Contents, DecodeError> {
    let mut found = Contents::default();
    if key == ApiKey::Fetch {
        let response = FetchResponse::decode(version, reader)?;
        found.errors.push(response.error_code);
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            found.errors.push(partition.error_code);
            let records = partition.records.as_ref().and_then(Records::borrowed).unwrap_or_default();
            found.things += u64::try_from(records.len()).expect("a length fits 64 bits");
        }
        return Ok(found);
    }
    if key == ApiKey::Produce {
        let response = ProduceResponse::decode(version, reader)?;
        let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        found.errors.extend(partitions.map(|partition| partition.error_code));
    } else if key == ApiKey::ListOffsets {
        let response = ListOffsetsResponse::decode(version, reader)?;
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        found.errors.extend(partitions.map(|partition| partition.error_code));
    } else if key == ApiKey::Metadata {
        let response = MetadataResponse::decode(version, reader)?;
        for topic in &response.topics {
            found.errors.push(topic.error_code);
            found.errors.extend(topic.partitions.iter().map(|partition| partition.error_code));
        }
    } else if key == ApiKey::OffsetCommit {
        let response = OffsetCommitResponse::decode(version, reader)?;
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        found.errors.extend(partitions.map(|partition| partition.error_code));
    }
    found.things = u64::try_from(found.errors.len()).expect("a count fits 64 bits");
    Ok(found)
}
