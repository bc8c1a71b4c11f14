//! A member of a group: reads what it is given and commits how far it has come, leaves and comes back, stands still, crashes. Must
//! not know how members agree.

use std::collections::BTreeMap;

use highwater_core::client::{
    ClientError, ClientEvent, GroupConfig, MemberEvent, MemberProtocol, OffsetToCommit, Token, TopicPartition,
};
use highwater_core::id::Offset;
use highwater_core::time::{Duration, Instant};
use highwater_core::wire::ErrorCode;

use super::Desk;
use super::consumer::on_fetch_failed;
use super::fetching::{Partitions, take_fetched};
use super::session::{Next, Task, Turn};
use crate::checker::Committer;
use crate::draw::Draw;
use crate::history::{Act, Fact, Member as Fellow, Place, Process, Share, Sought};
use crate::params::{Exit, MemberSpec, TopicParams};

/// How often it looks whether it is done.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long a member that was turned away waits.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// What a member may be told that does nothing wrong: another has its name, or all of its group expired while it was silent.
const TURNS_AWAY: [ErrorCode; 3] =
    [ErrorCode::FencedInstanceId, ErrorCode::UnreleasedInstanceId, ErrorCode::GroupIdNotFound];

/// Where it stands with its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Outside,
    In,
    Leaving,
    Done,
}

/// A member of a group.
#[derive(Debug)]
pub(super) struct Member {
    node: usize,
    spec: MemberSpec,
    /// What it joined with last.
    config: GroupConfig,
    /// All that its group reads.
    partitions: Partitions,
    standing: Standing,
    /// What it was last told that it is in.
    epoch: i32,
    /// What others know that it has.
    told: Option<Share>,
    /// Up to where it has read.
    positions: BTreeMap<Place, i64>,
    tokens: u64,
    /// How often it was given something in this life.
    given: u32,
    next_at: Instant,
    stalled_until: Instant,
    vanished: bool,
    /// Why the run must not end yet.
    lacks: Option<String>,
}

impl Member {
    pub(super) fn new(node: usize, spec: MemberSpec, topics: &[TopicParams]) -> Self {
        let of_group =
            topics.iter().enumerate().filter(|(_, topic)| spec.config.topics.contains(&topic.name));
        let places = of_group
            .flat_map(|(topic, params)| (0..params.partitions).map(move |index| Place { topic, index }));
        let places: Vec<Place> = places.collect();
        Self {
            node,
            partitions: Partitions::new(&places, topics),
            config: spec.config.clone(),
            spec,
            standing: Standing::Outside,
            epoch: -1,
            told: None,
            positions: BTreeMap::new(),
            tokens: 0,
            given: 0,
            next_at: Instant::default(),
            stalled_until: Instant::default(),
            vanished: false,
            lacks: Some("it has not begun".to_owned()),
        }
    }

    /// Says what it has, if that has changed.
    fn tell(&mut self, turn: &mut Turn<'_, '_>) {
        // Where both protocols meet, what was given may still grow in a generation.
        let agrees = self.config.protocol != MemberProtocol::Consumer && !self.spec.is_mixed;
        let share = Share {
            group: self.config.group.clone(),
            generation: agrees.then_some(self.epoch),
            instance: self.config.instance.clone(),
            places: turn.client.owned().filter_map(|partition| self.partitions.place(partition)).collect(),
        };
        if self.told.as_ref() != Some(&share) {
            self.told = Some(share.clone());
            let act = Act::Has { at: turn.desk.now, session: self.spec.session, share };
            let (node, process) = (self.node, turn.process);
            turn.desk.history.record(Fact::Member(Fellow { node, process, act }));
        }
    }

    fn gone(&mut self, process: Process, desk: &mut Desk<'_>) {
        self.told = None;
        self.epoch = -1;
        self.positions.clear();
        desk.history.record(Fact::Member(Fellow { node: self.node, process, act: Act::Gone }));
    }

    fn leave(&mut self, turn: &mut Turn<'_, '_>) {
        if self.standing == Standing::In {
            self.standing = Standing::Leaving;
            turn.client.leave_group(turn.desk.clocks());
        }
    }

