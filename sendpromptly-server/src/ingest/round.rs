//! Requests under one key in one batch: one runs, the others take its answer.

use std::collections::HashMap;

use super::Job;
use super::request::{IngestError, Outcome};

/// A batch in which each key runs once.
pub(super) struct Round {
    /// The first request under each key, in order of arrival.
    pub(super) leaders: Vec<Job>,
    /// Later ones, with the index of the leader that they wait for.
    followers: Vec<(usize, Job)>,
}

impl Round {
    pub(super) fn of(jobs: Vec<Job>) -> Self {
        let mut first = HashMap::with_capacity(jobs.len());
        let mut round = Self {
            leaders: Vec::with_capacity(jobs.len()),
            followers: Vec::new(),
        };
        for job in jobs {
            let leader = *first.entry(job.request.key_name()).or_insert(round.leaders.len());
            if leader == round.leaders.len() {
                round.leaders.push(job);
            } else {
                round.followers.push((leader, job));
            }
        }
        round
    }

    /// Answers everybody whose answer is known; gives back those who must run themselves, for the request
    /// they waited for was refused and has left the key free.
    pub(super) fn answer(self, outcomes: Vec<Outcome>) -> Vec<Job> {
        let mut waiting = Vec::new();
        for (leader, job) in self.followers {
            let same =
                job.request.fingerprint.as_bytes() == self.leaders[leader].request.fingerprint.as_bytes();
            match (&outcomes[leader], same) {
                (Ok(accepted), true) => {
                    let mut accepted = accepted.clone();
                    accepted.replayed = true;
                    job.answer(Ok(accepted));
                }
                (Ok(_), false) => job.answer(Err(IngestError::Conflict)),
                (Err(error), true) => job.answer(Err(error.clone())),
                (Err(_), false) => waiting.push(job),
            }
        }
        for (job, outcome) in self.leaders.into_iter().zip(outcomes) {
            job.answer(outcome);
        }
        waiting
    }
}
