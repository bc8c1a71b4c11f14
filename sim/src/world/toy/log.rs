//! The toy's state: topics, logs, producers, and the commands that make them again after a restart.

use std::collections::BTreeMap;

use highwater_core::time::Duration;

use super::Mutant;
use crate::clients::batch::{crc32c, decode};
use crate::clients::codec::{
    API_VERSIONS, Api, CREATE_TOPICS, DELETE_TOPICS, FETCH, INIT_PRODUCER_ID, LIST_OFFSETS, METADATA,
    Malformed, PRODUCE, Reader, Writer, code,
};
use crate::params::PORT;

/// What it speaks, each in one version.
const SPOKEN: [Api; 8] =
    [PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, INIT_PRODUCER_ID];

/// What a request comes to.
#[derive(Debug)]
pub(super) enum Answer {
    None,
    Now(Writer),
    /// After a while, as there is nothing to say.
    Later(Writer, Duration),
    /// Once all that was gathered so far is on disk.
    Durable(Writer),
}

#[derive(Debug, Default)]
struct Log {
    /// Base, end, bytes.
    batches: Vec<(i64, i64, Vec<u8>)>,
    gathered_end: i64,
    writing_end: i64,
    durable_end: i64,
    /// By producer: first sequence, records and base of its batches.
    producers: BTreeMap<i64, Vec<(i32, i32, i64)>>,
}

#[derive(Debug)]
pub(super) struct Broker {
    mutant: Mutant,
    host: String,
    topics: BTreeMap<String, Vec<Log>>,
    next_producer: i64,
}

/// Frame: number, length, checksum, commands.
pub(super) fn seal(number: u32, commands: &[u8]) -> Vec<u8> {
    let mut sealed = Writer::default();
    sealed.u32(number);
    sealed.count(commands.len());
    sealed.u32(crc32c(commands));
    sealed.bytes.extend(commands);
    sealed.bytes
}

impl Broker {
    pub(super) fn new(mutant: Mutant, host: String) -> Self {
        Self { mutant, host, topics: BTreeMap::new(), next_producer: 0 }
    }

