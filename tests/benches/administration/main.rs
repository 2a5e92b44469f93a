//! How long the administration of very many mailboxes takes, against bare SQL on the same file.
//!
//! ```text
//! cargo bench --package postroom-tests --bench administration              100,000 mailboxes
//! cargo bench --package postroom-tests --bench administration -- --quick   10,000 mailboxes
//! ```
//!
//! The organization is set up from a declaration, as `postroom apply` does it. Then its mailboxes are
//! listed and filtered, a page of 50 at a time, and all of them are changed. The floors: the same pages
//! by a bare statement that reads their rows and nothing else, and one bare transaction that writes
//! every row and an entry of the audit trail. The file is as durable as in production.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod floor;
mod subject;

use std::time::{Duration, Instant};

use postroom_core::approval::ApprovalState;
use postroom_core::mailbox::{MailboxStatus, OwnerKind};
use postroom_core::tracking::TrackingFilter;
use postroom_core::{ProfileId, Timestamp};
use postroom_engine::MailboxEdit;
use postroom_store::{MailboxFilter, Page};

use floor::Floor;
use subject::Subject;

/// So many mailboxes are a page.
const PAGE: u32 = 50;
/// A page is asked for so often; the slowest counts.
const ROUNDS: usize = 3;
/// The aims.
const PAGE_MAX: Duration = Duration::from_millis(100);
const BULK_MAX: Duration = Duration::from_secs(10);

fn main() -> anyhow::Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let count = if quick { 10_000 } else { 100_000 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let bench = runtime.spawn(all(count));
    runtime.block_on(bench)?
}

async fn all(count: u32) -> anyhow::Result<()> {
    let (subject, took) = timed(Subject::prepare(count)).await?;
    println!(
        "{count} mailboxes, set up from a declaration in {}",
        shown(took)
    );
    let floor = Floor::of(subject.path());
    pages(&subject, &floor, count).await?;
    bulk(&subject, &floor, count).await
}

/// The slowest page of several.
async fn slowest(
    subject: &Subject,
    filter: &MailboxFilter,
    page: Page,
) -> anyhow::Result<(usize, Duration)> {
    let mut worst = (0, Duration::ZERO);
    for _ in 0..ROUNDS {
        let (found, took) = timed(subject.list(filter, page)).await?;
        worst = (found, worst.1.max(took));
    }
    Ok(worst)
}

async fn pages(subject: &Subject, floor: &Floor, count: u32) -> anyhow::Result<()> {
    let filter = |set: &dyn Fn(&mut MailboxFilter)| {
        let mut filter = MailboxFilter::default();
        set(&mut filter);
        filter
    };
    let first = Page::first(PAGE);
    let mut last = first;
    last.offset = u64::from(count.saturating_sub(PAGE));
    let nobody = ProfileId::from_random([99; 16]);
    let cases = [
        ("first page", filter(&|_| {}), first),
        ("last page", filter(&|_| {}), last),
        (
            "of a profile",
            filter(&|f| f.profile = Some(subject.profile())),
            first,
        ),
        (
            "of a profile that nobody has",
            filter(&|f| f.profile = Some(nobody)),
            first,
        ),
        ("active", filter(&|f| f.active = Some(true)), first),
        (
            "inactive (none)",
            filter(&|f| f.active = Some(false)),
            first,
        ),
        (
            "pending approval",
            filter(&|f| f.approval = Some(ApprovalState::Pending)),
            first,
        ),
        (
            "rejected (none)",
            filter(&|f| f.approval = Some(ApprovalState::Rejected)),
            first,
        ),
        (
            "queues (at the end)",
            filter(&|f| f.kind = Some(OwnerKind::Queue)),
            first,
        ),
        (
            "enabled (none)",
            filter(&|f| f.status = Some(MailboxStatus::Enabled)),
            first,
        ),
        (
            "not enabled",
            filter(&|f| f.status = Some(MailboxStatus::NotEnabled)),
            first,
        ),
        (
            "failing (none)",
            filter(&|f| f.status = Some(MailboxStatus::Failing)),
            first,
        ),
        (
            "disabled (none)",
            filter(&|f| f.status = Some(MailboxStatus::Disabled)),
            first,
        ),
        (
            "one by its address",
            filter(&|f| f.text = Some(format!("user{}@", count - 7))),
            first,
        ),
        (
            "a text that nobody has",
            filter(&|f| f.text = Some("zzz".to_owned())),
            first,
        ),
        (
            "failing queues of a profile, by text (none)",
            filter(&|f| {
                f.profile = Some(subject.profile());
                f.kind = Some(OwnerKind::Queue);
                f.status = Some(MailboxStatus::Failing);
                f.text = Some("desk".to_owned());
            }),
            first,
        ),
    ];
    println!("pages of {PAGE}, the slowest of {ROUNDS}:");
    let mut worst = Duration::ZERO;
    for (name, filter, page) in cases {
        let (found, took) = slowest(subject, &filter, page).await?;
        worst = worst.max(took);
        println!("  {:>9}  {name}: {found} found", shown(took));
    }
    for (name, page) in [("first", first), ("last", last)] {
        let (found, bare) = floor.page(page)?;
        println!("  {:>9}  bare SQL, {name} page: {found} found", shown(bare));
    }
    println!("  slowest {}: {}", shown(worst), met(worst, PAGE_MAX));
    Ok(())
}

async fn bulk(subject: &Subject, floor: &Floor, count: u32) -> anyhow::Result<()> {
    println!("all {count} at once:");
    let (ids, took) = timed(subject.select()).await?;
    println!("  {:>9}  selected", shown(took));
    let mut worst = Duration::ZERO;
    let mut filter = MailboxEdit::new();
    filter.filter = Some(TrackingFilter::FromLeadsContactsAccounts);
    let mut since = MailboxEdit::new();
    since.process_email_from = Some(Some(Timestamp::from_seconds(1_700_000_000)));
    for (name, edit) in [
        ("another filter", filter),
        ("another date to process email from", since),
    ] {
        let ((), took) = timed(subject.edit(&ids, &edit)).await?;
        worst = worst.max(took);
        println!("  {:>9}  edited: {name}", shown(took));
    }
    for (name, done) in [
        ("approved", timed(subject.approve(&ids)).await?),
        ("deactivated", timed(subject.switch(&ids, false)).await?),
        ("activated", timed(subject.switch(&ids, true)).await?),
        ("tests queued", timed(subject.ask_for_tests(&ids)).await?),
    ] {
        worst = worst.max(done.1);
        println!("  {:>9}  {name}", shown(done.1));
    }
    let bare = floor.rewrite()?;
    println!(
        "  {:>9}  bare SQL, every row and an audit entry in one transaction",
        shown(bare)
    );
    println!(
        "  slowest {}, {:.1} times the bare transaction: {}",
        shown(worst),
        worst.as_secs_f64() / bare.as_secs_f64(),
        met(worst, BULK_MAX)
    );
    Ok(())
}

fn met(took: Duration, aim: Duration) -> String {
    let verdict = if took <= aim { "met" } else { "missed" };
    format!("the aim of {} is {verdict}", shown(aim))
}

async fn timed<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<(T, Duration)> {
    let started = Instant::now();
    let done = work.await?;
    Ok((done, started.elapsed()))
}

fn shown(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{:.1} ms", duration.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}
