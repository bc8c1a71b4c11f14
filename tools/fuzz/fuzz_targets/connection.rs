//! Any bytes as what a client sends, cut into frames.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::shard::fuzz_connection(data));
