use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{Aging, Offsets, Old};
use crate::group::command::{CommitOffsets, Committing, Fetched, GroupError, TopicPartition};
use crate::group::record::GroupRecord;
use crate::id::{TopicId, Uuid};
use crate::limits::OFFSETS_DELETED_AT_ONCE;
use crate::time::{Duration, Timestamp};

const RETENTION: Duration = Duration::from_millis(100);

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

fn id(byte: u8) -> TopicId {
    TopicId(Uuid([byte; 16]))
}

fn replay(offsets: &mut Offsets, records: Vec<GroupRecord>) {
    for record in records {
        let GroupRecord::Offset { group, partition, value } = record else { panic!("{record:?}") };
        offsets.replay(&group, &partition, value);
    }
}

fn commit(group: &str, offsets: &[(TopicPartition, i64)]) -> CommitOffsets {
    let committing = |offset| Committing { topic: None, offset, leader_epoch: Some(3), metadata: "m".into() };
    CommitOffsets {
        group: group.into(),
        generation: -1,
        member: String::new(),
        instance: None,
        knows_member_epochs: true,
        retention: None,
        offsets: offsets.iter().map(|(partition, offset)| (partition.clone(), committing(*offset))).collect(),
    }
}

/// Commits at a time, and takes the records in.
fn committed(offsets: &mut Offsets, commit: CommitOffsets, now: i64) {
    let mut records = Vec::new();
    let results = Offsets::commit(commit, Timestamp(now), 4_096, &mut records);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    replay(offsets, records);
}

fn found(offsets: &Offsets, group: &str) -> Vec<(TopicPartition, i64)> {
    let all = offsets.fetch(group, None).into_iter().map(|(partition, fetched)| match fetched {
        Fetched::Offset { offset, .. } => (partition, offset),
        Fetched::None | Fetched::Unstable => panic!("{fetched:?}"),
    });
    all.collect()
}

/// The partitions that a look at a group's age deletes, and whether that was all.
fn expired(offsets: &Offsets, aging: Aging, now: i64, subscribed: &str) -> (Vec<TopicPartition>, bool) {
    let mut records = Vec::new();
    let old = Old { group: "g", aging, retention: RETENTION, now: Timestamp(now) };
    let all = offsets.expire(&old, |topic| topic == subscribed, &mut records);
    let partitions = records.into_iter().map(|record| {
        let GroupRecord::Offset { partition, value: None, .. } = record else { panic!("{record:?}") };
        partition
    });
    (partitions.collect(), all)
}

#[test]
fn commit_is_fetched_once_it_is_replayed() {
    let mut offsets = Offsets::default();
    let mut records = Vec::new();
    let made = commit("g", &[(at("t", 1), 7), (at("u", 0), -5), (at("t", 1), 8)]);
    let results = Offsets::commit(made, Timestamp(1), 4_096, &mut records);
    assert_eq!(results, [Ok(()), Ok(()), Ok(())]);
    assert_eq!(found(&offsets, "g"), [], "records are what counts");
    replay(&mut offsets, records);
    assert_eq!(
        found(&offsets, "g"),
        [(at("t", 1), 8), (at("u", 0), -5)],
        "the last one of a partition holds"
    );
    let some = offsets.fetch("g", Some(vec![at("u", 9), at("t", 1)]));
    let offset = Fetched::Offset { offset: 8, leader_epoch: Some(3), metadata: "m".into() };
    assert_eq!(some, [(at("u", 9), Fetched::None), (at("t", 1), offset)]);
    assert_eq!(offsets.fetch("other", None), []);
}

#[test]
fn commit_refuses_long_metadata_by_kafkas_count() {
    let mut records = Vec::new();
    let mut made = commit("g", &[(at("t", 0), 1), (at("t", 1), 1), (at("t", 2), 1)]);
    // Two bytes each but one character; four bytes and two characters; three characters.
    made.offsets[0].1.metadata = "éé".into();
    made.offsets[1].1.metadata = "𝄞".into();
    made.offsets[2].1.metadata = "abc".into();
    let results = Offsets::commit(made, Timestamp(1), 2, &mut records);
    assert_eq!(results, [Ok(()), Ok(()), Err(GroupError::MetadataTooLarge)]);
    assert_eq!(records.len(), 2, "the others are committed");
}

#[test]
fn delete_leaves_what_is_subscribed_to() {
    let mut offsets = Offsets::default();
    committed(&mut offsets, commit("g", &[(at("t", 0), 1), (at("u", 0), 2)]), 1);
    let mut records = Vec::new();
    let asked = [at("t", 0), at("u", 0), at("u", 1)];
    let results = offsets.delete("g", &asked, |topic| topic == "t", &mut records);
    assert_eq!(results, [Err(GroupError::SubscribedToTopic), Ok(()), Ok(())]);
    assert_eq!(records.len(), 1, "nothing is written of what is not there");
    replay(&mut offsets, records);
    assert_eq!(found(&offsets, "g"), [(at("t", 0), 1)]);
    let mut records = Vec::new();
    offsets.delete_all("g", &mut records);
    replay(&mut offsets, records);
    assert!(!offsets.has("g") && offsets.groups.is_empty() && offsets.topics.is_empty(), "nothing is left");
}

