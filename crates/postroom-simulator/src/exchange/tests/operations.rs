use super::*;

#[test]
fn mail_is_found_read_moved_and_deleted() {
    let world = world();
    world.deliver("one");
    let found = world.ok(&find("inbox"));
    let mime = world.ok(&get_item(
        &found.item_id(),
        "<t:IncludeMimeContent>true</t:IncludeMimeContent>",
    ));
    let mime = input::base64(&mime.one("MimeContent")).unwrap();
    assert!(mime.ends_with(b"Text of one.\r\n"));
    let moved = world.ok(&format!(
        r#"<m:MoveItem><m:ToFolderId><t:DistinguishedFolderId Id="junkemail"/></m:ToFolderId><m:ItemIds>{}</m:ItemIds></m:MoveItem>"#,
        found.item_id()
    ));
    assert_ne!(moved.item_id(), found.item_id());
    assert_eq!(
        world.post(&get_item(&found.item_id(), "")).codes(),
        ["ErrorItemNotFound"]
    );
    let delete = format!(
        r#"<m:DeleteItem DeleteType="HardDelete"><m:ItemIds>{}</m:ItemIds></m:DeleteItem>"#,
        moved.item_id()
    );
    world.ok(&delete);
    assert_eq!(world.post(&delete).codes(), ["ErrorItemNotFound"]);
    assert_eq!(world.exchange.requests("DeleteItem"), 2);
}

#[test]
fn a_batch_answers_in_order() {
    let world = world();
    let (a, gone, b) = (
        world.deliver("a"),
        world.deliver("gone"),
        world.deliver("b"),
    );
    world
        .exchange
        .mail()
        .delete_item(gone, crate::model::Disposal::Hard)
        .unwrap();
    let ids: String = [a, gone, b]
        .map(|id| {
            format!(
                r#"<t:ItemId Id="{}"/>"#,
                ids::encode(world.desk, ids::Named::Item(id))
            )
        })
        .concat();
    let reply = world.post(&get_item(
        &ids,
        r#"<t:AdditionalProperties><t:FieldURI FieldURI="item:Subject"/></t:AdditionalProperties>"#,
    ));
    assert_eq!(reply.codes(), ["NoError", "ErrorItemNotFound", "NoError"]);
    assert_eq!(reply.all("Subject"), ["a", "b"]);
}

#[test]
fn an_answer_without_news_is_given_again_only_while_it_is_true() {
    let world = world();
    let state = world.ok(&sync("", 10)).one("SyncState");
    let poll = || world.post(&sync(&state, 10));
    assert_eq!(poll().one("SyncState"), state);
    assert_eq!(poll().one("SyncState"), state);
    assert_eq!(world.exchange.requests("SyncFolderItems"), 3);
    world.deliver("new");
    assert_eq!(poll().all("Create").len(), 1);
    let state = world.ok(&sync("", 10)).one("SyncState");
    let poll = || world.post(&sync(&state, 10));
    assert_eq!(poll().one("SyncState"), state);
    let mail = world.exchange.mail();
    mail.invalidate_sync(world.folder(WellKnown::Inbox))
        .unwrap();
    assert_eq!(poll().codes(), ["ErrorInvalidSyncStateData"]);
}

