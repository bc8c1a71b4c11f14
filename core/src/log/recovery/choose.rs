//! Which of several files holds a segment. A cleaning writes one beside those that it will replace, and a crash may leave both.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::buf::Slice;
use crate::id::Offset;
use crate::log::segment::SegmentName;
use crate::log::{Leftover, footer};
use crate::mutant::{self, Mutant};

/// The files of a partition.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Of segments, with their lengths.
    pub segments: BTreeMap<SegmentName, u64>,
    /// Footers by base, with their content.
    pub footers: BTreeMap<Offset, Option<Slice>>,
}

/// What of them counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// In order.
    pub segments: Vec<SegmentName>,
    /// To be removed, in this order, before anything is written.
    pub left: Vec<Leftover>,
}

/// The footer names the file in force. Where it cannot be read it is the oldest one: that is removed before any other, so that all of
/// them are there as long as it is. What a cleaned segment covers has gone into it.
pub fn choose(found: &Found) -> Chosen {
    let mut chosen = Chosen::default();
    let mut covered = Offset(i64::MIN);
    let mut names = found.segments.keys().copied().peekable();
    while let Some(first) = names.next() {
        let mut candidates = alloc::vec![first];
        while let Some(name) = names.next_if(|name| name.base == first.base) {
            candidates.push(name);
        }
        let footer = found.footers.get(&first.base);
        if first.base < covered {
            chosen.left.extend(candidates.into_iter().map(Leftover::Segment));
            chosen.left.extend(footer.map(|_| Leftover::Footer(first.base)));
            continue;
        }
        let named = || Some(footer::decode(footer?.as_ref()?)?.name());
        let is_plain = candidates.len() == 1 && first.cleaned.is_none();
        let newest = candidates.last().copied().filter(|_| mutant::on(Mutant::UnfinishedCounts));
        let name = match if is_plain { None } else { newest.or_else(named) } {
            Some(name) if candidates.contains(&name) => name,
            // The file in force was deleted, and what was to take its place was never finished.
            Some(_) => {
                chosen.left.extend(candidates.into_iter().map(Leftover::Segment));
                continue;
            }
            None => first,
        };
        chosen.segments.push(name);
        chosen.left.extend(candidates.into_iter().filter(|other| *other != name).map(Leftover::Segment));
        covered = name.cleaned.map_or(covered, |cleaned| cleaned.end);
    }
    let has_segment = |base: Offset| found.segments.keys().any(|name| name.base == base);
    // Those before the first segment are of segments that were deleted, and the newest of them is needed.
    let first = chosen.segments.first().map(|name| name.base);
    let orphans = found.footers.keys().copied().filter(|base| first.is_some_and(|first| *base > first));
    let orphans: Vec<Offset> = orphans.filter(|base| !has_segment(*base)).collect();
    chosen.left.extend(orphans.into_iter().map(Leftover::Footer));
    chosen
}
