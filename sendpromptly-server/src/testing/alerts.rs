//! Destinations of alerts, for tests.

use sendpromptly_core::alert::Channel;
use sendpromptly_core::id::AlertId;

use super::{NOW, World, operator};
use crate::alerts::CheckedTarget;
use crate::callback::AddressPolicy;
use crate::projects::Office;
use crate::vault::Vault;

impl World {
    /// Adds a destination of the project's alerts.
    pub(crate) async fn add_alert(
        &self,
        vault: &Vault,
        channel: Channel,
        to: &str,
        escalation: bool,
    ) -> AlertId {
        let policy = AddressPolicy {
            allow_private: true,
            ..AddressPolicy::default()
        };
        let checked = CheckedTarget::check(channel, to, &policy).await.unwrap();
        let origin = operator();
        let office = Office {
            store: &self.store,
            scope: self.scope(),
            origin: &origin,
            now: NOW,
        };
        let added = office.add_alert(vault, self.project, checked, escalation).await;
        added.unwrap().id
    }
}
