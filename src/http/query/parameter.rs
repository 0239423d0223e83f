//! Query parameters: names, values, help. The reader of a query and its description both use these tables.

/// The parameter that every read has.
pub const CONSISTENCY: Parameter = Parameter {
    name: "consistency",
    values: Values::Name(&["local", "strong"]),
    help: "`strong` asks the store for its head first, so that the answer has every write that any replica has \
           acknowledged before; `local`, the default, answers from what this replica knows.",
};

/// A query parameter.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name; one that ends in `.` stands for all that begin so.
    pub name: &'static str,
    /// What values it takes.
    pub values: Values,
    /// What it does.
    pub help: &'static str,
}

/// The values of a parameter.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// `true` or `false`.
    Flag,
    /// Any text; several are possible.
    Texts,
    /// One of these.
    Name(&'static [&'static str]),
    /// One of these; several are possible.
    Names(&'static [&'static str]),
    /// Process ids; several are possible.
    Pids,
    /// One text.
    Text,
    /// One time (RFC 3339).
    Time,
    /// A revision.
    Revision,
    /// A revision, or a time (RFC 3339).
    Moment,
    /// How long.
    Duration,
    /// A number of items.
    Limit,
    /// A field to sort by.
    Sort,
    /// A number of hours.
    Hours,
    /// What to group by.
    Group,
    /// Names of fields.
    Fields,
}

/// The most hours that can be estimated: a hundred years and more.
pub const MAX_HOURS: f64 = 1_000_000.0;