    fn commit(&mut self, turn: &mut Turn<'_, '_>) {
        let metadata = Committer { process: turn.process, given: self.given }.text();
        let commit = |(place, next): (&Place, &i64)| OffsetToCommit {
            metadata: metadata.clone(),
            ..OffsetToCommit::new(self.partitions.partition(*place), Offset(*next))
        };
        let offsets: Vec<OffsetToCommit> = self.positions.iter().map(commit).collect();
        if !offsets.is_empty() {
            self.tokens += 1;
            if !turn.client.commit(turn.desk.clocks(), Token(self.tokens), offsets) {
                turn.desk.operations.add("commit-full");
            }
        }
    }

    /// What it wants next while there are faults.
    fn choose(&mut self, turn: &mut Turn<'_, '_>) -> Next {
        if turn.desk.now < self.next_at {
            return Next::At(self.next_at);
        }
        self.next_at = turn.desk.after(turn.prng.micros(1_000, self.spec.pause_micros_max));
        if self.standing == Standing::Outside {
            self.join(turn);
        }
        if turn.prng.chance(self.spec.leave_per_million) {
            turn.desk.operations.add("member-leaves");
            self.leave(turn);
        }
        if turn.prng.chance(self.spec.stall_per_million) {
            turn.desk.operations.add("member-stalls");
            self.stalled_until = turn.desk.now + turn.prng.micros(50_000, 3_000_000);
            self.next_at = self.next_at.max(self.stalled_until);
        }
        if self.spec.delay_per_million > 0 && turn.prng.chance(self.spec.delay_per_million) {
            return self.delay(turn);
        }
        if turn.prng.chance(self.spec.crash_per_million) { Next::Crash } else { Next::At(self.next_at) }
    }

    /// What it says from now on is late, and soon it says it elsewhere too.
    fn delay(&mut self, turn: &mut Turn<'_, '_>) -> Next {
        turn.desk.operations.add("member-delayed");
        self.commit(turn);
        if turn.prng.chance(200_000) {
            self.leave(turn);
        }
        let cut = turn.prng.micros(100, 100_000);
        self.next_at = turn.desk.now;
        Next::Delay { cut, late: turn.prng.micros(1_000, 4_000_000) }
    }

    /// The leader of a classic group that comes back to what it assigned before does not see what topics came meanwhile, and
    /// neither does Kafka's: such a group begins when they are there.
    fn join(&mut self, turn: &mut Turn<'_, '_>) {
        let changes = self.spec.other.as_deref().filter(|_| turn.prng.coin());
        if changes.is_some() {
            turn.desk.operations.add("protocol-changed");
        }
        self.config = changes.unwrap_or(&self.spec.config).clone();
        let is_classic = self.config.protocol != MemberProtocol::Consumer;
        if is_classic && !self.partitions.places().all(|place| turn.desk.history.is_made(place.topic)) {
            return;
        }
        self.standing = Standing::In;
        turn.client.join_group(turn.desk.clocks(), self.config.clone());
    }

    /// What it does once the faults have ended: all that its group reads must come to be read.
    fn finish(&mut self, turn: &mut Turn<'_, '_>) {
        let stays = match self.spec.exit {
            Exit::Leaves => false,
            Exit::Stays | Exit::Vanishes => !turn.desk.closing,
            Exit::Last => true,
        };
        match self.standing {
            Standing::Outside if stays => self.join(turn),
            Standing::Outside => self.standing = Standing::Done,
            Standing::In if !stays => self.leave(turn),
            Standing::In | Standing::Leaving | Standing::Done => {}
        }
        self.lacks = match (self.standing, self.spec.exit) {
            (Standing::Done, _) => None,
            (Standing::In, Exit::Stays | Exit::Vanishes) => self.unread(turn),
            (Standing::In, Exit::Last) => {
                let reads = |partition| turn.client.position(partition).is_some();
                let lacking = self.partitions.iter().find(|(_, partition)| !reads(partition));
                lacking.map(|(place, _)| format!("the last member does not read {place:?}"))
            }
            (standing, _) => Some(format!("a member is {standing:?}")),
        };
        if self.lacks.is_none() && self.spec.exit == Exit::Last {
            self.leave(turn);
        }
    }

    /// What nobody in the group has.
    fn unread(&self, turn: &Turn<'_, '_>) -> Option<String> {
        let shares: Vec<&Share> = turn.desk.history.shares(&self.config.group).collect();
        let lacking = self.partitions.places().find(|place| !shares.iter().any(|s| s.places.contains(place)));
        lacking.map(|place| format!("nobody in {} has {place:?}", self.config.group))
    }

