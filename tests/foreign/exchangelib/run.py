#!/usr/bin/env python3
"""exchangelib 5.6.0 against the simulated Exchange server.

    run.py SIMULATOR [--capture DIR]

SIMULATOR is the example program `exchange` of postroom-simulator (or any
program that takes the same arguments, prints its URL as the first line, and
stops when its standard input closes). Each check uses exchangelib as its own
documentation does and asserts on what comes back. The last line is
'N passed, M failed'; the exit status is 0 if nothing failed.

Needs exchangelib==5.6.0 from PyPI.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import traceback
from datetime import timedelta

import exchangelib
from exchangelib import (
    DELEGATE, IMPERSONATION, Account, Build, CalendarItem, Configuration, Contact, Credentials, EWSDateTime,
    EWSTimeZone, ExtendedProperty, FileAttachment, HTMLBody, ItemAttachment, Mailbox, Message, OofSettings, Q, Task, Version,
)
from exchangelib.errors import (
    ErrorFolderExists, ErrorFolderNotFound, ErrorImpersonateUserDenied, ErrorInvalidIdMalformed, ErrorInvalidOperation,
    ErrorInvalidRecipients, ErrorInvalidSyncStateData, ErrorIrresolvableConflict, ErrorItemNotFound, ErrorNonExistentMailbox,
    ErrorSyncFolderNotFound, UnauthorizedError,
)
from exchangelib.folders import Calendar, Contacts, DeletedItems, Drafts, Inbox, JunkEmail, Messages, SentItems, Tasks
from exchangelib.indexed_properties import EmailAddress, PhoneNumber, PhysicalAddress
from exchangelib.protocol import BaseProtocol, FailFast

CHECKS = []
DESK, JO, SERVICE = "desk@example.org", "jo@example.org", "service@example.org"
MESSAGES = 25


def check(function):
    CHECKS.append(function)
    return function


class Stamp(ExtendedProperty):
    property_set_id = "6a3c1f9e-2f0b-4d5e-9a77-0d4b8e5c1a20"
    property_name = "correlation"
    property_type = "String"


class SearchKey(ExtendedProperty):
    property_tag = 0x300B
    property_type = "Binary"


class Number(ExtendedProperty):
    property_set_id = "6a3c1f9e-2f0b-4d5e-9a77-0d4b8e5c1a20"
    property_name = "number"
    property_type = "Integer"


class Labels(ExtendedProperty):
    property_set_id = "6a3c1f9e-2f0b-4d5e-9a77-0d4b8e5c1a20"
    property_name = "labels"
    property_type = "StringArray"


class Handled(ExtendedProperty):
    distinguished_property_set_id = "PublicStrings"
    property_name = "handled"
    property_type = "Boolean"


class Due(ExtendedProperty):
    distinguished_property_set_id = "Common"
    property_id = 0x8517
    property_type = "SystemTime"


class CaseHeader(ExtendedProperty):
    distinguished_property_set_id = "InternetHeaders"
    property_name = "X-Case"
    property_type = "String"


Message.register("stamp", Stamp)
Message.register("number", Number)
Message.register("labels", Labels)
Message.register("handled", Handled)
Message.register("due", Due)
Message.register("case_header", CaseHeader)
Message.register("search_key", SearchKey)


class World:
    """The accounts of one run."""

    def __init__(self, url):
        self.url = url
        self.desk = self.account(DESK, "pw", DESK, DELEGATE)
        self.jo = self.account(SERVICE, "service-pw", JO, IMPERSONATION)

    def account(self, user, password, address, access, version=Version(build=Build(15, 2, 2562, 17))):
        config = Configuration(service_endpoint=self.url, credentials=Credentials(user, password), auth_type="basic",
                               version=version, retry_policy=FailFast())
        return Account(primary_smtp_address=address, config=config, autodiscover=False, access_type=access,
                       default_timezone=EWSTimezone_utc())


def EWSTimezone_utc():
    return EWSTimeZone("UTC")


def message(account, subject, to=JO, **more):
    more.setdefault("folder", account.drafts)
    return Message(account=account, subject=subject, body="Hello.", to_recipients=[Mailbox(email_address=to)], **more)


def refused(error, call):
    try:
        call()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


def fetched(folder, subject):
    return folder.get(subject=subject)


# Connecting

@check
def wrong_password_is_refused(world):
    try:
        account = world.account(DESK, "wrong", DESK, DELEGATE)
        list(account.inbox.all().only("subject")[:1])
    except UnauthorizedError:
        return
    raise AssertionError("a wrong password was accepted")


@check
def version_is_guessed(world):
    account = world.account(DESK, "pw", DESK, DELEGATE, version=None)
    assert account.version.build.major_version == 15, account.version


@check
def impersonation_needs_the_right(world):
    try:
        account = world.account(DESK, "pw", JO, IMPERSONATION)
        list(account.inbox.all().only("subject")[:1])
    except ErrorImpersonateUserDenied:
        return
    raise AssertionError("impersonation without the right")


@check
def impersonation_needs_a_mailbox(world):
    try:
        account = world.account(SERVICE, "service-pw", "nobody@example.org", IMPERSONATION)
        list(account.inbox.all().only("subject")[:1])
    except ErrorNonExistentMailbox:
        return
    raise AssertionError("a mailbox that does not exist was opened")


@check
def another_mailbox_opens_with_full_access_only(world):
    opened = world.account(DESK, "pw", JO, DELEGATE)
    assert opened.inbox.id == world.jo.inbox.id
    draft = message(opened, "in the name of Jo").save()
    assert world.jo.drafts.get(subject="in the name of Jo").id == draft.id
    draft.delete()
    refused(ErrorFolderNotFound, lambda: world.account(SERVICE, "service-pw", JO, DELEGATE).inbox)
    refused(ErrorNonExistentMailbox, lambda: world.account(DESK, "pw", "nobody@example.org", DELEGATE).inbox)


# Folders

@check
def default_folders_are_found(world):
    for account in (world.desk, world.jo):
        for name, cls in (("inbox", Inbox), ("sent", SentItems), ("drafts", Drafts), ("trash", DeletedItems),
                          ("junk", JunkEmail), ("calendar", Calendar), ("contacts", Contacts), ("tasks", Tasks)):
            folder = getattr(account, name)
            assert isinstance(folder, cls), (name, folder)
            assert folder.id and folder.changekey


@check
def the_tree_is_walked(world):
    names = {folder.name for folder in world.desk.root.walk()}
    assert {"Inbox", "Sent Items", "Top of Information Store", "Calendar"} <= names, names
    children = {folder.name for folder in world.desk.msg_folder_root.children}
    assert {"Inbox", "Drafts", "Junk Email"} <= children, children


@check
def folders_are_made_renamed_moved_and_deleted(world):
    inbox = world.desk.inbox
    folder = Messages(parent=inbox, name="Undeliverable")
    folder.save()
    assert folder.id
    try:
        Messages(parent=inbox, name="undeliverable").save()
        raise AssertionError("the same name twice")
    except ErrorFolderExists:
        pass
    world.desk.root.clear_cache()
    assert (world.desk.inbox / "Undeliverable").id == folder.id
    folder.name = "Returned"
    folder.save(update_fields=["name"])
    folder.refresh()
    assert folder.name == "Returned"
    before = folder.id
    folder.move(to_folder=world.desk.junk)
    folder.refresh()
    assert folder.id == before and folder.parent.id == world.desk.junk.id
    folder.delete(delete_type="HardDelete")
    world.desk.root.clear_cache()
    assert "Returned" not in {f.name for f in world.desk.junk.children}


@check
def a_folder_counts_and_empties(world):
    folder = Messages(parent=world.desk.inbox, name="Full")
    folder.save()
    for number in range(3):
        Message(account=world.desk, folder=folder, subject=f"n{number}", body="x").save()
    folder.refresh()
    assert folder.total_count == 3, folder.total_count
    folder.empty(delete_type="HardDelete")
    folder.refresh()
    assert folder.total_count == 0
    folder.delete()


# Finding

@check
def finding_pages_through_everything(world):
    query = world.desk.inbox.filter(subject__startswith="Message ").only("subject")
    query.page_size = 7
    subjects = [item.subject for item in query]
    assert len(subjects) == MESSAGES, len(subjects)
    assert len(set(subjects)) == MESSAGES


@check
def the_latest_come_first(world):
    items = list(world.desk.inbox.filter(subject__startswith="Message ").order_by("-datetime_received", "-subject")[:3])
    assert len(items) == 3
    assert all(a.datetime_received >= b.datetime_received for a, b in zip(items, items[1:]))


@check
def filters_filter(world):
    inbox = world.desk.inbox
    assert inbox.filter(subject="Message 3").count() == 1
    assert inbox.filter(subject__contains="sage 1").count() == 11
    assert inbox.filter(subject__icontains="MESSAGE 1").count() == 11
    assert inbox.filter(Q(subject="Message 1") | Q(subject="Message 2")).count() == 2
    assert inbox.filter(~Q(subject__startswith="Message ")).count() == inbox.all().count() - MESSAGES
    assert inbox.filter(subject__startswith="Message ", is_read=True).count() == 0
    assert inbox.filter(subject__exists=True).count() == inbox.all().count()
    later = EWSDateTime(2100, 1, 1, tzinfo=EWSTimezone_utc())
    assert inbox.filter(datetime_received__gt=later).count() == 0
    assert inbox.filter(datetime_received__lt=later).count() == inbox.all().count()
    assert inbox.filter(message_id="<m4@far.example>").count() == 1
    assert inbox.filter(size__gte=1).count() == inbox.all().count()


@check
def more_filters_filter(world):
    inbox = world.desk.inbox
    assert inbox.filter(subject__in=["Message 1", "Message 2", "none"]).count() == 2
    assert inbox.exclude(subject="Message 1").filter(subject__startswith="Message ").count() == MESSAGES - 1
    assert inbox.filter(sender="ann@far.example", subject__startswith="Message ").count() == MESSAGES
    assert inbox.filter(body__contains="Text 5").count() == 1
    first, last = (EWSDateTime(year, 1, 1, tzinfo=EWSTimezone_utc()) for year in (2020, 2100))
    assert inbox.filter(datetime_received__range=(first, last)).count() == inbox.all().count()
    assert inbox.filter(datetime_received__range=(first, first + timedelta(days=1))).count() == 0
    item = inbox.get(subject="Message 9")
    assert [one.subject for one in inbox.filter(conversation_id=item.conversation_id)] == ["Message 9"]
    assert inbox.filter('subject:"Message 3"').count() == 1
    assert inbox.filter("from:ann isread:true subject:message").count() == inbox.filter(
        subject__startswith="Message ", is_read=True).count()
    assert inbox.all().depth("SoftDeleted").count() == 0


@check
def one_item_or_none(world):
    item = world.desk.inbox.get(subject="Message 7")
    assert item.sender.email_address == "ann@far.example", item.sender
    assert not world.desk.inbox.filter(subject="no such subject").exists()


# Reading

@check
def everything_of_a_message_is_read(world):
    item = world.desk.inbox.get(subject="Message 5")
    assert item.author.name == "Ann" and item.author.email_address == "ann@far.example"
    assert item.to_recipients[0].email_address == DESK
    assert "Text 5." in item.body
    assert item.message_id == "<m5@far.example>"
    assert item.is_read is False and item.is_draft is False
    assert item.item_class == "IPM.Note"
    assert item.has_attachments is False
    headers = {header.name.lower(): header.value for header in item.headers}
    assert headers["subject"] == "Message 5" and "received" in headers, headers
    assert b"Message-ID: <m5@far.example>" in item.mime_content
    assert item.search_key and len(item.search_key) == 16
    assert item.parent_folder_id.id == world.desk.inbox.id
    assert item.text_body.strip() == "Text 5."


@check
def many_are_fetched_at_once(world):
    ids = list(world.desk.inbox.filter(subject__startswith="Message ").values_list("id", "changekey"))
    items = list(world.desk.fetch(ids=ids, only_fields=["subject", "mime_content"], chunk_size=10))
    assert len(items) == MESSAGES and all(item.mime_content for item in items)


@check
def hundreds_are_made_paged_changed_and_moved(world):
    folder = Messages(parent=world.desk.inbox, name="Hundreds")
    folder.save()
    made = world.desk.bulk_create(folder=folder, items=[message(world.desk, f"h{n:03}", folder=folder, number=n) for n in range(230)])
    query = folder.all().only("subject").order_by("subject")
    query.page_size = 50
    assert [item.subject for item in query] == [f"h{n:03}" for n in range(230)]
    assert [item.subject for item in folder.all().only("subject").order_by("subject")[100:120]] == [f"h{n:03}" for n in range(100, 120)]
    assert [item.number for item in folder.filter(number__gt=226).only("number").order_by("-number")] == [229, 228, 227]
    items = list(world.desk.fetch(ids=[(one.id, one.changekey) for one in made], only_fields=["subject"], chunk_size=100))
    for item in items:
        item.subject += "!"
    assert len(world.desk.bulk_update([(item, ["subject"]) for item in items])) == 230
    assert len(world.desk.bulk_copy(ids=made[:20], to_folder=world.desk.junk)) == 20
    assert len(world.desk.bulk_move(ids=made[:20], to_folder=world.desk.junk)) == 20
    results = world.desk.bulk_delete(ids=[(made[0].id, None), (made[20].id, None)])
    assert isinstance(results[0], ErrorItemNotFound) and results[1] is True, results
    assert world.desk.junk.filter(subject__startswith="h").count() == 40
    world.desk.junk.filter(subject__startswith="h").delete()
    folder.delete()


@check
def malformed_ids_are_reported_in_their_place(world):
    known = world.desk.inbox.get(subject="Message 1")
    results = list(world.desk.fetch(ids=[("AAAA", None), (known.id, None), ("x!!y", None)], only_fields=["subject"]))
    assert isinstance(results[0], ErrorInvalidIdMalformed) and isinstance(results[2], ErrorInvalidIdMalformed), results
    assert results[1].subject == "Message 1"


@check
def a_missing_item_is_reported_in_its_place(world):
    gone = message(world.desk, "gone").save()
    known = world.desk.inbox.get(subject="Message 1")
    gone_id = (gone.id, gone.changekey)
    gone.delete()
    items = list(world.desk.fetch(ids=[gone_id, (known.id, known.changekey)], only_fields=["subject"]))
    assert isinstance(items[0], ErrorItemNotFound), items
    assert items[1].subject == "Message 1"


# Writing

@check
def a_draft_is_saved_changed_and_read_back(world):
    item = message(world.desk, "Größe & <Maß>", categories=["A", "B"], importance="High", stamp="case-4711").save()
    assert item.id and item.changekey
    item.refresh()
    assert item.subject == "Größe & <Maß>" and item.is_draft
    assert item.categories == ["A", "B"] and item.importance == "High" and item.stamp == "case-4711"
    key = item.changekey
    item.subject, item.body, item.categories = "Changed", HTMLBody("<p>New</p>"), None
    item.cc_recipients = [Mailbox(name="Über", email_address="x@far.example")]
    item.save(update_fields=["subject", "body", "categories", "cc_recipients"])
    assert item.changekey != key
    item.refresh()
    assert item.subject == "Changed" and "<p>New</p>" in item.body and not item.categories
    assert item.cc_recipients[0].name == "Über", item.cc_recipients
    item.stamp = None
    item.save(update_fields=["stamp"])
    item.refresh()
    assert item.stamp is None
    item.delete()


@check
def flags_and_receipts_are_kept(world):
    item = message(world.desk, "flags", sensitivity="Private", is_read_receipt_requested=True, is_read=False,
                   is_delivery_receipt_requested=True, reply_to=[Mailbox(email_address="r@far.example")]).save()
    item.refresh()
    assert item.sensitivity == "Private" and item.is_read is False
    assert item.is_read_receipt_requested is True and item.is_delivery_receipt_requested is True
    assert item.reply_to[0].email_address == "r@far.example"
    assert world.desk.drafts.filter(sensitivity="Private").count() == 1
    item.delete()


@check
def extended_properties_of_all_sorts_are_kept(world):
    due = EWSDateTime(2026, 12, 1, 9, tzinfo=EWSTimeZone("Europe/Berlin"))
    item = message(world.desk, "extended", number=-5, labels=["a", "b ü"], handled=True, due=due, case_header="4711").save()
    item.refresh()
    assert (item.number, item.labels, item.handled, item.due, item.case_header) == (-5, ["a", "b ü"], True, due, "4711")
    assert b"x-case: 4711" in item.mime_content.lower()
    item.number, item.labels, item.handled, item.case_header = None, ["c"], False, "4712"
    item.save(update_fields=["number", "labels", "handled", "case_header"])
    item.refresh()
    assert (item.number, item.labels, item.handled, item.case_header) == (None, ["c"], False, "4712")
    assert item.mime_content.lower().count(b"x-case: 4712") == 1 and b"4711" not in item.mime_content
    drafts = world.desk.drafts
    assert drafts.filter(handled=False).count() == 1 and drafts.filter(handled=True).count() == 0
    assert drafts.filter(due__gt=due - timedelta(days=1)).count() == 1
    assert drafts.filter(number__exists=True).count() == 0
    item.delete()


@check
def an_old_version_cannot_overwrite_a_newer_one(world):
    item = message(world.desk, "contended").save()
    old, new = (list(world.desk.fetch([(item.id, item.changekey)]))[0] for _ in range(2))
    new.subject, old.subject = "first", "second"
    new.save(update_fields=["subject"])
    refused(ErrorIrresolvableConflict, lambda: old.save(update_fields=["subject"], conflict_resolution="NeverOverwrite"))
    old.save(update_fields=["subject"], conflict_resolution="AlwaysOverwrite")
    old.refresh()
    assert old.subject == "second"
    old.delete()


@check
def a_message_is_made_from_mime(world):
    mime = b"From: desk@example.org\r\nTo: x@far.example\r\nSubject: From MIME\r\nMessage-ID: <own@example.org>\r\n\r\nBody.\r\n"
    item = Message(account=world.desk, folder=world.desk.drafts, mime_content=mime, stamp="s1").save()
    item.refresh()
    assert item.subject == "From MIME" and item.stamp == "s1" and item.is_draft
    assert world.desk.drafts.filter(stamp="s1").count() == 1
    assert b"Message-ID: <own@example.org>" in item.mime_content
    item.delete()


@check
def the_read_flag_is_set(world):
    item = world.desk.inbox.get(subject="Message 8")
    item.is_read = True
    item.save(update_fields=["is_read"])
    assert world.desk.inbox.get(subject="Message 8").is_read
    assert world.desk.inbox.filter(is_read=True, subject="Message 8").count() == 1


@check
def a_move_changes_the_id_and_a_copy_makes_another(world):
    item = message(world.desk, "wanderer").save()
    first = item.id
    item.refresh()
    key = item.search_key
    item.move(to_folder=world.desk.junk)
    assert item.id != first
    item.refresh()
    assert item.search_key == key
    copy_id = item.copy(to_folder=world.desk.inbox)
    assert copy_id[0] != item.id
    assert world.desk.junk.filter(subject="wanderer").count() == 1
    assert world.desk.inbox.filter(subject="wanderer").count() == 1
    world.desk.inbox.get(subject="wanderer").delete()
    item.move_to_trash()
    assert world.desk.trash.filter(subject="wanderer").count() == 1
    world.desk.trash.get(subject="wanderer").delete()
    assert world.desk.trash.filter(subject="wanderer").count() == 0


@check
def soft_deleted_items_are_recoverable(world):
    item = message(world.desk, "softly").save()
    item.soft_delete()
    assert world.desk.recoverable_items_deletions.filter(subject="softly").count() == 1


@check
def bulk_operations_answer_each_item(world):
    ids = world.desk.bulk_create(folder=world.desk.drafts, items=[message(world.desk, f"bulk {n}") for n in range(5)])
    assert len(ids) == 5 and all(i.id for i in ids)
    items = list(world.desk.drafts.filter(subject__startswith="bulk "))
    for item in items:
        item.importance = "Low"
    world.desk.bulk_update([(item, ["importance"]) for item in items])
    assert world.desk.drafts.filter(importance="Low").count() == 5
    moved = world.desk.bulk_move(ids=items, to_folder=world.desk.junk)
    assert len(moved) == 5
    results = world.desk.bulk_delete(ids=moved)
    assert all(result is True for result in results), results


# Attachments

@check
def attachments_go_in_and_out(world):
    item = message(world.desk, "with files")
    item.attach(FileAttachment(name="a.txt", content=b"hello", content_type="text/plain"))
    item.save()
    item.attach(FileAttachment(name="b.bin", content=bytes(range(256)) * 300))
    item.refresh()
    assert item.has_attachments
    contents = {attachment.name: attachment.content for attachment in item.attachments}
    assert contents == {"a.txt": b"hello", "b.bin": bytes(range(256)) * 300}, {k: len(v) for k, v in contents.items()}
    with item.attachments[1].fp as stream:
        assert stream.read() == bytes(range(256)) * 300
    item.detach(list(item.attachments)[0])
    item.refresh()
    assert [attachment.name for attachment in item.attachments] == ["b.bin"], item.attachments
    item.delete()


@check
def attachment_ids_name_what_they_named(world):
    item = message(world.desk, "three files")
    for name in ("a", "b", "c"):
        item.attach(FileAttachment(name=name, content=name.encode() * 700_000))
    item.save()
    first, second, third = item.attachments
    assert all(attachment.attachment_id for attachment in item.attachments)
    stale = FileAttachment(parent_item=item, name="a", attachment_id=first.attachment_id)
    item.detach(first)
    refused(ErrorItemNotFound, lambda: stale.content)
    with FileAttachment(parent_item=item, name="b", attachment_id=second.attachment_id).fp as stream:
        assert stream.read() == b"b" * 700_000
    item.detach([second, third])
    item.refresh()
    assert not item.attachments and not item.has_attachments
    item.delete()


@check
def a_message_is_attached_to_a_message(world):
    inner = message(world.desk, "inner")
    item = message(world.desk, "outer")
    item.attach(ItemAttachment(name="inner", item=inner))
    item.save()
    item.refresh()
    assert len(item.attachments) == 1
    assert item.attachments[0].item.subject == "inner", item.attachments
    item.delete()


# Sending

@check
def a_message_is_sent_and_arrives(world):
    item = message(world.desk, "Ping")
    item.folder = world.desk.sent
    item.send_and_save()
    sent = fetched(world.desk.sent, "Ping")
    assert not sent.is_draft and sent.message_id
    arrived = fetched(world.jo.inbox, "Ping")
    assert arrived.sender.email_address == DESK and not arrived.is_read
    assert arrived.message_id == sent.message_id
    assert arrived.datetime_received is not None


@check
def a_draft_is_sent_with_its_stamp(world):
    draft = message(world.desk, "Stamped", bcc_recipients=[Mailbox(email_address=SERVICE)], stamp="out-1").save()
    draft.send()
    assert world.desk.drafts.filter(subject="Stamped").count() == 0
    sent = world.desk.sent.get(stamp="out-1")
    assert sent.subject == "Stamped" and sent.bcc_recipients[0].email_address == SERVICE
    arrived = fetched(world.jo.inbox, "Stamped")
    assert arrived.stamp is None and not arrived.bcc_recipients


@check
def a_reply_goes_by_mime(world):
    mime = b"From: <jo@example.org>\r\nTo: <desk@example.org>\r\nSubject: Re: Ping\r\nIn-Reply-To: <p@x>\r\nReferences: <p@x>\r\nMessage-ID: <r@x>\r\n\r\nPong.\r\n"
    Message(account=world.jo, folder=world.jo.sent, mime_content=mime).send_and_save()
    arrived = world.desk.inbox.get(message_id="<r@x>")
    assert arrived.in_reply_to == "<p@x>" and arrived.references == "<p@x>", arrived
    assert arrived.conversation_topic == "Ping", arrived.conversation_topic


@check
def drafts_are_sent_in_every_way(world):
    message(world.desk, "way 1", folder=None).send(save_copy=False)
    message(world.desk, "way 2").save().send(copy_to_folder=world.desk.inbox)
    message(world.desk, "way 3").save().send_and_save()
    made = world.desk.bulk_create(folder=world.desk.drafts, items=[message(world.desk, f"way {n}") for n in (4, 5)])
    assert world.desk.bulk_send(ids=made) == [True, True]
    assert world.jo.inbox.filter(subject__startswith="way ").count() == 5
    assert sorted(world.desk.sent.filter(subject__startswith="way ").values_list("subject", flat=True)) == ["way 3", "way 4", "way 5"]
    assert world.desk.inbox.filter(subject="way 2").count() == 1
    assert world.desk.drafts.filter(subject__startswith="way ").count() == 0


@check
def replies_and_forwards_are_put_together(world):
    item = world.desk.inbox.get(subject="Message 3")
    item.reply(subject="Re: Message 3", body="Our answer", to_recipients=[JO])
    sent = world.desk.sent.get(subject="Re: Message 3")
    assert sent.in_reply_to == "<m3@far.example>" and sent.references == "<m3@far.example>"
    assert sent.body.startswith("Our answer") and "Text 3." in sent.body
    assert world.jo.inbox.filter(subject="Re: Message 3").count() == 1
    item.forward(subject="Fwd: Message 3", body="See below", to_recipients=[JO])
    assert "Text 3." in world.jo.inbox.get(subject="Fwd: Message 3").body
    item.create_reply_all(subject="Re: all", body=HTMLBody("<b>Draft</b>")).save(world.desk.drafts)
    draft = world.desk.drafts.get(subject="Re: all")
    assert draft.is_draft and draft.to_recipients[0].email_address == "ann@far.example" and not draft.cc_recipients
    assert "<b>Draft</b>" in draft.body
    draft.delete()


@check
def nothing_is_sent_to_nobody(world):
    try:
        Message(account=world.desk, folder=world.desk.sent, subject="nobody", body="x").send_and_save()
    except ErrorInvalidRecipients:
        return
    raise AssertionError("sent to nobody")


@check
def an_unknown_recipient_comes_back(world):
    message(world.desk, "Into the void", to="void@example.org").send()
    report = world.desk.inbox.get(item_class="REPORT.IPM.Note.NDR")
    assert "Into the void" in report.subject
    assert b"Final-Recipient: rfc822; void@example.org" in report.mime_content


# Synchronising

@check
def a_folder_is_synchronised(world):
    folder = Messages(parent=world.desk.inbox, name="Sync")
    folder.save()
    for number in range(5):
        Message(account=world.desk, folder=folder, subject=f"s{number}", body="x", is_read=False).save()
    seen = list(folder.sync_items(only_fields=["subject"], max_changes_returned=2))
    assert [how for how, _ in seen] == ["create"] * 5, seen
    assert {item.subject for _, item in seen} == {f"s{n}" for n in range(5)}
    state = folder.item_sync_state
    items = {item.subject: item for _, item in seen}
    items["s0"].is_read = True
    items["s0"].save(update_fields=["is_read"])
    other = folder.get(subject="s1")
    other.subject = "s1 changed"
    other.save(update_fields=["subject"])
    folder.get(subject="s2").delete()
    changes = sorted((how, getattr(item, "subject", None)) for how, item in folder.sync_items(sync_state=state, only_fields=["subject"])
                     if how != "read_flag_change" and how != "delete")
    assert changes == [("update", "s1 changed")], changes
    kinds = sorted(how for how, _ in folder.sync_items(sync_state=state, only_fields=["subject"]))
    assert kinds == ["delete", "read_flag_change", "update"], kinds
    folder.delete()


@check
def the_hierarchy_is_synchronised(world):
    first = list(world.desk.msg_folder_root.sync_hierarchy())
    assert {how for how, _ in first} == {"create"}
    assert "Inbox" in {folder.name for _, folder in first}
    state = world.desk.msg_folder_root.folder_sync_state
    folder = Messages(parent=world.desk.inbox, name="New one")
    folder.save()
    changes = [(how, f.name) for how, f in world.desk.msg_folder_root.sync_hierarchy(sync_state=state)]
    assert changes == [("create", "New one")], changes
    state = world.desk.msg_folder_root.folder_sync_state
    folder.delete()
    assert [how for how, _ in world.desk.msg_folder_root.sync_hierarchy(sync_state=state)] == ["delete"]


@check
def a_sync_that_cannot_be_says_why(world):
    folder = Messages(parent=world.desk.inbox, name="Brief")
    folder.save()
    refused(ErrorInvalidSyncStateData, lambda: list(folder.sync_items(sync_state="bm90IG91cnM=")))
    refused(ErrorInvalidSyncStateData, lambda: list(world.desk.inbox.sync_hierarchy(sync_state="bm90IG91cnM=")))
    gone = folder.id
    folder.delete()
    lost = Messages(parent=world.desk.inbox, id=gone, name="Brief")
    refused(ErrorSyncFolderNotFound, lambda: list(lost.sync_items()))


@check
def pull_subscriptions_tell_what_happened(world):
    inbox = world.desk.inbox
    with inbox.pull_subscription() as (subscription, watermark):
        message(world.jo, "Knock", to=DESK).send()
        events = [event for notification in inbox.get_events(subscription, watermark) for event in notification.events]
    kinds = {type(event).__name__ for event in events}
    assert "NewMailEvent" in kinds, kinds


@check
def streaming_subscriptions_tell_what_happened(world):
    inbox = world.desk.inbox
    with inbox.streaming_subscription() as subscription:
        message(world.jo, "Knock again", to=DESK).send()
        stream = inbox.get_streaming_events(subscription, connection_timeout=1, max_notifications_returned=1)
        events = [event for notification in stream for event in notification.events]
    kinds = {type(event).__name__ for event in events}
    assert "NewMailEvent" in kinds, kinds


# Other kinds of items

@check
def appointments_are_kept(world):
    start = EWSDateTime(2026, 12, 1, 10, tzinfo=EWSTimezone_utc())
    item = CalendarItem(account=world.desk, folder=world.desk.calendar, subject="Review", location="Room 1", start=start,
                        end=start + timedelta(hours=1), body="Agenda", categories=["CRM"])
    item.save()
    item.refresh()
    assert item.subject == "Review" and item.location == "Room 1" and item.start == start
    assert item.uid and item.type == "Single"
    view = list(world.desk.calendar.view(start=start - timedelta(days=1), end=start + timedelta(days=1)))
    assert [one.subject for one in view] == ["Review"], view
    assert not list(world.desk.calendar.view(start=start + timedelta(days=1), end=start + timedelta(days=2)))
    item.location = "Room 2"
    item.save(update_fields=["location"])
    assert world.desk.calendar.get(subject="Review").location == "Room 2"
    item.delete()
    assert world.desk.calendar.all().count() == 0


@check
def contacts_are_kept(world):
    item = Contact(account=world.desk, folder=world.desk.contacts, given_name="Ann", surname="Other", display_name="Ann Other", company_name="Far",
                   email_addresses=[EmailAddress(label="EmailAddress1", email="ann@far.example")],
                   phone_numbers=[PhoneNumber(label="BusinessPhone", phone_number="1")],
                   physical_addresses=[PhysicalAddress(label="Business", street="S", city="C", zipcode="1")])
    item.save()
    item.refresh()
    assert item.given_name == "Ann" and item.display_name == "Ann Other", item.display_name
    assert item.email_addresses[0].email == "ann@far.example"
    item.phone_numbers = [PhoneNumber(label="BusinessPhone", phone_number="2"), PhoneNumber(label="MobilePhone", phone_number="3")]
    item.physical_addresses = [PhysicalAddress(label="Business", street="T", city="C", zipcode="1")]
    item.save(update_fields=["phone_numbers", "physical_addresses"])
    item.refresh()
    numbers = {number.label: number.phone_number for number in item.phone_numbers if number.phone_number}
    assert numbers == {"BusinessPhone": "2", "MobilePhone": "3"}, numbers
    assert item.physical_addresses[0].street == "T"
    item.delete()


@check
def tasks_are_kept(world):
    item = Task(account=world.desk, folder=world.desk.tasks, subject="Call Ann")
    item.save()
    item.refresh()
    assert item.subject == "Call Ann" and item.status == "NotStarted"
    item.status = "Completed"
    item.save(update_fields=["status"])
    item.refresh()
    assert item.is_complete and item.percent_complete == 100
    item.delete()


# Names and odds

@check
def names_are_resolved(world):
    found = world.desk.protocol.resolve_names(["jo@example.org"])
    assert found[0].email_address == JO, found
    nobody = world.desk.protocol.resolve_names(["nobody at all"])
    assert not [one for one in nobody if isinstance(one, Mailbox)], nobody


@check
def time_zones_are_listed(world):
    zones = list(world.desk.protocol.get_timezones(return_full_timezone_data=True))
    assert "UTC" in {zone.id for zone in zones}


@check
def ids_are_converted(world):
    from exchangelib.properties import AlternateId
    item = world.desk.inbox.get(subject="Message 1")
    there = list(world.desk.protocol.convert_ids([AlternateId(id=item.id, format="EwsId", mailbox=DESK)], destination_format="HexEntryId"))
    back = list(world.desk.protocol.convert_ids([AlternateId(id=there[0].id, format="HexEntryId", mailbox=DESK)], destination_format="EwsId"))
    assert back[0].id == item.id


@check
def out_of_office_is_set(world):
    assert world.desk.oof_settings.state == "Disabled"
    start = EWSDateTime(2030, 1, 1, 8, tzinfo=EWSTimezone_utc())
    world.desk.oof_settings = OofSettings(state="Scheduled", external_audience="Known", internal_reply="Weg für heute", external_reply="Out",
                                          start=start, end=start + timedelta(days=1))
    kept = world.desk.oof_settings
    assert (kept.state, kept.internal_reply, kept.start) == ("Scheduled", "Weg für heute", start), kept
    world.desk.oof_settings = OofSettings(state="Disabled", internal_reply="", external_reply="")
    assert world.desk.oof_settings.state == "Disabled"


@check
def what_the_server_leaves_out_is_said_so(world):
    item = message(world.desk, "left out").save()
    refused(ErrorInvalidOperation, lambda: world.desk.export([item]))
    refused(ErrorInvalidOperation, lambda: list(world.desk.protocol.get_roomlists()))
    refused(ErrorInvalidOperation, lambda: world.desk.protocol.expand_dl(DESK))
    item.delete()


def run(simulator, capture, tls):
    command = [simulator, "--messages", str(MESSAGES), "--mailbox", f"{DESK}=pw;name=Service Desk;opens={JO}", "--mailbox", f"{JO}=jo-pw",
               "--mailbox", f"{SERVICE}=service-pw;impersonate"]
    if capture:
        command += ["--capture", os.path.join(capture, "https" if tls else "http")]
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        certificate = os.path.join(folder, "authority.pem")
        if tls:
            command += ["--tls", "--certificate", certificate]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            url = server.stdout.readline().strip()
            if tls:
                os.environ["REQUESTS_CA_BUNDLE"] = certificate
            world = World(url)
            for function in CHECKS:
                try:
                    function(world)
                    passed += 1
                except Exception:
                    failed += 1
                    print(f"FAILED {function.__name__} ({url.split(':')[0]})")
                    traceback.print_exc(limit=-3)
                world.desk.root.clear_cache()
                world.jo.root.clear_cache()
            for account in (world.desk, world.jo):
                account.protocol.close()
        finally:
            server.stdin.close()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                failed += 1
                print("FAILED the simulator did not stop")
    return passed, failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("simulator")
    parser.add_argument("--capture")
    arguments = parser.parse_args()
    assert exchangelib.__version__ == "5.6.0", exchangelib.__version__
    passed = failed = 0
    for tls in (False, True):
        one = run(arguments.simulator, arguments.capture, tls)
        passed, failed = passed + one[0], failed + one[1]
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
