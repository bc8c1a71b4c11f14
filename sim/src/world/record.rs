//! The record of a run: the fingerprint over every input and effect, and the tape for those who want to read it. Decides
//! nothing.

use highwater_core::buf::Slice;
use highwater_core::id::{ConnId, FileId, PartitionId};
use highwater_core::shard::{Effect, FileChange, FileMeta, Input, Outcome};
use highwater_core::time::Instant;

use crate::bytes::joined;
use crate::clients::Heard;
use crate::fault::Planned;
use crate::fingerprint::Fingerprint;
use crate::history::Fact;
use crate::network::{ClientEnd, Seat};
use crate::report::Violation;
use crate::tape::{Entry, Kind, Site, Tape, to_value};

#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) tape: Option<Tape>,
    /// The client whose turn it is: what the history learns comes from it.
    pub(super) speaker: Option<usize>,
    fingerprint: Fingerprint,
}

impl Recorder {
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint.value()
    }

    fn write(&self, entry: impl FnOnce() -> Entry) {
        if let Some(tape) = &self.tape {
            tape.borrow_mut().entry(entry());
        }
    }

    fn stamp(&mut self, now: Instant, kind: u64) {
        self.fingerprint.word(now.as_nanos());
        self.fingerprint.word(kind);
    }

    pub(super) fn started(&mut self, now: Instant, node: usize, life: u32, files: &[FileMeta]) {
        self.stamp(now, 1);
        for meta in files {
            self.file(meta.file);
            self.fingerprint.word(meta.len);
        }
        self.write(|| {
            Entry::new(now, Site::Node(node), Kind::Start, "Start")
                .with("life", life)
                .with("files", files.len())
                .with("bytes", files.iter().map(|meta| meta.len).sum::<u64>())
        });
    }

    pub(super) fn fault(&mut self, now: Instant, planned: &Planned) {
        self.stamp(now, 2);
        self.write(|| {
            Entry::of(now, Site::Node(planned.node), Kind::Fault, &planned.fault)
                .with("number", planned.number)
        });
    }

    pub(super) fn fact(&mut self, now: Instant, fact: &Fact) {
        self.write(|| {
            if let Fact::Core { node, event } = fact {
                return Entry::of(now, Site::Node(*node), Kind::Event, event);
            }
            let site = self.speaker.map_or(Site::World, Site::Client);
            Entry::of(now, site, Kind::Fact, fact)
        });
    }

    pub(super) fn violation(&mut self, now: Instant, violation: &Violation) {
        self.write(|| Entry::of(now, Site::World, Kind::Violation, violation));
    }

    pub(super) fn connects(&mut self, now: Instant, end: ClientEnd, seat: Seat, conn: ConnId) {
        self.write(|| {
            Entry::new(now, Site::Client(end.client), Kind::Client, "Connects")
                .with("conn", to_value(&end.conn))
                .with("node", seat.node)
                .with("shard", seat.shard)
                .with("shard_conn", to_value(&conn))
        });
    }

    pub(super) fn client(&mut self, now: Instant, client: usize, heard: &Heard) {
        self.speaker = Some(client);
        self.stamp(now, 3);
        self.fingerprint.word(client as u64);
        if let Heard::Bytes { bytes, .. } = heard {
            self.fingerprint.bytes(bytes);
        }
        let site = Site::Client(client);
        self.write(|| {
            if let Heard::Bytes { conn, bytes } = heard {
                let entry = Entry::new(now, site, Kind::Client, "Bytes").with("conn", to_value(conn));
                return entry.with("bytes", bytes.len());
            }
            Entry::of(now, site, Kind::Client, heard)
        });
    }

    pub(super) fn client_sends(&mut self, now: Instant, end: ClientEnd, parts: &[Slice]) {
        self.stamp(now, 4);
        parts.iter().for_each(|part| self.fingerprint.bytes(part));
        self.write(|| {
            let bytes = joined(parts);
            let key = bytes.get(4..6).map_or(-1, |key| i16::from_be_bytes([key[0], key[1]]));
            Entry::new(now, Site::Client(end.client), Kind::Client, "Sends")
                .with("conn", to_value(&end.conn))
                .with("key", key)
                .with("bytes", bytes.len())
        });
    }

    fn conn(&mut self, conn: ConnId) {
        self.fingerprint.word((u64::from(conn.slot) << 32) | u64::from(conn.generation));
    }

    fn partition(&mut self, partition: PartitionId) {
        self.fingerprint.bytes(&partition.topic.0.0);
        self.fingerprint.word(u64::from(partition.index.cast_unsigned()));
    }

    fn file(&mut self, file: FileId) {
        match file {
            FileId::Superblock => self.fingerprint.word(1),
            FileId::Wal { stream, number } => {
                self.fingerprint.bytes(&stream.0.0);
                self.fingerprint.word(number);
            }
            FileId::RecoveryPoints { number } => self.fingerprint.word(number),
            FileId::Checkpoint { stream } => self.fingerprint.bytes(&stream.0.0),
            FileId::Segment { partition, base } => {
                self.partition(partition);
                self.fingerprint.word(base.0.cast_unsigned() << 1);
            }
            FileId::Cleaned { partition, base, end, generation } => {
                self.partition(partition);
                self.fingerprint.word(base.0.cast_unsigned() << 1);
                self.fingerprint.word(end.0.cast_unsigned());
                self.fingerprint.word(u64::from(generation));
            }
            FileId::Footer { partition, base } => {
                self.partition(partition);
                self.fingerprint.word((base.0.cast_unsigned() << 1) | 1);
            }
            FileId::LogStart { partition } => {
                self.partition(partition);
                self.fingerprint.word(u64::MAX);
            }
        }
    }

    pub(super) fn input(&mut self, now: Instant, (node, shard): (usize, u16), input: &Input) {
        self.stamp(now, 0x100_0000 | (node as u64) << 16 | u64::from(shard));
        match input {
            Input::Accepted { conn, .. } | Input::Sent { conn } | Input::Closed { conn, .. } => {
                self.conn(*conn)
            }
            Input::Received { conn, page, len } => {
                self.conn(*conn);
                self.fingerprint.word(u64::from(*len));
                self.fingerprint.word(page.len() as u64);
            }
            Input::Disk { op, outcome } => {
                self.fingerprint.word(op.0);
                match outcome {
                    Outcome::Done => self.fingerprint.word(1),
                    Outcome::Read { page, len } => self.fingerprint.bytes(&page.as_slice()[..*len as usize]),
                    Outcome::Failed { .. } => self.fingerprint.word(2),
                }
            }
            Input::Shard { from, .. } => self.fingerprint.word(u64::from(from.0)),
            Input::FileSystem(_) | Input::LogLevel { .. } | Input::Tick | Input::Stop => {}
        }
        self.write(|| Entry::of(now, Site::Shard { node, shard }, Kind::Input, input));
    }

    pub(super) fn effect(&mut self, now: Instant, (node, shard): (usize, u16), effect: &Effect) {
        self.stamp(now, 0x200_0000 | (node as u64) << 16 | u64::from(shard));
        match effect {
            Effect::Recv { conn, into, at } => {
                self.conn(*conn);
                self.fingerprint.word(into.len() as u64);
                self.fingerprint.word(u64::from(*at));
            }
            Effect::Send { conn, parts } => {
                self.conn(*conn);
                parts.iter().for_each(|part| self.fingerprint.bytes(part));
            }
            Effect::Close { conn, .. } => self.conn(*conn),
            Effect::Write { op, file, at, parts, .. } => {
                self.fingerprint.word(op.0);
                self.file(*file);
                self.fingerprint.word(*at);
                parts.iter().for_each(|part| self.fingerprint.bytes(part));
            }
            Effect::Sync { op, file } => {
                self.fingerprint.word(op.0);
                self.file(*file);
            }
            Effect::Read { op, file, at, into } => {
                self.fingerprint.word(op.0);
                self.file(*file);
                self.fingerprint.word(*at);
                self.fingerprint.word(into.len() as u64);
            }
            Effect::File { op, file, change } => {
                self.fingerprint.word(op.0);
                self.file(*file);
                self.change(change);
            }
            Effect::Shard { to, .. } => self.fingerprint.word(u64::from(to.0)),
            Effect::Halt(_) => {}
        }
        self.write(|| Entry::of(now, Site::Shard { node, shard }, Kind::Effect, effect));
    }

    fn change(&mut self, change: &FileChange) {
        match change {
            FileChange::Create { len } | FileChange::Truncate { len } => self.fingerprint.word(*len),
            FileChange::Rename { to } => self.file(*to),
            FileChange::Replace { bytes } => self.fingerprint.bytes(bytes),
            FileChange::Delete => {}
        }
    }
}
