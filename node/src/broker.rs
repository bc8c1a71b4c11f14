//! The node's shards as the rest of this crate sees them. The only module that knows how the I/O crate starts them.

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::{io, thread};

use highwater_cli::{Exit, Failure};
use highwater_core::id::ShardId;
use highwater_core::shard::{Boot, Effect, Event, Input, Shard};
use highwater_core::time::{Instant, Now};
use highwater_io::driver::Machine;
use highwater_io::launch::{
    Bootable, CacheMode, Capacity, IoChoice, IoMode, Launch, LaunchError, Node, Pin, Stopper,
};
use highwater_io::rt_monoio::Sockets;

use crate::config::{HostPort, IoDriver, Settings};
use crate::notices::{Noticed, Notices};
use crate::observer::{DiskWatch, Observer};
use crate::survey::{Survey, Surveyed, Visible};
use crate::words;

/// Running shards.
#[derive(Debug)]
pub(crate) struct Broker {
    /// The address that was bound.
    pub(crate) address: SocketAddr,
    pub(crate) shards: u16,
    /// `uring` or `epoll`.
    pub(crate) io_driver: &'static str,
    /// What carries I/O and why, for people.
    pub(crate) io_reason: String,
    /// How many files may be open, and how many connections that allows, for people.
    pub(crate) capacity: String,
    /// What an acknowledged record has survived.
    pub(crate) durability: &'static str,
    node: Node,
    stopper: Stopper,
}

/// Asks the shards of a broker to end.
#[derive(Debug)]
pub(crate) struct Stop(Stopper);

impl Stop {
    pub(crate) fn ask(&self) {
        self.0.stop();
    }
}

/// Starts the shards; returns when they serve.
pub(crate) fn start(
    settings: &Settings,
    observer: &Arc<Observer>,
    survey: &Arc<Survey>,
    notices: &Arc<Notices>,
) -> Result<Broker, Failure> {
    let launch = Launch {
        data_dir: settings.data_dir.clone(),
        listen: resolve(&settings.listen)?,
        io: match settings.io {
            IoDriver::Auto => IoMode::Auto,
            IoDriver::Uring => IoMode::Uring,
            IoDriver::Epoll => IoMode::Epoll,
        },
        pin: Pin::EachShard,
        config: Arc::new(settings.core.clone()),
    };
    let node = launch
        .start_with(|found| {
            let config = Arc::new(settings.of_core(found.addr.port()));
            let boot = Boot::new(config, found.seed, found.files, found.now);
            let surveyed = Surveyed::new(Arc::clone(survey), ShardId(0));
            let noticed = Noticed::new(Arc::clone(notices), ShardId(0));
            let disk = DiskWatch::default();
            let (observer, now) = (Arc::clone(observer), found.now);
            let watched =
                Watched { machine: boot, shard: ShardId(0), observer, disk, surveyed, noticed, now };
            #[cfg(feature = "record")]
            let watched = recorded(watched, found.seed);
            watched
        })
        .map_err(|error| not_started(&error, settings))?;
    let waker = node.stopper();
    survey.open(move || waker.wake());
    let waker = node.stopper();
    notices.open(move || waker.wake());
    let (io_driver, io_reason) = io_words(node.io());
    let Capacity { files, connections } = node.capacity();
    let capacity = format!("{files} open files (ulimit -Hn), which allow {connections} connections");
    Ok(Broker {
        address: node.addr(),
        shards: settings.core.shards,
        io_driver,
        io_reason,
        capacity,
        durability: durability(node.io().storage.cache),
        stopper: node.stopper(),
        node,
    })
}

/// Records the clients, if the environment names a file for it.
#[cfg(feature = "record")]
fn recorded<B>(machine: B, seed: u64) -> highwater_io::record::Recorded<B> {
    let path = std::env::var_os("HIGHWATER_RECORD").map(std::path::PathBuf::from);
    let recorded = highwater_io::record::Recorded::new(machine, seed, path.as_deref());
    recorded.expect("the file of HIGHWATER_RECORD can be created")
}

impl Broker {
    /// Waits for the end of all shards on a thread of its own, then calls `ended` there.
    pub(crate) fn when_ended(
        self,
        ended: impl FnOnce(Result<(), Failure>) + Send + 'static,
    ) -> io::Result<Stop> {
        let node = self.node;
        thread::Builder::new().name("waiter".into()).spawn(move || {
            ended(node.join().map_err(|halted| {
                let failure = words::halt(halted.halt);
                Failure { place: format!("{}, on shard {}", failure.place, halted.shard), ..failure }
            }));
        })?;
        Ok(Stop(self.stopper))
    }
}

/// A machine whose events go to the observer, on the machine's thread, and that can be looked at.
#[derive(Debug)]
struct Watched<M> {
    machine: M,
    shard: ShardId,
    observer: Arc<Observer>,
    disk: DiskWatch,
    surveyed: Surveyed,
    noticed: Noticed,
    /// Of the last call.
    now: Now,
}

impl<M: Machine + Visible> Machine for Watched<M> {
    fn handle(&mut self, now: Now, input: Input) {
        self.disk.on_input(now, &input, self.observer.shard(self.shard));
        self.machine.handle(now, input);
    }

    fn poll(&mut self, now: Now) -> Option<Effect> {
        self.now = now;
        for news in self.noticed.take() {
            self.machine.handle(now, news);
        }
        let effect = self.machine.poll(now);
        if let Some(effect) = &effect {
            self.disk.on_effect(now, effect);
        }
        // One poll may make many events, and a machine keeps only so many.
        while let Some(event) = self.machine.poll_event() {
            self.observer.on_event(self.shard, &event);
        }
        self.noticed.done();
        effect
    }

