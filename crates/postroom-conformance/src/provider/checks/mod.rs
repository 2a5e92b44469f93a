//! The checks. Each is one promise, named as such; `list.rs` holds the list.

pub(super) mod capabilities;
pub(super) mod changes;
pub(super) mod cursors;
pub(super) mod errors;
pub(super) mod fetch;
pub(super) mod folders;
pub(super) mod headers;
pub(super) mod moving;
pub(super) mod recovery;
pub(super) mod submit;
