//! `restart`: a broker with data is killed and started again, or begins with nothing; told is when it takes a record, gives one, and has
//! taken one for each of its partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use highwater_core::batch::Codec;

use super::{PATIENCE, until_done};
use crate::args::{RestartArgs, TargetArgs, TargetSpec};
use crate::broker::Broker;
use crate::cpu;
use crate::failure::Failure;
use crate::frame::{self, BatchShape, FetchBounds, Position, fetched, produce_head};
use crate::groups::succeeded;
use crate::print::{self, mib};
use crate::result::{Extent, RunResult};
use crate::rounds::spread;
use crate::run::without_load;
use crate::setup::{NewTopic, Setup};

const TOPIC: &str = "restart";

/// What is written to be there, and what is written to see whether it can be.
const LOADED: BatchShape = BatchShape { records: 64, record_bytes: 1_024, codec: Codec::None };
const ASKED: BatchShape = BatchShape { records: 1, record_bytes: 100, codec: Codec::None };

const FETCH_BYTES: i32 = 1_024 * 1_024;

/// What is asked of a broker that has just started.
struct Questions {
    partitions: i32,
    /// A batch for each partition.
    writes: Vec<Vec<u8>>,
}

pub(crate) fn run(args: &RestartArgs) -> Result<ExitCode, Failure> {
    if args.out.is_some() && args.targets.len() > 1 {
        return Err(Failure("--out is for one --target".into()));
    }
    for spec in &args.targets {
        let result = measure(spec, args, &args.dir)?;
        print::result(&result);
        args.out.as_ref().map_or(Ok(()), |path| result.write(path))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Of an empty broker the medians over all times. Of one with data the first time alone: the others find it in the order in which a
/// start leaves it, and are only printed.
pub(crate) fn measure(spec: &TargetSpec, args: &RestartArgs, dir: &Path) -> Result<RunResult, Failure> {
    let mut broker = Broker::start(spec, dir)?;
    let questions = Questions::new(args.partitions.max(1))?;
    let is_empty = args.gib <= 0.0;
    let mut written = 0;
    if !is_empty {
        written = questions.fill(&broker.bootstrap(), args.gib)?;
    }
    let mut times: Vec<BTreeMap<&str, f64>> = Vec::new();
    for _ in 0..args.times.max(1) {
        broker.kill()?;
        if is_empty {
            broker.empty()?;
            written = 0;
        }
        let told = questions.ask(&mut broker)?;
        written += 1 + i64::from(questions.partitions);
        questions.audit(&broker.bootstrap(), written)?;
        let words: Vec<String> = told.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
        println!("{}: {}", spec.name, words.join(", "));
        if is_empty || times.is_empty() {
            times.push(told);
        }
    }
    let mut target = TargetArgs { partitions: questions.partitions, ..TargetArgs::default() };
    broker.describe(&mut target);
    let mut result = without_load("restart", &target);
    let names: BTreeSet<&str> = times.iter().flat_map(BTreeMap::keys).copied().collect();
    for name in names {
        let values = times.iter().filter_map(|told| told.get(name).copied()).collect();
        result.figures.extend(spread(values).map(|spread| (name.to_owned(), spread.median)));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it fits on a disk")]
    let loaded_mib = Some((args.gib.max(0.0) * 1024.0) as u64);
    result.workload.extent = Extent { loaded_mib, ..Extent::default() };
    Ok(result)
}

impl Questions {
    fn new(partitions: i32) -> Result<Self, Failure> {
        let batch = frame::batch(ASKED, 1)?;
        let write = |partition| Ok([produce_head(TOPIC, partition, -1, &batch)?, batch.clone()].concat());
        Ok(Self { partitions, writes: (0..partitions).map(write).collect::<Result<_, Failure>>()? })
    }

    fn create(&self, setup: &mut Setup) -> Result<(), Failure> {
        let partitions = self.partitions;
        setup.create(&NewTopic { name: TOPIC, partitions, replication_factor: 1, configs: Vec::new() })
    }

    /// Gives the records that were acknowledged.
    fn fill(&self, bootstrap: &str, gib: f64) -> Result<i64, Failure> {
        let mut setup = Setup::connect(bootstrap)?;
        self.create(&mut setup)?;
        setup.target(TOPIC)?;
        setup.produce_each(self.writes.clone(), PATIENCE)?;
        let batch = frame::batch(LOADED, 2)?;
        let head = |partition| produce_head(TOPIC, partition, -1, &batch);
        let heads = (0..self.partitions).map(head).collect::<Result<Vec<_>, Failure>>()?;
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let batches = gib * 1024.0 * 1024.0 * 1024.0 / batch.len() as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it fits on a disk")]
        let batches = batches.ceil() as u32;
        setup.produce(&heads, &batch, u64::from(batches))?;
        Ok(i64::from(self.partitions) + i64::from(batches) * i64::from(LOADED.records))
    }

    /// Starts the broker and counts from there.
    fn ask(&self, broker: &mut Broker) -> Result<BTreeMap<&'static str, f64>, Failure> {
        let mut told = BTreeMap::new();
        let begun = Instant::now();
        broker.start_again()?;
        told.insert("listens after s", begun.elapsed().as_secs_f64());
        let addresses = [broker.bootstrap()];
        until_done(&addresses, |setup| {
            let mut code = self.write_first(setup)?;
            if code != 0 {
                // Nobody has made it yet where all is empty.
                self.create(setup)?;
                code = self.write_first(setup)?;
            }
            succeeded("a batch", code)
        })?;
        told.insert("first write after s", begun.elapsed().as_secs_f64());
        until_done(&addresses, read_first)?;
        told.insert("first read after s", begun.elapsed().as_secs_f64());
        Setup::connect(&addresses[0])?.produce_each(self.writes.clone(), PATIENCE)?;
        told.insert("each partition written after s", begun.elapsed().as_secs_f64());
        let used = cpu::used(&[broker.pid()])?;
        told.insert("CPU-s until then", used.cpu_seconds);
        told.insert("MiB resident then", mib(used.resident_bytes));
        Ok(told)
    }

    fn write_first(&self, setup: &mut Setup) -> Result<i16, Failure> {
        Ok(frame::produced(&setup.exchange(&self.writes[0])?)?.error_code)
    }

    /// Whether all records are there that were acknowledged.
    fn audit(&self, bootstrap: &str, written: i64) -> Result<(), Failure> {
        let mut setup = Setup::connect(bootstrap)?;
        let mut found = 0;
        for partition in 0..self.partitions {
            found += setup.offset(TOPIC, partition, -1)?;
        }
        if found < written {
            return Err(Failure(format!("{found} records are there of {written} that were acknowledged")));
        }
        Ok(())
    }
}

/// The first record of the first partition.
fn read_first(setup: &mut Setup) -> Result<(), Failure> {
    let offset = setup.offset(TOPIC, 0, -2)?;
    let bounds = FetchBounds { wait_ms: 1, bytes_max: FETCH_BYTES };
    let answer = setup.exchange(&frame::fetch(TOPIC, &[Position { partition: 0, offset }], bounds)?)?;
    let mut bytes = 0;
    fetched(&answer, |batch| bytes += batch.bytes)?;
    if bytes == 0 {
        return Err(Failure("nothing was read".into()));
    }
    Ok(())
}
