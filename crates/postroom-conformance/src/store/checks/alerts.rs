//! Alerts and jobs.

use postroom_core::alert::{Alert, Incident, Subject};
use postroom_core::catalogue::{Audience, Code, Level};
use postroom_core::job::{Job, JobKind, JobState, TestStep};
use postroom_core::{AlertId, JobId, MailboxId, Workload};
use postroom_store::{AlertFilter, ErrorKind, IncidentPattern, Page};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::store::case::{Case, MINUTE, NOW, refused};

fn subject(n: u8) -> Subject {
    Subject::Mailbox(MailboxId::from_random([n; 16]))
}

fn alert(n: u8, incident: &Incident, text: &str) -> Alert {
    Alert::new(AlertId::from_random([n; 16]), incident.clone(), text, NOW)
}

fn denied(n: u8) -> Incident {
    Incident::new(Code::AccessDenied, subject(n), Some(Workload::Incoming))
}

async fn open(case: &Case) -> CheckResult<Vec<Alert>> {
    Ok(case
        .store()
        .alerts(&AlertFilter::default(), Page::first(100))
        .await?)
}

pub(in crate::store) async fn an_incident_is_one_alert(case: &mut Case) -> CheckResult {
    let first = case
        .store()
        .raise_alert(&alert(1, &denied(1), "first").with_detail("answer", "no"))
        .await?;
    let mut again = alert(2, &denied(1), "second");
    again.last_seen = NOW.plus(MINUTE);
    again.level = Level::Warning;
    let second = case.store().raise_alert(&again).await?;
    ensure_eq!(second, first, "the id of the same incident");
    case.store()
        .raise_alert(&alert(3, &denied(1).about("message 7"), "other thing"))
        .await?;
    case.store()
        .raise_alert(&alert(4, &denied(2), "other mailbox"))
        .await?;
    let mut other = denied(1);
    other.workload = None;
    case.store()
        .raise_alert(&alert(5, &other, "other workload"))
        .await?;
    case.reopen().await?;
    let open = open(case).await?;
    ensure_eq!(open.len(), 4, "open alerts");
    let newest = open
        .first()
        .ok_or_else(|| Stop::failed("there is no alert"))?;
    ensure_eq!(newest.id, first, "the newest, by when it was last seen");
    ensure_eq!(
        (newest.count, newest.text.as_str()),
        (2, "second"),
        "count and text"
    );
    ensure_eq!(
        (newest.first_seen, newest.last_seen),
        (NOW, NOW.plus(MINUTE)),
        "first and last seen"
    );
    ensure_eq!(newest.level, Level::Warning, "the level");
    ensure_eq!(newest.incident, denied(1), "the incident");
    ensure!(newest.details.is_empty(), "old details were kept");
    Ok(())
}

pub(in crate::store) async fn a_closed_incident_opens_a_new_alert(case: &mut Case) -> CheckResult {
    let first = case.store().raise_alert(&alert(1, &denied(1), "x")).await?;
    case.store().dismiss_alert(first, NOW).await?;
    ensure!(open(case).await?.is_empty(), "a dismissed alert is open");
    let second = case.store().raise_alert(&alert(2, &denied(1), "x")).await?;
    ensure!(second != first, "a closed alert was opened again");
    let mut filter = AlertFilter::default();
    filter.closed = true;
    let all = case.store().alerts(&filter, Page::first(9)).await?;
    ensure_eq!(all.len(), 2, "alerts, closed ones too");
    ensure!(
        all.iter().any(|alert| alert.closed_at == Some(NOW)),
        "when it was closed is lost"
    );
    refused(
        case.store()
            .dismiss_alert(AlertId::from_random([9; 16]), NOW)
            .await,
        ErrorKind::NotFound,
        "dismissing no alert",
    )
}

