//! What concerns a whole process: each test runs its body in a child of its own, which is this program again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/echo.rs"]
mod echo;
#[path = "support/scratch.rs"]
mod scratch;
#[path = "support/seccomp.rs"]
mod seccomp;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::sync::atomic::Ordering;

use echo::{Setup, Shared, eventually};
use highwater_io::launch::{Engine, IoMode, LaunchError, Node};
use highwater_io::rt_monoio::Sockets;
use scratch::Scratch;

const CHILD: &str = "HIGHWATER_IO_CHILD";

/// In the child: `None`. In the test: what the child said.
fn in_child(test: &str) -> Option<Output> {
    if std::env::var_os(CHILD).is_some() {
        return None;
    }
    let program = std::env::current_exe().unwrap();
    let output =
        Command::new(program).args(["--exact", test, "--nocapture"]).env(CHILD, "1").output().unwrap();
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Some(output)
}

fn echo_once(node: &Node) {
    let mut stream = TcpStream::connect(node.addr()).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
}

#[test]
fn refused_io_uring_falls_back_to_epoll() {
    if let Some(output) = in_child("refused_io_uring_falls_back_to_epoll") {
        assert!(output.status.success());
        return;
    }
    seccomp::refuse_io_uring();
    let dir = Scratch::new();
    let mut setup = Setup { dir: dir.path(), io: IoMode::Auto, shards: 2, page_bytes: 512 };
    let (node, _) = setup.start().unwrap();
    assert_eq!(node.io().sockets, Sockets::Epoll);
    assert_eq!(node.io().storage.engine, Engine::Flusher);
    let reason = node.io().refused.clone().unwrap();
    assert!(reason.contains("io_uring is refused") && !reason.contains('\n'), "{reason}");
    echo_once(&node);
    node.stop();
    node.join().unwrap();
    setup.io = IoMode::Uring;
    let error = setup.start().unwrap_err();
    assert!(matches!(&error, LaunchError::UringRefused(_)), "{error}");
}

#[test]
fn io_uring_is_taken_where_it_is_allowed() {
    let dir = Scratch::new();
    let setup = Setup { dir: dir.path(), io: IoMode::Auto, shards: 1, page_bytes: 512 };
    let (node, _) = setup.start().unwrap();
    let allowed = Setup { dir: Scratch::new().path(), io: IoMode::Uring, shards: 1, page_bytes: 512 }
        .start()
        .map(|(node, _)| {
            node.stop();
            node.join().unwrap();
        })
        .is_ok();
    assert_eq!(node.io().sockets == Sockets::Uring, allowed);
    assert_eq!(node.io().refused.is_none(), allowed);
    node.stop();
    node.join().unwrap();
}

#[test]
fn a_panic_of_a_shard_ends_the_process_with_its_message() {
    use std::os::unix::process::ExitStatusExt;
    if let Some(output) = in_child("a_panic_of_a_shard_ends_the_process_with_its_message") {
        assert_eq!(output.status.signal(), Some(6), "aborted");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("the script says panic") && said.contains("thread 'hw-"), "{said}");
        return;
    }
    let dir = Scratch::new();
    let setup = Setup { dir: dir.path(), io: IoMode::Auto, shards: 2, page_bytes: 512 };
    let (node, shared) = setup.start().unwrap();
    shared.panic.store(true, Ordering::SeqCst);
    let _ = node.join();
    unreachable!("no node goes on without one of its shards");
}

#[test]
fn starts_and_stops_leak_no_descriptor_and_no_thread() {
    if let Some(output) = in_child("starts_and_stops_leak_no_descriptor_and_no_thread") {
        assert!(output.status.success());
        return;
    }
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    for io in [IoMode::Uring, IoMode::Epoll] {
        let dir = Scratch::new();
        let cycle = || {
            let setup = Setup { dir: dir.path(), io, shards: 2, page_bytes: 512 };
            let (node, shared) = setup.start().unwrap();
            let streams: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(node.addr()).unwrap()).collect();
            echo_once(&node);
            let mut flooded = TcpStream::connect(node.addr()).unwrap();
            flooded.write_all(b"*").unwrap();
            flooded.read_exact(&mut [0; 10]).unwrap();
            eventually("all are accepted", || Shared::count(&shared.accepted) == 22);
            node.stop();
            node.join().unwrap();
            drop(streams);
        };
        cycle();
        let (fds, threads) = (count("fd"), count("task"));
        (0..10).for_each(|_| cycle());
        eventually("the kernel has torn down its rings", || count("fd") == fds && count("task") == threads);
    }
}
