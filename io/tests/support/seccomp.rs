//! A seccomp filter that refuses io_uring as container runtimes do.
#![expect(unsafe_code, reason = "the system call takes pointers")]

/// `io_uring_setup` on every architecture that has it in the unified table.
const IO_URING_SETUP: u32 = 425;

const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;

/// From now on this thread and those that it starts get EPERM for `io_uring_setup`.
pub(crate) fn refuse_io_uring() {
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let eperm = u32::try_from(libc::EPERM).unwrap();
    let mut filter = [
        // The number of the call is the first word of what a filter sees.
        step(LOAD_WORD, 0, 0, 0),
        step(JUMP_IF_EQUAL, 0, 1, IO_URING_SETUP),
        step(RETURN, 0, 0, ERRNO | eperm),
        step(RETURN, 0, 0, ALLOW),
    ];
    let program = libc::sock_fprog { len: u16::try_from(filter.len()).unwrap(), filter: filter.as_mut_ptr() };
    // SAFETY: the calls take the numbers that they document, and the program and its filter live through them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let installed = libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program);
        assert_eq!(installed, 0, "{}", std::io::Error::last_os_error());
    }
}
