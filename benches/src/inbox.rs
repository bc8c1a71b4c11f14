//! Bytes of a socket as they come, and the whole frames in them. Knows no message.

use std::io::{self, ErrorKind, Read};

use crate::frame::LENGTH_BYTES;

/// Bytes asked of the kernel at once, at least.
const READ_BYTES: usize = 256 * 1024;

/// The longest frame: what claims to be longer is none.
const FRAME_BYTES_MAX: usize = 128 * 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    filled: usize,
    consumed: usize,
}

impl Inbox {
    /// Takes what the socket has. Says whether there may be more.
    pub(crate) fn read(&mut self, mut socket: impl Read) -> io::Result<bool> {
        self.bytes.copy_within(self.consumed..self.filled, 0);
        self.filled -= self.consumed;
        self.consumed = 0;
        if self.bytes.len() < self.filled + READ_BYTES {
            self.bytes.resize(self.filled + READ_BYTES, 0);
        }
        loop {
            match socket.read(&mut self.bytes[self.filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.filled += count;
                    return Ok(self.filled == self.bytes.len());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next whole frame without its length, if it is here.
    pub(crate) fn frame(&mut self) -> io::Result<Option<&[u8]>> {
        let bytes = &self.bytes[self.consumed..self.filled];
        let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > FRAME_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        let end = LENGTH_BYTES + length;
        if bytes.len() < end {
            return Ok(None);
        }
        self.consumed += end;
        Ok(Some(&bytes[LENGTH_BYTES..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_they_come() {
        let stream = [&[0, 0, 0, 2, 7, 8][..], &[0, 0, 0, 0], &[0, 0, 0, 1, 9]].concat();
        for size in 1..=stream.len() {
            let mut inbox = Inbox::default();
            let mut found = Vec::new();
            for part in stream.chunks(size) {
                inbox.read(part).unwrap();
                while let Some(frame) = inbox.frame().unwrap() {
                    found.push(frame.to_vec());
                }
            }
            assert_eq!(found, [vec![7, 8], Vec::new(), vec![9]]);
        }
    }

    #[test]
    fn length_that_no_frame_has_is_an_error_and_no_memory() {
        for length in [i32::MIN, -1, i32::MAX] {
            let mut inbox = Inbox::default();
            inbox.read(&length.to_be_bytes()[..]).unwrap();
            assert_eq!(inbox.frame().unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }
}
