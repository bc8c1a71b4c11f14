//! Writes batches: with acks 0, 1 or all, idempotently or not, several requests in flight. An idempotent producer sends again
//! what it does not know the fate of, in order; the others never send a batch twice. Must not know who reads them.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use highwater_core::prng::Prng;
use highwater_core::time::{Duration, Instant};

use super::batch::{Recipe, encode};
use super::codec::{INIT_PRODUCER_ID, Malformed, PRODUCE, Writer, code, read_produced, read_producer_id};
use super::fetching::place_of;
use super::{Ask, Desk, Next, Workload};
use crate::draw::Draw;
use crate::history::{Acked, BatchId, Fact, Place, Sent, Sequence};
use crate::params::ProducerSpec;

/// Batches of one partition that may be in flight: as many as a broker remembers.
const OPEN_MAX: usize = 5;

/// A batch's bytes, shared between its first sending and those after.
type Batch = Rc<Vec<u8>>;

#[derive(Debug)]
struct Open {
    id: BatchId,
    bytes: Batch,
    records: i32,
    in_flight: bool,
    /// All before it were acknowledged when it was last sent.
    due: bool,
}

#[derive(Debug, Default)]
struct Queue {
    sequence: i32,
    open: VecDeque<Open>,
    blocked_until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    None,
    Asking,
    Known {
        producer: i64,
        epoch: i16,
    },
    /// Given up; a new one is asked for once nothing is in flight.
    Spoiled,
}

/// A producer.
#[derive(Debug)]
pub(super) struct Producer {
    spec: ProducerSpec,
    identity: Identity,
    queues: BTreeMap<Place, Queue>,
    requests: BTreeMap<u64, Vec<(Place, BatchId)>>,
    tags: u64,
    batches_left: u64,
    next_at: Instant,
}

impl Producer {
    pub(super) fn new(spec: ProducerSpec) -> Self {
        let queues = spec.places.iter().map(|&place| (place, Queue::default())).collect();
        Self {
            identity: Identity::None,
            queues,
            requests: BTreeMap::new(),
            tags: 0,
            batches_left: spec.batches,
            next_at: Instant::default(),
            spec,
        }
    }

    fn has_open(&self) -> bool {
        self.queues.values().any(|queue| !queue.open.is_empty())
    }

    fn has_in_flight(&self) -> bool {
        self.queues.values().any(|queue| queue.open.iter().any(|open| open.in_flight))
    }

    fn ask_identity(&mut self, desk: &Desk<'_>) -> Option<Next> {
        if !self.spec.idempotent {
            return None;
        }
        match self.identity {
            Identity::Known { .. } => None,
            Identity::Asking => Some(Next::Idle),
            Identity::Spoiled if self.has_in_flight() => Some(Next::Idle),
            Identity::Spoiled | Identity::None => {
                for queue in self.queues.values_mut() {
                    queue.open.clear();
                    queue.sequence = 0;
                }
                if desk.draining || self.batches_left == 0 {
                    return Some(Next::Idle);
                }
                if desk.now < self.next_at {
                    return Some(Next::Wait(self.next_at));
                }
                self.identity = Identity::Asking;
                let mut body = Writer::default();
                body.null_str();
                body.i32(60_000);
                Some(Next::Ask(Ask { api: INIT_PRODUCER_ID, body, tag: 0, answered: true }))
            }
        }
    }

    /// Batches whose turn it is to be sent again.
    fn again(&self, now: Instant) -> Vec<Place> {
        let ready = |queue: &&Queue| {
            let waiting = queue.open.iter().position(|open| !open.in_flight);
            let none_behind = |at: usize| queue.open.iter().skip(at).all(|open| !open.in_flight);
            queue.blocked_until <= now && waiting.is_some_and(none_behind)
        };
        self.queues.iter().filter(|(_, queue)| ready(queue)).map(|(&place, _)| place).collect()
    }

