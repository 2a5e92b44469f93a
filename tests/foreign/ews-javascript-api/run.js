// ews-javascript-api 0.15.3, the port of Microsoft's EWS Managed API, against the simulated Exchange
// server.
//
//     node run.js SIMULATOR [--capture DIR]
//
// SIMULATOR is the example program `exchange` of postroom-simulator, or any program that takes the
// same arguments, prints its URL as the first line, and stops when its standard input closes. The
// last line is 'N passed, M failed'; the exit status is 0 if nothing failed.
"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const readline = require("node:readline");
const { createRequire } = require("node:module");

// The packages lie below the target folder, not here: EWS_PACKAGES says where.
const ews = createRequire(process.env.EWS_PACKAGES || __filename)("ews-javascript-api");
const {
  BasePropertySet, BodyType, ChangeType, ConflictResolutionMode, ConnectingIdType, DateTime, DeleteMode, EmailAddress,
  EmailMessage, EmailMessageSchema, EventType, ExchangeService, ExchangeVersion, ExtendedPropertyDefinition, Folder,
  FolderId, FolderSchema, FolderTraversal, FolderView, Guid, ImpersonatedUserId, ItemId, ItemSchema, ItemView,
  LogicalOperator, Mailbox, MapiPropertyType, MessageBody, PropertySet, ResolveNameSearchLocation, SearchFilter,
  ServiceError, SortDirection, SyncFolderItemsScope, Uri, WebCredentials, WellKnownFolderName,
} = ews;

const DESK = "desk@example.org";
const JO = "jo@example.org";
const SERVICE = "service@example.org";
const MESSAGES = 25;

const checks = [];
const check = (name, run) => checks.push({ name, run });

class World {
  constructor(url) {
    this.url = url;
    this.desk = this.service(DESK, "pw");
    this.jo = this.service(JO, "jo-pw");
  }

  service(user, password, version = ExchangeVersion.Exchange2013_SP1) {
    const service = new ExchangeService(version);
    service.Credentials = new WebCredentials(user, password);
    service.Url = new Uri(this.url);
    return service;
  }

  draft(service, subject, to = JO) {
    const message = new EmailMessage(service);
    message.Subject = subject;
    message.Body = new MessageBody(BodyType.Text, `Body of ${subject}.`);
    message.ToRecipients.Add(to);
    return message;
  }

  async named(service, folder, subject) {
    const filter = new SearchFilter.IsEqualTo(ItemSchema.Subject, subject);
    const found = await service.FindItems(folder, filter, new ItemView(10));
    return found.Items;
  }
}

// The error that a refused call ends with.
async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: "nothing was refused" });
}

function codeOf(error) {
  // An error of one response message has a code; a SOAP fault is thrown as it is and has another.
  return ServiceError[error.ErrorCode || error.responseCode] ?? String(error.message ?? error.Message);
}

check("folders are bound, listed, made and deleted", async (world) => {
  const inbox = await Folder.Bind(world.desk, WellKnownFolderName.Inbox);
  assert.equal(inbox.DisplayName, "Inbox");
  assert.ok(inbox.TotalCount >= MESSAGES);
  const root = await Folder.Bind(world.desk, WellKnownFolderName.MsgFolderRoot, new PropertySet(BasePropertySet.FirstClassProperties));
  assert.ok(root.ChildFolderCount > 5);
  const view = new FolderView(100);
  view.Traversal = FolderTraversal.Deep;
  const all = await world.desk.FindFolders(WellKnownFolderName.MsgFolderRoot, view);
  const names = all.Folders.map((folder) => folder.DisplayName);
  assert.ok(names.includes("Inbox") && names.includes("Sent Items"), names.join());

  const made = new Folder(world.desk);
  made.DisplayName = "Cases";
  await made.Save(WellKnownFolderName.Inbox);
  const filter = new SearchFilter.IsEqualTo(FolderSchema.DisplayName, "Cases");
  const found = await world.desk.FindFolders(WellKnownFolderName.Inbox, filter, new FolderView(5));
  assert.equal(found.TotalCount, 1);
  assert.equal(found.Folders[0].Id.UniqueId, made.Id.UniqueId);
  made.DisplayName = "Closed cases";
  await made.Update();
  assert.equal((await Folder.Bind(world.desk, made.Id)).DisplayName, "Closed cases");
  await made.Delete(DeleteMode.HardDelete);
  assert.equal(codeOf(await refusal(Folder.Bind(world.desk, made.Id))), "ErrorFolderNotFound");
});

