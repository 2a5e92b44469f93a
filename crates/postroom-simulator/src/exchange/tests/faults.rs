use super::*;

/// A world with one message, and the id of that message for a request.
fn with_mail() -> (World, crate::model::ItemId, String) {
    let world = world();
    let item = world.deliver("one");
    let id = world.ok(&find("inbox")).item_id();
    (world, item, id)
}

fn subject_of(id: &str) -> String {
    get_item(
        id,
        r#"<t:AdditionalProperties><t:FieldURI FieldURI="item:Subject"/></t:AdditionalProperties>"#,
    )
}

#[test]
fn a_rule_strikes_where_and_as_often_as_it_says() {
    let (world, ..) = with_mail();
    let faults = world.exchange.faults();
    let busy = Fault::Throttle {
        back_off: Duration::from_millis(1500),
    };
    let id = faults.add(
        FaultRule::new(busy)
            .operation("FindItem")
            .mailbox("Desk@Example.org")
            .skip(1)
            .times(2),
    );
    let statuses: Vec<u16> = (0..5).map(|_| world.post(&find("inbox")).status).collect();
    assert_eq!(statuses, [200, 500, 500, 200, 200]);
    assert_eq!(faults.hits(id), 2);
    assert_eq!(world.post(&sync("", 1)).status, 200);
}

#[test]
fn chances_follow_the_seed() {
    let run = || {
        let (world, ..) = with_mail();
        world
            .exchange
            .faults()
            .add(FaultRule::new(Fault::HtmlPage).chance(300));
        (0..100)
            .map(|_| world.post(&find("inbox")).status)
            .collect::<Vec<u16>>()
    };
    let (first, second) = (run(), run());
    assert_eq!(first, second);
    let struck = first.iter().filter(|status| **status == 500).count();
    assert!((10..60).contains(&struck), "{struck}");
}

#[test]
fn whole_requests_fail_in_their_ways() {
    let second = Duration::from_secs(1);
    for (fault, status, word) in [
        (
            Fault::Throttle { back_off: second },
            500,
            "<t:Value Name=\"BackOffMilliseconds\">1000</t:Value>",
        ),
        (Fault::Busy { back_off: second }, 200, "ErrorServerBusy"),
        (
            Fault::Unavailable {
                retry_after: Some(second),
            },
            503,
            "Unavailable",
        ),
        (Fault::HtmlPage, 500, "<!DOCTYPE html>"),
        (Fault::Unauthorized, 401, ""),
        (
            Fault::Code("ErrorTimeoutExpired".to_owned()),
            200,
            "ErrorTimeoutExpired",
        ),
    ] {
        let (world, _, id) = with_mail();
        world
            .exchange
            .faults()
            .add(FaultRule::new(fault.clone()).times(1));
        let reply = world.post(&get_item(&id, ""));
        assert_eq!(reply.status, status, "{fault:?}");
        assert!(reply.text.contains(word), "{fault:?}: {}", reply.text);
        world.ok(&get_item(&id, ""));
    }
}

#[test]
fn broken_answers_come_after_the_effect() {
    for (fault, gone) in [
        (Fault::LostAnswer, true),
        (Fault::Reset, true),
        (Fault::Truncated, true),
        (Fault::LostRequest, false),
    ] {
        let (world, item, id) = with_mail();
        world.exchange.faults().add(FaultRule::new(fault.clone()));
        let reply = world.post(&format!(
            r#"<m:DeleteItem DeleteType="HardDelete"><m:ItemIds>{id}</m:ItemIds></m:DeleteItem>"#
        ));
        match fault {
            Fault::LostAnswer | Fault::LostRequest => assert_eq!(reply.cut, Some(Cut::Before)),
            Fault::Reset => assert!(matches!(reply.cut, Some(Cut::After(bytes)) if bytes > 0)),
            _ => assert!(Document::parse(&reply.text).is_err()),
        }
        assert_eq!(world.exchange.mail().item(item).is_err(), gone, "{fault:?}");
    }
}

#[test]
fn slowness_is_said_and_not_suffered() {
    let (world, ..) = with_mail();
    world.exchange.faults().add(
        FaultRule::new(Fault::Slow {
            by: Duration::from_secs(20),
        })
        .times(1),
    );
    world.exchange.set_latency(Duration::from_millis(5));
    assert_eq!(
        world.post(&find("inbox")).delay,
        Duration::from_millis(20_005)
    );
    assert_eq!(world.post(&find("inbox")).delay, Duration::from_millis(5));
}

#[test]
fn one_bad_item_leaves_the_others_alone() {
    let (world, bad, first) = with_mail();
    world.deliver("two");
    let second = world.ok(&find("inbox")).item_id();
    let bad = world.exchange.mail().item(bad).unwrap();
    world
        .exchange
        .faults()
        .add(FaultRule::new(Fault::Corrupt).item(&bad));
    assert_eq!(
        world.post(&subject_of(&format!("{first}{second}"))).codes(),
        ["ErrorItemCorrupt", "NoError"]
    );
    world.exchange.faults().clear();
    world
        .exchange
        .faults()
        .add(FaultRule::new(Fault::MimeFailure).item(&bad));
    world.ok(&subject_of(&first));
    let mime = get_item(
        &format!("{first}{second}"),
        "<t:IncludeMimeContent>true</t:IncludeMimeContent>",
    );
    assert_eq!(
        world.post(&mime).codes(),
        ["ErrorMimeContentConversionFailed", "NoError"]
    );
}

