//! Each decorator forwards, fails before and after, and dies before and after.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::party::PartyKind;
use postroom_core::profile::{ProfileKind, ServerProfile};
use postroom_core::tracking::TrackingFilter;
use postroom_core::{Code, MailboxId, Organization, OrganizationId, ProfileId};
use postroom_net::http::{Method, StatusCode};
use postroom_net::{HttpRequest, HttpResponse, HttpTransport, NetError, ResponseBody};
use postroom_provider::{
    OpContext, PageLimit, Provider, ProviderFactory, ProviderRequest, Retry, WellKnownFolder,
};
use postroom_simulator::memory::{MemoryFactory, MemoryServer};
use postroom_simulator::model::{Account, MailSystem};
use postroom_store::{Crm, Store};
use postroom_store_sqlite::{SqliteStorage, StorageOptions};

use super::window::{FaultKind, FaultWindow, Target};
use super::*;
use crate::clock::TrueClock;
use crate::history::{CallEnd, Event, FaultClass, History};
use crate::setup::{self, Contact, MailboxSetup, ProfileSetup, Protocol, Setup};
use crate::trace::{Keep, Trace};

const ADA: &str = "box0@s0.example";

fn seams(plan: impl FaultPlan, folder: &Path) -> (Seams, History) {
    let history = History::new();
    let trace = Trace::new(TrueClock::begin(), Keep::Nothing);
    let root = Seams::new(Arc::new(plan), trace, history.clone(), Directory::default());
    (root.engine(0, folder.to_owned()), history)
}

fn at(number: u64, verdict: Verdict) -> AtCall {
    AtCall { number, verdict }
}

/// Whether a call is answered at all.
async fn answered<T>(call: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_secs(86_400), call)
        .await
        .ok()
}

fn storage(folder: &Path) -> SqliteStorage {
    let options = StorageOptions::new(folder.join("postroom.sqlite"))
        .inline()
        .without_sync();
    let organization = Organization::new(
        OrganizationId::from_random([1; 16]),
        "Contoso",
        Deployment::new(DeploymentKind::OnPremises),
    );
    SqliteStorage::create(&options, &organization).unwrap()
}

const LOST: Verdict = Verdict::FailAfter(FaultError::Io);
const BUSY: Verdict = Verdict::FailBefore(FaultError::Busy);

