//! A client on a madsim node of its own: carries out what it wants, tells it what happened. Must not know what it is after.

use std::rc::Rc;

use highwater_core::client::Address;
use highwater_core::id::ConnId;
use highwater_core::time::Duration;
use madsim::net::TcpStream;

use super::node::PORT;
use super::rt::{Sock, elapsed, sleep, start, wall_millis};
use super::stage::with;
use crate::bytes::joined;
use crate::clients::{Act, Desk, Heard};

/// A client is woken at least this often, so that it notices that the run drains.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes of one read.
const READ_BYTES: usize = 16 << 10;

/// The address of a node.
pub(super) fn ip(node: usize) -> String {
    format!("10.0.0.{}", node + 1)
}

/// Runs a client for ever.
pub(super) async fn live(client: usize) {
    loop {
        hear(client, Heard::Wake);
        sleep(LOOK).await;
    }
}

fn hear(client: usize, heard: Heard) {
    let now = elapsed();
    let acts = with(|stage| {
        stage.stamp(0x400 | client as u64);
        if let Heard::Bytes { bytes, .. } = &heard {
            stage.fingerprint.bytes(bytes);
        }
        let mut desk = Desk {
            now,
            wall_millis: wall_millis(now),
            topics: &stage.params.topics,
            draining: stage.draining
                || stage.params.operations_max.is_some_and(|most| stage.requests >= most),
            // Members of groups are not run in the sandbox.
            closing: false,
            rest_factor: stage.params.rest_factor,
            history: &mut stage.history,
            operations: &mut stage.operations,
            violation: &mut stage.violation,
            acts: Vec::new(),
        };
        stage.clients[client].hear(heard, &mut desk);
        let acts = desk.acts;
        let sends = acts.iter().filter(|act| matches!(act, Act::Send { .. })).count();
        stage.requests += sends as u64;
        stage.settle();
        acts
    });
    for act in acts {
        carry_out(client, act);
    }
}

fn carry_out(client: usize, act: Act) {
    match act {
        Act::Connect { conn, address } => start(connection(client, conn, address)),
        Act::Send { conn, parts } => {
            let Some(sock) = with(|stage| stage.socks.get(&(client, conn)).map(Rc::clone)) else { return };
            // Whoever reads hears that the connection is gone.
            let _ = sock.write(&joined(&parts));
        }
        Act::Close { conn } => {
            if let Some(sock) = with(|stage| stage.socks.remove(&(client, conn))) {
                sock.end();
            }
        }
        // Links are held up here by the sandbox, all of them.
        Act::Delay { .. } => {}
        Act::Wake { at } => start(async move {
            sleep(at.since(elapsed())).await;
            hear(client, Heard::Wake);
        }),
    }
}

async fn connection(client: usize, conn: ConnId, address: Address) {
    let node = address.host.strip_prefix("node-").and_then(|number| number.parse().ok());
    let to = node.map(|node: usize| format!("{}:{PORT}", ip(node)));
    let stream = match to {
        Some(to) if address.port == PORT => TcpStream::connect(to).await,
        Some(_) | None => Err(std::io::ErrorKind::NotFound.into()),
    };
    let Ok(stream) = stream else { return hear(client, Heard::Closed { conn }) };
    let sock = Sock::new(stream);
    with(|stage| stage.socks.insert((client, conn), Rc::clone(&sock)));
    hear(client, Heard::Connected { conn });
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(len) = sock.read(&mut buffer).await
        && len > 0
    {
        hear(client, Heard::Bytes { conn, bytes: buffer[..len].to_vec() });
    }
    if with(|stage| stage.socks.remove(&(client, conn))).is_some() {
        hear(client, Heard::Closed { conn });
    }
}
