//! The home side of a shard: its connections, the requests in work for them, and what they wait for. Decides when bytes are read,
//! frames are taken up and answers go out. Knows no API (that is `api`) and no partition (that is their owner).
//!
//! A request is taken up, asks owners of partitions or the controller, is told what they say, and is done. Requests of one
//! connection are in work at once and answered in their order.

mod connections;
mod requests;

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use self::connections::Connections;
use self::requests::{Request, Requests};
use super::connection::{Books, Connection, Outcome, Place, Stuck};
use super::message::CallId;
use super::{CloseReason, Config, Effect, Event, Mark, ShardMessage, ShardReport, Timer, Usage, placement};
use crate::api::{self, Ask, Begun, Context, Done, FileSystem, News, Refusal};
use crate::buf::{PageMut, Pool, Slice};
use crate::controller::Image;
use crate::id::{ConnId, ShardId, Uuid};
use crate::limits::{
    CONNECTION_REQUESTS_MAX, CONNECTIONS_MAX, EVENTS_MAX, MEMORY_RETRY, RECEIVE_MEMORY_PART,
    SEND_MEMORY_PART, SEND_STALL_MAX, STOP_WAIT_MAX,
};
use crate::mutant::{self, Mutant};
use crate::prng::Prng;
use crate::replica::PartitionReply;
use crate::time::{Instant, Now};

/// How many connections that wait for memory are tried again after something happened.
const STARVED_AT_ONCE: usize = 4;

/// Asks of one request whose memory is kept for the next.
const ASKS_KEPT_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Home {
    config: Arc<Config>,
    image: Arc<Image>,
    connections: Connections,
    books: Books,
    requests: Requests,
    shared: api::Shared,
    dirty: VecDeque<ConnId>,
    /// Connections that got no page, and when they are all tried again.
    starved: VecDeque<ConnId>,
    starved_until: Option<Instant>,
    /// Requests that will have waited long enough.
    deadlines: BTreeSet<(Instant, CallId)>,
    /// Incomplete frames that will have stood still for too long.
    stalls: BTreeSet<(Instant, ConnId)>,
    /// Pages to give back as soon as the pool is at hand.
    pages: Vec<PageMut>,
    /// Bytes of the pages that answers keep alive which the kernel does not have yet.
    unsent_pinned_bytes: usize,
    /// When those are looked for that take nothing, while all of them hold too much.
    slow_at: Option<Instant>,
    effects: VecDeque<Effect>,
    /// Kept for its memory; empty between requests.
    asks: Vec<Ask>,
    events: VecDeque<Event>,
    events_dropped: u64,
    stopping: bool,
    /// Until then requests that are in work are waited for.
    stopping_until: Option<Instant>,
}

impl Home {
    pub(crate) fn new(config: Arc<Config>, id: ShardId, seed: u64) -> Self {
        Self {
            image: Arc::new(Image::empty()),
            connections: Connections::default(),
            books: Books::default(),
            requests: Requests::new(),
            shared: api::Shared::new(Prng::keyed(seed, u64::from(id.0))),
            dirty: VecDeque::new(),
            starved: VecDeque::new(),
            starved_until: None,
            deadlines: BTreeSet::new(),
            stalls: BTreeSet::new(),
            pages: Vec::new(),
            unsent_pinned_bytes: 0,
            slow_at: None,
            effects: VecDeque::new(),
            asks: Vec::new(),
            events: VecDeque::new(),
            events_dropped: 0,
            stopping: false,
            stopping_until: None,
            config,
        }
    }

    pub(crate) fn on_accepted(&mut self, now: Now, conn: ConnId, local: SocketAddr, peer: IpAddr) {
        let mut connection = Connection::new(now.mono, local, peer);
        let refusal = if self.stopping {
            Some(CloseReason::Stopping)
        } else {
            (self.connections.len() >= CONNECTIONS_MAX).then_some(CloseReason::TooMany)
        };
        connection.closing = refusal;
        self.connections.insert(conn, connection);
        if let Some(reason) = refusal {
            self.effects.push_back(Effect::Close { conn, reason });
            self.tell(Event::ConnectionRefused { conn, reason });
        } else {
            self.tell(Event::Connected { conn });
            self.mark(conn);
        }
    }

    pub(crate) fn on_directory(&mut self, directory: Uuid) {
        self.shared.directory = directory;
    }

