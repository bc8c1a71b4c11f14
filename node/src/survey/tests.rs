//! Shards that are not there, looked at.

use highwater_core::group::command::{GroupKind, GroupState};
use highwater_core::id::Uuid;
use highwater_core::log::{SegmentFate, SegmentState};
use highwater_core::shard::PoolReport;

use super::groups::GroupSum;
use super::*;

/// A shard with partitions of one topic.
struct Fake(i32);

impl Visible for Fake {
    fn sums(&mut self) -> Option<ShardReport> {
        let pool = PoolReport { name: "requests", bytes_in_use: 1, bytes_max: 2 };
        Some(ShardReport {
            image: Arc::new(Image::empty()),
            pools: [pool; 4],
            cache_bytes: 0,
            wal_live_bytes: 0,
            wal_live_bytes_max: 0,
            connections: 3,
            requests: 0,
            connections_starved: 0,
            produces_parked: 0,
            reads_starved: 0,
            keep_jobs: 0,
            events_dropped: 0,
        })
    }

    fn partitions(&self, after: Option<PartitionId>, count_max: usize) -> Vec<PartitionReport> {
        let from = after.map_or(0, |after| after.index + 1);
        let report = |index| PartitionReport {
            partition: PartitionId { topic: TopicId(Uuid([7; 16])), index },
            leader_epoch: None,
            log_start: Offset(0),
            high_watermark: Offset(1),
            log_end: Offset(2),
            bytes: 3,
            segments: 1,
            faulty_ranges: 0,
        };
        (from..self.0).map(report).take(count_max).collect()
    }

    /// Each partition has more segments than two of them may tell of.
    fn retention(
        &self,
        now: Now,
        topic: TopicId,
        after: Option<PartitionId>,
        segments_max: usize,
    ) -> Option<RetentionReport> {
        let partition = self.partitions(after, 1).pop().filter(|first| first.partition.topic == topic)?;
        let fate = SegmentFate {
            base: Offset(0),
            end: Offset(1),
            bytes: 1,
            newest: None,
            state: SegmentState::Sealed,
            kept: Vec::new(),
            clean: None,
        };
        let count = segments_max.min(RETENTION_SEGMENTS_MAX - 1);
        Some(RetentionReport {
            partition,
            now: now.wall,
            next_check: now.wall,
            cleaning_given_up: false,
            segments: vec![fate; count],
            segments_left_out: RETENTION_SEGMENTS_MAX - 1 - count,
        })
    }

    /// Groups of two coordinators, named alternately.
    fn groups(
        &self,
        after: Option<(PartitionId, &str)>,
        work_max: usize,
    ) -> Option<(PartitionId, Vec<GroupReport>)> {
        let topic = TopicId(Uuid([8; 16]));
        let from = after.map_or(0, |(at, _)| at.index);
        (from..2).find_map(|index| {
            let names = (0..self.0).filter(|number| number % 2 == index).map(|number| format!("{number:05}"));
            let behind =
                names.filter(|name| after.is_none_or(|(at, last)| at.index < index || name.as_str() > last));
            let report = |group| GroupReport {
                group,
                kind: GroupKind::Consumer,
                state: GroupState::Stable,
                members: 1,
            };
            let reports: Vec<GroupReport> = behind.map(report).take(work_max / 2).collect();
            (!reports.is_empty()).then_some((PartitionId { topic, index }, reports))
        })
    }

    /// Each group has committed of as many partitions as its name says.
    fn offsets(
        &self,
        (_, group): (PartitionId, &str),
        after: Option<&TopicPartition>,
        count_max: usize,
    ) -> Vec<OffsetReport> {
        let report = |partition| OffsetReport {
            partition: TopicPartition { topic: "t".into(), partition },
            offset: Offset(i64::from(partition)),
        };
        let from = after.map_or(0, |after| after.partition + 1);
        (from..group.parse().unwrap()).map(report).take(count_max).collect()
    }

    fn timestamp(&self, partition: PartitionId, offset: Offset) -> Option<Timestamp> {
        (partition.index < self.0).then_some(Timestamp(offset.0))
    }

    fn progress(&self) -> Option<Progress> {
        None
    }
}

const NOW: Now = Now { mono: highwater_core::time::Instant::from_nanos(0), wall: Timestamp(7) };

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

#[test]
fn partitions_come_in_slices_and_in_order() {
    let survey = Arc::new(Survey::new(2));
    let (one, two) = (Arc::clone(&survey), Arc::clone(&survey));
    let (sender, turns) = std::sync::mpsc::channel();
    survey.open(move || {
        let mut shards =
            [Surveyed::new(Arc::clone(&one), ShardId(0)), Surveyed::new(Arc::clone(&two), ShardId(1))];
        let mut fakes = [Fake(3000), Fake(0)];
        let mut count = 0;
        for (shard, fake) in shards.iter_mut().zip(&mut fakes) {
            shard.turn(NOW, fake);
            count += 1;
            while shard.is_busy() {
                shard.turn(NOW, fake);
                count += 1;
            }
        }
        sender.send(count).unwrap();
    });
    let view = block_on(survey.take(Scope::Partitions));
    assert_eq!(turns.recv().unwrap(), 4, "three slices, and none");
    let indexes: Vec<i32> = view.partitions.iter().map(|report| report.partition.index).collect();
    assert_eq!(indexes, (0..3000).collect::<Vec<_>>());
    assert!(view.silent().is_empty());
    let view = block_on(survey.take(Scope::Sums));
    assert!(view.partitions.is_empty() && view.reports().count() == 2);
}

