//! What is measured: the topic is made, the load put together, and what came of it kept. Knows no output.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use highwater_core::batch::Codec;
use highwater_core::prng::Prng;

use crate::args::{CallArgs, CodecArg, FetchArgs, Measure, RunArgs, ShapeArgs, TargetArgs, nanos};
use crate::cpu::{self, Used};
use crate::failure::Failure;
use crate::frame::{self, BatchShape, FetchBounds, Position};
use crate::groups::{self, Population};
use crate::load::{Calling, Consuming, Heads, Load, Outcome, Producing, Role, Source};
use crate::measure::Stage;
use crate::result::{BrokerUse, Environment, RunResult, StageResult, Workload};
use crate::setup::{NewTopic, Setup, Target};

/// What is in all batches.
const SEED: u64 = 1;

/// How many choices of a partition are drawn before a run, and made again and again.
const PICKS: usize = 1 << 16;

/// Of who asks for other things than records: a request is one of its rate.
const NO_RECORDS: ShapeArgs = ShapeArgs { record_bytes: 1, batch_records: 1, codec: CodecArg::None };

/// How long a consumer at the end of a log waits for more.
const FETCH_WAIT_MS: i32 = 500;

/// Bytes of one answer to a consumer that follows a producer.
const FETCH_BYTES: i32 = 1024 * 1024;

/// Does what a command that measures says.
pub(crate) fn measure(command: &Measure) -> Result<RunResult, Failure> {
    match command {
        Measure::Produce(args) => produce(args),
        Measure::Fetch(args) => fetch(args),
        Measure::E2e(args) => e2e(args),
        Measure::Commits(args) => commits(args),
        Measure::Heartbeats(args) => heartbeats(args),
    }
}

/// A topic that is ready, and the batch that goes into it.
struct Ready {
    setup: Setup,
    target: Target,
    batch: Arc<[u8]>,
}

fn ready(target: &TargetArgs, shape: &ShapeArgs) -> Result<Ready, Failure> {
    let mut setup = Setup::connect(&target.bootstrap)?;
    setup.create(&NewTopic {
        name: &target.topic,
        partitions: target.partitions,
        replication_factor: target.replication_factor,
        configs: Vec::new(),
    })?;
    let found = setup.target(&target.topic)?;
    let shape = BatchShape {
        records: shape.batch_records.max(1),
        record_bytes: shape.record_bytes,
        codec: Codec::from(shape.codec),
    };
    Ok(Ready { setup, target: found, batch: frame::batch(shape, SEED)?.into() })
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

/// The connections that write, each to all partitions of one broker.
fn producers(ready: &Ready, args: &RunArgs) -> Result<Vec<Source>, Failure> {
    let target = &ready.target;
    let mut brokers: Vec<SocketAddr> = target.leaders.clone();
    brokers.sort_unstable();
    brokers.dedup();
    let mut heads: BTreeMap<SocketAddr, Heads> = BTreeMap::new();
    for broker in &brokers {
        let led = (0..).zip(&target.leaders).filter(|(_, leader)| *leader == broker);
        let head = |(partition, _): (i32, _)| {
            let head = frame::produce_head(&target.topic, partition, args.acks, &ready.batch)?;
            Ok((partition, head))
        };
        heads.insert(*broker, led.map(head).collect::<Result<Vec<_>, Failure>>()?.into());
    }
    let source = |nth: usize| {
        let address = brokers[nth % brokers.len()];
        let heads = Arc::clone(&heads[&address]);
        let seed = u64::try_from(nth).expect("a count fits 64 bits");
        let role = Role::Producer(Producing {
            picks: picks(heads.len(), args.skew, seed),
            next: nth,
            heads,
            batch: Arc::clone(&ready.batch),
            records: args.shape.batch_records.max(1),
        });
        Source { address, depth: args.target.depth.max(1), role }
    };
    Ok((0..args.target.connections.max(1)).map(source).collect())
}

/// A consumer for each partition, from its end.
fn followers(ready: &mut Ready) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    let topic: Arc<str> = ready.target.topic.as_str().into();
    for (partition, address) in (0..).zip(ready.target.leaders.clone()) {
        let offset = ready.setup.offset(&topic, partition, -1)?;
        let role = Role::Consumer(Consuming {
            topic: Arc::clone(&topic),
            positions: vec![Position { partition, offset }],
            bounds: FetchBounds { wait_ms: FETCH_WAIT_MS, bytes_max: FETCH_BYTES },
            rounds: None,
        });
        sources.push(Source { address, depth: 1, role });
    }
    Ok(sources)
}

