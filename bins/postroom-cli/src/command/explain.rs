//! `explain`.

use clap::Args;
use serde_json::{Value, json};

use crate::api::{AdminError, ErrorKind, Explanation, ExplanationKind};
use crate::app::App;
use crate::failure::{Failure, Result};
use crate::output::printable;
use crate::view;

/// Explain why a message is where it is.
#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// An id that `email list` shows, a record's id, or a Message-ID.
    what: String,
}

impl Explain {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        let explanations = match app.admin.explain(&app.principal, &self.what).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Failure::not_found(format!("no message is known as {}", self.what))
                    .hint("postroom email list shows the ids; a message that was never listed is not known."));
            }
            other => other?,
        };
        for explanation in &explanations {
            print(app, explanation).await?;
        }
        let documents: Vec<_> = explanations.iter().map(document).collect();
        app.output.json(&json!({ "explanations": documents }));
        Ok(())
    }
}

/// Prints an explanation for people.
pub(crate) async fn print(app: &App<'_>, explanation: &Explanation) -> Result {
    let out = app.output;
    if out.is_json() {
        return Ok(());
    }
    let names = names(app, explanation).await?;
    let readable = |text: &str| {
        let named = names
            .iter()
            .fold(text.to_owned(), |text, (id, name)| text.replace(id, name));
        printable(&named)
    };
    let (what, id) = identity(explanation);
    out.line(format!(
        "{} {id} in {}",
        out.bold(what),
        explanation.mailbox
    ));
    out.line(format!("  state     {}", readable(&explanation.state)));
    for (index, line) in explanation.evidence.iter().enumerate() {
        let label = if index == 0 { "evidence" } else { "" };
        out.line(format!("  {label:<9} {}", readable(line)));
    }
    if let Some(next) = explanation.next {
        out.line(format!("  next      {}", view::clock(next)));
    }
    if let Some(why) = &explanation.why_not_yet {
        out.line(format!("  why       {}", readable(why)));
    }
    Ok(())
}

/// The names of the parties that a decision speaks of by their ids.
async fn names(app: &App<'_>, explanation: &Explanation) -> Result<Vec<(String, String)>> {
    let ExplanationKind::Incoming { entry } = &explanation.kind else {
        return Ok(Vec::new());
    };
    let Some(decision) = &entry.decision else {
        return Ok(Vec::new());
    };
    let recipients = decision.recipients.iter().map(|recipient| recipient.party);
    let mut names = Vec::new();
    for id in decision
        .sender
        .map(|(id, _)| id)
        .into_iter()
        .chain(recipients)
    {
        if let Some(view) = app.crm().party(id).await.map_err(AdminError::from)? {
            names.push((id.to_string(), view.party.name));
        }
    }
    Ok(names)
}

fn identity(explanation: &Explanation) -> (&'static str, String) {
    match &explanation.kind {
        ExplanationKind::Incoming { entry } => ("incoming message", entry.id.to_string()),
        ExplanationKind::Outgoing { entry } => ("outgoing email", entry.id.to_string()),
    }
}

/// An explanation for programs.
pub(crate) fn document(explanation: &Explanation) -> Value {
    let (direction, decision) = match &explanation.kind {
        ExplanationKind::Incoming { entry } => ("incoming", json!(entry.decision)),
        ExplanationKind::Outgoing { .. } => ("outgoing", Value::Null),
    };
    let (state, detail) = match &explanation.kind {
        ExplanationKind::Incoming { entry } => (entry.state.name(), json!(entry.state)),
        ExplanationKind::Outgoing { entry } => (entry.state.name(), json!(entry.state)),
    };
    json!({
        "id": identity(explanation).1,
        "direction": direction,
        "mailbox": explanation.mailbox,
        "state": state,
        "state_detail": detail,
        "text": explanation.state,
        "evidence": explanation.evidence,
        "decision": decision,
        "next": view::time(explanation.next),
        "why_not_yet": explanation.why_not_yet,
    })
}
