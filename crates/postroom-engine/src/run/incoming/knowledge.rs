//! What the store and the application know about the messages of a batch.

use std::collections::{BTreeMap, BTreeSet};

use postroom_core::email::{Direction, KnownEmail};
use postroom_core::party::PartyKind;
use postroom_core::tracking::{Candidates, CorrelationQuery, correlate, join_target};
use postroom_core::{EmailAddress, PartyId, planted};
use postroom_provider::MailHeaders;
use postroom_store::{KnownQuery, MailboxOfParty};

use crate::environment::Environment;
use crate::plan::failure::{CycleStop, crm_failure};
use crate::plan::incoming::{Directory, addresses};
use crate::run::cycle::Cycle;
use crate::run::message::outbox_id;

use super::prepare::Met;

/// What the store and the application know about the messages of a batch.
pub(super) struct Knowledge {
    pub(super) known: Vec<Vec<KnownEmail>>,
    pub(super) own: Vec<bool>,
    pub(super) directory: Directory,
    pub(super) mailboxes: BTreeMap<PartyId, MailboxOfParty>,
    pub(super) correlation: Vec<(CorrelationQuery, Candidates)>,
}

/// Asks everything that decides about a batch, each question once for all of its messages.
pub(super) async fn look_up(cycle: &Cycle<'_>, met: &[Met]) -> Result<Knowledge, CycleStop> {
    let environment = cycle.environment;
    let store = &environment.store;
    let queries: Vec<_> = met
        .iter()
        .map(|met| KnownQuery::new(met.identity.key(), met.headers.headers.message_id.clone()))
        .collect();
    let mut known = store.known_emails(&queries).await?;
    known.resize(met.len(), Vec::new());
    let mut own = Vec::with_capacity(met.len());
    for (met, known) in met.iter().zip(&mut known) {
        own.push(is_own(environment, &met.headers, known).await?);
    }
    let wanted: BTreeSet<EmailAddress> = met
        .iter()
        .flat_map(|met| addresses(&met.headers.headers))
        .collect();
    let wanted: Vec<_> = wanted.into_iter().collect();
    let parties = environment
        .crm
        .parties(&wanted)
        .await
        .map_err(|error| crm_failure(&error))?;
    let directory: Directory = wanted.into_iter().zip(parties).collect();
    let owners: BTreeSet<PartyId> = directory
        .values()
        .flatten()
        .filter(|party| matches!(party.kind, PartyKind::User | PartyKind::Queue))
        .map(|party| party.id)
        .collect();
    let owners: Vec<_> = owners.into_iter().collect();
    let mailboxes = store
        .mailboxes_of(&owners)
        .await?
        .into_iter()
        .map(|of| (of.party, of))
        .collect();
    let correlation = correlation(cycle, met, &known, &own).await?;
    Ok(Knowledge {
        known,
        own,
        directory,
        mailboxes,
        correlation,
    })
}

/// The questions to the index and its answers: exact ones for all, smart matching only for messages
/// that the exact ones lead nowhere for.
async fn correlation(
    cycle: &Cycle<'_>,
    met: &[Met],
    known: &[Vec<KnownEmail>],
    own: &[bool],
) -> Result<Vec<(CorrelationQuery, Candidates)>, CycleStop> {
    let store = &cycle.environment.store;
    let rules = &cycle.loaded.rules;
    let now = cycle.environment.now();
    let queries: Vec<_> = met
        .iter()
        .map(|met| CorrelationQuery::exact(&met.headers.headers, rules))
        .collect();
    let mut candidates = store.candidates(&queries).await?;
    candidates.resize(met.len(), Candidates::default());
    let mut asked: Vec<_> = queries.into_iter().zip(candidates).collect();
    let mut smart = Vec::new();
    let mut places = Vec::new();
    for (place, (((met, known), own), (query, candidates))) in
        met.iter().zip(known).zip(own).zip(&mut asked).enumerate()
    {
        let headers = &met.headers.headers;
        let settled = *own
            || met.headers.draft
            || join_target(&met.identity, headers, known).is_some()
            || correlate(headers, query, candidates, rules)
                .matched
                .is_some();
        if settled {
            continue;
        }
        if let Some(question) = CorrelationQuery::smart(headers, rules, now) {
            let mut only = CorrelationQuery::default();
            only.smart = Some(question.clone());
            smart.push(only);
            places.push(place);
            query.smart = Some(question);
        }
    }
    if !smart.is_empty() {
        let answers = store.candidates(&smart).await?;
        for (place, answer) in places.into_iter().zip(answers) {
            if let Some((_, candidates)) = asked.get_mut(place) {
                candidates.by_smart_matching = answer.by_smart_matching;
                candidates.smart_cut = answer.smart_cut;
            }
        }
    }
    Ok(asked)
}

/// Whether it is a message of Postroom itself; an email of the application that is met again is
/// added to what is known, whatever Message-ID its server gave it.
async fn is_own(
    environment: &Environment,
    headers: &MailHeaders,
    known: &mut Vec<KnownEmail>,
) -> Result<bool, CycleStop> {
    let message_id = headers.headers.message_id.as_ref();
    let local = message_id.and_then(|id| id.as_str().split('@').next());
    let key = headers.submission_key.as_ref().map(|key| key.as_str());
    for id in [local, key].into_iter().flatten().filter_map(outbox_id) {
        let Some(entry) = environment.store.outbox_entry(id).await? else {
            continue;
        };
        let Some(record) = entry.record else {
            if planted!(TestMessageTracked) {
                continue;
            }
            return Ok(true);
        };
        if known.iter().all(|email| email.record != record) {
            let mut email = KnownEmail::new(record, Direction::Outgoing);
            email.message_ids = message_id.into_iter().cloned().collect();
            known.push(email);
        }
    }
    Ok(false)
}
