//! Partitions that move: what is given back, when, and who gets it.

use alloc::vec;

use super::{Host, joining, told};
use crate::group::command::{GroupError, GroupState};
use crate::group::record::MemberState;
use crate::id::TopicId;
use crate::time::Duration;

/// One who has both partitions of a topic, and one who has come and is to get the second.
fn two(host: &mut Host) -> TopicId {
    let topic = host.topics.create("t", 2);
    host.join("a", &["t"]).unwrap();
    let b = host.join("b", &["t"]).unwrap();
    assert_eq!((b.member_epoch, told(&b)), (2, Some(vec![])), "what a has is not b's yet");
    topic
}

fn state(host: &Host, member: &str) -> MemberState {
    host.group.kept.current(member).state
}

#[test]
fn partition_moves_once_it_is_given_back() {
    let mut host = Host::new(1);
    let topic = two(&mut host);
    let both = [(topic, 0), (topic, 1)];
    assert_eq!(state(&host, "b"), MemberState::UnreleasedPartitions);

    let a = host.beat("a", 1, &both).unwrap();
    assert_eq!(
        (a.member_epoch, told(&a)),
        (1, Some(vec![(topic, 0)])),
        "the epoch stays until it is given back"
    );
    assert_eq!(state(&host, "a"), MemberState::UnrevokedPartitions);
    assert_eq!(told(&host.beat_briefly("b", 2).unwrap()), None, "it is only asked for");
    assert_eq!(told(&host.beat("a", 1, &both).unwrap()), None, "a has it still");
    assert_eq!(told(&host.beat_briefly("a", 1).unwrap()), None, "a does not say");
    assert_eq!(told(&host.beat_briefly("b", 2).unwrap()), None);

    let a = host.beat("a", 1, &[(topic, 0)]).unwrap();
    assert_eq!((a.member_epoch, told(&a)), (2, None));
    let b = host.beat_briefly("b", 2).unwrap();
    assert_eq!((b.member_epoch, told(&b)), (2, Some(vec![(topic, 1)])));
    assert_eq!(host.group.state(), GroupState::Stable);
    assert_eq!(host.restarted().kept, host.group.kept);
}

#[test]
fn late_heartbeat_of_the_epoch_before_gives_nothing_back() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 1);
    host.join("a", &["t"]).unwrap();
    host.topics.grow("t", 1);
    let both = [(topic, 0), (topic, 1)];
    let a = host.beat("a", 1, &[(topic, 0)]).unwrap();
    assert_eq!((a.member_epoch, told(&a)), (2, Some(both.to_vec())));
    host.join("b", &["t"]).unwrap();
    assert_eq!(told(&host.beat("a", 2, &both).unwrap()), Some(vec![(topic, 0)]));
    // What it sent before it got the second partition.
    assert_eq!(host.beat("a", 1, &[(topic, 0)]).unwrap().member_epoch, 2);
    assert_eq!(state(&host, "a"), MemberState::UnrevokedPartitions);
    assert_eq!(told(&host.beat_briefly("b", 3).unwrap()), None);
    assert_eq!(host.beat("a", 2, &[(topic, 0)]).unwrap().member_epoch, 3);
    assert_eq!(told(&host.beat_briefly("b", 3).unwrap()), Some(vec![(topic, 1)]));
}

#[test]
fn member_that_does_not_give_back_in_time_is_fenced() {
    let mut host = Host::new(1);
    let topic = two(&mut host);
    let both = [(topic, 0), (topic, 1)];
    host.beat("a", 1, &both).unwrap();
    for _ in 0..5 {
        host.elapse(Duration::from_secs(11));
        host.beat("a", 1, &both).unwrap();
        host.beat_briefly("b", 2).unwrap();
    }
    host.elapse(Duration::from_secs(5));
    assert_eq!(host.beat("a", 1, &both), Err(GroupError::UnknownMember), "60 seconds have passed");
    let b = host.beat("b", 2, &[]).unwrap();
    assert_eq!((b.member_epoch, told(&b)), (3, Some(both.to_vec())));
}

#[test]
fn member_that_gives_back_in_time_is_left_alone() {
    let mut host = Host::new(1);
    let topic = two(&mut host);
    host.beat("a", 1, &[(topic, 0), (topic, 1)]).unwrap();
    host.elapse(Duration::from_secs(30));
    host.beat("a", 1, &[(topic, 0)]).unwrap();
    host.elapse(Duration::from_secs(40));
    assert!(host.beat_briefly("a", 2).is_ok());
}

#[test]
fn restart_keeps_asking_for_what_is_not_given_back() {
    let mut host = Host::new(1);
    let topic = two(&mut host);
    let both = [(topic, 0), (topic, 1)];
    host.beat("a", 1, &both).unwrap();
    host.restart();
    assert_eq!(told(&host.beat_briefly("b", 2).unwrap()), None);
    host.elapse(Duration::from_secs(40));
    host.beat("a", 1, &both).unwrap();
    host.elapse(Duration::from_secs(20));
    assert_eq!(
        host.beat("a", 1, &both),
        Err(GroupError::UnknownMember),
        "its time for that began at the restart"
    );
}

#[test]
fn member_that_does_not_own_what_it_shall_give_back_goes_on_at_once() {
    let mut host = Host::new(1);
    let topic = two(&mut host);
    // The join of a is lost on its way back: a comes again and has nothing.
    let a = host.join("a", &["t"]).unwrap();
    assert_eq!((a.member_epoch, told(&a)), (2, Some(vec![(topic, 0)])));
    assert_eq!(told(&host.beat_briefly("b", 2).unwrap()), Some(vec![(topic, 1)]));
}

#[test]
fn target_that_changes_meanwhile_is_taken_up_from_where_the_member_is() {
    let mut host = Host::new(1);
    let topic = two(&mut host);
    let both = [(topic, 0), (topic, 1)];
    host.beat("a", 1, &both).unwrap();
    // b goes before a has given anything back: it is a's again.
    host.beat_briefly("b", -1).unwrap();
    let a = host.beat("a", 1, &both).unwrap();
    assert_eq!((a.member_epoch, told(&a)), (1, None), "it has to be given back all the same");
    let a = host.beat("a", 1, &[(topic, 0)]).unwrap();
    assert_eq!((a.member_epoch, told(&a)), (3, Some(both.to_vec())));
    assert_eq!(host.group.state(), GroupState::Stable);
}

#[test]
fn topic_no_longer_wanted_is_given_back_while_others_are() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 2);
    let other = host.topics.create("u", 1);
    host.join("a", &["t", "u"]).unwrap();
    host.join("b", &["t"]).unwrap();
    let all = [(topic, 0), (topic, 1), (other, 0)];
    let a = host.beat("a", 1, &all).unwrap();
    let kept = told(&a).unwrap();
    assert_eq!(kept.len(), 2);
    let unsubscribed = super::ConsumerHeartbeat {
        member_epoch: 1,
        rebalance_timeout: None,
        owned: None,
        ..joining("a", &["t"])
    };
    let a = host.heartbeat(unsubscribed).unwrap();
    assert_eq!(told(&a), Some(kept.into_iter().filter(|(topic, _)| *topic != other).collect()));
    assert_eq!(state(&host, "a"), MemberState::UnrevokedPartitions);
}
