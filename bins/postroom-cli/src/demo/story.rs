//! The chapters of the story.

use std::collections::BTreeMap;
use std::time::Duration;

use postroom_simulator::exchange::{Fault, FaultRule};
use serde_json::{Value, json};

use super::mail::{Letter, header};
use super::world::{World, parse};
use super::{Report, account};
use crate::api::{
    AdminError, AlertFilter, LedgerEntry, LedgerFilter, LedgerState, Mailbox, NamedAddress,
    NewEmail, OutboxFilter, Page, PartyKind, RecordId,
};
use crate::command::explain;
use crate::failure::{Exit, Failure, Result};
use crate::view;

const ADA: &str = "ada@example.org";
const BEN: &str = "ben@example.org";
const SUPPORT: &str = "support@example.org";
const CARLA: &str = "carla@northwind.example";
const DAN: &str = "dan@fabrikam.example";

/// At most so many attempts are waited for.
const ATTEMPTS_MAX: u32 = 12;
/// How far the clock moves between two attempts.
const LATER: Duration = Duration::from_secs(10 * 60);

/// The three mailboxes.
#[derive(Debug)]
struct Cast {
    ada: Mailbox,
    ben: Mailbox,
    support: Mailbox,
}

impl Cast {
    fn all(&self) -> [&Mailbox; 3] {
        [&self.ada, &self.ben, &self.support]
    }
}

/// Tells the whole story.
pub(crate) async fn tell(world: &World<'_>) -> Result<Report> {
    world.say("Postroom keeps an application's records and people's Exchange mailboxes in step.");
    world.say(
        "Everything here is real but the Exchange server, which is simulated in this process.",
    );
    connect(world).await?;
    let cast = people(world).await?;
    gate(world).await?;
    approve(world, &cast).await?;
    test(world, &cast).await?;
    let quote = write(world, &cast).await?;
    let message = sent_message(world)?;
    let arrived = arrive(world, &message)?;
    receive(world, &cast, quote).await?;
    let attempts = quarantine(world, &cast).await?;
    answer(world, &cast).await?;
    alerts(world).await?;
    explanations(world, &cast).await?;
    accounts(world, arrived, attempts).await
}

async fn connect(world: &World<'_>) -> Result {
    world.chapter("1  A server profile says how to reach the mail system");
    let profile = world.create_profile(true).await?;
    world.show(format!("profile {}: {}", profile.name, world.url()));
    world.say(
        "One service account impersonates the mailboxes. The password is sealed in the store.",
    );
    let admin = &world.app.admin;
    // The mailbox must exist on the server to be opened; here it does not have to yet.
    world
        .exchange
        .mail()
        .add_account(postroom_simulator::model::Account::new("probe@example.org"))
        .map_err(|error| Failure::usage(error.to_string()))?;
    let report = admin
        .test_connection(
            &world.app.principal,
            profile.id,
            &parse("probe@example.org")?,
        )
        .await?;
    for step in &report.steps {
        world.output.line(view::probe_step(world.output, step));
    }
    if let Some(code) = report.first_failure() {
        return Err(Failure::of(Exit::MailSystem, code));
    }
    Ok(())
}

async fn people(world: &World<'_>) -> Result<Cast> {
    world.chapter("2  Two users and a queue, each with a mailbox");
    let ada = world
        .create_owner(PartyKind::User, "Ada Lovelace", ADA)
        .await?;
    let ben = world.create_owner(PartyKind::User, "Ben Ohm", BEN).await?;
    let support = world
        .create_owner(PartyKind::Queue, "Support", SUPPORT)
        .await?;
    let crm = world.app.crm();
    crm.create_party(PartyKind::Contact, "Carla Jones", &[parse(CARLA)?], None)
        .await
        .map_err(AdminError::from)?;
    world.show(format!(
        "user {ADA}, user {BEN}: track replies to the application's email"
    ));
    world.show(format!("queue {SUPPORT}: tracks everything"));
    world.show(format!("and a customer on record: Carla Jones, {CARLA}"));
    Ok(Cast { ada, ben, support })
}

