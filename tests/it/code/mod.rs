//! The code itself: its layers, and what clients rely on.

mod compatibility;
mod imports;
mod layers;
mod operations;
mod requests;
