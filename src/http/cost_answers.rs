//! Answers about costs and about the history, shared by equal questions at the same revision.
//!
//! Summing the costs of a long history takes seconds, and dashboards all ask the same. Equal questions that come while
//! one of them is computed wait for its answer. The answer is kept for as long as its computation took, and for a second
//! at least: spending grows all the time, and `at` in the answer says up to when it was counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;

use super::problem::Problem;
use super::query::params::Params;
use domain::{Revision, StoreId};

/// The maximum size of all kept answers, in bytes.
const KEPT_BYTES: u64 = 8 << 20;

/// How long an answer is kept at most.
const KEPT: Duration = Duration::from_mins(1);

/// How long an answer is fresh at least.
const FRESH: SignedDuration = SignedDuration::from_secs(1);

/// A question about costs: its parameters in order, and the revision that it is answered from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CostQuestion {
    parameters: Arc<str>,
    store: StoreId,
    revision: Revision,
}

impl CostQuestion {
    /// The question of a request, at a revision of a store.
    ///
    /// `about` tells apart what is asked: the path, the form of the answer, and the moment that it is about.
    pub fn new(params: &Params, about: &str, store: &StoreId, revision: Revision) -> CostQuestion {
        let mut parameters: Vec<_> = params.iter().collect();
        parameters.sort_unstable();
        let parameters = format!("{parameters:?} {about}").into();
        CostQuestion { parameters, store: store.clone(), revision }
    }
}

/// An answer about costs.
#[derive(Debug, Clone)]
pub struct CostAnswer {
    /// The document.
    pub text: Bytes,
    /// The revision that it was made from.
    pub revision: Revision,
    /// Until when it may answer further questions; `None` for as long as it is kept, because it is about the past.
    pub fresh_until: Option<Timestamp>,
}

impl CostAnswer {
    /// An answer about the present, computed from `began` to `ended`.
    pub fn present(text: Bytes, revision: Revision, began: Timestamp, ended: Timestamp) -> CostAnswer {
        let took = ended.duration_since(began).max(FRESH);
        CostAnswer { text, revision, fresh_until: ended.checked_add(took).ok() }
    }
}

/// The newest answers. Clones share them.
#[derive(Debug, Clone)]
pub struct CostAnswers(Cache<CostQuestion, Result<CostAnswer, Problem>>);

impl Default for CostAnswers {
    fn default() -> CostAnswers {
        let bytes = |question: &CostQuestion, answer: &Result<CostAnswer, Problem>| {
            let bytes = question.parameters.len() + answer.as_ref().map_or(0, |answer| answer.text.len());
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        CostAnswers(Cache::builder().weigher(bytes).max_capacity(KEPT_BYTES).time_to_live(KEPT).build())
    }
}

impl CostAnswers {
    /// The answer to a question: a kept one, the one that another request is waiting for, or that of `compute`.
    ///
    /// # Errors
    ///
    /// The problem of `compute`, which every request receives that waited for it.
    pub async fn answer(
        &self,
        question: CostQuestion,
        now: Timestamp,
        compute: impl Future<Output = Result<CostAnswer, Problem>>,
    ) -> Result<CostAnswer, Problem> {
        let is_stale = |kept: &Result<CostAnswer, Problem>| match kept {
            // A clock that was set back must not keep an answer for longer.
            Ok(answer) => answer
                .fresh_until
                .is_some_and(|until| now >= until || until.duration_since(now) > SignedDuration::from_secs(60)),
            Err(_) => true,
        };
        self.0.entry(question).or_insert_with_if(compute, is_stale).await.into_value()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::http::problem::Kind;

    fn question(query: &str, revision: u64) -> CostQuestion {
        let store = StoreId::kept("s");
        CostQuestion::new(&Params::parse(query).unwrap(), "", &store, Revision(revision))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn equal_questions_at_one_revision_share_one_answer() {
        let answers = CostAnswers::default();
        let computed = AtomicUsize::new(0);
        let ask = |query: &str, revision, second| {
            let answer = CostAnswer::present(Bytes::new(), Revision(revision), at(second), at(second));
            let compute = async {
                tokio::task::yield_now().await;
                computed.fetch_add(1, Ordering::Relaxed);
                Ok(answer)
            };
            answers.answer(question(query, revision), at(second), compute)
        };
        let both = tokio::join!(ask("hours=1&category=a", 1, 10), ask("category=a&hours=1", 1, 10));
        assert!(both.0.is_ok() && both.1.is_ok());
        assert_eq!(computed.load(Ordering::Relaxed), 1, "asked at the same time");
        ask("hours=1&category=a", 1, 10).await.unwrap();
        assert_eq!(computed.load(Ordering::Relaxed), 1, "asked at once again");
        ask("hours=1&category=a", 1, 11).await.unwrap();
        assert_eq!(computed.load(Ordering::Relaxed), 2, "a second later, more was spent");
        ask("hours=1&category=a", 2, 11).await.unwrap();
        ask("hours=2&category=a", 2, 11).await.unwrap();
        assert_eq!(computed.load(Ordering::Relaxed), 4, "another revision, another question");
    }

    #[tokio::test]
    async fn a_failure_is_shared_with_those_who_wait_and_not_kept() {
        let answers = CostAnswers::default();
        let fail = async { Err(Problem::new(Kind::Unavailable, "planted")) };
        assert!(answers.answer(question("", 1), at(1), fail).await.is_err());
        let answer = async { Ok(CostAnswer::present(Bytes::new(), Revision(1), at(1), at(1))) };
        assert!(answers.answer(question("", 1), at(1), answer).await.is_ok());
    }
}
