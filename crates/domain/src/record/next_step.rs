//! The next safe step for the operator after a finding: in words, and as a request. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::finding::FindingKind;
use super::holdings::Holding;
use super::resource::ResourceKind;

/// The next safe step for the operator. The registry itself never takes the step.
#[derive(Debug, Clone, PartialEq)]
pub struct NextStep {
    /// In words.
    pub text: String,
    /// The request at the end of the step, once the rest is done.
    pub request: Option<NextRequest>,
}

/// A request to the registry.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct NextRequest {
    /// The HTTP method.
    #[schema(examples("DELETE"))]
    pub method: &'static str,
    /// The path, percent-encoded.
    #[schema(examples("/plugins/transcription_whisper_tiny/spawned_pids/4711"))]
    pub path: String,
    /// The body; null for none.
    #[schema(required)]
    pub body: Option<Value>,
}

impl NextRequest {
    /// The request that releases a resource.
    fn release(held: &Holding<'_>, plugin: &str) -> NextRequest {
        let path = format!("/plugins/{}", segment(plugin));
        let delete = |path| NextRequest { method: "DELETE", path, body: None };
        if held.left().is_some() {
            let mut resource = json!({"plugin": plugin, "kind": held.slot.kind, "id": &*held.slot.id});
            if let (Some(host), Some(fields)) = (&held.slot.host, resource.as_object_mut()) {
                fields.insert("host".to_owned(), json!(&**host));
            }
            let body = Some(json!({"resources": [resource]}));
            return NextRequest { method: "POST", path: "/resources/release".to_owned(), body };
        }
        match held.slot.kind {
            ResourceKind::Process => delete(format!("{path}/spawned_pids/{}", held.slot.id)),
            ResourceKind::Container => delete(format!("{path}/container_id")),
            ResourceKind::Remote => delete(format!("{path}/remote_resource")),
        }
    }
}

impl std::fmt::Display for NextRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        self.body.as_ref().map_or(Ok(()), |body| write!(f, " {body}"))
    }
}

/// A segment of a path, percent-encoded (RFC 3986 section 3.3).
fn segment(text: &str) -> impl std::fmt::Display + '_ {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, KEPT)
}

/// The next safe step for a held resource of a plugin with a finding.
pub fn next_step(finding: FindingKind, held: &Holding<'_>, plugin: &str) -> NextStep {
    let (kind, id) = (held.slot.kind, &held.slot.id);
    let place = held.host.map_or_else(|| "on its host".to_owned(), |host| format!("on {host}"));
    let release = NextRequest::release(held, plugin);
    let needed = match kind {
        ResourceKind::Process => format!("check {place} whether process {id} is still needed"),
        ResourceKind::Container => format!("check {place} whether container {id} is still needed"),
        ResourceKind::Remote => format!("check at the provider whether {id} is still needed"),
    };
    let text = match (finding, kind) {
        (FindingKind::Orphan, _) => format!("{needed}; if not, stop it there, then {release}"),
        (FindingKind::Overdue, _) => {
            format!("{needed}; if not, stop it there, then {release}; if it is, set a later `expires_at` for it")
        }
        (FindingKind::Ghost, ResourceKind::Remote) => {
            format!("check at the provider that {id} is gone and no longer charged for, then {release}")
        }
        (FindingKind::Ghost, _) => format!("nothing is left to stop; release it: {release}"),
        (FindingKind::Reused, _) => {
            format!("do not stop {id}: another owner has it now; release it: {release}")
        }
        (FindingKind::Unverified, ResourceKind::Remote) => {
            format!("check at the provider whether {id} runs, or enable the remote probes")
        }
        (FindingKind::Unverified, _) => {
            format!("run `plugin-registry agent` {place}, or check there by hand; until then treat it as running")
        }
    };
    let request = (finding != FindingKind::Unverified).then_some(release);
    NextStep { text, request }
}
