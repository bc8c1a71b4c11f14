//! A broker of a few hundred lines, with bugs to choose from, to show that the simulator finds what it should find and keeps
//! quiet where there is nothing. One shard, one file, everything in memory.

mod log;

use std::collections::{BTreeMap, VecDeque};

use highwater_core::buf::{PageMut, Pool, Slice};
use highwater_core::id::{ConnId, FileId, OpId, StreamId};
use highwater_core::shard::{
    DiskErrorAt, DiskStep, Durability, Effect, FileChange, FileMeta, Halt, Input, Outcome,
};
use highwater_core::time::Instant;

use crate::clients::codec::{Api, Malformed, Reader, Writer};
use log::{Answer, Broker};

pub(super) const FILE: FileId = FileId::Wal { stream: StreamId(highwater_core::id::Uuid::ZERO), number: 0 };
const BLOCK: usize = 4096;

/// A bug that may be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutant {
    None,
    /// Answers a produce before its write has completed.
    AckBeforeWrite,
    /// Takes the completion of a sync that was already running as proof.
    RunningSync,
    /// Recovery believes a frame without its checksum.
    BelievesTorn,
    /// Recovery serves what it read without a sync of its own.
    NoSyncAfterKill,
    /// Forgets producers when it restarts.
    ForgetsProducers,
    /// Serves what is not yet durable.
    ReadsEarly,
    /// Never answers a fetch from the end of the log.
    Stuck,
}

#[derive(Debug, Default)]
struct Conn {
    heard: Vec<u8>,
    /// Answers in order of their requests; an empty one waits for its commit.
    answers: VecDeque<(u64, Option<Vec<u8>>)>,
    requests: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Creating,
    Reading,
    Syncing,
    Serving,
}

/// The broker as a machine.
#[derive(Debug)]
pub(super) struct Toy {
    mutant: Mutant,
    broker: Broker,
    state: State,
    conns: BTreeMap<ConnId, Conn>,
    effects: VecDeque<Effect>,
    pool: Pool,
    ops: u64,
    tail: u64,
    frames: u32,
    /// Commands that no write has taken yet, and the answers that wait for them.
    gathered: Writer,
    waiting: Vec<(ConnId, u64, Vec<u8>)>,
    writing: Vec<(ConnId, u64, Vec<u8>)>,
    /// Answers that have nothing to say, and until when they may wait.
    parked: Vec<(Instant, ConnId, u64, Vec<u8>)>,
    now: Instant,
    write: Option<OpId>,
    sync: Option<OpId>,
    stopping: bool,
}

impl Toy {
    pub(super) fn new(mutant: Mutant, host: String, files: &[FileMeta]) -> Self {
        let mut toy = Self {
            mutant,
            broker: Broker::new(mutant, host),
            state: State::Creating,
            conns: BTreeMap::new(),
            effects: VecDeque::new(),
            pool: Pool::new(1 << 30),
            ops: 0,
            tail: 0,
            frames: 0,
            gathered: Writer::default(),
            waiting: Vec::new(),
            writing: Vec::new(),
            parked: Vec::new(),
            now: Instant::default(),
            write: None,
            sync: None,
            stopping: false,
        };
        let op = toy.next_op();
        match files.first() {
            None => {
                toy.effects.push_back(Effect::File { op, file: FILE, change: FileChange::Create { len: 0 } })
            }
            Some(meta) => {
                toy.state = State::Reading;
                let into = PageMut::with_len(usize::try_from(meta.len).unwrap().max(1));
                toy.effects.push_back(Effect::Read { op, file: FILE, at: 0, into });
            }
        }
        toy
    }

    fn next_op(&mut self) -> OpId {
        self.ops += 1;
        OpId(self.ops)
    }

