//! Where the demo takes place: a simulated server, a store, and an engine, on one clock.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postroom_simulator::exchange::{Exchange, ListenOptions, Listening};
use postroom_simulator::model::{self, Account, AccountId, FolderId, ItemId, WellKnown};

use crate::api::{
    AdminError, Channel, Clock, DeploymentKind, EmailAddress, Job, JobKind, KeySource, Mailbox,
    MailboxOwner, NewMailbox, PartyKind, ProfileDirection, ProfileKind, Secret, ServerProfile,
    SqliteStorage, StepReport, StorageOptions, SystemClock, Timestamp, create_key_file,
};
use crate::app::{App, new_organization};
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;

/// The account that opens the mailboxes.
const SERVICE: &str = "postroom@example.org";
/// Its password, for this server and these few seconds.
const SERVICE_PASSWORD: &str = "only-for-the-demo";

/// The clock of the whole demo: the machine's, moved forward by the story where it says "later".
#[derive(Debug, Default)]
pub(crate) struct DemoClock {
    ahead_millis: AtomicI64,
    system: SystemClock,
}

impl DemoClock {
    /// Lets time pass.
    pub(crate) fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead_millis.fetch_add(millis, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead_millis.load(Ordering::Relaxed);
        Timestamp::from_millis(self.system.now().as_millis().saturating_add(ahead))
    }

    async fn sleep(&self, duration: Duration) {
        self.system.sleep(duration).await;
    }
}

impl model::Clock for DemoClock {
    fn now(&self) -> Timestamp {
        <Self as Clock>::now(self)
    }
}

/// Server, store, engine and clock.
#[derive(Debug)]
pub(crate) struct World<'a> {
    pub(crate) output: &'a Output,
    pub(crate) clock: Arc<DemoClock>,
    pub(crate) exchange: Exchange,
    pub(crate) app: App<'a>,
    listening: Listening,
}

