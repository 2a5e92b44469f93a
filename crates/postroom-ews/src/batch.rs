//! Batches: one outcome per item, whatever the server makes of them. Source: ews-notes section 9.

use postroom_core::Scope;
use postroom_provider::{ProviderError, RemoteId, Result};

use crate::client::{CallError, misunderstood};
use crate::soap::{BATCH_STOPPED, Refusal};

/// What became of each item: the server's answer, or why there is none.
pub(crate) type Outcomes<T> = Vec<Result<std::result::Result<T, Refusal>>>;

/// Items that failed alone, with none that went well, until the batch is no longer suspected.
const LONE_FAILURES_MAX: usize = 3;

/// Asks about all items, for operations that only read: a batch that fails as a whole is halved
/// until the item is found that it fails by.
pub(crate) async fn run<T, F, Fut>(
    operation: &'static str,
    ids: &[RemoteId],
    ask: F,
) -> Result<Outcomes<T>>
where
    F: Fn(Vec<RemoteId>) -> Fut,
    Fut: Future<Output = std::result::Result<Vec<std::result::Result<T, Refusal>>, CallError>>,
{
    drive(operation, ids, ask, true).await
}

/// Asks about all items, for operations that change something: only what the server says it has not
/// tried is asked for again.
pub(crate) async fn once<T, F, Fut>(
    operation: &'static str,
    ids: &[RemoteId],
    ask: F,
) -> Result<Outcomes<T>>
where
    F: Fn(Vec<RemoteId>) -> Fut,
    Fut: Future<Output = std::result::Result<Vec<std::result::Result<T, Refusal>>, CallError>>,
{
    drive(operation, ids, ask, false).await
}

async fn drive<T, F, Fut>(
    operation: &'static str,
    ids: &[RemoteId],
    ask: F,
    may_split: bool,
) -> Result<Outcomes<T>>
where
    F: Fn(Vec<RemoteId>) -> Fut,
    Fut: Future<Output = std::result::Result<Vec<std::result::Result<T, Refusal>>, CallError>>,
{
    let mut outcomes: Outcomes<T> = Vec::with_capacity(ids.len());
    // Parts still to be asked for, the next one last; each a number of items from where we are.
    let mut parts = vec![ids.len()];
    let mut lone_failures = 0;
    let mut answered = false;
    while let Some(length) = parts.pop() {
        let begin = outcomes.len();
        let part: Vec<RemoteId> = ids.iter().skip(begin).take(length).cloned().collect();
        if part.is_empty() {
            continue;
        }
        match ask(part).await {
            Ok(answers) => {
                if answers.len() != length {
                    return Err(misunderstood(operation)
                        .with("asked", length)
                        .with("answers", answers.len()));
                }
                answered = true;
                outcomes.extend(
                    answers
                        .into_iter()
                        .take_while(|answer| !was_not_tried(answer))
                        .map(Ok),
                );
                let done = outcomes.len() - begin;
                let left = length - done;
                if left == 0 {
                    continue;
                }
                if done == 0 {
                    // Nothing at all was tried: asking again at once would go on for ever.
                    return Err(stopped(operation));
                }
                parts.push(left);
            }
            Err(call) if call.splittable && may_split && length > 1 => {
                let half = length / 2;
                parts.push(length - half);
                parts.push(half);
            }
            Err(call) if call.splittable && ids.len() > 1 && may_split => {
                lone_failures += 1;
                if lone_failures >= LONE_FAILURES_MAX && !answered {
                    return Err(call.error);
                }
                outcomes.push(Err(call.error.with_scope(Scope::Item)));
            }
            Err(call) => return Err(call.error),
        }
    }
    Ok(outcomes)
}

fn was_not_tried<T>(answer: &std::result::Result<T, Refusal>) -> bool {
    matches!(answer, Err(refusal) if refusal.code == BATCH_STOPPED)
}

