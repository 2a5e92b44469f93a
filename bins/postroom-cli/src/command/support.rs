//! `support`.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::api::{
    DeploymentKind, MATRIX, RULES, Severity, SupportFinding, SupportPolicy, SupportReport,
};
use crate::app::App;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;
use crate::view;

/// What the reference supports, and how this organization stands to it.
#[derive(Debug, Subcommand)]
pub(crate) enum Support {
    /// Hold every profile and mailbox against the rules.
    Check {
        /// Only this profile.
        profile: Option<String>,
        /// As if the support policy were strict: what the reference does not support is refused.
        #[arg(long)]
        strict: bool,
    },
    /// List the rules with their sources.
    Rules,
    /// List which mail systems are supported for which deployment.
    Matrix,
}

impl Support {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        match self {
            Self::Check { profile, strict } => check(app, profile.as_deref(), strict).await,
            Self::Rules => {
                rules(app.output);
                Ok(())
            }
            Self::Matrix => {
                matrix(app.output);
                Ok(())
            }
        }
    }
}

/// A finding for people.
pub(crate) fn line(output: &Output, finding: &SupportFinding, whom: &str) -> String {
    let mark = match finding.severity {
        Severity::Note => output.faint("note   "),
        Severity::Warning => output.yellow("warning"),
        Severity::Refused => output.bad("refused"),
    };
    format!(
        "{mark} {}{whom}: {} {}",
        finding.rule, finding.text, finding.here
    )
}

pub(crate) fn document(finding: &SupportFinding) -> Value {
    json!({
        "rule": finding.rule,
        "severity": view::name_of(&finding.severity),
        "field": finding.field,
        "text": finding.text,
        "here": finding.here,
        "source": finding.source,
    })
}

async fn check(app: &App<'_>, profile: Option<&str>, strict: bool) -> Result {
    let wanted = match profile {
        Some(name) => Some(app.profile(name).await?.id),
        None => None,
    };
    let policy = strict.then_some(SupportPolicy::Strict);
    let mut reports = app.admin.support_check(&app.principal, policy).await?;
    if let Some(wanted) = wanted {
        reports.retain(|report| report.profile == wanted);
    }
    let mut documents = Vec::with_capacity(reports.len());
    for report in &reports {
        documents.push(shown(app.output, report));
    }
    if reports.is_empty() {
        app.output.line("there is no profile yet");
    }
    let allowed = reports.iter().all(SupportReport::is_allowed);
    app.output
        .json(&json!({ "profiles": documents, "allowed": allowed }));
    if allowed {
        Ok(())
    } else {
        Err(Failure::said(Exit::Failure))
    }
}

fn shown(output: &Output, report: &SupportReport) -> Value {
    output.line(output.bold(&report.name));
    for finding in &report.findings {
        output.line(format!("  {}", line(output, finding, "")));
    }
    for of in &report.mailboxes {
        let whom = format!(
            " ({} mailboxes, such as {})",
            of.count,
            of.examples.join(", ")
        );
        output.line(format!("  {}", line(output, &of.finding, &whom)));
    }
    if report.findings.is_empty() && report.mailboxes.is_empty() {
        output.line(format!("  {} nothing to say", output.green("ok")));
    }
    let of_mailboxes: Vec<_> = report
        .mailboxes
        .iter()
        .map(|of| json!({ "finding": document(&of.finding), "count": of.count, "examples": of.examples }))
        .collect();
    json!({
        "profile": { "id": report.profile.to_string(), "name": report.name },
        "findings": report.findings.iter().map(document).collect::<Vec<_>>(),
        "mailboxes": of_mailboxes,
    })
}

fn rules(output: &Output) {
    output.table(
        [
            "Rule",
            "In the reference",
            "Rule in words",
            "Here",
            "Source",
        ],
        RULES.iter().map(|rule| {
            [
                rule.id.to_owned(),
                view::words(&rule.standing),
                rule.text.to_owned(),
                rule.here.to_owned(),
                rule.source.to_owned(),
            ]
        }),
    );
    let documents: Vec<_> = RULES
        .iter()
        .map(|rule| {
            json!({
                "rule": rule.id,
                "standing": view::name_of(&rule.standing),
                "field": rule.field,
                "text": rule.text,
                "here": rule.here,
                "source": rule.source,
            })
        })
        .collect();
    output.json(&json!({ "rules": documents }));
}

fn matrix(output: &Output) {
    let deployment = |kind| match kind {
        DeploymentKind::OnPremises => "own servers",
        DeploymentKind::Online => "online",
    };
    output.table(
        [
            "Deployment",
            "Mail system",
            "Protocol",
            "Email",
            "Items",
            "FIPS",
            "Source",
        ],
        MATRIX.iter().map(|row| {
            [
                deployment(row.deployment).to_owned(),
                row.system.name(),
                row.protocol.name().to_owned(),
                view::yes(true),
                view::yes(row.items),
                view::yes(row.fips),
                row.source.to_owned(),
            ]
        }),
    );
    let documents: Vec<_> = MATRIX
        .iter()
        .map(|row| {
            json!({
                "deployment": view::name_of(&row.deployment),
                "system": row.system.name(),
                "protocol": view::name_of(&row.protocol),
                "items": row.items,
                "fips": row.fips,
                "source": row.source,
            })
        })
        .collect();
    output.json(&json!({ "matrix": documents }));
}
