//! Why a node does not start, in words for who runs it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use highwater_core::shard::Halt;

#[derive(Debug)]
pub enum LaunchError {
    /// The data directory cannot be used.
    Directory { dir: PathBuf, source: io::Error },
    /// Another process has the data directory.
    Held { dir: PathBuf, pid: Option<u32> },
    /// The address cannot be bound.
    Listen { addr: SocketAddr, source: io::Error },
    /// io_uring was demanded, and is refused.
    UringRefused(String),
    /// Reading the directory back ended in a halt.
    Halted(Halt),
    /// The system refused a thread, a descriptor or a ring.
    System(io::Error),
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { dir, source } => {
                write!(f, "cannot use the data directory {}: {source}", dir.display())
            }
            Self::Held { dir, pid: Some(pid) } => {
                write!(f, "the data directory {} is held by process {pid}", dir.display())
            }
            Self::Held { dir, pid: None } => {
                write!(f, "the data directory {} is held by another process", dir.display())
            }
            Self::Listen { addr, source } if source.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "the address {addr} is in use by another process")
            }
            Self::Listen { addr, source } => write!(f, "cannot listen on {addr}: {source}"),
            Self::UringRefused(reason) => f.write_str(reason),
            Self::Halted(halt) => write!(f, "the data directory cannot be read back: {halt:?}"),
            Self::System(source) => write!(f, "the system refused a resource: {source}"),
        }
    }
}

impl std::error::Error for LaunchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Directory { source, .. } | Self::Listen { source, .. } | Self::System(source) => {
                Some(source)
            }
            Self::Held { .. } | Self::UringRefused(_) | Self::Halted(_) => None,
        }
    }
}
