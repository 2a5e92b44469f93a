//! Alerts and jobs.

use postroom_core::alert::{Alert, Incident, Subject};
use postroom_core::audit::AuditEntry;
use postroom_core::catalogue::{Audience, Code, Level};
use postroom_core::connection::{
    ConnectionStep, ConnectionTest, Direction, DirectionTest, StepOutcome,
};
use postroom_core::job::{Job, JobKind, JobState, TestStep};
use postroom_core::mailbox::MailboxOwner;
use postroom_core::profile::ProfileKind;
use postroom_core::{
    AlertId, JobId, Mailbox, MailboxId, PartyId, ProfileId, RecordId, ServerProfile, Workload,
};
use postroom_store::{
    AlertFilter, ErrorKind, IncidentPattern, JOBS_KEPT, JobCounts, JobFilter, Page, Wall,
};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::store::case::{Case, MINUTE, NOW, profile_id, refused};

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

pub(in crate::store) async fn jobs_are_queued_together(case: &mut Case) -> CheckResult {
    let batch = JobId::from_random([100; 16]);
    let job = |n: u8, mailbox: u8| {
        let mut job = Job::queued(
            JobId::from_random([n; 16]),
            JobKind::TestAndEnable,
            MailboxId::from_random([mailbox; 16]),
            "admin",
            NOW,
        );
        job.batch = Some(batch);
        job
    };
    let entry = |n| AuditEntry::allowed(NOW, "admin", "mailbox.test", subject(n), "asked for");
    case.store()
        .queue_jobs(
            &[job(1, 1), job(2, 2), job(3, 3)],
            &[entry(1), entry(2), entry(3)],
        )
        .await?;
    let mut done = job(1, 1);
    done.state = JobState::Done;
    case.store().save_job(&done).await?;
    let mut failed = job(2, 2);
    failed.state = JobState::Done;
    let step = TestStep::failed(None, "connect", Code::ConnectionRefused, "nobody listens");
    failed.steps.push(step);
    case.store().save_job(&failed).await?;
    case.reopen().await?;
    let mut filter = JobFilter::default();
    filter.batch = Some(batch);
    let mut counts = JobCounts::default();
    (counts.queued, counts.passed, counts.failed) = (1, 1, 1);
    ensure_eq!(case.store().job_counts(&filter).await?, counts, "counts");
    ensure_eq!((counts.all(), counts.done()), (3, 2), "sums");
    let page = Page::first(2);
    let listed = case.store().job_list(&filter, page).await?;
    ensure_eq!(listed, vec![job(3, 3), failed.clone()], "newest first");
    let listed = case.store().job_list(&filter, page.next()).await?;
    ensure_eq!(listed, vec![done], "the second page");
    filter.state = Some(JobState::Done);
    filter.mailbox = Some(failed.mailbox);
    let listed = case.store().job_list(&filter, page).await?;
    ensure_eq!(listed, vec![failed], "of a mailbox, in a state");
    let mut other = JobFilter::default();
    other.batch = Some(JobId::from_random([101; 16]));
    ensure_eq!(
        case.store().job_counts(&other).await?.all(),
        0,
        "of no batch"
    );
    let trail = case.store().audit_trail(Page::first(9)).await?;
    ensure_eq!(trail.len(), 3, "audit entries");
    // Of a profile: by what the mailboxes have now.
    let mut tested = case.mailbox(3).await?;
    let mut of_profile = JobFilter::default();
    of_profile.profile = Some(profile_id(8));
    ensure_eq!(
        case.store().job_list(&of_profile, page).await?,
        [],
        "of a profile that no mailbox has"
    );
    tested.profile = Some(profile_id(8));
    case.store().update_mailbox(&tested).await?;
    let listed = case.store().job_list(&of_profile, page).await?;
    ensure_eq!(listed, vec![job(3, 3)], "of a profile");
    // What is done is dropped in the end, what waits is not.
    for n in 10..10 + u8::try_from(JOBS_KEPT).unwrap_or(u8::MAX) + 3 {
        let mut old = job(n, 1);
        old.state = JobState::Done;
        case.store().save_job(&old).await?;
    }
    case.store().queue_jobs(&[job(99, 1)], &[]).await?;
    let mut filter = JobFilter::default();
    filter.mailbox = Some(MailboxId::from_random([1; 16]));
    let counts = case.store().job_counts(&filter).await?;
    ensure_eq!(
        (counts.queued, counts.passed),
        (1, u64::from(JOBS_KEPT)),
        "those that are kept"
    );
    ensure_eq!(
        case.store().job_counts(&other).await?.all(),
        0,
        "of no batch, still"
    );
    Ok(())
}

