//! Threads for disk work that blocks: all of it where io_uring is refused, else what a ring is no good for. One thread per kind
//! of work, started by its first job, so that slow kinds do not delay others. Knows no order between jobs of different kinds.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use highwater_core::id::{FileId, PartitionId};

use crate::bell::Bell;
use crate::files::Layout;
use crate::storage::native::blocking;
use crate::storage::native::fds::{Access, FdKey};
use crate::storage::native::{CacheMode, Order, Task};

/// Kinds of work, each with its own thread.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lane {
    /// Writes that must be durable: answers to clients wait for them.
    Durable,
    /// Writes of segments and their syncs.
    Cached,
    /// Reads, and opening of files.
    Read,
    /// Changes of the set of files, those of one directory one after the other.
    Change(FileId),
}

/// Threads that change files of partitions, beside the one for all other files: what several wait for goes to the disk together.
const CHANGERS: usize = 4;

const LANES: [&str; 4 + CHANGERS] =
    ["wal", "segment", "read", "file", "files-0", "files-1", "files-2", "files-3"];

impl Lane {
    fn place(self) -> usize {
        match self {
            Self::Durable => 0,
            Self::Cached => 1,
            Self::Read => 2,
            Self::Change(file) => 3 + file.partition().map_or(0, |partition| 1 + spread(partition)),
        }
    }
}

/// Each partition has a directory of its own.
fn spread(partition: PartitionId) -> usize {
    let index = usize::try_from(partition.index).unwrap_or_default();
    (index + usize::from(partition.topic.0.0[0])) % CHANGERS
}

#[derive(Debug)]
pub(super) enum Job {
    Open { key: FdKey, path: PathBuf },
    Change(Order),
    Task(Task, CacheMode),
}

#[derive(Debug)]
pub(super) enum Done {
    Opened(FdKey, io::Result<(File, Access)>),
    Changed(Order, io::Result<()>),
    Task(Task, io::Result<usize>),
}

#[derive(Debug)]
struct Worker {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
pub(super) struct Flusher {
    layout: Layout,
    bell: Arc<Bell>,
    name: String,
    workers: [Option<Worker>; LANES.len()],
    done: (Sender<Done>, Receiver<Done>),
}

impl Flusher {
    pub(super) fn new(layout: Layout, bell: Arc<Bell>, name: String) -> Self {
        Self { layout, bell, name, workers: [const { None }; LANES.len()], done: channel() }
    }

    pub(super) fn push(&mut self, lane: Lane, job: Job) {
        let place = lane.place();
        if self.workers[place].is_none() {
            self.workers[place] = self.start(LANES[place]).ok();
        }
        match &self.workers[place] {
            Some(worker) => worker.jobs.send(job).expect("a worker lives as long as its sender"),
            None => {
                // The system has no thread to give: slower, but no less right.
                let done = run(&self.layout, job);
                self.done.0.send(done).expect("the receiver is beside the sender");
                self.bell.ring();
            }
        }
    }

    fn start(&self, lane: &str) -> io::Result<Worker> {
        let (jobs, queue) = channel();
        let (layout, bell, done) = (self.layout.clone(), Arc::clone(&self.bell), self.done.0.clone());
        let work = move || {
            let abort = crate::launch::AbortOnPanic;
            while let Ok(job) = queue.recv() {
                // A receiver that is gone waits for nothing.
                let _ = done.send(run(&layout, job));
                bell.ring();
            }
            drop(abort);
        };
        let thread = std::thread::Builder::new().name(format!("{}-{lane}", self.name)).spawn(work)?;
        Ok(Worker { jobs, thread })
    }

    pub(super) fn complete(&self) -> Option<Done> {
        self.done.1.try_recv().ok()
    }
}

fn run(layout: &Layout, job: Job) -> Done {
    match job {
        Job::Open { key, path } => Done::Opened(key, blocking::open(&path, key.access)),
        Job::Change(order) => {
            let result = blocking::change(layout, &order);
            Done::Changed(order, result)
        }
        Job::Task(mut task, mode) => {
            let result = blocking::run(&mut task, mode);
            Done::Task(task, result)
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        for worker in self.workers.iter_mut().filter_map(Option::take) {
            drop(worker.jobs);
            // A worker that panicked has taken the process down.
            let _ = worker.thread.join();
        }
    }
}
