//! Gives a transcript to a shard that has just started in an empty directory: what came in at once comes in at once, and nothing
//! before the answers that it followed. Owns the connections and the clock; knows no request.

use std::sync::Arc;
use std::time::Instant as Clock;

use highwater_core::buf::{PageMut, Slice};
use highwater_core::id::ConnId;
use highwater_core::shard::{Boot, Config, Effect, Input, Outcome, Shard};
use highwater_core::time::{Duration, Instant, Now, Timestamp};
use highwater_io::record::Frames;

use crate::answers::{self, Asked};
use crate::counted;
use crate::disk::{Disk, Keeps};
use crate::transcript::{Arrival, Transcript, wire};
use crate::{Failure, Reads, Workload};

/// How long nothing comes in before that which counts, and after it if it wrote: until all that is written lies in its segments.
const SETTLING: Duration = Duration::from_secs(20);

/// Turns without an answer before what is waited for will not come.
const TURNS_MAX: usize = 10_000;

/// What a replay came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcomes {
    /// That count.
    pub(crate) requests: u64,
    /// Partitions that were answered for, or bytes of records.
    pub(crate) things: u64,
    /// Of the disk, while it counted.
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    /// Of the clock, the work of this program included.
    pub(crate) nanos: u128,
}

/// Whether the answers are looked at afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    Checked,
    Counted,
}

/// One connection, seen from its client.
#[derive(Debug)]
struct Wire {
    id: ConnId,
    stream: Vec<u8>,
    /// Bytes of the stream that are there to be read, and that were read.
    arrived: usize,
    read: usize,
    lent: Option<(PageMut, u32)>,
    frames: Frames,
    answered: u64,
    answers: Vec<u8>,
    open: bool,
    /// Requests before those that count.
    counted_from: usize,
}

#[derive(Debug)]
struct Replay {
    shard: Shard,
    disk: Disk,
    epoch: Timestamp,
    now: Instant,
    wires: Vec<Wire>,
    answered: u64,
    /// What the shard is told in its next turn.
    next: Vec<Input>,
    is_counting: bool,
    answers: Answers,
}

/// Replays all of it.
pub(crate) fn replay(
    workload: &Workload,
    transcript: &Transcript,
    answers: Answers,
) -> Result<Outcomes, Failure> {
    let mut replay = Replay::new(workload, transcript, answers)?;
    let (before, after) = transcript.turns.split_at(transcript.begin);
    replay.play(before, Duration::ZERO)?;
    replay.drain()?;
    replay.advance(replay.now + SETTLING);
    for wire in &mut replay.wires {
        wire.counted_from = usize::try_from(wire.answered).expect("requests are in memory");
    }
    let (reads, writes) = (replay.disk.reads, replay.disk.writes);
    let begun = Clock::now();
    replay.is_counting = true;
    replay.play(after, SETTLING)?;
    replay.drain()?;
    if replay.disk.writes > writes {
        replay.advance(replay.now + SETTLING);
    }
    replay.is_counting = false;
    let nanos = begun.elapsed().as_nanos();
    let mut outcomes = Outcomes {
        requests: 0,
        things: 0,
        reads: replay.disk.reads - reads,
        writes: replay.disk.writes - writes,
        nanos,
    };
    for (wire, frames) in replay.wires.iter().zip(&transcript.streams) {
        let of_api = |body: usize| crate::transcript::api_of(&transcript.bodies[body]).0 == transcript.api;
        let asked = &frames[..usize::try_from(wire.answered).expect("requests are in memory")];
        let counted = asked[wire.counted_from..].iter().filter(|frame| of_api(frame.body)).count();
        outcomes.requests += u64::try_from(counted).expect("a count fits 64 bits");
        if answers == Answers::Checked {
            let (bodies, api, counted_from) = (&transcript.bodies, transcript.api, wire.counted_from);
            let asked = Asked { bodies, frames: asked, api, counted_from };
            outcomes.things += answers::check(&asked, &wire.answers)?;
        }
    }
    Ok(outcomes)
}

impl Replay {
    fn new(workload: &Workload, transcript: &Transcript, answers: Answers) -> Result<Self, Failure> {
        let config = Arc::new(Config {
            advertised: Some(("127.0.0.1".into(), 9092)),
            log_dir: "data".into(),
            memory_bytes: workload.memory_bytes,
            ..Config::default()
        });
        let now = Instant::from_nanos(0);
        let mut disk = Disk::new(match workload.reads {
            Reads::Memory => Keeps::Nothing,
            Reads::Disk => Keeps::Content,
        });
        let shard = boot(config, transcript, &mut disk)?;
        let wires = (0..).zip(&transcript.streams).map(|(slot, frames)| {
            let mut stream = Vec::new();
            frames
                .iter()
                .for_each(|frame| wire(&transcript.bodies[frame.body], frame.correlation, &mut stream));
            Wire::new(ConnId { slot, generation: 1 }, stream)
        });
        Ok(Self {
            shard,
            disk,
            epoch: transcript.epoch,
            now,
            wires: wires.collect(),
            answered: 0,
            next: Vec::new(),
            is_counting: false,
            answers,
        })
    }

