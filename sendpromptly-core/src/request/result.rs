//! A result: the business effect succeeded or failed.

use super::fields::{BodyError, FieldErrors};
use super::object::{Object, TextRule};
use crate::event::{Provider, WordError};
use crate::id::{EventId, ReplayId};
use crate::replay::Effect;

/// A result that keeps every rule which needs no store.
#[derive(Debug, Clone)]
pub struct ResultReport {
    /// Our id of the event.
    pub event_id: Option<EventId>,
    /// The provider's id of the event.
    pub provider_event_id: Option<String>,
    /// The provider's id of the event, which is then Stripe's.
    pub stripe_event_id: Option<String>,
    /// Whose event it is; needed only where two providers share an id.
    pub provider: Option<Provider>,
    /// What happened.
    pub effect: Effect,
    /// The app's own code of the failure.
    pub error_code: Option<String>,
    /// The app's own words about the failure.
    pub error_message: Option<String>,
    /// The replay that it answers.
    pub replay_id: Option<ReplayId>,
}

/// A stored event that a result may mean.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its id.
    pub id: EventId,
    /// Its provider.
    pub provider: Provider,
    /// The provider's id of it.
    pub provider_event_id: &'a str,
}

/// Why a result means none of the stored events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// An id names no event of this project.
    #[error("this project has no such event")]
    NotFound,
    /// The ids contradict each other or the provider.
    #[error("a field is wrong")]
    Invalid(FieldErrors),
}

impl std::str::FromStr for Effect {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        match text {
            "success" => Ok(Self::Success),
            "failed" => Ok(Self::Failed),
            _ => Err(WordError {
                allowed: "success, failed",
            }),
        }
    }
}

impl ResultReport {
    /// Reads the body of a result.
    ///
    /// # Errors
    /// [`BodyError`], with every wrong field at once.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let mut object = Object::parse(body)?;
        let ids = ["event_id", "provider_event_id", "stripe_event_id"];
        if ids.iter().all(|id| object.raw(id).is_none()) {
            object.wrong(
                "event_id",
                "is required, or provider_event_id, or stripe_event_id",
            );
        }
        let effect = object.required("status");
        let event_id = object.parsed("event_id");
        let provider_event_id = provider_id(&mut object, "provider_event_id");
        let stripe_event_id = provider_id(&mut object, "stripe_event_id");
        let provider = object.parsed("provider");
        let error_code = object.text("error_code", TextRule::line(64));
        let error_message = object.text(
            "error_message",
            TextRule {
                max: 1_024,
                lines: true,
            },
        );
        let replay_id = object.parsed("replay_id");
        object.finish(effect.map(|effect| Self {
            event_id,
            provider_event_id,
            stripe_event_id,
            provider,
            effect,
            error_code,
            error_message,
            replay_id,
        }))
    }

    /// Which of the stored events this result means, as an index. The candidates are the project's events
    /// whose id is `event_id`, or whose provider's id is one of the other two.
    ///
    /// # Errors
    /// [`SelectError`] where an id names nothing, where ids name different events, or where the provider is
    /// needed or wrong.
    pub fn select(&self, candidates: &[Candidate<'_>]) -> Result<usize, SelectError> {
        let by_id = |candidate: &Candidate<'_>| self.event_id == Some(candidate.id);
        let named_by = |id: &Option<String>, candidate: &Candidate<'_>| {
            id.as_deref() == Some(candidate.provider_event_id)
        };
        let mut named = Vec::with_capacity(3);
        if self.event_id.is_some() {
            named.push(("event_id", one(candidates, by_id)?));
        }
        if self.provider_event_id.is_some() {
            named.push(("provider_event_id", self.by_provider_event_id(candidates)?));
        }
        if self.stripe_event_id.is_some() {
            let by_stripe = |candidate: &Candidate<'_>| {
                candidate.provider == Provider::Stripe && named_by(&self.stripe_event_id, candidate)
            };
            named.push(("stripe_event_id", one(candidates, by_stripe)?));
        }
        let Some(&(_, event)) = named.first() else {
            return Err(SelectError::NotFound);
        };
        for (field, other) in named {
            if candidates[other].id != candidates[event].id {
                return Err(invalid(field, "names another event than the ids before it"));
            }
        }
        if self
            .provider
            .is_some_and(|provider| provider != candidates[event].provider)
        {
            return Err(invalid("provider", "is not the provider of this event"));
        }
        Ok(event)
    }

    /// One id may be known from two providers; then another id, or `provider`, must tell.
    fn by_provider_event_id(&self, candidates: &[Candidate<'_>]) -> Result<usize, SelectError> {
        let named = |candidate: &Candidate<'_>| {
            self.provider_event_id.as_deref() == Some(candidate.provider_event_id)
        };
        let told = |candidate: &Candidate<'_>| {
            self.event_id.is_none_or(|id| id == candidate.id)
                && self
                    .provider
                    .is_none_or(|provider| provider == candidate.provider)
                && (self.stripe_event_id.is_none() || candidate.provider == Provider::Stripe)
        };
        let first = one(candidates, named)?;
        let mut fitting =
            (0..candidates.len()).filter(|&index| named(&candidates[index]) && told(&candidates[index]));
        let Some(event) = fitting.next() else {
            return Ok(first);
        };
        if fitting.any(|other| candidates[other].id != candidates[event].id) {
            return Err(invalid(
                "provider",
                "is required: two providers have an event with this id",
            ));
        }
        Ok(event)
    }
}