fn produce(args: &RunArgs) -> Result<RunResult, Failure> {
    let ready = ready(&args.target, &args.shape)?;
    let sources = producers(&ready, args)?;
    finish("produce", args, &ready, sources)
}

fn e2e(args: &RunArgs) -> Result<RunResult, Failure> {
    let mut ready = ready(&args.target, &args.shape)?;
    let mut sources = producers(&ready, args)?;
    if args.target.threads > 1 && sources.iter().any(|source| source.role.partition().is_none()) {
        let why = "a record is followed from end to end by one thread: --threads 1, or one partition";
        return Err(Failure(why.into()));
    }
    sources.extend(followers(&mut ready)?);
    finish("e2e", args, &ready, sources)
}

fn fetch(args: &FetchArgs) -> Result<RunResult, Failure> {
    let mut ready = ready(&args.target, &args.shape)?;
    let rounds = fill(&mut ready, args)?;
    let topic: Arc<str> = ready.target.topic.as_str().into();
    let mut led: BTreeMap<SocketAddr, Vec<i32>> = BTreeMap::new();
    for (partition, leader) in (0..).zip(&ready.target.leaders) {
        led.entry(*leader).or_default().push(partition);
    }
    let brokers: Vec<(SocketAddr, Vec<i32>)> = led.into_iter().collect();
    let bounds = FetchBounds { wait_ms: FETCH_WAIT_MS, bytes_max: args.fetch_bytes };
    let source = |nth: usize| {
        let (address, partitions) = &brokers[nth % brokers.len()];
        let of = |partition: &i32| rounds[usize::try_from(*partition).expect("not negative")];
        let begin = |partition: &i32| Position { partition: *partition, offset: of(partition).0 };
        let role = Role::Consumer(Consuming {
            topic: Arc::clone(&topic),
            positions: partitions.iter().map(begin).collect(),
            bounds,
            rounds: Some(partitions.iter().map(of).collect()),
        });
        Source { address: *address, depth: 1, role }
    };
    let sources = (0..args.target.connections.max(1)).map(source).collect();
    let run =
        RunArgs { target: args.target.clone(), shape: args.shape.clone(), rate: None, acks: -1, skew: 0.0 };
    finish("fetch", &run, &ready, sources)
}

fn commits(args: &CallArgs) -> Result<RunResult, Failure> {
    let mut ready = ready(&args.target, &NO_RECORDS)?;
    let population = Population::new(args.groups.max(1));
    ready.setup.wait_for_coordinators(&population.names)?;
    call("commits", args, &ready, &population.commits(&ready.target.topic)?)
}

fn heartbeats(args: &CallArgs) -> Result<RunResult, Failure> {
    let mut ready = ready(&args.target, &NO_RECORDS)?;
    let mut population = Population::new(args.groups.max(1));
    let topic = ready.target.topic.clone();
    population.join(&mut ready.setup, &topic, args.protocol)?;
    let result = call("heartbeats", args, &ready, &population.heartbeats(args.protocol)?)?;
    population.leave(&mut ready.setup, args.protocol)?;
    Ok(result)
}

/// All coordinators are on the node that is asked first.
fn call(kind: &str, args: &CallArgs, ready: &Ready, calling: &Calling) -> Result<RunResult, Failure> {
    let source = |nth: usize| Source {
        address: ready.target.leaders[0],
        depth: args.target.depth.max(1),
        role: Role::Caller(groups::shared(calling, args, nth)),
    };
    let sources = (0..args.target.connections.max(1)).map(source).collect();
    let run =
        RunArgs { target: args.target.clone(), shape: NO_RECORDS, rate: args.rate, acks: -1, skew: 0.0 };
    let mut result = finish(kind, &run, ready, sources)?;
    result.workload.groups = Some(args.groups);
    Ok(result)
}

