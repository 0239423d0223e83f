//! The crate eventsource-client. Prints each message as a line of JSON, and reconnects for ever.

use std::error::Error;
use std::time::Duration;

use eventsource_client::{Client, ClientBuilder, ReconnectOptions, SSE};
use futures_util::StreamExt as _;
use launchdarkly_sdk_transport::HyperTransport;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("which URL?")?;
    let reconnect = ReconnectOptions::reconnect(true)
        .retry_initial(true)
        .delay(Duration::from_millis(500))
        .delay_max(Duration::from_secs(2))
        .build();
    let client = ClientBuilder::for_url(&url)?
        .reconnect(reconnect)
        .build_with_transport(HyperTransport::builder().build_http()?);
    let mut stream = client.stream();
    let mut last = None;
    // An error is a cut connection, after which the stream reconnects.
    while let Some(message) = stream.next().await {
        if let Ok(SSE::Event(event)) = message {
            last = event.id.or(last);
            println!("{}", json!({"event": event.event_type, "id": last, "data": event.data}));
        }
    }
    Err("the stream has ended for good".into())
}
