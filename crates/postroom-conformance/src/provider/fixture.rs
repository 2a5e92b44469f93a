//! What the suite needs from whoever runs it: accounts, and a back door to them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::EmailAddress;
use postroom_provider::{FolderId, OpContext, Provider, RemoteId};

use crate::check::Stop;

/// Makes accounts to check on.
///
/// A fixture is made inside a current-thread tokio runtime with I/O and time switched on, and used
/// inside the same one: it may start its server there.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A fresh account that nobody else uses: its folders are those of a new mailbox, its inbox
    /// is empty.
    ///
    /// # Errors
    /// Where it cannot be made: every check then fails, since an unreachable server proves nothing.
    async fn account(&self) -> Backdoor<Box<dyn Account>>;
}

/// An account, the provider under test for it, and a back door past the provider.
///
/// Everything behind the back door is done by another client or by the server itself, and is
/// visible to the provider when the call returns. What a fixture cannot do answers
/// [`BackdoorError::Unsupported`] with the reason, and the checks that need it are skipped with
/// that reason. Only [`provider`](Self::provider), [`address`](Self::address) and
/// [`deliver`](Self::deliver) are indispensable.
#[async_trait]
pub trait Account: Send + Sync {
    /// The provider under test.
    fn provider(&self) -> Arc<dyn Provider>;

    /// The account's address.
    fn address(&self) -> EmailAddress;

    /// What operations get: the machine's clock and a spool in its temporary folder, unless the
    /// fixture has something better.
    ///
    /// # Errors
    /// Where there is no place for a spool.
    fn context(&self) -> Backdoor<OpContext> {
        OpContext::system().map_err(|error| BackdoorError::failed(error.to_string()))
    }

    /// How much of a message survives delivery and fetching.
    fn fidelity(&self) -> Fidelity {
        Fidelity::Meaning
    }

    /// A message arrives in the inbox; its id, where the back door knows it.
    ///
    /// # Errors
    /// Where it does not.
    async fn deliver(&self, raw: &[u8]) -> Backdoor<Option<RemoteId>>;

    /// Another instance of the provider for the same account, as after a restart.
    ///
    /// # Errors
    /// [`BackdoorError::Unsupported`].
    async fn reopen(&self) -> Backdoor<Arc<dyn Provider>> {
        Err(BackdoorError::unsupported("the fixture cannot reopen"))
    }

    /// Another client changes a message, by a category or flag, say, in a way that listings tell.
    ///
    /// # Errors
    /// [`BackdoorError::Unsupported`].
    async fn edit(&self, folder: &FolderId, id: &RemoteId) -> Backdoor<()> {
        let _ = (folder, id);
        Err(BackdoorError::unsupported("the fixture cannot edit"))
    }

    /// Another client moves a message.
    ///
    /// # Errors
    /// [`BackdoorError::Unsupported`].
    async fn move_to(&self, folder: &FolderId, id: &RemoteId, target: &FolderId) -> Backdoor<()> {
        let _ = (folder, id, target);
        Err(BackdoorError::unsupported("the fixture cannot move"))
    }

    /// Another client deletes a message for good.
    ///
    /// # Errors
    /// [`BackdoorError::Unsupported`].
    async fn delete(&self, folder: &FolderId, id: &RemoteId) -> Backdoor<()> {
        let _ = (folder, id);
        Err(BackdoorError::unsupported("the fixture cannot delete"))
    }

    /// What lies in a folder, in any order.
    ///
    /// # Errors
    /// [`BackdoorError::Unsupported`].
    async fn messages(&self, folder: &FolderId) -> Backdoor<Vec<StoredMessage>> {
        let _ = folder;
        Err(BackdoorError::unsupported(
            "the fixture cannot look into folders",
        ))
    }

    /// The server loses what cursors of the folder refer to, as after a restore from a backup.
    ///
    /// # Errors
    /// [`BackdoorError::Unsupported`].
    async fn reset_identifiers(&self, folder: &FolderId) -> Backdoor<()> {
        let _ = folder;
        Err(BackdoorError::unsupported(
            "the fixture cannot reset identifiers",
        ))
    }