pub(in crate::store) async fn walls_show_what_concerns_somebody(case: &mut Case) -> CheckResult {
    let (profile, other) = (
        ProfileId::from_random([50; 16]),
        ProfileId::from_random([51; 16]),
    );
    let (ada, boss, elsewhere) = (
        PartyId::from_random([60; 16]),
        PartyId::from_random([61; 16]),
        PartyId::from_random([62; 16]),
    );
    for (id, name, owner) in [(profile, "Main", boss), (other, "Other", elsewhere)] {
        let mut made = ServerProfile::new(id, name, ProfileKind::ExchangeServer);
        made.owner = Some(owner);
        case.store().save_profile(&made).await?;
    }
    for (n, owner, at) in [(70, ada, profile), (71, elsewhere, other)] {
        let id = MailboxId::from_random([n; 16]);
        let mut mailbox = Mailbox::new(id, "box", MailboxOwner::User(owner), None);
        mailbox.profile = Some(at);
        case.store().create_mailbox(&mailbox).await?;
    }
    let own = MailboxId::from_random([70; 16]);
    let mut n = 0;
    let mut raise = async |code, about, audience, mailbox: Option<MailboxId>| -> CheckResult {
        n += 1;
        let mut raised = alert(n, &Incident::new(code, about, None), "x");
        raised.audience = audience;
        raised.mailbox = raised.mailbox.or(mailbox);
        case.store().raise_alert(&raised).await?;
        Ok(())
    };
    let record = Subject::Record(RecordId::from_random([1; 16]));
    let of = Subject::Profile(profile);
    raise(
        Code::AccountUnavailable,
        subject(70),
        Audience::MailboxOwner,
        None,
    )
    .await?;
    raise(
        Code::CredentialsRejected,
        subject(70),
        Audience::MailboxAndProfileOwner,
        None,
    )
    .await?;
    raise(
        Code::OutcomeUnknown,
        record,
        Audience::MailboxOwner,
        Some(own),
    )
    .await?;
    raise(Code::ServerUnavailable, of, Audience::ProfileOwner, None).await?;
    raise(Code::TlsFailed, of, Audience::MailboxAndProfileOwner, None).await?;
    raise(
        Code::CrmUnavailable,
        Subject::Organization,
        Audience::Administrator,
        None,
    )
    .await?;
    raise(
        Code::QuotaExceeded,
        subject(71),
        Audience::MailboxOwner,
        None,
    )
    .await?;
    case.reopen().await?;
    let seen = async |wall: Wall| -> CheckResult<Vec<Code>> {
        let mut filter = AlertFilter::default();
        filter.wall = Some(wall);
        let found = case.store().alerts(&filter, Page::first(9)).await?;
        let mut codes: Vec<_> = found.iter().map(|alert| alert.incident.code).collect();
        codes.sort();
        Ok(codes)
    };
    let sorted = |mut codes: Vec<Code>| {
        codes.sort();
        codes
    };
    let on_box = sorted(vec![
        Code::AccountUnavailable,
        Code::CredentialsRejected,
        Code::OutcomeUnknown,
        Code::TlsFailed,
    ]);
    let on_profile = sorted(vec![
        Code::CredentialsRejected,
        Code::ServerUnavailable,
        Code::TlsFailed,
    ]);
    ensure_eq!(seen(Wall::Mailbox(own)).await?, on_box, "a mailbox's wall");
    ensure_eq!(seen(Wall::Owner(ada)).await?, on_box, "its owner's wall");
    ensure_eq!(
        seen(Wall::Profile(profile)).await?,
        on_profile,
        "a profile's wall"
    );
    ensure_eq!(
        seen(Wall::Owner(boss)).await?,
        on_profile,
        "the profile owner's wall"
    );
    ensure_eq!(
        seen(Wall::Owner(elsewhere)).await?,
        [Code::QuotaExceeded],
        "somebody else's wall"
    );
    ensure_eq!(
        seen(Wall::Owner(PartyId::from_random([63; 16]))).await?,
        [],
        "the wall of somebody without mailbox and profile"
    );
    let mut filter = AlertFilter::default();
    filter.id = Some(AlertId::from_random([3; 16]));
    let found = case.store().alerts(&filter, Page::first(9)).await?;
    let found: Vec<_> = found
        .iter()
        .map(|alert| (alert.incident.code, alert.mailbox))
        .collect();
    ensure_eq!(
        found,
        [(Code::OutcomeUnknown, Some(own))],
        "one alert by its id"
    );
    Ok(())
}

pub(in crate::store) async fn the_last_connection_test_is_kept(case: &mut Case) -> CheckResult {
    let id = ProfileId::from_random([50; 16]);
    let test = |outcome| {
        let step = ConnectionStep::new("connect", outcome, "seen");
        let direction = DirectionTest::new(Direction::Both, vec![step]);
        ConnectionTest::new(NOW, MINUTE, "admin", None, vec![direction])
    };
    let failed = test(StepOutcome::Failed(Code::ConnectionRefused));
    refused(
        case.store().save_connection_test(id, &failed).await,
        ErrorKind::NotFound,
        "a test of no profile",
    )?;
    let mut profile = ServerProfile::new(id, "Main", ProfileKind::ExchangeServer);
    case.store().save_profile(&profile).await?;
    ensure_eq!(
        case.store().connection_test(id).await?,
        None,
        "before a test"
    );
    case.store().save_connection_test(id, &failed).await?;
    let passed = test(StepOutcome::Passed);
    case.store().save_connection_test(id, &passed).await?;
    profile.description = "changed".to_owned();
    case.store().save_profile(&profile).await?;
    case.reopen().await?;
    let kept = case.store().connection_test(id).await?;
    ensure_eq!(kept, Some(passed), "the last test");
    Ok(())
}
