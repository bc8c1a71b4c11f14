//! What the parts of one driven machine share: its clock, its timers, its sockets, and what it has to say to the world. Must not
//! know the driver.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Waker;

use highwater_core::buf::PageMut;
use highwater_core::id::ConnId;
use highwater_core::prng::Prng;
use highwater_core::shard::{CloseReason, Effect, Event};
use highwater_core::time::{Instant, Now, Timestamp};

use super::executor::Task;
use crate::draw::Draw;

/// How rough the system is that this machine runs on. Drawn for each life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roughness {
    /// Of a million writes, how many take only a part.
    pub(super) short_writes_per_million: u64,
    /// Of a million accepts, how many fail.
    pub(super) accept_errors_per_million: u64,
    /// Of a million looks at a disk that has nothing, how many say it has.
    pub(super) false_completions_per_million: u64,
    /// Messages of a ring of the mesh, and those that may wait for room in one.
    pub(super) ring_messages: usize,
    pub(super) overflow_messages: usize,
}

impl Roughness {
    pub(super) fn draw(prng: &mut Prng) -> Self {
        Self {
            short_writes_per_million: prng.pick(&[0, 50_000, 500_000, 1_000_000]),
            accept_errors_per_million: prng.pick(&[0, 0, 50_000, 300_000]),
            false_completions_per_million: prng.pick(&[0, 100_000]),
            ring_messages: prng.pick(&[1, 2, 16, 1_024]),
            overflow_messages: prng.pick(&[1, 3, 64, 4_096]),
        }
    }
}

#[derive(Debug)]
pub(super) enum Reading {
    Idle,
    /// The page is with the world, or on its way there.
    Waiting,
    Ended(io::Result<usize>, PageMut),
}

#[derive(Debug)]
pub(super) enum Writing {
    Idle,
    /// So many bytes are with the world, or on their way there.
    Waiting(usize),
    Ended(io::Result<usize>),
}

/// One connection.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) id: ConnId,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    /// Both directions were ended from this side.
    pub(super) ended: Cell<bool>,
    /// The world has forgotten it.
    pub(super) gone: Cell<bool>,
    pub(super) reading: RefCell<Reading>,
    pub(super) writing: RefCell<Writing>,
    pub(super) reader: RefCell<Option<Waker>>,
    pub(super) writer: RefCell<Option<Waker>>,
}

/// Keeps a socket open; all of its parts hold it.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) host: Rc<Host>,
    pub(super) socket: Rc<Socket>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.host.end(&self.socket);
    }
}

/// Connections that wait to be accepted.
#[derive(Debug, Default)]
pub(super) struct Door {
    pub(super) closed: Cell<bool>,
    pub(super) queue: RefCell<VecDeque<Rc<Open>>>,
    pub(super) waiter: RefCell<Option<Waker>>,
}

/// The shared state.
pub(super) struct Host {
    pub(super) now: Cell<Now>,
    pub(super) prng: RefCell<Prng>,
    pub(super) rough: Roughness,
    /// What the world has to do.
    pub(super) effects: RefCell<VecDeque<Effect>>,
    pub(super) events: RefCell<VecDeque<Event>>,
    pub(super) spawned: RefCell<Vec<Task>>,
    pub(super) timers: RefCell<BTreeMap<(Instant, u64), Waker>>,
    pub(super) timers_made: Cell<u64>,
    sockets: RefCell<BTreeMap<ConnId, Rc<Socket>>>,
    pub(super) door: Door,
}

impl Host {
    pub(super) fn new(mut prng: Prng) -> Self {
        Self {
            now: Cell::new(Now { mono: Instant::default(), wall: Timestamp(0) }),
            rough: Roughness::draw(&mut prng),
            prng: RefCell::new(prng),
            effects: RefCell::default(),
            events: RefCell::default(),
            spawned: RefCell::default(),
            timers: RefCell::default(),
            timers_made: Cell::new(0),
            sockets: RefCell::default(),
            door: Door::default(),
        }
    }

    pub(super) fn chance(&self, per_million: u64) -> bool {
        per_million > 0 && self.prng.borrow_mut().chance(per_million)
    }

    pub(super) fn order(&self, effect: Effect) {
        self.effects.borrow_mut().push_back(effect);
    }

