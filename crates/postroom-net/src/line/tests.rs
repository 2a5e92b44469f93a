use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::Timestamp;
use postroom_core::profile::Endpoint;
use postroom_provider::context::{Clock, SystemRandomness};
use postroom_provider::{OpContext, Spool};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_rustls::TlsAcceptor;

use super::dial::interleaved;
use super::*;
use crate::error::{NetError, NetFailure};

/// Gives out one end of a pipe, once.
#[derive(Debug)]
struct Pipe(Mutex<Option<DuplexStream>>);

#[async_trait]
impl Dialer for Pipe {
    async fn dial(&self, _: &OpContext, _: &ServerAddress) -> Result<Box<dyn Io>, NetError> {
        let end = self.0.lock().unwrap().take().unwrap();
        Ok(Box::new(end))
    }
}

/// Time passes as soon as nothing else can happen.
#[derive(Debug)]
struct Impatient;

#[async_trait]
impl Clock for Impatient {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }

    async fn sleep(&self, _: Duration) {
        // Everybody else gets more turns than a handshake needs.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    }
}

fn context() -> OpContext {
    OpContext::new(
        Arc::new(Impatient),
        Arc::new(SystemRandomness::new()),
        Spool::in_temporary_folder().unwrap(),
    )
}

/// A connector to a pipe, and the pipe's other end.
fn pipe(authority: Option<String>, plain: bool) -> (Connector, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let settings = ConnectorSettings {
        extra_authorities_pem: authority,
        danger_allow_plain: plain,
        ..ConnectorSettings::default()
    };
    let connector = Connector::new(&TlsClients::new(), settings).unwrap();
    let dialer = Arc::new(Pipe(Mutex::new(Some(ours))));
    (connector.with_dialer(dialer), theirs)
}

fn server() -> ServerAddress {
    ServerAddress::new("mail.example", 995)
}