async fn gate(world: &World<'_>) -> Result {
    world.chapter("3  Before approval nothing moves");
    world.deliver(
        Letter {
            from: "Early Bird <early@bird.example>",
            to: ADA,
            subject: "Too early",
            id: "<early@bird.example>",
            text: "This came before anybody approved anything.",
            ..Letter::default()
        }
        .write(),
        &[ADA],
    );
    let requests = requests(world);
    let report = world.sync().await?;
    if requests != self::requests(world) || report.cycles > 0 {
        return Err(broken("there was traffic before approval"));
    }
    world.good("a message waits for Ada on the server; Postroom did not even connect: the address is pending approval");
    // Mail that is older than the mailbox's enabling is left alone.
    world.clock.advance(LATER);
    Ok(())
}

fn requests(world: &World<'_>) -> u64 {
    world.exchange.request_counts().values().sum()
}

async fn approve(world: &World<'_>, cast: &Cast) -> Result {
    world.chapter("4  An administrator approves the addresses");
    let ids: Vec<_> = cast.all().iter().map(|mailbox| mailbox.id).collect();
    for (_, outcome) in world.app.admin.approve(&world.app.principal, &ids).await {
        let mailbox = outcome?;
        world.good(format!(
            "{} is {}",
            view::address(&mailbox),
            view::approval_words(mailbox.approval)
        ));
    }
    Ok(())
}

async fn test(world: &World<'_>, cast: &Cast) -> Result {
    world.chapter("5  Test & Enable");
    world.say(
        "Each mailbox is opened, read, and sends a message to itself. What passes is enabled.",
    );
    for (index, mailbox) in cast.all().into_iter().enumerate() {
        let job = world.test(mailbox).await?;
        let mailbox = world
            .app
            .admin
            .mailbox(&world.app.principal, mailbox.id)
            .await?;
        if index == 0 {
            for step in &job.steps {
                world.output.line(view::test_step(world.output, step));
            }
        }
        world.show(format!(
            "{}: incoming {}; outgoing {}",
            view::address(&mailbox),
            view::workload_words(&mailbox.incoming),
            view::workload_words(&mailbox.outgoing),
        ));
        if !mailbox.incoming.enabled || !mailbox.outgoing.enabled {
            let code = job.steps.iter().find_map(|step| step.failure);
            return Err(Failure::of(
                Exit::MailSystem,
                code.unwrap_or(crate::api::Code::NotEnabled),
            ));
        }
    }
    Ok(())
}

async fn write(world: &World<'_>, cast: &Cast) -> Result<RecordId> {
    world.chapter("6  Ada writes to her customer, in the application");
    let record = send(
        world,
        &cast.ada,
        CARLA,
        "Quote for twelve lamps",
        "Dear Carla, twelve lamps are 240.",
        None,
    )
    .await?;
    world.sync().await?;
    let outside = world.exchange.mail().outside();
    if outside.len() != 1 {
        return Err(broken(&format!("the email left {} times", outside.len())));
    }
    let message = sent_message(world)?;
    world.good("sent, visibly once; the subject got a tracking token:");
    world.show(format!(
        "Subject: {}",
        header(&message, "Subject").unwrap_or_default()
    ));
    Ok(record)
}

async fn send(
    world: &World<'_>,
    mailbox: &Mailbox,
    to: &str,
    subject: &str,
    text: &str,
    in_reply_to: Option<RecordId>,
) -> Result<RecordId> {
    let (Some(sender), Some(address)) = (mailbox.owner.party(), mailbox.address.clone()) else {
        return Err(broken("the mailbox has no owner or address"));
    };
    let mut email = NewEmail::new(
        sender,
        NamedAddress::new(mailbox.name.clone(), address),
        subject,
    );
    email.to = vec![parse(to)?.into()];
    email.text = Some(text.to_owned());
    email.in_reply_to = in_reply_to;
    Ok(world
        .app
        .crm()
        .send_email(&email, world.app.now())
        .await
        .map_err(AdminError::from)?)
}

/// The first message that left, as its recipient got it.
fn sent_message(world: &World<'_>) -> Result<String> {
    let outside = world.exchange.mail().outside();
    let message = outside
        .first()
        .ok_or_else(|| broken("nothing left the server"))?;
    Ok(String::from_utf8_lossy(&message.content).into_owned())
}

