//! The binary: see the crate `plugin_registry` for everything.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    plugin_registry::cli::run()
}