check("items are found by a filter, page by page, in order", async (world) => {
  const filter = new SearchFilter.ContainsSubstring(ItemSchema.Subject, "Message ");
  const view = new ItemView(10);
  view.PropertySet = new PropertySet(BasePropertySet.IdOnly, ItemSchema.Subject, ItemSchema.DateTimeReceived);
  view.OrderBy.Add(ItemSchema.DateTimeReceived, SortDirection.Descending);
  const subjects = new Set();
  const sizes = [];
  let page;
  do {
    page = await world.desk.FindItems(WellKnownFolderName.Inbox, filter, view);
    assert.equal(page.TotalCount, MESSAGES);
    page.Items.forEach((item) => subjects.add(item.Subject));
    sizes.push(page.Items.length);
    view.Offset = page.NextPageOffset;
  } while (page.MoreAvailable);
  assert.deepEqual(sizes, [10, 10, 5]);
  assert.equal(subjects.size, MESSAGES);
});

check("filters combine", async (world) => {
  const count = async (filter) =>
    (await world.desk.FindItems(WellKnownFolderName.Inbox, filter, new ItemView(1))).TotalCount;
  const one = new SearchFilter.IsEqualTo(ItemSchema.Subject, "Message 1");
  const two = new SearchFilter.IsEqualTo(ItemSchema.Subject, "Message 2");
  const unread = new SearchFilter.IsEqualTo(EmailMessageSchema.IsRead, false);
  assert.equal(await count(new SearchFilter.SearchFilterCollection(LogicalOperator.Or, [one, two])), 2);
  assert.equal(await count(new SearchFilter.SearchFilterCollection(LogicalOperator.And, [one, unread])), 1);
  assert.equal(await count(new SearchFilter.SearchFilterCollection(LogicalOperator.And, [one, two])), 0);
  const future = new SearchFilter.IsGreaterThan(ItemSchema.DateTimeReceived, new DateTime(Date.UTC(2100, 0, 1)));
  assert.equal(await count(future), 0);
  assert.equal(await count(new SearchFilter.Not(future)) >= MESSAGES, true);
  assert.equal(await count(new SearchFilter.Exists(ItemSchema.Subject)) >= MESSAGES, true);
  const query = await world.desk.FindItems(WellKnownFolderName.Inbox, 'subject:"Message 3"', new ItemView(5));
  assert.equal(query.TotalCount, 1);
});

check("properties are loaded", async (world) => {
  const found = (await world.named(world.desk, WellKnownFolderName.Inbox, "Message 5"))[0];
  const key = new ExtendedPropertyDefinition(0x300b, MapiPropertyType.Binary);
  const wanted = new PropertySet(BasePropertySet.FirstClassProperties, [
    ItemSchema.MimeContent, EmailMessageSchema.InternetMessageId, ItemSchema.InternetMessageHeaders, key,
  ]);
  const item = await EmailMessage.Bind(world.desk, found.Id, wanted);
  assert.equal(item.From.Address, "ann@far.example");
  assert.equal(item.From.Name, "Ann");
  assert.equal(item.InternetMessageId, "<m5@far.example>");
  assert.equal(item.IsRead, false);
  assert.equal(item.ItemClass, "IPM.Note");
  assert.match(item.Body.Text, /Text 5\./);
  assert.match(Buffer.from(item.MimeContent.Content, "base64").toString(), /Message-ID: <m5@far\.example>/);
  assert.ok(item.InternetMessageHeaders.Items.some((header) => header.Name === "Subject" && header.Value === "Message 5"));
  const out = {};
  assert.ok(item.TryGetProperty(key, out));

  const page = await world.desk.FindItems(WellKnownFolderName.Inbox, new ItemView(4));
  const plain = new PropertySet(BasePropertySet.IdOnly, [ItemSchema.Subject, ItemSchema.Body]);
  const loaded = await world.desk.LoadPropertiesForItems(page.Items, plain);
  assert.equal(loaded.Responses.length, 4);
  page.Items.forEach((one) => assert.ok(one.Body.Text.length > 0));
});

