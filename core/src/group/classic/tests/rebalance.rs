use super::*;
use crate::limits::{GROUP_METADATA_BYTES_MAX, GROUP_PENDING_MEMBERS_MAX, GROUP_RECORD_BYTES_MAX};

#[test]
fn three_members_rebalance_eagerly() {
    let mut host = Host::new();
    let joins = ["a", "b", "c"].map(|client| host.join(join(client)));
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    assert!(joins.iter().all(|token| !host.is_answered(*token)), "the initial delay runs");
    // Members came within the first delay: there is a second one.
    host.pass(Duration::from_millis(5_999));
    assert!(!host.is_answered(joins[0]));
    host.pass(Duration::from_millis(1));
    assert_eq!(host.state(), GroupState::CompletingRebalance);
    let leaders: Vec<&Joined> =
        joins.iter().map(|token| host.joined(*token)).filter(|joined| !joined.members.is_empty()).collect();
    assert_eq!(leaders.len(), 1);
    assert_eq!(leaders[0].member, leaders[0].leader);
    assert_eq!(leaders[0].members.len(), 3);
    assert_eq!(leaders[0].generation, 1);
    assert!(leaders[0].member.starts_with("a-"), "who came first leads");

    let joined: Vec<Joined> = joins.iter().map(|token| host.joined(*token).clone()).collect();
    let follower = host.sync(sync(&joined[1]));
    assert!(!host.is_answered(follower));
    assert_eq!(host.log.len(), 1, "so far the disk knows that there is a group");
    let described = host.described();
    assert_eq!(described.protocol, "");
    assert!(described.members.iter().all(|member| member.metadata.is_empty()));
    let leader = host.sync(sync(&joined[0]));
    assert_eq!(host.answers[&leader].1, When::Committed);
    assert_eq!(host.answers[&follower].1, When::Committed);
    assert_eq!(host.synced(follower).assignment, joined[1].member.as_bytes());
    assert_eq!(host.synced(follower).protocol, "range");
    assert_eq!(host.state(), GroupState::Stable);
    assert!(host.described().members.iter().all(|member| !member.metadata.is_empty()));
    let late = host.sync(sync(&joined[2]));
    assert_eq!(host.synced(late).assignment, joined[2].member.as_bytes());
    assert_eq!(host.answers[&late].1, When::Committed);
    let described = host.described();
    assert_eq!((described.members.len(), described.protocol.as_str()), (3, "range"));
    assert!(described.members.iter().all(|member| member.assignment == member.id.as_bytes()));
    assert!(host.group().is_subscribed("topic") && !host.group().is_subscribed("other"));

    // A fourth one comes: the others join again, in another generation.
    let fourth = host.join(join("d"));
    assert_eq!(host.heartbeat(&heartbeat(&joined[1])), GroupReply::Failed(GroupError::RebalanceInProgress));
    let mut tokens = vec![fourth];
    tokens.extend(joined.iter().map(|joined| host.join(rejoin(&joined.member))));
    let joined = host.finish(&tokens);
    assert!(joined.iter().all(|joined| joined.generation == 2));
    assert_eq!(host.log.last().unwrap().generation, 2);
}

#[test]
fn an_initial_rebalance_is_no_longer_than_the_rebalance_timeout() {
    let mut host = Host::new();
    let first = host.join(Join { rebalance_timeout: Duration::from_secs(7), ..join("a") });
    for _ in 0..6 {
        host.pass(Duration::from_secs(1));
        host.join(Join { rebalance_timeout: Duration::from_secs(7), ..join("more") });
    }
    assert!(!host.is_answered(first), "it was prolonged twice");
    host.pass(Duration::from_secs(1));
    assert_eq!(host.joined(first).members.len(), 7);
}

