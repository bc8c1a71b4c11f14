//! Record batches as a client makes and reads them (magic 2), written apart from the core's codec so that the two check each
//! other. Must not know who sends them.

use crate::history::{Batch, Sequence};

pub(crate) use super::codec::Malformed;
use super::codec::{Reader, Writer};

const CRC_TABLES: [[u32; 256]; 8] = crc_tables();
/// Bytes before the ones that the CRC covers.
const CRC_FROM: usize = 21;
const HEADER_BYTES: usize = 61;

const fn crc_tables() -> [[u32; 256]; 8] {
    let mut tables = [[0_u32; 256]; 8];
    let mut n = 0;
    let mut byte = 0_u32;
    while n < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        tables[0][n] = crc;
        n += 1;
        byte += 1;
    }
    let mut t = 1;
    while t < 8 {
        let mut n = 0;
        while n < 256 {
            let before = tables[t - 1][n];
            tables[t][n] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            n += 1;
        }
        t += 1;
    }
    tables
}

/// CRC-32C.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let table = |t: usize, byte: u8| CRC_TABLES[t][usize::from(byte)];
    let mut crc = u32::MAX;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let low = (crc ^ u32::from_le_bytes([word[0], word[1], word[2], word[3]])).to_le_bytes();
        crc = table(7, low[0]) ^ table(6, low[1]) ^ table(5, low[2]) ^ table(4, low[3]);
        crc ^= table(3, word[4]) ^ table(2, word[5]) ^ table(1, word[6]) ^ table(0, word[7]);
    }
    for byte in rest {
        crc = (crc >> 8) ^ table(0, crc.to_le_bytes()[0] ^ byte);
    }
    !crc
}

/// Key and value of a record to be written.
pub(crate) type NewRecord = (Option<Vec<u8>>, Option<Vec<u8>>);

/// What a batch shall hold.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) sequence: Option<Sequence>,
    pub(crate) timestamp: i64,
    pub(crate) records: Vec<NewRecord>,
}

pub(crate) fn encode(recipe: &Recipe) -> Vec<u8> {
    let records = i32::try_from(recipe.records.len()).expect("a batch has few records");
    let mut body = Writer::default();
    let (producer, epoch, first) = recipe.sequence.map_or((-1, -1, -1), |s| (s.producer, s.epoch, s.first));
    body.i16(0);
    body.i32(records - 1);
    body.i64(recipe.timestamp);
    body.i64(recipe.timestamp + i64::from(records) - 1);
    body.i64(producer);
    body.i16(epoch);
    body.i32(first);
    body.i32(records);
    for (delta, record) in (0_i64..).zip(&recipe.records) {
        encode_record(&mut body, delta, record);
    }
    let mut batch = Writer::default();
    batch.i64(0);
    batch.i32(i32::try_from(body.bytes.len() + 9).expect("a batch is small"));
    batch.i32(-1);
    batch.i8(2);
    batch.u32(crc32c(&body.bytes));
    batch.bytes.extend_from_slice(&body.bytes);
    batch.bytes
}

fn encode_record(body: &mut Writer, delta: i64, (key, value): &NewRecord) {
    let mut record = Writer::default();
    record.i8(0);
    record.varint(delta);
    record.varint(delta);
    for bytes in [key, value] {
        match bytes {
            None => record.varint(-1),
            Some(bytes) => {
                record.varint(i64::try_from(bytes.len()).expect("a record is small"));
                record.bytes.extend_from_slice(bytes);
            }
        }
    }
    record.varint(0);
    body.varint(i64::try_from(record.bytes.len()).expect("a record is small"));
    body.bytes.extend_from_slice(&record.bytes);
}

/// Reads the headers of the whole batches of `bytes`; a last one that is cut off is left out, as fetches may cut.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Batch>, Malformed> {
    let mut batches = Vec::new();
    let mut rest = bytes;
    while rest.len() >= 12 {
        let mut head = Reader::new(rest);
        let base = head.i64()?;
        let len = usize::try_from(head.i32()?).map_err(|_| Malformed("batch length"))?;
        let Some(batch) = rest.get(..12 + len) else { break };
        if batch.len() < HEADER_BYTES {
            return Err(Malformed("batch shorter than its header"));
        }
        batches.push(decode_one(base, batch)?);
        rest = &rest[12 + len..];
    }
    Ok(batches)
}

fn decode_one(base: i64, batch: &[u8]) -> Result<Batch, Malformed> {
    let mut reader = Reader::new(&batch[12..]);
    let _leader_epoch = reader.i32()?;
    if reader.i8()? != 2 {
        return Err(Malformed("magic"));
    }
    let crc = reader.u32()?;
    let _attributes = reader.i16()?;
    let last_delta = reader.i32()?;
    let (_first_timestamp, _last_timestamp) = (reader.i64()?, reader.i64()?);
    let (producer, epoch, first) = (reader.i64()?, reader.i16()?, reader.i32()?);
    let records = reader.i32()?;
    // Compaction leaves fewer records than offsets; whether it may is not for this place to say.
    if records < 0 || last_delta < records - 1 || base < 0 {
        return Err(Malformed("record count"));
    }
    let sequence = (producer >= 0).then_some(Sequence { producer, epoch, first });
    let end = base.checked_add(i64::from(last_delta) + 1).ok_or(Malformed("base offset"))?;
    Ok(Batch { base, end, crc, crc_computed: crc32c(&batch[CRC_FROM..]), sequence })
}

#[cfg(test)]
mod tests {
    use super::{Recipe, crc32c, decode, encode};
    use crate::history::Sequence;

    #[test]
    fn crc_of_the_check_string() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b"12345678123456789"), {
            let mut crc = u32::MAX;
            for byte in b"12345678123456789" {
                crc ^= u32::from(*byte);
                for _ in 0..8 {
                    crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
                }
            }
            !crc
        });
    }

    #[test]
    fn batch_reads_as_it_was_made() {
        let sequence = Some(Sequence { producer: 5, epoch: 1, first: 30 });
        let records = vec![(Some(vec![1; 8]), None), (None, Some(vec![])), (None, Some(vec![7; 300]))];
        let bytes = encode(&Recipe { sequence, timestamp: 1_000, records });
        let twice = [bytes.as_slice(), bytes.as_slice(), &bytes[..20]].concat();
        let read = decode(&twice).unwrap();
        assert_eq!(read.len(), 2, "the cut one is left out");
        assert_eq!((read[0].base, read[0].end, read[0].sequence), (0, 3, sequence));
        assert_eq!(read[0].crc, read[0].crc_computed);
        let core = highwater_core::batch::Batches::new(&bytes).next().unwrap().unwrap();
        assert_eq!(core.check_crc(), Ok(()));
        assert_eq!(core.records(&mut highwater_core::batch::Scratch::new()).unwrap().count(), 3);
        let mut broken = bytes;
        *broken.last_mut().unwrap() ^= 1;
        let read = decode(&broken).unwrap();
        assert_ne!(read[0].crc, read[0].crc_computed);
    }
}
