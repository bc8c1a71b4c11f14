//! One client connection: bytes to frames on the way in, the order of answers on the way out. Knows no API: a frame is a length
//! and that many bytes, an answer is some slices.
//!
//! A frame is decoded from one contiguous page. A page that a frame does not fit is replaced by one twice as large, so memory
//! follows the bytes that came and never the length that was announced. Frames that came in part could hold all pages there are and
//! wait for one another: one connection at a time goes on beyond the pool, in a page that ends where its frame does.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::buf::{PageMut, Pool, Slice};
use crate::limits::{
    BOOK_SENDS_KEPT_MAX, BOOKS_KEPT_MAX, CONNECTION_REQUESTS_MAX, CONNECTION_SEND_BYTES_MAX,
    FRAME_BYTES_PER_SECOND_MIN, FRAME_STALL_MAX, RECEIVE_PAGE_BYTES_MAX, RECEIVE_PAGE_BYTES_MIN,
    REQUEST_BYTES_MAX, SEND_BYTES_MAX,
};
use crate::mutant::{self, Mutant};
use crate::shard::{CloseReason, Event};
use crate::time::{Duration, Instant};

/// Bytes of the length before each frame.
const PREFIX: usize = 4;

/// Why there is no next frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stuck {
    /// More bytes must come.
    Incomplete,
    /// The pool is empty; ask again later.
    NoMemory,
    /// The announced length is out of bounds; nothing after it can be understood.
    FrameLength,
}

#[derive(Debug)]
enum Buffer {
    Empty,
    /// With the driver.
    Lent {
        filled: u32,
    },
    Held {
        page: PageMut,
        filled: u32,
    },
}

/// The receiving half.
#[derive(Debug)]
pub(super) struct Inbox {
    buffer: Buffer,
    /// Frames that are here as a whole, from the next one on.
    whole: Option<Slice>,
    /// How large the next page shall be, and what was the most that it might be.
    page_bytes: u32,
    lent_bytes_max: u32,
    progress: Instant,
    /// When the first bytes of the frame that is incomplete came, moved on by the time for which it was not read.
    begun: Instant,
}

impl Inbox {
    pub(super) fn new(now: Instant) -> Self {
        let page_bytes = place(RECEIVE_PAGE_BYTES_MIN);
        Self {
            buffer: Buffer::Empty,
            whole: None,
            page_bytes,
            lent_bytes_max: page_bytes,
            progress: now,
            begun: now,
        }
    }

    /// The lent page is back with `len` more bytes.
    pub(super) fn on_received(&mut self, now: Instant, page: PageMut, len: usize) {
        let Buffer::Lent { filled } = self.buffer else { panic!("a page comes back only if it was lent") };
        assert!(len > 0 && len <= page.len() - index(filled), "the driver read into the page");
        self.buffer = Buffer::Held { page, filled: filled + place(len) };
        self.progress = now;
        if filled == 0 {
            self.begun = now;
        }
    }

    /// The body of the next whole frame.
    pub(super) fn next_frame(&mut self, pool: &mut Pool) -> Result<Slice, Stuck> {
        if self.whole.is_none() {
            self.split(pool)?;
        }
        let mut whole = self.whole.take().expect("split leaves whole frames");
        let len = announced(&whole).expect("whole frames were measured");
        let end = PREFIX + usize::try_from(len).expect("whole frames have a length");
        let body = whole.cut(PREFIX, end);
        if end < whole.len() {
            whole.advance(end);
            self.whole = Some(whole);
        }
        Ok(body)
    }

