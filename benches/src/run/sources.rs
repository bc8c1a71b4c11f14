//! The connections of a run: who writes which partitions, who reads them from where. Sends nothing but what has to be there before.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use highwater_core::batch::Codec;
use highwater_core::prng::Prng;

use crate::args::{RunArgs, ShapeArgs, TargetArgs};
use crate::failure::Failure;
use crate::frame::{self, BatchShape, FetchBounds, Position};
use crate::load::{Consuming, Heads, Producing, Role, Source};
use crate::setup::{NewTopic, Setup, Target};

/// What is in all batches.
const SEED: u64 = 1;

/// How many choices of a partition are drawn before a run, and made again and again.
const PICKS: usize = 1 << 16;

/// How long a consumer at the end of a log waits for more.
const FETCH_WAIT_MS: i32 = 500;

/// A topic that is ready, and the batch that goes into it.
pub(super) struct Ready {
    pub(super) setup: Setup,
    pub(super) target: Target,
    pub(super) batch: Arc<[u8]>,
}

/// From where to where something is read again and again.
pub(super) type Round = (i64, i64);

/// Where a consumer begins in a partition, and its round there.
type Begin = (Position, Option<Round>);

/// Who reads.
pub(super) struct Readers {
    pub(super) count: usize,
    pub(super) bytes_max: i32,
    pub(super) start: Start,
}

/// Where who reads begins.
pub(super) enum Start {
    AtEnd,
    /// In the round of each partition.
    Rounds(Vec<Round>),
}

/// The batch of a shape.
pub(super) fn batch(shape: &ShapeArgs) -> Result<Arc<[u8]>, Failure> {
    let shape = BatchShape {
        records: shape.batch_records.max(1),
        record_bytes: shape.record_bytes,
        codec: Codec::from(shape.codec),
    };
    Ok(frame::batch(shape, SEED)?.into())
}

impl Ready {
    pub(super) fn new(target: &TargetArgs, shape: &ShapeArgs) -> Result<Self, Failure> {
        let mut setup = Setup::connect(&target.bootstrap)?;
        setup.create(&NewTopic {
            name: &target.topic,
            partitions: target.partitions,
            replication_factor: target.replication_factor,
            configs: Vec::new(),
        })?;
        let found = setup.target(&target.topic)?;
        Ok(Self { setup, target: found, batch: batch(shape)? })
    }

    pub(super) fn producers(&self, args: &RunArgs) -> Result<Vec<Source>, Failure> {
        producers(std::slice::from_ref(&self.target), &self.batch, args)
    }

    /// A consumer for each partition, from its end.
    pub(super) fn followers(&mut self, bytes_max: i32) -> Result<Vec<Source>, Failure> {
        let begins = self.begins(&Start::AtEnd)?;
        let follower = |begin: &Begin| self.consumer(std::slice::from_ref(begin), bytes_max);
        Ok(begins.iter().map(follower).collect())
    }

    /// Consumers, each of all partitions of one broker.
    pub(super) fn readers(&mut self, readers: &Readers) -> Result<Vec<Source>, Failure> {
        let mut led: BTreeMap<SocketAddr, Vec<Begin>> = BTreeMap::new();
        for begin in self.begins(&readers.start)? {
            led.entry(self.leader(begin.0.partition)).or_default().push(begin);
        }
        let brokers: Vec<Vec<Begin>> = led.into_values().collect();
        let reader = |nth: usize| self.consumer(&brokers[nth % brokers.len()], readers.bytes_max);
        Ok((0..readers.count).map(reader).collect())
    }

    /// All of these partitions have one leader.
    fn consumer(&self, begins: &[Begin], bytes_max: i32) -> Source {
        let role = Role::Consumer(Consuming {
            topic: self.target.topic.as_str().into(),
            positions: begins.iter().map(|(position, _)| *position).collect(),
            bounds: FetchBounds { wait_ms: FETCH_WAIT_MS, bytes_max },
            rounds: begins.iter().map(|(_, round)| *round).collect(),
        });
        Source { address: self.leader(begins[0].0.partition), depth: 1, role }
    }

    fn leader(&self, partition: i32) -> SocketAddr {
        self.target.leaders[usize::try_from(partition).expect("not negative")]
    }

