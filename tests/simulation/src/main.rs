//! `postroom-sim`: runs seeds, replays one, prints what was checked.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use postroom_sim::action::Scenario;
use postroom_sim::crash_points::{Point, Route, repeat, tour};
use postroom_sim::drive::{Options, run};
use postroom_sim::failures;
use postroom_sim::generate::{Params, Size, generate};
use postroom_sim::report::Outcome;
use postroom_sim::run_many::{Seeds, run_many, run_twice};
use postroom_sim::setup::Protocol;
use postroom_sim::speed::measure;
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
    /// Runs each of the seeds twice: the second run must be the first one again, line by line.
    #[arg(long, requires = "seeds")]
    twice: bool,
    /// So many seeds at a time; one for each core where missing.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Prints the totals as JSON.
    #[arg(long)]
    json: bool,
    /// Looks for the planted defects; needs a museum's build (docs/testing.md).
    #[arg(long, conflicts_with_all = ["seed", "seeds"])]
    museum: bool,
    /// With a scenario in the museum: what happens to single calls in it.
    #[arg(
        long,
        value_name = "OPERATION:KIND:FROM:UNTIL:SKIP:TIMES",
        requires = "museum"
    )]
    strike: Vec<String>,
    /// At most so many seeds for each defect.
    #[arg(long, value_name = "N", default_value_t = 300)]
    seeds_max: u64,
    /// Looks for the defect of that name only; may be said more than once.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// So many defects have to be noticed; all of them where missing.
    #[arg(long, value_name = "N")]
    noticed: Option<usize>,
    /// Runs seeds for each defect until it is noticed, whatever its own scenarios show.
    #[arg(long, requires = "museum")]
    by_chance: bool,
    /// Runs all seeds for each defect and counts in how many it is noticed.
    #[arg(long, requires = "museum", conflicts_with = "by_chance")]
    count: bool,
    /// Lets small scenarios crash and fail at each of their calls in turn.
    #[arg(long, conflicts_with_all = ["seed", "seeds", "scenario", "museum"])]
    crash_points: bool,
    /// Of the crash points only one of every so many.
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: usize,
    /// Repeats one crash point.
    #[arg(long, value_name = "SCENARIO:NUMBER:KIND", conflicts_with_all = ["seed", "seeds", "scenario", "museum"])]
    crash_point: Option<Point>,
    /// Measures how fast simulated time goes by, with nothing that goes wrong.
    #[arg(long, conflicts_with_all = ["seed", "seeds", "scenario", "museum"])]
    speed: bool,
    /// Mailboxes of the measured run.
    #[arg(long, value_name = "N", default_value_t = 50)]
    mailboxes: usize,
    /// Hours of the measured run.
    #[arg(long, value_name = "N", default_value_t = 200)]
    hours: u32,
    /// The measured runs must reach so many mailbox-hours a second.
    #[arg(long, value_name = "N")]
    at_least: Option<f64>,
    /// At most so many runs to make a failing scenario small; 0 leaves it as it is.
    #[arg(long, value_name = "N", default_value_t = 400)]
    shrink: u32,
    /// Where failing scenarios are kept.
    #[arg(long, value_name = "FOLDER", default_value = "target/sim-failures")]
    keep: PathBuf,
}

/// At most so many failing seeds of many are made small.
const SHRUNK_MAX: usize = 3;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Profile {
    Small,
    Medium,
    Large,
    /// Of a hundred seeds 90 small ones, 9 medium ones and a large one.
    Mixed,
}