    /// Freezes the page as far as its frames are whole; the rest moves to a page of its own.
    fn split(&mut self, pool: &mut Pool) -> Result<(), Stuck> {
        let Buffer::Held { page, filled } = &self.buffer else { return Err(Stuck::Incomplete) };
        let (filled, bytes) = (index(*filled), page.as_slice());
        let end = whole_frames_end(&bytes[..filled])?;
        // What fills its page may go on; what does not may do with half.
        let wanted = if filled == page.len() { 2 * page.len() } else { end.max(index(self.page_bytes) / 2) };
        let wanted = wanted.clamp(RECEIVE_PAGE_BYTES_MIN, RECEIVE_PAGE_BYTES_MAX);
        self.page_bytes = place(wanted.next_power_of_two());
        let rest = &bytes[end..filled];
        let next = if rest.is_empty() {
            Buffer::Empty
        } else {
            let len = rest.len() + 1;
            // As long as the last ones needed to be, so that it is not outgrown step by step.
            let usual = pool.alloc(len.max(index(self.lent_bytes_max.min(self.page_bytes))));
            let page = usual.or_else(|| pool.alloc(len)).or_else(|| pool.alloc_large(exact_len(rest, len)));
            let mut page = page.ok_or(Stuck::NoMemory)?;
            page.as_mut_slice()[..rest.len()].copy_from_slice(rest);
            self.begun = self.progress;
            Buffer::Held { page, filled: place(rest.len()) }
        };
        let Buffer::Held { page, .. } = core::mem::replace(&mut self.buffer, next) else {
            unreachable!("the buffer is held, see above")
        };
        self.whole = Some(pool.freeze(page).cut(0, end));
        Ok(())
    }

    /// A page to read into, and from where on. `Err` if the pool has none; `Ok(None)` while one is lent or frames wait.
    pub(super) fn lend(
        &mut self,
        now: Instant,
        page_bytes_max: usize,
        pool: &mut Pool,
    ) -> Result<Option<(PageMut, u32)>, Stuck> {
        if self.whole.is_some() {
            return Ok(None);
        }
        let (page, filled) = match core::mem::replace(&mut self.buffer, Buffer::Empty) {
            Buffer::Lent { filled } => {
                self.buffer = Buffer::Lent { filled };
                return Ok(None);
            }
            Buffer::Empty => {
                self.lent_bytes_max =
                    place(page_bytes_max.clamp(RECEIVE_PAGE_BYTES_MIN, RECEIVE_PAGE_BYTES_MAX));
                let usual = pool.alloc(index(self.page_bytes.min(self.lent_bytes_max)));
                (usual.or_else(|| pool.alloc(RECEIVE_PAGE_BYTES_MIN)).ok_or(Stuck::NoMemory)?, 0)
            }
            Buffer::Held { page, filled } if index(filled) < page.len() => (page, filled),
            Buffer::Held { page, filled } => match grow(page, index(filled), pool) {
                Ok(larger) => (larger, filled),
                Err(page) => {
                    self.buffer = Buffer::Held { page, filled };
                    return Err(Stuck::NoMemory);
                }
            },
        };
        self.begun = self.begun + now.since(self.progress);
        self.progress = now;
        self.buffer = Buffer::Lent { filled };
        Ok(Some((page, filled)))
    }

    pub(super) fn has_whole_frames(&self) -> bool {
        self.whole.is_some()
    }

    /// When its peer will have left a frame incomplete for too long: without any byte, or byte by byte.
    pub(super) fn stalls_at(&self) -> Option<Instant> {
        let filled = match &self.buffer {
            Buffer::Lent { filled } => u64::from(*filled),
            // What it waits for is not the peer.
            Buffer::Empty | Buffer::Held { .. } => 0,
        };
        let earned = Duration::from_secs(filled / FRAME_BYTES_PER_SECOND_MIN);
        (filled > 0 && self.whole.is_none())
            .then(|| (self.progress + FRAME_STALL_MAX).min(self.begun + FRAME_STALL_MAX + earned))
    }

    /// Lets go of everything; a page that is held goes to `pages`.
    fn clear(&mut self, pages: &mut Vec<PageMut>) {
        self.whole = None;
        if let Buffer::Held { page, .. } = core::mem::replace(&mut self.buffer, Buffer::Empty) {
            pages.push(page);
        }
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).expect("32 bits fit a usize")
}

fn place(index: usize) -> u32 {
    u32::try_from(index).expect("places in a page fit 32 bits")
}

/// A page of twice the length, or else one beyond the pool.
fn grow(page: PageMut, filled: usize, pool: &mut Pool) -> Result<PageMut, PageMut> {
    let len = 2 * page.len().max(RECEIVE_PAGE_BYTES_MIN);
    if let Some(mut larger) = pool.alloc(len) {
        larger.as_mut_slice()[..filled].copy_from_slice(&page.as_slice()[..filled]);
        pool.give_back(page);
        return Ok(larger);
    }
    if mutant::on(Mutant::FramesHoldAll) {
        return Err(page);
    }
    let len = exact_len(&page.as_slice()[..filled], len);
    pool.enlarge(page, filled, len)
}

