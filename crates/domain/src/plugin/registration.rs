//! The document that a client sends to register a plugin.

use jiff::Timestamp;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::container_id;
use super::execution_mode::ExecutionMode;
use super::identity::{Name, PluginKey};
use super::json::FreeJson;
use super::labels::Labels;
use super::metadata::{Plugin, READ_ONLY_FIELDS};
use super::pids::Pids;
use super::read::{Invalid, ObjectReader, boolean, both, nullable, one_of, string, time};
use super::remote::{RemoteResource, free_object};
use super::schema;

/// A registration: the descriptive fields, and the runtime fields that the client names.
///
/// If the plugin exists, the registry keeps runtime fields that are absent here. A resource that it no longer names, and
/// that may still run or bill, is left behind.
#[derive(Debug, Clone, PartialEq, ToSchema)]
#[schema(as = PluginRegistration)]
pub struct Registration {
    /// The name within the category.
    #[schema(value_type = String, min_length = 1, max_length = 256, pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$", examples("whisper_tiny"))]
    pub name: Name,
    /// The category.
    #[schema(value_type = String, min_length = 1, max_length = 256, pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$", examples("transcription"))]
    pub category: Name,
    /// The display name.
    #[schema(examples("Whisper Tiny Model"))]
    pub title: String,
    /// A JSON Schema for configurations: draft 2020-12, or the draft that `$schema` names. Numbers and key order are
    /// kept as sent. The registry does not follow a `$ref` to other documents.
    #[schema(value_type = Object)]
    pub config_schema: FreeJson,
    /// The purpose of the plugin.
    pub description: Option<String>,
    /// The version, in any format.
    #[schema(examples("1.0.0"))]
    pub version: Option<String>,
    /// Where the plugin does its work.
    #[schema(required = false)]
    pub execution_mode: ExecutionMode,
    /// Whether the plugin starts child processes.
    #[schema(required = false)]
    pub manages_child_processes: bool,
    /// Whether the plugin starts external resources.
    #[schema(required = false)]
    pub manages_external_resources: bool,
    /// Its conda environment.
    pub conda_env_name: Option<String>,
    /// User-defined labels: string to string.
    #[schema(required = false, value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Labels,
    /// Whether the plugin is ready for use. Runtime field: kept if absent.
    #[schema(nullable = false)]
    pub is_configured: Option<bool>,
    /// The process ids of its child processes: a set. Runtime field: kept if absent.
    #[schema(nullable = false, value_type = Option<Vec<u32>>)]
    pub spawned_pids: Option<Pids>,
    /// The id or name of its container, without white space, such as `4c01db0b339c`, `web`, or
    /// `docker://4c01db0b339c`; null for none. Runtime field: kept if absent.
    #[schema(nullable, value_type = Option<String>)]
    pub container_id: Option<Option<String>>,
    /// Its remote resource; null for none. Runtime field: kept if absent.
    #[schema(nullable, value_type = Option<RemoteResource>)]
    pub remote_resource: Option<Option<RemoteResource>>,
    /// The host of its processes and container. Runtime field: kept if absent.
    #[schema(nullable, value_type = Option<String>)]
    pub host: Option<Option<String>>,
    /// The lease of the application process that holds the plugin. Runtime field: kept if absent.
    #[schema(nullable, value_type = Option<String>)]
    pub lease_id: Option<Option<String>>,
    /// Until when the resources that this registration names are meant to be held (RFC 3339); null for no end. After
    /// it, the registry raises the finding `overdue`. Kept for each resource if absent.
    #[schema(nullable, value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Option<Timestamp>>,
}

impl Registration {
    /// The fields, by their names on the wire: those of a plugin, and `expires_at`.
    pub const FIELDS: &[&str] = &[
        "name",
        "category",
        "title",
        "config_schema",
        "description",
        "version",
        "is_configured",
        "execution_mode",
        "manages_child_processes",
        "manages_external_resources",
        "spawned_pids",
        "container_id",
        "conda_env_name",
        "remote_resource",
        "host",
        "labels",
        "lease_id",
        "expires_at",
    ];

    /// Reads a registration.
    ///
    /// This checks only that `config_schema` is an object; [`super::schema::check`] checks the JSON Schema.
    ///
    /// # Errors
    ///
    /// Every field that is missing, unknown or wrong. A mistake in a field does not hide those in the schema.
    pub fn read(mut value: Value) -> Result<Registration, Invalid> {
        if let Value::Object(fields) = &mut value {
            drop_null_dataclass(fields);
        }
        let mut fields = ObjectReader::new(value, "", Registration::FIELDS, READ_ONLY_FIELDS)?;
        let name = fields.required("name", Name::read);
        let category = fields.required("category", Name::read);
        let title = fields.required("title", string);
        let config_schema = fields.required("config_schema", free_object);
        let mut text = |field| fields.optional(field, nullable(string));
        let (description, version, conda_env_name) = (text("description"), text("version"), text("conda_env_name"));
        let (host, lease_id) = (text("host"), text("lease_id"));
        let container_id = fields.optional("container_id", nullable(container_id::read));
        let execution_mode = fields.optional("execution_mode", one_of(ExecutionMode::NAMES, ExecutionMode::from_name));
        let mut flag = |field| fields.optional(field, boolean);
        let is_configured = flag("is_configured");
        let manages_child_processes = flag("manages_child_processes");
        let manages_external_resources = flag("manages_external_resources");
        let spawned_pids = fields.optional("spawned_pids", Pids::read);
        let remote_resource = fields.optional("remote_resource", nullable(RemoteResource::read));
        let labels = fields.optional("labels", Labels::read);
        let expires_at = fields.optional("expires_at", nullable(time));
        let read = fields.finish();
        let schema = if read.is_err() { check_if_quick(config_schema.as_ref()) } else { Ok(()) };
        both(read, schema)?;
        // `finish` refuses a document that lacks any of these four.
        let (Some(name), Some(category), Some(title), Some(config_schema)) = (name, category, title, config_schema)
        else {
            return Err(Invalid::at("", "name, category, title and config_schema are required"));
        };
        Ok(Registration {
            name,
            category,
            title,
            config_schema,
            description: description.flatten(),
            version: version.flatten(),
            execution_mode: execution_mode.unwrap_or_default(),
            manages_child_processes: manages_child_processes.unwrap_or(false),
            manages_external_resources: manages_external_resources.unwrap_or(false),
            conda_env_name: conda_env_name.flatten(),
            labels: labels.unwrap_or_default(),
            is_configured,
            spawned_pids,
            container_id,
            remote_resource,
            host,
            lease_id,
            expires_at,
        })
    }

