//! Processor time against size, for every family of growing input.
//!
//! The least of several runs counts, in processor time of this thread, so that other work on the
//! machine does not. Doubling the size may cost three times the time (lists are sorted, tables grow);
//! four times would be the square. `cargo bench -p postroom-fuzz --bench growth [TARGET]`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints what it measured"
)]

use std::time::Duration;

use postroom_fuzz::family::Family;
use postroom_fuzz::target::{ALL, Target};
use rustix::time::{ClockId, clock_gettime};

/// Bytes of the smallest input.
const SIZE: usize = 32 * 1024;
/// So often it is doubled.
const DOUBLINGS: usize = 3;
/// So many runs of each size, of which the fastest counts.
const RUNS: usize = 5;
/// Two doublings may cost this many times as much; the square would be 16.
const GROWTH_MAX: f64 = 9.0;
/// Shorter times say nothing.
const TIME_MIN: Duration = Duration::from_millis(4);

fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        now.tv_sec.cast_unsigned(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

fn measure(target: &mut dyn Target, input: &[u8]) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..RUNS {
        let begin = processor_time();
        let _ = std::hint::black_box(target.run(input));
        least = least.min(processor_time() - begin);
        // The square would be seen in one run.
        if least > Duration::from_secs(2) {
            break;
        }
    }
    least
}

/// The times, and whether they grow faster than the sizes.
fn grows(target: &mut dyn Target, family: Family) -> (Vec<Duration>, bool) {
    let mut times: Vec<Duration> = Vec::new();
    for doubling in 0..=DOUBLINGS {
        times.push(measure(target, &(family.make)(SIZE << doubling)));
    }
    let suspect = times.windows(3).any(|three| match three {
        [first, _, last] => {
            *last > TIME_MIN && last.as_secs_f64() > GROWTH_MAX * first.as_secs_f64().max(1e-5)
        }
        _ => false,
    });
    (times, suspect)
}

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    let mut families = 0;
    let mut suspects = Vec::new();
    for entry in ALL {
        if entry.name == "engine"
            || !(wanted.is_empty() || wanted.iter().any(|name| name == entry.name))
        {
            continue;
        }
        let mut target = (entry.make)();
        for family in target.families() {
            let (mut times, mut suspect) = grows(&mut *target, family);
            if suspect {
                // Once is an accident.
                (times, suspect) = grows(&mut *target, family);
            }
            families += 1;
            let shown: Vec<String> = times
                .iter()
                .map(|time| format!("{:9.3}", time.as_secs_f64() * 1000.0))
                .collect();
            let mark = if suspect {
                "  GROWS FASTER THAN ITS INPUT"
            } else {
                ""
            };
            println!(
                "{:8} {:38} {} ms{mark}",
                entry.name,
                family.name,
                shown.join(" ")
            );
            if suspect {
                suspects.push(format!("{}: {}", entry.name, family.name));
            }
        }
    }
    println!(
        "{families} families at {} to {} KiB",
        SIZE / 1024,
        (SIZE << DOUBLINGS) / 1024
    );
    if !suspects.is_empty() {
        eprintln!("time grows faster than size: {}", suspects.join("; "));
        std::process::exit(1);
    }
}
