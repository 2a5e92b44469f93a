//! `key`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use crate::api::{AdminError, begin_key_rotation, finish_key_rotation};
use crate::app::App;
use crate::args::Global;
use crate::failure::{Failure, Result};

/// The key that seals passwords.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Seal every stored password with a new key, in place of the one in use.
    ///
    /// It may be cut short at any point: run it again. An engine that runs on the store follows by
    /// itself where the key comes from a file.
    Rotate {
        /// Where the new key goes, if the one in use comes from the environment variable
        /// POSTROOM_KEY.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

impl Key {
    pub(crate) async fn run(self, app: &App<'_>, global: &Global) -> Result {
        let Self::Rotate { to } = self;
        let from_environment = App::key_is_in_environment();
        let path = match (from_environment, to) {
            (false, None) => global.key_file(),
            (true, Some(to)) => to,
            (true, None) => {
                return Err(Failure::usage("the key comes from POSTROOM_KEY").hint(
                    "Name the new key's file with --to FILE; then put its text into POSTROOM_KEY.",
                ));
            }
            (false, Some(_)) => {
                return Err(Failure::usage("the key comes from a file")
                    .hint("Leave out --to: the new key takes the place of the old one."));
            }
        };
        rotate(app, &path, from_environment).await
    }
}

async fn rotate(app: &App<'_>, path: &Path, from_environment: bool) -> Result {
    let key = begin_key_rotation(path).map_err(AdminError::from)?;
    let count = app.admin.rotate_key(&app.principal, &key).await?;
    finish_key_rotation(path).map_err(AdminError::from)?;
    app.output.line(format!(
        "sealed {count} passwords with a new key, {}",
        path.display()
    ));
    if from_environment {
        app.output.note(
            "Put the text of that file into POSTROOM_KEY now: the old key opens nothing any more.",
        );
    } else {
        app.output
            .note("Keep a copy of it, apart from copies of the store; the old one opens nothing any more.");
    }
    app.output
        .json(&json!({ "rotated": { "secrets": count, "key_file": path } }));
    Ok(())
}
