//! Many registrations in one request, as NDJSON: one document in each line, one result in each line.
//!
//! The registry applies the lines in order, each with its own revision, and commits many lines in one batch. If the
//! body breaks off, the complete lines before that stay registered.

use std::collections::VecDeque;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::{Buf, BytesMut};
use hyper::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

use crate::http::extract::body::{BodyReader, require_type};
use crate::http::extract::write::Write;
use crate::http::headers::revision_header;
use crate::http::media_type::NDJSON;
use crate::http::middleware::authorize::require_still;
use crate::http::middleware::limiter::Permit;
use crate::http::middleware::load_shedding::LoadShedder;
use crate::http::problem::{Kind, Problem, ProblemDocument};
use crate::http::state::Api;
use crate::registry::Pending;
use crate::registry::submit_error::SubmitError;
use domain::Revision;
use domain::command::answer::Answer;
use domain::command::{Command, Outcome, Precondition};
use domain::plugin::{Invalid, Registration, json};

/// The most lines in a request.
const MAX_LINES: usize = 100_000;

/// How many registrations of a request may wait for the writer at the same time.
const IN_FLIGHT: usize = 256;

/// The result of a line.
#[derive(Serialize)]
struct LineResult<'a> {
    /// The number of the line, from 1.
    line: usize,
    /// The status that a request with this line alone would receive.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<Revision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemDocument<'a>>,
}

/// Registers a plugin for each line.
///
/// # Errors
///
/// 400 for a precondition, which cannot apply to many registrations; 415 for a compressed body.
pub async fn register_many(api: &Api, mut write: Write, request: Request) -> Result<Response, Problem> {
    write.take_params(&[])?;
    require_type(request.headers(), &[NDJSON])?;
    if *write.precondition() != Precondition::default() {
        return Err(Problem::new(
            Kind::BadRequest,
            "If-Match and If-None-Match do not apply to many registrations; leave them out",
        ));
    }
    let mut lines = Lines::new(request.into_body(), api);
    let mut results = Results::default();
    while let Some(line) = lines.next().await {
        if lines.read > MAX_LINES {
            let detail = format!(
                "a request may have at most {MAX_LINES} lines; send the rest from this line on in another request"
            );
            results.settle(usize::MAX, Err(Problem::new(Kind::TooLarge, detail).closing())).await;
            break;
        }
        let number = lines.read;
        if let Some(principal) = write.principal()
            && let Err(problem) = require_still(api, principal)
        {
            // The token may be revoked or expire while a long body arrives.
            results.settle(number, Err(problem.closing())).await;
            break;
        }
        match line.and_then(|text| Ok((registration(&text)?, text))) {
            Err(problem) => results.settle(number, Err(problem)).await,
            Ok((registration, text)) => {
                let command = Command::Register(Box::new(registration));
                let request = write.one_of_many(command, number, &text, kept);
                let enqueued = api.registry.enqueue(request).await;
                results.wait_for(number, enqueued).await;
            }
        }
        if lines.broken {
            break;
        }
    }
    results.finish(lines.broken).await
}

/// The stored result of a line that was sent with an `Idempotency-Key`.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    unique_id: String,
    revision: Revision,
    registry: Revision,
}

fn kept(outcome: &Outcome) -> Answer {
    let record = outcome.record.as_deref();
    let kept = Kept {
        unique_id: record.map(|record| record.unique_id.to_string()).unwrap_or_default(),
        revision: record.map(|record| record.revision).unwrap_or_default(),
        registry: outcome.revision,
    };
    let status = if outcome.created { 201 } else { 200 };
    // Serialising this type to memory cannot fail.
    Answer { status, headers: Vec::new(), body: serde_json::to_string(&kept).unwrap_or_default().into() }
}

fn registration(text: &[u8]) -> Result<Registration, Problem> {
    let document = json::parse(text)?;
    if document.is_array() {
        return Err(Invalid::at("", "must be an object, not an array; send one plugin in each line").into());
    }
    Ok(Registration::read(document)?)
}

/// The results of the lines, in order.
#[derive(Default)]
struct Results {
    text: Vec<u8>,
    waiting: VecDeque<(usize, Pending)>,
    newest: Revision,
}

impl Results {
    async fn wait_for(&mut self, line: usize, enqueued: Result<Pending, SubmitError>) {
        match enqueued {
            Ok(pending) => self.waiting.push_back((line, pending)),
            Err(error) => self.settle(line, Err(error.into())).await,
        }
        if self.waiting.len() >= IN_FLIGHT {
            self.take_first().await;
        }
    }

    /// Writes the result of a line after the results of all earlier lines.
    async fn settle(&mut self, line: usize, result: Result<Outcome, Problem>) {
        while !self.waiting.is_empty() {
            self.take_first().await;
        }
        self.write(line, &result);
    }

