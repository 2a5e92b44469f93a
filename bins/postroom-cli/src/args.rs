//! The command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::command;
use crate::failure::EXIT_CODES;
use crate::output::{Colour, Format};

/// Keeps a business application and its people's mail systems in step, from the server side.
///
/// New here? `postroom demo` shows in a few seconds what Postroom does, without any server.
#[derive(Debug, Parser)]
#[command(name = "postroom", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// The store: one SQLite file that holds one organization.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "POSTROOM_STORE",
        default_value = "postroom.sqlite",
        hide_env_values = true
    )]
    pub(crate) store: PathBuf,
    /// The key that seals passwords; by default beside the store, with the ending `.key`.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "POSTROOM_KEY_FILE",
        hide_env_values = true
    )]
    pub(crate) key_file: Option<PathBuf>,
    /// How results are shown.
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub(crate) output: Format,
    /// Only results: no remarks, no progress.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub(crate) color: Colour,
    /// Logs on standard error: -v what happens, -vv details, -vvv everything. RUST_LOG goes before.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Global {
    /// The key file in force.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.key_file
            .clone()
            .unwrap_or_else(|| default_key_file(&self.store))
    }
}

/// Where the key lies if nobody says otherwise.
pub(crate) fn default_key_file(store: &Path) -> PathBuf {
    store.with_extension("key")
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new store for an organization, and the key for its passwords.
    Init(command::init::Init),
    /// Show or change the organization's settings.
    #[command(subcommand)]
    Organization(command::organization::Organization),
    /// Write the whole organization as one file, without passwords.
    Export(command::export::Export),
    /// Set the organization up as a file says: shows what would change, asks, does it.
    Apply(command::apply::Apply),
    /// The key that seals passwords.
    #[command(subcommand)]
    Key(command::key::Key),
    /// What the reference supports, and how this organization stands to it.
    #[command(subcommand)]
    Support(command::support::Support),
    /// Server profiles: how to reach a mail system.
    #[command(subcommand)]
    Profile(Box<command::profile::Profile>),
    /// Users: people with a mailbox.
    #[command(subcommand)]
    User(command::party::User),
    /// Queues: shared mailboxes.
    #[command(subcommand)]
    Queue(command::party::Queue),
    /// Everybody whom an address can belong to: contacts, accounts, leads, users, queues.
    #[command(subcommand)]
    Party(command::party::PartyCommand),
    /// Mailboxes: one address with one profile and three workloads.
    #[command(subcommand)]
    Mailbox(command::mailbox::Mailbox),
    /// Approve the addresses of mailboxes: before that nothing moves.
    Approve(command::approve::Approval),
    /// Reject the addresses of mailboxes: nothing moves any more.
    Reject(command::approve::Approval),
    /// Test mailboxes, and enable what passes ("Test & Enable").
    Test(command::test::Test),
    /// Jobs: tests that wait, run or are done.
    #[command(subcommand)]
    Job(command::job::Job),
    /// Do once, now, what the engine would do: fetch, decide, record, send.
    Sync(command::sync::Sync),
    /// Run the engine until Ctrl-C.
    Run(command::run::Run),
    /// Email: what came, what went, and what became of it.
    #[command(subcommand)]
    Email(command::email::Email),
    /// Alerts: what somebody should know about.
    #[command(subcommand)]
    Alert(command::alert::Alert),
    /// Explain why a message is where it is, and on what evidence.
    Explain(command::explain::Explain),
    /// Mailboxes, when they are due and why, and what is waiting.
    Status(command::status::Status),
    /// Simulated mail servers to try things on.
    #[command(subcommand)]
    Simulate(command::simulate::Simulate),
    /// The whole story in a few seconds, on a simulated Exchange server and a throw-away store.
    Demo(crate::demo::Demo),
    /// Print the completions of a shell.
    Completions(command::shell::Completions),
    /// Print the manual page, or write the pages of all commands to a folder.
    Man(command::shell::Man),
}
