//! Chapters 1 to 5: profile, people, approval, Test & Enable.

use super::super::mail::Letter;
use super::super::world::{World, parse};
use super::{ADA, BEN, CARLA, Cast, LATER, SUPPORT, broken};
use crate::api::{AdminError, Code, PartyKind};
use crate::failure::{Exit, Failure, Result};
use crate::view;

pub(super) async fn connect(world: &World<'_>) -> Result {
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
    let test = admin
        .test_connection(
            &world.app.principal,
            profile.id,
            Some(&parse("probe@example.org")?),
        )
        .await?;
    for (_, step) in test.steps() {
        world.output.line(view::connection_step(world.output, step));
    }
    if let Some((_, _, code)) = test.first_cause() {
        return Err(Failure::of(Exit::MailSystem, code));
    }
    Ok(())
}

pub(super) async fn people(world: &World<'_>) -> Result<Cast> {
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

pub(super) async fn gate(world: &World<'_>) -> Result {
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

pub(super) async fn approve(world: &World<'_>, cast: &Cast) -> Result {
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

pub(super) async fn test(world: &World<'_>, cast: &Cast) -> Result {
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
                code.unwrap_or(Code::NotEnabled),
            ));
        }
    }
    Ok(())
}
