//! One port, shared by the shards of this node and by nobody else. SO_REUSEPORT alone would let a second broker in silently.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted, per shard.
const BACKLOG: i32 = 1024;

/// How long a start waits for a port that is taken.
const BIND_PATIENCE: Duration = Duration::from_secs(3);

/// How long it waits between two attempts.
const BIND_PAUSE: Duration = Duration::from_millis(10);

/// Bound for every shard, not yet listening: clients are refused until the node is read back.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) addr: SocketAddr,
    sockets: Vec<Socket>,
}

/// Listening, one socket per shard.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) addr: SocketAddr,
    pub(super) sockets: Vec<std::net::TcpListener>,
}

impl Port {
    /// Binds, and waits a little where the port is taken: the kernel takes rings down after their process is gone, and a pending
    /// accept holds the listener of a killed node until then.
    pub(super) fn bind_patiently(addr: SocketAddr, shards: u16) -> io::Result<Self> {
        let until = Instant::now() + BIND_PATIENCE;
        loop {
            match Self::bind(addr, shards) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                    std::thread::sleep(BIND_PAUSE);
                }
                bound => return bound,
            }
        }
    }

    fn bind(addr: SocketAddr, shards: u16) -> io::Result<Self> {
        // A plain socket is refused if anybody holds the port, sharing it or not; connections of a broker that is gone do not count.
        let plain = socket(addr)?;
        plain.set_reuse_address(true)?;
        plain.bind(&addr.into())?;
        let addr = plain.local_addr()?.as_socket().expect("an IP socket has an IP address");
        drop(plain);
        // Without SO_REUSEADDR, so that these hold the port against such a plain socket before they listen.
        let sockets = (0..shards)
            .map(|_| {
                let socket = socket(addr)?;
                socket.set_reuse_port(true)?;
                socket.bind(&addr.into())?;
                Ok(socket)
            })
            .collect::<io::Result<Vec<Socket>>>()?;
        Ok(Self { addr, sockets })
    }

    pub(super) fn listen(self) -> io::Result<Listeners> {
        for socket in &self.sockets {
            // Accepted connections inherit it, and so do not hinder the next start of this node.
            socket.set_reuse_address(true)?;
            socket.listen(BACKLOG)?;
        }
        let sockets = self.sockets.into_iter().map(Into::into).collect();
        Ok(Listeners { addr: self.addr, sockets })
    }
}

fn socket(addr: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use super::{BIND_PAUSE, Port};

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn a_port_is_shared_by_the_shards_and_nobody_else() {
        let port = Port::bind(any(), 3).unwrap();
        let addr = port.addr;
        assert_eq!(Port::bind(addr, 1).unwrap_err().kind(), ErrorKind::AddrInUse, "before it listens");
        assert!(TcpStream::connect(addr).is_err(), "nobody is let in before the node is read back");
        let listeners = port.listen().unwrap();
        assert_eq!(listeners.sockets.len(), 3);
        assert_eq!(Port::bind(addr, 1).unwrap_err().kind(), ErrorKind::AddrInUse, "while it listens");
        TcpStream::connect(addr).unwrap();
    }

    #[test]
    fn a_port_that_is_given_up_soon_is_waited_for() {
        let port = Port::bind(any(), 1).unwrap();
        let addr = port.addr;
        let waiting = std::thread::spawn(move || Port::bind_patiently(addr, 1).map(|port| port.addr));
        std::thread::sleep(BIND_PAUSE);
        drop(port);
        assert_eq!(waiting.join().unwrap().unwrap(), addr);
    }

    #[test]
    fn a_port_is_free_at_once_although_connections_linger() {
        let listeners = Port::bind(any(), 1).unwrap().listen().unwrap();
        let mut client = TcpStream::connect(listeners.addr).unwrap();
        let (mut served, _) = listeners.sockets[0].accept().unwrap();
        served.write_all(b"x").unwrap();
        // The side that closes first keeps the connection in TIME_WAIT.
        drop(served);
        client.read_to_end(&mut Vec::new()).unwrap();
        drop(client);
        let addr = listeners.addr;
        drop(listeners);
        Port::bind(addr, 2).unwrap().listen().unwrap();
    }
}
