//! What is to be said of billing: the ways to and from Stripe, and organizations that do not pay.

use sendpromptly_core::event::Mode;

use super::Findings;
use crate::config::BillingConfig;
use crate::store::Store;
use crate::stripe::client::{Price, StripeClient, StripeError};

/// Looks at what is configured, and asks Stripe whether it takes the key.
pub(super) async fn check(config: Option<&BillingConfig>, findings: &mut Findings) {
    let Some(billing) = config else {
        return findings
            .ok("billing: no --stripe-webhook-secret is given, so nobody pays and everything is allowed");
    };
    if billing.webhook_secrets.len() > 1 {
        findings.advise(
            "billing: several webhook secrets are given; once Stripe signs with the new one only, take the old one out",
        );
    }
    let Some(api) = &billing.api else {
        return findings.advise(
            "billing: no --stripe-api-key is given, so owners are led to no checkout, and of a subscription only what \
             webhooks say is known; give a key and --stripe-price to have Stripe asked as well",
        );
    };
    if api.key.mode() == Some(Mode::Test) {
        findings.advise(
            "billing: --stripe-api-key is of Stripe's test mode, in which no money moves; webhooks of live mode are not \
             heard",
        );
    }
    let client = match StripeClient::new(api) {
        Ok(client) => client,
        Err(error) => return findings.wrong(format!("billing: {error}")),
    };
    match client.check().await {
        Ok(()) => findings.ok("billing: Stripe takes the key, and lets it read subscriptions"),
        Err(error) => return findings.wrong(format!("billing: {}", why(error))),
    }
    check_price(&client, findings).await;
}

/// What is wrong with the key, or on the way to Stripe.
fn why(error: StripeError) -> String {
    match error {
        StripeError::Refused(401) => {
            "Stripe refuses --stripe-api-key: it is none of its keys, or was revoked; make a new one"
                .to_owned()
        }
        StripeError::Refused(403) => {
            "--stripe-api-key may not read subscriptions; let it, in Stripe's dashboard".to_owned()
        }
        StripeError::NoAnswer => {
            "Stripe is not reached at --stripe-api-url within 10 s; look at the network and its firewall"
                .to_owned()
        }
        other => format!("{other} at --stripe-api-url"),
    }
}

/// Asks for what organizations subscribe to: what is wrong with it would be found by the first who wants to.
async fn check_price(client: &StripeClient, findings: &mut Findings) {
    let wrong = match client.price().await {
        Ok(Some(Price::Fits)) => return findings.ok("billing: Stripe has --stripe-price, which recurs"),
        Ok(Some(Price::PaidOnce)) => "is paid once; name a price that recurs",
        Ok(Some(Price::Archived)) => "is not active; name one that is, or let it be active again",
        Ok(None) => "is none that Stripe knows; prices of test mode and of live mode are different ones",
        Err(StripeError::Refused(403)) => {
            return findings.advise(
                "billing: --stripe-api-key may not read prices, so nobody knows whether --stripe-price is right before \
                 somebody subscribes; let it read them, in Stripe's dashboard",
            );
        }
        Err(error) => {
            return findings.wrong(format!(
                "billing: --stripe-price cannot be looked at: {}",
                why(error)
            ));
        }
    };
    findings.wrong(format!(
        "billing: nobody can subscribe, for --stripe-price {wrong}"
    ));
}

/// Looks at what is known of subscriptions.
pub(super) async fn check_organizations(store: &Store, findings: &mut Findings) {
    let counts = match store.billing_counts().await {
        Ok(counts) => counts,
        Err(error) => return findings.wrong(format!("billing: subscriptions cannot be counted: {error}")),
    };
    let told = counts.organizations.iter().map(|(status, count)| {
        let status = status.map_or("none", |status| status.as_str());
        format!("{status} {count}")
    });
    let told: Vec<_> = told.collect();
    findings.ok(format!(
        "billing: organizations by their subscription: {}",
        told.join(", ")
    ));
    if counts.given_up > 0 {
        findings.advise(format!(
            "billing: Stripe was asked for {} subscriptions in vain for days; of them only what webhooks said is known, \
             until the next one or the next day",
            counts.given_up
        ));
    }
}
