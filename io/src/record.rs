//! What clients sent to one shard, as its driver saw it, written to a file: to be given to the core again where nothing else
//! runs. Owns the format of that file. Knows nothing of the bytes but where an answer ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use highwater_core::id::ConnId;
use highwater_core::shard::{Effect, Event, Input};
use highwater_core::time::{Instant, Now, Timestamp};

use crate::driver::Machine;
#[cfg(feature = "production")]
use crate::launch::Bootable;

const MAGIC: [u8; 8] = *b"hw-rec1\n";

/// A read is bounded by the page that was lent for it.
const RECEIVED_BYTES_MAX: u32 = 128 << 20;

/// One thing on a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// What follows came in at once, when so many answers had been given to all connections together.
    Turn {
        now: Now,
        answered: u64,
    },
    Accepted(ConnId),
    Received(ConnId, Vec<u8>),
    Closed(ConnId),
}

impl Entry {
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Turn { now, answered } => {
                out.write_all(&[0])?;
                out.write_all(&now.mono.as_nanos().to_le_bytes())?;
                out.write_all(&now.wall.0.to_le_bytes())?;
                out.write_all(&answered.to_le_bytes())
            }
            Self::Accepted(conn) => write_conn(out, 1, *conn),
            Self::Received(conn, bytes) => {
                write_conn(out, 2, *conn)?;
                let len = u32::try_from(bytes.len()).expect("a page is below 4 GiB");
                out.write_all(&len.to_le_bytes())?;
                out.write_all(bytes)
            }
            Self::Closed(conn) => write_conn(out, 3, *conn),
        }
    }

    fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut tag = [0];
        if from.read(&mut tag)? == 0 {
            return Ok(None);
        }
        Ok(Some(match tag[0] {
            0 => {
                let mono = Instant::from_nanos(u64::from_le_bytes(array(from)?));
                let wall = Timestamp(i64::from_le_bytes(array(from)?));
                Self::Turn { now: Now { mono, wall }, answered: u64::from_le_bytes(array(from)?) }
            }
            1 => Self::Accepted(read_conn(from)?),
            2 => {
                let conn = read_conn(from)?;
                let len = u32::from_le_bytes(array(from)?);
                let mut bytes = Vec::new();
                from.take(u64::from(len.min(RECEIVED_BYTES_MAX))).read_to_end(&mut bytes)?;
                if bytes.len() != len as usize {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Self::Received(conn, bytes)
            }
            3 => Self::Closed(read_conn(from)?),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }))
    }
}

fn write_conn(out: &mut impl Write, tag: u8, conn: ConnId) -> io::Result<()> {
    out.write_all(&[tag])?;
    out.write_all(&conn.slot.to_le_bytes())?;
    out.write_all(&conn.generation.to_le_bytes())
}

fn read_conn(from: &mut impl Read) -> io::Result<ConnId> {
    let slot = u32::from_le_bytes(array(from)?);
    Ok(ConnId { slot, generation: u32::from_le_bytes(array(from)?) })
}

fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// All of a recording.
#[derive(Debug)]
pub struct Recording {
    /// What the node made its ids from.
    pub seed: u64,
    pub entries: Vec<Entry>,
}

impl Recording {
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        if array(from)? != MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a recording"));
        }
        let seed = u64::from_le_bytes(array(from)?);
        let mut entries = Vec::new();
        while let Some(entry) = Entry::read(from)? {
            entries.push(entry);
        }
        Ok(Self { seed, entries })
    }
}

/// Where frames end in what is sent on one connection.
#[derive(Debug, Default)]
pub struct Frames {
    head: Vec<u8>,
    left: usize,
}

impl Frames {
    /// How many frames end in these bytes, the next ones of their connection.
    pub fn ended_in(&mut self, mut bytes: &[u8]) -> u64 {
        let mut ended = 0;
        while !bytes.is_empty() {
            if self.head.len() < 4 {
                let (head, rest) = bytes.split_at(bytes.len().min(4 - self.head.len()));
                self.head.extend_from_slice(head);
                bytes = rest;
                let Some(head) = self.head.first_chunk::<4>() else { continue };
                self.left = usize::try_from(u32::from_be_bytes(*head)).expect("32 bits fit");
            }
            let (_, rest) = bytes.split_at(bytes.len().min(self.left));
            self.left -= bytes.len() - rest.len();
            bytes = rest;
            if self.left == 0 {
                self.head.clear();
                ended += 1;
            }
        }
        ended
    }
}

/// A machine whose clients are recorded.
#[derive(Debug)]
pub struct Recorded<M> {
    machine: M,
    tape: Option<Tape>,
}

#[derive(Debug)]
struct Tape {
    file: BufWriter<File>,
    /// Where in its page each read begins that is under way.
    reads: BTreeMap<ConnId, u32>,
    answers: BTreeMap<ConnId, Frames>,
    answered: u64,
    turn_over: bool,
}