/// Brings the day's mail; answers how many copies were stored.
fn arrive(world: &World<'_>, sent: &str) -> Result<usize> {
    world.chapter("7  Mail arrives");
    let id =
        header(sent, "Message-ID").ok_or_else(|| broken("the sent message has no Message-ID"))?;
    let subject = header(sent, "Subject").unwrap_or_default();
    let reply = format!("Re: {subject}");
    let carla = format!("Carla Jones <{CARLA}>");
    let dan = format!("Dan Smith <{DAN}>");
    let letters = [
        (
            "Carla replies; her program keeps the subject but drops In-Reply-To",
            Letter {
                from: &carla,
                to: ADA,
                cc: SUPPORT,
                subject: &reply,
                id: "<reply-1@northwind.example>",
                text: "We take them. Support reads along.",
                ..Letter::default()
            },
            vec![ADA, SUPPORT],
        ),
        (
            "Carla writes again; new subject, but In-Reply-To is there",
            Letter {
                from: &carla,
                to: ADA,
                subject: "One more thing",
                id: "<reply-2@northwind.example>",
                in_reply_to: id,
                text: "Can we have them on Monday?",
                ..Letter::default()
            },
            vec![ADA],
        ),
        (
            "a stranger writes to Ada out of the blue",
            Letter {
                from: "Eve <eve@stranger.example>",
                to: ADA,
                subject: "Shall we have lunch?",
                id: "<cold@stranger.example>",
                text: "It is private.",
                ..Letter::default()
            },
            vec![ADA],
        ),
        (
            "spam reaches Ben",
            Letter {
                from: "Best Prices <win@spam.example>",
                to: BEN,
                subject: "YOU WON",
                id: "<spam@spam.example>",
                text: "Click here.",
                ..Letter::default()
            },
            vec![BEN],
        ),
        (
            "Dan asks the support queue",
            Letter {
                from: &dan,
                to: SUPPORT,
                subject: "A lamp flickers",
                id: "<dan-1@fabrikam.example>",
                text: "What can I do?",
                ..Letter::default()
            },
            vec![SUPPORT],
        ),
    ];
    let mut stored = 0;
    for (what, letter, to) in letters {
        world.show(format!("- {what}"));
        stored += world.deliver(letter.write(), &to).len();
    }
    world.show("- a message that the server cannot hand out: its stored form is damaged");
    let broken_letter = Letter {
        from: "Old Scanner <scan@fabrikam.example>",
        to: SUPPORT,
        subject: "Scan 0001",
        id: "<scan@fabrikam.example>",
        text: "(damaged)",
        ..Letter::default()
    };
    for id in world.deliver(broken_letter.write(), &[SUPPORT]) {
        let item = world
            .exchange
            .mail()
            .item(id)
            .map_err(|error| broken(&error.to_string()))?;
        world.exchange.faults().add(
            FaultRule::new(Fault::Corrupt)
                .operation("GetItem")
                .item(&item),
        );
        stored += 1;
    }
    Ok(stored)
}

async fn receive(world: &World<'_>, cast: &Cast, quote: RecordId) -> Result {
    world.chapter("8  One cycle: decide, fetch what is tracked, record, explain");
    world.sync().await?;
    let mut rows = Vec::new();
    for mailbox in cast.all() {
        for entry in ledger(world, mailbox).await? {
            rows.push([
                view::address(mailbox),
                subject(world, mailbox, &entry)?,
                outcome(world, &entry, quote).await?,
            ]);
        }
    }
    world
        .output
        .table(["Mailbox", "Message", "What became of it"], rows);
    world.say("A message in two mailboxes is one record: the second copy joins it.");
    world.say("What is filtered stays on the server, untouched; only the decision is kept.");
    Ok(())
}

