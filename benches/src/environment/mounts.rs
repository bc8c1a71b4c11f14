//! What a directory lies on, as the kernel's list of mounts tells it.

use std::fs;
use std::path::Path;

/// A file system and what is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) file_system: String,
    pub(super) device: String,
    /// `write back` of a device that has a cache which a power cut empties, unless it is told to flush.
    pub(super) write_cache: Option<String>,
}

/// Of a path that exists on this machine.
pub(super) fn mount_of(path: &Path) -> Option<Mount> {
    let path = path.canonicalize().ok()?;
    let (number, file_system, device) = find(&fs::read_to_string("/proc/self/mountinfo").ok()?, &path)?;
    // A partition has no queue of its own, the disk that it is on has.
    let queue = |at: &str| fs::read_to_string(format!("/sys/dev/block/{number}/{at}queue/write_cache")).ok();
    let write_cache = queue("").or_else(|| queue("../")).map(|text| text.trim().to_owned());
    Some(Mount { file_system, device, write_cache })
}

/// The number of the device, the kind of the file system and its source: of the last of the longest mounts that hold the path.
fn find(mountinfo: &str, path: &Path) -> Option<(String, String, String)> {
    let mut found: Option<(usize, (String, String, String))> = None;
    for line in mountinfo.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let before: Vec<&str> = before.split(' ').collect();
        let after: Vec<&str> = after.split(' ').collect();
        let (Some(number), Some(point)) = (before.get(2), before.get(4)) else { continue };
        let (Some(kind), Some(source)) = (after.first(), after.get(1)) else { continue };
        // Spaces and their like are written as octal numbers.
        let point = point.replace("\\040", " ");
        let length = point.len();
        if path.starts_with(&point) && found.as_ref().is_none_or(|(longest, _)| length >= *longest) {
            found = Some((length, ((*number).into(), (*kind).into(), (*source).into())));
        }
    }
    found.map(|(_, mount)| mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_mount_that_holds_a_path_is_its_own() {
        let mounts = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            21 20 8:2 / /data rw,noatime shared:3 - xfs /dev/sda2 rw\n\
            22 20 0:9 / /data\\040two rw - tmpfs none rw\n";
        let kind = |path: &str| find(mounts, Path::new(path)).map(|(_, kind, _)| kind);
        assert_eq!(kind("/data/log").as_deref(), Some("xfs"));
        assert_eq!(kind("/database").as_deref(), Some("ext4"));
        assert_eq!(kind("/data two/x").as_deref(), Some("tmpfs"));
        assert_eq!(find("", Path::new("/")), None);
    }
}