check("a draft is made, changed, moved, copied and deleted", async (world) => {
  const stamp = new ExtendedPropertyDefinition(
    new Guid("6a3c1f9e-2f0b-4d5e-9a77-0d4b8e5c1a20"), "correlation", MapiPropertyType.String);
  // This client writes text into XML as it is: markup in it must be escaped by whoever calls.
  const item = world.draft(world.desk, "Größe &amp; &lt;Maß&gt;");
  item.Categories.Add("CRM");
  item.SetExtendedProperty(stamp, "case-1");
  await item.Save(WellKnownFolderName.Drafts);
  const wanted = new PropertySet(BasePropertySet.FirstClassProperties, [stamp]);
  let read = await EmailMessage.Bind(world.desk, item.Id, wanted);
  assert.equal(read.Subject, "Größe & <Maß>");
  assert.equal(read.IsDraft, true);
  assert.deepEqual(read.Categories.GetEnumerator(), ["CRM"]);
  const out = {};
  assert.ok(read.TryGetProperty(stamp, out));
  assert.equal(out.outValue ?? out.propertyValue ?? out.value, "case-1", JSON.stringify(Object.keys(out)));

  read.Subject = "Changed";
  read.IsRead = false;
  await read.Update(ConflictResolutionMode.AutoResolve);
  read = await EmailMessage.Bind(world.desk, item.Id, wanted);
  assert.equal(read.Subject, "Changed");
  assert.equal(read.IsRead, false);

  const filter = new SearchFilter.IsEqualTo(stamp, "case-1");
  assert.equal((await world.desk.FindItems(WellKnownFolderName.Drafts, filter, new ItemView(5))).TotalCount, 1);

  const moved = await read.Move(WellKnownFolderName.JunkEmail);
  assert.notEqual(moved.Id.UniqueId, item.Id.UniqueId);
  const copy = await moved.Copy(WellKnownFolderName.Inbox);
  assert.notEqual(copy.Id.UniqueId, moved.Id.UniqueId);
  assert.equal(codeOf(await refusal(EmailMessage.Bind(world.desk, item.Id))), "ErrorItemNotFound");
  await moved.Delete(DeleteMode.MoveToDeletedItems);
  assert.equal((await world.named(world.desk, WellKnownFolderName.DeletedItems, "Changed")).length, 1);
  await copy.Delete(DeleteMode.HardDelete);
  assert.equal((await world.named(world.desk, WellKnownFolderName.Inbox, "Changed")).length, 0);
});

check("an old version cannot overwrite a newer one", async (world) => {
  const item = world.draft(world.desk, "Contended");
  await item.Save(WellKnownFolderName.Drafts);
  const old = await EmailMessage.Bind(world.desk, item.Id);
  const other = await EmailMessage.Bind(world.desk, item.Id);
  other.Subject = "Contended, first";
  await other.Update(ConflictResolutionMode.NeverOverwrite);
  old.Subject = "Contended, second";
  const error = await refusal(old.Update(ConflictResolutionMode.NeverOverwrite));
  assert.equal(codeOf(error), "ErrorIrresolvableConflict");
  await old.Update(ConflictResolutionMode.AlwaysOverwrite);
  assert.equal((await EmailMessage.Bind(world.desk, item.Id)).Subject, "Contended, second");
  await old.Delete(DeleteMode.HardDelete);
});

check("messages are sent with and without a copy", async (world) => {
  await world.draft(world.desk, "Sent, kept").SendAndSaveCopy();
  await world.draft(world.desk, "Sent, not kept").Send();
  const draft = world.draft(world.desk, "Sent from a draft");
  await draft.Save(WellKnownFolderName.Drafts);
  await (await EmailMessage.Bind(world.desk, draft.Id)).SendAndSaveCopy();
  const counts = [];
  for (const subject of ["Sent, kept", "Sent, not kept", "Sent from a draft"]) {
    counts.push((await world.named(world.desk, WellKnownFolderName.SentItems, subject)).length);
    assert.equal((await world.named(world.jo, WellKnownFolderName.Inbox, subject)).length, 1, subject);
  }
  assert.deepEqual(counts, [1, 0, 1]);
  assert.equal((await world.named(world.desk, WellKnownFolderName.Drafts, "Sent from a draft")).length, 0);
});

check("a message is answered and forwarded", async (world) => {
  const found = (await world.named(world.desk, WellKnownFolderName.Inbox, "Message 6"))[0];
  const original = await EmailMessage.Bind(world.desk, found.Id);
  await original.Reply(new MessageBody(BodyType.HTML, "&lt;p&gt;Our answer&lt;/p&gt;"), false);
  const sent = (await world.named(world.desk, WellKnownFolderName.SentItems, "RE: Message 6"))[0];
  const answer = await EmailMessage.Bind(world.desk, sent.Id);
  assert.equal(answer.InReplyTo, "<m6@far.example>");
  assert.equal(answer.ToRecipients.Items[0].Address, "ann@far.example");
  assert.match(answer.Body.Text, /<p>Our answer<\/p>[^]*Text 6\./);
  await original.Forward(new MessageBody("See below"), [new EmailAddress(JO)]);
  const there = (await world.named(world.jo, WellKnownFolderName.Inbox, "FW: Message 6"))[0];
  assert.match((await EmailMessage.Bind(world.jo, there.Id)).Body.Text, /See below[^]*Text 6\./);
});