#[test]
fn a_new_member_is_told_its_id_first() {
    let mut host = Host::new();
    let required = |client| Join { known_member_required: true, ..join(client) };
    let first = host.join(required("client"));
    let id = host.given_id(first);
    let (prefix, uuid) = id.split_at("client-".len());
    assert_eq!((prefix, uuid.len(), uuid.as_bytes()[14]), ("client-", 36, b'4'));
    assert_eq!(host.state(), GroupState::Empty);
    assert_eq!(host.log.len(), 1, "the group is there");
    // It is waited for, once there is a rebalance; and has no other rights.
    assert_eq!(host.group().check_commit(&commit(0, &id)), Err(GroupError::UnknownMember));
    let borrowed = host.join(Join { instance: Some(String::from("static")), ..rejoin(&id) });
    assert_eq!(host.error(borrowed), GroupError::UnknownMember);
    let second = host.join(rejoin(&id));
    host.pass(INITIAL);
    assert_eq!(host.joined(second).member, id);
    let leader = host.finish(&[second]).remove(0);

    let other = host.join(required("other"));
    let other = host.given_id(other);
    assert_eq!(host.state(), GroupState::Stable, "an id is no member");
    let again = host.join(rejoin(&leader.member));
    assert!(!host.is_answered(again), "who has an id is waited for");
    let first = host.join(rejoin(&other));
    let joined = host.finish(&[again, first]);
    assert_eq!(joined.len(), 2);

    // One that does not come again is forgotten after its session timeout.
    host.join(required("gone"));
    let tokens = joined.iter().map(|joined| host.join(rejoin(&joined.member))).collect::<Vec<_>>();
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    host.pass(Duration::from_millis(9_999));
    assert!(!host.is_answered(tokens[0]));
    host.pass(Duration::from_millis(1));
    host.finish(&tokens);
    assert!(host.group().pending.is_empty());
}

#[test]
fn an_id_that_was_given_out_may_leave() {
    let mut host = Host::new();
    let leader = host.stable(vec![join("a")]).remove(0);
    let token = host.join(Join { known_member_required: true, ..join("b") });
    let id = host.given_id(token);
    let again = host.join(rejoin(&leader.member));
    assert!(!host.is_answered(again));
    let left = host.leave(vec![leaving(&id), leaving(&id)]);
    assert_eq!(left, [Ok(()), Err(GroupError::UnknownMember)]);
    assert_eq!(host.joined(again).generation, 2);
}

#[test]
fn a_known_member_joins_in_each_state() {
    let mut host = Host::new();
    let tokens = ["a", "b"].map(|client| host.join(join(client)));
    host.pass(INITIAL);
    let [leader, follower] = tokens.map(|token| host.joined(token).clone());

    // Completing: the answer got lost, or something changed.
    let lost = host.join(rejoin(&leader.member));
    assert_eq!(*host.joined(lost), leader);
    let lost = host.join(rejoin(&follower.member));
    assert_eq!(*host.joined(lost), follower);
    let waiting = host.sync(sync(&follower));
    let changed = protocols(&["range"], &["topic", "other"]);
    let changed = host.join(Join { protocols: changed, ..rejoin(&leader.member) });
    assert_eq!(host.error(waiting), GroupError::RebalanceInProgress);
    assert_eq!(host.state(), GroupState::PreparingRebalance);

    // Preparing: it counts once, and its earlier join is answered.
    let twice =
        host.join(Join { protocols: protocols(&["range"], &["topic", "other"]), ..rejoin(&leader.member) });
    assert_eq!(host.error(changed), GroupError::RebalanceInProgress);
    assert!(!host.is_answered(twice));
    let early = host.sync(sync(&follower));
    assert_eq!(host.error(early), GroupError::RebalanceInProgress);
    let last = host.join(rejoin(&follower.member));
    let joined = host.finish(&[twice, last]);
    assert!(host.group().is_subscribed("other"));

    // Stable: a follower that says nothing new is told what it knows; the leader may always ask for a rebalance.
    let same = host.join(rejoin(&follower.member));
    assert_eq!(*host.joined(same), joined[1]);
    assert_eq!(host.state(), GroupState::Stable);
    let again = host.join(Join { reason: Some(String::from("why not")), ..rejoin(&leader.member) });
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    let Reason::MemberRejoined(arrival) = host.last_reason() else { panic!("{:?}", host.last_reason()) };
    assert_eq!(arrival.client_reason.as_deref(), Some("why not"));
    let other = host.join(rejoin(&follower.member));
    host.finish(&[again, other]);
    let changed = host.join(Join { protocols: protocols(&["range"], &["new"]), ..rejoin(&follower.member) });
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    assert!(!host.is_answered(changed));

    // Empty: nobody is known.
    host.pass(Duration::from_secs(1_000));
    assert_eq!(host.state(), GroupState::Empty);
    let unknown = host.join(rejoin(&leader.member));
    assert_eq!(host.error(unknown), GroupError::UnknownMember);
}

