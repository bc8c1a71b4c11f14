//! The doorbell of a shard: one eventfd that other threads and the storage ring write to, and that the shard's runtime awaits.
//! Knows nothing of why it is rung.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys;

/// An eventfd. Rings before a wait are not lost, and many rings are one.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    pub fn new() -> io::Result<Self> {
        sys::eventfd().map(Self)
    }

    pub fn ring(&self) {
        // The only failure of a non-blocking eventfd is a full counter, which rings as well as any other.
        let _ = sys::write_u64(self.0.as_fd(), 1);
    }

    /// Takes all rings so far back.
    pub fn silence(&self) {
        let _ = sys::read_u64(self.0.as_fd());
    }

    /// Blocks the thread until the bell rings.
    pub fn wait(&self) {
        sys::poll_readable(self.0.as_fd());
        self.silence();
    }

    pub(crate) fn try_clone(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