pub(in crate::store) async fn patterns_close_what_fits(case: &mut Case) -> CheckResult {
    let mut n = 0;
    for incident in [
        denied(1),
        denied(1).about("a"),
        denied(1).about("b"),
        Incident::new(Code::ServerBusy, subject(1), Some(Workload::Outgoing)),
        denied(2),
    ] {
        n += 1;
        case.store().raise_alert(&alert(n, &incident, "x")).await?;
    }
    let close = async |pattern: IncidentPattern| case.store().close_alerts(&pattern, NOW).await;
    ensure_eq!(
        close(IncidentPattern::exactly(&denied(1).about("a"))).await?,
        1,
        "exactly one"
    );
    ensure_eq!(
        close(IncidentPattern::exactly(&denied(1))).await?,
        1,
        "exactly the one without more"
    );
    let mut of_workload = IncidentPattern::about(subject(1));
    of_workload.workload = Some(Workload::Outgoing);
    ensure_eq!(close(of_workload.clone()).await?, 1, "those of a workload");
    ensure_eq!(close(of_workload).await?, 0, "those of a workload again");
    let mut of_code = IncidentPattern::about(subject(2));
    of_code.code = Some(Code::ServerBusy);
    ensure_eq!(close(of_code).await?, 0, "those of another code");
    ensure_eq!(
        close(IncidentPattern::about(subject(1))).await?,
        1,
        "everything about a mailbox"
    );
    ensure_eq!(open(case).await?.len(), 1, "what is still open");
    Ok(())
}

pub(in crate::store) async fn listings_are_filtered(case: &mut Case) -> CheckResult {
    let mut n = 0;
    for (code, who) in [
        (Code::AccessDenied, 1),
        (Code::ServerBusy, 1),
        (Code::IncomingTestSucceeded, 2),
    ] {
        n += 1;
        let incident = Incident::new(code, subject(who), None);
        let mut alert = alert(n, &incident, "x");
        alert.last_seen = NOW.plus(MINUTE * u32::from(n));
        case.store().raise_alert(&alert).await?;
    }
    let seen = async |filter: AlertFilter, page: Page| -> CheckResult<Vec<Code>> {
        let found = case.store().alerts(&filter, page).await?;
        Ok(found.into_iter().map(|alert| alert.incident.code).collect())
    };
    let page = Page::first(2);
    let all = AlertFilter::default();
    ensure_eq!(
        seen(all.clone(), page).await?,
        [Code::IncomingTestSucceeded, Code::ServerBusy],
        "the first page, newest first"
    );
    ensure_eq!(
        seen(all.clone(), page.next()).await?,
        [Code::AccessDenied],
        "the second page"
    );
    let mut filter = all.clone();
    filter.level_min = Some(Level::Warning);
    ensure_eq!(
        seen(filter, page).await?,
        [Code::ServerBusy, Code::AccessDenied],
        "of a level or above"
    );
    let mut filter = all.clone();
    filter.subject = Some(subject(2));
    ensure_eq!(
        seen(filter, page).await?,
        [Code::IncomingTestSucceeded],
        "about a mailbox"
    );
    let mut filter = all;
    filter.audience = Some(Audience::ProfileOwner);
    ensure_eq!(
        seen(filter, page).await?,
        [Code::ServerBusy],
        "for an audience"
    );
    Ok(())
}

pub(in crate::store) async fn jobs_are_kept_oldest_first(case: &mut Case) -> CheckResult {
    let job = |n: u8| {
        let mailbox = MailboxId::from_random([1; 16]);
        Job::queued(
            JobId::from_random([n; 16]),
            JobKind::TestAndEnable,
            mailbox,
            "admin",
            NOW,
        )
    };
    for n in [3, 1, 2] {
        case.store().save_job(&job(n)).await?;
    }
    let mut running = job(1);
    running.state = JobState::Running;
    running
        .steps
        .push(TestStep::passed(None, "connect", "it answers"));
    case.store().save_job(&running).await?;
    case.reopen().await?;
    ensure_eq!(
        case.store().job(running.id).await?,
        Some(running.clone()),
        "a changed job"
    );
    ensure_eq!(
        case.store().job(JobId::from_random([9; 16])).await?,
        None,
        "no job"
    );
    let queued = case.store().jobs(&[JobState::Queued], 9).await?;
    ensure_eq!(queued, vec![job(3), job(2)], "queued jobs, oldest first");
    let both = case
        .store()
        .jobs(&[JobState::Queued, JobState::Running], 2)
        .await?;
    ensure_eq!(
        both,
        vec![job(3), running],
        "two of the jobs that are not done"
    );
    Ok(())
}
