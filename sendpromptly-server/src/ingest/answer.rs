//! The bodies of a 202.

use sendpromptly_core::event::EventState;
use sendpromptly_core::id::{EventId, IncidentId};
use sendpromptly_core::time::Timestamp;

/// The answer to a receipt. `differs` names the fields in which it differs from the event's first receipt;
/// `None` for that first receipt itself.
pub(super) fn receipt(event: EventId, timeout_at: Timestamp, differs: Option<&[&str]>) -> String {
    let duplicate = differs.is_some();
    let mut answer = format!(
        r#"{{"accepted":true,"event_id":"{event}","timeout_at":"{timeout_at}","duplicate":{duplicate}"#
    );
    if let Some(names @ [_, ..]) = differs {
        answer.push_str(r#","differs":["#);
        answer.push_str(
            &names
                .iter()
                .map(|name| format!(r#""{name}""#))
                .collect::<Vec<_>>()
                .join(","),
        );
        answer.push(']');
    }
    answer.push('}');
    answer
}

/// The answer to a result: what is known of the effect now, and the event's incident.
pub(super) fn result(event: EventId, state: EventState, incident: Option<IncidentId>) -> String {
    let incident = incident.map_or_else(|| "null".to_owned(), |id| format!(r#""{id}""#));
    format!(r#"{{"accepted":true,"event_id":"{event}","status":"{state}","incident_id":{incident}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_tells_in_what_it_differs_only_where_it_does() {
        let event = EventId::from_bytes([1; 16]);
        let at = Timestamp::from_millis(1_500);
        let start = format!(
            r#"{{"accepted":true,"event_id":"{event}","timeout_at":"1970-01-01T00:00:01.500Z","duplicate":"#
        );
        assert_eq!(receipt(event, at, None), format!("{start}false}}"));
        assert_eq!(receipt(event, at, Some(&[])), format!("{start}true}}"));
        assert_eq!(
            receipt(event, at, Some(&["event_type", "effect_type"])),
            format!(r#"{start}true,"differs":["event_type","effect_type"]}}"#)
        );
    }

    #[test]
    fn a_result_names_the_incident_or_null() {
        let (event, incident) = (EventId::from_bytes([1; 16]), IncidentId::from_bytes([2; 16]));
        let start = format!(r#"{{"accepted":true,"event_id":"{event}","status":"#);
        assert_eq!(
            result(event, EventState::Succeeded, None),
            format!(r#"{start}"succeeded","incident_id":null}}"#)
        );
        assert_eq!(
            result(event, EventState::Failed, Some(incident)),
            format!(r#"{start}"failed","incident_id":"{incident}"}}"#)
        );
    }
}
