//! A line of /proc/PID/stat (proc_pid_stat(5)).

use domain::plugin::Pid;

/// The fields of a process that probes need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Field 3: `R` running, `S` sleeping, `Z` zombie, `T` stopped …
    pub state: u8,
    /// Field 4: the parent process.
    pub parent: Pid,
    /// Field 6: the session leader, which may have ended.
    pub session: Pid,
    /// Field 20: the number of threads.
    pub threads: u32,
    /// Field 22: the start time in clock ticks since boot.
    pub start_ticks: u64,
}

impl Stat {
    /// Parses a line; `None` if it is malformed.
    ///
    /// The command (field 2) may hold spaces and parentheses, so the other fields are read after the last `)`.
    pub fn parse(line: &[u8]) -> Option<Stat> {
        let end_of_command = memchr::memrchr(b')', line)?;
        let mut fields = line.get(end_of_command + 1..)?.split(|byte| *byte == b' ').skip(1);
        let state = *fields.next()?.first()?;
        let parent = number(fields.next()?)?;
        let session = number(fields.nth(1)?)?;
        let threads = number(fields.nth(13)?)?;
        let start_ticks = number(fields.nth(1)?)?;
        Some(Stat { state, parent, session, threads, start_ticks })
    }

    /// Returns true if and only if the process has ended, perhaps as a zombie that its parent has not waited for.
    ///
    /// A process whose first thread has ended also shows `Z`, while its other threads run on.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, b'X' | b'x') || (self.state == b'Z' && self.threads <= 1)
    }
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    str::from_utf8(digits).ok()?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const REST: &str = "1 2 3 0 -1 4194560 5 6 7 8 9 10 11 12 20 0 4 0 123456 1000 10 18446744073709551615 1";

    #[rstest]
    #[case("sleep")]
    #[case("a b")]
    #[case("a) Z 9 9 9 (")]
    #[case(") R 1 1 1")]
    #[case("\u{fffd}(")]
    fn the_command_may_contain_spaces_and_parentheses(#[case] command: &str) {
        let line = format!("42 ({command}) S {REST}\n");
        let expected = Stat { state: b'S', parent: 1, session: 3, threads: 4, start_ticks: 123_456 };
        assert_eq!(Stat::parse(line.as_bytes()), Some(expected));
    }

    #[rstest]
    #[case("")]
    #[case("42 (sleep")]
    #[case("42 (sleep)")]
    #[case("42 (sleep) S 1 2 3")]
    #[case("42 (sleep) S x 2 3 0 -1 4194560 5 6 7 8 9 10 11 12 20 0 4 0 123456")]
    fn malformed_lines_are_none(#[case] line: &str) {
        assert_eq!(Stat::parse(line.as_bytes()), None);
    }

    #[rstest]
    #[case(b'S', 1, false)]
    #[case(b'T', 1, false)]
    #[case(b'D', 1, false)]
    #[case(b'Z', 1, true)]
    #[case(b'Z', 0, true)]
    // The first thread has ended; three other threads run.
    #[case(b'Z', 4, false)]
    #[case(b'X', 0, true)]
    fn a_zombie_has_ended_once_all_its_threads_have(#[case] state: u8, #[case] threads: u32, #[case] ended: bool) {
        let stat = Stat { state, parent: 1, session: 1, threads, start_ticks: 1 };
        assert_eq!(stat.has_ended(), ended);
    }
}
