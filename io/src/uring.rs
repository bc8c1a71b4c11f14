//! How the rings of this process are set up, those for sockets and those for storage. Knows nothing of what goes through them.

use std::io;
use std::sync::LazyLock;

use io_uring::{Builder, IoUring};

/// Entries of a ring that is only tried.
const TRIED_ENTRIES: u32 = 2;

/// Whether the kernel lets this process have a ring.
pub(crate) fn check() -> io::Result<()> {
    IoUring::new(TRIED_ENTRIES).map(drop)
}

/// A ring as it serves a thread best that often enters the kernel anyway: what completes does not interrupt it, but is told with
/// its next system call, or wakes it where it sleeps (`IORING_SETUP_COOP_TASKRUN`, Linux 5.19; older kernels interrupt).
pub(crate) fn builder() -> Builder {
    static COOPERATES: LazyLock<bool> = LazyLock::new(|| cooperative().build(TRIED_ENTRIES).is_ok());
    if *COOPERATES { cooperative() } else { IoUring::builder() }
}

fn cooperative() -> Builder {
    let mut builder = IoUring::builder();
    builder.setup_coop_taskrun();
    builder
}
