//! The driver's runtime on madsim: its tasks, its time and its TCP. Must not know the driver.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use highwater_core::time::{Duration, Instant, Now, Timestamp};
use highwater_io::rt::{Gather, Lent, Rt, Stream};
use madsim::net::{TcpListener, TcpStream};
use madsim::task::spawn_local;
use madsim::time::TimeHandle;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

/// The wall clock when a run begins.
pub(super) const WALL_MILLIS: i64 = 1_780_000_000_000;

/// Virtual time since the run began.
pub(super) fn elapsed() -> Instant {
    let nanos = TimeHandle::current().elapsed().as_nanos();
    Instant::from_nanos(u64::try_from(nanos).expect("a run is short"))
}

/// What wall clocks show at a virtual time.
pub(super) fn wall_millis(at: Instant) -> i64 {
    WALL_MILLIS + i64::try_from(at.as_nanos() / 1_000_000).expect("a run is short")
}

pub(super) async fn sleep(wait: Duration) {
    madsim::time::sleep(std::time::Duration::from_nanos(wait.as_nanos())).await;
}

/// Runs a task on the present node, for as long as the node lives.
pub(super) fn start(task: impl Future<Output = ()> + 'static) {
    drop(spawn_local(task));
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Sock {
    stream: RefCell<Option<TcpStream>>,
    reader: RefCell<Option<Waker>>,
}

impl Sock {
    pub(super) fn new(stream: TcpStream) -> Rc<Self> {
        Rc::new(Self { stream: RefCell::new(Some(stream)), reader: RefCell::default() })
    }

    pub(super) fn end(&self) {
        drop(self.stream.borrow_mut().take());
        if let Some(waker) = self.reader.borrow_mut().take() {
            waker.wake();
        }
    }

    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut stream = self.stream.borrow_mut();
        let Some(stream) = stream.as_mut() else { return Poll::Ready(Ok(0)) };
        *self.reader.borrow_mut() = Some(cx.waker().clone());
        let mut buf = ReadBuf::new(into);
        Pin::new(stream).poll_read(cx, &mut buf).map_ok(|()| buf.filled().len())
    }

    pub(super) async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, into)).await
    }

    /// Takes all, at once: madsim's buffers have no end.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut stream = self.stream.borrow_mut();
        let mut stream = Pin::new(stream.as_mut().ok_or(io::ErrorKind::BrokenPipe)?);
        let mut cx = Context::from_waker(Waker::noop());
        let written = stream.as_mut().poll_write(&mut cx, bytes);
        let flushed = stream.poll_flush(&mut cx);
        match (written, flushed) {
            (Poll::Ready(written), Poll::Ready(flushed)) => flushed.and(written),
            (Poll::Pending, _) | (_, Poll::Pending) => unreachable!("nothing is waited for"),
        }
    }
}

/// A shard's share of the listener of its node.
#[derive(Debug)]
pub(super) struct Door {
    inner: Rc<TcpListener>,
    closed: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl Door {
    pub(super) fn new(inner: Rc<TcpListener>) -> Self {
        Self { inner, closed: Cell::new(false), waiter: RefCell::default() }
    }
}

/// [`Rt`] on the madsim node that runs it.
#[derive(Debug, Clone)]
pub(super) struct MadRt {
    /// What jumps of the wall clock come to.
    pub(super) skew_millis: Rc<Cell<i64>>,
}

impl Rt for MadRt {
    type Listener = Door;
    type Reader = Rc<Sock>;
    type Writer = Rc<Sock>;
    type Ender = Rc<Sock>;

    fn now(&self) -> Now {
        let mono = elapsed();
        Now { mono, wall: Timestamp(wall_millis(mono) + self.skew_millis.get()) }
    }

    async fn sleep_until(&self, at: Instant) {
        let rest = at.since(elapsed());
        if rest > Duration::ZERO {
            sleep(rest).await;
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        start(task);
    }

    fn bind(&self, _at: SocketAddr) -> io::Result<Door> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept(&self, door: &Door) -> io::Result<Stream<Self>> {
        let mut accept = pin!(door.inner.accept());
        let (stream, peer) = poll_fn(|cx| {
            if door.closed.get() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            *door.waiter.borrow_mut() = Some(cx.waker().clone());
            accept.as_mut().poll(cx)
        })
        .await?;
        let local = stream.local_addr()?;
        let sock = Sock::new(stream);
        Ok(Stream { reader: Rc::clone(&sock), writer: Rc::clone(&sock), ender: sock, local, peer })
    }

    fn unbind(&self, door: &Door) {
        door.closed.set(true);
        if let Some(waker) = door.waiter.borrow_mut().take() {
            waker.wake();
        }
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Stream<Self>> {
        let stream = TcpStream::connect(to).await?;
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        let sock = Sock::new(stream);
        Ok(Stream { reader: Rc::clone(&sock), writer: Rc::clone(&sock), ender: sock, local, peer })
    }

    async fn read(&self, reader: &mut Rc<Sock>, mut lent: Lent) -> (io::Result<usize>, Lent) {
        let result = reader.read(lent.as_mut_slice()).await;
        (result, lent)
    }

    async fn write(&self, writer: &mut Rc<Sock>, gather: Gather) -> (io::Result<usize>, Gather) {
        let bytes = gather.rest().collect::<Vec<_>>().concat();
        let result = writer.write(&bytes);
        (result, gather)
    }

    fn end(&self, ender: &Rc<Sock>) {
        ender.end();
    }
}
