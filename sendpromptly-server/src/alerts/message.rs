//! What an alert says: how many incidents, of which project, and links to them. Nothing of what customers sent, but for
//! the kind of effect; an operator finds the rest behind the link, where the audit log sees who looks.

use std::fmt::Write as _;

use sendpromptly_core::alert::News;
use sendpromptly_core::event::Mode;
use serde::Serialize;

use crate::mail::{Letter, plain};
use crate::store::alert_queue::{AlertMessage, Content, Named};

/// A message: what it tells, and where its links lead.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// What it says; without any news it is a test.
    pub alert: &'a AlertMessage,
    /// The console, without a slash at its end.
    pub base_url: &'a str,
}

#[derive(Serialize)]
struct Wire<'a> {
    r#type: &'static str,
    message_id: String,
    project_id: String,
    project_name: &'a str,
    mode: &'static str,
    text: String,
    counts: Counts,
    incidents: Vec<WireIncident>,
    url: String,
    sent_at: String,
}

#[derive(Serialize)]
struct Counts {
    opened: u32,
    reopened: u32,
    resolved: u32,
    escalated: u32,
    silent: u32,
    heard: u32,
}

#[derive(Serialize)]
struct WireIncident {
    incident_id: String,
    news: &'static str,
    reason: &'static str,
    effect_type: Option<&'static str>,
    at: String,
    url: String,
}

#[derive(Serialize)]
struct SlackMessage {
    text: String,
    unfurl_links: bool,
}

impl Message<'_> {
    /// It in one line: "2 incidents opened, 1 resolved in shop (live)".
    #[must_use]
    pub fn headline(&self) -> String {
        let project = plain(&self.alert.content.project_name);
        format!("{} in {project} ({})", self.news(), self.mode())
    }

    fn news(&self) -> String {
        let mut parts = Vec::new();
        for (news, count) in &self.alert.content.counts {
            parts.push(match news {
                News::Silent => match self.alert.content.silence_minutes {
                    Some(minutes) => format!("no receipt for {minutes} minutes"),
                    None => "no receipt for a long time".to_owned(),
                },
                News::Heard => "receipts come again".to_owned(),
                News::Escalated => format!("{count} still open"),
                News::Opened | News::Reopened | News::Resolved => format!("{count} {news}"),
            });
        }
        if parts.is_empty() {
            return "Test alert".to_owned();
        }
        let text = parts.join(", ");
        let of_incidents = self.named() > 0;
        if of_incidents {
            format!("Incidents: {text}")
        } else {
            text
        }
    }

    /// How many incidents it tells of.
    fn named(&self) -> u32 {
        let of_incidents = |news: &News| !matches!(news, News::Silent | News::Heard);
        let counts = self.alert.content.counts.iter();
        counts
            .filter(|(news, _)| of_incidents(news))
            .map(|(_, count)| count)
            .sum()
    }

    const fn mode(&self) -> &'static str {
        match self.alert.content.mode {
            Mode::Test => "test",
            Mode::Live => "live",
        }
    }

    /// Incidents that it does not name.
    fn further(&self) -> u32 {
        let named = u32::try_from(self.alert.content.incidents.len()).unwrap_or(u32::MAX);
        self.named().saturating_sub(named)
    }

    fn incidents_url(&self) -> String {
        let Content {
            organization,
            project,
            ..
        } = self.alert.content;
        format!(
            "{}/orgs/{organization}/incidents?project={project}&state=open",
            self.base_url
        )
    }

    fn incident_url(&self, incident: &Named) -> String {
        let organization = self.alert.content.organization;
        format!(
            "{}/orgs/{organization}/incidents/{}",
            self.base_url, incident.incident
        )
    }

    /// It as an e-mail.
    #[must_use]
    pub fn letter(&self, to: &str) -> Letter {
        let headline = self.headline();
        let mut text = format!("SendPromptly: {headline}.\n");
        for incident in &self.alert.content.incidents {
            let _ = write!(text, "\n{}\n  {}\n", told(incident), self.incident_url(incident));
        }
        let open = self.incidents_url();
        match self.further() {
            0 => {}
            more => {
                let _ = write!(text, "\nAnd {more} more.\n");
            }
        }
        let _ = write!(
            text,
            "\nAll that are open: {open}\n\nThis address is a destination of the project's alerts. If it should not be, an \
             admin of the project removes it there.\n"
        );
        Letter {
            to: to.to_owned(),
            subject: format!("[SendPromptly] {headline}"),
            text,
        }
    }

    /// It as Slack takes it.
    #[must_use]
    pub fn slack(&self) -> Vec<u8> {
        let mut text = format!("*SendPromptly*: {}", escaped(&self.headline()));
        for incident in &self.alert.content.incidents {
            let url = escaped(&self.incident_url(incident));
            let _ = write!(text, "\n• <{url}|{}>", told(incident));
        }
        match self.further() {
            0 => {}
            more => {
                let _ = write!(text, "\n…and {more} more");
            }
        }
        let _ = write!(text, "\n<{}|All that are open>", escaped(&self.incidents_url()));
        let message = SlackMessage {
            text,
            unfurl_links: false,
        };
        serde_json::to_vec(&message).unwrap_or_default() // texts always serialize
    }

    /// It as a webhook gets it: the same bytes at each try.
    #[must_use]
    pub fn webhook(&self) -> Vec<u8> {
        let count = |news| self.alert.content.counts.get(&news).copied().unwrap_or_default();
        let is_test = self.alert.content.counts.is_empty();
        let incidents = self.alert.content.incidents.iter().map(|incident| WireIncident {
            incident_id: incident.incident.to_string(),
            news: incident.news.as_str(),
            reason: incident.reason.as_str(),
            effect_type: incident.effect_type.map(|effect| effect.as_str()),
            at: incident.at.to_string(),
            url: self.incident_url(incident),
        });
        let wire = Wire {
            r#type: if is_test { "alert.test" } else { "alert" },
            message_id: self.alert.id.to_string(),
            project_id: self.alert.content.project.to_string(),
            project_name: &self.alert.content.project_name,
            mode: self.mode(),
            text: self.headline(),
            counts: Counts {
                opened: count(News::Opened),
                reopened: count(News::Reopened),
                resolved: count(News::Resolved),
                escalated: count(News::Escalated),
                silent: count(News::Silent),
                heard: count(News::Heard),
            },
            incidents: incidents.collect(),
            url: self.incidents_url(),
            sent_at: self.alert.made_at.to_string(),
        };
        serde_json::to_vec(&wire).unwrap_or_default() // texts and numbers always serialize
    }
}

