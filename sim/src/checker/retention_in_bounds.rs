//! Retention takes what its settings condemn by the node's own clock, and nothing else, and what it condemns is gone soon. Held
//! against the topic of a steward, which alone changes its settings: the batches are folded from the events that told of them.

use std::collections::BTreeMap;

use highwater_core::id::{Offset, PartitionId};
use highwater_core::log::SegmentView;
use highwater_core::shard::Event;
use highwater_core::time::{Duration, Instant, Timestamp};

use super::settings::{Settings, Values};
use super::{Checker, Look, Rules, When};
use crate::history::{Deed, Fact};
use crate::report::Violation;

const NAME: &str = "retention_in_bounds";

/// How long what is decided may take, and how long the settings and the node must have been as they are before something is overdue.
const SETTLING: Duration = Duration::from_secs(2 * 3_600);

#[derive(Debug, Clone, Copy)]
struct Batch {
    base: Offset,
    segment_base: Offset,
    bytes: u64,
    timestamp_max: Timestamp,
}

/// What may be in force of all that retention goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Terms {
    policies: Values,
    retention_millis: Values,
    retention_bytes: Values,
}

impl Terms {
    fn of(settings: &Settings) -> Self {
        Self {
            policies: settings.in_force("cleanup.policy"),
            retention_millis: settings.in_force("retention.ms"),
            retention_bytes: settings.in_force("retention.bytes"),
        }
    }

    fn may_delete(&self) -> bool {
        self.policies.iter().any(|policy| policy.as_deref().is_none_or(|policy| policy == "delete"))
    }

    fn must_delete(&self) -> bool {
        self.policies.iter().all(|policy| policy.as_deref().is_none_or(|policy| policy == "delete"))
    }

    /// Whether records of this age may go.
    fn may_expire(&self, age_millis: i64) -> bool {
        self.retention_millis.iter().any(|limit| bound(limit).is_some_and(|limit| age_millis > limit))
    }

    fn must_expire(&self, age_millis: i64) -> bool {
        self.retention_millis.iter().all(|limit| bound(limit).is_some_and(|limit| age_millis > limit))
    }

    /// Whether a segment may go that leaves this many bytes.
    fn may_shrink(&self, left: u64) -> bool {
        self.retention_bytes.iter().any(|least| bound(least).is_some_and(|least| size(least) <= left))
    }

    fn must_shrink(&self, left: u64) -> bool {
        self.retention_bytes.iter().all(|least| bound(least).is_some_and(|least| size(least) <= left))
    }
}

/// Nodes of a run keep for ever what says nothing else.
fn bound(value: &Option<String>) -> Option<i64> {
    let number: Option<i64> = value.as_ref().map(|value| value.parse().expect("the steward set it"));
    number.filter(|number| *number >= 0)
}

fn size(bytes: i64) -> u64 {
    u64::try_from(bytes).expect("a bound is not negative")
}

#[derive(Debug, Clone)]
pub(super) struct RetentionInBounds {
    rot: bool,
    settings: Settings,
    terms: Terms,
    /// What was in force before, and until when.
    former: Vec<(Instant, Terms)>,
    partition: Option<PartitionId>,
    batches: Vec<Batch>,
    now: Instant,
    /// The node's clock on the wall: at its furthest, and at its least since the last look.
    wall_max: Timestamp,
    wall_min: Timestamp,
    /// Since when the node runs and has room.
    up_since: Option<Instant>,
    full: bool,
    /// Since when segments are to go.
    overdue: BTreeMap<Offset, Instant>,
}

impl RetentionInBounds {
    pub(super) fn new(rules: &Rules) -> Self {
        let settings = Settings::default();
        Self {
            rot: rules.rot,
            terms: Terms::of(&settings),
            settings,
            former: Vec::new(),
            partition: None,
            batches: Vec::new(),
            now: Instant::default(),
            wall_max: Timestamp(0),
            wall_min: Timestamp(i64::MAX),
            up_since: None,
            full: false,
            overdue: BTreeMap::new(),
        }
    }

    fn on_settings(&mut self) {
        let terms = Terms::of(&self.settings);
        if terms != self.terms {
            let now = self.now;
            self.former.retain(|(until, _)| *until + SETTLING >= now);
            self.former.push((now, std::mem::replace(&mut self.terms, terms)));
            self.overdue.clear();
        }
    }

    fn cut(&mut self, end: Offset) {
        self.batches.truncate(self.batches.partition_point(|batch| batch.base < end));
    }

