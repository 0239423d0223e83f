//! The expensive checks of a command, made before it reaches the writer.
//!
//! Compiling a JSON Schema may take milliseconds, and there is only one writer. So the check is
//! made by the one who asks, against the snapshot of the moment; the writer then only compares
//! texts, and sends a command back ([`Refusal::NotVetted`]) when the schema that matters has
//! become another one in between.
//!
//! [`Refusal::NotVetted`]: super::Refusal::NotVetted

use super::command::Command;
use super::state::State;
use crate::plugin::{FreeJson, Invalid, UniqueId, schema};

/// The schema that has to be checked before `command` can be decided on `state`, if that can be
/// told beforehand and the check would not be one that was made already.
pub fn schema_to_vet(command: &Command, state: &State) -> Option<FreeJson> {
    let standing = |id: &UniqueId| state.plugin(id.as_str()).map(|record| record.plugin.config_schema.clone());
    match command {
        Command::Register(registration) | Command::Replace { registration, .. } => {
            let schema = &registration.config_schema;
            let known = standing(&registration.key().unique_id()).as_ref() == Some(schema);
            (!known).then(|| schema.clone())
        }
        Command::SaveConfig { id, .. } => standing(id),
        _ => None,
    }
}

/// Makes the check of `command` against `schema`.
///
/// # Errors
///
/// What is wrong with the schema, or where the configuration does not obey it.
pub fn vet(command: &Command, schema: &FreeJson) -> Result<(), Invalid> {
    match command {
        Command::SaveConfig { config, .. } => schema::check_config(&config.to_value(), &schema.to_value()),
        _ => schema::check(&schema.to_value(), "/config_schema"),
    }
}
