//! A whole node: locks its directory, reads it back, and runs each shard on a thread of its own. Owns the choice between io_uring
//! and epoll, the threads, and the way of stopping them; knows nothing of configuration files and logs.

mod error;
mod sockets;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use highwater_core::limits::CONNECTIONS_MAX;
use highwater_core::shard::{Boot, Config, Event, FileMeta, Halt, Shard, ShardMessage};
use highwater_core::time::Now;

pub use crate::launch::error::LaunchError;
pub use crate::storage::{CacheMode, Engine, StorageMode};

use crate::bell::Bell;
use crate::driver::{Driver, End, Machine, Parts, Room};
use crate::files::Layout;
use crate::launch::sockets::Port;
use crate::lock::{DirLock, LockError};
use crate::mesh::{Mesh, NoMesh, Node as MeshNode, RING_MESSAGES_MAX, mesh};
use crate::rt::Rt as _;
use crate::rt_monoio::{Clock, MonoioRt, Sockets, block_on};
use crate::storage::{FDS_MAX, Options, Storage, probe};
use crate::{sys, uring};

/// Events of a shard that wait for whoever watches; more are counted and dropped.
pub const EVENTS_MAX: usize = 4096;

/// Descriptors that are neither connections nor files.
const FDS_RESERVED: u64 = 256;

/// What carries I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoMode {
    /// io_uring, or epoll if that is refused.
    Auto,
    Uring,
    Epoll,
}

/// Whether each shard's thread is bound to one processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    EachShard,
    No,
}

/// A node that is to start.
#[derive(Debug, Clone)]
pub struct Launch {
    pub data_dir: PathBuf,
    /// Port 0 takes any that is free.
    pub listen: SocketAddr,
    pub io: IoMode,
    pub pin: Pin,
    pub config: Arc<Config>,
}

/// A machine that reads a node back and then makes its shards.
pub trait Bootable: Machine + Send + 'static {
    type Shard: Machine + Send + 'static;
    fn into_shards(self, now: Now) -> Vec<Self::Shard>;
}

impl Bootable for Boot {
    type Shard = Shard;

    fn into_shards(self, now: Now) -> Vec<Shard> {
        Self::into_shards(self, now)
    }
}

/// What a machine is made from.
#[derive(Debug)]
pub struct Found {
    pub files: Vec<FileMeta>,
    /// What was bound, with the port that was picked where any would do.
    pub addr: SocketAddr,
    pub seed: u64,
    pub now: Now,
}

/// How the node does its I/O; for the banner and the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoChoice {
    pub sockets: Sockets,
    pub storage: StorageMode,
    /// Why epoll was taken although io_uring was welcome, in one line.
    pub refused: Option<String>,
}

/// How many files the process may open, and how many connections all shards take with that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    pub files: u64,
    pub connections: usize,
}

impl Capacity {
    /// What a limit comes to for so many shards, and how many files of its data each of them may hold open: of all descriptors these
    /// take at most a quarter.
    fn of(files: u64, shards: u16) -> (Self, usize) {
        let shards = usize::from(shards.max(1));
        let fds = usize::try_from(files.saturating_sub(FDS_RESERVED)).unwrap_or(usize::MAX);
        let fds_max = FDS_MAX.min(fds / shards / 4).max(16);
        let connections = fds.saturating_sub(shards * fds_max).clamp(16, shards * CONNECTIONS_MAX);
        (Self { files, connections }, fds_max)
    }
}

/// A shard that ended although nobody had asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halted {
    pub shard: usize,
    pub halt: Halt,
}

/// Takes the process down when the thread that holds it panics: a node without one of its shards is none.
pub(crate) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// The events of one shard, or of the boot.
#[derive(Debug)]
pub struct Tap {
    events: rtrb::Consumer<Event>,
    dropped: Arc<AtomicU64>,
}