impl From<Profile> for Size {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Small => Self::Small,
            Profile::Medium => Self::Medium,
            Profile::Large => Self::Large,
            Profile::Mixed => Self::Mixed,
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
    if arguments.crash_points {
        return crash_points(&arguments);
    }
    if arguments.speed {
        return speed(&arguments);
    }
    let began = Instant::now();
    let mut options = Options {
        unchecked: arguments.unchecked,
        ..Options::default()
    };
    if let Some(seeds) = arguments.seeds.filter(|_| arguments.twice) {
        let differing = run_twice(seeds, params, &options, arguments.jobs);
        for seed in &differing {
            println!("seed {seed} is not the same run again");
        }
        println!(
            "seeds run twice       {}",
            seeds.until.saturating_sub(seeds.from)
        );
        println!("not the same again    {}", differing.len());
        return if differing.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let totals = if let Some(seeds) = arguments.seeds {
        let (mut failing, mut done) = (Vec::new(), 0_u64);
        let totals = run_many(seeds, params, &options, arguments.jobs, |outcome| {
            tell(&arguments, outcome);
            if !outcome.violations.is_empty() && failing.len() < SHRUNK_MAX {
                failing.push(outcome.seed);
            }
            done += 1;
            if done.is_multiple_of(1000) {
                eprintln!("{done} seeds, {:.0} s", began.elapsed().as_secs_f64());
            }
        });
        for seed in failing {
            make_small(&arguments, &generate(seed, params), &format!("seed-{seed}"));
        }
        totals
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
        let outcome = match &arguments.crash_point {
            None => run(&scenario, &options),
            Some(point) => match repeat(point, options) {
                Ok(outcome) => outcome,
                Err(error) => {
                    eprintln!("{error}");
                    return ExitCode::from(2);
                }
            },
        };
        for line in &outcome.trace {
            print!("{line}");
        }
        tell(&arguments, &outcome);
        if !outcome.violations.is_empty() && arguments.crash_point.is_none() {
            let name = format!("seed-{}", outcome.seed);
            make_small(&arguments, &scenario, &name);
        }
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

/// Makes a failing scenario small, keeps it and says how to run it.
fn make_small(arguments: &Arguments, scenario: &Scenario, name: &str) {
    if arguments.shrink == 0 || arguments.unchecked || arguments.scenario.is_some() {
        return;
    }
    match failures::keep(scenario, name, &arguments.keep, arguments.shrink) {
        Ok(Some((file, shrunk))) => print!("{}", failures::text(scenario, &file, &shrunk)),
        Ok(None) => {}
        Err(error) => eprintln!("{}: {error}", arguments.keep.display()),
    }
}

fn crash_points(arguments: &Arguments) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let route = Route {
        only: &arguments.only,
        every: arguments.every,
        jobs: arguments.jobs.unwrap_or(cores),
    };
    let began = Instant::now();
    let tour = tour(route, |small, point, outcome| {
        match point {
            Some(point) => println!("{point} is violated:"),
            None => println!("{} is violated with nothing that goes wrong:", small.name),
        }
        for violation in &outcome.violations {
            println!("  {violation}");
        }
        if let Some(point) = point {
            println!(
                "  again: cargo run --profile sim -p postroom-sim -- --crash-point {point} --trace"
            );
        }
    });
    print!("{}", tour.text());
    println!(
        "real time             {:.1} s",
        began.elapsed().as_secs_f64()
    );
    if tour.violated() == 0 && tour.points() > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn speed(arguments: &Arguments) -> ExitCode {
    let mut fast = true;
    let options = Options {
        unchecked: true,
        keep: if arguments.trace_now {
            Keep::Print
        } else {
            Keep::Off
        },
        ..Options::default()
    };
    for protocol in [Protocol::Ews, Protocol::Memory] {
        let name = match protocol {
            Protocol::Ews => "ews",
            Protocol::Memory => "memory",
        };
        if arguments.only.iter().all(|only| only != name) && !arguments.only.is_empty() {
            continue;
        }
        let speed = measure(protocol, arguments.mailboxes, arguments.hours, &options);
        println!("{}", speed.text());
        let worked = speed
            .per_processor_second()
            .unwrap_or_else(|| speed.per_second());
        fast &= arguments.at_least.is_none_or(|least| worked >= least);
    }
    if fast {
        ExitCode::SUCCESS
    } else {
        println!("slower than asked for");
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
    use postroom_sim::museum::{Seeds, Visit, table, visit};

    let wanted = |defect: &Defect| {
        arguments.only.is_empty() || arguments.only.iter().any(|name| name == defect.name())
    };
    let defects: Vec<_> = Defect::ALL.iter().copied().filter(wanted).collect();
    if defects.is_empty() {
        eprintln!("no defect has that name");
        return ExitCode::from(2);
    }
    if arguments.scenario.is_some() || arguments.print {
        return exhibits(arguments, params, &defects);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let how = Visit {
        params,
        seeds_max: arguments.seeds_max,
        seeds: match (arguments.by_chance, arguments.count) {
            (_, true) => Seeds::All,
            (true, false) => Seeds::UntilNoticed,
            (false, false) => Seeds::WhereNeeded,
        },
        jobs: arguments.jobs.unwrap_or(cores),
    };
    let (finds, dirty) = visit(&defects, how, |find| {
        let name = find.defect.name();
        match &find.noticed {
            Some((place, violation)) => println!("{name}: {place}: {violation}"),
            None => println!("{name}: not noticed"),
        }
        match (&find.by_chance, find.seeds) {
            (_, (0, _)) => {}
            (Some((after, violation)), (all, noticed)) => {
                println!("  by chance after {after} seeds ({noticed} of {all}): {violation}");
            }
            (None, (all, _)) => println!("  by chance in none of {all} seeds"),
        }
    });
    println!("\n{}", table(&finds));
    let noticed = finds.iter().filter(|find| find.noticed.is_some()).count();
    println!("{noticed} of {} defects noticed", finds.len());
    if how.seeds != Seeds::WhereNeeded {
        let by_chance = finds.iter().filter(|find| find.by_chance.is_some()).count();
        println!(
            "{by_chance} of them by chance, within {} seeds",
            how.seeds_max
        );
    }
    if !dirty.is_empty() {
        println!("violated without any defect: {}", dirty.join(", "));
    }
    if noticed >= arguments.noticed.unwrap_or(finds.len()) && dirty.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Shows the exhibits of the defects, or one from a file: what is violated with the defect and
/// without it.
#[cfg(postroom_museum)]
fn exhibits(
    arguments: &Arguments,
    params: Params,
    defects: &[postroom_core::museum::Defect],
) -> ExitCode {
    use postroom_sim::museum::exhibits::{Exhibit, of};
    use postroom_sim::museum::show;

    let strikes: Result<Vec<_>, _> = arguments.strike.iter().map(|text| text.parse()).collect();
    let own = match (scenario(arguments, params), strikes) {
        (Ok(scenario), Ok(strikes)) => Some(Exhibit {
            name: "this scenario".to_owned(),
            scenario,
            strikes,
        }),
        (Err(error), _) | (_, Err(error)) if arguments.scenario.is_some() => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
        _ => None,
    };
    let keep = if arguments.trace {
        Keep::Lines
    } else {
        Keep::Nothing
    };
    for defect in defects {
        let shown = own
            .as_ref()
            .map_or_else(|| of(*defect), |own| vec![own.clone()]);
        for exhibit in shown {
            if arguments.print {
                println!("// {}: {:?}", exhibit.name, exhibit.strikes);
                print!("{}", postroom_sim::action::print(&exhibit.scenario));
                continue;
            }
            for planted in [Some(*defect), None] {
                let mut options = Options::default();
                options.keep = keep;
                let outcome = show(&exhibit, planted, options);
                for line in &outcome.trace {
                    print!("{line}");
                }
                let with = planted.map_or("no defect", |defect| defect.name());
                println!(
                    "{} with {with}: {} violations",
                    exhibit.name,
                    outcome.violations.len()
                );
                for violation in &outcome.violations {
                    println!("  {violation}");
                }
            }
        }
    }
    ExitCode::SUCCESS
}

fn scenario(arguments: &Arguments, params: Params) -> Result<Scenario, String> {
    if let Some(point) = &arguments.crash_point {
        return postroom_sim::crash_points::find(&point.scenario).map(|small| small.scenario);
    }
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
        (None, None) => {
            Err("say --seed N, --seeds A..B, --scenario FILE, --crash-points or --speed".to_owned())
        }
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
    if arguments.scenario.is_some() || arguments.crash_point.is_some() {
        return;
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
