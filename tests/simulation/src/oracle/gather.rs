//! Looks at everything that can be observed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use postroom_core::email::Direction;
use postroom_core::job::JobState;
use postroom_core::principal::Principal;
use postroom_core::{RawMessage, RecordId, Timestamp};
use postroom_engine::{Admin, Explanation, ExplanationKind};
use postroom_simulator::model::{Item, OutsideMessage, Summary};
use postroom_store::{AlertFilter, LedgerFilter, MailboxFilter, OutboxFilter, Page, Store};
use postroom_store_sqlite::{EmailFilter, EmailSummary, SqliteCrm};

use super::view::{
    Answer, Copy, Explained, Outgoing, Outside, Record, Row, Text, View, WorkloadShown,
};
use crate::history::{Event, History, Letter};
use crate::post::{header, marker_in};
use crate::servers::{Protocols, System, folder_name, remote};
use crate::setup::Protocol;

/// At most so many rows and entries are explained.
const EXPLAINED_MAX: usize = 24;
/// Listings come in pages of so many.
const PAGE: u32 = 5_000;

/// Where to look.
#[derive(Debug)]
pub struct Sources<'a> {
    /// What really happened.
    pub history: &'a History,
    /// The engine's truth, without any fault between.
    pub store: &'a dyn Store,
    /// The records, without any fault between.
    pub crm: &'a SqliteCrm,
    /// The mail systems.
    pub systems: &'a [System],
    /// What left for outside and was taken from the systems already.
    pub outside: &'a [Vec<OutsideMessage>],
    /// How accounts are reached.
    pub protocols: &'a Protocols,
    /// What the engine's clock says.
    pub clock: Timestamp,
    /// Whether the world was given its time to settle.
    pub settled: bool,
    /// Whom to ask for explanations, and as whom; nobody is asked at checkpoints.
    pub admin: Option<(&'a Admin, &'a Principal)>,
    /// What was written beside the store: log, files.
    pub texts: Vec<Text>,
}

/// Looks at everything that can be observed.
///
/// # Panics
/// Where the store or the records cannot be read: nothing stands between.
pub async fn gather(sources: Sources<'_>) -> View {
    // All of it is one moment. Left to its budget, the runtime would let the engine go on between
    // the records and the rows that name them.
    tokio::task::unconstrained(gathered(sources)).await
}

async fn gathered(sources: Sources<'_>) -> View {
    let mut view = View {
        now: sources.history.elapsed(),
        clock: sources.clock,
        settled: sources.settled,
        texts: sources.texts,
        ..View::default()
    };
    let contents = folders(&mut view, sources.systems, sources.protocols);
    for message in sources.outside.iter().flatten() {
        view.outside.push(left(message));
    }
    for system in sources.systems {
        view.outside.extend(system.mail.outside().iter().map(left));
    }
    let mut letters = BTreeMap::new();
    sources.history.with(|entries| {
        for entry in entries {
            if let Event::Arrived { letter, .. } = &entry.event {
                letters
                    .entry(letter.marker.clone())
                    .or_insert_with(|| letter.clone());
            }
        }
    });
    records(&mut view, sources.crm, &contents, &letters).await;
    rows(&mut view, sources.store).await;
    if let Some((admin, principal)) = sources.admin {
        explanations(&mut view, admin, principal).await;
    }
    let alerts: String = view.alerts.iter().fold(String::new(), |mut all, alert| {
        let _ = writeln!(all, "{} {:?}", alert.text, alert.details);
        all
    });
    view.texts.push(Text {
        source: "an alert".to_owned(),
        bytes: alerts.into_bytes(),
    });
    view.history = sources.history.entries();
    // What happened in this very moment happened before the look: `Facts` counts so, too.
    view.now += Duration::from_nanos(view.history.len() as u64);
    view
}

/// The contents of messages by marker.
type Contents = BTreeMap<String, Vec<std::sync::Arc<Item>>>;

/// What arrived, by marker.
type Letters = BTreeMap<String, Letter>;

/// Whether it is a server's report, which quotes what it is about.
fn is_report(subject: &str) -> bool {
    subject.starts_with("Undeliverable:")
}

fn folders(view: &mut View, systems: &[System], protocols: &Protocols) -> Contents {
    let mut contents = Contents::new();
    for system in systems {
        for account in system.mail.accounts() {
            let Ok(info) = system.mail.account_info(account) else {
                continue;
            };
            let protocol = protocols.get(&info.address).copied();
            let protocol = protocol.unwrap_or(Protocol::Memory);
            for folder in system.mail.folders(account) {
                for item in system.mail.items(folder.id) {
                    let summary = item.summary();
                    let own = !is_report(&summary.subject);
                    let marker = marker_in(item.content()).filter(|_| own);
                    if let Some(marker) = &marker {
                        contents
                            .entry(marker.clone())
                            .or_default()
                            .push(std::sync::Arc::clone(&item));
                    }
                    let to = summary.to.iter().chain(&summary.cc);
                    view.copies.push(Copy {
                        account: info.address.clone(),
                        folder: folder_name(&folder),
                        remote: remote(protocol, account, item.id),
                        marker,
                        from: summary
                            .from
                            .as_ref()
                            .map(|from| from.address.clone())
                            .unwrap_or_default(),
                        to: to.map(|one| one.address.clone()).collect(),
                        subject: summary.subject.clone(),
                        message_id: summary.message_id.clone(),
                        draft: item.draft,
                    });
                }
            }
        }
    }
    contents
}

