//! Query parameters: names and values, from tables that the OpenAPI description also uses.
//!
//! | file | idea |
//! |---|---|
//! | [`parameter`] | a parameter: name, values and help |
//! | [`params`] | the decoded parameters of a request |
//! | [`list_params`], [`resource_params`], [`event_params`] | the parameters of lists, of resources and of events |
//! | [`cursor`] | the position at which a page begins |
//! | [`step_params`] | steps of time |
//! | [`read_options`] | reads that wait for a change, or read the past |

pub mod cursor;
pub mod list_params;
pub mod parameter;
pub mod params;
pub mod read_options;
pub mod resource_params;
pub mod step_params;

pub mod event_params;
