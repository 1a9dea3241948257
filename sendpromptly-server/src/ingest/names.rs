//! Receipts and announcements of one event under different names: which are of one, and what is stored of that.

use std::collections::{HashMap, HashSet};

use sendpromptly_core::pairing::{Fit, Teller, Told};

use super::receipts::event_name;
use super::request::{IngestRequest, NewReceipt};
use crate::store::StoreError;
use crate::store::announcements::NewAnnouncement;
use crate::store::receipts::{KnownEvent, ProviderEventName};
use crate::store::shopify_names::{NamedEvents, NewName};

/// The events that are known, by name.
type Known = HashMap<ProviderEventName, KnownEvent>;

/// For each receipt, in order, the name to store if it is taken. An event that was announced under another name is known
/// by that of its receipt from here on. What is known must be locked, and was looked up by the names of the stored ones.
///
/// # Errors
/// [`StoreError::Again`] where what was stored has changed since.
pub(super) fn of_receipts(
    requests: &[(&IngestRequest, &NewReceipt)],
    stored: &NamedEvents,
    known: &mut Known,
) -> Result<Vec<Option<NewName>>, StoreError> {
    let mut pairs = stored.pairs.clone();
    let mut here = HashSet::new();
    let mut names = Vec::with_capacity(requests.len());
    for &(request, new) in requests {
        let name = event_name(request, &new.receipt);
        let (project, digest, _) = name;
        // A repeat inside the batch tells of the same event.
        let resource = new.receipt.resource.filter(|_| here.insert(name));
        let Some(resource) = resource.map(|resource| (project, resource)) else {
            names.push(None);
            continue;
        };
        let told = Told {
            teller: Teller::App,
            name: digest,
            at: new.receipt.occurred_at,
        };
        let of = pairs.entry(resource).or_default();
        let named = |number, is_first, event| {
            Some(NewName {
                resource,
                number,
                is_first,
                event,
                told,
            })
        };
        if let Some(event) = known.get(&name).map(|known| known.status.id) {
            let number = of.tell_of(event, told);
            names.push(number.and_then(|number| named(number, false, event)));
            continue;
        }
        names.push(match of.tell(told, new.event) {
            Fit::Repeat => None,
            Fit::New { number } => named(number, true, new.event),
            Fit::Joins { number, event } => {
                let announced = stored.names.get(&(project, event));
                let announced = announced.and_then(|name| known.remove(name));
                let waits = |known: &KnownEvent| known.status.id == event && known.receipt.is_none();
                let announced = announced.filter(waits).ok_or_else(changed)?;
                known.insert(name, announced);
                named(number, false, event)
            }
        });
    }
    Ok(names)
}

/// The announcements whose events are to be stored, and the names to store.
pub(super) fn of_announcements<'a>(
    announcements: &[&'a NewAnnouncement],
    stored: NamedEvents,
    known: &Known,
) -> (Vec<&'a NewAnnouncement>, Vec<NewName>) {
    let mut pairs = stored.pairs;
    let mut here = HashSet::new();
    let (mut new, mut names) = (Vec::new(), Vec::new());
    for &announced in announcements {
        let name = announced.name();
        // One of the same name inside the batch is a repeat, or another topic of the same event.
        let resource = announced.about().filter(|_| here.insert(name));
        let Some(resource) = resource else { continue };
        let told = Told {
            teller: Teller::Provider,
            name: name.1,
            at: announced.announcement.occurred_at,
        };
        let of = pairs.entry(resource).or_default();
        let fit = match known.get(&name).map(|known| known.status.id) {
            Some(event) => match of.tell_of(event, told) {
                Some(number) => Fit::Joins { number, event },
                None => Fit::Repeat,
            },
            None => of.tell(told, announced.event),
        };
        let (number, is_first, event) = match fit {
            Fit::Repeat => continue,
            Fit::Joins { number, event } => (number, false, event),
            Fit::New { number } => {
                new.push(announced);
                (number, true, announced.event)
            }
        };
        names.push(NewName {
            resource,
            number,
            is_first,
            event,
            told,
        });
    }
    (new, names)
}

fn changed() -> StoreError {
    StoreError::Again("an event got its receipt meanwhile".to_owned())
}
