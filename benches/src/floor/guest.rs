//! A client of the floor: bytes in, whole requests, bytes out.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::frame::LENGTH_BYTES;

/// Bytes asked of the kernel at once, at least.
const READ_BYTES: usize = 256 * 1024;

/// The longest request.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Guest {
    socket: TcpStream,
    read: Vec<u8>,
    filled: usize,
    consumed: usize,
    out: Vec<u8>,
    sent: usize,
}

impl Guest {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, read: Vec::new(), filled: 0, consumed: 0, out: Vec::new(), sent: 0 }
    }

    /// Takes what the kernel has. Says whether there may be more.
    pub(super) fn read(&mut self) -> io::Result<bool> {
        self.read.copy_within(self.consumed..self.filled, 0);
        self.filled -= self.consumed;
        self.consumed = 0;
        if self.read.len() < self.filled + READ_BYTES {
            self.read.resize(self.filled + READ_BYTES, 0);
        }
        loop {
            match self.socket.read(&mut self.read[self.filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.filled += count;
                    return if self.filled > REQUEST_BYTES_MAX {
                        Err(ErrorKind::InvalidData.into())
                    } else {
                        Ok(self.filled == self.read.len())
                    };
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next whole request without its length, and where its answer goes.
    pub(super) fn request(&mut self) -> Option<(&[u8], &mut Vec<u8>)> {
        let bytes = &self.read[self.consumed..self.filled];
        let length = i32::from_be_bytes(*bytes.first_chunk::<LENGTH_BYTES>()?);
        let end = LENGTH_BYTES + usize::try_from(length).unwrap_or(usize::MAX - LENGTH_BYTES);
        let request = bytes.get(LENGTH_BYTES..end)?;
        self.consumed += end;
        Some((request, &mut self.out))
    }

    pub(super) fn write(&mut self) -> io::Result<()> {
        while self.sent < self.out.len() {
            match self.socket.write(&self.out[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }
}
