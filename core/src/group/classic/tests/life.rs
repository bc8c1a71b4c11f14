use super::*;

#[test]
fn a_member_without_heartbeats_expires() {
    let mut host = Host::new();
    let joined = host.stable(vec![join("a"), join("b")]);
    for _ in 0..30 {
        host.pass(Duration::from_secs(3));
        assert_eq!(host.heartbeat(&heartbeat(&joined[0])), GroupReply::Done);
        if host.state() != GroupState::Stable {
            panic!("the other one did not live for its session");
        }
        assert_eq!(host.heartbeat(&heartbeat(&joined[1])), GroupReply::Done);
    }
    host.pass(Duration::from_millis(9_000));
    host.heartbeat(&heartbeat(&joined[0]));
    host.pass(Duration::from_millis(999));
    assert_eq!(host.state(), GroupState::Stable);
    host.pass(Duration::from_millis(1));
    assert_eq!(*host.last_reason(), Reason::MemberExpired(joined[1].member.clone()));
    assert_eq!(host.group().members.len(), 1);
}

#[test]
fn a_shorter_session_ends_sooner() {
    let mut host = Host::new();
    let long = Duration::from_secs(30);
    let leader = host.stable(vec![Join { session_timeout: long, ..join("a") }]).remove(0);
    let token = host.join(rejoin(&leader.member));
    host.finish(&[token]);
    host.pass(SESSION);
    assert_eq!(host.state(), GroupState::Empty);
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut host = Host::new();
    let leader = host.stable(vec![join("a")]).remove(0);
    for _ in 0..5 {
        host.pass(Duration::from_secs(9));
        assert_eq!(host.group().check_commit(&commit(1, &leader.member)), Ok(()));
        let now = Now { mono: host.now, wall: host.wall() };
        host.group.as_mut().unwrap().touch(now, &leader.member);
    }
    assert_eq!(host.state(), GroupState::Stable);
}

#[test]
fn a_member_that_waits_needs_no_heartbeats_unless_it_is_new() {
    let mut host = Host::new();
    let slow = Duration::from_secs(1_000);
    let joined = host.stable(vec![Join { rebalance_timeout: slow, ..join("a") }, join("b")]);
    let known = host.join(Join { rebalance_timeout: slow, ..rejoin(&joined[0].member) });
    let new = host.join(Join { rebalance_timeout: slow, known_member_required: false, ..join("c") });
    for _ in 0..33 {
        host.pass(Duration::from_secs(9));
        host.heartbeat(&heartbeat(&joined[1]));
    }
    assert!(!host.is_answered(known) && !host.is_answered(new));
    host.pass(Duration::from_secs(3));
    assert_eq!(host.error(new), GroupError::UnknownMember, "it may be gone, and asks again if it is not");
    assert!(!host.is_answered(known));
    let last = host.join(rejoin(&joined[1].member));
    let joined = host.finish(&[known, last]);
    assert_eq!(joined.len(), 2);
}

#[test]
fn the_last_member_leaves_an_empty_group() {
    let mut host = Host::new();
    let leader = host.stable(vec![join("a")]).remove(0);
    assert_eq!(host.group().aging(), Aging::SinceCommit);
    host.pass(Duration::from_secs(5));
    host.leave(vec![leaving(&leader.member)]);
    assert_eq!(host.state(), GroupState::Empty);
    let last = host.log.last().unwrap();
    assert_eq!((last.generation, &last.protocol, &last.leader), (2, &None, &None));
    assert_eq!((last.protocol_type.as_str(), last.since), ("consumer", Some(host.wall())));
    assert_eq!(host.group().aging(), Aging::Since(host.wall()));
    assert!(!host.group().is_subscribed("topic"));
    assert_eq!(host.group().check_commit(&commit(-1, "")), Ok(()));
    assert_eq!(host.group().check_commit(&commit(1, &leader.member)), Err(GroupError::UnknownMember));
    assert_eq!(host.group().deadline(), None);
    // Generations go on where they ended, over a restart as well.
    host.restart();
    let back = host.stable(vec![Join { protocol_type: String::from("connect"), ..join("a") }]);
    assert_eq!(back[0].generation, 3);
    assert_eq!(host.group().check_delete_offsets(), Err(GroupError::NonEmpty));
    assert_eq!(host.group().aging(), Aging::Never);
}

