//! Who has a mailbox, and who may open it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Names one account of a [`MailSystem`](super::MailSystem).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub(super) u32);

impl AccountId {
    /// The number behind the id, stable for the life of the system.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Whose mailboxes an account may open as if it were their owner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Impersonation {
    /// Nobody's.
    #[default]
    Nobody,
    /// Everybody's: Exchange's ApplicationImpersonation role without a scope.
    Everybody,
    /// Those with these primary addresses, in lower case.
    Only(BTreeSet<String>),
}

/// One mailbox and its owner.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Primary SMTP address, as written by the administrator.
    pub address: String,
    /// Further addresses that reach the same mailbox.
    pub aliases: Vec<String>,
    /// Name for people.
    pub display_name: String,
    /// Name to log in with; compared without case. The primary address always works too.
    pub user: String,
    /// Password.
    pub password: String,
    /// Rights on other people's mailboxes.
    pub impersonation: Impersonation,
    /// Primary addresses, in lower case, of other mailboxes that the account may open under its own
    /// name: Exchange's FullAccess permission, which impersonation neither needs nor gives.
    pub full_access: BTreeSet<String>,
    /// Addresses other than its own that the account may send as, in lower case.
    pub send_as: BTreeSet<String>,
    /// Whether the account may use EWS (`Set-CASMailbox -EwsEnabled`).
    pub ews_enabled: bool,
    /// Whether there is a mailbox behind the account. A service account may have none.
    pub has_mailbox: bool,
}

impl Account {
    /// An account whose login is its address and whose password is empty.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        let address = address.into();
        let display_name = address.split('@').next().unwrap_or_default().to_owned();
        Self {
            user: address.clone(),
            address,
            aliases: Vec::new(),
            display_name,
            password: String::new(),
            impersonation: Impersonation::Nobody,
            full_access: BTreeSet::new(),
            send_as: BTreeSet::new(),
            ews_enabled: true,
            has_mailbox: true,
        }
    }

    /// Sets the login.
    #[must_use]
    pub fn login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = user.into();
        self.password = password.into();
        self
    }

    /// Sets the name for people.
    #[must_use]
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.display_name = name.into();
        self
    }

    /// Adds another address.
    #[must_use]
    pub fn alias(mut self, address: impl Into<String>) -> Self {
        self.aliases.push(address.into());
        self
    }

    /// Lets the account open everybody's mailbox.
    #[must_use]
    pub fn impersonates_everybody(mut self) -> Self {
        self.impersonation = Impersonation::Everybody;
        self
    }

    /// Lets the account open one other mailbox.
    #[must_use]
    pub fn impersonates(mut self, address: &str) -> Self {
        match &mut self.impersonation {
            Impersonation::Only(set) => {
                set.insert(address.to_lowercase());
            }
            Impersonation::Nobody | Impersonation::Everybody => {
                self.impersonation = Impersonation::Only(BTreeSet::from([address.to_lowercase()]));
            }
        }
        self
    }

    /// Lets the account open another mailbox under its own name.
    #[must_use]
    pub fn opens(mut self, address: &str) -> Self {
        self.full_access.insert(address.to_lowercase());
        self
    }

    /// Forbids EWS to the account.
    #[must_use]
    pub const fn ews_disabled(mut self) -> Self {
        self.ews_enabled = false;
        self
    }

    /// Makes it an account without a mailbox of its own.
    #[must_use]
    pub const fn without_mailbox(mut self) -> Self {
        self.has_mailbox = false;
        self
    }

    /// Whether it may send in the name of that address.
    #[must_use]
    pub fn may_send_as(&self, address: &str) -> bool {
        self.owns(address) || self.send_as.contains(&address.to_lowercase())
    }

    /// Whether `address` is one of this account's, without regard to case.
    #[must_use]
    pub fn owns(&self, address: &str) -> bool {
        self.address.eq_ignore_ascii_case(address)
            || self
                .aliases
                .iter()
                .any(|alias| alias.eq_ignore_ascii_case(address))
    }

    /// Whether this account may open the mailbox of `other` under its own name.
    #[must_use]
    pub fn may_open(&self, other: &Self) -> bool {
        self.full_access.contains(&other.address.to_lowercase())
    }

    /// Whether this account may act as the owner of `other`.
    #[must_use]
    pub fn may_impersonate(&self, other: &Self) -> bool {
        match &self.impersonation {
            Impersonation::Nobody => false,
            Impersonation::Everybody => true,
            Impersonation::Only(set) => set.contains(&other.address.to_lowercase()),
        }
    }
}

/// A text that describes no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an account; write it as ADDRESS=PASSWORD[;user=NAME][;name=NAME][;alias=ADDRESS][;opens=ADDRESS][;impersonate][;no-mailbox]"
)]
#[non_exhaustive]
pub struct AccountSpecError;

/// Reads an account from text, for command lines: `desk@example.org=secret;alias=help@example.org`.
impl FromStr for Account {
    type Err = AccountSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(';');
        let (address, password) = parts
            .next()
            .and_then(|first| first.split_once('='))
            .ok_or(AccountSpecError)?;
        if address.is_empty() {
            return Err(AccountSpecError);
        }
        let mut account = Self::new(address).login(address, password);
        for part in parts {
            account = match part.split_once('=') {
                Some(("user", user)) => {
                    let password = account.password.clone();
                    account.login(user, password)
                }
                Some(("name", name)) => account.display_name(name),
                Some(("alias", alias)) => account.alias(alias),
                Some(("opens", address)) => account.opens(address),
                None if part == "impersonate" => account.impersonates_everybody(),
                None if part == "no-mailbox" => account.without_mailbox(),
                _ => return Err(AccountSpecError),
            };
        }
        Ok(account)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("address", &self.address)
            .field("aliases", &self.aliases)
            .field("user", &self.user)
            .field("impersonation", &self.impersonation)
            .field("ews_enabled", &self.ews_enabled)
            .field("has_mailbox", &self.has_mailbox)
            .finish_non_exhaustive()
    }
}
