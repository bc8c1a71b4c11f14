//! The program against its own floor: a run leaves a result that can be read, compared and drawn.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const BENCH: &str = env!("CARGO_BIN_EXE_highwater-bench");

struct Floor {
    child: Child,
    address: String,
}

impl Floor {
    fn start(dir: &Path, durable: bool) -> Self {
        let mut command = Command::new(BENCH);
        command.args(["floor", "--listen", "127.0.0.1:0", "--file-mib", "4", "--file"]).arg(dir.join("file"));
        let mut child =
            command.args(durable.then_some("--durable")).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("it says where it is");
        let address = line.strip_prefix("floor on ").and_then(|rest| rest.split(',').next());
        let address = address.expect("the line begins with the address").to_owned();
        Self { child, address }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

fn dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).expect("the target directory is ours");
    dir
}

fn bench(words: &[&str]) -> Output {
    Command::new(BENCH).args(words).output().expect("it starts")
}

fn produce(floor: &Floor, out: &Path, words: &[&str]) -> String {
    let out = out.to_str().expect("the path is text");
    let pid = floor.child.id().to_string();
    let common = ["produce", "--bootstrap", &floor.address, "--seconds", "1", "--warmup-seconds", "0.1"];
    let told = bench(&[&common[..], &["--pid", &pid, "--out", out], words].concat());
    assert!(told.status.success(), "{told:?}");
    String::from_utf8(told.stdout).expect("it prints text")
}

#[test]
fn run_leaves_a_result_that_compares_with_itself() {
    let dir = dir("compares");
    let floor = Floor::start(&dir, false);
    let result = dir.join("a.json");
    let told = produce(&floor, &result, &["--rate", "2000", "--batch-records", "2", "--partitions", "3"]);
    assert!(told.contains("open loop, 2000 records/s") && !told.contains("never"), "{told}");
    let result = result.to_str().expect("the path is text");
    let compared = bench(&["compare", result, result]);
    let text = String::from_utf8_lossy(&compared.stdout);
    assert!(compared.status.success() && text.contains("no difference"), "{compared:?}");
    let page = dir.join("report.html");
    let page_name = page.to_str().expect("the path is text");
    assert!(bench(&["report", result, "--out", page_name]).status.success());
    assert!(std::fs::read_to_string(&page).expect("it was written").contains("<polyline"));
    let exported = bench(&["export", result]).stdout;
    assert!(String::from_utf8_lossy(&exported).contains("#[Max"));
}

#[test]
fn result_says_where_it_was_measured() {
    let dir = dir("where");
    let floor = Floor::start(&dir, false);
    let result = dir.join("a.json");
    let said = ["--data-dir", "/proc", "--io-driver", "epoll"];
    produce(&floor, &result, &said);
    let text = std::fs::read_to_string(&result).expect("it was written");
    for part in ["\"io_driver\": \"epoll\"", "\"file_system\": \"proc\"", "\"kernel\"", "\"configs\": null"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let page = dir.join("report.html");
    let names = [&result, &page].map(|path| path.to_str().expect("the path is text"));
    assert!(bench(&["report", names[0], "--out", names[1]]).status.success());
    assert!(std::fs::read_to_string(&page).expect("it was written").contains("<td>/proc proc proc"));
}

#[test]
fn progress_is_told_unless_it_is_not_wanted() {
    let floor = Floor::start(&dir("progress"), false);
    let common = ["produce", "--bootstrap", &floor.address, "--seconds", "5", "--warmup-seconds", "0.1"];
    let told = String::from_utf8(bench(&common).stderr).expect("it is text");
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines.len() == 1 && lines[0].starts_with("5 of 5 s: ") && lines[0].contains("p99"), "{told}");
    let quiet = bench(&[&common[..], &["--quiet"]].concat());
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{quiet:?}");
}

#[test]
fn unlike_durability_is_refused() {
    let dir = dir("unlike");
    let floor = Floor::start(&dir, false);
    let (one, other) = (dir.join("one.json"), dir.join("other.json"));
    produce(&floor, &one, &["--durability", "page-cache"]);
    produce(&floor, &other, &["--durability", "disk"]);
    let paths = [&one, &other].map(|path| path.to_str().expect("the path is text"));
    assert_eq!(bench(&["compare", paths[0], paths[1]]).status.code(), Some(2));
    assert_ne!(bench(&["compare", paths[0], paths[1], "--force"]).status.code(), Some(2));
}

