//! The order in which a change and its entries are written.

use sendpromptly_core::audit::Action;

use super::*;
use crate::testing::{NOW, World, operator};

/// A chain's first entry makes its head, so a write can tell by it whether the heads were locked before.
#[tokio::test]
async fn a_change_is_made_before_the_head_of_its_chain_is_locked() {
    let world = World::set_up().await;
    let organization = world.organization;
    let rename = Sql::new(
        "UPDATE organizations SET name = 'after its head'
         WHERE id = {} AND EXISTS (SELECT 1 FROM audit_heads h WHERE h.organization_id = {})",
    );
    let rename = rename.bind(organization.as_bytes()).bind(organization.as_bytes());
    let draft = Draft::new(&operator(), Action::OrganizationChanged, organization, &[]);
    let drafts = drafts_of(organization, NOW, vec![draft]);
    world.store.commit_audited(&[rename], &drafts).await.unwrap();
    let late = Sql::new("SELECT count(*) AS n FROM organizations WHERE name = 'after its head'");
    assert_eq!(world.number(late).await, 0);
    assert_eq!(world.store.chain(organization).head().await.unwrap().seq, 1);
}
