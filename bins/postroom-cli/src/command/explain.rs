//! `explain`.

use clap::Args;
use serde_json::{Value, json};

use crate::api::{ErrorKind, Explanation, ExplanationKind};
use crate::app::App;
use crate::failure::{Failure, Result};
use crate::output::{Output, printable};
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
            print(app.output, explanation);
        }
        let documents: Vec<_> = explanations.iter().map(document).collect();
        app.output.json(&json!({ "explanations": documents }));
        Ok(())
    }
}

/// Prints an explanation for people.
pub(crate) fn print(out: &Output, explanation: &Explanation) {
    let (what, id) = identity(explanation);
    out.line(format!("{} {id} in {}", out.bold(what), explanation.mailbox));
    out.line(format!("  state     {}", printable(&explanation.state)));
    for (index, line) in explanation.evidence.iter().enumerate() {
        let label = if index == 0 { "evidence" } else { "" };
        out.line(format!("  {label:<9} {}", printable(line)));
    }
    if let Some(next) = explanation.next {
        out.line(format!("  next      {}", view::clock(next)));
    }
    if let Some(why) = &explanation.why_not_yet {
        out.line(format!("  why       {}", printable(why)));
    }
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