    /// At least two addresses that the account may write to and whose mail
    /// [`received`](Self::received) shows.
    ///
    /// # Errors
    /// [`BackdoorError::Unsupported`].
    async fn recipients(&self) -> Backdoor<Vec<EmailAddress>> {
        Err(BackdoorError::unsupported("the fixture has no recipients"))
    }

    /// Every message that has reached a recipient, raw, each copy counted: waits until delivery is
    /// through.
    ///
    /// # Errors
    /// [`BackdoorError::Unsupported`].
    async fn received(&self, recipient: &EmailAddress) -> Backdoor<Vec<Vec<u8>>> {
        let _ = recipient;
        Err(BackdoorError::unsupported(
            "the fixture cannot see recipients' mail",
        ))
    }

    /// How many requests the server has seen from anybody.
    ///
    /// # Errors
    /// [`BackdoorError::Unsupported`].
    async fn requests(&self) -> Backdoor<u64> {
        Err(BackdoorError::unsupported(
            "the fixture does not count requests",
        ))
    }

    /// The server, or the network before it, begins to misbehave.
    ///
    /// # Errors
    /// [`BackdoorError::Unsupported`] for each fault that cannot be brought about.
    async fn arm(&self, fault: Fault) -> Backdoor<()> {
        Err(BackdoorError::unsupported(format!(
            "the fixture cannot bring about {fault:?}"
        )))
    }

    /// Everything behaves again.
    ///
    /// # Errors
    /// Where it cannot be brought about.
    async fn disarm(&self) -> Backdoor<()> {
        Ok(())
    }
}

/// How the server or the network misbehaves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The next request's connection breaks before the server does anything.
    DropBeforeEffect,
    /// The next request that does this is carried out, and its answer is lost.
    LoseAnswer(Effect),
    /// The next request is answered by "cannot serve now".
    Unavailable,
    /// The next request is answered by "slow down", with this hint.
    Throttle(Duration),
    /// Every request takes this long before anything is done, until disarmed.
    Slow(Duration),
    /// The server cannot read this message, until disarmed.
    Corrupt(FolderId, RemoteId),
}

/// What a request does on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a fixture must map both")]
pub enum Effect {
    /// Leaves a draft.
    Stage,
    /// Sends a message.
    Send,
}

/// How much of a message survives delivery and fetching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "checks treat both")]
pub enum Fidelity {
    /// Every byte; trace headers may come before them.
    Bytes,
    /// What it says: the server or the adapter may write the message anew.
    Meaning,
}

/// A message as the back door sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredMessage {
    /// Its Message-ID without brackets; empty where it has none.
    pub message_id: String,
    /// Whether it is marked as read, where the mail system has such a mark.
    pub read: Option<bool>,
}

impl StoredMessage {
    /// A message; brackets around the id are removed.
    #[must_use]
    pub fn new(message_id: &str, read: Option<bool>) -> Self {
        let bare = message_id
            .trim()
            .trim_start_matches('<')
            .trim_end_matches('>');
        Self {
            message_id: bare.to_owned(),
            read,
        }
    }
}

/// What the back door answers.
pub type Backdoor<T> = Result<T, BackdoorError>;

/// Why the back door did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a check is skipped for the one and fails for the other"
)]
pub enum BackdoorError {
    /// The fixture cannot do this; why. Checks that need it are skipped.
    #[error("{0}")]
    Unsupported(String),
    /// It should have worked. The check fails.
    #[error("the back door failed: {0}")]
    Failed(String),
}

impl BackdoorError {
    /// The fixture cannot do this.
    pub fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported(reason.into())
    }

    /// It should have worked.
    pub fn failed(seen: impl Into<String>) -> Self {
        Self::Failed(seen.into())
    }
}

impl From<BackdoorError> for Stop {
    fn from(error: BackdoorError) -> Self {
        match error {
            BackdoorError::Unsupported(reason) => Self::Skipped(reason),
            BackdoorError::Failed(_) => Self::Failed(error.to_string()),
        }
    }
}

// Fixtures are used as trait objects: keep them dyn-safe.
const _: fn(&dyn Fixture, &dyn Account) = |_, _| {};
