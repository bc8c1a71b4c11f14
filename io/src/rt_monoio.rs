//! The production runtime: monoio on io_uring, or on epoll where io_uring is refused. Owns every contact with monoio.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::rc::Rc;

use highwater_core::time::{Instant, Now, Timestamp};
use monoio::buf::{IoBuf, IoBufMut, IoVecBuf};
use monoio::io::{AsyncReadRent, AsyncWriteRent, Canceller, Splitable};
use monoio::net::tcp::{TcpOwnedReadHalf, TcpOwnedWriteHalf};
use monoio::net::{ListenerOpts, TcpListener, TcpStream};

use crate::bell::Bell;
use crate::rt::{Gather, Lent, PARTS_MAX, Rt, Stream};
use crate::{sys, uring};

/// Which system interface carries sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sockets {
    Uring,
    Epoll,
}

/// Runs `main` on a new runtime of this thread until it ends. All tasks it spawned must have ended by then.
pub fn block_on<T>(sockets: Sockets, main: impl Future<Output = T>) -> io::Result<T> {
    match sockets {
        Sockets::Uring => {
            let mut runtime = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
                .uring_builder(uring::builder())
                .enable_timer()
                .build()?;
            Ok(runtime.block_on(main))
        }
        Sockets::Epoll => {
            let mut runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer().build()?;
            Ok(runtime.block_on(main))
        }
    }
}

/// The node's clocks, with one origin for all its shards.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    #[expect(clippy::new_without_default, reason = "an origin in time is no default")]
    pub fn new() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    pub fn now(self) -> Now {
        let mono = u64::try_from(self.origin.elapsed().as_nanos()).expect("a node runs less than 500 years");
        let wall = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        Now { mono: Instant::from_nanos(mono), wall: Timestamp(wall) }
    }
}

/// [`Rt`] on the monoio runtime of this thread.
#[derive(Debug, Clone)]
pub struct MonoioRt {
    clock: Clock,
    spare: Rc<RefCell<Vec<Iovecs>>>,
}

/// What a write tells the kernel of its parts.
type Iovecs = Vec<libc::iovec>;

/// Empty lists of parts that are kept for their memory, for all writers: most of them are idle. A long one is not.
const SPARE_MAX: usize = 64;
const SPARE_PARTS_MAX: usize = 64;

impl MonoioRt {
    pub fn new(clock: Clock) -> Self {
        Self { clock, spare: Rc::default() }
    }

    /// Takes back what a write is done with.
    fn spare(&self, mut iovecs: Iovecs) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX && iovecs.capacity() <= SPARE_PARTS_MAX {
            iovecs.clear();
            spare.push(iovecs);
        }
    }

    /// Takes over a listening socket.
    pub fn listen(listener: std::net::TcpListener) -> io::Result<MonoioListener> {
        // io_uring would answer EAGAIN on a non-blocking socket; epoll needs it so.
        listener.set_nonblocking(monoio::utils::is_legacy())?;
        let inner = TcpListener::from_std(listener)?;
        Ok(MonoioListener { inner, canceller: RefCell::default(), closed: Cell::new(false) })
    }

    /// Calls `on_ring` after each ring of `bell` until it breaks.
    pub async fn watch(bell: &Bell, mut on_ring: impl FnMut() -> ControlFlow<()>) -> io::Result<()> {
        let fd = bell.try_clone()?.into_raw_fd();
        // SAFETY: the descriptor was just duplicated and is owned by nobody else. It is no socket, and nothing but its
        // readiness is asked for.
        let watched = unsafe { std::net::TcpStream::from_raw_fd(fd) };
        let watched = TcpStream::from_std(watched)?;
        loop {
            watched.readable(false).await?;
            bell.silence();
            if on_ring().is_break() {
                return Ok(());
            }
        }
    }

    fn stream(stream: TcpStream, peer: SocketAddr) -> io::Result<Stream<Self>> {
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        let fd = stream.as_raw_fd();
        let (reader, writer) = stream.into_split();
        let ender = MonoioEnder { fd, _open: Rc::clone(&reader.0) };
        Ok(Stream { reader, writer: MonoioWriter(writer), ender, local, peer })
    }
}

