//! Memory for payload: aligned pages from a bounded pool, and shared immutable slices of them. Knows nothing of what they hold.
//!
//! A [`PageMut`] has one owner, who writes. Frozen, it becomes a [`Slice`] that may be cloned, cut and sent to another shard. The
//! pool keeps a handle to what it froze and takes the page back once nobody else holds one: no drop hook, one atomic per clone.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::limits::{BLOCK_BYTES, PAGE_BYTES_MAX, PAGE_BYTES_MIN};

/// A writable page with one owner. Pages of at least a block start at a multiple of [`BLOCK_BYTES`] in memory, with no slack beside
/// them: an allocator that rounds sizes up would make an eighth more of it.
///
/// One pointer wide: pages wait in queues and in tasks, as many as there are connections. Nobody else holds it until it is frozen.
pub struct PageMut(Arc<Page>);

struct Page {
    memory: Memory,
    /// Bytes that are in use, of those that there are.
    len: u32,
    room: u32,
}

/// Never grows, so it never moves.
enum Memory {
    Blocks(Vec<Block>),
    Bytes(Vec<u8>),
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES]);

const _: () = assert!(align_of::<Block>() == BLOCK_BYTES);

impl Page {
    fn len(&self) -> usize {
        self.len as usize
    }

    fn room(&self) -> usize {
        self.room as usize
    }

    fn as_slice(&self) -> &[u8] {
        let bytes = match &self.memory {
            Memory::Blocks(blocks) => blocks.as_bytes(),
            Memory::Bytes(bytes) => bytes,
        };
        &bytes[..self.len as usize]
    }
}

impl PageMut {
    /// A zeroed page outside of any pool.
    pub fn with_len(len: usize) -> Self {
        let memory = if len < BLOCK_BYTES {
            Memory::Bytes(vec![0_u8; len])
        } else {
            let blocks = Block::new_vec_zeroed(len.div_ceil(BLOCK_BYTES));
            Memory::Blocks(blocks.expect("memory of the bounded pools is there"))
        };
        Self::new(memory, len)
    }

    /// Takes bytes over as they are, without alignment.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        Self::new(Memory::Bytes(bytes), len)
    }

    fn new(memory: Memory, len: usize) -> Self {
        let len = u32::try_from(len).expect("a page is below 4 GiB");
        Self(Arc::new(Page { memory, len, room: len }))
    }

    /// Nobody shares a page before it is frozen.
    fn page_mut(&mut self) -> &mut Page {
        Arc::get_mut(&mut self.0).expect("nobody shares a page before it is frozen")
    }

    /// The same page with its first `len` bytes only, until its pool lends it again: what fills it fills no more than these.
    #[must_use]
    pub fn shortened(mut self, len: usize) -> Self {
        assert!(len <= self.len(), "a page does not grow");
        self.page_mut().len = u32::try_from(len).expect("it is shorter than it was");
        self
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        let page = self.page_mut();
        let bytes = match &mut page.memory {
            Memory::Blocks(blocks) => blocks.as_mut_bytes(),
            Memory::Bytes(bytes) => bytes,
        };
        &mut bytes[..page.len as usize]
    }
}

impl fmt::Debug for PageMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageMut({} B)", self.len())
    }
}

/// Shared immutable bytes: a range of a frozen page. Cloning copies no byte.
#[derive(Clone)]
pub struct Slice {
    page: Arc<Page>,
    start: u32,
    end: u32,
}

impl Slice {
    /// The whole of `bytes`, owned outside of any pool.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self::from_page(PageMut::from_vec(bytes))
    }

    /// The whole of a page that belongs to no pool.
    pub fn from_page(page: PageMut) -> Self {
        Self::from_shared(page.0)
    }

    fn from_shared(page: Arc<Page>) -> Self {
        assert!(page.len() <= PAGE_BYTES_MAX, "a page is bounded");
        let end = page.len;
        Self { page, start: 0, end }
    }

    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.page.as_slice()[self.start as usize..self.end as usize]
    }

    /// The bytes `from..to` of this slice. Panics outside of it.
    #[must_use]
    pub fn cut(&self, from: usize, to: usize) -> Self {
        assert!(from <= to && to <= self.len(), "a cut lies within its slice");
        let from = u32::try_from(from).expect("bounded by the page");
        let to = u32::try_from(to).expect("bounded by the page");
        Self { page: Arc::clone(&self.page), start: self.start + from, end: self.start + to }
    }

    /// Leaves the first `len` bytes behind. Panics outside of it.
    pub fn advance(&mut self, len: usize) {
        assert!(len <= self.len(), "what is left behind lies within its slice");
        self.start += u32::try_from(len).expect("bounded by the page");
    }

    /// The slice behind `part`, which was borrowed from this one. Panics for foreign bytes.
    #[must_use]
    pub fn cut_to(&self, part: &[u8]) -> Self {
        if part.is_empty() {
            return self.cut(0, 0);
        }
        let from = (part.as_ptr() as usize)
            .checked_sub(self.as_slice().as_ptr() as usize)
            .expect("the part was borrowed from this slice");
        self.cut(from, from + part.len())
    }

    /// Whether both are of one page.
    pub fn shares_page(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.page, &other.page)
    }

    /// Bytes of memory that this slice keeps alive.
    pub fn pinned_bytes(&self) -> usize {
        self.page.room()
    }
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slice({} B)", self.len())
    }
}

