//! The formats of messages: events for programs, or texts for people in a chat.
//!
//! A text says what happened, with the evidence and the money. Chat services take few messages, so the changes that come
//! together make one message, and the next one waits.

use hyper::header::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use url::Url;

use domain::change::{Change, ChangeKind, Event, HoldingAct, Transition};
use domain::cost::{BudgetEvent, Notice};
use domain::wire_names;

wire_names! {
    /// The format of a webhook's messages.
    WebhookFormat {
        /// CloudEvents 1.0, signed as in Standard Webhooks, one for each change.
        Standard = "standard",
        /// A text for an incoming webhook of Slack.
        Slack = "slack",
        /// A text for a webhook of Discord.
        Discord = "discord",
        /// A text for a topic of ntfy.
        Ntfy = "ntfy",
        /// A plain text.
        Text = "text",
    }
}

/// The kinds of changes that a text is about if the webhook names none: what needs a person.
pub const NOTABLE: &[ChangeKind] = &[
    ChangeKind::FindingRaised,
    ChangeKind::BudgetThresholdReached,
    ChangeKind::BudgetBreachProjected,
    ChangeKind::BudgetBurnExceeded,
    ChangeKind::ResourceExpiresSoon,
];

/// The most lines of a text. Further changes are counted.
const MOST_LINES: usize = 10;

/// The longest line, in characters.
const MAX_LINE: usize = 400;

/// The longest text that each service takes: 2,000 characters of Discord, 3,000 of a section of Slack, 4,096 bytes of ntfy.
const MAX_DISCORD: usize = 2_000;
const MAX_SLACK: usize = 3_000;
const MAX_NTFY: usize = 4_096;

/// What an id in the path of a page must not contain.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// A message of a format: its media type and its body.
#[derive(Debug, Clone)]
pub(super) struct Formatted {
    /// The media type.
    pub media_type: HeaderValue,
    /// The body.
    pub body: String,
}

impl WebhookFormat {
    /// Whether the messages are texts for people.
    pub fn is_for_people(self) -> bool {
        self != WebhookFormat::Standard
    }

    /// The message of some changes; `None` for the format of programs.
    pub(super) fn of_changes(self, changes: &[&Transition], public_url: Option<&Url>) -> Option<Formatted> {
        let lines: Vec<Line> = changes.iter().take(MOST_LINES).map(|change| Line::of(change, public_url)).collect();
        let more = changes.len().saturating_sub(lines.len());
        self.of_lines(&lines, more)
    }

    /// The message of a test.
    pub(super) fn of_test(self) -> Option<Formatted> {
        self.of_lines(&[Line { text: "This is a test of the plugin registry.".into(), link: None }], 0)
    }

    fn of_lines(self, lines: &[Line], more: usize) -> Option<Formatted> {
        let text = |most: usize, escape: fn(&str) -> String, link: fn(&str) -> String| {
            let lines: Vec<String> = lines.iter().map(|line| line.written(escape, link)).collect();
            fitted(&lines, more, most)
        };
        let plain = |most| text(most, str::to_owned, str::to_owned);
        let (media_type, body) = match self {
            WebhookFormat::Standard => return None,
            WebhookFormat::Slack => {
                let text = text(MAX_SLACK, escaped_for_slack, |link| format!("<{link}|open>"));
                let section = json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
                ("application/json", json!({"text": text, "blocks": [section]}).to_string())
            }
            WebhookFormat::Discord => {
                // A name in a text must not call people.
                let calls = json!({"parse": []});
                let content: Value = text(MAX_DISCORD, str::to_owned, |link| format!("<{link}>")).into();
                ("application/json", json!({"content": content, "allowed_mentions": calls}).to_string())
            }
            WebhookFormat::Ntfy => ("text/plain; charset=utf-8", plain(MAX_NTFY)),
            WebhookFormat::Text => ("text/plain; charset=utf-8", plain(usize::MAX)),
        };
        Some(Formatted { media_type: HeaderValue::from_static(media_type), body })
    }
}

/// What happened, in a line.
struct Line {
    text: String,
    /// The page about it.
    link: Option<String>,
}

impl Line {
    fn of(transition: &Transition, public_url: Option<&Url>) -> Line {
        let change = &transition.change;
        let mut text = told(change);
        if let Some(reason) = &change.reason {
            text = format!("{text} ({reason})");
        }
        let link = public_url.map(|url| {
            let page = match &change.event {
                Event::Budget { .. } | Event::CategoryNamed { .. } | Event::Lease { .. } => "#/".to_owned(),
                event => format!("#/plugins/{}", utf8_percent_encode(&event.subject(), SEGMENT)),
            };
            format!("{}/{page}", url.as_str().trim_end_matches('/'))
        });
        Line { text: shortened(&text, MAX_LINE), link }
    }

    fn written(&self, escape: fn(&str) -> String, link: fn(&str) -> String) -> String {
        let text = escape(&self.text);
        self.link.as_deref().map_or_else(|| text.clone(), |page| format!("{text} {}", link(page)))
    }
}

