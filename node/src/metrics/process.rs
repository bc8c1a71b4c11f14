//! What the kernel says of this process, under the names that Prometheus' client libraries give it. Linux only; what cannot be read
//! is left out.

use std::fs;

use super::families as f;
use super::page::{Family, Page};

/// Ticks of /proc in a second. The kernel has shown its times in this unit on every architecture that we build for since 2.6.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn write(page: &mut Page) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let system = fs::read_to_string("/proc/stat").unwrap_or_default();
    let figures: [(&'static Family, Option<f64>); 6] = [
        (&f::PROCESS_CPU, cpu_seconds(&stat)),
        (&f::PROCESS_RESIDENT, kibibytes(&status, "VmRSS:").map(|kib| kib * 1024.0)),
        (&f::PROCESS_VIRTUAL, kibibytes(&status, "VmSize:").map(|kib| kib * 1024.0)),
        (&f::PROCESS_OPEN_FDS, open_fds()),
        (&f::PROCESS_MAX_FDS, max_fds(&limits)),
        (&f::PROCESS_START_TIME, start_seconds(&stat, &system)),
    ];
    for (family, figure) in figures {
        let mut samples = page.family(family);
        if let Some(figure) = figure {
            samples.add(&[], figure);
        }
    }
}

/// The fields of /proc/PID/stat from the third on; the second is a name that may hold anything.
fn fields(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace().collect())
}

/// Field `number`, counted from 1 as in the kernel's documentation.
fn ticks(stat: &str, number: usize) -> Option<f64> {
    fields(stat)?.get(number - 3)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((ticks(stat, 14)? + ticks(stat, 15)?) / TICKS_PER_SECOND)
}

fn start_seconds(stat: &str, system: &str) -> Option<f64> {
    let booted: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(booted + ticks(stat, 22)? / TICKS_PER_SECOND)
}

fn kibibytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn max_fds(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn open_fds() -> Option<f64> {
    // Since Linux 6.2 the size of the directory is the count; to list tens of thousands of names takes long.
    let size = fs::metadata("/proc/self/fd").ok()?.len();
    let count = if size > 0 { size } else { fs::read_dir("/proc/self/fd").ok()?.count().try_into().ok()? };
    u32::try_from(count).ok().map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_right_fields() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15 16 17 18 700 20 21";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(start_seconds(stat, "cpu 1\nbtime 1000\n"), Some(1007.0));
        assert_eq!(kibibytes("VmSize:\t 12 kB\nVmRSS:\t  34 kB\n", "VmRSS:"), Some(34.0));
        assert_eq!(
            max_fds("Max open files            1024                 524288               files\n"),
            Some(1024.0)
        );
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn this_process_has_all_of_them() {
        let mut page = Page::default();
        write(&mut page);
        let text = page.finish();
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 6, "{text}");
    }
}
