//! `conns`: what connections cost that do nothing, and what others pay for their being there.

use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Resting, float, produce, without_load};
use crate::args::ConnsArgs;
use crate::cpu;
use crate::failure::Failure;
use crate::result::{Extent, RunResult};
use crate::setup::Setup;

/// Files that this program needs beside the idle connections.
const OTHER_FILES: u64 = 1_000;

pub(super) fn measure(args: &ConnsArgs) -> Result<RunResult, Failure> {
    let target = &args.run.target;
    let count = u64::try_from(args.idle_connections).expect("a count fits 64 bits");
    allow_files(count + OTHER_FILES)?;
    let open = || {
        let mut idle = Setup::connect(&target.bootstrap)?;
        idle.greet()?;
        Ok(idle)
    };
    // What the first of all needs is not the price of the others, nor what the broker needs to tell of itself.
    let first: Setup = open()?;
    let mut result = without_load("conns", target);
    cpu::wait_until_idle(&target.pids)?;
    let before = cpu::used(&target.pids)?;
    let begun = Instant::now();
    let idle = (0..args.idle_connections).map(|_| open()).collect::<Result<Vec<Setup>, Failure>>()?;
    let seconds = begun.elapsed().as_secs_f64();
    let opened = cpu::used(&target.pids)?;
    cpu::wait_until_idle(&target.pids)?;
    result.figures.insert("connections opened in s".into(), seconds);
    if !target.pids.is_empty() {
        let resting = Resting::watch(target)?;
        let more = float(resting.resident_bytes) - float(before.resident_bytes);
        result.figures.extend(resting.figures());
        result.figures.insert("B per idle connection".into(), more / float(count.max(1)));
        let cpu_seconds = opened.cpu_seconds - before.cpu_seconds;
        result.figures.insert("CPU-us per opening".into(), cpu_seconds * 1e6 / float(count.max(1)));
    }
    if args.with_load {
        let figures = result.figures;
        result = RunResult { kind: "conns".into(), figures, ..produce(&args.run)? };
    }
    result.workload.extent = Extent { idle_connections: Some(args.idle_connections), ..Extent::default() };
    drop((first, idle));
    Ok(result)
}

/// As many as are needed, if the system lets a user say so.
fn allow_files(needed: u64) -> Result<(), Failure> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let current = Some(maximum.map_or(needed, |maximum| maximum.min(needed)));
    setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    Err(Failure(format!("{needed} open files are needed and {maximum:?} are allowed: ulimit -Hn")))
}
