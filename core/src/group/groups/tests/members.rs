//! Groups with members: which kind of group answers, what a restart finds, and when time tells.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::{COMMITTED, World, commit};
use crate::coordinator::{Machine, Token};
use crate::group::command::{
    Client, CommitOffsets, ConsumerAssigned, ConsumerHeartbeat, Fetched, GroupCommand, GroupError, GroupKind,
    GroupReply, GroupState, Heartbeat, Join, Joined, Leave, Leaving, Sync,
};
use crate::time::Duration;

/// Version 0, one topic, no user data.
const SUBSCRIBED_TO_T: &[u8] = b"\0\0\0\0\0\x01\0\x01t\0\0\0\0";

pub(super) fn join(member: &str) -> Join {
    Join {
        group: "g".to_string(),
        member: member.to_string(),
        instance: None,
        client: Client { id: "c".to_string(), host: "/127.0.0.1".to_string() },
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
        protocol_type: "consumer".to_string(),
        protocols: vec![("range".to_string(), SUBSCRIBED_TO_T.to_vec())],
        known_member_required: false,
        can_skip_assignment: true,
        reason: None,
    }
}

pub(super) fn sync(joined: &Joined) -> Sync {
    Sync {
        group: "g".to_string(),
        generation: joined.generation,
        member: joined.member.clone(),
        instance: None,
        protocol_type: Some("consumer".to_string()),
        protocol: Some("range".to_string()),
        assignments: vec![(joined.member.clone(), vec![7])],
    }
}

pub(super) fn heartbeat(joined: &Joined) -> GroupCommand {
    let (group, generation) = ("g".to_string(), joined.generation);
    GroupCommand::Heartbeat(Heartbeat { group, generation, member: joined.member.clone(), instance: None })
}

pub(super) fn beat(member: &str, member_epoch: i32) -> ConsumerHeartbeat {
    let joins = member_epoch == 0;
    ConsumerHeartbeat {
        group: "g".to_string(),
        member: member.to_string(),
        member_epoch,
        instance: None,
        client: Client::default(),
        rack: None,
        rebalance_timeout: joins.then_some(Duration::from_secs(60)),
        topics: joins.then(|| vec!["t".to_string()]),
        regex: None,
        assignor: None,
        owned: joins.then(Vec::new),
    }
}

pub(super) fn offsets_of(member: &str, generation: i32) -> GroupCommand {
    GroupCommand::CommitOffsets(CommitOffsets { member: member.to_string(), ..commit("g", generation) })
}

pub(super) const UNKNOWN: GroupReply = GroupReply::Failed(GroupError::UnknownMember);
pub(super) const NOT_FOUND: GroupReply = GroupReply::Failed(GroupError::GroupNotFound);
pub(super) const NOT_CLASSIC: GroupReply = GroupReply::Failed(GroupError::NotClassic);
pub(super) const NOT_CONSUMER: GroupReply = GroupReply::Failed(GroupError::NotConsumer);

impl World {
    /// A group of the classic protocol with one member.
    pub(super) fn stable(&mut self) -> Joined {
        let join = GroupCommand::Join(join(""));
        assert_eq!(self.step(|groups, turn| groups.handle(turn, Token(3), join)), []);
        // It waits for more members.
        self.now.mono = self.groups.deadline().expect("somebody waits");
        let mut replies = self.step(|groups, turn| groups.on_deadline(turn));
        let Some(GroupReply::Joined(joined)) = replies.pop() else { panic!("joined") };
        let GroupReply::Synced(synced) = self.ask(GroupCommand::Sync(sync(&joined))) else {
            panic!("synced")
        };
        assert_eq!(synced.assignment, [7]);
        joined
    }

    pub(super) fn beat(&mut self, heartbeat: ConsumerHeartbeat) -> ConsumerAssigned {
        let reply = self.ask(GroupCommand::ConsumerHeartbeat(heartbeat));
        let GroupReply::ConsumerHeartbeat(assigned) = reply else { panic!("{reply:?}") };
        assigned
    }

