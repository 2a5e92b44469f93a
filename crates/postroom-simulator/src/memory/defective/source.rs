//! Reading mail, with a defect.

use std::io::Read as _;

use async_trait::async_trait;
use postroom_core::{Code, RawMessage, Timestamp};
use postroom_provider::{
    ChangePage, DeleteMode, ErrorKind, FetchedMessage, Folder, FolderId, MailChange, MailHeaders,
    MailSource, OpContext, PageLimit, ProviderError, RemoteId, Result, Spool, SyncCursor,
    WellKnownFolder,
};

use super::DefectiveProvider;
use crate::memory::defect::Defect;
use crate::memory::ids::{item_id, model_folder_id};

/// Between an id or cursor and the instance that made it up.
const MARK: char = '#';

impl DefectiveProvider {
    /// A folder id as told to the caller.
    fn told_folder(&self, id: &FolderId) -> FolderId {
        if self.has(Defect::FolderIdsChange) {
            return FolderId::new(format!("{}{MARK}{}", id.as_str(), self.instance));
        }
        id.clone()
    }

    /// A folder id as the provider below knows it.
    fn known_folder(&self, id: &FolderId) -> FolderId {
        match id.as_str().split_once(MARK) {
            Some((known, _)) if self.has(Defect::FolderIdsChange) => FolderId::new(known),
            _ => id.clone(),
        }
    }

    /// What the defect does to a batch of outcomes.
    fn spoiled<T>(&self, ids: &[RemoteId], mut outcomes: Vec<Result<T>>) -> Result<Vec<Result<T>>> {
        match self.defect {
            Defect::ReordersOutcomes => {
                let mut pairs: Vec<_> = ids.iter().zip(outcomes).collect();
                pairs.sort_by(|one, other| one.0.cmp(other.0));
                outcomes = pairs.into_iter().map(|(_, outcome)| outcome).collect();
            }
            Defect::DropsRepeats => {
                let mut seen = std::collections::BTreeSet::new();
                let pairs = ids.iter().zip(outcomes);
                let first = pairs.filter(|(id, _)| seen.insert(id.as_str()));
                outcomes = first.map(|(_, outcome)| outcome).collect();
            }
            Defect::OneFailureFailsAll => {
                let all: Result<Vec<T>> = outcomes.into_iter().collect();
                outcomes = all?.into_iter().map(Ok).collect();
            }
            _ => {}
        }
        Ok(outcomes)
    }

    fn batch(&self, ids: &[RemoteId], operation: &'static str) -> Result<()> {
        if self.has(Defect::EmptyBatchFails) && ids.is_empty() {
            let (kind, code) = (ErrorKind::InvalidInput, Code::InvalidInput);
            return Err(ProviderError::new(kind, code, operation));
        }
        Ok(())
    }