    pub(super) fn fire_timers(&self) {
        let now = self.now.get().mono;
        loop {
            let mut timers = self.timers.borrow_mut();
            match timers.first_entry() {
                Some(entry) if entry.key().0 <= now => entry.remove().wake(),
                Some(_) | None => return,
            }
        }
    }

    fn socket(&self, id: ConnId) -> Rc<Socket> {
        Rc::clone(self.sockets.borrow().get(&id).expect("the world names living sockets"))
    }

    pub(super) fn on_accepted(self: &Rc<Self>, id: ConnId, local: SocketAddr, peer: SocketAddr) {
        let socket = Rc::new(Socket {
            id,
            local,
            peer,
            ended: Cell::new(false),
            gone: Cell::new(false),
            reading: RefCell::new(Reading::Idle),
            writing: RefCell::new(Writing::Idle),
            reader: RefCell::default(),
            writer: RefCell::default(),
        });
        let before = self.sockets.borrow_mut().insert(id, Rc::clone(&socket));
        assert!(before.is_none(), "the world names a socket once");
        // Where nobody accepts any more, this drops the connection and so ends it.
        let open = Rc::new(Open { host: Rc::clone(self), socket });
        if !self.door.closed.get() {
            self.door.queue.borrow_mut().push_back(open);
            wake(&self.door.waiter);
        }
    }

    pub(super) fn on_received(&self, id: ConnId, page: PageMut, len: u32) {
        let socket = self.socket(id);
        *socket.reading.borrow_mut() = Reading::Ended(Ok(len as usize), page);
        wake(&socket.reader);
    }

    pub(super) fn on_sent(&self, id: ConnId) {
        let socket = self.socket(id);
        let mut writing = socket.writing.borrow_mut();
        let Writing::Waiting(len) = *writing else { panic!("the world takes what was written, once") };
        *writing = Writing::Ended(Ok(len));
        wake(&socket.writer);
    }

    pub(super) fn on_closed(&self, id: ConnId, page: Option<PageMut>) {
        let socket = self.sockets.borrow_mut().remove(&id).expect("the world closes a socket once");
        socket.gone.set(true);
        if let Some(page) = page.or_else(|| self.take_back(id)) {
            *socket.reading.borrow_mut() = Reading::Ended(self.end_of_stream(), page);
            wake(&socket.reader);
        }
        let mut writing = socket.writing.borrow_mut();
        if matches!(*writing, Writing::Waiting(_)) {
            *writing = Writing::Ended(Err(io::ErrorKind::BrokenPipe.into()));
            wake(&socket.writer);
        }
    }

    /// Sockets with a write under way, or whose end is.
    pub(super) fn sending(&self) -> usize {
        let is_sending = |socket: &&Rc<Socket>| {
            socket.ended.get() || matches!(*socket.writing.borrow(), Writing::Waiting(_))
        };
        self.sockets.borrow().values().filter(is_sending).count()
    }

    /// Takes a page back that has not left yet.
    fn take_back(&self, id: ConnId) -> Option<PageMut> {
        let mut effects = self.effects.borrow_mut();
        let place =
            effects.iter().position(|effect| matches!(effect, Effect::Recv { conn, .. } if *conn == id))?;
        let Some(Effect::Recv { into, .. }) = effects.remove(place) else {
            unreachable!("it was just found")
        };
        Some(into)
    }

    /// What a reader sees at the end: it cannot tell why.
    pub(super) fn end_of_stream(&self) -> io::Result<usize> {
        if self.chance(500_000) { Ok(0) } else { Err(io::ErrorKind::ConnectionReset.into()) }
    }

    /// Ends both directions.
    pub(super) fn end(&self, socket: &Socket) {
        if socket.ended.replace(true) || socket.gone.get() {
            return;
        }
        // While a panic unwinds, whatever it interrupted may hold this.
        if let Ok(mut effects) = self.effects.try_borrow_mut() {
            effects.push_back(Effect::Close { conn: socket.id, reason: CloseReason::Stopping });
        }
    }
}

pub(super) fn wake(waker: &RefCell<Option<Waker>>) {
    if let Some(waker) = waker.borrow_mut().take() {
        waker.wake();
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Host({} sockets)", self.sockets.borrow().len())
    }
}
