//! Changes of very many mailboxes at once: each row answers for itself.

use std::time::Duration;

use postroom_core::mailbox::{DeliveryMethod, MailboxOwner};
use postroom_core::party::PartyKind;
use postroom_core::{EmailAddress, MailboxId, Timestamp};
use postroom_engine::declaration::{Declaration, PlanOptions, Secrets, plan};
use postroom_engine::{ErrorKind, MailboxEdit, NewMailbox};
use postroom_provider::Clock as _;
use postroom_store::{Directory as _, MailboxFilter, Page};
use serde_json::{Value, json};

use crate::crash::Fuse;
use crate::world::{DESK, World};

/// So many are more than one batch.
const MANY: u32 = 620;

fn address(number: u32) -> EmailAddress {
    format!("user{number}@contoso.example").parse().unwrap()
}

fn user(number: u32) -> Value {
    json!({ "name": format!("User {number:04}"), "address": address(number).as_str() })
}

/// Carries out a declaration; the outcomes by what they are about.
async fn apply(world: &World, document: &Value) -> Vec<(String, Option<ErrorKind>)> {
    let (admin, operator, crm) = (world.admin(), &world.operator, world.crm());
    let (wanted, findings) = Declaration::read(document);
    assert_eq!(findings, []);
    let snapshot = admin.snapshot(operator, &*crm).await.unwrap();
    let changes = plan(&snapshot, &wanted, &PlanOptions::default()).unwrap();
    let mut told = Vec::new();
    let outcomes = admin
        .apply_changes(operator, &*crm, &changes, &Secrets::new(), &mut |done| {
            told.push(done);
        })
        .await;
    assert_eq!(outcomes.len(), changes.len());
    assert_eq!(told.last().copied().unwrap_or_default(), changes.len());
    changes
        .iter()
        .zip(outcomes)
        .map(|(change, outcome)| {
            let kind = outcome.err().map(|error| error.kind());
            (change.subject.clone(), kind)
        })
        .collect()
}

async fn many(world: &World) -> Vec<MailboxId> {
    let users: Vec<Value> = (0..MANY).map(user).collect();
    let done = apply(world, &json!({ "user": users })).await;
    assert!(done.iter().all(|(_, kind)| kind.is_none()), "{done:?}");
    let mut filter = MailboxFilter::default();
    filter.text = Some("user ".to_owned());
    let (admin, operator) = (world.admin(), &world.operator);
    admin.select_mailboxes(operator, &filter).await.unwrap()
}

#[tokio::test]
async fn a_bulk_edit_answers_for_each_row() {
    let mut world = World::bare().await;
    let mut ids = many(&world).await;
    assert_eq!(ids.len(), MANY as usize);
    let nobody = MailboxId::from_random([77; 16]);
    ids.insert(100, world.desk_mailbox);
    ids.insert(550, nobody);
    // Somebody else changes some of them meanwhile: once is made good for, again and again is not.
    let meddled = vec![ids[3], ids[4], ids[300]];
    world.restart(Some(&Fuse::meddling(meddled.clone(), 1)));
    let mut edit = MailboxEdit::new();
    edit.items = Some(DeliveryMethod::ServerSide);
    let (admin, operator) = (world.admin(), &world.operator);
    let outcomes = admin.edit_mailboxes(operator, &ids, &edit).await;
    let asked: Vec<_> = outcomes.iter().map(|(id, _)| *id).collect();
    assert_eq!(asked, ids, "in the order asked for");
    for (id, outcome) in outcomes {
        let kind = outcome.err().map(|error| error.kind());
        if id == nobody {
            assert_eq!(kind, Some(ErrorKind::NotFound));
            continue;
        }
        let mailbox = world.mailbox(id).await;
        // A queue has no appointments.
        let refused = id == world.desk_mailbox;
        assert_eq!(
            kind,
            refused.then_some(ErrorKind::InvalidInput),
            "{}",
            mailbox.name
        );
        let changed = mailbox.items.method == DeliveryMethod::ServerSide;
        assert_eq!(changed, !refused, "{}", mailbox.name);
        // What others had changed is still there.
        let meddled_with = meddled.contains(&id);
        assert_eq!(
            mailbox.name.ends_with('*'),
            meddled_with,
            "{}",
            mailbox.name
        );
    }
    let trail = admin.audit_trail(operator, Page::first(MANY * 2)).await;
    let edits = trail.unwrap().into_iter();
    let edits = edits.filter(|entry| entry.action == "mailbox.edit").count();
    assert_eq!(edits, MANY as usize, "one entry for each that was changed");

    world.restart(Some(&Fuse::meddling(vec![ids[0]], 99)));
    edit.items = Some(DeliveryMethod::None);
    let outcomes = world
        .admin()
        .edit_mailboxes(&world.operator, &ids[..3], &edit)
        .await;
    let kinds: Vec<_> = outcomes
        .into_iter()
        .map(|(_, outcome)| outcome.err().map(|error| error.kind()))
        .collect();
    assert_eq!(kinds, [Some(ErrorKind::Conflict), None, None]);
}

