//! A schema and a configuration that are to be checked, and the result of the check.

use crate::plugin::{FreeJson, Invalid, schema, secrets};
use crate::registry::command::Command;

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

impl Question {
    /// Whether the check takes no more than 2 ms, whatever the texts say.
    pub fn is_quick(&self) -> bool {
        self.config.is_none() && bounded_schema::is_quick(self.schema.as_str())
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
                let document = config.to_value();
                schema::check_config(&document, &value)?;
                secrets::refuse_masks(&document, &value)?;
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