#[test]
fn who_does_not_rejoin_is_dropped_at_the_rebalance_timeout() {
    let mut host = Host::new();
    let joined = host.stable(vec![join("a"), join("b")]);
    let third = host.join(join("c"));
    // The leader sends heartbeats and does not join.
    for _ in 0..59 {
        host.pass(Duration::from_secs(1));
        for joined in &joined {
            assert_eq!(
                host.heartbeat(&heartbeat(joined)),
                GroupReply::Failed(GroupError::RebalanceInProgress)
            );
        }
    }
    assert!(!host.is_answered(third));
    host.pass(Duration::from_secs(1));
    let third = host.joined(third).clone();
    assert_eq!((third.leader.as_str(), third.members.len()), (third.member.as_str(), 1));
    let gone: Vec<String> = joined.iter().map(|joined| joined.member.clone()).collect();
    let Reason::JoinEnded(dropped) = host.last_reason() else { panic!("{:?}", host.last_reason()) };
    assert_eq!(dropped.iter().collect::<BTreeSet<_>>(), gone.iter().collect());
    assert_eq!(host.heartbeat(&heartbeat(&joined[0])), GroupReply::Failed(GroupError::UnknownMember));
}

#[test]
fn who_does_not_sync_is_dropped() {
    let mut host = Host::new();
    let tokens = ["a", "b", "c"].map(|client| host.join(join(client)));
    host.pass(Duration::from_secs(6));
    let [leader, follower, silent] = tokens.map(|token| host.joined(token).clone());
    host.sync(sync(&follower));
    host.sync(sync(&leader));
    for _ in 0..59 {
        host.pass(Duration::from_secs(1));
        for joined in [&leader, &follower, &silent] {
            assert_eq!(host.heartbeat(&heartbeat(joined)), GroupReply::Done);
        }
    }
    host.pass(Duration::from_secs(1));
    assert_eq!(*host.last_reason(), Reason::MembersDidNotSync(vec![silent.member.clone()]));
    assert_eq!(host.heartbeat(&heartbeat(&silent)), GroupReply::Failed(GroupError::UnknownMember));
    assert_eq!(host.heartbeat(&heartbeat(&leader)), GroupReply::Failed(GroupError::RebalanceInProgress));
    let tokens = [&leader, &follower].map(|joined| host.join(rejoin(&joined.member)));
    host.finish(&tokens);
    // All have synced: nothing is left to expire.
    assert_eq!(host.group().sync_until, None);
}

#[test]
fn a_leader_that_leaves_before_it_syncs_leaves_a_group_that_rebalances() {
    let mut host = Host::new();
    let tokens = ["a", "b"].map(|client| host.join(join(client)));
    host.pass(INITIAL);
    let [leader, follower] = tokens.map(|token| host.joined(token).clone());
    let waiting = host.sync(sync(&follower));
    assert_eq!(host.leave(vec![leaving(&leader.member)]), [Ok(())]);
    assert_eq!(host.error(waiting), GroupError::RebalanceInProgress);
    let again = host.join(rejoin(&follower.member));
    assert_eq!(host.joined(again).leader, follower.member);
    host.finish(&[again]);

    // What was assigned in an earlier generation ends with the first one that comes to no assignment.
    host.join(rejoin(&follower.member));
    assert_eq!(host.described().members[0].assignment, follower.member.as_bytes());
    host.join(Join { protocols: protocols(&["range"], &["new"]), ..rejoin(&follower.member) });
    assert_eq!((host.state(), host.group().generation), (GroupState::CompletingRebalance, 4));
    assert_eq!(host.described().members[0].assignment, b"");
}

#[test]
fn a_member_that_leaves_while_it_waits_is_answered() {
    let mut host = Host::new();
    let tokens = ["a", "b"].map(|client| host.join(join(client)));
    host.pass(INITIAL);
    let [leader, follower] = tokens.map(|token| host.joined(token).clone());
    let waiting = host.sync(sync(&follower));
    host.leave(vec![leaving(&follower.member)]);
    assert_eq!(host.error(waiting), GroupError::UnknownMember);
    let again = host.join(rejoin(&leader.member));
    host.finish(&[again]);
    let third = host.join(join("c"));
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    let id = host.group().members.keys().find(|id| id.starts_with("c-")).unwrap().clone();
    host.leave(vec![leaving(&id)]);
    assert_eq!(host.error(third), GroupError::UnknownMember);
}

