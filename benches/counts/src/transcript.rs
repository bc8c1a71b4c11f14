//! Recorded traffic in the form that is kept: each distinct request once, and who sent it when. Owns that format; knows neither how
//! it was recorded nor what it is for.

use std::fmt;

use highwater_core::time::Timestamp;

const MAGIC: &[u8; 8] = b"hw-count";

const VERSION: u8 = 1;

/// A transcript comes to no more when it is unpacked.
const BYTES_MAX: usize = 64 << 20;

/// The bytes of a request before its correlation id: the API and the version.
const BODY_HEAD_BYTES: usize = 4;

/// Which request, and with which correlation id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) body: usize,
    pub(crate) correlation: i32,
}

/// What came in. Connections are numbered in the order of their coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    Accepted(usize),
    /// So many more bytes of the stream of a connection.
    Received(usize, usize),
    Closed(usize),
}

/// What came in at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) mono_nanos: u64,
    /// Answers that had been given before, to all connections together: what came in may depend on them.
    pub(crate) answered: u64,
    pub(crate) arrivals: Vec<Arrival>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transcript {
    pub(crate) seed: u64,
    /// The wall clock when the monotonic one was zero.
    pub(crate) epoch: Timestamp,
    /// The requests that count.
    pub(crate) api: i16,
    /// The first turn that counts; what goes before makes ready.
    pub(crate) begin: usize,
    /// Requests without their length and their correlation id.
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) streams: Vec<Vec<Frame>>,
    pub(crate) turns: Vec<Turn>,
}

/// Why a file is no transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a transcript of this version, or damaged")
    }
}

/// A request of a stream as it is on the wire.
pub(crate) fn wire(body: &[u8], correlation: i32, into: &mut Vec<u8>) {
    let (head, rest) = body.split_at(BODY_HEAD_BYTES);
    let len = u32::try_from(body.len() + 4).expect("a request is bounded");
    into.extend_from_slice(&len.to_be_bytes());
    into.extend_from_slice(head);
    into.extend_from_slice(&correlation.to_be_bytes());
    into.extend_from_slice(rest);
}

/// The API of a request without its length, its correlation id and the rest of it.
pub(crate) fn parts(frame: &[u8]) -> Option<(i32, Vec<u8>)> {
    let (head, rest) = frame.split_first_chunk::<BODY_HEAD_BYTES>()?;
    let (correlation, rest) = rest.split_first_chunk::<4>()?;
    Some((i32::from_be_bytes(*correlation), [head.as_slice(), rest].concat()))
}

/// The API and the version of a body.
pub(crate) fn api_of(body: &[u8]) -> (i16, i16) {
    let number = |at: usize| i16::from_be_bytes([body[at], body[at + 1]]);
    (number(0), number(2))
}

impl Transcript {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Out(Vec::new());
        out.fixed(self.seed);
        out.fixed(self.epoch.0.cast_unsigned());
        out.number(self.api.cast_unsigned().into());
        out.count(self.begin);
        out.count(self.bodies.len());
        for body in &self.bodies {
            out.count(body.len());
            out.0.extend_from_slice(body);
        }
        out.count(self.streams.len());
        for stream in &self.streams {
            out.count(stream.len());
            let mut next = 0_i32;
            for frame in stream {
                out.count(frame.body);
                out.number(frame.correlation.wrapping_sub(next).cast_unsigned().into());
                next = frame.correlation.wrapping_add(1);
            }
        }
        out.count(self.turns.len());
        let (mut nanos, mut answered) = (0, 0);
        for turn in &self.turns {
            out.number(turn.mono_nanos - nanos);
            out.number(turn.answered - answered);
            (nanos, answered) = (turn.mono_nanos, turn.answered);
            out.count(turn.arrivals.len());
            for arrival in &turn.arrivals {
                match *arrival {
                    Arrival::Accepted(conn) => out.count(conn * 3),
                    Arrival::Received(conn, len) => {
                        out.count(conn * 3 + 1);
                        out.count(len);
                    }
                    Arrival::Closed(conn) => out.count(conn * 3 + 2),
                }
            }
        }
        let packed = miniz_oxide::deflate::compress_to_vec(&out.0, 9);
        [MAGIC.as_slice(), &[VERSION], &packed].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let packed = bytes.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(&[VERSION]));
        let packed = packed.ok_or(Unreadable)?;
        let bytes = miniz_oxide::inflate::decompress_to_vec_with_limit(packed, BYTES_MAX);
        let bytes = bytes.map_err(|_| Unreadable)?;
        let mut from = In(&bytes);
        let seed = from.fixed()?;
        let epoch = Timestamp(from.fixed()?.cast_signed());
        let api = u16::try_from(from.number()?).map_err(|_| Unreadable)?.cast_signed();
        let begin = from.count()?;
        let bodies = from.many(In::body)?;
        let streams = from.many(|from| {
            let mut next = 0_i32;
            from.many(|from| {
                let body = from.count()?;
                let step = u32::try_from(from.number()?).map_err(|_| Unreadable)?;
                let correlation = next.wrapping_add(step.cast_signed());
                next = correlation.wrapping_add(1);
                if body < bodies.len() { Ok(Frame { body, correlation }) } else { Err(Unreadable) }
            })
        })?;
        let (mut nanos, mut answers) = (0_u64, 0_u64);
        let turns = from.many(|from| {
            nanos = nanos.checked_add(from.number()?).ok_or(Unreadable)?;
            answers = answers.checked_add(from.number()?).ok_or(Unreadable)?;
            let arrivals = from.many(|from| from.arrival(streams.len()))?;
            Ok(Turn { mono_nanos: nanos, answered: answers, arrivals })
        })?;
        let is_whole = from.0.is_empty() && begin < turns.len();
        if is_whole { Ok(Self { seed, epoch, api, begin, bodies, streams, turns }) } else { Err(Unreadable) }
    }
}

