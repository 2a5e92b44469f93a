//! `demo`: the whole story on a simulated Exchange server and a throw-away store.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`world`] | server, store and engine, on one clock that the story moves |
//! | [`mail`] | the messages |
//! | [`story`] | the chapters |
//! | [`folder`] | `--messages`: a folder of real messages instead of the story |
//! | [`account`] | the table that accounts for every message |

mod account;
mod folder;
mod mail;
mod story;
mod world;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::failure::{Exit, Failure, Result};
use crate::output::Output;
use world::World;

/// The whole story in a few seconds, on a simulated Exchange server and a throw-away store.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Keep the store in this folder, to look around in afterwards.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Instead of the story: receive every .eml file of this folder, and account for each by name.
    #[arg(long, value_name = "DIR")]
    messages: Option<PathBuf>,
    /// Keep each request to the server and each answer here.
    #[arg(long, value_name = "DIR")]
    capture: Option<PathBuf>,
}

impl Demo {
    pub(crate) async fn run(self, output: &Output) -> Result {
        // Held until the end: dropping it removes the folder.
        let mut throw_away = None;
        let folder = match &self.keep {
            Some(folder) => folder.clone(),
            None => {
                let made = tempfile::tempdir().map_err(|error| {
                    Failure::file("make a folder in", &std::env::temp_dir(), &error)
                })?;
                let path = made.path().to_owned();
                throw_away = Some(made);
                path
            }
        };
        let world = World::create(output, &folder, self.capture.as_deref()).await?;
        let outcome = match &self.messages {
            Some(messages) => folder::receive(&world, messages).await,
            None => story::tell(&world).await,
        };
        let report = match outcome {
            Ok(report) => report,
            Err(failure) => {
                world.stop().await;
                return Err(failure);
            }
        };
        further(&world, self.keep.as_deref());
        output.json(&json!({ "demo": report.document }));
        world.stop().await;
        drop(throw_away);
        if report.sums_match {
            Ok(())
        } else {
            Err(Failure::said(Exit::Failure))
        }
    }
}

/// What a demo comes down to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) sums_match: bool,
    pub(crate) document: serde_json::Value,
}

/// The commands to look further.
fn further(world: &World<'_>, keep: Option<&std::path::Path>) {
    let output = world.output;
    output.line("");
    match keep {
        None => {
            output.line(output.bold("Look further"));
            output.line("  postroom demo --keep DIR          the same, and the store stays to look around in");
            output
                .line("  postroom demo --messages DIR      your own .eml files, by the same path");
            output.line("  docs/getting-started.md           the same by hand, step by step");
        }
        Some(folder) => {
            let store = folder.join("postroom.sqlite");
            output.line(output.bold("Look around in the store"));
            for command in [
                "email list",
                "email records",
                "email list --outgoing",
                "alert list",
                "explain ID",
                "status",
                "mailbox list",
            ] {
                output.line(format!("  postroom --store {} {command}", store.display()));
            }
        }
    }
}
