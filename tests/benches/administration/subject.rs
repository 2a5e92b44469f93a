//! An organization with very many mailboxes, and what an administrator does with them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use postroom_core::job::JobKind;
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::principal::Principal;
use postroom_core::{MailboxId, Organization, OrganizationId, ProfileId};
use postroom_engine::declaration::{Declaration, PlanOptions, Secrets, plan};
use postroom_engine::{Admin, Engine, MailboxEdit};
use postroom_ews::EwsFactory;
use postroom_provider::ProviderRegistry;
use postroom_store::{MailboxFilter, Page};
use postroom_store_sqlite::{SqliteStorage, StorageOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROFILE: &str = "Head office";

#[derive(Debug)]
pub(crate) struct Subject {
    admin: Admin,
    operator: Principal,
    profile: ProfileId,
    path: PathBuf,
    _engine: Engine,
    _folder: TempDir,
}

/// One queue in a hundred; the rest are users.
fn declaration(count: u32) -> Value {
    let entry = |kind: &str, number: u32| {
        json!({
            "name": format!("{kind} {number:06}"),
            "address": format!("{kind}{number}@here.example"),
        })
    };
    let queues = count / 100;
    json!({
        "organization": { "settings": { "mailbox_defaults": {
            "profile": PROFILE, "incoming": "server_side", "outgoing": "server_side",
        } } },
        "profile": [{
            "name": PROFILE, "kind": "exchange-server",
            "incoming": { "location": "https://mail.here.example/EWS/Exchange.asmx", "user_name": "service" },
        }],
        "user": (queues..count).map(|n| entry("user", n)).collect::<Vec<_>>(),
        "queue": (0..queues).map(|n| entry("zdesk", n)).collect::<Vec<_>>(),
    })
}

impl Subject {
    pub(crate) async fn prepare(count: u32) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("postroom.sqlite");
        let organization = Organization::new(
            OrganizationId::from_random([1; 16]),
            "Bench",
            Deployment::new(DeploymentKind::OnPremises),
        );
        let storage = SqliteStorage::create(&StorageOptions::new(&path), &organization)?;
        let registry =
            ProviderRegistry::new().with(std::sync::Arc::new(EwsFactory::exchange_server()));
        let engine = Engine::builder(storage.store(), storage.crm(), registry).build()?;
        let (admin, operator) = (engine.admin(), Principal::operator("bench"));
        let (wanted, findings) = Declaration::read(&declaration(count));
        ensure!(findings.is_empty(), "{findings:?}");
        let crm = storage.crm();
        let snapshot = admin.snapshot(&operator, &*crm).await?;
        let changes = plan(&snapshot, &wanted, &PlanOptions::default())
            .map_err(|findings| anyhow::anyhow!("{findings:?}"))?;
        let outcomes = admin
            .apply_changes(&operator, &*crm, &changes, &Secrets::new(), &mut |_| {})
            .await;
        for outcome in outcomes {
            outcome?;
        }
        let profile = admin.find_profile(&operator, PROFILE).await?.id;
        Ok(Self {
            admin,
            operator,
            profile,
            path,
            _engine: engine,
            _folder: folder,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn profile(&self) -> ProfileId {
        self.profile
    }

    /// A page of the list; answers how many were on it.
    pub(crate) async fn list(&self, filter: &MailboxFilter, page: Page) -> anyhow::Result<usize> {
        let found = self.admin.mailboxes(&self.operator, filter, page).await?;
        Ok(found.len())
    }

    /// All of them.
    pub(crate) async fn select(&self) -> anyhow::Result<Vec<MailboxId>> {
        let filter = MailboxFilter::default();
        Ok(self.admin.select_mailboxes(&self.operator, &filter).await?)
    }

    pub(crate) async fn edit(&self, ids: &[MailboxId], edit: &MailboxEdit) -> anyhow::Result<()> {
        all_done(self.admin.edit_mailboxes(&self.operator, ids, edit).await)
    }

    pub(crate) async fn approve(&self, ids: &[MailboxId]) -> anyhow::Result<()> {
        all_done(self.admin.approve(&self.operator, ids).await)
    }

    pub(crate) async fn switch(&self, ids: &[MailboxId], active: bool) -> anyhow::Result<()> {
        all_done(if active {
            self.admin.activate(&self.operator, ids).await
        } else {
            self.admin.deactivate(&self.operator, ids).await
        })
    }

    pub(crate) async fn ask_for_tests(&self, ids: &[MailboxId]) -> anyhow::Result<()> {
        let kind = JobKind::TestAndEnable;
        all_done(self.admin.test_mailboxes(&self.operator, ids, kind).await)
    }
}

fn all_done<T>(outcomes: postroom_engine::BulkOutcome<T>) -> anyhow::Result<()> {
    for (id, outcome) in outcomes {
        outcome.with_context(|| id.to_string())?;
    }
    Ok(())
}
