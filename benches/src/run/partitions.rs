//! `partitions`: what many of them cost while nobody writes to them, and what a producer pays that writes to all and not to one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::sources::{batch, heads, producers};
use super::{Resting, finish, float, produce};
use crate::args::{PartitionsArgs, ShapeArgs, TargetArgs};
use crate::cpu;
use crate::failure::Failure;
use crate::result::{Extent, RunResult};
use crate::rounds::figures;
use crate::setup::{NewTopic, Setup, Target};

/// Partitions that are asked for in one request, if no topic has more: some brokers take no more than 10,000.
const CREATED_AT_ONCE: usize = 2_000;

/// How long it may take until the last partition has taken its first batch.
const PATIENCE: Duration = Duration::from_secs(3_600);

pub(super) fn measure(args: &PartitionsArgs) -> Result<RunResult, Failure> {
    let target = &args.run.target;
    // What one partition needs and does is what all are compared with, and fills the broker's own buffers.
    let mut alone = args.run.clone();
    cpu::wait_until_idle(&target.pids)?;
    alone.target.partitions = 1;
    alone.target.topic = format!("{}-one", target.topic);
    let one = produce(&alone)?;
    cpu::wait_until_idle(&target.pids)?;
    let before = cpu::used(&target.pids)?;
    let files_before = cpu::open_files(&target.pids)?;

    let mut setup = Setup::connect(&target.bootstrap)?;
    let begun = Instant::now();
    let targets = create(&mut setup, args)?;
    let created = begun.elapsed().as_secs_f64();
    let mut told = BTreeMap::from([("partitions created in s".to_owned(), created)]);
    let count: usize = targets.iter().map(|target| target.leaders.len()).sum();
    let count = float(u64::try_from(count).expect("a count fits 64 bits"));
    let rest = |told: &mut BTreeMap<String, f64>, state: &str| {
        cpu::wait_until_idle(&target.pids)?;
        let resting = Resting::watch(target)?;
        let more = float(resting.resident_bytes) - float(before.resident_bytes);
        told.insert(format!("B per {state} partition"), more / count);
        let files = float(resting.open_files) - float(files_before);
        told.insert(format!("open files per {state} partition"), files / count);
        told.insert(format!("idle CPU % with {state} partitions"), resting.cpu_percent);
        Ok::<(), Failure>(())
    };
    let is_watched = !target.pids.is_empty();
    if is_watched {
        rest(&mut told, "empty")?;
    }
    let begun = Instant::now();
    write_to_each(&targets)?;
    told.insert("first batch to each in s".into(), begun.elapsed().as_secs_f64());
    if is_watched {
        rest(&mut told, "written")?;
    }
    let batch = batch(&args.run.shape)?;
    let sources = producers(&targets, &batch, &args.run)?;
    let mut result = finish("partitions", &args.run, &batch, sources)?;
    told.extend(against(&one, &result));
    result.figures = told;
    result.workload.extent = Extent { topics: Some(args.topics), ..Extent::default() };
    Ok(result)
}

/// The same figures of a run over one partition, and what was lost against it.
fn against(one: &RunResult, all: &RunResult) -> BTreeMap<String, f64> {
    let mut told = BTreeMap::new();
    let all = figures(all);
    for alone in figures(one) {
        let spread = all.iter().find(|figure| figure.name == alone.name);
        if alone.name == "produce_ack requests/s" {
            // All is lost where nothing was acknowledged.
            let kept = spread.map_or(0.0, |spread| spread.value / alone.value);
            told.insert("throughput lost %".into(), (1.0 - kept) * 100.0);
        }
        told.insert(format!("{} of one partition", alone.name), alone.value);
    }
    told
}

/// Topics of like size. Gives all when each partition has a leader.
fn create(setup: &mut Setup, args: &PartitionsArgs) -> Result<Vec<Target>, Failure> {
    let TargetArgs { topic, partitions, replication_factor, .. } = &args.run.target;
    let topics = args.topics.clamp(1, usize::try_from(*partitions).unwrap_or(1).max(1));
    let names: Vec<String> = (0..topics).map(|nth| format!("{topic}-{nth}")).collect();
    let all = usize::try_from(*partitions).unwrap_or(1);
    let size = |nth: usize| all * (nth + 1) / topics - all * nth / topics;
    let new = names.iter().enumerate().map(|(nth, name)| NewTopic {
        name,
        partitions: i32::try_from(size(nth)).expect("not more than all"),
        replication_factor: *replication_factor,
        configs: Vec::new(),
    });
    let new: Vec<NewTopic<'_>> = new.collect();
    let at_once = (CREATED_AT_ONCE * topics / all.max(1)).max(1);
    new.chunks(at_once).try_for_each(|topics| setup.create_all(topics))?;
    names.iter().map(|name| setup.target(name)).collect()
}

/// A small batch to each partition, until all have acknowledged one: some brokers name a leader before it leads.
fn write_to_each(targets: &[Target]) -> Result<(), Failure> {
    let shape = ShapeArgs { record_bytes: 100, batch_records: 1, codec: crate::args::CodecArg::None };
    let batch: Arc<[u8]> = batch(&shape)?;
    for (leader, heads) in heads(targets, -1, &batch)? {
        let requests = heads.iter().map(|(_, head)| [head.as_slice(), &batch].concat()).collect();
        Setup::connect(&leader.to_string())?.produce_each(requests, PATIENCE)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::empty;
    use crate::result::StageResult;
    use crate::run::unmeasured;

    fn run(requests: u64) -> RunResult {
        let mut latencies = empty();
        (0..requests).for_each(|_| latencies.saturating_record(1_000));
        let mut result = unmeasured("partitions", &TargetArgs::default());
        result.stages.insert("produce_ack".into(), StageResult::of_latencies(&latencies));
        result
    }

    #[test]
    fn what_is_lost_is_a_share_of_what_one_partition_takes() {
        let told = against(&run(1_000), &run(800));
        assert!((told["throughput lost %"] - 20.0).abs() < 1e-9, "{told:?}");
        assert!((told["produce_ack requests/s of one partition"] - 100.0).abs() < 1e-9, "in ten seconds");
        let nothing = against(&run(1_000), &unmeasured("partitions", &TargetArgs::default()));
        assert!((nothing["throughput lost %"] - 100.0).abs() < 1e-9, "{nothing:?}");
    }
}
