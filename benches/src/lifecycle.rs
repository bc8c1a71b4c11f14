//! What becomes of brokers that are ended and started: how long nobody is served. Starts them, and knows of them no more than clients do.

pub(crate) mod failover;
pub(crate) mod restart;

use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::setup::Setup;

/// How long a broker may take until it serves again.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// How long an answer may take that another attempt may get sooner.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// Between two attempts, which is how finely an outage is told.
const PAUSE: Duration = Duration::from_millis(1);

/// Tries with one address after the other until it is done: what fails meanwhile is what is being waited for.
fn until_done(
    addresses: &[String],
    mut attempt: impl FnMut(&mut Setup) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    for address in addresses.iter().cycle() {
        match Setup::try_connect(address, ANSWER_PATIENCE).and_then(|mut setup| attempt(&mut setup)) {
            Ok(()) => return Ok(()),
            Err(failure) if Instant::now() > until => return Err(failure),
            Err(_) => thread::sleep(PAUSE),
        }
    }
    Err(Failure("nobody to ask".into()))
}
