//! What an order to reprocess would come to, told before it is given. The rules are the order's own.

use sendpromptly_core::case::{Case, EventStatus, Refusal, ReprocessOrder};
use sendpromptly_core::event::Mode;
use sendpromptly_core::id::ReplayId;
use sendpromptly_core::signing::CallbackBody;

use super::words;
use crate::console::Visit;
use crate::console::access::Seat;
use crate::operate::OperateError;
use crate::store::events::EventRecord;
use crate::store::incidents::IncidentRecord;
use crate::store::repair_targets::RepairTarget;

/// Stands for the id of the replay that an order makes.
const NEW: ReplayId = ReplayId::from_bytes([0; 16]);

/// What an order would come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Prospect {
    /// The endpoint is called.
    Called,
    /// The same, if whoever orders it knows that the effect may have been applied.
    MayHaveBeenApplied,
    /// It is refused, for this reason.
    Refused(&'static str),
}

/// What an order about this incident would come to now.
pub(in crate::console) fn prospect(
    record: &IncidentRecord,
    target: Option<&RepairTarget>,
    visit: &Visit,
    seat: &Seat,
) -> Prospect {
    let case = Case {
        incident: Some(record.incident.clone()),
        replays: record.replays.clone(),
        ..Case::new(EventStatus::pending(record.event, record.incident.opened_at))
    };
    let order = ReprocessOrder {
        replay_id: NEW,
        again: false,
        schedule: &visit.console.setting.schedule,
    };
    let decided = case.reprocess(order, &visit.origin(seat.who.user), visit.now);
    let doubtful = matches!(decided, Err(Refusal::MayHaveBeenApplied(_)));
    let refused = match decided {
        Err(refusal) if !doubtful => Some(OperateError::Refused(refusal)),
        _ if target.is_none_or(|target| target.origin.is_none()) => Some(OperateError::NoRepairUrl),
        _ if record.effect_type.is_none() || record.internal_reference.is_none() => {
            Some(OperateError::EffectUnknown)
        }
        _ => None,
    };
    match refused {
        Some(error) => Prospect::Refused(words::refusal(&error).unwrap_or_default()),
        None if doubtful => Prospect::MayHaveBeenApplied,
        None => Prospect::Called,
    }
}

/// The body of the callback, as it would be sent but for the replay's id, which each order makes anew.
pub(super) fn body(record: &IncidentRecord, event: &EventRecord, mode: Mode) -> Option<String> {
    let body = CallbackBody {
        replay_id: NEW,
        incident_id: record.incident.id,
        event_id: record.event,
        project_id: record.project,
        mode,
        provider: record.provider,
        provider_event_id: &record.provider_event_id,
        event_type: &record.event_type,
        effect_type: record.effect_type?,
        internal_reference: record.internal_reference.as_deref()?,
        occurred_at: event.occurred_at,
    };
    let json = body
        .to_json()
        .replacen(&NEW.to_string(), "rpl_… (new with each order)", 1);
    Some(json.replace("\",\"", "\",\n \""))
}