    /// Where the next frame goes, and how many there are.
    pub(super) fn recover(&mut self, bytes: &[u8]) -> (u64, u32) {
        let (mut at, mut number) = (0, 0);
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= 12) {
            let mut reader = Reader::new(rest);
            let (found, len, crc) = (reader.u32().unwrap(), reader.i32().unwrap(), reader.u32().unwrap());
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let Some(commands) = rest.get(12..).and_then(|rest| rest.get(..len)) else { break };
            if found != number + 1 || (crc32c(commands) != crc && self.mutant != Mutant::BelievesTorn) {
                break;
            }
            number += 1;
            at += (12 + len).next_multiple_of(super::BLOCK);
            let mut reader = Reader::new(commands);
            while let Ok(kind) = reader.i8() {
                if self.replay(kind, &mut reader).is_err() {
                    break;
                }
            }
        }
        self.on_write();
        self.on_durable();
        if self.mutant == Mutant::ForgetsProducers {
            self.topics.values_mut().flatten().for_each(|log| log.producers.clear());
        }
        (at as u64, number)
    }

    fn replay(&mut self, kind: i8, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        match kind {
            1 => {
                let (name, partitions) = (reader.str()?, reader.i32()?);
                self.topics.insert(name.to_owned(), (0..partitions).map(|_| Log::default()).collect());
            }
            2 => {
                let (name, index, batch) = (reader.str()?, reader.i32()?, reader.blob()?);
                let log = self.log(name, index).ok_or(Malformed("topic"))?;
                log.append(batch);
            }
            _ => self.next_producer = reader.i64()?,
        }
        Ok(())
    }

    /// All that was gathered so far is in the write that begins.
    pub(super) fn on_write(&mut self) {
        for log in self.topics.values_mut().flatten() {
            log.writing_end = log.gathered_end;
        }
    }

    pub(super) fn on_durable(&mut self) {
        for log in self.topics.values_mut().flatten() {
            log.durable_end = log.writing_end;
        }
    }

    fn log(&mut self, name: &str, index: i32) -> Option<&mut Log> {
        self.topics.get_mut(name)?.get_mut(usize::try_from(index).ok()?)
    }

    pub(super) fn serve(
        &mut self,
        asked: Api,
        mut body: Reader<'_>,
        out: &mut Writer,
    ) -> Result<Answer, Malformed> {
        let mut answer = Writer::default();
        let is = |api: Api| api.key == asked.key;
        if is(PRODUCE) {
            return self.produce(&mut body, out);
        } else if is(FETCH) {
            return self.fetch(asked, &mut body);
        } else if is(LIST_OFFSETS) {
            return self.list(&mut body);
        } else if is(CREATE_TOPICS) {
            return self.create(&mut body, out);
        } else if is(DELETE_TOPICS) {
            let names = body.array(Reader::str)?;
            answer.i32(0);
            answer.count(names.len());
            names.iter().for_each(|name| {
                answer.str(name);
                answer.i16(29);
            });
        } else if is(INIT_PRODUCER_ID) {
            self.next_producer += 1;
            out.i8(3);
            out.i64(self.next_producer);
            answer.i32(0);
            answer.i16(0);
            answer.i64(self.next_producer);
            answer.i16(0);
            return Ok(Answer::Durable(answer));
        } else if is(API_VERSIONS) {
            versions(asked, &mut answer);
        } else if is(METADATA) {
            self.metadata(&mut body, &mut answer)?;
        }
        Ok(Answer::Now(answer))
    }

    fn metadata(&self, body: &mut Reader<'_>, answer: &mut Writer) -> Result<(), Malformed> {
        let names = match body.i32()? {
            -1 => self.topics.keys().map(String::as_str).collect(),
            count => (0..count).map(|_| body.str()).collect::<Result<Vec<&str>, _>>()?,
        };
        answer.i32(0);
        answer.count(1);
        answer.i32(1);
        answer.str(&self.host);
        answer.i32(i32::from(PORT));
        answer.null_str();
        answer.null_str();
        answer.i32(1);
        answer.count(names.len());
        for name in names {
            let logs = self.topics.get(name).map_or(&[][..], Vec::as_slice);
            answer.i16(if logs.is_empty() { code::UNKNOWN_TOPIC_OR_PARTITION } else { code::NONE });
            answer.str(name);
            answer.i8(0);
            answer.count(logs.len());
            for index in (0..).take(logs.len()) {
                answer.i16(0);
                answer.i32(index);
                answer.i32(1);
                answer.i32(0);
                for nodes in [&[1][..], &[1], &[]] {
                    answer.count(nodes.len());
                    nodes.iter().for_each(|node| answer.i32(*node));
                }
            }
        }
        Ok(())
    }

    fn create(&mut self, body: &mut Reader<'_>, out: &mut Writer) -> Result<Answer, Malformed> {
        let topics = body.array(|r| {
            let (name, partitions, _replicas) = (r.str()?, r.i32()?, r.i16()?);
            let _assigned = r.array(Reader::i32)?;
            let _settings = r.array(|r| Ok((r.str()?, r.str()?)))?;
            Ok((name, partitions))
        })?;
        let mut answer = Writer::default();
        answer.i32(0);
        answer.count(topics.len());
        for (name, partitions) in topics {
            let error = if self.topics.contains_key(name) { code::TOPIC_ALREADY_EXISTS } else { code::NONE };
            if error == code::NONE {
                self.topics.insert(name.to_owned(), (0..partitions).map(|_| Log::default()).collect());
                out.i8(1);
                out.str(name);
                out.i32(partitions);
            }
            answer.str(name);
            answer.i16(error);
            answer.null_str();
        }
        Ok(Answer::Durable(answer))
    }

    fn produce(&mut self, body: &mut Reader<'_>, out: &mut Writer) -> Result<Answer, Malformed> {
        let (_transaction, acks, _timeout) = (body.str()?, body.i16()?, body.i32()?);
        let topics = body.array(|r| Ok((r.str()?, r.array(|r| Ok((r.i32()?, r.blob()?)))?)))?;
        let mut answer = Writer::default();
        answer.count(topics.len());
        for (name, partitions) in topics {
            answer.str(name);
            answer.count(partitions.len());
            for (index, batch) in partitions {
                let (error, base, fresh) = match self.log(name, index) {
                    None => (code::UNKNOWN_TOPIC_OR_PARTITION, -1, false),
                    Some(log) => log.offer(batch)?,
                };
                if fresh {
                    out.i8(2);
                    out.str(name);
                    out.i32(index);
                    out.blob(batch);
                }
                answer.i32(index);
                answer.i16(error);
                answer.i64(base);
                answer.i64(-1);
                answer.i64(0);
            }
        }
        answer.i32(0);
        Ok(if acks == 0 { Answer::None } else { Answer::Durable(answer) })
    }

    fn fetch(&mut self, asked: Api, body: &mut Reader<'_>) -> Result<Answer, Malformed> {
        let new = asked == FETCH;
        let (_replica, wait, _min_max) = (body.i32()?, body.i32()?, (body.i32()?, body.i32()?));
        let _isolation = body.i8()?;
        if new {
            let _session_epoch = (body.i32()?, body.i32()?);
        }
        let topics = body.array(|r| {
            let name = r.str()?;
            let partitions = r.array(|r| {
                let index = r.i32()?;
                let _epoch = if new { r.i32()? } else { -1 };
                let offset = r.i64()?;
                let _log_start = if new { r.i64()? } else { -1 };
                let _bytes_max = r.i32()?;
                Ok((index, offset))
            })?;
            Ok((name, partitions))
        })?;
        let mutant = self.mutant;
        let mut empty = true;
        let mut answer = Writer::default();
        answer.i32(0);
        if new {
            answer.i16(0);
            answer.i32(0);
        }
        answer.count(topics.len());
        for (name, partitions) in topics {
            answer.str(name);
            answer.count(partitions.len());
            for (index, offset) in partitions {
                answer.i32(index);
                match self.log(name, index) {
                    None => {
                        empty = false;
                        write_fetched(asked, &mut answer, (code::UNKNOWN_TOPIC_OR_PARTITION, -1), &[]);
                    }
                    Some(log) => empty &= log.read(asked, offset, mutant, &mut answer),
                }
            }
        }
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
        Ok(if empty { Answer::Later(answer, wait) } else { Answer::Now(answer) })
    }

    fn list(&mut self, body: &mut Reader<'_>) -> Result<Answer, Malformed> {
        let _replica_isolation = (body.i32()?, body.i8()?);
        let topics = body.array(|r| {
            let name = r.str()?;
            let partitions = r.array(|r| {
                let (index, _epoch, timestamp) = (r.i32()?, r.i32()?, r.i64()?);
                Ok((index, timestamp))
            })?;
            Ok((name, partitions))
        })?;
        let mut answer = Writer::default();
        answer.i32(0);
        answer.count(topics.len());
        for (name, partitions) in topics {
            answer.str(name);
            answer.count(partitions.len());
            for (index, timestamp) in partitions {
                let log = self.log(name, index);
                answer.i32(index);
                answer.i16(if log.is_some() { code::NONE } else { code::UNKNOWN_TOPIC_OR_PARTITION });
                answer.i64(-1);
                answer.i64(log.map_or(-1, |log| if timestamp == -1 { log.durable_end } else { 0 }));
                answer.i32(0);
            }
        }
        Ok(Answer::Now(answer))
    }
}

