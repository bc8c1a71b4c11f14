//! The floor: a broker of one thread that receives, checks, appends and acknowledges, and does nothing else. No broker on this machine
//! can be cheaper, so a ratio to it means the same on every machine. It keeps nothing that anybody could read.

mod answers;
mod file;
mod guest;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use self::answers::Answers;
use self::file::File;
use self::guest::Guest;
use crate::args::FloorArgs;
use crate::failure::Failure;

/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 256;

/// The listener's name among the events; connections count from 0.
const LISTENER: u64 = u64::MAX;

struct Floor {
    listener: TcpListener,
    epoll: OwnedFd,
    guests: Vec<Option<Guest>>,
    file: File,
    answers: Answers,
}

pub(crate) fn serve(args: &FloorArgs) -> Result<ExitCode, Failure> {
    let listener = TcpListener::bind(&args.listen)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let file = File::open(&args.file, args.file_mib * 1024 * 1024, args.durable)?;
    let mut floor = Floor { listener, epoll, guests: Vec::new(), file, answers: Answers::new(address) };
    println!(
        "floor on {address}, {}",
        if args.durable { "on disk before the ack" } else { "in the page cache" }
    );
    floor.serve()
}

impl Floor {
    fn serve(&mut self) -> Result<ExitCode, Failure> {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS_MAX);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    name => self.take(usize::try_from(name).expect("it was a usize"))?,
                }
            }
            // All that came in one round is one write, and is acknowledged after it.
            self.file.flush()?;
            for event in events.iter().filter(|event| event.data.u64() != LISTENER) {
                self.answer(usize::try_from(event.data.u64()).expect("it was a usize"));
            }
        }
    }

    fn accept(&mut self) -> Result<(), Failure> {
        while let Ok((socket, _)) = self.listener.accept() {
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let free = self.guests.iter().position(Option::is_none).unwrap_or(self.guests.len());
            if free == self.guests.len() {
                self.guests.push(None);
            }
            let name = EventData::new_u64(u64::try_from(free).expect("a count fits 64 bits"));
            epoll::add(&self.epoll, &socket, name, EventFlags::IN | EventFlags::OUT | EventFlags::ET)?;
            self.guests[free] = Some(Guest::new(socket));
        }
        Ok(())
    }

    /// Reads what has come. Whoever breaks a rule or goes is forgotten.
    fn take(&mut self, name: usize) -> Result<(), Failure> {
        let Self { guests, file, answers, .. } = self;
        let Some(guest) = guests[name].as_mut() else { return Ok(()) };
        loop {
            let Ok(more) = guest.read() else {
                guests[name] = None;
                return Ok(());
            };
            loop {
                let answered = match guest.request() {
                    Ok(Some((request, out))) => answers.answer(request, file, out),
                    Ok(None) => break,
                    Err(error) => Err(error.into()),
                };
                if answered.is_err() {
                    guests[name] = None;
                    return Ok(());
                }
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn answer(&mut self, name: usize) {
        if let Some(guest) = &mut self.guests[name]
            && guest.write().is_err()
        {
            self.guests[name] = None;
        }
    }
}
