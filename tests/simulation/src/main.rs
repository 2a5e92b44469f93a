//! `postroom-sim`: runs seeds, replays one, prints what was checked.

fn main() {}
