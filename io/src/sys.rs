//! System calls that the standard library does not offer, each behind a safe function. Knows no policy.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::rt::PARTS_MAX;

fn checked(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A new eventfd, non-blocking and closed on exec.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: the call takes no memory.
    let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just created and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(crate) fn write_u64(fd: BorrowedFd<'_>, value: u64) -> io::Result<usize> {
    let bytes = value.to_ne_bytes();
    // SAFETY: the buffer lives through the call and has the length that is named.
    checked(unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })
}

pub(crate) fn read_u64(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes = [0_u8; 8];
    // SAFETY: the buffer lives through the call and has the length that is named.
    checked(unsafe { libc::read(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) })?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Blocks until `fd` can be read; returns early when a signal arrives.
pub(crate) fn poll_readable(fd: BorrowedFd<'_>) {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid structure, as the count says, that lives through the call.
    unsafe { libc::poll(&raw mut poll, 1, -1) };
}

/// Ends both directions of a socket: pending and later reads see the end of the stream, writes fail.
pub(crate) fn shutdown(fd: i32) {
    // SAFETY: the call takes no memory. A failure means that the peer was faster.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}

/// Writes what `parts` names at `at`, as far as the kernel takes it at once.
pub(crate) fn pwritev(file: &File, parts: &[libc::iovec], at: u64, flags: i32) -> io::Result<usize> {
    let count = i32::try_from(parts.len().min(PARTS_MAX)).expect("below the limit of one call");
    let at = i64::try_from(at).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    // SAFETY: the iovecs name live memory (their owner is borrowed by the caller), and `count` of them exist.
    checked(unsafe { libc::pwritev2(file.as_raw_fd(), parts.as_ptr(), count, at, flags) })
}

/// Makes all of the file system durable on which `file` lies.
pub(crate) fn sync_file_system(file: &File) -> io::Result<()> {
    // SAFETY: the call takes no memory.
    match unsafe { libc::syncfs(file.as_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The size of the file system on which `dir` lies, and what an unprivileged user may still take of it.
pub(crate) fn file_system(dir: &File) -> io::Result<(u64, u64)> {
    // SAFETY: zeroes are a value of this structure of integers.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives through the call.
    match unsafe { libc::fstatvfs(dir.as_raw_fd(), &raw mut found) } {
        0 => {
            let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
            Ok((bytes(found.f_blocks), bytes(found.f_bavail)))
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// Random bytes of the kernel, for seeds.
pub(crate) fn random_u64() -> io::Result<u64> {
    let mut bytes = [0_u8; 8];
    // SAFETY: the buffer lives through the call and has the length that is named.
    checked(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) })?;
    Ok(u64::from_ne_bytes(bytes))
}

/// The processors that this process may run on, in order.
pub(crate) fn allowed_cpus() -> Vec<usize> {
    // SAFETY: all-zero is a valid value of this plain bit set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set lives through the call and has the size that is named.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
        return Vec::new();
    }
    let count = usize::try_from(libc::CPU_SETSIZE).expect("a positive constant");
    // SAFETY: every index is below the size of the set.
    (0..count).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

/// Binds the calling thread to one processor.
pub(crate) fn pin_to(cpu: usize) -> io::Result<()> {
    // SAFETY: all-zero is a valid value of this plain bit set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the index came from `allowed_cpus` and lies within the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set lives through the call and has the size that is named.
    if unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lifts the limit of open files as far as the process may.
pub(crate) fn raise_file_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives through the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 1024;
    }
    let wanted = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
    // SAFETY: the structure lives through the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) } == 0 {
        return wanted.rlim_cur;
    }
    limit.rlim_cur
}
