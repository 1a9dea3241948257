//! Under which names the app and Shopify have told of the events of a resource.

use super::step;

step! {
    "m0028_shopify_names":
    "CREATE TABLE shopify_names (
        project_id {id} NOT NULL,
        -- the digest of shop, topic and the resource's id
        resource {id} NOT NULL,
        -- twice the number of the event among the resource's, and one more for who told of it second
        place {int} NOT NULL,
        event_id {id} NOT NULL,
        teller text NOT NULL,
        -- the digest of the id that the event has there
        name {id} NOT NULL,
        occurred_at {int} NOT NULL,
        PRIMARY KEY (project_id, resource, place)
    ) {clustered}",
    "CREATE INDEX shopify_names_by_event ON shopify_names (project_id, event_id)",
}