#[test]
fn garbage_ends_its_connection_and_not_the_floor() {
    let dir = dir("garbage");
    let floor = Floor::start(&dir, false);
    for bytes in [&[0x80, 0, 0, 0][..], &[0, 0, 0, 3, 1, 2, 3], &[0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 1]] {
        let mut socket = std::net::TcpStream::connect(&floor.address).expect("it listens");
        std::io::Write::write_all(&mut socket, bytes).expect("it reads");
        let mut rest = Vec::new();
        // Closed or reset: either way nothing is answered.
        let _ = std::io::Read::read_to_end(&mut socket, &mut rest);
        assert!(rest.is_empty(), "{rest:?}");
    }
    produce(&floor, &dir.join("after.json"), &[]);
}

/// A figure that a command printed.
fn figure(told: &Output, name: &str) -> f64 {
    assert!(told.status.success(), "{told:?}");
    let text = String::from_utf8_lossy(&told.stdout);
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[test]
fn idle_connections_are_opened_and_kept_while_others_write() {
    let floor = Floor::start(&dir("conns"), false);
    let pid = floor.child.id().to_string();
    let words =
        ["conns", "--bootstrap", &floor.address, "--pid", &pid, "--idle-connections", "200", "--with-load"];
    let told = bench(&[&words[..], &["--seconds", "0.5", "--warmup-seconds", "0.1", "--quiet"]].concat());
    // Those, one before them, one for questions, and what the floor has open by itself.
    assert!(figure(&told, "idle open files") >= 202.0, "{told:?}");
    assert!(figure(&told, "connections opened in s") > 0.0);
    assert!(figure(&told, "B per idle connection") >= 0.0);
    assert!(String::from_utf8_lossy(&told.stdout).contains("produce_ack"), "{told:?}");
}

#[test]
fn partitions_are_made_written_and_measured_against_one() {
    let floor = Floor::start(&dir("partitions"), false);
    let pid = floor.child.id().to_string();
    let words =
        ["partitions", "--bootstrap", &floor.address, "--pid", &pid, "--partitions", "600", "--topics", "3"];
    let told = bench(&[&words[..], &["--seconds", "0.5", "--warmup-seconds", "0.1", "--quiet"]].concat());
    assert!(figure(&told, "open files per written partition").abs() < 0.01);
    assert!(figure(&told, "produce_ack requests/s of one partition") > 0.0);
    assert!(figure(&told, "throughput lost %") < 100.0);
}

#[test]
fn idle_broker_uses_next_to_nothing() {
    let floor = Floor::start(&dir("idle"), false);
    let pid = floor.child.id().to_string();
    let told = bench(&["idle", "--bootstrap", &floor.address, "--pid", &pid, "--seconds", "1"]);
    assert!(figure(&told, "idle CPU %") <= 2.0 && figure(&told, "MB of program") > 0.5, "{told:?}");
    assert_eq!(bench(&["idle", "--bootstrap", &floor.address]).status.code(), Some(2));
}

#[test]
fn sweep_ends_at_the_knee() {
    let dir = dir("sweep");
    let floor = Floor::start(&dir, false);
    let out = dir.join("out").to_str().expect("the path is text").to_owned();
    let words =
        ["sweep", "--from", "200", "--factor", "1000", "--knee-ms", "600000", "--out", &out, "--", "produce"];
    let load = ["--bootstrap", &floor.address, "--batch-records", "1", "--seconds", "2", "--quiet"];
    let told = bench(&[&words[..], &load, &["--warmup-seconds", "0.1"]].concat());
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success() && text.contains("were answered"), "{told:?}");
    let page = std::fs::read_to_string(dir.join("out/report.html")).expect("it was written");
    assert!(page.contains("latency by rate") && page.contains("200/s"), "both steps are on it");
    let again = dir.join("again.html").to_str().expect("the path is text").to_owned();
    let combined = dir.join("out/sweep.json").to_str().expect("the path is text").to_owned();
    assert!(bench(&["report", &combined, "--out", &again]).status.success());
    assert!(std::fs::read_to_string(again).expect("it was written").contains("latency by rate"));
}

#[test]
fn killed_leader_is_survived_by_another_and_alone_by_its_own_start() {
    let dir = dir("failover");
    let data = dir.join("data").to_str().expect("the path is text").to_owned();
    let floor = format!("{BENCH} floor --listen 127.0.0.1:{{port}} --file-mib 1 --file {{dir}}");
    let (one, other) = (format!("one=page-cache={floor}"), format!("other=page-cache={floor}"));
    let words = ["failover", "--times", "2", "--dir", &data, "--target", &one];
    let alone = bench(&words);
    assert!(figure(&alone, "ms without a write") > 0.0);
    // Nobody starts the first again before the other has answered.
    let both = bench(&[&words[..], &["--target", &other]].concat());
    assert!(figure(&both, "ms without a write") > 0.0);
}
