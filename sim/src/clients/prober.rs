//! Asks what no well-behaved client would: fetches of single bytes and of offsets that do not exist, old and unknown versions,
//! sessions that were never given, batches that are already there, batches of an epoch that is over. One request at a
//! time, on a codec of its own. Must not know what others do.

use std::collections::{BTreeMap, VecDeque};

use highwater_core::batch::Scratch;
use highwater_core::buf::Slice;
use highwater_core::client::{Address, Written};
use highwater_core::id::ConnId;
use highwater_core::limits::PRODUCER_BATCHES_RETAINED;
use highwater_core::prng::Prng;
use highwater_core::time::{Duration, Instant};

use super::batch::{Recipe, encode};
use super::codec::{
    API_VERSIONS, Api, DELETE_RECORDS, FETCH, FETCH_OLD, INIT_PRODUCER_ID, LIST_OFFSETS, Malformed, PRODUCE,
    Writer, code, frame, read_api_versions, read_deleted, read_fetched, read_listed, read_produced,
    read_producer_id,
};
use super::fetching::{Answer, take};
use super::record::content;
use super::{Act, Desk, Heard};
use crate::draw::Draw;
use crate::history::{
    Acked, Edge, Fact, Listed, Mark, OutOfRange, Place, Process, Promise, Sent, Sequence, Sought, Told,
    Trimmed, Unacked, Value,
};
use crate::params::{ClientParams, PORT, host};

/// Between requests, where clients rest as they usually would.
const REST_MICROS_MAX: u64 = 50_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Down { until: Instant },
    Connecting(ConnId),
    Up(ConnId),
}

/// A batch, kept to be sent again.
#[derive(Debug, Clone)]
struct Batch {
    place: Place,
    values: Vec<Value>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Asking {
    ApiVersions,
    ProducerId,
    /// The batch that is due, or once more one of the last.
    Produce(Batch),
    /// A batch of an older epoch than that of the last.
    Zombie(Batch),
    Fetch {
        api: Api,
        place: Place,
        offset: i64,
        mark: Mark,
    },
    List {
        place: Place,
        edge: Edge,
        mark: Mark,
    },
    /// All before an offset shall be deleted; −1 is the high watermark.
    Trim {
        place: Place,
        upto: i64,
    },
}

#[derive(Debug)]
pub(super) struct Prober {
    places: Vec<Place>,
    address: Address,
    patience: Duration,
    process: Option<Process>,
    line: Line,
    conns: u32,
    correlation: i32,
    heard: Vec<u8>,
    asking: Option<(Asking, Instant)>,
    /// It waits for next to no time, so that what it sends again is still under way.
    hasty: bool,
    identity: Option<(i64, i16)>,
    sequences: BTreeMap<Place, i32>,
    /// Sent, and not known to be there.
    open: Option<Batch>,
    /// The last batches of this epoch that were acknowledged: a broker knows so many of each partition.
    done: BTreeMap<Place, VecDeque<Batch>>,
    /// What the epoch before would still send.
    zombies: BTreeMap<Place, Batch>,
    /// All before was deleted, as the answers say.
    floors: BTreeMap<Place, i64>,
    next_at: Instant,
    scratch: Scratch,
}

impl Prober {
    pub(super) fn new(params: &ClientParams, places: Vec<Place>) -> Self {
        Self {
            places,
            address: Address::new(&host(params.node), PORT),
            patience: params.patience,
            process: None,
            line: Line::Down { until: Instant::default() },
            conns: 0,
            correlation: 0,
            heard: Vec::new(),
            asking: None,
            hasty: false,
            identity: None,
            sequences: BTreeMap::new(),
            open: None,
            done: BTreeMap::new(),
            zombies: BTreeMap::new(),
            floors: BTreeMap::new(),
            next_at: Instant::default(),
            scratch: Scratch::new(),
        }
    }

    pub(super) fn unfinished(&self) -> Option<String> {
        self.open.as_ref().map(|batch| format!("a batch to {:?} without a known fate", batch.place))
    }

