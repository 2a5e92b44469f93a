//! What clients written elsewhere count on.

use super::*;

const JO_INBOX: &str = r#"<t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>jo@example.org</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>"#;

fn get_folder(folder: &str) -> String {
    format!(
        "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds>{folder}</m:FolderIds></m:GetFolder>"
    )
}

fn create(item: &str) -> String {
    format!(
        r#"<m:CreateItem MessageDisposition="SaveOnly" SendMeetingInvitations="SendToNone"><m:Items>{item}</m:Items></m:CreateItem>"#
    )
}

fn send(response: &str) -> String {
    format!(
        r#"<m:CreateItem MessageDisposition="SendAndSaveCopy"><m:Items>{response}</m:Items></m:CreateItem>"#
    )
}

fn file(name: &str, content: &str) -> String {
    format!(
        "<t:FileAttachment><t:Name>{name}</t:Name><t:Content>{content}</t:Content></t:FileAttachment>"
    )
}

fn attachment_ids(operation: &str, ids: &[String]) -> String {
    let ids: String = ids
        .iter()
        .map(|id| format!(r#"<t:AttachmentId Id="{id}"/>"#))
        .collect();
    format!("<m:{operation}><m:AttachmentIds>{ids}</m:AttachmentIds></m:{operation}>")
}

#[test]
fn a_failed_sync_has_the_elements_that_clients_read_first() {
    let reply = world().post(&sync("bm90IG91cnM=", 5));
    assert_eq!(reply.codes(), ["ErrorInvalidSyncStateData"]);
    assert_eq!(reply.one("SyncState"), "");
    assert_eq!(reply.one("IncludesLastItemInRange"), "true");
}

#[test]
fn booleans_and_times_come_back_in_one_spelling() {
    let world = world();
    let made = world.ok(&create(
        r#"<t:CalendarItem><t:Start>2026-12-07T09:00:00+01:00</t:Start><t:End>2026-12-07T10:00:00+01:00</t:End><t:IsAllDayEvent>0</t:IsAllDayEvent><t:IsResponseRequested>1</t:IsResponseRequested></t:CalendarItem>"#,
    ));
    let read = world.ok(&get_item(
        &made.item_id(),
        r#"<t:AdditionalProperties><t:FieldURI FieldURI="calendar:Start"/><t:FieldURI FieldURI="calendar:IsAllDayEvent"/><t:FieldURI FieldURI="calendar:IsResponseRequested"/></t:AdditionalProperties>"#,
    ));
    assert_eq!(read.one("Start"), "2026-12-07T08:00:00Z");
    assert_eq!(read.one("IsAllDayEvent"), "false");
    assert_eq!(read.one("IsResponseRequested"), "true");
}

#[test]
fn attachment_ids_are_told_at_creation_and_never_pass_to_a_neighbour() {
    let world = world();
    let files = [file("a", "YQ=="), file("b", "Yg=="), file("b", "Yg==")].concat();
    let made = world.ok(&create(&format!(
        "<t:Message><t:Attachments>{files}</t:Attachments></t:Message>"
    )));
    let ids = made.attributes("AttachmentId", "Id");
    assert_eq!(ids.len(), 3);
    world.ok(&attachment_ids("DeleteAttachment", &ids[..1]));
    let gone = world.post(&attachment_ids("GetAttachment", &ids[..1]));
    assert_eq!(gone.codes(), ["ErrorItemNotFound"]);
    let left = world.ok(&attachment_ids("GetAttachment", &ids[1..2]));
    assert_eq!(
        (left.one("Name"), left.one("Content")),
        ("b".into(), "Yg==".into())
    );
    world.ok(&attachment_ids("DeleteAttachment", &ids[1..]));
}

#[test]
fn replies_and_forwards_are_put_together_by_the_server() {
    let world = world();
    world.deliver("one");
    let original = world
        .ok(&find("inbox"))
        .item_id()
        .replace("ItemId", "ReferenceItemId");
    world.ok(&send(&format!(
        r#"<t:ReplyToItem>{original}<t:NewBodyContent BodyType="Text">Answer</t:NewBodyContent></t:ReplyToItem>"#
    )));
    world.ok(&send(&format!(
        r#"<t:ForwardItem><t:ToRecipients><t:Mailbox><t:EmailAddress>x@far.example</t:EmailAddress></t:Mailbox></t:ToRecipients>{original}</t:ForwardItem>"#
    )));
    let sent = world.exchange.mail().take_outside();
    let texts: Vec<String> = sent
        .iter()
        .map(|message| String::from_utf8(message.content.to_vec()).unwrap())
        .collect();
    assert_eq!(texts.len(), 2);
    for line in [
        "Subject: RE: one",
        "To: ",
        "<ann@far.example>",
        "In-Reply-To: <one@far.example>",
    ] {
        assert!(texts[0].contains(line), "{line} in {}", texts[0]);
    }
    assert!(texts[1].contains("Subject: FW: one"), "{}", texts[1]);
    let draft = world
        .create_draft("d", JO)
        .item_id()
        .replace("ItemId", "ReferenceItemId");
    let refused = world.post(&send(&format!("<t:ReplyToItem>{draft}</t:ReplyToItem>")));
    assert_eq!(refused.codes(), ["ErrorInvalidOperation"]);
}

#[test]
fn another_mailbox_opens_with_full_access_and_not_without() {
    let refused = world().post(&get_folder(JO_INBOX));
    assert_eq!(refused.codes(), ["ErrorFolderNotFound"]);
    let mut world = world_with(|builder| {
        builder.account(
            Account::new("head@example.org")
                .login("head", "pw")
                .opens(JO),
        )
    });
    world.user = ("head", "pw");
    let opened = world.ok(&get_folder(JO_INBOX));
    world.user = ("jo", "pw");
    let own = world.ok(&get_folder(r#"<t:DistinguishedFolderId Id="inbox"/>"#));
    assert_eq!(opened.folder_id(), own.folder_id());
    let back = world.post(&get_folder(&JO_INBOX.replace(JO, "head@example.org")));
    assert_eq!(back.codes(), ["ErrorFolderNotFound"]);
}

#[test]
fn out_of_office_settings_are_kept() {
    let world = world();
    let mailbox = format!("<t:Mailbox><t:Address>{DESK}</t:Address></t:Mailbox>");
    world.ok(&format!(
        "<m:SetUserOofSettingsRequest>{mailbox}<t:UserOofSettings><t:OofState>Enabled</t:OofState><t:ExternalAudience>All</t:ExternalAudience><t:InternalReply><t:Message>Away</t:Message></t:InternalReply></t:UserOofSettings></m:SetUserOofSettingsRequest>"
    ));
    let get = |mailbox: &str| {
        world.post(&format!(
            "<m:GetUserOofSettingsRequest>{mailbox}</m:GetUserOofSettingsRequest>"
        ))
    };
    let kept = get(&mailbox);
    assert_eq!(
        (kept.one("OofState"), kept.one("Message")),
        ("Enabled".into(), "Away".into())
    );
    assert_eq!(
        get(&mailbox.replace(DESK, JO)).codes(),
        ["ErrorAccessDenied"]
    );
}

#[test]
fn ids_of_nothing_are_told_apart() {
    let world = world();
    let codes = world
        .post(&get_item(r#"<t:ItemId Id=""/><t:ItemId Id="AAAA"/>"#, ""))
        .codes();
    assert_eq!(codes, ["ErrorInvalidIdEmpty", "ErrorInvalidIdMalformed"]);
}

#[test]
fn what_the_server_leaves_out_is_said_so() {
    let world = world();
    assert_eq!(
        world.post("<m:ExportItems/>").codes(),
        ["ErrorInvalidOperation"]
    );
    assert_eq!(world.post("<m:MakeTea/>").codes(), ["ErrorInvalidRequest"]);
}

#[test]
fn a_header_set_as_a_property_is_sent_as_a_header() {
    let world = world();
    world.ok(&send(
        r#"<t:Message><t:ExtendedProperty><t:ExtendedFieldURI DistinguishedPropertySetId="InternetHeaders" PropertyName="X-Case" PropertyType="String"/><t:Value>4711</t:Value></t:ExtendedProperty><t:ToRecipients><t:Mailbox><t:EmailAddress>x@far.example</t:EmailAddress></t:Mailbox></t:ToRecipients></t:Message>"#,
    ));
    let sent = world.exchange.mail().take_outside();
    let text = String::from_utf8(sent[0].content.to_vec()).unwrap();
    // Names in this property set are kept in lower case.
    assert!(text.contains("x-case: 4711\r\n"), "{text}");
}

#[test]
fn queries_and_conversations_restrict() {
    let world = world();
    world.deliver("one");
    world.deliver("two");
    let query = |text: &str| {
        let found = find("inbox").replace(
            "</m:ParentFolderIds>",
            &format!("</m:ParentFolderIds><m:QueryString>{text}</m:QueryString>"),
        );
        world.ok(&found).attributes("ItemId", "Id").len()
    };
    assert_eq!(query("subject:one"), 1);
    assert_eq!(query("from:ann AND isread:false"), 2);
    assert_eq!(query("isread:true"), 0);
    assert_eq!(query("\"text of two\""), 1);
    let all = world.ok(&find("inbox"));
    let read = world.ok(&get_item(
        &all.item_id(),
        r#"<t:AdditionalProperties><t:FieldURI FieldURI="item:ConversationId"/></t:AdditionalProperties>"#,
    ));
    let conversation = &read.attributes("ConversationId", "Id")[0];
    let found = find("inbox").replace(
        "<m:ParentFolderIds>",
        &format!(
            r#"<m:Restriction><t:IsEqualTo><t:FieldURI FieldURI="item:ConversationId"/><t:FieldURIOrConstant><t:Constant Value="{conversation}"/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction><m:ParentFolderIds>"#
        ),
    );
    assert_eq!(world.ok(&found).attributes("ItemId", "Id").len(), 1);
}
