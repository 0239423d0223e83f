//! Documents to register.

use serde_json::{Value, json};

/// The smallest valid registration.
pub(crate) fn minimal() -> Value {
    named("transcription", "whisper")
}

/// The smallest valid registration with this identity.
pub(crate) fn named(category: &str, name: &str) -> Value {
    json!({"name": name, "category": category, "title": "Title", "config_schema": {}})
}

/// All writable fields with values other than the default, and all kinds of resources.
pub(crate) fn holding_everything() -> Value {
    json!({
        "name": "trainer",
        "category": "finetuning",
        "title": "Trainer",
        "config_schema": {"type": "object", "properties": {"device": {"enum": ["cpu", "cuda"]}}, "required": ["device"]},
        "description": "Trains",
        "version": "1.2.3",
        "is_configured": true,
        "execution_mode": "cloud_gpu",
        "manages_child_processes": true,
        "manages_external_resources": true,
        "spawned_pids": [4_294_967_295_u32, 1, 77],
        "container_id": "f00dfeedbabe",
        "conda_env_name": "train",
        "remote_resource": {
            "provider": "lambda_labs",
            "region": "us-west-1",
            "instance_id": "i-1",
            "job_id": "j-1",
            "endpoint_url": "https://example.com/x",
            "ssh_host": "192.0.2.1",
            "ssh_port": 2222,
            "status": "running",
            "resource_type": "8x",
            "gpu_count": 8,
            "gpu_type": "A100",
            "estimated_cost_per_hour": 24.5,
            "metadata": {"z": 1, "a": [null, true]}
        },
        "host": "workstation",
        "labels": {"team": "speech", "stage": "test"},
        "lease_id": "lease-1"
    })
}
