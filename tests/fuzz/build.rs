//! Makes the compiler know `cfg(fuzzing)`, which builds for libFuzzer are given.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
    println!("cargo::rerun-if-changed=build.rs");
}
