//! settings.md: every command, its flags, environment variables and defaults.

use clap::builder::StyledStr;
use clap::{Arg, Command, CommandFactory as _};

use super::markdown::{Page, code, prose, sentence};
use plugin_registry::cli::Cli;

const ABOUT: &str = "All commands, their flags, and the environment variables that set the same. `--help-all` of a command prints it, too.

## How to read this

- A flag goes before its environment variable, and the variable before the default.
- A flag without a default is off, or its meaning says what happens without it. *required* is in the place of a default that cannot be.
- Without a command, the program serves: `plugin-registry --listen …` is `plugin-registry serve --listen …`.
- The registry reads no file of settings. systemd and containers set the environment: see [Packages](../guide/packages.md).
- Bounds that no flag sets are in [Limits](limits.md).";

/// The page.
pub(super) fn page() -> String {
    let mut page = Page::new("Settings", ABOUT);
    let mut program = Cli::command();
    // Without it, usage lines and arguments of subcommands are incomplete.
    program.build();
    for command in visible(&program) {
        write(&mut page, "plugin-registry", command);
    }
    page.finish()
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn write(page: &mut Page, before: &str, command: &Command) {
    let name = format!("{before} {}", command.get_name());
    if command.has_subcommands() {
        visible(command).for_each(|command| write(page, &name, command));
        return;
    }
    page.heading(2, &code(&name));
    let about = command.get_long_about().or(command.get_about());
    page.paragraph(&text(about).split("\n\n").map(sentence).collect::<Vec<_>>().join("\n\n"));
    let shown =
        command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help" && arg.get_id() != "version");
    let rows: Vec<_> = shown.map(row).collect();
    page.table(&["flag", "environment", "default", "meaning"], &rows);
}

fn row(arg: &Arg) -> Vec<String> {
    let environment = arg.get_env().map(|name| code(&name.to_string_lossy()));
    vec![flag(arg), environment.unwrap_or_default(), default(arg), meaning(arg)]
}

fn flag(arg: &Arg) -> String {
    let takes_value = arg.get_action().takes_values();
    let names = arg.get_value_names().unwrap_or_default();
    let value = names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ");
    let optional = arg.get_num_args().is_some_and(|count| count.min_values() == 0);
    let text = match (arg.get_long(), takes_value) {
        (Some(long), true) if optional => format!("--{long}[={value}]"),
        (Some(long), true) => format!("--{long} {value}"),
        (Some(long), false) => format!("--{long}"),
        (None, _) => value,
    };
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    code(&format!("{short}{text}"))
}

fn default(arg: &Arg) -> String {
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    match defaults.as_slice() {
        [] if arg.is_required_set() => "required".into(),
        [] => String::new(),
        _ if !arg.get_action().takes_values() => String::new(),
        values => code(&values.join(" ")),
    }
}

fn meaning(arg: &Arg) -> String {
    let mut meaning = sentence(&text(arg.get_long_help().or(arg.get_help())));
    let values = arg.get_possible_values();
    let helped: Vec<_> = values.iter().filter_map(|value| Some((value.get_name(), value.get_help()?))).collect();
    if !helped.is_empty() {
        let values = helped.iter().map(|(name, help)| format!("{}: {}", code(name), prose(&help.to_string())));
        meaning.push_str(&format!(" {}.", values.collect::<Vec<_>>().join("; ")));
    }
    meaning
}

fn text(styled: Option<&StyledStr>) -> String {
    styled.map(ToString::to_string).unwrap_or_default()
}
