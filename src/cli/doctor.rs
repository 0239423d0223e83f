//! `plugin-registry doctor`: shows which resources probes can see from here, and how to make the others visible.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::SignedDuration;

use crate::clock::{Clock as _, SystemClock};
use crate::liveness::container::DEFAULT_ENGINE;
use crate::liveness::prober::HeldOnHost;
use crate::liveness::visibility::Point;
use crate::liveness::{Prober, visibility};
use domain::plugin::UniqueId;
use domain::record::{ResourceKey, ResourceKind};

/// The flags of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// The address of the Docker engine: `unix:///PATH` or `tcp://HOST:PORT`.
    #[arg(long, env = "DOCKER_HOST", default_value = DEFAULT_ENGINE, value_name = "URL")]
    docker: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Also probe these resources, as an agent would: `process:4711`, `container:4c01db0b339c`.
    #[arg(value_name = "KIND:ID", value_parser = resource)]
    look_at: Vec<ResourceKey>,
}

/// Prints what probes can see from here.
///
/// # Errors
///
/// If standard output is closed.
pub fn run(args: &DoctorArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let text = runtime.block_on(async {
        let points = visibility::look_around(&args.docker).await;
        let held: Vec<HeldOnHost> =
            args.look_at.iter().map(|key| HeldOnHost { key: key.clone(), identity: None, parent: None }).collect();
        let sightings = Prober::new(&args.docker, SignedDuration::ZERO).sweep(&held, SystemClock.now()).await;
        if args.json {
            let seen: Vec<_> = sightings.iter().map(crate::client::ReportedSighting::from).collect();
            return serde_json::to_string_pretty(&serde_json::json!({ "sight": points, "seen": seen }));
        }
        let mut text = in_words(&points);
        for seen in &sightings {
            let (kind, id, state) = (seen.key.kind.as_str(), &seen.key.id, seen.state.as_str());
            let detail = seen.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
            // Writing to a String cannot fail.
            let _written = write!(text, "\n{kind} {id} is {state}{detail}");
        }
        Ok(text)
    })?;
    writeln!(std::io::stdout(), "{text}").context("cannot write the result")
}

fn in_words(points: &[Point]) -> String {
    let lines = points.iter().map(|point| {
        let mark = if point.visible { "ok  " } else { "NOT " };
        let advice = point.advice.as_deref().map(|advice| format!("\n     -> {advice}")).unwrap_or_default();
        format!("{mark} {}: {}{advice}", point.what, point.detail)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn resource(text: &str) -> Result<ResourceKey, String> {
    read_resource(text).map_err(|error| error.to_string())
}

fn read_resource(text: &str) -> anyhow::Result<ResourceKey> {
    let (kind, id) = text.split_once(':').context("must be KIND:ID, for example process:4711")?;
    let kind = match kind {
        "process" => ResourceKind::Process,
        "container" => ResourceKind::Container,
        _ => bail!("the kind must be `process` or `container`"),
    };
    if kind == ResourceKind::Process && id.parse::<domain::plugin::Pid>().is_err() {
        bail!("`{id}` is not a process id");
    }
    Ok(ResourceKey { plugin: UniqueId::from_client("doctor"), kind, id: id.into(), host: None })
}
