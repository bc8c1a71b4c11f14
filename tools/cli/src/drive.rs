//! Drives the core's client with blocking sockets: a thread per connection reads, this thread does all else. Knows no request.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use highwater_core::buf::Slice;
use highwater_core::client::{Address, Client, ClientConfig, ClientEffect, ClientEvent, ClientInput};
use highwater_core::id::ConnId;
use highwater_core::time::{self, Now, Timestamp};

use crate::failure::{Exit, Failure};

const READ_BYTES: usize = 64 * 1024;

/// What other threads tell the one that drives. Its memory is bounded by what the client has asked brokers for.
#[derive(Debug)]
enum Word {
    Connected(ConnId, TcpStream),
    Received(ConnId, Vec<u8>),
    Closed(ConnId, Option<io::Error>),
    Woken,
}

/// Ends a wait of the drive from another thread.
#[derive(Debug, Clone)]
pub(crate) struct Waker(Sender<Word>);

impl Waker {
    pub(crate) fn wake(&self) {
        // Whoever drove is gone, and waits no more.
        let _ = self.0.send(Word::Woken);
    }
}

/// How a wait ended.
#[derive(Debug)]
pub(crate) enum Step {
    Event(ClientEvent),
    Woken,
    /// The time is over.
    Late,
}

/// A client with its sockets and clocks.
#[derive(Debug)]
pub(crate) struct Drive {
    pub(crate) client: Client,
    sockets: BTreeMap<ConnId, TcpStream>,
    words: Receiver<Word>,
    sender: Sender<Word>,
    origin: Instant,
    timeout: Duration,
    bootstrap: String,
    /// Whether any broker was ever reached.
    reached: bool,
    /// Why the last connection failed.
    trouble: Option<io::Error>,
}

impl Drive {
    pub(crate) fn new(config: &ClientConfig, timeout: Duration) -> Self {
        let (sender, words) = channel();
        let origin = Instant::now();
        let bootstrap: Vec<String> =
            config.bootstrap.iter().map(|a| format!("{}:{}", a.host, a.port)).collect();
        Self {
            client: Client::new(config, RandomState::new().hash_one(std::process::id()), now_since(origin)),
            sockets: BTreeMap::new(),
            words,
            sender,
            origin,
            timeout,
            bootstrap: bootstrap.join(","),
            reached: false,
            trouble: None,
        }
    }

    pub(crate) fn now(&self) -> Now {
        now_since(self.origin)
    }

    /// When something that begins now has taken too long.
    pub(crate) fn patience(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// The addresses where it began, as they were given.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(self.sender.clone())
    }

    /// What happens next, but no later than `until`.
    pub(crate) fn step(&mut self, until: Option<Instant>) -> Result<Step, Failure> {
        loop {
            while let Some(effect) = self.client.poll(self.now()) {
                self.carry_out(effect);
            }
            if let Some(event) = self.client.poll_event() {
                return Ok(Step::Event(event));
            }
            match self.words.recv_timeout(self.wait(until)) {
                Ok(Word::Woken) => return Ok(Step::Woken),
                Ok(word) => self.take(word)?,
                Err(RecvTimeoutError::Timeout) if until.is_some_and(|until| until <= Instant::now()) => {
                    return Ok(Step::Late);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let now = self.now();
                    self.client.handle(now, ClientInput::Tick);
                }
                Err(RecvTimeoutError::Disconnected) => unreachable!("the drive holds a sender itself"),
            }
        }
    }

    /// Until `until`, or until the client wants to be polled.
    fn wait(&self, until: Option<Instant>) -> Duration {
        let at = |deadline: time::Instant| self.origin + Duration::from_nanos(deadline.as_nanos());
        let deadline = self.client.deadline().map(at).into_iter().chain(until).min();
        deadline.map_or(Duration::from_secs(1), |at| at.saturating_duration_since(Instant::now()))
    }