impl<'a> World<'a> {
    pub(crate) async fn create(
        output: &'a Output,
        folder: &Path,
        capture: Option<&Path>,
    ) -> Result<Self> {
        let clock = Arc::new(DemoClock::default());
        let mut builder = Exchange::builder().clock(Arc::clone(&clock)).account(
            Account::new(SERVICE)
                .login(SERVICE, SERVICE_PASSWORD)
                .display_name("Service account")
                .impersonates_everybody()
                .without_mailbox(),
        );
        if let Some(capture) = capture {
            builder = builder.capture(capture);
        }
        let exchange = builder
            .build()
            .map_err(|error| Failure::usage(error.to_string()))?;
        let listening = exchange
            .listen(ListenOptions::https())
            .await
            .map_err(|error| {
                Failure::of(Exit::Failure, crate::api::Code::Internal).message(error.to_string())
            })?;

        let store = folder.join("postroom.sqlite");
        let key = folder.join("postroom.key");
        std::fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, &error))?;
        if store.exists() {
            return Err(Failure::usage(format!(
                "there is a store in {} already",
                folder.display()
            ))
            .hint("Name an empty folder."));
        }
        if !key.exists() {
            create_key_file(&key).map_err(AdminError::from)?;
        }
        let options = StorageOptions::new(&store).with_key(KeySource::File(key));
        let organization = new_organization("Lamps & Sons", DeploymentKind::OnPremises);
        let storage = SqliteStorage::create(&options, &organization).map_err(AdminError::from)?;
        let app = App::on(output, storage, Arc::<DemoClock>::clone(&clock))?;
        Ok(Self {
            output,
            clock,
            exchange,
            app,
            listening,
        })
    }

    pub(crate) async fn stop(self) {
        self.listening.stop().await;
    }

    pub(crate) fn url(&self) -> String {
        self.listening.url()
    }

    // ---- narration ------------------------------------------------------------------------------

    pub(crate) fn chapter(&self, title: &str) {
        self.output.line("");
        self.output.line(self.output.bold(title));
    }

    pub(crate) fn say(&self, text: impl AsRef<str>) {
        for line in text.as_ref().lines() {
            self.output
                .line(self.output.faint(&format!("  {}", line.trim())));
        }
    }

    pub(crate) fn show(&self, text: impl AsRef<str>) {
        self.output.line(format!("  {}", text.as_ref()));
    }

    pub(crate) fn good(&self, text: impl AsRef<str>) {
        self.output
            .line(format!("  {} {}", self.output.green("ok"), text.as_ref()));
    }

    // ---- what happens ---------------------------------------------------------------------------

    pub(crate) async fn create_profile(&self, move_undelivered: bool) -> Result<ServerProfile> {
        let (admin, principal) = (&self.app.admin, &self.app.principal);
        let mut profile = admin.new_profile("Office", ProfileKind::ExchangeServer);
        profile.incoming.location = Some(self.url());
        profile.extra_authorities_pem = self.listening.certificate_pem().map(str::to_owned);
        profile.move_undelivered = move_undelivered;
        let profile = admin.create_profile(principal, &profile).await?;
        let profile = admin
            .set_profile_credentials(
                principal,
                profile.id,
                ProfileDirection::Incoming,
                SERVICE,
                &Secret::new(SERVICE_PASSWORD),
                Channel::Local,
            )
            .await?;
        let mut organization = admin.organization(principal).await?;
        organization.settings.mailbox_defaults.profile = Some(profile.id);
        admin.update_organization(principal, &organization).await?;
        Ok(profile)
    }

    /// A user or queue, here and on the server.
    pub(crate) async fn create_owner(
        &self,
        kind: PartyKind,
        name: &str,
        address: &str,
    ) -> Result<Mailbox> {
        let account = Account::new(address)
            .login(address, "not used")
            .display_name(name);
        self.exchange
            .mail()
            .add_account(account)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let address = parse(address)?;
        let party = self
            .app
            .crm()
            .create_party(kind, name, std::slice::from_ref(&address), None)
            .await
            .map_err(AdminError::from)?;
        let owner = if kind == PartyKind::Queue {
            MailboxOwner::Queue(party)
        } else {
            MailboxOwner::User(party)
        };
        let new = NewMailbox::new(name, owner, Some(address));
        Ok(self
            .app
            .admin
            .create_mailbox(&self.app.principal, new)
            .await?)
    }

    /// Test & Enable of one mailbox, run to its end.
    pub(crate) async fn test(&self, mailbox: &Mailbox) -> Result<Job> {
        let job = self
            .app
            .admin
            .test_mailbox(&self.app.principal, mailbox.id, JobKind::TestAndEnable)
            .await?;
        Ok(self.app.admin.run_job(&self.app.principal, job.id).await?)
    }

    /// Everything once, now, as the running engine would do it by itself.
    pub(crate) async fn sync(&self) -> Result<StepReport> {
        let (admin, principal) = (&self.app.admin, &self.app.principal);
        let mailboxes = self.app.mailboxes().await?;
        let ids: Vec<_> = mailboxes.iter().map(|mailbox| mailbox.id).collect();
        for (_, outcome) in admin.sync_now(principal, &ids).await {
            outcome?;
        }
        Ok(self.app.engine().step().await?)
    }

    /// Brings a message from outside; answers the copies that were stored.
    pub(crate) fn deliver(&self, message: Vec<u8>, to: &[&str]) -> Vec<ItemId> {
        self.exchange.mail().deliver(message, to)
    }

    // ---- the server's own view ------------------------------------------------------------------

    pub(crate) fn account(&self, address: &str) -> Result<AccountId> {
        self.exchange.mail().account(address).ok_or_else(|| {
            Failure::not_found(format!("the simulated server has no mailbox {address}"))
        })
    }

    pub(crate) fn inbox(&self, account: AccountId) -> Result<FolderId> {
        self.exchange
            .mail()
            .well_known(account, WellKnown::Inbox)
            .map_err(|error| Failure::not_found(error.to_string()))
    }
}

pub(crate) fn parse(address: &str) -> Result<EmailAddress> {
    address
        .parse()
        .map_err(|error| Failure::usage(format!("{address}: {error}")))
}
