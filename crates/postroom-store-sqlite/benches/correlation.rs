//! Placeholder until the bench is written: the manifest names it already.
fn main() {}