#[tokio::test]
async fn an_earlier_date_pulls_what_was_left_alone_for_its_age() {
    let world = World::bare().await;
    let (admin, operator, id) = (world.admin(), &world.operator, world.desk_mailbox);
    world.mail_from_jo(&[DESK], "old@x", "Old", "");
    world.clock.advance(Duration::from_secs(3600));
    admin.approve(operator, &[id]).await.remove(0).1.unwrap();
    let kind = postroom_core::job::JobKind::TestAndEnable;
    admin.test_mailbox(operator, id, kind).await.unwrap();
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(
        world.emails().await.len(),
        0,
        "older than the mailbox is enabled"
    );
    let set = async |from: Option<Timestamp>| {
        let mut edit = MailboxEdit::new();
        edit.process_email_from = Some(from);
        let both = [id, world.ada_mailbox];
        for (_, outcome) in admin.edit_mailboxes(operator, &both, &edit).await {
            outcome.unwrap();
        }
    };
    // A later date changes nothing about what was left alone.
    set(Some(world.clock.now().plus(Duration::from_secs(60)))).await;
    world.step().await;
    assert_eq!(world.emails().await.len(), 0);
    // An earlier one does, at once: the mailbox is due.
    set(Some(world.clock.now().minus(Duration::from_secs(7200)))).await;
    world.step().await;
    assert_eq!(world.emails().await.len(), 1);
    // Again: nothing is recorded twice.
    set(Some(world.clock.now().minus(Duration::from_secs(9000)))).await;
    world.pass(Duration::from_secs(600)).await;
    assert_eq!(world.emails().await.len(), 1);
}

#[tokio::test]
async fn a_declaration_sets_many_up_at_once_and_each_answers_for_itself() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    // The application knows one of them already, and has given another's address away.
    let known = world
        .crm()
        .create_party(PartyKind::User, "Known", &[address(7)], None)
        .await
        .unwrap();
    let mut users: Vec<Value> = (0..MANY).map(user).collect();
    users[5]["approval"] = json!("approved");
    users[6]["approval"] = json!("rejected");
    users[8]["active"] = json!(false);
    users[9]["items"] = json!("server_side");
    let document = json!({ "user": users });
    let (wanted, _) = Declaration::read(&document);
    let crm = world.crm();
    let snapshot = admin.snapshot(operator, &*crm).await.unwrap();
    let changes = plan(&snapshot, &wanted, &PlanOptions::default()).unwrap();
    // After it was planned, somebody else takes an address.
    let new = NewMailbox::new("Taken", MailboxOwner::Forward, Some(address(600)));
    admin.create_mailbox(operator, new).await.unwrap();
    let outcomes = admin
        .apply_changes(operator, &*crm, &changes, &Secrets::new(), &mut |_| {})
        .await;
    for (number, outcome) in outcomes.iter().enumerate() {
        let kind = outcome
            .as_ref()
            .err()
            .map(postroom_engine::EngineError::kind);
        let taken = (number == 600).then_some(ErrorKind::AlreadyExists);
        assert_eq!(kind, taken, "{number}");
    }
    let find = async |number| {
        let address = address(number);
        let found = admin.find_mailbox(operator, address.as_str()).await;
        found.unwrap()
    };
    assert_eq!(find(7).await.owner, MailboxOwner::User(known));
    for (number, expected) in [(4, "pending"), (5, "approved"), (6, "rejected")] {
        assert_eq!(find(number).await.approval.as_str(), expected);
    }
    assert!(!find(8).await.active && find(4).await.active);
    assert_eq!(find(9).await.items.method, DeliveryMethod::ServerSide);
    assert_eq!(find(4).await.profile, Some(world.profile), "the default");

    // And changes many at once: the users go with their mailboxes.
    let mut renamed: Vec<Value> = (0..MANY).filter(|n| *n != 600).map(user).collect();
    for one in &mut renamed {
        one["name"] = json!(format!("{} Ltd", one["name"].as_str().unwrap()));
        one["other_addresses"] = json!([format!("alias-{}", one["address"].as_str().unwrap())]);
    }
    renamed[8]["active"] = json!(true);
    let done = apply(&world, &json!({ "user": renamed })).await;
    assert_eq!(done.len(), MANY as usize - 1);
    assert!(done.iter().all(|(_, kind)| kind.is_none()), "{done:?}");
    assert!(find(8).await.active);
    let parties = crm.all_parties().await.unwrap();
    let ours = parties.iter().filter(|(party, addresses)| {
        party.name.ends_with(" Ltd")
            && addresses
                .iter()
                .any(|one| one.as_str().starts_with("alias-"))
            && addresses.iter().any(|one| one.as_str().starts_with("user"))
    });
    assert_eq!(ours.count(), MANY as usize - 1);
    assert_eq!(apply(&world, &json!({ "user": renamed })).await, []);
}