check("attachments go in, out and away", async (world) => {
  const item = world.draft(world.desk, "With files");
  const content = Buffer.from(Array.from({ length: 70000 }, (_, index) => index % 256));
  item.Attachments.AddFileAttachment("a.bin", content.toString("base64"));
  item.Attachments.AddFileAttachment("b.txt", Buffer.from("hello").toString("base64"));
  await item.Save(WellKnownFolderName.Drafts);
  const read = await EmailMessage.Bind(world.desk, item.Id, new PropertySet(BasePropertySet.IdOnly, [ItemSchema.Attachments]));
  assert.equal(read.Attachments.Count, 2);
  for (const attachment of read.Attachments.Items) {
    await attachment.Load();
    const wanted = attachment.Name === "a.bin" ? content : Buffer.from("hello");
    assert.ok(Buffer.from(attachment.Base64Content, "base64").equals(wanted), attachment.Name);
  }
  read.Attachments.Remove(read.Attachments.Items.find((attachment) => attachment.Name === "a.bin"));
  await read.Update(ConflictResolutionMode.AlwaysOverwrite);
  const left = await EmailMessage.Bind(world.desk, item.Id, new PropertySet(BasePropertySet.IdOnly, [ItemSchema.Attachments]));
  assert.deepEqual(left.Attachments.Items.map((attachment) => attachment.Name), ["b.txt"]);
  await left.Delete(DeleteMode.HardDelete);
});

check("a folder is synchronised", async (world) => {
  const folder = new Folder(world.desk);
  folder.DisplayName = "Sync";
  await folder.Save(WellKnownFolderName.Inbox);
  for (let number = 0; number < 5; number += 1) {
    await world.draft(world.desk, `s${number}`).Save(folder.Id);
  }
  const changes = async (state) => {
    const all = [];
    let page;
    do {
      page = await world.desk.SyncFolderItems(folder.Id, PropertySet.IdOnly, null, 2, SyncFolderItemsScope.NormalItems, state);
      for (let index = 0; index < page.Count; index += 1) all.push(page._getItem(index));
      state = page.SyncState;
    } while (page.MoreChangesAvailable);
    return { all, state };
  };
  const first = await changes(null);
  assert.equal(first.all.length, 5);
  assert.ok(first.all.every((change) => change.ChangeType === ChangeType.Create));
  const [a, b, c] = await Promise.all(first.all.slice(0, 3).map((change) => EmailMessage.Bind(world.desk, change.ItemId)));
  a.IsRead = !a.IsRead;
  await a.Update(ConflictResolutionMode.AutoResolve);
  b.Subject = "s changed";
  await b.Update(ConflictResolutionMode.AutoResolve);
  await c.Delete(DeleteMode.HardDelete);
  const second = await changes(first.state);
  const kinds = second.all.map((change) => ChangeType[change.ChangeType]).sort();
  assert.deepEqual(kinds, ["Delete", "ReadFlagChange", "Update"]);
  assert.equal((await changes(second.state)).all.length, 0);
  const error = await refusal(changes("bm90IG91cnM="));
  assert.equal(codeOf(error), "ErrorInvalidSyncStateData");
  await folder.Delete(DeleteMode.HardDelete);
});

check("the hierarchy is synchronised", async (world) => {
  const first = await world.desk.SyncFolderHierarchy(PropertySet.FirstClassProperties, null);
  assert.ok(first.Count > 5);
  const folder = new Folder(world.desk);
  folder.DisplayName = "Late";
  await folder.Save(WellKnownFolderName.Inbox);
  const second = await world.desk.SyncFolderHierarchy(PropertySet.FirstClassProperties, first.SyncState);
  assert.equal(second.Count, 1);
  await folder.Delete(DeleteMode.HardDelete);
});

