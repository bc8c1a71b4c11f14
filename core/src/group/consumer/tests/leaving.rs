//! Leaving, for good and for a while; sessions that end; restarts of the broker; deletion.

use alloc::string::ToString;
use alloc::vec;

use super::{ConsumerHeartbeat, Host, as_static, beating, joining, told};
use crate::group::command::{GroupError, GroupState};
use crate::group::record::GroupRecord;
use crate::time::Duration;

#[test]
fn leaver_frees_what_it_has() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 1);
    host.join("a", &["t"]).unwrap();
    host.join("b", &["t"]).unwrap();
    let from = host.log.len();
    let left = host.beat_briefly("a", -1).unwrap();
    assert_eq!((left.member.as_str(), left.member_epoch, told(&left)), ("a", -1, None));
    assert_eq!(host.kinds(from), ["no current", "no target", "no member", "group"]);
    assert_eq!(host.group.state(), GroupState::Assigning);
    assert_eq!(host.beat_briefly("a", -1), Err(GroupError::UnknownMember));
    let beat = host.beat("b", 2, &[]).unwrap();
    assert_eq!((beat.member_epoch, told(&beat)), (3, Some(vec![(topic, 0)])));
}

#[test]
fn last_leaver_leaves_the_group_with_one_epoch() {
    let mut host = Host::new(1);
    host.join("a", &["t"]).unwrap();
    let from = host.log.len();
    host.beat_briefly("a", -1).unwrap();
    assert_eq!(host.kinds(from), ["no current", "no target", "no member", "group", "target epoch"]);
    assert_eq!((host.group.state(), host.group.deadline()), (GroupState::Empty, None));
    let described = host.group.describe(&host.settings);
    assert_eq!((described.epoch, described.assignment_epoch), (2, 2));
}

#[test]
fn session_ends_without_heartbeats() {
    let mut host = Host::new(1);
    host.topics.create("t", 2);
    host.join("a", &["t"]).unwrap();
    host.join("b", &["t"]).unwrap();
    host.elapse(Duration::from_secs(40));
    host.beat_briefly("b", 2).unwrap();
    host.elapse(Duration::from_secs(4));
    assert!(host.beat_briefly("a", 1).is_ok(), "44 of 45 seconds");
    host.elapse(Duration::from_secs(44));
    assert_eq!(host.beat_briefly("b", 2), Err(GroupError::UnknownMember));
    assert!(host.beat_briefly("a", 1).is_ok());
    host.elapse(Duration::from_secs(45));
    assert!(host.group.is_empty());
}

#[test]
fn restart_gives_everybody_their_time_again() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 1);
    host.join("a", &["t"]).unwrap();
    host.elapse(Duration::from_secs(44));
    host.restart();
    host.elapse(Duration::from_secs(44));
    let beat = host.beat("a", 1, &[(topic, 0)]).unwrap();
    assert_eq!((beat.member_epoch, told(&beat)), (1, None), "topics are as they were: nothing changes");
    host.restart();
    host.elapse(Duration::from_secs(45));
    assert!(host.group.is_empty());
}