/// An incident in one line.
fn told(incident: &Named) -> String {
    let effect = incident
        .effect_type
        .map_or("effect not known", |effect| effect.as_str());
    let news = match incident.news {
        News::Escalated => "still open",
        other => other.as_str(),
    };
    format!(
        "{} {news} ({}, {effect}) {}",
        incident.incident, incident.reason, incident.at
    )
}

/// A text as it stands in a message of Slack.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sendpromptly_core::event::EffectType;
    use sendpromptly_core::id::{IncidentId, MessageId, OrganizationId, ProjectId};
    use sendpromptly_core::incident::IncidentReason;
    use sendpromptly_core::time::Timestamp;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn alert(counts: &[(News, u32)]) -> AlertMessage {
        let named = Named {
            incident: IncidentId::from_bytes([3; 16]),
            news: News::Opened,
            at: NOW,
            reason: IncidentReason::Timeout,
            effect_type: Some(EffectType::AccessUnlock),
        };
        let of_incidents = counts.iter().any(|(news, _)| *news == News::Opened);
        let content = Content {
            organization: OrganizationId::from_bytes([1; 16]),
            project: ProjectId::from_bytes([2; 16]),
            project_name: "<shop> & \"co\"".to_owned(),
            mode: Mode::Live,
            silence_minutes: Some(15),
            counts: BTreeMap::from_iter(counts.iter().copied()),
            incidents: if of_incidents { vec![named] } else { Vec::new() },
        };
        AlertMessage {
            id: MessageId::from_bytes([4; 16]),
            made_at: NOW,
            content,
        }
    }

    fn wire(alert: &AlertMessage) -> serde_json::Value {
        serde_json::from_slice(&of(alert).webhook()).unwrap()
    }

    fn of(alert: &AlertMessage) -> Message<'_> {
        Message {
            alert,
            base_url: "https://pay.example.com",
        }
    }

    #[test]
    fn a_message_counts_what_it_tells_and_names_the_incidents_with_links() {
        let alert = alert(&[(News::Opened, 3), (News::Resolved, 1)]);
        let letter = of(&alert).letter("ops@example.com");
        assert_eq!(
            letter.subject,
            "[SendPromptly] Incidents: 3 opened, 1 resolved in shop & \"co\" (live)"
        );
        let link = format!(
            "https://pay.example.com/orgs/org_{0}/incidents/inc_{1}",
            "01".repeat(16),
            "03".repeat(16)
        );
        for part in [
            &link,
            "opened (timeout, access_unlock) 2027-",
            "And 3 more.",
            "&state=open",
        ] {
            assert!(letter.text.contains(part), "{part} is not in {}", letter.text);
        }
        let slack: serde_json::Value = serde_json::from_slice(&of(&alert).slack()).unwrap();
        let text = slack["text"].as_str().unwrap();
        assert!(
            text.contains(&format!("<{link}|inc_")) && text.contains("&amp;state=open|"),
            "{text}"
        );
        assert!(!text.contains("<shop>"), "{text}");
        let wire = wire(&alert);
        assert_eq!(
            (&wire["counts"]["opened"], &wire["incidents"][0]["url"]),
            (&3.into(), &link.into())
        );
        assert_eq!(wire["type"], "alert");
        assert_eq!(wire["message_id"], alert.id.to_string());
    }

    #[test]
    fn silence_and_a_test_are_told_in_words_and_to_a_machine() {
        let quiet = alert(&[(News::Silent, 1)]);
        assert_eq!(
            of(&quiet).headline(),
            "no receipt for 15 minutes in shop & \"co\" (live)"
        );
        let heard = alert(&[(News::Heard, 1)]);
        let counts = |alert| {
            let counts = &wire(alert)["counts"];
            (counts["silent"].clone(), counts["heard"].clone())
        };
        assert_eq!(counts(&quiet), (1.into(), 0.into()));
        assert_eq!(counts(&heard), (0.into(), 1.into()));
        let test = alert(&[]);
        assert!(of(&test).headline().starts_with("Test alert in"));
        assert_eq!(wire(&test)["type"], "alert.test");
    }
}
