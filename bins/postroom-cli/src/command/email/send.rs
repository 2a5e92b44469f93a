//! `email send`: write an email in the application.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::api::{
    AdminError, EmailAddress, NamedAddress, NewEmail, OutgoingAttachment, RawMessage, RecordId,
};
use crate::app::App;
use crate::failure::{Failure, Result};

/// Largest file that is attached: what Exchange takes at most by default, and no more than a memory
/// can hold.
const FILE_BYTES_MAX: u64 = 150 * 1024 * 1024;

/// An email to be written.
#[derive(Args, Debug)]
pub(crate) struct Send {
    /// The mailbox that sends it, by address, name or id.
    #[arg(long)]
    from: String,
    /// Recipients.
    #[arg(long, required = true, num_args = 1..)]
    to: Vec<EmailAddress>,
    /// Copies.
    #[arg(long, num_args = 1..)]
    cc: Vec<EmailAddress>,
    /// Blind copies.
    #[arg(long, num_args = 1..)]
    bcc: Vec<EmailAddress>,
    /// The subject; the tracking token is added by the engine.
    #[arg(long, default_value = "")]
    subject: String,
    /// The text.
    #[arg(long, conflicts_with = "text_file")]
    text: Option<String>,
    /// The text, from a file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
    /// Files to attach.
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// The email on record that it answers.
    #[arg(long, value_name = "RECORD")]
    reply_to: Option<RecordId>,
    /// Nobody wrote it: it says so in its header, and is not sent where it answers automatic email.
    #[arg(long)]
    automatic: bool,
    /// The record that it regards.
    #[arg(long, value_name = "RECORD")]
    regarding: Option<RecordId>,
}

impl Send {
    pub(super) async fn run(self, app: &App<'_>) -> Result {
        let mailbox = app.mailbox(&self.from).await?;
        let (Some(sender), Some(address)) = (mailbox.owner.party(), mailbox.address.clone()) else {
            return Err(Failure::usage(format!(
                "{} cannot send: it is a forward mailbox or has no address",
                self.from
            )));
        };
        let named =
            |addresses: Vec<EmailAddress>| addresses.into_iter().map(NamedAddress::from).collect();
        let from = NamedAddress::new(mailbox.name.clone(), address);
        let mut email = NewEmail::new(sender, from, self.subject);
        email.to = named(self.to);
        email.cc = named(self.cc);
        email.bcc = named(self.bcc);
        email.text = match self.text_file {
            Some(path) => Some(text_of(&path)?),
            None => Some(self.text.unwrap_or_default()),
        };
        for path in &self.attach {
            email.attachments.push(attachment(path)?);
        }
        email.in_reply_to = self.reply_to;
        email.regarding = self.regarding;
        email.automatic = self.automatic;
        let record = app
            .crm()
            .send_email(&email, app.now())
            .await
            .map_err(AdminError::from)?;
        app.output.line(format!("{record} is pending send"));
        app.output
            .note("A running engine sends it within a second; otherwise: postroom sync");
        app.output.json(&json!({ "record": record.to_string() }));
        Ok(())
    }
}

fn text_of(path: &std::path::Path) -> Result<String> {
    let mut text = String::new();
    let read = if path == std::path::Path::new("-") {
        std::io::stdin()
            .lock()
            .take(FILE_BYTES_MAX)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::file("read", path, &error))?;
    Ok(text)
}

fn attachment(path: &std::path::Path) -> Result<OutgoingAttachment> {
    let failed = |error| Failure::file("read", path, &error);
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(Failure::usage(format!(
            "{} is larger than {FILE_BYTES_MAX} bytes",
            path.display()
        )));
    }
    let name = path.file_name().map_or_else(
        || "file".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    Ok(OutgoingAttachment::new(
        name,
        "application/octet-stream",
        RawMessage::from_bytes(bytes),
    ))
}