#[test]
fn a_stamped_draft_is_sent_once() {
    let world = world();
    let draft = world.create_draft("out", JO);
    let send = format!(
        r#"<m:SendItem SaveItemToFolder="true"><m:ItemIds>{}</m:ItemIds></m:SendItem>"#,
        draft.item_id()
    );
    world.ok(&send);
    assert_eq!(
        world.post(&send).codes(),
        ["ErrorItemNotFound"],
        "the draft has gone with its id"
    );
    let restriction = format!(
        r#"<m:Restriction><t:IsEqualTo>{STAMP}<t:FieldURIOrConstant><t:Constant Value="key-1"/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction><m:ParentFolderIds>"#
    );
    let by_stamp = world.ok(&find("sentitems").replace("<m:ParentFolderIds>", &restriction));
    let sent = world.ok(&get_item(&by_stamp.item_id(), &format!(r#"<t:AdditionalProperties><t:FieldURI FieldURI="message:InternetMessageId"/>{STAMP}</t:AdditionalProperties>"#)));
    assert_eq!(sent.one("InternetMessageId"), "<out@example.org>");
    assert_eq!(sent.one("Value"), "key-1");
    let jo = world.exchange.mail().account(JO).unwrap();
    let inbox = world
        .exchange
        .mail()
        .well_known(jo, WellKnown::Inbox)
        .unwrap();
    assert_eq!(world.exchange.mail().items(inbox).len(), 1);
}

#[test]
fn a_draft_shows_no_message_id() {
    let world = world();
    let draft = world.create_draft("out", JO).item_id();
    let more = r#"<t:AdditionalProperties><t:FieldURI FieldURI="message:InternetMessageId"/></t:AdditionalProperties>"#;
    assert!(
        world
            .ok(&get_item(&draft, more))
            .all("InternetMessageId")
            .is_empty()
    );
}

#[test]
fn sending_needs_the_present_change_key() {
    let world = world();
    let draft = world.create_draft("out", JO);
    let id = world.exchange.mail().items(world.folder(WellKnown::Drafts))[0].id;
    world.exchange.mail().touch(id).unwrap();
    let send = format!(
        r#"<m:SendItem SaveItemToFolder="true"><m:ItemIds>{}</m:ItemIds></m:SendItem>"#,
        draft.item_id()
    );
    assert_eq!(world.post(&send).codes(), ["ErrorStaleObject"]);
}

#[test]
fn a_folder_is_ensured() {
    let world = world();
    let create = r#"<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderId><m:Folders><t:Folder><t:FolderClass>IPF.Note</t:FolderClass><t:DisplayName>Undeliverable</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"#;
    let made = world.ok(create);
    assert_eq!(world.post(create).codes(), ["ErrorFolderExists"]);
    let search = r#"<m:FindFolder Traversal="Shallow"><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:IndexedPageFolderView MaxEntriesReturned="10" Offset="0" BasePoint="Beginning"/><m:Restriction><t:IsEqualTo><t:FieldURI FieldURI="folder:DisplayName"/><t:FieldURIOrConstant><t:Constant Value="UNDELIVERABLE"/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction><m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindFolder>"#;
    let found = world.ok(search);
    assert_eq!(found.folder_id(), made.folder_id());
    assert_eq!(found.one("DisplayName"), "Undeliverable");
    let get = |id: &str| {
        format!(
            r#"<m:GetFolder><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape><m:FolderIds>{id}</m:FolderIds></m:GetFolder>"#
        )
    };
    world.ok(&get(&made.folder_id()));
    let rename = format!(
        r#"<m:UpdateFolder><m:FolderChanges><t:FolderChange>{}<t:Updates><t:SetFolderField><t:FieldURI FieldURI="folder:DisplayName"/><t:Folder><t:DisplayName>New</t:DisplayName></t:Folder></t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>"#,
        made.folder_id()
    );
    world.ok(&rename);
    world.ok(&format!(r#"<m:MoveFolder><m:ToFolderId><t:DistinguishedFolderId Id="drafts"/></m:ToFolderId><m:FolderIds>{}</m:FolderIds></m:MoveFolder>"#, made.folder_id()));
    world.ok(&format!(r#"<m:EmptyFolder DeleteType="HardDelete" DeleteSubFolders="true"><m:FolderIds>{}</m:FolderIds></m:EmptyFolder>"#, made.folder_id()));
    world.ok(&format!(
        r#"<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{}</m:FolderIds></m:DeleteFolder>"#,
        made.folder_id()
    ));
    assert_eq!(
        world.post(&get(&made.folder_id())).codes(),
        ["ErrorFolderNotFound"]
    );
    let inbox = r#"<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:DeleteFolder>"#;
    assert_eq!(
        world.post(inbox).codes(),
        ["ErrorDeleteDistinguishedFolder"]
    );
}

#[test]
fn sync_begins_with_the_latest_and_pages() {
    let world = world();
    for subject in ["a", "b", "c"] {
        world.deliver(subject);
    }
    let first = world.ok(&sync("", 2));
    assert_eq!(first.all("Subject"), ["c", "b"]);
    assert_eq!(first.one("IncludesLastItemInRange"), "false");
    let late = world.deliver("d");
    let second = world.ok(&sync(&first.one("SyncState"), 2));
    assert_eq!(
        (second.all("Subject"), second.one("IncludesLastItemInRange")),
        (vec!["a".to_owned()], "true".to_owned())
    );
    let third = world.ok(&sync(&second.one("SyncState"), 2));
    assert_eq!(third.all("Subject"), ["d"]);
    world.exchange.mail().set_read(late, true).unwrap();
    let fourth = world.ok(&sync(&third.one("SyncState"), 2));
    assert_eq!(fourth.one("IsRead"), "true");
    assert!(fourth.text.contains("<t:ReadFlagChange>"));
    let quiet = world.ok(&sync(&fourth.one("SyncState"), 2));
    assert!(quiet.all("ItemId").is_empty());
}

#[test]
fn sync_refuses_states_that_are_not_its_own() {
    let world = world();
    let state = world.ok(&sync("", 10)).one("SyncState");
    let elsewhere = sync(&state, 10).replace("\"inbox\"", "\"drafts\"");
    assert_eq!(
        world.post(&elsewhere).codes(),
        ["ErrorInvalidSyncStateData"]
    );
    assert_eq!(
        world.post(&sync("H4sIAAAA", 10)).codes(),
        ["ErrorInvalidSyncStateData"]
    );
    let hierarchy = format!(
        r#"<m:SyncFolderHierarchy><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:SyncState>{state}</m:SyncState></m:SyncFolderHierarchy>"#
    );
    assert_eq!(
        world.post(&hierarchy).codes(),
        ["ErrorInvalidSyncStateData"]
    );
    world
        .exchange
        .mail()
        .invalidate_sync(world.folder(WellKnown::Inbox))
        .unwrap();
    assert_eq!(
        world.post(&sync(&state, 10)).codes(),
        ["ErrorInvalidSyncStateData"]
    );
}

#[test]
fn sync_leaves_out_what_is_ignored() {
    let world = world();
    let state = world.ok(&sync("", 10)).one("SyncState");
    world.deliver("own");
    world.deliver("other");
    let own = world
        .ok(&find("inbox"))
        .attributes("ItemId", "Id")
        .remove(1);
    let request = sync(&state, 10).replace(
        "<m:MaxChangesReturned>",
        &format!(r#"<m:Ignore><t:ItemId Id="{own}"/></m:Ignore><m:MaxChangesReturned>"#),
    );
    assert_eq!(world.ok(&request).all("Subject"), ["other"]);
}

#[test]
fn updates_follow_their_rules() {
    let world = world();
    world.deliver("one");
    let id = world.ok(&find("inbox")).item_id();
    let update = |how: &str, id: &str, edit: &str| {
        format!(
            r#"<m:UpdateItem MessageDisposition="SaveOnly" ConflictResolution="{how}"><m:ItemChanges><t:ItemChange>{id}<t:Updates>{edit}</t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"#
        )
    };
    let categories = r#"<t:SetItemField><t:FieldURI FieldURI="item:Categories"/><t:Message><t:Categories><t:String>CRM</t:String></t:Categories></t:Message></t:SetItemField>"#;
    let changed = world.ok(&update("NeverOverwrite", &id, categories));
    assert_eq!(
        world
            .post(&update("NeverOverwrite", &id, categories))
            .codes(),
        ["ErrorIrresolvableConflict"]
    );
    world.ok(&update("AlwaysOverwrite", &id, categories));
    let two = r#"<t:SetItemField><t:FieldURI FieldURI="item:Subject"/><t:Message><t:Subject>a</t:Subject><t:IsRead>true</t:IsRead></t:Message></t:SetItemField>"#;
    assert_eq!(
        world
            .post(&update("AutoResolve", &changed.item_id(), two))
            .codes(),
        ["ErrorIncorrectUpdatePropertyCount"]
    );
    let other = r#"<t:SetItemField><t:FieldURI FieldURI="item:Subject"/><t:Message><t:IsRead>true</t:IsRead></t:Message></t:SetItemField>"#;
    assert_eq!(
        world
            .post(&update("AutoResolve", &changed.item_id(), other))
            .codes(),
        ["ErrorUpdatePropertyMismatch"]
    );
    let recipients = r#"<t:SetItemField><t:FieldURI FieldURI="message:ToRecipients"/><t:Message><t:ToRecipients><t:Mailbox><t:EmailAddress>x@y.example</t:EmailAddress></t:Mailbox></t:ToRecipients></t:Message></t:SetItemField>"#;
    assert_eq!(
        world
            .post(&update("AutoResolve", &changed.item_id(), recipients))
            .codes(),
        ["ErrorInvalidPropertyUpdateSentMessage"]
    );
}

#[test]
fn the_order_of_elements_counts() {
    let world = world();
    let wrong = r#"<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderId><m:Folders><t:Folder><t:DisplayName>U</t:DisplayName><t:FolderClass>IPF.Note</t:FolderClass></t:Folder></m:Folders></m:CreateFolder>"#;
    let reply = world.post(wrong);
    assert_eq!(
        (reply.status, reply.codes()),
        (500, vec!["ErrorSchemaValidation".to_owned()])
    );
    assert!(
        reply.text.contains("t:FolderClass") && reply.text.contains("LinePosition"),
        "{}",
        reply.text
    );
    for bad in [
        sync("", 513),
        sync("", 10).replace("IdOnly", "Everything"),
        find("no such folder"),
        "<m:GetItem/>".to_owned(),
        find("inbox").replace(" Traversal=\"Shallow\"", ""),
    ] {
        assert_eq!(world.post(&bad).codes(), ["ErrorSchemaValidation"], "{bad}");
    }
    assert_eq!(
        world.post("<m:NoSuchOperation/>").codes(),
        ["ErrorInvalidRequest"]
    );
}

#[test]
fn impersonation_follows_the_rights() {
    let mut world = world();
    let inbox = find("inbox");
    for (user, target, expected) in [
        ("service", DESK, "NoError"),
        ("service", JO, "ErrorImpersonateUserDenied"),
        ("service", "help@example.org", "ErrorNonPrimarySmtpAddress"),
        ("service", "nobody@example.org", "ErrorNonExistentMailbox"),
        ("jo", DESK, "ErrorImpersonateUserDenied"),
    ] {
        (world.user, world.impersonated) = ((user, "pw"), Some(target));
        let reply = world.post(&inbox);
        assert_eq!(reply.codes(), [expected], "{user} {target}");
        assert_eq!(reply.status, if expected == "NoError" { 200 } else { 500 });
    }
}

#[test]
fn foreign_items_are_not_found() {
    let mut world = world();
    world.deliver("secret");
    let id = world.ok(&find("inbox")).item_id();
    world.user = ("jo", "pw");
    assert_eq!(
        world.post(&get_item(&id, "")).codes(),
        ["ErrorItemNotFound"]
    );
}

#[test]
fn the_door_is_guarded() {
    let world = world_with(|builder| builder.request_max(2000));
    let request = world.request(&find("inbox"));
    let with = |edit: fn(&mut HttpRequest)| {
        let mut request = request.clone();
        edit(&mut request);
        world.exchange.handle(&request).status
    };
    assert_eq!(with(|_| ()), 200);
    assert_eq!(with(|request| request.headers.clear()), 401);
    assert_eq!(with(|request| request.path = "/elsewhere".to_owned()), 404);
    assert_eq!(with(|request| request.method = "PUT".to_owned()), 405);
    assert_eq!(with(|request| request.body = vec![b' '; 3000].into()), 413);
    assert_eq!(with(|request| request.body = "nonsense".into()), 400);
    world
        .exchange
        .mail()
        .update_account(world.desk, |account| account.ews_enabled = false)
        .unwrap();
    assert_eq!(with(|_| ()), 403);
}

#[test]
fn older_servers_refuse_newer_versions() {
    let mut world = world_with(|builder| builder.version(ServerVersion::exchange_2010()));
    for (version, status) in [
        ("Exchange2007_SP1", 200),
        ("Exchange2010_SP2", 200),
        ("Exchange2013", 500),
        ("Exchange2099", 500),
    ] {
        world.version = version;
        let reply = world.post(&find("inbox"));
        assert_eq!(reply.status, status, "{version}");
        if status == 500 {
            assert_eq!(reply.codes(), ["ErrorInvalidServerVersion"]);
        }
    }
}

#[test]
fn hostile_input_is_refused_without_harm() {
    let world = world();
    let deep = format!("{}{}", "<t:Not>".repeat(50_000), "</t:Not>".repeat(50_000));
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><x>&a;</x>";
    let whole = String::from_utf8(world.request(&find("inbox")).body.to_vec()).unwrap();
    let mut bodies: Vec<String> = vec![deep, bomb.to_owned(), "\u{feff}".to_owned()];
    bodies.extend(
        (0..whole.len())
            .step_by(7)
            .map(|end| whole.get(..end).unwrap().to_owned()),
    );
    for body in bodies {
        let status = world
            .exchange
            .handle(&HttpRequest::post(PATH, body.clone()).basic(DESK, "pw"))
            .status;
        assert_eq!(
            status,
            400,
            "{}",
            body.chars().take(200).collect::<String>()
        );
    }
    let many = "<t:Exists><t:FieldURI FieldURI=\"item:Subject\"/></t:Exists>".repeat(300);
    let restriction =
        format!("<m:Restriction><t:And>{many}</t:And></m:Restriction><m:ParentFolderIds>");
    assert_eq!(
        world
            .post(&find("inbox").replace("<m:ParentFolderIds>", &restriction))
            .codes(),
        ["ErrorRestrictionTooLong"]
    );
    assert_eq!(
        world
            .post(&get_item(r#"<t:ItemId Id="AAMk????"/>"#, ""))
            .codes(),
        ["ErrorInvalidIdMalformed"]
    );
}

#[test]
fn attachments_of_mail_are_served() {
    let world = world();
    let eml = b"From: <a@far.example>\r\nSubject: files\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\ntext\r\n--b\r\nContent-Type: application/pdf; name=x.pdf\r\nContent-Disposition: attachment; filename=x.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n";
    world.exchange.mail().deliver(&eml[..], &[DESK]);
    let id = world.ok(&find("inbox")).item_id();
    let item = world.ok(&get_item(&id, r#"<t:AdditionalProperties><t:FieldURI FieldURI="item:Attachments"/><t:FieldURI FieldURI="item:HasAttachments"/></t:AdditionalProperties>"#));
    assert_eq!(
        (item.one("Name"), item.one("HasAttachments")),
        ("x.pdf".to_owned(), "true".to_owned())
    );
    let id = &item.attributes("AttachmentId", "Id")[0];
    let got = world.ok(&format!(r#"<m:GetAttachment><m:AttachmentIds><t:AttachmentId Id="{id}"/></m:AttachmentIds></m:GetAttachment>"#));
    assert_eq!(got.one("Content"), "aGVsbG8=");
}

#[test]
fn other_kinds_of_items_keep_their_fields() {
    let world = world();
    let contact = r#"<m:CreateItem><m:Items><t:Contact><t:GivenName>Ann</t:GivenName><t:EmailAddresses><t:Entry Key="EmailAddress1">ann@far.example</t:Entry></t:EmailAddresses><t:Surname>Other</t:Surname></t:Contact></m:Items></m:CreateItem>"#;
    let made = world.ok(contact);
    let all = world.ok(&get_item(&made.item_id(), "").replace("IdOnly", "AllProperties"));
    assert_eq!(
        (all.one("DisplayName"), all.one("Entry")),
        ("Ann Other".to_owned(), "ann@far.example".to_owned())
    );
    let meeting = r#"<m:CreateItem><m:Items><t:CalendarItem><t:Subject>Review</t:Subject><t:Start>2026-12-01T10:00:00Z</t:Start><t:End>2026-12-01T11:00:00Z</t:End></t:CalendarItem></m:Items></m:CreateItem>"#;
    assert_eq!(
        world.post(meeting).codes(),
        ["ErrorSendMeetingInvitationsRequired"]
    );
    let made = world.ok(&meeting.replace(
        "<m:CreateItem>",
        r#"<m:CreateItem SendMeetingInvitations="SendToNone">"#,
    ));
    let all = world.ok(&get_item(&made.item_id(), "").replace("IdOnly", "AllProperties"));
    assert_eq!(
        (all.one("CalendarItemType"), all.one("Start")),
        ("Single".to_owned(), "2026-12-01T10:00:00Z".to_owned())
    );
    let task = world.ok(r#"<m:CreateItem><m:Items><t:Task><t:Subject>Call</t:Subject><t:Status>Completed</t:Status></t:Task></m:Items></m:CreateItem>"#);
    assert_eq!(
        world
            .ok(&get_item(&task.item_id(), "").replace("IdOnly", "AllProperties"))
            .one("IsComplete"),
        "true"
    );
    let delete = format!(
        r#"<m:DeleteItem DeleteType="HardDelete"><m:ItemIds>{}</m:ItemIds></m:DeleteItem>"#,
        task.item_id()
    );
    assert_eq!(
        world.post(&delete).codes(),
        ["ErrorAffectedTaskOccurrencesRequired"]
    );
}

#[test]
fn extended_properties_come_back_as_they_were_asked_for() {
    let world = world();
    let draft = world.create_draft("out", JO);
    let spelled = STAMP.replace("6a3c1f9e", "6A3C1F9E");
    let more = format!(
        r#"<t:AdditionalProperties>{spelled}<t:ExtendedFieldURI PropertyTag="0x300b" PropertyType="Binary"/><t:ExtendedFieldURI PropertyTag="3591" PropertyType="Integer"/><t:ExtendedFieldURI PropertyTag="0x1090" PropertyType="Integer"/></t:AdditionalProperties>"#
    );
    let reply = world.ok(&get_item(&draft.item_id(), &more));
    assert_eq!(
        reply.attributes("ExtendedFieldURI", "PropertySetId")[0],
        "6A3C1F9E-2f0b-4d5e-9a77-0d4b8e5c1a20"
    );
    let values = reply.all("Value");
    assert_eq!(
        (values.len(), values[0].as_str(), values[2].as_str()),
        (3, "key-1", "9"),
        "what is not there has no element"
    );
    let custom = more.replace("0x300b", "0x8001");
    assert_eq!(
        world.post(&get_item(&draft.item_id(), &custom)).codes(),
        ["ErrorNoPropertyTagForCustomProperties"]
    );
}

#[test]
fn two_servers_with_one_seed_are_equal() {
    let play = || {
        let world = world();
        world.deliver("one");
        world.create_draft("out", JO);
        [
            world.ok(&find("inbox")).text,
            world.ok(&find("drafts")).text,
        ]
        .concat()
    };
    assert_eq!(play(), play());
}

#[test]
fn a_large_message_is_encoded_piece_by_piece() {
    let world = world();
    let mut eml = b"From: <a@far.example>\r\nSubject: big\r\n\r\n".to_vec();
    eml.extend((0..1_000_000_u32).map(|n| b'a' + u8::try_from(n % 26).unwrap()));
    let id = world.exchange.mail().deliver(eml, &[DESK])[0];
    let content = world.exchange.mail().item(id).unwrap().content().clone();
    let found = world.ok(&find("inbox")).item_id();
    let mut body = world
        .exchange
        .handle(&world.request(&get_item(
            &found,
            "<t:IncludeMimeContent>true</t:IncludeMimeContent>",
        )))
        .body;
    let (length, mut text, mut largest) = (body.len(), Vec::new(), 0);
    while let Some(chunk) = body.next_chunk() {
        largest = largest.max(chunk.len());
        text.extend_from_slice(&chunk);
    }
    assert_eq!(length, u64::try_from(text.len()).unwrap());
    assert!(largest < 100_000, "{largest}");
    let reply = Reply {
        status: 200,
        text: String::from_utf8(text).unwrap(),
        delay: Duration::ZERO,
        cut: None,
    };
    assert_eq!(input::base64(&reply.one("MimeContent")).unwrap(), content);
}

#[test]
fn names_ids_and_zones_are_served() {
    let world = world();
    let names = world.ok(r#"<m:ResolveNames ReturnFullContactData="true"><m:UnresolvedEntry>jo@</m:UnresolvedEntry></m:ResolveNames>"#);
    assert_eq!(names.one("EmailAddress"), JO);
    assert_eq!(world.post(r#"<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>zzz</m:UnresolvedEntry></m:ResolveNames>"#).codes(), ["ErrorNameResolutionNoResults"]);
    world.ok(r#"<m:GetServerTimeZones ReturnFullTimeZoneData="true"/>"#);
    world.deliver("one");
    let id = world
        .ok(&find("inbox"))
        .attributes("ItemId", "Id")
        .remove(0);
    let convert = |to: &str, from: &str, id: &str| {
        format!(
            r#"<m:ConvertId DestinationFormat="{to}"><m:SourceIds><t:AlternateId Format="{from}" Id="{id}" Mailbox="{DESK}"/></m:SourceIds></m:ConvertId>"#
        )
    };
    let hex = world
        .ok(&convert("HexEntryId", "EwsId", &id))
        .attributes("AlternateId", "Id")
        .remove(0);
    assert_eq!(
        world
            .ok(&convert("EwsId", "HexEntryId", &hex))
            .attributes("AlternateId", "Id"),
        [id]
    );
    assert_eq!(world.ok(&format!(r#"<m:GetUserOofSettingsRequest><t:Mailbox><t:Address>{DESK}</t:Address></t:Mailbox></m:GetUserOofSettingsRequest>"#)).one("OofState"), "Disabled");
}

#[test]
fn subscribers_are_told() {
    let world = world();
    let subscribe = r#"<m:Subscribe><m:PullSubscriptionRequest><t:FolderIds><t:DistinguishedFolderId Id="inbox"/></t:FolderIds><t:EventTypes><t:EventType>NewMailEvent</t:EventType><t:EventType>MovedEvent</t:EventType></t:EventTypes><t:Timeout>10</t:Timeout></m:PullSubscriptionRequest></m:Subscribe>"#;
    let subscribed = world.ok(subscribe);
    let events = |watermark: &str| {
        format!(
            "<m:GetEvents><m:SubscriptionId>{}</m:SubscriptionId><m:Watermark>{watermark}</m:Watermark></m:GetEvents>",
            subscribed.one("SubscriptionId")
        )
    };
    let start = subscribed.one("Watermark");
    assert!(world.ok(&events(&start)).text.contains("StatusEvent"));
    let id = world.deliver("one");
    world
        .exchange
        .mail()
        .move_item(id, world.folder(WellKnown::JunkEmail))
        .unwrap();
    let told = world.ok(&events(&start));
    assert!(told.text.contains("NewMailEvent") && told.text.contains("OldItemId"));
    let after = told.all("Watermark").pop().unwrap();
    assert!(world.ok(&events(&after)).text.contains("StatusEvent"));
    world.clock.advance(Duration::from_secs(700));
    assert_eq!(
        world.post(&events(&after)).codes(),
        ["ErrorExpiredSubscription"]
    );
}

#[test]
fn a_stream_tells_and_is_taken_over() {
    let world = world();
    let subscribe = r#"<m:Subscribe><m:StreamingSubscriptionRequest SubscribeToAllFolders="true"><t:EventTypes><t:EventType>NewMailEvent</t:EventType></t:EventTypes></m:StreamingSubscriptionRequest></m:Subscribe>"#;
    let id = world.ok(subscribe).one("SubscriptionId");
    let open = format!(
        "<m:GetStreamingEvents><m:SubscriptionIds><t:SubscriptionId>{id}</t:SubscriptionId></m:SubscriptionIds><m:ConnectionTimeout>1</m:ConnectionTimeout></m:GetStreamingEvents>"
    );
    let mut first = world.exchange.handle(&world.request(&open)).stream.unwrap();
    assert_eq!(first.duration(), Duration::from_secs(60));
    assert!(first.poll().is_none());
    world.deliver("one");
    assert!(String::from_utf8_lossy(&first.poll().unwrap()).contains("NewMailEvent"));
    assert!(first.poll().is_none());
    let mut second = world.exchange.handle(&world.request(&open)).stream.unwrap();
    assert!(
        String::from_utf8_lossy(&first.poll().unwrap())
            .contains("ErrorNewEventStreamConnectionOpened")
    );
    assert!(first.is_closed());
    world.exchange.forget_subscriptions();
    assert!(String::from_utf8_lossy(&second.poll().unwrap()).contains("ErrorSubscriptionNotFound"));
    let gone = world.exchange.handle(&world.request(&open));
    assert!(gone.stream.is_none());
    assert!(Reply::of(gone).text.contains("<m:ConnectionStatus>Closed"));
}
