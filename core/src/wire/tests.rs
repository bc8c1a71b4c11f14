//! Tests of the parts that every message shares.

use alloc::vec;
use alloc::vec::Vec;

use super::messages::api_versions_request::ApiVersionsRequest;
use super::messages::api_versions_response::ApiVersionsResponse;
use super::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use super::messages::metadata_request::MetadataRequest;
use super::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use super::{
    ApiKey, DecodeError, EncodeError, ErrorCode, Reader, Records, RequestHeader, ResponseHeader, Writer,
};
use crate::buf::Slice;

fn bytes(writer: Writer) -> Vec<u8> {
    writer.into_parts().iter().flat_map(Slice::as_slice).copied().collect()
}

/// An `ApiVersionsRequest` v3 whose two strings are empty, with these bytes as its tagged fields.
fn decode_tags(tags: &[u8]) -> Result<ApiVersionsRequest<'static>, DecodeError> {
    let body = [&[1, 1], tags].concat().leak();
    let mut reader = Reader::new(body);
    let request = ApiVersionsRequest::decode(3, &mut reader)?;
    reader.finish()?;
    Ok(request)
}

#[test]
fn unknown_tags_survive_a_passage() {
    let tags = [2, 5, 1, 0xaa, 9, 2, 0xbb, 0xcc];
    let request = decode_tags(&tags).unwrap();
    let mut writer = Writer::new();
    request.encode(3, &mut writer).unwrap();
    assert_eq!(bytes(writer), [&[1, 1][..], &tags].concat());
    let mut writer = Writer::new();
    request.encode(2, &mut writer).unwrap();
    assert!(writer.is_empty(), "a version without tagged fields writes none");
}

#[test]
fn unknown_tags_keep_their_place_among_the_known() {
    // Tag 1 (the features' epoch) is known, 0 is left out, 2 is unknown here only by its neighbours 7 and 9.
    let tags = [3, 1, 8, 0, 0, 0, 0, 0, 0, 0, 6, 7, 1, 0xaa, 9, 0];
    let body = [&[0, 0, 1, 0, 0, 0, 0][..], &tags].concat();
    let response = ApiVersionsResponse::decode(4, &mut Reader::new(&body)).unwrap();
    assert_eq!(response.finalized_features_epoch, 6);
    assert!(!response.unknown_tags.is_empty());
    let mut writer = Writer::new();
    response.encode(4, &mut writer).unwrap();
    assert_eq!(bytes(writer), body);
}