pub struct MonoioListener {
    inner: TcpListener,
    canceller: RefCell<Canceller>,
    closed: Cell<bool>,
}

pub struct MonoioWriter(TcpOwnedWriteHalf);

/// The socket stays open as long as its ender lives, so the number cannot name another one.
pub struct MonoioEnder {
    fd: RawFd,
    _open: Rc<UnsafeCell<TcpStream>>,
}

impl Rt for MonoioRt {
    type Listener = MonoioListener;
    type Reader = TcpOwnedReadHalf;
    type Writer = MonoioWriter;
    type Ender = MonoioEnder;

    fn now(&self) -> Now {
        self.clock.now()
    }

    async fn sleep_until(&self, at: Instant) {
        let rest = at.since(self.clock.now().mono).as_nanos();
        if rest > 0 {
            monoio::time::sleep(std::time::Duration::from_nanos(rest)).await;
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        drop(monoio::spawn(task));
    }

    fn bind(&self, at: SocketAddr) -> io::Result<MonoioListener> {
        let inner = TcpListener::bind_with_config(at, &ListenerOpts::new())?;
        Ok(MonoioListener { inner, canceller: RefCell::default(), closed: Cell::new(false) })
    }

    async fn accept(&self, listener: &MonoioListener) -> io::Result<Stream<Self>> {
        if listener.closed.get() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let handle = listener.canceller.borrow().handle();
        let (stream, peer) = listener.inner.cancelable_accept(handle).await?;
        Self::stream(stream, peer)
    }

    fn unbind(&self, listener: &MonoioListener) {
        listener.closed.set(true);
        listener.canceller.take().cancel();
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Stream<Self>> {
        Self::stream(TcpStream::connect_addr(to).await?, to)
    }

    fn read(
        &self,
        reader: &mut TcpOwnedReadHalf,
        lent: Lent,
    ) -> impl Future<Output = (io::Result<usize>, Lent)> {
        assert!(lent.room() > 0, "a read has room");
        reader.read(lent)
    }

    async fn write(&self, writer: &mut MonoioWriter, gather: Gather) -> (io::Result<usize>, Gather) {
        let mut iovecs = self.spare.borrow_mut().pop().unwrap_or_default();
        iovecs.extend(gather.rest().take(PARTS_MAX).map(iovec));
        let (result, Gathered { iovecs, gather }) = writer.0.writev(Gathered { iovecs, gather }).await;
        self.spare(iovecs);
        (result, gather)
    }

    fn end(&self, ender: &MonoioEnder) {
        sys::shutdown(ender.fd);
    }
}

pub(crate) fn iovec(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

// SAFETY: the page's bytes are on the heap and never move, and they are initialised in full.
unsafe impl IoBuf for Lent {
    fn read_ptr(&self) -> *const u8 {
        self.page.as_slice()[self.at as usize..].as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.room()
    }
}

// SAFETY: as above; the one owner of the page is this value, so nobody else looks at it meanwhile.
unsafe impl IoBufMut for Lent {
    fn write_ptr(&mut self) -> *mut u8 {
        self.as_mut_slice().as_mut_ptr()
    }

    fn bytes_total(&mut self) -> usize {
        self.room()
    }

    unsafe fn set_init(&mut self, _pos: usize) {}
}

/// What a write names, and what keeps it alive.
struct Gathered {
    iovecs: Iovecs,
    gather: Gather,
}

// SAFETY: the iovecs are on the heap and name bytes that the slices in `gather` keep alive and unchanged.
unsafe impl IoVecBuf for Gathered {
    fn read_iovec_ptr(&self) -> *const libc::iovec {
        self.iovecs.as_ptr()
    }

    fn read_iovec_len(&self) -> usize {
        self.iovecs.len()
    }
}

macro_rules! opaque_debug {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}
opaque_debug!(MonoioListener, MonoioWriter, MonoioEnder);
