//! The storage ring of one shard: its own io_uring, submitted once per turn from the shard's thread, announced by the shard's
//! bell. Carries O_DIRECT writes, reads and syncs; buffered writes would block in a kernel worker and go to the flusher instead.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use highwater_core::limits::BLOCK_BYTES;
use highwater_core::shard::Durability;
use io_uring::{IoUring, opcode, squeue, types};

use crate::bell::Bell;
use crate::rt::PARTS_MAX;
use crate::rt_monoio::iovec;
use crate::storage::native::fds::Access;
use crate::storage::native::{OrderKind, Task};
use crate::uring;

/// Operations that are with the kernel at once; more wait their turn. The completion queue holds twice as many.
const ENTRIES: u32 = 256;

/// Threads of the kernel for what would block: syncs, and writes that make a file longer. The file system commits what several wait for
/// at once.
const WORKERS_MAX: u32 = 32;

/// Longest single operation of the kernel, rounded down to a block.
const OPERATION_BYTES_MAX: usize = 1 << 30;

/// An operation whose memory the kernel may be using: it is not moved nor dropped before its completion.
struct Flight {
    task: Task,
    /// Names the rest of a write; its heap memory stays where it is.
    iovecs: Vec<libc::iovec>,
    /// Bytes of the whole and of what is done.
    len: usize,
    done: usize,
}

// SAFETY: the iovecs name memory that `task`, which is `Send`, keeps alive.
unsafe impl Send for Flight {}

pub(super) struct Ring {
    ring: IoUring,
    slots: Vec<Option<Flight>>,
    free: Vec<usize>,
    /// Slots that wait to be submitted.
    ready: VecDeque<usize>,
    /// Operations that were pushed and have not completed.
    under_way: u32,
    unsubmitted: bool,
    ended: VecDeque<(Task, io::Result<usize>)>,
}

impl Ring {
    pub(super) fn new(bell: &Bell) -> io::Result<Self> {
        let ring = uring::builder().build(ENTRIES)?;
        // Kernels before 5.15 have their own idea of it.
        let _ = ring.submitter().register_iowq_max_workers(&mut [WORKERS_MAX, 0]);
        ring.submitter().register_eventfd(bell.as_fd().as_raw_fd())?;
        Ok(Self {
            ring,
            slots: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            under_way: 0,
            unsubmitted: false,
            ended: VecDeque::new(),
        })
    }

    pub(super) fn push(&mut self, task: Task) {
        let len = match &task.order.kind {
            OrderKind::Write { parts, .. } => parts.iter().map(|part| part.len()).sum(),
            OrderKind::Read { into, .. } => into.len(),
            OrderKind::Sync => 1,
            OrderKind::Change(_) => unreachable!("changes are the flusher's"),
        };
        if len == 0 {
            return self.ended.push_back((task, Ok(0)));
        }
        let flight = Flight { task, iovecs: Vec::new(), len, done: 0 };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(flight);
        self.ready.push_back(slot);
    }

    pub(super) fn flush(&mut self) {
        while self.under_way < ENTRIES {
            let Some(slot) = self.ready.pop_front() else { break };
            let flight = self.slots[slot].as_mut().expect("a ready slot is taken");
            let entry = flight.entry().user_data(slot as u64);
            // SAFETY: what the entry names lives in its slot, which is emptied only by its completion; the file is open as
            // long as the task in the slot. `Drop` waits for all completions.
            let pushed = unsafe { self.ring.submission().push(&entry) };
            pushed.expect("the submission queue has room for all that may be under way");
            self.under_way += 1;
            self.unsubmitted = true;
        }
        if self.unsubmitted {
            self.submit(0);
            self.unsubmitted = false;
        }
    }