    /// The pieces in which a batch goes to the provider below.
    fn pieces<'a>(&self, ids: &'a [RemoteId]) -> Vec<&'a [RemoteId]> {
        if self.has(Defect::TakesAnyBatch) {
            return ids
                .chunks(self.capabilities.mail_batch_max.max(1))
                .collect();
        }
        vec![ids]
    }

    async fn snapshot(&self, ctx: &OpContext, folder: &FolderId) -> Result<()> {
        let page = self
            .inner
            .changes(ctx, folder, None, PageLimit::new(256))
            .await?;
        let ids = page.changes.iter().map(|change| match change {
            MailChange::Present(listing) => listing.id.clone(),
            MailChange::Removed(id) => id.clone(),
        });
        self.memory().snapshot = Some(ids.collect());
        Ok(())
    }

    /// What the defect does to a page.
    fn misread(&self, page: &mut ChangePage<MailChange>, first: bool) {
        let mut memory = self.memory();
        match self.defect {
            Defect::SkipsAtPageBorder if page.more => {
                page.changes.pop();
            }
            Defect::NeverEnds => page.more = true,
            Defect::ForgetsNewMail if !first => page.changes.clear(),
            Defect::HidesRemovals => page
                .changes
                .retain(|change| matches!(change, MailChange::Present(_))),
            Defect::HidesEdits => page.changes.retain(|change| match change {
                MailChange::Present(listing) => memory.told.insert(listing.id.clone()),
                MailChange::Removed(_) => true,
            }),
            Defect::LosesMailBetweenPages => {
                if let Some(known) = &memory.snapshot {
                    page.changes.retain(|change| match change {
                        MailChange::Present(listing) => known.contains(&listing.id),
                        MailChange::Removed(_) => true,
                    });
                }
                if !page.more {
                    memory.snapshot = None;
                }
            }
            Defect::ListsWrongTimes => {
                for change in &mut page.changes {
                    if let MailChange::Present(listing) = change {
                        listing.received_at = Some(Timestamp::EPOCH);
                    }
                }
            }
            Defect::CursorDiesWithInstance => {
                let text = format!("{}{MARK}{}", page.cursor.as_str(), self.instance);
                page.cursor = SyncCursor::new(text);
            }
            _ => {}
        }
    }

    fn misread_headers(&self, mail: &mut MailHeaders) {
        match self.defect {
            Defect::LosesReferences => mail.headers.references.clear(),
            Defect::InventsSubject if mail.headers.subject.is_empty() => {
                "(no subject)".clone_into(&mut mail.headers.subject);
            }
            Defect::DraftsLookSent => mail.draft = false,
            _ => {}
        }
    }

    fn misread_message(&self, outcome: Result<FetchedMessage>) -> Result<FetchedMessage> {
        let bytes = |message: &FetchedMessage| {
            let mut bytes = Vec::new();
            let read = message
                .raw
                .open()
                .and_then(|mut raw| raw.read_to_end(&mut bytes));
            // What cannot be read here fails the check all the same.
            read.map(|_| bytes).unwrap_or_default()
        };
        let held = |bytes: Vec<u8>| FetchedMessage::new(RawMessage::from_bytes(bytes));
        match (self.defect, outcome) {
            (Defect::AltersBytes, Ok(message)) => {
                Ok(held([&bytes(&message), &b"-- scanned --\r\n"[..]].concat()))
            }
            (Defect::CleansBytes, Ok(message)) => {
                let clean = |byte: u8| if byte.is_ascii() { byte } else { b'?' };
                Ok(held(bytes(&message).into_iter().map(clean).collect()))
            }
            (Defect::HoldsInMemory, Ok(message)) => Ok(held(bytes(&message))),
            (Defect::CorruptLooksEmpty, Err(error)) if error.kind() == ErrorKind::Corrupt => {
                Ok(held(Vec::new()))
            }
            (Defect::CutsLargeMessages, Err(error)) if error.kind() == ErrorKind::TooLarge => {
                Ok(held(b"From: somebody@example.org\r\n\r\n".to_vec()))
            }
            (_, outcome) => outcome,
        }
    }

    /// Puts the subject of a message into its error.
    fn told_subject<T>(&self, id: &RemoteId, outcome: Result<T>) -> Result<T> {
        outcome.map_err(|error| {
            if !self.has(Defect::TellsSubjects) {
                return error;
            }
            let item = item_id(id).and_then(|id| self.inner.server.mail().item(id).ok());
            match item {
                Some(item) => error.with("subject", &item.summary().subject),
                None => error,
            }
        })
    }

    fn copy(&self, ids: &[RemoteId], target: &FolderId) {
        let system = self.inner.server.mail();
        for id in ids.iter().filter_map(item_id) {
            if let Some(target) = model_folder_id(target) {
                // A failure leaves no copy, and the check fails as it should.
                let _ = system.copy_item(id, target);
            }
        }
    }
}

#[async_trait]
impl MailSource for DefectiveProvider {
    async fn list_folders(&self, ctx: &OpContext) -> Result<Vec<Folder>> {
        let ctx = self.context(ctx);
        let mut folders = self
            .call("mail.list_folders", self.inner.list_folders(&ctx))
            .await?;
        for folder in &mut folders {
            folder.id = self.told_folder(&folder.id);
            folder.parent = folder.parent.as_ref().map(|id| self.told_folder(id));
        }
        match self.defect {
            Defect::HidesInbox => {
                folders.retain(|folder| folder.role != Some(WellKnownFolder::Inbox));
            }
            Defect::ListsFoldersTwice => folders.extend(folders.clone()),
            _ => {}
        }
        Ok(folders)
    }

    async fn find_folder(&self, ctx: &OpContext, role: WellKnownFolder) -> Result<FolderId> {
        let ctx = self.context(ctx);
        let found = self.call("mail.find_folder", self.inner.find_folder(&ctx, role));
        Ok(self.told_folder(&found.await?))
    }

    async fn ensure_folder(
        &self,
        ctx: &OpContext,
        parent: Option<&FolderId>,
        name: &str,
    ) -> Result<FolderId> {
        let ctx = self.context(ctx);
        self.refuses(&ctx, "mail.ensure_folder").await?;
        let mut name = name.to_owned();
        let mut parent = parent.map(|id| self.known_folder(id));
        match self.defect {
            Defect::MakesFoldersAnew => {
                let folders = self.inner.list_folders(&ctx).await?;
                while folders.iter().any(|folder| folder.name == name) {
                    name.push_str(" 1");
                }
            }
            Defect::CaseMatters if name == name.to_uppercase() => name.push('\''),
            Defect::IgnoresParent => parent = None,
            _ => {}
        }
        let made = self.inner.ensure_folder(&ctx, parent.as_ref(), &name);
        let made = self.call("mail.ensure_folder", made).await?;
        Ok(self.told_folder(&made))
    }

