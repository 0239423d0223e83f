//! Filters as texts: a name and its values, as in a URL's query or in a webhook's document.

use jiff::Timestamp;

use super::filter::Filter;
use crate::plugin::{ExecutionMode, Name, Pid, Provider, StatusClass, time};
use crate::record::FindingKind;

/// The names of all filters, except `label.<key>`.
pub const NAMES: &[&str] = &[
    "active",
    "billable",
    "category",
    "name",
    "execution_mode",
    "execution",
    "configured",
    "provider",
    "status",
    "status_class",
    "gpu_type",
    "host",
    "lease_id",
    "pid",
    "container_id",
    "q",
    "updated_since",
    "finding",
    "verified",
];

impl Filter {
    /// The filter of this name with these values; `None` if it accepts every plugin, or if no filter has this name.
    ///
    /// # Errors
    ///
    /// What is wrong with a value, for the client.
    pub fn read(name: &str, values: &[String]) -> Result<Option<Filter>, String> {
        let texts = || values.to_vec();
        Ok(Some(match name {
            "active" => return flag_filter(name, values, Filter::Active),
            "billable" => return flag_filter(name, values, Filter::Billable),
            "configured" => return flag_filter(name, values, Filter::Configured),
            "execution" => {
                let local = |value: &str| named(name, value, &["local", "cloud"], |value| Some(value == "local"));
                let locals = values.iter().map(|value| local(value)).collect::<Result<Vec<_>, _>>()?;
                return Ok(both_cancel(&locals, Filter::Local));
            }
            // A text that is not a valid name matches no category.
            "category" => Filter::Category(values.iter().filter_map(|value| Name::new(value).ok()).collect()),
            "name" => Filter::Name(texts()),
            "execution_mode" => {
                Filter::ExecutionMode(all(name, values, ExecutionMode::NAMES, ExecutionMode::from_name)?)
            }
            "provider" => {
                let providers = all(name, values, Provider::NAMES, Provider::from_name);
                Filter::Provider(providers.map_err(|detail| format!("{detail}; any other provider is `custom`"))?)
            }
            "status" => Filter::Status(texts()),
            "status_class" => Filter::StatusClass(all(name, values, StatusClass::NAMES, StatusClass::from_name)?),
            "gpu_type" => Filter::GpuType(texts()),
            "host" => Filter::Host(texts()),
            "lease_id" => Filter::Lease(texts()),
            "pid" => Filter::Pid(values.iter().map(|value| pid_of(value)).collect::<Result<_, _>>()?),
            "container_id" => Filter::Container(texts()),
            "q" => Filter::Text(values.iter().map(|value| value.to_lowercase()).collect()),
            "verified" => return flag_filter(name, values, Filter::Verified),
            "finding" => Filter::Finding(all(name, values, FindingKind::NAMES, FindingKind::from_name)?),
            "updated_since" => Filter::UpdatedSince(time_of(name, values)?),
            _ => match name.strip_prefix("label.") {
                Some(key) => Filter::Label { key: key.to_owned(), values: texts() },
                None => return Ok(None),
            },
        }))
    }
}

fn flag_filter(name: &str, values: &[String], make: impl Fn(bool) -> Filter) -> Result<Option<Filter>, String> {
    let flags = values.iter().map(|value| flag_of(name, value)).collect::<Result<Vec<_>, _>>()?;
    Ok(both_cancel(&flags, make))
}

/// `true,false` asks for both, so it is no filter.
fn both_cancel(flags: &[bool], make: impl Fn(bool) -> Filter) -> Option<Filter> {
    match (flags.contains(&true), flags.contains(&false)) {
        (true, false) => Some(make(true)),
        (false, true) => Some(make(false)),
        _ => None,
    }
}

fn all<T>(name: &str, values: &[String], known: &[&str], of: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    values.iter().map(|value| named(name, value, known, &of)).collect()
}

/// Parses one of some names.
///
/// # Errors
///
/// The names.
pub fn named<T>(name: &str, value: &str, known: &[&str], of: impl Fn(&str) -> Option<T>) -> Result<T, String> {
    match of(value).filter(|_| known.contains(&value)) {
        Some(named) => Ok(named),
        None => Err(format!("`{name}` must be one of {}", known.join(", "))),
    }
}

/// Parses a process id.
///
/// # Errors
///
/// The range of process ids.
pub fn pid_of(value: &str) -> Result<Pid, String> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let pid = value.parse().ok().filter(|pid| digits && *pid > 0);
    pid.ok_or_else(|| "`pid` must be an integer from 1 to 4294967295".into())
}

/// Parses `true` or `false`.
///
/// # Errors
///
/// If the value is neither.
pub fn flag_of(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("`{name}` must be true or false")),
    }
}

/// Parses a time.
///
/// # Errors
///
/// An example of a time.
pub fn time_of(name: &str, values: &[String]) -> Result<Timestamp, String> {
    let [value] = values else { return Err(format!("`{name}` takes one value")) };
    // The server decodes an unencoded `+` of an offset to a space.
    time::parse(&value.replace(' ', "+"))
        .ok_or_else(|| format!("`{name}` must be a time such as 2026-11-21T08:30:00Z (RFC 3339)"))
}
