//! One question to a node's HTTP port, and its answer. Knows no page.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Bytes of one answer.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What a node answers, whatever its status: an unready node answers with one, and that may be what is wanted.
#[derive(Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Asks the node at this address for a page.
pub fn http_get(address: &str, page: &str, within: Duration) -> io::Result<HttpAnswer> {
    let at = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&at, within)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    // Version 1.0 asks for a body without chunks, which ends with the connection.
    write!(stream, "GET {page} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    parse(answer)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what answers there does not speak HTTP"))
}

fn parse(mut answer: Vec<u8>) -> Option<HttpAnswer> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let body = answer.split_off(head + 4);
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    Some(HttpAnswer { status: words.next()?.parse().ok()?, body })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_http_is_an_answer() {
        let answer = parse(b"HTTP/1.0 503 Service Unavailable\r\na: b\r\n\r\nno\r\n\r\nt".to_vec()).unwrap();
        assert_eq!((answer.status, &*answer.body), (503, &b"no\r\n\r\nt"[..]));
        for wrong in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0 200\r\n\r\n", "HTTP/1.1 ok\r\n\r\n", "\r\n\r\n"] {
            assert_eq!(parse(wrong.as_bytes().to_vec()), None, "{wrong}");
        }
    }
}
