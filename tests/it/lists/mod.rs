//! Filters, order and pages of lists.

mod list;
mod list_order;
mod list_pages;
mod resource_list;
