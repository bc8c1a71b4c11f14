//! `failover`: the broker that leads is killed; told is how long no write was acknowledged.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use highwater_core::batch::Codec;

use super::{ANSWER_PATIENCE, PATIENCE, until_done};
use crate::args::{FailoverArgs, TargetArgs};
use crate::broker::Broker;
use crate::failure::Failure;
use crate::frame::{self, BatchShape, produce_head, produced};
use crate::groups::succeeded;
use crate::print;
use crate::result::RunResult;
use crate::rounds::spread;
use crate::run::without_load;
use crate::setup::{NewTopic, Setup};

const TOPIC: &str = "failover";

const BATCH: BatchShape = BatchShape { records: 1, record_bytes: 100, codec: Codec::None };

pub(crate) fn run(args: &FailoverArgs) -> Result<ExitCode, Failure> {
    let mut brokers = Broker::start_all(&args.targets, &args.dir)?;
    let addresses: Vec<String> = brokers.iter().map(Broker::bootstrap).collect();
    let batch = frame::batch(BATCH, 1)?;
    let write = [produce_head(TOPIC, 0, args.acks, &batch)?, batch].concat();
    let replication_factor = i16::try_from(brokers.len()).map_err(|_| Failure("too many brokers".into()))?;
    let topic = NewTopic { name: TOPIC, partitions: 1, replication_factor, configs: Vec::new() };
    until_done(&addresses, |setup| setup.create(&topic))?;
    let mut outages = Vec::new();
    for _ in 0..args.times.max(1) {
        wait_until_whole(&addresses)?;
        until_done(&addresses, |setup| write_to_leader(setup, &write))?;
        let outage = outage(&mut brokers, &addresses, &write)?;
        println!("no write was acknowledged for {:.1} ms", outage.as_secs_f64() * 1e3);
        outages.push(outage.as_secs_f64() * 1e3);
    }
    let result = result(&brokers, outages);
    print::result(&result);
    args.out.as_ref().map_or(Ok(()), |path| result.write(path))?;
    Ok(ExitCode::SUCCESS)
}

fn result(brokers: &[Broker], outages: Vec<f64>) -> RunResult {
    let mut target = TargetArgs::default();
    brokers[0].describe(&mut target);
    target.replication_factor = i16::try_from(brokers.len()).unwrap_or(i16::MAX);
    let mut result = without_load("failover", &target);
    let longest = outages.iter().copied().fold(0.0, f64::max);
    result.figures.insert("longest ms without a write".into(), longest);
    result.figures.extend(spread(outages).map(|spread| ("ms without a write".into(), spread.median)));
    result
}

/// Where the partition is led is asked anew each time, as a client does that lost its leader.
fn write_to_leader(setup: &mut Setup, write: &[u8]) -> Result<(), Failure> {
    let target = setup.find(TOPIC)?.ok_or_else(|| Failure("nobody leads".into()))?;
    let mut leader = Setup::try_connect(&target.leaders[0].to_string(), ANSWER_PATIENCE)?;
    let answer = leader.exchange(write)?;
    succeeded("a batch", produced(&answer)?.error_code)
}

fn wait_until_whole(addresses: &[String]) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    for address in addresses {
        while !Setup::connect(address)?.target(TOPIC)?.is_whole {
            if Instant::now() > until {
                return Err(Failure(format!("not all copies of {TOPIC} come in sync")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// From the kill to the first write that anybody acknowledges. Afterwards all run again.
fn outage(brokers: &mut [Broker], addresses: &[String], write: &[u8]) -> Result<Duration, Failure> {
    let leader = Setup::connect(&addresses[0])?.target(TOPIC)?.leaders[0].port();
    let alone = brokers.len() == 1;
    let broker = brokers.iter_mut().find(|broker| broker.port() == leader);
    let broker =
        broker.ok_or_else(|| Failure(format!("no broker that was started leads on port {leader}")))?;
    let begun = Instant::now();
    broker.kill()?;
    if alone {
        broker.start_again()?;
    }
    until_done(addresses, |setup| write_to_leader(setup, write))?;
    let outage = begun.elapsed();
    if !alone {
        broker.start_again()?;
    }
    Ok(outage)
}
