//! One payment event, from its receipt to its repair, over a store of one's own.

use embed_core::entropy;
use embed_core::monitor::{Monitor, MonitorError};
use sendpromptly_core::audit::Walk;
use sendpromptly_core::case::EffectReport;
use sendpromptly_core::credential::SigningSecret;
use sendpromptly_core::id::EventId;
use sendpromptly_core::replay::{AttemptOutcome, Effect};
use sendpromptly_core::time::Timestamp;

const RECEIPT: &str = r#"{"provider":"stripe","provider_event_id":"evt_1PaidForPro","event_type":"invoice.paid",
    "effect_type":"access_unlock","internal_reference":"customer-7","occurred_at":"2026-01-31T09:29:58Z"}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut now = Timestamp::parse("2026-01-31T09:30:00Z")?;
    let monitor = Monitor::new(SigningSecret::generate(entropy()), now);

    let accepted = monitor.receive(b"receipt-1", RECEIPT.as_bytes(), now)?;
    let event = accepted.event;
    step(
        now,
        &format!(
            "receipt accepted: {event}, its result is due by {}",
            accepted.timeout_at
        ),
    );
    let again = monitor.receive(b"receipt-2", RECEIPT.as_bytes(), now)?;
    step(
        now,
        &format!("the same event under a new key: duplicate is {}", again.duplicate),
    );

    now = accepted.timeout_at;
    for incident in monitor.sweep(now) {
        step(now, &format!("no result came: {incident} is open"));
    }

    let key = "operator-click-1".parse()?;
    let replay = monitor.reprocess(event, &key, now)?;
    step(now, &format!("ordered to be reprocessed: {replay}"));
    let twice = monitor.reprocess(event, &key, now)?;
    step(now, &format!("a double click gives the same: {twice}"));
    if let Err(refused) = monitor.reprocess(event, &"operator-click-2".parse()?, now) {
        step(now, &format!("another order is refused: {refused}"));
    }

    if let Some(call) = monitor.begin_call(event, replay, now)? {
        step(now, "the call to the repair endpoint:");
        for (name, value) in &call.headers {
            println!("    {name}: {value}");
        }
        println!("    {}", call.body);
    }
    let taken = AttemptOutcome::Answered {
        status: 200,
        retry_after: None,
        effect: None,
    };
    monitor.end_call(event, replay, taken, now)?;
    step(
        now,
        "the endpoint answered 200: its result has 30 minutes to come",
    );

    now = now.plus_minutes(1);
    let report = EffectReport {
        effect: Effect::Success,
        replay_id: Some(replay),
    };
    monitor.result(event, report, now)?;
    step(
        now,
        &format!("the result came: the incident is {}", state(&monitor, event)?),
    );
    walk(&monitor)
}

fn step(now: Timestamp, text: &str) {
    println!("{now}  {text}");
}

fn state(monitor: &Monitor, event: EventId) -> Result<String, MonitorError> {
    let tables = monitor.store.read();
    let stored = tables.events.get(&event).ok_or(MonitorError::NoEvent)?;
    let incident = stored.case.incident.as_ref();
    Ok(incident.map_or_else(String::new, |incident| incident.state.to_string()))
}

/// Shows the audit log, and that no entry was changed, dropped or moved.
fn walk(monitor: &Monitor) -> Result<(), Box<dyn std::error::Error>> {
    println!("\nThe audit log:");
    let mut walk = Walk::new(monitor.organization, &[]);
    for entry in &monitor.store.read().audit {
        walk.step(entry)?;
        println!("    {} {} by {}", entry.seq, entry.action, entry.actor);
    }
    println!("    whole up to entry {}", walk.finish(None)?.seq);
    Ok(())
}