    /// Takes one fact; when to be woken.
    pub(super) fn hear(&mut self, heard: Heard, desk: &mut Desk<'_>, prng: &mut Prng) -> Option<Instant> {
        self.process.get_or_insert_with(|| desk.history.new_process());
        match heard {
            Heard::Connected { conn } if self.line == Line::Connecting(conn) => self.line = Line::Up(conn),
            Heard::Closed { conn } if [Line::Connecting(conn), Line::Up(conn)].contains(&self.line) => {
                self.on_lost(desk, prng);
            }
            Heard::Bytes { conn, bytes } if self.line == Line::Up(conn) => {
                self.heard.extend(bytes);
                self.read_answer(desk);
            }
            Heard::Connected { .. } | Heard::Closed { .. } | Heard::Bytes { .. } | Heard::Wake => {}
        }
        self.go_on(desk, prng)
    }

    fn on_lost(&mut self, desk: &mut Desk<'_>, prng: &mut Prng) {
        let pause = if self.hasty { prng.micros(1, 300) } else { prng.micros(200, 100_000) };
        self.line = Line::Down { until: desk.now + pause };
        self.heard.clear();
        if self.asking.take().is_some() {
            desk.operations.add("probe-lost");
        }
    }

    fn go_on(&mut self, desk: &mut Desk<'_>, prng: &mut Prng) -> Option<Instant> {
        if let (Line::Up(conn), Some((_, deadline))) = (self.line, &self.asking)
            && *deadline <= desk.now
        {
            desk.acts.push(Act::Close { conn });
            self.on_lost(desk, prng);
        }
        if desk.draining {
            // Where clients rest for hours, what is open would not be known by the end of the run.
            self.next_at = self.next_at.min(desk.now + Duration::from_nanos(1_000 * REST_MICROS_MAX));
        }
        match self.line {
            Line::Down { until } if until <= desk.now => {
                let conn = ConnId { slot: self.conns, generation: 0 };
                self.conns += 1;
                self.line = Line::Connecting(conn);
                desk.acts.push(Act::Connect { conn, address: self.address.clone() });
                None
            }
            Line::Down { until } => Some(until),
            Line::Connecting(_) => None,
            Line::Up(_) if self.asking.is_some() => self.asking.as_ref().map(|(_, deadline)| *deadline),
            Line::Up(_) if desk.draining && self.open.is_none() => None,
            Line::Up(_) if desk.now < self.next_at => Some(self.next_at),
            Line::Up(conn) => {
                self.next_at = desk.after(prng.micros(200, REST_MICROS_MAX));
                let (asking, api, body) = self.choose(desk, prng);
                self.correlation += 1;
                let parts = vec![Slice::from_vec(frame(api, self.correlation, &body))];
                desk.acts.push(Act::Send { conn, parts });
                desk.operations.add("probe");
                self.hasty = self.open.is_some() && prng.chance(300_000);
                let patience = if self.hasty { prng.micros(50, 3_000) } else { self.patience };
                let deadline = desk.now + patience;
                self.asking = Some((asking, deadline));
                Some(deadline)
            }
        }
    }

    fn choose(&mut self, desk: &mut Desk<'_>, prng: &mut Prng) -> (Asking, Api, Writer) {
        let Some(identity) = self.identity else {
            let mut body = Writer::default();
            body.null_str();
            body.i32(60_000);
            return (Asking::ProducerId, INIT_PRODUCER_ID, body);
        };
        if let Some(open) = self.open.clone() {
            return produce(open, desk);
        }
        let place = prng.pick(&self.places);
        match prng.below(21) {
            0 => {
                let unknown = Api { version: 99, ..API_VERSIONS };
                (Asking::ApiVersions, prng.pick(&[unknown, API_VERSIONS]), Writer::default())
            }
            1..=5 => {
                let batch = self.new_batch(place, identity, desk, prng);
                self.open = Some(batch.clone());
                produce(batch, desk)
            }
            6..=8 if self.done.contains_key(&place) => {
                let batch = prng.place(self.done[&place].len());
                produce(self.done[&place][batch].clone(), desk)
            }
            9..=11 => {
                let edge = if prng.coin() { Edge::Earliest } else { Edge::Latest };
                let asking = Asking::List { place, edge, mark: desk.history.mark() };
                (asking, LIST_OFFSETS, list_body(place, edge, desk))
            }
            12 if self.zombies.contains_key(&place) && self.done.contains_key(&place) => {
                let (asking, api, body) = produce(self.zombies[&place].clone(), desk);
                let Asking::Produce(batch) = asking else { unreachable!("what was asked for") };
                (Asking::Zombie(batch), api, body)
            }
            12 if !self.sequences.is_empty() && prng.chance(300_000) => {
                let batch = self.begin_epoch(place, identity, desk, prng);
                self.open = Some(batch.clone());
                produce(batch, desk)
            }
            20 if desk.topics[place.topic].retains_less() && !desk.topics[place.topic].churns => {
                let end = desk.history.end_known(place);
                let near = end.saturating_sub(i64::try_from(prng.below(6)).expect("small")).max(0);
                let upto = prng.pick(&[-1, near, near, end / 2, end.saturating_add(1_000)]);
                (Asking::Trim { place, upto }, DELETE_RECORDS, trim_body(place, upto, desk))
            }
            _ => {
                let end = u64::try_from(desk.history.end_known(place)).unwrap_or(0);
                let offset = i64::try_from(prng.between(0, end.saturating_add(4))).expect("small") - 1;
                let api = prng.pick(&[FETCH, FETCH_OLD]);
                let asking = Asking::Fetch { api, place, offset, mark: desk.history.mark() };
                (asking, api, fetch_body(api, (place, offset), desk, prng))
            }
        }
    }

