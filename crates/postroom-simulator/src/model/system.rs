//! The whole simulated mail system: accounts and folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postroom_core::Timestamp;

use super::account::{Account, AccountId};
use super::changes::{ChangeKind, Event, Events, Log, LogPage};
use super::clock::Clock;
use super::error::ModelError;
use super::folder::{Folder, FolderId, Place, WellKnown};
use super::item::{Item, ItemId};
use super::random::Random;
use super::transport::OutsideMessage;

/// What becomes of something that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "EWS knows these three")]
pub enum Disposal {
    /// Gone, as far as anybody can see (Exchange keeps it among the purges).
    Hard,
    /// To the recoverable items.
    Soft,
    /// To Deleted Items.
    ToDeletedItems,
}

/// Called with the accounts that a change touched, after the change is complete.
type Listener = Box<dyn Fn(AccountId) + Send + Sync>;

/// Many mailboxes and the transport between them. See the [module](super) for the rules.
pub struct MailSystem {
    pub(super) state: Mutex<State>,
    pub(super) clock: Arc<dyn Clock>,
    listeners: Mutex<Vec<Listener>>,
}

#[derive(Clone)]
pub(super) struct Mailbox {
    pub(super) account: Arc<Account>,
    pub(super) well_known: BTreeMap<WellKnown, FolderId>,
    pub(super) folders: BTreeSet<FolderId>,
    pub(super) folder_log: Log<FolderId>,
    pub(super) events: Events,
}

pub(super) struct State {
    /// Stretches of change numbers, first excluded and last included, that a restored backup made
    /// the system forget.
    pub(super) forgotten: Vec<(u64, u64)>,
    pub(super) mailboxes: BTreeMap<AccountId, Mailbox>,
    pub(super) folders: BTreeMap<FolderId, Place>,
    pub(super) items: BTreeMap<ItemId, Arc<Item>>,
    pub(super) outside: Vec<OutsideMessage>,
    pub(super) random: Random,
    pub(super) counter: u64,
    pub(super) touched: BTreeSet<AccountId>,
    /// Grows with changes that are not told to belong to accounts: those concern everybody.
    pub(super) edition: u64,
    /// Grows with each change that touched an account.
    pub(super) revisions: BTreeMap<AccountId, u64>,
}

impl fmt::Debug for MailSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MailSystem")
            .field("accounts", &state.mailboxes.len())
            .field("folders", &state.folders.len())
            .field("items", &state.items.len())
            .finish_non_exhaustive()
    }
}

impl State {
    /// The next number, for an id or a change.
    pub(super) const fn next(&mut self) -> u64 {
        self.counter = self.counter.saturating_add(1);
        self.counter
    }

    pub(super) fn folder(&self, id: FolderId) -> Result<&Place, ModelError> {
        self.folders.get(&id).ok_or(ModelError::NoFolder)
    }

    pub(super) fn folder_mut(&mut self, id: FolderId) -> Result<&mut Place, ModelError> {
        self.folders.get_mut(&id).ok_or(ModelError::NoFolder)
    }

    pub(super) fn mailbox_mut(&mut self, id: AccountId) -> Result<&mut Mailbox, ModelError> {
        self.mailboxes.get_mut(&id).ok_or(ModelError::NoAccount)
    }

    pub(super) fn well_known(
        &self,
        account: AccountId,
        known: WellKnown,
    ) -> Result<FolderId, ModelError> {
        let mailbox = self.mailboxes.get(&account).ok_or(ModelError::NoAccount)?;
        mailbox
            .well_known
            .get(&known)
            .copied()
            .ok_or(ModelError::NoFolder)
    }

    fn child_named(&self, account: AccountId, parent: FolderId, name: &str) -> Option<FolderId> {
        let wanted = name.to_lowercase();
        let mailbox = self.mailboxes.get(&account)?;
        let mut folders = mailbox.folders.iter().filter_map(|id| self.folders.get(id));
        folders
            .find(|folder| folder.parent == Some(parent) && folder.name.to_lowercase() == wanted)
            .map(|folder| folder.id)
    }