impl PartialEq for Slice {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Slice {}

/// Frozen pages that one allocation looks at.
const SWEEP_AT_ONCE: usize = 16;

const CLASSES: usize = (PAGE_BYTES_MAX / PAGE_BYTES_MIN).ilog2() as usize + 1;

/// Pages in powers of two between [`PAGE_BYTES_MIN`] and [`PAGE_BYTES_MAX`], bounded in total.
///
/// Invariant: the bytes of all pages that this pool made and has not dropped are at most `bytes_max`, but for one large page.
pub struct Pool {
    bytes_max: usize,
    /// Bytes of every page that is lent, frozen or idle.
    bytes: usize,
    /// Of the one page beyond the bound, while it is out.
    large_bytes: usize,
    idle: [Vec<PageMut>; CLASSES],
    frozen: VecDeque<Arc<Page>>,
}

impl Pool {
    pub fn new(bytes_max: usize) -> Self {
        let idle = core::array::from_fn(|_| Vec::new());
        Self { bytes_max, bytes: 0, large_bytes: 0, idle, frozen: VecDeque::new() }
    }

    pub const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Bytes of the largest page that this pool can ever lend.
    pub const fn page_bytes_max(&self) -> usize {
        let most = if self.bytes_max < PAGE_BYTES_MAX { self.bytes_max } else { PAGE_BYTES_MAX };
        if most < PAGE_BYTES_MIN { 0 } else { 1 << most.ilog2() }
    }

    /// A page of at least `len` bytes; what it holds is left over from its last use. `None` is back-pressure.
    pub fn alloc(&mut self, len: usize) -> Option<PageMut> {
        let class = class_of(len)?;
        if let Some(page) = self.idle[class].pop() {
            return Some(page);
        }
        // The oldest are the likeliest to be free; all are looked at only when there is no room for another page.
        self.sweep_oldest(SWEEP_AT_ONCE);
        if let Some(page) = self.idle[class].pop() {
            return Some(page);
        }
        let len = PAGE_BYTES_MIN << class;
        if self.bytes + len > self.bytes_max {
            self.sweep();
            if let Some(page) = self.idle[class].pop() {
                return Some(page);
            }
            self.drop_idle();
        }
        if self.bytes + len > self.bytes_max {
            return None;
        }
        self.bytes += len;
        Some(PageMut::with_len(len))
    }

    /// A page of just `len` bytes beyond the bound, for what must get on although others hold all that there is. There is one at a
    /// time, and it is not kept.
    pub fn alloc_large(&mut self, len: usize) -> Option<PageMut> {
        self.sweep();
        if self.large_bytes > 0 || len > PAGE_BYTES_MAX {
            return None;
        }
        self.large_bytes = len;
        Some(PageMut::with_len(len))
    }

    /// Moves the first `filled` bytes of a page to one of just `len` beyond the bound, or gives the page back: another has that.
    pub fn enlarge(&mut self, page: PageMut, filled: usize, len: usize) -> Result<PageMut, PageMut> {
        let is_large = page.0.room() == self.large_bytes;
        if is_large {
            self.large_bytes = 0;
        }
        let Some(mut larger) = self.alloc_large(len) else {
            self.large_bytes = if is_large { page.0.room() } else { self.large_bytes };
            return Err(page);
        };
        larger.as_mut_slice()[..filled].copy_from_slice(&page.as_slice()[..filled]);
        if !is_large {
            self.give_back(page);
        }
        Ok(larger)
    }