#[test]
fn generations_are_fenced() {
    let mut host = Host::new();
    let tokens = ["a", "b"].map(|client| host.join(join(client)));
    host.pass(INITIAL);
    let [leader, follower] = tokens.map(|token| host.joined(token).clone());
    assert_eq!(host.group().check_commit(&commit(1, &leader.member)), Err(GroupError::RebalanceInProgress));
    assert_eq!(host.group().check_commit(&commit(0, &leader.member)), Err(GroupError::IllegalGeneration));
    for generation in [0, 2, -1] {
        let wrong = host.sync(Sync { generation, ..sync(&leader) });
        assert_eq!(host.error(wrong), GroupError::IllegalGeneration);
        let wrong = Heartbeat { generation, ..heartbeat(&leader) };
        assert_eq!(host.heartbeat(&wrong), GroupReply::Failed(GroupError::IllegalGeneration));
    }
    let wrong = host.sync(Sync { protocol: Some(String::from("sticky")), ..sync(&leader) });
    assert_eq!(host.error(wrong), GroupError::InconsistentProtocol);
    let wrong = host.sync(Sync { protocol_type: Some(String::from("connect")), ..sync(&leader) });
    assert_eq!(host.error(wrong), GroupError::InconsistentProtocol);
    let wrong = host.sync(Sync { member: String::from("nobody"), ..sync(&leader) });
    assert_eq!(host.error(wrong), GroupError::UnknownMember);
    let waiting = host.sync(sync(&follower));
    let old = host.sync(Sync { protocol: None, protocol_type: None, ..sync(&leader) });
    assert_eq!(host.synced(old).assignment, leader.member.as_bytes());
    assert_eq!(host.synced(waiting).assignment, follower.member.as_bytes());
    let group = host.group();
    assert_eq!(group.check_commit(&commit(1, &leader.member)), Ok(()));
    assert_eq!(group.check_commit(&commit(-1, &leader.member)), Err(GroupError::IllegalGeneration));
    assert_eq!(group.check_commit(&commit(-1, "")), Err(GroupError::UnknownMember));
    assert_eq!(group.check_commit(&commit(1, "nobody")), Err(GroupError::UnknownMember));
    // During the next rebalance, what the last generation read may still be committed.
    host.join(rejoin(&leader.member));
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    assert_eq!(host.group().check_commit(&commit(1, &follower.member)), Ok(()));
}

#[test]
fn a_loaded_group_is_what_it_was() {
    let mut host = Host::new();
    let joined = host.stable(vec![join("a"), static_join("two")]);
    let before = (host.described(), host.group().value());
    host.pass(Duration::from_secs(9));
    host.restart();
    assert_eq!((host.described(), host.group().value()), before);
    // Sessions begin anew.
    host.pass(Duration::from_secs(9));
    for joined in &joined {
        assert_eq!(host.heartbeat(&heartbeat(joined)), GroupReply::Done);
        let synced = host.sync(sync(joined));
        assert_eq!(host.synced(synced).assignment, joined.member.as_bytes());
    }
    let follower = joined.iter().find(|joined| joined.members.is_empty()).unwrap();
    let instance = follower.member.starts_with("two-").then(|| String::from("two"));
    let same = host.join(Join { instance, ..rejoin(&follower.member) });
    assert_eq!(host.joined(same).generation, 1);
    host.pass(SESSION);
    assert_eq!(host.state(), GroupState::Empty);
}

