//! A schema and a configuration that are to be checked, and the result of the check.

use crate::plugin::{FreeJson, Invalid, schema, secrets};

/// What has to be checked.
#[derive(Debug, Clone, PartialEq)]
pub enum SchemaQuestion {
    /// Is this a JSON Schema? And does the saved configuration, where there is one, still obey it?
    Schema {
        /// The schema.
        schema: FreeJson,
        /// The saved configuration.
        config: Option<FreeJson>,
    },
    /// Does this configuration, which is to be saved, obey the plugin's schema?
    Config {
        /// The schema, which was checked when the plugin was registered.
        schema: FreeJson,
        /// The configuration.
        config: FreeJson,
    },
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedSchema {
    /// This is a JSON Schema.
    pub schema: FreeJson,
    /// This configuration was held against it, and obeys it or not.
    pub config: Option<(FreeJson, bool)>,
}

impl CheckedSchema {
    /// Returns true if and only if `config` was found to obey.
    pub fn obeyed_by(&self, config: &FreeJson) -> bool {
        self.config.as_ref().is_some_and(|(held, obeys)| held == config && *obeys)
    }
}

impl SchemaQuestion {
    /// The schema that is asked about alone, without a configuration.
    pub fn schema_alone(&self) -> Option<&FreeJson> {
        match self {
            SchemaQuestion::Schema { schema, config: None } => Some(schema),
            SchemaQuestion::Schema { .. } | SchemaQuestion::Config { .. } => None,
        }
    }

    /// Whether the check takes no more than 2 ms, whatever the texts say.
    pub fn is_quick(&self) -> bool {
        self.schema_alone().is_some_and(|schema| bounded_schema::is_quick(schema.as_str()))
    }

    /// Makes the check.
    ///
    /// # Errors
    ///
    /// The mistakes in the schema, or, for a configuration that is to be saved, the places where it does not obey the
    /// schema. A configuration that was saved before and no longer obeys is no error.
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