#[test]
fn malformed_tags_are_refused() {
    assert_eq!(decode_tags(&[2, 5, 0, 5, 0]), Err(DecodeError::InvalidTag), "a tag twice");
    assert_eq!(decode_tags(&[2, 5, 0, 4, 0]), Err(DecodeError::InvalidTag), "descending");
    assert_eq!(decode_tags(&[1, 5, 2, 0]), Err(DecodeError::Truncated), "longer than the frame");
    assert_eq!(decode_tags(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Err(DecodeError::Truncated), "too many");
    assert_eq!(decode_tags(&[0x80, 0x80, 0x80, 0x80, 0x10]), Err(DecodeError::InvalidVarint));
    // The epoch takes eight bytes, not nine.
    let body = [0, 0, 1, 0, 0, 0, 0, 1, 1, 9, 0, 0, 0, 0, 0, 0, 0, 6, 0];
    let response = ApiVersionsResponse::decode(4, &mut Reader::new(&body));
    assert_eq!(response, Err(DecodeError::InvalidTag));
}

#[test]
fn strings_are_checked() {
    let decode = |body: &[u8]| ApiVersionsRequest::decode(3, &mut Reader::new(body)).map(|_| ());
    assert_eq!(decode(&[2, 0xff, 1, 0]), Err(DecodeError::InvalidUtf8));
    assert_eq!(decode(&[0, 1, 0]), Err(DecodeError::UnexpectedNull));
    assert_eq!(decode(&[2, b'a', 1, 0]), Ok(()));
    let mut body = vec![0x81, 0x80, 0x02];
    body.resize(40_000, b'a');
    assert_eq!(decode(&body), Err(DecodeError::InvalidLength), "32,768 bytes");
}

#[test]
fn an_array_beyond_its_frame_is_refused_before_it_is_allocated() {
    let body = [0x7f, 0xff, 0xff, 0xff, 0, 0];
    assert_eq!(MetadataRequest::decode(0, &mut Reader::new(&body)), Err(DecodeError::Truncated));
}

#[test]
fn null_where_a_version_knows_none_is_refused() {
    let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
    assert_eq!(request.encode(0, &mut Writer::new()), Err(EncodeError::UnexpectedNull));
    let mut writer = Writer::new();
    request.encode(1, &mut writer).unwrap();
    assert_eq!(bytes(writer), [0xff; 4]);
    assert_eq!(request.encode(14, &mut Writer::new()), Err(EncodeError::UnsupportedVersion));
    let none = MetadataRequest::decode(-1, &mut Reader::new(&[]));
    assert_eq!(none, Err(DecodeError::UnsupportedVersion));
}

#[test]
fn a_string_that_is_too_long_is_not_written() {
    let text = "a".repeat(32_768);
    for version in [3, 13] {
        let request = ProduceRequest { transactional_id: Some(&text), ..ProduceRequest::default() };
        assert_eq!(request.encode(version, &mut Writer::new()), Err(EncodeError::TooLong));
    }
}

#[test]
fn record_pages_are_sent_without_a_copy() {
    let page = Slice::from_vec((0..100).collect());
    let partition = |from, to| PartitionData {
        partition_index: 7,
        records: Some(Records::Slices(vec![page.cut(from, from + 5), page.cut(from + 5, to)])),
        ..PartitionData::default()
    };
    let topic = FetchableTopicResponse {
        topic: "t",
        partitions: vec![partition(0, 10), partition(20, 70)],
        ..FetchableTopicResponse::default()
    };
    let response = FetchResponse { responses: vec![topic], ..FetchResponse::default() };
    for version in FetchResponse::VERSIONS {
        let mut writer = Writer::frame();
        ResponseHeader::new(3).encode(ApiKey::Fetch, version, &mut writer).unwrap();
        response.encode(version, &mut writer).unwrap();
        let len = writer.len();
        let parts = writer.into_parts();
        let shared = parts.iter().filter(|part| part.as_ptr_range().start >= page.as_ptr_range().start);
        let shared = shared.filter(|part| part.as_ptr_range().end <= page.as_ptr_range().end);
        assert_eq!(shared.map(Slice::len).sum::<usize>(), 60, "all record bytes are the page's own");

        let frame: Vec<u8> = parts.iter().flat_map(Slice::as_slice).copied().collect();
        assert_eq!(frame.len(), len);
        assert_eq!(frame[..4], u32::try_from(len - 4).unwrap().to_be_bytes());
        let mut reader = Reader::new(&frame[4..]);
        let header = ResponseHeader::decode(ApiKey::Fetch, version, &mut reader).unwrap();
        assert_eq!(header.correlation_id, 3);
        let decoded = FetchResponse::decode(version, &mut reader).unwrap();
        reader.finish().unwrap();
        let records = decoded.responses[0].partitions[1].records.as_ref().and_then(Records::borrowed);
        assert_eq!(records, Some(&page[20..70]));
    }
}

#[test]
fn records_are_borrowed_from_the_frame() {
    let data =
        PartitionProduceData { index: 1, records: Some(Records::Borrowed(b"batch")), ..Default::default() };
    let topic = TopicProduceData { name: "t", partition_data: vec![data], ..Default::default() };
    let request = ProduceRequest { acks: -1, topic_data: vec![topic], ..Default::default() };
    let mut writer = Writer::new();
    request.encode(9, &mut writer).unwrap();
    let frame = Slice::from_vec(bytes(writer));
    let decoded = ProduceRequest::decode(9, &mut Reader::new(&frame)).unwrap();
    assert_eq!(decoded, request);
    let records =
        decoded.topic_data[0].partition_data[0].records.as_ref().and_then(Records::borrowed).unwrap();
    assert_eq!(frame.cut_to(records).as_slice(), b"batch");
}

#[test]
fn request_headers_follow_the_version() {
    let encode = |api_key, api_version| {
        let header = RequestHeader {
            api_key,
            api_version,
            correlation_id: 9,
            client_id: Some("c"),
            ..RequestHeader::default()
        };
        let mut writer = Writer::new();
        header.encode(&mut writer).unwrap();
        bytes(writer)
    };
    let fixed = |key: u8, version: u8| [0, key, 0, version, 0, 0, 0, 9, 0, 1, b'c'];
    assert_eq!(encode(0, 8), fixed(0, 8));
    assert_eq!(encode(0, 9), [&fixed(0, 9)[..], &[0]].concat(), "flexible, yet the client id is not compact");
    assert_eq!(encode(17, 1), fixed(17, 1));
    for (key, version) in [(0, 8), (0, 9), (18, 4), (18, 99)] {
        let frame = encode(key, version);
        let mut reader = Reader::new(&frame);
        let header = RequestHeader::decode(&mut reader).unwrap();
        assert_eq!((header.correlation_id, header.client_id), (9, Some("c")));
        reader.finish().unwrap();
    }
}

#[test]
fn the_header_of_an_unknown_key_can_be_answered() {
    let frame = [0x7f, 0xff, 0, 1, 0, 0, 0, 9, 0xff, 0xff, 1, 2, 3];
    let mut reader = Reader::new(&frame);
    let header = RequestHeader::decode(&mut reader).unwrap();
    assert_eq!((header.api_key, header.correlation_id, header.client_id), (0x7fff, 9, None));
    assert_eq!(reader.remaining(), &frame[8..]);
    for len in 0..8 {
        let header = RequestHeader::decode(&mut Reader::new(&frame[..len]));
        assert_eq!(header, Err(DecodeError::Truncated));
    }
}

#[test]
fn response_headers_follow_the_version() {
    let len = |key, version| {
        let mut writer = Writer::new();
        ResponseHeader::new(9).encode(key, version, &mut writer).unwrap();
        writer.len()
    };
    assert_eq!((len(ApiKey::Produce, 8), len(ApiKey::Produce, 9)), (4, 5));
    assert_eq!((len(ApiKey::ApiVersions, 0), len(ApiKey::ApiVersions, 4)), (4, 4));
}

#[test]
fn api_keys_say_what_the_messages_say() {
    assert_eq!(ApiKey::ALL.len(), 89);
    assert!(ApiKey::ALL.iter().all(|&key| ApiKey::from_code(key.code()) == Some(key)));
    assert_eq!(ApiKey::from_code(4), None);
    assert_eq!(ApiKey::Fetch.versions(), FetchResponse::VERSIONS);
    assert_eq!((ApiKey::InitProducerId.versions(), ApiKey::InitProducerId.stable_versions()), (0..=6, 0..=5));
    assert_eq!(ApiKey::Vote.name(), "Vote");
    assert!(ApiKey::Vote.on_controller() && !ApiKey::Vote.on_broker());
}

#[test]
fn error_codes_read_what_they_write() {
    assert_eq!(ErrorCode::ALL.len(), 135);
    for &error in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_code(error.code()), Some(error));
    }
    assert_eq!(ErrorCode::from_code(134), None);
    assert_eq!(ErrorCode::NotLeaderOrFollower.code(), 6);
    assert_eq!(ErrorCode::NotLeaderOrFollower.name(), "NOT_LEADER_OR_FOLLOWER");
    assert!(ErrorCode::NotLeaderOrFollower.retriable() && !ErrorCode::OffsetOutOfRange.retriable());
    assert_eq!(ErrorCode::UnknownServerError.code(), -1);
}
