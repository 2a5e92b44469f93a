//! The domain of Postroom: types and pure decisions, without I/O and without an async runtime.