#[test]
fn static_member_comes_back_to_what_it_had() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 2);
    host.heartbeat(as_static(joining("a", &["t"]), "one")).unwrap();
    host.join("b", &["t"]).unwrap();
    host.beat("a", 1, &[(topic, 0), (topic, 1)]).unwrap();
    host.beat("a", 1, &[(topic, 0)]).unwrap();
    host.beat("b", 2, &[]).unwrap();
    assert_eq!(host.group.state(), GroupState::Stable);

    let other = host.heartbeat(as_static(joining("c", &["t"]), "one"));
    assert_eq!(other, Err(GroupError::UnreleasedInstance));
    let away = host.heartbeat(as_static(beating("a", -2), "one")).unwrap();
    assert_eq!(away.member_epoch, -2);
    assert_eq!(host.beat_briefly("b", 2).map(|beat| told(&beat)), Ok(None), "nothing moves meanwhile");

    let from = host.log.len();
    let back = host.heartbeat(as_static(joining("c", &["t"]), "one")).unwrap();
    assert_eq!((back.member_epoch, told(&back)), (2, Some(vec![(topic, 0)])));
    let moved = ["no current", "no target", "no member", "member", "target", "current", "current"];
    assert_eq!(host.kinds(from), moved);
    let old = host.heartbeat(as_static(beating("a", 2), "one"));
    assert_eq!(old, Err(GroupError::FencedInstance));
    assert_eq!(host.heartbeat(as_static(beating("a", -1), "one")), Err(GroupError::FencedInstance));
    assert_eq!(host.heartbeat(as_static(beating("x", -1), "none")), Err(GroupError::UnknownMember));
    assert_eq!(host.heartbeat(as_static(beating("x", 1), "none")), Err(GroupError::UnknownMember));
    assert_eq!(host.group.state(), GroupState::Stable);
    assert_eq!(host.restarted().kept, host.group.kept);
}

#[test]
fn static_member_that_stays_away_is_given_up() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 2);
    host.heartbeat(as_static(joining("a", &["t"]), "one")).unwrap();
    host.heartbeat(as_static(beating("a", -2), "one")).unwrap();
    host.elapse(Duration::from_secs(30));
    let joined = host.join("b", &["t"]).unwrap();
    assert_eq!(told(&joined), Some(vec![]), "what it had is kept for it meanwhile");
    host.elapse(Duration::from_secs(15));
    let beat = host.beat("b", 2, &[]).unwrap();
    assert_eq!((beat.member_epoch, told(&beat)), (3, Some(vec![(topic, 0), (topic, 1)])));
}

#[test]
fn static_member_takes_its_place_in_a_full_group() {
    let mut host = Host::new(1);
    host.settings.consumer.size_max = 1;
    host.heartbeat(as_static(joining("a", &["t"]), "one")).unwrap();
    host.heartbeat(as_static(beating("a", -2), "one")).unwrap();
    let again = host.heartbeat(as_static(joining("a", &["t"]), "one")).unwrap();
    assert_eq!(again.member_epoch, 1, "the same id may come back as well");
    host.heartbeat(as_static(beating("a", -2), "one")).unwrap();
    assert!(host.heartbeat(as_static(joining("b", &["t"]), "one")).is_ok());
}

#[test]
fn an_empty_group_leaves_nothing_when_it_is_buried() {
    let mut host = Host::new(1);
    host.topics.create("t", 1);
    let regex = ConsumerHeartbeat { regex: Some("t.*".to_string()), ..joining("a", &[]) };
    host.heartbeat(regex).unwrap();
    assert!(!host.group.is_empty());
    host.beat_briefly("a", -1).unwrap();
    assert!(host.group.is_empty());
    let from = host.log.len();
    host.step(|group, out, _| group.bury(&mut out.decision.records));
    assert!(host.log[from..].iter().all(|record| matches!(
        record,
        GroupRecord::TargetEpoch { value: None, .. } | GroupRecord::Consumer { value: None, .. }
    )));
    assert_eq!(host.group.kept, super::ConsumerGroup::new("g".to_string()).kept);
}

#[test]
fn replay_goes_by_the_newest_record() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 1);
    host.heartbeat(as_static(joining("a", &["t"]), "one")).unwrap();
    let group = &mut host.group;
    let (a, b) = (|| "a".to_string(), || "b".to_string());
    // Compaction may leave records of a that are older than those of b, with tombstones that come after both.
    let (member, current) = (group.kept.members["a"].clone(), group.kept.current("a").clone());
    group.replay_member(b(), Some(member));
    group.replay_current(b(), Some(current));
    group.replay_current(a(), None);
    group.replay_member(a(), None);
    assert_eq!(group.kept.owners.get(&(topic, 0)).map(|owner| owner.to_string()), Some(b()));
    assert_eq!(group.kept.instances.get("one"), Some(&b()));
}
