//! What lasts: a membership of which answers are lost, a position whose commit is repeated, a leader that was told to assign nothing.

use alloc::string::ToString;
use alloc::vec;

use super::*;

#[test]
fn lost_answers_to_heartbeats_cost_nothing() {
    for protocol in PROTOCOLS {
        let key = match protocol {
            MemberProtocol::Consumer => ApiKey::ConsumerGroupHeartbeat,
            MemberProtocol::ClassicEager | MemberProtocol::ClassicCooperative => ApiKey::Heartbeat,
        };
        let mut party = party(2);
        party.join(config(protocol));
        settles(&mut party, "t0 t1");
        for _ in 0..4 {
            party.twist(key, Twist::CloseAfter);
            party.run_for(Duration::from_secs(20));
        }
        let beats = party.fake.seen.iter().filter(|(seen, _)| *seen == key).count();
        assert!(beats >= 16, "{protocol:?}: {beats} in 80 seconds");
        assert_eq!((party.shown().as_str(), lost(&party, 0)), ("t0 t1", 0), "{protocol:?}");
    }
}

#[test]
fn commit_that_is_repeated_undoes_no_later_one() {
    for protocol in PROTOCOLS {
        let mut party = party(1);
        party.fill("t", 0, 9);
        party.join(GroupConfig { auto_commit: None, ..config(protocol) });
        settles(&mut party, "t0");
        assert!(party.run(SOON, |party| counts(party).len() == 9));
        party.twist(ApiKey::OffsetCommit, Twist::CloseAfter);
        let now = party.now;
        for offset in [3, 7] {
            let offsets = vec![OffsetToCommit::new(TopicPartition::new("t", 0), Offset(offset))];
            assert!(party.guests[0].client.commit(now, Token(offset.unsigned_abs()), offsets));
        }
        let done = |party: &Party| {
            let told = party.guests[0].told.iter();
            told.filter(|event| matches!(event, MemberEvent::Committed { .. })).count() == 2
        };
        assert!(party.run(SOON, done), "{protocol:?}");
        let commits = party.fake.seen.iter().filter(|(key, _)| *key == ApiKey::OffsetCommit).count();
        assert_eq!(commits, 3, "{protocol:?}: the first of them twice");
        party.kill(0);
        party.join(config(protocol));
        assert!(party.run(SOON, |party| party.guests[1].read.len() == 2), "{protocol:?}");
        assert_eq!(party.guests[1].read[0].1, 7, "{protocol:?}");
    }
}

#[test]
fn static_leader_that_was_told_to_assign_nothing_sees_new_partitions() {
    for protocol in [MemberProtocol::ClassicEager, MemberProtocol::ClassicCooperative] {
        let named = |name: &str| GroupConfig { instance: Some(name.to_string()), ..config(protocol) };
        let mut party = party(2);
        party.join(named("a"));
        settles(&mut party, "t0 t1");
        party.kill(0);
        party.join(named("a"));
        settles(&mut party, " | t0 t1");
        let syncs =
            |party: &Party| party.fake.seen.iter().filter(|(key, _)| *key == ApiKey::SyncGroup).count();
        let before = syncs(&party);
        party.fake.add_partition("t");
        settles(&mut party, " | t0 t1 t2");
        assert!(syncs(&party) > before, "{protocol:?}: it led the group again");
    }
}
