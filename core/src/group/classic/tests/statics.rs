use super::*;

fn two(host: &mut Host) -> [Joined; 2] {
    host.stable(vec![static_join("one"), static_join("two")]).try_into().unwrap()
}

#[test]
fn a_static_follower_comes_back_without_a_rebalance() {
    let mut host = Host::new();
    let [leader, follower] = two(&mut host);
    assert!(follower.member.starts_with("two-"), "its id tells its instance");
    let records = host.log.len();
    let token = host.join(static_join("two"));
    let back = host.joined(token).clone();
    assert_eq!(host.state(), GroupState::Stable);
    assert_eq!(host.answers[&token].1, When::Committed);
    assert_ne!(back.member, follower.member);
    assert_eq!((back.generation, &back.leader, back.skip_assignment), (1, &leader.member, false));
    assert_eq!(back.members, []);
    assert_eq!(host.log.len(), records + 1, "the disk knows its new id");
    let assigned = host.sync(sync(&back));
    assert_eq!(host.synced(assigned).assignment, follower.member.as_bytes(), "what it had");
    // Its former self is fenced, by its instance, and unknown without it.
    let instance = Some(String::from("two"));
    let old = Heartbeat { instance: instance.clone(), ..heartbeat(&follower) };
    assert_eq!(host.heartbeat(&old), GroupReply::Failed(GroupError::FencedInstance));
    assert_eq!(host.heartbeat(&heartbeat(&follower)), GroupReply::Failed(GroupError::UnknownMember));
    let late = host.sync(Sync { instance: instance.clone(), ..sync(&follower) });
    assert_eq!(host.error(late), GroupError::FencedInstance);
    let late = host.join(Join { instance: instance.clone(), ..rejoin(&follower.member) });
    assert_eq!(host.error(late), GroupError::FencedInstance);
    let late = CommitOffsets { instance: instance.clone(), ..commit(1, &follower.member) };
    assert_eq!(host.group().check_commit(&late), Err(GroupError::FencedInstance));
    let late = Leaving { instance: instance.clone(), ..leaving(&follower.member) };
    assert_eq!(host.leave(vec![late]), [Err(GroupError::FencedInstance)]);
    let unknown = Heartbeat { instance: Some(String::from("three")), ..heartbeat(&back) };
    assert_eq!(host.heartbeat(&unknown), GroupReply::Failed(GroupError::UnknownMember));
    let alive = Heartbeat { instance, ..heartbeat(&back) };
    assert_eq!(host.heartbeat(&alive), GroupReply::Done);
}

#[test]
fn a_static_leader_comes_back_and_keeps_the_assignment() {
    let mut host = Host::new();
    let [leader, _] = two(&mut host);
    let token = host.join(static_join("one"));
    let back = host.joined(token).clone();
    assert_eq!((back.leader.as_str(), back.skip_assignment), (back.member.as_str(), true));
    assert_eq!(back.members.len(), 2);
    assert_eq!(host.state(), GroupState::Stable);
    let assigned = host.sync(Sync { assignments: Vec::new(), ..sync(&back) });
    assert_eq!(host.synced(assigned).assignment, leader.member.as_bytes());
    // One that does not know of it takes itself for a follower.
    let token = host.join(Join { can_skip_assignment: false, ..static_join("one") });
    let again = host.joined(token).clone();
    assert_eq!((again.leader.as_str(), again.skip_assignment), (back.member.as_str(), false));
    assert_eq!(again.members, []);
    assert_eq!(host.group().leader.as_ref(), Some(&again.member));
}

#[test]
fn a_static_member_that_changes_the_protocol_makes_the_group_rebalance() {
    let mut host = Host::new();
    let both =
        |names: &[&str], instance| Join { protocols: protocols(names, &["topic"]), ..static_join(instance) };
    let [leader, follower] = host
        .stable(vec![both(&["range", "sticky"], "one"), both(&["range", "sticky"], "two")])
        .try_into()
        .unwrap();
    let token = host.join(both(&["sticky"], "two"));
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    let Reason::MemberReplaced(arrival) = host.last_reason() else { panic!("{:?}", host.last_reason()) };
    assert_eq!(arrival.instance.as_deref(), Some("two"));
    let instance = Some(String::from("one"));
    let again = host.join(Join { instance, ..both(&["range", "sticky"], "one") });
    let joined = host.finish(&[token, again]);
    assert!(joined.iter().all(|joined| joined.protocol == "sticky" && joined.generation == 2));
    assert!(joined.iter().all(|joined| ![&leader.member, &follower.member].contains(&&joined.member)));
}