    async fn take_first(&mut self) {
        if let Some((line, pending)) = self.waiting.pop_front() {
            let outcome = pending.outcome().await;
            self.write(line, &outcome.map_err(Problem::from));
        }
    }

    fn write(&mut self, line: usize, result: &Result<Outcome, Problem>) {
        let line = line.min(MAX_LINES + 1);
        let written = match result {
            Ok(Outcome { repeated: Some(first), .. }) => {
                let kept = serde_json::from_str::<Kept>(&first.body).unwrap_or_default();
                self.newest = self.newest.max(kept.registry);
                let (unique_id, revision) = (Some(&*kept.unique_id), Some(kept.revision));
                let status = first.status;
                serde_json::to_writer(&mut self.text, &LineResult { line, status, unique_id, revision, problem: None })
            }
            Ok(Outcome { revision, record, created, repeated: None, .. }) => {
                self.newest = self.newest.max(*revision);
                let unique_id = record.as_ref().map(|record| record.unique_id.as_str());
                let revision = record.as_ref().map(|record| record.revision);
                let status = if *created { 201 } else { 200 };
                serde_json::to_writer(&mut self.text, &LineResult { line, status, unique_id, revision, problem: None })
            }
            Err(problem) => {
                let status = problem.status().as_u16();
                let problem = Some(problem.document(None, None));
                serde_json::to_writer(
                    &mut self.text,
                    &LineResult { line, status, unique_id: None, revision: None, problem },
                )
            }
        };
        if written.is_ok() {
            self.text.push(b'\n');
        }
    }

    async fn finish(mut self, broken: bool) -> Result<Response, Problem> {
        while !self.waiting.is_empty() {
            self.take_first().await;
        }
        let mut response = ([(CONTENT_TYPE, NDJSON)], Body::from(self.text)).into_response();
        if self.newest > Revision::default() {
            let (name, value) = revision_header(self.newest);
            response.headers_mut().insert(name, value);
        }
        if broken {
            response.headers_mut().insert(hyper::header::CONNECTION, hyper::header::HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// The lines of a body. The limits of a body in size and time apply to each line.
struct Lines {
    reader: BodyReader,
    limit: usize,
    buffer: BytesMut,
    /// The greatest length of the buffer so far, and the permit for so many bytes.
    held: (usize, Permit),
    /// How many lines were read, including blank lines.
    read: usize,
    /// Whether the body has ended.
    ended: bool,
    /// Whether the body ended with an error.
    broken: bool,
}

impl Lines {
    fn new(body: Body, api: &Api) -> Lines {
        let reader = BodyReader::new(body, api.limits.body_time);
        Lines {
            reader,
            limit: api.limits.body_bytes,
            buffer: BytesMut::new(),
            held: (0, api.gate.bodies.nothing()),
            read: 0,
            ended: false,
            broken: false,
        }
    }

    /// The next line that is not blank; `None` at the end.
    async fn next(&mut self) -> Option<Result<BytesMut, Problem>> {
        loop {
            match self.next_line().await? {
                Ok(line) if line.iter().all(u8::is_ascii_whitespace) => {}
                line => return Some(line),
            }
        }
    }

    async fn next_line(&mut self) -> Option<Result<BytesMut, Problem>> {
        let mut searched = 0;
        let mut too_long = false;
        loop {
            if let Some(end) = memchr::memchr(b'\n', self.buffer.get(searched..).unwrap_or_default()) {
                let line = self.buffer.split_to(searched + end);
                self.buffer.advance(1);
                return Some(self.finished(line, too_long));
            }
            too_long |= self.buffer.len() > self.limit;
            if too_long {
                // The rest of a line that is too long is discarded.
                self.buffer.clear();
            }
            searched = self.buffer.len();
            if self.ended {
                let line = std::mem::take(&mut self.buffer);
                return (too_long || !line.is_empty()).then(|| self.finished(line, too_long));
            }
            match self.more().await {
                Ok(true) => {}
                Ok(false) => self.ended = true,
                Err(problem) => {
                    (self.ended, self.broken) = (true, true);
                    self.read += 1;
                    return Some(Err(problem));
                }
            }
        }
    }

    /// Reads the next part of the body. Returns false at the end.
    async fn more(&mut self) -> Result<bool, Problem> {
        let Some(part) = self.reader.next().await? else { return Ok(false) };
        let (most, place) = &mut self.held;
        let length = self.buffer.len() + part.len();
        LoadShedder::hold(place, length.saturating_sub(*most))?;
        *most = length.max(*most);
        self.buffer.extend_from_slice(&part);
        Ok(true)
    }

    fn finished(&mut self, line: BytesMut, too_long: bool) -> Result<BytesMut, Problem> {
        self.read += 1;
        self.reader.renew();
        if too_long || line.len() > self.limit {
            return Err(Problem::new(
                Kind::TooLarge,
                format!("the line is larger than {} bytes; send a smaller one", self.limit),
            ));
        }
        Ok(line)
    }
}
