//! A small scripted machine, and a node of such machines.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use highwater_core::buf::{PageMut, Slice};
use highwater_core::id::ConnId;
use highwater_core::shard::{CloseReason, Config, Effect, Event, Halt, Input};
use highwater_core::time::{Duration, Instant, Now};
use highwater_io::driver::Machine;
use highwater_io::launch::{Bootable, IoMode, Launch, LaunchError, Node, Pin};

/// What the test sees and steers.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// While it is set no read is granted.
    pub(crate) hold: AtomicBool,
    /// The next input makes the machine panic.
    pub(crate) panic: AtomicBool,
    pub(crate) accepted: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) closed: AtomicU64,
    pub(crate) pages_out: AtomicU64,
    pub(crate) ticks: AtomicU64,
}

impl Shared {
    pub(crate) fn count(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::SeqCst)
    }
}

/// Sends back what it receives; closes a connection when it receives an `!` and answers that with `bye`; answers `*` with a flood.
pub(crate) struct Echo {
    effects: VecDeque<Effect>,
    shared: Arc<Shared>,
    page_bytes: usize,
    waiting: Vec<ConnId>,
    /// Whether each connection that ever was is open.
    open: BTreeMap<ConnId, bool>,
    tick_at: Instant,
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::SeqCst);
}

impl Echo {
    fn grant(&mut self, conn: ConnId) {
        if self.shared.hold.load(Ordering::SeqCst) {
            self.waiting.push(conn);
            return;
        }
        add(&self.shared.pages_out, 1);
        // Reads begin behind three bytes, which must stay as they are.
        let mut into = PageMut::with_len(self.page_bytes + 3);
        into.as_mut_slice()[..3].copy_from_slice(b"abc");
        self.effects.push_back(Effect::Recv { conn, into, at: 3 });
    }

    fn received(&mut self, conn: ConnId, page: &PageMut, len: u32) {
        self.shared.pages_out.fetch_sub(1, Ordering::SeqCst);
        add(&self.shared.received, u64::from(len));
        assert!(len > 0);
        assert_eq!(&page.as_slice()[..3], b"abc");
        let bytes = &page.as_slice()[3..3 + len as usize];
        if bytes.contains(&b'!') {
            self.effects.push_back(Effect::Send { conn, parts: vec![Slice::from_vec(b"bye".to_vec())] });
            self.effects.push_back(Effect::Close { conn, reason: CloseReason::Malformed });
            return;
        }
        if bytes.contains(&b'*') {
            let flood = Slice::from_vec(vec![b'f'; 64 << 20]);
            self.effects.push_back(Effect::Send { conn, parts: vec![flood] });
            self.effects.push_back(Effect::Close { conn, reason: CloseReason::Malformed });
            return;
        }
        // Two sends of several parts, some empty, so that they are joined and cut again.
        let whole = Slice::from_vec(bytes.to_vec());
        let (half, quarter) = (whole.len() / 2, whole.len() / 4);
        let parts = vec![whole.cut(0, quarter), whole.cut(0, 0), whole.cut(quarter, half)];
        self.effects.push_back(Effect::Send { conn, parts });
        self.effects.push_back(Effect::Send { conn, parts: vec![whole.cut(half, whole.len())] });
        self.effects.push_back(Effect::Send { conn, parts: vec![] });
        self.grant(conn);
    }
}

impl Machine for Echo {
    fn handle(&mut self, now: Now, input: Input) {
        assert!(!self.shared.panic.load(Ordering::SeqCst), "the script says panic");
        match input {
            Input::Accepted { conn, local, peer } => {
                assert!(local.ip().is_loopback() && peer.ip().is_loopback());
                assert!(self.open.insert(conn, true).is_none(), "an id names one connection for ever");
                add(&self.shared.accepted, 1);
                self.grant(conn);
            }
            Input::Received { conn, page, len } => {
                assert!(self.open[&conn]);
                self.received(conn, &page, len);
            }
            Input::Sent { conn } => {
                assert!(self.open[&conn]);
                add(&self.shared.sent, 1);
            }
            Input::Closed { conn, page } => {
                assert!(self.open.insert(conn, false) == Some(true), "a connection is closed once");
                self.shared.pages_out.fetch_sub(u64::from(page.is_some()), Ordering::SeqCst);
                self.waiting.retain(|&other| other != conn);
                add(&self.shared.closed, 1);
            }
            Input::Disk { .. } | Input::Shard { .. } | Input::FileSystem(_) | Input::LogLevel { .. } => {
                unreachable!("this machine has none of these")
            }
            Input::Tick => {
                add(&self.shared.ticks, 1);
                self.tick_at = now.mono + Duration::from_millis(5);
                if !self.shared.hold.load(Ordering::SeqCst) {
                    std::mem::take(&mut self.waiting).into_iter().for_each(|conn| self.grant(conn));
                }
            }
            Input::Stop => self.effects.push_back(Effect::Halt(Halt::Stopped)),
        }
    }

    fn poll(&mut self, _now: Now) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.tick_at)
    }

    fn poll_event(&mut self) -> Option<Event> {
        None
    }

    fn is_done(&self) -> bool {
        false
    }
}

pub(crate) struct EchoBoot {
    shared: Arc<Shared>,
    shards: u16,
    page_bytes: usize,
}

impl Machine for EchoBoot {
    fn handle(&mut self, _now: Now, _input: Input) {}

    fn poll(&mut self, _now: Now) -> Option<Effect> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn poll_event(&mut self) -> Option<Event> {
        None
    }

    fn is_done(&self) -> bool {
        true
    }
}

impl Bootable for EchoBoot {
    type Shard = Echo;

    fn into_shards(self, now: Now) -> Vec<Echo> {
        (0..self.shards)
            .map(|_| Echo {
                effects: VecDeque::new(),
                shared: Arc::clone(&self.shared),
                page_bytes: self.page_bytes,
                waiting: Vec::new(),
                open: BTreeMap::new(),
                tick_at: now.mono,
            })
            .collect()
    }
}

/// How a node of echoes is to run.
pub(crate) struct Setup<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) io: IoMode,
    pub(crate) shards: u16,
    pub(crate) page_bytes: usize,
}

impl Setup<'_> {
    pub(crate) fn start(&self) -> Result<(Node, Arc<Shared>), LaunchError> {
        let shared = Arc::new(Shared::default());
        let launch = Launch {
            data_dir: self.dir.to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            io: self.io,
            pin: Pin::No,
            config: Arc::new(Config { shards: self.shards, ..Config::default() }),
        };
        let boot = EchoBoot { shared: Arc::clone(&shared), shards: self.shards, page_bytes: self.page_bytes };
        Ok((launch.start_with(|_| boot)?, shared))
    }
}

/// Waits until `holds`, but not for ever.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begin = std::time::Instant::now();
    while !holds() {
        assert!(begin.elapsed().as_secs() < 20, "not in time: {what}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
