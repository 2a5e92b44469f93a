//! `export`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::app::App;
use crate::confirm::Consent;
use crate::declared;
use crate::failure::{Failure, Result};

/// Write the organization as one file.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// The file; without it, or with `-`, standard output.
    file: Option<PathBuf>,
    /// Leave out contacts, accounts and the like: only what has a mailbox.
    #[arg(long)]
    no_parties: bool,
    #[command(flatten)]
    consent: Consent,
}

impl Export {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        let snapshot = app.admin.snapshot(&app.principal, app.crm()).await?;
        let mut declaration = snapshot.declaration();
        if self.no_parties {
            declaration.parties.clear();
        }
        let text = declared::write(&declaration);
        let path = self.file.filter(|path| path != Path::new("-"));
        let Some(path) = path else {
            app.output.line(&text);
            app.output.json(&json!({ "export": declaration }));
            if !std::io::stdout().is_terminal() {
                app.output.progress("passwords are not part of it");
            }
            return Ok(());
        };
        if path.exists() {
            let question = format!("There is a file {} already. Replace it?", path.display());
            self.consent.obtain(&question)?;
        }
        // By way of another name, so that a failure leaves the old file as it was.
        let draft = path.with_extension("toml.new");
        std::fs::write(&draft, &text)
            .and_then(|()| std::fs::rename(&draft, &path))
            .map_err(|error| Failure::file("write", &path, &error))?;
        app.output.line(format!(
            "wrote {}: {} profiles, {} users, {} queues, {} forward mailboxes, {} parties",
            path.display(),
            declaration.profiles.len(),
            declaration.users.len(),
            declaration.queues.len(),
            declaration.forward_mailboxes.len(),
            declaration.parties.len(),
        ));
        app.output
            .note("Passwords are not part of it: name where they come from with password_file or password_env.");
        app.output
            .json(&json!({ "file": path, "export": declaration }));
        Ok(())
    }
}