impl Tap {
    fn new() -> (Self, Box<dyn FnMut(Event) + Send>) {
        let (mut producer, events) = rtrb::RingBuffer::new(EVENTS_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let tap = Self { events, dropped: Arc::clone(&dropped) };
        let offer = Box::new(move |event| {
            if producer.push(event).is_err() {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
        });
        (tap, offer)
    }

    /// The oldest event that was not yet taken.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop().ok()
    }

    /// How many found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Asks the shards of a node to end; may be cloned and sent anywhere.
#[derive(Debug, Clone)]
pub struct Stopper {
    stop: Arc<AtomicBool>,
    bells: Arc<[Arc<Bell>]>,
}

impl Stopper {
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Has each shard take a turn, so that its machine may look at what changed outside of the boundary.
    pub fn wake(&self) {
        self.bells.iter().for_each(|bell| bell.ring());
    }
}

/// A node that runs.
#[derive(Debug)]
pub struct Node {
    addr: SocketAddr,
    io: IoChoice,
    capacity: Capacity,
    stopper: Stopper,
    threads: Vec<JoinHandle<Result<Halt, io::Error>>>,
    taps: Vec<Tap>,
    lock: DirLock,
}

impl Node {
    /// The address that clients dial.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn io(&self) -> &IoChoice {
        &self.io
    }

    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// The events of the boot, then of each shard. Only the first call has them.
    pub fn take_taps(&mut self) -> Vec<Tap> {
        std::mem::take(&mut self.taps)
    }

    /// Asks all shards to end. `join` waits for it.
    pub fn stop(&self) {
        self.stopper.stop();
    }

    /// Waits until all shards have ended; one that halts takes the others along.
    pub fn join(self) -> Result<(), Halted> {
        let mut result = Ok(());
        for (shard, thread) in self.threads.into_iter().enumerate() {
            let halt = thread.join().expect("a panic of a shard ends the process");
            let halt = halt.expect("a shard that runs has its runtime");
            if halt != Halt::Stopped && result.is_ok() {
                result = Err(Halted { shard, halt });
            }
        }
        drop(self.lock);
        result
    }
}

/// What one machine runs with.
struct Seat<A> {
    machine: A,
    name: String,
    cpu: Option<usize>,
    bell: Arc<Bell>,
    layout: Layout,
    io: IoChoice,
    fds_max: usize,
    clock: Clock,
    listener: Option<std::net::TcpListener>,
    room: Room,
    stop: Arc<AtomicBool>,
    tap: Box<dyn FnMut(Event) + Send>,
}

impl Launch {
    /// Starts the node; returns when it is read back and serves.
    pub fn start(self) -> Result<Node, LaunchError> {
        let config = Arc::clone(&self.config);
        self.start_with(|found| Boot::new(config, found.seed, found.files, found.now))
    }

