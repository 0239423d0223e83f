//! The binary. The crate `plugin_registry` has all the code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match plugin_registry::cli::run() {
        Ok(code) => code,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the log may not have been started")]
            {
                // Operators need the error and its causes; a backtrace would hide both.
                eprintln!("plugin-registry: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
