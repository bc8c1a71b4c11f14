//! Tasks of one thread. Those that are awake run in an order that the seed draws. Must not know what they do.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Wake, Waker};

use highwater_core::prng::Prng;

use crate::draw::Draw;

pub(super) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Wakes one task. Wakers must be fit for threads; here there is only one.
struct Alarm {
    task: u64,
    rang: AtomicBool,
    woken: Sender<u64>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rang.swap(true, Ordering::Relaxed) {
            // An executor that is gone wakes nobody.
            let _ = self.woken.send(self.task);
        }
    }
}

struct Running {
    task: Task,
    alarm: Arc<Alarm>,
    waker: Waker,
}

/// Runs tasks. Dropping it drops them wherever they are, as the end of a process does.
pub(super) struct Executor {
    tasks: BTreeMap<u64, Running>,
    spawned: u64,
    /// Tasks that were woken, in the order of it.
    woken: (Sender<u64>, Receiver<u64>),
    awake: Vec<u64>,
    prng: Prng,
}

impl Executor {
    pub(super) fn new(prng: Prng) -> Self {
        Self { tasks: BTreeMap::new(), spawned: 0, woken: channel(), awake: Vec::new(), prng }
    }

    pub(super) fn spawn(&mut self, task: Task) {
        self.spawned += 1;
        let alarm = Alarm { task: self.spawned, rang: AtomicBool::new(false), woken: self.woken.0.clone() };
        let alarm = Arc::new(alarm);
        let waker = Waker::from(Arc::clone(&alarm));
        waker.wake_by_ref();
        self.tasks.insert(self.spawned, Running { task, alarm, waker });
    }

    /// Polls one task that is awake; false if none is.
    pub(super) fn run_one(&mut self) -> bool {
        self.awake.extend(self.woken.1.try_iter());
        if self.awake.is_empty() {
            return false;
        }
        let id = self.awake.swap_remove(self.prng.place(self.awake.len()));
        if let Some(running) = self.tasks.get_mut(&id) {
            running.alarm.rang.store(false, Ordering::Relaxed);
            if running.task.as_mut().poll(&mut Context::from_waker(&running.waker)).is_ready() {
                self.tasks.remove(&id);
            }
        }
        true
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }
}
