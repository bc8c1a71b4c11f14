//! Groups that go over from one protocol to the other while they have members.

mod random;

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::members::{NOT_CONSUMER, UNKNOWN, beat, heartbeat, join, offsets_of};
use super::{COMMITTED, World};
use crate::coordinator::{Machine, Token};
use crate::group::classic::subscription::{read_assignment, write_assignment};
use crate::group::command::{
    ConsumerHeartbeat, GroupCommand, GroupError, GroupKind, GroupReply, GroupState, Join, Joined, Leave,
    Leaving, Sync, TopicPartitions,
};
use crate::group::settings::Migration;
use crate::time::Duration;

const REBALANCING: GroupReply = GroupReply::Failed(GroupError::RebalanceInProgress);
const FENCED: GroupReply = GroupReply::Failed(GroupError::FencedInstance);
const INCONSISTENT: GroupReply = GroupReply::Failed(GroupError::InconsistentProtocol);

/// What a consumer says that is subscribed to these topics and has these partitions.
fn subscription(topics: &[&str], owned: &[(&str, &[i32])]) -> Vec<u8> {
    let mut bytes = vec![0, 1];
    let count = |count: usize| u32::try_from(count).unwrap().to_be_bytes();
    let name = |bytes: &mut Vec<u8>, name: &str| {
        bytes.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
        bytes.extend(name.as_bytes());
    };
    bytes.extend(count(topics.len()));
    topics.iter().for_each(|topic| name(&mut bytes, topic));
    bytes.extend([0xff; 4]);
    bytes.extend(count(owned.len()));
    for (topic, partitions) in owned {
        name(&mut bytes, topic);
        bytes.extend(count(partitions.len()));
        partitions.iter().for_each(|partition| bytes.extend(partition.to_be_bytes()));
    }
    bytes
}

/// A join of a consumer of `t` that has these partitions of it.
fn joining(member: &str, owned: &[i32]) -> Join {
    let owned: &[(&str, &[i32])] = if owned.is_empty() { &[] } else { &[("t", owned)] };
    Join { protocols: vec![("range".to_string(), subscription(&["t"], owned))], ..join(member) }
}

fn sync_of(joined: &Joined, assignments: Vec<(String, Vec<u8>)>) -> GroupCommand {
    GroupCommand::Sync(Sync {
        group: "g".to_string(),
        generation: joined.generation,
        member: joined.member.clone(),
        instance: None,
        protocol_type: Some("consumer".to_string()),
        protocol: Some("range".to_string()),
        assignments,
    })
}

fn leave(member: &str) -> GroupCommand {
    let leaving = Leaving { member: member.to_string(), instance: None, reason: None };
    GroupCommand::Leave(Leave { group: "g".to_string(), members: vec![leaving] })
}

fn of_t(partitions: &[i32]) -> Vec<u8> {
    write_assignment(&[("t", partitions)], &[0, 1])
}

impl World {
    /// A stable group of the classic protocol with one member, to which its leader gave this.
    fn classic(&mut self, join: Join, assignment: Vec<u8>) -> Joined {
        assert_eq!(self.step(|groups, turn| groups.handle(turn, Token(3), GroupCommand::Join(join))), []);
        let joined = self.rebalanced();
        let assignments = vec![(joined.member.clone(), assignment)];
        let synced = self.ask(sync_of(&joined, assignments));
        assert!(matches!(synced, GroupReply::Synced(_)), "{synced:?}");
        joined
    }

