//! Requests as bytes that are made once and sent many times, and answers read no further than a measurement needs.

use std::time::{SystemTime, UNIX_EPOCH};

use highwater_core::batch::{
    BatchBuilder, BatchHeader, BatchView, Codec, Compressor, Encoding, NewRecord, recompress,
};
use highwater_core::prng::Prng;
use highwater_core::time::Timestamp;
use highwater_core::wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use highwater_core::wire::messages::fetch_response::FetchResponse;
use highwater_core::wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use highwater_core::wire::messages::produce_response::ProduceResponse;
use highwater_core::wire::{ApiKey, Reader, Records, RequestHeader, ResponseHeader, Writer};

use crate::failure::Failure;

/// The newest without tagged fields: the records are the end of its frame, and every broker has it.
pub(crate) const PRODUCE_VERSION: i16 = 8;

/// The newest without tagged fields.
pub(crate) const FETCH_VERSION: i16 = 11;

/// Where the correlation id stands in a request with its length in front.
pub(crate) const CORRELATION_AT: usize = 8;

/// Bytes of the length in front of a frame.
pub(crate) const LENGTH_BYTES: usize = 4;

const CORRELATION_BYTES: usize = 4;

/// Bytes of a batch before its records.
const BATCH_HEADER_BYTES: usize = 61;

/// A frame in one piece.
pub(crate) fn whole(writer: Writer) -> Vec<u8> {
    writer.into_parts().iter().flat_map(|part| part.iter().copied()).collect()
}

/// A writer behind the header of a request.
pub(crate) fn begun(key: ApiKey, version: i16) -> Result<Writer, Failure> {
    let mut writer = Writer::frame();
    let header = RequestHeader {
        api_key: key.code(),
        api_version: version,
        client_id: Some("highwater-bench"),
        ..RequestHeader::default()
    };
    header.encode(&mut writer)?;
    Ok(writer)
}

/// What is sent as one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchShape {
    pub(crate) records: u32,
    pub(crate) record_bytes: usize,
    pub(crate) codec: Codec,
}

/// One batch, encoded. Half of each value repeats, so that a codec has something to do and something left.
pub(crate) fn batch(shape: BatchShape, seed: u64) -> Result<Vec<u8>, Failure> {
    let mut prng = Prng::new(seed);
    let mut builder = BatchBuilder::new(BatchHeader::default());
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let mut value = vec![b'x'; shape.record_bytes];
    for _ in 0..shape.records {
        prng.fill(&mut value[..shape.record_bytes.div_ceil(2)]);
        builder.push(&NewRecord { timestamp: now, key: None, value: Some(&value), headers: &[] });
    }
    let plain = builder.build();
    if shape.codec == Codec::None {
        return Ok(plain);
    }
    let (view, _) = BatchView::parse(&plain).map_err(|error| Failure(format!("own batch: {error:?}")))?;
    let records = &plain[BATCH_HEADER_BYTES..];
    Ok(recompress(&view, records, Encoding::from(shape.codec), &mut Compressor::default()))
}

/// All of a produce request but its records, up to and with their length. The correlation id is to be set.
pub(crate) fn produce_head(topic: &str, partition: i32, acks: i16, batch: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut writer = begun(ApiKey::Produce, PRODUCE_VERSION)?;
    let data = PartitionProduceData {
        index: partition,
        records: Some(Records::Borrowed(batch)),
        ..PartitionProduceData::default()
    };
    let topic = TopicProduceData { name: topic, partition_data: vec![data], ..TopicProduceData::default() };
    let request =
        ProduceRequest { acks, timeout_ms: 30_000, topic_data: vec![topic], ..ProduceRequest::default() };
    request.encode(PRODUCE_VERSION, &mut writer)?;
    let mut frame = whole(writer);
    assert!(frame.ends_with(batch), "the records are the end of the frame");
    frame.truncate(frame.len() - batch.len());
    Ok(frame)
}

/// Where a consumer is in a partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// Bounds of one fetch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchBounds {
    pub(crate) wait_ms: i32,
    pub(crate) bytes_max: i32,
}

pub(crate) fn fetch(topic: &str, positions: &[Position], bounds: FetchBounds) -> Result<Vec<u8>, Failure> {
    let partition = |position: &Position| FetchPartition {
        partition: position.partition,
        fetch_offset: position.offset,
        partition_max_bytes: bounds.bytes_max,
        ..FetchPartition::default()
    };
    let topic =
        FetchTopic { topic, partitions: positions.iter().map(partition).collect(), ..FetchTopic::default() };
    let request = FetchRequest {
        max_wait_ms: bounds.wait_ms,
        min_bytes: 1,
        max_bytes: bounds.bytes_max,
        topics: vec![topic],
        ..FetchRequest::default()
    };
    let mut writer = begun(ApiKey::Fetch, FETCH_VERSION)?;
    request.encode(FETCH_VERSION, &mut writer)?;
    Ok(whole(writer))
}

/// The answer to one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) error_code: i16,
    pub(crate) base_offset: i64,
}

/// A reader behind the header of an answer, without its length.
pub(crate) fn answer(key: ApiKey, version: i16, frame: &[u8]) -> Result<Reader<'_>, Failure> {
    let mut reader = Reader::new(frame);
    ResponseHeader::decode(key, version, &mut reader)?;
    Ok(reader)
}

pub(crate) fn correlation_of(frame: &[u8]) -> Option<i32> {
    frame.first_chunk::<CORRELATION_BYTES>().map(|bytes| i32::from_be_bytes(*bytes))
}

pub(crate) fn produced(frame: &[u8]) -> Result<Produced, Failure> {
    let mut reader = answer(ApiKey::Produce, PRODUCE_VERSION, frame)?;
    let response = ProduceResponse::decode(PRODUCE_VERSION, &mut reader)?;
    let partition = response.responses.first().and_then(|topic| topic.partition_responses.first());
    let partition = partition.ok_or_else(|| Failure("a produce answer without a partition".into()))?;
    Ok(Produced { error_code: partition.error_code, base_offset: partition.base_offset })
}

/// A batch that a fetch brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) partition: i32,
    pub(crate) base_offset: i64,
    pub(crate) end_offset: i64,
    pub(crate) bytes: usize,
}

/// Tells of each whole batch in an answer. An error of any partition is one of the whole.
pub(crate) fn fetched(frame: &[u8], mut tell: impl FnMut(Fetched)) -> Result<(), Failure> {
    let mut reader = answer(ApiKey::Fetch, FETCH_VERSION, frame)?;
    let response = FetchResponse::decode(FETCH_VERSION, &mut reader)?;
    let failed = |code: i16| Failure(format!("a fetch was answered with error {code}"));
    if response.error_code != 0 {
        return Err(failed(response.error_code));
    }
    for data in response.responses.iter().flat_map(|topic| &topic.partitions) {
        if data.error_code != 0 {
            return Err(failed(data.error_code));
        }
        let mut rest = data.records.as_ref().and_then(Records::borrowed).unwrap_or_default();
        // What follows the last whole batch is the beginning of the next.
        while let Ok((view, after)) = BatchView::parse(rest) {
            tell(Fetched {
                partition: data.partition_index,
                base_offset: view.base_offset().0,
                end_offset: view.end_offset().0,
                bytes: view.len(),
            });
            rest = after;
        }
    }
    Ok(())
}
