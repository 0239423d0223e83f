//! Which of the operations that no sync has made durable are on the disk after all.

use crate::dice::{Dice, mix};
use crate::file_model::Moment;

/// One way for a power loss to end. The same question has the same answer, whoever asks it.
#[derive(Debug)]
pub(crate) struct Survival {
    pattern: Pattern,
    salt: u64,
}

/// Blind chance seldom finds the one write without which the others are wrong, so most patterns are pointed.
#[derive(Debug)]
enum Pattern {
    Nothing,
    Everything,
    /// In order, as far as this one.
    Until(Moment),
    /// The later ones without the earlier.
    From(Moment),
    AllBut(Moment),
    Only(Moment),
    /// Each by itself, in eighths: so many whole, so many in part.
    Mixed {
        whole: u64,
        torn: u64,
    },
}

impl Survival {
    /// One of all ways, where `unsynced` are the operations in question.
    pub(crate) fn draw(dice: &mut Dice, unsynced: &[Moment]) -> Survival {
        let salt = dice.next();
        let any = |dice: &mut Dice| dice.pick(unsynced).copied().unwrap_or_default();
        let pattern = match dice.below(16) {
            0 | 1 => Pattern::Nothing,
            2 => Pattern::Everything,
            3 => Pattern::Until(any(dice)),
            4 | 5 => Pattern::From(any(dice)),
            6 | 7 => Pattern::AllBut(any(dice)),
            8 => Pattern::Only(any(dice)),
            _ => {
                let whole = dice.below(8);
                Pattern::Mixed { whole, torn: dice.below(9 - whole) }
            }
        };
        Survival { pattern, salt }
    }

    pub(crate) fn sector_survives(&self, change: Moment, sector: usize) -> bool {
        match self.pattern {
            Pattern::Mixed { whole, torn } => match self.chance(change, 0) % 8 {
                eighth if eighth < whole => true,
                eighth if eighth < whole + torn => self.chance(change, sector as u64 + 2).is_multiple_of(2),
                _ => false,
            },
            _ => self.survives(change),
        }
    }

    /// The size of a file is not its data: the one can be on the disk without the other.
    pub(crate) fn size_survives(&self, change: Moment) -> bool {
        match self.pattern {
            Pattern::Mixed { whole, torn } => self.chance(change, 1) % 16 < 2 * whole + torn,
            _ => self.survives(change),
        }
    }

    /// Whether a name that was made, moved or removed is so in the directory on the disk.
    pub(crate) fn name_survives(&self, change: Moment) -> bool {
        self.size_survives(change)
    }

    fn survives(&self, change: Moment) -> bool {
        match self.pattern {
            Pattern::Nothing | Pattern::Mixed { .. } => false,
            Pattern::Everything => true,
            Pattern::Until(last) => change <= last,
            Pattern::From(first) => change >= first,
            Pattern::AllBut(one) => change != one,
            Pattern::Only(one) => change == one,
        }
    }

    fn chance(&self, change: Moment, what: u64) -> u64 {
        mix(self.salt ^ mix(change ^ mix(what)))
    }
}