impl<M> Recorded<M> {
    /// Records to this file; without, it does nothing. `seed` is what the node makes its ids from.
    pub fn new(machine: M, seed: u64, path: Option<&Path>) -> io::Result<Self> {
        let tape = path.map(|path| Tape::new(path, seed)).transpose()?;
        Ok(Self { machine, tape })
    }
}

impl Tape {
    fn new(path: &Path, seed: u64) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&MAGIC)?;
        file.write_all(&seed.to_le_bytes())?;
        let (reads, answers) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { file, reads, answers, answered: 0, turn_over: true })
    }

    fn on_input(&mut self, now: Now, input: &Input) {
        let entry = match input {
            Input::Accepted { conn, .. } => Entry::Accepted(*conn),
            Input::Received { conn, page, len } => {
                let at = self.reads.remove(conn).expect("what is received was asked for") as usize;
                Entry::Received(*conn, page.as_slice()[at..at + *len as usize].to_vec())
            }
            Input::Closed { conn, .. } => {
                self.reads.remove(conn);
                self.answers.remove(conn);
                Entry::Closed(*conn)
            }
            Input::Sent { .. }
            | Input::Disk { .. }
            | Input::Shard { .. }
            | Input::Tick
            | Input::FileSystem(_)
            | Input::LogLevel { .. }
            | Input::Stop => return,
        };
        if std::mem::take(&mut self.turn_over) {
            self.put(&Entry::Turn { now, answered: self.answered });
        }
        self.put(&entry);
    }

    fn on_effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Recv { conn, at, .. } => drop(self.reads.insert(*conn, *at)),
            Effect::Send { conn, parts } => {
                let frames = self.answers.entry(*conn).or_default();
                self.answered += parts.iter().map(|part| frames.ended_in(part)).sum::<u64>();
            }
            Effect::Halt(_) => self.file.flush().expect("a recording can be written"),
            Effect::Close { .. }
            | Effect::Write { .. }
            | Effect::Sync { .. }
            | Effect::Read { .. }
            | Effect::File { .. }
            | Effect::Shard { .. } => {}
        }
    }

    fn put(&mut self, entry: &Entry) {
        entry.write(&mut self.file).expect("a recording can be written");
    }
}

impl<M: Machine> Machine for Recorded<M> {
    fn handle(&mut self, now: Now, input: Input) {
        if let Some(tape) = &mut self.tape {
            tape.on_input(now, &input);
        }
        self.machine.handle(now, input);
    }

    fn poll(&mut self, now: Now) -> Option<Effect> {
        let effect = self.machine.poll(now);
        if let Some(tape) = &mut self.tape {
            tape.turn_over = true;
            effect.iter().for_each(|effect| tape.on_effect(effect));
        }
        effect
    }

    fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.machine.poll_event()
    }

    fn is_done(&self) -> bool {
        self.machine.is_done()
    }
}

#[cfg(feature = "production")]
impl<B: Bootable> Bootable for Recorded<B> {
    type Shard = Recorded<B::Shard>;

    fn into_shards(self, now: Now) -> Vec<Self::Shard> {
        let mut tape = self.tape;
        let shards = self.machine.into_shards(now);
        assert!(tape.is_none() || shards.len() == 1, "a recording is of one shard: --set shards=1");
        shards.into_iter().map(|machine| Recorded { machine, tape: tape.take() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recording_reads_what_was_written() {
        let conn = ConnId { slot: 3, generation: 9 };
        let now = Now { mono: Instant::from_nanos(5), wall: Timestamp(-7) };
        let entries = [
            Entry::Turn { now, answered: 11 },
            Entry::Accepted(conn),
            Entry::Received(conn, vec![1, 2, 3]),
            Entry::Closed(conn),
        ];
        let mut bytes = [MAGIC.as_slice(), &42_u64.to_le_bytes()].concat();
        entries.iter().for_each(|entry| entry.write(&mut bytes).unwrap());
        let recording = Recording::read(&mut bytes.as_slice()).unwrap();
        assert_eq!((recording.seed, recording.entries.as_slice()), (42, entries.as_slice()));
        bytes.truncate(bytes.len() - 12);
        assert!(Recording::read(&mut bytes.as_slice()).is_err(), "a cut is noticed");
    }

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let stream = [0, 0, 0, 2, 7, 7, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        for cut in 0..stream.len() {
            let mut frames = Frames::default();
            let (head, tail) = stream.split_at(cut);
            assert_eq!(frames.ended_in(head) + frames.ended_in(tail), 3, "cut at {cut}");
        }
        assert_eq!(Frames::default().ended_in(&stream[..14]), 2);
    }
}
