//! A trace collector: a real HTTP server that accepts OTLP (protobuf), as an OpenTelemetry collector does.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::within_patience;

/// A received span.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// The span.
    pub(crate) span: Span,
    /// The resource that exported the span.
    pub(crate) resource: BTreeMap<String, String>,
    /// The headers of the request that carried the span.
    pub(crate) headers: HeaderMap,
}

impl Told {
    /// The trace id in hexadecimal digits.
    pub(crate) fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    /// The span id.
    pub(crate) fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    /// The id of the parent span.
    pub(crate) fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    /// The ids of the linked spans.
    pub(crate) fn links(&self) -> Vec<String> {
        self.span.links.iter().map(|link| hex(&link.span_id)).collect()
    }

    /// An attribute of the span.
    pub(crate) fn attribute(&self, name: &str) -> String {
        texts(&self.span.attributes).remove(name).unwrap_or_else(|| panic!("no {name}: {:?}", self.span))
    }
}

/// The collector.
pub(crate) struct Collector {
    address: SocketAddr,
    waiting: UnboundedReceiver<Told>,
    seen: Vec<Told>,
}

impl Collector {
    /// A collector that accepts everything.
    pub(crate) async fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("no free port");
        let address = listener.local_addr().expect("a listener has an address");
        let (sender, waiting) = unbounded_channel();
        let router = Router::new().route("/v1/traces", post(collect)).with_state(sender);
        // The task ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Collector { address, waiting, seen: Vec::new() }
    }

    /// The settings that export traces to this collector.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first span for which `is_it`, among the received and future spans.
    pub(crate) async fn span(&mut self, what: &str, is_it: impl Fn(&Told) -> bool) -> Told {
        if let Some(found) = self.seen.iter().find(|told| is_it(told)) {
            return found.clone();
        }
        loop {
            let told = within_patience(what, self.waiting.recv()).await.expect("the collector is gone");
            self.seen.push(told.clone());
            if is_it(&told) {
                return told;
            }
        }
    }

    /// The first span with a name.
    pub(crate) async fn named(&mut self, name: &str) -> Told {
        self.span(name, |told| told.span.name == name).await
    }

    /// All spans received so far.
    pub(crate) fn all(&mut self) -> &[Told] {
        while let Ok(told) = self.waiting.try_recv() {
            self.seen.push(told);
        }
        &self.seen
    }
}

async fn collect(State(spans): State<UnboundedSender<Told>>, headers: HeaderMap, body: Bytes) -> Vec<u8> {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).expect("what OTLP says");
    for group in request.resource_spans {
        let resource = texts(&group.resource.expect("a resource").attributes);
        for span in group.scope_spans.into_iter().flat_map(|group| group.spans) {
            // The test may have ended.
            drop(spans.send(Told { span, resource: resource.clone(), headers: headers.clone() }));
        }
    }
    ExportTraceServiceResponse::default().encode_to_vec()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(&attribute.value))).collect()
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
