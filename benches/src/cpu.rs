//! What processes have used, as the kernel counts it: processor time and memory of brokers that run on this machine.

use std::fs;

use crate::failure::Failure;

/// Where the times of all threads stand, counted from behind the name of the process, which may have spaces.
const USER_TICKS_AT: usize = 11;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Used {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
}

/// The sum over `pids`.
pub(crate) fn used(pids: &[u32]) -> Result<Used, Failure> {
    let mut sum = Used::default();
    for pid in pids {
        let gone = |error| Failure(format!("process {pid} cannot be looked at: {error}"));
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(gone)?;
        sum.cpu_seconds += cpu_seconds(&stat).ok_or_else(|| Failure(format!("no times in {stat}")))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(gone)?;
        sum.resident_bytes += resident_bytes(&status).unwrap_or(0);
    }
    Ok(sum)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 100 0 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    12 kB\n"), Some(12_288));
    }

    #[test]
    fn own_process_has_used_something() {
        let own = used(&[std::process::id()]).expect("it runs");
        assert!(own.resident_bytes > 0);
        assert!(used(&[u32::MAX]).is_err());
    }
}
