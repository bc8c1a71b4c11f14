//! Members of groups, of every protocol, at the real coordinator: who has what, and that nothing is skipped.

mod lasting;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::fake::Twist;
use super::party::Party;
use crate::client::{
    ClientError, GroupConfig, MemberEvent, MemberProtocol, OffsetToCommit, ResetPolicy, Token, TopicPartition,
};
use crate::id::Offset;
use crate::prng::Prng;
use crate::time::Duration;
use crate::wire::{ApiKey, ErrorCode};

const SOON: Duration = Duration::from_secs(60);
const PROTOCOLS: [MemberProtocol; 3] =
    [MemberProtocol::ClassicEager, MemberProtocol::ClassicCooperative, MemberProtocol::Consumer];

fn config(protocol: MemberProtocol) -> GroupConfig {
    GroupConfig {
        auto_offset_reset: ResetPolicy::Earliest,
        auto_commit: Some(Duration::from_secs(1)),
        session_timeout: Duration::from_secs(10),
        ..GroupConfig::new("g", protocol, vec!["t".to_string()])
    }
}

fn party(partitions: i32) -> Party {
    let mut party = Party::new(2);
    party.fake.topic("t", partitions);
    party
}

fn settles(party: &mut Party, shown: &str) {
    assert!(party.run(SOON, |party| party.shown() == shown), "{} instead of {shown}", party.shown());
}

fn lost(party: &Party, place: usize) -> usize {
    party.guests[place].told.iter().filter(|event| matches!(event, MemberEvent::Lost { .. })).count()
}

/// How often each offset was handed out, over all guests.
fn counts(party: &Party) -> BTreeMap<(TopicPartition, i64), usize> {
    let mut counts = BTreeMap::new();
    for record in party.guests.iter().flat_map(|guest| &guest.read) {
        *counts.entry(record.clone()).or_insert(0) += 1;
    }
    counts
}

#[test]
fn members_share_and_take_over_without_reading_twice() {
    for protocol in PROTOCOLS {
        let mut party = party(4);
        for index in 0..4 {
            party.fill("t", index, 3);
        }
        party.join(config(protocol));
        settles(&mut party, "t0 t1 t2 t3");
        assert!(party.run(SOON, |party| counts(party).len() == 12));
        party.join(config(protocol));
        let halves = |party: &Party| party.guests.iter().all(|guest| guest.mine.len() == 2);
        assert!(party.run(SOON, halves), "{protocol:?}: {}", party.shown());
        for index in 0..4 {
            party.fill("t", index, 3);
        }
        assert!(party.run(SOON, |party| counts(party).len() == 24));
        let now = party.now;
        party.guests[0].client.leave_group(now);
        settles(&mut party, " | t0 t1 t2 t3");
        assert_eq!(party.guests[0].told.last(), Some(&MemberEvent::Left));
        assert_eq!(party.guests[0].client.member(), None);
        for index in 0..4 {
            party.fill("t", index, 3);
        }
        assert!(party.run(SOON, |party| counts(party).len() == 36));
        party.run_for(Duration::from_secs(5));
        assert!(counts(&party).values().all(|&count| count == 1), "{protocol:?}: {:?}", counts(&party));
        assert_eq!(lost(&party, 0) + lost(&party, 1), 0, "{protocol:?}");
    }
}

#[test]
fn cooperative_members_keep_what_stays_theirs() {
    for protocol in [MemberProtocol::ClassicCooperative, MemberProtocol::Consumer] {
        let mut party = party(4);
        party.join(config(protocol));
        settles(&mut party, "t0 t1 t2 t3");
        party.join(config(protocol));
        assert!(party.run(SOON, |party| party.guests.iter().all(|guest| guest.mine.len() == 2)));
        party.run_for(Duration::from_secs(20));
        let told = &party.guests[0].told;
        let revoked: Vec<usize> = told
            .iter()
            .filter_map(|event| match event {
                MemberEvent::Revoked { partitions, .. } => Some(partitions.len()),
                MemberEvent::Assigned { .. }
                | MemberEvent::Lost { .. }
                | MemberEvent::Committed { .. }
                | MemberEvent::Failed { .. }
                | MemberEvent::Left => None,
            })
            .collect();
        assert_eq!(revoked, [2], "{protocol:?}: {told:?}");
    }
}

