//! `completions` and `man`: what a shell and `man` want to know.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use serde_json::json;

use crate::args::Cli;
use crate::failure::{Failure, Result};
use crate::output::Output;

const NAME: &str = "postroom";

/// The completions of a shell.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell: for bash, `postroom completions bash > ~/.local/share/bash-completion/completions/postroom`.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, output: &Output) -> Result {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), NAME, &mut text);
        let text = String::from_utf8_lossy(&text);
        output.line(&text);
        output.json(&json!({ "completions": text }));
        Ok(())
    }
}

/// The manual.
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// A folder for the pages of all commands, such as `~/.local/share/man/man1`; without it the main
    /// page goes to standard output.
    folder: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, output: &Output) -> Result {
        let Some(folder) = self.folder else {
            let mut text = Vec::new();
            let page = clap_mangen::Man::new(Cli::command());
            page.render(&mut text).map_err(|error| {
                Failure::file("render", std::path::Path::new("the page"), &error)
            })?;
            let text = String::from_utf8_lossy(&text);
            output.line(&text);
            output.json(&json!({ "page": text }));
            return Ok(());
        };
        std::fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &folder))
            .map_err(|error| Failure::file("write the pages to", &folder, &error))?;
        output.line(format!("wrote the manual to {}", folder.display()));
        output.note("man postroom shows it, where man looks there.");
        output.json(&json!({ "folder": folder }));
        Ok(())
    }
}
