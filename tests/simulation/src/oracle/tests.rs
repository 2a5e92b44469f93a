use super::fixture::World;
use super::{Violation, check};

#[test]
fn a_good_world_keeps_all_promises() {
    assert_eq!(check(&World::good().view), Vec::<Violation>::new());
}

#[test]
fn one_promise_does_not_drown_the_others() {
    let mut world = World::good();
    let row = world.row_mut("i1").clone();
    for _ in 0..50 {
        world.view.ledger.push(row.clone());
    }
    world.view.outside.clear();
    let found = check(&world.view);
    assert_eq!(found.iter().filter(|one| one.promise == 1).count(), 10);
    assert!(found.iter().any(|one| one.promise == 3));
}
