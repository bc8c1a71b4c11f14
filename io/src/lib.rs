//! Highwater's drivers: they carry out what the core orders and tell it what happened. They decide nothing.
//!
//! The async [`driver`] is generic over a small runtime ([`rt`]), a [`storage::Disk`] and a [`mesh::Mesh`], so the same code runs
//! on io_uring or epoll in production and on the simulator's executor. `launch` puts a whole node together; it and all else that
//! touches the system is behind the feature `production`.
//!
//! This is the only crate with `unsafe`: memory lent to the kernel and system calls that the standard library lacks.
#![cfg_attr(
    feature = "production",
    expect(unsafe_code, reason = "memory is lent to the kernel; every block says why it may be")
)]

#[cfg(feature = "production")]
pub mod bell;
pub mod driver;
#[cfg(feature = "production")]
pub mod files;
#[cfg(feature = "production")]
pub mod launch;
#[cfg(feature = "production")]
pub mod lock;
pub mod mesh;
#[cfg(feature = "record")]
pub mod record;
pub mod rt;
#[cfg(feature = "production")]
pub mod rt_monoio;
pub mod storage;
#[cfg(feature = "production")]
mod sys;
#[cfg(feature = "production")]
mod uring;
