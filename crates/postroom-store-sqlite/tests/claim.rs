//! An engine that was killed does not keep its successor waiting.

use std::future::Future;

use futures_util::FutureExt as _;
use postroom_core::mailbox::MailboxOwner;
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::{
    HolderId, Mailbox, MailboxId, Organization, OrganizationId, PartyId, Timestamp, Workload,
};
use postroom_store::{ErrorKind, LEASE_DURATION};
use postroom_store_sqlite::{SqliteStorage, StorageOptions};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

#[test]
fn a_claim_ends_the_leases_of_the_engine_before() {
    fn now<T>(answer: impl Future<Output = T>) -> Option<T> {
        answer.now_or_never()
    }
    let folder = tempfile::tempdir().unwrap();
    let options = StorageOptions::new(folder.path()).inline().without_sync();
    let organization = Organization::new(
        OrganizationId::from_random([9; 16]),
        "Contoso",
        Deployment::new(DeploymentKind::OnPremises),
    );
    let storage = SqliteStorage::create(&options, &organization).unwrap();
    let store = storage.store();
    let mailbox = Mailbox::new(
        MailboxId::from_random([1; 16]),
        "Desk",
        MailboxOwner::Queue(PartyId::from_random([2; 16])),
        None,
    );
    now(store.create_mailbox(&mailbox)).unwrap().unwrap();
    let lease = |n: u8| {
        let holder = HolderId::from_random([n; 16]);
        let asked =
            store.acquire_lease(mailbox.id, Workload::Incoming, holder, NOW, LEASE_DURATION);
        now(asked).unwrap().unwrap()
    };
    let dead = lease(1).unwrap();
    assert_eq!(lease(2), None, "the first lease lasts");

    let claim = now(store.claim_engine()).unwrap().unwrap();
    let next = lease(2).unwrap();
    assert!(next.fence > dead.fence);
    let late = now(store.renew_lease(&dead, NOW, LEASE_DURATION)).unwrap();
    assert_eq!(late.unwrap_err().kind(), ErrorKind::LeaseLost);

    // A claim that is refused ends nothing.
    assert!(now(store.claim_engine()).unwrap().is_err());
    now(store.renew_lease(&next, NOW, LEASE_DURATION))
        .unwrap()
        .unwrap();
    drop(claim);
}
