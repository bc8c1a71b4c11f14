//! A segment: record batches, one after the other, each checked as a consumer would.

use std::io::{self, Read, Write};
use std::path::Path;

use highwater_core::batch::{BatchError, BatchView, HEADER_BYTES, NO_PRODUCER, Scratch, TimestampType};

use super::unreadable;
use crate::ended::Ended;
use crate::failure::{Exit, Failure};

/// Bytes read ahead of a batch's length are never more than its header.
const AHEAD_BYTES: usize = HEADER_BYTES;

pub(super) struct Segment<'a> {
    pub(super) path: &'a Path,
    /// Whether to print the records of each batch.
    pub(super) records: bool,
}

/// What was seen so far.
#[derive(Default)]
struct Tally {
    position: u64,
    batches: u64,
    records: u64,
    first: Option<i64>,
    last: i64,
}

pub(super) fn run(segment: &Segment<'_>, mut file: impl Read, out: &mut impl Write) -> Result<(), Ended> {
    let mut tally = Tally::default();
    let mut scratch = Scratch::new();
    let mut bytes = Vec::new();
    while fill(&mut file, &mut bytes, AHEAD_BYTES).map_err(|error| unreadable(segment.path, &error))? > 0 {
        if let Err(BatchError::Incomplete { needed }) = BatchView::parse(&bytes) {
            fill(&mut file, &mut bytes, needed).map_err(|error| unreadable(segment.path, &error))?;
        }
        let broken = |tally: &Tally, error: &BatchError| damaged(segment, tally, error);
        if let Err(BatchError::Incomplete { .. }) = BatchView::parse(&bytes)
            && !segment.path.with_extension("footer").exists()
        {
            print_tally(&tally, out).map_err(Ended::by_output)?;
            let len = bytes.len();
            return writeln!(out, "then {len} bytes of a batch whose rest is in the write-ahead log yet")
                .map_err(Ended::by_output);
        }
        let (batch, _) = BatchView::parse(&bytes).map_err(|error| broken(&tally, &error))?;
        batch.check_crc().map_err(|error| broken(&tally, &error))?;
        print_batch(&tally, &batch, out).map_err(Ended::by_output)?;
        let mut records = 0;
        for record in batch.records(&mut scratch).map_err(|error| broken(&tally, &error))? {
            let record = record.map_err(|error| broken(&tally, &error))?;
            records += 1;
            if segment.records {
                print_record(&record, out).map_err(Ended::by_output)?;
            }
        }
        tally.position += batch.len() as u64;
        tally.batches += 1;
        tally.records += records;
        tally.first.get_or_insert(batch.base_offset().0);
        tally.last = batch.last_offset().0;
        bytes.clear();
    }
    print_tally(&tally, out).map_err(Ended::by_output)
}

/// What a segment has, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Of whole, sound batches.
    pub(super) bytes: u64,
    pub(super) batches: u64,
    pub(super) records: u64,
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
    /// Bytes of a batch that is cut off at the end of the file.
    pub(super) rest: u64,
    pub(super) damage: Vec<String>,
}

/// Goes through a segment up to its end or its first damage, and prints nothing.
pub(super) fn check(path: &Path, mut file: impl Read) -> Result<Checked, Failure> {
    let mut checked = Checked::default();
    let mut scratch = Scratch::new();
    let mut bytes = Vec::new();
    while fill(&mut file, &mut bytes, AHEAD_BYTES).map_err(|error| unreadable(path, &error))? > 0 {
        if let Err(BatchError::Incomplete { needed }) = BatchView::parse(&bytes) {
            fill(&mut file, &mut bytes, needed).map_err(|error| unreadable(path, &error))?;
        }
        match check_batch(&bytes, &checked, &mut scratch) {
            Ok((batch, records)) => {
                checked.bytes += batch.len() as u64;
                checked.batches += 1;
                checked.records += records;
                checked.first.get_or_insert(batch.base_offset().0);
                checked.last = Some(batch.last_offset().0);
            }
            Err(_) if is_cut_off(&bytes) && !path.with_extension("footer").exists() => {
                checked.rest = bytes.len() as u64;
                return Ok(checked);
            }
            Err(why) => {
                checked.damage.push(format!("at byte {}: {why}", checked.bytes));
                return Ok(checked);
            }
        }
        bytes.clear();
    }
    Ok(checked)
}

fn is_cut_off(bytes: &[u8]) -> bool {
    matches!(BatchView::parse(bytes), Err(BatchError::Incomplete { .. }))
}

/// A batch that is sound and follows those before, and how many records it has.
fn check_batch<'b>(
    bytes: &'b [u8],
    before: &Checked,
    scratch: &mut Scratch,
) -> Result<(BatchView<'b>, u64), String> {
    let (batch, _) = BatchView::parse(bytes).map_err(|error| error.to_string())?;
    batch.check_crc().map_err(|error| error.to_string())?;
    let base = batch.base_offset().0;
    if before.last.is_some_and(|last| base <= last) {
        return Err(format!("offset {base} does not follow what is before it"));
    }
    let mut records = 0;
    for record in batch.records(scratch).map_err(|error| error.to_string())? {
        record.map_err(|error| error.to_string())?;
        records += 1;
    }
    Ok((batch, records))
}

/// Reads until `bytes` has `len` bytes or the file ends; the length that it has then.
fn fill(file: &mut impl Read, bytes: &mut Vec<u8>, len: usize) -> io::Result<usize> {
    let missing = len.saturating_sub(bytes.len());
    file.by_ref().take(missing as u64).read_to_end(bytes)?;
    Ok(bytes.len())
}

