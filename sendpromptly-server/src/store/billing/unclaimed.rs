//! What Stripe has told of customers who belong to no organization that is there, and how it goes. Stripe tells of
//! whatever else is sold by the same account as well, and of organizations that are deleted.
//!
//! What is claimed stays for as long as its organization, so the old rows are looked for customer by customer and where
//! nobody waits for them: only what goes is written.

use sendpromptly_core::time::{DAY_MS, Timestamp};

use super::super::old_rows::OldRows;
use super::super::rows::{self, Cell, Sql};
use super::super::{Store, StoreError};

/// For how long it is kept.
const KEPT_MS: i64 = 30 * DAY_MS;

/// Customers that are looked at together.
const CUSTOMERS: usize = 256;

/// One kind of what is kept of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// What is left of events.
    Events,
    /// What Stripe has answered of subscriptions.
    Subscriptions,
}

/// What a batch came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Dropped {
    /// How many rows are gone.
    pub rows: u64,
    /// Behind which customer the next batch begins; `None` where no customer is left.
    pub next: Option<String>,
}

impl Told {
    /// The table, and the column that says when its rows were told of.
    const fn table(self) -> (&'static str, &'static str) {
        match self {
            Self::Events => ("stripe_events", "at"),
            Self::Subscriptions => ("stripe_subscriptions", "heard_at"),
        }
    }

    /// Its rows that are due to go, of all customers.
    #[must_use]
    pub fn old(self, now: Timestamp) -> OldRows {
        let (table, at) = self.table();
        OldRows::of(table, due(table, at)).bind(kept_from(now))
    }

    fn old_of(self, customers: &[String], now: Timestamp) -> OldRows {
        let (table, at) = self.table();
        let places = vec!["{}"; customers.len()].join(", ");
        let due = format!("{table}.customer IN ({places}) AND {}", due(table, at));
        let of_these = customers.iter().fold(OldRows::of(table, due), |old, customer| {
            old.bind(customer.as_str())
        });
        of_these.bind(kept_from(now))
    }

    /// The next customers, and whether something of each is due to go.
    fn next_customers(self, after: &str, now: Timestamp) -> Sql {
        let (table, at) = self.table();
        let is_claimed = is_claimed("told");
        let oldest = format!("(SELECT min({at}) FROM {table} t WHERE t.customer = told.customer)");
        Sql::new(format!(
            "SELECT told.customer, CAST(CASE WHEN {oldest} <= {{}} AND NOT {is_claimed} THEN 1 ELSE 0 END AS bigint) AS is_due
             FROM (SELECT DISTINCT customer FROM {table} WHERE customer > {{}} ORDER BY customer LIMIT {CUSTOMERS}) told
             ORDER BY told.customer"
        ))
        .bind(kept_from(now))
        .bind(after)
    }
}

impl Store {
    /// Drops at most `limit` rows of the next customers behind this one, which is empty before the first.
    ///
    /// # Errors
    /// [`StoreError`] by its cause; nothing is dropped then.
    pub async fn drop_unclaimed(
        &self,
        told: Told,
        after: String,
        now: Timestamp,
        limit: u32,
    ) -> Result<Dropped, StoreError> {
        let query = told.next_customers(&after, now);
        let (mut last, mut due) = (None, Vec::new());
        let found = query.all(&self.reader).await?;
        for row in &found {
            let customer: String = rows::get(row, "customer")?;
            if rows::flag(row, "is_due")? {
                due.push(customer.clone());
            }
            last = Some(customer);
        }
        let last = last.filter(|_| found.len() == CUSTOMERS);
        if due.is_empty() {
            return Ok(Dropped { rows: 0, next: last });
        }
        let rows = self.drop_old(told.old_of(&due, now), limit).await?;
        // A full batch may have left some of these customers.
        let next = if rows < u64::from(limit) {
            last
        } else {
            Some(after)
        };
        Ok(Dropped { rows, next })
    }
}

fn due(table: &str, at: &str) -> String {
    format!("{table}.{at} <= {{}} AND NOT {}", is_claimed(table))
}

/// Whether an organization that is there has claimed the customer of a row.
fn is_claimed(row: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM stripe_events n JOIN organizations o ON o.id = n.organization_id
         WHERE n.customer = {row}.customer)"
    )
}

