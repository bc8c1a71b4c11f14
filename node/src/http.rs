//! Health, metrics and views over HTTP, on a thread of its own. Asks the shards through the survey; orders them nothing. Bounded in
//! connections, in bytes of a request and in time, so that nobody can tie it up.

mod pages;
pub(crate) mod readiness;
mod retention;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use highwater_cli::{Exit, Failure};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;

pub(crate) use self::pages::Pages;
use crate::config::{HostPort, HttpIfBusy};
use crate::logs::HTTP;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 64;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long a connection may take to send the head of a request, and may be idle between two.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection may last, whatever it does.
const CONNECTION_WITHIN: Duration = Duration::from_secs(60);

/// Pause of the accepting after the system ran out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes the port, so that a busy one is known before anything else starts.
pub(crate) fn bind(at: &HostPort, if_busy: HttpIfBusy) -> Result<TcpListener, Failure> {
    let host = at.host.as_str();
    let listener = match (TcpListener::bind((host, at.port)), if_busy) {
        (Err(error), HttpIfBusy::UseFreePort) if error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind((host, 0))
        }
        (result, HttpIfBusy::UseFreePort | HttpIfBusy::Fail) => result,
    };
    listener
        .and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        })
        .map_err(|error| Failure {
            exit: Exit::Failed,
            what: "cannot listen for HTTP".into(),
            place: at.to_string(),
            why: error.to_string(),
            fix: "stop what uses the port, or choose another with --http HOST:PORT (http.listen in a file); port 0 is any free one".into(),
        })
}

/// Serves the pages until the process ends.
pub(crate) fn serve(listener: TcpListener, pages: Arc<Pages>) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _context = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let run = move || runtime.block_on(accept_all(listener, pages));
    std::thread::Builder::new().name("http".into()).spawn(run)?;
    Ok(address)
}

async fn accept_all(listener: tokio::net::TcpListener, pages: Arc<Pages>) {
    let router = pages::router(pages);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_BYTES_MAX);
    loop {
        let place = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(target: HTTP, %error, "cannot accept a connection for HTTP");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection =
            http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            match tokio::time::timeout(CONNECTION_WITHIN, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(target: HTTP, %error, "an HTTP connection failed"),
                Err(_) => tracing::debug!(target: HTTP, "an HTTP connection lasted too long"),
            }
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests;
