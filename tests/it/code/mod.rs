//! The code itself: its layers, and its compatibility with the last release.

mod compatibility;
mod imports;
mod layers;
mod operations;
