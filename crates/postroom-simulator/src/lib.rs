//! In-process servers to test against.
