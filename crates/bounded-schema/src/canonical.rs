//! Canonical texts of numbers and values, independent of their spelling.

use serde_json::{Number, Value};

/// The maximum number of digits with which the library calculates exactly.
const MAX_DIGITS: u64 = 10_000;

/// The canonical text of `value`: two values are equal by JSON Schema if and only if their texts are.
pub(crate) fn text(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// The canonical text of a number.
pub(crate) fn number_text(number: &Number) -> String {
    let mut text = String::new();
    write_number(number.as_str(), &mut text);
    text
}

/// The exponent in a number's text, without its sign.
pub(crate) fn exponent(number: &str) -> u64 {
    let exponent = number.split_once(['e', 'E']).map_or("0", |(_, exponent)| exponent);
    exponent.trim_start_matches(['+', '-']).parse().unwrap_or(u64::MAX)
}

/// The number of digits in the library's calculations with `number`; 0 for 64-bit integers.
pub(crate) fn digits(number: &Number) -> u64 {
    if number.as_i64().is_some() {
        return 0;
    }
    let text = number.as_str();
    exponent(text).saturating_add(text.len() as u64).min(MAX_DIGITS)
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) => write_number(number.as_str(), text),
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (name, member) in members {
                write_string(name, text);
                write(member, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::String(string) => write_string(string, text),
        Value::Null | Value::Bool(_) => text.push_str(&value.to_string()),
    }
}

fn write_string(string: &str, text: &mut String) {
    text.push_str(&string.len().to_string());
    text.push(':');
    text.push_str(string);
}

/// Writes the digits without zeros at either end, and the power of ten of the last digit.
fn write_number(number: &str, text: &mut String) {
    let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let from_first = digits.trim_start_matches('0');
    let significant = from_first.trim_end_matches('0');
    // An exponent beyond 64 bits is compared as text.
    let Ok(exponent) = exponent.parse::<i64>() else { return text.push_str(number) };
    let power = i128::from(exponent) - fraction.len() as i128 + (from_first.len() - significant.len()) as i128;
    match significant {
        "" => text.push('0'),
        _ => text.extend([sign, significant, "e", &power.to_string()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_text_and_others_have_not() {
        let classes: [&[&str]; 12] = [
            &["0", "-0", "0.0", "0e5", "-0.00e-9"],
            &["1", "1.0", "10e-1", "0.1e1", "1E0", "1e+0"],
            &["-1", "-1.000"],
            &["100", "1e2", "1.00e2"],
            &["10000000000000000000000000000000000000001"],
            &["10000000000000000000000000000000000000002"],
            &["1e99999999999999999999"],
            &[r#"{"a":1,"b":[2,"x"]}"#, r#"{"b":[2.0,"x"],"a":1e0}"#],
            &[r#"{"a":1,"b":[2,"y"]}"#],
            &[r#"["1:a","b"]"#],
            &[r#"["1:a,1:b"]"#],
            &["null"],
        ];
        let texts = classes
            .map(|class| class.iter().map(|json| text(&serde_json::from_str(json).unwrap())).collect::<Vec<_>>());
        for (index, class) in texts.iter().enumerate() {
            assert!(class.iter().all(|text| *text == class[0]), "{class:?}");
            assert!(texts[index + 1..].iter().all(|other| other[0] != class[0]), "{class:?}");
        }
    }
}
