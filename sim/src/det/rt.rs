//! The runtime of the driver: sockets that take a part of what is written, give a part of what is there, and end when they like.
//! Must not know the network behind.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use highwater_core::buf::Slice;
use highwater_core::shard::Effect;
use highwater_core::time::{Instant, Now};
use highwater_io::rt::{Gather, Lent, Rt, Stream};

use super::host::{Host, Open, Reading, Writing, wake};
use crate::draw::Draw;

/// EMFILE: the process has no descriptor left.
const NO_DESCRIPTOR: i32 = 24;

/// [`Rt`] over a [`Host`].
#[derive(Debug, Clone)]
pub(super) struct DetRt(pub(super) Rc<Host>);

/// One part of a connection.
#[derive(Debug)]
pub(super) struct Part(Rc<Open>);

#[derive(Debug)]
pub(crate) struct Listener;

/// Ready at a time.
struct Sleep {
    host: Rc<Host>,
    at: Instant,
    number: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.host.now.get().mono >= self.at {
            return Poll::Ready(());
        }
        self.host.timers.borrow_mut().insert((self.at, self.number), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Ok(mut timers) = self.host.timers.try_borrow_mut() {
            timers.remove(&(self.at, self.number));
        }
    }
}

impl DetRt {
    fn accept_one(&self) -> Option<io::Result<Stream<Self>>> {
        let door = &self.0.door;
        if door.closed.get() {
            return Some(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if door.queue.borrow().is_empty() {
            return None;
        }
        if self.0.chance(self.0.rough.accept_errors_per_million) {
            return Some(Err(io::Error::from_raw_os_error(NO_DESCRIPTOR)));
        }
        let open = door.queue.borrow_mut().pop_front().expect("it was just looked at");
        let (local, peer) = (open.socket.local, open.socket.peer);
        Some(Ok(Stream {
            reader: Part(Rc::clone(&open)),
            writer: Part(Rc::clone(&open)),
            ender: Part(open),
            local,
            peer,
        }))
    }
}

impl Rt for DetRt {
    type Listener = Listener;
    type Reader = Part;
    type Writer = Part;
    type Ender = Part;

    fn now(&self) -> Now {
        self.0.now.get()
    }

    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> {
        let number = self.0.timers_made.get() + 1;
        self.0.timers_made.set(number);
        Sleep { host: Rc::clone(&self.0), at, number }
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.spawned.borrow_mut().push(Box::pin(task));
    }

    fn bind(&self, _at: SocketAddr) -> io::Result<Listener> {
        Ok(Listener)
    }

    async fn accept(&self, _listener: &Listener) -> io::Result<Stream<Self>> {
        poll_fn(|cx| match self.accept_one() {
            Some(result) => Poll::Ready(result),
            None => {
                *self.0.door.waiter.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    fn unbind(&self, _listener: &Listener) {
        self.0.door.closed.set(true);
        drop(self.0.door.queue.take());
        wake(&self.0.door.waiter);
    }

    async fn connect(&self, _to: SocketAddr) -> io::Result<Stream<Self>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn read(&self, reader: &mut Part, lent: Lent) -> (io::Result<usize>, Lent) {
        assert!(lent.room() > 0, "a read has room");
        let socket = &reader.0.socket;
        if socket.ended.get() || socket.gone.get() {
            return (self.0.end_of_stream(), lent);
        }
        *socket.reading.borrow_mut() = Reading::Waiting;
        let Lent { page, at } = lent;
        self.0.order(Effect::Recv { conn: socket.id, into: page, at });
        poll_fn(|cx| match socket.reading.replace(Reading::Idle) {
            Reading::Ended(result, page) => Poll::Ready((result, Lent { page, at })),
            Reading::Waiting => {
                *socket.reading.borrow_mut() = Reading::Waiting;
                *socket.reader.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
            Reading::Idle => unreachable!("a read waits until it has ended"),
        })
        .await
    }

    async fn write(&self, writer: &mut Part, gather: Gather) -> (io::Result<usize>, Gather) {
        let socket = &writer.0.socket;
        if socket.ended.get() || socket.gone.get() {
            return (Err(io::ErrorKind::BrokenPipe.into()), gather);
        }
        let mut bytes = gather.rest().collect::<Vec<_>>().concat();
        assert!(!bytes.is_empty(), "a write has something to write");
        if self.0.chance(self.0.rough.short_writes_per_million) {
            let len = self.0.prng.borrow_mut().place(bytes.len()) + 1;
            bytes.truncate(len);
        }
        *socket.writing.borrow_mut() = Writing::Waiting(bytes.len());
        self.0.order(Effect::Send { conn: socket.id, parts: vec![Slice::from_vec(bytes)] });
        let result = poll_fn(|cx| match socket.writing.replace(Writing::Idle) {
            Writing::Ended(result) => Poll::Ready(result),
            Writing::Waiting(len) => {
                *socket.writing.borrow_mut() = Writing::Waiting(len);
                *socket.writer.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
            Writing::Idle => unreachable!("a write waits until it has ended"),
        })
        .await;
        (result, gather)
    }

    fn end(&self, ender: &Part) {
        self.0.end(&ender.0.socket);
    }
}