#[tokio::test(start_paused = true)]
async fn store_calls_fail_and_die_around_their_effect() {
    // What is asked for, whether it is answered, and whether it had its effect.
    for (verdict, answer, effect) in [
        (Verdict::Pass, Some(true), true),
        (Verdict::Delay(Duration::from_secs(5)), Some(true), true),
        (BUSY, Some(false), false),
        (LOST, Some(false), true),
        (Verdict::CrashBefore, None, false),
        (Verdict::CrashAfter, None, true),
        (Verdict::TornCrash, None, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let storage = storage(folder.path());
        let (seams, history) = seams(at(2, verdict), folder.path());
        let store = FaultyStore::new(storage.store(), seams.clone(), false);
        let mut organization = store.organization().await.unwrap();
        organization.name = "Fabrikam".to_owned();
        let saved = answered(store.save_organization(&organization)).await;
        assert_eq!(saved.as_ref().map(Result::is_ok), answer, "{verdict}");
        if let Some(Err(error)) = saved {
            assert_eq!(error.code(), Code::StoreUnavailable);
        }
        let after = storage.store().organization().await.unwrap();
        assert_eq!(after.name == "Fabrikam", effect, "{verdict}");
        let crash = seams.switch().crash();
        assert_eq!(crash.is_some(), answer.is_none());
        if verdict == Verdict::TornCrash {
            let Some(Crash::Torn { before, after }) = crash else {
                panic!("torn, but {crash:?}");
            };
            assert_ne!(before, after);
        }
        if answer.is_none() {
            assert!(answered(store.organization()).await.is_none(), "it is dead");
        }
        let struck = history.with(|entries| {
            let struck =
                |entry: &&crate::history::Entry| matches!(entry.event, Event::FaultStruck { .. });
            entries.iter().filter(struck).count()
        });
        assert_eq!(struck, usize::from(verdict != Verdict::Pass));
        assert_eq!(
            seams.tally().counts().values().sum::<u64>(),
            u64::from(verdict != Verdict::Pass)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn crm_calls_fail_and_die_around_their_effect() {
    for (verdict, answer) in [
        (Verdict::Pass, Some(true)),
        (BUSY, Some(false)),
        (LOST, Some(false)),
        (Verdict::CrashBefore, None),
        (Verdict::CrashAfter, None),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let storage = storage(folder.path());
        let address = ADA.parse().unwrap();
        let crm = storage.crm();
        crm.create_party(PartyKind::User, "Ada", std::slice::from_ref(&address), None)
            .await
            .unwrap();
        let (seams, _) = seams(at(1, verdict), folder.path());
        let faulty = FaultyCrm::new(crm, seams);
        assert_eq!(
            faulty.resolves_provisional(),
            storage.crm().resolves_provisional()
        );
        let found = answered(faulty.parties(&[address])).await;
        assert_eq!(found.as_ref().map(Result::is_ok), answer, "{verdict}");
        if let Some(Err(error)) = found {
            assert_eq!(error.code(), Code::CrmUnavailable);
        }
    }
}

fn memory() -> MemoryServer {
    let mail = MailSystem::new(Arc::new(TrueClock::begin()), 1);
    mail.add_account(Account::new(ADA)).unwrap();
    MemoryServer::new(Arc::new(mail))
}

fn request() -> ProviderRequest {
    let id = ProfileId::from_random([7; 16]);
    let kind = ProfileKind::Custom("memory".to_owned());
    let profile = ServerProfile::new(id, "Main", kind);
    ProviderRequest::new(profile, ADA.parse().unwrap(), None)
}

fn provider(server: &MemoryServer, seams: &Seams) -> Arc<dyn Provider> {
    let mailbox = MailboxId::from_random([9; 16]);
    seams.directory().add_mailbox(mailbox, vec![ADA.to_owned()]);
    let inner = Arc::new(MemoryFactory::new(server.clone()));
    let factory = FaultyFactory::new(inner, seams.clone(), false);
    factory.create(&request()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn provider_calls_fail_and_die_around_their_effect() {
    for (verdict, answer, effect) in [
        (Verdict::Pass, Some(true), true),
        (Verdict::FailBefore(FaultError::Lost), Some(false), false),
        (Verdict::FailAfter(FaultError::Lost), Some(false), true),
        (Verdict::CrashBefore, None, false),
        (Verdict::CrashAfter, None, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server = memory();
        let (seams, history) = seams(at(1, verdict), folder.path());
        let provider = provider(&server, &seams);
        let ctx = OpContext::system().unwrap();
        let source = provider.mail().unwrap();
        let made = answered(source.ensure_folder(&ctx, None, "Undeliverable")).await;
        assert_eq!(made.as_ref().map(Result::is_ok), answer, "{verdict}");
        assert_eq!(server.requests(), u64::from(effect), "{verdict}");
        let ends: Vec<_> = history.with(|entries| {
            let end = |entry: &crate::history::Entry| match &entry.event {
                Event::CallEnded { end, .. } => Some(end.clone()),
                _ => None,
            };
            entries.iter().filter_map(end).collect()
        });
        let expected = match answer {
            Some(true) => CallEnd::Ok,
            Some(false) => CallEnd::Failed {
                code: Code::ConnectionLost.to_string(),
            },
            None => CallEnd::Dropped,
        };
        assert_eq!(ends, [expected], "{verdict}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_answers_are_given_up_at_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let server = memory();
    let verdict = Verdict::DelayAfter(Duration::from_secs(600));
    let (seams, _) = seams(at(1, verdict), folder.path());
    let provider = provider(&server, &seams);
    let clock = crate::clock::SimClock::new(TrueClock::begin());
    let mut ctx = OpContext::system().unwrap();
    ctx.clock = Arc::new(clock);
    let ctx = ctx.within(Duration::from_secs(100));
    let begin = tokio::time::Instant::now();
    let source = provider.mail().unwrap();
    let error = source
        .find_folder(&ctx, WellKnownFolder::Inbox)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::ConnectionTimedOut);
    assert_eq!(begin.elapsed(), Duration::from_secs(100));
    assert_eq!(server.requests(), 1, "the server did it all the same");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_engine_knows_of_nothing_and_a_rival_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = memory();
    let (seams, _) = seams(NoFaults, folder.path());
    let provider = provider(&server, &seams);
    let inner = Arc::new(crate::clock::SimClock::new(TrueClock::begin()));
    let mut ctx = OpContext::system().unwrap();
    ctx.clock = Arc::new(FreezableClock::new(inner, seams.freezer().clone()));
    let ctx = ctx.within(Duration::from_secs(100));
    seams.freezer().freeze();
    let call = tokio::spawn(async move {
        let source = provider.mail().unwrap();
        source.find_folder(&ctx, WellKnownFolder::Inbox).await
    });
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(server.requests(), 0);

    let storage = storage(folder.path());
    let store = FaultyStore::new(storage.store(), seams.clone(), false);
    let frozen = tokio::spawn(async move { store.organization().await });
    let rival = seams.rival(1);
    let held = storage.store().claim_engine().await.unwrap();
    let store = FaultyStore::new(storage.store(), rival, false);
    store.claim_engine().await.unwrap();
    store.organization().await.unwrap();
    assert!(!frozen.is_finished());
    drop(held);

    seams.freezer().thaw();
    call.await.unwrap().unwrap();
    frozen.await.unwrap().unwrap();
    assert_eq!(server.requests(), 1);
}

/// Answers, and counts.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

#[async_trait]
impl HttpTransport for Counting {
    async fn send(&self, _: &OpContext, _: HttpRequest) -> Result<HttpResponse, NetError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let body = ResponseBody::from_bytes(b"<whole-answer/>".to_vec());
        Ok(HttpResponse::new(
            StatusCode::OK,
            postroom_net::http::HeaderMap::new(),
            body,
        ))
    }
}

async fn ask(verdict: Verdict) -> (Option<Result<(u16, Option<Vec<u8>>), NetError>>, u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(Counting::default());
    let inner: Arc<dyn HttpTransport> = Arc::<Counting>::clone(&server);
    let (seams, _) = seams(at(1, verdict), folder.path());
    let transport = FaultyTransport::new(inner, seams);
    let url = "https://s0.example/EWS/Exchange.asmx".parse().unwrap();
    let request = HttpRequest::new(Method::POST, url);
    let ctx = OpContext::system().unwrap();
    let answer = answered(async {
        let mut answer = transport.send(&ctx, request).await?;
        let body = answer.body.read_up_to(10_000).await.ok();
        Ok((answer.status.as_u16(), body))
    })
    .await;
    let before = server.0.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    (answer, before, server.0.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn requests_are_lost_late_broken_off_and_refused() {
    let whole = b"<whole-answer/>".to_vec();
    let (answer, effects, _) = ask(Verdict::Pass).await;
    assert_eq!(answer.unwrap().unwrap(), (200, Some(whole.clone())));
    assert_eq!(effects, 1);

    let before = Verdict::FailBefore;
    let after = Verdict::FailAfter;
    for (verdict, arrived, effects) in [
        (before(FaultError::Lost), true, 0),
        (before(FaultError::Refused), false, 0),
        (before(FaultError::TimedOut), true, 0),
        (after(FaultError::Lost), true, 1),
    ] {
        let (answer, done, _) = ask(verdict).await;
        let error = answer.unwrap().unwrap_err();
        assert_eq!(error.may_have_arrived(), arrived, "{verdict}");
        assert_eq!(done, effects, "{verdict}");
    }

    let (answer, done, later) = ask(Verdict::Late(Duration::from_secs(60))).await;
    assert!(answer.unwrap().unwrap_err().may_have_arrived());
    assert_eq!((done, later), (0, 1), "its effect comes later");

    let (answer, done, _) = ask(after(FaultError::Reset)).await;
    assert_eq!(answer.unwrap().unwrap(), (200, None), "broken off");
    assert_eq!(done, 1);
    let (answer, _, _) = ask(after(FaultError::Truncated)).await;
    assert_eq!(answer.unwrap().unwrap(), (200, Some(whole[..7].to_vec())));

    let (answer, done, _) = ask(before(FaultError::Unserved(None))).await;
    assert_eq!(answer.unwrap().unwrap().0, 503);
    assert_eq!(done, 0);
    let hint = Some(Duration::from_millis(1500));
    let (answer, _, _) = ask(before(FaultError::Throttled(hint))).await;
    let (status, body) = answer.unwrap().unwrap();
    let text = String::from_utf8(body.unwrap()).unwrap();
    assert_eq!(status, 500);
    assert!(
        text.contains("ErrorServerBusy") && text.contains(">1500<"),
        "{text}"
    );

    for (verdict, effects) in [(Verdict::CrashBefore, 0), (Verdict::CrashAfter, 1)] {
        let (answer, done, _) = ask(verdict).await;
        assert!(answer.is_none() && done == effects, "{verdict}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_made_here_is_understood_by_the_adapter() {
    // As the adapter reads it: the hint is heard.
    let folder = tempfile::tempdir().unwrap();
    let hint = Duration::from_millis(1500);
    let verdict = Verdict::FailBefore(FaultError::Throttled(Some(hint)));
    let (seams, _) = seams(at(1, verdict), folder.path());
    let inner: Arc<dyn HttpTransport> = Arc::new(Counting::default());
    let transport = Arc::new(FaultyTransport::new(inner, seams));
    let factory = postroom_ews::EwsFactory::exchange_server().with_transport(transport);
    let mut request = request();
    request.profile.kind = ProfileKind::ExchangeServer;
    request.profile.incoming.location = Some("https://s0.example/EWS/Exchange.asmx".to_owned());
    request.credentials = Some(postroom_provider::Credentials::new(
        "u",
        postroom_core::Secret::new("p"),
    ));
    let provider = factory.create(&request).unwrap();
    let ctx = OpContext::system().unwrap();
    let source = provider.mail().unwrap();
    let error = source
        .find_folder(&ctx, WellKnownFolder::Inbox)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::ServerBusy);
    assert_eq!(error.retry(), Retry::After(Some(hint)));
}

fn example() -> Setup {
    let profile = |protocol| ProfileSetup {
        protocol,
        system: 0,
        account: setup::Account::Service,
        polling_minutes: 5,
        connections: 10,
        move_undelivered: false,
    };
    let mailbox = |profile| MailboxSetup {
        queue: false,
        profile,
        filter: TrackingFilter::All,
        delete_after_processing: false,
    };
    Setup {
        systems: 1,
        profiles: vec![profile(Protocol::Ews), profile(Protocol::Memory)],
        mailboxes: vec![mailbox(0), mailbox(1), mailbox(1)],
        contacts: vec![Contact::Contact],
    }
}

#[test]
fn windows_are_the_same_for_the_same_seed_and_reach_every_kind() {
    let setup = example();
    let params = FaultParams::of(Duration::from_secs(2 * 86_400));
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..600 {
        let windows = generate_faults(seed, &setup, params);
        assert_eq!(windows, generate_faults(seed, &setup, params));
        let text = serde_json::to_string(&windows).unwrap();
        assert_eq!(
            windows,
            serde_json::from_str::<Vec<FaultWindow>>(&text).unwrap()
        );
        for window in windows {
            assert!(window.from < window.until && window.until <= params.end);
            kinds.insert(window.fault.name());
        }
    }
    assert_eq!(kinds.len(), 42, "{kinds:?}");
}

#[test]
fn plan_strikes_whom_the_window_names_while_it_is_open() {
    let setup = example();
    let window = |fault, target, per_mille, times| FaultWindow {
        from: Duration::from_secs(10),
        until: Duration::from_secs(20),
        fault,
        target,
        per_mille,
        times,
    };
    let call = |number, seam, mailbox, seconds| Call {
        number,
        seam,
        operation: "x",
        mailbox: None,
        mailbox_index: Some(mailbox),
        profile_index: None,
        writes: true,
        over_http: false,
        at: Duration::from_secs(seconds),
    };
    let lost = window(FaultKind::RequestLost, Target::Profile(1), 1000, None);
    let plan = WindowPlan::new(1, &setup, &[lost]);
    let verdict = |call| plan.decide(&call).verdict;
    let struck = Verdict::FailBefore(FaultError::Lost);
    assert_eq!(verdict(call(1, Seam::Provider, 2, 15)), struck);
    assert_eq!(verdict(call(1, Seam::Provider, 0, 15)), Verdict::Pass);
    assert_eq!(verdict(call(1, Seam::Provider, 2, 20)), Verdict::Pass);
    assert_eq!(verdict(call(1, Seam::Store, 2, 15)), Verdict::Pass);
    let mut over_http = call(1, Seam::Provider, 2, 15);
    over_http.over_http = true;
    assert_eq!(verdict(over_http), Verdict::Pass, "struck below");

    let crash = window(FaultKind::CrashAfter, Target::Everybody, 100, Some(2));
    let plan = WindowPlan::new(1, &setup, &[crash]);
    let struck: Vec<u64> = (0..1000)
        .filter(|number| {
            let decision = plan.decide(&call(*number, Seam::Store, 0, 15));
            decision.class == FaultClass::Process
        })
        .collect();
    assert_eq!(struck.len(), 2);
    assert!(struck[1] < 100, "{struck:?}");
}

#[tokio::test(start_paused = true)]
async fn memory_server_plays_listing_and_batch_faults() {
    use postroom_simulator::memory::{FaultEffect, MemoryFault};

    let server = memory();
    let mail = server.mail();
    for n in 0..40 {
        mail.deliver(format!("Subject: {n}\r\n\r\nx\r\n").into_bytes(), &[ADA]);
    }
    let provider = server.provider(ADA).unwrap();
    let source = provider.mail().unwrap();
    let ctx = OpContext::system().unwrap();
    let inbox = source
        .find_folder(&ctx, WellKnownFolder::Inbox)
        .await
        .unwrap();
    let limit = PageLimit::new(100);
    let changes = |since| {
        let (ctx, inbox) = (&ctx, &inbox);
        async move { source.changes(ctx, inbox, since, limit).await }
    };
    let all = changes(None).await.unwrap();
    let ids: Vec<_> = all
        .changes
        .iter()
        .map(|change| match change {
            postroom_provider::MailChange::Present(listing) => listing.id.clone(),
            other => panic!("{other:?}"),
        })
        .collect();

    let id = server.arm(MemoryFault::new(FaultEffect::ShortPages(3)));
    let page = changes(None).await.unwrap();
    assert!(page.changes.len() == 3 && page.more);
    assert_eq!(server.disarm_one(id), 1);
    assert_eq!(server.disarm_one(id), 0, "it is off");

    server.arm(MemoryFault::new(FaultEffect::Phantom));
    assert_eq!(changes(None).await.unwrap().changes.len(), 41);
    server.disarm();
    server.arm(MemoryFault::new(FaultEffect::ContradictoryPaging));
    let page = changes(Some(&all.cursor)).await.unwrap();
    assert!(page.changes.is_empty() && page.more && page.cursor == all.cursor);
    server.disarm();
    server.arm(MemoryFault::new(FaultEffect::InvalidCursor));
    let error = changes(Some(&all.cursor)).await.unwrap_err();
    assert_eq!(error.code(), Code::CursorInvalid);
    server.disarm();

    server.arm(MemoryFault::new(FaultEffect::BatchStopped(2)));
    let outcomes = source.headers(&ctx, &inbox, &ids[..5]).await.unwrap();
    let good: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, true, false, false, false]);
    server.disarm();
    server.arm(MemoryFault::new(FaultEffect::CorruptShare(500)));
    let first = source.headers(&ctx, &inbox, &ids).await.unwrap();
    let again = source.headers(&ctx, &inbox, &ids).await.unwrap();
    let good = |outcomes: &[postroom_provider::Result<_>]| -> Vec<bool> {
        outcomes.iter().map(Result::is_ok).collect()
    };
    assert_eq!(good(&first), good(&again), "always the same ones");
    let bad = good(&first).iter().filter(|good| !**good).count();
    assert!((8..32).contains(&bad), "{bad} of 40");
    server.disarm();

    server.arm(MemoryFault::new(FaultEffect::Unavailable).chance(500));
    let mut failed = 0;
    for _ in 0..100 {
        failed += usize::from(changes(None).await.is_err());
    }
    assert!((25..75).contains(&failed), "{failed} of 100");
}