#[test]
fn what_a_dead_member_had_goes_on_where_it_committed() {
    for protocol in PROTOCOLS {
        let mut party = party(2);
        party.fill("t", 0, 5);
        party.fill("t", 1, 5);
        party.join(config(protocol));
        party.join(config(protocol));
        assert!(party.run(SOON, |party| party.guests.iter().all(|guest| guest.mine.len() == 1)));
        assert!(party.run(SOON, |party| counts(party).len() == 10));
        party.run_for(Duration::from_secs(3));
        party.kill(0);
        let all = |party: &Party| party.guests[1].mine.len() == 2;
        assert!(party.run(Duration::from_secs(90), all), "{protocol:?}: {}", party.shown());
        party.fill("t", 0, 1);
        party.fill("t", 1, 1);
        assert!(party.run(SOON, |party| counts(party).len() == 12));
        assert!(counts(&party).values().all(|&count| count == 1), "{protocol:?}");
    }
}

#[test]
fn nothing_is_given_up_before_the_application_has_seen_it() {
    for protocol in PROTOCOLS {
        let mut party = party(2);
        party.fill("t", 0, 2);
        party.join(GroupConfig { auto_commit: None, ..config(protocol) });
        settles(&mut party, "t0 t1");
        assert!(party.run(SOON, |party| counts(party).len() == 2));
        party.guests[0].attentive = false;
        party.join(config(protocol));
        party.run_for(Duration::from_secs(30));
        assert_eq!(party.guests[1].mine, []);
        party.guests[0].attentive = true;
        assert!(party.run(SOON, |party| party.guests[1].mine.len() == 1), "{protocol:?}: {}", party.shown());
    }
}

#[test]
fn a_member_without_application_leaves_and_comes_back_with_it() {
    for protocol in PROTOCOLS {
        let mut party = party(2);
        party.join(GroupConfig { rebalance_timeout: Duration::from_secs(30), ..config(protocol) });
        settles(&mut party, "t0 t1");
        party.join(config(protocol));
        assert!(party.run(SOON, |party| party.guests.iter().all(|guest| guest.mine.len() == 1)));
        party.guests[0].attentive = false;
        // Told nothing, it would have its partition still: what its application does meanwhile is refused.
        party.guests[0].mine.clear();
        assert!(party.run(SOON, |party| party.guests[1].mine.len() == 2), "{protocol:?}");
        party.guests[0].attentive = true;
        let shared = |party: &Party| party.guests.iter().all(|guest| guest.mine.len() == 1);
        assert!(party.run(SOON, shared), "{protocol:?}: {}", party.shown());
        assert_eq!(lost(&party, 0), 1, "{protocol:?}");
    }
}

#[test]
fn commits_are_answered_each_and_found_again() {
    for protocol in PROTOCOLS {
        let mut party = party(1);
        party.fill("t", 0, 10);
        party.join(GroupConfig { auto_commit: None, ..config(protocol) });
        settles(&mut party, "t0");
        assert!(party.run(SOON, |party| counts(party).len() == 10));
        let key = TopicPartition::new("t", 0);
        let now = party.now;
        for offset in [3, 7, 4] {
            let offsets = vec![OffsetToCommit::new(key.clone(), Offset(offset))];
            assert!(party.guests[0].client.commit(now, Token(offset.unsigned_abs()), offsets));
        }
        let done = |party: &Party| {
            let told = party.guests[0].told.iter();
            told.filter(|event| matches!(event, MemberEvent::Committed { .. })).count() == 3
        };
        assert!(party.run(SOON, done));
        let answers: Vec<MemberEvent> = [3, 7, 4]
            .map(|n| MemberEvent::Committed { token: Token(n), results: vec![(key.clone(), Ok(()))] })
            .into();
        assert_eq!(party.guests[0].told[party.guests[0].told.len() - 3..], answers);
        let now = party.now;
        party.guests[0].client.leave_group(now);
        settles(&mut party, "");
        party.join(config(protocol));
        settles(&mut party, " | t0");
        assert!(party.run(SOON, |party| party.guests[1].read.len() == 6));
        assert_eq!(party.guests[1].read[0].1, 4);
    }
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    for protocol in PROTOCOLS {
        let mut party = party(4);
        let named = |name: &str| GroupConfig { instance: Some(name.to_string()), ..config(protocol) };
        party.join(named("a"));
        party.join(named("b"));
        assert!(party.run(SOON, |party| party.guests.iter().all(|guest| guest.mine.len() == 2)));
        party.run_for(Duration::from_secs(7));
        let before = party.shown();
        let told = party.guests[1].told.len();
        let now = party.now;
        party.guests[0].client.leave_group(now);
        assert!(party.run(SOON, |party| party.guests[0].client.member().is_none()));
        party.run_for(Duration::from_secs(2));
        party.join(named("a"));
        assert!(party.run(SOON, |party| party.guests[2].mine.len() == 2), "{protocol:?}: {}", party.shown());
        let (mine, theirs) = before.split_once(" | ").unwrap();
        assert_eq!(party.shown(), [" | ", theirs, " | ", mine].concat());
        assert_eq!(party.guests[1].told.len(), told, "{protocol:?}: nobody else is bothered");
    }
}

