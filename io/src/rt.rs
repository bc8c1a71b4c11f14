//! The runtime as the driver sees it: a clock, timers, local tasks and byte streams with owned buffers, shaped like monoio.
//! Implemented by [`crate::rt_monoio`] in production and by the simulator on its own executor, without sockets.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use highwater_core::buf::{PageMut, Slice};
use highwater_core::time::{Instant, Now};

/// Most parts of one vectored call (`IOV_MAX` of Linux).
pub(crate) const PARTS_MAX: usize = 1024;

/// A single-threaded runtime. Futures of `read`, `write` and `accept` are awaited to their end, never dropped: a dropped read
/// loses data. `end` and `unbind` are how a pending one is brought to its end.
pub trait Rt: Clone + 'static {
    type Listener: 'static;
    type Reader: 'static;
    type Writer: 'static;
    type Ender: 'static;

    fn now(&self) -> Now;
    /// May be late, and may be dropped.
    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()>;
    fn spawn(&self, task: impl Future<Output = ()> + 'static);

    fn bind(&self, at: SocketAddr) -> io::Result<Self::Listener>;
    fn accept(&self, listener: &Self::Listener) -> impl Future<Output = io::Result<Stream<Self>>>;
    /// Ends the pending and every later `accept` with an error.
    fn unbind(&self, listener: &Self::Listener);
    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<Stream<Self>>>;

    /// Reads once into what is lent; zero is the end of the stream.
    fn read(&self, reader: &mut Self::Reader, lent: Lent) -> impl Future<Output = (io::Result<usize>, Lent)>;
    /// Writes once what `gather` still holds, as far as the stream takes it; does not advance `gather`.
    fn write(
        &self,
        writer: &mut Self::Writer,
        gather: Gather,
    ) -> impl Future<Output = (io::Result<usize>, Gather)>;
    /// Ends both directions at once: pending and later reads and writes return.
    fn end(&self, ender: &Self::Ender);
}

/// One connection in its three parts, so that reading, writing and ending it go on beside each other.
#[derive(Debug)]
pub struct Stream<R: Rt> {
    pub reader: R::Reader,
    pub writer: R::Writer,
    pub ender: R::Ender,
    pub local: SocketAddr,
    pub peer: SocketAddr,
}

/// A page for one read, which fills it from byte `at` on. It comes back as it went: a runtime may hand it to the system as it is, and a
/// task that waits for bytes, of which there are many, holds it once.
#[derive(Debug)]
pub struct Lent {
    pub page: PageMut,
    pub at: u32,
}

impl Lent {
    /// How many bytes there is room for.
    pub fn room(&self) -> usize {
        self.page.len() - self.at as usize
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.page.as_mut_slice()[self.at as usize..]
    }
}

/// Slices that go out as one, and how far they went.
#[derive(Debug, Default)]
pub struct Gather {
    parts: Vec<Slice>,
    first: usize,
    skip: usize,
}

impl Gather {
    pub fn push(&mut self, part: Slice) {
        if !part.is_empty() {
            self.parts.push(part);
        }
    }

    /// Parts, counting those that are out already.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.first == self.parts.len()
    }

    /// What is left, in order.
    pub fn rest(&self) -> impl Iterator<Item = &[u8]> {
        let skips = std::iter::once(self.skip).chain(std::iter::repeat(0));
        self.parts[self.first..].iter().zip(skips).map(|(part, skip)| &part.as_slice()[skip..])
    }

    /// Notes that the next `len` bytes are out.
    pub fn advance(&mut self, mut len: usize) {
        while len > 0 {
            let rest = self.parts[self.first].len() - self.skip;
            if len < rest {
                self.skip += len;
                return;
            }
            len -= rest;
            self.first += 1;
            self.skip = 0;
        }
    }
}

/// A flag that one local task waits for. Notices before a wait are not lost, and many are one.
#[derive(Default)]
pub struct Flag {
    set: Cell<bool>,
    waiter: Cell<Option<Waker>>,
}

impl Flag {
    pub fn notify(&self) {
        self.set.set(true);
        if let Some(waker) = self.waiter.take() {
            waker.wake();
        }
    }

    /// Takes a notice back: its reason is about to be looked at.
    pub fn clear(&self) {
        self.set.set(false);
    }

    pub async fn notified(&self) {
        poll_fn(|cx| {
            if self.set.replace(false) {
                return Poll::Ready(());
            }
            self.waiter.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Waits for a notice, but no longer than until `at`.
    pub async fn notified_until<R: Rt>(&self, rt: &R, at: Option<Instant>) {
        let Some(at) = at else { return self.notified().await };
        let mut notified = pin!(self.notified());
        let mut sleep = pin!(rt.sleep_until(at));
        poll_fn(|cx| {
            if notified.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            sleep.as_mut().poll(cx)
        })
        .await;
    }
}

impl std::fmt::Debug for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flag({})", self.set.get())
    }
}

/// A [`Flag`] that several hold.
#[derive(Debug, Clone, Default)]
pub struct Notify(Rc<Flag>);

impl Deref for Notify {
    type Target = Flag;

    fn deref(&self) -> &Flag {
        &self.0
    }
}

/// Lets every other task that is ready run once.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