    /// Of each partition.
    fn begins(&mut self, start: &Start) -> Result<Vec<Begin>, Failure> {
        let mut begins = Vec::new();
        for (partition, nth) in (0..).zip(0..self.target.leaders.len()) {
            let round = match start {
                Start::AtEnd => None,
                Start::Rounds(rounds) => Some(rounds[nth]),
            };
            let offset = match round {
                Some((offset, _)) => offset,
                None => self.setup.offset(&self.target.topic, partition, -1)?,
            };
            begins.push((Position { partition, offset }, round));
        }
        Ok(begins)
    }

    /// Writes what is to be read. Gives the first and the end offset of each partition.
    pub(super) fn fill(&mut self, mib: u64) -> Result<Vec<Round>, Failure> {
        let bytes = u64::try_from(self.batch.len()).expect("a length fits 64 bits");
        let partitions = u64::try_from(self.target.leaders.len()).expect("a count fits 64 bits");
        let batches = (mib * 1024 * 1024).div_ceil(bytes).div_ceil(partitions);
        let mut rounds = Vec::new();
        for (partition, leader) in (0..).zip(self.target.leaders.clone()) {
            let head = frame::produce_head(&self.target.topic, partition, 1, &self.batch)?;
            let start = self.setup.offset(&self.target.topic, partition, -1)?;
            Setup::connect(&leader.to_string())?.produce(&[head], &self.batch, batches)?;
            rounds.push((start, self.setup.offset(&self.target.topic, partition, -1)?));
        }
        Ok(rounds)
    }
}

/// The beginnings of the requests to all partitions, by the broker that leads them.
pub(super) fn heads(
    targets: &[Target],
    acks: i16,
    batch: &[u8],
) -> Result<BTreeMap<SocketAddr, Heads>, Failure> {
    let mut led: BTreeMap<SocketAddr, Vec<(i32, Vec<u8>)>> = BTreeMap::new();
    for target in targets {
        for (partition, leader) in (0..).zip(&target.leaders) {
            let head = frame::produce_head(&target.topic, partition, acks, batch)?;
            led.entry(*leader).or_default().push((partition, head));
        }
    }
    Ok(led.into_iter().map(|(leader, heads)| (leader, heads.into())).collect())
}

/// The connections that write, each to all partitions of one broker.
pub(super) fn producers(
    targets: &[Target],
    batch: &Arc<[u8]>,
    args: &RunArgs,
) -> Result<Vec<Source>, Failure> {
    let brokers: Vec<(SocketAddr, Heads)> = heads(targets, args.acks, batch)?.into_iter().collect();
    let count = args.target.connections.max(1);
    let source = |nth: usize| {
        let (address, heads) = &brokers[nth % brokers.len()];
        let picks = picks(heads.len(), args.skew, u64::try_from(nth).expect("a count fits 64 bits"));
        let role = Role::Producer(Producing {
            // Each begins elsewhere, so that they do not go from one partition to the next together.
            next: nth * picks.len() / count,
            picks,
            heads: Arc::clone(heads),
            batch: Arc::clone(batch),
            records: args.shape.batch_records.max(1),
        });
        Source { address: *address, depth: args.target.depth.max(1), role }
    };
    Ok((0..count).map(source).collect())
}

/// Partitions in the order in which one source writes to them.
fn picks(partitions: usize, skew: f64, seed: u64) -> Arc<[u32]> {
    let name = |partition: usize| u32::try_from(partition).expect("a topic has fewer partitions");
    if skew <= 0.0 {
        return (0..partitions).map(name).collect();
    }
    let mut sums = Vec::with_capacity(partitions);
    let mut sum = 0.0;
    for partition in 0..partitions {
        sum += f64::from(name(partition) + 1).powf(-skew);
        sums.push(sum);
    }
    let mut prng = Prng::new(seed);
    let mut draw = || {
        let mut bytes = [0; 4];
        prng.fill(&mut bytes);
        let at = f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX) * sum;
        name(sums.partition_point(|end| *end < at).min(partitions - 1))
    };
    (0..PICKS).map(|_| draw()).collect()
}
