//! One full rebalance: of a group whose members all have their partitions one more comes, or one goes, and it is measured until all have
//! theirs again. Members ask often, so that what is measured is the broker and not how seldom it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use highwater_core::wire::ErrorCode;

use super::ask::{self, Owned};
use super::{Member, Population, succeeded};
use crate::args::{Protocol, RebalanceArgs};
use crate::failure::Failure;
use crate::setup::{NewTopic, Setup};

/// How long all members may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a member has, in which generation.
#[derive(Debug, Clone, Default)]
struct Share {
    epoch: i32,
    partitions: BTreeSet<i32>,
}

/// What all members have, as they see it.
#[derive(Debug, Default)]
struct Shares {
    of: BTreeMap<usize, Share>,
    failure: Option<Failure>,
}

/// What the threads of the members share.
#[derive(Debug)]
struct Scene {
    bootstrap: String,
    topic: String,
    group: String,
    partitions: i32,
    pause: Duration,
    shares: Mutex<Shares>,
}

impl Scene {
    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().expect("no member panics with it")
    }

    /// Whether so many members have all partitions between them, none twice.
    fn is_settled(&self, members: usize) -> Result<bool, Failure> {
        let mut shares = self.shares();
        if let Some(failure) = shares.failure.take() {
            return Err(failure);
        }
        let all: Vec<i32> = shares.of.values().flat_map(|share| share.partitions.iter().copied()).collect();
        let distinct: BTreeSet<i32> = all.iter().copied().collect();
        let epochs: BTreeSet<i32> = shares.of.values().map(|share| share.epoch).collect();
        let everything = usize::try_from(self.partitions).unwrap_or(0);
        // Who has come has nothing until the assignment that it came for.
        let all_have = shares.of.values().all(|share| !share.partitions.is_empty());
        Ok(shares.of.len() == members
            && (all_have || everything < members)
            && distinct.len() == everything
            && all.len() == everything
            && epochs.len() == 1)
    }

    fn wait(&self, members: usize, what: &str) -> Result<Duration, Failure> {
        let begun = Instant::now();
        while !self.is_settled(members)? {
            if begun.elapsed() > PATIENCE {
                return Err(Failure(format!("{what}: no assignment after {} s", PATIENCE.as_secs())));
            }
            thread::sleep(Duration::from_micros(200));
        }
        Ok(begun.elapsed())
    }
}

/// A member's thread, and how it is told to go.
struct Seat {
    goes: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Seat {
    fn take(scene: &Arc<Scene>, nth: usize, protocol: Protocol) -> Self {
        let goes = Arc::new(AtomicBool::new(false));
        let (scene, told) = (Arc::clone(scene), Arc::clone(&goes));
        let thread = thread::spawn(move || {
            let lived = match protocol {
                Protocol::Classic => live_classic(&scene, nth, &told),
                Protocol::Consumer => live_consumer(&scene, nth, &told),
            };
            let mut shares = scene.shares();
            shares.of.remove(&nth);
            if let Err(failure) = lived {
                shares.failure.get_or_insert(failure);
            }
        });
        Self { goes, thread }
    }

    fn leave(self) -> Result<(), Failure> {
        self.goes.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| Failure("a member panicked".into()))
    }
}

/// Milliseconds of each rebalance when a member came and when one went.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) join: Vec<Duration>,
    pub(crate) leave: Vec<Duration>,
}

pub(crate) fn measure(bootstrap: &str, args: &RebalanceArgs) -> Result<Times, Failure> {
    let mut setup = Setup::connect(bootstrap)?;
    let topic = format!("rebalance-{}", args.partitions);
    setup.create(&NewTopic {
        name: &topic,
        partitions: args.partitions,
        replication_factor: 1,
        configs: Vec::new(),
    })?;
    setup.target(&topic)?;
    let population = Population::new(1);
    setup.wait_for_coordinators(&population.names)?;
    let scene = Arc::new(Scene {
        bootstrap: bootstrap.into(),
        topic,
        group: population.names[0].clone(),
        partitions: args.partitions,
        pause: Duration::from_millis(args.heartbeat_ms),
        shares: Mutex::default(),
    });
    let members = args.members.max(1);
    let mut seats: Vec<Seat> = (0..members).map(|nth| Seat::take(&scene, nth, args.protocol)).collect();
    scene.wait(members, "at first")?;
    let mut times = Times { join: Vec::new(), leave: Vec::new() };
    for _ in 0..args.times {
        let one = Seat::take(&scene, members, args.protocol);
        times.join.push(scene.wait(members + 1, "when one came")?);
        let begun = Instant::now();
        one.leave()?;
        scene.wait(members, "when one went")?;
        times.leave.push(begun.elapsed());
    }
    for seat in &seats {
        seat.goes.store(true, Ordering::Relaxed);
    }
    seats.drain(..).try_for_each(Seat::leave)?;
    Ok(times)
}

