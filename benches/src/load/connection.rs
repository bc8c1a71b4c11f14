//! One connection of a worker: sends what is due as far as its depth allows, and finds whole answers in what comes back. Knows no
//! request.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use super::role::Request;
use crate::frame::CORRELATION_AT;
use crate::inbox::Inbox;

/// A request whose answer is not here yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) intended_nanos: u64,
    pub(crate) correlation: i32,
    /// What its sender wants to know of it then.
    pub(crate) tag: u32,
}

#[derive(Debug, Default)]
struct Writing {
    head: Vec<u8>,
    body: Option<Arc<[u8]>>,
    at: usize,
}

#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    depth: usize,
    asked: VecDeque<Asked>,
    writing: Option<Writing>,
    next_correlation: i32,
    inbox: Inbox,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr, depth: usize) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            depth,
            asked: VecDeque::new(),
            writing: None,
            next_correlation: 0,
            inbox: Inbox::default(),
        })
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether another request may be sent now.
    pub(crate) fn has_room(&self) -> bool {
        self.writing.is_none() && self.asked.len() < self.depth
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    pub(crate) fn unanswered(&self) -> usize {
        self.asked.len()
    }

    /// Begins a request. There has to be room.
    pub(crate) fn send(&mut self, request: Request, intended_nanos: u64) -> io::Result<()> {
        assert!(self.has_room(), "whoever sends has looked for room");
        let Request { mut head, body, tag } = request;
        let correlation = self.next_correlation;
        self.next_correlation = self.next_correlation.wrapping_add(1);
        head[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&correlation.to_be_bytes());
        self.asked.push_back(Asked { intended_nanos, correlation, tag });
        self.writing = Some(Writing { head, body, at: 0 });
        self.write()
    }

    /// Goes on with what the kernel did not take.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        while let Some(writing) = &mut self.writing {
            let body: &[u8] = writing.body.as_deref().unwrap_or_default();
            let total = writing.head.len() + body.len();
            let result = match writing.at.checked_sub(writing.head.len()) {
                Some(at) => self.socket.write(&body[at..]),
                None => {
                    let parts = [IoSlice::new(&writing.head[writing.at..]), IoSlice::new(body)];
                    self.socket.write_vectored(&parts)
                }
            };
            match result {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => writing.at += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if writing.at == total {
                self.writing = None;
            }
        }
        Ok(())
    }

    /// Takes what the kernel has. Says whether there may be more.
    pub(crate) fn read(&mut self) -> io::Result<bool> {
        self.inbox.read(&self.socket)
    }

    /// The next whole answer, without its length, and what was asked. Answers come in the order of their requests; one too many is
    /// none of ours.
    pub(crate) fn answer(&mut self) -> io::Result<Option<(Asked, &[u8])>> {
        let Some(frame) = self.inbox.frame()? else { return Ok(None) };
        Ok(self.asked.pop_front().map(|asked| (asked, frame)))
    }
}
