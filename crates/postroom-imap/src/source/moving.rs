//! Moving and deleting: these messages, and no other one.

use std::collections::BTreeMap;

use postroom_core::{Code, Scope};
use postroom_provider::{
    DeleteMode, ErrorKind, FolderId, OpContext, RemoteId, Result, WellKnownFolder,
};

use crate::cursor::{id_of, uid_of};
use crate::error::item_refused;
use crate::folders;
use crate::proto::command::{Command, can_be_said};
use crate::proto::response::{Response, Status, Word};
use crate::proto::uid_set::UidSet;
use crate::provider::ImapProvider;
use crate::session::{Access, Session, SessionError, ignore};

use super::{no_folder, not_found};

/// Where messages went: their new UIDVALIDITY and UIDs, where the server says so.
type Went = BTreeMap<u32, (u32, u32)>;

impl ImapProvider {
    pub(super) async fn moved(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        folder: &FolderId,
        ids: &[RemoteId],
        target: &FolderId,
    ) -> Result<Vec<Result<Option<RemoteId>>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        if !can_be_said(target.as_str()) || target.as_str().is_empty() {
            return Err(no_folder(operation));
        }
        let mut held = self.held.lock().await;
        let begun = self.session(ctx, &mut held).await;
        let mut session = begun.map_err(|error| self.failed(operation, error))?;
        held.listing = None;
        let (uids, there) = self
            .there(ctx, operation, &mut session, folder, ids)
            .await?;
        let went = if there.is_empty() {
            Ok(Ok(Went::new()))
        } else {
            self.carry(ctx, &mut session, &there, target.as_str()).await
        };
        let went = went.map_err(|error| self.failed(operation, error))?;
        held.session = Some(session);
        let went = match went {
            Ok(went) => went,
            Err(word) => {
                if matches!(word.code_name(), Some("TRYCREATE" | "NONEXISTENT")) {
                    return Err(no_folder(operation));
                }
                let denied = (ErrorKind::PermissionDenied, Code::AccessDenied);
                let error = item_refused(operation, &word, &self.config, denied);
                return Err(error.with_scope(Scope::Mailbox));
            }
        };
        let outcome = |uid: &Option<u32>| match uid.filter(|uid| there.contains(*uid)) {
            None => Err(not_found(operation)),
            Some(uid) => Ok(went.get(&uid).map(|(validity, uid)| id_of(*validity, *uid))),
        };
        Ok(uids.iter().map(outcome).collect())
    }

    pub(super) async fn deleted(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        folder: &FolderId,
        ids: &[RemoteId],
        mode: DeleteMode,
    ) -> Result<Vec<Result<()>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut held = self.held.lock().await;
        let begun = self.session(ctx, &mut held).await;
        let mut session = begun.map_err(|error| self.failed(operation, error))?;
        held.listing = None;
        let bin = if mode == DeleteMode::ToDeletedItems {
            let folders = folders::list(ctx, &mut session).await;
            let folders = folders.map_err(|error| self.failed(operation, error))?;
            let bin = folders.with_role(WellKnownFolder::DeletedItems);
            bin.map(|bin| bin.name.clone())
                .filter(|bin| bin != folder.as_str())
        } else {
            None
        };
        let (_, there) = self
            .there(ctx, operation, &mut session, folder, ids)
            .await?;
        let done = match bin {
            _ if there.is_empty() => Ok(Ok(())),
            Some(bin) => {
                let went = self.carry(ctx, &mut session, &there, &bin).await;
                went.map(|went| went.map(drop))
            }
            None => expunge(ctx, &mut session, &there).await,
        };
        let done = done.map_err(|error| self.failed(operation, error))?;
        held.session = Some(session);
        let outcome = |_: &RemoteId| match &done {
            Ok(()) => Ok(()),
            Err(word) => {
                let denied = (ErrorKind::PermissionDenied, Code::AccessDenied);
                Err(item_refused(operation, word, &self.config, denied))
            }
        };
        Ok(ids.iter().map(outcome).collect())
    }

    /// Opens the folder for changes and looks which of the messages are there.
    async fn there(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        session: &mut Session,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<(Vec<Option<u32>>, UidSet)> {
        let access = Access::Write;
        self.open_folder(ctx, session, operation, folder, access, None)
            .await?;
        let validity = session.opened.as_ref().map_or(0, |opened| opened.validity);
        let uids: Vec<Option<u32>> = ids.iter().map(|id| uid_of(validity, id)).collect();
        let wanted = UidSet::of(uids.iter().flatten().copied().collect());
        if wanted.is_empty() {
            return Ok((uids, wanted));
        }
        let mut found = Vec::new();
        let mut keep = |response| {
            if let Response::Fetch(fetch) = response
                && let Some(uid) = fetch.uid.filter(|uid| wanted.contains(*uid))
            {
                found.push(uid);
            }
        };
        let command = Command::new(format!("UID FETCH {} (UID)", wanted.write()));
        let done = session.run(ctx, &command, &mut keep).await;
        let done = done.map_err(|error| self.failed(operation, error))?;
        done.ok().map_err(|error| self.failed(operation, error))?;
        Ok((uids, UidSet::of(found)))
    }

    /// Moves messages of the folder that is open. A refusal leaves them where they are.
    async fn carry(
        &self,
        ctx: &OpContext,
        session: &mut Session,
        uids: &UidSet,
        target: &str,
    ) -> Result<std::result::Result<Went, Word>, SessionError> {
        let moves = session.capabilities.moves();
        if !moves && let Some(word) = others_deleted(ctx, session, uids).await? {
            return Ok(Err(word));
        }
        let verb = if moves { "UID MOVE" } else { "UID COPY" };
        let command = Command::new(verb).word(&uids.write()).string(target);
        let mut went = Went::new();
        let mut keep = |response| {
            if let Response::Untagged(Status::Ok, word) = response {
                note(&word, &mut went);
            }
        };
        let done = session.run(ctx, &command, &mut keep).await?;
        if done.status != Status::Ok {
            return Ok(Err(done.word));
        }
        note(&done.word, &mut went);
        if !moves && let Err(word) = expunge(ctx, session, uids).await? {
            return Ok(Err(word));
        }
        Ok(Ok(went))
    }
}

