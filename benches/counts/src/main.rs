//! Recorded traffic, replayed into the core under callgrind: how many instructions each kind of request takes, which neither a clock
//! nor another load can change. Measures what the core does, and neither sockets nor disks.

mod answers;
mod counted;
mod disk;
mod gate;
mod pack;
mod replay;
mod transcript;

use std::fmt;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use highwater_core::wire::ApiKey;
use highwater_io::record::Recording;

use crate::pack::Choice;
use crate::replay::{Answers, Outcomes};
use crate::transcript::Transcript;

/// As in the broker: what allocations cost is a good part of what requests do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where a fetch finds its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// In memory, always: nothing may come from the disk.
    Memory,
    /// On the disk, each of them.
    Disk,
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// The file with its traffic.
    transcript: &'static str,
    pub(crate) memory_bytes: usize,
    pub(crate) reads: Reads,
}

const MIB: usize = 1 << 20;

const USUAL: Workload = Workload { name: "", transcript: "", memory_bytes: 512 * MIB, reads: Reads::Memory };

/// What is counted. `fetch-cold` is asked the first of what `fetch-tail` is, but a quarter of the memory is for the tails of logs, and it
/// has so little that they are on the disk only.
pub(crate) const WORKLOADS: [Workload; 8] = [
    Workload { name: "produce-64k", transcript: "produce-64k", ..USUAL },
    Workload { name: "produce-unbatched", transcript: "produce-unbatched", ..USUAL },
    Workload { name: "fetch-tail", transcript: "fetch-tail", ..USUAL },
    Workload { name: "fetch-cold", transcript: "fetch-cold", memory_bytes: 128 * MIB, reads: Reads::Disk },
    Workload { name: "fetch-follow", transcript: "follow", ..USUAL },
    Workload { name: "metadata", transcript: "metadata", ..USUAL },
    Workload { name: "list-offsets", transcript: "list-offsets", ..USUAL },
    Workload { name: "offset-commit", transcript: "offset-commit", ..USUAL },
];

/// Why a command could not be carried out, in words for whoever typed it.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Instructions per request, by replaying recorded traffic into the core.
#[derive(Debug, Parser)]
#[command(name = "highwater-counts", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Counts all workloads under callgrind and compares them with what is kept; exits with 1 where one is off.
    Gate {
        /// Keeps what was counted instead.
        #[arg(long)]
        update: bool,
        /// Only workloads whose names contain this.
        #[arg(long)]
        only: Option<String>,
        /// Where callgrind's profiles go, for callgrind_annotate.
        #[arg(long, default_value = "target/counts")]
        profiles: PathBuf,
    },
    /// Replays one workload, as it is run under callgrind; several times to be profiled by other means.
    Replay {
        name: String,
        #[arg(long)]
        times: Option<u32>,
    },
    /// Makes a transcript of what a broker recorded that was built with the feature `record`.
    Pack {
        recording: PathBuf,
        transcript: PathBuf,
        /// The API, by its name, whose requests count.
        #[arg(long)]
        api: String,
        /// How many of them go before.
        #[arg(long, default_value_t = 0)]
        skip: usize,
        #[arg(long)]
        count: usize,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Gate { update, only, profiles } => {
            let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.toml");
            let update = if update { gate::Kept::Replaced } else { gate::Kept::Compared };
            gate::run(&gate::Gate { kept: &kept, update, only: only.as_deref(), profiles: &profiles })
        }
        Command::Replay { name, times } => {
            let workload = WORKLOADS.iter().find(|workload| workload.name == name);
            let workload =
                workload.ok_or_else(|| Failure(format!("no workload `{name}`; there are {}", names())))?;
            times.map_or_else(|| replay_once(workload), |times| replay_often(workload, times))
        }
        Command::Pack { recording, transcript, api, skip, count } => {
            let key = ApiKey::ALL.iter().find(|key| key.name() == api);
            let key = key.ok_or_else(|| Failure(format!("no API `{api}`")))?;
            let choice = Choice { api: key.code(), skip, count };
            let file = File::open(&recording).map_err(|error| at(&recording, &error))?;
            let read = Recording::read(&mut BufReader::new(file)).map_err(|error| at(&recording, &error))?;
            let packed = pack::pack(&read, choice)?.encode();
            fs::write(&transcript, &packed).map_err(|error| at(&transcript, &error))?;
            println!("{} bytes", packed.len());
            Ok(())
        }
    }
}