    /// Makes new batches for some partitions.
    fn make(&mut self, desk: &mut Desk<'_>, prng: &mut Prng) {
        for _ in 0..prng.between(1, 3) {
            let place = prng.pick(&self.spec.places);
            let queue = self.queues.get_mut(&place).expect("one per place");
            if self.batches_left == 0
                || queue.open.len() >= OPEN_MAX
                || queue.open.iter().any(|open| !open.in_flight)
            {
                continue;
            }
            self.batches_left -= 1;
            let count = prng.scaled(1, self.spec.records_max);
            let values: Vec<Option<usize>> = (0..count).map(|_| draw_value(&self.spec, prng)).collect();
            let records = i32::try_from(count).expect("a batch has few records");
            let sequence = match self.identity {
                Identity::Known { producer, epoch } => {
                    Some(Sequence { producer, epoch, first: queue.sequence })
                }
                Identity::None | Identity::Asking | Identity::Spoiled => None,
            };
            queue.sequence += records;
            let id = desk.history.new_batch();
            let (bytes, crc) = encode(&Recipe { id, sequence, timestamp: desk.wall_millis, values });
            desk.history.record(Fact::Sent(Sent { id, place, records, crc, sequence }));
            queue.open.push_back(Open { id, bytes: Rc::new(bytes), records, in_flight: false, due: false });
        }
    }

    fn send(&mut self, places: &[Place], desk: &Desk<'_>) -> Ask {
        let mut topics: BTreeMap<usize, Vec<(i32, Batch)>> = BTreeMap::new();
        let mut request = Vec::new();
        for &place in places {
            let queue = self.queues.get_mut(&place).expect("one per place");
            let at = queue.open.iter().position(|open| !open.in_flight).expect("chosen because one waits");
            let open = &mut queue.open[at];
            open.in_flight = true;
            open.due = at == 0;
            request.push((place, open.id));
            topics.entry(place.topic).or_default().push((place.index, Rc::clone(&open.bytes)));
        }
        let mut body = Writer::default();
        body.null_str();
        body.i16(self.spec.acks);
        body.i32(1_000);
        body.count(topics.len());
        for (topic, partitions) in topics {
            body.str(&desk.topics[topic].name);
            body.count(partitions.len());
            for (index, bytes) in partitions {
                body.i32(index);
                body.blob(&bytes);
            }
        }
        self.tags += 1;
        if self.spec.acks == 0 {
            for (place, id) in request {
                self.forget(place, id);
            }
        } else {
            self.requests.insert(self.tags, request);
        }
        Ask { api: PRODUCE, body, tag: self.tags, answered: self.spec.acks != 0 }
    }

    fn forget(&mut self, place: Place, id: BatchId) -> Option<Open> {
        let queue = self.queues.get_mut(&place).expect("one per place");
        let at = queue.open.iter().position(|open| open.id == id)?;
        queue.open.remove(at)
    }

    fn on_produced(&mut self, batch: (Place, BatchId), error: i16, base: i64, desk: &mut Desk<'_>) {
        let (place, id) = batch;
        desk.count("produce", error);
        match error {
            code::NONE | code::DUPLICATE_SEQUENCE_NUMBER => {
                let Some(open) = self.forget(place, id) else { return };
                let base = (error == code::NONE).then_some(base);
                if base.is_some_and(|base| base < 0) {
                    desk.complain("wire", format!("{id:?} acknowledged at {base:?}"));
                }
                desk.history.record(Fact::Acked(Acked { id, place, records: open.records, base }));
            }
            code::CORRUPT_MESSAGE | code::INVALID_RECORD => {
                desk.complain(
                    "wire",
                    format!("{place:?}: {id:?} is a good batch and was refused with error {error}"),
                );
            }
            _ if !self.spec.idempotent => {
                self.forget(place, id);
            }
            _ => self.on_refused(batch, error, desk),
        }
    }

