//! The disk must lose what it should lose, and nothing else.

use highwater_core::buf::{PageMut, Pool, Slice};
use highwater_core::id::{FileId, OpId, StreamId, Uuid};
use highwater_core::prng::Prng;
use highwater_core::shard::{Durability, FileChange, Outcome};

use super::{Disk, DiskSpeed, Owner, Request, Ticket};

const FILE: FileId = FileId::Superblock;

struct Bench {
    disk: Disk,
    ops: u64,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let speed = DiskSpeed { write_micros: 10, sync_micros: 10, read_micros: 10, factor: 1 };
        let mut bench = Self { disk: Disk::new(Prng::new(seed), speed), ops: 0 };
        bench.run(Request::Change { file: FILE, change: FileChange::Create { len: 8192 } });
        bench
    }

    fn submit(&mut self, request: Request) -> Ticket {
        self.ops += 1;
        self.disk.submit(Owner { shard: 0, op: OpId(self.ops) }, request).0
    }

    fn run(&mut self, request: Request) -> Outcome {
        let ticket = self.submit(request);
        self.disk.complete(ticket).outcome
    }

    fn read(&mut self) -> Vec<u8> {
        match self.run(Request::Read { file: FILE, at: 0, into: PageMut::with_len(8192) }) {
            Outcome::Read { page, len } => page.as_slice()[..len as usize].to_vec(),
            other @ (Outcome::Done | Outcome::Failed { .. }) => panic!("{other:?}"),
        }
    }
}

fn write(byte: u8, durability: Durability) -> Request {
    let mut pool = Pool::new(1 << 20);
    let mut page = pool.alloc(8192).unwrap();
    page.as_mut_slice().fill(byte);
    let part: Slice = pool.freeze(page);
    Request::Write { file: FILE, at: 0, parts: vec![part], durability }
}

/// How many of `seeds` end with all, some and no sectors of the 7s.
fn ends(scenario: impl Fn(&mut Bench)) -> [u32; 3] {
    let mut ends = [0; 3];
    for seed in 0..200 {
        let mut bench = Bench::new(seed);
        scenario(&mut bench);
        let new = bench.read().iter().filter(|&&byte| byte == 7).count();
        ends[match new {
            8192 => 0,
            0 => 2,
            _ => 1,
        }] += 1;
    }
    ends
}

#[test]
fn unsynced_write_survives_kill_and_is_lost_by_power_off() {
    let killed = ends(|bench| {
        bench.run(write(7, Durability::Cached));
        bench.disk.kill();
    });
    assert_eq!(killed, [200, 0, 0]);
    let [all, some, none] = ends(|bench| {
        bench.run(write(7, Durability::Cached));
        bench.disk.power_off();
    });
    assert!(all > 10 && some > 10 && none > 10, "{all} {some} {none}");
}

#[test]
fn durable_write_survives_power_off() {
    let outcome = ends(|bench| {
        bench.run(write(7, Durability::Durable));
        bench.disk.power_off();
    });
    assert_eq!(outcome, [200, 0, 0]);
}

#[test]
fn durable_write_in_flight_is_kept_torn_or_lost() {
    let [all, some, none] = ends(|bench| {
        bench.submit(write(7, Durability::Durable));
        bench.disk.power_off();
    });
    assert!(all > 10 && some > 10 && none > 10, "{all} {some} {none}");
}

#[test]
fn sync_covers_what_had_completed_when_it_was_issued() {
    let outcome = ends(|bench| {
        bench.run(write(7, Durability::Cached));
        bench.run(Request::Sync { file: FILE });
        bench.disk.power_off();
    });
    assert_eq!(outcome, [200, 0, 0]);
    let [_, some, none] = ends(|bench| {
        let write = bench.submit(write(7, Durability::Cached));
        let sync = bench.submit(Request::Sync { file: FILE });
        bench.disk.complete(write);
        bench.disk.complete(sync);
        bench.disk.power_off();
    });
    assert!(some > 10 && none > 10, "a flush that was already running proves nothing: {some} {none}");
}

#[test]
fn durable_write_is_not_undone_by_an_older_unsynced_one() {
    let outcome = ends(|bench| {
        bench.run(write(3, Durability::Cached));
        bench.run(write(7, Durability::Durable));
        bench.disk.power_off();
    });
    assert_eq!(outcome, [200, 0, 0]);
}

#[test]
fn failed_sync_leaves_clean_pages_that_no_later_sync_saves() {
    let [_, some, none] = ends(|bench| {
        bench.run(write(7, Durability::Cached));
        bench.disk.faults.sync_per_million = 1_000_000;
        assert!(matches!(bench.run(Request::Sync { file: FILE }), Outcome::Failed { .. }));
        bench.disk.faults.sync_per_million = 0;
        bench.run(Request::Sync { file: FILE });
        assert_eq!(bench.read(), [7; 8192], "reads show the page until the power goes");
        bench.disk.power_off();
    });
    assert!(some > 10 && none > 10, "{some} {none}");
}

#[test]
fn change_in_flight_happens_or_not() {
    let mut happened = 0;
    for seed in 0..200 {
        let mut bench = Bench::new(seed);
        bench.submit(Request::Change { file: FILE, change: FileChange::Delete });
        bench.disk.power_off();
        happened += u32::from(bench.disk.list().is_empty());
    }
    assert!((10..190).contains(&happened), "{happened}");
}

/// Of 200 seeds: how many show the second file after the kill, and how many still do when the power has gone.
fn named(before_the_cut: impl Fn(&mut Bench)) -> (u32, u32) {
    let second = FileId::Checkpoint { stream: StreamId(Uuid([1; 16])) };
    let is_there = |bench: &mut Bench| bench.disk.files.contains_key(&second);
    let (mut shown, mut lasting) = (0, 0);
    for seed in 0..200 {
        let mut bench = Bench::new(seed);
        bench.submit(Request::Change { file: FILE, change: FileChange::Rename { to: second } });
        bench.disk.kill();
        shown += u32::from(is_there(&mut bench));
        before_the_cut(&mut bench);
        bench.disk.power_off();
        lasting += u32::from(is_there(&mut bench));
        assert_eq!(bench.disk.files.len(), 1, "a file that is renamed has one of its names");
    }
    (shown, lasting)
}

#[test]
fn name_that_was_not_synced_shows_and_may_not_last() {
    let (shown, lasting) = named(|_| {});
    assert!(shown > 10 && lasting + 10 < shown, "{shown} {lasting}");
    let (shown, lasting) = named(|bench| assert_eq!(bench.disk.list().len(), 1));
    assert_eq!(shown, lasting, "who lists syncs");
}

#[test]
fn full_disk_refuses_growth_and_serves_the_rest() {
    let mut bench = Bench::new(1);
    bench.disk.faults.capacity = Some(8192);
    assert!(matches!(bench.run(write(7, Durability::Durable)), Outcome::Done));
    let grow = Request::Write {
        file: FILE,
        at: 8192,
        parts: vec![Slice::from_vec(vec![1])],
        durability: Durability::Cached,
    };
    assert!(matches!(bench.run(grow), Outcome::Failed { .. }));
    assert_eq!(bench.read(), [7; 8192]);
}

#[test]
fn same_seed_same_fate() {
    let image = |seed| {
        let mut bench = Bench::new(seed);
        bench.run(write(7, Durability::Cached));
        bench.disk.power_off();
        bench.read()
    };
    assert!((0..50).all(|seed| image(seed) == image(seed)));
}
