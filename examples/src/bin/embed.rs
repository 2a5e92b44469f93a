//! The engine inside another program: from nothing to mail that becomes records, in 30 lines.
//!
//! `embed` is all there is to it. The rest of this file is a mail system to try it on: a simulated
//! Exchange server in this process, which serves over TLS as a real one does. docs/guides/embed.md
//! walks through it.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use postroom::Postroom;
use postroom::core::channel::Channel;
use postroom::core::job::JobKind::TestAndEnable;
use postroom::core::mailbox::MailboxOwner;
use postroom::core::organization::{Deployment, DeploymentKind};
use postroom::core::party::PartyKind;
use postroom::core::principal::Principal;
use postroom::core::profile::ProfileKind;
use postroom::core::{Secret, Timestamp};
use postroom::engine::{MailboxEdit, NewMailbox, ProfileDirection};
use postroom::sqlite::{EmailFilter, KeySource, StorageOptions, create_key_file};
use postroom::store::Page;
use postroom_simulator::exchange::{Exchange, ListenOptions, Listening};
use postroom_simulator::model::Account;

const SUPPORT: &str = "support@example.org";
const USER: &str = "postroom@example.org";
const PASSWORD: &str = "only for the example";

async fn embed(server: &Listening, folder: &Path) -> anyhow::Result<()> {
    // A store in one file, and the key that seals its passwords.
    let key = folder.join("postroom.key");
    create_key_file(&key)?;
    let options = StorageOptions::new(folder).with_key(KeySource::File(key));
    let deployment = Deployment::new(DeploymentKind::OnPremises);
    let postroom = Postroom::create(&options, "Contoso", deployment)?;
    let (admin, setup) = (postroom.admin(), Principal::operator("setup"));

    // How to reach the mail system.
    let mut profile = admin.new_profile("Office", ProfileKind::ExchangeServer);
    profile.incoming.location = Some(server.url());
    profile.extra_authorities_pem = server.certificate_pem().map(str::to_owned);
    profile.process_email_from = Some(Timestamp::EPOCH);
    let profile = admin.create_profile(&setup, &profile).await?.id;
    let (way, entry) = (ProfileDirection::Incoming, Channel::Local);
    let password = Secret::new(PASSWORD);
    admin
        .set_profile_credentials(&setup, profile, way, USER, &password, entry)
        .await?;

    // A queue, its mailbox, and the approval of its address.
    let (crm, address) = (postroom.crm(), [SUPPORT.parse()?]);
    let queue = crm.create_party(PartyKind::Queue, "Support", &address, None);
    let owner = MailboxOwner::Queue(queue.await?);
    let new = NewMailbox::new("Support", owner, Some(SUPPORT.parse()?));
    let mailbox = admin.create_mailbox(&setup, new).await?.id;
    let mut edit = MailboxEdit::new();
    edit.profile = Some(Some(profile));
    admin.edit_mailbox(&setup, mailbox, &edit).await?;
    let done = admin.approve(&setup, &[mailbox]).await;
    done.into_iter().try_for_each(|(_, one)| one.map(drop))?;

    // The engine runs, and takes up what the test finds in order.
    let engine = postroom.engine().start();
    admin.test_mailbox(&setup, mailbox, TestAndEnable).await?;
    show_what_arrives(&postroom).await?;
    Ok(engine.stop().await?)
}

async fn show_what_arrives(postroom: &Postroom) -> anyhow::Result<()> {
    let (crm, all) = (postroom.crm(), EmailFilter::default());
    let arrived = async {
        while crm.count_emails(&all).await? < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(crm.emails(&all, Page::first(10)).await?)
    };
    let arrived = tokio::time::timeout(Duration::from_secs(60), arrived).await;
    for email in arrived.context("nothing arrived within a minute")?? {
        println!("on record: {}", email.headers.subject);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let service = Account::new(USER).login(USER, PASSWORD);
    let exchange = Exchange::builder()
        .account(service.impersonates_everybody())
        .account(Account::new(SUPPORT))
        .build()?;
    let server = exchange.listen(ListenOptions::https()).await?;
    for subject in ["Where is my order?", "Thank you"] {
        let message = format!("From: jo@example.net\r\nSubject: {subject}\r\n\r\nHello.\r\n");
        exchange.mail().deliver(message, &[SUPPORT]);
    }

    let folder = tempfile::tempdir()?;
    embed(&server, folder.path()).await?;
    println!("stopped");
    server.stop().await;
    Ok(())
}
