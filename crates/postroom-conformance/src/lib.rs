//! The suites that every provider and every store must pass.
