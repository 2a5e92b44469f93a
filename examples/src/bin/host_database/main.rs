//! A host with a database of its own: it implements `Crm`, and no restart makes a duplicate.
//!
//! `crm.rs` is the host. All that it owes Postroom is in `HostCrm::write`: the idempotency key is a
//! unique column, stored in the same transaction as the row. This file shows why that is enough. The
//! host "dies" right after it has committed and before it could answer; everything is opened anew;
//! each message is there exactly once. docs/guides/embed.md walks through it.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod crm;

use std::sync::Arc;

use anyhow::ensure;
use postroom::Engine;
use postroom::core::job::JobKind;
use postroom::core::mailbox::{DeliveryMethod, MailboxOwner};
use postroom::core::organization::{Deployment, DeploymentKind};
use postroom::core::principal::Principal;
use postroom::core::profile::ProfileKind;
use postroom::core::{Organization, OrganizationId};
use postroom::engine::{MailboxEdit, NewMailbox};
use postroom::provider::ProviderRegistry;
use postroom::sqlite::{SqliteStorage, StorageOptions};
use postroom_simulator::memory::{MemoryFactory, MemoryServer};
use postroom_simulator::model::{Account, MailSystem, SystemClock};

use crm::{HostCrm, random16};

const DESK: &str = "desk@example.org";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let operator = Principal::operator("setup");

    // A mail system in memory; its name is what the profile calls for.
    let mail = Arc::new(MailSystem::new(Arc::new(SystemClock), 1));
    mail.add_account(Account::new(DESK))?;
    let server = MemoryServer::new(Arc::clone(&mail));
    let registry = || ProviderRegistry::new().with(Arc::new(MemoryFactory::new(server.clone())));

    // Postroom's truth in its file, the application's records in the host's.
    let options = StorageOptions::new(folder.path().join("postroom.sqlite"));
    let deployment = Deployment::new(DeploymentKind::OnPremises);
    let organization =
        Organization::new(OrganizationId::from_random(random16()), "Host", deployment);
    let storage = SqliteStorage::create(&options, &organization)?;
    let host = HostCrm::open(&folder.path().join("host.sqlite"), true)?;
    let queue = host.add_person("queue", "Desk", DESK)?;
    host.add_person("contact", "Jo", "jo@example.net")?;
    let crm = Arc::<HostCrm>::clone(&host);
    let engine = Engine::builder(storage.store(), crm, registry()).build()?;

    // A profile and a mailbox that tracks everything, approved, tested and enabled.
    let admin = engine.admin();
    let profile = admin.new_profile("Memory", ProfileKind::Custom("memory".to_owned()));
    let profile = admin.create_profile(&operator, &profile).await?;
    let new = NewMailbox::new("Desk", MailboxOwner::Queue(queue), Some(DESK.parse()?));
    let mailbox = admin.create_mailbox(&operator, new).await?.id;
    let mut edit = MailboxEdit::new();
    edit.profile = Some(Some(profile.id));
    edit.outgoing = Some(DeliveryMethod::None);
    admin.edit_mailbox(&operator, mailbox, &edit).await?;
    for (_, approved) in admin.approve(&operator, &[mailbox]).await {
        approved?;
    }
    let test = JobKind::TestAndEnable;
    let job = admin.test_mailbox(&operator, mailbox, test).await?;
    let job = admin.run_job(&operator, job.id).await?;
    let failed = job.steps.iter().filter(|step| step.failure.is_some());
    ensure!(failed.count() == 0, "the test failed: {:?}", job.steps);

    for number in 1..=3 {
        let message = format!("From: jo@example.net\r\nSubject: Order {number}\r\n\r\nHello.\r\n");
        mail.deliver(message, &[DESK]);
    }
    println!("3 messages wait on the server");

    // The host commits, and dies before it can answer.
    let report = engine.step().await?;
    ensure!(report.failed == 1, "the host should have died");
    let counts = admin.counts(&operator, None).await?;
    let held = host.emails()?.len();
    println!("the host died: it holds {held} emails, Postroom knows of none");
    ensure!(held == 3 && counts.ledger.get("pending") == Some(&3));
    drop((engine, admin, storage, host));

    // Everything is opened again, as after a restart, and the engine goes on where it was.
    let storage = SqliteStorage::open(&options)?;
    let host = HostCrm::open(&folder.path().join("host.sqlite"), false)?;
    let crm = Arc::<HostCrm>::clone(&host);
    let engine = Engine::builder(storage.store(), crm, registry()).build()?;
    let admin = engine.admin();
    for (_, due) in admin.sync_now(&operator, &[mailbox]).await {
        due?;
    }
    engine.step().await?;
    let counts = admin.counts(&operator, None).await?;
    let held = host.emails()?;
    println!("after the restart: it holds {held:?}");
    ensure!(held == ["Order 1", "Order 2", "Order 3"], "not each once");
    ensure!(counts.ledger.get("delivered") == Some(&3), "{counts:?}");
    println!("each message is there exactly once");
    Ok(())
}