fn names() -> String {
    WORKLOADS.map(|workload| workload.name).join(", ")
}

fn at(path: &Path, error: &std::io::Error) -> Failure {
    Failure(format!("{}: {error}", path.display()))
}

fn load(workload: &Workload) -> Result<Transcript, Failure> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts").join(workload.transcript);
    let bytes = fs::read(&path).map_err(|error| at(&path, &error))?;
    Transcript::decode(&bytes).map_err(|error| Failure(format!("{}: {error}", path.display())))
}

/// Replays and looks at the answers: a broker that does not what it is asked must not look cheap.
fn checked(workload: &Workload, transcript: &Transcript) -> Result<Outcomes, Failure> {
    let outcomes = replay::replay(workload, transcript, Answers::Checked)?;
    let Outcomes { requests, things, reads, .. } = outcomes;
    let is_answered = requests > 0 && things >= requests;
    let is_read = match workload.reads {
        Reads::Memory => reads == 0,
        Reads::Disk => reads >= requests,
    };
    if is_answered && is_read {
        Ok(outcomes)
    } else {
        Err(Failure(format!("{}: not what it is to be: {outcomes:?}", workload.name)))
    }
}

fn replay_once(workload: &Workload) -> Result<(), Failure> {
    let Outcomes { requests, things, reads, writes, .. } = checked(workload, &load(workload)?)?;
    println!("requests {requests}\nthings {things}\nreads {reads}\nwrites {writes}");
    Ok(())
}

fn replay_often(workload: &Workload, times: u32) -> Result<(), Failure> {
    let transcript = load(workload)?;
    checked(workload, &transcript)?;
    let mut best = u128::MAX;
    for _ in 0..times {
        let Outcomes { requests, nanos, .. } = replay::replay(workload, &transcript, Answers::Counted)?;
        best = best.min(nanos / u128::from(requests));
    }
    println!("{best} ns per request at best, the feeding and the disk in memory included");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_workload_is_answered_and_replays_alike() {
        for workload in &WORKLOADS {
            let transcript = load(workload).unwrap_or_else(|failure| panic!("{failure}"));
            let outcomes =
                [0, 1].map(|_| checked(workload, &transcript).unwrap_or_else(|failure| panic!("{failure}")));
            let figures = outcomes.map(|of| (of.requests, of.things, of.reads, of.writes));
            assert_eq!(figures[0], figures[1], "{}", workload.name);
        }
    }

    fn find(name: &str) -> Workload {
        *WORKLOADS.iter().find(|workload| workload.name == name).unwrap()
    }

    #[test]
    fn what_is_refused_or_read_elsewhere_has_no_count() {
        let workload = find("produce-unbatched");
        let mut transcript = load(&workload).unwrap();
        let topic = [&[0, 5], b"bench".as_slice()].concat();
        for body in transcript.bodies.iter_mut().filter(|body| transcript::api_of(body).0 == 0) {
            let at = body.windows(topic.len()).position(|part| part == topic).unwrap();
            body[at + 2] = b'B';
        }
        let failure = checked(&workload, &transcript).unwrap_err();
        assert!(failure.0.contains("answered with error 3"), "{failure}");

        let workload = find("fetch-tail");
        let transcript = load(&workload).unwrap();
        let little = Workload { memory_bytes: find("fetch-cold").memory_bytes, ..workload };
        assert!(checked(&little, &transcript).is_err(), "not from memory");
        assert!(
            checked(&Workload { reads: Reads::Disk, ..workload }, &transcript).is_err(),
            "not from the disk"
        );
    }

    #[test]
    fn answers_that_are_missing_are_noticed() {
        let workload = find("list-offsets");
        let mut transcript = load(&workload).unwrap();
        // One more than are asked for.
        transcript.turns.last_mut().unwrap().answered = 1 << 20;
        assert!(checked(&workload, &transcript).is_err());
    }
}