/// At most `len`, and not beyond the end of the frame that `bytes` begin: a page beyond the pool must not hold parts of the next. What
/// begins with a bad length still fits, to be refused.
fn exact_len(bytes: &[u8], len: usize) -> usize {
    let frame = announced(bytes).and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
    len.min((PREFIX + frame.min(REQUEST_BYTES_MAX)).max(bytes.len()))
}

fn announced(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|&prefix| i32::from_be_bytes(prefix))
}

/// Where the last whole frame of `bytes` ends. A bad length counts only once the frames before it are taken.
fn whole_frames_end(bytes: &[u8]) -> Result<usize, Stuck> {
    let mut end = 0;
    loop {
        let stuck = match announced(&bytes[end..]) {
            None => Stuck::Incomplete,
            Some(len) => match usize::try_from(len) {
                Ok(len) if len <= REQUEST_BYTES_MAX => {
                    if bytes.len() - end - PREFIX >= len {
                        end += PREFIX + len;
                        continue;
                    }
                    Stuck::Incomplete
                }
                _ => Stuck::FrameLength,
            },
        };
        return if end > 0 { Ok(end) } else { Err(stuck) };
    }
}

/// How a request ended, as far as its connection and those who watch it care.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) key: i16,
    pub(super) version: i16,
    /// The first error in the response; zero for none.
    pub(super) error: i16,
    /// None if the request has no response.
    pub(super) parts: Vec<Slice>,
}

/// One answer that is due, in the order of the requests.
#[derive(Debug)]
struct Answer {
    received: Instant,
    request_bytes: usize,
    outcome: Option<Outcome>,
}

/// An answer that goes out.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) error: i16,
    /// When its request was there as a whole.
    pub(super) received: Instant,
    pub(super) request_bytes: usize,
    pub(super) response_bytes: usize,
}

impl Answered {
    pub(super) fn event(&self, now: Instant) -> Event {
        Event::Answered {
            key: self.key,
            version: self.version,
            error: self.error,
            request_bytes: u32::try_from(self.request_bytes).unwrap_or(u32::MAX),
            response_bytes: u32::try_from(self.response_bytes).unwrap_or(u32::MAX),
            took: now.since(self.received),
        }
    }
}

/// Names a request of one connection by its place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

/// A send that the kernel does not have yet.
#[derive(Debug, Clone, Copy)]
struct Unsent {
    bytes: usize,
    pinned_bytes: usize,
}

/// What is in work for one connection and what of it waits to go out. Most connections are idle and have none: see [`Books`].
#[derive(Debug)]
struct Book {
    answers: VecDeque<Answer>,
    /// Place of the first of `answers`.
    first: u64,
    /// Bytes of answers that are ready but behind one that is not.
    ready_bytes: usize,
    /// Each send that the kernel does not have yet.
    sends: VecDeque<Unsent>,
    send_bytes: usize,
    /// Bytes of the pages that `sends` keep alive.
    unsent_pinned_bytes: usize,
    /// When the peer last took anything, or was given something after it had taken all.
    taken_at: Instant,
}

/// Books that are empty, kept for their memory: a connection takes one with its request and gives it back with its last answer.
#[expect(
    clippy::vec_box,
    reason = "connections hold their books boxed, and hand them over without an allocation"
)]
#[derive(Debug, Default)]
pub(super) struct Books(Vec<Box<Book>>);

impl Books {
    fn take(&mut self, now: Instant) -> Box<Book> {
        self.0.pop().unwrap_or_else(|| {
            Box::new(Book {
                answers: VecDeque::new(),
                first: 0,
                ready_bytes: 0,
                sends: VecDeque::new(),
                send_bytes: 0,
                unsent_pinned_bytes: 0,
                taken_at: now,
            })
        })
    }

    fn give_back(&mut self, book: Box<Book>) {
        let Book { answers, ready_bytes, sends, send_bytes, unsent_pinned_bytes, .. } = &*book;
        assert!(answers.is_empty() && sends.is_empty(), "nothing is in work");
        assert!(ready_bytes + send_bytes + unsent_pinned_bytes == 0, "nothing of it is counted");
        if self.0.len() < BOOKS_KEPT_MAX && sends.capacity() <= BOOK_SENDS_KEPT_MAX {
            self.0.push(book);
        }
    }
}

