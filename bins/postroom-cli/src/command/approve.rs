//! `approve` and `reject`.

use clap::Args;

use crate::api::ApprovalState;
use crate::app::App;
use crate::command::mailbox::ids;
use crate::failure::Result;
use crate::view;

/// Which addresses.
#[derive(Args, Debug)]
pub(crate) struct Approval {
    /// Addresses, names or ids of mailboxes.
    mailboxes: Vec<String>,
    /// Every mailbox whose address is pending approval.
    #[arg(long, conflicts_with = "mailboxes")]
    all: bool,
}

impl Approval {
    pub(crate) async fn approve(self, app: &App<'_>) -> Result {
        let mailboxes = self.chosen(app).await?;
        let outcomes = app.admin.approve(&app.principal, &ids(&mailboxes)).await;
        app.bulk(
            &mailboxes,
            outcomes,
            |m| view::approval_words(m.approval).to_owned(),
            view::mailbox,
        )
    }

    pub(crate) async fn reject(self, app: &App<'_>) -> Result {
        let mailboxes = self.chosen(app).await?;
        let outcomes = app.admin.reject(&app.principal, &ids(&mailboxes)).await;
        app.bulk(
            &mailboxes,
            outcomes,
            |m| view::approval_words(m.approval).to_owned(),
            view::mailbox,
        )
    }

    async fn chosen(&self, app: &App<'_>) -> Result<Vec<crate::api::Mailbox>> {
        let mut mailboxes = app.chosen(&self.mailboxes, self.all).await?;
        if self.all {
            mailboxes.retain(|mailbox| mailbox.approval == ApprovalState::Pending);
        }
        Ok(mailboxes)
    }
}
