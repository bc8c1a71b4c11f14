//! The frames of a file of the write-ahead log, one line each, and the batches in them. Reads block by block, so that what lies behind
//! a broken frame is shown too; a recycled file shows frames of its earlier use, marked as older.

use std::io::{self, Read, Write};
use std::path::Path;

use highwater_core::buf::Slice;
use highwater_core::limits::BLOCK_BYTES;
use highwater_core::storage::frame::{Content, FrameError, Lsn, ReadEntry, ReadFrame};

use crate::ended::Ended;
use crate::failure::{Exit, Failure};

/// What was found, for the last line and the exit code.
#[derive(Debug, Default)]
struct Tally {
    frames: u64,
    batches: u64,
    broken: u64,
    newest: Option<Lsn>,
}

pub(super) fn run(path: &Path, mut file: impl Read, out: &mut impl Write) -> Result<(), Ended> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| super::unreadable(path, &error))?;
    let tally = show_all(&bytes, out).map_err(Ended::by_output)?;
    if tally.broken == 0 {
        return Ok(());
    }
    Err(Failure {
        exit: Exit::Failed,
        what: "the file holds broken frames or batches".into(),
        place: path.display().to_string(),
        why: "a write was torn by a crash, or the disk returns other bytes than were written".into(),
        fix: "start the node: it tells a torn end, where nothing is lost, from damage, and says which it is"
            .into(),
    }
    .into())
}

fn show_all(bytes: &[u8], out: &mut impl Write) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let mut at = 0;
    while at < bytes.len() {
        at += match ReadFrame::parse(&bytes[at..]) {
            Ok(frame) => {
                let len = frame.header.frame_len as usize;
                show(&frame, &bytes[at..at + len], at, &mut tally, out)?;
                len
            }
            Err(FrameError::Blank) => BLOCK_BYTES,
            Err(FrameError::Incomplete { .. } | FrameError::Corrupt) => {
                writeln!(out, "at {at}: a frame that does not match its checksum, or is cut off")?;
                tally.broken += 1;
                BLOCK_BYTES
            }
        };
    }
    let Tally { frames, batches, broken, .. } = &tally;
    writeln!(out, "{frames} frames, {batches} batches, {broken} broken")?;
    Ok(tally)
}

fn show(
    frame: &ReadFrame,
    bytes: &[u8],
    at: usize,
    tally: &mut Tally,
    out: &mut impl Write,
) -> io::Result<()> {
    let header = frame.header;
    let older = if tally.newest.is_some_and(|newest| header.lsn < newest) { " (older)" } else { "" };
    tally.newest = tally.newest.max(Some(header.lsn));
    tally.frames += 1;
    writeln!(
        out,
        "at {at}: frame {} {:?} of stream {}, {} B, {} batches, durable before it: {}{older}",
        header.lsn.0, header.kind, header.stream.0, header.frame_len, header.entries, header.proven_durable.0
    )?;
    for ReadEntry { entry, content, .. } in frame.entries(&Slice::from_vec(bytes.to_vec())) {
        tally.batches += 1;
        let state = match content {
            Content::Sound => "sound",
            Content::StandIn => "stands for what was lost",
            Content::Broken => {
                tally.broken += 1;
                "BROKEN"
            }
        };
        writeln!(
            out,
            "  {} offsets {}..={} epoch {}, {} B at {} of segment {}, crc {:08x}, {state}",
            entry.partition,
            entry.base,
            entry.last,
            entry.leader_epoch.0,
            entry.len,
            entry.position,
            entry.segment_base,
            entry.crc
        )?;
    }
    Ok(())
}
