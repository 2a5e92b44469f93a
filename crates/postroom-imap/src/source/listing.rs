//! What is new in a folder, and what is gone. See ADR 0021.

use postroom_core::Code;
use postroom_provider::{
    ChangePage, ErrorKind, FolderId, MailChange, MailListing, OpContext, ProviderError, Result,
    SyncCursor,
};

use crate::cursor::{self, Told, id_of};
use crate::error::about_session;
use crate::map;
use crate::proto::command::Command;
use crate::proto::response::{Fetch, Response};
use crate::proto::uid_set::UidSet;
use crate::provider::{BATCH_MAX, Held, ImapProvider};
use crate::session::{Access, Session, SessionError, Since};

const OPERATION: &str = "mail.changes";

/// What is left to be told.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    told: Told,
    gone: Vec<u32>,
    new: Vec<u32>,
    /// Where the folder stands when all is told.
    next: u32,
    mod_sequence: u64,
}

impl Listing {
    /// The next page: what is gone, what is new, and what was told then.
    fn page(&mut self, limit: usize) -> (Vec<u32>, Vec<u32>) {
        let limit = limit.max(1);
        let gone = front(&mut self.gone, limit);
        let new = front(&mut self.new, limit - gone.len());
        if !gone.is_empty() {
            self.told.there = self.told.there.without(&UidSet::of(gone.clone()));
        }
        self.told.there.add(&new);
        let last = new.iter().max().and_then(|last| last.checked_add(1));
        self.told.next = self.told.next.max(last.unwrap_or(1));
        self.told.more = !self.gone.is_empty() || !self.new.is_empty();
        if !self.told.more {
            self.told.next = self.told.next.max(self.next);
            self.told.mod_sequence = self.mod_sequence;
        }
        (gone, new)
    }
}

/// Takes so many off the front.
fn front(uids: &mut Vec<u32>, count: usize) -> Vec<u32> {
    let rest = uids.split_off(count.min(uids.len()));
    std::mem::replace(uids, rest)
}

impl ImapProvider {
    /// A page of changes.
    pub(super) async fn page(
        &self,
        ctx: &OpContext,
        held: &mut Held,
        folder: &FolderId,
        since: Option<&SyncCursor>,
        told: Option<Told>,
        limit: usize,
    ) -> Result<ChangePage<MailChange>> {
        let kept_open = held.session.is_some();
        let begun = self.session(ctx, held).await;
        let mut session = begun.map_err(|error| self.failed(OPERATION, error))?;
        let kept = held.listing.take();
        let kept = kept
            .filter(|(cursor, _)| Some(cursor) == since)
            .filter(|_| {
                let opened = session.opened.as_ref();
                opened.is_some_and(|opened| opened.name == folder.as_str())
            });
        let listing = match kept {
            Some((_, listing)) => Ok(listing),
            None => match self.listing(ctx, &mut session, folder, told.clone()).await {
                Err(error) if kept_open && about_session(&error) => {
                    let begun = self.open(ctx).await;
                    session = begun.map_err(|error| self.failed(OPERATION, error))?;
                    self.listing(ctx, &mut session, folder, told).await
                }
                listing => listing,
            },
        };
        let mut listing = match listing {
            Ok(listing) => listing,
            Err(error) => {
                if matches!(error.kind(), ErrorKind::CursorInvalid | ErrorKind::NotFound) {
                    held.session = Some(session);
                }
                return Err(error);
            }
        };
        let validity = listing.told.validity;
        let (gone, new) = listing.page(limit);
        let details = details(ctx, &mut session, &new).await;
        let mut details = details.map_err(|error| self.failed(OPERATION, error))?;
        let mut changes = Vec::with_capacity(gone.len() + new.len());
        for uid in gone {
            changes.push(MailChange::Removed(id_of(validity, uid)));
        }
        for uid in new {
            // One about which the server says nothing is told all the same: who asks for it finds out.
            let mut told = MailListing::new(id_of(validity, uid));
            let at = details.binary_search_by_key(&Some(uid), |fetch| fetch.uid);
            if let Some(fetch) = at.ok().and_then(|at| details.get_mut(at)) {
                told.size = fetch.size;
                let date = fetch.internal_date.take();
                told.received_at = date.as_deref().and_then(map::internal_date);
            }
            changes.push(MailChange::Present(told));
        }
        let (more, cursor) = (listing.told.more, listing.told.write(folder));
        held.session = Some(session);
        if more {
            held.listing = Some((cursor.clone(), listing));
        }
        Ok(ChangePage::new(changes, cursor, more))
    }