    fn children(&self, parent: FolderId) -> Vec<FolderId> {
        self.folders
            .values()
            .filter(|folder| folder.parent == Some(parent))
            .map(|folder| folder.id)
            .collect()
    }

    fn is_below(&self, folder: FolderId, above: FolderId) -> bool {
        let mut at = Some(folder);
        while let Some(id) = at {
            if id == above {
                return true;
            }
            at = self.folders.get(&id).and_then(|folder| folder.parent);
        }
        false
    }

    fn insert_folder(
        &mut self,
        account: AccountId,
        parent: Option<FolderId>,
        name: &str,
        class: &str,
        now: Timestamp,
    ) -> Result<FolderId, ModelError> {
        let id = FolderId(self.next());
        self.folders
            .insert(id, Place::new(id, account, parent, name, class, now));
        let number = self.next();
        let mailbox = self.mailbox_mut(account)?;
        mailbox.folders.insert(id);
        mailbox.folder_log.push(number, id, ChangeKind::Created);
        self.touched.insert(account);
        Ok(id)
    }

    fn folder_changed(
        &mut self,
        id: FolderId,
        kind: ChangeKind,
        now: Timestamp,
    ) -> Result<(), ModelError> {
        let number = self.next();
        let folder = self.folder_mut(id)?;
        folder.change = number;
        folder.changed = now;
        let account = folder.account;
        self.mailbox_mut(account)?.folder_log.push(number, id, kind);
        self.touched.insert(account);
        Ok(())
    }

    /// Removes a folder and all below it, items included.
    fn remove_folder(&mut self, id: FolderId) -> Result<(), ModelError> {
        // Parents come before their children in this list, so it is undone from its end.
        let mut doomed = vec![id];
        let mut at = 0;
        while let Some(&folder) = doomed.get(at) {
            doomed.extend(self.children(folder));
            at = at.saturating_add(1);
        }
        for id in doomed.into_iter().rev() {
            let Some(folder) = self.folders.remove(&id) else {
                continue;
            };
            for item in folder.items.values() {
                self.items.remove(item);
            }
            let number = self.next();
            let mailbox = self.mailbox_mut(folder.account)?;
            mailbox.folders.remove(&id);
            mailbox.folder_log.push(number, id, ChangeKind::Deleted);
            self.touched.insert(folder.account);
        }
        Ok(())
    }
}

impl MailSystem {
    /// An empty system. The seed decides search keys and generated Message-IDs.
    #[must_use]
    pub fn new(clock: Arc<impl Clock>, seed: u64) -> Self {
        Self::with_clock(clock, seed)
    }