    fn of_segment(&self, base: Offset) -> impl Iterator<Item = &Batch> {
        self.batches.iter().filter(move |batch| batch.segment_base == base)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most events tell of no batch")]
    fn on_event(&mut self, event: &Event) -> Result<(), Violation> {
        match *event {
            Event::Appended { partition, base, bytes, segment_base, max_timestamp, .. }
                if self.partition == Some(partition) =>
            {
                self.cut(base);
                let (bytes, timestamp_max) = (u64::from(bytes), max_timestamp);
                self.batches.push(Batch { base, segment_base, bytes, timestamp_max });
            }
            Event::Recovered { partition, log_end, .. } if self.partition == Some(partition) => {
                self.cut(log_end)
            }
            Event::SegmentDeleted { partition, base } if self.partition == Some(partition) => {
                return self.on_deleted(base);
            }
            Event::StorageFull => (self.full, self.up_since) = (true, None),
            Event::StorageRoomAgain => self.full = false,
            _ => {}
        }
        Ok(())
    }

    fn on_deleted(&mut self, base: Offset) -> Result<(), Violation> {
        let newest = self.of_segment(base).map(|batch| batch.timestamp_max.0).max();
        let left =
            self.batches.iter().filter(|batch| batch.segment_base > base).map(|batch| batch.bytes).sum();
        let age_millis = newest.map_or(i64::MAX, |newest| self.wall_max.0 - newest);
        let former = self.former.iter().filter(|(until, _)| *until + SETTLING >= self.now);
        let mut terms = former.map(|(_, terms)| terms).chain([&self.terms]);
        let may =
            |terms: &Terms| terms.may_delete() && (terms.may_expire(age_millis) || terms.may_shrink(left));
        if terms.any(may) {
            self.batches.retain(|batch| batch.segment_base > base);
            self.overdue.remove(&base);
            return Ok(());
        }
        let story = format!(
            "segment {base} is gone: its newest record was {age_millis} ms old, {left} bytes are left, in force is {:?}",
            self.terms
        );
        Err(Violation::new(NAME, story))
    }

    /// What should have gone long ago.
    fn on_segments(&mut self, segments: &[SegmentView]) -> Result<(), Violation> {
        let Some(up_since) = self.up_since.filter(|since| *since + SETTLING <= self.now) else {
            return Ok(());
        };
        let mut left: u64 = segments.iter().map(|segment| u64::from(segment.len)).sum();
        let mut overdue = BTreeMap::new();
        for segment in segments.iter().filter(|segment| segment.base < segment.end) {
            left -= u64::from(segment.len);
            let newest = self.of_segment(segment.base).map(|batch| batch.timestamp_max.0).max();
            let age_millis = newest.map_or(0, |newest| self.wall_min.0 - newest);
            let is_last = segments.last().is_some_and(|last| last.base == segment.base);
            let by_size = !is_last && self.terms.must_shrink(left);
            if !self.terms.must_delete() || !(by_size || self.terms.must_expire(age_millis)) {
                break;
            }
            let since = self.overdue.get(&segment.base).copied().unwrap_or(self.now).max(up_since);
            if since + SETTLING < self.now {
                let story = format!(
                    "segment {} is kept: its newest record is {age_millis} ms old, {left} bytes are behind it, in force is {:?}",
                    segment.base, self.terms
                );
                return Err(Violation::new(NAME, story));
            }
            overdue.insert(segment.base, since);
        }
        self.overdue = overdue;
        Ok(())
    }
}

impl Checker for RetentionInBounds {
    fn on_clock(&mut self, now: Instant, wall: Timestamp) {
        self.now = now;
        self.wall_max = self.wall_max.max(wall);
        self.wall_min = self.wall_min.min(wall);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "few facts are about retention")]
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Steward { deed: Deed::Owns { ruled }, .. } => {
                let partition = Some(PartitionId { topic: *ruled, index: 0 });
                if self.partition != partition {
                    self.partition = partition;
                    self.batches.clear();
                }
            }
            Fact::Steward { deed, .. } => {
                self.settings.on_deed(deed);
                self.on_settings();
            }
            Fact::Core { event, .. } if !self.rot => return self.on_event(event),
            Fact::Ended { .. } | Fact::DiskReplaced { .. } => {
                self.settings.on_ended();
                self.on_settings();
                (self.up_since, self.full) = (None, false);
                self.overdue.clear();
            }
            _ => {}
        }
        Ok(())
    }

    fn on_look(&mut self, look: &Look) -> Result<(), Violation> {
        if look.when != When::AtWork || self.rot || self.full {
            return Ok(());
        }
        self.up_since.get_or_insert(self.now);
        if let Some(view) = look.partitions.iter().find(|view| Some(view.partition) == self.partition) {
            self.on_segments(&view.log.segments)?;
            self.wall_min = Timestamp(i64::MAX);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::id::{LeaderEpoch, Offset, PartitionId, TopicId, Uuid};
    use highwater_core::log::{SegmentName, SegmentView};
    use highwater_core::shard::Event;
    use highwater_core::time::{Duration, Instant, Timestamp};

    use super::super::samples::{look, rules};
    use super::{Checker, RetentionInBounds};
    use crate::history::{Deed, Fact, Fate, Ruled};

    const TOPIC: TopicId = TopicId(Uuid([7; 16]));
    const PARTITION: PartitionId = PartitionId { topic: TOPIC, index: 0 };
    const HOUR_MILLIS: i64 = 3_600_000;

    fn steward(deed: Deed) -> Fact {
        Fact::Steward { node: 0, deed }
    }

    /// Two segments of 100 bytes, whose records are of the hours 0 and 10, and what is kept.
    fn checker(name: &'static str, value: &str) -> RetentionInBounds {
        let mut checker = RetentionInBounds::new(&rules());
        checker.on_fact(&steward(Deed::Owns { ruled: TOPIC })).unwrap();
        let changes = vec![(name, Some(value.to_owned()))];
        checker.on_fact(&steward(Deed::Altering { ruled: Ruled::Topic, changes })).unwrap();
        checker.on_fact(&steward(Deed::Altered(Fate::Done))).unwrap();
        checker.former.clear();
        for base in [0, 10] {
            let event = Event::Appended {
                partition: PARTITION,
                base: Offset(base),
                last: Offset(base + 9),
                epoch: LeaderEpoch(0),
                bytes: 100,
                segment_base: Offset(base),
                position: 0,
                max_timestamp: Timestamp(base * HOUR_MILLIS),
                producer: None,
            };
            checker.on_fact(&Fact::Core { node: 0, event }).unwrap();
        }
        checker
    }

    fn deletes(checker: &mut RetentionInBounds, base: i64, hour: i64) -> bool {
        checker.on_clock(Instant::default(), Timestamp(hour * HOUR_MILLIS));
        let event = Event::SegmentDeleted { partition: PARTITION, base: Offset(base) };
        checker.on_fact(&Fact::Core { node: 0, event }).is_ok()
    }

    #[test]
    fn what_is_to_be_kept_must_not_go() {
        assert!(deletes(&mut checker("retention.ms", "3600000"), 0, 2));
        assert!(!deletes(&mut checker("retention.ms", "3600000"), 0, 1));
        assert!(!deletes(&mut checker("retention.ms", "-1"), 0, 100));
        assert!(deletes(&mut checker("retention.bytes", "100"), 0, 0));
        assert!(!deletes(&mut checker("retention.bytes", "101"), 0, 0));
        assert!(!deletes(&mut checker("cleanup.policy", ""), 0, 100));
    }

    #[test]
    fn what_is_to_go_must_not_stay() {
        let keeps = |name, value, hours: std::ops::Range<u64>| {
            let mut checker = checker(name, value);
            let segment = |base| SegmentView {
                name: SegmentName::written(Offset(base)),
                base: Offset(base),
                end: Offset(base + 10),
                len: 100,
                index: Vec::new(),
                by_offset: Vec::new(),
                by_time: Vec::new(),
            };
            let mut look = look(0, [0, 20, 20, 20]);
            look.partitions[0].partition = PARTITION;
            look.partitions[0].log.segments = vec![segment(0), segment(10)];
            hours.into_iter().all(|hour| {
                let wall = Timestamp(i64::try_from(hour).unwrap() * HOUR_MILLIS);
                checker.on_clock(Instant::default() + Duration::from_secs(3_600 * hour), wall);
                checker.on_look(&look).is_ok()
            })
        };
        assert!(keeps("retention.ms", "-1", 0..30));
        assert!(keeps("retention.ms", "36000000", 0..11));
        assert!(!keeps("retention.ms", "36000000", 0..16));
        assert!(keeps("retention.bytes", "101", 0..30) && !keeps("retention.bytes", "100", 0..30));
        assert!(keeps("cleanup.policy", "", 0..30));
    }
}
