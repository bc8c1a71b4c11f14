//! What processes have used, as the kernel counts it: processor time and memory of brokers that run on this machine.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// Where the times of all threads stand, counted from behind the name of the process, which may have spaces.
const USER_TICKS_AT: usize = 11;

/// A process is idle that for so long used no more than this share of a core. How long it is waited for.
const IDLE_FOR: Duration = Duration::from_secs(1);
const IDLE_SHARE: f64 = 0.05;
const IDLE_PATIENCE: Duration = Duration::from_secs(60);

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Used {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    /// What the disk had to read and write for it; of somebody else's process it may not be seen.
    pub(crate) disk: Option<Disk>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) read_bytes: u64,
    pub(crate) written_bytes: u64,
}

/// The sum over `pids`.
pub(crate) fn used(pids: &[u32]) -> Result<Used, Failure> {
    let mut sum = Used { disk: Some(Disk::default()), ..Used::default() };
    for pid in pids {
        let gone = |error| Failure(format!("process {pid} cannot be looked at: {error}"));
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(gone)?;
        sum.cpu_seconds += cpu_seconds(&stat).ok_or_else(|| Failure(format!("no times in {stat}")))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(gone)?;
        sum.resident_bytes += resident_bytes(&status).unwrap_or(0);
        let io = fs::read_to_string(format!("/proc/{pid}/io")).ok();
        sum.disk = sum.disk.zip(io.as_deref().and_then(disk)).map(|(one, other)| Disk {
            read_bytes: one.read_bytes + other.read_bytes,
            written_bytes: one.written_bytes + other.written_bytes,
        });
    }
    Ok(sum)
}

/// Files and sockets that are open, of all together.
pub(crate) fn open_files(pids: &[u32]) -> Result<u64, Failure> {
    let mut sum = 0;
    for pid in pids {
        let gone = |error| Failure(format!("process {pid} cannot be looked at: {error}"));
        sum += u64::try_from(fs::read_dir(format!("/proc/{pid}/fd")).map_err(gone)?.count()).unwrap_or(0);
    }
    Ok(sum)
}

/// Of the program that a process runs.
pub(crate) fn program_bytes(pid: u32) -> Result<u64, Failure> {
    let gone = |error| Failure(format!("the program of process {pid} cannot be looked at: {error}"));
    Ok(fs::metadata(format!("/proc/{pid}/exe")).map_err(gone)?.len())
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(USER_TICKS_AT);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a hundred")]
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    Some((user + system) / ticks_per_second)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn disk(io: &str) -> Option<Disk> {
    let bytes = |name: &str| io.lines().find_map(|line| line.strip_prefix(name))?.parse().ok();
    Some(Disk { read_bytes: bytes("read_bytes: ")?, written_bytes: bytes("write_bytes: ")? })
}

/// Until processes have neither run nor written for a while, or for as long as that may take.
pub(crate) fn wait_until_idle(pids: &[u32]) -> Result<(), Failure> {
    let until = Instant::now() + IDLE_PATIENCE;
    let mut before = used(pids)?;
    while Instant::now() < until {
        thread::sleep(IDLE_FOR);
        let after = used(pids)?;
        let cpu_seconds = after.cpu_seconds - before.cpu_seconds;
        if cpu_seconds <= IDLE_FOR.as_secs_f64() * IDLE_SHARE && after.disk == before.disk {
            return Ok(());
        }
        before = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 100 0 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        let told = "rchar: 7\nread_bytes: 4096\nwrite_bytes: 8\ncancelled_write_bytes: 9\n";
        assert_eq!(disk(told), Some(Disk { read_bytes: 4_096, written_bytes: 8 }));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    12 kB\n"), Some(12_288));
    }

    #[test]
    fn own_process_has_used_something() {
        let own = used(&[std::process::id()]).expect("it runs");
        assert!(own.resident_bytes > 0);
        let before = open_files(&[std::process::id()]).expect("it runs");
        let _held: Vec<fs::File> =
            (0..100).map(|_| fs::File::open("/dev/null").expect("it is there")).collect();
        assert!(open_files(&[std::process::id()]).expect("it runs") > before + 50);
        assert!(program_bytes(std::process::id()).expect("it runs") > 100_000);
        assert!(used(&[u32::MAX]).is_err());
    }
}
