//! Joining, repeated and lost answers, and requests that are refused.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::{Host, as_static, beating, joining, told};
use crate::group::command::{
    CommitOffsets, Committing, FetchOffsets, GroupError, GroupState, TopicPartition,
};
use crate::group::record::MemberState;
use crate::time::Duration;

#[test]
fn first_member_gets_all_at_once() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 2);
    assert_eq!(host.group.state(), GroupState::Empty);
    let joined = host.join("a", &["t"]).unwrap();
    assert_eq!((joined.member.as_str(), joined.member_epoch), ("a", 1));
    assert_eq!(joined.heartbeat_interval, Duration::from_secs(5));
    assert_eq!(told(&joined), Some(vec![(topic, 0), (topic, 1)]));
    assert_eq!(host.kinds(0), ["member", "group", "target", "target epoch", "current"]);
    assert_eq!(host.group.state(), GroupState::Stable);

    // Nothing has changed: nothing is written, and nothing told.
    let beat = host.beat("a", 1, &[(topic, 0), (topic, 1)]).unwrap();
    assert_eq!((beat.member_epoch, told(&beat)), (1, None));
    assert_eq!(host.log.len(), 5);
}

#[test]
fn member_without_an_id_gets_one() {
    let mut host = Host::new(1);
    host.topics.create("t", 2);
    let a = host.join("", &["t"]).unwrap();
    let b = host.join("", &["t"]).unwrap();
    assert!(a.member != b.member && a.member.len() == 22);
    assert!(host.beat_briefly(&a.member, 1).is_ok());
}

#[test]
fn member_of_a_topic_that_is_not_there_waits_for_it() {
    let mut host = Host::new(1);
    let joined = host.join("a", &["later"]).unwrap();
    assert_eq!((joined.member_epoch, told(&joined)), (1, Some(vec![])));
    let topic = host.topics.create("later", 1);
    let beat = host.beat_briefly("a", 1).unwrap();
    assert_eq!((beat.member_epoch, told(&beat)), (2, Some(vec![(topic, 0)])));
}

#[test]
fn lost_answer_is_told_again_to_who_says_all_of_itself() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 1);
    // The answer to the join is lost, and the join comes again.
    host.join("a", &["t"]).unwrap();
    let again = host.join("a", &["t"]).unwrap();
    assert_eq!((again.member_epoch, told(&again)), (1, Some(vec![(topic, 0)])));
    // The answer that raises the epoch is lost: the epoch before is taken with what the member was to have.
    host.topics.grow("t", 1);
    host.beat("a", 1, &[(topic, 0)]).unwrap();
    assert_eq!(host.beat_briefly("a", 1), Err(GroupError::FencedMemberEpoch), "it does not say what it has");
    assert_eq!(host.beat("a", 1, &[(topic, 7)]), Err(GroupError::FencedMemberEpoch), "not its own");
    let full = super::ConsumerHeartbeat { member_epoch: 1, ..joining("a", &["t"]) };
    let again = host.heartbeat(full).unwrap();
    assert_eq!((again.member_epoch, told(&again)), (2, Some(vec![(topic, 0), (topic, 1)])));
}

#[test]
fn other_epochs_are_fenced_and_may_join_again() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 1);
    host.join("a", &["t"]).unwrap();
    host.topics.grow("t", 1);
    host.beat("a", 1, &[(topic, 0)]).unwrap();
    host.topics.grow("t", 1);
    host.beat("a", 2, &[(topic, 0)]).unwrap();
    assert_eq!(host.beat("a", 1, &[]), Err(GroupError::FencedMemberEpoch), "two behind");
    assert_eq!(host.beat("a", 4, &[]), Err(GroupError::FencedMemberEpoch), "ahead");
    assert_eq!(host.beat_briefly("b", 3), Err(GroupError::UnknownMember));
    let joined = host.join("a", &["t"]).unwrap();
    assert_eq!((joined.member_epoch, told(&joined).unwrap().len()), (3, 3));
}

#[test]
fn group_takes_no_more_than_its_size() {
    let mut host = Host::new(1);
    host.settings.consumer.size_max = 1;
    host.join("a", &["t"]).unwrap();
    assert_eq!(host.join("b", &["t"]), Err(GroupError::MaxSizeReached));
    assert_eq!(host.join("", &["t"]), Err(GroupError::MaxSizeReached));
    assert!(host.join("a", &["t"]).is_ok(), "a member may come again");
}

#[test]
fn refused_requests_say_what_is_wrong() {
    let mut host = Host::new(1);
    let ok = || joining("a", &["t"]);
    let wrong = [
        ("the group id", super::ConsumerHeartbeat { group: " ".to_string(), ..ok() }),
        ("the instance id", as_static(ok(), " ")),
        ("the rack id", super::ConsumerHeartbeat { rack: Some("".to_string()), ..ok() }),
        ("the member id", beating("", 1)),
        ("the member id", beating("", -1)),
        ("the member epoch", beating("a", -3)),
        ("an instance id", beating("a", -2)),
        ("a rebalance timeout", super::ConsumerHeartbeat { rebalance_timeout: None, ..ok() }),
        ("partitions", super::ConsumerHeartbeat { owned: None, ..ok() }),
        ("topic names", super::ConsumerHeartbeat { topics: None, ..ok() }),
    ];
    for (what, heartbeat) in wrong {
        let Err(GroupError::InvalidRequest(why)) = host.heartbeat(heartbeat.clone()) else {
            panic!("{heartbeat:?} was taken")
        };
        assert!(why.contains(what), "{why}");
    }
    let other = super::ConsumerHeartbeat { assignor: Some("sticky".to_string()), ..ok() };
    assert_eq!(host.heartbeat(other), Err(GroupError::UnsupportedAssignor));
    assert!(host.log.is_empty());
}

