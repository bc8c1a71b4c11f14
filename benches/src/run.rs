//! What is measured: the topic is made, the load put together, and what came of it kept. Knows no output.

mod cold;
mod conns;
mod partitions;
mod sources;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::cold::Evictor;
use self::sources::{Readers, Ready, Start};
use crate::args::{CallArgs, CodecArg, FetchArgs, Measure, MixedArgs, RunArgs, ShapeArgs, TargetArgs, nanos};
use crate::cpu::{self, Used};
use crate::environment::{BrokerFacts, Environment};
use crate::failure::Failure;
use crate::groups::{self, Population};
use crate::load::{Calling, Follow, Load, Outcome, Role, Source};
use crate::measure::{Stage, empty};
use crate::print::mib;
use crate::progress::Shown;
use crate::result::{BrokerUse, Extent, RunResult, StageResult, Workload};

/// Of who asks for other things than records: a request is one of its rate.
const NO_RECORDS: ShapeArgs = ShapeArgs { record_bytes: 1, batch_records: 1, codec: CodecArg::None };

/// Bytes of one answer to a consumer that follows a producer.
const FETCH_BYTES: i32 = 1024 * 1024;

/// Does what a command that measures says.
pub(crate) fn measure(command: &Measure) -> Result<RunResult, Failure> {
    match command {
        Measure::Produce(args) => produce(args),
        Measure::Fetch(args) => fetch(args),
        Measure::E2e(args) => e2e(args),
        Measure::Mixed(args) => mixed(args),
        Measure::Commits(args) => commits(args),
        Measure::Heartbeats(args) => heartbeats(args),
        Measure::Conns(args) => conns::measure(args),
        Measure::Partitions(args) => partitions::measure(args),
        Measure::Idle(args) => idle(args),
    }
}

fn produce(args: &RunArgs) -> Result<RunResult, Failure> {
    let ready = Ready::new(&args.target, &args.shape)?;
    let sources = ready.producers(args)?;
    finish("produce", args, &ready.batch, sources)
}

fn e2e(args: &RunArgs) -> Result<RunResult, Failure> {
    let mut ready = Ready::new(&args.target, &args.shape)?;
    let mut sources = ready.producers(args)?;
    if args.target.threads > 1 && sources.iter().any(|source| source.role.partition().is_none()) {
        let why = "a record is followed from end to end by one thread: --threads 1, or one partition";
        return Err(Failure(why.into()));
    }
    sources.extend(ready.followers(FETCH_BYTES)?);
    finish("e2e", args, &ready.batch, sources)
}

fn mixed(args: &MixedArgs) -> Result<RunResult, Failure> {
    let run = &args.run;
    let mut ready = Ready::new(&run.target, &run.shape)?;
    let start = match args.backlog_mib {
        0 => Start::AtEnd,
        mib => Start::Rounds(ready.fill(mib)?),
    };
    let readers = Readers { count: args.consumers.max(1), bytes_max: args.fetch_bytes, start };
    let mut sources = ready.producers(run)?;
    sources.extend(ready.readers(&readers)?);
    let mut result = finish("mixed", run, &ready.batch, sources)?;
    result.workload.extent =
        Extent { loaded_mib: Some(args.backlog_mib), consumers: Some(args.consumers), ..Extent::default() };
    Ok(result)
}

fn fetch(args: &FetchArgs) -> Result<RunResult, Failure> {
    let target = &args.target;
    let mut ready = Ready::new(target, &args.shape)?;
    let mut rounds = ready.fill(args.load_mib)?;
    let evictor = args.cold.then(|| Evictor::begin(target)).transpose()?;
    if args.cold {
        // What was written last may be in the memory of the broker itself.
        rounds.iter_mut().for_each(|(start, end)| *end = *start + (*end - *start) / 2);
    }
    let readers = Readers {
        count: target.connections.max(1),
        bytes_max: args.fetch_bytes,
        start: Start::Rounds(rounds),
    };
    let sources = ready.readers(&readers)?;
    let run = RunArgs { target: target.clone(), shape: args.shape.clone(), rate: None, acks: -1, skew: 0.0 };
    let mut result = finish("fetch", &run, &ready.batch, sources)?;
    let from_disk = result.broker.and_then(|used| used.disk_read_bytes).filter(|_| args.cold);
    if let (Some(from_disk), Some(fetched)) = (from_disk, result.stages.get("fetch")) {
        let percent = float(from_disk) / float(fetched.bytes.max(1)) * 100.0;
        result.figures.insert("read from the disk %".into(), percent);
    }
    result.workload.extent =
        Extent { loaded_mib: Some(args.load_mib), cold: Some(args.cold), ..Extent::default() };
    evictor.map_or(Ok(()), Evictor::end)?;
    Ok(result)
}

/// What a broker uses that nobody asks anything.
fn idle(args: &TargetArgs) -> Result<RunResult, Failure> {
    if args.pids.is_empty() {
        return Err(Failure("an idle broker shows only what its process uses: --pid".into()));
    }
    let mut result = without_load("idle", args);
    cpu::wait_until_idle(&args.pids)?;
    let resting = Resting::watch(args)?;
    result.figures = resting.figures();
    let program: u64 = args.pids.iter().map(|pid| cpu::program_bytes(*pid)).sum::<Result<_, _>>()?;
    result.figures.insert("MB of program".into(), float(program) / 1e6);
    Ok(result)
}

/// A broker at rest.
struct Resting {
    cpu_percent: f64,
    resident_bytes: u64,
    open_files: u64,
}