#[test]
fn offsets_age_from_their_commit_or_from_when_the_group_became_empty() {
    let mut offsets = Offsets::default();
    committed(&mut offsets, commit("g", &[(at("t", 0), 1)]), 1_000);
    committed(&mut offsets, commit("g", &[(at("u", 0), 1)]), 1_050);
    assert_eq!(expired(&offsets, Aging::SinceCommit, 1_099, ""), (vec![], false));
    assert_eq!(expired(&offsets, Aging::SinceCommit, 1_100, ""), (vec![at("t", 0)], false));
    assert_eq!(expired(&offsets, Aging::SinceCommit, 1_150, ""), (vec![at("t", 0), at("u", 0)], true));
    assert_eq!(expired(&offsets, Aging::SinceCommit, 1_150, "t"), (vec![at("u", 0)], false));
    assert_eq!(expired(&offsets, Aging::Since(Timestamp(1_080)), 1_150, ""), (vec![], false));
    assert_eq!(
        expired(&offsets, Aging::Since(Timestamp(1_080)), 1_180, ""),
        (vec![at("t", 0), at("u", 0)], true)
    );
    assert_eq!(expired(&offsets, Aging::Never, i64::MAX, ""), (vec![], false));
}

#[test]
fn an_offset_may_have_a_time_of_its_own() {
    let mut offsets = Offsets::default();
    let mut lasting = commit("g", &[(at("t", 0), 1)]);
    lasting.retention = Some(Duration::from_millis(500));
    committed(&mut offsets, lasting, 1_000);
    assert_eq!(expired(&offsets, Aging::SinceCommit, 1_499, ""), (vec![], false), "longer than others");
    assert_eq!(expired(&offsets, Aging::SinceCommit, 1_500, ""), (vec![at("t", 0)], true));
    assert_eq!(expired(&offsets, Aging::Never, 1_500, ""), (vec![], false));
}

#[test]
fn no_more_is_deleted_at_once_than_may_be() {
    let mut offsets = Offsets::default();
    let count = i32::try_from(OFFSETS_DELETED_AT_ONCE).expect("small") + 1;
    let all: Vec<_> = (0..count).map(|partition| (at("t", partition), 1)).collect();
    committed(&mut offsets, commit("g", &all), 0);
    let (partitions, all) = expired(&offsets, Aging::SinceCommit, 1_000, "");
    assert_eq!((partitions.len(), all), (OFFSETS_DELETED_AT_ONCE, false));
    let mut records = Vec::new();
    offsets.delete_lost(|_| None, &mut records);
    assert_eq!(records.len(), OFFSETS_DELETED_AT_ONCE);
    replay(&mut offsets, records);
    let mut records = Vec::new();
    offsets.delete_lost(|_| None, &mut records);
    assert_eq!(records.len(), 1, "the rest is found the next time");
}

#[test]
fn offsets_go_with_their_topic() {
    let mut offsets = Offsets::default();
    let mut named = commit("g", &[(at("t", 0), 1), (at("u", 0), 2)]);
    named.offsets[1].1.topic = Some(id(1));
    committed(&mut offsets, named.clone(), 1);
    named.group = "h".into();
    committed(&mut offsets, named, 1);
    let mut lost = |find: &dyn Fn(&str) -> Option<TopicId>| {
        let mut records = Vec::new();
        offsets.delete_lost(find, &mut records);
        replay(&mut offsets, records);
        (found(&offsets, "g").len(), found(&offsets, "h").len())
    };
    assert_eq!(lost(&|_| Some(id(1))), (2, 2), "both are there");
    assert_eq!(
        lost(&|name| (name == "t").then_some(id(1)).or(Some(id(2)))),
        (1, 1),
        "`u` is another topic now"
    );
    assert_eq!(lost(&|_| None), (0, 0));
}

#[test]
fn offsets_of_a_topic_that_is_made_anew_go_whether_they_name_it_by_id_or_not() {
    let mut offsets = Offsets::default();
    committed(&mut offsets, commit("g", &[(at("t", 0), 1)]), 1);
    for (of, left) in [(1, 1), (1, 1), (2, 0)] {
        let mut records = Vec::new();
        offsets.delete_lost(|_| Some(id(of)), &mut records);
        replay(&mut offsets, records);
        assert_eq!(found(&offsets, "g").len(), left);
    }
}
