//! Judges a history from a file and prints what is wrong with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;

use highwater_jepsen::anomaly::{self, Kind, Verdict};
use highwater_jepsen::ndjson;

/// Anomalies of a kind that are told; more of them tell nothing new.
const TOLD_MAX: usize = 10;

/// The error is what is wrong with the history or why it cannot be judged.
pub(crate) fn run(path: &str) -> Result<(), String> {
    let file = File::open(path).map_err(|error| format!("cannot open {path}: {error}"))?;
    let history = ndjson::read(BufReader::new(file)).map_err(|error| format!("{path}: {error}"))?;
    let anomalies = anomaly::check(&history).map_err(|error| format!("{path}: {error}"))?;
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    let mut errors = 0;
    for anomaly in &anomalies {
        let is_allowed = Verdict::STRICT.allows(anomaly);
        errors += usize::from(!is_allowed);
        let count = counts.entry(anomaly.kind()).or_default();
        *count += 1;
        if *count <= TOLD_MAX {
            println!("{}{}", if is_allowed { "(legal) " } else { "" }, anomaly.told(&history));
        }
    }
    println!("{} entries, {} anomalies, {errors} of them errors", history.len(), anomalies.len());
    for (kind, count) in counts {
        println!("{count:>8} {}", kind.name());
    }
    if errors > 0 { Err(format!("{path} is not valid")) } else { Ok(()) }
}
