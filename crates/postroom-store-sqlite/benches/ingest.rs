//! What recording 10,000 messages of 15 KB costs in the store alone, 500 to a batch as the engine
//! commits them, durably; and what a poll that finds nothing costs.
//!
//! `cargo bench -p postroom-store-sqlite --bench ingest -- [messages|idle]`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at what it did not expect"
)]

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use postroom_core::email::{ContentIdentity, ContentKey, Direction, Email, EmailHeaders};
use postroom_core::ledger::{FolderId, LedgerEntry, LedgerEvent, RemoteId, SyncCursor};
use postroom_core::mailbox::MailboxOwner;
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::party::Participation;
use postroom_core::profile::ProfileKind;
use postroom_core::tracking::{
    CorrelationQuery, CorrelationRules, CorrelationSettings, Decision, index_entry,
};
use postroom_core::{
    HolderId, LedgerId, Mailbox, MailboxId, Organization, OrganizationId, PartyId, ProfileId,
    RawMessage, ServerProfile, Timestamp, Workload,
};
use postroom_store::{
    Crm, CycleRecord, EmailParty, EmailWrite, KnownQuery, PageRecord, Settlement,
};
use postroom_store_sqlite::{SqliteStorage, StorageOptions};

const MESSAGES: u32 = 10_000;
const BATCH: u32 = 500;
const POLLS: u32 = 10_000;
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().unwrap()
}

