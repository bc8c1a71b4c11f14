//! Partitions that are recovered at the same time: each a state machine with one operation of the disk under way at most. Knows
//! nothing of what a partition is at.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};

use super::partition::PartitionBoot;
use super::{Disk, Step};
use crate::buf::Slice;
use crate::limits::RECOVERY_JOBS_MAX;

#[derive(Debug, Default)]
pub(super) struct Crew {
    jobs: BTreeMap<u64, Box<PartitionBoot>>,
    /// Jobs that wait for nothing.
    idle: VecDeque<u64>,
    next_job: u64,
}

/// What comes next.
pub(super) enum Next {
    Do(u64, Disk),
    Over(Box<PartitionBoot>),
    /// All wait for the disk.
    Wait,
    /// There is none left.
    Empty,
}

impl Crew {
    pub(super) fn is_full(&self) -> bool {
        self.jobs.len() >= RECOVERY_JOBS_MAX
    }

    pub(super) fn add(&mut self, partition: PartitionBoot) {
        self.jobs.insert(self.next_job, Box::new(partition));
        self.idle.push_back(self.next_job);
        self.next_job += 1;
    }

    pub(super) fn next(&mut self) -> Next {
        let Some(job) = self.idle.pop_front() else {
            return if self.jobs.is_empty() { Next::Empty } else { Next::Wait };
        };
        match self.jobs.get_mut(&job).expect("idle jobs are there").next() {
            Step::Do(disk) => Next::Do(job, disk),
            Step::Over => Next::Over(self.jobs.remove(&job).expect("it was just stepped")),
        }
    }

    /// What the job waited for is done.
    pub(super) fn on_done(&mut self, job: u64, read: Option<Slice>) {
        if let (Some(bytes), Some(partition)) = (read, self.jobs.get_mut(&job)) {
            partition.on_read(bytes);
        }
        self.idle.push_back(job);
    }
}