/// A server's TLS and, as PEM, what to trust for it.
fn tls() -> (TlsAcceptor, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["mail.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), certificate.pem())
}

async fn plain_connection(ctx: &OpContext) -> (Connection, DuplexStream) {
    let (connector, theirs) = pipe(None, true);
    let connection = connector.connect(ctx, &server(), Security::Plain).await;
    (connection.unwrap(), theirs)
}

#[tokio::test]
async fn lines_end_with_crlf_or_lf_and_hold_anything_else() {
    let ctx = context();
    let (mut connection, mut theirs) = plain_connection(&ctx).await;
    theirs
        .write_all(b"one\r\ntwo\n\r\nthr\0ee\r\r\nrest")
        .await
        .unwrap();
    drop(theirs);
    let expected: [(&[u8], bool); 4] = [
        (b"one", false),
        (b"two", true),
        (b"", false),
        (b"thr\0ee\r", false),
    ];
    for (line, bare_lf) in expected {
        let read = connection.read_line(&ctx, 100).await.unwrap().unwrap();
        assert_eq!(
            (read.as_ref(), connection.ended_in_bare_lf()),
            (line, bare_lf)
        );
    }
    let error = connection.read_line(&ctx, 100).await.unwrap_err();
    assert_eq!(error.failure(), NetFailure::Lost);
}

#[tokio::test]
async fn a_line_has_a_bound_and_memory_with_it() {
    let ctx = context();
    let (mut connection, mut theirs) = plain_connection(&ctx).await;
    let endless = async {
        // The reader gives up long before the end.
        let _ = theirs.write_all(&vec![b'x'; 1024 * 1024]).await;
    };
    let reading = async {
        let error = connection.read_line(&ctx, 1000).await.unwrap_err();
        assert_eq!(error.failure(), NetFailure::LineTooLong);
        assert!(connection.buffered().len() <= LINE_MAX);
        drop(connection);
    };
    tokio::join!(endless, reading);
    // One that comes whole is refused as well.
    let (mut connection, mut theirs) = plain_connection(&ctx).await;
    theirs.write_all(b"12345\r\n1234\r\n").await.unwrap();
    let error = connection.read_line(&ctx, 4).await.unwrap_err();
    assert_eq!(error.failure(), NetFailure::LineTooLong);
    // The bound itself is fine.
    connection.consume(7);
    let read = connection.read_line(&ctx, 4).await.unwrap().unwrap();
    assert_eq!(read, b"1234".as_slice());
}

#[tokio::test]
async fn the_end_is_told_and_silence_ends() {
    let ctx = context();
    let (mut connection, theirs) = plain_connection(&ctx).await;
    let error = connection.read_line(&ctx, 100).await.unwrap_err();
    assert_eq!(error.failure(), NetFailure::TimedOut);
    drop(theirs);
    assert_eq!(connection.read_line(&ctx, 100).await.unwrap(), None);
}

#[tokio::test]
async fn clear_text_needs_permission() {
    let (connector, _theirs) = pipe(None, false);
    let refused = connector
        .connect(&context(), &server(), Security::Plain)
        .await;
    let error = refused.unwrap_err();
    assert_eq!(error.failure(), NetFailure::InsecureRefused);
}

#[tokio::test]
async fn tls_at_once_and_by_upgrade() {
    let ctx = context();
    for security in [Security::Tls, Security::Upgrade] {
        let (acceptor, authority) = tls();
        let (connector, mut theirs) = pipe(Some(authority), false);
        let serving = async {
            if security == Security::Upgrade {
                theirs.write_all(b"go ahead\r\n").await.unwrap();
            }
            let mut stream = acceptor.accept(theirs).await.unwrap();
            let mut four = [0; 4];
            stream.read_exact(&mut four).await.unwrap();
            stream.write_all(b"you said ").await.unwrap();
            stream.write_all(&four).await.unwrap();
            stream.write_all(b"\r\n").await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let speaking = async {
            let mut connection = connector.connect(&ctx, &server(), security).await.unwrap();
            assert_eq!(connection.is_secure(), security == Security::Tls);
            if security == Security::Upgrade {
                connection.read_line(&ctx, 100).await.unwrap().unwrap();
                connection.start_tls(&ctx).await.unwrap();
            }
            assert!(connection.is_secure() && connection.tls_version().is_some());
            connection.send(&ctx, b"ping").await.unwrap();
            let line = connection.read_line(&ctx, 100).await.unwrap().unwrap();
            assert_eq!(line, b"you said ping".as_slice());
            assert_eq!(connection.read_line(&ctx, 100).await.unwrap(), None);
            // There is no second upgrade.
            assert!(connection.start_tls(&ctx).await.is_err());
        };
        tokio::join!(serving, speaking);
    }
}

#[tokio::test]
async fn clear_text_behind_the_agreement_is_refused() {
    let ctx = context();
    let (_, authority) = tls();
    let (connector, mut theirs) = pipe(Some(authority), false);
    let mut connection = connector
        .connect(&ctx, &server(), Security::Upgrade)
        .await
        .unwrap();
    theirs
        .write_all(b"go ahead\r\n+OK injected\r\n")
        .await
        .unwrap();
    connection.read_line(&ctx, 100).await.unwrap().unwrap();
    let error = connection.start_tls(&ctx).await.unwrap_err();
    assert_eq!(error.failure(), NetFailure::PlaintextInjected);
    // Nothing can be sent on it any more, credentials least of all.
    assert!(connection.send(&ctx, b"PASS").await.is_err());
}

#[tokio::test]
async fn who_is_not_trusted_gets_no_word() {
    let ctx = context();
    let (acceptor, _) = tls();
    let (_, other) = tls();
    let (connector, theirs) = pipe(Some(other), false);
    let serving = async { acceptor.accept(theirs).await.is_err() };
    let speaking = async {
        let refused = connector.connect(&ctx, &server(), Security::Tls).await;
        refused.unwrap_err().failure()
    };
    let (refused, failure) = tokio::join!(serving, speaking);
    assert!(refused);
    assert_eq!(failure, NetFailure::CertificateUntrusted);
}

#[tokio::test]
async fn tls_on_a_clear_port_says_so() {
    let ctx = context();
    let (connector, mut theirs) = pipe(None, false);
    theirs.write_all(b"+OK POP3 ready\r\n").await.unwrap();
    let error = connector
        .connect(&ctx, &server(), Security::Tls)
        .await
        .unwrap_err();
    assert_eq!(error.failure(), NetFailure::TlsFailed);
}

#[test]
fn one_configuration_for_all_who_trust_the_same() {
    let clients = TlsClients::new();
    let (_, authority) = tls();
    let first = clients.config(Some(&authority)).unwrap();
    let again = clients.clone().config(Some(&authority)).unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in [bad, "", "no certificate"] {
        let error = clients.config(Some(pem)).unwrap_err();
        assert_eq!(error.failure(), NetFailure::Misconfigured, "{pem}");
    }
}

#[test]
fn families_take_turns() {
    let parsed = |texts: &[&str]| -> Vec<std::net::SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    };
    let found = parsed(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
    let expected = parsed(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
    assert_eq!(interleaved(found), expected);
}

#[test]
fn locations_say_where_and_when_tls_begins() {
    use Security::{Plain, Tls, Upgrade};
    let cases = [
        ("pop.example.org", None, true, "pop.example.org:995", Tls),
        (
            "pop.example.org",
            Some(995),
            true,
            "pop.example.org:995",
            Tls,
        ),
        (
            "pop.example.org",
            Some(110),
            true,
            "pop.example.org:110",
            Upgrade,
        ),
        (
            "pop.example.org:110",
            None,
            true,
            "pop.example.org:110",
            Upgrade,
        ),
        (
            "pop.example.org:1995",
            Some(110),
            true,
            "pop.example.org:1995",
            Tls,
        ),
        (
            "pop3://pop.example.org",
            None,
            true,
            "pop.example.org:110",
            Upgrade,
        ),
        (
            "pop3://pop.example.org:1110",
            None,
            true,
            "pop.example.org:1110",
            Upgrade,
        ),
        (
            "pop3s://pop.example.org/",
            None,
            true,
            "pop.example.org:995",
            Tls,
        ),
        ("pop.example.org", None, false, "pop.example.org:110", Plain),
        ("127.0.0.1:1", None, false, "127.0.0.1:1", Plain),
        ("::1", Some(7), true, "[::1]:7", Tls),
        ("[::1]:7", None, true, "[::1]:7", Tls),
    ];
    for (location, port, ssl, server, security) in cases {
        let mut endpoint = Endpoint::default();
        endpoint.location = Some(location.to_owned());
        endpoint.port = port;
        endpoint.ssl = ssl;
        let found = locate(&LineProtocol::POP3, &endpoint).unwrap();
        assert_eq!((found.0.to_string().as_str(), found.1), (server, security));
    }
    for location in [
        "",
        " ",
        "imap://x",
        "https://x",
        "u:p@x",
        "x/path",
        "x?q",
        "a b",
    ] {
        let mut endpoint = Endpoint::default();
        endpoint.location = Some(location.to_owned());
        let error = locate(&LineProtocol::POP3, &endpoint).unwrap_err();
        assert_eq!(error.failure(), NetFailure::Misconfigured, "{location}");
    }
}
