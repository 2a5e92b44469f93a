use std::sync::Arc;
use std::time::Duration;

use postroom_core::Code;
use postroom_provider::{
    ErrorKind, OpContext, PageLimit, Provider, ProviderFactory as _, Retry, WellKnownFolder,
};

use super::*;
use crate::model::{Account, MailSystem, ManualClock};

const DESK: &str = "desk@example.org";

fn server() -> MemoryServer {
    let clock = ManualClock::at("2026-11-22T12:00:00Z".parse().unwrap());
    let mail = Arc::new(MailSystem::new(clock, 7));
    mail.add_account(Account::new(DESK)).unwrap();
    MemoryServer::new(mail)
}

fn desk(server: &MemoryServer) -> Arc<dyn Provider> {
    server.provider(DESK).unwrap()
}

#[test]
fn ids_are_read_back_and_foreign_ones_are_not() {
    let item = crate::model::ItemId(17);
    assert_eq!(item_id(&remote_id(item)), Some(item));
    for foreign in [
        "",
        "m",
        "17",
        "m+17",
        "m1 7",
        "f17",
        "m99999999999999999999999",
    ] {
        let id = postroom_provider::RemoteId::new(foreign);
        let read = item_id(&id);
        assert!(read.is_none(), "{foreign:?} was read as {read:?}");
    }
}

#[tokio::test]
async fn faults_strike_when_they_are_told_to() {
    let server = server();
    let provider = desk(&server);
    let mail = provider.mail().unwrap();
    let ctx = OpContext::system().unwrap();
    let hint = Some(Duration::from_secs(7));
    let fault = MemoryFault::new(FaultEffect::Throttle(hint));
    server.arm(fault.on("mail.find_folder").after(1).times(1));
    let mut answers = Vec::new();
    for _ in 0..3 {
        mail.list_folders(&ctx).await.unwrap();
        answers.push(mail.find_folder(&ctx, WellKnownFolder::Inbox).await);
    }
    assert!(answers[0].is_ok() && answers[2].is_ok());
    let error = answers[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry(), Retry::After(hint));
    assert_eq!(server.requests(), 6);
}

#[tokio::test]
async fn a_fault_may_concern_one_account_only() {
    let server = server();
    server
        .mail()
        .add_account(Account::new("other@example.org"))
        .unwrap();
    let refusal = FaultEffect::Refuse(ErrorKind::Unauthenticated, Code::CredentialsRejected);
    server.arm(MemoryFault::new(refusal).for_account("OTHER@example.org"));
    let ctx = OpContext::system().unwrap();
    let other = server.provider("other@example.org").unwrap();
    assert!(
        desk(&server)
            .mail()
            .unwrap()
            .list_folders(&ctx)
            .await
            .is_ok()
    );
    let error = other.mail().unwrap().list_folders(&ctx).await.unwrap_err();
    assert_eq!(error.code(), Code::CredentialsRejected);
    server.disarm();
    assert!(other.mail().unwrap().list_folders(&ctx).await.is_ok());
}

#[tokio::test]
async fn mailboxes_are_apart() {
    let server = server();
    server
        .mail()
        .add_account(Account::new("other@example.org"))
        .unwrap();
    let ctx = OpContext::system().unwrap();
    let other = server.provider("other@example.org").unwrap();
    let theirs = other
        .mail()
        .unwrap()
        .find_folder(&ctx, WellKnownFolder::Inbox)
        .await
        .unwrap();
    let desk = desk(&server);
    let page = desk
        .mail()
        .unwrap()
        .changes(&ctx, &theirs, None, PageLimit::new(5))
        .await;
    assert_eq!(page.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_factory_knows_its_mailboxes() {
    let factory = MemoryFactory::new(server());
    assert_eq!(factory.name(), "memory");
    assert_eq!(
        factory.clone().named("exchange-server").name(),
        "exchange-server"
    );
}
