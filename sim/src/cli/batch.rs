//! Many seeds, one after the other in this process or side by side in several: what a run reads and writes that is the
//! process's own, it then shares with no other run. Must not know what is done with a seed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use highwater_sim::outcome::Outcome;
use serde::{Deserialize, Serialize};

use super::seeds::Seeds;

/// Seeds that a process of a batch gets at a time, at most.
const CHUNK_MAX: u64 = 32;

/// What came of one seed, and the time that it took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) seconds: f64,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    Stop,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    pub(super) seeds: Seeds,
    pub(super) jobs: u16,
    pub(super) budget: Option<Duration>,
}

impl Batch {
    /// Runs the seeds in order until `each` has seen enough.
    pub(super) fn run(self, one: impl Fn(u64) -> Outcome, each: impl FnMut(Done) -> Next) {
        if self.jobs > 1 && self.seeds.count() > 1 {
            self.run_in_processes(each)
        } else {
            self.run_here(one, each)
        }
    }

    fn run_here(self, one: impl Fn(u64) -> Outcome, mut each: impl FnMut(Done) -> Next) {
        let began = Instant::now();
        for seed in self.seeds.first..self.seeds.end {
            if self.budget.is_some_and(|budget| began.elapsed() >= budget) {
                return;
            }
            let began = Instant::now();
            let outcome = one(seed);
            if each(Done { outcome, seconds: began.elapsed().as_secs_f64() }) == Next::Stop {
                return;
            }
        }
    }

    fn run_in_processes(self, each: impl FnMut(Done) -> Next) {
        let until = self.budget.map(|budget| Instant::now() + budget);
        let chunk = (self.seeds.count() / (u64::from(self.jobs) * 16)).clamp(1, CHUNK_MAX);
        let work = Work { left: Mutex::new(self.seeds), chunk, until, stopped: AtomicBool::new(false) };
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            for _ in 0..self.jobs {
                let (work, sender) = (&work, sender.clone());
                scope.spawn(move || while work.chunk(&sender) == Next::GoOn {});
            }
            drop(sender);
            in_order(self.seeds.first, &receiver, each);
            work.stopped.store(true, Ordering::Relaxed);
        });
    }
}

/// Hands on what comes from all processes in the order of the seeds; behind a seed that never comes, at the end.
fn in_order(mut next: u64, receiver: &Receiver<Done>, mut each: impl FnMut(Done) -> Next) {
    let mut early = BTreeMap::new();
    for done in receiver {
        early.insert(done.outcome.seed, done);
        while let Some(done) = early.remove(&next) {
            next += 1;
            if each(done) == Next::Stop {
                return;
            }
        }
    }
    for (_, done) in early {
        if each(done) == Next::Stop {
            return;
        }
    }
}

/// What the processes of a batch share out among themselves.
#[derive(Debug)]
struct Work {
    left: Mutex<Seeds>,
    chunk: u64,
    until: Option<Instant>,
    stopped: AtomicBool,
}

impl Work {
    fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Takes some of the seeds that are left, and runs them in a process.
    fn chunk(&self, sender: &Sender<Done>) -> Next {
        let mut seeds = {
            let mut left = self.left.lock().expect("no thread panics with it");
            let first = left.first;
            left.first = left.end.min(first.saturating_add(self.chunk));
            Seeds { first, end: left.first }
        };
        if self.is_over() || seeds.count() == 0 {
            return Next::Stop;
        }
        // A process that dies of a seed leaves the others to its successor.
        while seeds.count() > 0 {
            let mut child = spawn(seeds);
            seeds.first += self.listen(&mut child, sender);
            if self.is_over() {
                let _it_may_have_ended = child.kill();
            }
            let status = child.wait().expect("a child of this process");
            if self.is_over() {
                return Next::Stop;
            }
            if seeds.count() > 0 {
                let story = format!("the process that ran this seed died: {status}");
                let outcome = Outcome::died(seeds.first, story);
                seeds.first += 1;
                let _nobody_listens = sender.send(Done { outcome, seconds: 0.0 });
            }
        }
        Next::GoOn
    }

    /// Passes on what a process says; how many seeds it has done.
    fn listen(&self, child: &mut Child, sender: &Sender<Done>) -> u64 {
        let out = child.stdout.take().expect("piped");
        let mut seeds = 0;
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if let Ok(done) = serde_json::from_str::<Done>(&line) {
                seeds += 1;
                let heard = sender.send(done).is_ok();
                if !heard || self.is_over() {
                    break;
                }
            }
        }
        seeds
    }
}

/// This command again, for some of its seeds.
fn spawn(seeds: Seeds) -> Child {
    let program = std::env::current_exe().expect("the system knows what it runs");
    Command::new(program)
        .args(std::env::args_os().skip(1))
        .arg("--worker")
        .arg(format!("{}..{}", seeds.first, seeds.end))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started once more")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use highwater_sim::outcome::Outcome;

    use super::{Done, Next, in_order};

    fn seen(order: &[u64], until: u64) -> Vec<u64> {
        let (sender, receiver) = channel();
        for seed in order {
            sender.send(Done { outcome: Outcome::died(*seed, String::new()), seconds: 0.0 }).unwrap();
        }
        drop(sender);
        let mut seen = Vec::new();
        in_order(3, &receiver, |done| {
            seen.push(done.outcome.seed);
            if done.outcome.seed == until { Next::Stop } else { Next::GoOn }
        });
        seen
    }

    #[test]
    fn seeds_come_in_order_and_end_where_asked() {
        assert_eq!(seen(&[5, 3, 4, 7, 6], 9), [3, 4, 5, 6, 7]);
        assert_eq!(seen(&[5, 3, 4, 7, 6], 4), [3, 4]);
        assert_eq!(seen(&[5, 8, 3], 9), [3, 5, 8], "4 never comes");
    }
}
