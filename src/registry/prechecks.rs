//! The expensive checks of a command, made before the command reaches the writer.
//!
//! Compiling a JSON Schema may take milliseconds, and there is only one writer. So the check is made before, against the
//! current snapshot, at the caller's turn: see [`super::fair_pool`]. The writer only compares texts. It sends a command back ([`Refusal::NotChecked`]) if
//! the schema or the configuration changed since the check.

use moka::future::Cache;

use super::fair_pool::{FairPool, WorkCaller, WorkError};
use crate::registry::submit_error::SubmitError;
use domain::command::Refusal;
pub(crate) use domain::command::schema_question::{CheckedSchema, SchemaQuestion};
use domain::plugin::FreeJson;

/// The maximum size of the cache of valid schemas, in bytes of their texts.
const REMEMBERED_BYTES: u64 = 4 << 20;

/// Makes the checks, and caches valid schemas: many plugins have the same one.
#[derive(Debug)]
pub(super) struct Prechecks(Cache<FreeJson, ()>);

impl Prechecks {
    pub(super) fn new() -> Prechecks {
        let bytes = |schema: &FreeJson, (): &()| u32::try_from(schema.as_str().len()).unwrap_or(u32::MAX);
        Prechecks(Cache::builder().weigher(bytes).max_capacity(REMEMBERED_BYTES).build())
    }

    /// Makes an expensive check.
    ///
    /// # Errors
    ///
    /// The mistakes.
    pub(super) async fn check(
        &self,
        pool: &FairPool,
        caller: WorkCaller,
        question: SchemaQuestion,
    ) -> Result<CheckedSchema, SubmitError> {
        if let Some(schema) = question.schema_alone()
            && self.0.get(schema).await.is_some()
        {
            return Ok(CheckedSchema { schema: schema.clone(), config: None });
        }
        let checked = if question.is_quick() {
            question.answer()
        } else {
            pool.run(caller, move |_| Ok(question.answer())).await.map_err(|error| match error {
                WorkError::Full => SubmitError::Overloaded,
                WorkError::Failed => SubmitError::WriterFailed,
            })?
        };
        let checked = checked.map_err(Refusal::from)?;
        self.0.insert(checked.schema.clone(), ()).await;
        Ok(checked)
    }
}
