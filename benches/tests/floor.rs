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