    fn play(&mut self, turns: &[crate::transcript::Turn], offset: Duration) -> Result<(), Failure> {
        for turn in turns {
            self.advance(Instant::from_nanos(turn.mono_nanos) + offset);
            self.await_answers(turn.answered)?;
            for arrival in &turn.arrivals {
                self.arrive(*arrival);
            }
            self.settle();
        }
        Ok(())
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Accepted(conn) => {
                let wire = &mut self.wires[conn];
                wire.open = true;
                let local = std::net::SocketAddr::from(([127, 0, 0, 1], 9092));
                let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
                let conn = wire.id;
                self.handle(Input::Accepted { conn, local, peer });
            }
            Arrival::Received(conn, len) => {
                self.wires[conn].arrived += len;
                self.deliver(conn);
            }
            Arrival::Closed(conn) => self.close(conn),
        }
    }

    fn close(&mut self, conn: usize) {
        let wire = &mut self.wires[conn];
        if std::mem::take(&mut wire.open) {
            let page = wire.lent.take().map(|(page, _)| page);
            self.next.push(Input::Closed { conn: wire.id, page });
        }
    }

    /// Gives a connection what is there, as far as it asks for it.
    fn deliver(&mut self, conn: usize) {
        let wire = &mut self.wires[conn];
        if wire.arrived == wire.read {
            return;
        }
        let Some((mut page, at)) = wire.lent.take() else { return };
        let room = &mut page.as_mut_slice()[at as usize..];
        let len = room.len().min(wire.arrived - wire.read);
        room[..len].copy_from_slice(&wire.stream[wire.read..wire.read + len]);
        wire.read += len;
        let (conn, len) = (wire.id, u32::try_from(len).expect("a page is below 4 GiB"));
        self.handle(Input::Received { conn, page, len });
    }

    /// Runs turns until the shard wants nothing that is there.
    fn settle(&mut self) {
        loop {
            while let Some(effect) = self.poll() {
                self.perform(effect);
            }
            self.take_events();
            let inputs = std::mem::take(&mut self.next);
            let mut has_more = !inputs.is_empty();
            inputs.into_iter().for_each(|input| self.handle(input));
            for conn in 0..self.wires.len() {
                let before = self.wires[conn].read;
                self.deliver(conn);
                has_more |= self.wires[conn].read != before;
            }
            if !has_more {
                return;
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Recv { conn, into, at } => {
                let wire = &mut self.wires[conn.slot as usize];
                if wire.open {
                    wire.lent = Some((into, at));
                }
            }
            Effect::Send { conn, parts } => self.send(conn, parts),
            Effect::Close { conn, .. } => self.close(conn.slot as usize),
            Effect::Write { op, file, at, parts, .. } => {
                self.disk.write(file, at, &parts);
                self.release(parts);
                self.disk.finish(self.now, op, Outcome::Done);
            }
            Effect::Sync { op, .. } => self.disk.finish(self.now, op, Outcome::Done),
            Effect::Read { op, file, at, into } => {
                let outcome = self.disk.read(file, at, into);
                self.disk.finish(self.now, op, outcome);
            }
            Effect::File { op, file, change } => {
                self.disk.change(file, change);
                self.disk.finish(self.now, op, Outcome::Done);
            }
            Effect::Shard { to, .. } => unreachable!("there is no shard {to:?}"),
            Effect::Halt(halt) => panic!("the shard halts: {halt:?}"),
        }
    }

    fn send(&mut self, conn: ConnId, parts: Vec<Slice>) {
        let wire = &mut self.wires[conn.slot as usize];
        for part in &parts {
            let ended = wire.frames.ended_in(part);
            wire.answered += ended;
            self.answered += ended;
            if self.answers == Answers::Checked {
                wire.answers.extend_from_slice(part);
            }
        }
        if wire.open {
            self.next.push(Input::Sent { conn });
        }
        self.release(parts);
    }

    /// Goes on to a time; timers and slow operations of the disk end on the way.
    fn advance(&mut self, to: Instant) {
        loop {
            let due = [self.shard.deadline().map(|(at, _)| at), self.disk.next()].into_iter().flatten().min();
            let Some(at) = due.filter(|at| *at <= to) else { break };
            self.now = self.now.max(at);
            if !self.turn() {
                // The timer stays due until the disk is done.
                let Some(at) = self.disk.next().filter(|at| *at <= to) else { break };
                self.now = self.now.max(at);
            }
        }
        self.now = self.now.max(to);
    }

    /// Does what is due now. Says whether there was more than a timer that stays due.
    fn turn(&mut self) -> bool {
        let mut has_moved = false;
        while self.disk.next().is_some_and(|at| at <= self.now) {
            self.complete();
            has_moved = true;
        }
        let due = self.shard.deadline().map(|(at, _)| at).filter(|at| *at <= self.now);
        if due.is_some() {
            self.handle(Input::Tick);
        }
        self.settle();
        has_moved || self.shard.deadline().map(|(at, _)| at) != due
    }

    fn complete(&mut self) {
        if let Some((op, outcome)) = self.disk.complete() {
            self.handle(Input::Disk { op, outcome });
        }
    }

    /// Waits until so many answers were given: no longer for the disk than that takes, and for timers if need be.
    fn await_answers(&mut self, count: u64) -> Result<(), Failure> {
        for _ in 0..TURNS_MAX {
            if self.answered >= count {
                return Ok(());
            }
            if self.disk.next().is_some() {
                while self.disk.next().is_some() {
                    self.complete();
                }
                self.settle();
            } else if let Some((at, _)) = self.shard.deadline() {
                self.now = self.now.max(at);
                self.turn();
            } else {
                break;
            }
        }
        let given = self.answered;
        Err(Failure(format!("{count} answers were given when it was recorded, {given} are now")))
    }

    /// Waits for the answers to all that was asked.
    fn drain(&mut self) -> Result<(), Failure> {
        let asked = |wire: &Wire| Frames::default().ended_in(&wire.stream[..wire.arrived]);
        let asked: u64 = self.wires.iter().map(asked).sum();
        self.await_answers(asked)?;
        if self.answered == asked {
            Ok(())
        } else {
            Err(Failure(format!("{} answers to {asked} requests", self.answered)))
        }
    }

    fn clocks(&self) -> Now {
        clocks(self.epoch, self.now)
    }

    fn handle(&mut self, input: Input) {
        let now = self.clocks();
        if self.is_counting {
            counted::handle(&mut self.shard, now, input);
        } else {
            self.shard.handle(now, input);
        }
    }

    fn poll(&mut self) -> Option<Effect> {
        let now = self.clocks();
        if self.is_counting { counted::poll(&mut self.shard, now) } else { self.shard.poll(now) }
    }

    fn take_events(&mut self) {
        if self.is_counting {
            counted::take_events(&mut self.shard);
        } else {
            while self.shard.poll_event().is_some() {}
        }
    }

    fn release(&self, parts: Vec<Slice>) {
        if self.is_counting {
            counted::release(parts);
        }
    }
}

