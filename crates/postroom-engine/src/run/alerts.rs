//! Raises and closes alerts.

use std::collections::BTreeMap;

use postroom_core::alert::Incident;
use postroom_core::catalogue::{Audience, Level};
use postroom_core::organization::AlertSettings;
use postroom_core::{AlertId, Code, planted};
use postroom_store::IncidentPattern;

use crate::environment::Environment;
use crate::error::Result;
use crate::plan::alerts::{About, alert, incident};

/// Facts for an alert.
pub(crate) fn detail(name: &str, value: impl Into<String>) -> BTreeMap<String, String> {
    [(name.to_owned(), value.into())].into()
}

impl Environment {
    /// Raises the alert of a condition, or counts it up.
    pub(crate) async fn raise(
        &self,
        code: Code,
        level: Level,
        about: &About<'_>,
        details: BTreeMap<String, String>,
        settings: &AlertSettings,
    ) -> Result<()> {
        self.raise_incident(incident(code, about), level, about, details, settings)
            .await
    }

    /// Raises the alert of what a test failed with: the owner of the profile is told, too, where a
    /// cycle would tell the owner of the mailbox alone. Source: seeds 000 and 001, "an alert is shown on
    /// the Alerts wall of the mailbox and the profile owner".
    pub(crate) async fn raise_of_test(
        &self,
        code: Code,
        about: &About<'_>,
        details: BTreeMap<String, String>,
        settings: &AlertSettings,
    ) -> Result<()> {
        let id = AlertId::from_random(self.bytes16());
        let (incident, level) = (incident(code, about), code.spec().level);
        let now = self.now();
        if let Some(mut alert) = alert(id, incident, level, about, details, settings, now) {
            if alert.audience == Audience::MailboxOwner {
                alert.audience = Audience::MailboxAndProfileOwner;
            }
            self.store.raise_alert(&alert).await?;
        }
        Ok(())
    }

    /// Raises the alert of an incident that needs telling apart, or counts it up.
    pub(crate) async fn raise_incident(
        &self,
        incident: Incident,
        level: Level,
        about: &About<'_>,
        details: BTreeMap<String, String>,
        settings: &AlertSettings,
    ) -> Result<()> {
        let id = AlertId::from_random(self.bytes16());
        let now = self.now();
        let incident = if planted!(AlertStorm) {
            incident.about(id.to_string())
        } else {
            incident
        };
        if let Some(alert) = alert(id, incident, level, about, details, settings, now) {
            self.store.raise_alert(&alert).await?;
        }
        Ok(())
    }

    /// Closes the alert of a condition: its cause is gone.
    pub(crate) async fn close(&self, code: Code, about: &About<'_>) -> Result<()> {
        let pattern = IncidentPattern::exactly(&incident(code, about));
        self.store.close_alerts(&pattern, self.now()).await?;
        Ok(())
    }
}
