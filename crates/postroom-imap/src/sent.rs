//! The copies of what was sent.

use std::io::Read as _;

use async_trait::async_trait;
use postroom_core::outbox::SentReceipt;
use postroom_core::{Code, RawMessage};
use postroom_provider::{
    ErrorKind, FolderId, OpContext, ProviderError, RemoteId, Result, SentItems, Submission,
    SubmissionIdentity, WellKnownFolder,
};

use crate::cursor::id_of;
use crate::error::item_refused;
use crate::folders::{self, Folders};
use crate::proto::command::Command;
use crate::proto::response::{Response, Status};
use crate::proto::uid_set::UidSet;
use crate::provider::{Held, ImapProvider};
use crate::session::{Access, Done, Session, SessionError};

/// What is read of a message and sent in one go.
const CHUNK: usize = 64 * 1024;

fn no_place(operation: &'static str) -> ProviderError {
    ProviderError::new(ErrorKind::NotFound, Code::FolderNotFound, operation)
}

impl ImapProvider {
    async fn with_folders(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        held: &mut Held,
    ) -> Result<(Session, Folders)> {
        let begun = self.session(ctx, held).await;
        let mut session = begun.map_err(|error| self.failed(operation, error))?;
        held.listing = None;
        let folders = folders::list(ctx, &mut session).await;
        let folders = folders.map_err(|error| self.failed(operation, error))?;
        Ok((session, folders))
    }

    async fn found(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        identity: &SubmissionIdentity,
    ) -> Result<Option<SentReceipt>> {
        let mut held = self.held.lock().await;
        let kept = held.session.is_some();
        let (mut session, folders) = self.with_folders(ctx, operation, &mut held).await?;
        let sent = folders.with_role(WellKnownFolder::SentItems);
        let places: Vec<String> = [sent, folders.all_mail()]
            .into_iter()
            .flatten()
            .map(|place| place.name.clone())
            .collect();
        let mut found = None;
        for place in places {
            let folder = FolderId::new(place);
            let access = Access::Read;
            self.open_folder(ctx, &mut session, operation, &folder, access, None)
                .await?;
            let validity = session.opened.as_ref().map_or(0, |opened| opened.validity);
            let uids = copies(ctx, &mut session, identity).await;
            let uids = uids.map_err(|error| self.failed(operation, error))?;
            if let Some(uid) = UidSet::of(uids).last() {
                found = Some(SentReceipt::found(id_of(validity, uid)));
                break;
            }
        }
        give_back(ctx, &mut held, session, kept).await;
        Ok(found)
    }

    async fn filed(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        raw: &RawMessage,
    ) -> Result<Option<RemoteId>> {
        let mut held = self.held.lock().await;
        let kept = held.session.is_some();
        let (mut session, folders) = self.with_folders(ctx, operation, &mut held).await?;
        let Some(place) = folders.with_role(WellKnownFolder::SentItems) else {
            give_back(ctx, &mut held, session, kept).await;
            return Err(no_place(operation));
        };
        let appended = append(ctx, &mut session, &place.name, raw).await;
        let done = appended.map_err(|error| match error {
            Refusal::Session(error) => self.failed(operation, error),
            Refusal::Source(error) => {
                ProviderError::new(ErrorKind::Internal, Code::StoreUnavailable, operation)
                    .with_source(error)
            }
        })?;
        give_back(ctx, &mut held, session, kept).await;
        match done.word.code_name() {
            _ if done.status == Status::Ok => {}
            Some("TRYCREATE" | "NONEXISTENT") => return Err(no_place(operation)),
            code => {
                let kind = match code {
                    Some("TOOBIG") => (ErrorKind::TooLarge, Code::TooLarge),
                    _ => (ErrorKind::PermissionDenied, Code::AccessDenied),
                };
                return Err(item_refused(operation, &done.word, &self.config, kind));
            }
        }
        // APPENDUID. Source: RFC 4315.
        let id = done.word.argument("APPENDUID").and_then(|argument| {
            let (validity, uid) = argument.split_once(' ')?;
            Some(id_of(validity.parse().ok()?, uid.parse().ok()?))
        });
        Ok(id)
    }
}

/// Keeps a session that was kept, for whoever reads mail. One that was begun for this alone is ended: nobody
/// would release it.
async fn give_back(ctx: &OpContext, held: &mut Held, session: Session, kept: bool) {
    if kept {
        held.session = Some(session);
    } else {
        // Everything was heard already.
        let _ = session.close(ctx).await;
    }
}

async fn copies(
    ctx: &OpContext,
    session: &mut Session,
    identity: &SubmissionIdentity,
) -> std::result::Result<Vec<u32>, SessionError> {
    let id = identity.message_id.as_str();
    let id = format!("<{}>", id.trim_matches(['<', '>']));
    let mut uids = Vec::new();
    let mut keep = |response| {
        if let Response::Search(found) = response {
            uids.extend(found);
        }
    };
    // A draft of that id was not sent.
    let command = Command::new("UID SEARCH UNDRAFT HEADER Message-ID").string(&id);
    session.run(ctx, &command, &mut keep).await?.ok()?;
    Ok(uids)
}

enum Refusal {
    Session(SessionError),
    Source(std::io::Error),
}

/// Stores a message, piece by piece. The server is asked first whether it takes one of that size.
async fn append(
    ctx: &OpContext,
    session: &mut Session,
    folder: &str,
    raw: &RawMessage,
) -> std::result::Result<Done, Refusal> {
    let mut source = raw.open().map_err(Refusal::Source)?;
    let command = Command::new("APPEND")
        .string(folder)
        .word(&format!("(\\Seen) {{{}}}", raw.len()));
    let sent = session
        .send(ctx, &command)
        .await
        .map_err(Refusal::Session)?;
    let sent = match session.asked(ctx, sent).await.map_err(Refusal::Session)? {
        Ok(sent) => sent,
        Err(done) => return Ok(done),
    };
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = source.read(&mut chunk).map_err(Refusal::Source)?;
        let some = chunk.get(..read).unwrap_or_default();
        if some.is_empty() {
            break;
        }
        session
            .send_raw(ctx, some)
            .await
            .map_err(Refusal::Session)?;
    }
    let end = session.send_raw(ctx, b"\r\n").await;
    end.map_err(Refusal::Session)?;
    session
        .finish(ctx, sent, &mut crate::session::ignore)
        .await
        .map_err(Refusal::Session)
}

#[async_trait]
impl SentItems for ImapProvider {
    /// By Message-ID, in the folder of sent messages and, where there is one, in that of all.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn find_copy(
        &self,
        ctx: &OpContext,
        identity: &SubmissionIdentity,
    ) -> Result<Option<SentReceipt>> {
        const OPERATION: &str = "sent.find_copy";
        ctx.bounded(OPERATION, self.found(ctx, OPERATION, identity))
            .await
    }

    /// By APPEND to the folder of sent messages.
    ///
    /// # Cancellation
    /// The copy may have been filed.
    async fn file_copy(
        &self,
        ctx: &OpContext,
        submission: &Submission,
    ) -> Result<Option<RemoteId>> {
        const OPERATION: &str = "sent.file_copy";
        ctx.bounded(OPERATION, self.filed(ctx, OPERATION, &submission.raw))
            .await
    }
}
