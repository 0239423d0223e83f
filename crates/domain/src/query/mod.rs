//! Queries: lists of plugins and of resources, counts, costs, and the changes that could change an answer.
//!
//! | file | idea |
//! |---|---|
//! | [`filter`], [`filter_text`], [`filters`] | one filter; its name and values as text; filters in a document |
//! | [`pace`] | how a caller stops a long scan |
//! | [`sort`] | the order of a list, and a position in it |
//! | [`plugins`] | lists of plugins |
//! | [`resources`], [`resource_sort`], [`resource_pages`], [`resource_row`] | lists of resources: filters, order, pages, one row |
//! | [`stats`] | counts |
//! | [`cost`] | sums of costs |
//! | [`hosts`], [`spans`] | what is held, by host; what was held when |
//! | [`topic`], [`interest`] | topics to subscribe to; the narrowest topic for a query |

pub mod cost;
pub mod filter;
pub mod filter_text;
pub mod filters;
pub mod hosts;
pub mod interest;
pub mod pace;
pub mod plugins;
pub mod resource_pages;
pub mod resource_row;
pub mod resource_sort;
pub mod resources;
pub mod sort;
pub mod spans;
pub mod stats;
pub mod topic;

pub use self::interest::Interest;
pub use self::plugins::Listing;
pub use cost::CostQuery;
pub use filter::Filter;
pub use filters::Filters;
pub use pace::{Pace, Unpaced};
pub use plugins::ListQuery;
pub use resource_row::Resource;
pub use resources::ResourceQuery;
pub use sort::Sort;
pub use stats::Stats;
pub use topic::Topic;