fn bytes<const N: usize>(n: u32) -> [u8; N] {
    // Spread like random ids: neighbours would flatter the indexes.
    let mut bits = u64::from(n)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [0; N];
    for byte in &mut bytes {
        bits = (bits ^ (bits >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        *byte = bits.to_le_bytes()[0];
    }
    bytes
}

fn headers(n: u32) -> EmailHeaders {
    let mut headers = EmailHeaders::default();
    headers.message_id = Some(
        format!("{n}.{:x?}@mail.example", bytes::<8>(n))
            .parse()
            .unwrap(),
    );
    headers.subject = format!("Order {n} is late");
    headers.from = Some(
        format!("customer{}@example.org", n % 3000)
            .parse::<postroom_core::EmailAddress>()
            .unwrap()
            .into(),
    );
    headers.to = vec![
        "sales@contoso.example"
            .parse::<postroom_core::EmailAddress>()
            .unwrap()
            .into(),
    ];
    headers.sent_at = Some(NOW);
    headers
}

const DECISION: &str = r#"{"verdict":{"verdict":"track","reason":"accept_all","accepting":"744d8356-435d-41a8-89e4-c8a814ffc6f6"},
"correlation":{"matched":null,"steps":[
{"method":"in_reply_to","outcome":"not_applicable","candidates":0,"note":"the message has no In-Reply-To"},
{"method":"references","outcome":"not_applicable","candidates":0,"note":"the message has no References"},
{"method":"tracking_token","outcome":"not_applicable","candidates":0,"note":"the subject holds no token"},
{"method":"conversation_index","outcome":"not_applicable","candidates":0,"note":"the message has no Thread-Index"},
{"method":"smart_matching","outcome":"no_match","candidates":0,"note":"no stored email shares enough"}]},
"recipients":[{"party":"744d8356-435d-41a8-89e4-c8a814ffc6f6","filter":"all","accepted":"accept_all"}],
"sender":null,"because":"a recipient's filter accepts all email"}"#;

/// A text of 6 KB, and a message of 15 KB that holds it.
fn content(n: u32) -> (String, RawMessage) {
    let mut text = String::new();
    while text.len() < 6_000 {
        text.push_str(&format!(
            "Line {} of what customer {n} has to say about it.\n",
            text.len()
        ));
    }
    let head = format!(
        "From: <customer{n}@example.org>\r\nSubject: Order {n} is late\r\nMIME-Version: 1.0\r\n\r\n--part\r\n\r\n"
    );
    let mut raw = (head + &text.replace('\n', "\r\n")).into_bytes();
    raw.extend_from_slice(b"\r\n--part\r\n\r\n");
    raw.resize(15_000, b'x');
    (text, RawMessage::from_bytes(raw))
}

fn organization() -> Organization {
    Organization::new(
        OrganizationId::from_random([1; 16]),
        "Contoso",
        Deployment::new(DeploymentKind::OnPremises),
    )
}

/// Adds the time since the last lap to a step.
fn took(lap: &mut Instant, step: &mut (&str, Duration)) {
    step.1 += lap.elapsed();
    *lap = Instant::now();
}

fn main() {
    // One part alone, to be counted by a profiler.
    let only = |part: &str| std::env::args().any(|argument| argument == part);
    if !only("idle") {
        messages();
    }
    if !only("messages") {
        idle();
    }
}

fn messages() {
    let folder = tempfile::tempdir().unwrap();
    let options = StorageOptions::new(folder.path()).inline();
    let storage = SqliteStorage::create(&options, &organization()).unwrap();
    let (store, crm) = (storage.store(), storage.crm());
    let rules = CorrelationRules::new(CorrelationSettings::default()).unwrap();
    let owner = MailboxOwner::Queue(PartyId::from_random([1; 16]));
    let mailbox = Mailbox::new(MailboxId::from_random([1; 16]), "Sales", owner, None);
    now(store.create_mailbox(&mailbox)).unwrap();
    let holder = HolderId::from_random([1; 16]);
    let lease = now(store.acquire_lease(
        mailbox.id,
        Workload::Incoming,
        holder,
        NOW,
        Duration::from_secs(60),
    ));
    let lease = lease.unwrap().unwrap();
    let inbox = FolderId::new(
        "AAMkAGVmMDEzMTM4LTZmYWUtNDdkNC1hMDZiLTU1OGY5OTZhYmY4OAAuAAAAAAAiQ8W967B7TKBjgx9rVEURAQAiIsqMbYjsT5e",
    );
    let decision: Decision = serde_json::from_str(DECISION).unwrap();
    let queue = PartyId::from_random([1; 16]);
    let mut spent = [
        ("record_page", Duration::ZERO),
        ("pending, known, candidates", Duration::ZERO),
        ("record_emails", Duration::ZERO),
        ("settle", Duration::ZERO),
    ];
    let mut first = 0;
    while first < MESSAGES {
        let numbers: Vec<u32> = (first..first + BATCH).collect();
        first += BATCH;
        let listed = numbers
            .iter()
            .map(|n| {
                let remote = RemoteId::new(format!("{}{:x?}", inbox.as_str(), bytes::<16>(*n)));
                LedgerEntry::listed(
                    LedgerId::in_order(NOW.plus(Duration::from_secs(u64::from(first))), bytes(*n)),
                    mailbox.id,
                    inbox.clone(),
                    remote,
                    NOW,
                )
            })
            .collect();
        let page = PageRecord::new(
            inbox.clone(),
            listed,
            Vec::new(),
            SyncCursor::new("x".repeat(2000)),
            false,
        );
        let mut lap = Instant::now();
        let [one, two, three, four] = &mut spent;
        now(store.record_page(&lease, &page, NOW)).unwrap();
        took(&mut lap, one);
        let pending = now(store.pending(mailbox.id, NOW, BATCH)).unwrap();
        let known: Vec<_> = numbers
            .iter()
            .map(|n| KnownQuery::new(ContentKey::from_bytes(bytes(*n)), headers(*n).message_id))
            .collect();
        now(store.known_emails(&known)).unwrap();
        let queries: Vec<_> = numbers
            .iter()
            .map(|n| CorrelationQuery::full(&headers(*n), &rules, NOW))
            .collect();
        now(store.candidates(&queries)).unwrap();
        took(&mut lap, two);
        let writes: Vec<_> = numbers
            .iter()
            .map(|n| {
                let mut email = Email::new(headers(*n));
                let (text, raw) = content(*n);
                email.text_body = Some(text);
                let parties = email
                    .headers
                    .from
                    .iter()
                    .map(|named| (Participation::From, named, Vec::new()))
                    .chain(
                        email
                            .headers
                            .to
                            .iter()
                            .map(|named| (Participation::To, named, vec![queue])),
                    )
                    .map(|(role, named, parties)| EmailParty::new(role, named.clone(), parties))
                    .collect();
                let key = ContentKey::from_bytes(bytes(*n));
                let mut write = EmailWrite::incoming(key, email, raw, NOW, mailbox.id);
                write.parties = parties;
                write.accepting = Some(queue);
                write.owner = Some(queue);
                write.queues = vec![queue];
                write
            })
            .collect();
        lap = Instant::now();
        let recorded = now(crm.record_emails(&writes)).unwrap();
        took(&mut lap, three);
        let settlements: Vec<_> = pending
            .iter()
            .zip(recorded)
            .zip(&numbers)
            .map(|((row, recorded), n)| {
                let record = recorded.unwrap().record;
                let mut settlement = Settlement::new(
                    row.id,
                    LedgerEvent::Deliver {
                        record,
                        created: true,
                    },
                );
                let entry = index_entry(
                    record,
                    Direction::Incoming,
                    &headers(*n),
                    NOW,
                    None,
                    None,
                    &rules,
                );
                settlement.index = Some((entry, Some(ContentKey::from_bytes(bytes(*n)))));
                settlement.identity = Some(ContentIdentity::MessageId(ContentKey::from_bytes(
                    bytes(*n),
                )));
                settlement.decision = Some(decision.clone());
                settlement
            })
            .collect();
        lap = Instant::now();
        now(store.settle(&lease, &settlements)).unwrap();
        took(&mut lap, four);
    }
    println!("{MESSAGES} messages, {BATCH} to a batch, durable; seconds");
    for (step, time) in spent {
        println!("{step:28} {:>6.2}", time.as_secs_f64());
    }
    let all: Duration = spent.iter().map(|(_, time)| *time).sum();
    println!("{:28} {:>6.2}", "in all", all.as_secs_f64());
}

/// What polls that find nothing cost in a store without waits for the disk.
fn idle() {
    let folder = tempfile::tempdir().unwrap();
    let options = StorageOptions::new(folder.path()).inline().without_sync();
    let storage = SqliteStorage::create(&options, &organization()).unwrap();
    let store = storage.store();
    let profile = ServerProfile::new(
        ProfileId::from_random([2; 16]),
        "Exchange",
        ProfileKind::ExchangeServer,
    );
    now(store.save_profile(&profile)).unwrap();
    let mailboxes: Vec<_> = (0..100)
        .map(|n| {
            let owner = MailboxOwner::Queue(PartyId::from_random(bytes(n)));
            let id = MailboxId::from_random(bytes(n));
            let mut mailbox = Mailbox::new(id, format!("Queue {n}"), owner, None);
            mailbox.profile = Some(profile.id);
            now(store.create_mailbox(&mailbox)).unwrap();
            mailbox
        })
        .collect();
    let inbox = FolderId::new("inbox");
    let holder = HolderId::from_random([1; 16]);
    for mailbox in &mailboxes {
        let lease = now(store.acquire_lease(
            mailbox.id,
            Workload::Incoming,
            holder,
            NOW,
            Duration::from_secs(60),
        ));
        let lease = lease.unwrap().unwrap();
        let cursor = SyncCursor::new("x".repeat(2000));
        let page = PageRecord::new(inbox.clone(), Vec::new(), Vec::new(), cursor, true);
        now(store.record_page(&lease, &page, NOW)).unwrap();
        now(store.release_lease(&lease)).unwrap();
    }
    let begin = Instant::now();
    for round in 0..POLLS / 100 {
        let at = NOW.plus(Duration::from_secs(u64::from(round)));
        for mailbox in &mailboxes {
            let start = now(store.begin_cycle(
                mailbox.id,
                Workload::Incoming,
                holder,
                at,
                Duration::from_secs(60),
            ));
            let start = start.unwrap().unwrap();
            assert!(!start.pending);
            assert_eq!(start.folders.len(), 1);
            let record = CycleRecord::succeeded(at, at, at.plus(Duration::from_secs(1)), round);
            now(store.finish_cycle(&start.lease, &record)).unwrap();
        }
    }
    println!(
        "a poll that finds nothing    {:>6.1} microseconds",
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(POLLS)
    );
}
