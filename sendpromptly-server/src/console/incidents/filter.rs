//! The filters of the list, as they stand in its address.

use std::str::FromStr;

use sendpromptly_core::id::IncidentId;
use url::form_urlencoded::Serializer;

use crate::console::form::Form;
use crate::store::incident_list::{IncidentFilter, PageStart};

/// The filter that a query asks for. What does not read is left out.
pub(super) fn of(query: &Form) -> IncidentFilter {
    IncidentFilter {
        project: word(query, "project"),
        state: word(query, "state"),
        effect_type: word(query, "effect"),
        provider: word(query, "provider"),
        reference: text(query, "reference"),
        search: text(query, "q"),
    }
}

/// Where the page begins that a query asks for.
pub(super) fn start(query: &Form) -> PageStart {
    let after = word(query, "after").map(PageStart::OlderThan);
    let before = || word(query, "before").map(PageStart::NewerThan);
    after.or_else(before).unwrap_or_default()
}

/// The query of a page of the list with this filter; empty, or with its question mark.
pub(super) fn query(filter: &IncidentFilter, start: PageStart) -> String {
    let (after, before): (Option<IncidentId>, Option<IncidentId>) = match start {
        PageStart::Newest => (None, None),
        PageStart::OlderThan(id) => (Some(id), None),
        PageStart::NewerThan(id) => (None, Some(id)),
    };
    let fields = [
        ("state", filter.state.map(|state| state.to_string())),
        ("project", filter.project.map(|project| project.to_string())),
        ("effect", filter.effect_type.map(|effect| effect.to_string())),
        ("provider", filter.provider.map(|provider| provider.to_string())),
        ("reference", filter.reference.clone()),
        ("q", filter.search.clone()),
        ("after", after.map(|id| id.to_string())),
        ("before", before.map(|id| id.to_string())),
    ];
    let mut query = Serializer::new(String::new());
    for (name, value) in fields {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    let query = query.finish();
    if query.is_empty() {
        query
    } else {
        format!("?{query}")
    }
}

fn word<T: FromStr>(query: &Form, name: &str) -> Option<T> {
    query.text(name).parse().ok()
}

fn text(query: &Form, name: &str) -> Option<String> {
    Some(query.filter(name).to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_reads_back_from_the_address_that_it_makes() {
        let id = "inc_00000000000000000000000000000001";
        let project = "prj_00000000000000000000000000000002";
        let address = format!(
            "state=open&project={project}&effect=access_unlock&provider=stripe&reference=a%26b&q=evt_1&after={id}"
        );
        let form = Form::parse(address.as_bytes());
        assert_eq!(query(&of(&form), start(&form)), format!("?{address}"));
        assert_eq!(query(&IncidentFilter::default(), PageStart::Newest), "");
    }

    #[test]
    fn what_does_not_read_is_left_out() {
        let form = Form::parse(b"state=lost&project=1&effect=&reference=%00&q=++&after=inc_1");
        assert_eq!(of(&form), IncidentFilter::default());
        assert_eq!(start(&form), PageStart::Newest);
    }
}