    pub(crate) fn on_file_system(&mut self, found: FileSystem) {
        self.shared.file_system = Some(found);
    }

    pub(crate) fn on_received(&mut self, now: Now, conn: ConnId, page: PageMut, len: u32) {
        let connection = self.connections.get_mut(conn).expect("the connection lives until Closed");
        if connection.closing.is_some() {
            self.pages.push(page);
            return;
        }
        let len = usize::try_from(len).expect("32 bits fit a usize");
        connection.inbox.on_received(now.mono, page, len);
        self.mark(conn);
    }

    pub(crate) fn on_sent(&mut self, now: Now, conn: ConnId) {
        let connection = self.connections.get_mut(conn).expect("the connection lives until Closed");
        self.unsent_pinned_bytes -= connection.on_sent(now.mono, &mut self.books);
        self.mark(conn);
        self.retry_starved(STARVED_AT_ONCE);
    }

    pub(crate) fn on_closed(&mut self, conn: ConnId, page: Option<PageMut>) {
        self.pages.extend(page.filter(|_| !mutant::on(Mutant::ClosedPageLost)));
        self.let_go(conn);
        let reason = self.connections.get(conn).and_then(|connection| connection.closing);
        if !mutant::on(Mutant::ConnectionNotForgotten)
            && let Some(connection) = self.connections.remove(conn)
        {
            self.unsent_pinned_bytes -= connection.unsent_pinned_bytes();
        }
        self.tell(Event::Disconnected { conn, reason });
        self.retry_starved(STARVED_AT_ONCE);
    }

    /// The node ends: nothing more is read, long polls are answered, each connection is closed after its last answer. Another
    /// shard may have ended already and never answer, so that the wait is bounded.
    pub(crate) fn on_stop(&mut self, now: Now) {
        self.stopping = true;
        self.stopping_until = Some(now.mono + STOP_WAIT_MAX);
        let fetches = self.deadlines.iter().map(|(_, call)| *call);
        let fetches: Vec<CallId> =
            fetches.filter(|call| self.requests.timer(*call) == Timer::Fetch).collect();
        for call in fetches {
            self.deliver(now, call, News::Deadline);
        }
        let all: Vec<ConnId> = self.connections.ids().collect();
        for conn in all {
            self.mark(conn);
        }
    }

    /// Whether a stopped home has nobody left to serve.
    pub(crate) fn is_idle(&self) -> bool {
        self.connections.is_empty()
    }

    pub(crate) fn on_image(&mut self, image: Arc<Image>) {
        assert!(image.version >= self.image.version, "images arrive in order");
        self.image = image;
    }

    /// What an owner or the controller says to a request of this home.
    pub(crate) fn on_message(&mut self, now: Now, from: ShardId, message: ShardMessage) {
        match message {
            ShardMessage::Reply { call, reply } => {
                if !self.requests.contains(call) {
                    // The request ended meanwhile; nobody else would take its watch down.
                    if matches!(&reply, PartitionReply::Read(read) if read.watched) {
                        let message = ShardMessage::Unwatch { call };
                        self.effects.push_back(Effect::Shard { to: from, message });
                    }
                    return;
                }
                self.deliver(now, call, News::Reply(reply));
            }
            ShardMessage::Woken { call } => self.deliver(now, call, News::Woken),
            ShardMessage::ControlReply { call, reply } => self.deliver(now, call, News::Controller(reply)),
            ShardMessage::Coordinated { call, reply } => self.deliver(now, call, News::Group(*reply)),
            ShardMessage::Image(image) => self.on_image(image),
            ShardMessage::Call { .. }
            | ShardMessage::Coordinate { .. }
            | ShardMessage::Control { .. }
            | ShardMessage::Unwatch { .. }
            | ShardMessage::StreamReleased { .. } => {
                panic!("an owner's message came to a home")
            }
        }
    }

    /// One effect; works on what is marked until there is one or all is done.
    pub(crate) fn poll(&mut self, now: Now, pool: &mut Pool) -> Option<Effect> {
        for page in self.pages.drain(..) {
            pool.give_back(page);
        }
        loop {
            if let Some(effect) = self.effects.pop_front() {
                return Some(effect);
            }
            self.run_timers(now);
            let Some(conn) = self.dirty.pop_front() else {
                return self.effects.pop_front();
            };
            self.turn(now, conn, pool);
        }
    }

