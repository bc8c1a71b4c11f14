//! A client of the floor: bytes in, whole requests, bytes out.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;

use crate::inbox::Inbox;

#[derive(Debug)]
pub(super) struct Guest {
    socket: TcpStream,
    inbox: Inbox,
    out: Vec<u8>,
    sent: usize,
}

impl Guest {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, inbox: Inbox::default(), out: Vec::new(), sent: 0 }
    }

    /// Takes what the kernel has. Says whether there may be more.
    pub(super) fn read(&mut self) -> io::Result<bool> {
        self.inbox.read(&self.socket)
    }

    /// The next whole request without its length, and where its answer goes.
    pub(super) fn request(&mut self) -> io::Result<Option<(&[u8], &mut Vec<u8>)>> {
        Ok(self.inbox.frame()?.map(|request| (request, &mut self.out)))
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