    /// An idempotent batch was refused: send it again, or start over with a new identity.
    fn on_refused(&mut self, (place, id): (Place, BatchId), error: i16, desk: &mut Desk<'_>) {
        let retains_less = desk.topics[place.topic].retains_less();
        let queue = self.queues.get_mut(&place).expect("one per place");
        queue.blocked_until = desk.now + Duration::from_millis(5);
        let Some(open) = queue.open.iter_mut().find(|open| open.id == id) else { return };
        open.in_flight = false;
        let known = matches!(self.identity, Identity::Known { .. });
        match error {
            code::OUT_OF_ORDER_SEQUENCE_NUMBER | code::UNKNOWN_PRODUCER_ID if open.due && known => {
                if !retains_less {
                    desk.history.record(Fact::RefusedInSequence { id, place });
                }
                self.identity = Identity::Spoiled;
            }
            code::MESSAGE_TOO_LARGE
            | code::RECORD_LIST_TOO_LARGE
            | code::UNKNOWN_PRODUCER_ID
            | code::INVALID_PRODUCER_EPOCH => self.identity = Identity::Spoiled,
            _ => {}
        }
    }
}

/// Mostly small values, some of a few KiB, rarely a huge one; some empty, some null.
fn draw_value(spec: &ProducerSpec, prng: &mut Prng) -> Option<usize> {
    let bytes = match prng.below(1_000) {
        0..=29 => return None,
        30..=59 => 0,
        60 => prng.scaled(1, spec.value_bytes_huge),
        61..=160 => prng.scaled(1, spec.value_bytes_max.saturating_mul(10).min(spec.value_bytes_huge)),
        _ => prng.scaled(1, spec.value_bytes_max),
    };
    Some(usize::try_from(bytes).expect("a value is small"))
}

impl Workload for Producer {
    fn next(&mut self, desk: &mut Desk<'_>, prng: &mut Prng) -> Next {
        if let Some(next) = self.ask_identity(desk) {
            return next;
        }
        let again = self.again(desk.now);
        if !again.is_empty() {
            return Next::Ask(self.send(&again, desk));
        }
        if desk.draining || self.batches_left == 0 {
            let blocked =
                self.queues.values().filter(|queue| !queue.open.is_empty()).map(|queue| queue.blocked_until);
            return match blocked.filter(|&until| until > desk.now).min() {
                Some(until) => Next::Wait(until),
                None => Next::Idle,
            };
        }
        if desk.now < self.next_at {
            return Next::Wait(self.next_at);
        }
        self.next_at = desk.now + prng.micros(50, self.spec.pause_micros_max);
        self.make(desk, prng);
        let made = self.again(desk.now);
        if made.is_empty() { Next::Wait(self.next_at) } else { Next::Ask(self.send(&made, desk)) }
    }

    fn on_answer(&mut self, tag: u64, body: &[u8], desk: &mut Desk<'_>) -> Result<(), Malformed> {
        if tag == 0 {
            let (error, producer, epoch) = read_producer_id(body)?;
            desk.count("init-producer-id", error);
            self.identity = Identity::None;
            self.next_at = desk.now + Duration::from_millis(2);
            if error == code::NONE {
                self.identity = Identity::Known { producer, epoch };
                if !desk.producer_ids.insert((producer, epoch)) {
                    desk.complain(
                        "producer_state",
                        format!("producer id {producer} epoch {epoch} given out twice"),
                    );
                }
            }
            return Ok(());
        }
        let mut request = self.requests.remove(&tag).ok_or(Malformed("not asked"))?;
        for produced in read_produced(body)? {
            let place = place_of(produced.topic, produced.index, desk)?;
            let at =
                request.iter().position(|(asked, _)| *asked == place).ok_or(Malformed("not asked for"))?;
            let batch = request.swap_remove(at);
            self.on_produced(batch, produced.error, produced.base, desk);
        }
        if request.is_empty() { Ok(()) } else { Err(Malformed("a partition is not answered")) }
    }

    fn on_lost(&mut self, tag: u64, desk: &mut Desk<'_>) {
        if tag == 0 {
            self.identity = Identity::None;
            return;
        }
        for (place, id) in self.requests.remove(&tag).unwrap_or_default() {
            if self.spec.idempotent {
                let queue = self.queues.get_mut(&place).expect("one per place");
                queue.blocked_until = desk.now;
                if let Some(open) = queue.open.iter_mut().find(|open| open.id == id) {
                    open.in_flight = false;
                }
            } else {
                self.forget(place, id);
            }
        }
    }

    fn unfinished(&self) -> Option<String> {
        self.has_open().then(|| format!("batches without a known fate: {:?}", self.queues))
    }
}