/// A mailbox's ledger, oldest first.
async fn ledger(world: &World<'_>, mailbox: &Mailbox) -> Result<Vec<LedgerEntry>> {
    let mut filter = LedgerFilter::default();
    filter.mailbox = Some(mailbox.id);
    let mut entries = world
        .app
        .admin
        .ledger(&world.app.principal, &filter, Page::first(1000))
        .await?;
    entries.sort_by_key(|entry| (entry.received_at, entry.remote_id.clone()));
    Ok(entries)
}

/// The subject by the server's own account: the store keeps none of what it did not record.
fn subject(world: &World<'_>, mailbox: &Mailbox, entry: &LedgerEntry) -> Result<String> {
    let account = world.account(&view::address(mailbox))?;
    let mail = world.exchange.mail();
    let found = mail
        .folders(account)
        .into_iter()
        .flat_map(|folder| mail.items(folder.id))
        .find(|item| world.exchange.client_id(account, item.id) == entry.remote_id.as_str());
    Ok(found.map_or_else(
        || "(moved)".to_owned(),
        |item| item.summary().subject.clone(),
    ))
}

async fn outcome(world: &World<'_>, entry: &LedgerEntry, quote: RecordId) -> Result<String> {
    let LedgerState::Delivered { record, created } = &entry.state else {
        return Ok(crate::command::email::state_words(&entry.state));
    };
    let email = world
        .app
        .crm()
        .email(*record)
        .await
        .map_err(AdminError::from)?;
    let belongs = match email.and_then(|email| email.summary.correlated) {
        Some((other, method)) if other == quote => {
            format!(", belongs to the quote by {}", view::words(&method))
        }
        Some((_, method)) => format!(", belongs to an email by {}", view::words(&method)),
        None => String::new(),
    };
    let how = if *created {
        "recorded"
    } else {
        "joined its record"
    };
    Ok(format!("{how}{belongs}"))
}

async fn quarantine(world: &World<'_>, cast: &Cast) -> Result<u32> {
    world.chapter("9  The broken message costs three attempts, then it is set aside");
    let mut attempts = 1;
    loop {
        let broken = ledger(world, &cast.support)
            .await?
            .into_iter()
            .find(|entry| {
                matches!(
                    entry.state,
                    LedgerState::Quarantined { .. } | LedgerState::Pending { .. }
                )
            });
        match broken.map(|entry| entry.state) {
            Some(LedgerState::Quarantined { code, .. }) => {
                world.good(format!("attempt {attempts}: quarantined with {code}"));
                break;
            }
            Some(LedgerState::Pending {
                last: Some(code), ..
            }) if attempts < ATTEMPTS_MAX => {
                world.show(format!(
                    "attempt {attempts}: {code}; tried again later (the demo's clock moves on)"
                ));
            }
            _ => {
                return Err(self::broken(
                    "the broken message is in no state that it should be in",
                ));
            }
        }
        world.clock.advance(LATER);
        world.sync().await?;
        attempts += 1;
    }
    let account = world.account(SUPPORT)?;
    let mail = world.exchange.mail();
    let moved = mail
        .folders(account)
        .into_iter()
        .filter(|folder| folder.name == account::UNDELIVERABLE)
        .map(|folder| mail.items(folder.id).len())
        .sum::<usize>();
    if moved == 0 {
        return Err(broken("the broken message is not in Undeliverable"));
    }
    world.good(format!(
        "on the server it lies in the folder {} now, as the profile says",
        account::UNDELIVERABLE
    ));
    Ok(attempts)
}

async fn answer(world: &World<'_>, cast: &Cast) -> Result {
    world.chapter("10  The queue answers Dan");
    let asked = ledger(world, &cast.support)
        .await?
        .into_iter()
        .find_map(|entry| match entry.state {
            LedgerState::Delivered {
                record,
                created: true,
            } => Some(record),
            _ => None,
        });
    let asked = asked.ok_or_else(|| broken("Dan's question is not on record"))?;
    send(
        world,
        &cast.support,
        DAN,
        "Re: A lamp flickers",
        "Please turn the bulb.",
        Some(asked),
    )
    .await?;
    world.sync().await?;
    let outside = world.exchange.mail().outside();
    let message = outside
        .last()
        .filter(|_| outside.len() == 2)
        .ok_or_else(|| {
            broken(&format!(
                "{} messages left the server, not 2",
                outside.len()
            ))
        })?;
    let text = String::from_utf8_lossy(&message.content).into_owned();
    world.good("sent, as an answer to his message:");
    world.show(format!(
        "In-Reply-To: {}",
        header(&text, "In-Reply-To").unwrap_or("-")
    ));
    Ok(())
}

