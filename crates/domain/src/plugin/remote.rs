//! A plugin's remote resource: a cloud machine, a serverless endpoint, or a host reached by SSH.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::json::FreeJson;
use super::read::{Invalid, ObjectReader, integer, nullable, one_of, string};
use super::remote_status::StatusClass;
use crate::wire_names;
use bounded_schema::kind_of;

/// The maximum price, in USD an hour. A higher price is a typing error.
pub const MAX_COST_PER_HOUR: f64 = 1e9;

wire_names! {
    /// The provider of a remote resource.
    Provider {
        /// Amazon Web Services.
        Aws = "aws",
        /// Google Cloud.
        Gcp = "gcp",
        /// Microsoft Azure.
        Azure = "azure",
        /// Lambda Labs.
        LambdaLabs = "lambda_labs",
        /// RunPod.
        Runpod = "runpod",
        /// Vast.ai.
        VastAi = "vast_ai",
        /// Paperspace.
        Paperspace = "paperspace",
        /// Together AI.
        TogetherAi = "together_ai",
        /// Any other provider.
        Custom = "custom",
    }
}

/// A remote resource, as the plugin's application describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RemoteResource {
    /// The provider.
    pub provider: Provider,
    /// The provider's region.
    pub region: Option<String>,
    /// The provider's id of the machine.
    #[schema(examples("i-abcd1234"))]
    pub instance_id: Option<String>,
    /// The provider's id of the job.
    pub job_id: Option<String>,
    /// The URL of its service.
    pub endpoint_url: Option<String>,
    /// Its host name for SSH.
    pub ssh_host: Option<String>,
    /// TCP port of the SSH server.
    #[schema(minimum = 1, maximum = 65535)]
    pub ssh_port: u16,
    /// `provisioning`, `running`, `stopping`, `stopped`, `unknown`, or another status of the provider, kept as sent.
    #[schema(examples("running"))]
    pub status: String,
    /// The provider's name of the machine type.
    #[schema(examples("p3.8xlarge"))]
    pub resource_type: Option<String>,
    /// The number of GPUs.
    pub gpu_count: u32,
    /// The type of its GPUs.
    #[schema(examples("A100"))]
    pub gpu_type: Option<String>,
    /// Its price, in USD an hour, kept as a 64-bit floating-point number (IEEE 754).
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub estimated_cost_per_hour: Option<f64>,
    /// Further data; numbers and key order are kept as sent.
    #[schema(value_type = Object)]
    pub metadata: FreeJson,
}

impl RemoteResource {
    /// The fields, by their names on the wire.
    pub const FIELDS: &[&str] = &[
        "provider",
        "region",
        "instance_id",
        "job_id",
        "endpoint_url",
        "ssh_host",
        "ssh_port",
        "status",
        "resource_type",
        "gpu_count",
        "gpu_type",
        "estimated_cost_per_hour",
        "metadata",
    ];

    /// Reads a remote resource at `pointer`; absent fields take the source model's defaults.
    ///
    /// # Errors
    ///
    /// Every field that is missing, unknown or wrong.
    pub fn read(value: Value, pointer: &str) -> Result<RemoteResource, Invalid> {
        let mut fields = ObjectReader::new(value, pointer, RemoteResource::FIELDS, &[])?;
        let provider = fields.required("provider", provider);
        let mut text = |field| fields.optional(field, nullable(string)).flatten();
        let (region, instance_id, job_id) = (text("region"), text("instance_id"), text("job_id"));
        let (endpoint_url, ssh_host) = (text("endpoint_url"), text("ssh_host"));
        let (resource_type, gpu_type) = (text("resource_type"), text("gpu_type"));
        let ssh_port = fields.optional("ssh_port", |value, at| port(&value, at));
        let status = fields.optional("status", string);
        let gpu_count = fields.optional("gpu_count", |value, at| integer(&value, at, 0, u32::MAX));
        let cost =
            fields.optional("estimated_cost_per_hour", nullable(|value, at| cost_per_hour(&value, at))).flatten();
        let metadata = fields.optional("metadata", free_object);
        fields.finish()?;
        // `finish` refuses a document without a provider.
        let provider = provider.ok_or_else(|| Invalid::at(pointer, "provider is required"))?;
        Ok(RemoteResource {
            provider,
            region,
            instance_id,
            job_id,
            endpoint_url,
            ssh_host,
            ssh_port: ssh_port.unwrap_or(22),
            status: status.unwrap_or_else(|| "unknown".into()),
            resource_type,
            gpu_count: gpu_count.unwrap_or(0),
            gpu_type,
            estimated_cost_per_hour: cost,
            metadata: metadata.unwrap_or_else(FreeJson::empty_object),
        })
    }

    /// Returns true if and only if the status is exactly `running`.
    pub fn is_running(&self) -> bool {
        self.status == "running"
    }

    /// The class of its status.
    pub fn status_class(&self) -> StatusClass {
        StatusClass::of(&self.status)
    }

    /// Returns true if and only if the provider may charge for it: its status says so, or its status has no known
    /// meaning and it names something rented.
    pub fn is_billable(&self) -> bool {
        match self.status_class() {
            StatusClass::Off => false,
            StatusClass::Unknown => self.id().is_some(),
            StatusClass::Starting | StatusClass::Running | StatusClass::Stopping => true,
        }
    }

