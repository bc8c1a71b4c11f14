//! How often a group is assigned, and what a decision leaves that the log refused.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::{ConsumerHeartbeat, Host, Token, beating, told};
use crate::group::command::GroupState;
use crate::group::out::{Arrival, Reason};
use crate::time::Duration;

fn paced() -> Host {
    let mut host = Host::new(1);
    host.settings.consumer.assignment_interval = Duration::from_secs(1);
    host
}

fn assignments(host: &Host) -> usize {
    host.kinds(0).into_iter().filter(|kind| *kind == "target epoch").count()
}

#[test]
fn members_that_come_at_once_are_assigned_together() {
    let mut host = paced();
    let topic = host.topics.create("t", 3);
    assert_eq!(host.join("a", &["t"]).unwrap().assignment.unwrap()[0].partitions, [0, 1, 2]);
    for member in ["b", "c"] {
        host.elapse(Duration::from_millis(10));
        let joined = host.join(member, &["t"]).unwrap();
        assert_eq!((joined.member_epoch, told(&joined)), (1, Some(vec![])), "of the last assignment");
    }
    assert_eq!((assignments(&host), host.group.state()), (1, GroupState::Assigning));

    host.elapse(Duration::from_millis(979));
    let length = host.log.len();
    assert_eq!(host.beat("a", 1, &[(topic, 0), (topic, 1), (topic, 2)]).unwrap().assignment, None);
    assert_eq!(host.log.len(), length, "it is too soon by a millisecond");
    host.elapse(Duration::from_millis(1));
    assert_eq!(host.beat_briefly("b", 1).unwrap().member_epoch, 3);
    assert_eq!(assignments(&host), 2);
    let shrunk = told(&host.beat_briefly("a", 1).unwrap()).unwrap();
    assert_eq!(host.beat("a", 1, &shrunk).unwrap().member_epoch, 3);
    let all: Vec<_> = ["b", "c"].map(|member| told(&host.join(member, &["t"]).unwrap()).unwrap()).concat();
    assert_eq!(([shrunk, all].concat().len(), host.group.state()), (3, GroupState::Stable));
}

#[test]
fn first_member_of_an_empty_group_does_not_wait() {
    let mut host = paced();
    let topic = host.topics.create("t", 1);
    host.join("a", &["t"]).unwrap();
    host.beat_briefly("a", -1).unwrap();
    assert_eq!(told(&host.join("b", &["t"]).unwrap()), Some(vec![(topic, 0)]));
}

#[test]
fn assignment_waits_for_no_clock_that_was_set_back_and_for_the_rest_after_a_restart() {
    let mut host = paced();
    host.topics.create("t", 2);
    host.wall_ahead = 3_600_000;
    host.join("a", &["t"]).unwrap();
    host.elapse(Duration::from_millis(600));
    host.restart();
    assert_eq!(host.join("b", &["t"]).unwrap().member_epoch, 1);
    host.elapse(Duration::from_millis(400));
    assert_eq!(host.beat_briefly("b", 1).unwrap().member_epoch, 2);
    host.wall_ahead = 0;
    assert_eq!(host.join("c", &["t"]).unwrap().member_epoch, 3);
}

#[test]
fn interval_of_zero_is_none() {
    let mut host = Host::new(1);
    host.topics.create("t", 2);
    host.join("a", &["t"]).unwrap();
    assert_eq!(host.join("b", &["t"]).unwrap().member_epoch, 2);
}

#[test]
fn member_whose_leaving_was_refused_still_has_a_session() {
    let mut host = Host::new(1);
    host.topics.create("t", 1);
    host.join("a", &["t"]).unwrap();
    let decision = host.decide(|group, out, topics| group.heartbeat(out, topics, Token(1), beating("a", -1)));
    assert!(!decision.records.is_empty());
    host.group.on_refused(host.now(), &host.settings.clone());
    assert!(!host.group.is_empty());
    host.elapse(Duration::from_secs(46));
    assert!(host.group.is_empty(), "it was not heard of");
}

#[test]
fn changes_are_told_with_their_reasons() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 2);
    let arrival = |member: &str| {
        Reason::MemberJoined(Arrival { member: member.to_string(), instance: None, client_reason: None })
    };
    let computed = || Reason::Computed("uniform".to_string());
    let expect = |host: &mut Host, expected: &[(i32, GroupState, GroupState, Reason)]| {
        let told = core::mem::take(&mut host.events);
        let told: Vec<_> = told.into_iter().map(|e| (e.generation, e.from, e.to, e.reason)).collect();
        assert_eq!(told, expected);
    };
    use GroupState::{Assigning, Empty, Reconciling, Stable};
    host.join("a", &["t"]).unwrap();
    expect(&mut host, &[(1, Empty, Assigning, arrival("a")), (1, Assigning, Reconciling, computed())]);
    host.join("b", &["t"]).unwrap();
    expect(&mut host, &[(2, Stable, Assigning, arrival("b")), (2, Assigning, Reconciling, computed())]);
    host.beat_briefly("b", -1).unwrap();
    let left = Reason::MembersLeft(vec![("b".to_string(), None)]);
    expect(&mut host, &[(3, Reconciling, Assigning, left)]);
    host.beat("a", 1, &[(topic, 0), (topic, 1)]).unwrap();
    expect(&mut host, &[(3, Assigning, Reconciling, computed())]);
    host.beat("a", 3, &[(topic, 0), (topic, 1)]).unwrap();
    expect(&mut host, &[]);
    host.topics.grow("t", 1);
    host.beat_briefly("a", 3).unwrap();
    let grown = [(4, Stable, Assigning, Reason::TopicsChanged), (4, Assigning, Reconciling, computed())];
    expect(&mut host, &grown);
    host.heartbeat(ConsumerHeartbeat { topics: Some(vec!["u".to_string()]), ..beating("a", 4) }).unwrap();
    assert_eq!(host.events[0].reason, Reason::SubscriptionChanged("a".to_string()));
    host.events.clear();
    host.elapse(Duration::from_secs(45));
    expect(&mut host, &[(6, Reconciling, Empty, Reason::MemberExpired("a".to_string()))]);
}
