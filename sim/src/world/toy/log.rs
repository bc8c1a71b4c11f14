//! The toy's state: topics, logs, producers, and the commands that make them again after a restart.

use std::collections::BTreeMap;

use super::Mutant;
use crate::clients::batch::{crc32c, decode};
use crate::clients::codec::{
    API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, FETCH, INIT_PRODUCER_ID, LIST_OFFSETS, METADATA, Malformed,
    PRODUCE, Reader, Writer, code,
};

/// What a request comes to.
#[derive(Debug)]
pub(super) enum Answer {
    None,
    Now(Writer),
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
    pub(super) fn new(mutant: Mutant) -> Self {
        Self { mutant, topics: BTreeMap::new(), next_producer: 0 }
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
        key: i16,
        mut body: Reader<'_>,
        out: &mut Writer,
    ) -> Result<Answer, Malformed> {
        let mut answer = Writer::default();
        let is = |api: crate::clients::codec::Api| api.key == key;
        if is(PRODUCE) {
            return self.produce(&mut body, out);
        } else if is(FETCH) {
            return self.fetch(&mut body);
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
            answer.i16(0);
            answer.count(1);
            answer.i16(0);
            answer.i16(7);
            answer.i16(7);
            answer.i32(0);
        } else if is(METADATA) {
            answer.i32(0);
            answer.count(0);
            answer.null_str();
            answer.i32(1);
            answer.count(0);
        }
        Ok(Answer::Now(answer))
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

    fn fetch(&mut self, body: &mut Reader<'_>) -> Result<Answer, Malformed> {
        let _replica_wait_min_max = (body.i32()?, body.i32()?, body.i32()?, body.i32()?);
        let _isolation_session_epoch = (body.i8()?, body.i32()?, body.i32()?);
        let topics = body.array(|r| {
            let name = r.str()?;
            let partitions = r.array(|r| {
                let (index, _epoch, offset) = (r.i32()?, r.i32()?, r.i64()?);
                let _log_start_bytes_max = (r.i64()?, r.i32()?);
                Ok((index, offset))
            })?;
            Ok((name, partitions))
        })?;
        let mutant = self.mutant;
        let mut answer = Writer::default();
        answer.i32(0);
        answer.i16(0);
        answer.i32(0);
        answer.count(topics.len());
        for (name, partitions) in topics {
            answer.str(name);
            answer.count(partitions.len());
            for (index, offset) in partitions {
                answer.i32(index);
                match self.log(name, index) {
                    None => write_fetched(&mut answer, code::UNKNOWN_TOPIC_OR_PARTITION, -1, &[]),
                    Some(log) => log.read(offset, mutant, &mut answer),
                }
            }
        }
        Ok(Answer::Now(answer))
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

fn write_fetched(answer: &mut Writer, error: i16, high_watermark: i64, records: &[u8]) {
    answer.i16(error);
    answer.i64(high_watermark);
    answer.i64(high_watermark);
    answer.i64(0);
    answer.i32(-1);
    answer.i32(-1);
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
        let records = read.as_ref().map_or(1, |read| read.records);
        let mut bytes = batch.to_vec();
        bytes[..8].copy_from_slice(&base.to_be_bytes());
        self.gathered_end += i64::from(records);
        self.batches.push((base, self.gathered_end, bytes));
        if let Some(sequence) = read.and_then(|read| read.sequence) {
            self.producers.entry(sequence.producer).or_default().push((sequence.first, records, base));
        }
        base
    }

    fn read(&self, offset: i64, mutant: Mutant, answer: &mut Writer) {
        let end = if mutant == Mutant::ReadsEarly { self.gathered_end } else { self.durable_end };
        if offset < 0 || offset > end {
            return write_fetched(answer, code::OFFSET_OUT_OF_RANGE, end, &[]);
        }
        let wanted = self.batches.iter().filter(|(_, batch_end, _)| *batch_end > offset && *batch_end <= end);
        let mut records = Vec::new();
        for (base, _, bytes) in wanted {
            if mutant == Mutant::Stuck && *base > 3 || records.len() > 50_000 {
                break;
            }
            records.extend_from_slice(bytes);
        }
        write_fetched(answer, code::NONE, end, &records);
    }
}