/// A connection of a client. There may be tens of thousands, of which few are busy: what is here, each of the others costs too.
#[derive(Debug)]
pub(super) struct Connection {
    local: IpAddr,
    local_port: u16,
    pub(super) peer: IpAddr,
    pub(super) inbox: Inbox,
    book: Option<Box<Book>>,
    pub(super) closing: Option<CloseReason>,
    /// It stands in the queue of connections to look at.
    pub(super) dirty: bool,
    /// It waits for memory.
    pub(super) starved: bool,
    /// Under which time it stands in the list of frames that may stall.
    pub(super) stall: Option<Instant>,
}

const _: () = assert!(size_of::<Connection>() <= 120, "with its id it is 128 bytes long");

impl Connection {
    pub(super) fn new(now: Instant, local: SocketAddr, peer: IpAddr) -> Self {
        Self {
            local: local.ip(),
            local_port: local.port(),
            peer,
            inbox: Inbox::new(now),
            book: None,
            closing: None,
            dirty: false,
            starved: false,
            stall: None,
        }
    }

    /// The address that it dialled.
    pub(super) const fn local(&self) -> SocketAddr {
        SocketAddr::new(self.local, self.local_port)
    }

    /// Whether another request may be taken up. If not, nothing more is read either: back-pressure.
    pub(super) fn has_room(&self) -> bool {
        self.closing.is_none()
            && self.book.as_ref().is_none_or(|book| {
                book.answers.len() < CONNECTION_REQUESTS_MAX
                    && book.ready_bytes + book.send_bytes < CONNECTION_SEND_BYTES_MAX
            })
    }

    pub(super) fn requests_in_work(&self) -> usize {
        self.book.as_ref().map_or(0, |book| book.answers.len())
    }

    /// Bytes of the pages that its answers keep alive which the kernel does not have yet.
    pub(super) fn unsent_pinned_bytes(&self) -> usize {
        self.book.as_ref().map_or(0, |book| book.unsent_pinned_bytes)
    }

    /// Since when the peer has taken nothing of what is there for it.
    pub(super) fn unsent_since(&self) -> Option<Instant> {
        self.book.as_ref().filter(|book| book.unsent_pinned_bytes > 0).map(|book| book.taken_at)
    }

    /// A request of so many bytes was taken up; its answer has its place now.
    pub(super) fn take_place(&mut self, request_bytes: usize, books: &mut Books) -> Place {
        let received = self.inbox.progress;
        let book = self.book.get_or_insert_with(|| books.take(received));
        book.answers.push_back(Answer { received, request_bytes, outcome: None });
        Place(book.first + book.answers.len() as u64 - 1)
    }

    /// The request at `place` is answered.
    pub(super) fn answer(&mut self, place: Place, outcome: Outcome) {
        let book = self.book.as_mut().expect("a request in work has its place in the book");
        let oldest = book.answers.iter().position(|answer| answer.outcome.is_none());
        let index = match oldest.filter(|_| mutant::on(Mutant::AnswersOutOfOrder)) {
            Some(oldest) => oldest,
            None => usize::try_from(place.0 - book.first).expect("bounded by the requests in work"),
        };
        book.ready_bytes += bytes_of(&outcome.parts);
        let before = book.answers[index].outcome.replace(outcome);
        assert!(before.is_none(), "a request is answered once");
    }

    /// All answers that may go out now, as few sends; each answer is told.
    pub(super) fn flush(
        &mut self,
        now: Instant,
        books: &mut Books,
        mut tell: impl FnMut(Answered),
    ) -> Vec<Vec<Slice>> {
        let Some(book) = &mut self.book else { return Vec::new() };
        let mut out = Vec::new();
        while let Some(Answer { received, request_bytes, outcome: Some(outcome) }) = book.answers.front_mut()
        {
            tell(Answered {
                key: outcome.key,
                version: outcome.version,
                error: outcome.error,
                received: *received,
                request_bytes: *request_bytes,
                response_bytes: bytes_of(&outcome.parts),
            });
            out.append(&mut outcome.parts);
            book.answers.pop_front();
            book.first += 1;
        }
        if book.sends.is_empty() {
            book.taken_at = now;
        }
        let sends = in_sends(out);
        for parts in &sends {
            let unsent = Unsent { bytes: bytes_of(parts), pinned_bytes: pinned_bytes_of(parts) };
            book.ready_bytes -= unsent.bytes;
            book.send_bytes += unsent.bytes;
            book.unsent_pinned_bytes += unsent.pinned_bytes;
            book.sends.push_back(unsent);
        }
        self.rest(books);
        sends
    }