#[test]
fn steady_heartbeat_does_not_allocate() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 3);
    host.join("a", &["t"]).unwrap();
    host.beat_briefly("a", 1).unwrap();
    let heartbeat = super::ConsumerHeartbeat {
        owned: Some(super::listed(&[(topic, 0), (topic, 1), (topic, 2)].into())),
        ..beating("a", 1)
    };
    let mut allocations = u64::MAX;
    let decision = host.decide(|group, out, topics| {
        out.decision.answers.reserve(1);
        let measured =
            allocation_counter::measure(|| group.heartbeat(out, topics, super::Token(3), heartbeat));
        allocations = measured.count_total;
    });
    assert_eq!(allocations, 0);
    assert_eq!((decision.answers.len(), decision.records.len()), (1, 0));
}

#[test]
fn decision_that_comes_to_nothing_is_taken_again() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 1);
    host.join("a", &["t"]).unwrap();
    host.beat_briefly("a", 1).unwrap();
    host.topics.grow("t", 1);
    let decision =
        host.decide(|group, out, topics| group.heartbeat(out, topics, super::Token(1), beating("a", 1)));
    assert!(!decision.records.is_empty());
    // The log did not take these records.
    let now = host.now();
    host.group.on_refused(now, &host.settings);
    assert_eq!(told(&host.beat_briefly("a", 1).unwrap()), Some(vec![(topic, 0), (topic, 1)]));
}

#[test]
fn commits_and_fetches_go_by_the_member_epoch() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 1);
    let commit = |member: &str, generation, partition| CommitOffsets {
        group: "g".to_string(),
        generation,
        member: member.to_string(),
        instance: None,
        knows_member_epochs: true,
        retention: None,
        offsets: vec![(
            TopicPartition { topic: "t".to_string(), partition },
            Committing { topic: None, offset: 1, leader_epoch: None, metadata: "".to_string() },
        )],
    };
    let check = |host: &Host, commit: &CommitOffsets| host.group.check_commit(&host.topics, commit);
    assert_eq!(check(&host, &commit("", -1, 0)), Ok(()), "nobody is there");
    host.join("a", &["t"]).unwrap();
    assert_eq!(check(&host, &commit("", -1, 0)), Err(GroupError::UnknownMember));
    assert_eq!(check(&host, &commit("a", 1, 0)), Ok(()));
    assert_eq!(check(&host, &commit("a", 2, 0)), Err(GroupError::StaleMemberEpoch));
    let old = CommitOffsets { knows_member_epochs: false, ..commit("a", 1, 0) };
    assert_eq!(check(&host, &old), Err(GroupError::StaleMemberEpoch));

    // What it has had since an older epoch it may commit with that one.
    host.topics.grow("t", 1);
    host.beat("a", 1, &[(topic, 0)]).unwrap();
    assert_eq!(check(&host, &commit("a", 1, 0)), Ok(()));
    assert_eq!(
        check(&host, &commit("a", 1, 1)),
        Err(GroupError::StaleMemberEpoch),
        "it has it since epoch 2"
    );
    assert_eq!(check(&host, &commit("a", 0, 0)), Err(GroupError::StaleMemberEpoch));
    assert_eq!(check(&host, &commit("a", 1, 5)), Err(GroupError::StaleMemberEpoch), "it does not have it");

    let fetch = |member: Option<(&str, i32)>| FetchOffsets {
        group: "g".to_string(),
        member: member.map(|(id, epoch)| (id.to_string(), epoch)),
        partitions: None,
        require_stable: false,
    };
    assert_eq!(host.group.check_fetch(&fetch(None)), Ok(()));
    assert_eq!(host.group.check_fetch(&fetch(Some(("a", 2)))), Ok(()));
    assert_eq!(host.group.check_fetch(&fetch(Some(("a", 1)))), Err(GroupError::StaleMemberEpoch));
    assert_eq!(host.group.check_fetch(&fetch(Some(("b", 1)))), Err(GroupError::UnknownMember));
}

#[test]
fn description_shows_what_is_and_what_shall_be() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 2);
    host.join("a", &["t"]).unwrap();
    host.join("b", &["t"]).unwrap();
    let described = host.group.describe(&host.settings);
    assert_eq!((described.epoch, described.assignment_epoch), (2, 2));
    assert_eq!((described.state, described.assignor.as_str()), (GroupState::Reconciling, "uniform"));
    let shown: Vec<_> = described.members.iter().map(|m| (m.assignment.clone(), m.target.clone())).collect();
    let list = |partitions: &[i32]| super::listed(&partitions.iter().map(|p| (topic, *p)).collect());
    assert_eq!(shown, [(list(&[0, 1]), list(&[0])), (list(&[]), list(&[1]))]);
}

#[test]
fn member_in_a_state_of_another_version_is_led_on_once_it_has_nothing() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 1);
    host.join("a", &["t"]).unwrap();
    let mut current = host.group.kept.current("a").clone();
    current.state = MemberState::Unknown;
    host.group.replay_current("a".to_string(), Some(current));
    assert_eq!(host.beat("a", 1, &[(topic, 0)]), Err(GroupError::FencedMemberEpoch));
    assert_eq!(told(&host.join("a", &["t"]).unwrap()), Some(vec![(topic, 0)]));
    assert_eq!(host.group.state(), GroupState::Stable);
}
