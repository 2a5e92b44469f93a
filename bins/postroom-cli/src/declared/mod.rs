//! Declarations as TOML files: reading them so that every finding has its line, and writing them so
//! that people like to read them.

mod read;
mod write;

pub(crate) use read::{Document, Place};
pub(crate) use write::write;

#[cfg(test)]
mod tests;