    /// Takes a page back that nobody needs any more.
    pub fn give_back(&mut self, mut page: PageMut) {
        page.page_mut().len = page.0.room;
        // Of two pages of that length it does not matter which one counts as the large one.
        if page.len() == self.large_bytes {
            self.large_bytes = 0;
            return;
        }
        let class = class_of(page.len()).expect("pages of a pool have a class");
        assert!(page.len() == PAGE_BYTES_MIN << class, "the page is of this pool");
        self.idle[class].push(page);
    }

    /// Makes a page immutable and shared; it comes home by itself once all slices of it are gone.
    pub fn freeze(&mut self, page: PageMut) -> Slice {
        self.frozen.push_back(Arc::clone(&page.0));
        Slice::from_shared(page.0)
    }

    /// Takes back the frozen pages that nobody holds any more.
    pub fn sweep(&mut self) {
        self.sweep_oldest(self.frozen.len());
    }

    fn sweep_oldest(&mut self, count: usize) {
        for _ in 0..count.min(self.frozen.len()) {
            let Some(mut page) = self.frozen.pop_front() else { break };
            if Arc::get_mut(&mut page).is_some() {
                self.give_back(PageMut(page));
            } else {
                self.frozen.push_back(page);
            }
        }
    }

    /// Bytes of pages that somebody holds. Zero when all came home.
    pub fn bytes_in_use(&mut self) -> usize {
        self.sweep();
        let idle: usize = self.idle.iter().flatten().map(PageMut::len).sum();
        self.bytes - idle + self.large_bytes
    }

    fn drop_idle(&mut self) {
        for pages in &mut self.idle {
            for page in pages.drain(..) {
                self.bytes -= page.len();
            }
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} of {} B)", self.bytes, self.bytes_max)
    }
}

fn class_of(len: usize) -> Option<usize> {
    if len > PAGE_BYTES_MAX {
        return None;
    }
    let size = len.max(PAGE_BYTES_MIN).next_power_of_two();
    Some((size / PAGE_BYTES_MIN).ilog2() as usize)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::{PageMut, Pool, Slice};
    use crate::limits::BLOCK_BYTES;

    #[test]
    fn pages_of_a_block_are_aligned() {
        for len in [4096, 8192, 1 << 20] {
            let page = PageMut::with_len(len);
            assert_eq!(page.as_slice().as_ptr() as usize % BLOCK_BYTES, 0);
            assert_eq!(page.len(), len);
        }
    }

    #[test]
    fn a_frozen_page_comes_home_when_the_last_slice_goes() {
        let mut pool = Pool::new(8192);
        let mut page = pool.alloc(5000).expect("within the bound");
        page.as_mut_slice()[0] = 7;
        let slice = pool.freeze(page);
        let part = slice.cut(0, 10);
        assert!(pool.alloc(4096).is_none(), "the bound holds while a slice lives");
        drop(slice);
        assert_eq!(part[0], 7);
        assert_eq!(pool.bytes_in_use(), 8192);
        drop(part);
        assert_eq!(pool.bytes_in_use(), 0);
        assert!(pool.alloc(4096).is_some(), "an idle page of another class makes room");
    }

    #[test]
    fn there_is_one_large_page_beyond_the_bound() {
        let mut pool = Pool::new(8192);
        assert_eq!(pool.page_bytes_max(), 8192);
        let (page, large) = (pool.alloc(8192).unwrap(), pool.alloc_large(100_000).unwrap());
        assert!(pool.alloc_large(1).is_none(), "one at a time");
        let slice = pool.freeze(large);
        assert_eq!(pool.bytes_in_use(), 8192 + 100_000);
        drop(slice);
        assert!(pool.alloc(1).is_none(), "it makes no room for others");
        let second = pool.alloc_large(8000).unwrap();
        pool.give_back(page);
        pool.give_back(second);
        assert_eq!(pool.bytes_in_use(), 0);
        assert!(pool.alloc(8192).is_some() && pool.alloc(1).is_none());
    }

    #[test]
    fn a_page_that_was_shortened_comes_home_whole() {
        let mut pool = Pool::new(8192);
        let page = pool.alloc(8192).unwrap().shortened(5000);
        assert_eq!(page.as_slice().len(), 5000);
        let slice = pool.freeze(page);
        assert_eq!((slice.len(), slice.pinned_bytes()), (5000, 8192), "what is not used is not free either");
        drop(slice);
        assert_eq!(pool.alloc(8192).map(|page| page.len()), Some(8192));
    }

    #[test]
    fn cut_to_finds_the_borrowed_part() {
        let slice = Slice::from_vec(vec![1, 2, 3, 4, 5]).cut(1, 5);
        let part = &slice[1..3];
        assert_eq!(slice.cut_to(part).as_slice(), [3, 4]);
    }
}