    /// The identity of the plugin.
    pub fn key(&self) -> PluginKey {
        PluginKey { category: self.category.clone(), name: self.name.clone() }
    }

    /// The plugin after this registration; `current` is the plugin before.
    pub fn applied_to(self, current: Option<&Plugin>) -> Plugin {
        Plugin {
            name: self.name,
            category: self.category,
            title: self.title,
            config_schema: self.config_schema,
            description: self.description,
            version: self.version,
            is_configured: self.is_configured.or(current.map(|c| c.is_configured)).unwrap_or(false),
            execution_mode: self.execution_mode,
            manages_child_processes: self.manages_child_processes,
            manages_external_resources: self.manages_external_resources,
            spawned_pids: self.spawned_pids.or_else(|| current.map(|c| c.spawned_pids.clone())).unwrap_or_default(),
            container_id: self.container_id.unwrap_or_else(|| current.and_then(|c| c.container_id.clone())),
            conda_env_name: self.conda_env_name,
            remote_resource: self.remote_resource.unwrap_or_else(|| current.and_then(|c| c.remote_resource.clone())),
            host: self.host.unwrap_or_else(|| current.and_then(|c| c.host.clone())),
            labels: self.labels,
            lease_id: self.lease_id.unwrap_or_else(|| current.and_then(|c| c.lease_id.clone())),
        }
    }
}

/// Removes `config_dataclass` if it is null.
///
/// The source model has this field, and applications send the whole model. A class cannot be sent, so any other value
/// stays, and is refused as an unknown field.
pub fn drop_null_dataclass(fields: &mut Map<String, Value>) {
    const FIELD: &str = "config_dataclass";
    if fields.get(FIELD).is_some_and(Value::is_null) {
        fields.shift_remove(FIELD);
    }
}

/// Checks the schema of a registration that is refused for other mistakes, so that one response lists all. A schema
/// whose check may take long is checked when the rest of the registration is right.
fn check_if_quick(config_schema: Option<&FreeJson>) -> Result<(), Invalid> {
    config_schema
        .filter(|schema| schema::is_quick(schema.as_str()))
        .map_or(Ok(()), |schema| schema::check(&schema.to_value(), "/config_schema"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn minimal() -> Value {
        json!({"name": "n", "category": "c", "title": "T", "config_schema": {}})
    }

    #[test]
    fn runtime_fields_are_kept_unless_named() {
        let mut body = minimal();
        body["spawned_pids"] = json!([7]);
        body["remote_resource"] = json!({"provider": "aws", "status": "running"});
        body["description"] = json!("old");
        let first = Registration::read(body).unwrap().applied_to(None);
        let again = Registration::read(minimal()).unwrap().applied_to(Some(&first));
        assert_eq!(again.description, None);
        assert!(again.spawned_pids.contains(7) && again.remote_resource.is_some());
        let mut release = minimal();
        release["remote_resource"] = Value::Null;
        release["spawned_pids"] = json!([]);
        let released = Registration::read(release).unwrap().applied_to(Some(&again));
        assert!(!released.holds_anything());
    }

    #[test]
    fn a_reply_can_be_sent_back() {
        let mut body = minimal();
        for field in READ_ONLY_FIELDS {
            body[field] = json!({"whatever": 1});
        }
        assert!(Registration::read(body).is_ok());
    }

    #[test]
    fn the_null_config_dataclass_of_the_source_model_was_refused() {
        let mut body = minimal();
        body["config_dataclass"] = Value::Null;
        assert!(Registration::read(body.clone()).is_ok());
        body["config_dataclass"] = json!("pkg.Config");
        let Invalid(errors) = Registration::read(body).unwrap_err();
        assert_eq!(errors[0].pointer, "/config_dataclass");
        assert_eq!(errors[0].detail, "unknown field `config_dataclass`; did you mean `config_schema`?");
    }

    #[test]
    fn mistakes_in_the_schema_were_hidden_by_those_in_other_fields() {
        let mut body = minimal();
        body["title"] = json!(7);
        body["config_schema"] = json!({"properties": {"rate": {"type": "float"}}});
        let Invalid(errors) = Registration::read(body).unwrap_err();
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/title", "/config_schema/properties/rate/type"]);
    }

    #[test]
    fn every_missing_field_is_named_at_once() {
        let Invalid(errors) = Registration::read(json!({"spawned_pid": [1]})).unwrap_err();
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/spawned_pid", "/name", "/category", "/title", "/config_schema"]);
    }
}
