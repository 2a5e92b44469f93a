//! Fetching through the adapter against sending the same requests and throwing the answers away,
//! by batch size: `cargo bench -p postroom-ews --bench fetch`.
//!
//! Server and client share the process, so the ratio flatters neither: the server's time is in both.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures, and stops at the unexpected"
)]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postroom_core::profile::ProfileKind;
use postroom_core::{ProfileId, Secret, ServerProfile};
use postroom_ews::EwsFactory;
use postroom_net::http::{HeaderValue, Method, header};
use postroom_net::{
    Authentication, BodyPart, HttpRequest, HttpTransport, ReqwestTransport, TransportSettings,
};
use postroom_provider::{
    Credentials, MailChange, OpContext, PageLimit, Provider, ProviderFactory, ProviderRequest,
    RemoteId, WellKnownFolder,
};
use postroom_simulator::exchange::{Exchange, ListenOptions};
use postroom_simulator::model::Account;

const MESSAGES: usize = 2000;
const MESSAGE_BYTES: usize = 15_000;
const ROUNDS: usize = 3;
const DESK: &str = "desk@example.org";

/// The request that the adapter sends for these ids.
fn get_item(ids: &[RemoteId]) -> String {
    let mut text = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
        xmlns:t=\"http://schemas.microsoft.com/exchange/services/2006/types\" \
        xmlns:m=\"http://schemas.microsoft.com/exchange/services/2006/messages\"><s:Header>\
        <t:RequestServerVersion Version=\"Exchange2013_SP1\"/></s:Header><s:Body><m:GetItem><m:ItemShape>\
        <t:BaseShape>IdOnly</t:BaseShape><t:IncludeMimeContent>true</t:IncludeMimeContent></m:ItemShape>\
        <m:ItemIds>"
        .to_owned();
    for id in ids {
        write!(text, "<t:ItemId Id=\"{}\"/>", id.as_str()).unwrap();
    }
    text.push_str("</m:ItemIds></m:GetItem></s:Body></s:Envelope>");
    text
}

async fn thrown_away(
    ctx: &OpContext,
    transport: &dyn HttpTransport,
    url: &str,
    credentials: &Credentials,
    ids: &[RemoteId],
    batch: usize,
) -> Duration {
    let began = Instant::now();
    for part in ids.chunks(batch) {
        let mut request = HttpRequest::new(Method::POST, url.parse().unwrap());
        request.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/xml; charset=utf-8"),
        );
        request.authentication = Authentication::Basic(credentials.clone());
        request.body = vec![BodyPart::Bytes(get_item(part).into())];
        let mut answer = transport.send(ctx, request).await.unwrap();
        assert!(answer.status.is_success());
        while answer.body.next_chunk().await.unwrap().is_some() {}
    }
    began.elapsed()
}

async fn fetched(
    ctx: &OpContext,
    provider: &Arc<dyn Provider>,
    ids: &[RemoteId],
    batch: usize,
) -> Duration {
    let mail = provider.mail().unwrap();
    let inbox = mail.find_folder(ctx, WellKnownFolder::Inbox).await.unwrap();
    let began = Instant::now();
    for part in ids.chunks(batch) {
        for message in mail.fetch(ctx, &inbox, part).await.unwrap() {
            assert!(message.unwrap().raw.len() > 10_000);
        }
    }
    began.elapsed()
}

async fn headers_read(
    ctx: &OpContext,
    provider: &Arc<dyn Provider>,
    ids: &[RemoteId],
    batch: usize,
) -> Duration {
    let mail = provider.mail().unwrap();
    let inbox = mail.find_folder(ctx, WellKnownFolder::Inbox).await.unwrap();
    let began = Instant::now();
    for part in ids.chunks(batch) {
        assert_eq!(
            mail.headers(ctx, &inbox, part).await.unwrap().len(),
            part.len()
        );
    }
    began.elapsed()
}

async fn all_ids(ctx: &OpContext, provider: &Arc<dyn Provider>) -> Vec<RemoteId> {
    let mail = provider.mail().unwrap();
    let inbox = mail.find_folder(ctx, WellKnownFolder::Inbox).await.unwrap();
    let mut ids = Vec::new();
    let mut cursor = None;
    loop {
        let page = mail
            .changes(ctx, &inbox, cursor.as_ref(), PageLimit::new(512))
            .await
            .unwrap();
        ids.extend(page.changes.into_iter().filter_map(|change| match change {
            MailChange::Present(listing) => Some(listing.id),
            MailChange::Removed(_) => None,
        }));
        cursor = Some(page.cursor);
        if !page.more {
            return ids;
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let exchange = Exchange::builder()
        .account(Account::new(DESK).login(DESK, "pw"))
        .build()
        .unwrap();
    let line = "The quick brown fox jumps over the lazy dog, and does so again and again.\r\n";
    for number in 0..MESSAGES {
        let head = format!(
            "Message-ID: <{number}@x.example>\r\nFrom: jo@x.example\r\nTo: {DESK}\r\n\
             Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nSubject: {number}\r\n\r\n"
        );
        let raw = head + &line.repeat(MESSAGE_BYTES / line.len());
        exchange.mail().deliver(raw.into_bytes(), &[DESK]);
    }
    let listening = exchange.listen(ListenOptions::http()).await.unwrap();
    let mut profile = ServerProfile::new(
        ProfileId::from_random([1; 16]),
        "bench",
        ProfileKind::ExchangeServer,
    );
    profile.incoming.location = Some(listening.url());
    profile.danger_allow_plain_http = true;
    let settings = TransportSettings::of_profile(&profile);
    let credentials = Credentials::new(DESK, Secret::new("pw"));
    let request = ProviderRequest::new(profile, DESK.parse().unwrap(), Some(credentials.clone()));
    let provider = EwsFactory::exchange_server().create(&request).unwrap();
    let transport = ReqwestTransport::new(settings).unwrap();
    let ctx = OpContext::system().unwrap();
    let ids = all_ids(&ctx, &provider).await;
    assert_eq!(ids.len(), MESSAGES);
    println!("{MESSAGES} messages of {MESSAGE_BYTES} bytes; best of {ROUNDS}");
    println!("batch  thrown away  fetched  ratio  headers");
    for batch in [10, 25, 50] {
        let (mut peer, mut ours, mut headers) = (Duration::MAX, Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            let url = listening.url();
            let thrown = thrown_away(&ctx, &transport, &url, &credentials, &ids, batch).await;
            peer = peer.min(thrown);
            ours = ours.min(fetched(&ctx, &provider, &ids, batch).await);
            headers = headers.min(headers_read(&ctx, &provider, &ids, batch).await);
        }
        println!(
            "{batch:>5}  {:>8.0} ms  {:>4.0} ms  {:>5.2}  {:>4.0} ms",
            peer.as_secs_f64() * 1e3,
            ours.as_secs_f64() * 1e3,
            ours.as_secs_f64() / peer.as_secs_f64(),
            headers.as_secs_f64() * 1e3,
        );
    }
    listening.stop().await;
}
