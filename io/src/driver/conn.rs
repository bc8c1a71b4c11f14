//! The connections of one shard: each has a task that reads only what was granted, and while something was sent, one that writes it in
//! order. Owns connection ids. Knows nothing of the bytes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_core::buf::{PageMut, Slice};
use highwater_core::id::ConnId;
use highwater_core::mutant::{self, Mutant};
use highwater_core::shard::Input;
use highwater_core::time::{Duration, Instant};

use crate::driver::Inputs;
use crate::rt::{Flag, Gather, Lent, Notify, PARTS_MAX, Rt, Stream};

/// Sends that wait are joined into one write up to this many bytes.
const WRITE_BYTES_MAX: usize = 1 << 20;

/// Pause of the accepting after the system ran out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What happened since the last turn, in order.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    inputs: RefCell<Inputs>,
    pub(crate) notify: Notify,
}

impl Inbox {
    pub(crate) fn push(&self, input: Input) {
        self.inputs.borrow_mut().push_back(input);
        self.notify.notify();
    }

    pub(crate) fn take(&self) -> Inputs {
        self.inputs.take()
    }
}

/// How many connections there may be, of all the drivers that share it.
#[derive(Debug, Clone)]
pub struct Room {
    taken: Arc<AtomicUsize>,
    max: usize,
}

impl Room {
    pub fn of(max: usize) -> Self {
        Self { taken: Arc::default(), max }
    }

    /// Takes a place, if there is one.
    fn take(&self) -> bool {
        let has_room = self.taken.fetch_add(1, Ordering::Relaxed) < self.max;
        if !has_room {
            self.give_back();
        }
        has_room
    }

    fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How far the end of a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    No,
    AfterSends,
    Now,
}

struct Conn<R: Rt> {
    id: ConnId,
    ender: R::Ender,
    ending: Cell<Ending>,
    tasks: Cell<u8>,
    /// Page and place of a granted read that has not begun, or what the last read left.
    grant: Cell<Option<Lent>>,
    granted: Flag,
    sends: Cell<VecDeque<Vec<Slice>>>,
    /// Not here while a task writes with it: idle connections are many, and keep none.
    writer: Cell<Option<R::Writer>>,
}

struct Slot<R: Rt> {
    generation: u32,
    conn: Option<Rc<Conn<R>>>,
}

struct Table<R: Rt> {
    slots: Vec<Slot<R>>,
    free: Vec<u32>,
}

pub(crate) struct Conns<R: Rt> {
    rt: R,
    inbox: Rc<Inbox>,
    table: RefCell<Table<R>>,
    /// Connections whose end was ordered, with the time at which it is forced, earliest first.
    lingering: RefCell<VecDeque<(Instant, ConnId)>>,
    room: Room,
    tasks: Cell<usize>,
    stopping: Cell<bool>,
}

impl<R: Rt> Conns<R> {
    pub(crate) fn new(rt: R, inbox: Rc<Inbox>, room: Room) -> Self {
        let table = RefCell::new(Table { slots: Vec::new(), free: Vec::new() });
        Self {
            rt,
            inbox,
            table,
            lingering: RefCell::default(),
            room,
            tasks: Cell::new(0),
            stopping: Cell::new(false),
        }
    }

    pub(crate) fn len(&self) -> usize {
        let table = self.table.borrow();
        table.slots.len() - table.free.len()
    }

