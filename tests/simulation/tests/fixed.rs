//! What is checked each time, without optimization too: a few seeds, a few crash points, and that a
//! seed is the same run again. `.ci/run simulation` checks many more.

use postroom_sim::action::{Scenario, print};
use postroom_sim::crash_points::{Route, tour};
use postroom_sim::drive::{Options, run};
use postroom_sim::generate::{Params, Size, generate};

#[test]
fn a_seed_is_the_same_run_again() {
    for seed in 0..6 {
        let scenario = generate(seed, Params::default());
        let (one, other) = (
            run(&scenario, &Options::default()),
            run(&scenario, &Options::default()),
        );
        assert_eq!(one.hash, other.hash, "seed {seed}");
        assert_eq!(one.totals, other.totals, "seed {seed}");
        assert_eq!(one.violations, other.violations, "seed {seed}");
        assert_eq!(one.violations, [], "seed {seed}");
    }
}

/// A test fails while a store in trouble keeps it from the lease: what it told is over when the workload works.
#[test]
fn what_a_failed_test_told_is_over_when_the_workload_works() {
    let outcome = run(&generate(541, Params::default()), &Options::default());
    assert_eq!(outcome.violations, []);
}

#[test]
fn a_run_that_goes_round_in_circles_is_ended() {
    let scenario = generate(3, Params::default());
    let whole = run(&scenario, &Options::default());
    assert_eq!(whole.violations, []);
    // What an ordinary minute has is made too much: from then on it is a circle.
    let options = Options {
        pace: Some(40),
        ..Options::default()
    };
    let cut = run(&scenario, &options);
    let [violation] = cut.violations.as_slice() else {
        panic!("{:?}", cut.violations);
    };
    assert_eq!(violation.promise, 0);
    assert!(violation.text.starts_with("livelock"), "{violation}");
    assert!(cut.totals.calls < whole.totals.calls);
    assert!(cut.totals.simulated_seconds < whole.totals.simulated_seconds);
}

#[test]
fn another_seed_is_another_run() {
    let hash = |seed| run(&generate(seed, Params::default()), &Options::default()).hash;
    assert_ne!(hash(1), hash(2));
}

#[test]
fn a_scenario_is_read_as_it_is_printed() {
    for (seed, size) in [(1, Size::Small), (2, Size::Medium), (3, Size::Large)] {
        let scenario = generate(
            seed,
            Params {
                size,
                ..Params::default()
            },
        );
        assert!(!scenario.steps.is_empty());
        let read: Scenario = serde_json::from_str(&print(&scenario)).unwrap();
        assert_eq!(read, scenario);
    }
}

#[test]
fn a_scenario_converges_wherever_its_engine_dies() {
    let only = ["conversation-memory".to_owned(), "outgoing-ews".to_owned()];
    let route = Route {
        only: &only,
        every: 31,
        jobs: 2,
    };
    let tour = tour(route, |_small, _point, _outcome| {});
    assert!(tour.points() >= 20, "{}", tour.text());
    assert_eq!(tour.violated(), 0, "{}", tour.text());
}
