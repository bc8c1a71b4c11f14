//! What the node tells its shards while they run: what the file system of the data is like, and how much loggers are to say. Each shard
//! is told on its own thread, before its next turn; a turn without news costs one look at a number.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;
use std::{io, thread};

use highwater_core::config::LogLevel;
use highwater_core::id::ShardId;
use highwater_core::shard::{FileSystem, Input};
use highwater_io::files::Layout;
use tokio::sync::oneshot;

/// How often the file system is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How long a shard may take to set a level.
const LEVEL_WITHIN: Duration = Duration::from_secs(1);

/// Wakes the shards.
type Waker = Box<dyn Fn() + Send + Sync>;

/// A level that a logger is to have, and who waits for that.
#[derive(Debug)]
struct Wish {
    logger: &'static str,
    level: Option<LogLevel>,
    done: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    file_system: Option<FileSystem>,
    /// For shard 0, in order.
    wishes: Vec<Wish>,
}

/// One is shared by all shards of a node and the threads that tell them.
#[derive(Default)]
pub(crate) struct Notices {
    /// Rises with each piece of news.
    number: AtomicU64,
    state: Mutex<State>,
    waker: OnceLock<Waker>,
}

/// The shards do not run yet, or do not answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoAnswer;

impl Notices {
    /// The shards run, and this wakes them.
    pub(crate) fn open(&self, waker: impl Fn() + Send + Sync + 'static) {
        assert!(self.waker.set(Box::new(waker)).is_ok(), "a node starts once");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the news")
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.number.fetch_add(1, Ordering::Release);
    }

    /// As a client of the broker sets it; without a level the logger follows the root. In force once this returns.
    pub(crate) async fn set_level(
        &self,
        logger: &'static str,
        level: Option<LogLevel>,
    ) -> Result<(), NoAnswer> {
        let waker = self.waker.get().ok_or(NoAnswer)?;
        let (done, is_done) = oneshot::channel();
        self.tell(|state| state.wishes.push(Wish { logger, level, done }));
        waker();
        match tokio::time::timeout(LEVEL_WITHIN, is_done).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NoAnswer),
        }
    }

    /// Tells of the file system now, and again and again on a thread of its own: it may be one that hangs.
    pub(crate) fn watch_file_system(self: &Arc<Self>, layout: Layout) -> io::Result<()> {
        let notices = Arc::clone(self);
        let look = move || {
            if let Ok(found) = layout.file_system() {
                notices.tell(|state| state.file_system = Some(found));
            }
        };
        look();
        let again = move || loop {
            thread::sleep(LOOK_INTERVAL);
            look();
        };
        thread::Builder::new().name("file system".into()).spawn(again)?;
        Ok(())
    }
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Notices").field(&*self.state()).finish()
    }
}

/// A shard's side of it, on the shard's thread.
#[derive(Debug)]
pub(crate) struct Noticed {
    notices: Arc<Notices>,
    shard: ShardId,
    seen: u64,
    told: Option<FileSystem>,
    /// Who waits for what was taken in.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Noticed {
    pub(crate) fn new(notices: Arc<Notices>, shard: ShardId) -> Self {
        Self { notices, shard, seen: 0, told: None, waiting: Vec::new() }
    }

    pub(crate) fn notices(&self) -> Arc<Notices> {
        Arc::clone(&self.notices)
    }

    /// What is new for this shard.
    pub(crate) fn take(&mut self) -> Vec<Input> {
        let number = self.notices.number.load(Ordering::Acquire);
        if number == self.seen {
            return Vec::new();
        }
        self.seen = number;
        let mut state = self.notices.state();
        let mut news = Vec::new();
        if state.file_system != self.told {
            self.told = state.file_system;
            news.extend(self.told.map(Input::FileSystem));
        }
        if self.shard == ShardId(0) {
            for Wish { logger, level, done } in state.wishes.drain(..) {
                news.push(Input::LogLevel { logger, level });
                self.waiting.push(done);
            }
        }
        news
    }

    /// What was taken is in force.
    pub(crate) fn done(&mut self) {
        for waiting in self.waiting.drain(..) {
            // Who went away does not care.
            let _ = waiting.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::config::LOGGERS;

    use super::*;

    #[test]
    fn each_shard_is_told_once() {
        let notices = Arc::new(Notices::default());
        let mut shards = [0, 1].map(|id| Noticed::new(Arc::clone(&notices), ShardId(id)));
        assert!(shards.iter_mut().all(|shard| shard.take().is_empty()));
        let dir = std::env::temp_dir().join(format!("notices-{}", std::process::id()));
        notices.watch_file_system(Layout::create(&dir).unwrap()).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        for shard in &mut shards {
            let [Input::FileSystem(found)] = shard.take()[..] else { panic!("it is told") };
            assert!(found.total_bytes >= found.usable_bytes && found.usable_bytes > 0);
            assert!(shard.take().is_empty());
        }
    }

    #[test]
    fn level_is_set_by_shard_0_and_waited_for() {
        let notices = Arc::new(Notices::default());
        let run = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert_eq!(run.block_on(notices.set_level(LOGGERS[0], None)), Err(NoAnswer), "nobody runs");
        let inner = Arc::clone(&notices);
        notices.open(move || {
            let mut shards = [1, 0].map(|id| Noticed::new(Arc::clone(&inner), ShardId(id)));
            assert!(shards[0].take().is_empty());
            let [Input::LogLevel { logger, level }] = shards[1].take()[..] else { panic!("it is told") };
            assert_eq!((logger, level), (LOGGERS[1], Some(LogLevel::Trace)));
            shards[1].done();
        });
        assert_eq!(run.block_on(notices.set_level(LOGGERS[1], Some(LogLevel::Trace))), Ok(()));
    }
}
