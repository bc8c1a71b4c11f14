//! A node as a process, for the tests that need one.
#![allow(dead_code, reason = "no test needs all of it")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A directory below the target directory, removed at the end.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn data(&self) -> String {
        self.0.join("data").to_str().unwrap().into()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn highwater(args: &[&str]) -> Command {
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
pub(crate) struct Node {
    pub(crate) child: Child,
    pub(crate) banner: String,
    pub(crate) stderr: Option<JoinHandle<String>>,
}

/// A test that fails leaves no node behind.
impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    pub(crate) fn start(data: &str, more: &[&str]) -> Self {
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

    /// One that was started otherwise, without its banner.
    pub(crate) fn of(child: Child) -> Self {
        Self { child, banner: String::new(), stderr: Some(std::thread::spawn(String::new)) }
    }

    /// The address in the banner line that begins with `name`.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        let line = self.banner.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        let word = line.split_whitespace().nth(1).unwrap();
        word.trim_start_matches("http://").parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// The exit code, how long the end took, and what was logged.
    pub(crate) fn end(mut self) -> (Option<i32>, Duration, String) {
        let asked = Instant::now();
        let status = self.child.wait().unwrap();
        (status.code(), asked.elapsed(), self.stderr.take().unwrap().join().unwrap())
    }
}