    /// The last member that waits for it is joined.
    fn rebalanced(&mut self) -> Joined {
        for _ in 0..9 {
            self.now.mono = self.groups.deadline().expect("somebody waits");
            let mut replies = self.step(|groups, turn| groups.on_deadline(turn));
            match replies.pop() {
                Some(GroupReply::Joined(joined)) => return joined,
                None => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("nobody was joined")
    }

    fn joined(&mut self, join: Join) -> Joined {
        let reply = self.ask(GroupCommand::Join(join));
        let GroupReply::Joined(joined) = reply else { panic!("{reply:?}") };
        joined
    }

    /// The partitions of `t` that a member of the classic protocol has.
    fn synced(&mut self, joined: &Joined) -> Vec<i32> {
        let reply = self.ask(sync_of(joined, vec![]));
        let GroupReply::Synced(synced) = reply else { panic!("{reply:?}") };
        let assigned = read_assignment(&synced.assignment).expect("a readable assignment");
        assigned.into_iter().flat_map(|(_, partitions)| partitions).collect()
    }

    /// The partitions of `t` that a member of the consumer protocol is told to have.
    fn told(&mut self, member: &str, epoch: i32, owned: &[i32]) -> (i32, Vec<i32>) {
        let t = self.node.topics["t"];
        let owned = vec![TopicPartitions { topic: t, partitions: owned.to_vec() }];
        let assigned = self.beat(ConsumerHeartbeat {
            rebalance_timeout: Some(Duration::from_secs(60)),
            topics: Some(vec!["t".to_string()]),
            owned: Some(owned),
            ..beat(member, epoch)
        });
        let topics = assigned.assignment.expect("all of it was said");
        (assigned.member_epoch, topics.into_iter().flat_map(|topic| topic.partitions).collect())
    }

    fn is(&mut self, kind: GroupKind, state: GroupState) {
        assert_eq!(self.listed(), [(kind, state)]);
        assert_eq!(self.offset("g"), COMMITTED, "offsets are the group's whatever its protocol");
    }
}

/// A member of each protocol in a group that was of the classic one: the partitions of `t` go from the one to the other, but none
/// before it was given back.
fn upgraded(world: &mut World) -> Joined {
    let joined = world.classic(joining("", &[]), of_t(&[0, 1, 2]));
    world.ask(offsets_of(&joined.member, joined.generation));
    let assigned = world.beat(beat("m", 0));
    assert_eq!((assigned.member_epoch, assigned.assignment), (2, Some(vec![])));
    joined
}

#[test]
fn member_of_the_consumer_protocol_upgrades_the_group_and_takes_what_others_give_back() {
    for restarts in [false, true] {
        let mut world = World::new();
        let again = |world: &mut World| {
            if restarts {
                world.restart()
            }
        };
        let joined = upgraded(&mut world);
        world.is(GroupKind::Consumer, GroupState::Reconciling);
        again(&mut world);
        assert_eq!(world.ask(heartbeat(&joined)), REBALANCING);
        let commit = world.ask(offsets_of(&joined.member, 1));
        assert_eq!(commit, GroupReply::Committed(vec![Ok(())]), "it commits before it joins again");
        assert_eq!(world.told("m", 2, &[]), (2, vec![]), "nothing is free");
        let revoking = world.joined(joining(&joined.member, &[0, 1, 2]));
        assert_eq!((revoking.generation, revoking.leader.as_str()), (1, ""));
        again(&mut world);
        let kept = world.synced(&revoking);
        assert_eq!(kept.len(), 2);
        assert_eq!(world.told("m", 2, &[]), (2, vec![]), "it was not given back yet");
        assert_eq!(world.ask(heartbeat(&revoking)), REBALANCING);
        let revoked = world.joined(joining(&joined.member, &kept));
        assert_eq!(revoked.generation, 2);
        again(&mut world);
        assert_eq!(world.synced(&revoked), kept);
        assert_eq!(world.ask(heartbeat(&revoked)), GroupReply::Done);
        let (_, rest) = world.told("m", 2, &[]);
        assert_eq!(rest.len(), 1);
        assert!(!kept.contains(&rest[0]));
        world.is(GroupKind::Consumer, GroupState::Stable);
        let stale = world.ask(offsets_of(&joined.member, 1));
        assert_eq!(stale, GroupReply::Failed(GroupError::IllegalGeneration));
    }
}

#[test]
fn last_member_of_the_consumer_protocol_downgrades_the_group_which_rebalances() {
    for restarts in [false, true] {
        for leaves in [false, true] {
            let mut world = World::new();
            let joined = upgraded(&mut world);
            let revoked = world.joined(joining(&joined.member, &[]));
            assert_eq!(world.synced(&revoked).len(), 2);
            if leaves {
                world.beat(beat("m", -1));
            } else {
                for _ in 0..6 {
                    world.pass(Duration::from_secs(8));
                    world.ask(heartbeat(&revoked));
                }
            }
            if restarts {
                world.restart();
            }
            world.is(GroupKind::Classic, GroupState::PreparingRebalance);
            assert_eq!(world.ask(heartbeat(&revoked)), REBALANCING);
            assert_eq!(world.ask(offsets_of(&joined.member, 2)), GroupReply::Committed(vec![Ok(())]));
            let again = world.joined(joining(&joined.member, &[]));
            assert_eq!((again.generation, &again.leader), (3, &joined.member));
            let assigned = vec![(joined.member.clone(), of_t(&[0, 1, 2]))];
            world.ask(sync_of(&again, assigned));
            for _ in 0..2 {
                world.is(GroupKind::Classic, GroupState::Stable);
                assert_eq!(world.ask(heartbeat(&again)), GroupReply::Done);
                world.restart();
            }
        }
    }
}

#[test]
fn group_that_comes_and_goes_gives_nobody_what_another_has() {
    for restarts in [false, true] {
        let mut world = World::new();
        let joined = upgraded(&mut world);
        world.beat(beat("m", -1));
        if restarts {
            world.restart();
        }
        world.is(GroupKind::Classic, GroupState::PreparingRebalance);
        assert_eq!(world.beat(beat("n", 0)).assignment, Some(vec![]), "the first has not heard of anything");
        let kept = world.joined(joining(&joined.member, &[0, 1, 2]));
        assert_eq!(world.synced(&kept).len(), 2);
    }
}

#[test]
fn what_a_member_has_not_given_up_yet_is_its_own_after_an_upgrade() {
    let mut world = World::new();
    // Its leader gave it less than it has.
    let joined = world.classic(joining("", &[0, 1, 2]), of_t(&[0]));
    assert_eq!(world.beat(beat("m", 0)).assignment, Some(vec![]));
    let given_up = world.joined(joining(&joined.member, &[0]));
    assert!(world.synced(&given_up).len() < 3);
    let (_, got) = world.told("m", 2, &[]);
    assert!(!got.is_empty());
}

#[test]
fn group_is_upgraded_only_where_it_may_be_and_nothing_is_lost_by_it() {
    let with_data = [&of_t(&[0])[..of_t(&[0]).len() - 4], &[0, 0, 0, 1, 7]].concat();
    let twice = write_assignment(&[("t", &[0]), ("t", &[0])], &[0, 1]);
    let cases = [
        ("it may not be", Migration::Downgrade, joining("", &[]), of_t(&[0]), false),
        ("not at all", Migration::Disabled, joining("", &[]), of_t(&[0]), false),
        ("data of an assignor", Migration::Upgrade, joining("", &[]), with_data, false),
        ("no assignment", Migration::Upgrade, joining("", &[]), vec![7], false),
        ("one has it twice", Migration::Upgrade, joining("", &[]), twice, true),
        ("empty", Migration::Bidirectional, joining("", &[]), vec![], true),
        (
            "no subscription",
            Migration::Upgrade,
            Join { protocols: vec![("p".into(), vec![])], ..join("") },
            vec![],
            false,
        ),
        (
            "no consumers",
            Migration::Upgrade,
            Join { protocol_type: "connect".into(), ..joining("", &[]) },
            vec![],
            false,
        ),
    ];
    for (case, migration, join, assignment, is_upgraded) in cases {
        let mut world = World::new();
        world.node.settings.consumer.migration = migration;
        let joining = GroupCommand::Join(join);
        assert_eq!(world.step(|groups, turn| groups.handle(turn, Token(3), joining)), [], "{case}");
        let joined = world.rebalanced();
        let sync = Sync {
            group: "g".to_string(),
            generation: 1,
            member: joined.member.clone(),
            instance: None,
            protocol_type: None,
            protocol: None,
            assignments: vec![(joined.member.clone(), assignment)],
        };
        world.ask(GroupCommand::Sync(sync));
        let reply = world.ask(GroupCommand::ConsumerHeartbeat(beat("m", 0)));
        assert_eq!(reply != NOT_CONSUMER, is_upgraded, "{case}: {reply:?}");
        if !is_upgraded {
            let written = world.log.len();
            assert_eq!(world.ask(heartbeat(&joined)), GroupReply::Done, "{case}");
            assert_eq!(world.listed(), [(GroupKind::Classic, GroupState::Stable)], "{case}");
            assert_eq!(world.log.len(), written);
        }
    }
}

#[test]
fn refused_upgrade_leaves_the_group_as_it_was() {
    let mut world = World::new();
    let joined = world.classic(joining("", &[]), of_t(&[0, 1, 2]));
    let written = world.log.len();
    let refused = ConsumerHeartbeat { regex: Some("(".to_string()), ..beat("m", 0) };
    let reply = world.ask(GroupCommand::ConsumerHeartbeat(refused));
    assert!(matches!(reply, GroupReply::Failed(GroupError::InvalidRegularExpression(_))), "{reply:?}");
    assert_eq!(world.ask(GroupCommand::ConsumerHeartbeat(beat("m", 3))), NOT_CONSUMER);
    world.node.settings.consumer.size_max = 1;
    let full = GroupReply::Failed(GroupError::MaxSizeReached);
    assert_eq!(world.ask(GroupCommand::ConsumerHeartbeat(beat("m", 0))), full);
    assert_eq!(world.ask(heartbeat(&joined)), GroupReply::Done);
    assert_eq!((world.log.len(), world.listed()), (written, vec![(GroupKind::Classic, GroupState::Stable)]));
}

#[test]
fn upgrade_answers_those_who_wait_so_that_they_join_again() {
    let mut world = World::new();
    let joined = world.classic(joining("", &[]), of_t(&[0, 1, 2]));
    let new = GroupCommand::Join(joining("", &[]));
    assert_eq!(world.step(|groups, turn| groups.handle(turn, Token(3), new)), []);
    let upgrade = GroupCommand::ConsumerHeartbeat(beat("m", 0));
    let answers = world.decide(|groups, turn| groups.handle(turn, Token(4), upgrade));
    let refused = answers.iter().find(|answer| answer.to == Token(3)).expect("it waited");
    assert_eq!(refused.reply, REBALANCING);
    assert_eq!(answers.len(), 2);
    assert_eq!(world.ask(heartbeat(&joined)), REBALANCING);
}

#[test]
fn group_is_downgraded_only_where_it_may_be() {
    let mut world = World::new();
    let joined = upgraded(&mut world);
    world.node.settings.consumer.migration = Migration::Upgrade;
    world.beat(beat("m", -1));
    assert_eq!(world.ask(heartbeat(&joined)), REBALANCING);
    let again = world.joined(joining(&joined.member, &[]));
    assert_eq!(world.synced(&again), [0, 1, 2]);
    world.is(GroupKind::Consumer, GroupState::Stable);
    assert_eq!(world.ask(leave(&joined.member)), GroupReply::Left(vec![Ok(())]));
    world.is(GroupKind::Consumer, GroupState::Empty);
}

#[test]
fn members_of_the_classic_protocol_are_held_to_what_they_said() {
    let mut world = World::new();
    world.beat(beat("m", 0));
    let unreadable = Join { protocols: vec![("range".to_string(), vec![0])], ..join("") };
    assert_eq!(world.ask(GroupCommand::Join(unreadable)), INCONSISTENT);
    let told = world.ask(GroupCommand::Join(Join { known_member_required: true, ..joining("", &[]) }));
    let GroupReply::MemberIdRequired(id) = told else { panic!("{told:?}") };
    let joined = world.joined(Join { known_member_required: true, ..joining(&id, &[]) });
    assert_eq!((&joined.member, joined.generation), (&id, 2));
    let foreign = Join { protocols: vec![("other".to_string(), subscription(&["t"], &[]))], ..join("") };
    assert_eq!(world.ask(GroupCommand::Join(foreign)), INCONSISTENT);
    let stale = Joined { generation: 1, ..joined.clone() };
    let illegal = GroupReply::Failed(GroupError::IllegalGeneration);
    assert_eq!(world.ask(sync_of(&stale, vec![])), illegal);
    assert_eq!(world.ask(heartbeat(&stale)), illegal);
    let stranger = Joined { member: "m".to_string(), ..joined.clone() };
    assert_eq!(world.ask(sync_of(&stranger, vec![])), UNKNOWN, "it speaks the other protocol");
    assert_eq!(world.ask(heartbeat(&stranger)), UNKNOWN);
    let left = GroupReply::Left(vec![Err(GroupError::UnknownMember)]);
    assert_eq!(world.ask(leave("m")), left);
    assert_eq!(world.synced(&joined), vec![0_i32; 0], "the other has not given anything back");
    assert_eq!(world.ask(heartbeat(&joined)), GroupReply::Done, "there is nothing to join for");
}

#[test]
fn members_of_the_classic_protocol_that_do_not_join_or_sync_in_time_are_expelled() {
    let mut world = World::new();
    let joined = upgraded(&mut world);
    let (mut epoch, mut owned) = (2, vec![]);
    for _ in 0..7 {
        assert_eq!(world.ask(heartbeat(&joined)), REBALANCING);
        world.pass(Duration::from_secs(9));
        (epoch, owned) = world.told("m", epoch, &owned);
    }
    assert_eq!(world.ask(heartbeat(&joined)), UNKNOWN, "it has not joined again");
    assert_eq!(owned, [0, 1, 2]);
    let joined = world.joined(joining("", &[]));
    for _ in 0..7 {
        assert_ne!(world.ask(heartbeat(&joined)), UNKNOWN);
        world.pass(Duration::from_secs(9));
        (epoch, owned) = world.told("m", epoch, &owned);
    }
    assert_eq!(world.ask(heartbeat(&joined)), UNKNOWN, "it has not asked for its assignment");
    let joined = world.joined(joining("", &[]));
    world.pass(Duration::from_secs(11));
    assert_eq!(world.ask(heartbeat(&joined)), UNKNOWN, "it was silent");
}

#[test]
fn static_member_takes_its_place_whatever_protocol_it_speaks() {
    let named = |join: Join| Join { instance: Some("i".to_string()), ..join };
    let mut world = World::new();
    let classic = world.classic(named(joining("", &[])), of_t(&[0, 1, 2]));
    world.ask(offsets_of(&classic.member, 1));
    world.beat(ConsumerHeartbeat { instance: Some("i".to_string()), ..beat("m", 0) });
    world.restart();
    world.is(GroupKind::Consumer, GroupState::Stable);
    assert_eq!(world.ask(heartbeat(&classic)), UNKNOWN);
    assert_eq!(world.told("m", 2, &[0, 1, 2]), (2, vec![0, 1, 2]));
    assert_eq!(world.ask(GroupCommand::Join(named(joining("x", &[])))), FENCED);
    let back = GroupCommand::Join(named(joining("", &[])));
    assert_eq!(world.step(|groups, turn| groups.handle(turn, Token(3), back)), [], "it is to be a rebalance");
    world.is(GroupKind::Classic, GroupState::PreparingRebalance);
    let joined = world.rebalanced();
    let assigned = vec![(joined.member.clone(), of_t(&[0, 1, 2]))];
    world.ask(sync_of(&joined, assigned));
    world.restart();
    world.is(GroupKind::Classic, GroupState::Stable);
}

#[test]
fn member_of_the_classic_protocol_joins_again_once_there_is_something_new_for_it() {
    let mut world = World::new();
    world.node.settings.consumer.assignment_interval = Duration::from_secs(1);
    let joined = world.classic(joining("", &[]), of_t(&[0, 1, 2]));
    // The first member of the new protocol has the group assigned; the next one comes too soon.
    assert_eq!(world.beat(beat("m", 0)).member_epoch, 2);
    let again = world.joined(joining(&joined.member, &[0, 1, 2]));
    let kept = world.synced(&again);
    let again = world.joined(joining(&joined.member, &kept));
    assert_eq!(again.generation, 2);
    world.synced(&again);
    assert_eq!(world.beat(beat("n", 0)).member_epoch, 2);
    assert_eq!(world.ask(heartbeat(&again)), GroupReply::Done, "to join again now would change nothing");
    assert_eq!(world.synced(&again), kept);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.ask(heartbeat(&again)), REBALANCING);
    assert_eq!(world.ask(sync_of(&again, vec![])), REBALANCING);
    let again = world.joined(joining(&joined.member, &kept));
    let kept = world.synced(&again);
    assert_eq!(world.joined(joining(&joined.member, &kept)).generation, 3);
}

#[test]
fn group_whose_upgrade_the_log_refuses_stays_what_it_was() {
    let mut world = World::new();
    let joined = world.classic(joining("", &[]), of_t(&[0, 1, 2]));
    world.refuse(|groups, turn| groups.handle(turn, Token(3), GroupCommand::ConsumerHeartbeat(beat("m", 0))));
    assert_eq!(world.listed()[0].0, GroupKind::Classic);
    // Its members are led to another generation, which is written.
    world.pass(Duration::ZERO);
    assert_eq!(world.ask(heartbeat(&joined)), REBALANCING);
    let again = world.joined(joining(&joined.member, &[0, 1, 2]));
    assert_eq!(again.generation, joined.generation + 1);
    world.ask(sync_of(&again, vec![(joined.member.clone(), of_t(&[1]))]));
    world.restart();
    assert_eq!(world.ask(heartbeat(&again)), GroupReply::Done);
    assert_eq!(world.ask(GroupCommand::ConsumerHeartbeat(beat("m", 1))), NOT_CONSUMER);
}

#[test]
fn what_a_leader_assigned_in_vain_is_assigned_again() {
    let mut world = World::new();
    world.step(|groups, turn| groups.handle(turn, Token(3), GroupCommand::Join(joining("", &[]))));
    let joined = world.rebalanced();
    let sync = sync_of(&joined, vec![(joined.member.clone(), of_t(&[0]))]);
    world.refuse(|groups, turn| groups.handle(turn, Token(3), sync));
    world.pass(Duration::ZERO);
    assert_eq!(world.ask(heartbeat(&joined)), REBALANCING);
    let again = world.joined(joining(&joined.member, &[]));
    let sync = sync_of(&again, vec![(joined.member.clone(), of_t(&[2]))]);
    assert!(matches!(world.ask(sync), GroupReply::Synced(_)));
}
