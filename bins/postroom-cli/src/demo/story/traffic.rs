//! Chapters 6 to 10: mail goes out and comes in.

use postroom_simulator::exchange::{Fault, FaultRule};

use super::super::account::UNDELIVERABLE;
use super::super::mail::{Letter, header};
use super::super::world::World;
use super::{
    ADA, BEN, CARLA, Cast, DAN, LATER, SUPPORT, broken, ledger, send, sent_message, subject,
};
use crate::api::{AdminError, LedgerEntry, LedgerState, RecordId};
use crate::command::email::state_words;
use crate::failure::Result;
use crate::view;

/// At most so many attempts are waited for.
const ATTEMPTS_MAX: u32 = 12;

pub(super) async fn write(world: &World<'_>, cast: &Cast) -> Result<RecordId> {
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

/// Brings the day's mail; answers how many copies were stored.
pub(super) fn arrive(world: &World<'_>, sent: &str) -> Result<usize> {
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

pub(super) async fn receive(world: &World<'_>, cast: &Cast, quote: RecordId) -> Result {
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

async fn outcome(world: &World<'_>, entry: &LedgerEntry, quote: RecordId) -> Result<String> {
    let LedgerState::Delivered { record, created } = &entry.state else {
        return Ok(state_words(&entry.state));
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

pub(super) async fn quarantine(world: &World<'_>, cast: &Cast) -> Result<u32> {
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
        .filter(|folder| folder.name == UNDELIVERABLE)
        .map(|folder| mail.items(folder.id).len())
        .sum::<usize>();
    if moved == 0 {
        return Err(broken("the broken message is not in Undeliverable"));
    }
    world.good(format!(
        "on the server it lies in the folder {} now, as the profile says",
        UNDELIVERABLE
    ));
    Ok(attempts)
}

pub(super) async fn answer(world: &World<'_>, cast: &Cast) -> Result {
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
