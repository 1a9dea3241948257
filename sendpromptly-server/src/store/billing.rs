//! Subscriptions: what is left of Stripe's events, and what organizations may do by them.

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::billing::{Fact, Plan, Reading, Status, Subscription, settle};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;

use super::audit::Drafts;
use super::retry::retried;
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::{Dialect, Store, StoreError, audit};

pub mod checkouts;
pub mod counts;
pub mod reads;
#[cfg(test)]
mod tests;
pub mod unclaimed;

use checkouts::OpenCheckout;

/// What is known of an organization's billing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingRecord {
    /// What it may do.
    pub plan: Plan,
    /// Stripe's id of the customer, once there is one.
    pub customer: Option<String>,
    /// Stripe's id of the subscription.
    pub subscription: Option<String>,
    /// Up to when it is paid for.
    pub paid_until: Option<Timestamp>,
    /// How many subscriptions of the organization are alive.
    pub alive: u32,
    /// The checkout that was begun last, if nothing is alive since.
    pub checkout: Option<OpenCheckout>,
}

impl BillingRecord {
    /// Whether there is a subscription that another one beside it would be charged for as well.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        self.plan.status.is_some_and(Status::is_alive)
    }

    /// The checkout that can be paid still, by this clock.
    #[must_use]
    pub fn open_checkout(&self, now: Timestamp) -> Option<&OpenCheckout> {
        self.checkout.as_ref().filter(|open| now < open.expires_at)
    }
}

/// Whether an event was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It is stored, with what follows from it.
    New,
    /// It was stored before.
    Again,
}

/// What is written of an organization's subscription, and told of it.
struct Settled {
    update: Sql,
    draft: Option<Draft>,
}

/// An arbitrary number under which only changes of what is known of one customer take turns.
const TURNS: i32 = 0x5714_e001;

/// More facts about one organization than this are not looked at: the newest are.
const MOST_FACTS: usize = 2_000;

/// A customer names one organization; of more than this, which nobody means, the first are looked at.
const MOST_NAMED: usize = 16;

/// The columns of a [`Plan`], of the organization `o`.
pub(super) const PLAN: &str = "o.created_at AS organization_made_at, o.subscription_status, o.past_due_since";

/// Reads the columns of [`PLAN`].
pub(super) fn plan(row: &QueryResult) -> Result<Plan, StoreError> {
    Ok(Plan {
        made_at: rows::time(row, "organization_made_at")?,
        status: rows::optional_word(row, "subscription_status")?,
        past_due_since: rows::optional_time(row, "past_due_since")?,
    })
}

