//! The open store, and the engine on it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::api::{
    Admin, AdminError, BulkOutcome, Clock, Code, Deployment, DeploymentKind, EmailAddress, Engine,
    ErrorKind, KeySource, Mailbox, MailboxFilter, MailboxId, Organization, OrganizationId, Page,
    Principal, Randomness, ServerProfile, SqliteCrm, SqliteStorage, StorageOptions, SystemClock,
    SystemRandomness, Timestamp, create_key_file, default_providers, nearest,
};
use crate::args::Global;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;

/// The environment variable that holds the text of a key file.
const KEY_VARIABLE: &str = "POSTROOM_KEY";

/// Of more outcomes than these only those that failed are listed.
const ROWS_MAX: usize = 50;

/// At most so many mailboxes are listed at once.
pub(crate) const LIST_MAX: u32 = 10_000;

/// What commands work with.
#[derive(Debug)]
pub(crate) struct App<'a> {
    pub(crate) output: &'a Output,
    engine: Engine,
    clock: Arc<dyn Clock>,
    crm: Arc<SqliteCrm>,
    pub(crate) admin: Admin,
    pub(crate) principal: Principal,
}

/// What `init` made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) organization: OrganizationId,
    pub(crate) key_file: PathBuf,
    pub(crate) key_is_new: bool,
}

/// Makes a store and, where there is none, its key.
pub(crate) fn create(global: &Global, name: &str, online: bool) -> Result<Made> {
    let key_file = global.key_file();
    let options = options(global);
    if options.path().exists() {
        return Err(Failure::exists(format!(
            "there is a file {} already",
            options.path().display()
        ))
        .hint("Choose another place with --store PATH."));
    }
    let from_environment = std::env::var_os(KEY_VARIABLE).is_some();
    let key_is_new = !from_environment && !key_file.exists();
    if key_is_new {
        if let Some(folder) = key_file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder)
                .map_err(|error| Failure::file("create", folder, &error))?;
        }
        create_key_file(&key_file).map_err(AdminError::from)?;
    }
    let kind = if online {
        DeploymentKind::Online
    } else {
        DeploymentKind::OnPremises
    };
    let organization = new_organization(name, kind);
    if let Err(error) = SqliteStorage::create(&options, &organization) {
        if key_is_new {
            // Nothing was sealed with it yet.
            let _ = std::fs::remove_file(&key_file);
        }
        return Err(AdminError::from(error).into());
    }
    Ok(Made {
        organization: organization.id,
        key_file,
        key_is_new,
    })
}

/// An organization with a fresh id.
pub(crate) fn new_organization(name: &str, kind: DeploymentKind) -> Organization {
    let randomness: &dyn Randomness = &SystemRandomness::new();
    Organization::new(
        OrganizationId::from_random(randomness.bytes16()),
        name,
        Deployment::new(kind),
    )
}

fn options(global: &Global) -> StorageOptions {
    let key = if std::env::var_os(KEY_VARIABLE).is_some() {
        KeySource::Environment(KEY_VARIABLE.to_owned())
    } else if global.key_file.is_some() || global.key_file().exists() {
        KeySource::File(global.key_file())
    } else {
        // No key: everything works that needs no password; what does says so.
        KeySource::None
    };
    StorageOptions::new(&global.store).with_key(key)
}

impl<'a> App<'a> {
    pub(crate) fn open(output: &'a Output, global: &Global) -> Result<Self> {
        let options = options(global);
        let storage = SqliteStorage::open(&options)
            .map_err(AdminError::from)
            .map_err(|error| {
                let missing = error.kind() == ErrorKind::NotFound;
                let failure = Failure::from(error);
                if missing {
                    Failure::of(Exit::Store, Code::NotFound)
                        .message(format!("there is no store {}", options.path().display()))
                        .hint("Make one with postroom init, or name it with --store PATH.")
                } else {
                    failure
                }
            })?;
        Self::on(output, storage, Arc::new(SystemClock::new()))
    }

