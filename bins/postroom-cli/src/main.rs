//! The command line of Postroom.

fn main() {}
