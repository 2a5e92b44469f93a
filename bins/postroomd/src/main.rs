//! The Postroom engine as a service.

fn main() {}
