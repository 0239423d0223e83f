//! What /proc tells people about a process: its command, and whether it gets the orphans of others.

/// The longest command, in characters.
const MAX_COMMAND: usize = 80;

/// Programs that get the orphans of others without being the init of a pid namespace, by the name that the kernel
/// keeps, of at most 15 bytes: the user manager of systemd, monitors of containers, small inits as subreapers.
const ADOPTERS: &[&str] = &["systemd", "containerd-shim", "conmon", "tini", "docker-init", "dumb-init", "catatonit"];

/// What /proc tells about one process beyond its line in `stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The program, and its arguments up to the first option.
    pub command: String,
    /// The name that the kernel keeps (proc_pid_comm(5)).
    pub name: String,
    /// Whether it is the first process of a pid namespace.
    pub is_init: bool,
}

impl Description {
    /// Whether the process gets the orphans of others.
    pub fn is_adopter(&self) -> bool {
        self.is_init || ADOPTERS.contains(&self.name.as_str())
    }
}

/// The program and its arguments up to the first option, from /proc/PID/cmdline (proc_pid_cmdline(5)). Options may
/// carry secrets, and so may what follows them. `-m` names the module that Python runs.
pub(super) fn command(cmdline: &[u8], name: &str) -> String {
    let arguments = String::from_utf8_lossy(cmdline);
    // A process that sets its own title separates words by blanks.
    let mut words = arguments.split(['\0', ' ']).filter(|word| !word.is_empty());
    let mut command: String = words.next().unwrap_or(name).to_owned();
    let mut words = words.peekable();
    if words.peek() == Some(&"-m") {
        words.next();
        command.push_str(" -m");
    }
    for word in words.take_while(|word| !word.starts_with('-') && !word.contains(['=', '@', ':'])).take(2) {
        command.push(' ');
        command.push_str(word);
    }
    command.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_COMMAND).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("python\0app.py\0", "python app.py")]
    #[case("python\0-m\0app.server\0--token\0x\0", "python -m app.server")]
    #[case("/usr/bin/app\0--token=x\0serve\0", "/usr/bin/app")]
    #[case("sh\0-c\0curl -H Authorization\0", "sh")]
    #[case("env\0TOKEN=x\0app\0", "env")]
    #[case("psql\0postgres://a:b@c/d\0", "psql")]
    #[case("a\nb\0", "a b")]
    #[case("app --token=x serve\0", "app")]
    #[case("", "kworker")]
    fn a_command_shows_no_options(#[case] cmdline: &str, #[case] shown: &str) {
        assert_eq!(command(cmdline.as_bytes(), "kworker"), shown);
    }
}