    /// The next batch of this epoch.
    fn new_batch(
        &mut self,
        place: Place,
        (producer, epoch): (i64, i16),
        desk: &mut Desk<'_>,
        prng: &mut Prng,
    ) -> Batch {
        let next = self.sequences.entry(place).or_insert(0);
        let sequence = Sequence { producer, epoch, first: *next };
        let batch = self.batch(place, (sequence, Promise::InOrderOnce), desk, prng);
        *self.sequences.entry(place).or_insert(0) += i32::try_from(batch.values.len()).expect("small");
        batch
    }

    fn batch(
        &self,
        place: Place,
        (sequence, promise): (Sequence, Promise),
        desk: &mut Desk<'_>,
        prng: &mut Prng,
    ) -> Batch {
        let process = self.process.expect("given at the first fact");
        let values: Vec<Value> = (0..prng.between(1, 5)).map(|_| desk.history.new_value()).collect();
        for &value in &values {
            desk.history.record(Fact::Sent(Sent { process, place, value, promise }));
        }
        let mut draw = |value| (Some(content(value, 8)), Some(content(value, prng.place(200))));
        let records = values.iter().map(|&value| draw(value)).collect();
        let sequence = Some(sequence);
        let bytes = encode(&Recipe { sequence, timestamp: desk.wall_millis, records });
        Batch { place, values, bytes }
    }

    /// Begins the next epoch with a batch to `place`. What the old one leaves is a batch for each partition that must never be
    /// written once the new epoch was: a first one, which fits behind anything but that.
    fn begin_epoch(
        &mut self,
        place: Place,
        (producer, epoch): (i64, i16),
        desk: &mut Desk<'_>,
        prng: &mut Prng,
    ) -> Batch {
        self.forget();
        // Where old batches go, a broker may forget who wrote them.
        let topics = desk.topics;
        let lasting = |place: &Place| !topics[place.topic].retains_less();
        for place in self.places.clone().into_iter().filter(lasting) {
            let sequence = Sequence { producer, epoch, first: 0 };
            let zombie = self.batch(place, (sequence, Promise::Fenced), desk, prng);
            self.forsake(&zombie, Written::No, desk);
            self.zombies.insert(place, zombie);
        }
        let identity = (producer, epoch + 1);
        self.identity = Some(identity);
        self.new_batch(place, identity, desk, prng)
    }

    /// A batch will not be acknowledged.
    fn forsake(&self, batch: &Batch, written: Written, desk: &mut Desk<'_>) {
        let process = self.process.expect("given at the first fact");
        let place = batch.place;
        for &value in &batch.values {
            desk.history.record(Fact::Unacked(Unacked { process, place, value, written, error: None }));
        }
    }

    fn read_answer(&mut self, desk: &mut Desk<'_>) {
        let heard = std::mem::take(&mut self.heard);
        let whole = heard.split_first_chunk::<4>().and_then(|(head, rest)| {
            let len = usize::try_from(i32::from_be_bytes(*head)).ok()?;
            rest.split_at_checked(len)
        });
        let Some((answer, rest)) = whole else {
            self.heard = heard;
            return;
        };
        let result = match (self.asking.take(), answer.split_first_chunk::<4>()) {
            (Some((asking, _)), Some((correlation, body)))
                if rest.is_empty() && i32::from_be_bytes(*correlation) == self.correlation =>
            {
                self.on_answer(asking, body, desk)
            }
            _ => Err(Malformed("an answer out of turn")),
        };
        if let Err(Malformed(what)) = result {
            desk.complain("wire", format!("malformed answer to a probe, {what}: {answer:02x?}"));
        }
    }