fn kept_from(now: Timestamp) -> Cell {
    now.plus_millis(-KEPT_MS).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, World, over_many};

    const LIMIT: u32 = 1_000;

    async fn drop_all(world: &World, told: Told) -> u64 {
        let (mut after, mut all) = (Some(String::new()), 0);
        while let Some(place) = after {
            let dropped = world.store.drop_unclaimed(told, place, NOW, LIMIT).await.unwrap();
            (after, all) = (dropped.next, all + dropped.rows);
        }
        all
    }

    /// An event of this customer, told of so many days ago, perhaps with the organization that it belongs to.
    async fn tell(world: &World, (number, customer): (u8, &str), days: i64, claims: bool) {
        let event = Sql::new(
            "INSERT INTO stripe_events (event, customer, subscription, organization_id, at, says)
             VALUES ({}, {}, 'sub_1', {}, {}, 'active')",
        );
        let claims = claims.then(|| world.organization.as_bytes());
        let at = NOW.plus_millis(-days * DAY_MS);
        let event = event.bind([number; 16]).bind(customer).bind(claims).bind(at);
        world.write(event).await;
        let subscription = Sql::new(
            "INSERT INTO stripe_subscriptions (subscription, customer, heard_at) VALUES ({}, {}, {})
             ON CONFLICT (subscription) DO NOTHING",
        );
        let subscription = subscription
            .bind(format!("sub_{customer}"))
            .bind(customer)
            .bind(at);
        world.write(subscription).await;
    }

    #[tokio::test]
    async fn what_nobody_claims_goes_after_30_days_and_what_somebody_claims_stays() {
        let world = World::set_up().await;
        tell(&world, (1, "cus_claimed"), 40, true).await;
        tell(&world, (2, "cus_claimed"), 39, false).await;
        tell(&world, (3, "cus_new"), 29, false).await;
        tell(&world, (4, "cus_old"), 30, false).await;
        for told in [Told::Events, Told::Subscriptions] {
            assert_eq!(world.store.count_old(told.old(NOW)).await.unwrap(), 1);
            assert_eq!(drop_all(&world, told).await, 1);
        }
        let left = Sql::new("SELECT count(*) AS n FROM stripe_events WHERE customer <> 'cus_old'");
        assert_eq!(world.number(left).await, 3);
        // With the organization, its claim goes.
        world
            .write(Sql::new("UPDATE stripe_events SET organization_id = NULL"))
            .await;
        assert_eq!(drop_all(&world, Told::Events).await, 2);
        assert_eq!(drop_all(&world, Told::Subscriptions).await, 1);
    }

    #[tokio::test]
    async fn many_customers_and_many_events_of_one_go_bit_by_bit() {
        let world = World::set_up().await;
        let fill = "INSERT INTO stripe_events (event, customer, subscription, at, says)
            SELECT r.id, 'cus_' || (r.number % 600), 'sub_1', r.number, 'active' FROM {rows}";
        world.write(over_many(fill)).await;
        let first = world.store.drop_unclaimed(Told::Events, String::new(), NOW, 100);
        let first = first.await.unwrap();
        assert_eq!(
            (first.rows, first.next.as_deref()),
            (100, Some("")),
            "some are left of these"
        );
        assert_eq!(drop_all(&world, Told::Events).await, 2_900);
    }

    #[tokio::test]
    async fn claimed_customers_are_passed_over_without_a_look_at_all_that_was_told_of_them() {
        let world = World::set_up().await;
        for fill in [
            "INSERT INTO stripe_events (event, customer, subscription, at, says)
             SELECT r.id, 'cus_' || r.number, 'sub_1', r.number, 'active' FROM {rows}",
            "INSERT INTO stripe_subscriptions (subscription, customer, heard_at)
             SELECT 'sub_' || r.number, 'cus_' || r.number, r.number FROM {rows}",
        ] {
            world.write(over_many(fill)).await;
        }
        let (reader, dialect) = (&world.store.reader, world.store.dialect);
        for (told, index) in [
            (Told::Events, "stripe_events_by_customer"),
            (Told::Subscriptions, "stripe_subscriptions_by_customer"),
        ] {
            let of_one = told.old_of(&["cus_1".to_owned()], NOW);
            for query in [told.next_customers("cus_2", NOW), of_one.drop(dialect, LIMIT)] {
                let plan = query.plan(reader).await;
                assert!(plan.contains(index), "{plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
    }
}
