//! Entry point for fuzzing: any bytes as what a disk holds of one log.

use alloc::vec::Vec;

use super::{FootersLeft, Intact, LogRecovery, SegmentFile, WalBatch, WalState};
use crate::batch::Batches;
use crate::buf::Slice;
use crate::id::Offset;
use crate::log::{LogConfig, SegmentName};
use crate::time::Duration;

/// Offsets between the bases of two segment files.
const BASES_APART: i64 = 100;

/// Takes the bytes as up to three segment files without footers and, of the last part, as batches that the WAL holds. Must end, with a
/// log that does not contradict itself.
pub fn fuzz(data: &[u8]) {
    let Some((&[files, wal], bytes)) = data.split_first_chunk() else { return };
    let parts = usize::from(files % 3) + 1;
    let each = bytes.len().div_ceil(parts).max(1);
    let contents: Vec<&[u8]> = bytes.chunks(each).collect();
    let bases = (0..).step_by(usize::try_from(BASES_APART).expect("small")).map(Offset);
    let segments: Vec<(Offset, &[u8])> = bases.zip(contents).collect();
    let files = segments.iter().map(|&(base, bytes)| SegmentFile {
        name: SegmentName::written(base),
        len: bytes.len() as u64,
        footer: None,
    });
    let wal = if wal % 2 == 0 { Vec::new() } else { in_wal(segments.last()) };
    let state = if wal.len() % 2 == 0 { WalState::Whole } else { WalState::Lacking { wal_file: 1 } };
    let mut recovery = LogRecovery::new(config(), files.collect(), FootersLeft::default(), (wal, state));
    let mut reads = 0;
    while let Some(read) = recovery.next_read() {
        reads += 1;
        assert!(reads <= 100 + bytes.len(), "recovery gets on with every read");
        let segment = segments.iter().find(|(base, _)| *base == read.name.base);
        let content = segment.map_or(&[][..], |(_, content)| content);
        let from = usize::try_from(read.at).expect("below 4 GiB").min(content.len());
        let to = (from + read.len as usize).min(content.len());
        recovery.on_read(&Slice::from_vec(content[from..to].to_vec()));
    }
    let (log, _) = recovery.finish();
    log.audit();
}

/// What can be taken for batches in a segment, as entries of the WAL.
fn in_wal(segment: Option<&(Offset, &[u8])>) -> Vec<WalBatch> {
    let Some((base, bytes)) = segment else { return Vec::new() };
    let mut position = 0;
    let mut wal = Vec::new();
    for batch in Batches::new(bytes).map_while(Result::ok) {
        wal.push(WalBatch {
            segment_base: *base,
            position,
            base: batch.base_offset(),
            last: batch.last_offset(),
            epoch: batch.leader_epoch(),
            bytes: Slice::from_vec(batch.bytes().to_vec()),
            wal_file: 1,
            intact: if batch.check_crc().is_ok() { Intact::Yes } else { Intact::Faulty },
        });
        position += u32::try_from(batch.len()).expect("a batch is bounded");
    }
    wal
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 1 << 20,
        segment_age_max: Duration::from_secs(60),
        deletes: true,
        retention: None,
        retention_bytes: None,
        index_interval_bytes: 64,
        compaction: None,
    }
}
