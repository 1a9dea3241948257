//! What verifying costs over the bare HMAC-SHA256 of the same crate, pre-keyed, over the body alone.
//!
//! `cargo bench -p sendpromptly-verify` prints for each size the ratio, both figures and the allocations. Both
//! sides take turns in one run, and medians are compared, for the machine's speed changes by the minute.

use std::hint::black_box;
use std::time::Instant;

use hmac::{Hmac, KeyInit, Mac};
use sendpromptly_verify::Verifier;
use sendpromptly_verify::signature::SigningKey;
use sha2::Sha256;

const SECRET: &str = "spsec_0123456789012345678901234567890123456789012";
const NOW: i64 = 1_769_851_800;
const NONCE: &str = "00112233445566778899aabbccddeeff";
const ROUNDS: usize = 301;
const CALLS_A_ROUND: u32 = 1_000;

fn main() {
    for size in [256, 1024, 64 * 1024] {
        compare(&vec![b'x'; size]);
    }
}

fn compare(body: &[u8]) {
    let bare = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap_or_else(|_| unreachable!());
    let bare = || {
        let mut mac = bare.clone();
        mac.update(black_box(body));
        mac.finalize()
    };
    let verifier = Verifier::new([SECRET]).unwrap_or_else(|error| panic!("{error}"));
    let headers = callback_headers(body);
    let verify = || verifier.verify(black_box(&headers), black_box(body), NOW);

    assert!(verify().is_ok(), "the callback verifies");
    let allocations = allocation_counter::measure(|| _ = black_box(verify())).count_total;
    let (mut bare_rounds, mut verify_rounds) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare_rounds.push(nanoseconds_a_call(bare));
        verify_rounds.push(nanoseconds_a_call(verify));
    }
    let (bare, verify) = (median(bare_rounds), median(verify_rounds));
    println!(
        "verify, {size} B: {ratio:.2}x (verify {verify:.0} ns, bare HMAC {bare:.0} ns), {allocations} allocations",
        size = body.len(),
        ratio = verify / bare,
    );
}

/// The headers as a customer's server meets them: among others.
fn callback_headers(body: &[u8]) -> Vec<(&'static str, String)> {
    let signature = SigningKey::new(SECRET.as_bytes()).sign(NOW, NONCE, body);
    let pairs = [
        ("host", "app.example"),
        ("user-agent", "SendPromptly/0.1.0"),
        ("content-type", "application/json"),
        ("accept", "*/*"),
        ("content-length", "1024"),
        ("x-sendpromptly-timestamp", &NOW.to_string()),
        ("x-sendpromptly-nonce", NONCE),
        ("x-sendpromptly-signature", &format!("v1={signature}")),
        ("x-sendpromptly-attempt", "1"),
    ];
    pairs.map(|(name, value)| (name, value.to_owned())).into()
}

fn nanoseconds_a_call<T>(call: impl Fn() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS_A_ROUND {
        _ = black_box(call());
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS_A_ROUND)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
