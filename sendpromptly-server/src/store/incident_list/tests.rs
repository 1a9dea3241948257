//! The list against a plainly right one: every incident, sorted, and looked at one by one.

use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::replay::Effect;

use super::*;
use crate::store::scope::OrganizationScope;
use crate::testing::{NOW, Sale, World};

const STATES: [IncidentState; 3] = [
    IncidentState::Open,
    IncidentState::Reprocessing,
    IncidentState::Resolved,
];

fn scope(world: &World) -> OrganizationScope {
    OrganizationScope::of_the_command_line(world.organization)
}

/// Incidents of two projects: one of each state for each provider and three effect types, under three references.
async fn fill(world: &World) -> [ProjectId; 2] {
    let second = ProjectId::new(NOW, [7; 10]);
    world.add_project(second).await;
    let mut number = 0;
    for project in [world.project, second] {
        for provider in Provider::ALL {
            for effect_type in &EffectType::ALL[..3] {
                for state in STATES {
                    let sale = Sale {
                        provider: *provider,
                        effect_type: *effect_type,
                        reference: ["ada", "ben", "evt_4"][number % 3],
                    };
                    put(world, project, &format!("evt_{}", number % 30), &sale, state).await;
                    number += 1;
                }
            }
        }
    }
    [world.project, second]
}

async fn put(world: &World, project: ProjectId, name: &str, sale: &Sale<'_>, state: IncidentState) {
    let event = world.receive_sale(project, name, sale).await;
    world.report_for(project, event, Effect::Failed, None, NOW).await;
    let incident = world
        .store
        .incident_of_event(project, event)
        .await
        .unwrap()
        .unwrap();
    match state {
        IncidentState::Reprocessing => {
            let ordered = world.reprocess_of(project, incident.incident.id, None, false, NOW);
            ordered.await.unwrap();
        }
        IncidentState::Resolved => {
            world.report_for(project, event, Effect::Success, None, NOW).await;
        }
        _ => {}
    }
}

async fn whole(world: &World, filter: &IncidentFilter) -> Vec<IncidentRecord> {
    let page = world
        .store
        .list_incidents(scope(world), filter, PageStart::Newest, 1_000);
    page.await.unwrap().incidents
}

fn ids(records: &[IncidentRecord]) -> Vec<IncidentId> {
    records.iter().map(|record| record.incident.id).collect()
}

fn fits(record: &IncidentRecord, filter: &IncidentFilter) -> bool {
    let reference = record.internal_reference.as_ref();
    filter.project.is_none_or(|project| project == record.project)
        && filter.state.is_none_or(|state| state == record.incident.state)
        && filter.provider.is_none_or(|provider| provider == record.provider)
        && (filter.effect_type.is_none() || filter.effect_type == record.effect_type)
        && (filter.reference.is_none() || filter.reference.as_ref() == reference)
        && filter
            .search
            .as_ref()
            .is_none_or(|text| Some(text) == reference || *text == record.provider_event_id)
}

/// Every filter there is over these values, with each of its parts left out as well.
fn filters(projects: [ProjectId; 2]) -> Vec<IncidentFilter> {
    let texts = [None, Some("ada"), Some("evt_4"), Some("nobody")];
    let mut filters = Vec::new();
    for project in [None, Some(projects[1])] {
        for state in [None, Some(IncidentState::Open), Some(IncidentState::Dismissed)] {
            for provider in [None, Some(Provider::Shopify)] {
                for effect_type in [None, Some(EffectType::CreditGrant)] {
                    for reference in texts {
                        for search in texts {
                            filters.push(IncidentFilter {
                                project,
                                state,
                                effect_type,
                                provider,
                                reference: reference.map(str::to_owned),
                                search: search.map(str::to_owned),
                            });
                        }
                    }
                }
            }
        }
    }
    filters
}

#[tokio::test]
async fn any_combination_of_filters_gives_what_fits_newest_first() {
    let world = World::set_up().await;
    let projects = fill(&world).await;
    let all = whole(&world, &IncidentFilter::default()).await;
    assert_eq!(all.len(), 36);
    assert!(all.is_sorted_by(|one, two| one.incident.id > two.incident.id));
    let mut found_any = 0;
    for filter in filters(projects) {
        let expected: Vec<_> = all
            .iter()
            .filter(|record| fits(record, &filter))
            .cloned()
            .collect();
        let found = whole(&world, &filter).await;
        assert_eq!(ids(&found), ids(&expected), "{filter:?}");
        found_any += usize::from(!found.is_empty());
    }
    assert!(found_any > 40, "the filters are no empty test: {found_any}");
}

