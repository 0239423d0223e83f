//! Query parameters: names, values, help. The reader and the OpenAPI description use the same tables.

/// The parameter that every read supports.
pub const CONSISTENCY: Parameter = Parameter {
    name: "consistency",
    values: Values::Name(&["local", "strong"]),
    help: "`strong` first reads the store's head, so the reply includes every write that any replica has acknowledged. \
           `local`, the default, answers from this replica's state.",
};

/// A query parameter.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// The name; a name that ends in `.` matches every parameter with this prefix.
    pub name: &'static str,
    /// The values that the parameter accepts.
    pub values: Values,
    /// The effect of the parameter, for the API description.
    pub help: &'static str,
}

/// The values of a parameter.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// `true` or `false`.
    Flag,
    /// Any text; may be repeated.
    Texts,
    /// A part of a text; may be repeated up to [`MAX_PARTS`] times.
    Parts,
    /// One of these.
    Name(&'static [&'static str]),
    /// One of these; may be repeated.
    Names(&'static [&'static str]),
    /// Process ids; may be repeated.
    Pids,
    /// One text.
    Text,
    /// One time (RFC 3339).
    Time,
    /// A revision.
    Revision,
    /// The `id` of an event in a live stream.
    EventId,
    /// A revision, or a time (RFC 3339).
    Moment,
    /// A duration.
    Duration,
    /// A number of items.
    Limit,
    /// One of these fields to sort by; the second is the default.
    Sort(&'static [&'static str], &'static str),
    /// The length of a step of time.
    Step,
    /// A number of hours.
    Hours,
    /// A property to group by.
    Group,
    /// Some of these fields.
    Fields(&'static [&'static str]),
}

/// How many texts a search takes: each is compared with all texts of every plugin.
pub const MAX_PARTS: usize = 16;

/// The longest text of a search, in characters. Names, which are the longest texts that people type, have no more.
pub const MAX_PART_CHARS: usize = 256;

/// The greatest `hours`: more than a hundred years.
pub const MAX_HOURS: f64 = 1_000_000.0;
