//! The expensive checks of a command, made before the command reaches the writer.
//!
//! Compiling a JSON Schema may take milliseconds, and there is only one writer. So the caller makes the check against
//! the current snapshot. The writer then only compares texts. It sends a command back ([`Refusal::NotChecked`]) if the
//! schema or the configuration changed since the check.
//!
//! [`Refusal::NotChecked`]: super::refusal::Refusal::NotChecked

pub(crate) use super::schema_question::{CheckedSchema, SchemaQuestion};

use super::request::Command;
use crate::state::State;

/// The check that `command` needs before `decide`.
pub enum SchemaCheck {
    /// No check is needed.
    Nothing,
    /// The registry checked this schema when it was saved.
    Known(CheckedSchema),
    /// The caller must make this check.
    Ask(SchemaQuestion),
}

impl SchemaCheck {
    /// The check that `command` needs, judged by `state`.
    pub fn of(command: &Command, state: &State) -> SchemaCheck {
        match command {
            Command::Register(registration) | Command::Replace { registration, .. } => {
                let schema = registration.config_schema.clone();
                let standing = state.plugin(registration.key().unique_id().as_str());
                match standing {
                    Some(record) if record.plugin.config_schema == schema => {
                        SchemaCheck::Known(CheckedSchema { schema, config: None })
                    }
                    standing => {
                        let config = standing.and_then(|record| record.config.clone());
                        SchemaCheck::Ask(SchemaQuestion::Schema { schema, config })
                    }
                }
            }
            Command::SaveConfig { id, config } => state.plugin(id.as_str()).map_or(SchemaCheck::Nothing, |record| {
                let schema = record.plugin.config_schema.clone();
                SchemaCheck::Ask(SchemaQuestion::Config { schema, config: config.clone() })
            }),
            _ => SchemaCheck::Nothing,
        }
    }
}
