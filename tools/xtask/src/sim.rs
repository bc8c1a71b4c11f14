//! The simulator's batches: those of the step `sim`, for every commit, and those of a night. It knows which of them must run and how
//! each must end, not what they find.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::process::{command, target_directory};
use crate::steps::{Output, cargo};

/// One call of the simulator, as words.
type Batch = &'static str;

/// What must be clean for every commit.
const STEP: [Batch; 16] = [
    "check --seeds 1..101 --profile smoke --jobs 2",
    "check --seeds 1..16 --profile default --jobs 2",
    "check --seeds 1..16 --profile disk --jobs 2",
    "check --seeds 1..16 --profile power --jobs 2",
    "check --seeds 1..16 --profile load --jobs 2",
    "check --seeds 1..31 --profile compact --jobs 2",
    "check --seeds 1..31 --profile days --jobs 2",
    "check --seeds 1..41 --profile groups --jobs 2",
    "check --seeds 1..51 --profile smoke --tier t1 --jobs 2",
    "run --seeds 1..101 --profile smoke --rot --jobs 2",
    "run --seeds 1..51 --profile disk --rot --jobs 2",
    "scenarios",
    "sweep --workload 0 --every 7",
    "sweep --workload 8 --every 29",
    "model --replicas 3",
    "model --rule all",
];

/// And inside madsim.
const STEP_MAD: [Batch; 3] = [
    "sandbox --seeds 1..51 --profile smoke --jobs 2",
    "sandbox --seeds 1..51 --profile smoke --tier t1 --jobs 2",
    "mad --seeds 1..11 --profile smoke --jobs 2",
];

/// What is run by two builds, in two processes, and must leave the same fingerprints.
const TWICE: [Batch; 2] = [
    "run --seeds 1..51 --profile smoke --format json --jobs 2",
    "run --seeds 1..51 --profile smoke --tier t1 --format json --jobs 2",
];

/// A planted bug that a few seeds must find, or the batches above prove nothing.
const CANARY: Batch = "run --mutant ack-on-running-flush --profile smoke --seeds 1..20";

/// The batches of a night, besides those of the step.
const NIGHT: [Batch; 28] = [
    "run --seeds 1..3001 --profile smoke --jobs 2 --keep-going",
    "run --seeds 1..3001 --profile default --jobs 2 --keep-going --require-marks",
    "run --seeds 1..3001 --profile disk --jobs 2 --keep-going --require-marks",
    "run --seeds 1..3001 --profile power --jobs 2 --keep-going",
    "run --seeds 1..3001 --profile load --jobs 2 --keep-going --require-marks",
    "run --seeds 1..3001 --profile compact --jobs 2 --keep-going",
    "run --seeds 1..3001 --profile days --jobs 2 --keep-going",
    "run --seeds 1..3001 --profile calm --jobs 2 --keep-going",
    "run --seeds 1..3001 --profile groups --jobs 2 --keep-going",
    "run --seeds 1..501 --profile smoke --tier t1 --jobs 2 --keep-going",
    "run --seeds 1..3001 --profile smoke --rot --jobs 2 --keep-going",
    "run --seeds 1..3001 --profile disk --rot --jobs 2 --keep-going",
    "run --seeds 1..3001 --profile power --rot --jobs 2 --keep-going",
    "run --seeds 1..3001 --profile compact --rot --jobs 2 --keep-going",
    "mutants",
    "sweep --workload 0",
    "sweep --workload 1",
    "sweep --workload 2",
    "sweep --workload 3",
    "sweep --workload 4",
    "sweep --workload 5",
    "sweep --workload 6",
    "sweep --workload 7",
    "sweep --workload 8",
    "sweep --workload 9",
    "model",
    "model --rule all",
    "model --walks 20000 --steps 400",
];

/// How a batch must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Clean,
    /// Exit code 1: a run found something. Neither a crash nor a command that is not understood will do.
    Found,
}

/// The two builds of the simulator.
#[derive(Debug)]
struct Sims<'a> {
    root: &'a Path,
    plain: PathBuf,
    mad: PathBuf,
}

/// Builds the simulator and runs what every commit must pass.
pub(crate) fn step(root: &Path, output: Output) -> Result<(), String> {
    let sims = Sims::build(root, output)?;
    for batch in STEP {
        sims.batch(&sims.plain, batch)?;
    }
    sims.canary()?;
    for batch in STEP_MAD {
        sims.batch(&sims.mad, batch)?;
    }
    TWICE.into_iter().try_for_each(|batch| sims.twice(batch))
}

