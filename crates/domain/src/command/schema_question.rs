//! A schema and a configuration to check, and the result of the check.

use crate::plugin::{FreeJson, Invalid, schema, secrets};

/// A check to make.
#[derive(Debug, Clone, PartialEq)]
pub enum SchemaQuestion {
    /// Is this a JSON Schema? And is the saved configuration, if any, valid under it?
    Schema {
        /// The schema.
        schema: FreeJson,
        /// The saved configuration.
        config: Option<FreeJson>,
    },
    /// Is this new configuration valid under the plugin's schema?
    Config {
        /// The schema, which was checked when the plugin was registered.
        schema: FreeJson,
        /// The configuration.
        config: FreeJson,
    },
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedSchema {
    /// This is a JSON Schema.
    pub schema: FreeJson,
    /// A configuration that was checked against the schema, and whether it is valid.
    pub config: Option<(FreeJson, bool)>,
}

impl CheckedSchema {
    /// Returns true if and only if `config` was checked and is valid.
    pub fn obeyed_by(&self, config: &FreeJson) -> bool {
        self.config.as_ref().is_some_and(|(held, obeys)| held == config && *obeys)
    }
}

impl SchemaQuestion {
    /// The schema, if the question has no configuration.
    pub fn schema_alone(&self) -> Option<&FreeJson> {
        match self {
            SchemaQuestion::Schema { schema, config: None } => Some(schema),
            SchemaQuestion::Schema { .. } | SchemaQuestion::Config { .. } => None,
        }
    }

    /// Returns true if and only if the check takes at most 2 ms for any text.
    pub fn is_quick(&self) -> bool {
        self.schema_alone().is_some_and(|schema| bounded_schema::is_quick(schema.as_str()))
    }

    /// Makes the check.
    ///
    /// # Errors
    ///
    /// The mistakes in the schema. For a configuration that a client saves: the places that break the schema. A
    /// previously saved configuration that breaks the schema is not an error.
    pub fn answer(self) -> Result<CheckedSchema, Invalid> {
        match self {
            SchemaQuestion::Config { schema, config } => {
                let (document, value) = (config.to_value(), schema.to_value());
                schema::check_config(&document, &value)?;
                secrets::refuse_masks(&document, &value)?;
                Ok(CheckedSchema { schema, config: Some((config, true)) })
            }
            SchemaQuestion::Schema { schema, config } => {
                let value = schema.to_value();
                schema::check(&value, "/config_schema")?;
                let config = config.map(|config| {
                    let obeys = schema::check_config(&config.to_value(), &value).is_ok();
                    (config, obeys)
                });
                Ok(CheckedSchema { schema, config })
            }
        }
    }
}
