//! Where a run took place: the machine as its kernel tells it, and the broker as far as it or its user tells. Measures nothing.

mod broker;
mod mounts;

use std::{fs, thread};

use serde::{Deserialize, Serialize};

pub(crate) use self::broker::BrokerFacts;

/// The machine of the load, and what is known of the broker. What is not known is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub(crate) bench: String,
    /// Of this program's source.
    #[serde(default)]
    pub(crate) commit: Option<String>,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    /// How the kernel chooses the clock of a core.
    #[serde(default)]
    pub(crate) governor: Option<String>,
    #[serde(default)]
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) kernel: String,
    #[serde(default)]
    pub(crate) broker: BrokerFacts,
}

impl Environment {
    pub(crate) fn of_this_machine() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpus = text("/proc/cpuinfo");
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let governor = text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
        Self {
            bench: env!("CARGO_PKG_VERSION").into(),
            commit: option_env!("HIGHWATER_BENCH_COMMIT").map(Into::into),
            cpu: model.map_or("unknown", |(_, model)| model).into(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            governor: Some(governor.trim().to_owned()).filter(|governor| !governor.is_empty()),
            memory_bytes: memory_bytes(&text("/proc/meminfo")),
            kernel: text("/proc/sys/kernel/osrelease").trim().into(),
            broker: BrokerFacts::default(),
        }
    }

    /// The machine in a few words.
    pub(crate) fn machine(&self) -> String {
        format!("{}, {} cores, Linux {}", self.cpu, self.cores, self.kernel)
    }
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_without_what_was_added_later_can_be_read() {
        let old = r#"{"bench": "0.1.0", "cpu": "a", "cores": 2, "kernel": "6.1"}"#;
        let environment: Environment = serde_json::from_str(old).unwrap();
        assert_eq!((environment.commit, environment.broker), (None, BrokerFacts::default()));
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(memory_bytes("MemTotal:       24684092 kB\nMemFree: 1 kB\n"), Some(24_684_092 * 1024));
        assert_eq!(memory_bytes(""), None);
    }
}