#[test]
fn the_coordinator_is_looked_for_where_it_went() {
    for protocol in PROTOCOLS {
        let mut party = party(2);
        party.join(config(protocol));
        settles(&mut party, "t0 t1");
        let searches =
            |party: &Party| party.fake.seen.iter().filter(|(key, _)| *key == ApiKey::FindCoordinator).count();
        assert_eq!(searches(&party), 1);
        party.fake.coordinating.node = 2;
        party.run_for(Duration::from_secs(10));
        assert_eq!(searches(&party), 2, "{protocol:?}: it said that it is not the coordinator any more");
        party.fake.coordinating.node = 1;
        party.fake.log("t", 1).leader = 1;
        party.stop_node(2);
        party.join(config(protocol));
        let shared = |party: &Party| party.guests.iter().all(|guest| guest.mine.len() == 1);
        assert!(party.run(SOON, shared), "{protocol:?}: {}", party.shown());
        assert_eq!(lost(&party, 0), 0, "{protocol:?}");
    }
}

#[test]
fn whatever_goes_wrong_once_is_overcome() {
    let keys = [
        ApiKey::FindCoordinator,
        ApiKey::JoinGroup,
        ApiKey::SyncGroup,
        ApiKey::Heartbeat,
        ApiKey::OffsetCommit,
        ApiKey::OffsetFetch,
        ApiKey::ConsumerGroupHeartbeat,
    ];
    let twists = [
        Twist::Error(ErrorCode::CoordinatorLoadInProgress),
        Twist::Error(ErrorCode::CoordinatorNotAvailable),
        Twist::Error(ErrorCode::NotCoordinator),
        Twist::CloseBefore,
        Twist::CloseAfter,
        Twist::Garbage,
    ];
    for protocol in PROTOCOLS {
        for key in keys {
            for twist in twists {
                let mut party = party(2);
                party.fill("t", 0, 4);
                party.fill("t", 1, 4);
                party.twist(key, twist);
                party.join(config(protocol));
                party.run_for(Duration::from_secs(4));
                party.twist(key, twist);
                party.join(config(protocol));
                let shared = |party: &Party| party.guests.iter().all(|guest| guest.mine.len() == 1);
                assert!(party.run(SOON, shared), "{protocol:?} {key:?} {twist:?}: {}", party.shown());
                assert!(party.run(SOON, |party| counts(party).len() == 8), "{protocol:?} {key:?} {twist:?}");
            }
        }
    }
}

#[test]
fn a_member_that_is_not_known_any_more_loses_all_and_joins_again() {
    let told = |protocol, key, error| {
        let mut party = party(2);
        party.join(config(protocol));
        settles(&mut party, "t0 t1");
        party.twist(key, Twist::Error(error));
        let again = |party: &Party| lost(party, 0) == 1 && party.guests[0].mine.len() == 2;
        assert!(party.run(SOON, again), "{protocol:?} {key:?} {error:?}: {}", party.shown());
    };
    for protocol in [MemberProtocol::ClassicEager, MemberProtocol::ClassicCooperative] {
        for error in [ErrorCode::UnknownMemberId, ErrorCode::IllegalGeneration] {
            told(protocol, ApiKey::Heartbeat, error);
        }
    }
    for error in [ErrorCode::UnknownMemberId, ErrorCode::FencedMemberEpoch] {
        told(MemberProtocol::Consumer, ApiKey::ConsumerGroupHeartbeat, error);
    }
}