    fn carry_out(&mut self, effect: ClientEffect) {
        match effect {
            ClientEffect::Connect { conn, address } => {
                let (sender, timeout) = (self.sender.clone(), self.timeout);
                thread::spawn(move || connect_and_read(conn, &address, timeout, &sender));
            }
            ClientEffect::Send { conn, parts } => {
                let Some(socket) = self.sockets.get_mut(&conn) else { return };
                if let Err(error) = write_all(socket, &parts) {
                    self.trouble = Some(error);
                    self.close(conn);
                    let now = self.now();
                    self.client.handle(now, ClientInput::Closed { conn });
                }
            }
            ClientEffect::Close { conn } => self.close(conn),
        }
    }

    /// Its reader ends with it.
    fn close(&mut self, conn: ConnId) {
        if let Some(socket) = self.sockets.remove(&conn) {
            // One that is not connected any more is closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn take(&mut self, word: Word) -> Result<(), Failure> {
        let now = self.now();
        match word {
            Word::Connected(conn, socket) => {
                self.reached = true;
                self.sockets.insert(conn, socket);
                self.client.handle(now, ClientInput::Connected { conn });
            }
            Word::Received(conn, bytes) => {
                self.client.handle(now, ClientInput::Received { conn, bytes: &bytes });
            }
            Word::Closed(conn, error) => {
                self.sockets.remove(&conn);
                self.client.handle(now, ClientInput::Closed { conn });
                if let Some(error) = error {
                    // Nobody listens there: waiting would change nothing that the user cannot change faster.
                    if !self.reached && error.kind() == io::ErrorKind::ConnectionRefused {
                        return Err(self.unreachable(Exit::Failed, error.to_string()));
                    }
                    self.trouble = Some(error);
                }
            }
            Word::Woken => {}
        }
        Ok(())
    }

    /// The failure of something that had to end within [`Self::patience`].
    pub(crate) fn late(&self, what: &str) -> Failure {
        let seconds = self.timeout.as_secs();
        let why = match &self.trouble {
            Some(error) => format!("no answer within {seconds} s; the last connection failed: {error}"),
            None => format!("no answer within {seconds} s"),
        };
        if !self.reached {
            return self.unreachable(Exit::Timeout, why);
        }
        Failure {
            exit: Exit::Timeout,
            what: what.into(),
            place: self.bootstrap.clone(),
            why,
            fix: "ask the node how it is, http://HOST:9644/readyz?verbose, or wait longer with --timeout"
                .into(),
        }
    }

    fn unreachable(&self, exit: Exit, why: String) -> Failure {
        Failure {
            exit,
            what: "cannot reach a broker".into(),
            place: self.bootstrap.clone(),
            why,
            fix: "start one with `highwater dev`, or name one that runs with --bootstrap HOST:PORT".into(),
        }
    }
}

fn now_since(origin: Instant) -> Now {
    let mono = u64::try_from(origin.elapsed().as_nanos()).expect("no command runs for centuries");
    let wall = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_millis());
    Now {
        mono: time::Instant::from_nanos(mono),
        wall: Timestamp(i64::try_from(wall).expect("no clock is beyond the year 200,000,000")),
    }
}

fn connect_and_read(conn: ConnId, address: &Address, timeout: Duration, words: &Sender<Word>) {
    let error = match connect(address, timeout) {
        Ok((socket, reader)) => {
            let told = words.send(Word::Connected(conn, socket));
            if told.is_ok() { read(conn, reader, words).err() } else { None }
        }
        Err(error) => Some(error),
    };
    // Whoever drove is gone.
    let _ = words.send(Word::Closed(conn, error));
}

/// The socket for writing and its double for reading.
fn connect(address: &Address, timeout: Duration) -> io::Result<(TcpStream, TcpStream)> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for at in (&*address.host, address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&at, timeout) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                socket.set_write_timeout(Some(timeout))?;
                let reader = socket.try_clone()?;
                return Ok((socket, reader));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn read(conn: ConnId, mut socket: TcpStream, words: &Sender<Word>) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let len = socket.read(&mut buffer)?;
        if len == 0 || words.send(Word::Received(conn, buffer[..len].to_vec())).is_err() {
            return Ok(());
        }
    }
}

fn write_all(socket: &mut TcpStream, parts: &[Slice]) -> io::Result<()> {
    parts.iter().try_for_each(|part| socket.write_all(part))
}