fn left(message: &OutsideMessage) -> Outside {
    let Summary {
        subject,
        from,
        to,
        cc,
        ..
    } = Summary::read(&message.content);
    Outside {
        marker: marker_in(&message.content).filter(|_| !is_report(&subject)),
        sender: message.sender.clone(),
        recipients: message.recipients.clone(),
        shows_bcc: header(&message.content, "Bcc").map(|_| true),
        subject,
        from: from.map(|from| from.address).unwrap_or_default(),
        named: to.into_iter().chain(cc).map(|one| one.address).collect(),
    }
}

fn bytes_of(raw: &RawMessage) -> Vec<u8> {
    raw.read_up_to(u64::MAX).expect("a record can be read")
}

async fn records(view: &mut View, crm: &SqliteCrm, contents: &Contents, letters: &Letters) {
    let mut page = Page::first(PAGE);
    loop {
        let emails = crm
            .emails(&EmailFilter::default(), page)
            .await
            .expect("records can be listed");
        let more = emails.len() == PAGE as usize;
        for email in emails {
            if let (Direction::Outgoing, Some(token)) = (email.direction, &email.token) {
                view.tokens.push((email.record, token.as_str().to_owned()));
            }
            view.records
                .push(record(crm, contents, letters, &email).await);
        }
        if !more {
            break;
        }
        page = page.next();
    }
    let mut page = Page::first(PAGE);
    loop {
        let items = crm
            .queue_items(None, page)
            .await
            .expect("queue items can be listed");
        let more = items.len() == PAGE as usize;
        let items = items.into_iter().map(|item| (item.queue, item.email));
        view.queued.extend(items);
        if !more {
            break;
        }
        page = page.next();
    }
}

async fn record(
    crm: &SqliteCrm,
    contents: &Contents,
    letters: &Letters,
    email: &EmailSummary,
) -> Record {
    let (marker, intact) = match email.direction {
        Direction::Incoming => received(crm, contents, letters, email.record).await,
        Direction::Outgoing => (written(crm, email.record).await, None),
    };
    Record {
        id: email.record,
        marker,
        incoming: email.direction == Direction::Incoming,
        status: email.status.as_str().to_owned(),
        correlated: email.correlated.map(|(record, _)| record),
        method: email.correlated.map(|(_, method)| method),
        intact,
    }
}

/// The marker of what came in, and whether its bytes are those of a copy on a server.
async fn received(
    crm: &SqliteCrm,
    contents: &Contents,
    letters: &Letters,
    record: RecordId,
) -> (Option<String>, Option<bool>) {
    let raw = crm.raw(record).await.expect("a record can be read");
    let Some(bytes) = raw.as_ref().map(bytes_of) else {
        return (None, None);
    };
    let Some(marker) = marker_in(&bytes) else {
        // A server that could not give the message gave a few properties of it instead.
        let marker = by_header(&bytes, letters);
        let intact = marker.is_some().then_some(false);
        return (marker, intact);
    };
    let intact = contents.get(&marker).map(|copies| {
        let mut copies = copies.iter();
        copies.any(|item| body_of(item.content()) == body_of(&bytes))
    });
    (Some(marker), intact)
}

/// The marker of the only message with that header: subject and Message-ID, as far as it has one.
fn by_header(raw: &[u8], letters: &Letters) -> Option<String> {
    let Summary {
        subject,
        message_id: id,
        ..
    } = Summary::read(raw);
    let mut fitting = letters.values().filter(|letter| {
        letter.subject == subject && letter.message_id.as_ref().is_none_or(|own| *own == id)
    });
    let only = fitting.next()?;
    let others = fitting.next().is_some();
    (!others).then(|| only.marker.clone())
}

/// The marker of what was written in the application.
async fn written(crm: &SqliteCrm, record: RecordId) -> Option<String> {
    let email = crm.email(record).await.expect("a record can be read");
    let text = email.and_then(|email| email.text.or(email.html))?;
    marker_in(text.as_bytes())
}

/// What follows the header: relays add to that.
fn body_of(raw: &[u8]) -> &[u8] {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n");
    &raw[end.unwrap_or_default()..]
}

