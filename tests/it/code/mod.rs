//! The code itself: its layers, what clients rely on, and the reference that is generated from it.

mod compatibility;
mod imports;
mod layers;
mod operations;
mod reference;
mod requests;
