//! `approve` and `reject`.

use clap::Args;

use crate::api::Mailbox;
use crate::app::App;
use crate::command::mailbox::ids;
use crate::command::selection::{Approval as State, Selection};
use crate::failure::Result;
use crate::view;

/// Which addresses. `--all` is every mailbox whose address is pending approval.
#[derive(Args, Debug)]
pub(crate) struct Approval {
    #[command(flatten)]
    selection: Selection,
}

impl Approval {
    pub(crate) async fn approve(self, app: &App<'_>) -> Result {
        let Some(mailboxes) = self.agreed(app, "approve").await? else {
            return Ok(());
        };
        let outcomes = app.admin.approve(&app.principal, &ids(&mailboxes)).await;
        app.bulk(
            &mailboxes,
            outcomes,
            |m| view::approval_words(m.approval).to_owned(),
            view::mailbox,
        )
    }

    pub(crate) async fn reject(self, app: &App<'_>) -> Result {
        let Some(mailboxes) = self.agreed(app, "reject").await? else {
            return Ok(());
        };
        let outcomes = app.admin.reject(&app.principal, &ids(&mailboxes)).await;
        app.bulk(
            &mailboxes,
            outcomes,
            |m| view::approval_words(m.approval).to_owned(),
            view::mailbox,
        )
    }

    async fn agreed(mut self, app: &App<'_>, doing: &str) -> Result<Option<Vec<Mailbox>>> {
        // Whoever names mailboxes means them; a selection is about those that wait for a decision.
        if self.selection.all || !self.selection.only.is_empty() {
            self.selection.only.approval.get_or_insert(State::Pending);
        }
        self.selection.agreed(app, doing).await
    }
}