#[tokio::test]
async fn pages_follow_each_other_down_and_up_again() {
    let world = World::set_up().await;
    fill(&world).await;
    for filter in [
        IncidentFilter::default(),
        IncidentFilter {
            state: Some(IncidentState::Open),
            ..IncidentFilter::default()
        },
    ] {
        let all = ids(&whole(&world, &filter).await);
        let page = async |start| {
            world
                .store
                .list_incidents(scope(&world), &filter, start, 5)
                .await
                .unwrap()
        };
        let mut start = PageStart::Newest;
        let mut down = Vec::new();
        loop {
            let shown = page(start).await;
            let shown_ids = ids(&shown.incidents);
            assert_eq!(shown.newer, start != PageStart::Newest);
            start = PageStart::OlderThan(*shown_ids.last().unwrap());
            down.push(shown_ids);
            if !shown.older {
                break;
            }
        }
        assert_eq!(down.concat(), all);
        let lowest = down.last().unwrap()[0];
        let above = page(PageStart::NewerThan(lowest)).await;
        assert_eq!(ids(&above.incidents), down[down.len() - 2]);
        assert!(above.newer && above.older);
        // Above the second incident there is less than a page: the first page is shown whole.
        let top = page(PageStart::NewerThan(all[1])).await;
        assert_eq!(ids(&top.incidents), all[..5]);
        assert!(!top.newer && top.older);
        let beyond = page(PageStart::OlderThan(*all.last().unwrap())).await;
        assert!(beyond.incidents.is_empty() && !beyond.older && beyond.newer);
    }
}

#[tokio::test]
async fn another_organization_sees_nothing_whatever_it_names() {
    let world = World::set_up().await;
    let [project, _] = fill(&world).await;
    let stranger = OrganizationScope::of_the_command_line(OrganizationId::new(NOW, [9; 10]));
    for filter in filters([project, project]) {
        let page = world
            .store
            .list_incidents(stranger, &filter, PageStart::Newest, 50);
        assert!(page.await.unwrap().incidents.is_empty(), "{filter:?}");
    }
    let count = world.store.count_incidents(stranger, IncidentState::Open);
    assert!(count.await.unwrap().is_zero());
}

#[tokio::test]
async fn incidents_are_counted_as_far_as_a_page_tells() {
    let world = World::set_up().await;
    fill(&world).await;
    for (state, expected) in [
        (IncidentState::Open, "12"),
        (IncidentState::Reprocessing, "12"),
        (IncidentState::Dismissed, "0"),
    ] {
        let count = world.store.count_incidents(scope(&world), state).await.unwrap();
        assert_eq!(count.to_string(), expected);
    }
    assert_eq!(Count(Count::MOST).to_string(), "1000");
    assert_eq!(Count(Count::MOST + 1).to_string(), "1000+");
}

#[tokio::test]
async fn what_a_deleted_project_held_is_no_longer_listed() {
    let world = World::set_up().await;
    let projects = fill(&world).await;
    let of_second = IncidentFilter {
        project: Some(projects[1]),
        ..IncidentFilter::default()
    };
    let gone = whole(&world, &of_second).await[0].incident.id;
    let operator = crate::testing::operator();
    let deleted = world
        .store
        .delete_project(scope(&world), projects[1], &operator, NOW);
    assert!(deleted.await.unwrap());
    let all = whole(&world, &IncidentFilter::default()).await;
    assert_eq!(all.len(), 18);
    let kept = all[0].incident.id;
    for filter in filters(projects) {
        let found = whole(&world, &filter).await;
        assert!(
            found.iter().all(|record| record.project == projects[0]),
            "{filter:?}"
        );
    }
    let count = world
        .store
        .count_incidents(scope(&world), IncidentState::Open)
        .await;
    assert_eq!(count.unwrap().to_string(), "6");
    assert!(
        world
            .store
            .incident_of(scope(&world), kept)
            .await
            .unwrap()
            .is_some()
    );
    let incident = world.store.incident_of(scope(&world), gone);
    assert!(incident.await.unwrap().is_none());
}