    /// Starts a node of other machines than the core's.
    pub fn start_with<B: Bootable>(self, boot: impl FnOnce(Found) -> B) -> Result<Node, LaunchError> {
        let layout = Layout::create(&self.data_dir).map_err(|error| self.in_directory(error))?;
        let lock = DirLock::take(layout.root()).map_err(|error| match error {
            LockError::Held(pid) => LaunchError::Held { dir: self.data_dir.clone(), pid },
            LockError::Io(error) => self.in_directory(error),
        })?;
        let port = Port::bind_patiently(self.listen, self.config.shards)
            .map_err(|source| LaunchError::Listen { addr: self.listen, source })?;
        let io = self.choose_io(&layout)?;
        let clock = Clock::new();
        let found = Found {
            files: layout.list().map_err(|error| self.in_directory(error))?,
            addr: port.addr,
            seed: sys::random_u64().map_err(LaunchError::System)?,
            now: clock.now(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (boot_tap, offer) = Tap::new();
        let (capacity, fds_max) = Capacity::of(sys::raise_file_limit(), self.config.shards);
        let room = Room::of(capacity.connections);
        let seats = Seats { launch: &self, layout, io, clock, stop, capacity, fds_max, room };
        let seat = seats.seat("boot".to_owned(), boot(found), Arc::new(bell()?), offer);
        let (boot, end) = seats.read_back(seat)?;
        match end {
            End::Done => {}
            End::Halted(halt) => return Err(LaunchError::Halted(halt)),
        }
        let listeners = port.listen().map_err(|source| LaunchError::Listen { addr: self.listen, source })?;
        let addr = listeners.addr;
        let mut node = seats.start_shards(boot.into_shards(clock.now()), listeners, lock)?;
        node.addr = addr;
        node.taps.insert(0, boot_tap);
        Ok(node)
    }

    fn in_directory(&self, source: io::Error) -> LaunchError {
        LaunchError::Directory { dir: self.data_dir.clone(), source }
    }

    fn choose_io(&self, layout: &Layout) -> Result<IoChoice, LaunchError> {
        let cache = probe(layout.root()).map_err(|error| self.in_directory(error))?;
        let refused = match self.io {
            IoMode::Epoll => None,
            IoMode::Auto | IoMode::Uring => ring_refusal(),
        };
        if let (IoMode::Uring, Some(reason)) = (self.io, &refused) {
            return Err(LaunchError::UringRefused(reason.clone()));
        }
        let uring = self.io != IoMode::Epoll && refused.is_none();
        let (sockets, engine) =
            if uring { (Sockets::Uring, Engine::Ring) } else { (Sockets::Epoll, Engine::Flusher) };
        Ok(IoChoice { sockets, storage: StorageMode { cache, engine }, refused })
    }
}

/// Why the system refuses io_uring; `None` if it does not.
fn ring_refusal() -> Option<String> {
    match uring::check() {
        Ok(()) if monoio::utils::detect_uring() => None,
        Ok(()) => Some("this kernel's io_uring lacks operations that sockets need".to_owned()),
        Err(error) => {
            let hint = match error.raw_os_error() {
                Some(libc::EPERM) => {
                    "forbidden, as by a container's seccomp profile or kernel.io_uring_disabled"
                }
                Some(libc::ENOSYS) => "this kernel does not have it",
                Some(_) | None => "io_uring_setup failed",
            };
            Some(format!("io_uring is refused ({error}: {hint})"))
        }
    }
}

fn bell() -> Result<Bell, LaunchError> {
    Bell::new().map_err(LaunchError::System)
}

struct Seats<'a> {
    launch: &'a Launch,
    layout: Layout,
    io: IoChoice,
    clock: Clock,
    stop: Arc<AtomicBool>,
    capacity: Capacity,
    /// Of one shard.
    fds_max: usize,
    room: Room,
}

impl Seats<'_> {
    fn seat<A>(
        &self,
        name: String,
        machine: A,
        bell: Arc<Bell>,
        tap: Box<dyn FnMut(Event) + Send>,
    ) -> Seat<A> {
        Seat {
            machine,
            name,
            cpu: None,
            bell,
            layout: self.layout.clone(),
            io: self.io.clone(),
            fds_max: self.fds_max,
            clock: self.clock,
            listener: None,
            room: self.room.clone(),
            stop: Arc::clone(&self.stop),
            tap,
        }
    }

    fn read_back<B: Bootable>(&self, seat: Seat<B>) -> Result<(B, End), LaunchError> {
        let run = move || {
            let abort = AbortOnPanic;
            let result = drive(seat, NoMesh, || {});
            drop(abort);
            result
        };
        let thread = std::thread::Builder::new().name("hw-boot".to_owned()).spawn(run);
        let result = thread.and_then(|thread| thread.join().expect("a panic of the boot ends the process"));
        result.map_err(LaunchError::System)
    }