impl Wire {
    fn new(id: ConnId, stream: Vec<u8>) -> Self {
        Self {
            id,
            stream,
            arrived: 0,
            read: 0,
            lent: None,
            frames: Frames::default(),
            answered: 0,
            answers: Vec::new(),
            open: false,
            counted_from: 0,
        }
    }
}

fn clocks(epoch: Timestamp, mono: Instant) -> Now {
    let millis = i64::try_from(mono.as_nanos() / 1_000_000).expect("a replay is short");
    Now { mono, wall: Timestamp(epoch.0 + millis) }
}

/// A shard on an empty disk.
fn boot(config: Arc<Config>, transcript: &Transcript, disk: &mut Disk) -> Result<Shard, Failure> {
    let now = clocks(transcript.epoch, Instant::from_nanos(0));
    let mut boot = Boot::new(config, transcript.seed, Vec::new(), now);
    while !boot.is_done() {
        let Some(effect) = boot.poll(now) else { continue };
        let (op, outcome) = match effect {
            Effect::Write { op, file, at, parts, .. } => {
                disk.write(file, at, &parts);
                (op, Outcome::Done)
            }
            Effect::Sync { op, .. } => (op, Outcome::Done),
            Effect::Read { op, file, at, into } => (op, disk.read(file, at, into)),
            Effect::File { op, file, change } => {
                disk.change(file, change);
                (op, Outcome::Done)
            }
            Effect::Recv { .. }
            | Effect::Send { .. }
            | Effect::Close { .. }
            | Effect::Shard { .. }
            | Effect::Halt(_) => return Err(Failure(format!("a boot orders {effect:?}"))),
        };
        boot.handle(now, Input::Disk { op, outcome });
    }
    boot.into_shards(now).pop().ok_or_else(|| Failure("a node without a shard".into()))
}