#[test]
fn odd_properties_and_characters_can_be_had() {
    let world = world();
    let id = world.create_draft("out", JO).item_id();
    let stamp = get_item(
        &id,
        &format!("<t:AdditionalProperties>{STAMP}</t:AdditionalProperties>"),
    );
    let rule = world
        .exchange
        .faults()
        .add(FaultRule::new(Fault::PropertyWithoutValue));
    let reply = world.ok(&stamp);
    assert!(reply.text.contains("ExtendedFieldURI") && reply.all("Value").is_empty());
    world.exchange.faults().remove(rule);
    let rule = world
        .exchange
        .faults()
        .add(FaultRule::new(Fault::PathSpelledDifferently));
    assert!(world.ok(&stamp).text.contains("6A3C1F9E-2F0B"));
    world.exchange.faults().remove(rule);
    world
        .exchange
        .faults()
        .add(FaultRule::new(Fault::ForbiddenCharacters));
    assert!(world.post(&subject_of(&id)).text.contains("&#x1;"));
}

#[test]
fn sync_and_batches_have_faults_of_their_own() {
    let (world, ..) = with_mail();
    world.deliver("two");
    let state = world.ok(&sync("", 10)).one("SyncState");
    let faults = world.exchange.faults();
    faults.add(FaultRule::new(Fault::InvalidSyncState).times(1));
    assert_eq!(
        world.post(&sync(&state, 10)).codes(),
        ["ErrorInvalidSyncStateData"]
    );
    faults.add(FaultRule::new(Fault::ShortPages { at_most: 1 }).times(1));
    let page = world.ok(&sync("", 10));
    assert_eq!(
        (
            page.all("Subject").len(),
            page.one("IncludesLastItemInRange").as_str()
        ),
        (1, "false")
    );
    faults.add(FaultRule::new(Fault::PhantomItem).times(1));
    let phantom = world.ok(&sync(&state, 10));
    assert_eq!(
        world.post(&get_item(&phantom.item_id(), "")).codes(),
        ["ErrorItemNotFound"]
    );
    faults.add(
        FaultRule::new(Fault::BatchStopped { after: 1 })
            .operation("GetItem")
            .times(1),
    );
    let ids: String = world
        .ok(&find("inbox"))
        .attributes("ItemId", "Id")
        .iter()
        .map(|id| format!(r#"<t:ItemId Id="{id}"/>"#))
        .collect();
    assert_eq!(
        world.post(&get_item(&ids, "")).codes(),
        ["NoError", "ErrorBatchProcessingStopped"]
    );
}

#[test]
fn writing_and_sending_can_be_denied() {
    let world = world();
    let id = world.create_draft("out", JO).item_id();
    let send =
        format!(r#"<m:SendItem SaveItemToFolder="true"><m:ItemIds>{id}</m:ItemIds></m:SendItem>"#);
    world
        .exchange
        .faults()
        .add(FaultRule::new(Fault::SendAsDenied).times(1));
    assert_eq!(world.post(&send).codes(), ["ErrorSendAsDenied"]);
    world
        .exchange
        .faults()
        .add(FaultRule::new(Fault::QuotaExceeded).operation("MoveItem"));
    let copy = format!(
        r#"<m:MoveItem><m:ToFolderId><t:DistinguishedFolderId Id="inbox"/></m:ToFolderId><m:ItemIds>{id}</m:ItemIds></m:MoveItem>"#
    );
    assert_eq!(world.post(&copy).codes(), ["ErrorQuotaExceeded"]);
    world
        .exchange
        .faults()
        .add(FaultRule::new(Fault::ChangeKeyBumped).times(1));
    let bumped = world.create_draft("again", JO).item_id();
    assert_eq!(
        world.post(&send.replace(&id, &bumped)).codes(),
        ["ErrorStaleObject"]
    );
    world.ok(&send);
}

#[test]
fn impersonation_can_be_taken_away() {
    let mut world = world();
    (world.user, world.impersonated) = (("service", "pw"), Some(DESK));
    world
        .exchange
        .faults()
        .add(FaultRule::new(Fault::ImpersonationRevoked).times(1));
    assert_eq!(
        world.post(&find("inbox")).codes(),
        ["ErrorImpersonateUserDenied"]
    );
    world.ok(&find("inbox"));
}

#[test]
fn too_many_at_once_are_throttled() {
    let world = world_with(|builder| builder.concurrency_max(1));
    let first = world.exchange.handle(&world.request(&find("inbox")));
    let second = world.post(&find("inbox"));
    assert_eq!(
        (second.status, second.codes()),
        (500, vec!["ErrorServerBusy".to_owned()])
    );
    drop(first);
    world.ok(&find("inbox"));
}

#[test]
fn a_list_can_contradict_itself() {
    let (world, ..) = with_mail();
    world
        .exchange
        .faults()
        .add(FaultRule::new(Fault::ContradictoryPaging).times(1));
    let reply = world.ok(&find("inbox"));
    assert!(reply.all("ItemId").is_empty());
    assert_eq!(
        reply.attributes("RootFolder", "IncludesLastItemInRange"),
        ["false"]
    );
    assert_eq!(reply.attributes("RootFolder", "IndexedPagingOffset"), ["0"]);
}
