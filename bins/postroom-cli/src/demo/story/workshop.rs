//! Chapter 11: a mailbox that is reached by POP3 and SMTP.

use super::super::mail::{Letter, header};
use super::super::world::World;
use super::{DAN, EMMA, broken, ledger, send};
use crate::api::{
    Channel, CredentialSource, LedgerState, MailboxEdit, PartyKind, ProfileKind, Secret,
    TrackingFilter,
};
use crate::failure::{Exit, Failure, Result};
use crate::view;
use postroom_simulator::exchange::ListenOptions;
use postroom_simulator::pop3::{Pop3Listening, Pop3Server};
use postroom_simulator::smtp::{SmtpListening, SmtpServer};

/// The servers, which run as long as this is kept, and how many messages came to them.
#[derive(Debug)]
pub(super) struct Workshop {
    pub(super) arrived: usize,
    _reading: Pop3Listening,
    _sending: SmtpListening,
}

/// A second mail system of the same people: a workshop with a provider of its own.
pub(super) async fn workshop(world: &World<'_>) -> Result<Workshop> {
    world.chapter("11  The same by POP3 and SMTP");
    let mail = world.exchange.mail();
    let failed = |error: postroom_simulator::exchange::ListenError| {
        Failure::of(Exit::Failure, crate::api::Code::Internal).message(error.to_string())
    };
    let pop3 = Pop3Server::new(std::sync::Arc::clone(mail)).map_err(failed)?;
    let smtp = SmtpServer::new(std::sync::Arc::clone(mail)).map_err(failed)?;
    let reading = pop3.listen(ListenOptions::https()).await.map_err(failed)?;
    let sending = smtp.listen(ListenOptions::http()).await.map_err(failed)?;

    let (admin, principal) = (&world.app.admin, &world.app.principal);
    let mut profile = admin.new_profile("Workshop", ProfileKind::Pop3Smtp);
    profile.incoming.location = Some(format!("pop3s://{}", reading.address()));
    profile.outgoing.location = Some(format!("smtp://{}", sending.address()));
    profile.incoming.credentials = CredentialSource::Mailbox;
    profile.incoming.impersonation = false;
    let authorities = [pop3.certificate_pem(), smtp.certificate_pem()];
    profile.extra_authorities_pem = Some(authorities.concat());
    let profile = admin.create_profile(principal, &profile).await?;
    world.show("profile Workshop: mail is read by POP3 over TLS and leaves by SMTP with STARTTLS");
    world.say("Here each mailbox has a password of its own, and nobody impersonates anybody.");

    let emma = world
        .create_owner(PartyKind::User, "Emma Weber", EMMA)
        .await?;
    let mut edit = MailboxEdit::new();
    edit.profile = Some(Some(profile.id));
    edit.filter = Some(TrackingFilter::All);
    edit.allow_credentials = Some(true);
    admin.edit_mailbox(principal, emma.id, &edit).await?;
    let password = Secret::new("not used");
    admin
        .set_mailbox_credentials(principal, emma.id, EMMA, &password, Channel::Local)
        .await?;
    for (_, outcome) in admin.approve(principal, &[emma.id]).await {
        outcome?;
    }
    let job = world.test(&emma).await?;
    for step in &job.steps {
        world.output.line(view::test_step(world.output, step));
    }
    if let Some(code) = job.steps.iter().find_map(|step| step.failure) {
        return Err(Failure::of(Exit::MailSystem, code));
    }

    let letter = Letter {
        from: "Dan Miller <dan@fabrikam.example>",
        to: EMMA,
        subject: "Spare parts",
        id: "<parts@fabrikam.example>",
        text: "Do you have the socket for lamp 7?",
        ..Letter::default()
    };
    let arrived = world.deliver(letter.write(), &[EMMA]).len();
    world.sync().await?;
    let asked = ledger(world, &emma).await?;
    let asked = asked.into_iter().find_map(|entry| match entry.state {
        LedgerState::Delivered { record, .. } => Some(record),
        _ => None,
    });
    let asked = asked.ok_or_else(|| broken("the message by POP3 is not on record"))?;
    world.good("Dan's message came by POP3 and is on record");
    let before = mail.outside().len();
    let text = "Yes, two of them.";
    send(world, &emma, DAN, "Re: Spare parts", text, Some(asked)).await?;
    world.sync().await?;
    let outside = mail.outside();
    let message = outside
        .last()
        .filter(|_| outside.len() == before + 1)
        .ok_or_else(|| broken("the answer did not leave by SMTP once"))?;
    let text = String::from_utf8_lossy(&message.content).into_owned();
    world.good("Emma's answer left by SMTP:");
    world.show(format!(
        "In-Reply-To: {}",
        header(&text, "In-Reply-To").unwrap_or("-")
    ));
    Ok(Workshop {
        arrived,
        _reading: reading,
        _sending: sending,
    })
}
