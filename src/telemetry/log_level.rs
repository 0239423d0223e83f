//! The log level, which can change while the service runs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::level_filters::LevelFilter;
use tracing::{Level, debug, info};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::reload;

/// The longest text of a level, in bytes.
pub const MAX_LENGTH: usize = 1024;

/// The text is not a log level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log level: use off, error, warn, info, debug or trace, or `info,TARGET=LEVEL`")]
pub struct NoLevel(String);

/// The level of the log. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct LogLevel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The level at start.
    first: String,
    now: ArcSwap<String>,
    /// `None` if the process does not log, as in a test.
    handle: Option<reload::Handle<Targets, Registry>>,
}

impl Default for LogLevel {
    /// The level of a process without a log: setting it has no effect.
    fn default() -> LogLevel {
        LogLevel::new("off", None)
    }
}

impl LogLevel {
    /// The filter of a log, and the handle that changes its level.
    ///
    /// # Errors
    ///
    /// If `text` is not a level.
    pub fn layer(text: &str) -> Result<(reload::Layer<Targets, Registry>, LogLevel), NoLevel> {
        let (layer, handle) = reload::Layer::new(read(text)?);
        Ok((layer, LogLevel::new(text, Some(handle))))
    }

    fn new(text: &str, handle: Option<reload::Handle<Targets, Registry>>) -> LogLevel {
        let now = ArcSwap::from_pointee(text.to_owned());
        LogLevel(Arc::new(Inner { first: text.to_owned(), now, handle }))
    }

    /// The current level.
    pub fn get(&self) -> Arc<String> {
        self.0.now.load_full()
    }

    /// Sets the level to `debug`.
    pub fn show_more(&self) {
        let most = Targets::new().with_default(LevelFilter::DEBUG);
        self.put("debug", most);
    }

    /// Resets the level to the one at start.
    pub fn begin_again(&self) {
        // The text was valid at start.
        if let Ok(targets) = read(&self.0.first) {
            self.put(&self.0.first, targets);
        }
    }

    /// Sets the level.
    ///
    /// # Errors
    ///
    /// If `text` is not a level.
    pub fn set(&self, text: &str) -> Result<(), NoLevel> {
        self.put(text, read(text)?);
        Ok(())
    }

    fn put(&self, text: &str, targets: Targets) {
        let is_silent = !targets.would_enable(module_path!(), &Level::INFO);
        let before = self.0.now.swap(Arc::new(text.to_owned()));
        let tell = || info!(log.level = text, log.level_before = before.as_str(), "the log level was changed");
        if is_silent {
            tell();
        }
        if let Some(Err(error)) = self.0.handle.as_ref().map(|handle| handle.reload(targets)) {
            // The log is gone only while the process ends.
            debug!(%error, "cannot change the log level");
        }
        if !is_silent {
            tell();
        }
    }
}

/// Parses a level, or several for parts of the program: `info,plugin_registry::http=warn`.
fn read(text: &str) -> Result<Targets, NoLevel> {
    let wrong = || NoLevel(text.chars().take(64).collect());
    let mut targets = Targets::new();
    if text.len() > MAX_LENGTH {
        return Err(wrong());
    }
    for part in text.split(',') {
        let (target, level) = part.rsplit_once('=').map_or((None, part), |(target, level)| (Some(target), level));
        let level: LevelFilter = named(level).ok_or_else(wrong)?;
        targets = match target {
            Some(target) if !target.is_empty() && !target.contains(['=', '[', '{']) => {
                targets.with_target(target, level)
            }
            Some(_) => return Err(wrong()),
            None => targets.with_default(level),
        };
    }
    Ok(targets)
}

/// Accepts names only; `LevelFilter` would also parse numbers.
fn named(level: &str) -> Option<LevelFilter> {
    let level = level.trim();
    if level.starts_with(|c: char| c.is_ascii_alphabetic()) { level.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_all_and_of_parts_are_read() {
        let targets = read("warn,plugin_registry::http=debug").unwrap();
        assert!(targets.would_enable("plugin_registry::http::context", &Level::DEBUG));
        assert!(!targets.would_enable("plugin_registry::registry", &Level::INFO));
        for good in ["off", "error", "WARN", "info", "debug", "trace"] {
            assert!(read(good).is_ok(), "{good}");
        }
        let long = "x".repeat(MAX_LENGTH + 1);
        for bad in ["", "loud", "3", "info,", "=info", "http=loud", "loud=1=2", "[span]=info", "a{b=1}=info", &long] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_invalid_level_changes_nothing() {
        let level = LogLevel::default();
        level.set("debug").unwrap();
        assert!(level.set("loud").is_err());
        assert_eq!(level.get().as_str(), "debug");
        level.begin_again();
        assert_eq!(level.get().as_str(), "off");
    }
}
