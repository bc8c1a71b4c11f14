//! Files of recovery points.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::shard::fuzz_recovery_points(data));
