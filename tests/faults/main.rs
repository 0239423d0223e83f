//! What the registry promises when things go wrong: an acknowledged write is never lost, nothing that anybody read
//! is undone, and a disk that fails, fails only the writes that need it.
//!
//! The suites, each in a module of its name:
//!
//! - [`crash`]: kill -9 under load, again and again on one store.
//! - [`power_loss`]: one run recorded, and thousands of disks put together as a power loss could leave them.
//! - [`failing_disk`]: one write or sync after the other fails, once or for good.
//! - [`full_disk`]: a small tmpfs fills up under the store and is enlarged.
//!
//! What they are made of, in reading order:
//!
//! 1. [`settings`], [`dice`], [`violation`]: how much, by which chance, and what a suite finds.
//! 2. [`server`], [`client`]: the real binary and the way to talk to it.
//! 3. [`content`], [`witnesses`], [`image`], [`restart`]: what was written, what was seen, and what is in the store.
//! 4. [`load`] with [`writer`], [`reader`] and [`observer`]: many clients at once, and the [`trap`] that they kill
//!    with; [`session`]: one client that knows what must come.
//! 5. [`shim`] and `recorder.c`, with [`harm`] and [`recording`]: between the server and the kernel.
//! 6. [`disk`], [`file_model`], [`names`], [`survival`], [`examination`]: what a power loss may leave of what was
//!    recorded.
//!
//! Each suite runs with the bug planted that it is there to find, where `--features planted-bugs` builds the server
//! with them, and fails if it does not find it. [`settings`] has the environment variables that say how much is run.
//!
//! Linux only. It takes a C compiler as `cc`, /dev/shm, and for `full_disk` the right to mount.
#![expect(
    clippy::print_stderr,
    reason = "the figures of a run, and the seed to have it again, are for whoever reads its log"
)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "all of this is a test; clippy allows them only in the functions that bear the attribute"
)]

mod client;
mod content;
mod crash;
mod dice;
mod disk;
mod examination;
mod failing_disk;
mod file_model;
mod full_disk;
mod harm;
mod image;
mod load;
mod names;
mod observer;
mod power_loss;
mod reader;
mod recording;
mod restart;
mod server;
mod session;
mod settings;
mod shim;
mod survival;
mod trap;
mod violation;
mod witnesses;
mod writer;
