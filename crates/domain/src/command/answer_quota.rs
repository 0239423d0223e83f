//! How many bytes of stored responses a registry keeps. Pure.
//!
//! A client that sends a new `Idempotency-Key` with each write fills the store within a day. Refusing its writes would
//! punish honest clients, which send a key with each write, too. So the oldest responses go first: a retry follows its
//! request within minutes. A token loses its own responses only, unless it stores more than others do.

use std::collections::BTreeMap;

/// The quota of stored responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerQuota {
    /// The maximum bytes of all stored responses.
    pub bytes: u64,
}

/// Bytes of stored responses by token id; the empty id stands for callers without a token.
pub type AnswerShares = BTreeMap<Box<str>, u64>;

impl Default for AnswerQuota {
    fn default() -> AnswerQuota {
        AnswerQuota { bytes: 256 << 20 }
    }
}

impl AnswerQuota {
    /// The maximum bytes of one token.
    pub fn share(self) -> u64 {
        self.bytes / 4
    }

    /// How many bytes a process may add before it compares the stored responses with the quota again.
    pub fn slack(self) -> u64 {
        self.bytes / 64
    }

    /// How many bytes of their oldest responses tokens lose. The tokens with the most lose first, down to one level.
    pub fn surplus(self, shares: &AnswerShares) -> AnswerShares {
        let level = self.level(shares);
        let surplus = |bytes: u64| Some(bytes.saturating_sub(level)).filter(|surplus| *surplus > 0);
        shares.iter().filter_map(|(token, bytes)| Some((token.clone(), surplus(*bytes)?))).collect()
    }

    /// The bytes that each token may keep, so that all of them fit.
    fn level(self, shares: &AnswerShares) -> u64 {
        let mut sorted: Vec<_> = shares.values().map(|bytes| (*bytes).min(self.share())).collect();
        sorted.sort_unstable();
        let mut left = self.bytes;
        for (index, bytes) in sorted.iter().enumerate() {
            // An equal part of what the smaller ones leave.
            let part = left / (sorted.len() - index) as u64;
            if *bytes > part {
                return part;
            }
            left -= bytes;
        }
        self.share()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(bytes: &[u64]) -> AnswerShares {
        bytes.iter().enumerate().map(|(token, bytes)| (token.to_string().into(), *bytes)).collect()
    }

    #[test]
    fn a_greedy_token_loses_its_own_responses_only() {
        let quota = AnswerQuota { bytes: 1_000 };
        assert_eq!(quota.surplus(&shares(&[250, 250, 10])), shares(&[]));
        assert_eq!(quota.surplus(&shares(&[300])), shares(&[50]));
        let surplus = quota.surplus(&shares(&[900, 900, 900, 900, 200, 50]));
        assert_eq!(surplus.keys().map(|token| &**token).collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
        assert_eq!(surplus.values().copied().collect::<Vec<_>>(), [710, 710, 710, 710, 10]);
    }

    proptest! {
        #[test]
        fn what_stays_fits_and_nothing_goes_without_need(
            bytes in prop::collection::vec(0_u64..2_000, 0..20),
            quota in 0_u64..20_000,
        ) {
            let (quota, before) = (AnswerQuota { bytes: quota }, shares(&bytes));
            let surplus = quota.surplus(&before);
            let kept = |token: &str, bytes: u64| bytes - surplus.get(token).copied().unwrap_or_default();
            let after: Vec<_> = before.iter().map(|(token, bytes)| kept(token, *bytes)).collect();
            prop_assert!(after.iter().sum::<u64>() <= quota.bytes);
            prop_assert!(after.iter().all(|bytes| *bytes <= quota.share()));
            let most = after.iter().max().copied().unwrap_or_default();
            for (token, lost) in &surplus {
                prop_assert_eq!(before[token] - lost, most, "only those with the most lose");
            }
            let total = after.iter().sum::<u64>();
            let slack = surplus.is_empty() || most == quota.share() || total + bytes.len() as u64 >= quota.bytes;
            prop_assert!(slack, "{} of {} are kept", total, quota.bytes);
        }
    }
}
