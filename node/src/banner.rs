//! What a started node shows: addresses, promises and three lines to try. Text only; it writes nothing.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the banner tells.
#[derive(Debug)]
pub(crate) struct Banner<'a> {
    pub(crate) kafka: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) data_dir: &'a Path,
    /// What an acknowledged record has survived, in words.
    pub(crate) durability: &'a str,
    pub(crate) io: &'a str,
    /// What the system allows it, in words.
    pub(crate) limits: &'a str,
    pub(crate) shards: u16,
    pub(crate) ready_after: Duration,
    /// How to call this binary from where the user stands.
    pub(crate) command: &'a str,
}

/// Whether to mark the headline for a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Terminal,
}

impl Banner<'_> {
    pub(crate) fn text(&self, style: Style) -> String {
        let (strong, weak, end) = match style {
            Style::Plain => ("", "", ""),
            Style::Terminal => ("\x1b[1m", "\x1b[2m", "\x1b[0m"),
        };
        let mut text = String::new();
        let version = env!("CARGO_PKG_VERSION");
        let ready = format!("{:.3}", self.ready_after.as_secs_f64());
        let _ = writeln!(text, "\n{strong}Highwater {version}{end}  ready after {ready} s\n");
        let http = dialled(self.http);
        for (name, value) in [
            ("Kafka", self.kafka.to_string()),
            ("HTTP", format!("http://{http}  (/metrics, /livez, /readyz?verbose)")),
            ("Data", self.data_dir.display().to_string()),
            ("Durability", self.durability.to_owned()),
            ("I/O", self.io.to_owned()),
            ("Limits", self.limits.to_owned()),
            ("Shards", self.shards.to_string()),
        ] {
            let _ = writeln!(text, "  {weak}{name:<11}{end}{value}");
        }
        let _ = writeln!(text, "\n{strong}Try{end}");
        for (with, line) in self.lines_to_try() {
            let _ = writeln!(text, "  {weak}# {with}{end}\n  {line}");
        }
        text.push('\n');
        text
    }

    /// Each works by itself, in a shell, as it stands.
    fn lines_to_try(&self) -> [(&'static str, String); 3] {
        let broker = dialled(self.kafka);
        let command = self.command;
        let default_port = broker == SocketAddr::from((Ipv4Addr::LOCALHOST, 9092));
        let bootstrap = if default_port { String::new() } else { format!(" --bootstrap {broker}") };
        [
            ("kcat", format!("echo hello | kcat -b {broker} -t demo -P")),
            (
                "Python, with kafka-python",
                format!(
                    "python3 -c \"import kafka; p = kafka.KafkaProducer(bootstrap_servers='{broker}'); \
                     print(p.send('demo', b'hello from Python').get(10))\""
                ),
            ),
            ("this binary", format!("{command} consume demo --from beginning{bootstrap}")),
        ]
    }
}

/// The address that a client on this machine dials.
fn dialled(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address
}

/// How to call this binary: by its name if the search path leads to it, else by a path from the working directory.
pub(crate) fn own_command() -> String {
    let Ok(exe) = std::env::current_exe() else { return "highwater".into() };
    let found: Option<PathBuf> = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).map(|dir| dir.join("highwater")).find(|candidate| candidate.is_file())
    });
    if found.and_then(|path| path.canonicalize().ok()).is_some_and(|path| path == exe) {
        return "highwater".into();
    }
    let here = std::env::current_dir().unwrap_or_default();
    let path = exe.strip_prefix(here).map_or(exe.as_path(), |below| below).display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if path.chars().all(plain) {
        // A relative path needs a slash, or the shell searches for it.
        if path.contains('/') { path } else { format!("./{path}") }
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner(kafka: &str) -> String {
        Banner {
            kafka: kafka.parse().unwrap(),
            http: "127.0.0.1:9644".parse().unwrap(),
            data_dir: Path::new("highwater-data"),
            durability: "on disk",
            io: "io_uring",
            limits: "1024 open files",
            shards: 2,
            ready_after: Duration::from_millis(12),
            command: "highwater",
        }
        .text(Style::Plain)
    }

    #[test]
    fn banner_says_all_in_plain_text() {
        let text = banner("127.0.0.1:9092");
        for part in
            ["ready after 0.012 s", "Kafka      127.0.0.1:9092", "on disk", "io_uring", "Shards     2"]
        {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn lines_to_try_dial_what_this_machine_reaches() {
        let text = banner("0.0.0.0:19092");
        assert!(text.contains("kcat -b 127.0.0.1:19092 "), "{text}");
        assert!(
            text.contains("highwater consume demo --from beginning --bootstrap 127.0.0.1:19092\n"),
            "{text}"
        );
        assert!(banner("[::]:1").contains("-b [::1]:1 "));
        assert!(banner("127.0.0.1:9092").contains("--from beginning\n"));
    }
}
