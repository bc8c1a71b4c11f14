//! Makes a transcript of a recording: from its beginning to the last of the requests that count.

use std::collections::BTreeMap;

use highwater_core::id::ConnId;
use highwater_core::time::Timestamp;
use highwater_io::record::{Entry, Recording};

use crate::Failure;
use crate::transcript::{Arrival, Frame, Transcript, Turn, api_of, parts};

/// Which requests count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) api: i16,
    /// How many of them go before.
    pub(crate) skip: usize,
    pub(crate) count: usize,
}

/// What is known of a connection while its bytes are cut into requests.
#[derive(Debug, Default)]
struct Stream {
    rest: Vec<u8>,
    frames: Vec<Frame>,
}

#[derive(Debug, Default)]
struct Packer {
    conns: BTreeMap<ConnId, usize>,
    streams: Vec<Stream>,
    bodies: BTreeMap<Vec<u8>, usize>,
    turns: Vec<Turn>,
    epoch: Option<Timestamp>,
    /// The turn in which each request that may count was complete.
    asked: Vec<usize>,
}

pub(crate) fn pack(recording: &Recording, choice: Choice) -> Result<Transcript, Failure> {
    let mut packer = Packer::default();
    for entry in &recording.entries {
        packer.take(entry, choice)?;
        if packer.asked.len() >= choice.skip + choice.count {
            break;
        }
    }
    let Some(&end) = packer.asked.get(choice.skip + choice.count - 1) else {
        return Err(Failure(format!("the recording has only {} such requests", packer.asked.len())));
    };
    // A turn is over with its last entry; what else came in with the last request is left out.
    assert_eq!(end + 1, packer.turns.len(), "the last turn has the last request");
    let mut bodies: Vec<(Vec<u8>, usize)> = packer.bodies.into_iter().collect();
    bodies.sort_unstable_by_key(|(_, place)| *place);
    let mut transcript = Transcript {
        seed: recording.seed,
        epoch: packer.epoch.expect("there is a turn"),
        api: choice.api,
        begin: packer.asked[choice.skip],
        bodies: bodies.into_iter().map(|(body, _)| body).collect(),
        streams: Vec::new(),
        turns: packer.turns,
    };
    let unfinished: Vec<usize> = packer.streams.iter().map(|stream| stream.rest.len()).collect();
    cut_unfinished(&mut transcript.turns, unfinished);
    transcript.streams = packer.streams.into_iter().map(|stream| stream.frames).collect();
    Ok(transcript)
}

/// Takes out the bytes of requests that are not complete at the end.
fn cut_unfinished(turns: &mut [Turn], mut unfinished: Vec<usize>) {
    for arrival in turns.iter_mut().rev().flat_map(|turn| turn.arrivals.iter_mut().rev()) {
        if let Arrival::Received(conn, len) = arrival {
            let cut = unfinished[*conn].min(*len);
            unfinished[*conn] -= cut;
            *len -= cut;
        }
    }
    assert!(unfinished.iter().all(|left| *left == 0), "what is there came in");
}

impl Packer {
    fn take(&mut self, entry: &Entry, choice: Choice) -> Result<(), Failure> {
        let arrival = match entry {
            Entry::Turn { now, answered } => {
                let mono_nanos = now.mono.as_nanos();
                let millis = i64::try_from(mono_nanos / 1_000_000).expect("a recording is short");
                self.epoch.get_or_insert(Timestamp(now.wall.0 - millis));
                self.turns.push(Turn { mono_nanos, answered: *answered, arrivals: Vec::new() });
                return Ok(());
            }
            Entry::Accepted(conn) => {
                self.conns.insert(*conn, self.streams.len());
                self.streams.push(Stream::default());
                Arrival::Accepted(self.streams.len() - 1)
            }
            Entry::Received(conn, bytes) => {
                let conn = self.find(*conn)?;
                self.streams[conn].rest.extend_from_slice(bytes);
                self.cut_frames(conn, choice)?;
                Arrival::Received(conn, bytes.len())
            }
            Entry::Closed(conn) => Arrival::Closed(self.find(*conn)?),
        };
        let turn = self.turns.last_mut().ok_or_else(|| Failure("a recording begins with a turn".into()))?;
        turn.arrivals.push(arrival);
        Ok(())
    }

    fn find(&self, conn: ConnId) -> Result<usize, Failure> {
        self.conns.get(&conn).copied().ok_or_else(|| Failure("bytes of nobody".into()))
    }

    /// Takes the whole requests off what came in of a connection.
    fn cut_frames(&mut self, conn: usize, choice: Choice) -> Result<(), Failure> {
        let stream = &mut self.streams[conn];
        while let Some((len, rest)) = stream.rest.split_first_chunk::<4>() {
            let len = usize::try_from(u32::from_be_bytes(*len)).expect("32 bits fit");
            let Some(frame) = rest.get(..len) else { break };
            let (correlation, body) =
                parts(frame).ok_or_else(|| Failure("a request without a head".into()))?;
            if api_of(&body).0 == choice.api {
                self.asked.push(self.turns.len() - 1);
            }
            let next = self.bodies.len();
            let body = *self.bodies.entry(body).or_insert(next);
            stream.frames.push(Frame { body, correlation });
            stream.rest.drain(..4 + len);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::time::{Instant, Now};

    use super::*;
    use crate::transcript::wire;

    fn conn(slot: u32) -> ConnId {
        ConnId { slot, generation: 1 }
    }

    fn turn(nanos: u64, answered: u64) -> Entry {
        let now = Now { mono: Instant::from_nanos(nanos), wall: Timestamp(1_000) };
        Entry::Turn { now, answered }
    }

    fn request(api: u8, correlation: i32) -> Vec<u8> {
        let mut bytes = Vec::new();
        wire(&[0, api, 0, 1, 42], correlation, &mut bytes);
        bytes
    }

    #[test]
    fn transcript_ends_with_the_last_request_that_counts() {
        let split = request(0, 2);
        let entries = vec![
            turn(1, 0),
            Entry::Accepted(conn(0)),
            Entry::Accepted(conn(1)),
            turn(2, 0),
            Entry::Received(conn(0), [request(3, 0), request(0, 1)].concat()),
            turn(3, 2),
            Entry::Received(conn(0), split[..5].to_vec()),
            Entry::Received(conn(1), request(0, 9)[..7].to_vec()),
            turn(4, 2),
            Entry::Received(conn(0), split[5..].to_vec()),
            turn(5, 3),
            Entry::Closed(conn(0)),
        ];
        let recording = Recording { seed: 4, entries };
        let choice = Choice { api: 0, skip: 1, count: 1 };
        let transcript = pack(&recording, choice).unwrap();
        assert_eq!((transcript.begin, transcript.turns.len()), (3, 4));
        assert_eq!(transcript.bodies.len(), 2, "equal requests are kept once");
        assert_eq!(transcript.streams[0].len(), 3);
        assert_eq!(transcript.turns[2].arrivals, [Arrival::Received(0, 5), Arrival::Received(1, 0)]);
        assert!(pack(&recording, Choice { count: 2, ..choice }).is_err(), "there are not so many");
    }
}
