//! What happens on the stage, step by step, each step checked before it is told.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use sendpromptly_core::id::EventId;
use sendpromptly_core::incident::IncidentState;
use sendpromptly_core::signing::{Nonce, signature_header};
use sendpromptly_verify::signature::{ATTEMPT_HEADER, NONCE_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use sendpromptly_verify::unix_now;

use super::shop::{Answered, REPAIR, WEBHOOK};
use super::stage::Stage;
use super::stripe_event::Payment;
use super::telling::Peer::{Demo, Operator, Server, Shop, Stripe};
use super::telling::{calls, does, step};
use super::wire;
use crate::command::{CommandError, audit};
use crate::operate::{Desk, Reprocess};
use crate::platform::{clock, entropy};
use crate::store::incidents::IncidentRecord;
use crate::store::rows::Sql;

const INVOICE: &str = include_str!("fixtures/invoice.paid.json");
const CHECKOUT: &str = include_str!("fixtures/checkout.session.completed.json");

/// How long the server may take for a step.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often to look whether it has taken it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Tells it all.
///
/// # Errors
/// [`CommandError::Refused`] at the first thing that does not happen as it should.
pub(super) async fn tell(stage: &Stage) -> Result<(), CommandError> {
    goes_well(stage).await?;
    let payment = goes_wrong(stage).await?;
    let incident = is_found(stage, &payment).await?;
    let callback = is_repaired(stage, &payment, &incident).await?;
    is_repaired_once(stage, &payment, &callback).await?;
    is_proven(stage).await
}

async fn goes_well(stage: &Stage) -> Result<(), CommandError> {
    step(1, "A payment that goes well")?;
    let payment = deliver(stage, INVOICE).await?;
    let status = stage.shop.work().await?;
    let applied = stage.shop.times_applied(&payment.event_id);
    must(
        applied == 1 && status == 202,
        "the shop could not apply a payment and say so",
    )?;
    does(
        Shop,
        format!("gives {} to {}", payment.effect.in_words(), payment.account),
    )?;
    calls(Shop, Server, "result: success", status.as_u16())
}

async fn goes_wrong(stage: &Stage) -> Result<Payment, CommandError> {
    step(2, "A payment that goes wrong")?;
    let payment = deliver(stage, CHECKOUT).await?;
    must(
        stage.shop.crash_worker() == 1,
        "the shop's queue did not hold the payment",
    )?;
    does(Shop, "its worker crashes, and the job is lost")?;
    let (what, who) = (payment.effect.in_words(), &payment.account);
    does(
        Shop,
        format!("{who} has paid and has no {what}; Stripe is content"),
    )?;
    Ok(payment)
}

async fn is_found(stage: &Stage, payment: &Payment) -> Result<IncidentRecord, CommandError> {
    step(3, "SendPromptly finds it")?;
    let event = stage.shop.event_of(&payment.event_id);
    let event = event.ok_or_else(|| CommandError::refused("the receipt was not accepted"))?;
    expire(stage, event).await?;
    let minutes = stage.project.timeout_minutes;
    does(
        Demo,
        format!("moves the deadline to now, to spare you {minutes} minutes"),
    )?;
    let incident = until("the incident was not opened", async || {
        incident(stage, event).await
    })
    .await?;
    does(
        Server,
        format!("no result in time: opens {}", incident.incident.id),
    )?;
    Ok(incident)
}

async fn is_repaired(
    stage: &Stage,
    payment: &Payment,
    found: &IncidentRecord,
) -> Result<Answered, CommandError> {
    step(4, "An operator has it repaired")?;
    let context = &stage.server.context;
    let desk = Desk {
        store: &context.store,
        project: stage.project.id,
        incident: found.incident.id,
        origin: &context.origin(),
        now: clock::now(),
    };
    let order = Reprocess {
        key: None,
        again: false,
        schedule: &context.config.callbacks.schedule,
    };
    let replay = desk.reprocess(&order).await.map_err(CommandError::refused)?;
    does(Operator, format!("presses Reprocess: {replay}"))?;
    let settled = until("the repair did not end", async || {
        let now = incident(stage, found.event).await?;
        Ok(now.filter(|now| now.incident.state != IncidentState::Reprocessing))
    })
    .await?;
    let callback = stage.shop.answered().pop();
    let callback = callback.ok_or_else(|| CommandError::refused("no callback came to the shop"))?;
    calls(
        Server,
        Shop,
        "signed callback",
        format!("{} {}", callback.status, callback.answer),
    )?;
    must(
        settled.incident.state == IncidentState::Resolved,
        "the incident was not resolved",
    )?;
    must(
        stage.shop.times_applied(&payment.event_id) == 1,
        "the effect was not applied",
    )?;
    let (what, who) = (payment.effect.in_words(), &payment.account);
    does(Shop, format!("the signature is good: gives {what} to {who}"))?;
    does(Server, "the answer bears the result, success: incident resolved")?;
    Ok(callback)
}

async fn is_repaired_once(stage: &Stage, payment: &Payment, callback: &Answered) -> Result<(), CommandError> {
    step(5, "The same callback again")?;
    let same = call_back(stage, callback.headers.clone(), callback.body.clone()).await?;
    must(same.status == 401, "the shop took a callback twice")?;
    calls(
        Demo,
        Shop,
        "the same bytes",
        format!("{} {}", same.status, same.answer),
    )?;
    let headers = sign_again(stage, &callback.body)?;
    let retried = call_back(stage, headers, callback.body.clone()).await?;
    must(
        retried.status == 200,
        "the shop refused an attempt that came late",
    )?;
    calls(
        Demo,
        Shop,
        "signed again, as a retry is",
        format!("{} {}", retried.status, retried.answer),
    )?;
    let times = stage.shop.times_applied(&payment.event_id);
    must(times == 1, "the effect was applied twice")?;
    does(Shop, format!("has given {} once", payment.effect.in_words()))
}

async fn is_proven(stage: &Stage) -> Result<(), CommandError> {
    step(6, "The proof")?;
    let context = &stage.server.context;
    let checkpoints = &stage.server.checkpoints;
    checkpoints.append_due(&context.store, clock::now()).await?;
    let entries = audit::prove(context, stage.organization).await?;
    does(
        Server,
        format!("audit log: {entries} entries, their chain holds to its signed checkpoint"),
    )
}

/// Stripe delivers an event to the shop, and the shop tells the server before it answers.
async fn deliver(stage: &Stage, event: &'static str) -> Result<Payment, CommandError> {
    let payment = Payment::read(event.as_bytes()).map_err(CommandError::refused)?;
    let payment = payment.ok_or_else(|| CommandError::refused("the event is no payment"))?;
    let signature = stage
        .stripe
        .sign(event.as_bytes(), u64::try_from(unix_now()).unwrap_or(0));
    let mut headers = HeaderMap::new();
    headers.insert("stripe-signature", value(&signature)?);
    let url = format!("http://{}{WEBHOOK}", stage.shop_address);
    let reply = wire::post(&url, headers, event.into()).await?;
    must(reply.status == 200, "the shop refused an event of Stripe's")?;
    calls(Stripe, Shop, &payment.event_type, reply.status.as_u16())?;
    calls(Shop, Server, "receipt", 202)?;
    Ok(payment)
}

/// Moves an event's deadline to now.
async fn expire(stage: &Stage, event: EventId) -> Result<(), CommandError> {
    let now = clock::now();
    let tx = stage.server.context.store.begin().await?;
    Sql::new("UPDATE events SET timeout_at = {}, sweep_at = {} WHERE project_id = {} AND id = {}")
        .bind(now)
        .bind(now)
        .bind(stage.project.id.as_bytes())
        .bind(event.as_bytes())
        .run(&tx)
        .await?;
    Ok(tx.commit().await.map_err(crate::store::StoreError::from)?)
}

async fn incident(stage: &Stage, event: EventId) -> Result<Option<IncidentRecord>, CommandError> {
    let store = &stage.server.context.store;
    Ok(store.incident_of_event(stage.project.id, event).await?)
}

/// Calls the shop's repair endpoint, and gives what the shop made of it.
async fn call_back(stage: &Stage, headers: HeaderMap, body: Bytes) -> Result<Answered, CommandError> {
    let url = format!("http://{}{REPAIR}", stage.shop_address);
    wire::post(&url, headers, body).await?;
    let answered = stage.shop.answered().pop();
    answered.ok_or_else(|| CommandError::refused("no callback came to the shop"))
}

/// The headers of another attempt with this body: a new nonce, and a signature of now.
fn sign_again(stage: &Stage, body: &[u8]) -> Result<HeaderMap, CommandError> {
    let now = unix_now();
    let nonce = Nonce::from_entropy(entropy::bytes());
    let secrets = std::slice::from_ref(&stage.signing_secret);
    let mut headers = HeaderMap::new();
    for (name, text) in [
        (TIMESTAMP_HEADER, now.to_string()),
        (NONCE_HEADER, nonce.to_string()),
        (SIGNATURE_HEADER, signature_header(secrets, now, &nonce, body)),
        (ATTEMPT_HEADER, "2".to_owned()),
    ] {
        headers.insert(HeaderName::from_static(name), value(&text)?);
    }
    Ok(headers)
}

fn value(text: &str) -> Result<HeaderValue, CommandError> {
    HeaderValue::from_str(text).map_err(CommandError::refused)
}

fn must(holds: bool, otherwise: &str) -> Result<(), CommandError> {
    if holds {
        Ok(())
    } else {
        Err(CommandError::refused(otherwise))
    }
}

/// Looks again and again until there is something to see.
async fn until<T>(
    otherwise: &str,
    look: impl AsyncFn() -> Result<Option<T>, CommandError>,
) -> Result<T, CommandError> {
    let start = Instant::now();
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        must(
            start.elapsed() < PATIENCE,
            &format!("{otherwise} within {} s", PATIENCE.as_secs()),
        )?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
