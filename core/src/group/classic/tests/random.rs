//! Members that do whatever members may do, and more, in any order.

use super::*;

#[derive(Debug, Default)]
struct Actor {
    instance: Option<String>,
    member: String,
    join: Option<Token>,
    sync: Option<Token>,
    joined: Option<Joined>,
}

struct Crowd {
    host: Host,
    /// Draws what happens, apart from what the group draws.
    dice: Prng,
    actors: Vec<Actor>,
    asked: Vec<Token>,
    /// Of each generation since the broker started.
    leaders: BTreeMap<i32, String>,
    stable: usize,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut dice = Prng::keyed(seed, 1);
        let mut host = Host::seeded(seed);
        if dice.below(3) == 0 {
            host.settings.size_max = 3;
        }
        let actor = |index: u64| Actor {
            instance: (index.is_multiple_of(2)).then(|| index.to_string()),
            ..Actor::default()
        };
        let actors = (0..5).map(actor).collect();
        Self { host, dice, actors, asked: Vec::new(), leaders: BTreeMap::new(), stable: 0 }
    }

    fn join(&mut self, index: usize) {
        let actor = &self.actors[index];
        let names: &[&str] =
            if self.dice.below(8) == 0 { &["sticky", "range"] } else { &["range", "sticky"] };
        let join = Join {
            member: actor.member.clone(),
            instance: actor.instance.clone(),
            protocols: protocols(names, &["topic"]),
            known_member_required: self.dice.below(4) > 0,
            can_skip_assignment: self.dice.below(4) > 0,
            session_timeout: Duration::from_secs(6 + self.dice.below(10)),
            rebalance_timeout: Duration::from_secs(self.dice.below(30)),
            ..join("actor")
        };
        if self.host.group.is_none() && !join.member.is_empty() {
            return;
        }
        let token = self.host.join(join);
        self.asked.push(token);
        self.actors[index].join = Some(token);
    }

    fn sync(&mut self, index: usize) {
        let actor = &self.actors[index];
        let Some(joined) = &actor.joined else { return };
        let mut sync = Sync { instance: actor.instance.clone(), ..sync(joined) };
        if self.dice.below(20) == 0 {
            sync.generation -= 1;
        }
        let token = self.host.sync(sync);
        self.asked.push(token);
        self.actors[index].sync = Some(token);
    }

    /// Takes what was answered.
    fn hear(&mut self, index: usize) {
        let actor = &mut self.actors[index];
        let of = |token: &mut Option<Token>, host: &Host| {
            let reply = host.answers.get(token.as_ref()?)?.0.clone();
            *token = None;
            Some(reply)
        };
        let replies = [of(&mut actor.join, &self.host), of(&mut actor.sync, &self.host)];
        for reply in replies.into_iter().flatten() {
            if let GroupReply::Joined(joined) = reply {
                if !joined.members.is_empty() && !joined.skip_assignment {
                    assert_eq!(joined.leader, joined.member);
                    let leader = self.leaders.entry(joined.generation).or_insert(joined.leader.clone());
                    assert_eq!(*leader, joined.leader, "a generation has one leader");
                }
                actor.member.clone_from(&joined.member);
                actor.joined = Some(joined);
            } else if let GroupReply::Synced(synced) = reply {
                assert!(!synced.assignment.is_empty());
                if actor.instance.is_none() {
                    assert_eq!(synced.assignment, actor.member.as_bytes(), "the assignment of another one");
                }
            } else if let GroupReply::MemberIdRequired(id) = reply {
                actor.member = id;
            } else {
                let GroupReply::Failed(error) = reply else { panic!("{reply:?}") };
                if matches!(error, GroupError::UnknownMember | GroupError::FencedInstance) {
                    actor.member = String::new();
                }
                actor.joined = None;
            }
        }
    }

    fn live(&mut self, index: usize) {
        self.hear(index);
        let is_waiting = self.actors[index].join.is_some() || self.actors[index].sync.is_some();
        if is_waiting && self.dice.below(10) > 0 {
            return;
        }
        if self.host.group.is_none() {
            return self.join(index);
        }
        match (self.dice.below(20), &self.actors[index].joined) {
            (0..3, _) | (_, None) => self.join(index),
            (3..10, Some(_)) => self.sync(index),
            (10, Some(_)) => {
                let actor = core::mem::take(&mut self.actors[index]);
                self.host.leave(vec![Leaving { instance: actor.instance.clone(), ..leaving(&actor.member) }]);
                self.actors[index].instance = actor.instance;
            }
            (11, Some(_)) => self.crash(index),
            (_, Some(joined)) => {
                let instance = self.actors[index].instance.clone();
                let reply = self.host.heartbeat(&Heartbeat { instance, ..heartbeat(joined) });
                if reply == GroupReply::Failed(GroupError::RebalanceInProgress) {
                    self.join(index);
                } else if reply != GroupReply::Done {
                    self.actors[index].member = String::new();
                    self.actors[index].joined = None;
                }
            }
        }
    }

    /// The member starts anew.
    fn crash(&mut self, index: usize) {
        let actor = core::mem::take(&mut self.actors[index]);
        self.actors[index].instance = actor.instance;
    }

    fn restart(&mut self) {
        for token in &self.asked {
            if !self.host.is_answered(*token) {
                self.host.forgotten.insert(*token);
            }
        }
        for actor in &mut self.actors {
            (actor.join, actor.sync) = (None, None);
        }
        self.leaders.clear();
        self.host.restart();
    }

    fn step(&mut self) {
        let index = usize::try_from(self.dice.below(5)).unwrap();
        match self.dice.below(200) {
            0 => self.crash(index),
            1 if self.host.group.is_some() => self.restart(),
            2 if self.host.group.is_some() => self.host.pass(Duration::from_secs(30)),
            3..80 if self.host.group.is_some() => {
                let time = Duration::from_millis(self.dice.below(3_000));
                self.host.pass(time);
            }
            _ => self.live(index),
        }
        if self.host.group.is_some() && self.host.state() == GroupState::Stable {
            self.stable += 1;
            let members = self.host.described().members;
            assert!(
                members.iter().all(|member| !member.assignment.is_empty()),
                "a member without assignment"
            );
        }
    }

    fn end(&mut self) {
        self.host.pass(Duration::from_secs(100_000));
        assert_eq!(self.host.state(), GroupState::Empty, "all sessions have ended");
        assert_eq!(self.host.group().deadline(), None);
        assert!(self.host.group().pending.is_empty() && self.host.group().sessions.is_empty());
        for token in &self.asked {
            let is_settled = self.host.is_answered(*token) || self.host.forgotten.contains(token);
            assert!(is_settled, "{token:?} waits for ever");
        }
    }
}

#[test]
fn a_group_holds_whatever_its_members_do() {
    let (mut stable, mut generations) = (0, 0);
    for seed in 0..500 {
        let mut crowd = Crowd::new(seed);
        for _ in 0..400 {
            crowd.step();
        }
        crowd.end();
        stable += crowd.stable;
        generations += crowd.host.group().generation;
    }
    assert!(stable > 10_000 && generations > 5_000, "{stable} stable steps, {generations} generations");
}
