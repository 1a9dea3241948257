//! Pages hold what the filters say, all of it, in order, and nothing of another organization.

use sendpromptly_core::audit::{Action, Actor, Draft, Origin};
use sendpromptly_core::id::OrganizationId;

use super::*;
use crate::platform::entropy;
use crate::store::audit::drafts_of;
use crate::testing::{NOW, World};

const SECOND: i64 = 1_000;

/// So many entries, a second apart in pairs, by three actors to four targets.
async fn fill(world: &World, organization: OrganizationId, count: i64) {
    const ACTIONS: [Action; 2] = [Action::IncidentOpened, Action::IncidentResolved];
    for number in 0..count {
        let origin = Origin {
            actor: Actor::Cli(["ada", "grace", "joan"][number as usize % 3].to_owned()),
            address: None,
        };
        let action = ACTIONS[usize::from(number % 5 == 0)];
        let draft = Draft::new(&origin, action, format!("inc_{}", number % 4), &[]);
        let at = NOW.plus_millis(number / 2 * SECOND);
        let drafts = drafts_of(organization, at, vec![draft]);
        world.store.commit_audited(&[], &drafts).await.unwrap();
    }
}

/// Every entry that the pages hold, in their order, and how many pages ended early.
async fn all_pages(world: &World, filter: &AuditFilter, limit: u32) -> (Vec<Entry>, u32) {
    let scope = OrganizationScope::of_the_command_line(world.organization);
    let (mut entries, mut cut, mut before) = (Vec::new(), 0, None);
    loop {
        let page = world
            .store
            .audit_page(scope, filter, PageQuery { before, limit })
            .await
            .unwrap();
        assert!(page.entries.len() <= limit as usize);
        entries.extend(page.entries);
        cut += u32::from(page.cut);
        before = page.next;
        if before.is_none() {
            return (entries, cut);
        }
    }
}

fn like(filter: &AuditFilter, entry: &Entry) -> bool {
    let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
    is(&filter.actor, &entry.actor)
        && is(&filter.action, &entry.action)
        && is(&filter.target, &entry.target)
        && filter.from.is_none_or(|from| entry.at >= from)
        && filter.to.is_none_or(|to| entry.at < to)
}

#[tokio::test]
async fn pages_hold_what_the_filters_say_and_all_of_it() {
    let world = World::set_up().await;
    fill(&world, OrganizationId::new(NOW, entropy::for_id()), 3).await;
    fill(&world, world.organization, 130).await;
    let mut entries = world
        .store
        .chain(world.organization)
        .entries(0, 1_000)
        .await
        .unwrap();
    entries.reverse();
    let some = |text: &str| Some(text.to_owned());
    let times = [None, Some(-5), Some(0), Some(7), Some(64), Some(65), Some(1_000)];
    let times = times.map(|second| second.map(|second| NOW.plus_millis(second * SECOND)));
    let mut filters = Vec::new();
    for actor in [None, some("cli:ada"), some("cli:nobody")] {
        for action in [None, some("incident.resolved")] {
            for target in [None, some("inc_0")] {
                let [actor, action, target] = [&actor, &action, &target].map(Clone::clone);
                filters.push(AuditFilter {
                    actor,
                    action,
                    target,
                    from: None,
                    to: None,
                });
            }
        }
    }
    for (index, time) in times.into_iter().enumerate() {
        let to = times[times.len() - 1 - index];
        filters.push(AuditFilter {
            from: time,
            ..AuditFilter::default()
        });
        filters.push(AuditFilter {
            to: time,
            ..AuditFilter::default()
        });
        filters.push(AuditFilter {
            from: time,
            to,
            action: some("incident.opened"),
            ..AuditFilter::default()
        });
    }
    for filter in filters {
        let expected: Vec<_> = entries
            .iter()
            .filter(|entry| like(&filter, entry))
            .cloned()
            .collect();
        let (told, _) = all_pages(&world, &filter, 7).await;
        let places = |entries: &[Entry]| entries.iter().map(|entry| entry.seq).collect::<Vec<_>>();
        assert_eq!(places(&told), places(&expected), "{filter:?}");
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn a_page_that_has_looked_at_enough_says_so_and_the_next_goes_on() {
    let world = World::set_up().await;
    fill(&world, world.organization, 400).await;
    // Each of the two is frequent; both together happen in no entry.
    let filter = AuditFilter {
        actor: Some("cli:ada".to_owned()),
        action: Some("incident.dismissed".to_owned()),
        ..AuditFilter::default()
    };
    // 134 entries are this actor's, and a page looks at 50.
    assert_eq!(all_pages(&world, &filter, 10).await, (Vec::new(), 2));
}

#[tokio::test]
async fn an_empty_chain_has_an_empty_page() {
    let world = World::set_up().await;
    let filter = AuditFilter {
        from: Some(NOW),
        to: Some(NOW),
        ..AuditFilter::default()
    };
    assert_eq!(all_pages(&world, &filter, 10).await, (Vec::new(), 0));
    let scope = OrganizationScope::of_the_command_line(world.organization);
    let standing = world.store.audit_standing(scope).await.unwrap();
    assert_eq!((standing.head, standing.signed), (Head::EMPTY, 0));
}
