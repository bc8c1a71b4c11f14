//! Finds a way on behind bytes that are not what was written there. Knows no file and no log.

use crate::batch::{BatchError, BatchView, HEADER_BYTES};
use crate::id::Offset;
use crate::limits::{BLOCK_BYTES, RESYNC_TRIES_MAX};

/// How a frame of the write-ahead log begins. The batches of one that a disk has put into a segment are of any log.
pub const FRAME_MAGIC: [u8; 4] = *b"HWAL";
/// Where a frame has its length, with the smallest byte first.
pub const FRAME_LEN_AT: usize = 44;

/// The next batch behind `base` at `from` that is whole and `fits`, and its place. The page begins at a block. It is as near as the
/// lost bytes could have offsets, and the log goes on behind it: bytes that a disk has put there may be a batch of another log.
pub(super) fn next_whole(
    page: &[u8],
    (from, base): (usize, Offset),
    fits: impl Fn(&BatchView<'_>) -> bool,
) -> Option<(usize, BatchView<'_>)> {
    let near = |place: usize, view: &BatchView<'_>| {
        usize::try_from(view.base_offset().since(base)).is_ok_and(|lost| (1..=place - from).contains(&lost))
    };
    let mut frame_end = 0;
    (0..page.len().saturating_sub(HEADER_BYTES))
        .filter(|&place| {
            if place.is_multiple_of(BLOCK_BYTES) {
                frame_end = frame_end.max(place + frame_len(&page[place..]));
            }
            place > from && place >= frame_end
        })
        .filter_map(|place| Some((place, BatchView::parse(&page[place..]).ok()?.0)))
        .filter(|(place, view)| near(*place, view) && fits(view))
        .take(RESYNC_TRIES_MAX)
        .find(|(place, view)| {
            view.check_crc().is_ok() && is_followed(&page[place + view.len()..], view.last_offset().next())
        })
}

/// The length of the frame here, none if it is none.
fn frame_len(bytes: &[u8]) -> usize {
    let len = bytes.get(FRAME_LEN_AT..).and_then(|bytes| bytes.first_chunk()).copied();
    let len = len.filter(|_| bytes.starts_with(&FRAME_MAGIC)).map_or(0, u32::from_le_bytes);
    usize::try_from(len).map_or(0, |len| len.min(bytes.len()))
}

/// Whether a rotten batch had the offsets that its header names: those of the next one follow, or nothing does and the two fields that
/// tell how many there were agree. Where only one of the two is rot, the log would end a thousand million offsets further on.
pub(super) fn is_told_twice(view: &BatchView<'_>, rest: &[u8]) -> bool {
    BatchView::parse(rest).is_ok() || view.last_offset_delta().checked_add(1) == Some(view.count())
}

/// Whether the log goes on, or ends, right behind a rotten batch: then its length is right.
pub(super) fn is_followed(rest: &[u8], next: Offset) -> bool {
    match BatchView::parse(rest) {
        Ok((view, _)) => view.base_offset() == next,
        Err(BatchError::Incomplete { .. }) => true,
        Err(_) => rest.iter().all(|byte| *byte == 0),
    }
}
