//! The budget of a check, and how a check is stopped.
//!
//! The time of a check depends on schema and value together, and can grow exponentially with both. Only counting during
//! the check can bound it. Each read of a value costs fuel. A check that runs out of fuel or stack is ended by
//! unwinding, because the library has no other way to stop.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

/// The fuel of one check. A unit takes 5 to 60 ns, so a check takes up to half a second. A configuration of 1 MiB needs
/// about an eighth of it under a plain schema.
const FUEL: u64 = 8_000_000;

/// The maximum stack of a check, in bytes: half the stack of a tokio thread or a test.
const STACK: usize = 1 << 20;

/// The prices of one check, in addition to one unit for each read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prices {
    /// The price of a byte of a property's name, because the library compares the name with the `patternProperties`.
    pub name_byte: u64,
    /// The price of a number: the digits of the schema's numbers in a calculation.
    pub digits: u64,
    /// The price of an error, in bytes of memory.
    pub error_bytes: u64,
}

/// The fuel of the check on this thread. Nodes cannot carry it: the library makes some of them from a string alone.
struct Tank {
    left: Cell<u64>,
    /// The stack pointer at the start of the check. The stack grows downwards.
    bottom: Cell<usize>,
    prices: Cell<Prices>,
}

thread_local! {
    static TANK: Tank = const {
        let prices = Prices { name_byte: 0, digits: 0, error_bytes: 0 };
        Tank { left: Cell::new(0), bottom: Cell::new(0), prices: Cell::new(prices) }
    };
}

/// The panic payload of a check that ran out of fuel.
struct Stopped;

#[cfg(panic = "abort")]
compile_error!("checks of JSON Schema are stopped by unwinding: build with panic = \"unwind\"");

/// Runs `check`, whose reads call [`charge`], with full fuel. `None` if it was stopped.
pub(crate) fn metered<T>(prices: Prices, check: impl FnOnce() -> T) -> Option<T> {
    TANK.with(|tank| {
        tank.left.set(FUEL);
        tank.bottom.set(stack_pointer());
        tank.prices.set(prices);
    });
    match panic::catch_unwind(AssertUnwindSafe(check)) {
        Ok(checked) => Some(checked),
        Err(stopped) if stopped.is::<Stopped>() => None,
        // A defect of the library or of this crate must not be hidden.
        Err(panic) => panic::resume_unwind(panic),
    }
}

/// Consumes fuel. Only within [`metered`].
pub(crate) fn charge(units: u64) {
    TANK.with(|tank| {
        let deep = tank.bottom.get().saturating_sub(stack_pointer()) > STACK;
        match tank.left.get().checked_sub(units) {
            Some(left) if !deep => tank.left.set(left),
            // Unlike `panic!`, this prints nothing.
            _ => panic::resume_unwind(Box::new(Stopped)),
        }
    });
}

/// The approximate stack pointer.
fn stack_pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

/// The prices of the check on this thread.
pub(crate) fn prices() -> Prices {
    TANK.with(|tank| tank.prices.get())
}
