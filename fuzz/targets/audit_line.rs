//! Feeds `audit_line` with what libFuzzer makes up.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sendpromptly_fuzz::audit_line(data));
