//! The traits that a mail system adapter implements.
