//! The registered documents: plugins of an ordinary size, all different and equally long.

/// Names of equal length, so that every response has the same size.
const CATEGORIES: [&str; 4] = ["speech", "vision", "search", "tuning"];

/// The path of a plugin by its number.
pub(crate) fn unique_id(number: usize) -> String {
    format!("{}_plugin_{number:07}", category(number))
}

/// The registration of a plugin without resources.
pub(crate) fn idle(number: usize) -> String {
    registration(number, "", "")
}

/// The registration of an active plugin, which holds a process.
pub(crate) fn active(number: usize) -> String {
    registration(number, &format!("{}", 100_000 + number), "")
}

/// The registration of a plugin that rents a machine, each at another price.
pub(crate) fn rented(number: usize) -> String {
    let remote = format!(
        r#","remote_resource":{{"provider":"aws","instance_id":"i-{number:07}","status":"running","gpu_type":"A100","gpu_count":8,"estimated_cost_per_hour":{}.{:02}}}"#,
        1 + number / 100,
        number % 100
    );
    registration(number, "", &remote)
}

fn category(number: usize) -> &'static str {
    CATEGORIES.get(number % CATEGORIES.len()).copied().unwrap_or_default()
}

/// The source model's `whisper_tiny`, with a schema of a realistic length.
fn registration(number: usize, pids: &str, remote: &str) -> String {
    let category = category(number);
    format!(
        r#"{{"name":"plugin_{number:07}","category":"{category}","title":"Whisper Tiny Model","config_schema":{{"type":"object","properties":{{"device":{{"type":"string","enum":["cpu","cuda"],"default":"cpu"}},"language":{{"type":["string","null"],"minLength":2,"default":null}},"beam_size":{{"type":"integer","minimum":1,"maximum":20,"default":5}}}},"required":["device"]}},"description":"Transcribes speech with a small model, on a processor or a graphics card","version":"1.0.0","execution_mode":"subprocess","manages_child_processes":true,"spawned_pids":[{pids}],"labels":{{"team":"speech"}}{remote}}}"#
    )
}
