//! The precedence of a setting's sources: the flag, then the environment variable, then the default.
//!
//! An empty variable counts as not set, because compose files and unit files write `${NAME:-}` for optional values. If
//! two settings exclude each other, such as a token and a file that holds it, the one on the command line counts. If
//! both are in the environment, the value counts and the file does not.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

/// The prefix of our variables.
const PREFIX: &str = "PLUGIN_REGISTRY_";

/// Variables without a flag: for the tests, for builds with deliberate bugs, and for the Python client.
const ELSEWHERE: [&str; 3] = ["PLUGIN_REGISTRY_TEST_", "PLUGIN_REGISTRY_PLANT", "PLUGIN_REGISTRY_BINARY"];

/// The similarity from which an unknown name counts as misspelt, from 0 to 1.
const ALIKE: f64 = 0.8;

/// The same command line, which reads only those variables that count for `args`.
pub fn settled(command: &Command, args: &[OsString]) -> Command {
    // Finds what is on the command line. The real parser reports other mistakes.
    let given = with_environment(command.clone(), &|_| false).ignore_errors(true).try_get_matches_from(args).ok();
    settle(command.clone(), given.as_ref())
}

fn settle(command: Command, given: Option<&ArgMatches>) -> Command {
    let is_given = |arg: &Arg| {
        given.is_some_and(|given| given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine))
    };
    let mut silent = BTreeSet::new();
    for arg in command.get_arguments() {
        for rival in command.get_arg_conflicts_with(arg) {
            match (is_given(arg), is_given(rival)) {
                (true, false) => drop(silent.insert(rival.get_id().clone())),
                (false, true) => drop(silent.insert(arg.get_id().clone())),
                // Of the two, the setting for the file names the other as its conflict.
                (false, false) if is_set(rival) => drop(silent.insert(arg.get_id().clone())),
                _ => {}
            }
        }
    }
    let command = command.mut_args(|arg| if is_set(&arg) && !silent.contains(arg.get_id()) { arg } else { deaf(arg) });
    command.mut_subcommands(|command| {
        let given = given.and_then(|given| given.subcommand_matches(command.get_name()));
        settle(command, given)
    })
}

/// Whether the setting has a variable that is not empty.
fn is_set(arg: &Arg) -> bool {
    arg.get_env().and_then(env::var_os).is_some_and(|value| !value.is_empty())
}

/// The same setting without its value from the environment. Its help still names a variable that is not set.
fn deaf(arg: Arg) -> Arg {
    let is_unset = arg.get_env().is_none_or(|name| env::var_os(name).is_none());
    if is_unset { arg } else { arg.env(None::<&'static str>) }
}

fn with_environment(command: Command, hears: &dyn Fn(&Arg) -> bool) -> Command {
    let command = command.mut_args(|arg| if hears(&arg) { arg } else { arg.env(None::<&'static str>) });
    command.mut_subcommands(|command| with_environment(command, hears))
}

/// The result of [`warnings`].
static WARNINGS: OnceLock<Vec<String>> = OnceLock::new();

/// Finds environment variables that look like settings of `command`, but are unknown.
pub fn check(command: &Command) {
    WARNINGS.get_or_init(|| {
        let mut known = BTreeSet::new();
        collect(command, &mut known);
        let set = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let unknown = set.filter(|(name, value)| {
            name.starts_with(PREFIX) && !known.contains(name.as_str()) && !is_of_others(name, value)
        });
        unknown.map(|(name, _)| warning(&name, &known)).collect()
    });
}

/// A warning for each variable that [`check`] found, for the log or standard error.
pub fn warnings() -> &'static [String] {
    WARNINGS.get().map_or(&[], Vec::as_slice)
}

fn collect(command: &Command, names: &mut BTreeSet<String>) {
    names.extend(command.get_arguments().filter_map(Arg::get_env).filter_map(OsStr::to_str).map(str::to_owned));
    command.get_subcommands().for_each(|command| collect(command, names));
}

/// Returns true if and only if Kubernetes or a test set the variable. Kubernetes sets variables for each service of a
/// namespace (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>), and so for a
/// service of ours.
fn is_of_others(name: &str, value: &OsStr) -> bool {
    let is_link = value.to_str().is_some_and(|value| value.starts_with("tcp://") || value.starts_with("udp://"));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && is_link)
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| name.contains(protocol) && name.contains("_PORT_"))
        || ELSEWHERE.iter().any(|prefix| name.starts_with(prefix))
}

fn warning(name: &str, known: &BTreeSet<String>) -> String {
    let own = |name: &str| name.strip_prefix(PREFIX).unwrap_or_default().to_owned();
    let wanted = own(name);
    let alike = known.iter().filter(|known| known.starts_with(PREFIX)).map(|known| {
        let likeness = strsim::jaro_winkler(&wanted, &own(known));
        (likeness, known)
    });
    match alike.filter(|(likeness, _)| *likeness >= ALIKE).max_by(|(one, _), (other, _)| one.total_cmp(other)) {
        Some((_, nearest)) => format!("{name} is no setting and has no effect; do you mean {nearest}?"),
        None => format!("{name} is no setting and has no effect; `serve --help-all` lists the settings"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_told() {
        let known =
            BTreeSet::from_iter(["STORE", "LISTEN", "LOG_LEVEL", "TOKENS_FILE"].map(|name| format!("{PREFIX}{name}")));
        for (name, told) in [
            ("STROE", "do you mean PLUGIN_REGISTRY_STORE?"),
            ("LISTENS", "do you mean PLUGIN_REGISTRY_LISTEN?"),
            ("LOGLEVEL", "do you mean PLUGIN_REGISTRY_LOG_LEVEL?"),
            ("QUX", "serve --help-all"),
        ] {
            let warning = warning(&format!("{PREFIX}{name}"), &known);
            assert!(warning.contains(told), "{warning}");
        }
    }

    #[test]
    fn what_kubernetes_sets_is_no_slip() {
        for (name, value) in [
            ("PLUGIN_REGISTRY_SERVICE_HOST", "10.0.0.1"),
            ("PLUGIN_REGISTRY_SERVICE_PORT", "8080"),
            ("PLUGIN_REGISTRY_SERVICE_PORT_HTTP", "8080"),
            ("PLUGIN_REGISTRY_PORT", "tcp://10.0.0.1:8080"),
            ("PLUGIN_REGISTRY_METRICS_PORT", "tcp://10.0.0.1:9090"),
            ("PLUGIN_REGISTRY_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("PLUGIN_REGISTRY_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ] {
            assert!(is_of_others(name, OsStr::new(value)), "{name}");
        }
        assert!(!is_of_others("PLUGIN_REGISTRY_PORT", OsStr::new("8080")));
        assert!(!is_of_others("PLUGIN_REGISTRY_STROE", OsStr::new("memory")));
    }
}
