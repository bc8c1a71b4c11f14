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
/// The first version that brokers still speak: without sessions, leader epochs and the start of the log.
pub(crate) const FETCH_OLD: Api = Api { key: 1, version: 4 };
pub(crate) const LIST_OFFSETS: Api = Api { key: 2, version: 5 };
pub(crate) const DELETE_RECORDS: Api = Api { key: 21, version: 1 };
pub(crate) const API_VERSIONS: Api = Api { key: 18, version: 2 };
pub(crate) const INIT_PRODUCER_ID: Api = Api { key: 22, version: 1 };

/// Kafka's error codes, as far as the clients tell them apart.
pub(crate) mod code {
    pub(crate) const NONE: i16 = 0;
    pub(crate) const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub(crate) const CORRUPT_MESSAGE: i16 = 2;
    pub(crate) const UNSUPPORTED_VERSION: i16 = 35;
    pub(crate) const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    pub(crate) const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
    pub(crate) const UNKNOWN_PRODUCER_ID: i16 = 59;
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
pub(crate) struct Produced {
    pub(crate) error: i16,
    pub(crate) base: i64,
}

pub(crate) fn read_produced(body: &[u8]) -> Result<Vec<Produced>, Malformed> {
    let mut reader = Reader::new(body);
    let topics = reader.array(|r| {
        let _topic = r.str()?;
        r.array(|r| {
            let (_index, error, base) = (r.i32()?, r.i16()?, r.i64()?);
            let (_append_time, _log_start) = (r.i64()?, r.i64()?);
            Ok(Produced { error, base })
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
    pub(crate) partitions: Vec<FetchedPartition<'a>>,
}

#[derive(Debug)]
pub(crate) struct FetchedPartition<'a> {
    pub(crate) error: i16,
    pub(crate) high_watermark: i64,
    pub(crate) log_start: i64,
    pub(crate) records: &'a [u8],
}

pub(crate) fn read_fetched(api: Api, body: &[u8]) -> Result<FetchAnswer<'_>, Malformed> {
    let mut reader = Reader::new(body);
    let _throttle = reader.i32()?;
    let error = if api == FETCH { reader.i16()? } else { code::NONE };
    if api == FETCH {
        let _session = reader.i32()?;
    }
    let topics = reader.array(|r| {
        let _topic = r.str()?;
        r.array(|r| {
            let (_index, error, high_watermark) = (r.i32()?, r.i16()?, r.i64()?);
            let _last_stable = r.i64()?;
            let log_start = if api == FETCH { r.i64()? } else { -1 };
            let _aborted = r.array(|r| Ok((r.i64()?, r.i64()?)))?;
            if api == FETCH {
                let _preferred = r.i32()?;
            }
            Ok(FetchedPartition { error, high_watermark, log_start, records: r.blob()? })
        })
    })?;
    reader.end()?;
    Ok(FetchAnswer { error, partitions: topics.into_iter().flatten().collect() })
}

/// The answer to one partition of a ListOffsets.
#[derive(Debug)]
pub(crate) struct ListedPartition {
    pub(crate) error: i16,
    pub(crate) offset: i64,
}

pub(crate) fn read_listed(body: &[u8]) -> Result<Vec<ListedPartition>, Malformed> {
    let mut reader = Reader::new(body);
    let _throttle = reader.i32()?;
    let topics = reader.array(|r| {
        let _topic = r.str()?;
        r.array(|r| {
            let (_index, error, _timestamp) = (r.i32()?, r.i16()?, r.i64()?);
            let (offset, _leader_epoch) = (r.i64()?, r.i32()?);
            Ok(ListedPartition { error, offset })
        })
    })?;
    reader.end()?;
    Ok(topics.into_iter().flatten().collect())
}

/// The answer to one partition of a DeleteRecords: its error and where the log begins.
pub(crate) fn read_deleted(body: &[u8]) -> Result<Vec<(i16, i64)>, Malformed> {
    let mut reader = Reader::new(body);
    let _throttle = reader.i32()?;
    let topics = reader.array(|r| {
        let _topic = r.str()?;
        r.array(|r| {
            let (_index, low_watermark, error) = (r.i32()?, r.i64()?, r.i16()?);
            Ok((error, low_watermark))
        })
    })?;
    reader.end()?;
    Ok(topics.into_iter().flatten().collect())
}

/// Error, id and epoch.
pub(crate) fn read_producer_id(body: &[u8]) -> Result<(i16, i64, i16), Malformed> {
    let mut reader = Reader::new(body);
    let _throttle = reader.i32()?;
    let answer = (reader.i16()?, reader.i64()?, reader.i16()?);
    reader.end()?;
    Ok(answer)
}

/// Error and number of keys. Version 0 is the answer to a version that the broker does not know.
pub(crate) fn read_api_versions(body: &[u8]) -> Result<(i16, usize), Malformed> {
    let mut reader = Reader::new(body);
    let error = reader.i16()?;
    let keys = reader.array(|r| Ok((r.i16()?, r.i16()?, r.i16()?)))?;
    if error != code::UNSUPPORTED_VERSION {
        let _throttle = reader.i32()?;
    }
    reader.end()?;
    Ok((error, keys.len()))
}

#[cfg(test)]
mod tests {
    use super::Writer;

    #[test]
    fn varint_is_zigzag_and_seven_bits_a_byte() {
        let written = |value| {
            let mut writer = Writer::default();
            writer.varint(value);
            writer.bytes
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(-1), [1]);
        assert_eq!(written(63), [126]);
        assert_eq!(written(64), [0x80, 1]);
        assert_eq!(written(-300), [0xd7, 4]);
        assert_eq!(written(i64::MIN), [vec![0xff; 9], vec![1]].concat());
    }
}