fn stopped(operation: &'static str) -> ProviderError {
    crate::error::refused(
        operation,
        &Refusal::new(BATCH_STOPPED, ""),
        crate::error::About::Request,
    )
    .with_scope(Scope::Mailbox)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Effect;
    use postroom_core::Code;
    use postroom_provider::ErrorKind;
    use std::sync::Mutex;

    fn ids(count: usize) -> Vec<RemoteId> {
        (0..count).map(|n| RemoteId::new(n.to_string())).collect()
    }

    fn fault(splittable: bool) -> CallError {
        CallError {
            error: ProviderError::new(ErrorKind::Unavailable, Code::ServerFault, "mail.fetch"),
            effect: Effect::Unclear,
            splittable,
        }
    }

    type Answer = std::result::Result<Vec<std::result::Result<String, Refusal>>, CallError>;

    /// Runs against a server that answers as told; returns outcomes and the sizes asked for.
    async fn ask(
        count: usize,
        may_split: bool,
        answer: impl Fn(&[RemoteId]) -> Answer + Send + Sync,
    ) -> (Result<Outcomes<String>>, Vec<usize>) {
        let sizes = Mutex::new(Vec::new());
        let outcomes = drive(
            "mail.fetch",
            &ids(count),
            |part: Vec<RemoteId>| {
                sizes.lock().unwrap().push(part.len());
                let answer = answer(&part);
                async move { answer }
            },
            may_split,
        )
        .await;
        (outcomes, sizes.into_inner().unwrap())
    }

    fn good(part: &[RemoteId]) -> Answer {
        Ok(part.iter().map(|id| Ok(id.as_str().to_owned())).collect())
    }

    #[tokio::test]
    async fn one_poisonous_item_costs_only_itself() {
        let (outcomes, sizes) = ask(16, true, |part| {
            if part.iter().any(|id| id.as_str() == "5") {
                Err(fault(true))
            } else {
                good(part)
            }
        })
        .await;
        for (at, outcome) in outcomes.unwrap().into_iter().enumerate() {
            if at == 5 {
                assert_eq!(outcome.unwrap_err().scope(), Scope::Item);
            } else {
                assert_eq!(outcome.unwrap().unwrap(), at.to_string());
            }
        }
        assert!(sizes.len() <= 10, "{sizes:?}");
    }

    #[tokio::test]
    async fn a_server_that_only_fails_is_not_asked_a_hundred_times() {
        let (outcomes, sizes) = ask(100, true, |_| Err(fault(true))).await;
        assert_eq!(outcomes.unwrap_err().code(), Code::ServerFault);
        assert!(sizes.len() < 20, "{sizes:?}");
    }

    #[tokio::test]
    async fn what_was_not_tried_is_asked_again_and_an_end_is_found() {
        let stopped = || Refusal::new(BATCH_STOPPED, "");
        let (outcomes, sizes) = ask(7, false, |part| {
            Ok(part
                .iter()
                .enumerate()
                .map(|(at, id)| {
                    if at < 3 {
                        Ok(id.as_str().to_owned())
                    } else {
                        Err(stopped())
                    }
                })
                .collect())
        })
        .await;
        let names: Vec<_> = outcomes
            .unwrap()
            .into_iter()
            .map(|o| o.unwrap().unwrap())
            .collect();
        assert_eq!(names, ["0", "1", "2", "3", "4", "5", "6"]);
        assert_eq!(sizes, [7, 4, 1]);
        let (outcomes, sizes) = ask(7, true, |part| {
            Ok(part.iter().map(|_| Err(stopped())).collect())
        })
        .await;
        assert!(outcomes.is_err());
        assert_eq!(sizes, [7]);
    }

    #[tokio::test]
    async fn changes_are_never_split_and_counts_must_match() {
        let (outcomes, sizes) = ask(4, false, |_| Err(fault(true))).await;
        assert!(outcomes.is_err());
        assert_eq!(sizes, [4]);
        let (outcomes, _) = ask(4, true, |part| good(&part[1..])).await;
        assert_eq!(outcomes.unwrap_err().kind(), ErrorKind::Protocol);
        let (outcomes, sizes) = ask(0, true, good).await;
        assert!(outcomes.unwrap().is_empty() && sizes.is_empty());
    }
}
