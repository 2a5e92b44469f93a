//! `postroom-sim`: runs seeds, replays one, prints what was checked.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use postroom_sim::action::Scenario;
use postroom_sim::drive::{Options, run};
use postroom_sim::generate::{Params, Size, generate};
use postroom_sim::report::Outcome;
use postroom_sim::run_many::{Seeds, run_many};
use postroom_sim::trace::Keep;

/// Runs the engine in a deterministic simulation and checks its promises.
#[derive(Debug, Parser)]
#[command(name = "postroom-sim", version)]
struct Arguments {
    /// Runs one seed.
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Runs the seeds from A up to, not including, B.
    #[arg(long, value_name = "A..B")]
    seeds: Option<Seeds>,
    /// Runs a scenario from a file, as `--print` writes one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "seeds"])]
    scenario: Option<PathBuf>,
    /// Carries out at most so many steps.
    #[arg(long, value_name = "M")]
    steps: Option<usize>,
    /// How large scenarios are.
    #[arg(long, value_enum, default_value_t = Profile::Small)]
    profile: Profile,
    /// Nothing goes wrong.
    #[arg(long)]
    no_faults: bool,
    /// Does not ask the oracle: for measuring speed.
    #[arg(long)]
    unchecked: bool,
    /// Prints the trace.
    #[arg(long)]
    trace: bool,
    /// Prints the trace while it happens, to the standard error output.
    #[arg(long)]
    trace_now: bool,
    /// Prints the scenario and runs nothing.
    #[arg(long)]
    print: bool,
    /// So many seeds at a time; one for each core where missing.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Prints the totals as JSON.
    #[arg(long)]
    json: bool,
    /// Looks for the planted defects; needs a museum's build (docs/testing.md).
    #[arg(long, conflicts_with_all = ["seed", "seeds", "scenario"])]
    museum: bool,
    /// At most so many seeds for each defect.
    #[arg(long, value_name = "N", default_value_t = 300)]
    seeds_max: u64,
    /// Looks for the defect of that name only; may be said more than once.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Runs all seeds for each defect and counts in how many it is noticed.
    #[arg(long)]
    count: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Profile {
    Small,
    Medium,
    Large,
}

impl From<Profile> for Size {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Small => Self::Small,
            Profile::Medium => Self::Medium,
            Profile::Large => Self::Large,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let params = Params {
        size: arguments.profile.into(),
        faults: !arguments.no_faults,
        steps_max: arguments.steps.unwrap_or(usize::MAX),
    };
    if arguments.museum {
        return museum(&arguments, params);
    }
    let began = Instant::now();
    let mut options = Options::default();
    options.unchecked = arguments.unchecked;
    let totals = if let Some(seeds) = arguments.seeds {
        run_many(seeds, params, &options, arguments.jobs, |outcome| {
            tell(&arguments, outcome);
        })
    } else {
        let scenario = match scenario(&arguments, params) {
            Ok(scenario) => scenario,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::from(2);
            }
        };
        if arguments.print {
            print!("{}", postroom_sim::action::print(&scenario));
            return ExitCode::SUCCESS;
        }
        options.keep = match (arguments.trace_now, arguments.trace) {
            (true, _) => Keep::Print,
            (false, true) => Keep::Lines,
            (false, false) => Keep::Nothing,
        };
        let outcome = run(&scenario, &options);
        for line in &outcome.trace {
            print!("{line}");
        }
        tell(&arguments, &outcome);
        if !arguments.json {
            println!("trace {:032x} ({} lines)", outcome.hash, outcome.lines);
        }
        outcome.totals
    };
    if arguments.json {
        let text = serde_json::to_string_pretty(&totals).unwrap_or_default();
        println!("{text}");
    } else {
        print!("{}", totals.text(began.elapsed()));
    }
    if totals.violations == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(not(postroom_museum))]
fn museum(_arguments: &Arguments, _params: Params) -> ExitCode {
    eprintln!(
        "this build has no planted defects; build one with\n  \
         RUSTC_WORKSPACE_WRAPPER=$PWD/tests/simulation/with-museum CARGO_TARGET_DIR=target/museum \
         cargo run --profile sim -p postroom-sim -- --museum"
    );
    ExitCode::from(2)
}

#[cfg(postroom_museum)]
fn museum(arguments: &Arguments, params: Params) -> ExitCode {
    use postroom_core::museum::Defect;
    use postroom_sim::museum::{Visit, table, visit};

    let wanted = |defect: &Defect| {
        arguments.only.is_empty() || arguments.only.iter().any(|name| name == defect.name())
    };
    let defects: Vec<_> = Defect::ALL.iter().copied().filter(wanted).collect();
    if defects.is_empty() {
        eprintln!("no defect has that name");
        return ExitCode::from(2);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let how = Visit {
        params,
        seeds_max: arguments.seeds_max,
        count: arguments.count,
        jobs: arguments.jobs.unwrap_or(cores),
    };
    let (finds, dirty) = visit(&defects, how, |find| {
        let name = find.defect.name();
        match &find.noticed {
            Some((seeds, violation)) => println!("{name}: after {seeds} seeds: {violation}"),
            None => println!("{name}: not noticed within {} seeds", how.seeds_max),
        }
        if let Some((noticed, all)) = find.of_all {
            println!("  noticed in {noticed} of {all} seeds");
        }
    });
    println!("\n{}", table(&finds));
    let noticed = finds.iter().filter(|find| find.noticed.is_some()).count();
    println!("{noticed} of {} defects noticed", finds.len());
    if !dirty.is_empty() {
        println!("without any defect, these seeds were violated: {dirty:?}");
    }
    if noticed == finds.len() && dirty.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn scenario(arguments: &Arguments, params: Params) -> Result<Scenario, String> {
    match (&arguments.scenario, arguments.seed) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            let mut scenario: Scenario = serde_json::from_str(&text)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            scenario.steps.truncate(params.steps_max);
            Ok(scenario)
        }
        (None, Some(seed)) => Ok(generate(seed, params)),
        (None, None) => Err("say --seed N, --seeds A..B or --scenario FILE".to_owned()),
    }
}

fn tell(arguments: &Arguments, outcome: &Outcome) {
    if outcome.violations.is_empty() {
        return;
    }
    println!("seed {} is violated:", outcome.seed);
    for violation in &outcome.violations {
        println!("  {violation}");
    }
    let mut more = String::new();
    if let Some(steps) = arguments.steps {
        more.push_str(&format!(" --steps {steps}"));
    }
    if arguments.no_faults {
        more.push_str(" --no-faults");
    }
    let profile = format!("{:?}", arguments.profile).to_lowercase();
    println!(
        "  again: cargo run --profile sim -p postroom-sim -- --seed {} --profile {profile}{more} --trace",
        outcome.seed
    );
}
