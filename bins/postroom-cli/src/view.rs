//! How the domain's values are shown: rows and lines for people, JSON for programs.
//!
//! The JSON shapes are written out here, not derived, so that a change of the domain does not change
//! them by accident. Times are RFC 3339 in UTC.

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{
    ApprovalState, Code, ConnectionStep, Health, Job, Mailbox, MailboxOwner, ServerProfile,
    StepOutcome, TestStatus, TestStep, Timestamp, Workload, WorkloadState,
};
use crate::output::Output;

/// The name of a value as it stands in JSON, such as `pending_send`.
pub(crate) fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// The same for people: `pending send`.
pub(crate) fn words(value: &impl Serialize) -> String {
    name_of(value).replace('_', " ")
}

pub(crate) fn yes(value: bool) -> String {
    (if value { "yes" } else { "no" }).to_owned()
}

pub(crate) fn time(value: Option<Timestamp>) -> Value {
    value.map_or(Value::Null, |time| json!(time.to_string()))
}

/// A time for people, to the second.
pub(crate) fn clock(value: Timestamp) -> String {
    Timestamp::from_seconds(value.as_millis().div_euclid(1000)).to_string()
}

pub(crate) fn profile(profile: &ServerProfile) -> Value {
    let endpoint = |endpoint: &crate::api::Endpoint| {
        json!({
            "location": endpoint.location,
            "port": endpoint.port,
            "ssl": endpoint.ssl,
            "authentication": name_of(&endpoint.authentication),
            "credentials": name_of(&endpoint.credentials),
            "user_name": endpoint.user_name,
            "impersonation": endpoint.impersonation,
        })
    };
    json!({
        "id": profile.id.to_string(),
        "name": profile.name,
        "description": profile.description,
        "kind": profile.kind.provider_name(),
        "active": profile.active,
        "auto_discover": profile.auto_discover,
        "incoming": endpoint(&profile.incoming),
        "outgoing": endpoint(&profile.outgoing),
        "same_settings_for_outgoing": profile.same_settings_for_outgoing,
        "outgoing_protocol": profile.outgoing_protocol.map(crate::api::OutgoingProtocol::as_str),
        "process_email_from": time(profile.process_email_from),
        "polling_interval_min_seconds": profile.polling_interval_min.as_secs(),
        "connections_max": profile.connections_max,
        "move_undelivered": profile.move_undelivered,
        "email_alert_to_owner": profile.email_alert_to_owner,
        "owner": profile.owner.map(|owner| owner.to_string()),
        "owner_address": profile.owner_address.as_ref().map(|a| a.as_str()),
        "server_version": profile.server_version.map(crate::api::ExchangeVersion::as_str),
        "tenant": profile.tenant,
        "request_timeout_seconds": profile.request_timeout.as_secs(),
        "extra_authorities": profile.extra_authorities_pem.is_some(),
        "danger_allow_plain_http": profile.danger_allow_plain_http,
    })
}

pub(crate) fn profile_rows(profile: &ServerProfile) -> Vec<[String; 2]> {
    let incoming = &profile.incoming;
    let mut rows = vec![
        row("Name", &profile.name),
        row("Id", profile.id),
        row("Kind", profile.kind.provider_name()),
        row("Active", yes(profile.active)),
        row(
            "Location",
            incoming.location.as_deref().unwrap_or("(auto discover)"),
        ),
        row("Account", incoming.user_name.as_deref().unwrap_or("-")),
        row("Credentials of", words(&incoming.credentials)),
        row("Impersonation", yes(incoming.impersonation)),
        row(
            "Polling interval",
            format!("{} minutes", profile.polling_interval_min.as_secs() / 60),
        ),
        row("Connections", profile.connections_max),
        row(
            "Process email from",
            profile
                .process_email_from
                .map_or_else(|| "when the mailbox is enabled".to_owned(), clock),
        ),
        row("Move undelivered", yes(profile.move_undelivered)),
        row(
            "Extra authorities",
            yes(profile.extra_authorities_pem.is_some()),
        ),
    ];
    if profile.is_combined() {
        let outgoing = profile.effective_outgoing();
        let location = outgoing
            .location
            .as_deref()
            .unwrap_or("none: incoming only");
        let protocol = profile.sends_by().map_or("", |protocol| protocol.as_str());
        rows.insert(5, row("Sends by", protocol));
        rows.insert(6, row("Outgoing location", location));
    }
    if profile.danger_allow_plain_http {
        rows.push(row(
            "Plain http",
            "ALLOWED: passwords cross the network in clear text",
        ));
    }
    rows
}

pub(crate) fn row(name: &str, value: impl std::fmt::Display) -> [String; 2] {
    [name.to_owned(), value.to_string()]
}

pub(crate) fn owner(owner: &MailboxOwner) -> Value {
    match owner {
        MailboxOwner::User(id) => json!({ "kind": "user", "id": id.to_string() }),
        MailboxOwner::Queue(id) => json!({ "kind": "queue", "id": id.to_string() }),
        MailboxOwner::Forward => json!({ "kind": "forward" }),
    }
}

