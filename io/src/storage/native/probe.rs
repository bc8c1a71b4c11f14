//! Finds out how writes become durable in a directory, by trying.

use std::fs;
use std::io;
use std::path::Path;

use highwater_core::buf::PageMut;
use highwater_core::limits::BLOCK_BYTES;

use crate::files::TEMPORARY;
use crate::rt_monoio::iovec;
use crate::storage::native::CacheMode;
use crate::storage::native::blocking;
use crate::storage::native::fds::Access;
use crate::sys;

/// What the file system of `dir` offers. A full disk does not hinder it.
pub fn probe(dir: &Path) -> io::Result<CacheMode> {
    let path = dir.join(format!("probe{TEMPORARY}"));
    fs::File::create(&path)?;
    let result = try_write(&path);
    fs::remove_file(&path)?;
    result
}

fn try_write(path: &Path) -> io::Result<CacheMode> {
    let (file, access) = blocking::open(path, Access::Direct)?;
    if access == Access::Buffered {
        return Ok(CacheMode::Buffered);
    }
    let page = PageMut::with_len(BLOCK_BYTES);
    match sys::pwritev(&file, &[iovec(page.as_slice())], 0, libc::RWF_DSYNC) {
        Ok(_) => Ok(CacheMode::DirectDsync),
        Err(error) => match error.raw_os_error() {
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => Ok(CacheMode::DirectSync),
            Some(libc::EINVAL) => Ok(CacheMode::Buffered),
            Some(libc::ENOSPC | libc::EDQUOT) => Ok(CacheMode::DirectDsync),
            Some(_) | None => Err(error),
        },
    }
}