    /// The first present of instance id, job id, endpoint and SSH host.
    pub fn id(&self) -> Option<&str> {
        self.ids().into_iter().flatten().next()
    }

    fn ids(&self) -> [Option<&str>; 4] {
        let ids = [&self.instance_id, &self.job_id, &self.endpoint_url, &self.ssh_host];
        ids.map(|id| id.as_deref().filter(|id| !id.is_empty()))
    }

    /// Whether `later` describes the same rented thing. A resource that had no id and gets one is the same.
    pub fn is_same(&self, later: &RemoteResource) -> bool {
        if self.id().is_none() {
            return true;
        }
        let both = self.ids().into_iter().zip(later.ids()).find_map(|(one, other)| Some((one?, other?)));
        both.is_some_and(|(one, other)| one == other && self.provider == later.provider)
    }
}

fn provider(value: Value, pointer: &str) -> Result<Provider, Invalid> {
    let known = one_of(Provider::NAMES, Provider::from_name);
    known(value, pointer).map_err(|Invalid(mut errors)| {
        for error in &mut errors {
            error.detail.push_str("; send `custom` for any other provider, and its name in a label or in `metadata`");
        }
        Invalid(errors)
    })
}

fn port(value: &Value, pointer: &str) -> Result<u16, Invalid> {
    let port = integer(value, pointer, 1, u32::from(u16::MAX))?;
    u16::try_from(port).map_err(|_| Invalid::at(pointer, "must be an integer from 1 to 65535"))
}

fn cost_per_hour(value: &Value, pointer: &str) -> Result<f64, Invalid> {
    match value.as_f64() {
        // -0 is stored as 0.
        Some(cost) if (0.0..=MAX_COST_PER_HOUR).contains(&cost) => Ok(cost.abs()),
        _ => Err(Invalid::at(pointer, "must be a number from 0 to 1000000000 (USD an hour), or null")),
    }
}

/// An object whose content belongs to the client.
pub(crate) fn free_object(value: Value, pointer: &str) -> Result<FreeJson, Invalid> {
    match value {
        Value::Object(_) => Ok(FreeJson::from(&value)),
        other => Err(Invalid::at(pointer, format!("must be an object, not {}", kind_of(&other)))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_fields_take_their_defaults() {
        let remote = RemoteResource::read(json!({"provider": "aws"}), "").unwrap();
        assert_eq!((remote.ssh_port, remote.status.as_str(), remote.gpu_count), (22, "unknown", 0));
        assert_eq!(remote.metadata.as_str(), "{}");
    }

    #[test]
    fn wrong_values_are_pointed_at() {
        for (field, value) in [
            ("provider", json!("amazon")),
            ("ssh_port", json!(0)),
            ("ssh_port", json!(65536)),
            ("gpu_count", json!(-1)),
            ("estimated_cost_per_hour", json!(-0.5)),
            ("estimated_cost_per_hour", serde_json::from_str("1e400").unwrap()),
            ("estimated_cost_per_hour", json!("24.5")),
            ("metadata", json!([])),
            ("status", json!(null)),
        ] {
            let mut document = json!({"provider": "aws"});
            document[field] = value;
            let Invalid(errors) = RemoteResource::read(document, "/remote_resource").unwrap_err();
            assert_eq!(errors[0].pointer, format!("/remote_resource/{field}"));
        }
    }

    fn with(fields: &Value) -> RemoteResource {
        let mut document = json!({"provider": "aws"});
        document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        RemoteResource::read(document, "").unwrap()
    }

    #[test]
    fn only_running_is_active_but_every_word_without_a_meaning_bills_once_something_is_rented() {
        let status = |status: &str| with(&json!({"status": status}));
        assert!(status("running").is_running() && !status("Running").is_running());
        let rented = |status: &str| with(&json!({"status": status, "job_id": "j"}));
        for (word, alone, with_id) in [
            ("running", true, true),
            ("RUNNING", true, true),
            ("booting", true, true),
            ("stopping", true, true),
            ("stopped", false, false),
            ("Terminated", false, false),
            ("unknown", false, true),
            ("failed", false, true),
            ("paused", false, true),
        ] {
            assert_eq!((status(word).is_billable(), rented(word).is_billable()), (alone, with_id), "{word}");
        }
    }

    #[test]
    fn a_resource_stays_the_same_while_no_id_of_it_changes() {
        for (one, other, same) in [
            (json!({}), json!({"instance_id": "i-1"}), true),
            (json!({"job_id": "j"}), json!({"job_id": "j", "instance_id": "i-1"}), true),
            (json!({"instance_id": "i-1"}), json!({"instance_id": "i-1", "region": "eu"}), true),
            (json!({"instance_id": "i-1"}), json!({"instance_id": "i-2"}), false),
            (json!({"instance_id": "i-1"}), json!({"job_id": "j"}), false),
            (json!({"instance_id": "i-1"}), json!({}), false),
            (json!({"instance_id": "i-1", "job_id": "j"}), json!({"instance_id": "i-2", "job_id": "j"}), false),
            (json!({"instance_id": "i-1"}), json!({"instance_id": "i-1", "provider": "gcp"}), false),
        ] {
            assert_eq!(with(&one).is_same(&with(&other)), same, "{one} {other}");
        }
    }
}
