//! Formats the fields of a log line as text: `name=value`, like tracing-subscriber, without colours.
//!
//! Each request logs a line, and tracing-subscriber formats through `fmt::Debug`, which takes a quarter of the
//! instructions of a small request. Unquoted text has its control characters escaped, so that no client can forge
//! a line or control a terminal.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// The field that is written without its name.
const MESSAGE: &str = "message";

/// Formats fields as text.
#[derive(Debug, Clone, Copy)]
pub struct TextFields;

impl<'writer> FormatFields<'writer> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = LogLine { writer, is_begun: false, written: Ok(()) };
        fields.record(&mut line);
        line.written
    }
}

/// A line under construction.
struct LogLine<'writer> {
    writer: Writer<'writer>,
    is_begun: bool,
    written: fmt::Result,
}

impl LogLine<'_> {
    /// Writes one field, unless an earlier one failed.
    fn put(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        self.written = self.written.and_then(|()| {
            if std::mem::replace(&mut self.is_begun, true) {
                self.writer.write_char(' ')?;
            }
            if field.name() != MESSAGE {
                self.writer.write_str(field.name())?;
                self.writer.write_char('=')?;
            }
            write(&mut self.writer)
        });
    }
}

impl Visit for LogLine<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_message = field.name() == MESSAGE;
        self.put(field, |writer| {
            if is_message {
                Escaping(writer).write_str(value)
            } else if value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
                writer.write_char('"')?;
                writer.write_str(value)?;
                writer.write_char('"')
            } else {
                write!(writer, "{value:?}")
            }
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |writer| write!(Escaping(writer), "{value:?}"));
    }
}

/// Escapes control characters.
struct Escaping<'a, 'writer>(&'a mut Writer<'writer>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((place, control)) = rest.char_indices().find(|(_, c)| c.is_control()) {
            let (before, after) = rest.split_at(place);
            self.0.write_str(before)?;
            write!(self.0, "{}", control.escape_default())?;
            rest = after.get(control.len_utf8()..).unwrap_or_default();
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(tell: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).fmt_fields(TextFields);
        let log = tracing_subscriber::registry().with(layer.with_ansi(false).without_time().with_target(false));
        tracing::subscriber::with_default(log, tell);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn fields_follow_the_message() {
        let line = logged(|| {
            let (nothing, trace) = (None::<&str>, format_args!("0af7").to_string());
            tracing::info!(http.method = "GET", status = 200_u16, ms = 0.25, ok = true, nothing, %trace, "answered");
        });
        assert_eq!(line, " INFO answered http.method=\"GET\" status=200 ms=0.25 ok=true trace=0af7\n");
    }

    #[test]
    fn control_characters_cannot_forge_a_line() {
        let forged = "a\"b\n2026-01-01 INFO \u{1b}[31mred\u{9b}";
        let line = logged(|| tracing::warn!(route = forged, detail = %forged, "{forged}"));
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(line.chars().all(|c| c == '\n' || !c.is_control()), "{line:?}");
        assert!(line.contains(r#"route="a\"b\n"#), "{line}");
    }
}
