//! The node as a process: it starts, says where it is, stops when asked, and fails in words.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A directory below the target directory, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn data(&self) -> String {
        self.0.join("data").to_str().unwrap().into()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn highwater(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("RUST_LOG");
    command
}

/// A node that has shown its banner.
struct Node {
    child: Child,
    banner: String,
    stderr: Option<JoinHandle<String>>,
}

/// A test that fails leaves no node behind.
impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    fn start(data: &str, more: &[&str]) -> Self {
        let args = ["dev", "--data-dir", data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let mut child = highwater(&[&args[..], more].concat()).spawn().unwrap();
        let mut pipe = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        });
        let mut banner = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        while !banner.contains(" consume demo ") {
            if stdout.read_line(&mut banner).unwrap() == 0 {
                child.wait().unwrap();
                panic!("no banner; it said {banner}{}", stderr.join().unwrap());
            }
        }
        Self { child, banner, stderr: Some(stderr) }
    }

    /// The address in the banner line that begins with `name`.
    fn address(&self, name: &str) -> SocketAddr {
        let line = self.banner.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        let word = line.split_whitespace().nth(1).unwrap();
        word.trim_start_matches("http://").parse().unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// The exit code, how long the end took, and what was logged.
    fn end(mut self) -> (Option<i32>, Duration, String) {
        let asked = Instant::now();
        let status = self.child.wait().unwrap();
        (status.code(), asked.elapsed(), self.stderr.take().unwrap().join().unwrap())
    }
}

fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn failure(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    // Log lines are JSON; the failure is one error with its four parts.
    let words: Vec<&str> = said.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(words.len(), 4, "{said}");
    assert!(words[0].starts_with("error: ") && words[3].starts_with("  fix:   "), "{said}");
    words.join("\n")
}

#[test]
fn node_starts_serves_and_stops_when_asked() {
    let dir = Dir::new("starts");
    for (signal, driver) in [("TERM", "auto"), ("INT", "epoll")] {
        let node = Node::start(&dir.data(), &["--shards", "2", "--io", driver]);
        let http = node.address("HTTP");
        let answer = ask(http, "/readyz?verbose");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("[+] shards: 2 of 2 run"), "{answer}");
        assert!(ask(http, "/metrics").contains("\nhighwater_ready 1\n"));
        TcpStream::connect(node.address("Kafka")).unwrap();
        node.signal(signal);
        let (code, took, log) = node.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(took < Duration::from_secs(1), "it took {took:?}: {log}");
        assert!(log.contains("\"message\":\"stopped\""), "{log}");
    }
}

#[test]
fn busy_port_is_said_and_nothing_is_harmed() {
    let dir = Dir::new("busy");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = ["dev", "--data-dir", &dir.data(), "--listen", &address, "--http", "127.0.0.1:0"];
    let said = failure(&highwater(&args).output().unwrap());
    assert!(said.contains(&address), "{said}");
    let args = ["dev", "--data-dir", &dir.data(), "--listen", "127.0.0.1:0", "--http", &address];
    let said = failure(&highwater(&args).output().unwrap());
    assert!(said.contains("HTTP") && said.contains(&address), "{said}");
}

#[test]
fn second_node_on_a_port_is_refused() {
    let (one, two) = (Dir::new("port-one"), Dir::new("port-two"));
    let node = Node::start(&one.data(), &[]);
    let address = node.address("Kafka").to_string();
    let args = ["dev", "--data-dir", &two.data(), "--listen", &address, "--http", "127.0.0.1:0"];
    let said = failure(&highwater(&args).output().unwrap());
    assert!(said.contains(&address), "{said}");
    node.signal("TERM");
    assert_eq!(node.end().0, Some(0));
}

#[test]
fn locked_directory_is_said_and_its_holder_goes_on() {
    let dir = Dir::new("locked");
    let node = Node::start(&dir.data(), &[]);
    let args = ["dev", "--data-dir", &dir.data(), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let said = failure(&highwater(&args).output().unwrap());
    assert!(said.contains(&dir.data()) && said.contains(&node.child.id().to_string()), "{said}");
    assert!(ask(node.address("HTTP"), "/readyz").starts_with("HTTP/1.1 200 "));
    node.signal("TERM");
    assert_eq!(node.end().0, Some(0));
}

#[test]
fn directory_that_cannot_be_written_is_said() {
    let dir = Dir::new("unwritable");
    let file = dir.0.join("file");
    fs::write(&file, "not a directory").unwrap();
    // sysfs lets nobody make a directory, not even root.
    for path in [file.to_str().unwrap(), "/sys/highwater"] {
        let args = ["dev", "--data-dir", path, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let said = failure(&highwater(&args).output().unwrap());
        assert!(said.contains(path), "{said}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"not a directory");
}

#[test]
fn serve_reads_its_file() {
    let dir = Dir::new("serve");
    let config = dir.0.join("node.toml");
    let text = format!(
        "node.id = 3\nlisteners = \"127.0.0.1:0\"\nhttp.listen = \"127.0.0.1:0\"\nlog.dirs = \"{}\"\nshards = 1\n",
        dir.data()
    );
    fs::write(&config, text).unwrap();
    let mut child = highwater(&["serve", "--config", config.to_str().unwrap()]).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"message\":\"ready\"") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended before it was ready");
    }
    assert!(line.contains("\"shards\":1"), "{line}");
    let node = Node { child, banner: String::new(), stderr: Some(std::thread::spawn(String::new)) };
    node.signal("TERM");
    assert_eq!(node.end().0, Some(0));
}

fn user(node: &Node, args: &[&str]) -> (Option<i32>, String) {
    let kafka = node.address("Kafka").to_string();
    let output = highwater(&[args, &["--bootstrap", &kafka]].concat()).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn commands_write_and_read_back() {
    let dir = Dir::new("commands");
    let node = Node::start(&dir.data(), &["--shards", "2"]);
    assert_eq!(user(&node, &["topic", "create", "orders", "-p", "3"]), (Some(0), "orders created\n".into()));
    let (code, said) = user(&node, &["topic", "create", "orders"]);
    assert!(code == Some(1) && said.contains("TOPIC_ALREADY_EXISTS"), "{said}");
    let values: Vec<String> = (0..1000).map(|n| format!("value-{n}")).collect();
    let words: Vec<&str> =
        ["produce", "orders"].into_iter().chain(values.iter().map(String::as_str)).collect();
    assert_eq!(user(&node, &words).0, Some(0));
    let (code, said) = user(&node, &["consume", "orders", "--from", "beginning", "--exit-at-end"]);
    let mut read: Vec<&str> = said.lines().collect();
    read.sort_unstable_by_key(|line| (line.len(), *line));
    assert_eq!((code, read), (Some(0), values.iter().map(String::as_str).collect()));
    let keyed = ["produce", "orders", "v", "--key", "foobar", "--header", "a=1"];
    assert_eq!(user(&node, &keyed).0, Some(0));
    // murmur2("foobar") without its sign, modulo 3, as Kafka's own clients place it.
    let only = ["consume", "orders", "-p", "0", "--from", "beginning", "-e", "--format", r"%k %h\n"];
    let (_, said) = user(&node, &only);
    assert!(said.lines().any(|line| line == "foobar a=1"), "{said}");
    let (code, said) = user(&node, &["topic", "describe", "nothing"]);
    assert!(code == Some(1) && said.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{said}");
    node.signal("TERM");
    assert_eq!(node.end().0, Some(0));
}
