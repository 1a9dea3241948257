//! The filters of the audit log's page, from its address and back into one.

use sendpromptly_core::audit::Action;
use sendpromptly_core::time::{DAY_MS, Timestamp};
use url::form_urlencoded;

use super::super::form::Form;
use crate::account::email::Email;
use crate::store::audit_pages::AuditFilter;
use crate::store::{Store, StoreError};

/// The filters as they were typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// An e-mail address, or an actor as the log names it.
    pub(super) actor: String,
    pub(super) action: String,
    /// An e-mail address, or a target as the log names it.
    pub(super) target: String,
    /// The first day.
    pub(super) from: String,
    /// The last day.
    pub(super) to: String,
}

impl Typed {
    pub(super) fn read(query: &Form) -> Self {
        let known = |word: &str| Action::ALL.iter().any(|action| action.as_str() == word);
        let day_or_none = |name| match day(query.text(name)) {
            Some(_) => query.text(name).to_owned(),
            None => String::new(),
        };
        Self {
            actor: query.filter("actor").to_owned(),
            action: Some(query.text("action"))
                .filter(|word| known(word))
                .unwrap_or_default()
                .to_owned(),
            target: query.filter("target").to_owned(),
            from: day_or_none("from"),
            to: day_or_none("to"),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The fields that are filled in, for an address.
    pub(super) fn to_query(&self) -> String {
        let fields = [
            ("actor", &self.actor),
            ("action", &self.action),
            ("target", &self.target),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let filled = fields.iter().filter(|(_, value)| !value.is_empty());
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(filled)
            .finish()
    }

    /// What the store is asked for.
    pub(super) async fn resolve(&self, store: &Store) -> Result<AuditFilter, StoreError> {
        Ok(AuditFilter {
            actor: named(store, &self.actor).await?,
            action: Some(self.action.clone()).filter(|action| !action.is_empty()),
            target: named(store, &self.target).await?,
            from: day(&self.from),
            to: day(&self.to).map(|day| day.plus_millis(DAY_MS)),
        })
    }
}

/// What the log calls an actor or a target: users by their ids. An address that nobody has finds nothing, as one of a
/// stranger does.
async fn named(store: &Store, typed: &str) -> Result<Option<String>, StoreError> {
    if typed.is_empty() {
        return Ok(None);
    }
    let user = match Email::parse(typed) {
        Ok(email) => store.user_of_email(&email.key()).await?,
        Err(_) => None,
    };
    Ok(Some(
        user.map_or_else(|| typed.to_owned(), |user| user.to_string()),
    ))
}

/// The beginning of a day that is written as `2026-11-25`, in UTC.
fn day(text: &str) -> Option<Timestamp> {
    Timestamp::parse(&format!("{text}T00:00:00Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_what_was_typed_and_drops_what_is_no_filter() {
        let query =
            "actor=ada%40example.com&action=incident.opened&target=inc_1&from=2026-11-01&to=2026-11-30";
        let typed = Typed::read(&Form::parse(query.as_bytes()));
        assert_eq!(typed.to_query(), query);
        let typed = Typed::read(&Form::parse(
            b"action=made.up&actor=a%00b&target=%00c%01d&from=yesterday&to=2026-02-30",
        ));
        assert!(typed.is_empty());
    }

    #[test]
    fn the_last_day_belongs_to_the_time_that_is_shown() {
        let first = day("2026-11-30").unwrap();
        assert_eq!(first.plus_millis(DAY_MS), day("2026-12-01").unwrap());
    }
}
