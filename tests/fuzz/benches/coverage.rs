//! One target, steered by coverage: libFuzzer's own main function, arguments and corpus folders.
//! Without `--cfg fuzzing` there is nothing here. Not built so far; meant to be run so, from the
//! repository (`--target` keeps build scripts uninstrumented):
//!
//! ```sh
//! mkdir -p /tmp/mime && RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
//!   -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
//!   -Cllvm-args=-sanitizer-coverage-trace-compares" POSTROOM_FUZZ_TARGET=mime POSTROOM_FUZZ_SEEDS=/tmp/mime \
//!   cargo bench --profile sim --target x86_64-unknown-linux-gnu --target-dir target/coverage \
//!   -p postroom-fuzz --bench coverage -- -max_total_time=3600 /tmp/mime
//! ```

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod target {
    use std::cell::RefCell;

    use postroom_fuzz::target::{Target, find};

    thread_local! {
        static TARGET: RefCell<Box<dyn Target>> = RefCell::new(chosen());
    }

    fn chosen() -> Box<dyn Target> {
        let name = std::env::var("POSTROOM_FUZZ_TARGET").unwrap_or_else(|_| "mime".to_owned());
        let target = (find(&name).make)();
        // Seeds as files, for the first argument of the command.
        if let Some(folder) = std::env::var_os("POSTROOM_FUZZ_SEEDS") {
            let folder = std::path::PathBuf::from(folder);
            for (number, seed) in target.seeds().into_iter().enumerate() {
                let _ = std::fs::write(folder.join(format!("seed-{number}")), seed);
            }
        }
        target
    }

    libfuzzer_sys::fuzz_target!(
        init: TARGET.with(|_| ()),
        |data: &[u8]| TARGET.with(|target| {
            let _ = target.borrow_mut().run(data);
        })
    );
}

#[cfg(not(fuzzing))]
fn main() {}
