//! Which alert a condition becomes: about what, for whom, in which words.

use std::collections::BTreeMap;

use postroom_core::alert::{Alert, Incident, Subject};
use postroom_core::catalogue::{Audience, Level, Scope};
use postroom_core::organization::AlertSettings;
use postroom_core::{AlertId, Code, Mailbox, RecordId, ServerProfile, Timestamp, Workload};

/// What a condition was met with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About<'a> {
    pub(crate) mailbox: Option<&'a Mailbox>,
    pub(crate) profile: Option<&'a ServerProfile>,
    pub(crate) workload: Option<Workload>,
    pub(crate) record: Option<RecordId>,
}

/// The incident of a condition: what reaches further than a mailbox is one incident for all of them.
pub(crate) fn incident(code: Code, about: &About<'_>) -> Incident {
    if let Some(record) = about.record {
        return Incident::new(code, Subject::Record(record), about.workload);
    }
    match (code.spec().scope, about.profile, about.mailbox) {
        (Scope::Organization, _, _) => Incident::new(code, Subject::Organization, None),
        (Scope::Profile, Some(profile), _) => {
            Incident::new(code, Subject::Profile(profile.id), None)
        }
        (_, _, Some(mailbox)) => Incident::new(code, Subject::Mailbox(mailbox.id), about.workload),
        (_, Some(profile), None) => Incident::new(code, Subject::Profile(profile.id), None),
        (_, None, None) => Incident::new(code, Subject::Organization, None),
    }
}

/// The alert of a condition; `None` where the organization does not keep alerts of that level.
pub(crate) fn alert(
    id: AlertId,
    incident: Incident,
    level: Level,
    about: &About<'_>,
    details: BTreeMap<String, String>,
    settings: &AlertSettings,
    now: Timestamp,
) -> Option<Alert> {
    let kept = match level {
        Level::Information => settings.information,
        Level::Warning => settings.warnings,
        Level::Error => settings.errors,
    };
    if !kept {
        return None;
    }
    let text = text(&incident, about);
    let mut alert = Alert::new(id, incident, text, now);
    alert.level = level;
    if settings.notify_mailbox_owner && alert.audience == Audience::ProfileOwner {
        alert.audience = Audience::MailboxAndProfileOwner;
    }
    alert.details = details;
    if let Subject::Record(_) = alert.incident.subject {
        alert.mailbox = about.mailbox.map(|mailbox| mailbox.id);
    }
    Some(alert)
}

fn text(incident: &Incident, about: &About<'_>) -> String {
    let summary = incident.code.spec().summary;
    let profile = about.profile.map(|profile| profile.name.as_str());
    let mailbox = about.mailbox.map(|mailbox| mailbox.name.as_str());
    match (incident.subject, mailbox, profile) {
        (Subject::Profile(_), _, Some(profile)) => format!("Profile {profile}: {summary}"),
        (Subject::Organization, _, _) => summary.to_owned(),
        (_, Some(mailbox), _) => match about.workload {
            Some(workload) => format!("Mailbox {mailbox}, {workload}: {summary}"),
            None => format!("Mailbox {mailbox}: {summary}"),
        },
        (_, None, _) => summary.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::mailbox::MailboxOwner;
    use postroom_core::profile::ProfileKind;
    use postroom_core::{MailboxId, ProfileId};

    fn raised(code: Code, level: Level, settings: &AlertSettings) -> Option<Alert> {
        let mailbox = Mailbox::new(
            MailboxId::from_random([1; 16]),
            "Desk",
            MailboxOwner::Forward,
            None,
        );
        let profile = ServerProfile::new(
            ProfileId::from_random([2; 16]),
            "Main",
            ProfileKind::ExchangeServer,
        );
        let about = About {
            mailbox: Some(&mailbox),
            profile: Some(&profile),
            workload: Some(Workload::Incoming),
            record: None,
        };
        let id = AlertId::from_random([3; 16]);
        alert(
            id,
            incident(code, &about),
            level,
            &about,
            BTreeMap::new(),
            settings,
            Timestamp::EPOCH,
        )
    }

    #[test]
    fn what_concerns_the_server_is_one_alert_of_the_profile() {
        let settings = AlertSettings::default();
        let alert = raised(Code::ServerUnavailable, Level::Warning, &settings).unwrap();
        assert!(matches!(alert.incident.subject, Subject::Profile(_)));
        assert_eq!(alert.incident.workload, None);
        assert_eq!(alert.audience, Audience::ProfileOwner);
        assert!(alert.text.starts_with("Profile Main: "), "{}", alert.text);
        let alert = raised(Code::QuotaExceeded, Level::Error, &settings).unwrap();
        assert!(matches!(alert.incident.subject, Subject::Mailbox(_)));
        assert!(
            alert.text.starts_with("Mailbox Desk, incoming: "),
            "{}",
            alert.text
        );
    }

    #[test]
    fn levels_can_be_switched_off_and_owners_added() {
        let mut settings = AlertSettings::default();
        settings.warnings = false;
        settings.notify_mailbox_owner = true;
        assert!(raised(Code::ServerUnavailable, Level::Warning, &settings).is_none());
        let alert = raised(Code::ServerUnavailable, Level::Error, &settings).unwrap();
        assert_eq!(alert.audience, Audience::MailboxAndProfileOwner);
    }
}
