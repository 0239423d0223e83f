//! The query of a request: names and values, from tables that the description uses, too.
//!
//! | file | idea |
//! |---|---|
//! | [`parameter`] | one parameter: its name, values and help |
//! | [`params`] | the parameters of a request, decoded |
//! | [`list_params`], [`event_params`] | those of lists and of events |
//! | [`cursor`] | where a page begins |
//! | [`read_options`] | reads that wait, or look back |

pub mod cursor;
pub mod list_params;
pub mod parameter;
pub mod params;
pub mod read_options;

pub mod event_params;
