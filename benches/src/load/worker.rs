//! One thread of load: sends what is due, takes what comes, sleeps until either. Decides nothing about what is sent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::connection::{Asked, Connection};
use super::role::{Calling, Consuming, Producing, Role};
use super::{DRAIN_NANOS, Follow, Outcome, Source, Times, Watched};
use crate::clock::{SECOND_NANOS, now_nanos};
use crate::failure::Failure;
use crate::frame::{self, correlation_of};
use crate::groups::ask::error_of;
use crate::measure::Done;
use crate::pace::Pace;
use crate::progress::Live;

/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 256;

#[derive(Debug)]
struct Seat {
    connection: Connection,
    role: Role,
    turn: Option<(f64, usize, usize)>,
    pace: Option<Pace>,
    /// When those were meant to be sent that are due and wait for room.
    waiting: VecDeque<u64>,
}

/// Of a batch by its partition and base offset: what was known first.
#[derive(Debug, Clone, Copy)]
enum Half {
    /// When it was meant to be sent.
    Sent {
        intended_nanos: u64,
    },
    Seen {
        at_nanos: u64,
    },
}

#[derive(Debug)]
pub(super) struct Worker {
    epoll: OwnedFd,
    seats: Vec<Seat>,
    due: BinaryHeap<Reverse<(u64, usize)>>,
    books: Books,
}

impl Worker {
    pub(super) fn new(follow: Follow, watched: Watched, live: Option<Live>) -> Result<Self, Failure> {
        let times = Times { start_nanos: 0, warm_nanos: 0, end_nanos: 0 };
        let books = Books { times, outcome: Outcome::new(), follow, halves: BTreeMap::new(), live, watched };
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, seats: Vec::new(), due: BinaryHeap::new(), books })
    }

    /// `turn` is the rate of all, and which of how many sources this is.
    pub(super) fn add(&mut self, source: Source, turn: Option<(f64, usize, usize)>) -> Result<(), Failure> {
        let connection = Connection::open(source.address, source.depth)?;
        let name = u64::try_from(self.seats.len()).expect("a count fits 64 bits");
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(&self.epoll, connection.socket(), EventData::new_u64(name), flags)?;
        let waiting = VecDeque::new();
        self.seats.push(Seat { connection, role: source.role, turn, pace: None, waiting });
        Ok(())
    }

    pub(super) fn run(mut self, times: Times) -> Result<Outcome, Failure> {
        self.books.times = times;
        // The kernel rounds a sleep up by this, which would be in every latency.
        rustix::thread::set_current_timer_slack(Some(std::num::NonZeroU64::MIN))?;
        for (at, seat) in self.seats.iter_mut().enumerate() {
            let pace = seat.turn.map(|(rate, nth, of)| Pace::shared(times.start_nanos, rate, nth, of));
            self.due.push(Reverse((pace.map_or(times.start_nanos, |pace| pace.due_nanos()), at)));
            seat.pace = pace;
        }
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS_MAX);
        loop {
            let now = now_nanos();
            self.intend(now)?;
            if now >= times.end_nanos && (self.is_idle() || now >= times.end_nanos + DRAIN_NANOS) {
                break;
            }
            self.wait(&mut events, now)?;
            for event in &events {
                let name = usize::try_from(event.data.u64()).expect("it was a usize");
                self.on_event(name)?;
            }
        }
        for seat in &self.seats {
            self.books.outcome.unsent += u64::try_from(seat.waiting.len()).unwrap_or(u64::MAX);
            if !seat.role.is_consumer() {
                self.books.outcome.unanswered +=
                    u64::try_from(seat.connection.unanswered()).unwrap_or(u64::MAX);
            }
        }
        Ok(self.books.outcome)
    }

    fn is_idle(&self) -> bool {
        self.seats
            .iter()
            .filter(|seat| !seat.role.is_consumer())
            .all(|seat| seat.connection.unanswered() == 0)
    }

    fn wait(&self, events: &mut Vec<Event>, now: u64) -> Result<(), Failure> {
        let next = self.due.peek().map_or(u64::MAX, |Reverse((due, _))| *due);
        let over = if now < self.books.times.end_nanos {
            self.books.times.end_nanos
        } else {
            now + SECOND_NANOS / 100
        };
        let nanos = next.min(over).saturating_sub(now);
        let mut timeout = Timespec {
            tv_sec: i64::try_from(nanos / SECOND_NANOS).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(nanos % SECOND_NANOS).expect("less than a second"),
        };
        events.clear();
        // epoll waits for whole milliseconds, which would be in every latency of a low rate.
        if next < over {
            let mut ready = [PollFd::new(&self.epoll, PollFlags::IN)];
            match poll(&mut ready, Some(&timeout)) {
                Ok(0) | Err(Errno::INTR) => return Ok(()),
                Ok(_) => timeout = Timespec::default(),
                Err(error) => return Err(error.into()),
            }
        }
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes what is due, and sends what has room.
    fn intend(&mut self, now: u64) -> Result<(), Failure> {
        while let Some(Reverse((due, at))) = self.due.peek().copied().filter(|Reverse((due, _))| *due <= now)
        {
            self.due.pop();
            if due >= self.books.times.end_nanos {
                continue;
            }
            let seat = &mut self.seats[at];
            if let Some(pace) = &mut seat.pace {
                if seat.connection.has_room() && seat.waiting.is_empty() && due >= self.books.times.warm_nanos
                {
                    self.books.outcome.late.saturating_record((now_nanos() - due).max(1));
                }
                seat.waiting.push_back(due);
                pace.advance();
                self.due.push(Reverse((pace.due_nanos(), at)));
            }
            self.pump(at)?;
        }
        Ok(())
    }

    /// Sends as much as a connection has room for.
    fn pump(&mut self, at: usize) -> Result<(), Failure> {
        let seat = &mut self.seats[at];
        while seat.connection.has_room() {
            let now = now_nanos();
            let intended = match seat.pace {
                Some(_) => seat.waiting.pop_front(),
                // In a closed loop a request is meant to be sent when there is room for it.
                None => (now < self.books.times.end_nanos).then_some(now),
            };
            let Some(intended_nanos) = intended else { break };
            seat.connection.send(seat.role.request()?, intended_nanos)?;
        }
        Ok(())
    }

    fn on_event(&mut self, at: usize) -> Result<(), Failure> {
        if self.seats[at].connection.is_writing() {
            self.seats[at].connection.write()?;
        }
        loop {
            let more = self.seats[at].connection.read()?;
            self.take_answers(at)?;
            if !more {
                break;
            }
        }
        self.pump(at)
    }

    fn take_answers(&mut self, at: usize) -> Result<(), Failure> {
        let Seat { connection, role, .. } = &mut self.seats[at];
        while let Some((asked, frame)) = connection.answer()? {
            if correlation_of(frame) != Some(asked.correlation) {
                return Err(Failure("an answer out of order".into()));
            }
            match role {
                Role::Producer(producing) => self.books.on_produced(producing, asked, frame)?,
                Role::Consumer(consuming) => self.books.on_fetched(consuming, asked, frame)?,
                Role::Caller(calling) => self.books.on_called(calling, asked, frame)?,
            }
        }
        Ok(())
    }
}