/// Writes what is to be read. Gives the first and the end offset of each partition.
fn fill(ready: &mut Ready, args: &FetchArgs) -> Result<Vec<(i64, i64)>, Failure> {
    let bytes = u64::try_from(ready.batch.len()).expect("a length fits 64 bits");
    let partitions = u64::try_from(ready.target.leaders.len()).expect("a count fits 64 bits");
    let batches = (args.load_mib * 1024 * 1024).div_ceil(bytes).div_ceil(partitions);
    let mut rounds = Vec::new();
    for (partition, leader) in (0..).zip(ready.target.leaders.clone()) {
        let head = frame::produce_head(&ready.target.topic, partition, 1, &ready.batch)?;
        let start = ready.setup.offset(&ready.target.topic, partition, -1)?;
        Setup::connect(&leader.to_string())?.produce(&head, &ready.batch, batches)?;
        rounds.push((start, ready.setup.offset(&ready.target.topic, partition, -1)?));
    }
    Ok(rounds)
}

fn finish(kind: &str, args: &RunArgs, ready: &Ready, sources: Vec<Source>) -> Result<RunResult, Failure> {
    let target = &args.target;
    let records = f64::from(args.shape.batch_records.max(1));
    let load = Load {
        sources,
        threads: target.threads,
        rate: args.rate.map(|rate| rate / records),
        warmup_nanos: nanos(target.warmup_seconds),
        duration_nanos: nanos(target.seconds),
    };
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (before, after) = (Cell::new(Ok(Used::default())), Cell::new(Ok(Used::default())));
    let outcome = load.run(|| before.set(cpu::used(&target.pids)), || after.set(cpu::used(&target.pids)))?;
    let used = if target.pids.is_empty() {
        None
    } else {
        Some(broker_use(before.into_inner()?, after.into_inner()?, &outcome))
    };
    Ok(RunResult {
        schema: RunResult::SCHEMA,
        kind: kind.into(),
        label: target.label.clone().unwrap_or_else(|| target.bootstrap.clone()),
        begun,
        durability: target.durability,
        workload: workload(kind, args, ready.batch.len()),
        environment: Environment::of_this_machine(),
        stages: stages(&outcome),
        load_late: StageResult::of_latencies(&outcome.late),
        refused: outcome.refused,
        unsent: outcome.unsent,
        unanswered: outcome.unanswered,
        broker: used,
    })
}

fn stages(outcome: &Outcome) -> BTreeMap<String, StageResult> {
    let stages: [(&str, &Stage); 4] = [
        ("produce_ack", &outcome.produce),
        ("fetch", &outcome.fetch),
        ("end_to_end", &outcome.end_to_end),
        ("call", &outcome.call),
    ];
    let happened = stages.into_iter().filter(|(_, stage)| !stage.whole.is_empty());
    happened.map(|(name, stage)| (name.to_owned(), StageResult::of(stage))).collect()
}

fn workload(kind: &str, args: &RunArgs, batch_bytes: usize) -> Workload {
    Workload {
        rate: args.rate,
        record_bytes: args.shape.record_bytes,
        batch_records: args.shape.batch_records.max(1),
        batch_bytes,
        groups: None,
        codec: args.shape.codec,
        acks: matches!(kind, "produce" | "e2e").then_some(args.acks),
        partitions: args.target.partitions,
        replication_factor: args.target.replication_factor,
        connections: args.target.connections.max(1),
        depth: args.target.depth,
        skew: args.skew,
        warmup_seconds: args.target.warmup_seconds,
        seconds: args.target.seconds,
    }
}

/// What the broker used for what was done in the measured time, whichever way the bytes went.
fn broker_use(before: Used, after: Used, outcome: &Outcome) -> BrokerUse {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let count = |of: fn(&Stage) -> u64| {
        [&outcome.produce, &outcome.fetch, &outcome.call].into_iter().map(of).sum::<u64>() as f64
    };
    let cpu_seconds = after.cpu_seconds - before.cpu_seconds;
    let per = |count: f64| (count > 0.0).then_some(cpu_seconds / count);
    BrokerUse {
        cpu_seconds,
        resident_bytes: after.resident_bytes,
        cpu_seconds_per_gb: per(count(|stage| stage.bytes)).map(|each| each * 1e9),
        cpu_seconds_per_million_records: per(count(|stage| stage.records)).map(|each| each * 1e6),
        cpu_micros_per_request: per(count(|stage| stage.whole.len())).unwrap_or(0.0) * 1e6,
    }
}