check("a pull subscription tells of new mail", async (world) => {
  const subscription = await world.desk.SubscribeToPullNotifications(
    [new FolderId(WellKnownFolderName.Inbox)], 5, null, EventType.NewMail, EventType.Created);
  await world.draft(world.jo, "Knock", DESK).Send();
  const events = await subscription.GetEvents();
  assert.ok(events.AllEvents.some((event) => event.EventType === EventType.NewMail));
  await subscription.Unsubscribe();
  assert.equal(codeOf(await refusal(subscription.GetEvents())), "ErrorSubscriptionNotFound");
});

check("a service account impersonates", async (world) => {
  const service = world.service(SERVICE, "service-pw");
  service.ImpersonatedUserId = new ImpersonatedUserId(ConnectingIdType.SmtpAddress, JO);
  await world.draft(service, "As Jo", DESK).SendAndSaveCopy();
  const arrived = (await world.named(world.desk, WellKnownFolderName.Inbox, "As Jo"))[0];
  assert.equal((await EmailMessage.Bind(world.desk, arrived.Id)).From.Address, JO);

  const desk = world.service(DESK, "pw");
  desk.ImpersonatedUserId = new ImpersonatedUserId(ConnectingIdType.SmtpAddress, JO);
  const denied = await refusal(Folder.Bind(desk, WellKnownFolderName.Inbox));
  assert.equal(codeOf(denied), "ErrorImpersonateUserDenied");
});

check("another mailbox is opened with rights only", async (world) => {
  const folder = (address) => new FolderId(WellKnownFolderName.Inbox, new Mailbox(address));
  const opened = await Folder.Bind(world.desk, folder(JO));
  const own = await Folder.Bind(world.jo, WellKnownFolderName.Inbox);
  assert.equal(opened.Id.UniqueId, own.Id.UniqueId);
  const found = await world.desk.FindItems(opened.Id, new ItemView(3));
  assert.equal((await EmailMessage.Bind(world.desk, found.Items[0].Id)).ParentFolderId.UniqueId, own.Id.UniqueId);
  assert.equal(codeOf(await refusal(Folder.Bind(world.jo, folder(DESK)))), "ErrorFolderNotFound");
});

check("a wrong password and an id of nothing are refused", async (world) => {
  const error = await refusal(Folder.Bind(world.service(DESK, "wrong"), WellKnownFolderName.Inbox));
  assert.match(JSON.stringify(error) + String(error.message ?? error.Message), /401|[Uu]nauthorized/);
  const malformed = await refusal(EmailMessage.Bind(world.desk, new ItemId("AAAA")));
  assert.equal(codeOf(malformed), "ErrorInvalidIdMalformed");
});

check("names are resolved", async (world) => {
  const found = await world.desk.ResolveName("jo@example.org", ResolveNameSearchLocation.DirectoryOnly, true);
  assert.equal(found.Count, 1);
  assert.equal(found._getItem(0).Mailbox.Address, JO);
});

async function start(simulator, capture) {
  const command = [
    "--messages", String(MESSAGES), "--mailbox", `${DESK}=pw;name=Service Desk;opens=${JO}`, "--mailbox", `${JO}=jo-pw`,
    "--mailbox", `${SERVICE}=service-pw;impersonate`,
  ];
  if (capture) command.push("--capture", capture);
  const server = spawn(simulator, command, { stdio: ["pipe", "pipe", "inherit"] });
  const failed = new Promise((_, reject) => {
    server.once("error", reject);
    server.once("exit", (status) => reject(new Error(`the simulator ended with ${status}`)));
  });
  failed.catch(() => {});
  const line = new Promise((resolve) => readline.createInterface({ input: server.stdout }).once("line", resolve));
  return { server, url: await Promise.race([line, failed]) };
}

async function main() {
  const [simulator, option, capture] = process.argv.slice(2);
  if (!simulator || (option && option !== "--capture")) {
    console.error("usage: node run.js SIMULATOR [--capture DIR]");
    return 2;
  }
  const { server, url } = await start(simulator, capture);
  let passed = 0;
  let failed = 0;
  try {
    const world = new World(url.trim());
    for (const { name, run } of checks) {
      try {
        await run(world);
        passed += 1;
      } catch (error) {
        failed += 1;
        console.log(`FAILED ${name}`);
        console.log(error.stack ?? error.Message ?? error);
      }
    }
  } finally {
    server.stdin.end();
  }
  await new Promise((resolve) => (server.exitCode === null ? server.once("exit", resolve) : resolve()));
  console.log(`${passed} passed, ${failed} failed`);
  return failed || !passed ? 1 : 0;
}

main().then(
  (status) => process.exit(status),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
