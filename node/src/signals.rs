//! Signals: the first asks the node to stop, the second ends the process.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

use crate::logs::NODE;
use crate::observer::{Observer, Phase};
use crate::run::Ending;

/// Listens for SIGTERM and SIGINT from now on.
pub(crate) fn listen(observer: Arc<Observer>, endings: Sender<Ending>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut asked = false;
        for signal in signals.forever() {
            let name = signal_name(signal).unwrap_or("signal");
            match observer.phase() {
                // Nothing was accepted yet, and a start may be broken off at any point: recovery is what a start is.
                Phase::Starting => {
                    tracing::info!(target: NODE, signal = name, "stopped before it was ready");
                    std::process::exit(0);
                }
                Phase::Serving | Phase::Stopping if asked => {
                    tracing::warn!(
                        target: NODE,
                        signal = name,
                        "second signal: ending at once; what was acknowledged is on disk"
                    );
                    std::process::exit(1);
                }
                Phase::Serving | Phase::Stopping => {
                    asked = true;
                    // A failed send means that the node is ending already.
                    let _ = endings.send(Ending::Asked { signal: name });
                }
            }
        }
    })?;
    Ok(())
}