#[test]
fn segments_of_one_topic_are_told_up_to_a_bound() {
    let survey = Arc::new(Survey::new(1));
    let inner = Arc::clone(&survey);
    survey.open(move || {
        let mut shard = Surveyed::new(Arc::clone(&inner), ShardId(0));
        shard.turn(NOW, &mut Fake(3));
        while shard.is_busy() {
            shard.turn(NOW, &mut Fake(3));
        }
    });
    let view = block_on(survey.take(Scope::Retention(TopicId(Uuid([7; 16])))));
    let told: Vec<usize> = view.retention.iter().map(|report| report.segments.len()).collect();
    assert_eq!(told, [RETENTION_SEGMENTS_MAX - 1, 1, 0]);
    let left_out: usize = view.retention.iter().map(|report| report.segments_left_out).sum();
    assert_eq!(told.iter().sum::<usize>() + left_out, 3 * (RETENTION_SEGMENTS_MAX - 1));
    let view = block_on(survey.take(Scope::Retention(TopicId(Uuid([8; 16])))));
    assert!(view.retention.is_empty() && view.silent().is_empty());
}

#[test]
fn silent_shard_is_named_and_its_late_answer_is_not_taken_for_a_new_one() {
    let survey = Arc::new(Survey::new(2));
    let inner = Arc::clone(&survey);
    let mut first = Some(Surveyed::new(Arc::clone(&survey), ShardId(1)));
    survey.open(move || Surveyed::new(Arc::clone(&inner), ShardId(0)).turn(NOW, &mut Fake(1)));
    assert_eq!(block_on(survey.take(Scope::Sums)).silent(), [1]);
    first.as_mut().unwrap().turn(NOW, &mut Fake(1));
    assert_eq!(block_on(survey.take(Scope::Sums)).silent(), [1]);
}

#[test]
fn node_that_starts_has_no_view() {
    assert!(block_on(Survey::new(2).take(Scope::Partitions)).shards.is_empty());
}

/// A survey of fakes that answer at once.
fn surveyed(fakes: &'static [i32]) -> Arc<Survey> {
    let survey = Arc::new(Survey::new(u16::try_from(fakes.len()).unwrap()));
    let inner = Arc::clone(&survey);
    survey.open(move || {
        for (shard, fake) in (0..).zip(fakes) {
            let mut shard = Surveyed::new(Arc::clone(&inner), ShardId(shard));
            shard.turn(NOW, &mut Fake(*fake));
            while shard.is_busy() {
                shard.turn(NOW, &mut Fake(*fake));
            }
        }
    });
    survey
}

#[test]
fn groups_are_counted_all_and_the_first_are_told() {
    let survey = surveyed(&[3000, 3]);
    let told = |groups_max, offsets_max| {
        let limits = GroupLimits { groups_max, offsets_max };
        let view = block_on(survey.take(Scope::Groups(limits)));
        assert_eq!(view.partitions.len(), 3003);
        let sum =
            GroupSum { kind: GroupKind::Consumer, state: GroupState::Stable, groups: 3003, members: 3003 };
        assert_eq!(view.groups.sums, [sum]);
        let told = view.groups.shown.iter().map(|(name, group)| {
            assert_eq!(group.members, 1);
            (name.parse().unwrap(), group.offsets.as_ref().map(Vec::len))
        });
        told.collect::<Vec<(usize, Option<usize>)>>()
    };
    let all = |upto| (0..upto).map(|number| (number, Some(number))).collect::<Vec<_>>();
    assert_eq!(told(5, 100), all(5));
    assert_eq!(told(0, 100), []);
    assert_eq!(told(200, 100_000), all(200));
    let mut some = all(6);
    (some[4].1, some[5].1) = (None, None);
    assert_eq!(told(6, 6), some, "whole groups");
    some[5].1 = Some(5);
    some[4].1 = Some(4);
    some[3].1 = Some(3);
    assert_eq!(told(6, 15), some);
}

#[test]
fn ages_are_told_of_what_is_asked() {
    let survey = surveyed(&[2000, 0]);
    let at = |index| (PartitionId { topic: TopicId(Uuid([7; 16])), index }, Offset(i64::from(index) - 1993));
    let asked: Vec<(PartitionId, Offset)> = (0..3000).map(at).collect();
    let view = block_on(survey.take_more(Scope::Ages(asked.into())));
    assert_eq!(view.ages.len(), 2000, "of partitions that are there");
    assert_eq!((view.ages[&at(0)], view.ages[&at(1999)]), (2000, 1));
    assert_eq!(view.ages[&at(1999 - 7)], 8);
}