    /// On an open store, by a clock of the caller's.
    pub(crate) fn on(
        output: &'a Output,
        storage: SqliteStorage,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let crm = storage.crm();
        let engine = Engine::builder(
            storage.store(),
            Arc::<SqliteCrm>::clone(&crm),
            default_providers(),
        )
        .clock(Arc::clone(&clock))
        .build()?;
        let name = ["USER", "LOGNAME", "USERNAME"]
            .iter()
            .find_map(|variable| std::env::var(variable).ok())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "operator".to_owned());
        Ok(Self {
            output,
            admin: engine.admin(),
            engine,
            clock,
            crm,
            principal: Principal::operator(name),
        })
    }

    /// Whether the key is the text of an environment variable.
    pub(crate) fn key_is_in_environment() -> bool {
        std::env::var_os(KEY_VARIABLE).is_some()
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn crm(&self) -> &SqliteCrm {
        &self.crm
    }

    /// Now, by the engine's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The profile of that name or id.
    pub(crate) async fn profile(&self, text: &str) -> Result<ServerProfile> {
        match self.admin.find_profile(&self.principal, text).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let profiles = self.admin.profiles(&self.principal).await?;
                let names = profiles.iter().map(|profile| profile.name.as_str());
                Err(meant(
                    &format!("there is no profile {text}"),
                    text,
                    names,
                    "postroom profile list shows them.",
                ))
            }
            other => Ok(other?),
        }
    }

    /// The mailbox of that address, name or id.
    pub(crate) async fn mailbox(&self, text: &str) -> Result<Mailbox> {
        match self.admin.find_mailbox(&self.principal, text).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mailboxes = self.mailboxes().await?;
                let names = mailboxes.iter().flat_map(|mailbox| {
                    let address = mailbox.address.as_ref().map(EmailAddress::as_str);
                    [address, Some(mailbox.name.as_str())].into_iter().flatten()
                });
                Err(meant(
                    &format!("there is no mailbox {text}"),
                    text,
                    names,
                    "postroom mailbox list shows them.",
                ))
            }
            other => Ok(other?),
        }
    }

    /// All mailboxes, by name.
    pub(crate) async fn mailboxes(&self) -> Result<Vec<Mailbox>> {
        let page = Page::first(LIST_MAX);
        Ok(self
            .admin
            .mailboxes(&self.principal, &MailboxFilter::default(), page)
            .await?)
    }

    /// Every mailbox that fits, by name.
    pub(crate) async fn every_mailbox(&self, filter: &MailboxFilter) -> Result<Vec<Mailbox>> {
        let mut found = Vec::new();
        let mut page = Page::first(LIST_MAX);
        loop {
            let mailboxes = self.admin.mailboxes(&self.principal, filter, page).await?;
            let last = u32::try_from(mailboxes.len()).is_ok_and(|count| count < LIST_MAX);
            found.extend(mailboxes);
            if last {
                return Ok(found);
            }
            page = page.next();
        }
    }

    /// Those mailboxes; all of them where none is named and `all` says so.
    pub(crate) async fn chosen(&self, names: &[String], all: bool) -> Result<Vec<Mailbox>> {
        if names.is_empty() {
            if !all {
                return Err(
                    Failure::usage("no mailbox is named").hint("Name addresses, or use --all.")
                );
            }
            return self.mailboxes().await;
        }
        let mut mailboxes = Vec::new();
        for name in names {
            let mailbox = self.mailbox(name).await?;
            // Named twice, or by name and by address: once is meant.
            if !mailboxes.iter().any(|one: &Mailbox| one.id == mailbox.id) {
                mailboxes.push(mailbox);
            }
        }
        Ok(mailboxes)
    }

    /// Shows the outcome of an operation on several mailboxes, one row each, and fails as a whole
    /// only where every one of them did.
    pub(crate) fn bulk<T>(
        &self,
        mailboxes: &[Mailbox],
        outcomes: BulkOutcome<T>,
        shown: impl Fn(&T) -> String,
        json: impl Fn(&T) -> serde_json::Value,
    ) -> Result {
        let known: BTreeMap<MailboxId, &Mailbox> = mailboxes
            .iter()
            .map(|mailbox| (mailbox.id, mailbox))
            .collect();
        let name = |id: MailboxId| {
            known
                .get(&id)
                .map_or_else(|| id.to_string(), |mailbox| crate::view::address(mailbox))
        };
        let brief = outcomes.len() > ROWS_MAX;
        let (mut rows, mut documents, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (id, outcome) in outcomes {
            match outcome {
                Ok(value) => {
                    if !brief {
                        rows.push([name(id), shown(&value)]);
                    }
                    documents.push(json(&value));
                }
                Err(error) => {
                    let failure = Failure::from(error);
                    rows.push([name(id), failure.full_line()]);
                    documents.push(serde_json::json!({ "mailbox": id.to_string(), "error": failure.as_json() }));
                    failures.push(failure);
                }
            }
        }
        let all = documents.len();
        if all == 1
            && let Some(failure) = failures.pop()
        {
            return Err(failure);
        }
        if brief {
            let done = all - failures.len();
            self.output
                .line(format!("{done} of {all} mailboxes were changed"));
        }
        if !rows.is_empty() || !brief {
            self.output.table(["Mailbox", "Outcome"], rows);
        }
        self.output
            .json(&serde_json::json!({ "mailboxes": documents }));
        match failures.first() {
            None => Ok(()),
            Some(_) if failures.len() < all => Err(Failure::said(Exit::Partly)),
            Some(first) => Err(Failure::said(first.exit_code())),
        }
    }
}

fn meant<'n>(
    message: &str,
    typed: &str,
    names: impl IntoIterator<Item = &'n str>,
    otherwise: &str,
) -> Failure {
    let failure = Failure::not_found(message);
    match nearest(typed, names) {
        Some(name) => failure.hint(format!("Did you mean {name}?")),
        None => failure.hint(otherwise.to_owned()),
    }
}