async fn alerts(world: &World<'_>) -> Result {
    world.chapter("11  What somebody should know");
    let (admin, principal) = (&world.app.admin, &world.app.principal);
    let alerts = admin
        .alerts(principal, &AlertFilter::default(), Page::first(100))
        .await?;
    let rows = alerts.iter().map(|alert| {
        [
            view::words(&alert.level),
            alert.text.clone(),
            alert.incident.code.spec().remedy.to_owned(),
        ]
    });
    world.output.table(["Level", "What", "What to do"], rows);
    Ok(())
}

async fn explanations(world: &World<'_>, cast: &Cast) -> Result {
    world.chapter("12  Why? One that is on record, and one that is not");
    let entries = ledger(world, &cast.ada).await?;
    let tracked = entries
        .iter()
        .find(|entry| matches!(entry.state, LedgerState::Delivered { .. }));
    let refused = entries
        .iter()
        .rev()
        .find(|entry| matches!(entry.state, LedgerState::Filtered { .. }));
    for entry in [tracked, refused].into_iter().flatten() {
        let id = entry.id.to_string();
        for explanation in world.app.admin.explain(&world.app.principal, &id).await? {
            explain::print(&world.app, &explanation).await?;
        }
    }
    Ok(())
}

async fn accounts(world: &World<'_>, arrived: usize, attempts: u32) -> Result<Report> {
    world.chapter("13  Every message accounted for");
    // Once more, so that nothing of our own doing is left unseen.
    world.sync().await?;
    let lines = account::lines(world).await?;
    let incoming_matches = account::print(world, &lines);
    let (outgoing, outgoing_matches) = outgoing(world).await?;
    world.say("On the server: what lies in Inbox and Undeliverable. Filtered counts the test messages, the");
    world.say("message from before the approval, the cold mail and the spam.");
    let sums_match = incoming_matches && outgoing_matches;
    Ok(Report {
        sums_match,
        document: json!({
            "arrived": arrived,
            "quarantine_attempts": attempts,
            "mailboxes": account::document(&lines),
            "outgoing": outgoing,
            "sums_match": sums_match,
        }),
    })
}

/// Each email of the outbox, and how often the server sent it.
async fn outgoing(world: &World<'_>) -> Result<(Value, bool)> {
    let (admin, principal) = (&world.app.admin, &world.app.principal);
    let entries = admin
        .outbox(principal, &OutboxFilter::default(), Page::first(1000))
        .await?;
    let mut copies: BTreeMap<String, u64> = BTreeMap::new();
    for message in world.exchange.mail().outside() {
        let text = String::from_utf8_lossy(&message.content).into_owned();
        let id = header(&text, "Message-ID")
            .unwrap_or_default()
            .trim_matches(['<', '>'])
            .to_owned();
        *copies.entry(id).or_default() += 1;
    }
    let written: Vec<_> = entries
        .iter()
        .filter(|entry| entry.record.is_some())
        .collect();
    let tests = entries.len() - written.len();
    let once = written
        .iter()
        .filter(|entry| copies.get(entry.message_id.as_str()) == Some(&1))
        .count();
    let left: u64 = copies.values().sum();
    let matches = once == written.len() && left == u64::try_from(written.len()).unwrap_or(u64::MAX);
    world.show(format!(
        "outgoing: {} written, {once} sent exactly once, {left} left the server; {tests} test messages stayed inside: {}",
        written.len(),
        if matches { "match" } else { "DO NOT MATCH" },
    ));
    let document = json!({ "written": written.len(), "sent_once": once, "left_the_server": left, "tests": tests, "match": matches });
    Ok((document, matches))
}

fn broken(what: &str) -> Failure {
    Failure::of(Exit::Failure, crate::api::Code::Internal)
        .message(format!("the demo did not go as it should: {what}"))
}
