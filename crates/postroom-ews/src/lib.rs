//! The Exchange Web Services adapter.
