//! The standard workloads: what they are called, and the words of their commands.

/// A workload that has a name.
pub(super) struct Standard {
    pub(super) name: &'static str,
    pub(super) words: &'static [&'static str],
    pub(super) who: Who,
    pub(super) length: Length,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Floors too: only batches are written.
    All,
    Targets,
    /// Only the first of the targets: nothing is compared.
    First,
}

/// How often it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// In each round.
    Short,
    /// Once, and only if it is asked for.
    Long,
}

pub(super) const STANDARD: [Standard; 17] = [
    Standard { name: "idle", words: &["idle"], who: Who::Targets, length: Length::Short },
    Standard {
        name: "start",
        words: &["restart", "--gib", "0", "--partitions", "1"],
        who: Who::Targets,
        length: Length::Short,
    },
    Standard {
        name: "large-batches",
        words: &["produce", "--acks", "1", "--batch-records", "64", "--record-bytes", "1024"],
        who: Who::All,
        length: Length::Short,
    },
    Standard {
        name: "small-records",
        words: &[
            "produce",
            "--acks",
            "1",
            "--batch-records",
            "150",
            "--record-bytes",
            "100",
            "--partitions",
            "8",
            "--connections",
            "8",
            "--depth",
            "8",
        ],
        who: Who::All,
        length: Length::Short,
    },
    Standard {
        name: "unbatched",
        words: &[
            "produce",
            "--acks",
            "1",
            "--batch-records",
            "1",
            "--record-bytes",
            "100",
            "--partitions",
            "8",
            "--connections",
            "8",
            "--depth",
            "8",
        ],
        who: Who::All,
        length: Length::Short,
    },
    Standard {
        name: "peak",
        words: &[
            "produce",
            "--acks",
            "1",
            "--batch-records",
            "64",
            "--record-bytes",
            "1024",
            "--partitions",
            "8",
            "--connections",
            "8",
            "--depth",
            "5",
        ],
        who: Who::All,
        length: Length::Short,
    },
    Standard {
        name: "durable-depth-1",
        words: &["produce", "--acks", "-1", "--batch-records", "1", "--record-bytes", "1024", "--depth", "1"],
        who: Who::All,
        length: Length::Short,
    },
    Standard {
        name: "durable-16x3",
        words: &[
            "produce",
            "--acks",
            "-1",
            "--batch-records",
            "1",
            "--record-bytes",
            "1024",
            "--partitions",
            "16",
            "--connections",
            "16",
            "--depth",
            "3",
        ],
        who: Who::All,
        length: Length::Short,
    },
    Standard {
        name: "end-to-end",
        words: &["e2e", "--rate", "1000", "--batch-records", "1", "--record-bytes", "1024"],
        who: Who::Targets,
        length: Length::Short,
    },
    Standard {
        name: "fetch-tail",
        words: &["fetch", "--batch-records", "64", "--record-bytes", "1024", "--load-mib", "32"],
        who: Who::Targets,
        length: Length::Short,
    },
    Standard {
        name: "fetch-cold",
        words: &["fetch", "--batch-records", "64", "--record-bytes", "1024", "--load-mib", "2048", "--cold"],
        who: Who::Targets,
        length: Length::Short,
    },
    Standard {
        name: "commits",
        words: &["commits", "--groups", "100", "--connections", "64", "--depth", "1"],
        who: Who::Targets,
        length: Length::Short,
    },
    Standard {
        name: "heartbeats-consumer",
        words: &["heartbeats", "--groups", "10000", "--connections", "16", "--protocol", "consumer"],
        who: Who::Targets,
        length: Length::Short,
    },
    Standard {
        name: "heartbeats-classic",
        words: &["heartbeats", "--groups", "10000", "--connections", "16", "--protocol", "classic"],
        who: Who::Targets,
        length: Length::Short,
    },
    Standard {
        name: "connections-10k",
        words: &["conns", "--idle-connections", "10000"],
        who: Who::Targets,
        length: Length::Long,
    },
    Standard {
        name: "partitions-100k",
        words: &[
            "partitions",
            "--partitions",
            "100000",
            "--topics",
            "100",
            "--acks",
            "1",
            "--connections",
            "8",
            "--depth",
            "8",
        ],
        who: Who::First,
        length: Length::Long,
    },
    Standard {
        name: "restart-12gib",
        words: &["restart", "--gib", "12", "--partitions", "6000"],
        who: Who::First,
        length: Length::Long,
    },
];