/// A change in words.
fn told(change: &Change) -> String {
    let subject = change.event.subject();
    match &change.event {
        Event::FindingsRaised { findings, .. } => {
            let found = findings.iter().map(|found| {
                let cost = found.finding.cost.map(|[_, high]| format!(", up to {high} USD so far")).unwrap_or_default();
                let (kind, slot) = (found.finding.finding.as_str(), &found.slot);
                format!("{kind}: {} {} of {subject}{cost}: {}", slot.kind.as_str(), slot.id, found.finding.evidence)
            });
            found.collect::<Vec<_>>().join("; ")
        }
        Event::Budget { event: BudgetEvent::Told(notice), .. } => told_of_budget(notice),
        Event::Holdings { act: HoldingAct::Noted { note }, .. } => format!("{subject}: {}", note.text),
        Event::Holdings { act: HoldingAct::StopRequested { request }, .. } => {
            let by = request.deadline.map(|by| format!(" by {by}")).unwrap_or_default();
            let why = request.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("asked to stop {subject}{by}{why}")
        }
        Event::Holdings { act: HoldingAct::StopAnswered { answer }, .. } => {
            let detail = answer.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
            format!("{subject}: request to stop {}{detail}", answer.answer.as_str())
        }
        Event::Holdings { act, .. } if !act.slots().is_empty() => {
            let named = act.slots().iter().map(|slot| format!("{} {}", slot.kind.as_str(), slot.id));
            format!("{} of {subject}: {}", change.event.kind().as_str(), named.collect::<Vec<_>>().join(", "))
        }
        event => format!("{}: {subject}", event.kind().as_str()),
    }
}

/// What the registry reports of a budget, in words.
fn told_of_budget(notice: &Notice) -> String {
    match notice {
        Notice::Reached(reached) => format!(
            "budget {}: {} % of {} USD reached ({} to {} USD spent)",
            reached.name, reached.percent, reached.limit_usd, reached.low_usd, reached.high_usd
        ),
        Notice::Projected(projected) => format!(
            "budget {}: the limit of {} USD will be reached at {} at {} USD an hour ({} to {} USD spent)",
            projected.name,
            projected.limit_usd,
            projected.projected_breach_at,
            projected.burn_usd_per_hour,
            projected.low_usd,
            projected.high_usd
        ),
        Notice::Burn(crossed) => format!(
            "budget {}: {} USD an hour, {} the limit of {} USD an hour",
            crossed.name,
            crossed.burn_usd_per_hour,
            if crossed.is_over() { "above" } else { "again within" },
            crossed.limit_usd_per_hour
        ),
    }
}

/// As many lines as fit, and how many changes are left out.
fn fitted(lines: &[String], more: usize, most: usize) -> String {
    for kept in (1..=lines.len()).rev() {
        let left = more + lines.len() - kept;
        let mut text = lines.get(..kept).unwrap_or_default().join("\n");
        if left > 0 {
            text = format!("{text}\n… and {left} more");
        }
        if text.len() <= most {
            return text;
        }
    }
    shortened(&lines.concat(), most / 4)
}

/// The beginning of a text, up to a number of characters.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A text as Slack takes it: its three control characters are escaped.
fn escaped_for_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { text: text.into(), link: Some("https://registry.example/#/plugins/c_n".into()) }
    }

    #[test]
    fn each_service_gets_its_shape_within_its_limits() {
        let long = line(&"ü & <x> ".repeat(50));
        let lines: Vec<Line> = (0..MOST_LINES).map(|_| line(&long.text)).collect();
        let body = |format: WebhookFormat| format.of_lines(&lines, 90).unwrap().body;
        let slack: Value = serde_json::from_str(&body(WebhookFormat::Slack)).unwrap();
        let section = slack["blocks"][0]["text"]["text"].as_str().unwrap();
        assert!(section.len() <= MAX_SLACK && section.contains("&lt;x&gt;") && section.contains("|open>"), "{section}");
        assert!(section.contains(" more") && slack["text"] == slack["blocks"][0]["text"]["text"]);
        let discord: Value = serde_json::from_str(&body(WebhookFormat::Discord)).unwrap();
        assert!(discord["content"].as_str().unwrap().chars().count() <= MAX_DISCORD);
        assert_eq!(discord["allowed_mentions"], json!({"parse": []}));
        assert!(body(WebhookFormat::Ntfy).len() <= MAX_NTFY);
        assert_eq!(body(WebhookFormat::Text).lines().count(), MOST_LINES + 1);
        assert!(WebhookFormat::Standard.of_lines(&lines, 0).is_none());
    }

    #[test]
    fn a_text_that_fits_nowhere_is_cut() {
        let huge = [Line { text: "x".repeat(10_000), link: None }];
        let body = WebhookFormat::Discord.of_lines(&huge, 0).unwrap().body;
        assert!(body.len() <= MAX_DISCORD && body.contains('…'), "{}", body.len());
    }
}