async fn rows(view: &mut View, store: &dyn Store) {
    const READ: &str = "the store can be read";
    let mut page = Page::first(PAGE);
    loop {
        let rows = store
            .ledger(&LedgerFilter::default(), page)
            .await
            .expect(READ);
        let more = rows.len() == PAGE as usize;
        view.ledger.extend(rows.into_iter().map(|row| Row {
            id: row.id,
            mailbox: row.mailbox,
            folder: row.folder.as_str().to_owned(),
            remote: row.remote_id.as_str().to_owned(),
            first_seen: row.first_seen,
            state: row.state,
        }));
        if !more {
            break;
        }
        page = page.next();
    }
    let page = Page::first(10_000);
    let entries = store
        .outbox(&OutboxFilter::default(), page)
        .await
        .expect(READ);
    view.outbox
        .extend(entries.into_iter().map(|entry| Outgoing {
            id: entry.id,
            mailbox: entry.mailbox,
            record: entry.record,
            state: entry.state,
        }));
    let open = [JobState::Running, JobState::Queued];
    let jobs = store.jobs(&open, 10_000).await.expect(READ);
    view.open_jobs
        .extend(jobs.iter().map(|job| job.id.to_string()));
    let mut all = AlertFilter::default();
    all.closed = true;
    view.alerts = store.alerts(&all, page).await.expect(READ);
    view.mailboxes = store
        .mailboxes(&MailboxFilter::default(), page)
        .await
        .expect(READ);
}

async fn explanations(view: &mut View, admin: &Admin, principal: &Principal) {
    // What is not simply done first: there is more to be said about it.
    let mut ids: Vec<(bool, String)> = view
        .ledger
        .iter()
        .map(|row| (row.state.name() == "delivered", row.id.to_string()))
        .collect();
    ids.sort();
    ids.truncate(EXPLAINED_MAX);
    let mut entries: Vec<(bool, String)> = view
        .outbox
        .iter()
        .map(|entry| (entry.state.name() == "sent", entry.id.to_string()))
        .collect();
    entries.sort();
    entries.truncate(EXPLAINED_MAX);
    let mut said = String::new();
    for (_, id) in ids.into_iter().chain(entries) {
        match admin.explain(principal, &id).await {
            Ok(all) => {
                for one in all {
                    let _ = writeln!(said, "{one:?}");
                    let answer = Ok(answer(one));
                    let what = id.clone();
                    view.explained.push(Explained { what, answer });
                }
            }
            Err(error) => {
                let _ = writeln!(said, "{error} {error:?}");
                let answer = Err(error.code().to_string());
                view.explained.push(Explained { what: id, answer });
            }
        }
    }
    let page = Page::first(10_000);
    match admin
        .overview(principal, &MailboxFilter::default(), page)
        .await
    {
        Ok(overview) => {
            let _ = writeln!(said, "{overview:?}");
            for mailbox in overview.mailboxes {
                for workload in mailbox.workloads {
                    view.workloads.push(WorkloadShown {
                        mailbox: mailbox.id,
                        workload: workload.workload.as_str(),
                        why: workload.why,
                    });
                }
            }
        }
        Err(error) => {
            let answer = Err(error.code().to_string());
            let what = "the overview".to_owned();
            view.explained.push(Explained { what, answer });
        }
    }
    view.texts.push(Text {
        source: "an answer".to_owned(),
        bytes: said.into_bytes(),
    });
}

fn answer(explanation: Explanation) -> Answer {
    let name = match &explanation.kind {
        ExplanationKind::Incoming { entry } => entry.state.name(),
        ExplanationKind::Outgoing { entry } => entry.state.name(),
    };
    Answer {
        state: explanation.state,
        evidence: explanation.evidence,
        next: explanation.next.is_some(),
        why_not_yet: explanation.why_not_yet,
        name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Thread;

    #[test]
    fn what_lost_its_text_is_known_by_its_header_where_it_is_the_only_one() {
        let letter = |marker: &str, id: Option<&str>, subject: &str| Letter {
            marker: marker.to_owned(),
            message_id: id.map(str::to_owned),
            date: None,
            from: "jo@fabrikam.example".to_owned(),
            to: Vec::new(),
            thread: Thread::None,
            subject: subject.to_owned(),
            index: None,
        };
        let mut letters = Letters::new();
        for one in [
            letter("m1", Some("<1@x>"), "offer"),
            letter("m2", Some("<2@x>"), "offer"),
            letter("m3", None, "lamp"),
        ] {
            letters.insert(one.marker.clone(), one);
        }
        let known = |subject: &str, id: &str| {
            let raw = format!("Subject: {subject}\r\nMessage-ID: {id}\r\n\r\n");
            by_header(raw.as_bytes(), &letters)
        };
        assert_eq!(known("offer", "<2@x>").as_deref(), Some("m2"));
        assert_eq!(known("offer", "<3@x>"), None);
        assert_eq!(known("lamp", "<a@rebuilt.invalid>").as_deref(), Some("m3"));
        letters.insert("m4".to_owned(), letter("m4", None, "lamp"));
        let raw = b"Subject: lamp\r\n\r\n";
        assert_eq!(by_header(raw, &letters), None);
    }
}
