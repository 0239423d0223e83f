//! The expensive checks of a command, made before it reaches the writer.
//!
//! Compiling a JSON Schema may take milliseconds, and there is only one writer. So the check is
//! made by the one who asks, against the snapshot of the moment; the writer then only compares
//! texts, and sends a command back ([`Refusal::NotVetted`]) when what matters has become another
//! in between.
//!
//! [`Refusal::NotVetted`]: super::Refusal::NotVetted

use std::sync::Arc;

use moka::future::Cache;

use super::command::{Command, Refusal, Request, SubmitError};
use super::state::State;
use crate::plugin::{FreeJson, Invalid, schema};

/// How much is remembered of schemas that were found to be right, in bytes of their texts.
const REMEMBERED_BYTES: u64 = 4 << 20;

/// What has to be checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Is this a JSON Schema?
    pub schema: FreeJson,
    /// Does this configuration obey it?
    pub config: Option<FreeJson>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Vetted {
    /// This is a JSON Schema.
    pub schema: FreeJson,
    /// This configuration was held against it, and obeys it or not.
    pub config: Option<(FreeJson, bool)>,
}

impl Vetted {
    /// Returns true if and only if `config` was found to obey.
    pub fn obeyed_by(&self, config: &FreeJson) -> bool {
        self.config.as_ref().is_some_and(|(held, obeys)| held == config && *obeys)
    }
}

/// What can be told before `command` is decided.
pub enum Foresight {
    /// Nothing expensive is to be checked.
    Nothing,
    /// This was checked when it came to stand.
    Known(Vetted),
    /// This has to be checked.
    Ask(Question),
}

impl Foresight {
    /// What `command` will need to have checked, as far as `state` tells.
    pub fn of(command: &Command, state: &State) -> Foresight {
        match command {
            Command::Register(registration) | Command::Replace { registration, .. } => {
                let schema = registration.config_schema.clone();
                let standing = state.plugin(registration.key().unique_id().as_str());
                match standing {
                    Some(record) if record.plugin.config_schema == schema => {
                        Foresight::Known(Vetted { schema, config: None })
                    }
                    standing => {
                        let config = standing.and_then(|record| record.config.clone());
                        Foresight::Ask(Question { schema, config })
                    }
                }
            }
            Command::SaveConfig { id, config } => state.plugin(id.as_str()).map_or(Foresight::Nothing, |record| {
                let schema = record.plugin.config_schema.clone();
                Foresight::Ask(Question { schema, config: Some(config.clone()) })
            }),
            _ => Foresight::Nothing,
        }
    }
}

/// Makes the checks, and remembers which schemas were right: many plugins have the same one.
#[derive(Debug)]
pub(super) struct Vetting(Cache<FreeJson, ()>);

impl Vetting {
    pub(super) fn new() -> Vetting {
        let bytes = |schema: &FreeJson, (): &()| u32::try_from(schema.as_str().len()).unwrap_or(u32::MAX);
        Vetting(Cache::builder().weigher(bytes).max_capacity(REMEMBERED_BYTES).build())
    }

    /// Makes an expensive check for a request.
    ///
    /// # Errors
    ///
    /// What was found to be wrong.
    pub(super) async fn vet(&self, request: &Arc<Request>, question: Question) -> Result<Vetted, SubmitError> {
        if question.config.is_none() && self.0.get(&question.schema).await.is_some() {
            return Ok(Vetted { schema: question.schema, config: None });
        }
        let checked = if question.is_quick() {
            question.answer(&request.command)
        } else {
            let request = Arc::clone(request);
            tokio::task::spawn_blocking(move || question.answer(&request.command))
                .await
                .map_err(|_| SubmitError::WriterFailed)?
        };
        let vetted = checked.map_err(Refusal::from)?;
        self.0.insert(vetted.schema.clone(), ()).await;
        Ok(vetted)
    }
}

impl Question {
    /// Whether the check takes no more than 2 ms, whatever the texts say.
    pub fn is_quick(&self) -> bool {
        self.config.is_none() && schema::is_quick(self.schema.as_str())
    }

    /// Makes the check for `command`.
    ///
    /// # Errors
    ///
    /// What is wrong with the schema; for a configuration that is to be saved, where it does not
    /// obey. That one which was saved before does not obey any more is no error.
    pub fn answer(self, command: &Command) -> Result<Vetted, Invalid> {
        let Question { schema, config } = self;
        let value = schema.to_value();
        let config = match (command, config) {
            (Command::SaveConfig { .. }, Some(config)) => {
                schema::check_config(&config.to_value(), &value)?;
                Some((config, true))
            }
            (_, config) => {
                schema::check(&value, "/config_schema")?;
                config.map(|config| {
                    let obeys = schema::check_config(&config.to_value(), &value).is_ok();
                    (config, obeys)
                })
            }
        };
        Ok(Vetted { schema, config })
    }
}
