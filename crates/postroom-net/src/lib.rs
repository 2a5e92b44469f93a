//! How a connection is made and proves who it is.
