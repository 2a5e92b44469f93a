//! What looks at the project from outside: tidy checks and end-to-end tests live in `tests/it`.
//!
//! Rust code in the documents is compiled here, as documentation tests; [`coverage`] compares tables
//! of behaviour with what the test runner printed.

pub mod coverage;

#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;

    #[doc = include_str!("../../docs/concepts.md")]
    struct Concepts;

    #[doc = include_str!("../../docs/guides/embed.md")]
    struct Embed;
}