/// Whoever asks in another version is told which there are (KIP-511).
fn versions(asked: Api, answer: &mut Writer) {
    let known = asked.version <= API_VERSIONS.version;
    answer.i16(if known { code::NONE } else { code::UNSUPPORTED_VERSION });
    answer.count(SPOKEN.len());
    for api in SPOKEN {
        answer.i16(api.key);
        answer.i16(api.version);
        answer.i16(api.version);
    }
    if known && asked.version > 0 {
        answer.i32(0);
    }
}

fn write_fetched(asked: Api, answer: &mut Writer, (error, high_watermark): (i16, i64), records: &[u8]) {
    answer.i16(error);
    answer.i64(high_watermark);
    answer.i64(high_watermark);
    if asked == FETCH {
        answer.i64(0);
    }
    answer.i32(-1);
    if asked == FETCH {
        answer.i32(-1);
    }
    answer.blob(records);
}

impl Log {
    /// Error, base, and whether it is to be written.
    fn offer(&mut self, batch: &[u8]) -> Result<(i16, i64, bool), Malformed> {
        let read = decode(batch)?;
        let [read] = &read[..] else { return Err(Malformed("one batch")) };
        if let Some(sequence) = read.sequence {
            let known = self.producers.get(&sequence.producer).map_or(&[][..], Vec::as_slice);
            if let Some(&(_, _, base)) =
                known.iter().rev().take(5).find(|(first, ..)| *first == sequence.first)
            {
                return Ok((code::NONE, base, false));
            }
            let due = known.last().map_or(0, |(first, records, _)| first + records);
            if sequence.first != due {
                return Ok((code::OUT_OF_ORDER_SEQUENCE_NUMBER, -1, false));
            }
        }
        Ok((code::NONE, self.append(batch), true))
    }

    fn append(&mut self, batch: &[u8]) -> i64 {
        let base = self.gathered_end;
        // A torn frame that is believed may hold anything.
        let read = decode(batch).ok().and_then(|read| read.into_iter().next());
        let records = read.as_ref().map_or(1, |read| read.end - read.base);
        let mut bytes = batch.to_vec();
        bytes[..8].copy_from_slice(&base.to_be_bytes());
        self.gathered_end += records;
        self.batches.push((base, self.gathered_end, bytes));
        if let Some(sequence) = read.and_then(|read| read.sequence) {
            self.producers.entry(sequence.producer).or_default().push((
                sequence.first,
                i32::try_from(records).unwrap(),
                base,
            ));
        }
        base
    }

    /// Whether there is nothing to say.
    fn read(&self, asked: Api, offset: i64, mutant: Mutant, answer: &mut Writer) -> bool {
        let end = if mutant == Mutant::ReadsEarly { self.gathered_end } else { self.durable_end };
        if offset < 0 || offset > end {
            write_fetched(asked, answer, (code::OFFSET_OUT_OF_RANGE, end), &[]);
            return false;
        }
        let wanted = self.batches.iter().filter(|(_, batch_end, _)| *batch_end > offset && *batch_end <= end);
        let mut records = Vec::new();
        for (base, _, bytes) in wanted {
            if mutant == Mutant::Stuck && *base > 3 || records.len() > 50_000 {
                break;
            }
            records.extend_from_slice(bytes);
        }
        write_fetched(asked, answer, (code::NONE, end), &records);
        records.is_empty()
    }
}
