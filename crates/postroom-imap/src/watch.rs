//! Hearing of changes. Source: RFC 2177.

use async_trait::async_trait;
use postroom_net::NetFailure;
use postroom_provider::{FolderId, OpContext, ProviderError, Result, SyncCursor, Watcher};

use crate::cursor::{self, Told};
use crate::error::about_session;
use crate::proto::command::Command;
use crate::proto::response::Status;
use crate::provider::ImapProvider;
use crate::session::{Access, Session, SessionError, ignore};

const OPERATION: &str = "watch.wait";

impl ImapProvider {
    /// Opens the folder and says whether it is as it was told.
    async fn looked(
        &self,
        ctx: &OpContext,
        session: &mut Session,
        folder: &FolderId,
        told: Option<&Told>,
    ) -> Result<bool> {
        self.open_folder(ctx, session, OPERATION, folder, Access::Read, None)
            .await?;
        let (Some(told), Some(opened)) = (told, session.opened.as_ref()) else {
            return Ok(true);
        };
        if told.validity != opened.validity {
            return Err(cursor::invalid(OPERATION, "the UIDVALIDITY is another"));
        }
        let same_next = opened.next.is_none_or(|next| next == told.next);
        Ok(!told.more && same_next && told.there.len() == u64::from(opened.count))
    }

    async fn heard(
        &self,
        ctx: &OpContext,
        session: &mut Session,
    ) -> std::result::Result<(), SessionError> {
        loop {
            let sent = session.send(ctx, &Command::new("IDLE")).await?;
            let sent = match session.asked(ctx, sent).await? {
                Ok(sent) => sent,
                Err(done) => {
                    done.ok()?;
                    return Err(SessionError::Odd("IDLE ended before it began"));
                }
            };
            let changed = loop {
                if session.opened.as_ref().is_some_and(|opened| opened.stale) {
                    break true;
                }
                match session.response(ctx, &mut ignore).await {
                    Ok(response) if sent.is_ended_by(&response) => {
                        return Err(SessionError::Odd("IDLE ended by itself"));
                    }
                    Ok(_) => {}
                    // It is quiet. What was read of a line is still there; asking anew keeps the connection.
                    Err(SessionError::Net(error)) if error.failure() == NetFailure::TimedOut => {
                        break false;
                    }
                    Err(error) => return Err(error),
                }
            };
            session.send_raw(ctx, b"DONE\r\n").await?;
            let done = session.finish(ctx, sent, &mut ignore).await?;
            if done.status != Status::Ok {
                done.ok()?;
            }
            if changed || session.opened.as_ref().is_some_and(|opened| opened.stale) {
                return Ok(());
            }
        }
    }

    async fn waited(&self, ctx: &OpContext, folder: &FolderId, told: Option<&Told>) -> Result<()> {
        let mut waiting = self.waiting.lock().await;
        let kept = waiting.take();
        let was_kept = kept.is_some();
        let mut session = match kept {
            Some(session) => session,
            None => self.begun(ctx).await?,
        };
        if !session.capabilities.has("IDLE") {
            *waiting = Some(session);
            return Err(ProviderError::unsupported(OPERATION, "watch"));
        }
        let same = match self.looked(ctx, &mut session, folder, told).await {
            Err(error) if was_kept && about_session(&error) => {
                session = self.begun(ctx).await?;
                self.looked(ctx, &mut session, folder, told).await?
            }
            same => same?,
        };
        if same {
            let heard = self.heard(ctx, &mut session).await;
            heard.map_err(|error| self.failed(OPERATION, error))?;
        }
        *waiting = Some(session);
        Ok(())
    }

    async fn begun(&self, ctx: &OpContext) -> Result<Session> {
        let begun = self.open(ctx).await;
        begun.map_err(|error| self.failed(OPERATION, error))
    }
}

#[async_trait]
impl Watcher for ImapProvider {
    /// By IDLE, in a session of its own.
    ///
    /// # Cancellation
    /// The connection is closed without a word.
    async fn wait(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        since: Option<&SyncCursor>,
    ) -> Result<()> {
        let told = since
            .map(|since| Told::read(OPERATION, folder, since))
            .transpose()?;
        ctx.bounded(OPERATION, self.waited(ctx, folder, told.as_ref()))
            .await
    }

    async fn rest(&self, ctx: &OpContext) {
        let session = self
            .waiting
            .try_lock()
            .ok()
            .and_then(|mut held| held.take());
        if let Some(session) = session {
            // It is given up whatever the server says.
            let _ = session.close(ctx).await;
        }
    }
}