    async fn changes(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        since: Option<&SyncCursor>,
        limit: PageLimit,
    ) -> Result<ChangePage<MailChange>> {
        let (ctx, folder) = (self.context(ctx), self.known_folder(folder));
        let limit = match self.defect {
            Defect::IgnoresPageLimit => PageLimit::new(256),
            _ => limit,
        };
        let mut known = since.cloned();
        if let Some(cursor) = since {
            match (self.defect, cursor.as_str().split_once(MARK)) {
                (Defect::CursorWorksOnce, _)
                    if !self.memory().used.insert(cursor.as_str().to_owned()) =>
                {
                    return Ok(ChangePage::new(Vec::new(), cursor.clone(), false));
                }
                (Defect::CursorDiesWithInstance, Some((text, instance))) => {
                    let own = instance == self.instance.to_string();
                    known = Some(SyncCursor::new(if own { text } else { "" }));
                }
                _ => {}
            }
        }
        if self.has(Defect::LosesMailBetweenPages) && since.is_none() {
            self.snapshot(&ctx, &folder).await?;
        }
        let page = self.inner.changes(&ctx, &folder, known.as_ref(), limit);
        let page = match (self.defect, self.call("mail.changes", page).await) {
            (Defect::RestartsByItself, Err(error)) if error.kind() == ErrorKind::CursorInvalid => {
                self.inner.changes(&ctx, &folder, None, limit).await
            }
            (Defect::UnknownFolderIsEmpty, Err(error)) if error.kind() == ErrorKind::NotFound => {
                Ok(ChangePage::new(Vec::new(), SyncCursor::new(""), false))
            }
            (_, page) => page,
        };
        let mut page = page?;
        self.misread(&mut page, since.is_none());
        Ok(page)
    }

    async fn headers(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<MailHeaders>>> {
        self.batch(ids, "mail.headers")?;
        let (ctx, folder) = (self.context(ctx), self.known_folder(folder));
        let mut outcomes = Vec::new();
        for piece in self.pieces(ids) {
            let piece = self.inner.headers(&ctx, &folder, piece);
            outcomes.extend(self.call("mail.headers", piece).await?);
        }
        for mail in outcomes.iter_mut().flatten() {
            self.misread_headers(mail);
        }
        self.spoiled(ids, outcomes)
    }

    async fn fetch(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<FetchedMessage>>> {
        self.batch(ids, "mail.fetch")?;
        let (mut ctx, folder) = (self.context(ctx), self.known_folder(folder));
        if self.has(Defect::HoldsInMemory) {
            ctx.spool = Spool::in_temporary_folder().unwrap_or(ctx.spool);
        }
        let mut outcomes = Vec::new();
        for piece in self.pieces(ids) {
            let piece = self.inner.fetch(&ctx, &folder, piece);
            outcomes.extend(self.call("mail.fetch", piece).await?);
        }
        let outcomes = outcomes
            .into_iter()
            .zip(ids)
            .map(|(outcome, id)| self.told_subject(id, self.misread_message(outcome)))
            .collect();
        if self.has(Defect::MarksAsRead) {
            for id in ids.iter().filter_map(item_id) {
                // A message that is gone needs no mark.
                let _ = self.inner.server.mail().set_read(id, true);
            }
        }
        self.spoiled(ids, outcomes)
    }

    async fn move_to(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        target: &FolderId,
    ) -> Result<Vec<Result<Option<RemoteId>>>> {
        self.batch(ids, "mail.move_to")?;
        let ctx = self.context(ctx);
        self.refuses(&ctx, "mail.move_to").await?;
        let (folder, target) = (self.known_folder(folder), self.known_folder(target));
        if self.has(Defect::CopiesInsteadOfMoving) {
            self.copy(ids, &target);
            return Ok(ids.iter().map(|_| Ok(None)).collect());
        }
        let moved = self.inner.move_to(&ctx, &folder, ids, &target);
        let moved = self.call("mail.move_to", moved).await?;
        let misread = |(outcome, id): (Result<Option<RemoteId>>, &RemoteId)| match self.defect {
            Defect::TellsOldId => outcome.map(|_| Some(id.clone())),
            Defect::MovesTheMissing => Ok(outcome.unwrap_or_default()),
            _ => outcome,
        };
        let outcomes = moved.into_iter().zip(ids).map(misread).collect();
        self.spoiled(ids, outcomes)
    }

    async fn delete(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        mode: DeleteMode,
    ) -> Result<Vec<Result<()>>> {
        self.batch(ids, "mail.delete")?;
        let (ctx, folder) = (self.context(ctx), self.known_folder(folder));
        let mode = match self.defect {
            Defect::DeletesNothing => return Ok(ids.iter().map(|_| Ok(())).collect()),
            Defect::DeletesForGood => DeleteMode::Permanently,
            Defect::NeverDeletesForGood => DeleteMode::ToDeletedItems,
            _ => mode,
        };
        let deleted = self.inner.delete(&ctx, &folder, ids, mode);
        let deleted = self.call("mail.delete", deleted).await?;
        if !self.has(Defect::SecondDeleteFails) {
            return Ok(deleted);
        }
        let mut memory = self.memory();
        let first = |id: &RemoteId| {
            if memory.deleted.insert(id.clone()) {
                return Ok(());
            }
            let (kind, code) = (ErrorKind::NotFound, Code::ItemNotFound);
            Err(ProviderError::new(kind, code, "mail.delete"))
        };
        Ok(ids.iter().map(first).collect())
    }
}
