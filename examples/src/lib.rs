//! Shared support of the examples.
