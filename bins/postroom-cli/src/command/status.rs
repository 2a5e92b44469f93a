//! `status`.

use clap::Args;
use serde_json::json;

use crate::api::{MailboxFilter, Page, Workload};
use crate::app::App;
use crate::failure::Result;
use crate::view;

/// What is going on.
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Only mailboxes whose name or address holds this text.
    text: Option<String>,
    /// At most so many mailboxes.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

impl Status {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        let mut filter = MailboxFilter::default();
        filter.text = self.text;
        let overview = app
            .admin
            .overview(&app.principal, &filter, Page::first(self.limit))
            .await?;
        let rows = overview.mailboxes.iter().flat_map(|mailbox| {
            let name = mailbox
                .address
                .as_ref()
                .map_or_else(|| mailbox.name.clone(), ToString::to_string);
            mailbox
                .workloads
                .iter()
                .filter(|w| w.workload != Workload::Items || w.enabled)
                .map(move |workload| {
                    [
                        name.clone(),
                        workload.workload.to_string(),
                        view::health_name(&workload.health).to_owned(),
                        workload.why.clone(),
                    ]
                })
        });
        app.output
            .table(["Mailbox", "Workload", "Health", "When, and why"], rows);
        for (profile, until) in &overview.paused_profiles {
            app.output.line(format!(
                "profile {profile} is paused until {until}: its server is in trouble"
            ));
        }
        let count = |counts: &std::collections::BTreeMap<String, u64>| {
            let words: Vec<_> = counts
                .iter()
                .map(|(name, n)| format!("{n} {}", name.replace('_', " ")))
                .collect();
            if words.is_empty() {
                "none".to_owned()
            } else {
                words.join(", ")
            }
        };
        app.output
            .line(format!("incoming: {}", count(&overview.counts.ledger)));
        app.output
            .line(format!("outgoing: {}", count(&overview.counts.outbox)));
        app.output
            .line(format!("open alerts: {}", overview.open_alerts));
        app.output.json(&json!({ "status": {
            "at": overview.at.to_string(),
            "open_alerts": overview.open_alerts,
            "paused_profiles": overview.paused_profiles.iter().map(|(n, t)| (n.clone(), t.to_string())).collect::<std::collections::BTreeMap<_, _>>(),
            "incoming": overview.counts.ledger,
            "outgoing": overview.counts.outbox,
            "mailboxes": overview.mailboxes.iter().map(|mailbox| json!({
                "id": mailbox.id.to_string(),
                "name": mailbox.name,
                "address": mailbox.address.as_ref().map(|a| a.as_str()),
                "owner": view::owner(&mailbox.owner),
                "approval": view::name_of(&mailbox.approval),
                "active": mailbox.active,
                "profile": mailbox.profile_name,
                "workloads": mailbox.workloads.iter().map(|w| json!({
                    "workload": w.workload.as_str(),
                    "method": view::name_of(&w.method),
                    "test_status": view::name_of(&w.test_status),
                    "enabled": w.enabled,
                    "health": view::health_name(&w.health),
                    "next_due": view::time(w.next_due),
                    "closed_gate": w.closed_gate.map(crate::api::Code::as_str),
                    "why": w.why,
                    "last_succeeded": view::time(w.last_succeeded),
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        }}));
        Ok(())
    }
}