impl Resting {
    /// For as long as is measured.
    fn watch(target: &TargetArgs) -> Result<Self, Failure> {
        let before = cpu::used(&target.pids)?;
        std::thread::sleep(Duration::from_nanos(nanos(target.seconds)));
        let after = cpu::used(&target.pids)?;
        let cpu_percent = (after.cpu_seconds - before.cpu_seconds) / target.seconds * 100.0;
        let open_files = cpu::open_files(&target.pids)?;
        Ok(Self { cpu_percent, resident_bytes: after.resident_bytes, open_files })
    }

    fn figures(&self) -> BTreeMap<String, f64> {
        BTreeMap::from([
            ("idle CPU %".into(), self.cpu_percent),
            ("idle MiB resident".into(), mib(self.resident_bytes)),
            ("idle open files".into(), float(self.open_files)),
        ])
    }
}

fn float(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let count = count as f64;
    count
}

fn commits(args: &CallArgs) -> Result<RunResult, Failure> {
    let mut ready = Ready::new(&args.target, &NO_RECORDS)?;
    let population = Population::new(args.groups.max(1));
    ready.setup.wait_for_coordinators(&population.names)?;
    call("commits", args, &ready, &population.commits(&ready.target.topic)?)
}

fn heartbeats(args: &CallArgs) -> Result<RunResult, Failure> {
    let mut ready = Ready::new(&args.target, &NO_RECORDS)?;
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
    let mut result = finish(kind, &run, &ready.batch, sources)?;
    result.workload.groups = Some(args.groups);
    Ok(result)
}

fn finish(kind: &str, args: &RunArgs, batch: &[u8], sources: Vec<Source>) -> Result<RunResult, Failure> {
    let target = &args.target;
    let records = f64::from(args.shape.batch_records.max(1));
    let load = Load {
        sources,
        threads: target.threads,
        rate: args.rate.map(|rate| rate / records),
        warmup_nanos: nanos(target.warmup_seconds),
        duration_nanos: nanos(target.seconds),
        follow: if kind == "e2e" { Follow::Batches } else { Follow::Nothing },
        shown: Shown::choose(target.quiet),
    };
    let begun = now_seconds();
    let (before, after) = (Cell::new(Ok(Used::default())), Cell::new(Ok(Used::default())));
    let outcome = load.run(|| before.set(cpu::used(&target.pids)), || after.set(cpu::used(&target.pids)))?;
    let used = if target.pids.is_empty() {
        None
    } else {
        Some(broker_use(before.into_inner()?, after.into_inner()?, &outcome))
    };
    let mut result = without_load(kind, target);
    result.begun = begun;
    result.workload = workload(kind, args, batch.len());
    result.stages = stages(&outcome);
    result.load_late = StageResult::of_latencies(&outcome.late);
    result.in_time = outcome.in_time;
    (result.refused, result.unsent, result.unanswered) =
        (outcome.refused, outcome.unsent, outcome.unanswered);
    result.broker = used;
    Ok(result)
}

/// The result of what sends no load.
pub(crate) fn without_load(kind: &str, target: &TargetArgs) -> RunResult {
    let mut result = unmeasured(kind, target);
    result.environment.broker = BrokerFacts::ask(target);
    result
}

/// A result before anything was asked of anybody.
pub(crate) fn unmeasured(kind: &str, target: &TargetArgs) -> RunResult {
    let run = RunArgs { target: target.clone(), shape: NO_RECORDS, rate: None, acks: -1, skew: 0.0 };
    RunResult {
        schema: RunResult::SCHEMA,
        kind: kind.into(),
        label: target.label.clone().unwrap_or_else(|| target.bootstrap.clone()),
        begun: now_seconds(),
        durability: target.durability,
        workload: workload(kind, &run, 0),
        environment: Environment::of_this_machine(),
        stages: BTreeMap::new(),
        load_late: StageResult::of_latencies(&empty()),
        in_time: 0,
        refused: 0,
        unsent: 0,
        unanswered: 0,
        broker: None,
        figures: BTreeMap::new(),
        standard: None,
        round: None,
    }
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
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
        acks: matches!(kind, "produce" | "e2e" | "mixed").then_some(args.acks),
        partitions: args.target.partitions,
        replication_factor: args.target.replication_factor,
        connections: args.target.connections.max(1),
        depth: args.target.depth,
        skew: args.skew,
        warmup_seconds: args.target.warmup_seconds,
        seconds: args.target.seconds,
        extent: Extent::default(),
    }
}

/// What the broker used for what was done in the measured time, whichever way the bytes went.
fn broker_use(before: Used, after: Used, outcome: &Outcome) -> BrokerUse {
    let count = |of: fn(&Stage) -> u64| {
        float([&outcome.produce, &outcome.fetch, &outcome.call].into_iter().map(of).sum::<u64>())
    };
    let cpu_seconds = after.cpu_seconds - before.cpu_seconds;
    let per = |count: f64| (count > 0.0).then_some(cpu_seconds / count);
    BrokerUse {
        cpu_seconds,
        resident_bytes: after.resident_bytes,
        disk_read_bytes: after
            .disk
            .zip(before.disk)
            .map(|(after, before)| after.read_bytes - before.read_bytes),
        cpu_seconds_per_gb: per(count(|stage| stage.bytes)).map(|each| each * 1e9),
        cpu_seconds_per_million_records: per(count(|stage| stage.records)).map(|each| each * 1e6),
        cpu_micros_per_request: per(count(|stage| stage.whole.len())).unwrap_or(0.0) * 1e6,
    }
}
