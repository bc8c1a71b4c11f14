//! Any bytes as what a client sends for a partition.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::batch::fuzz::produced(data));
