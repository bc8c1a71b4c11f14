//! One direction of a connection: pieces in order, sent again until they are confirmed, taken in order whatever order they
//! come in. Must not know which end is whose.

use std::collections::VecDeque;

use highwater_core::time::Instant;

use super::links::Lane;

/// What travels in order.
#[derive(Debug)]
pub(super) enum Piece {
    /// The first of each direction: the wish for a connection, and its acceptance.
    Open,
    Bytes(Vec<u8>),
    End,
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Open | Self::End => 0,
        }
    }
}

#[derive(Debug)]
struct Segment {
    /// Until the receiver takes it.
    piece: Option<Piece>,
    len: u64,
    arrived: bool,
    confirmed: bool,
    attempts: u32,
    /// Somebody looks after it.
    timer: bool,
    born: Instant,
}

/// What an arrival was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It is to be taken now, or once those before it have come.
    New,
    Known,
}

#[derive(Debug)]
pub(super) struct Flow {
    pub(super) lane: Lane,
    /// The number of the first of `segments`, and of the one that the receiver takes next.
    first: u64,
    taken: u64,
    segments: VecDeque<Segment>,
    /// Bytes since the connection began.
    pub(super) sent_bytes: u64,
    pub(super) confirmed_bytes: u64,
}

impl Flow {
    pub(super) fn new(lane: Lane) -> Self {
        Self { lane, first: 0, taken: 0, segments: VecDeque::new(), sent_bytes: 0, confirmed_bytes: 0 }
    }

    /// Appends a piece; its number.
    pub(super) fn push(&mut self, piece: Piece, now: Instant) -> u64 {
        let len = piece.len();
        self.sent_bytes += len;
        let segment = Segment {
            piece: Some(piece),
            len,
            arrived: false,
            confirmed: false,
            attempts: 0,
            timer: false,
            born: now,
        };
        self.segments.push_back(segment);
        self.first + self.segments.len() as u64 - 1
    }

    fn segment(&mut self, number: u64) -> Option<&mut Segment> {
        let place = usize::try_from(number.checked_sub(self.first)?).expect("few segments");
        self.segments.get_mut(place)
    }

    fn unconfirmed(&mut self, number: u64) -> Option<&mut Segment> {
        self.segment(number).filter(|segment| !segment.confirmed)
    }

    /// Counts an attempt to send the segment; false if it needs none any more.
    pub(super) fn attempt(&mut self, number: u64) -> bool {
        let Some(segment) = self.unconfirmed(number) else { return false };
        segment.attempts += 1;
        true
    }

    /// Sets the timer after which the segment is looked at again: how often its first wait is to be doubled. `None` if it is
    /// set already, or nothing is to be looked at.
    pub(super) fn set_timer(&mut self, number: u64) -> Option<u32> {
        let segment = self.unconfirmed(number).filter(|segment| !segment.timer)?;
        segment.timer = true;
        Some(segment.attempts.saturating_sub(1))
    }

    /// The timer has run out: since when the segment has been waiting, if it still does.
    pub(super) fn timer_fires(&mut self, number: u64) -> Option<Instant> {
        let segment = self.unconfirmed(number)?;
        segment.timer = false;
        Some(segment.born)
    }

    /// A copy of the segment has come.
    pub(super) fn arrive(&mut self, number: u64) -> News {
        match self.segment(number) {
            Some(segment) if !segment.arrived => {
                segment.arrived = true;
                News::New
            }
            Some(_) | None => News::Known,
        }
    }

    pub(super) fn confirm(&mut self, number: u64) {
        if let Some(segment) = self.segment(number) {
            segment.confirmed = true;
        }
        self.trim();
    }

    /// The receiver takes what began the direction, which the answer confirms.
    pub(super) fn take_first(&mut self) {
        self.arrive(0);
        self.take();
    }

    fn trim(&mut self) {
        while self.first < self.taken && self.segments.front().is_some_and(|segment| segment.confirmed) {
            self.confirmed_bytes += self.segments.pop_front().expect("looked at").len;
            self.first += 1;
        }
    }

    /// The next piece in order, if it has come.
    pub(super) fn take(&mut self) -> Option<Piece> {
        let taken = self.taken;
        let segment = self.segment(taken).filter(|segment| segment.arrived)?;
        let piece = segment.piece.take().expect("a piece is taken once");
        self.taken += 1;
        self.trim();
        Some(piece)
    }

    /// Whether the next piece in order has come.
    pub(super) fn is_ready(&mut self) -> bool {
        let taken = self.taken;
        self.segment(taken).is_some_and(|segment| segment.arrived)
    }

    /// Forgets what was not taken: nothing of it will come any more.
    pub(super) fn clear(&mut self) {
        self.first += self.segments.len() as u64;
        self.taken = self.first;
        self.segments.clear();
    }
}
