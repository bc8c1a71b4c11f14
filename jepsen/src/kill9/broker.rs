//! The broker's process: started, killed, started again on the same port and data. It never outlives the test.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Options;
use super::groups::SETTINGS;
use super::load::PARTITIONS;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// An ApiVersions request of version 0 with correlation id 77, and the head of an answer after its length.
const PROBE: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 77, 0xff, 0xff];

#[derive(Debug)]
pub(crate) struct Broker {
    command: Vec<String>,
    log: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Broker {
    pub(crate) fn start(options: &Options, directory: &Path) -> Result<Self, String> {
        let data = directory.join("data").display().to_string();
        let binary = options.binary.display().to_string();
        let mut command: Vec<String> = [
            &binary,
            "dev",
            "--data-dir",
            &data,
            "--shards",
            "2",
            "--io",
            &options.io,
            "--http",
            "127.0.0.1:0",
        ]
        .map(String::from)
        .to_vec();
        let own = [format!("num.partitions={PARTITIONS}")].into_iter().chain(SETTINGS.map(String::from));
        for set in own.chain(options.sets.iter().cloned()) {
            command.extend(["--set".into(), set]);
        }
        let mut broker = Self { command, log: directory.join("broker.log"), port: 0, child: None };
        broker.restart()?;
        Ok(broker)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts the process and waits until it answers; the port is any that is free at first and stays the same then.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        assert!(self.child.is_none(), "a broker is killed before it is started again");
        let failed = |error| format!("cannot open the broker's log: {error}");
        let mut log = OpenOptions::new().create(true).append(true).open(&self.log).map_err(failed)?;
        writeln!(log, "--- start").map_err(failed)?;
        let begin = log.metadata().map_err(failed)?.len();
        let errors = log.try_clone().map_err(failed)?;
        let (program, arguments) = self.command.split_first().expect("the command has a program");
        let child = Command::new(program)
            .args(arguments)
            .args(["--listen", &self.address()])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        let child = self.child.insert(child);
        let until = Instant::now() + START_TIMEOUT;
        while Instant::now() < until {
            if let Ok(Some(status)) = child.try_wait() {
                self.child = None;
                return Err(format!("the broker ended with {status} instead of serving"));
            }
            let ports =
                if self.port == 0 { announced(&text_from(&self.log, begin)) } else { vec![self.port] };
            if let Some(port) = ports.into_iter().find(|port| speaks_kafka(*port)) {
                self.port = port;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("the broker does not answer within {START_TIMEOUT:?}"))
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself, which the restart will show.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn last_lines(&self) -> String {
        let text = text_from(&self.log, 0);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn text_from(path: &Path, begin: u64) -> String {
    let mut bytes = Vec::new();
    // What cannot be read yet is read at the next look.
    let _ = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    let begin = usize::try_from(begin).map_or(bytes.len(), |begin| begin.min(bytes.len()));
    String::from_utf8_lossy(&bytes[begin..]).into_owned()
}

/// The loopback ports that a text names.
fn announced(text: &str) -> Vec<u16> {
    let after = text.split("127.0.0.1:").skip(1);
    let digits = after.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    digits.filter_map(|digits| digits.parse().ok()).filter(|port| *port != 0).collect()
}

/// Whether an ApiVersions request is answered; the port of something else closes or answers otherwise.
fn speaks_kafka(port: u16) -> bool {
    let ask = || -> std::io::Result<[u8; 8]> {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let mut connection = TcpStream::connect_timeout(&address.into(), Duration::from_secs(1))?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        connection.write_all(&PROBE)?;
        let mut head = [0; 8];
        connection.read_exact(&mut head)?;
        Ok(head)
    };
    ask().is_ok_and(|head| head[4..] == [0, 0, 0, 77])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announced_ports_are_found_in_any_words() {
        let text = "kafka on 127.0.0.1:4711, http://127.0.0.1:9644/metrics; not 127.0.0.1:0, 127.0.0.1:99999 or 10.0.0.1:1\n";
        assert_eq!(announced(text), [4711, 9644]);
    }
}
