//! What a check may spend, and how it is stopped.
//!
//! How long a check takes depends on the schema and on the value together, and can grow
//! exponentially with both: only counting while it runs can bound it. Each read of a value takes
//! fuel. When that runs out, or the stack, the check is ended by unwinding, since the library has
//! no other way to be stopped.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

/// What one check may spend. A unit takes 5 to 60 ns, so that the whole takes up to half a second.
/// A configuration of 1 MiB needs about an eighth of it under a plain schema.
const FUEL: u64 = 8_000_000;

/// How much stack a check may take, in bytes: half of what a thread of tokio or a test has.
const STACK: usize = 1 << 20;

/// What reads cost in one check, besides a unit each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prices {
    /// For a byte of a property's name, which is compared with the `patternProperties`.
    pub name_byte: u64,
    /// For a number, in digits of the schema's numbers it is calculated with.
    pub digits: u64,
    /// For an error, in bytes of memory.
    pub error_bytes: u64,
}

/// The fuel of the check that runs on this thread. Nodes cannot carry it: the library makes some
/// of them out of nothing but a string.
struct Tank {
    left: Cell<u64>,
    /// Where the stack stood when the check began. It grows downwards.
    bottom: Cell<usize>,
    prices: Cell<Prices>,
}

thread_local! {
    static TANK: Tank = const {
        let prices = Prices { name_byte: 0, digits: 0, error_bytes: 0 };
        Tank { left: Cell::new(0), bottom: Cell::new(0), prices: Cell::new(prices) }
    };
}

/// What unwinds a check that is out of fuel.
struct Stopped;

#[cfg(panic = "abort")]
compile_error!("checks of JSON Schema are stopped by unwinding: build with panic = \"unwind\"");

/// Runs `check`, which reads values that [`charge`] for it, on a full tank. `None` when it had to be
/// stopped.
pub(crate) fn metered<T>(prices: Prices, check: impl FnOnce() -> T) -> Option<T> {
    TANK.with(|tank| {
        tank.left.set(FUEL);
        tank.bottom.set(stack_pointer());
        tank.prices.set(prices);
    });
    match panic::catch_unwind(AssertUnwindSafe(check)) {
        Ok(checked) => Some(checked),
        Err(stopped) if stopped.is::<Stopped>() => None,
        // A defect, of the library or of ours: its own affair.
        Err(panic) => panic::resume_unwind(panic),
    }
}

/// Takes fuel for work that is done now. Only within [`metered`].
pub(crate) fn charge(units: u64) {
    TANK.with(|tank| {
        let deep = tank.bottom.get().saturating_sub(stack_pointer()) > STACK;
        match tank.left.get().checked_sub(units) {
            Some(left) if !deep => tank.left.set(left),
            // Unlike a panic, this prints nothing.
            _ => panic::resume_unwind(Box::new(Stopped)),
        }
    });
}

/// About where the stack ends now.
fn stack_pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

/// The prices of the check that runs on this thread.
pub(crate) fn prices() -> Prices {
    TANK.with(|tank| tank.prices.get())
}