#[test]
fn the_protocol_is_voted_for_among_those_that_all_support() {
    let mut host = Host::new();
    let with = |names: &[&str]| Join { protocols: protocols(names, &["topic"]), ..join("m") };
    let tokens = [
        host.join(with(&["roundrobin", "range", "sticky"])),
        host.join(with(&["sticky", "range"])),
        host.join(with(&["sticky", "range", "roundrobin"])),
    ];
    // None in common with all of them.
    let refused = host.join(with(&["roundrobin"]));
    assert_eq!(host.error(refused), GroupError::InconsistentProtocol);
    let refused = host.join(Join { protocol_type: String::from("connect"), ..with(&["range"]) });
    assert_eq!(host.error(refused), GroupError::InconsistentProtocol);
    host.pass(INITIAL);
    assert!(tokens.iter().all(|token| host.joined(*token).protocol == "sticky"), "two votes to one");

    let mut host = Host::new();
    let first = host.join(with(&["sticky", "range"]));
    host.join(with(&["sticky", "range"]));
    host.join(with(&["range"]));
    host.pass(INITIAL);
    assert_eq!(host.joined(first).protocol, "range", "one does not support what the others prefer");
}

#[test]
fn a_tie_of_votes_is_broken_as_kafka_breaks_it() {
    for (names, chosen) in [
        (["range", "roundrobin"], "range"),
        (["range", "sticky"], "sticky"),
        (["cooperative-sticky", "range"], "range"),
        (["cooperative-sticky", "sticky"], "sticky"),
        (["roundrobin", "default"], "default"),
        (["v1", "cooperative-sticky"], "v1"),
        (["x", "y"], "x"),
    ] {
        for first in [0, 1] {
            let mut host = Host::new();
            let with = |names: &[&str]| Join { protocols: protocols(names, &["topic"]), ..join("m") };
            let token = host.join(with(&[names[first], names[1 - first]]));
            host.join(with(&[names[1 - first], names[first]]));
            host.pass(INITIAL);
            assert_eq!(host.joined(token).protocol, chosen, "{names:?}");
        }
    }
}

#[test]
fn a_join_without_protocols_is_refused_and_repeated_ones_count_once() {
    let mut host = Host::new();
    let none = host.join(Join { protocols: Vec::new(), ..join("a") });
    assert_eq!(host.error(none), GroupError::InconsistentProtocol);
    let none = host.join(Join { protocol_type: String::new(), ..join("a") });
    assert_eq!(host.error(none), GroupError::InconsistentProtocol);
    let twice = vec![("x".to_string(), vec![1]), ("x".to_string(), vec![2]), ("y".to_string(), vec![3])];
    let first = host.join(Join { protocols: twice, ..join("a") });
    let second = host.join(Join { protocols: vec![("x".to_string(), vec![4])], ..join("b") });
    host.pass(INITIAL);
    assert_eq!(host.joined(first).members.iter().map(|member| member.metadata[0]).sum::<u8>(), 5);
    assert_eq!(host.joined(second).protocol, "x");
}

#[test]
fn a_group_takes_no_more_members_than_it_may_have() {
    let mut host = Host::new();
    host.settings.size_max = 2;
    let ids = ["a", "b", "c"].map(|client| {
        let token = host.join(Join { known_member_required: true, ..join(client) });
        host.given_id(token)
    });
    let tokens = ids.each_ref().map(|id| host.join(rejoin(id)));
    assert_eq!(host.error(tokens[2]), GroupError::MaxSizeReached);
    host.pass(INITIAL);
    let joined = host.finish(&tokens[..2]);
    for (join, error) in
        [(join("d"), GroupError::MaxSizeReached), (rejoin(&ids[2]), GroupError::MaxSizeReached)]
    {
        let token = host.join(join);
        assert_eq!(host.error(token), error);
    }
    assert_eq!(host.state(), GroupState::Stable);
    // Of a group that has become too large, those who come last go.
    host.settings.size_max = 1;
    host.restart();
    assert_eq!(*host.last_reason(), Reason::OverCapacity);
    let first = host.join(rejoin(&joined[0].member));
    let second = host.join(rejoin(&joined[1].member));
    assert_eq!(host.error(second), GroupError::MaxSizeReached);
    host.pass(REBALANCE);
    assert_eq!(host.joined(first).members.len(), 1);
}

