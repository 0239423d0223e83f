//! How a command that asks a registry fails: what people read, and the exit code.

use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use super::exit_code;
use super::output::text;
use crate::client::ClientError;

/// What the user wrote is invalid in a way that only the command can tell.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// A failure that has been reported already, or that is a plain answer.
#[derive(Debug, thiserror::Error)]
#[error("exit code {0}")]
pub struct Ended(pub u8);

/// A failure with an exit code, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// What failed.
    pub what: String,
    /// The next command to try, if there is one.
    pub advice: Option<String>,
    /// The exit code.
    pub code: u8,
}

/// The exit code of a command. Writes why it failed to standard error.
pub fn report(result: anyhow::Result<u8>) -> ExitCode {
    let error = match result {
        Ok(code) => return ExitCode::from(code),
        Err(error) => error,
    };
    let (text, code) = explain(&error);
    if !text.is_empty() {
        // There is no other place to say it.
        drop(io::Write::write_all(&mut io::stderr(), text.as_bytes()));
    }
    ExitCode::from(code)
}

fn explain(error: &anyhow::Error) -> (String, u8) {
    if let Some(Ended(code)) = error.downcast_ref() {
        return (String::new(), *code);
    }
    // `plugin-registry ls | head` is no failure.
    let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref::<io::Error>().is_some_and(is_closed) {
        return (String::new(), 0);
    }
    if let Some(usage) = error.downcast_ref::<Usage>() {
        return (format!("error: {}\n", text::lines(&usage.0)), exit_code::USAGE);
    }
    if let Some(failure) = error.downcast_ref::<Failure>() {
        let advice = failure.advice.as_deref().map(advice).unwrap_or_default();
        return (format!("error: {}\n{advice}", text::lines(&failure.what)), failure.code);
    }
    match error.downcast_ref::<ClientError>() {
        Some(refusal) => (of_client(refusal), exit_code::of(refusal)),
        None => (format!("error: {}\n", text::lines(&format!("{error:#}"))), exit_code::FAILED),
    }
}

fn of_client(error: &ClientError) -> String {
    let ClientError::Refused { status, problem, .. } = error else {
        let said = text::lines(&error.with_causes()).into_owned();
        let next = match exit_code::of(error) {
            exit_code::UNREACHABLE => advice("plugin-registry context show    (which server, and why)"),
            _ => String::new(),
        };
        return format!("error: {said}\n{next}");
    };
    let mut said = match (problem.errors.as_slice(), problem.title.as_str()) {
        ([], _) | (_, "") => format!("error: {}\n", text::lines(&problem.detail)),
        (errors, title) => {
            let mut said = format!("error: {}\n", text::lines(title));
            for field in errors {
                let place = if field.pointer.is_empty() { "the document" } else { &field.pointer };
                // Writing to a String cannot fail.
                let _written = writeln!(said, "  {}: {}", text::one_line(place), text::lines(&field.detail));
            }
            said
        }
    };
    if let Some(id) = &problem.request_id {
        let _written = writeln!(said, "request: {}", text::one_line(id));
    }
    said.push_str(&match status {
        401 => advice("plugin-registry login"),
        403 => advice("plugin-registry whoami"),
        404 => advice("plugin-registry ls"),
        _ => String::new(),
    });
    said
}

fn advice(command: &str) -> String {
    format!("try: {command}\n")
}
