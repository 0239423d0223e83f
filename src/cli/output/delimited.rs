//! CSV (RFC 4180) and TSV, for spreadsheets and `cut`.

use super::text;

/// One line of CSV. A text with commas, quotes or line feeds is quoted.
pub fn csv(fields: &[String]) -> String {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    let safe = fields.iter().map(|field| text::lines(field).into_owned());
    // A Vec takes every byte.
    let _written = writer.write_record(safe.collect::<Vec<_>>());
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// One line of TSV. A tab or a line feed within a field is escaped, so that each line has the same fields.
pub fn tsv(fields: &[String]) -> String {
    let safe: Vec<_> = fields.iter().map(|field| text::one_line(field)).collect();
    format!("{}\n", safe.join("\t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stay_apart() {
        let fields = ["a,b", "say \"x\"\nplease", "\u{1b}[0m\t", ""].map(str::to_owned);
        assert_eq!(csv(&fields), "\"a,b\",\"say \"\"x\"\"\nplease\",\\u001b[0m\t,\n");
        assert_eq!(tsv(&fields), "a,b\tsay \"x\"\\nplease\t\\u001b[0m\\t\t\n");
    }
}