struct Out(Vec<u8>);

impl Out {
    fn fixed(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).expect("seven bits"));
    }

    fn count(&mut self, value: usize) {
        self.number(u64::try_from(value).expect("a count fits 64 bits"));
    }
}

struct In<'a>(&'a [u8]);

impl In<'_> {
    fn fixed(&mut self) -> Result<u64, Unreadable> {
        let (bytes, rest) = self.0.split_first_chunk::<8>().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    fn number(&mut self) -> Result<u64, Unreadable> {
        let mut value = 0_u64;
        for shift in (0..63).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Unreadable)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unreadable)
    }

    fn count(&mut self) -> Result<usize, Unreadable> {
        usize::try_from(self.number()?).map_err(|_| Unreadable)
    }

    /// A list whose elements take a byte each at least.
    fn many<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, Unreadable> {
        let count = self.count()?;
        if count > self.0.len() {
            return Err(Unreadable);
        }
        (0..count).map(|_| one(self)).collect()
    }

    fn body(&mut self) -> Result<Vec<u8>, Unreadable> {
        let len = self.count()?;
        let (body, rest) = self.0.split_at_checked(len).ok_or(Unreadable)?;
        self.0 = rest;
        if len < BODY_HEAD_BYTES { Err(Unreadable) } else { Ok(body.to_vec()) }
    }

    fn arrival(&mut self, conns: usize) -> Result<Arrival, Unreadable> {
        let tag = self.count()?;
        let conn = tag / 3;
        if conn >= conns {
            return Err(Unreadable);
        }
        Ok(match tag % 3 {
            0 => Arrival::Accepted(conn),
            1 => Arrival::Received(conn, self.count()?),
            _ => Arrival::Closed(conn),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript() -> Transcript {
        Transcript {
            seed: 7,
            epoch: Timestamp(-3),
            api: 1,
            begin: 1,
            bodies: vec![vec![0, 1, 0, 4, 9], vec![0; 300]],
            streams: vec![
                vec![Frame { body: 0, correlation: 5 }, Frame { body: 1, correlation: 6 }],
                vec![Frame { body: 0, correlation: -2 }],
            ],
            turns: vec![
                Turn {
                    mono_nanos: 9,
                    answered: 0,
                    arrivals: vec![Arrival::Accepted(0), Arrival::Accepted(1)],
                },
                Turn {
                    mono_nanos: 1_000_000,
                    answered: 2,
                    arrivals: vec![Arrival::Received(1, 400), Arrival::Closed(0)],
                },
            ],
        }
    }

    #[test]
    fn transcript_reads_what_it_writes() {
        assert_eq!(Transcript::decode(&transcript().encode()), Ok(transcript()));
    }

    #[test]
    fn damaged_transcript_is_refused_without_a_panic() {
        let bytes = transcript().encode();
        for cut in 0..bytes.len() {
            assert_eq!(Transcript::decode(&bytes[..cut]), Err(Unreadable), "cut at {cut}");
        }
        for place in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[place / 8] ^= 1 << (place % 8);
            // What still reads is another transcript, which the replay judges by its answers.
            let _ = Transcript::decode(&bytes);
        }
    }

    #[test]
    fn request_on_the_wire_comes_apart_into_what_it_was_made_of() {
        let mut bytes = Vec::new();
        wire(&[0, 3, 0, 8, 1, 2], 77, &mut bytes);
        assert_eq!(bytes[..4], [0, 0, 0, 10]);
        assert_eq!(parts(&bytes[4..]), Some((77, vec![0, 3, 0, 8, 1, 2])));
        assert_eq!(api_of(&[0, 3, 0, 8]), (3, 8));
        assert_eq!(parts(&bytes[4..11]), None);
    }
}
