//! The driver over real loopback sockets, on io_uring and on epoll.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/echo.rs"]
mod echo;
#[path = "support/scratch.rs"]
mod scratch;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use echo::{Setup, Shared, eventually};
use highwater_io::launch::{IoMode, LaunchError, Node};
use scratch::Scratch;

/// Runs a test on a node of each kind, which must end in order afterwards.
fn on_both(shards: u16, page_bytes: usize, test: impl Fn(&Node, &Arc<Shared>)) {
    for io in [IoMode::Uring, IoMode::Epoll] {
        let dir = Scratch::new();
        let (node, shared) = Setup { dir: dir.path(), io, shards, page_bytes }.start().unwrap();
        test(&node, &shared);
        let begin = std::time::Instant::now();
        node.stop();
        node.join().unwrap();
        assert!(begin.elapsed().as_millis() < 1000, "a stop takes less than a second");
    }
}

fn connect(node: &Node) -> TcpStream {
    let stream = TcpStream::connect(node.addr()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    stream
}

fn round_trip(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).unwrap();
    assert!(back == bytes, "what comes back is what went out");
}

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|place| u8::try_from(place % 26).unwrap() + b'A').collect()
}

#[test]
fn echo_comes_back_in_order() {
    on_both(1, 4096, |node, shared| {
        let mut stream = connect(node);
        for len in [1, 2, 100, 4095, 4096, 4097] {
            round_trip(&mut stream, &numbered(len));
        }
        drop(stream);
        eventually("the close is told", || Shared::count(&shared.closed) == 1);
        assert_eq!(Shared::count(&shared.pages_out), 0, "the lent page came back");
    });
}

#[test]
fn large_streams_are_cut_and_joined_without_loss() {
    on_both(1, 100_000, |node, _| {
        let stream = connect(node);
        let bytes = numbered(32 << 20);
        std::thread::scope(|scope| {
            scope.spawn(|| (&stream).write_all(&bytes).unwrap());
            let mut back = vec![0; bytes.len()];
            (&stream).read_exact(&mut back).unwrap();
            assert!(back == bytes, "what comes back is what went out");
        });
    });
}

#[test]
fn requests_split_into_bytes_arrive_whole() {
    on_both(1, 8, |node, shared| {
        let mut stream = connect(node);
        let bytes = numbered(300);
        for byte in &bytes {
            stream.write_all(&[*byte]).unwrap();
        }
        let mut back = vec![0; bytes.len()];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, bytes);
        eventually("each send is answered", || Shared::count(&shared.sent) >= 3);
    });
}

#[test]
fn a_thousand_connections_are_served_by_all_shards() {
    on_both(2, 512, |node, shared| {
        let mut streams: Vec<TcpStream> = (0..1000).map(|_| connect(node)).collect();
        for (number, stream) in streams.iter_mut().enumerate() {
            round_trip(stream, format!("hello {number}").as_bytes());
        }
        assert_eq!(Shared::count(&shared.accepted), 1000);
        streams.truncate(500);
        eventually("half are closed", || Shared::count(&shared.closed) == 500);
        let mut again: Vec<TcpStream> = (0..500).map(|_| connect(node)).collect();
        streams.iter_mut().chain(&mut again).for_each(|stream| round_trip(stream, b"again"));
        drop((streams, again));
        eventually("all are closed", || Shared::count(&shared.closed) == 1500);
        assert_eq!(Shared::count(&shared.pages_out), 0);
    });
}

#[test]
fn a_close_sends_what_was_sent_before_it() {
    on_both(1, 4096, |node, shared| {
        let mut stream = connect(node);
        stream.write_all(b"leave me!").unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"bye");
        eventually("the close is told", || Shared::count(&shared.closed) == 1);
        assert_eq!(Shared::count(&shared.sent), 1);
    });
}

#[test]
fn a_close_while_a_flood_goes_out_delivers_it_to_who_reads() {
    on_both(1, 4096, |node, shared| {
        let mut stream = connect(node);
        stream.write_all(b"*").unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest.len(), 64 << 20);
        eventually("the close is told", || Shared::count(&shared.closed) == 1);
    });
}

#[test]
fn a_peer_that_leaves_in_the_middle_is_closed_once() {
    on_both(1, 4096, |node, shared| {
        let mut flooded = connect(node);
        flooded.write_all(b"*").unwrap();
        flooded.read_exact(&mut [0; 1000]).unwrap();
        assert_eq!(Shared::count(&shared.sent), 0, "the kernel has a part of it only");
        // Unread data makes this a reset.
        drop(flooded);
        eventually("the reset is told", || Shared::count(&shared.closed) == 1);
        let mut half = connect(node);
        round_trip(&mut half, b"x");
        half.shutdown(Shutdown::Write).unwrap();
        assert_eq!(half.read(&mut [0; 10]).unwrap(), 0, "an end of stream ends the connection");
        eventually("the end is told", || Shared::count(&shared.closed) == 2);
        assert_eq!(Shared::count(&shared.pages_out), 0);
    });
}

#[test]
fn nothing_is_read_that_was_not_granted() {
    on_both(1, 4096, |node, shared| {
        shared.hold.store(true, Ordering::SeqCst);
        let stream = connect(node);
        eventually("it is accepted", || Shared::count(&shared.accepted) == 1);
        stream.set_nonblocking(true).unwrap();
        let mut written = 0;
        loop {
            match (&stream).write(&[b'x'; 65536]) {
                Ok(len) => written += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // The kernel moves bytes between the two buffers meanwhile; full means full twice.
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    match (&stream).write(&[b'x'; 65536]) {
                        Ok(len) => written += len,
                        Err(_) => break,
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(Shared::count(&shared.received), 0, "back-pressure reaches the peer");
        shared.hold.store(false, Ordering::SeqCst);
        stream.set_nonblocking(false).unwrap();
        let mut back = vec![0; written];
        (&stream).read_exact(&mut back).unwrap();
        assert_eq!(Shared::count(&shared.received), written as u64);
    });
}

#[test]
fn a_stop_ends_connections_in_every_state() {
    on_both(2, 4096, |node, shared| {
        let idle = connect(node);
        let mut flooded = connect(node);
        flooded.write_all(b"*").unwrap();
        flooded.read_exact(&mut [0; 10]).unwrap();
        let mut echoed = connect(node);
        round_trip(&mut echoed, b"x");
        eventually("all are accepted", || Shared::count(&shared.accepted) == 3);
        std::mem::forget([idle, flooded, echoed].map(|stream| stream.into_std_fd()));
    });
}

/// Keeps a socket open beyond its test, so that the node is what ends it.
trait IntoStdFd {
    fn into_std_fd(self) -> std::os::fd::OwnedFd;
}

impl IntoStdFd for TcpStream {
    fn into_std_fd(self) -> std::os::fd::OwnedFd {
        self.into()
    }
}

#[test]
fn deadlines_are_kept_without_inputs() {
    on_both(1, 4096, |_, shared| {
        eventually("ticks go on", || Shared::count(&shared.ticks) > 10);
    });
}

#[test]
fn a_directory_and_a_port_have_one_node() {
    let dir = Scratch::new();
    let setup = Setup { dir: dir.path(), io: IoMode::Auto, shards: 1, page_bytes: 64 };
    let (node, _) = setup.start().unwrap();
    let error = setup.start().unwrap_err();
    assert!(matches!(error, LaunchError::Held { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(error.to_string().contains("is held by process"), "{error}");
    node.stop();
    node.join().unwrap();
    let (node, _) = setup.start().unwrap();
    node.stop();
    node.join().unwrap();
}
