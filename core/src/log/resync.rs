//! Finds a way on behind bytes that are not what was written there. Knows no file and no log.

use crate::batch::{BatchError, BatchView, HEADER_BYTES};
use crate::id::Offset;
use crate::limits::RESYNC_TRIES_MAX;

/// The next batch that is whole, behind `end`, and its place. It is as near as the lost bytes could have offsets, and the log
/// goes on behind it: bytes that a disk has put there may be a batch of another log.
pub(super) fn next_whole(rest: &[u8], end: Offset) -> Option<(usize, BatchView<'_>)> {
    let near = |place: usize, view: &BatchView<'_>| {
        usize::try_from(view.base_offset().since(end)).is_ok_and(|lost| (1..=place).contains(&lost))
    };
    (1..rest.len().saturating_sub(HEADER_BYTES))
        .filter_map(|place| Some((place, BatchView::parse(&rest[place..]).ok()?.0)))
        .filter(|(place, view)| near(*place, view))
        .take(RESYNC_TRIES_MAX)
        .find(|(place, view)| {
            view.check_crc().is_ok() && is_followed(&rest[place + view.len()..], view.last_offset().next())
        })
}

/// Whether the log goes on, or ends, right behind a rotten batch: then its length is right.
pub(super) fn is_followed(rest: &[u8], next: Offset) -> bool {
    match BatchView::parse(rest) {
        Ok((view, _)) => view.base_offset() == next,
        Err(BatchError::Incomplete { .. }) => true,
        Err(_) => rest.iter().all(|byte| *byte == 0),
    }
}
