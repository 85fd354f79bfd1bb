#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::decoders::feed("log_bundle", bytes));