    fn on_member(&mut self, event: MemberEvent, turn: &mut Turn<'_, '_>) {
        match event {
            MemberEvent::Assigned { epoch, partitions } => {
                turn.desk.operations.add("assigned");
                self.epoch = epoch;
                self.given += 1;
                self.seek(&partitions, turn);
            }
            MemberEvent::Revoked { partitions, .. } => {
                turn.desk.operations.add("revoked");
                if turn.prng.chance(self.spec.commit_per_million) {
                    self.commit(turn);
                }
                self.forget(&partitions);
            }
            MemberEvent::Lost { partitions, .. } => {
                turn.desk.operations.add("lost");
                self.forget(&partitions);
            }
            MemberEvent::Committed { results, .. } => {
                let failed = results.iter().any(|(_, result)| result.is_err());
                turn.desk.operations.add(if failed { "commit-refused" } else { "committed" });
            }
            MemberEvent::Failed { error } => {
                turn.desk.operations.add("member-failed");
                if !TURNS_AWAY.map(ClientError::Broker).contains(&error) {
                    turn.desk.complain("groups", format!("a member is turned away: {error:?}"));
                }
                self.gone(turn.process, turn.desk);
                self.standing = Standing::Outside;
                self.next_at = turn.desk.now + TRY_AGAIN;
            }
            MemberEvent::Left => {
                turn.desk.operations.add("left");
                self.gone(turn.process, turn.desk);
                let done = turn.desk.draining;
                self.standing = if done { Standing::Done } else { Standing::Outside };
            }
        }
    }

    fn seek(&mut self, partitions: &[TopicPartition], turn: &mut Turn<'_, '_>) {
        for partition in partitions {
            match self.partitions.place(partition) {
                Some(place) => {
                    let process = turn.process;
                    turn.desk.history.record(Fact::Sought(Sought { process, place }));
                }
                None => turn.desk.complain("groups", format!("{partition:?} was never asked for")),
            }
        }
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        for place in partitions.iter().filter_map(|partition| self.partitions.place(partition)) {
            self.positions.remove(&place);
        }
    }
}

impl Task for Member {
    fn go_on(&mut self, turn: &mut Turn<'_, '_>) -> Next {
        if matches!(self.standing, Standing::In | Standing::Leaving) {
            self.tell(turn);
        }
        if !turn.desk.draining {
            return self.choose(turn);
        }
        if self.standing == Standing::Done {
            self.lacks = None;
            return Next::Idle;
        }
        if turn.desk.closing && self.spec.exit == Exit::Vanishes {
            self.vanished = true;
            return Next::Crash;
        }
        if turn.desk.now >= self.next_at {
            self.next_at = turn.desk.now + LOOK_AGAIN;
            self.finish(turn);
        }
        Next::At(self.next_at)
    }

    fn on_event(&mut self, event: ClientEvent, turn: &mut Turn<'_, '_>) {
        match event {
            ClientEvent::Fetched(fetched) => match self.partitions.place(&fetched.partition) {
                Some(place) => {
                    take_fetched(place, &fetched, turn);
                    self.positions.insert(place, fetched.next.0);
                    if turn.prng.chance(self.spec.commit_per_million) {
                        self.commit(turn);
                    }
                }
                None => turn.desk.complain("client", format!("{fetched:?} was never assigned")),
            },
            ClientEvent::FetchFailed { partition, error } => match self.partitions.place(&partition) {
                Some(place) if error == ClientError::Broker(ErrorCode::OffsetOutOfRange) => {
                    // It goes on elsewhere, and where it was tells nothing any more.
                    self.positions.remove(&place);
                    self.seek(&[partition], turn);
                }
                Some(place) => on_fetch_failed(place, error, turn.desk),
                None => turn.desk.complain("client", format!("{partition:?} was never assigned")),
            },
            ClientEvent::Member(event) => self.on_member(event, turn),
            ClientEvent::Produced { .. } | ClientEvent::Answered { .. } => {
                turn.desk.complain("client", format!("a member is told {event:?}"));
            }
        }
    }

    fn on_crash(&mut self, process: Process, desk: &mut Desk<'_>) {
        self.gone(process, desk);
        self.standing = if self.vanished { Standing::Done } else { Standing::Outside };
    }

    fn unfinished(&self) -> Option<String> {
        self.lacks.clone()
    }

    fn stalled_until(&self) -> Instant {
        self.stalled_until
    }
}
