//! Two and three threads that send each other millions of messages through small rings.

use std::sync::Arc;

use super::{Node, mesh};
use crate::bell::Bell;

fn bells(count: usize) -> Vec<Arc<Bell>> {
    (0..count).map(|_| Arc::new(Bell::new().unwrap())).collect()
}

/// Sends `count` numbers to every peer and expects as many of each in order, with turns as a driver has them.
fn talk(mut node: Node<u64>, bell: &Bell, count: u64) {
    let peers: Vec<usize> = (0..node.incoming.len()).filter(|&peer| peer != node.id).collect();
    let mut expected = vec![0; node.incoming.len()];
    let mut sent = 0;
    loop {
        while let Some((from, number)) = node.receive() {
            assert_eq!(number, expected[from], "messages of one shard keep their order");
            expected[from] += 1;
        }
        for _ in 0..100 {
            if sent < count && !node.is_full() {
                peers.iter().for_each(|&peer| node.send(peer, sent));
                sent += 1;
            }
        }
        node.flush();
        let received = peers.iter().all(|&peer| expected[peer] == count);
        if received && sent == count && node.overflow_len == 0 {
            return;
        }
        if (sent == count || node.is_full()) && node.park() {
            bell.wait();
        }
        node.unpark();
    }
}

/// A lost wake-up shows as a thread that never ends, so the talk has a time limit.
fn run(shards: usize, ring_messages: usize, count: u64) {
    let bells = bells(shards);
    let nodes = mesh::<u64>(&bells, ring_messages);
    let (ended, ends) = std::sync::mpsc::channel();
    for (node, bell) in nodes.into_iter().zip(bells) {
        let ended = ended.clone();
        std::thread::spawn(move || {
            talk(node, &bell, count);
            ended.send(()).unwrap();
        });
    }
    for _ in 0..shards {
        ends.recv_timeout(std::time::Duration::from_secs(60)).expect("every shard hears all");
    }
}

#[test]
fn two_threads_lose_nothing_through_a_tiny_ring() {
    run(2, 2, 1_000_000);
}

#[test]
fn two_threads_lose_nothing_through_a_usual_ring() {
    run(2, super::RING_MESSAGES_MAX, 3_000_000);
}

#[test]
fn three_threads_lose_nothing() {
    run(3, 16, 500_000);
}

#[test]
fn a_turn_rings_once_and_only_a_sleeper() {
    let bells = bells(2);
    let mut nodes = mesh::<u64>(&bells, 64);
    let mut receiver = nodes.pop().unwrap();
    let mut sender = nodes.pop().unwrap();
    sender.send(1, 0);
    sender.flush();
    assert!(crate::sys::read_u64(std::os::fd::AsFd::as_fd(&*bells[1])).is_err(), "who is awake is not rung");
    assert!(!receiver.park(), "a message that is there keeps the shard awake");
    receiver.unpark();
    assert_eq!(receiver.receive(), Some((0, 0)));
    assert!(receiver.park());
    (0..50).for_each(|number| sender.send(1, number));
    sender.flush();
    sender.send(1, 50);
    sender.flush();
    assert_eq!(crate::sys::read_u64(std::os::fd::AsFd::as_fd(&*bells[1])).unwrap(), 1);
}

#[test]
fn a_dropped_shard_blocks_nobody() {
    let bells = bells(2);
    let mut nodes = mesh::<u64>(&bells, 4);
    let receiver = nodes.pop().unwrap();
    let mut sender = nodes.pop().unwrap();
    (0..10_000).for_each(|number| sender.send(1, number));
    assert!(sender.is_full());
    drop(receiver);
    sender.flush();
    assert!(!sender.is_full());
    assert!(sender.park(), "there is nothing left to wait for");
}