#[test]
fn ids_that_are_given_out_have_a_bound() {
    let mut host = Host::new();
    host.stable(vec![join("a")]);
    let (mut decision, mut events) = (Decision::default(), Vec::new());
    let now = Now { mono: host.now, wall: host.wall() };
    let (prng, settings) = (&mut host.prng, &host.settings);
    let mut out = Out { now, prng, settings, decision: &mut decision, events: &mut events };
    for _ in 0..GROUP_PENDING_MEMBERS_MAX + 2 {
        let group = host.group.as_mut().unwrap();
        group.join(&mut out, Token(0), Join { known_member_required: true, ..join("b") });
    }
    let given: Vec<String> = decision
        .answers
        .into_iter()
        .map(|Answer { reply, .. }| {
            let GroupReply::MemberIdRequired(id) = reply else { panic!("nobody is kept out: {reply:?}") };
            id
        })
        .collect();
    assert_eq!(host.group().pending.len(), GROUP_PENDING_MEMBERS_MAX);
    let is_known = |id: &String| host.group().pending.contains_key(id);
    assert_eq!(given.iter().position(is_known), Some(2), "the oldest ones give way");
    host.pass(SESSION);
    assert!(host.group().pending.is_empty());
}

#[test]
fn session_timeouts_have_bounds() {
    let mut host = Host::new();
    host.stable(vec![join("a")]);
    for (millis, is_taken) in [(5_999, false), (6_000, true), (1_800_000, true), (1_800_001, false)] {
        let token = host.join(Join {
            session_timeout: Duration::from_millis(millis),
            known_member_required: true,
            ..join("b")
        });
        let is_refused = *host.reply(token) == GroupReply::Failed(GroupError::InvalidSessionTimeout);
        assert_eq!(is_refused, !is_taken, "{millis}");
    }
    let nameless = Join { group: String::new(), ..join("a") };
    assert_eq!(ClassicGroup::check_join(&nameless, &host.settings), Err(GroupError::InvalidGroupId));
}

#[test]
fn an_assignment_that_no_record_holds_is_refused() {
    let mut host = Host::new();
    let tokens = ["a", "b"].map(|client| host.join(join(client)));
    host.pass(INITIAL);
    let [leader, follower] = tokens.map(|token| host.joined(token).clone());
    let waiting = host.sync(sync(&follower));
    let large = vec![(follower.member.clone(), vec![0; GROUP_RECORD_BYTES_MAX])];
    let refused = host.sync(Sync { assignments: large, ..sync(&leader) });
    assert_eq!(host.error(refused), GroupError::NotAvailable);
    assert_eq!(host.error(waiting), GroupError::NotAvailable);
    assert_eq!(host.log.len(), 1);
    let again = [&leader, &follower].map(|joined| host.join(rejoin(&joined.member)));
    host.finish(&again);
}

#[test]
fn a_group_that_gives_way_answers_who_waits() {
    let mut host = Host::new();
    let tokens = ["a", "b"].map(|client| host.join(join(client)));
    host.pass(INITIAL);
    let follower = host.joined(tokens[1]).clone();
    let syncing = host.sync(sync(&follower));
    let mut group = host.group.take().unwrap();
    let (mut decision, mut events) = (Decision::default(), Vec::new());
    let now = Now { mono: host.now, wall: host.wall() };
    let (prng, settings) = (&mut host.prng, &host.settings);
    group.dismiss(&mut Out { now, prng, settings, decision: &mut decision, events: &mut events });
    let error = GroupReply::Failed(GroupError::RebalanceInProgress);
    assert_eq!(decision.answers, [Answer { to: syncing, reply: error, when: When::AtOnce }]);
}

#[test]
fn members_say_no_more_than_a_group_keeps() {
    let mut host = Host::new();
    // In a protocol that nobody votes for, which no record has.
    let saying = |bytes: usize, of: Join| {
        let spare = vec![0; bytes - "range".len() - 10 - "spare".len()];
        Join { protocols: vec![("range".to_string(), vec![0; 10]), ("spare".to_string(), spare)], ..of }
    };
    let leader = host.stable(vec![saying(GROUP_METADATA_BYTES_MAX / 2, join("a"))]).remove(0);
    let token = host.join(saying(GROUP_METADATA_BYTES_MAX / 2 + 1, join("b")));
    assert_eq!(host.error(token), GroupError::MaxSizeReached);
    // What it said before makes room for what it says now.
    let again = Join { member: leader.member, ..join("a") };
    let token = host.join(saying(GROUP_METADATA_BYTES_MAX, again));
    assert_eq!(host.joined(token).generation, 2);
}