    pub(super) fn listed(&mut self) -> Vec<(GroupKind, GroupState)> {
        let GroupReply::Listed(listed) = self.ask(GroupCommand::List) else { panic!("listed") };
        listed.into_iter().map(|listed| (listed.kind, listed.state)).collect()
    }
}

#[test]
fn member_that_no_group_knows_is_told_so() {
    let mut world = World::new();
    let leaving = Leaving { member: "m".to_string(), instance: None, reason: None };
    for not_found in [NOT_FOUND, NOT_CONSUMER] {
        assert_eq!(world.ask(GroupCommand::Join(join("m"))), UNKNOWN);
        let joined = Joined {
            generation: 1,
            protocol_type: "consumer".to_string(),
            protocol: "range".to_string(),
            leader: "m".to_string(),
            skip_assignment: false,
            member: "m".to_string(),
            members: Vec::new(),
        };
        assert_eq!(world.ask(GroupCommand::Sync(sync(&joined))), UNKNOWN);
        assert_eq!(world.ask(heartbeat(&joined)), UNKNOWN);
        let leave = Leave { group: "g".to_string(), members: vec![leaving.clone(), leaving.clone()] };
        let unknown = GroupReply::Left(vec![Err(GroupError::UnknownMember), Err(GroupError::UnknownMember)]);
        assert_eq!(world.ask(GroupCommand::Leave(leave)), unknown);
        assert_eq!(world.ask(GroupCommand::ConsumerHeartbeat(beat("m", 4))), not_found);
        assert_eq!(world.ask(GroupCommand::ConsumerDescribe("g".to_string())), not_found);
        // And so it is once somebody has committed without being one.
        world.commit("g", -1);
    }
}

#[test]
fn classic_group_is_found_by_a_restart_with_its_members_and_offsets() {
    let mut world = World::new();
    let joined = world.stable();
    assert_eq!(world.ask(offsets_of(&joined.member, 1)), GroupReply::Committed(vec![Ok(())]));
    world.restart();
    assert_eq!(world.listed(), [(GroupKind::Classic, GroupState::Stable)]);
    assert_eq!(world.offset("g"), COMMITTED);
    assert_eq!(world.ask(heartbeat(&joined)), GroupReply::Done);
    assert_eq!(world.ask(offsets_of("somebody", 1)), UNKNOWN);
    assert_eq!(world.ask(offsets_of(&joined.member, 0)), GroupReply::Failed(GroupError::IllegalGeneration));
    assert_eq!(world.commit("g", -1), UNKNOWN, "it has members");
    assert_eq!(world.ask(GroupCommand::Delete("g".to_string())), GroupReply::Failed(GroupError::NonEmpty));
}

#[test]
fn commit_is_a_sign_of_life() {
    let mut world = World::new();
    let joined = world.stable();
    for _ in 0..4 {
        world.pass(Duration::from_secs(6));
        assert_eq!(world.ask(offsets_of(&joined.member, 1)), GroupReply::Committed(vec![Ok(())]));
    }
    world.pass(Duration::from_secs(11));
    assert_eq!(world.listed(), [(GroupKind::Classic, GroupState::Empty)]);
    world.restart();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.listed(), [(GroupKind::Classic, GroupState::Empty)], "a restart wakes nobody up");
}

#[test]
fn offsets_of_a_group_with_members_stay_and_those_of_one_without_go_a_week_after() {
    let mut world = World::new();
    let joined = world.stable();
    world.ask(offsets_of(&joined.member, 1));
    for _ in 0..8 * 24 * 400 {
        world.pass(Duration::from_secs(9));
        assert_eq!(world.ask(heartbeat(&joined)), GroupReply::Done);
    }
    assert_eq!(world.offset("g"), COMMITTED);
    world.pass(Duration::from_secs(11));
    world.pass(Duration::from_secs(7 * 24 * 3_600 - 700));
    assert_eq!(world.offset("g"), COMMITTED, "the week begins when the last member goes");
    world.pass(Duration::from_secs(1_500));
    assert_eq!((world.offset("g"), world.listed()), (Fetched::None, vec![]));
    world.restart();
    assert_eq!(world.listed(), []);
}