    /// Tasks that have not ended.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.get()
    }

    pub(crate) fn accept_all(this: &Rc<Self>, listener: Rc<R::Listener>) {
        let conns = Rc::clone(this);
        this.spawn(async move {
            while !conns.stopping.get() {
                match conns.rt.accept(&listener).await {
                    Ok(stream) => Self::admit(&conns, stream),
                    Err(error) if exhausted(&error) => {
                        conns.rt.sleep_until(conns.rt.now().mono + ACCEPT_PAUSE).await;
                    }
                    // The peer was gone before it was accepted, or the listener is closed.
                    Err(_) => crate::rt::yield_now().await,
                }
            }
            conns.task_ended();
        });
    }

    fn admit(this: &Rc<Self>, stream: Stream<R>) {
        if this.stopping.get() || !this.room.take() {
            this.rt.end(&stream.ender);
            return;
        }
        let Stream { reader, writer, ender, local, peer } = stream;
        let conn = this.insert(ender, writer);
        this.inbox.push(Input::Accepted { conn: conn.id, local, peer });
        this.spawn(Self::read_all(Rc::clone(this), conn, reader));
    }

    fn insert(&self, ender: R::Ender, writer: R::Writer) -> Rc<Conn<R>> {
        let mut table = self.table.borrow_mut();
        let slot = table.free.pop().unwrap_or_else(|| {
            table.slots.push(Slot { generation: 0, conn: None });
            u32::try_from(table.slots.len() - 1).expect("connections are bounded")
        });
        let entry = &mut table.slots[slot as usize];
        entry.generation = entry.generation.wrapping_add(1);
        let conn = Rc::new(Conn {
            id: ConnId { slot, generation: entry.generation },
            ender,
            ending: Cell::new(Ending::No),
            tasks: Cell::new(1),
            grant: Cell::default(),
            granted: Flag::default(),
            sends: Cell::default(),
            writer: Cell::new(Some(writer)),
        });
        entry.conn = Some(Rc::clone(&conn));
        conn
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.tasks.set(self.tasks.get() + 1);
        self.rt.spawn(task);
    }

    fn task_ended(&self) {
        self.tasks.set(self.tasks.get() - 1);
        self.inbox.notify.notify();
    }

    fn find(&self, id: ConnId) -> Option<Rc<Conn<R>>> {
        let table = self.table.borrow();
        let conn = table.slots.get(id.slot as usize)?.conn.as_ref()?;
        (conn.id == id).then(|| Rc::clone(conn))
    }

    /// Lends a page for one read. A connection that ends gives it back with its end.
    pub(crate) fn grant(&self, id: ConnId, page: PageMut, at: u32) {
        let Some(conn) = self.find(id) else { return };
        let before = conn.grant.replace(Some(Lent { page, at }));
        assert!(before.is_none(), "at most one read of a connection is outstanding");
        conn.granted.notify();
    }

    pub(crate) fn send(this: &Rc<Self>, id: ConnId, parts: Vec<Slice>) {
        let Some(conn) = this.find(id) else { return };
        if conn.ending.get() == Ending::No {
            let mut sends = conn.sends.take();
            sends.push_back(parts);
            conn.sends.set(sends);
            let writer = conn.writer.take();
            if let Some(writer) = writer {
                conn.tasks.set(conn.tasks.get() + 1);
                this.spawn(Self::write_all(Rc::clone(this), conn, writer));
            }
        }
    }

    /// Ends a connection after the sends before, but by force at `until`.
    pub(crate) fn close(&self, id: ConnId, until: Instant) {
        let Some(conn) = self.find(id) else { return };
        if conn.ending.get() == Ending::No {
            conn.ending.set(Ending::AfterSends);
            conn.granted.notify();
            self.lingering.borrow_mut().push_back((until, id));
            if is_some(&conn.writer) {
                self.end(&conn);
            }
        }
    }

    pub(crate) fn close_all(&self, until: Instant) {
        self.stopping.set(true);
        let ids: Vec<ConnId> = self.table.borrow().slots.iter().flat_map(|s| &s.conn).map(|c| c.id).collect();
        for &id in &ids {
            self.close(id, until);
        }
        *self.lingering.borrow_mut() = ids.into_iter().map(|id| (until, id)).collect();
    }

    /// When the next connection is ended by force.
    pub(crate) fn linger_until(&self) -> Option<Instant> {
        self.lingering.borrow().front().map(|&(until, _)| until)
    }

    pub(crate) fn end_lingering(&self, now: Instant) {
        while self.linger_until().is_some_and(|until| until <= now) {
            let (_, id) = self.lingering.borrow_mut().pop_front().expect("it was just looked at");
            if let Some(conn) = self.find(id) {
                self.end(&conn);
            }
        }
    }

    /// Ends a connection, whatever it has not sent.
    pub(crate) fn end_now(&self, id: ConnId) {
        if let Some(conn) = self.find(id) {
            self.end(&conn);
        }
    }

    /// Ends both directions at once.
    fn end(&self, conn: &Conn<R>) {
        if conn.ending.replace(Ending::Now) != Ending::Now {
            self.rt.end(&conn.ender);
            conn.granted.notify();
        }
    }

    /// What this holds while it waits for bytes, each idle connection costs: of what was granted nothing may stay behind.
    #[expect(
        clippy::manual_async_fn,
        reason = "a block uses what it captures in place; an async fn keeps its arguments twice"
    )]
    fn read_all(
        self: Rc<Self>,
        conn: Rc<Conn<R>>,
        mut reader: R::Reader,
    ) -> impl Future<Output = ()> + 'static {
        async move {
            while conn.ending.get() == Ending::No {
                if !is_some(&conn.grant) {
                    conn.granted.notified().await;
                    continue;
                }
                let lent = conn.grant.take().expect("it was just looked at");
                let (result, lent) = self.rt.read(&mut reader, lent).await;
                match result {
                    Ok(len) if len > 0 && !(mutant::on(Mutant::ShortReadEnds) && len < lent.room()) => {
                        let len = u32::try_from(len).expect("a page is below 4 GiB");
                        self.inbox.push(Input::Received { conn: conn.id, page: lent.page, len });
                    }
                    Ok(_) | Err(_) => {
                        conn.grant.set(Some(lent));
                        self.end(&conn);
                    }
                }
            }
            drop(reader);
            self.conn_task_ended(&conn);
        }
    }

    async fn write_all(self: Rc<Self>, conn: Rc<Conn<R>>, mut writer: R::Writer) {
        while conn.ending.get() != Ending::Now {
            let mut sends = conn.sends.take();
            let batch = Batch::of(&mut sends);
            conn.sends.set(sends);
            if let Some(batch) = batch {
                if self.write_batch(&conn, &mut writer, batch).await.is_err() {
                    break;
                }
            } else if conn.ending.get() == Ending::No {
                drop(conn.sends.take());
                conn.writer.set(Some(writer));
                conn.tasks.set(conn.tasks.get() - 1);
                self.tasks.set(self.tasks.get() - 1);
                return;
            } else {
                break;
            }
        }
        self.end(&conn);
        drop(writer);
        self.conn_task_ended(&conn);
    }

    async fn write_batch(&self, conn: &Conn<R>, writer: &mut R::Writer, batch: Batch) -> io::Result<()> {
        let Batch { mut gather, mut ends } = batch;
        let mut done = 0;
        loop {
            while ends.front().is_some_and(|&end| end <= done) {
                ends.pop_front();
                if ends.is_empty() || !mutant::on(Mutant::SentForgotten) {
                    self.inbox.push(Input::Sent { conn: conn.id });
                }
            }
            if gather.is_empty() {
                return Ok(());
            }
            let (result, back) = self.rt.write(writer, gather).await;
            gather = back;
            let len = mistaken(result?, &gather);
            if len == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            gather.advance(len);
            done += len;
        }
    }

    /// The last of its tasks tells that the connection is gone.
    fn conn_task_ended(&self, conn: &Conn<R>) {
        conn.tasks.set(conn.tasks.get() - 1);
        if conn.tasks.get() == 1 && mutant::on(Mutant::ClosedTwice) {
            self.inbox.push(Input::Closed { conn: conn.id, page: None });
        }
        if conn.tasks.get() == u8::from(mutant::on(Mutant::SlotFreedEarly)) {
            let mut table = self.table.borrow_mut();
            table.slots[conn.id.slot as usize].conn = None;
            table.free.push(conn.id.slot);
            self.room.give_back();
            let page = conn.grant.take().map(|lent| lent.page);
            let page = if mutant::on(Mutant::GrantedPageLost) { None } else { page };
            self.inbox.push(Input::Closed { conn: conn.id, page });
        }
        self.task_ended();
    }
}