#[test]
fn a_join_of_the_former_self_that_waits_is_fenced() {
    let mut host = Host::new();
    let first = host.join(static_join("one"));
    let second = host.join(static_join("one"));
    assert_eq!(host.error(first), GroupError::FencedInstance);
    host.pass(INITIAL);
    assert_eq!(host.joined(second).members.len(), 1);
    host.finish(&[second]);
}

#[test]
fn a_static_member_that_comes_back_before_the_assignment_makes_the_group_rebalance() {
    let mut host = Host::new();
    let tokens = ["one", "two"].map(|instance| host.join(static_join(instance)));
    host.pass(INITIAL);
    let [leader, follower] = tokens.map(|token| host.joined(token).clone());
    let waiting = host.sync(sync(&follower));
    let back = host.join(static_join("two"));
    assert_eq!(host.error(waiting), GroupError::FencedInstance);
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    let instance = Some(String::from("one"));
    let again = host.join(Join { instance, ..rejoin(&leader.member) });
    host.finish(&[back, again]);
}

#[test]
fn a_static_member_that_owes_its_sync_may_come_back_for_it() {
    let mut host = Host::new();
    let tokens = ["one", "two"].map(|instance| host.join(static_join(instance)));
    host.pass(Duration::from_secs(6));
    let leader = host.joined(tokens[0]).clone();
    host.sync(sync(&leader));
    assert_eq!(host.state(), GroupState::Stable);
    let back = host.join(static_join("two"));
    let back = host.joined(back).clone();
    let assigned = host.sync(sync(&back));
    assert!(!host.synced(assigned).assignment.is_empty());
    assert_eq!(host.group().sync_until, None);
}

#[test]
fn a_static_member_that_does_not_rejoin_stays_until_its_session_ends() {
    let mut host = Host::new();
    let long = Duration::from_secs(300);
    let joined = host.stable(vec![
        Join { session_timeout: long, ..static_join("one") },
        Join { session_timeout: long, ..static_join("two") },
    ]);
    // The leader goes away, the follower joins a rebalance and is the leader of two.
    let changed = Join { protocols: protocols(&["range"], &["new"]), ..rejoin(&joined[1].member) };
    let instance = Some(String::from("two"));
    let token = host.join(Join { instance, session_timeout: long, ..changed });
    host.pass(REBALANCE);
    let next = host.joined(token).clone();
    assert_eq!((&next.leader, next.members.len(), next.generation), (&joined[1].member, 2, 2));
    host.sync(sync(&next));
    // It did not sync in the next generation either: that is the end of it.
    host.pass(REBALANCE);
    assert_eq!(*host.last_reason(), Reason::MembersDidNotSync(vec![joined[0].member.clone()]));
}

#[test]
fn a_rebalance_to_which_no_static_member_comes_waits_for_their_sessions() {
    let mut host = Host::new();
    let long = Duration::from_secs(200);
    let slow = |instance| Join { session_timeout: long, ..static_join(instance) };
    let joined = host.stable(vec![slow("one"), slow("two"), join("c")]);
    let dynamic = joined.iter().find(|joined| joined.member.starts_with("c-")).unwrap();
    host.leave(vec![leaving(&dynamic.member)]);
    host.pass(Duration::from_secs(100));
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    assert_eq!(host.group().members.len(), 2);
    host.pass(long);
    assert_eq!((host.state(), host.group().generation), (GroupState::Empty, 2));
}

#[test]
fn a_static_member_leaves_by_its_instance() {
    let mut host = Host::new();
    let [leader, follower] = two(&mut host);
    let by_instance = |instance: &str| Leaving { instance: Some(instance.to_string()), ..leaving("") };
    let mixed = Leaving { instance: Some(String::from("one")), ..leaving(&follower.member) };
    let left = host.leave(vec![by_instance("three"), leaving(""), mixed, by_instance("two")]);
    let unknown = || Err(GroupError::UnknownMember);
    assert_eq!(left, [unknown(), unknown(), Err(GroupError::FencedInstance), Ok(())]);
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    assert_eq!(*host.last_reason(), Reason::MembersLeft(vec![(follower.member, None)]));
    let both = host.leave(vec![by_instance("one"), leaving(&leader.member)]);
    assert_eq!(both, [Ok(()), unknown()]);
    assert_eq!((host.state(), host.group().generation), (GroupState::Empty, 2));
    assert!(host.log.last().unwrap().members.is_empty());
}