    pub(crate) fn deadline(&self) -> Option<(Instant, Timer)> {
        let request = self.deadlines.first().map(|(at, call)| (*at, self.requests.timer(*call)));
        let stall = self.stalls.first().map(|(at, _)| (*at, Timer::Dripping));
        let memory = self.starved_until.map(|at| (at, Timer::Memory));
        let stop = self.stopping_until.map(|at| (at, Timer::Stop));
        let slow = self.slow_at.map(|at| (at, Timer::SlowReader));
        [request, stall, memory, slow, stop].into_iter().flatten().min()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Panics where the state contradicts itself.
    pub(crate) fn audit(&self) {
        for (at, conn) in &self.stalls {
            assert_eq!(
                self.connections.get(*conn).and_then(|c| c.stall),
                Some(*at),
                "stalls are of connections"
            );
        }
        let pinned: usize = self.connections.iter().map(|(_, c)| c.unsent_pinned_bytes()).sum();
        assert_eq!(pinned, self.unsent_pinned_bytes, "what is unsent is counted");
        for (_, call) in &self.deadlines {
            assert!(self.requests.contains(*call), "deadlines are of requests");
        }
        for (_, connection) in self.connections.iter() {
            assert!(connection.requests_in_work() <= CONNECTION_REQUESTS_MAX, "requests are bounded");
        }
    }

    pub(crate) fn report(&self, report: &mut ShardReport) {
        report.connections = self.connections.len();
        report.requests = self.requests.len();
        report.connections_starved = self.starved.len();
        report.events_dropped += self.events_dropped;
    }

    /// What this side of the shard holds.
    pub(crate) fn count(&self, usage: &mut Usage) {
        usage.connections = self.connections.len();
        usage.requests = self.requests.len();
        usage.deadlines = self.deadlines.len();
        usage.starved += self.starved.len();
    }

    fn mark(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(conn) else { return };
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push_back(conn);
        }
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        } else {
            self.events_dropped += 1;
        }
    }

    fn retry_starved(&mut self, count: usize) {
        if mutant::on(Mutant::StarvedNotRetried) {
            return;
        }
        for _ in 0..count {
            let Some(conn) = self.starved.pop_front() else { break };
            if let Some(connection) = self.connections.get_mut(conn) {
                connection.starved = false;
                self.mark(conn);
            }
        }
        if self.starved.is_empty() {
            self.starved_until = None;
        }
    }

    fn run_timers(&mut self, now: Now) {
        while let Some(&(at, call)) = self.deadlines.first()
            && at <= now.mono
        {
            self.deadlines.pop_first();
            self.deliver(now, call, News::Deadline);
        }
        while let Some(&(at, conn)) = self.stalls.first()
            && at <= now.mono
        {
            self.close(conn, CloseReason::Dripping);
        }
        if self.starved_until.is_some_and(|at| at <= now.mono) {
            self.retry_starved(self.starved.len());
        }
        if self.slow_at.is_some_and(|at| at <= now.mono) {
            self.slow_at = None;
            self.close_slow_readers(now);
        }
        if self.stopping_until.is_some_and(|at| at <= now.mono) {
            self.stopping_until = None;
            let left: Vec<ConnId> = self.connections.ids().collect();
            for conn in left {
                self.close(conn, CloseReason::Stopping);
            }
        }
    }

    /// What unsent answers may hold before those are closed who take nothing: their pages may all be of one shard.
    fn unsent_pinned_bytes_max(&self) -> usize {
        self.config.memory_bytes / SEND_MEMORY_PART / usize::from(self.config.shards.max(1))
    }

    /// Unsent answers hold too much: who has taken nothing for long is closed, the longest first, until the others may keep theirs.
    fn close_slow_readers(&mut self, now: Now) {
        let holders = self.connections.iter().filter(|(_, c)| c.closing.is_none());
        let mut holders: Vec<(Instant, ConnId, usize)> = holders
            .filter_map(|(conn, c)| Some((c.unsent_since()?, conn, c.unsent_pinned_bytes())))
            .collect();
        holders.sort_unstable();
        let mut held: usize = holders.iter().map(|(.., bytes)| bytes).sum();
        for (taken_at, conn, bytes) in holders {
            if held <= self.unsent_pinned_bytes_max() {
                return;
            }
            if taken_at + SEND_STALL_MAX > now.mono {
                self.slow_at = Some(taken_at + SEND_STALL_MAX);
                return;
            }
            held -= bytes;
            self.close(conn, CloseReason::SlowReader);
        }
    }

    /// Takes up what a connection has sent, sends what is answered, reads on.
    fn turn(&mut self, now: Now, conn: ConnId, pool: &mut Pool) {
        let Some(connection) = self.connections.get_mut(conn) else { return };
        connection.dirty = false;
        let mut starved = false;
        for _ in 0..CONNECTION_REQUESTS_MAX {
            let Some(connection) = self.connections.get_mut(conn) else { return };
            if self.stopping || !connection.has_room() {
                if !self.stopping && connection.closing.is_none() {
                    self.tell(Event::Marked(Mark::ConnectionHeldBack));
                }
                break;
            }
            match connection.inbox.next_frame(pool) {
                Ok(frame) => self.begin(now, conn, &frame),
                Err(Stuck::Incomplete) => break,
                Err(Stuck::NoMemory) => {
                    starved = true;
                    break;
                }
                Err(Stuck::FrameLength) => {
                    self.close(conn, CloseReason::FrameLength);
                    break;
                }
            }
            self.flush(now, conn);
        }
        self.flush(now, conn);
        self.read_on(now, conn, starved, pool);
    }

    fn flush(&mut self, now: Now, conn: ConnId) {
        let pinned_bytes_max = self.unsent_pinned_bytes_max();
        let Some(connection) = self.connections.get_mut(conn) else { return };
        if connection.closing.is_some() {
            return;
        }
        let (events, dropped) = (&mut self.events, &mut self.events_dropped);
        let pinned_before = connection.unsent_pinned_bytes();
        let sends = connection.flush(now.mono, &mut self.books, |answered| {
            if events.len() < EVENTS_MAX {
                events.push_back(answered.event(now.mono));
            } else {
                *dropped += 1;
            }
        });
        self.unsent_pinned_bytes += connection.unsent_pinned_bytes() - pinned_before;
        self.effects.extend(sends.into_iter().map(|parts| Effect::Send { conn, parts }));
        if self.unsent_pinned_bytes > pinned_bytes_max {
            self.slow_at.get_or_insert(now.mono + SEND_STALL_MAX);
        }
        if self.stopping && connection.requests_in_work() == 0 {
            self.close(conn, CloseReason::Stopping);
        }
    }

    fn read_on(&mut self, now: Now, conn: ConnId, mut starved: bool, pool: &mut Pool) {
        let page_bytes_max = self.config.memory_bytes / RECEIVE_MEMORY_PART / self.connections.len().max(1);
        let Some(connection) = self.connections.get_mut(conn) else { return };
        if connection.closing.is_some() {
            return;
        }
        if !starved && !self.stopping && connection.has_room() {
            match connection.inbox.lend(now.mono, page_bytes_max, pool) {
                Ok(Some((into, at))) => self.effects.push_back(Effect::Recv { conn, into, at }),
                Ok(None) => {
                    // Frames are left although there is room for more: their turn comes again, after others had theirs.
                    if connection.inbox.has_whole_frames() && !connection.dirty {
                        connection.dirty = true;
                        self.dirty.push_back(conn);
                    }
                }
                Err(_) => starved = true,
            }
        }
        let stall = connection.inbox.stalls_at();
        if stall != connection.stall {
            if let Some(at) = core::mem::replace(&mut connection.stall, stall) {
                self.stalls.remove(&(at, conn));
            }
            self.stalls.extend(stall.map(|at| (at, conn)));
        }
        if starved && !connection.starved {
            connection.starved = true;
            self.starved.push_back(conn);
            self.starved_until.get_or_insert(now.mono + MEMORY_RETRY);
            self.tell(Event::Marked(Mark::ConnectionStarved));
        }
    }

    /// Takes one request up.
    fn begin(&mut self, now: Now, conn: ConnId, frame: &Slice) {
        let connection = self.connections.get_mut(conn).expect("its frame was just taken");
        let place = connection.take_place(frame.len(), &mut self.books);
        let call = self.requests.next_call();
        let mut asks = core::mem::take(&mut self.asks);
        let mut context = Context {
            config: &self.config,
            image: &self.image,
            now,
            local: connection.local(),
            peer: connection.peer,
            shared: &mut self.shared,
            asks: &mut asks,
        };
        match api::begin(&mut context, frame) {
            Begun::Done { head, done } => self.conclude(conn, place, head, done),
            Begun::Working { work, wait } => {
                let deadline = wait.map(|wait| now.mono + wait);
                self.deadlines.extend(deadline.map(|at| (at, call)));
                self.requests.insert(call, Request { conn, place, work, deadline });
            }
        }
        self.perform(call, asks);
    }

    /// Tells a request what it waits for; a request that ended meanwhile does not care.
    fn deliver(&mut self, now: Now, call: CallId, news: News) {
        let Some(request) = self.requests.find(call) else { return };
        let connection = self.connections.get(request.conn).expect("requests end with their connection");
        let mut asks = core::mem::take(&mut self.asks);
        let mut context = Context {
            config: &self.config,
            image: &self.image,
            now,
            local: connection.local(),
            peer: connection.peer,
            shared: &mut self.shared,
            asks: &mut asks,
        };
        let done = request.work.on_news(&mut context, call.part, news);
        self.perform(call, asks);
        if let Some(done) = done {
            let request = self.requests.remove(call).expect("it was just there");
            if let Some(at) = request.deadline {
                self.deadlines.remove(&(at, CallId { part: 0, ..call }));
            }
            self.conclude(request.conn, request.place, request.work.head(), done);
        }
    }

    fn conclude(&mut self, conn: ConnId, place: Place, head: api::Head, done: Done) {
        let (parts, error) = match done {
            Done::Response { parts, error } => (parts, error),
            Done::NoResponse => (Vec::new(), 0),
            Done::Close(refusal) => {
                let reason = match refusal {
                    Refusal::Malformed => CloseReason::Malformed,
                    Refusal::Unsupported => CloseReason::Unsupported,
                    Refusal::UnacknowledgedFailure => CloseReason::UnacknowledgedFailure,
                };
                self.close(conn, reason);
                return;
            }
        };
        let Some(connection) = self.connections.get_mut(conn) else { return };
        if connection.closing.is_some() {
            return;
        }
        connection.answer(place, Outcome { key: head.key, version: head.version, error, parts });
        self.mark(conn);
    }

    fn perform(&mut self, call: CallId, mut asks: Vec<Ask>) {
        for ask in asks.drain(..) {
            let (to, message) = match ask {
                Ask::Partition { part, op } => {
                    let to = placement::owner(op.partition(), self.config.shards);
                    let call = CallId { part, ..call };
                    (to, ShardMessage::Call { call, image_version: self.image.version, op })
                }
                Ask::Unwatch { part, partition } => {
                    let to = placement::owner(partition, self.config.shards);
                    (to, ShardMessage::Unwatch { call: CallId { part, ..call } })
                }
                Ask::Group { part, partition, command } => {
                    let to = placement::owner(partition, self.config.shards);
                    let (call, image_version) = (CallId { part, ..call }, self.image.version);
                    (
                        to,
                        ShardMessage::Coordinate {
                            call,
                            image_version,
                            partition,
                            command: Box::new(command),
                        },
                    )
                }
                Ask::Controller { command } => {
                    (ShardId(0), ShardMessage::Control { call: CallId { part: 0, ..call }, command })
                }
            };
            self.effects.push_back(Effect::Shard { to, message });
        }
        // One large request must not keep its memory for ever.
        if asks.capacity() <= ASKS_KEPT_MAX {
            self.asks = asks;
        }
    }

    fn close(&mut self, conn: ConnId, reason: CloseReason) {
        let Some(connection) = self.connections.get_mut(conn) else { return };
        if connection.closing.is_some() {
            return;
        }
        connection.closing = Some(reason);
        self.effects.push_back(Effect::Close { conn, reason });
        self.let_go(conn);
        if reason != CloseReason::Stopping {
            self.tell(Event::ConnectionRefused { conn, reason });
        }
    }

    /// Ends the requests of a connection that will not be answered any more, and lets its memory go.
    fn let_go(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(conn) else { return };
        connection.clear(&mut self.pages);
        if let Some(at) = connection.stall.take() {
            self.stalls.remove(&(at, conn));
        }
        for (call, request) in self.requests.remove_of(conn) {
            if let Some(at) = request.deadline {
                self.deadlines.remove(&(at, call));
            }
            let mut asks = Vec::new();
            request.work.abandon(&mut asks);
            self.perform(call, asks);
        }
    }
}

#[cfg(test)]
mod tests;
