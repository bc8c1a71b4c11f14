//! Signals: the first asks a command to come to its end, the second ends the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::drive::Waker;
use crate::failure::{Exit, Failure};

/// Whether the user has asked for the end.
#[derive(Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens for SIGTERM and SIGINT from now on, and wakes who waits.
    pub(crate) fn listen(waker: Waker) -> Result<Self, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        let stop = Self(Arc::clone(&asked));
        listen(asked, waker).map(|()| stop).map_err(|error| Failure {
            exit: Exit::Failed,
            what: "cannot listen for signals".into(),
            place: "this process".into(),
            why: error.to_string(),
            fix: "allow it another thread and two more file descriptors".into(),
        })
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

fn listen(asked: Arc<AtomicBool>, waker: Waker) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if asked.swap(true, Ordering::SeqCst) {
                // Both signals end a process; only one that the system does not know could fail to.
                let _ = emulate_default_handler(signal);
            }
            waker.wake();
        }
    })?;
    Ok(())
}