#[test]
fn what_cannot_get_better_ends_the_membership() {
    let ends = |protocol, key, error| {
        let mut party = party(1);
        party.twist(key, Twist::Error(error));
        party.join(config(protocol));
        let failed = MemberEvent::Failed { error: ClientError::Broker(error) };
        let over = |party: &Party| party.guests[0].told.last() == Some(&failed);
        assert!(party.run(SOON, over), "{protocol:?} {key:?} {error:?}");
        assert_eq!((party.shown(), party.guests[0].client.member()), (String::new(), None));
    };
    let eager = MemberProtocol::ClassicEager;
    ends(eager, ApiKey::FindCoordinator, ErrorCode::GroupAuthorizationFailed);
    ends(eager, ApiKey::JoinGroup, ErrorCode::GroupMaxSizeReached);
    ends(eager, ApiKey::JoinGroup, ErrorCode::InconsistentGroupProtocol);
    ends(eager, ApiKey::SyncGroup, ErrorCode::FencedInstanceId);
    ends(eager, ApiKey::Heartbeat, ErrorCode::FencedInstanceId);
    let consumer = MemberProtocol::Consumer;
    ends(consumer, ApiKey::ConsumerGroupHeartbeat, ErrorCode::UnreleasedInstanceId);
    ends(consumer, ApiKey::ConsumerGroupHeartbeat, ErrorCode::UnsupportedAssignor);
    ends(consumer, ApiKey::OffsetFetch, ErrorCode::GroupAuthorizationFailed);
}

#[test]
fn new_partitions_are_shared_too() {
    for protocol in PROTOCOLS {
        let mut party = party(1);
        party.join(config(protocol));
        settles(&mut party, "t0");
        party.fake.add_partition("t");
        settles(&mut party, "t0 t1");
    }
}

#[test]
fn topics_are_found_by_an_expression() {
    let mut party = party(1);
    party.fake.topic("other", 1);
    let topics = Vec::new();
    party.join(GroupConfig { topics, regex: Some("o.*".to_string()), ..config(MemberProtocol::Consumer) });
    settles(&mut party, "other0");
    party.fill("other", 0, 2);
    assert!(party.run(SOON, |party| counts(party).len() == 2));
}

#[test]
fn without_a_committed_offset_the_policy_says_where() {
    let mut party = party(1);
    party.fill("t", 0, 3);
    party.join(GroupConfig { auto_offset_reset: ResetPolicy::Latest, ..config(MemberProtocol::Consumer) });
    settles(&mut party, "t0");
    party.run_for(Duration::from_secs(3));
    party.fill("t", 0, 1);
    assert!(party.run(SOON, |party| counts(party).len() == 1));
    assert_eq!(party.guests[0].read, [(TopicPartition::new("t", 0), 3)]);
}

/// Members come, go, die and are interrupted in every way. In the end all is shared, and nothing was skipped.
#[test]
fn a_storm_ends_with_one_owner_each_and_nothing_skipped() {
    for seed in 0..60 {
        let mut prng = Prng::new(seed);
        let protocol = PROTOCOLS[usize::try_from(prng.below(3)).unwrap()];
        let mut party = party(5);
        party.join(config(protocol));
        let mut filled = 0;
        for _ in 0..30 {
            match prng.below(8) {
                0 if party.guests.len() < 6 => drop(party.join(config(protocol))),
                1 if party.guests.len() > 1 => {
                    let place = usize::try_from(prng.below(party.guests.len() as u64)).unwrap();
                    let now = party.now;
                    party.guests[place].client.leave_group(now);
                }
                2 => {
                    let keys = [
                        ApiKey::JoinGroup,
                        ApiKey::SyncGroup,
                        ApiKey::Heartbeat,
                        ApiKey::OffsetCommit,
                        ApiKey::OffsetFetch,
                        ApiKey::ConsumerGroupHeartbeat,
                        ApiKey::LeaveGroup,
                    ];
                    let twists = [
                        Twist::CloseBefore,
                        Twist::CloseAfter,
                        Twist::Error(ErrorCode::NotCoordinator),
                        Twist::Error(ErrorCode::CoordinatorLoadInProgress),
                    ];
                    let key = keys[usize::try_from(prng.below(7)).unwrap()];
                    party.twist(key, twists[usize::try_from(prng.below(4)).unwrap()]);
                }
                3 => party.fake.coordinating.node = i32::try_from(1 + prng.below(2)).unwrap(),
                _ => {
                    let index = usize::try_from(prng.below(5)).unwrap();
                    party.fill("t", index, 2);
                    filled += 2;
                }
            }
            party.run_for(Duration::from_millis(prng.below(4_000)));
        }
        party.join(config(protocol));
        let all = |party: &Party| {
            party.guests.iter().map(|guest| guest.mine.len()).sum::<usize>() == 5
                && counts(party).len() == filled
        };
        let patience = Duration::from_secs(120);
        assert!(
            party.run(patience, all),
            "seed {seed} {protocol:?}: {} of {filled}, {}",
            counts(&party).len(),
            party.shown()
        );
    }
}
