//! Kafka's primitive types, and the few requests and answers that the simulated clients use, in their last inflexible versions.
//! Written apart from the core's codec so that the two check each other. Must not know what the answers are good for.

/// An answer that is not what its key and version say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Writes big-endian primitives.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn i8(&mut self, value: i8) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes.extend(value.to_be_bytes());
    }

    /// Zigzag, seven bits a byte.
    pub(crate) fn varint(&mut self, value: i64) {
        let mut rest = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
        while rest >= 0x80 {
            self.bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest.to_le_bytes()[0]);
    }

    pub(crate) fn str(&mut self, text: &str) {
        self.i16(i16::try_from(text.len()).expect("names are short"));
        self.bytes.extend(text.as_bytes());
    }

    pub(crate) fn null_str(&mut self) {
        self.i16(-1);
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.i32(i32::try_from(count).expect("arrays are short"));
    }

    pub(crate) fn blob(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.bytes.extend(bytes);
    }
}

/// Reads big-endian primitives.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed("too short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed("too short"))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn i8(&mut self) -> Result<i8, Malformed> {
        self.fixed().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Malformed> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Malformed> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.fixed().map(u32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        self.fixed().map(i64::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.fixed().map(u64::from_be_bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<i64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.fixed::<1>()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(Malformed("varint"))
    }

    pub(crate) fn str(&mut self) -> Result<&'a str, Malformed> {
        let len = self.i16()?;
        let len = usize::try_from(len.max(0)).map_err(|_| Malformed("string"))?;
        str::from_utf8(self.take(len)?).map_err(|_| Malformed("text"))
    }

    pub(crate) fn blob(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.i32()?.max(0)).map_err(|_| Malformed("bytes"))?;
        self.take(len)
    }

    /// Reads an array; a null one is empty.
    pub(crate) fn array<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.i32()?.max(0);
        (0..count).map(|_| one(self)).collect()
    }

    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("bytes are left over")) }
    }
}

/// Key and version of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Api {
    pub(crate) key: i16,
    pub(crate) version: i16,
}

pub(crate) const PRODUCE: Api = Api { key: 0, version: 7 };
pub(crate) const FETCH: Api = Api { key: 1, version: 11 };
pub(crate) const LIST_OFFSETS: Api = Api { key: 2, version: 5 };
pub(crate) const METADATA: Api = Api { key: 3, version: 7 };
pub(crate) const API_VERSIONS: Api = Api { key: 18, version: 2 };
pub(crate) const CREATE_TOPICS: Api = Api { key: 19, version: 4 };
pub(crate) const DELETE_TOPICS: Api = Api { key: 20, version: 3 };
pub(crate) const INIT_PRODUCER_ID: Api = Api { key: 22, version: 1 };

/// Kafka's error codes, as far as the clients tell them apart.
pub(crate) mod code {
    pub(crate) const NONE: i16 = 0;
    pub(crate) const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub(crate) const CORRUPT_MESSAGE: i16 = 2;
    pub(crate) const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub(crate) const MESSAGE_TOO_LARGE: i16 = 10;
    pub(crate) const RECORD_LIST_TOO_LARGE: i16 = 18;
    pub(crate) const TOPIC_ALREADY_EXISTS: i16 = 36;
    pub(crate) const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    pub(crate) const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
    pub(crate) const INVALID_PRODUCER_EPOCH: i16 = 47;
    pub(crate) const UNKNOWN_PRODUCER_ID: i16 = 59;
    pub(crate) const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
    pub(crate) const INVALID_FETCH_SESSION_EPOCH: i16 = 71;
    pub(crate) const INVALID_RECORD: i16 = 87;
}

/// A whole request frame.
pub(crate) fn frame(api: Api, correlation: i32, body: &Writer) -> Vec<u8> {
    let mut head = Writer::default();
    head.i16(api.key);
    head.i16(api.version);
    head.i32(correlation);
    head.str("sim");
    let mut frame = Writer::default();
    frame.count(head.bytes.len() + body.bytes.len());
    frame.bytes.extend(head.bytes);
    frame.bytes.extend(&body.bytes);
    frame.bytes
}

/// The answer to one partition of a produce.
#[derive(Debug)]
pub(crate) struct Produced<'a> {
    pub(crate) topic: &'a str,
    pub(crate) index: i32,
    pub(crate) error: i16,
    pub(crate) base: i64,
}

pub(crate) fn read_produced(body: &[u8]) -> Result<Vec<Produced<'_>>, Malformed> {
    let mut reader = Reader::new(body);
    let topics = reader.array(|r| {
        let topic = r.str()?;
        r.array(|r| {
            let (index, error, base) = (r.i32()?, r.i16()?, r.i64()?);
            let (_append_time, _log_start) = (r.i64()?, r.i64()?);
            Ok(Produced { topic, index, error, base })
        })
    })?;
    let _throttle = reader.i32()?;
    reader.end()?;
    Ok(topics.into_iter().flatten().collect())
}