impl Store {
    /// Stores what an event of Stripe's says, once, together with what follows from it, and that Stripe is to be asked.
    /// The audit log tells where the subscription of an organization is another one then.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn hear_stripe(&self, fact: &Fact, now: Timestamp) -> Result<Heard, StoreError> {
        retried(|| async {
            let tx = self.begin_to_settle(&fact.customer).await?;
            if insert(fact).run(&tx).await? == 0 {
                tx.rollback().await?;
                return Ok(Heard::Again);
            }
            let organizations = named_by(&tx, &fact.customer).await?;
            if !organizations.is_empty() {
                reads::order(&tx, fact, now).await?;
            }
            self.settle_subscriptions(&tx, &organizations, now).await?;
            tx.commit().await?;
            Ok(Heard::New)
        })
        .await
    }

    /// Begins to change what is known of a customer. Whose a customer is follows from all of it, so two that change it
    /// take turns, and the second sees what the first has done. Facts about two customers of one organization meet at
    /// its row: whoever locks it second sees the other's.
    async fn begin_to_settle(&self, customer: &str) -> Result<DatabaseTransaction, StoreError> {
        let tx = self.begin().await?;
        if self.dialect == Dialect::Postgres {
            let turn = Sql::new(format!("SELECT pg_advisory_xact_lock({TURNS}, hashtext({{}}))"));
            turn.bind(customer).run(&tx).await?;
        }
        Ok(tx)
    }

    /// Has these organizations have the subscriptions that are made of what is there now. Each row is locked, in the
    /// order of ids, before any audit log is.
    async fn settle_subscriptions(
        &self,
        tx: &DatabaseTransaction,
        organizations: &[OrganizationId],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut updates, mut drafts) = (Vec::new(), Drafts::new());
        for organization in organizations {
            let Some(settled) = self.settle_subscription(tx, *organization).await? else {
                continue;
            };
            updates.push(settled.update);
            if let Some(draft) = settled.draft {
                drafts.insert(*organization, vec![(now, draft)]);
            }
        }
        self.write_audited(tx, updates, &drafts).await
    }

    /// `None` for an organization that is not there, or no longer: an event may name any.
    async fn settle_subscription(
        &self,
        tx: &DatabaseTransaction,
        organization: OrganizationId,
    ) -> Result<Option<Settled>, StoreError> {
        let lock = self.dialect.for_update_of("o");
        let query = Sql::new(format!(
            "SELECT {RECORD} FROM organizations o WHERE o.id = {{}}{lock}"
        ));
        let row = query.bind(organization.as_bytes()).one(tx).await?;
        let Some(row) = row else { return Ok(None) };
        let before = record(&row)?;
        let facts = facts_about(tx, organization).await?;
        let after = settle(organization, &facts, &readings_about(tx, organization).await?);
        let (from, to) = (before.plan.status, after.as_ref().map(|after| after.status));
        let same = before.subscription.as_deref() == after.as_ref().map(|after| after.id.as_str());
        let alive = after.as_ref().map_or(0, |after| after.alive);
        let is_told = from != to || !same || (alive > before.alive && alive > 1);
        let draft = is_told.then(|| {
            let word = |status: Option<Status>| status.map_or("none", Status::as_str);
            let number = alive.to_string();
            let more = [("from", word(from)), ("to", word(to)), ("alive", &number)];
            let more = if alive > 1 { &more[..] } else { &more[..2] };
            Draft::new(
                &Origin::system("stripe"),
                Action::SubscriptionChanged,
                organization,
                more,
            )
        });
        Ok(Some(Settled {
            update: update(organization, after.as_ref()),
            draft,
        }))
    }

    /// What is known of an organization's billing.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn billing(&self, scope: OrganizationScope) -> Result<Option<BillingRecord>, StoreError> {
        let query = Sql::new(format!("SELECT {RECORD} FROM organizations o WHERE o.id = {{}}"));
        let row = query.bind(scope.as_bytes()).one(&self.reader).await?;
        row.as_ref().map(record).transpose()
    }

    /// Tells the audit log that somebody goes on to Stripe.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn note_billing(
        &self,
        scope: OrganizationScope,
        action: Action,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let draft = Draft::new(origin, action, scope.id(), &[]);
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        self.commit_audited(&[], &drafts).await
    }
}

const RECORD: &str = "o.created_at AS organization_made_at, o.subscription_status, o.past_due_since,
     o.stripe_customer, o.stripe_subscription, o.paid_until, o.subscriptions_alive, o.checkout_session,
     o.checkout_url, o.checkout_expires_at";

fn record(row: &QueryResult) -> Result<BillingRecord, StoreError> {
    Ok(BillingRecord {
        plan: plan(row)?,
        customer: rows::get(row, "stripe_customer")?,
        subscription: rows::get(row, "stripe_subscription")?,
        paid_until: rows::optional_time(row, "paid_until")?,
        alive: rows::count(row, "subscriptions_alive")?,
        checkout: checkouts::open_checkout(row)?,
    })
}

fn insert(fact: &Fact) -> Sql {
    Sql::new(
        "INSERT INTO stripe_events (event, customer, subscription, organization_id, at, says, paid_until)
         VALUES ({}, {}, {}, {}, {}, {}, {}) ON CONFLICT (event) DO NOTHING",
    )
    .bind(fact.event)
    .bind(fact.customer.as_str())
    .bind(fact.subscription.as_str())
    .bind(fact.organization.as_ref().map(OrganizationId::as_bytes))
    .bind(fact.at)
    .bind(fact.says.as_str())
    .bind(fact.paid_until)
}