fn provider_id(object: &mut Object<'_>, field: &'static str) -> Option<String> {
    object.raw(field)?;
    object.required_text(field, TextRule::line(255))
}

fn one(candidates: &[Candidate<'_>], fits: impl Fn(&Candidate<'_>) -> bool) -> Result<usize, SelectError> {
    candidates.iter().position(fits).ok_or(SelectError::NotFound)
}

fn invalid(field: &'static str, message: &str) -> SelectError {
    SelectError::Invalid(FieldErrors::one(field, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn event(byte: u8) -> EventId {
        EventId::new(Timestamp::from_millis(1), [byte; 10])
    }

    fn candidate(byte: u8, provider: Provider) -> Candidate<'static> {
        Candidate {
            id: event(byte),
            provider,
            provider_event_id: "evt_1",
        }
    }

    fn select(body: &str, candidates: &[Candidate<'_>]) -> Result<usize, SelectError> {
        ResultReport::parse(body.as_bytes()).unwrap().select(candidates)
    }

    fn wrong(error: SelectError) -> Vec<&'static str> {
        match error {
            SelectError::NotFound => vec!["not found"],
            SelectError::Invalid(errors) => errors.iter().map(|(field, _)| field).collect(),
        }
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let body =
            br#"{"status":"done","event_id":"evt_1","replay_id":7,"error_code":"a\nb","provider":"paypal"}"#;
        let Err(BodyError::Invalid(errors)) = ResultReport::parse(body) else {
            panic!("accepted")
        };
        let fields: Vec<_> = errors.iter().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            ["error_code", "event_id", "provider", "replay_id", "status"]
        );
    }

    #[test]
    fn a_result_without_any_id_names_event_id() {
        let Err(BodyError::Invalid(errors)) = ResultReport::parse(br#"{"status":"failed"}"#) else {
            panic!("accepted")
        };
        assert_eq!(
            errors.iter().map(|(field, _)| field).collect::<Vec<_>>(),
            ["event_id"]
        );
    }

    #[test]
    fn an_error_message_may_have_lines() {
        let body = br#"{"status":"failed","provider_event_id":"e","error_message":"one\n\ttwo"}"#;
        assert_eq!(
            ResultReport::parse(body).unwrap().error_message.as_deref(),
            Some("one\n\ttwo")
        );
    }

    #[test]
    fn an_id_that_two_providers_share_needs_the_provider() {
        let both = [candidate(1, Provider::Stripe), candidate(2, Provider::Shopify)];
        let by = |body: &str| select(body, &both).map_err(wrong);
        assert_eq!(
            by(r#"{"status":"failed","provider_event_id":"evt_1"}"#),
            Err(vec!["provider"])
        );
        assert_eq!(
            by(r#"{"status":"failed","provider_event_id":"evt_1","provider":"shopify"}"#),
            Ok(1)
        );
        assert_eq!(by(r#"{"status":"failed","stripe_event_id":"evt_1"}"#), Ok(0));
        let with_id = format!(
            r#"{{"status":"failed","provider_event_id":"evt_1","event_id":"{}"}}"#,
            event(2)
        );
        assert_eq!(by(&with_id), Ok(1));
    }

    #[test]
    fn a_wrong_provider_is_named_and_an_id_that_names_nothing_is_not_found() {
        let one = [candidate(1, Provider::Stripe)];
        let by = |body: &str| select(body, &one).map_err(wrong);
        assert_eq!(
            by(r#"{"status":"failed","provider_event_id":"evt_1","provider":"shopify"}"#),
            Err(vec!["provider"])
        );
        let unknown = format!(
            r#"{{"status":"failed","provider_event_id":"evt_1","event_id":"{}"}}"#,
            event(9)
        );
        assert_eq!(by(&unknown), Err(vec!["not found"]));
        assert_eq!(
            select(r#"{"status":"failed","stripe_event_id":"x"}"#, &[]).map_err(wrong),
            Err(vec!["not found"])
        );
    }

    #[test]
    fn ids_of_two_events_contradict_each_other() {
        let two = [
            candidate(1, Provider::Stripe),
            Candidate {
                id: event(2),
                provider: Provider::Stripe,
                provider_event_id: "evt_2",
            },
        ];
        let body = r#"{"status":"failed","provider_event_id":"evt_1","stripe_event_id":"evt_2"}"#;
        assert_eq!(select(body, &two).map_err(wrong), Err(vec!["stripe_event_id"]));
    }
}