pub(crate) const fn owner_name(owner: &MailboxOwner) -> &'static str {
    match owner {
        MailboxOwner::User(_) => "user",
        MailboxOwner::Queue(_) => "queue",
        MailboxOwner::Forward => "forward",
    }
}

fn workload(state: &WorkloadState) -> Value {
    json!({
        "method": name_of(&state.method),
        "test_status": name_of(&state.test_status),
        "enabled": state.enabled,
        "health": health_name(&state.health),
        "next_due": time(state.next_due),
        "last_succeeded": time(state.last_succeeded),
    })
}

/// The one word for how a workload fares.
pub(crate) const fn health_name(health: &Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Retrying { .. } => "retrying",
        Health::Failing { .. } => "failing",
        Health::Disabled { .. } => "disabled",
    }
}

pub(crate) fn mailbox(mailbox: &Mailbox) -> Value {
    json!({
        "id": mailbox.id.to_string(),
        "name": mailbox.name,
        "address": mailbox.address.as_ref().map(|a| a.as_str()),
        "owner": owner(&mailbox.owner),
        "profile": mailbox.profile.map(|id| id.to_string()),
        "active": mailbox.active,
        "approval": name_of(&mailbox.approval),
        "approved_by": mailbox.approved_by,
        "approved_at": time(mailbox.approved_at),
        "filter": name_of(&mailbox.filter),
        "incoming": workload(&mailbox.incoming),
        "outgoing": workload(&mailbox.outgoing),
        "items": workload(&mailbox.items),
        "process_email_from": time(mailbox.process_email_from),
        "incoming_enabled_at": time(mailbox.incoming_enabled_at),
        "user_name": mailbox.user_name,
        "allow_credentials": mailbox.allow_credentials,
        "delete_after_processing": mailbox.delete_after_processing,
    })
}

/// A workload in a few words, for the cell of a table.
pub(crate) fn workload_words(state: &WorkloadState) -> String {
    let method = words(&state.method);
    if method == "none" {
        return "-".to_owned();
    }
    let test = match state.test_status {
        TestStatus::NotRun => "not tested",
        TestStatus::Success => "tested",
        TestStatus::Failure => "test failed",
    };
    let enabled = match (&state.health, state.enabled) {
        (Health::Disabled { code, .. }, _) => format!("disabled: {code}"),
        (_, false) => "not enabled".to_owned(),
        (Health::Healthy, true) => "enabled".to_owned(),
        (health, true) => format!("enabled, {}", health_name(health)),
    };
    format!("{test}, {enabled}")
}

pub(crate) fn approval_words(state: ApprovalState) -> &'static str {
    match state {
        ApprovalState::Empty => "no address",
        ApprovalState::Pending => "pending approval",
        ApprovalState::Approved => "approved",
        ApprovalState::Rejected => "rejected",
    }
}

pub(crate) fn address(mailbox: &Mailbox) -> String {
    mailbox
        .address
        .as_ref()
        .map_or_else(|| format!("({})", mailbox.name), ToString::to_string)
}

/// A step of a test in a line: mark, name, evidence.
fn step_line(
    output: &Output,
    name: &str,
    failure: Option<Code>,
    skipped: bool,
    evidence: &str,
) -> String {
    let (mark, rest) = match failure {
        Some(code) => (output.bad("FAIL"), format!("{evidence} [{code}]")),
        None if skipped && evidence.is_empty() => (output.faint("  - "), "not reached".to_owned()),
        None if skipped => (output.faint("  - "), format!("not tried: {evidence}")),
        None => (output.green(" ok "), evidence.to_owned()),
    };
    format!("  {mark}  {name:<24} {}", crate::output::printable(&rest))
}

pub(crate) fn connection_step(output: &Output, step: &ConnectionStep) -> String {
    let failure = match step.outcome {
        StepOutcome::Failed(code) => Some(code),
        StepOutcome::Passed | StepOutcome::NotReached => None,
    };
    let skipped = step.outcome == StepOutcome::NotReached;
    step_line(output, &step.name, failure, skipped, &step.evidence)
}

pub(crate) fn test_step(output: &Output, step: &TestStep) -> String {
    let name = match step.workload {
        Some(workload) => format!("{workload}: {}", step.name),
        None => step.name.clone(),
    };
    step_line(output, &name, step.failure, step.skipped, &step.evidence)
}

pub(crate) fn job(job: &Job) -> Value {
    json!({
        "id": job.id.to_string(),
        "kind": name_of(&job.kind),
        "state": name_of(&job.state),
        "mailbox": job.mailbox.to_string(),
        "requested_by": job.requested_by,
        "requested_at": job.requested_at.to_string(),
        "finished_at": time(job.finished_at),
        "batch": job.batch.map(|id| id.to_string()),
        "incoming_from": time(job.incoming_from),
        "steps": job.steps.iter().map(|step| json!({
            "workload": step.workload.map(Workload::as_str),
            "name": step.name,
            "outcome": match (step.failure, step.skipped) {
                (Some(_), _) => "failed",
                (None, true) => "not_reached",
                (None, false) => "passed",
            },
            "code": step.failure.map(Code::as_str),
            "evidence": step.evidence,
        })).collect::<Vec<_>>(),
    })
}