    fn start_shards<S: Machine + Send + 'static>(
        self,
        shards: Vec<S>,
        listeners: sockets::Listeners,
        lock: DirLock,
    ) -> Result<Node, LaunchError> {
        assert_eq!(shards.len(), listeners.sockets.len(), "a boot makes as many shards as the node has");
        let bells: Vec<Arc<Bell>> =
            shards.iter().map(|_| bell().map(Arc::new)).collect::<Result<_, LaunchError>>()?;
        let cpus = match self.launch.pin {
            Pin::EachShard => sys::allowed_cpus(),
            Pin::No => Vec::new(),
        };
        let nodes: Vec<MeshNode<ShardMessage>> = mesh(&bells, RING_MESSAGES_MAX);
        let stopper = Stopper { stop: Arc::clone(&self.stop), bells: bells.clone().into() };
        let mut node = Node {
            addr: listeners.addr,
            io: self.io.clone(),
            capacity: self.capacity,
            stopper,
            threads: Vec::new(),
            taps: Vec::new(),
            lock,
        };
        let (started, starts) = channel();
        let each = shards.into_iter().zip(nodes).zip(listeners.sockets).zip(bells).enumerate();
        for (id, (((machine, mesh), listener), bell)) in each {
            let (tap, offer) = Tap::new();
            let mut seat = self.seat(format!("hw-{id}"), machine, bell, offer);
            seat.cpu = (!cpus.is_empty()).then(|| cpus[id % cpus.len()]);
            seat.listener = Some(listener);
            let (stopper, started) = (node.stopper.clone(), started.clone());
            let run = move || run_shard(seat, mesh, &stopper, &started);
            let thread = std::thread::Builder::new().name(format!("hw-{id}")).spawn(run);
            match thread {
                Ok(thread) => node.threads.push(thread),
                Err(error) => return Err(abandon(node, error)),
            }
            node.taps.push(tap);
        }
        drop(started);
        match starts.iter().take(node.threads.len()).find_map(Result::err) {
            Some(error) => Err(abandon(node, error)),
            None => Ok(node),
        }
    }
}

/// Ends the shards that did start.
fn abandon(node: Node, error: io::Error) -> LaunchError {
    node.stop();
    for thread in node.threads {
        // What they ended with matters no more: the launch has failed.
        drop(thread.join());
    }
    LaunchError::System(error)
}

fn run_shard<A: Machine + 'static>(
    seat: Seat<A>,
    mesh: MeshNode<ShardMessage>,
    stopper: &Stopper,
    started: &Sender<io::Result<()>>,
) -> Result<Halt, io::Error> {
    let abort = AbortOnPanic;
    if let Some(cpu) = seat.cpu {
        // A processor that went away meanwhile costs speed, nothing else.
        let _ = sys::pin_to(cpu);
    }
    let running = Cell::new(false);
    let result = drive(seat, mesh, || {
        running.set(true);
        let _ = started.send(Ok(()));
    });
    let end = match result {
        Ok((_, end)) => end,
        Err(error) => {
            assert!(!running.get(), "the runtime of a shard failed: {error}");
            let _ = started.send(Err(copy_of(&error)));
            return Err(error);
        }
    };
    let halt = match end {
        End::Halted(halt) => halt,
        End::Done => unreachable!("a shard ends by a halt"),
    };
    if halt != Halt::Stopped {
        stopper.stop();
    }
    drop(abort);
    Ok(halt)
}

fn copy_of(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

impl<A> Seat<A> {
    fn storage(&self) -> io::Result<Storage> {
        Storage::new(Options {
            layout: self.layout.clone(),
            mode: self.io.storage,
            fds_max: self.fds_max,
            bell: Arc::clone(&self.bell),
            name: self.name.clone(),
        })
    }
}

/// Drives one machine on this thread until it ends; calls `running` once all that it needs is there.
fn drive<A: Machine + 'static>(
    seat: Seat<A>,
    mesh: impl Mesh + 'static,
    running: impl FnOnce(),
) -> io::Result<(A, End)> {
    let storage = seat.storage()?;
    let Seat { machine, bell, io, clock, listener, room, stop, tap, .. } = seat;
    let main = async move {
        let rt = MonoioRt::new(clock);
        let listener = listener.map(MonoioRt::listen).transpose()?;
        let parts = Parts { machine, disk: storage, mesh, listener, room, tap };
        let driver = Driver::new(rt.clone(), parts);
        let remote = driver.remote();
        let ended = Rc::new(RefCell::new(None));
        let (result, ending) = (Rc::clone(&ended), Arc::clone(&bell));
        rt.spawn(async move {
            *result.borrow_mut() = Some(driver.run().await);
            ending.ring();
        });
        running();
        let told = Cell::new(false);
        let notify = remote.notify();
        MonoioRt::watch(&bell, || {
            if stop.load(Ordering::SeqCst) && !told.replace(true) {
                remote.stop();
            }
            notify.notify();
            if ended.borrow().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await?;
        Ok(ended.take().expect("the watch ends with the driver"))
    };
    block_on(io.sockets, main)?
}