    /// The oldest send is with the kernel. Gives the bytes that it does not pin any more.
    pub(super) fn on_sent(&mut self, now: Instant, books: &mut Books) -> usize {
        let book = self.book.as_mut().expect("one Sent for each Send");
        let Unsent { bytes, pinned_bytes } = book.sends.pop_front().expect("one Sent for each Send");
        book.taken_at = now;
        book.send_bytes -= bytes;
        book.unsent_pinned_bytes -= pinned_bytes;
        self.rest(books);
        pinned_bytes
    }

    /// It may stay idle for long, and so may ten thousand others.
    fn rest(&mut self, books: &mut Books) {
        if let Some(book) = self.book.take_if(|book| book.answers.is_empty() && book.sends.is_empty()) {
            books.give_back(book);
        }
    }

    /// Forgets what it holds; pages go to `pages`.
    pub(super) fn clear(&mut self, pages: &mut Vec<PageMut>) {
        self.inbox.clear(pages);
        if let Some(book) = &mut self.book {
            book.answers.clear();
            book.ready_bytes = 0;
        }
    }
}

fn bytes_of(parts: &[Slice]) -> usize {
    parts.iter().map(Slice::len).sum()
}

/// Bytes of the pages behind `parts`, each run of parts of one page once.
fn pinned_bytes_of(parts: &[Slice]) -> usize {
    parts.chunk_by(Slice::shares_page).map(|run| run[0].pinned_bytes()).sum()
}

/// The parts in a row, as sends of at most [`SEND_BYTES_MAX`] each.
fn in_sends(mut parts: Vec<Slice>) -> Vec<Vec<Slice>> {
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() {
        return Vec::new();
    }
    if bytes_of(&parts) <= SEND_BYTES_MAX {
        return alloc::vec![parts];
    }
    let mut sends: Vec<Vec<Slice>> = Vec::new();
    let mut room = 0;
    for part in parts {
        let mut at = 0;
        while at < part.len() {
            if room == 0 {
                sends.push(Vec::new());
                room = SEND_BYTES_MAX;
            }
            let end = part.len().min(at + room);
            sends.last_mut().expect("pushed above").push(part.cut(at, end));
            room -= end - at;
            at = end;
        }
    }
    sends
}

/// Takes any bytes as what a client sends, in reads that are as long as the first byte says; for fuzzing.
pub fn fuzz(data: &[u8]) {
    const POOL_BYTES: usize = 16 * 1024 * 1024;
    let Some((&read_max, stream)) = data.split_first() else { return };
    let (mut inbox, mut pool) = (Inbox::new(Instant::from_nanos(0)), Pool::new(POOL_BYTES));
    let (mut sent, mut taken) = (0, 0);
    while sent < stream.len().min(POOL_BYTES / 8) {
        let lent = inbox
            .lend(Instant::from_nanos(0), usize::MAX, &mut pool)
            .expect("the pool is larger than the input");
        let (mut page, at) = lent.expect("no page is lent and no frame waits");
        let at = at as usize;
        let len = (stream.len() - sent).min(usize::from(read_max) + 1).min(page.len() - at);
        page.as_mut_slice()[at..at + len].copy_from_slice(&stream[sent..sent + len]);
        sent += len;
        inbox.on_received(Instant::from_nanos(0), page, len);
        loop {
            match inbox.next_frame(&mut pool) {
                Ok(body) => {
                    let from = taken + PREFIX;
                    taken = from + body.len();
                    assert!(stream[from..taken] == *body, "a frame is what was sent");
                }
                Err(Stuck::Incomplete) => break,
                Err(Stuck::FrameLength) => return,
                Err(Stuck::NoMemory) => panic!("the pool is larger than the input"),
            }
        }
        assert!(
            whole_frames_end(&stream[taken..sent]) == Err(Stuck::Incomplete),
            "all whole frames were taken"
        );
    }
}

#[cfg(test)]
mod tests;
