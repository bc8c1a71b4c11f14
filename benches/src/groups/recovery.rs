//! How long a broker takes, after kill -9, until all its groups can be asked again.

use std::time::{Duration, Instant};

use super::{Population, ask, succeeded};
use crate::args::RecoveryArgs;
use crate::broker::Broker;
use crate::cpu;
use crate::failure::Failure;
use crate::setup::{NewTopic, Setup};

/// Partitions in one request, so that writing them does not take hours.
const COMMITS_PER_REQUEST: usize = 100;

const TOPIC: &str = "recovery";

#[derive(Debug)]
pub(crate) struct Recovered {
    /// From the start of the process until it answers at all.
    pub(crate) first_answer: Duration,
    /// Until the offsets of every group were read.
    pub(crate) all_groups: Duration,
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
}

/// Writes the commits, then ends the broker and starts it again so many times.
pub(crate) fn measure(broker: &mut Broker, args: &RecoveryArgs) -> Result<Vec<Recovered>, Failure> {
    let population = Population::new(args.groups.max(1));
    let mut setup = Setup::connect(&broker.bootstrap())?;
    let partitions = i32::try_from(COMMITS_PER_REQUEST).expect("a hundred");
    setup.create(&NewTopic { name: TOPIC, partitions, replication_factor: 1, configs: Vec::new() })?;
    setup.target(TOPIC)?;
    setup.wait_for_coordinators(&population.names)?;
    write(&mut setup, &population, args.commits)?;
    drop(setup);
    (0..args.times).map(|_| recover(broker, &population, args)).collect()
}

fn write(setup: &mut Setup, population: &Population, commits: usize) -> Result<(), Failure> {
    let partitions: Vec<i32> = (0..).take(COMMITS_PER_REQUEST).collect();
    let requests = commits.div_ceil(COMMITS_PER_REQUEST);
    let names = population.names.iter().cycle().take(requests);
    let mut offset = 0;
    let commit = |name: &String| {
        offset += 1;
        ask::commit(name, TOPIC, &partitions, offset)
    };
    let commits = names.map(commit).collect::<Result<Vec<_>, _>>()?;
    setup.exchange_all(&commits, |_, frame| succeeded("a commit", ask::committed(frame)?))
}

fn recover(broker: &mut Broker, population: &Population, args: &RecoveryArgs) -> Result<Recovered, Failure> {
    broker.kill()?;
    let begun = Instant::now();
    broker.start_again()?;
    let mut setup = Setup::connect(&broker.bootstrap())?;
    let first_answer = begun.elapsed();
    setup.wait_for_coordinators(&population.names)?;
    let all_groups = begun.elapsed();
    let used = cpu::used(&[broker.pid()])?;
    let fetches = population.names.iter().map(|name| ask::offsets(name)).collect::<Result<Vec<_>, _>>()?;
    let mut found = 0;
    setup.exchange_all(&fetches, |_, frame| {
        found += ask::offsets_count(frame)?.1;
        Ok(())
    })?;
    let requests = args.commits.div_ceil(COMMITS_PER_REQUEST);
    let expected = requests.min(population.names.len()) * COMMITS_PER_REQUEST;
    if found != expected {
        return Err(Failure(format!("{found} offsets are there of {expected} that were acknowledged")));
    }
    Ok(Recovered {
        first_answer,
        all_groups,
        cpu_seconds: used.cpu_seconds,
        resident_bytes: used.resident_bytes,
    })
}