/// Who is subscribed is not led to the page of a checkout again.
fn update(organization: OrganizationId, after: Option<&Subscription>) -> Sql {
    let is_alive = after.is_some_and(|after| after.status.is_alive());
    let checkout = if is_alive {
        ", checkout_session = NULL, checkout_url = NULL, checkout_expires_at = NULL"
    } else {
        ""
    };
    Sql::new(format!(
        "UPDATE organizations SET stripe_customer = {{}}, stripe_subscription = {{}}, subscription_status = {{}},
             past_due_since = {{}}, paid_until = {{}}, subscriptions_alive = {{}}{checkout} WHERE id = {{}}",
    ))
    .bind(after.map(|after| after.customer.as_str()))
    .bind(after.map(|after| after.id.as_str()))
    .bind(after.map(|after| after.status.as_str()))
    .bind(after.and_then(|after| after.past_due_since))
    .bind(after.and_then(|after| after.paid_until))
    .bind(i64::from(after.map_or(0, |after| after.alive)))
    .bind(organization.as_bytes())
}

/// The organizations that a customer's events name, of those that are there: most often one. A late event may tell
/// that the customer is another one's than was believed.
async fn named_by(tx: &DatabaseTransaction, customer: &str) -> Result<Vec<OrganizationId>, StoreError> {
    let query = Sql::new(format!(
        "SELECT DISTINCT e.organization_id FROM stripe_events e JOIN organizations o ON o.id = e.organization_id
         WHERE e.customer = {{}} ORDER BY e.organization_id LIMIT {MOST_NAMED}"
    ));
    let found = query.bind(customer).all(tx).await?;
    let id = |row| Ok(OrganizationId::from_bytes(rows::id(row, "organization_id")?));
    found.iter().map(id).collect()
}

/// The facts about every customer that has named this organization.
async fn facts_about(
    tx: &DatabaseTransaction,
    organization: OrganizationId,
) -> Result<Vec<Fact>, StoreError> {
    let query = Sql::new(format!(
        "SELECT {FACT} FROM stripe_events WHERE customer IN ({CUSTOMERS}) ORDER BY at DESC LIMIT {MOST_FACTS}"
    ));
    let found = query.bind(organization.as_bytes()).all(tx).await?;
    found.iter().map(fact).collect()
}

/// The customers that have named an organization.
const CUSTOMERS: &str = "SELECT customer FROM stripe_events WHERE organization_id = {}";

/// The columns of a [`Fact`].
const FACT: &str = "event, customer, subscription, organization_id, at, says, paid_until, is_read";

fn fact(row: &QueryResult) -> Result<Fact, StoreError> {
    Ok(Fact {
        event: rows::id(row, "event")?,
        at: rows::time(row, "at")?,
        customer: rows::get(row, "customer")?,
        subscription: rows::get(row, "subscription")?,
        organization: rows::optional_id(row, "organization_id")?.map(OrganizationId::from_bytes),
        says: rows::word(row, "says")?,
        paid_until: rows::optional_time(row, "paid_until")?,
        is_read: rows::flag(row, "is_read")?,
    })
}

/// What Stripe has told of the subscriptions of these customers when it was asked.
async fn readings_about(
    tx: &DatabaseTransaction,
    organization: OrganizationId,
) -> Result<Vec<Reading>, StoreError> {
    let query = Sql::new(format!(
        "SELECT {READING} FROM stripe_subscriptions WHERE customer IN ({CUSTOMERS}) AND read_at IS NOT NULL"
    ));
    let found = query.bind(organization.as_bytes()).all(tx).await?;
    found.iter().filter_map(|row| reading(row).transpose()).collect()
}

/// The columns of a [`Reading`].
const READING: &str = "subscription, read_at, status, past_due_since, paid_until";

/// `None` where Stripe has told nothing yet.
fn reading(row: &QueryResult) -> Result<Option<Reading>, StoreError> {
    let (at, status) = (
        rows::optional_time(row, "read_at")?,
        rows::optional_word(row, "status")?,
    );
    let (Some(at), Some(status)) = (at, status) else {
        return Ok(None);
    };
    Ok(Some(Reading {
        subscription: rows::get(row, "subscription")?,
        at,
        status,
        past_due_since: rows::optional_time(row, "past_due_since")?,
        paid_until: rows::optional_time(row, "paid_until")?,
    }))
}
