//! Highwater's drivers: they carry out what the core orders and tell it what happened. They decide nothing.
//!
//! The async [`driver`] is generic over a small runtime ([`rt`]), a [`storage::Disk`] and a [`mesh::Mesh`], so the same code runs
//! on io_uring or epoll in production and on the simulator's executor. [`launch`] puts a whole node together.
//!
//! This is the only crate with `unsafe`: memory lent to the kernel and system calls that the standard library lacks.
#![expect(unsafe_code, reason = "memory is lent to the kernel; every block says why it may be")]

pub mod bell;
pub mod driver;
pub mod files;
pub mod launch;
pub mod lock;
pub mod mesh;
pub mod rt;
pub mod rt_monoio;
pub mod storage;
mod sys;