    fn on_answer(&mut self, asking: Asking, body: &[u8], desk: &mut Desk<'_>) -> Result<(), Malformed> {
        match asking {
            Asking::ApiVersions => {
                let (error, keys) = read_api_versions(body)?;
                desk.count("api-versions", error);
                if keys == 0 || ![code::NONE, code::UNSUPPORTED_VERSION].contains(&error) {
                    return Err(Malformed("no keys"));
                }
            }
            Asking::ProducerId => {
                let (error, producer, epoch) = read_producer_id(body)?;
                desk.count("init-producer-id", error);
                self.identity = (error == code::NONE).then_some((producer, epoch));
                self.forget();
            }
            Asking::Produce(batch) => {
                let produced = read_produced(body)?;
                let [produced] = &produced[..] else { return Err(Malformed("not one partition")) };
                desk.count("probe-produce", produced.error);
                self.on_produced(batch, produced.error, produced.base, desk);
            }
            Asking::Zombie(batch) => {
                let produced = read_produced(body)?;
                let [produced] = &produced[..] else { return Err(Malformed("not one partition")) };
                desk.count("probe-zombie", produced.error);
                if produced.error == code::NONE {
                    self.on_acked(&batch, Some(produced.base), desk);
                }
            }
            Asking::Fetch { api, place, offset, mark } => {
                self.on_fetched(api, (place, offset, mark), body, desk)?;
            }
            Asking::Trim { place, upto } => {
                let deleted = read_deleted(body)?;
                let [(error, low_watermark)] = deleted[..] else {
                    return Err(Malformed("not one partition"));
                };
                desk.count("probe-trim", error);
                if error == code::NONE {
                    self.on_trimmed(place, upto, low_watermark, desk);
                }
            }
            Asking::List { place, edge, mark } => {
                for listed in read_listed(body)? {
                    desk.count("probe-list", listed.error);
                    if listed.error == code::NONE {
                        let end_known = desk.history.end_known_at(place, mark);
                        let offset = listed.offset;
                        desk.history.record(Fact::Listed(Listed { place, edge, offset, end_known }));
                    }
                }
            }
        }
        Ok(())
    }

    fn on_trimmed(&mut self, place: Place, upto: i64, low_watermark: i64, desk: &mut Desk<'_>) {
        let floor_known = self.floor(place);
        // Beyond what was asked for, retention has come, which need not be on disk yet.
        let floor = if upto < 0 { low_watermark } else { upto.min(low_watermark) };
        let trimmed = Trimmed { place, floor, floor_known, told: low_watermark };
        desk.history.record(Fact::Trimmed(trimmed));
        self.floors.insert(place, floor.max(floor_known));
    }

    fn floor(&self, place: Place) -> i64 {
        self.floors.get(&place).copied().unwrap_or(0)
    }

    fn on_produced(&mut self, batch: Batch, error: i16, base: i64, desk: &mut Desk<'_>) {
        let process = self.process.expect("given at the first fact");
        let place = batch.place;
        match error {
            code::NONE | code::DUPLICATE_SEQUENCE_NUMBER => {
                self.on_acked(&batch, (error == code::NONE).then_some(base), desk);
                if self.open.take().is_some() {
                    let done = self.done.entry(place).or_default();
                    done.push_back(batch);
                    if done.len() > PRODUCER_BATCHES_RETAINED {
                        done.pop_front();
                    }
                }
            }
            code::OUT_OF_ORDER_SEQUENCE_NUMBER | code::UNKNOWN_PRODUCER_ID => {
                desk.history.record(Fact::RefusedInSequence { process, place });
                self.give_up(desk);
            }
            // What a broker in trouble says. Whether the batch is there is asked until it is known.
            _ => {}
        }
    }

    fn on_acked(&self, batch: &Batch, base: Option<i64>, desk: &mut Desk<'_>) {
        let process = self.process.expect("given at the first fact");
        let place = batch.place;
        for (delta, &value) in (0..).zip(&batch.values) {
            let offset = base.map(|base| base + delta);
            desk.history.record(Fact::Acked(Acked { process, place, value, offset }));
        }
    }

