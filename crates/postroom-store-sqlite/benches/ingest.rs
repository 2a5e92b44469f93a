//! What recording 10,000 messages of 15 KB costs in the store alone, 100 to a batch, durably.
//!
//! `cargo bench -p postroom-store-sqlite --bench ingest`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at what it did not expect"
)]

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use postroom_core::email::{ContentKey, Direction, Email, EmailHeaders};
use postroom_core::ledger::{FolderId, LedgerEntry, LedgerEvent, RemoteId, SyncCursor};
use postroom_core::mailbox::MailboxOwner;
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::tracking::{
    CorrelationQuery, CorrelationRules, CorrelationSettings, index_entry,
};
use postroom_core::{
    HolderId, LedgerId, Mailbox, MailboxId, Organization, OrganizationId, PartyId, RawMessage,
    Timestamp, Workload,
};
use postroom_store::{Crm, EmailWrite, KnownQuery, PageRecord, Settlement};
use postroom_store_sqlite::{SqliteStorage, StorageOptions};

const MESSAGES: u32 = 10_000;
const BATCH: u32 = 100;
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

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let options = StorageOptions::new(folder.path()).inline();
    let organization = Organization::new(
        OrganizationId::from_random([1; 16]),
        "Contoso",
        Deployment::new(DeploymentKind::OnPremises),
    );
    let storage = SqliteStorage::create(&options, &organization).unwrap();
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
    let raw = RawMessage::from_bytes(vec![b'x'; 15_000]);
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
                    LedgerId::from_random(bytes(*n)),
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
        let mut took = |step: &mut (&str, Duration)| {
            step.1 += lap.elapsed();
            lap = Instant::now();
        };
        let [one, two, three, four] = &mut spent;
        now(store.record_page(&lease, &page, NOW)).unwrap();
        took(one);
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
        took(two);
        let writes: Vec<_> = numbers
            .iter()
            .map(|n| {
                let mut email = Email::new(headers(*n));
                email.text_body = Some("y".repeat(6_000));
                EmailWrite::incoming(
                    ContentKey::from_bytes(bytes(*n)),
                    email,
                    raw.clone(),
                    NOW,
                    mailbox.id,
                )
            })
            .collect();
        let recorded = now(crm.record_emails(&writes)).unwrap();
        took(three);
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
                settlement
            })
            .collect();
        now(store.settle(&lease, &settlements)).unwrap();
        took(four);
    }
    println!("{MESSAGES} messages, {BATCH} to a batch, durable; seconds");
    for (step, time) in spent {
        println!("{step:28} {:>6.2}", time.as_secs_f64());
    }
    let all: Duration = spent.iter().map(|(_, time)| *time).sum();
    println!("{:28} {:>6.2}", "in all", all.as_secs_f64());
}
