//! Documents that users write: JSON, NDJSON or YAML, in files or on standard input.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

/// Reads one document.
///
/// # Errors
///
/// If the file is unreadable, or neither JSON nor YAML.
pub fn read(path: &Path) -> anyhow::Result<Value> {
    let text = text_of(path)?;
    parse(&text).with_context(|| format!("{} is neither JSON nor YAML", path.display()))
}

/// Reads documents: one, a list of them, or one a line.
///
/// # Errors
///
/// If the file is unreadable, or none of these.
pub fn read_all(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text = text_of(path)?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() > 1 && lines.iter().all(|line| line.starts_with('{') && line.ends_with('}')) {
        let parsed = lines.iter().enumerate().map(|(index, line)| {
            serde_json::from_str(line).with_context(|| format!("{}: line {}", path.display(), index + 1))
        });
        return parsed.collect();
    }
    let document = parse(&text).with_context(|| format!("{} is neither JSON, NDJSON nor YAML", path.display()))?;
    Ok(match document {
        Value::Array(documents) => documents,
        Value::Object(mut members) if members.contains_key("items") && !members.contains_key("name") => {
            match members.shift_remove("items") {
                Some(Value::Array(documents)) => documents,
                other => other.into_iter().collect(),
            }
        }
        one => vec![one],
    })
}

/// Reads text; `-` is standard input.
///
/// # Errors
///
/// If the file is unreadable.
pub fn text_of(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// JSON keeps its digits; what is no JSON is read as YAML.
fn parse(text: &str) -> anyhow::Result<Value> {
    match serde_json::from_str(text) {
        Ok(document) => Ok(document),
        Err(error) if text.trim_start().starts_with(['{', '[']) => Err(error.into()),
        Err(_) => Ok(serde_saphyr::from_str(text)?),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("{\"name\": \"a\"}")]
    #[case("name: a\n")]
    #[case("[{\"name\": \"a\"}]")]
    #[case("items:\n  - name: a\n")]
    fn a_file_has_documents(#[case] text: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        assert_eq!(read_all(file.path()).unwrap(), [json!({ "name": "a" })]);
    }

    #[test]
    fn lines_are_documents_and_a_mistake_has_a_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"n\":1}\n\n{\"n\":2.50}\n").unwrap();
        assert_eq!(read_all(file.path()).unwrap().len(), 2);
        std::fs::write(file.path(), "{\"n\":1}\n{n}\n").unwrap();
        assert!(read_all(file.path()).unwrap_err().to_string().ends_with("line 2"));
    }
}
