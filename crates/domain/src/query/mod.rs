//! Questions: lists of plugins and of what they hold, counts, costs, and which changes could change an answer.
//!
//! | file | idea |
//! |---|---|
//! | [`filter`], [`filter_text`], [`filters`] | one condition; its name and values as text; several of them in a document |
//! | [`sort`] | the order of a list, and a position in it |
//! | [`plugins`] | lists of plugins |
//! | [`resources`], [`resource_row`] | what is held, and one row of it |
//! | [`stats`] | counts |
//! | [`cost`] | sums of what plugins have cost |
//! | [`topic`], [`interest`] | the kinds of changes that can be followed; the narrowest kind for a question |

pub mod cost;
pub mod filter;
pub mod filter_text;
pub mod filters;
pub mod interest;
pub mod plugins;
pub mod resource_row;
pub mod resources;
pub mod sort;
pub mod stats;
pub mod topic;

pub use self::interest::Interest;
pub use self::plugins::Listing;
pub use cost::CostQuery;
pub use filter::Filter;
pub use filters::Filters;
pub use plugins::ListQuery;
pub use resource_row::Resource;
pub use resources::ResourceQuery;
pub use sort::Sort;
pub use stats::Stats;
pub use topic::Topic;
