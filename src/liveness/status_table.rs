//! The meaning of a provider's status words, as the operator configures it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use domain::record::ObservedState;

/// The meaning of a provider's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Meaning {
    Alive,
    Gone,
    #[default]
    Unknown,
    /// The status says nothing; others beside it count.
    Ignored,
}

impl Meaning {
    pub(super) fn state(self) -> ObservedState {
        match self {
            Meaning::Alive => ObservedState::Alive,
            Meaning::Gone => ObservedState::Gone,
            Meaning::Unknown | Meaning::Ignored => ObservedState::Unknown,
        }
    }
}

/// The meaning of each status.
///
/// The settings have either `WORD = MEANING`, or `MEANING = [WORD, …]`.
#[derive(Debug)]
pub(super) struct StatusTable(BTreeMap<String, Meaning>);

impl<'de> Deserialize<'de> for StatusTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StatusTable, D::Error> {
        const MEANINGS: &str = "alive, gone, unknown or ignored";
        let mut table = BTreeMap::new();
        let mut add = |word: String, meaning| match table.insert(word.clone(), meaning) {
            Some(other) if other != meaning => Err(de::Error::custom(format!("the status `{word}` has two meanings"))),
            _ => Ok(()),
        };
        for (key, line) in BTreeMap::<String, Value>::deserialize(deserializer)? {
            if let Value::Array(words) = line {
                let meaning = Meaning::deserialize(Value::from(key.as_str()))
                    .map_err(|_| de::Error::custom(format!("a list of statuses must be {MEANINGS}, not `{key}`")))?;
                for value in words {
                    let word = word_of(&value)
                        .ok_or_else(|| de::Error::custom(format!("`{key}` must list texts, numbers, true or false")))?;
                    add(word, meaning)?;
                }
            } else {
                let meaning = Meaning::deserialize(line)
                    .map_err(|_| de::Error::custom(format!("the status `{key}` must be {MEANINGS}")))?;
                add(key, meaning)?;
            }
        }
        Ok(StatusTable(table))
    }
}

impl StatusTable {
    /// The meaning of several statuses of one resource. It is alive if one of them says so, and gone only if all of
    /// them say so: a resource that may still run is never reported gone.
    pub(super) fn of_all(&self, words: &[String]) -> Meaning {
        let meanings = words.iter().map(|word| self.0.get(word).copied().unwrap_or_default());
        let meanings: Vec<_> = meanings.filter(|meaning| *meaning != Meaning::Ignored).collect();
        match meanings.as_slice() {
            meanings if meanings.contains(&Meaning::Alive) => Meaning::Alive,
            [] => Meaning::Unknown,
            meanings if meanings.iter().all(|meaning| *meaning == Meaning::Gone) => Meaning::Gone,
            _ => Meaning::Unknown,
        }
    }
}

/// The statuses in a value of a response: a text, a number, true or false, or an array of them.
pub(super) fn words_of(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().filter_map(word_of).collect(),
        value => word_of(value).into_iter().collect(),
    }
}

fn word_of(value: &Value) -> Option<String> {
    match value {
        Value::String(word) => Some(word.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn table(text: &str) -> Result<StatusTable, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn several_words_of_one_meaning_had_to_be_written_one_by_one() {
        let table = table("alive = ['active', 'booting', 16, true]\ngone = ['off', 0]\nasleep = 'unknown'").unwrap();
        for (word, meaning) in [
            ("active", Meaning::Alive),
            ("booting", Meaning::Alive),
            ("16", Meaning::Alive),
            ("true", Meaning::Alive),
            ("off", Meaning::Gone),
            ("0", Meaning::Gone),
            ("asleep", Meaning::Unknown),
            ("other", Meaning::Unknown),
        ] {
            assert_eq!(table.of_all(&[word.to_owned()]), meaning, "{word}");
        }
    }

    #[rstest]
    #[case(&["up"], Meaning::Alive)]
    #[case(&["up", "down"], Meaning::Alive)]
    #[case(&["up", "new"], Meaning::Alive)]
    #[case(&["down", "down"], Meaning::Gone)]
    #[case(&["down", "new"], Meaning::Unknown)]
    #[case(&["down", "ok"], Meaning::Gone)]
    #[case(&["ok"], Meaning::Unknown)]
    fn of_several_statuses_one_alive_counts_and_gone_needs_all(#[case] words: &[&str], #[case] meaning: Meaning) {
        let table = table("up = 'alive'\ndown = 'gone'\nok = 'ignored'").unwrap();
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        assert_eq!(table.of_all(&words), meaning);
    }

    #[rstest]
    #[case("active = 'running'", "`active` must be alive, gone, unknown or ignored")]
    #[case("running = ['active']", "not `running`")]
    #[case("alive = [['active']]", "`alive` must list texts")]
    #[case("alive = ['a']\ngone = ['a']", "`a` has two meanings")]
    fn wrong_tables_are_refused(#[case] text: &str, #[case] told: &str) {
        let refused = table(text).unwrap_err();
        assert!(refused.contains(told), "{refused}");
    }
}
