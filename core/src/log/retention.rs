//! When a segment ends by age and when it is deleted. Wall clocks decide here, and only here, and only about old data.

use alloc::vec::Vec;

use crate::id::Offset;
use crate::log::Log;
use crate::log::segment::{File, Seal, Segment, SegmentName};
use crate::mutant::{self, Mutant};
use crate::time::Now;

impl Log {
    /// Ends the active segment if it is old enough to, or if all of it is past its retention. Gives its base then.
    pub fn roll_if_due(&mut self, now: Now) -> Option<Offset> {
        let active = self.active();
        let due = self.is_aged(now) || self.is_past_retention(active, now) || self.is_below_start(active);
        if due { self.roll() } else { None }
    }

    /// Ends the active segment so that all of it can go to disk. Gives its base, unless it is empty.
    pub fn end_segment(&mut self) -> Option<Offset> {
        self.roll()
    }

    fn is_past_retention(&self, segment: &Segment, now: Now) -> bool {
        let Some(retention) = self.config.retention else { return segment.is_empty() };
        let retention = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        let oldest = segment.opened.filter(|_| mutant::on(Mutant::RetentionFromOldest));
        // Without a timestamp there is no batch, or none that can be read.
        oldest.or(segment.timestamp_max).is_none_or(|newest| now.wall.0.saturating_sub(newest.0) > retention)
    }

    fn is_below_start(&self, segment: &Segment) -> bool {
        segment.end <= self.log_start
    }

    /// The sealed segments, from the front, that time, size or the log's start condemn, whether or not a later file keeps the
    /// log's end.
    fn due(&self, now: Now, high_watermark: Offset) -> impl Iterator<Item = &Segment> {
        let mut size_bytes = self.size_bytes();
        self.segments.iter().take(self.segments.len() - 1).take_while(move |segment| {
            let over = self
                .config
                .retention_bytes
                .is_some_and(|most| size_bytes.saturating_sub(spared(segment)) >= most);
            size_bytes -= u64::from(segment.len);
            (segment.seal == Seal::Sealed || mutant::on(Mutant::UnsealedDeleted))
                && segment.end <= high_watermark
                && (over || self.is_past_retention(segment, now) || self.is_below_start(segment))
        })
    }

    /// The bases of all that time and size condemn.
    #[cfg(test)]
    pub(super) fn due_bases(&self, now: Now, high_watermark: Offset) -> Vec<Offset> {
        self.due(now, high_watermark).map(|segment| segment.base).collect()
    }

    /// Segments to delete now, oldest first. The last file of a log is never among them: its name keeps the next offset.
    pub fn expired(&self, now: Now, high_watermark: Offset) -> Vec<Offset> {
        let last_file = self.segments.iter().rev().find(|segment| segment.file == File::Present);
        let Some(keep) = last_file.map(|segment| segment.base) else { return Vec::new() };
        self.due(now, high_watermark)
            .map(|segment| segment.base)
            .filter(|base| *base < keep || mutant::on(Mutant::LastFileDeleted))
            .collect()
    }

    /// The segment whose file must be created, empty as it may be, before those in front of it can be deleted. It begins where
    /// they end, which is committed: a file that begins further on would claim offsets that a crash may still take back.
    pub fn needs_file(&self, now: Now, high_watermark: Offset) -> Option<Offset> {
        let blocked = self.due(now, high_watermark).last()?.base;
        let mut behind = self.segments.iter().filter(|segment| segment.base > blocked);
        let next = behind.next().expect("the active segment is not among those due");
        let has_later = next.file == File::Present || behind.any(|segment| segment.file == File::Present);
        let next = if mutant::on(Mutant::ActiveFileAhead) { self.active() } else { next };
        (!has_later && !mutant::on(Mutant::LastFileDeleted)).then_some(next.base)
    }

    /// The deletion of the oldest segment begins: nobody reads it any more, and its file may go. Its footer stays for
    /// now. Gives its file.
    pub fn on_deleted(&mut self, base: Offset) -> SegmentName {
        let segment = self.segments.pop_front().expect("a log has a segment");
        let sealed = segment.seal == Seal::Sealed || mutant::on(Mutant::UnsealedDeleted);
        assert!(segment.base == base && sealed, "sealed segments are deleted from the front");
        let first = self.first_base();
        self.log_start = self.log_start.max(first);
        while self.tail.evict_next(first).is_some() {}
        self.epochs.on_log_start(first);
        self.faulty.retain(|extent| extent.last >= first);
        self.footers_left.push_back(base);
        segment.name()
    }

    /// A footer that a deleted segment left and that may go now, since a newer one tells all that it told. Comes once the file of
    /// the segment that was deleted last is gone.
    pub fn pop_footer_left(&mut self) -> Option<Offset> {
        let kept = usize::from(!mutant::on(Mutant::DeletedFooterLost));
        if self.footers_left.len() > kept { self.footers_left.pop_front() } else { None }
    }

    /// The bases of deleted segments that have a footer still.
    pub fn footers_left(&self) -> impl Iterator<Item = Offset> {
        self.footers_left.iter().copied()
    }
}

/// Bytes that the deletion of a segment takes from the size of its log.
fn spared(segment: &Segment) -> u64 {
    if mutant::on(Mutant::RetentionTooEager) { 0 } else { u64::from(segment.len) }
}