/// Reads COPYUID: the new UIDVALIDITY, the old UIDs, the new ones. Source: RFC 4315.
fn note(word: &Word, went: &mut Went) {
    let Some(argument) = word.argument("COPYUID") else {
        return;
    };
    let mut parts = argument.split(' ');
    let (Some(validity), Some(from), Some(to)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let (Ok(validity), Some(from), Some(to)) =
        (validity.parse(), UidSet::read(from), UidSet::read(to))
    else {
        return;
    };
    // In pairs, as they are written; whoever writes more than there can be is not listened to.
    let each = |ranges: Vec<std::ops::RangeInclusive<u32>>| {
        ranges
            .into_iter()
            .flatten()
            .take(crate::provider::BATCH_MAX)
    };
    went.extend(each(from).zip(each(to).map(|uid| (validity, uid))));
}

/// Why these messages cannot be expunged alone: without UIDPLUS, EXPUNGE takes all that are marked, and nobody
/// else's may be.
async fn others_deleted(
    ctx: &OpContext,
    session: &mut Session,
    uids: &UidSet,
) -> Result<Option<Word>, SessionError> {
    if session.capabilities.uid_plus() {
        return Ok(None);
    }
    let mut others = 0_usize;
    let mut count = |response| {
        if let Response::Search(found) = response {
            others += found.iter().filter(|uid| !uids.contains(**uid)).count();
        }
    };
    let command = Command::new("UID SEARCH DELETED");
    session.run(ctx, &command, &mut count).await?.ok()?;
    Ok((others > 0).then(|| Word {
        code: None,
        text: "other messages are marked as deleted, and the server can only expunge all of them"
            .to_owned(),
    }))
}

/// Expunges messages of the folder that is open, and no other ones.
async fn expunge(
    ctx: &OpContext,
    session: &mut Session,
    uids: &UidSet,
) -> Result<std::result::Result<(), Word>, SessionError> {
    let set = uids.write();
    let exactly = session.capabilities.uid_plus();
    if let Some(word) = others_deleted(ctx, session, uids).await? {
        return Ok(Err(word));
    }
    let mark = Command::new(format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)"));
    let done = session.run(ctx, &mark, &mut ignore).await?;
    if done.status != Status::Ok {
        return Ok(Err(done.word));
    }
    let command = if exactly {
        Command::new(format!("UID EXPUNGE {set}"))
    } else {
        Command::new("EXPUNGE")
    };
    let done = session.run(ctx, &command, &mut ignore).await?;
    Ok(if done.status == Status::Ok {
        Ok(())
    } else {
        Err(done.word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_are_read_in_pairs() {
        let word = |argument: &str| Word {
            code: Some(("COPYUID".to_owned(), argument.to_owned())),
            text: String::new(),
        };
        let mut went = Went::new();
        note(&word("38 304,319:320 3956:3958"), &mut went);
        let expected = [(304, (38, 3956)), (319, (38, 3957)), (320, (38, 3958))];
        assert_eq!(went.into_iter().collect::<Vec<_>>(), expected);
        for odd in ["", "x", "1 2", "1 2 *", "1 1:4294967295 1:4294967295"] {
            let mut went = Went::new();
            note(&word(odd), &mut went);
            assert!(went.len() <= 500, "{odd}");
        }
    }
}
