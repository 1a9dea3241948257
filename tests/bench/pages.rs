//! How long a page of the console takes, as a browser sees it.

use std::time::Instant;

use sendpromptly_tests::browser::Browser;

use crate::report::median;

/// Rounds of each page, after one that warms up.
pub(crate) const ROUNDS: usize = 9;

/// The median of the rounds, in milliseconds.
pub(crate) async fn time(browser: &mut Browser, path: &str) -> f64 {
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let start = Instant::now();
        let page = browser.get(path).await;
        let took = start.elapsed().as_secs_f64() * 1e3;
        assert_eq!(page.status(), 200, "{path}");
        if round > 0 {
            times.push(took); // the first round warms up
        }
    }
    median(times)
}
