//! The binary: see the crate `plugin_registry` for everything.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match plugin_registry::cli::run() {
        Ok(code) => code,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the log may not have been started")]
            {
                // The error with its causes, and never a backtrace: this is for the one who started it.
                eprintln!("plugin-registry: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