    pub(super) fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.parked.iter().map(|(at, ..)| *at).min()
    }

    pub(super) fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        let due = self.parked.extract_if(.., |(at, ..)| *at <= now);
        for (_, conn, request, bytes) in due.collect::<Vec<_>>() {
            self.answer(conn, request, bytes);
        }
        match input {
            Input::Accepted { conn, .. } => {
                self.conns.insert(conn, Conn::default());
                self.receive(conn);
            }
            Input::Received { conn, page, len } => {
                let heard = &mut self.conns.get_mut(&conn).unwrap().heard;
                heard.extend_from_slice(&page.as_slice()[..len as usize]);
                self.receive(conn);
            }
            Input::Closed { conn: gone, .. } => {
                self.conns.remove(&gone);
                self.effects.retain(|effect| !matches!(effect, Effect::Recv { conn, .. } if *conn == gone));
            }
            Input::Disk { op, outcome } => self.on_disk(op, outcome),
            Input::Stop => self.stopping = true,
            Input::Sent { .. } | Input::Shard { .. } | Input::Tick => {}
        }
        if self.state == State::Serving {
            for conn in self.conns.keys().copied().collect::<Vec<_>>() {
                self.serve(conn);
            }
            self.commit();
        }
    }

    fn receive(&mut self, conn: ConnId) {
        self.effects.push_back(Effect::Recv { conn, into: PageMut::with_len(BLOCK), at: 0 });
    }

    fn on_disk(&mut self, op: OpId, outcome: Outcome) {
        if let Outcome::Failed { error, .. } = outcome {
            let error = DiskErrorAt { error, during: DiskStep::Write };
            return self.effects.push_back(Effect::Halt(Halt::DiskFailed { file: FILE, error }));
        }
        match self.state {
            State::Creating | State::Syncing => self.state = State::Serving,
            State::Reading => {
                let Outcome::Read { page, len } = outcome else { panic!("a read was asked for") };
                (self.tail, self.frames) = self.broker.recover(&page.as_slice()[..len as usize]);
                self.state = State::Serving;
                if self.mutant != Mutant::NoSyncAfterKill {
                    self.state = State::Syncing;
                    let op = self.next_op();
                    self.effects.push_back(Effect::Sync { op, file: FILE });
                }
            }
            State::Serving => self.on_commit(op),
        }
    }

    fn on_commit(&mut self, op: OpId) {
        if self.mutant == Mutant::RunningSync {
            if self.sync == Some(op) {
                self.sync = None;
                self.answer_written();
            } else {
                self.write = None;
            }
            return;
        }
        self.write = None;
        self.answer_written();
    }

    fn answer_written(&mut self) {
        self.broker.on_durable();
        for (conn, request, bytes) in std::mem::take(&mut self.writing) {
            self.answer(conn, request, bytes);
        }
    }

    fn answer(&mut self, id: ConnId, request: u64, bytes: Vec<u8>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if let Some(answer) = conn.answers.iter_mut().find(|(number, _)| *number == request) {
            answer.1 = Some(bytes);
        }
        while let Some((_, Some(bytes))) = conn.answers.pop_front_if(|(_, bytes)| bytes.is_some()) {
            self.effects.push_back(Effect::Send { conn: id, parts: vec![Slice::from_vec(bytes)] });
        }
    }

    fn serve(&mut self, id: ConnId) {
        let heard = std::mem::take(&mut self.conns.get_mut(&id).unwrap().heard);
        let mut rest = heard.as_slice();
        while let Some((head, after)) = rest.split_first_chunk::<4>() {
            let len = usize::try_from(i32::from_be_bytes(*head)).unwrap();
            let Some((request, after)) = after.split_at_checked(len) else { break };
            rest = after;
            self.serve_one(id, request).expect("the simulated clients ask what the toy knows");
        }
        self.conns.get_mut(&id).unwrap().heard = rest.to_vec();
    }

    fn serve_one(&mut self, id: ConnId, request: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(request);
        let (key, version, correlation) = (reader.i16()?, reader.i16()?, reader.i32()?);
        let _client = reader.str()?;
        let answer = self.broker.serve(Api { key, version }, reader, &mut self.gathered)?;
        let conn = self.conns.get_mut(&id).unwrap();
        conn.requests += 1;
        let number = conn.requests;
        let framed = |body: Writer| {
            let mut framed = Writer::default();
            framed.count(body.bytes.len() + 4);
            framed.i32(correlation);
            framed.bytes.extend(body.bytes);
            framed.bytes
        };
        match answer {
            Answer::None => {}
            Answer::Now(body) => {
                conn.answers.push_back((number, None));
                self.answer(id, number, framed(body));
            }
            Answer::Later(body, wait) => {
                conn.answers.push_back((number, None));
                self.parked.push((self.now + wait, id, number, framed(body)));
            }
            Answer::Durable(body) => {
                conn.answers.push_back((number, None));
                if self.mutant == Mutant::AckBeforeWrite {
                    self.answer(id, number, framed(body));
                } else {
                    self.waiting.push((id, number, framed(body)));
                }
            }
        }
        Ok(())
    }

    /// One write in flight; what gathers meanwhile is the next one.
    fn commit(&mut self) {
        if self.write.is_some() || self.sync.is_some() {
            return;
        }
        if self.gathered.bytes.is_empty() && self.waiting.is_empty() {
            if self.stopping {
                self.stopping = false;
                self.effects.push_back(Effect::Halt(Halt::Stopped));
            }
            return;
        }
        let commands = std::mem::take(&mut self.gathered).bytes;
        self.broker.on_write();
        self.writing = std::mem::take(&mut self.waiting);
        self.frames += 1;
        let framed = log::seal(self.frames, &commands);
        let len = framed.len().next_multiple_of(BLOCK);
        let mut page = self.pool.alloc(len).unwrap();
        page.as_mut_slice()[..framed.len()].copy_from_slice(&framed);
        page.as_mut_slice()[framed.len()..].fill(0);
        let part = self.pool.freeze(page).cut(0, len);
        let op = self.next_op();
        self.write = Some(op);
        let at = self.tail;
        self.tail += len as u64;
        let running = self.mutant == Mutant::RunningSync;
        let durability = if running { Durability::Cached } else { Durability::Durable };
        self.effects.push_back(Effect::Write { op, file: FILE, at, parts: vec![part], durability });
        if running {
            let op = self.next_op();
            self.sync = Some(op);
            self.effects.push_back(Effect::Sync { op, file: FILE });
        }
    }
}
