//! Rounds of load, kill -9, restart and reading back, and groups that consume all the while. Owns the order of things and the story of a violation.

mod broker;
mod groups;
mod load;
mod random;
mod readback;
mod record;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use highwater_jepsen::checker::{self, Anomaly};
use highwater_jepsen::writes::{History, Outcome, Value};

use broker::Broker;
use groups::Groups;
use load::Load;
use random::Random;
use readback::Reader;
use record::Origin;

/// Anomalies that a story tells; more of them tell nothing new.
const TOLD_MAX: usize = 5;

/// A topic more each so many rounds, so that kills also meet young topics.
const ROUNDS_PER_TOPIC: u64 = 5;

/// How long the load runs before the kill.
const LOAD_MS_MIN: u64 = 200;
const LOAD_MS_MAX: u64 = 900;

/// Between two bursts; so paced, reading a round back stays quick.
const LOAD_PAUSE: Duration = Duration::from_millis(5);

/// Bursts without a pause right before the kill.
const LAST_BURSTS: usize = 40;

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) rounds: u64,
    pub(crate) binary: PathBuf,
    pub(crate) io: String,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) seed: u64,
    pub(crate) sets: Vec<String>,
}

/// Runs the rounds; the error is the story of the first violation.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let directory = match &options.data_dir {
        Some(directory) => directory.clone(),
        None => std::env::temp_dir().join(format!("highwater-kill9-{}", std::process::id())),
    };
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
    let begun = Instant::now();
    let mut test = Test::start(options, &directory)?;
    let result = test.rounds(options.rounds).and_then(|()| test.verify_all());
    let seconds = begun.elapsed().as_secs_f64();
    println!("kill9 on {}, seed {}, {seconds:.1} s: {}", options.io, options.seed, test.summary());
    test.broker.kill();
    if let Err(story) = result {
        return Err(format!(
            "VIOLATION\n{story}\nlast lines of the broker:\n{}\nkept: {}\nagain: highwater-jepsen kill9 --seed {} --rounds {} --io {} --binary {}",
            test.broker.last_lines(),
            directory.display(),
            options.seed,
            options.rounds,
            options.io,
            options.binary.display(),
        ));
    }
    if options.data_dir.is_none() {
        std::fs::remove_dir_all(&directory)
            .map_err(|error| format!("cannot remove {}: {error}", directory.display()))?;
    }
    Ok(())
}

struct Test {
    broker: Broker,
    random: Random,
    load: Load,
    reader: Reader,
    groups: Groups,
    history: History,
    /// The first write of each round, to tell in which round a value was written.
    round_begins: Vec<u64>,
    anomalies: Vec<Anomaly>,
}

impl Test {
    fn start(options: &Options, directory: &Path) -> Result<Self, String> {
        let broker = Broker::start(options, directory)?;
        let address = broker.address();
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
        let timestamp = i64::try_from(since_1970.as_millis()).map_err(|error| error.to_string())?;
        let origin = Origin { seed: options.seed, timestamp };
        Ok(Self {
            load: Load::new(&address, origin)?,
            reader: Reader::new(&address, origin),
            groups: Groups::new(&address)?,
            broker,
            random: Random(options.seed),
            history: History::default(),
            round_begins: Vec::new(),
            anomalies: Vec::new(),
        })
    }

    fn rounds(&mut self, rounds: u64) -> Result<(), String> {
        for round in 0..rounds {
            self.round(round).map_err(|story| format!("round {round}: {story}"))?;
        }
        Ok(())
    }

    fn round(&mut self, round: u64) -> Result<(), String> {
        if round.is_multiple_of(ROUNDS_PER_TOPIC) {
            self.load.add_topic();
        }
        self.round_begins.push(self.load.next_value());
        self.load.begin_round()?;
        self.groups.begin_round(self.load.topics())?;
        let millis = self.random.between(LOAD_MS_MIN, LOAD_MS_MAX);
        let until = Instant::now() + Duration::from_millis(millis);
        while Instant::now() < until {
            self.load.send_some(&mut self.random)?;
            std::thread::sleep(LOAD_PAUSE);
        }
        // The kill shall meet writes on their way.
        for _ in 0..LAST_BURSTS {
            self.load.send_some(&mut self.random)?;
        }
        self.broker.kill();
        self.load.after_kill();
        self.broker.restart()?;
        let writes = self.load.finish_round()?;
        let mut of_round = History { writes, reads: self.reader.read_new(self.load.topics())? };
        let committed = self.groups.finish_round(self.reader.ends())?;
        let anomalies = checker::check(&of_round);
        println!(
            "round {round}: killed after {millis} ms, {} writes, {} acknowledged, {} read, {committed} committed by groups, {} anomalies",
            of_round.writes.len(),
            acknowledged(&of_round),
            of_round.reads.len(),
            anomalies.len(),
        );
        self.history.append(&mut of_round);
        self.judge(anomalies)
    }

    /// Reads every partition from its first record on and judges the whole history.
    fn verify_all(&mut self) -> Result<(), String> {
        self.history.reads.extend(self.reader.read_all(self.load.topics())?);
        let anomalies = checker::check(&self.history);
        self.judge(anomalies).map_err(|story| format!("reading everything at the end: {story}"))
    }

    fn judge(&mut self, anomalies: Vec<Anomaly>) -> Result<(), String> {
        if anomalies.is_empty() {
            return Ok(());
        }
        let mut story = format!("{} anomalies", anomalies.len());
        for anomaly in anomalies.iter().take(TOLD_MAX) {
            let _ = write!(story, "\n{anomaly}");
            for value in anomaly.values() {
                let _ = write!(story, "\n{}", self.life(value));
            }
        }
        self.anomalies = anomalies;
        Err(story)
    }

    /// What became of a value, in words.
    fn life(&self, value: Value) -> String {
        let Some(write) = self.history.writes.iter().find(|write| write.value == value) else {
            return format!("  value {} was never sent", value.0);
        };
        let round = self.round_begins.partition_point(|begin| *begin <= value.0) - 1;
        let outcome = match write.outcome {
            Outcome::Ok(Some(offset)) => format!("acknowledged at offset {}", offset.0),
            Outcome::Ok(None) => "acknowledged without an offset".into(),
            Outcome::Unknown => "never acknowledged".into(),
            Outcome::Failed => "refused".into(),
        };
        let reads = self.history.reads.iter().filter(|read| read.key == write.key);
        let end = reads.clone().map(|read| read.offset.0 + 1).max().unwrap_or(0);
        let at: Vec<i64> = reads.filter(|read| read.value == value).map(|read| read.offset.0).collect();
        format!(
            "  value {} was sent in round {round} to {} by producer {} ({}), {outcome}, read at {at:?}; the partition ends at {end}",
            value.0,
            write.key,
            write.process.0,
            self.load.describe(write.process),
        )
    }

    fn summary(&self) -> String {
        let count = |name| self.anomalies.iter().filter(|anomaly| anomaly.name() == name).count();
        format!(
            "{} rounds, {} acked of {} sent, {} read, {} lost, {} duplicated, {} anomalies",
            self.round_begins.len(),
            acknowledged(&self.history),
            self.history.writes.len(),
            self.history.reads.len(),
            count("lost-write"),
            count("duplicate"),
            self.anomalies.len(),
        )
    }
}

fn acknowledged(history: &History) -> usize {
    history.writes.iter().filter(|write| matches!(write.outcome, Outcome::Ok(_))).count()
}