#[test]
fn consumer_group_is_found_by_a_restart_and_expels_who_is_silent() {
    let mut world = World::new();
    let assigned = world.beat(beat("m", 0));
    assert_eq!((assigned.member_epoch, assigned.assignment.expect("told").len()), (1, 1));
    world.restart();
    assert_eq!(world.beat(beat("m", 1)).assignment, None);
    assert_eq!(world.ask(offsets_of("m", 1)), GroupReply::Committed(vec![Ok(())]));
    assert_eq!(world.ask(offsets_of("m", 2)), GroupReply::Failed(GroupError::StaleMemberEpoch));
    assert_eq!(world.listed(), [(GroupKind::Consumer, GroupState::Stable)]);
    assert_eq!(world.ask(GroupCommand::Describe("g".to_string())), NOT_CLASSIC);
    let other = Join { protocol_type: "connect".to_string(), ..join("") };
    assert_eq!(world.ask(GroupCommand::Join(other)), GroupReply::Failed(GroupError::InconsistentProtocol));
    world.pass(Duration::from_secs(46));
    assert_eq!(world.listed(), [(GroupKind::Consumer, GroupState::Empty)]);
    assert_eq!(world.ask(GroupCommand::ConsumerHeartbeat(beat("m", 1))), UNKNOWN);
    assert_eq!(world.offset("g"), COMMITTED);
    assert_eq!(world.ask(GroupCommand::Delete("g".to_string())), GroupReply::Done);
    world.restart();
    assert_eq!((world.listed(), world.offset("g")), (vec![], Fetched::None));
}

#[test]
fn empty_group_takes_the_protocol_of_who_comes_and_keeps_its_offsets() {
    let mut world = World::new();
    world.commit("g", -1);
    let joined = world.stable();
    assert_eq!(
        world.ask(GroupCommand::ConsumerHeartbeat(beat("m", 0))),
        NOT_CONSUMER,
        "the other has a member"
    );
    let leaving = Leaving { member: joined.member, instance: None, reason: None };
    let leave = Leave { group: "g".to_string(), members: vec![leaving] };
    assert_eq!(world.ask(GroupCommand::Leave(leave)), GroupReply::Left(vec![Ok(())]));
    let refused = ConsumerHeartbeat { regex: Some("(".to_string()), ..beat("m", 0) };
    let reply = world.ask(GroupCommand::ConsumerHeartbeat(refused));
    assert!(matches!(reply, GroupReply::Failed(GroupError::InvalidRegularExpression(_))), "{reply:?}");
    assert_eq!(world.listed(), [(GroupKind::Classic, GroupState::Empty)], "who is refused changes nothing");
    world.beat(beat("m", 0));
    for _ in 0..2 {
        assert_eq!(world.listed(), [(GroupKind::Consumer, GroupState::Stable)]);
        assert_eq!(world.offset("g"), COMMITTED);
        world.restart();
    }
    world.beat(beat("m", -1));
    world.stable();
    for _ in 0..2 {
        assert_eq!(world.listed(), [(GroupKind::Classic, GroupState::Stable)]);
        assert_eq!(world.offset("g"), COMMITTED);
        world.restart();
    }
}

#[test]
fn group_with_an_id_given_out_outlives_its_offsets() {
    let mut world = World::new();
    let known_member_required = true;
    let first = GroupCommand::Join(Join {
        known_member_required,
        session_timeout: Duration::from_secs(1_500),
        ..join("")
    });
    let GroupReply::MemberIdRequired(id) = world.ask(first) else { panic!("an id") };
    // Offsets are looked at, of which it has none.
    world.pass(Duration::from_secs(1_300));
    let again = GroupCommand::Join(Join { known_member_required, ..join(&id) });
    assert_eq!(world.step(|groups, turn| groups.handle(turn, Token(3), again)), [], "it joins");
}
