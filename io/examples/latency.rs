//! Compares the driver with bare system calls: a durable write of one block, and a round trip of 128 bytes.
//! `cargo run --release -p highwater-io --example latency -- DIRECTORY`
#![expect(clippy::unwrap_used, reason = "a measurement that fails ends")]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant as Clock;

use highwater_core::buf::{PageMut, Pool, Slice};
use highwater_core::id::{FileId, OpId, StreamId};
use highwater_core::shard::{Config, Durability, Effect, Event, FileChange, Halt, Input, Outcome};
use highwater_core::time::{Instant, Now};
use highwater_io::driver::Machine;
use highwater_io::launch::{Bootable, IoMode, Launch, Node, Pin};

const WRITES: u64 = 20_000;
const BLOCKS: u64 = 2048;
const ROUND_TRIPS: usize = 50_000;
const FILE: FileId = FileId::Wal { stream: StreamId(highwater_core::id::Uuid([1; 16])), number: 0 };

/// Echoes, and when told to writes block after block.
struct Subject {
    effects: VecDeque<Effect>,
    block: Slice,
    began: Clock,
    done: u64,
    micros: Vec<f64>,
    report: Sender<Vec<f64>>,
}

impl Subject {
    fn write_next(&mut self) {
        self.began = Clock::now();
        self.effects.push_back(Effect::Write {
            op: OpId(self.done),
            file: FILE,
            at: self.done % BLOCKS * 4096,
            parts: vec![self.block.clone()],
            durability: Durability::Durable,
        });
    }
}

impl Machine for Subject {
    fn handle(&mut self, _now: Now, input: Input) {
        match input {
            Input::Accepted { conn, .. } => {
                self.effects.push_back(Effect::Recv { conn, into: PageMut::with_len(4096), at: 0 });
            }
            Input::Received { conn, page, len } if page.as_slice()[0] == b'w' && len == 1 => {
                let change = FileChange::Create { len: BLOCKS * 4096 };
                self.effects.push_back(Effect::File { op: OpId(u64::MAX), file: FILE, change });
                self.effects.push_back(Effect::Recv { conn, into: page, at: 0 });
            }
            Input::Received { conn, page, len } => {
                let parts = vec![Slice::from_vec(page.as_slice()[..len as usize].to_vec())];
                self.effects.push_back(Effect::Send { conn, parts });
                self.effects.push_back(Effect::Recv { conn, into: page, at: 0 });
            }
            Input::Disk { op, outcome } => {
                assert!(matches!(outcome, Outcome::Done));
                if op.0 != u64::MAX {
                    self.micros.push(self.began.elapsed().as_secs_f64() * 1e6);
                    self.done += 1;
                }
                if self.done < WRITES {
                    self.write_next();
                } else {
                    self.report.send(std::mem::take(&mut self.micros)).unwrap();
                }
            }
            Input::Stop => self.effects.push_back(Effect::Halt(Halt::Stopped)),
            Input::Sent { .. }
            | Input::Closed { .. }
            | Input::Shard { .. }
            | Input::FileSystem(_)
            | Input::LogLevel { .. }
            | Input::Tick => {}
        }
    }

    fn poll(&mut self, _now: Now) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn poll_event(&mut self) -> Option<Event> {
        None
    }

    fn is_done(&self) -> bool {
        true
    }
}

impl Bootable for Subject {
    type Shard = Running;

    fn into_shards(self, _now: Now) -> Vec<Running> {
        vec![Running(self)]
    }
}

struct Running(Subject);

impl Machine for Running {
    fn handle(&mut self, now: Now, input: Input) {
        self.0.handle(now, input);
    }

    fn poll(&mut self, now: Now) -> Option<Effect> {
        self.0.poll(now)
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn poll_event(&mut self) -> Option<Event> {
        None
    }

    fn is_done(&self) -> bool {
        false
    }
}

fn block() -> Slice {
    let mut pool = Pool::new(4096);
    let page = pool.alloc(4096).unwrap();
    pool.freeze(page)
}

fn bare_writes(dir: &Path) -> Vec<f64> {
    let path = dir.join("bare");
    let zeroes = PageMut::with_len(1 << 20);
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).custom_flags(libc::O_DIRECT).open(&path).unwrap();
    (0..(BLOCKS * 4096) >> 20).for_each(|mib| file.write_all_at(zeroes.as_slice(), mib << 20).unwrap());
    file.sync_all().unwrap();
    // One call per write, as pwritev2 with RWF_DSYNC: a file opened with O_DSYNC writes the same.
    let file =
        std::fs::OpenOptions::new().write(true).custom_flags(libc::O_DIRECT | libc::O_DSYNC).open(&path);
    let (file, block) = (file.unwrap(), block());
    let micros = (0..WRITES)
        .map(|number| {
            let began = Clock::now();
            file.write_all_at(&block, number % BLOCKS * 4096).unwrap();
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    std::fs::remove_file(path).unwrap();
    micros
}

fn round_trips(mut stream: TcpStream) -> Vec<f64> {
    stream.set_nodelay(true).unwrap();
    let mut bytes = [b'x'; 128];
    (0..ROUND_TRIPS)
        .map(|_| {
            let began = Clock::now();
            stream.write_all(&bytes).unwrap();
            stream.read_exact(&mut bytes).unwrap();
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect()
}

fn bare_round_trips() -> Vec<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut bytes = [0; 4096];
        while let Ok(len @ 1..) = stream.read(&mut bytes) {
            stream.write_all(&bytes[..len]).unwrap();
        }
    });
    let micros = round_trips(TcpStream::connect(addr).unwrap());
    server.join().unwrap();
    micros
}

fn start(dir: &Path, io: IoMode) -> (Node, std::sync::mpsc::Receiver<Vec<f64>>) {
    let (report, reports) = channel();
    let launch = Launch {
        data_dir: dir.join("node"),
        listen: "127.0.0.1:0".parse().unwrap(),
        io,
        pin: Pin::No,
        config: Arc::new(Config::default()),
    };
    let subject = Subject {
        effects: VecDeque::new(),
        block: block(),
        began: Clock::now(),
        done: 0,
        micros: Vec::new(),
        report,
    };
    (launch.start_with(|_| subject).unwrap(), reports)
}

fn print(what: &str, mut micros: Vec<f64>, bare: Option<f64>) -> f64 {
    micros.sort_by(f64::total_cmp);
    let (p50, p99) = (micros[micros.len() / 2], micros[micros.len() / 100 * 99]);
    let ratio = bare.map_or(String::new(), |bare| format!("  {:.2} × bare", p50 / bare));
    println!("{what:42} p50 {p50:7.1} µs  p99 {p99:7.1} µs{ratio}");
    p50
}

fn main() {
    let dir: PathBuf = std::env::args_os().nth(1).expect("a directory on the disk to measure").into();
    std::fs::create_dir_all(&dir).unwrap();
    let write = print("bare O_DIRECT + O_DSYNC write, 4 KiB", bare_writes(&dir), None);
    let echo = print("bare blocking echo, 128 B", bare_round_trips(), None);
    for io in [IoMode::Uring, IoMode::Epoll] {
        let (node, reports) = start(&dir, io);
        let name = node.io().storage.to_string();
        let mut stream = TcpStream::connect(node.addr()).unwrap();
        stream.write_all(b"w").unwrap();
        print(&name, reports.recv().unwrap(), Some(write));
        let micros = round_trips(stream);
        print(&format!("echo on {:?}", node.io().sockets), micros, Some(echo));
        node.stop();
        node.join().unwrap();
    }
    std::fs::remove_dir_all(dir.join("node")).unwrap();
}