#[test]
fn a_record_that_makes_no_sense_is_loaded_without_harm() {
    let mut host = Host::new();
    host.stable(vec![static_join("one"), static_join("two")]);
    let mut value = host.log.last().unwrap().clone();
    value.protocol = None;
    value.protocol_type = String::new();
    value.leader = Some(String::from("nobody"));
    value.generation = i32::MAX;
    for member in &mut value.members {
        member.instance = Some(String::from("same"));
        member.session_timeout = Duration::ZERO;
        member.rebalance_timeout = Duration::ZERO;
        member.subscription = vec![0xff];
    }
    let mut group = ClassicGroup::load(String::from(GROUP), value);
    let (mut decision, mut events) = (Decision::default(), Vec::new());
    let now = Now { mono: host.now, wall: host.wall() };
    let (prng, settings) = (&mut host.prng, &host.settings);
    let mut out = Out { now, prng, settings, decision: &mut decision, events: &mut events };
    group.on_loaded(&mut out);
    group.join(&mut out, Token(1), join("a"));
    group.join(&mut out, Token(2), static_join("same"));
    for _ in 0..10 {
        group.on_deadline(&mut out);
        out.now.mono = out.now.mono + SESSION;
    }
    assert!(group.is_empty());
    assert_eq!(decision.answers.len(), 2);
}

#[test]
fn a_commit_without_a_group_makes_one_that_can_be_joined() {
    let mut host = Host::new();
    host.group = Some(ClassicGroup::new(String::from(GROUP), Now { mono: host.now, wall: host.wall() }));
    assert_eq!(host.group().check_commit(&commit(-1, "")), Ok(()));
    assert_eq!(host.group().aging(), Aging::SinceCommit);
    assert!(!host.group().is_subscribed("topic"));
    host.stable(vec![join("a")]);
}

#[test]
fn consumers_that_cannot_be_read_are_subscribed_to_everything() {
    let mut host = Host::new();
    host.stable(vec![Join { protocols: vec![("range".to_string(), vec![0xff])], ..join("a") }]);
    assert!(host.group().is_subscribed("anything"));
    assert_eq!(host.group().aging(), Aging::Never);
    assert_eq!(host.group().check_delete_offsets(), Ok(()));
}

#[test]
fn a_heartbeat_allocates_nothing() {
    let mut host = Host::new();
    let leader = host.stable(vec![join("a"), join("b"), join("c")]).remove(0);
    let heartbeat = heartbeat(&leader);
    let mut decision = Decision::default();
    decision.answers.reserve(1);
    let mut events = Vec::new();
    let now = Now { mono: host.now + Duration::from_secs(1), wall: host.wall() };
    let (prng, settings) = (&mut host.prng, &host.settings);
    let mut out = Out { now, prng, settings, decision: &mut decision, events: &mut events };
    let group = host.group.as_mut().unwrap();
    let deadline = group.deadline();
    let used = allocation_counter::measure(|| group.heartbeat(&mut out, Token(1_000), &heartbeat));
    assert_eq!(used.count_total, 0);
    assert_eq!(group.deadline(), deadline, "whoever keeps the time has nothing to do");
    assert_eq!(decision.answers[0].reply, GroupReply::Done);
}

#[test]
fn who_asks_late_for_its_assignment_is_alive_from_then_on() {
    let mut host = Host::new();
    let tokens = ["a", "b"].map(|client| host.join(join(client)));
    host.pass(Duration::from_secs(6));
    let [leader, follower] = tokens.map(|token| host.joined(token).clone());
    host.sync(sync(&leader));
    let almost = Duration::from_nanos(SESSION.as_nanos() - 1);
    host.pass(almost);
    host.heartbeat(&heartbeat(&leader));
    let token = host.sync(Sync { assignments: Vec::new(), ..sync(&follower) });
    assert!(host.is_answered(token));
    host.pass(almost);
    assert_eq!(host.heartbeat(&heartbeat(&follower)), GroupReply::Done);
}