fn print_batch(tally: &Tally, batch: &BatchView<'_>, out: &mut impl Write) -> io::Result<()> {
    let clock = match batch.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    let codec =
        batch.codec().map_or_else(|error| error.to_string(), |codec| format!("{codec:?}").to_lowercase());
    write!(
        out,
        "at {} bytes {} offsets {}..={} records {} epoch {} codec {codec} {clock} {}..={} crc {:08x} ok",
        tally.position,
        batch.len(),
        batch.base_offset(),
        batch.last_offset(),
        batch.count(),
        batch.leader_epoch().0,
        batch.base_timestamp().0,
        batch.max_timestamp().0,
        batch.crc(),
    )?;
    if batch.producer_id() != NO_PRODUCER {
        let (id, epoch) = (batch.producer_id().0, batch.producer_epoch().0);
        write!(out, " producer {id} epoch {epoch} sequence {}", batch.base_sequence())?;
    }
    for (is, word) in [(batch.is_transactional(), " transactional"), (batch.is_control(), " control")] {
        if is {
            out.write_all(word.as_bytes())?;
        }
    }
    if let Some(horizon) = batch.delete_horizon() {
        write!(out, " delete-horizon {}", horizon.0)?;
    }
    writeln!(out)
}

fn print_record(record: &highwater_core::batch::Record<'_>, out: &mut impl Write) -> io::Result<()> {
    write!(out, "  offset {} timestamp {}", record.offset, record.timestamp.0)?;
    for (name, bytes) in [("key", record.key), ("value", record.value)] {
        match bytes {
            Some(bytes) => write!(out, " {name} \"{}\"", bytes.escape_ascii())?,
            None => write!(out, " {name} null")?,
        }
    }
    for header in record.headers.iter() {
        write!(out, " header \"{}\"", header.key.escape_ascii())?;
        match header.value {
            Some(value) => write!(out, "=\"{}\"", value.escape_ascii())?,
            None => write!(out, "=null")?,
        }
    }
    writeln!(out)
}

fn print_tally(tally: &Tally, out: &mut impl Write) -> io::Result<()> {
    let Tally { position, batches, records, first, last } = tally;
    match first {
        None => writeln!(out, "0 batches, 0 bytes"),
        Some(first) => {
            writeln!(
                out,
                "{batches} batches, {records} records, offsets {first}..={last}, {position} bytes, all sound"
            )
        }
    }
}

fn damaged(segment: &Segment<'_>, tally: &Tally, error: &BatchError) -> Ended {
    Ended::Failed(Failure {
        exit: Exit::Failed,
        what: "the segment is damaged".into(),
        place: format!("{} at byte {}", segment.path.display(), tally.position),
        why: error.to_string(),
        fix: "what lies before this byte is sound; take the rest from a replica or a backup, and look at the disk".into(),
    })
}

#[cfg(test)]
mod tests {
    use highwater_core::batch::{BatchBuilder, BatchHeader, NewRecord};
    use highwater_core::id::Offset;
    use highwater_core::time::Timestamp;

    use super::*;

    fn batch(base: i64, values: &[&[u8]]) -> Vec<u8> {
        let mut batch =
            BatchBuilder::new(BatchHeader { base_offset: Offset(base), ..BatchHeader::default() });
        for value in values {
            batch.push(&NewRecord { timestamp: Timestamp(7), key: None, value: Some(value), headers: &[] });
        }
        batch.build()
    }

    fn inspected(bytes: &[u8]) -> (String, Result<(), Failure>) {
        let mut out = Vec::new();
        let result = run(&Segment { path: Path::new("0.log"), records: true }, bytes, &mut out);
        let result = result.map_err(|ended| match ended {
            Ended::Failed(failure) => failure,
            Ended::ReaderGone => panic!("a Vec does not go away"),
        });
        (String::from_utf8(out).unwrap(), result)
    }

    #[test]
    fn segment_is_listed_batch_by_batch() {
        let bytes = [batch(0, &[b"one", b"t\x00o"]), batch(2, &[b"three"])].concat();
        let (text, result) = inspected(&bytes);
        result.unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("at 0 bytes "), "{text}");
        assert_eq!(lines[2], "  offset 1 timestamp 7 key null value \"t\\x00o\"");
        assert!(lines[3].contains(" offsets 2..=2 records 1 "), "{text}");
        assert_eq!(
            lines[5],
            format!("2 batches, 3 records, offsets 0..=2, {} bytes, all sound", bytes.len())
        );
        assert_eq!(inspected(&[]).0, "0 batches, 0 bytes\n");
    }

    #[test]
    fn damage_is_named_by_its_place() {
        let sound = batch(0, &[b"one"]);
        let mut flipped = batch(1, &[b"two"]);
        *flipped.last_mut().unwrap() ^= 1;
        for tail in [&flipped[..], &[0; 100], &[0xff; 100]] {
            let (text, result) = inspected(&[&sound, tail].concat());
            let failure = result.unwrap_err();
            assert_eq!(failure.place, format!("0.log at byte {}", sound.len()), "{failure}");
            assert!(text.starts_with("at 0 "), "{text}");
        }
    }

    #[test]
    fn segment_that_is_written_may_end_within_a_batch() {
        let sound = batch(0, &[b"one"]);
        let more = batch(1, &[b"two"]);
        for tail in [&more[..more.len() - 1], &more[..1]] {
            let (text, result) = inspected(&[&sound, tail].concat());
            result.unwrap();
            assert!(
                text.contains("\n1 batches, 1 records, ")
                    && text.contains(&format!("then {} bytes", tail.len())),
                "{text}"
            );
        }
    }
}
