//! The footer of a closed segment: what it says of it.

use std::io::{Read, Write};
use std::path::Path;

use highwater_core::log::footer;

use super::unreadable;
use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::when;

pub(super) fn run(path: &Path, mut file: impl Read, out: &mut impl Write) -> Result<(), Ended> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    let footer = footer::decode(&bytes).ok_or_else(|| Failure {
        exit: Exit::Failed,
        what: "the footer is damaged".into(),
        place: path.display().to_string(),
        why: "neither of its two copies is sound".into(),
        fix: "start the node: it makes a footer anew from its segment".into(),
    })?;
    let newest = footer.timestamp_max.map_or_else(|| "none".into(), when::show);
    let (base, end, len) = (footer.base, footer.end, footer.len);
    let mut text = format!("offsets {base}..{end}, {len} bytes, newest record {newest}\n");
    for entry in footer.index.entries() {
        let offset = footer.base.0 + i64::from(entry.offset_delta);
        text.push_str(&format!("  offset {offset} or later at {}\n", entry.position));
    }
    for start in &footer.epochs {
        text.push_str(&format!("  epoch {} from offset {}\n", start.epoch.0, start.start));
    }
    for extent in &footer.faulty {
        text.push_str(&format!("  LOST offsets {}..={}\n", extent.base, extent.last));
    }
    out.write_all(text.as_bytes()).map_err(Ended::by_output)
}
