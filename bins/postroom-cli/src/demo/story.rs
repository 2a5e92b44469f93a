//! The chapters of the story.

mod ending;
mod setup;
mod traffic;
mod workshop;

use std::time::Duration;

use super::Report;
use super::world::{World, parse};
use crate::api::{
    AdminError, Code, LedgerEntry, LedgerFilter, Mailbox, NamedAddress, NewEmail, Page, RecordId,
};
use crate::failure::{Exit, Failure, Result};
use crate::view;
use ending::{accounts, alerts, explanations};
use setup::{approve, connect, gate, people, test};
use traffic::{answer, arrive, quarantine, receive, write};
use workshop::workshop;

const ADA: &str = "ada@example.org";
const BEN: &str = "ben@example.org";
const SUPPORT: &str = "support@example.org";
const EMMA: &str = "emma@workshop.example";
const CARLA: &str = "carla@northwind.example";
const DAN: &str = "dan@fabrikam.example";

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
    let workshop = workshop(world).await?;
    alerts(world).await?;
    explanations(world, &cast).await?;
    accounts(world, arrived + workshop.arrived, attempts).await
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

fn broken(what: &str) -> Failure {
    Failure::of(Exit::Failure, Code::Internal)
        .message(format!("the demo did not go as it should: {what}"))
}