    /// An empty system on a clock whose type is not known.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>, seed: u64) -> Self {
        let state = State {
            forgotten: Vec::new(),
            mailboxes: BTreeMap::new(),
            folders: BTreeMap::new(),
            items: BTreeMap::new(),
            outside: Vec::new(),
            random: Random::new(seed),
            counter: 0,
            touched: BTreeSet::new(),
            edition: 0,
            revisions: BTreeMap::new(),
        };
        Self {
            state: Mutex::new(state),
            clock,
            listeners: Mutex::new(Vec::new()),
        }
    }

    /// The present time of the system.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Calls `listener` after each change with the account it touched. It must not block, and
    /// may call back into the system.
    pub fn on_change(&self, listener: impl Fn(AccountId) + Send + Sync + 'static) {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(listener));
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a change under the lock, then tells the listeners.
    pub(super) fn change<R>(&self, apply: impl FnOnce(&mut State, Timestamp) -> R) -> R {
        let now = self.clock.now();
        let (result, touched) = {
            let mut state = self.lock();
            let result = apply(&mut state, now);
            let touched = std::mem::take(&mut state.touched);
            if touched.is_empty() {
                state.edition = state.edition.wrapping_add(1);
            }
            for account in &touched {
                let revision = state.revisions.entry(*account).or_default();
                *revision = revision.wrapping_add(1);
            }
            (result, touched)
        };
        if !touched.is_empty() {
            let listeners = self
                .listeners
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            for account in touched {
                for listener in listeners.iter() {
                    listener(account);
                }
            }
        }
        result
    }

    /// Creates an account with its default folders.
    ///
    /// # Errors
    /// [`ModelError::AccountExists`] if an address or the login is taken.
    pub fn add_account(&self, account: Account) -> Result<AccountId, ModelError> {
        self.change(|state, now| {
            let taken = state.mailboxes.values().any(|other| {
                let other = &other.account;
                other.owns(&account.address)
                    || account.aliases.iter().any(|alias| other.owns(alias))
                    || other.user.eq_ignore_ascii_case(&account.user)
            });
            if taken {
                return Err(ModelError::AccountExists);
            }
            let id = AccountId(u32::try_from(state.mailboxes.len()).unwrap_or(u32::MAX));
            let mailbox = Mailbox {
                account: Arc::new(account),
                well_known: BTreeMap::new(),
                folders: BTreeSet::new(),
                folder_log: Log::default(),
                events: Events::default(),
            };
            state.mailboxes.insert(id, mailbox);
            for known in WellKnown::ALL {
                let parent = known
                    .parent()
                    .map(|parent| state.well_known(id, parent))
                    .transpose()?;
                let folder =
                    state.insert_folder(id, parent, known.display_name(), known.class(), now)?;
                state.folder_mut(folder)?.well_known = Some(known);
                state.mailbox_mut(id)?.well_known.insert(known, folder);
            }
            Ok(id)
        })
    }

    /// The account that owns an address, primary or alias.
    #[must_use]
    pub fn account(&self, address: &str) -> Option<AccountId> {
        let state = self.lock();
        state
            .mailboxes
            .iter()
            .find(|(_, mailbox)| mailbox.account.owns(address))
            .map(|(id, _)| *id)
    }

    /// All accounts in order of creation.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountId> {
        self.lock().mailboxes.keys().copied().collect()
    }

    /// Two numbers that are the same again as long as nothing has changed in an account: neither
    /// what is in it, nor its settings, nor what holds for all accounts.
    #[must_use]
    pub fn revision(&self, account: AccountId) -> (u64, u64) {
        let state = self.lock();
        let revision = state.revisions.get(&account).copied().unwrap_or_default();
        (state.edition, revision)
    }

    /// An account's settings.
    ///
    /// # Errors
    /// [`ModelError::NoAccount`].
    pub fn account_info(&self, id: AccountId) -> Result<Arc<Account>, ModelError> {
        self.lock()
            .mailboxes
            .get(&id)
            .map(|mailbox| Arc::clone(&mailbox.account))
            .ok_or(ModelError::NoAccount)
    }

    /// Changes an account's settings.
    ///
    /// # Errors
    /// [`ModelError::NoAccount`].
    pub fn update_account(
        &self,
        id: AccountId,
        edit: impl FnOnce(&mut Account),
    ) -> Result<(), ModelError> {
        self.change(|state, _| {
            let mailbox = state.mailbox_mut(id)?;
            edit(Arc::make_mut(&mut mailbox.account));
            Ok(())
        })
    }

    /// The account that these credentials open. The user is the login or any own address; a
    /// leading `DOMAIN\` is ignored.
    #[must_use]
    pub fn authenticate(&self, user: &str, password: &str) -> Option<AccountId> {
        let user = user.rsplit('\\').next().unwrap_or(user);
        let state = self.lock();
        let mut accounts = state.mailboxes.iter();
        accounts
            .find(|(_, mailbox)| {
                mailbox.account.user.eq_ignore_ascii_case(user) || mailbox.account.owns(user)
            })
            .filter(|(_, mailbox)| mailbox.account.password == password)
            .map(|(id, _)| *id)
    }

    /// One of the default folders.
    ///
    /// # Errors
    /// [`ModelError::NoAccount`].
    pub fn well_known(&self, account: AccountId, known: WellKnown) -> Result<FolderId, ModelError> {
        self.lock().well_known(account, known)
    }

    /// A folder as it is now.
    ///
    /// # Errors
    /// [`ModelError::NoFolder`].
    pub fn folder(&self, id: FolderId) -> Result<Folder, ModelError> {
        let state = self.lock();
        state.folder(id).map(Place::snapshot)
    }

    /// All folders of an account, in order of creation.
    #[must_use]
    pub fn folders(&self, account: AccountId) -> Vec<Folder> {
        let state = self.lock();
        let Some(mailbox) = state.mailboxes.get(&account) else {
            return Vec::new();
        };
        mailbox
            .folders
            .iter()
            .filter_map(|id| state.folders.get(id).map(Place::snapshot))
            .collect()
    }

    /// The folder of that name below `parent`, without regard to case.
    #[must_use]
    pub fn child(&self, parent: FolderId, name: &str) -> Option<FolderId> {
        let state = self.lock();
        let account = state.folder(parent).ok()?.account;
        state.child_named(account, parent, name)
    }

    /// Creates a folder.
    ///
    /// # Errors
    /// [`ModelError::NoFolder`] without the parent, [`ModelError::FolderExists`].
    pub fn create_folder(
        &self,
        parent: FolderId,
        name: &str,
        class: &str,
    ) -> Result<FolderId, ModelError> {
        self.change(|state, now| {
            let account = state.folder(parent)?.account;
            if state.child_named(account, parent, name).is_some() {
                return Err(ModelError::FolderExists);
            }
            state.insert_folder(account, Some(parent), name, class, now)
        })
    }

    /// Renames a folder, changes its class, or both.
    ///
    /// # Errors
    /// [`ModelError::NoFolder`], [`ModelError::FolderExists`].
    pub fn update_folder(
        &self,
        id: FolderId,
        name: Option<&str>,
        class: Option<&str>,
    ) -> Result<(), ModelError> {
        self.change(|state, now| {
            let folder = state.folder(id)?;
            if let (Some(name), Some(parent)) = (name, folder.parent)
                && state
                    .child_named(folder.account, parent, name)
                    .is_some_and(|other| other != id)
            {
                return Err(ModelError::FolderExists);
            }
            let folder = state.folder_mut(id)?;
            if let Some(name) = name {
                name.clone_into(&mut folder.name);
            }
            if let Some(class) = class {
                class.clone_into(&mut folder.class);
            }
            state.folder_changed(id, ChangeKind::Updated, now)
        })
    }

    /// Moves a folder with all below it. Its id stays.
    ///
    /// # Errors
    /// [`ModelError::NoFolder`], [`ModelError::WellKnownFolder`], [`ModelError::FolderExists`],
    /// [`ModelError::FolderLoop`], [`ModelError::CrossAccount`].
    pub fn move_folder(&self, id: FolderId, to: FolderId) -> Result<(), ModelError> {
        self.change(|state, now| {
            let folder = state.folder(id)?;
            let (account, name) = (folder.account, folder.name.clone());
            if folder.well_known.is_some() {
                return Err(ModelError::WellKnownFolder);
            }
            if state.folder(to)?.account != account {
                return Err(ModelError::CrossAccount);
            }
            if state.is_below(to, id) {
                return Err(ModelError::FolderLoop);
            }
            if state
                .child_named(account, to, &name)
                .is_some_and(|other| other != id)
            {
                return Err(ModelError::FolderExists);
            }
            state.folder_mut(id)?.parent = Some(to);
            state.folder_changed(id, ChangeKind::Updated, now)
        })
    }

    /// Deletes a folder with all below it.
    ///
    /// # Errors
    /// [`ModelError::NoFolder`], [`ModelError::WellKnownFolder`].
    pub fn delete_folder(&self, id: FolderId, disposal: Disposal) -> Result<(), ModelError> {
        self.change(|state, now| {
            let folder = state.folder(id)?;
            let (account, mut name) = (folder.account, folder.name.clone());
            if folder.well_known.is_some() {
                return Err(ModelError::WellKnownFolder);
            }
            if disposal != Disposal::ToDeletedItems {
                return state.remove_folder(id);
            }
            let bin = state.well_known(account, WellKnown::DeletedItems)?;
            if state.is_below(id, bin) {
                return state.remove_folder(id);
            }
            // Like Outlook: a second folder of that name gets a number.
            let mut number = 1_u32;
            while state.child_named(account, bin, &name).is_some() {
                name = format!("{}{number}", state.folder(id)?.name);
                number = number.saturating_add(1);
            }
            let folder = state.folder_mut(id)?;
            folder.name = name;
            folder.parent = Some(bin);
            state.folder_changed(id, ChangeKind::Updated, now)
        })
    }

    /// Deletes the folders below a folder, but not the folder itself.
    ///
    /// # Errors
    /// [`ModelError::NoFolder`].
    pub fn delete_subfolders(&self, id: FolderId) -> Result<(), ModelError> {
        self.change(|state, _| {
            state.folder(id)?;
            for child in state.children(id) {
                if state
                    .folder(child)
                    .is_ok_and(|folder| folder.well_known.is_none())
                {
                    state.remove_folder(child)?;
                }
            }
            Ok(())
        })
    }

    /// Makes all sync states of a folder invalid, as a failover or a repair of the mailbox does.
    ///
    /// # Errors
    /// [`ModelError::NoFolder`].
    pub fn invalidate_sync(&self, id: FolderId) -> Result<(), ModelError> {
        self.change(|state, _| {
            let folder = state.folder_mut(id)?;
            folder.epoch = folder.epoch.saturating_add(1);
            Ok(())
        })
    }

    /// Whether a change number is one of this system's past: not of the future, and not of a time
    /// that a restored backup undid.
    #[must_use]
    pub fn remembers(&self, number: u64) -> bool {
        let state = self.lock();
        let undone = |&(after, upto): &(u64, u64)| number > after && number <= upto;
        number <= state.counter && !state.forgotten.iter().any(undone)
    }

    /// The present number of the change counter: everything up to now has at most this.
    #[must_use]
    pub fn change_number(&self) -> u64 {
        self.lock().counter
    }

    /// What changed among the folders of an account after `since`.
    ///
    /// # Errors
    /// [`ModelError::NoAccount`].
    pub fn folder_changes(
        &self,
        account: AccountId,
        since: u64,
        limit: usize,
    ) -> Result<LogPage<FolderId>, ModelError> {
        let state = self.lock();
        let mailbox = state.mailboxes.get(&account).ok_or(ModelError::NoAccount)?;
        Ok(mailbox.folder_log.since(since, limit))
    }

    /// What changed among the items of a folder after `since`.
    ///
    /// # Errors
    /// [`ModelError::NoFolder`].
    pub fn item_changes(
        &self,
        folder: FolderId,
        since: u64,
        limit: usize,
    ) -> Result<LogPage<ItemId>, ModelError> {
        Ok(self.lock().folder(folder)?.log.since(since, limit))
    }

    /// What happened in an account after `since`, for subscribers.
    #[must_use]
    pub fn events(&self, account: AccountId, since: u64, limit: usize) -> Vec<Event> {
        let state = self.lock();
        let Some(mailbox) = state.mailboxes.get(&account) else {
            return Vec::new();
        };
        mailbox.events.since(since).take(limit).copied().collect()
    }
}