    /// Submits all, and waits for `want` completions.
    fn submit(&mut self, want: usize) {
        loop {
            match self.ring.submit_and_wait(want) {
                Ok(_) if self.ring.submission().is_empty() => return,
                Ok(_) => {}
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)) =>
                {
                    std::thread::yield_now();
                }
                Err(error) => panic!("a ring that was set up takes entries: {error}"),
            }
        }
    }

    pub(super) fn has_completion(&self) -> bool {
        // SAFETY: this thread is the only one that uses the ring, and no other view of the queue is alive.
        let completed = unsafe { !self.ring.completion_shared().is_empty() };
        completed || !self.ended.is_empty()
    }

    /// The next task that ended, with the bytes that were read or written.
    pub(super) fn complete(&mut self) -> Option<(Task, io::Result<usize>)> {
        if self.ended.is_empty() {
            self.reap();
        }
        self.ended.pop_front()
    }

    fn reap(&mut self) {
        for entry in self.ring.completion() {
            self.under_way -= 1;
            let slot = usize::try_from(entry.user_data()).expect("the data is a slot");
            let flight = self.slots[slot].as_mut().expect("a slot stays taken until its completion");
            match flight.advance(entry.result()) {
                None => self.ready.push_back(slot),
                Some(result) => {
                    let flight = self.slots[slot].take().expect("it was just looked at");
                    self.free.push(slot);
                    self.ended.push_back((flight.task, result));
                }
            }
        }
    }
}

impl Flight {
    fn direct(&self) -> bool {
        self.task.access == Access::Direct
    }

    /// The operation for what is left.
    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.task.file.as_raw_fd());
        let done = self.done as u64;
        match &mut self.task.order.kind {
            OrderKind::Write { at, parts, durability } => {
                self.iovecs.clear();
                self.iovecs.extend(rest_of(parts.iter().map(|part| part.as_slice()), self.done));
                let flags = match durability {
                    Durability::Durable => libc::RWF_DSYNC,
                    Durability::Cached => 0,
                };
                let count = u32::try_from(self.iovecs.len()).expect("parts per call are bounded");
                opcode::Writev::new(fd, self.iovecs.as_ptr(), count)
                    .offset(*at + done)
                    .rw_flags(flags)
                    .build()
            }
            OrderKind::Read { at, into } => {
                let rest = &mut into.as_mut_slice()[self.done..];
                let len = u32::try_from(rest.len().min(OPERATION_BYTES_MAX)).expect("bounded");
                opcode::Read::new(fd, rest.as_mut_ptr(), len).offset(*at + done).build()
            }
            OrderKind::Sync => opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build(),
            OrderKind::Change(_) => unreachable!("changes are the flusher's"),
        }
    }

    /// Notes the result of one operation; `None` if another one is needed.
    fn advance(&mut self, result: i32) -> Option<io::Result<usize>> {
        let Ok(len) = usize::try_from(result) else {
            if result == -libc::EINTR || result == -libc::EAGAIN {
                return None;
            }
            return Some(Err(io::Error::from_raw_os_error(-result)));
        };
        let before = self.done;
        match &self.task.order.kind {
            OrderKind::Sync => return Some(Ok(0)),
            OrderKind::Read { .. } if len == 0 => return Some(Ok(self.done)),
            OrderKind::Read { .. } | OrderKind::Write { .. } => self.done += len,
            OrderKind::Change(_) => unreachable!("changes are the flusher's"),
        }
        if self.done == self.len {
            return Some(Ok(self.done));
        }
        if self.direct() {
            // Whole blocks only can be continued; the broken one is written again.
            self.done -= self.done % BLOCK_BYTES;
        }
        if self.done == before { Some(Err(io::ErrorKind::WriteZero.into())) } else { None }
    }
}

/// Names what follows the first `done` bytes, as far as one call takes it.
pub(super) fn rest_of<'a>(
    parts: impl Iterator<Item = &'a [u8]>,
    mut done: usize,
) -> impl Iterator<Item = libc::iovec> {
    let mut bytes = 0;
    parts
        .filter_map(move |part| {
            let skip = done.min(part.len());
            done -= skip;
            (skip < part.len()).then(|| &part[skip..])
        })
        .take(PARTS_MAX)
        .take_while(move |part| {
            let first = bytes == 0;
            bytes += part.len();
            first || bytes <= OPERATION_BYTES_MAX
        })
        .map(iovec)
}

impl Drop for Ring {
    /// Waits until the kernel has let go of all memory that was lent to it.
    fn drop(&mut self) {
        while self.under_way > 0 {
            self.submit(1);
            self.reap();
        }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring({} under way, {} ready)", self.under_way, self.ready.len())
    }
}
