//! The expensive checks of a command, made before it reaches the writer.
//!
//! Compiling a JSON Schema may take milliseconds, and there is only one writer. So the check is
//! made by the one who asks, against the snapshot of the moment; the writer then only compares
//! texts, and sends a command back ([`Refusal::NotVetted`]) when what matters has become another
//! in between.
//!
//! [`Refusal::NotVetted`]: super::refusal::Refusal::NotVetted

pub(crate) use super::schema_question::{Question, Vetted};

use super::request::Command;
use crate::state::State;

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
                        Foresight::Ask(Question::Schema { schema, config })
                    }
                }
            }
            Command::SaveConfig { id, config } => state.plugin(id.as_str()).map_or(Foresight::Nothing, |record| {
                let schema = record.plugin.config_schema.clone();
                Foresight::Ask(Question::Config { schema, config: config.clone() })
            }),
            _ => Foresight::Nothing,
        }
    }
}