/// Builds the simulator and runs all that takes hours. It goes on after a failure, so that a morning shows all of them.
pub(crate) fn nightly(root: &Path) -> Result<(), String> {
    let sims = Sims::build(root, Output::Plain)?;
    let mut failures = Vec::new();
    for batch in NIGHT {
        failures.extend(sims.batch(&sims.plain, batch).err());
    }
    failures.extend(sims.canary().err());
    for batch in STEP_MAD {
        failures.extend(sims.batch(&sims.mad, batch).err());
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

impl<'a> Sims<'a> {
    fn build(root: &'a Path, output: Output) -> Result<Self, String> {
        let target = target_directory()?;
        let base = ["build", "--profile", "sim", "--locked", "-p", "highwater-sim"];
        timed("build", || {
            let mut build = cargo(root, output, &base);
            crate::process::run(build.args(["--features", "mutants"]).arg("--target-dir").arg(&target))
        })?;
        let mad_target = target.join("madsim");
        timed("build for madsim", || {
            let mut build = cargo(root, output, &base);
            build.args(["--config", "build.rustflags=['--cfg','madsim']", "--target-dir"]).arg(&mad_target);
            // They would take the place of those above.
            build.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
            crate::process::run(&mut build)
        })?;
        let binary = "sim/highwater-sim";
        Ok(Self { root, plain: target.join(binary), mad: mad_target.join(binary) })
    }

    fn command(&self, sim: &Path, batch: Batch) -> Command {
        let words: Vec<&str> = batch.split(' ').collect();
        command(self.root, sim, &words)
    }

    fn batch(&self, sim: &Path, batch: Batch) -> Result<(), String> {
        timed(batch, || {
            let status = self.command(sim, batch).status();
            let status = status.map_err(|error| format!("cannot run {}: {error}", sim.display()))?;
            judge(status.code(), Wanted::Clean).map_err(|why| format!("{why}: highwater-sim {batch}"))
        })
    }

    /// The planted bug must be found. What is printed about it is shown only if it is not: a failure that is wanted
    /// would be taken for the one that is looked for in a long output.
    fn canary(&self) -> Result<(), String> {
        timed(CANARY, || {
            let output = self.command(&self.plain, CANARY).output();
            let output = output.map_err(|error| format!("cannot run {}: {error}", self.plain.display()))?;
            judge(output.status.code(), Wanted::Found).map_err(|why| {
                let printed = [output.stdout, output.stderr].concat();
                format!("{}{why}: highwater-sim {CANARY}", String::from_utf8_lossy(&printed))
            })
        })
    }

    /// Two builds in two processes must have run the same runs.
    fn twice(&self, batch: Batch) -> Result<(), String> {
        timed(batch, || {
            let (plain, mad) = (self.fingerprints(&self.plain, batch)?, self.fingerprints(&self.mad, batch)?);
            same(&plain, &mad).map_err(|why| format!("{why}: highwater-sim {batch}"))
        })
    }

    fn fingerprints(&self, sim: &Path, batch: Batch) -> Result<Vec<String>, String> {
        let output = self.command(sim, batch).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("cannot run {}: {error}", sim.display()))?;
        judge(output.status.code(), Wanted::Clean).map_err(|why| format!("{why}: highwater-sim {batch}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(fingerprint).collect())
    }
}

fn timed(what: &str, act: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    println!("--- {what}");
    let began = Instant::now();
    let ended = act();
    println!("--- {:.1} s", began.elapsed().as_secs_f64());
    ended
}

fn judge(code: Option<i32>, wanted: Wanted) -> Result<(), String> {
    match (wanted, code) {
        (Wanted::Clean, Some(0)) | (Wanted::Found, Some(1)) => Ok(()),
        (Wanted::Clean, Some(code)) => Err(format!("exit code {code}")),
        (Wanted::Found, Some(0)) => Err("a planted bug was not found".to_owned()),
        (Wanted::Found, Some(code)) => Err(format!("exit code {code} where a planted bug is found with 1")),
        (Wanted::Clean | Wanted::Found, None) => Err("ended by a signal".to_owned()),
    }
}

/// Of a line of JSON: its seed and its fingerprint.
fn fingerprint(line: &str) -> String {
    let field = |name: &str| {
        let start = line.find(&format!("\"{name}\":")).map_or(line.len(), |at| at + name.len() + 3);
        let end = line[start..].find([',', '}']).map_or(line.len(), |at| start + at);
        &line[start..end]
    };
    format!("seed {}: {}", field("seed"), field("fingerprint"))
}

fn same(one: &[String], other: &[String]) -> Result<(), String> {
    if one.is_empty() || one.len() != other.len() {
        return Err(format!("{} seeds in one process, {} in the other", one.len(), other.len()));
    }
    match one.iter().zip(other).find(|(one, other)| one != other) {
        None => Ok(()),
        Some((one, other)) => Err(format!("two processes differ: {one}, {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canary_must_be_found_and_by_no_other_exit() {
        assert!(judge(Some(1), Wanted::Found).is_ok() && judge(Some(0), Wanted::Clean).is_ok());
        for (code, wanted) in [
            (Some(0), Wanted::Found),
            (Some(2), Wanted::Found),
            (None, Wanted::Found),
            (Some(1), Wanted::Clean),
            (None, Wanted::Clean),
        ] {
            assert!(judge(code, wanted).is_err(), "{code:?} {wanted:?}");
        }
    }

    #[test]
    fn fingerprints_are_compared_by_seed() {
        let line = |print: &str| {
            fingerprint(&format!(
                "{{\"seed\":7,\"seed_string\":\"7@x\",\"fingerprint\":\"{print}\",\"steps\":3}}"
            ))
        };
        assert_eq!(line("0a"), "seed 7: \"0a\"");
        assert!(same(&[line("0a")], &[line("0a")]).is_ok());
        assert!(same(&[line("0a")], &[line("0b")]).unwrap_err().contains("seed 7"));
        assert!(same(&[line("0a")], &[]).is_err() && same(&[], &[]).is_err(), "nothing proves nothing");
    }
}
