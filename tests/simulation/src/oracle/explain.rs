//! Promise 11, always explainable: each row and workload has a decision, a reason and what comes next.

use super::Violation;
use super::facts::Facts;
use super::view::{Answer, View};

/// Checks the promise.
#[must_use]
pub fn check(view: &View, _facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    for explained in &view.explained {
        let gap = match &explained.answer {
            Err(code) => Some(format!("is answered with {code}")),
            Ok(answer) => gap(answer).map(str::to_owned),
        };
        if let Some(gap) = gap {
            let text = format!("explaining {} {gap}", explained.what);
            violations.push(Violation::new(11, text));
        }
    }
    for shown in &view.workloads {
        if shown.why.trim().is_empty() {
            let text = format!(
                "nothing says why {} of {} is due when it is",
                shown.workload, shown.mailbox
            );
            violations.push(Violation::new(11, text));
        }
    }
    violations
}

/// What an explanation leaves open.
fn gap(answer: &Answer) -> Option<&'static str> {
    if answer.state.trim().is_empty() {
        return Some("does not say what state it is in");
    }
    if answer.evidence.iter().all(|line| line.trim().is_empty()) {
        return Some("gives no evidence");
    }
    let why = answer
        .why_not_yet
        .as_deref()
        .is_some_and(|why| !why.trim().is_empty());
    match answer.name {
        "pending" | "pending_send" | "sending" if !why => Some("does not say why not yet"),
        // Where headers were read, each recipient's filter has its say.
        "filtered" if answer.evidence.len() < 2 && answer.state.contains("NoFilterAccepts") => {
            Some("does not say which rule decided")
        }
        "filtered" | "quarantined" | "gone" | "failed" | "unknown" if !why => {
            Some("does not say that nothing more happens")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::fixture::World;
    use crate::oracle::view::{Explained, WorkloadShown};

    fn look(answer: Result<Answer, String>) -> usize {
        let mut world = World::good();
        world.view.explained.push(Explained {
            what: "a row".to_owned(),
            answer,
        });
        check(&world.view, &Facts::default()).len()
    }

    fn good() -> Answer {
        Answer {
            state: "filtered: NoFilterAccepts".to_owned(),
            evidence: vec!["listed".to_owned(), "not recorded".to_owned()],
            next: false,
            why_not_yet: Some("nothing happens by itself".to_owned()),
            name: "filtered",
        }
    }

    #[test]
    fn an_explanation_explains() {
        assert_eq!(look(Ok(good())), 0);
        assert_eq!(look(Err("not-found".to_owned())), 1);
        for leave_out in [
            (|answer| answer.state.clear()) as fn(&mut Answer),
            |answer| answer.evidence.clear(),
            |answer| answer.evidence.truncate(1),
            |answer| answer.why_not_yet = None,
        ] {
            let mut answer = good();
            leave_out(&mut answer);
            assert_eq!(look(Ok(answer)), 1);
        }
    }

    #[test]
    fn a_workload_says_why() {
        let mut world = World::good();
        world.view.workloads.push(WorkloadShown {
            mailbox: postroom_core::MailboxId::from_random([1; 16]),
            workload: "incoming",
            why: String::new(),
        });
        assert_eq!(check(&world.view, &Facts::default()).len(), 1);
    }
}
