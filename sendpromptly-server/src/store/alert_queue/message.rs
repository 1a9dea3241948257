//! What a message of alerts says. It is made once, at its first try, and kept: every try says the same.

use std::collections::BTreeMap;

use sendpromptly_core::alert::News;
use sendpromptly_core::event::{EffectType, Mode};
use sendpromptly_core::id::{IncidentId, MessageId, OrganizationId, ProjectId};
use sendpromptly_core::incident::IncidentReason;
use sendpromptly_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertMessage {
    /// Its id.
    pub id: MessageId,
    /// When it was made, just before its first try.
    pub made_at: Timestamp,
    /// What it tells.
    pub content: Content,
}

/// What a message tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The organization.
    pub organization: OrganizationId,
    /// The project.
    pub project: ProjectId,
    /// Its name.
    pub project_name: String,
    /// Whether it watches real money.
    pub mode: Mode,
    /// After how many minutes without a receipt the project alerts.
    pub silence_minutes: Option<u32>,
    /// How many news there are of each kind; none in a test.
    pub counts: BTreeMap<News, u32>,
    /// The last of them.
    pub incidents: Vec<Named>,
}

/// An incident that a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The incident.
    pub incident: IncidentId,
    /// What there is to tell of it.
    pub news: News,
    /// Since when.
    pub at: Timestamp,
    /// Why it was opened.
    pub reason: IncidentReason,
    /// The effect that is missing, where that is known.
    pub effect_type: Option<EffectType>,
}

/// A message as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: String,
    made_at: i64,
    organization: String,
    project: String,
    project_name: String,
    mode: String,
    silence_minutes: Option<u32>,
    counts: BTreeMap<String, u32>,
    incidents: Vec<KeptIncident>,
}

#[derive(Serialize, Deserialize)]
struct KeptIncident {
    incident: String,
    news: String,
    at: i64,
    reason: String,
    effect_type: Option<String>,
}

impl AlertMessage {
    /// It as it is kept.
    pub(super) fn to_text(&self) -> String {
        let content = &self.content;
        let counts = content.counts.iter();
        let kept = Kept {
            id: self.id.to_string(),
            made_at: self.made_at.as_millis(),
            organization: content.organization.to_string(),
            project: content.project.to_string(),
            project_name: content.project_name.clone(),
            mode: content.mode.as_str().to_owned(),
            silence_minutes: content.silence_minutes,
            counts: counts.map(|(news, n)| (news.to_string(), *n)).collect(),
            incidents: content.incidents.iter().map(KeptIncident::of).collect(),
        };
        serde_json::to_string(&kept).unwrap_or_default() // texts and numbers always serialize
    }

    /// Reads it; `None` where a later version has written what this one does not know.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let kept: Kept = serde_json::from_str(text).ok()?;
        let counts = kept.counts.into_iter();
        let counts = counts.map(|(news, n)| Some((news.parse().ok()?, n)));
        Some(Self {
            id: kept.id.parse().ok()?,
            made_at: Timestamp::from_millis(kept.made_at),
            content: Content {
                organization: kept.organization.parse().ok()?,
                project: kept.project.parse().ok()?,
                project_name: kept.project_name,
                mode: kept.mode.parse().ok()?,
                silence_minutes: kept.silence_minutes,
                counts: counts.collect::<Option<_>>()?,
                incidents: kept
                    .incidents
                    .iter()
                    .map(KeptIncident::named)
                    .collect::<Option<_>>()?,
            },
        })
    }
}

impl KeptIncident {
    fn of(named: &Named) -> Self {
        Self {
            incident: named.incident.to_string(),
            news: named.news.to_string(),
            at: named.at.as_millis(),
            reason: named.reason.to_string(),
            effect_type: named.effect_type.map(|effect| effect.to_string()),
        }
    }

    fn named(&self) -> Option<Named> {
        let effect_type = self.effect_type.as_deref().map(str::parse);
        Some(Named {
            incident: self.incident.parse().ok()?,
            news: self.news.parse().ok()?,
            at: Timestamp::from_millis(self.at),
            reason: self.reason.parse().ok()?,
            effect_type: effect_type.transpose().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_kept_as_it_is_and_one_with_words_of_a_later_version_is_not_read() {
        let named = Named {
            incident: IncidentId::from_bytes([3; 16]),
            news: News::Reopened,
            at: Timestamp::from_millis(5),
            reason: IncidentReason::Timeout,
            effect_type: Some(EffectType::CreditGrant),
        };
        let message = AlertMessage {
            id: MessageId::from_bytes([9; 16]),
            made_at: Timestamp::from_millis(7),
            content: Content {
                organization: OrganizationId::from_bytes([1; 16]),
                project: ProjectId::from_bytes([2; 16]),
                project_name: "\"shop\"\n".to_owned(),
                mode: Mode::Live,
                silence_minutes: Some(15),
                counts: BTreeMap::from([(News::Reopened, 1), (News::Silent, 1)]),
                incidents: vec![named],
            },
        };
        let text = message.to_text();
        assert_eq!(AlertMessage::from_text(&text), Some(message));
        assert_eq!(
            AlertMessage::from_text(&text.replace("silent", "thoughtful")),
            None
        );
        assert_eq!(AlertMessage::from_text("{"), None);
    }
}