    fn deadline(&self) -> Option<Instant> {
        if self.surveyed.is_busy() { Some(Instant::from_nanos(0)) } else { self.machine.deadline() }
    }

    /// Leaves none for the driver, which asks once in each turn.
    fn poll_event(&mut self) -> Option<Event> {
        while let Some(event) = self.machine.poll_event() {
            self.observer.on_event(self.shard, &event);
        }
        if let Some(progress) = self.machine.progress() {
            self.observer.on_progress(progress);
        }
        self.surveyed.turn(self.now, &mut self.machine);
        None
    }

    fn is_done(&self) -> bool {
        self.machine.is_done()
    }
}

impl Bootable for Watched<Boot> {
    type Shard = Watched<Shard>;

    fn into_shards(self, now: Now) -> Vec<Watched<Shard>> {
        self.observer.on_read_back();
        let Self { machine, observer, surveyed, noticed, .. } = self;
        let watched = |machine: Shard| {
            let shard = machine.id();
            let surveyed = Surveyed::new(surveyed.survey(), shard);
            let noticed = Noticed::new(noticed.notices(), shard);
            let (observer, disk) = (Arc::clone(&observer), DiskWatch::default());
            Watched { machine, shard, observer, disk, surveyed, noticed, now }
        };
        machine.into_shards(now).into_iter().map(watched).collect()
    }
}

fn resolve(at: &HostPort) -> Result<SocketAddr, Failure> {
    let unknown = |why: String| Failure {
        exit: Exit::Failed,
        what: "cannot find the address to listen on".into(),
        place: at.to_string(),
        why,
        fix: "give an address of this machine, such as 127.0.0.1:9092, or 0.0.0.0:9092 for all of them"
            .into(),
    };
    let mut addresses = (at.host.as_str(), at.port).to_socket_addrs().map_err(|e| unknown(e.to_string()))?;
    addresses.next().ok_or_else(|| unknown("the name has no address".into()))
}

fn io_words(io: &IoChoice) -> (&'static str, String) {
    match (io.sockets, &io.refused) {
        (Sockets::Uring, _) => ("uring", "io_uring for sockets and disk".into()),
        (Sockets::Epoll, None) => ("epoll", "epoll, and threads for the disk, as asked for".into()),
        (Sockets::Epoll, Some(refused)) => ("epoll", format!("epoll, and threads for the disk: {refused}")),
    }
}

fn durability(cache: CacheMode) -> &'static str {
    match cache {
        CacheMode::DirectDsync => "every acknowledged record is on disk: O_DIRECT + RWF_DSYNC, group commit",
        CacheMode::DirectSync => {
            "every acknowledged record is on disk: O_DIRECT, then fdatasync, group commit"
        }
        CacheMode::Buffered => {
            "every acknowledged record is on disk: fdatasync, group commit (no O_DIRECT on this file system)"
        }
    }
}

fn not_started(error: &LaunchError, settings: &Settings) -> Failure {
    let dir = settings.data_dir.display();
    let failed = |what: &str, place: String, why: String, fix: &str| Failure {
        exit: Exit::Failed,
        what: what.into(),
        place,
        why,
        fix: fix.into(),
    };
    match error {
        LaunchError::Directory { dir, source } => failed(
            "cannot use the data directory",
            dir.display().to_string(),
            source.to_string(),
            directory_fix(source),
        ),
        LaunchError::Held { dir, pid } => failed(
            "the data directory is in use",
            dir.display().to_string(),
            match pid {
                Some(pid) => format!("process {pid} has locked it"),
                None => "another process has locked it".into(),
            },
            "stop that node, or give this one a directory of its own: --data-dir DIR (log.dirs in a file)",
        ),
        LaunchError::Listen { addr, source } => failed(
            "cannot listen for Kafka clients",
            addr.to_string(),
            source.to_string(),
            "stop what uses the port, or choose another: --listen HOST:PORT (listeners in a file); port 0 is any free one",
        ),
        LaunchError::UringRefused(reason) => failed(
            "io_uring was asked for and is refused",
            "--io uring (io in a file)".into(),
            reason.clone(),
            "use --io auto, or allow it: sysctl kernel.io_uring_disabled=0, or a seccomp profile that permits io_uring",
        ),
        LaunchError::Halted(halt) => {
            let failure = words::halt(*halt);
            Failure { place: format!("{}, in {dir}", failure.place), ..failure }
        }
        LaunchError::System(source) => failed(
            "the system refused what a node needs",
            "this process".into(),
            source.to_string(),
            "look at the limits on processes, open files and locked memory (ulimit -u, -n, -l)",
        ),
    }
}

fn directory_fix(error: &io::Error) -> &'static str {
    const FIXES: [(&[ErrorKind], &str); 4] = [
        (
            &[ErrorKind::PermissionDenied],
            "give this user the directory, or choose another with --data-dir (log.dirs in a file)",
        ),
        (&[ErrorKind::ReadOnlyFilesystem], "mount the file system writable, or choose another directory"),
        (
            &[ErrorKind::StorageFull, ErrorKind::QuotaExceeded],
            "make room, then start again: what was acknowledged is still there",
        ),
        (
            &[ErrorKind::NotADirectory, ErrorKind::AlreadyExists],
            "it is a file: choose a directory with --data-dir (log.dirs in a file)",
        ),
    ];
    FIXES.iter().find(|(kinds, _)| kinds.contains(&error.kind())).map_or(
        "check that its parent exists and that this user may write there, or choose another with --data-dir",
        |(_, fix)| fix,
    )
}
