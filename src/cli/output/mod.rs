//! What commands print: data on standard output, in the format that `-o` names.
//!
//! Messages, progress and warnings go to standard error. A pipe changes colour and width, and never content. Every
//! text comes from clients of the registry, so no format lets a control character reach the terminal.
//!
//! | file | idea |
//! |---|---|
//! | [`mod@format`] | the formats, and the flags that choose them |
//! | [`kind`] | the columns of each kind of document |
//! | [`printer`] | prints lists page by page, and single documents |
//! | [`table`], [`delimited`], [`yaml`], [`json`], [`path`] | one format each |
//! | [`detail`] | one document for people |
//! | [`cell`] | a value in a column: for people, and for programs |
//! | [`moment`] | ages, and local time |
//! | [`text`] | control characters, and the width of Unicode |
//! | [`paint`] | colours |

pub mod cell;
pub mod delimited;
pub mod detail;
pub mod format;
pub mod json;
pub mod kind;
pub mod moment;
pub mod paint;
pub mod path;
pub mod printer;
pub mod table;
pub mod text;
pub mod yaml;
