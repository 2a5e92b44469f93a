//! `init`.

use clap::Args;
use serde_json::json;

use crate::app;
use crate::args::Global;
use crate::failure::Result;
use crate::output::Output;

/// Make a new store.
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// The organization's name.
    #[arg(long, default_value = "My organization")]
    name: String,
    /// The application runs as an online service, in a tenant; without it, on own servers.
    #[arg(long)]
    online: bool,
}

impl Init {
    pub(crate) fn run(self, output: &Output, global: &Global) -> Result {
        let made = app::create(global, &self.name, self.online)?;
        output.line(format!(
            "made the store {} for {}",
            global.store.display(),
            self.name
        ));
        if made.key_is_new {
            output.line(format!("made the key {}", made.key_file.display()));
            output.note("Keep a copy of the key, apart from copies of the store: without it stored passwords are lost.");
        } else {
            output.line(format!("uses the key {}", made.key_file.display()));
        }
        if self.online {
            output.line("made the profile for Exchange Online, the default of new mailboxes");
        } else {
            output.note("Next: postroom profile create NAME --url URL --user NAME");
        }
        output.json(&json!({
            "store": global.store,
            "key_file": made.key_file,
            "key_is_new": made.key_is_new,
            "organization": { "id": made.organization.to_string(), "name": self.name },
        }));
        Ok(())
    }
}