/// A member of the classic protocol: joins, gets its share, and joins again when it is told to.
fn live_classic(scene: &Scene, nth: usize, goes: &AtomicBool) -> Result<(), Failure> {
    let mut setup = Setup::connect(&scene.bootstrap)?;
    let mut member = Member::default();
    while !goes.load(Ordering::Relaxed) {
        let joined = ask::joined(&setup.exchange(&ask::join(&scene.group, &member.id, b"any")?)?)?;
        succeeded("a join", joined.error_code)?;
        let leads = joined.leader == joined.member;
        member = Member { id: joined.member, epoch: joined.generation };
        let assignments = if leads { divided(&joined.members, scene.partitions) } else { Vec::new() };
        let synced = ask::synced(&setup.exchange(&ask::sync(&scene.group, &member, &assignments)?)?)?;
        if synced.error_code == ErrorCode::RebalanceInProgress.code() {
            continue;
        }
        succeeded("a sync", synced.error_code)?;
        let partitions = synced
            .assignment
            .chunks_exact(4)
            .map(|bytes| i32::from_be_bytes(bytes.try_into().expect("four")));
        let share = Share { epoch: member.epoch, partitions: partitions.collect() };
        scene.shares().of.insert(nth, share);
        let beat = ask::heartbeat(&scene.group, &member)?;
        loop {
            thread::sleep(scene.pause);
            if goes.load(Ordering::Relaxed) {
                break;
            }
            let error_code = ask::beaten(&setup.exchange(&beat)?)?;
            if error_code == ErrorCode::RebalanceInProgress.code() {
                break;
            }
            succeeded("a heartbeat", error_code)?;
        }
    }
    scene.shares().of.remove(&nth);
    setup.exchange(&ask::leave(&scene.group, &member)?).map(|_| ())
}

/// As Kafka's range does; a share is its partitions, four bytes each.
fn divided(members: &[String], partitions: i32) -> Vec<(String, Vec<u8>)> {
    let mut sorted = members.to_vec();
    sorted.sort_unstable();
    let count = i32::try_from(sorted.len()).expect("members are few");
    let (each, more) = (partitions / count, partitions % count);
    let mut next = 0;
    let mut shares = Vec::new();
    for (nth, member) in (0..).zip(sorted) {
        let end = next + each + i32::from(nth < more);
        shares.push((member, (next..end).flat_map(i32::to_be_bytes).collect()));
        next = end;
    }
    shares
}

/// A member of the consumer protocol: has at once what it is given, and gives up at once what it is told to.
fn live_consumer(scene: &Scene, nth: usize, goes: &AtomicBool) -> Result<(), Failure> {
    let mut setup = Setup::connect(&scene.bootstrap)?;
    let mut member = Member { id: format!("m{nth}-{:?}", Instant::now()), epoch: 0 };
    let mut news: Option<Owned> = None;
    while !goes.load(Ordering::Relaxed) {
        let topic = (member.epoch == 0).then_some(scene.topic.as_str());
        let request = ask::consumer_heartbeat(&scene.group, &member, topic, news.as_ref())?;
        let beaten = ask::consumer_beaten(&setup.exchange(&request)?)?;
        succeeded("a heartbeat", beaten.error_code)?;
        member.epoch = beaten.epoch;
        let has_news = beaten.assignment.is_some();
        {
            let mut shares = scene.shares();
            let share = shares.of.entry(nth).or_default();
            share.epoch = member.epoch;
            if let Some(assignment) = &beaten.assignment {
                share.partitions = assignment.iter().flat_map(|(_, partitions)| partitions.clone()).collect();
            }
        }
        news = beaten.assignment;
        // What changed is told at once.
        if !has_news {
            thread::sleep(scene.pause);
        }
    }
    scene.shares().of.remove(&nth);
    member.epoch = ask::LEAVE_EPOCH;
    setup.exchange(&ask::consumer_heartbeat(&scene.group, &member, None, None)?).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_is_given_once() {
        let members: Vec<String> = ["c", "a", "b"].map(String::from).into();
        let shares = divided(&members, 7);
        assert_eq!(
            shares.iter().map(|(member, bytes)| (member.as_str(), bytes.len() / 4)).collect::<Vec<_>>(),
            [("a", 3), ("b", 2), ("c", 2)]
        );
        let all: Vec<u8> = shares.into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert_eq!(all, (0..7).flat_map(i32::to_be_bytes).collect::<Vec<u8>>());
    }
}