    fn give_up(&mut self, desk: &mut Desk<'_>) {
        if let Some(batch) = self.open.take() {
            self.forsake(&batch, Written::Perhaps, desk);
        }
        self.identity = None;
        self.forget();
    }

    fn forget(&mut self) {
        self.sequences.clear();
        self.done.clear();
        self.zombies.clear();
    }

    fn on_fetched(
        &mut self,
        api: Api,
        (place, asked, mark): (Place, i64, Mark),
        body: &[u8],
        desk: &mut Desk<'_>,
    ) -> Result<(), Malformed> {
        let answer = read_fetched(api, body)?;
        if answer.error != code::NONE {
            desk.count("probe-session", answer.error);
            return Ok(());
        }
        let [partition] = &answer.partitions[..] else { return Err(Malformed("not one partition")) };
        desk.count("probe-fetch", partition.error);
        let process = self.process.expect("given at the first fact");
        let end_known = desk.history.end_known_at(place, mark);
        let (log_start, high_watermark) = (partition.log_start, partition.high_watermark);
        match partition.error {
            code::NONE => {
                let floor = self.floor(place);
                // What is served from below its floor shows that the log begins no further.
                let told = if log_start >= 0 { asked.min(log_start) } else { asked };
                if told < floor {
                    let trimmed = Trimmed { place, floor, floor_known: floor, told };
                    desk.history.record(Fact::Trimmed(trimmed));
                }
                desk.history.record(Fact::Told(Told { place, log_start, high_watermark, end_known }));
                desk.history.record(Fact::Sought(Sought { process, place }));
                let bytes = partition.records;
                let answer = Answer { process, place, asked, bytes, log_start, high_watermark, end_known };
                take(answer, &mut self.scratch, desk);
            }
            code::OFFSET_OUT_OF_RANGE => {
                let log_start = (log_start >= 0).then_some(log_start);
                desk.history.record(Fact::OutOfRange(OutOfRange { place, asked, log_start, end_known }));
            }
            _ => {}
        }
        Ok(())
    }
}

fn produce(batch: Batch, desk: &Desk<'_>) -> (Asking, Api, Writer) {
    let mut body = Writer::default();
    body.null_str();
    body.i16(-1);
    body.i32(1_000);
    body.count(1);
    body.str(&desk.topics[batch.place.topic].name);
    body.count(1);
    body.i32(batch.place.index);
    body.blob(&batch.bytes);
    (Asking::Produce(batch), PRODUCE, body)
}

fn list_body(place: Place, edge: Edge, desk: &Desk<'_>) -> Writer {
    let mut body = Writer::default();
    body.i32(-1);
    body.i8(0);
    body.count(1);
    body.str(&desk.topics[place.topic].name);
    body.count(1);
    body.i32(place.index);
    body.i32(-1);
    body.i64(match edge {
        Edge::Latest => -1,
        Edge::Earliest => -2,
    });
    body
}

/// Wants one byte now and then, waits for more than may come, and names a session that nobody has.
fn fetch_body(api: Api, (place, offset): (Place, i64), desk: &Desk<'_>, prng: &mut Prng) -> Writer {
    let mut body = Writer::default();
    body.i32(-1);
    body.i32(prng.pick(&[0, 0, 10, 300]));
    body.i32(prng.pick(&[0, 1, 5_000]));
    body.i32(prng.pick(&[1, 1 << 20]));
    body.i8(0);
    if api == FETCH {
        let foreign = prng.chance(100_000);
        body.i32(if foreign { 1_234_567 } else { 0 });
        body.i32(if foreign { 7 } else { -1 });
    }
    body.count(1);
    body.str(&desk.topics[place.topic].name);
    body.count(1);
    body.i32(place.index);
    if api == FETCH {
        body.i32(-1);
    }
    body.i64(offset);
    if api == FETCH {
        body.i64(-1);
    }
    body.i32(prng.pick(&[1, 1 << 18]));
    if api == FETCH {
        body.count(0);
        body.str("");
    }
    body
}

fn trim_body(place: Place, upto: i64, desk: &Desk<'_>) -> Writer {
    let mut body = Writer::default();
    body.count(1);
    body.str(&desk.topics[place.topic].name);
    body.count(1);
    body.i32(place.index);
    body.i64(upto);
    body.i32(1_000);
    body
}
