//! `profile test`, and what the last one found.

use serde_json::{Value, json};

use crate::api::{
    AdminError, Code, ConnectionStep, ConnectionTest, Direction, EmailAddress, ServerProfile,
    StepOutcome, TestOutcome,
};
use crate::app::App;
use crate::failure::{Exit, Failure, Result};
use crate::view;

/// Tries to reach the server of a profile, and shows how far that came.
pub(crate) async fn test(
    app: &App<'_>,
    profile: &ServerProfile,
    address: Option<EmailAddress>,
) -> Result {
    app.output.progress(match &address {
        Some(address) => format!("testing {} as {address}", profile.name),
        None => format!("testing {}", profile.name),
    });
    let test = app
        .admin
        .test_connection(&app.principal, profile.id, address.as_ref())
        .await?;
    for direction in &test.directions {
        if direction.direction != Direction::Both {
            app.output
                .line(app.output.bold(direction.direction.as_str()));
        }
        for step in &direction.steps {
            app.output.line(view::connection_step(app.output, step));
        }
    }
    let failure = test.first_cause().map(|(_, _, code)| code);
    let mut document = document(&test);
    if let Some(fields) = document.as_object_mut() {
        let said = failure.map(|code| Failure::of(Exit::MailSystem, code).as_json());
        fields.insert("failure".to_owned(), json!(said));
    }
    app.output.json(&document);
    match failure {
        None => {
            if test.outcome() == TestOutcome::Warning {
                app.output
                    .note("Nothing failed, but not everything could be tried.");
            }
            Ok(())
        }
        Some(_) if app.output.is_json() => Err(Failure::said(Exit::MailSystem)),
        Some(code) => Err(Failure::of(Exit::MailSystem, code)),
    }
}

/// A test for programs.
pub(crate) fn document(test: &ConnectionTest) -> Value {
    let steps: Vec<_> = test
        .steps()
        .map(|(direction, step)| step_document(direction, step))
        .collect();
    json!({
        "at": test.at.to_string(),
        "took_ms": u64::try_from(test.took.as_millis()).unwrap_or(u64::MAX),
        "by": test.by,
        "address": test.mailbox.as_ref().map(EmailAddress::as_str),
        "outcome": view::name_of(&test.outcome()),
        "steps": steps,
    })
}

fn step_document(direction: Direction, step: &ConnectionStep) -> Value {
    let (outcome, code) = match step.outcome {
        StepOutcome::Passed => ("passed", None),
        StepOutcome::Failed(code) => ("failed", Some(code)),
        StepOutcome::NotReached => ("not_reached", None),
    };
    json!({
        "direction": direction.as_str(),
        "name": step.name,
        "outcome": outcome,
        "code": code.map(Code::as_str),
        "evidence": step.evidence,
        "remedy": code.map(|code| code.spec().remedy),
    })
}

/// A test in a line, for people.
pub(crate) fn in_words(test: &ConnectionTest) -> String {
    let when = view::clock(test.at);
    match (test.outcome(), test.first_cause()) {
        (_, Some((Direction::Both, step, code))) => {
            format!("failed at {when}: {} ({code})", step.name)
        }
        (_, Some((direction, step, code))) => {
            let direction = direction.as_str();
            format!("failed at {when}: {direction}, {} ({code})", step.name)
        }
        (TestOutcome::Warning, None) => format!("passed at {when}, as far as it could be tried"),
        (TestOutcome::Success | TestOutcome::Failure, None) => format!("passed at {when}"),
    }
}

/// Shows a profile with what the last test of its connection found.
pub(crate) async fn show(app: &App<'_>, profile: &ServerProfile) -> Result {
    let last = app
        .admin
        .connection_test(&app.principal, profile.id)
        .await?;
    let mut rows = view::profile_rows(profile);
    if let Some(owner) = profile.owner {
        let known = app.crm().party(owner).await.map_err(AdminError::from)?;
        let name = known.map_or_else(|| owner.to_string(), |known| known.party.name);
        rows.push(view::row("Owner", name));
    }
    let words = last.as_ref().map_or_else(|| "never".to_owned(), in_words);
    rows.push(view::row("Last connection test", words));
    app.output.table(["Profile", ""], rows);
    app.output.json(&json!({
        "profile": view::profile(profile),
        "last_test": last.as_ref().map(document),
    }));
    Ok(())
}
