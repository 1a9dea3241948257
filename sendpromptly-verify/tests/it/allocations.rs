//! Verifying allocates nothing, whatever it comes to.

use allocation_counter::measure;
use sendpromptly_verify::VerifyError;

use crate::callback::{BODY, NONCE, NOW, headers, verifier};

#[test]
fn verifying_allocates_nothing() {
    let (verifier, genuine) = (verifier(), headers(NOW, NONCE, BODY));
    let changed = |index: usize, value: &str| {
        let mut headers = genuine.clone();
        headers[index].1 = value.to_owned();
        headers
    };
    let many = changed(2, &["v1=", &"0".repeat(64), ","].concat().repeat(10_000));
    for (headers, now, refusal) in [
        (genuine.clone(), NOW, false),
        (genuine.clone(), NOW + 301, true),
        (changed(0, "soon"), NOW, true),
        (changed(2, &"0".repeat(64)), NOW, true),
        (many, NOW, true),
        (Vec::new(), NOW, true),
    ] {
        let mut refused = None;
        let allocations = measure(|| refused = verifier.verify(&headers, BODY, now).err());
        assert_eq!(refused.is_some(), refusal, "{refused:?}");
        assert_eq!(allocations.count_total, 0, "{refused:?}");
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(vec![1])).count_total, 1);
    assert_eq!(measure(|| _ = VerifyError::Stale.to_string()).count_current, 0);
}
