use highwater_core::group::command::{Client, TopicPartition};
use highwater_core::group::groups::GroupsView;
use highwater_core::group::record::{ClassicMember, ClassicValue, GroupRecord, OffsetValue};
use highwater_core::id::{Offset, PartitionId};
use highwater_core::shard::CoordinatorView;
use highwater_core::time::{Duration, Instant, Timestamp};

use super::{Checker, OffsetsExpireInTime};
use crate::checker::samples::{look, rules};
use crate::checker::{Look, Rules};
use crate::history::{Fact, Kept};

const PARTITION: PartitionId = PartitionId::METADATA;

fn offset(committed_at: Option<i64>) -> GroupRecord {
    let value = committed_at.map(|at| OffsetValue {
        offset: 1,
        leader_epoch: None,
        metadata: String::new(),
        committed_at: Timestamp(at),
        expires_at: None,
        topic: None,
    });
    let partition = TopicPartition { topic: "t".into(), partition: 0 };
    GroupRecord::Offset { group: "g".into(), partition, value }
}

fn group(since: i64, members: usize) -> GroupRecord {
    let member = ClassicMember {
        id: "m".into(),
        instance: None,
        client: Client::default(),
        rebalance_timeout: Duration::default(),
        session_timeout: Duration::default(),
        subscription: Vec::new(),
        assignment: Vec::new(),
    };
    let value = ClassicValue {
        protocol_type: "consumer".into(),
        generation: 1,
        protocol: None,
        leader: None,
        since: Some(Timestamp(since)),
        members: vec![member; members],
    };
    GroupRecord::Classic { group: "g".into(), value: Some(value) }
}

/// Batches of one record each, with their times.
fn judge(records: Vec<(i64, GroupRecord)>) -> bool {
    let times = Some((Duration::from_millis(100), Duration::from_millis(10)));
    let mut checker = OffsetsExpireInTime::new(&Rules { offsets: times, ..rules() });
    (0..).zip(records).all(|(base, (at, record))| {
        let (base, end, records) = (Offset(base), Offset(base + 1), vec![record]);
        let batch = Kept { partition: PARTITION, base, end, at: Timestamp(at), records };
        checker.on_fact(&Fact::Kept { node: 0, batch }).is_ok()
    })
}

#[test]
fn offset_that_goes_early_is_found() {
    let goes = |at| judge(vec![(5, offset(Some(5))), (at, offset(None))]);
    assert!(goes(105) && !goes(104));
    let empty = |at| judge(vec![(5, offset(Some(5))), (50, group(50, 0)), (at, offset(None))]);
    assert!(empty(150) && !empty(149), "since its group is empty");
    assert!(!judge(vec![(5, offset(Some(5))), (6, group(6, 1)), (900, offset(None))]), "it has a member");
}

#[test]
fn offset_that_stays_is_found() {
    let looks = |records: Vec<GroupRecord>, seconds: &[u64]| {
        let times = Some((Duration::from_millis(100), Duration::from_millis(10)));
        let mut checker = OffsetsExpireInTime::new(&Rules { offsets: times, ..rules() });
        let groups = GroupsView { records, rebalancing: Default::default() };
        let view = CoordinatorView { partition: PARTITION, log_end: Offset(0), groups };
        let look = Look { coordinators: vec![view], ..look(0, [0, 0, 0, 0]) };
        seconds.iter().all(|second| {
            checker.on_clock(Instant::default() + Duration::from_secs(*second), Timestamp(200));
            checker.on_look(&look).is_ok()
        })
    };
    assert!(looks(vec![offset(Some(5))], &[1, 9]));
    assert!(!looks(vec![offset(Some(5))], &[1, 10]));
    assert!(looks(vec![offset(Some(150))], &[1, 10]) && looks(vec![offset(Some(5)), group(5, 1)], &[1, 10]));
}
