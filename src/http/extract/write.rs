//! The parts that every write shares: caller, precondition, idempotency key and reply.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::Response;
use hyper::http::request::Parts;
use jiff::Timestamp;

use super::conditional::precondition;
use super::idempotency;
use super::idempotency::IdempotencyKey;
use super::principal::RequestCaller;
use super::snapshot::Now;
use crate::http::headers::revision_header;
use crate::http::problem::{Kind, Problem};
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::Shared;
use domain::access::Principal;
use domain::command::answer::Answer;
use domain::command::{Caller, Command, Outcome, Precondition, Request};
use domain::{Snapshot, StoreId};

/// A write, before its command is known.
pub struct Write {
    api: Shared,
    now: Now,
    precondition: Precondition,
    asker: Caller,
    key: Option<IdempotencyKey>,
    params: Params,
}

impl FromRequestParts<Shared> for Write {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let now = Now::from_request_parts(parts, api).await.map_err(|_| {
            Problem::new(Kind::Internal, "the middleware gave the request no snapshot; report this bug")
        })?;
        let Ok(RequestCaller(asker)) = RequestCaller::from_request_parts(parts, api).await;
        let params = Params::from_request_parts(parts, api).await?;
        let key = IdempotencyKey::of(parts)?;
        Ok(Write { api: api.clone(), now, precondition: precondition(&parts.headers)?, asker, key, params })
    }
}

impl Write {
    /// Runs a command, and replies with the plugin after the command.
    ///
    /// # Errors
    ///
    /// The registry's refusal.
    pub async fn run(self, command: Command) -> Result<Response, Problem> {
        let snapshot = Arc::clone(&self.now);
        self.run_for(command, move |outcome| json::written(&snapshot, outcome)).await
    }

    /// Runs a command, and replies with the response that `make` builds from the outcome.
    ///
    /// # Errors
    ///
    /// The registry's refusal.
    pub async fn run_for(
        self,
        command: Command,
        make: impl Fn(&Outcome) -> Response + Clone + Send + Sync + 'static,
    ) -> Result<Response, Problem> {
        let Write { api, precondition, asker, key, params, .. } = self;
        params.only(&[])?;
        let attempt = key.map(|key| key.attempt(make.clone()));
        let request = Request { precondition, attempt, ..Request::by(asker, command) };
        let outcome = api.registry.submit(request).await?;
        if let Some(first) = &outcome.repeated {
            return Ok(idempotency::repeated(first));
        }
        let mut response = make(&outcome);
        let (name, value) = revision_header(outcome.revision);
        response.headers_mut().insert(name, value);
        Ok(response)
    }

    /// Takes the query parameters of a write, and refuses all others.
    ///
    /// # Errors
    ///
    /// 400 for a parameter that is not in `known`.
    pub fn take_params(&mut self, known: &[&str]) -> Result<Params, Problem> {
        std::mem::take(&mut self.params).only(known)
    }

    /// Whether the request has an idempotency key.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// The newest state at the beginning of the request.
    pub fn snapshot(&self) -> &Snapshot {
        &self.now
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.api.registry.now()
    }

    /// The id of the store.
    pub fn store(&self) -> &StoreId {
        &self.now.store
    }

    /// The caller.
    pub fn principal(&self) -> Option<&Principal> {
        self.asker.principal.as_ref()
    }

    /// The precondition of the request.
    pub fn precondition(&self) -> &Precondition {
        &self.precondition
    }

    /// The request for the `number`th command of many, which has no precondition and was sent as `text`. `answer`
    /// builds the reply that the registry stores for the idempotency key.
    pub fn one_of_many(&self, command: Command, number: usize, text: &[u8], answer: fn(&Outcome) -> Answer) -> Request {
        let attempt = self.key.as_ref().map(|key| key.part(number, text, answer));
        Request { attempt, ..Request::by(self.asker.clone(), command) }
    }
}
