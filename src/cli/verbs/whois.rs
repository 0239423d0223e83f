//! `whois`: which plugin holds a process, a container, an instance, a URL or a port.

use std::fs;

use clap::Args;

use crate::cli::exit_code;
use crate::cli::failure::{Ended, Usage};
use crate::cli::output::kind::RESOURCE;
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;
use serde_json::Value;

/// The state of a listening socket in /proc/net/tcp (include/net/tcp_states.h).
const LISTEN: &str = "0A";

/// The flags of `whois`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry whois 4711                     a process id
  plugin-registry whois :8000                    the process that listens on port 8000 of this machine
  plugin-registry whois 4c01db0b339c             a container id
  plugin-registry whois i-0abcd1234              an instance id
  plugin-registry whois https://gpu-1:8000/v1    an endpoint; also gpu-1:8000

It says what it takes the word for. Exit code 3: no plugin holds it. Next: plugin-registry get ID")]
pub struct WhoisArgs {
    /// A process id, container id, instance id, URL, HOST:PORT or :PORT.
    #[arg(value_name = "X")]
    what: String,
    /// What the word is, instead of a guess: pid, container_id, instance_id or endpoint.
    #[arg(long, value_name = "KIND")]
    r#as: Option<String>,
    /// The host of the process or the container.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Looks for the holder.
///
/// # Errors
///
/// If no process listens on the port, or the registry is unreachable or refuses the request.
pub async fn run(session: Session, args: &WhoisArgs) -> anyhow::Result<u8> {
    let (parameter, value) = match &args.r#as {
        Some(kind) => (kind.clone(), args.what.clone()),
        None => guess(&args.what)?,
    };
    session.printer.say(&format!("looking for {} {value}", parameter.replace('_', " ")));
    let mut call = Call::get(&["resources"]).with(&parameter, value);
    if let Some(host) = &args.host {
        call = call.with("host", host.clone());
    }
    let found = session.whole_list(&call).await?;
    let is_empty = found.get("items").and_then(Value::as_array).is_none_or(Vec::is_empty);
    session.printer.whole_list(&RESOURCE, found)?;
    if is_empty { Err(Ended(exit_code::NOT_FOUND).into()) } else { Ok(0) }
}

/// The parameter of the API that the word is for.
fn guess(word: &str) -> anyhow::Result<(String, String)> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if let Some(port) = word.strip_prefix(':') {
        let port: u16 = port.parse().map_err(|_| Usage(format!("`{word}` is no port: write :8000")))?;
        let pid = listener(port)
            .ok_or_else(|| Usage(format!("this user sees no process here that listens on port {port}")))?;
        return Ok(("pid".into(), pid.to_string()));
    }
    let parameter = match word {
        word if is_digits(word) && word.len() <= 10 => "pid",
        word if (12..=64).contains(&word.len()) && is_hex(word) => "container_id",
        word if word.contains("://") || word.contains(':') => "endpoint",
        _ => "instance_id",
    };
    Ok((parameter.into(), word.into()))
}

/// The process of this machine that listens on a TCP port, if this user can see it.
fn listener(port: u16) -> Option<u32> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| table.lines().skip(1).filter_map(|line| socket_of(line, port)).collect::<Vec<_>>())
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| holds(*pid, &sockets))
}

/// `socket:[INODE]`, if the line of /proc/net/tcp is a listener of the port.
fn socket_of(line: &str, port: u16) -> Option<String> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let is_it = u16::from_str_radix(local, 16) == Ok(port) && fields.get(3) == Some(&LISTEN);
    is_it.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
}

fn holds(pid: u32, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| {
        let link = fs::read_link(file.path()).ok();
        link.and_then(|link| link.to_str().map(|link| sockets.iter().any(|socket| socket == link))).unwrap_or(false)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("4711", "pid")]
    #[case("4c01db0b339c", "container_id")]
    #[case("123456789012", "container_id")]
    #[case("i-0abcd1234", "instance_id")]
    #[case("https://gpu-1:8000/v1", "endpoint")]
    #[case("gpu-1:8000", "endpoint")]
    fn the_kind_is_guessed(#[case] word: &str, #[case] parameter: &str) {
        assert_eq!(guess(word).unwrap(), (parameter.to_owned(), word.to_owned()));
    }

    #[test]
    fn the_listener_of_a_port_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(port), Some(std::process::id()));
    }
}