/// What a thread notes of its answers.
#[derive(Debug)]
struct Books {
    times: Times,
    outcome: Outcome,
    follow: Follow,
    halves: BTreeMap<(u32, i64), Half>,
    live: Option<Live>,
    watched: Watched,
}

impl Books {
    fn on_produced(&mut self, producing: &Producing, asked: Asked, frame: &[u8]) -> Result<(), Failure> {
        let produced = frame::produced(frame)?;
        if produced.error_code != 0 {
            self.outcome.refused += 1;
            return Ok(());
        }
        let done = Done {
            intended_nanos: asked.intended_nanos,
            ended_nanos: now_nanos(),
            records: u64::from(producing.records),
            bytes: u64::try_from(producing.batch.len()).expect("a length fits 64 bits"),
        };
        self.outcome.produce.record(self.times.warm_nanos, done);
        self.outcome.in_time += u64::from(self.times.are_measured(done.ended_nanos));
        self.show(Watched::Writes, done);
        self.meet((asked.tag, produced.base_offset), Half::Sent { intended_nanos: asked.intended_nanos });
        Ok(())
    }

    fn on_fetched(&mut self, consuming: &mut Consuming, asked: Asked, frame: &[u8]) -> Result<(), Failure> {
        let at_nanos = now_nanos();
        let mut done =
            Done { intended_nanos: asked.intended_nanos, ended_nanos: at_nanos, records: 0, bytes: 0 };
        frame::fetched(frame, |batch| {
            consuming.on_read(batch.partition, batch.end_offset);
            done.records += u64::try_from(batch.end_offset - batch.base_offset).unwrap_or(0);
            done.bytes += u64::try_from(batch.bytes).expect("a length fits 64 bits");
            let partition = u32::try_from(batch.partition).unwrap_or_default();
            self.meet((partition, batch.base_offset), Half::Seen { at_nanos });
        })?;
        if done.bytes > 0 {
            self.outcome.fetch.record(self.times.warm_nanos, done);
            self.show(Watched::Reads, done);
        }
        Ok(())
    }

    fn on_called(&mut self, calling: &Calling, asked: Asked, frame: &[u8]) -> Result<(), Failure> {
        if error_of(calling.reply, frame)? != 0 {
            self.outcome.refused += 1;
            return Ok(());
        }
        let (intended_nanos, ended_nanos) = (asked.intended_nanos, now_nanos());
        let done = Done { intended_nanos, ended_nanos, records: 0, bytes: 0 };
        self.outcome.call.record(self.times.warm_nanos, done);
        self.outcome.in_time += u64::from(self.times.are_measured(done.ended_nanos));
        self.show(Watched::Writes, done);
        Ok(())
    }

    fn show(&self, kind: Watched, done: Done) {
        if let Some(live) = &self.live
            && kind == self.watched
        {
            live.record(done.ended_nanos.saturating_sub(done.intended_nanos));
        }
    }

    /// A batch that was both sent and seen has a latency from end to end.
    fn meet(&mut self, batch: (u32, i64), half: Half) {
        if self.follow == Follow::Nothing {
            return;
        }
        let (intended_nanos, ended_nanos) = match (self.halves.remove(&batch), half) {
            (Some(Half::Sent { intended_nanos }), Half::Seen { at_nanos })
            | (Some(Half::Seen { at_nanos }), Half::Sent { intended_nanos }) => (intended_nanos, at_nanos),
            (Some(_) | None, half) => {
                self.halves.insert(batch, half);
                return;
            }
        };
        let done = Done { intended_nanos, ended_nanos, records: 1, bytes: 0 };
        self.outcome.end_to_end.record(self.times.warm_nanos, done);
    }
}
