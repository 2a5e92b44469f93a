//! Every target, for a fixed number of inputs that are the same each time; every family of growing
//! input, to its end.
//!
//! | Variable | Meaning |
//! |---|---|
//! | `POSTROOM_FUZZ_SECONDS` | goes on for that long, for each target |
//! | `POSTROOM_FUZZ_RUNS` | so many times the usual number of inputs (1) |
//! | `POSTROOM_FUZZ_SEED` | other inputs (1) |
//! | `POSTROOM_FUZZ_CORPUS` | a folder of more inputs to begin with |
//! | `POSTROOM_FUZZ_INPUT` | this file and nothing else |

#![expect(clippy::print_stderr, reason = "tells how much was tried")]

use postroom_fuzz::session::Session;
use postroom_fuzz::target::{ALL, find};

/// Bytes of the longest input of a family; the bench `growth` takes longer ones, and looks at the time.
const SIZE_MAX: usize = 16 * 1024;

fn drive(name: &str) {
    let entry = find(name);
    let session = Session::from_environment(entry);
    let report = session.run(entry);
    eprintln!(
        "{name}: {} inputs, {} observations",
        report.runs, report.observations
    );
    if session.input.is_none() {
        assert!(
            report.observations > 1,
            "{name}: whatever is tried, the same happens"
        );
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                drive(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_driven() {
            let driven = [$(stringify!($name)),*];
            assert_eq!(ALL.iter().map(|entry| entry.name).collect::<Vec<_>>(), driven);
        }
    };
}

targets! { address compose config cursor database engine ews mime request rules subject }

#[test]
fn growing_inputs_come_to_an_end() {
    if std::env::var_os("POSTROOM_FUZZ_INPUT").is_some() {
        return;
    }
    for entry in ALL.iter().filter(|entry| entry.name != "engine") {
        let mut target = (entry.make)();
        for family in target.families() {
            let begin = std::time::Instant::now();
            for size in [0, 1000, SIZE_MAX] {
                let _ = target.run(&(family.make)(size));
            }
            // Nothing is judged by it, on a machine that does other things as well.
            if begin.elapsed().as_secs() >= 1 {
                eprintln!("{}: {family:?} took {:?}", entry.name, begin.elapsed());
            }
        }
    }
}
