//! The expensive checks of a command, made before it reaches the writer.
//!
//! Compiling a JSON Schema may take milliseconds, and there is only one writer. So the check is
//! made by the one who asks, against the snapshot of the moment; the writer then only compares
//! texts, and sends a command back ([`Refusal::NotChecked`]) when what matters has become another
//! in between.
//!
//! [`Refusal::NotChecked`]: super::refusal::Refusal::NotVetted

pub(crate) use super::schema_question::{CheckedSchema, SchemaQuestion};

use super::request::Command;
use crate::state::State;

/// What can be told before `command` is decided.
pub enum SchemaCheck {
    /// Nothing expensive is to be checked.
    Nothing,
    /// This was checked when it came to stand.
    Known(CheckedSchema),
    /// This has to be checked.
    Ask(SchemaQuestion),
}

impl SchemaCheck {
    /// What `command` will need to have checked, as far as `state` tells.
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