fn is_some<T>(cell: &Cell<Option<T>>) -> bool {
    let value = cell.take();
    let is_some = value.is_some();
    cell.set(value);
    is_some
}

/// How far a write went, which planted bugs do not know.
fn mistaken(len: usize, gather: &Gather) -> usize {
    let all = || gather.rest().map(<[u8]>::len).sum();
    if mutant::on(Mutant::ShortWriteForgotten) {
        return all();
    }
    if mutant::on(Mutant::ShortWriteRepeated) && len > 1 && len < all() {
        return len - 1;
    }
    len
}

/// Sends that go out as one write, and where in it each of them ends.
struct Batch {
    gather: Gather,
    ends: VecDeque<usize>,
}

impl Batch {
    fn of(sends: &mut VecDeque<Vec<Slice>>) -> Option<Self> {
        let mut batch = Self { gather: Gather::default(), ends: VecDeque::new() };
        let mut bytes = 0;
        while let Some(parts) = sends.front() {
            let fits = batch.gather.parts() + parts.len() <= PARTS_MAX && bytes < WRITE_BYTES_MAX;
            if !fits && !batch.ends.is_empty() {
                break;
            }
            let next = if mutant::on(Mutant::SendsReordered) { sends.pop_back() } else { sends.pop_front() };
            for part in next.expect("it was just looked at") {
                bytes += part.len();
                batch.gather.push(part);
            }
            batch.ends.push_back(bytes);
        }
        (!batch.ends.is_empty()).then_some(batch)
    }
}

fn exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS))
}
