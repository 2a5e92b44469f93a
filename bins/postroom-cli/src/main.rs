//! `postroom`, the command line.
//!
//! Thin on purpose: it reads the command line, calls what the library offers and shows the result.
//! No decision about mail lives here.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`args`] | the tree of commands |
//! | [`command`] | one file per noun |
//! | [`declared`] | declarations as TOML files |
//! | [`demo`] | the story that `postroom demo` tells |
//! | [`output`], [`failure`], [`view`] | how results and failures are shown |
//! | [`app`] | the open store and the engine on it |

mod api;
mod app;
mod args;
mod command;
mod confirm;
mod declared;
mod demo;
mod failure;
mod interrupt;
mod logging;
mod output;
mod secret;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

use crate::app::App;
use crate::args::{Cli, Command};
use crate::failure::{Failure, Result};
use crate::output::Output;

fn main() -> ExitCode {
    // Wrong usage and --help end here, with clap's own words; its code for usage is ours, 2.
    let Cli { global, command } = Cli::parse();
    logging::install(global.verbose);
    let output = Output::new(global.output, global.quiet, global.color);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.complain(&format!("error: no runtime can be started: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(Box::pin(run(&output, &global, command)));
    match outcome {
        Ok(()) if output.is_intact() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(failure) => {
            failure.show(&output);
            ExitCode::from(failure.exit())
        }
    }
}

async fn run(output: &Output, global: &args::Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(init) => init.run(output, global),
        Command::Simulate(simulate) => simulate.run(output).await,
        Command::Demo(demo) => demo.run(output).await,
        Command::Completions(completions) => completions.run(output),
        Command::Man(man) => man.run(output),
        Command::Profile(command) => match command.run_alone(output).await {
            Ok(outcome) => outcome,
            Err(command) => command.run(&App::open(output, global)?).await,
        },
        command => {
            let app = App::open(output, global)?;
            match command {
                Command::Organization(command) => command.run(&app).await,
                Command::Key(command) => command.run(&app, global).await,
                Command::Support(command) => command.run(&app).await,
                Command::User(command) => command.run(&app).await,
                Command::Queue(command) => command.run(&app).await,
                Command::Party(command) => command.run(&app).await,
                Command::Mailbox(command) => command.run(&app).await,
                Command::Approve(approval) => approval.approve(&app).await,
                Command::Reject(approval) => approval.reject(&app).await,
                Command::Export(export) => export.run(&app).await,
                Command::Apply(apply) => apply.run(&app).await,
                Command::Test(test) => test.run(&app).await,
                Command::Job(job) => job.run(&app).await,
                Command::Sync(sync) => sync.run(&app).await,
                Command::Run(run) => run.run(&app).await,
                Command::Email(command) => command.run(&app).await,
                Command::Alert(command) => command.run(&app).await,
                Command::Explain(explain) => explain.run(&app).await,
                Command::Status(status) => status.run(&app).await,
                Command::Init(_)
                | Command::Simulate(_)
                | Command::Demo(_)
                | Command::Profile(_)
                | Command::Completions(_)
                | Command::Man(_) => Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