    /// Compares a folder, as it is now, with what was told.
    async fn listing(
        &self,
        ctx: &OpContext,
        session: &mut Session,
        folder: &FolderId,
        told: Option<Told>,
    ) -> Result<Listing> {
        let since = told
            .as_ref()
            .filter(|told| told.mod_sequence > 0)
            .map(|told| Since {
                validity: told.validity,
                mod_sequence: told.mod_sequence,
            });
        let access = Access::Read;
        self.open_folder(ctx, session, OPERATION, folder, access, since)
            .await?;
        let Some(opened) = session.opened.clone() else {
            let code = Code::Internal;
            return Err(ProviderError::new(ErrorKind::Internal, code, OPERATION));
        };
        let told = told.unwrap_or_else(|| Told::nothing(opened.validity));
        if told.validity != opened.validity {
            return Err(cursor::invalid(OPERATION, "the UIDVALIDITY is another"));
        }
        if opened.next.is_some_and(|next| next < told.next) {
            return Err(cursor::invalid(
                OPERATION,
                "the UIDNEXT has gone back: UIDs will name other messages",
            ));
        }
        let failed = |error| self.failed(OPERATION, error);
        let count = u64::from(opened.count);
        let mut new = UidSet::default();
        if opened.next != Some(told.next) && count > 0 {
            let from = format!("UID {}:*", told.next);
            let found = search(ctx, session, &from).await.map_err(failed)?;
            // The last message is always among them.
            new = UidSet::of(found.into_iter().filter(|uid| *uid >= told.next).collect());
        }
        let vanished = UidSet::of_ranges(opened.vanished);
        let mut gone = told.there.common(&vanished);
        if told.there.len() + new.len() != count + gone.len() {
            // More is gone than the server tells, or it tells nothing about that.
            let all = search(ctx, session, "ALL").await.map_err(failed)?;
            let all = UidSet::of(all);
            gone = told.there.without(&all);
            new = all.without(&told.there);
        }
        let last = new.last().and_then(|last| last.checked_add(1));
        let next = opened.next.unwrap_or(told.next).max(last.unwrap_or(1));
        Ok(Listing {
            gone: gone.iter().collect(),
            new: new.iter().collect(),
            next,
            mod_sequence: opened.mod_sequence,
            told,
        })
    }
}

async fn search(
    ctx: &OpContext,
    session: &mut Session,
    what: &str,
) -> Result<Vec<u32>, SessionError> {
    let mut found = Vec::new();
    let mut keep = |response| {
        if let Response::Search(uids) = response {
            found.extend(uids.into_iter().filter(|uid| *uid > 0));
        }
    };
    let command = Command::new("UID SEARCH").word(what);
    session.run(ctx, &command, &mut keep).await?.ok()?;
    Ok(found)
}

/// What a listing says of messages: in the order of their UIDs, as far as the server says anything.
async fn details(
    ctx: &OpContext,
    session: &mut Session,
    uids: &[u32],
) -> Result<Vec<Fetch>, SessionError> {
    let mut found: Vec<Fetch> = Vec::with_capacity(uids.len());
    // A server that tells of others, or of one again and again, is not listened to for ever.
    let most = uids.len().saturating_mul(2);
    let mut keep = |response| {
        if let Response::Fetch(fetch) = response
            && fetch.uid.is_some()
            && (fetch.internal_date.is_some() || fetch.size.is_some())
            && found.len() < most
        {
            found.push(fetch);
        }
    };
    let mut sent = Vec::new();
    for some in uids.chunks(BATCH_MAX) {
        let set = UidSet::of(some.to_vec()).write();
        let command = format!("UID FETCH {set} (UID INTERNALDATE RFC822.SIZE)");
        sent.push(session.send(ctx, &Command::new(command)).await?);
    }
    for sent in sent {
        // A message that cannot be read is told without details.
        session.finish(ctx, sent, &mut keep).await?;
    }
    found.sort_by_key(|fetch| fetch.uid);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_told_in_pages_and_ends_where_the_folder_stands() {
        let mut told = Told::nothing(1);
        told.there = UidSet::of_ranges([1..=4]);
        told.next = 5;
        told.mod_sequence = 9;
        let mut listing = Listing {
            told,
            gone: vec![2, 3],
            new: vec![5, 6, 9],
            next: 12,
            mod_sequence: 30,
        };
        assert_eq!(listing.page(3), (vec![2, 3], vec![5]));
        assert_eq!((listing.told.next, listing.told.mod_sequence), (6, 9));
        assert!(listing.told.more);
        assert_eq!(listing.page(3), (vec![], vec![6, 9]));
        assert_eq!((listing.told.next, listing.told.mod_sequence), (12, 30));
        assert_eq!(listing.told.there, UidSet::of(vec![1, 4, 5, 6, 9]));
        assert!(!listing.told.more);
    }
}
