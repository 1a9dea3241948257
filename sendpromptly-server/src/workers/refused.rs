//! Projects whose work the store refuses, for something that is stored of them cannot be read. They are left alone for a
//! while, so that it costs nobody else a turn.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sendpromptly_core::id::ProjectId;
use tokio::time::Instant;

/// How long the store is left alone with what it has refused.
pub(super) const LOOK_AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// Those that a worker has met.
#[derive(Debug, Clone, Default)]
pub(super) struct RefusedProjects {
    /// Those that are left alone, and until when.
    resting: BTreeMap<ProjectId, Instant>,
    /// Those met since this pass began. It goes over them to its end: not all of a project need be refused.
    met: BTreeSet<ProjectId>,
}

impl RefusedProjects {
    /// Whether this pass leaves it alone.
    pub(super) fn contain(&self, project: ProjectId) -> bool {
        self.resting.contains_key(&project)
    }

    /// The next pass leaves it alone.
    pub(super) fn note(&mut self, project: ProjectId) {
        self.met.insert(project);
    }

    /// A pass over all projects begins.
    pub(super) fn begin_pass(&mut self) {
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        let met = std::mem::take(&mut self.met);
        self.resting
            .extend(met.into_iter().map(|project| (project, now + LOOK_AFTER_REFUSAL)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refused_project_is_left_alone_from_the_next_pass_on_and_for_a_minute() {
        let (mut refused, project) = (RefusedProjects::default(), ProjectId::from_bytes([1; 16]));
        refused.note(project);
        assert!(!refused.contain(project));
        refused.begin_pass();
        assert!(refused.contain(project));
        tokio::time::advance(LOOK_AFTER_REFUSAL - Duration::from_millis(1)).await;
        refused.begin_pass();
        assert!(refused.contain(project));
        tokio::time::advance(Duration::from_millis(1)).await;
        refused.begin_pass();
        assert!(!refused.contain(project));
    }
}
