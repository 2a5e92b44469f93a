//! One target, steered by coverage: libFuzzer's own main function, arguments and corpus folders.
//! docs/testing.md has the command. Without `--cfg fuzzing` there is nothing here.

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