/// The answer to a fetch.
#[derive(Debug)]
pub(crate) struct FetchAnswer<'a> {
    pub(crate) error: i16,
    pub(crate) session: i32,
    pub(crate) partitions: Vec<FetchedPartition<'a>>,
}

#[derive(Debug)]
pub(crate) struct FetchedPartition<'a> {
    pub(crate) topic: &'a str,
    pub(crate) index: i32,
    pub(crate) error: i16,
    pub(crate) high_watermark: i64,
    pub(crate) log_start: i64,
    pub(crate) records: &'a [u8],
}

pub(crate) fn read_fetched(body: &[u8]) -> Result<FetchAnswer<'_>, Malformed> {
    let mut reader = Reader::new(body);
    let _throttle = reader.i32()?;
    let (error, session) = (reader.i16()?, reader.i32()?);
    let topics = reader.array(|r| {
        let topic = r.str()?;
        r.array(|r| {
            let (index, error, high_watermark) = (r.i32()?, r.i16()?, r.i64()?);
            let (_last_stable, log_start) = (r.i64()?, r.i64()?);
            let _aborted = r.array(|r| Ok((r.i64()?, r.i64()?)))?;
            let _preferred = r.i32()?;
            Ok(FetchedPartition { topic, index, error, high_watermark, log_start, records: r.blob()? })
        })
    })?;
    reader.end()?;
    Ok(FetchAnswer { error, session, partitions: topics.into_iter().flatten().collect() })
}

/// The answer to one partition of a ListOffsets.
#[derive(Debug)]
pub(crate) struct ListedPartition<'a> {
    pub(crate) topic: &'a str,
    pub(crate) index: i32,
    pub(crate) error: i16,
    pub(crate) offset: i64,
}

pub(crate) fn read_listed(body: &[u8]) -> Result<Vec<ListedPartition<'_>>, Malformed> {
    let mut reader = Reader::new(body);
    let _throttle = reader.i32()?;
    let topics = reader.array(|r| {
        let topic = r.str()?;
        r.array(|r| {
            let (index, error, _timestamp) = (r.i32()?, r.i16()?, r.i64()?);
            let (offset, _leader_epoch) = (r.i64()?, r.i32()?);
            Ok(ListedPartition { topic, index, error, offset })
        })
    })?;
    reader.end()?;
    Ok(topics.into_iter().flatten().collect())
}

/// Name and error of each topic of a CreateTopics or DeleteTopics answer.
pub(crate) fn read_topic_errors(api: Api, body: &[u8]) -> Result<Vec<(&str, i16)>, Malformed> {
    let mut reader = Reader::new(body);
    let _throttle = reader.i32()?;
    let topics = reader.array(|r| {
        let topic = (r.str()?, r.i16()?);
        if api == CREATE_TOPICS {
            let _message = r.str()?;
        }
        Ok(topic)
    })?;
    reader.end()?;
    Ok(topics)
}

/// Error and number of partitions of each topic of a Metadata answer.
pub(crate) fn read_metadata(body: &[u8]) -> Result<Vec<(&str, i16, usize)>, Malformed> {
    let mut reader = Reader::new(body);
    let _throttle = reader.i32()?;
    let _brokers = reader.array(|r| Ok((r.i32()?, r.str()?, r.i32()?, r.str()?)))?;
    let (_cluster, _controller) = (reader.str()?, reader.i32()?);
    let topics = reader.array(|r| {
        let (error, name, _internal) = (r.i16()?, r.str()?, r.i8()?);
        let partitions = r.array(|r| {
            let _error_index_leader_epoch = (r.i16()?, r.i32()?, r.i32()?, r.i32()?);
            let _replicas_isr_offline = (r.array(Reader::i32)?, r.array(Reader::i32)?, r.array(Reader::i32)?);
            Ok(())
        })?;
        Ok((name, error, partitions.len()))
    })?;
    reader.end()?;
    Ok(topics)
}

/// Error, id and epoch.
pub(crate) fn read_producer_id(body: &[u8]) -> Result<(i16, i64, i16), Malformed> {
    let mut reader = Reader::new(body);
    let _throttle = reader.i32()?;
    let answer = (reader.i16()?, reader.i64()?, reader.i16()?);
    reader.end()?;
    Ok(answer)
}

/// Error and number of keys.
pub(crate) fn read_api_versions(body: &[u8]) -> Result<(i16, usize), Malformed> {
    let mut reader = Reader::new(body);
    let error = reader.i16()?;
    let keys = reader.array(|r| Ok((r.i16()?, r.i16()?, r.i16()?)))?;
    let _throttle = reader.i32()?;
    reader.end()?;
    Ok((error, keys.len()))
}

#[cfg(test)]
mod tests {
    use super::{Reader, Writer};

    #[test]
    fn varint_reads_as_written() {
        for value in [0, -1, 1, 63, -64, 64, 300, i64::MAX, i64::MIN] {
            let mut writer = Writer::default();
            writer.varint(value);
            assert_eq!(Reader::new(&writer.bytes).varint(), Ok(value));
        }
    }
}
