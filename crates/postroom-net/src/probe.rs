//! Reaching a server step by step, with evidence.

use std::time::Duration;

use postroom_provider::registry::{ProbeOutcome, ProbeReport};
use postroom_provider::{OpContext, ProviderError, Result};
use url::Url;

use crate::error::{NetError, NetFailure};
use crate::http::{HttpRequest, HttpTransport, Method};
use crate::line::ServerAddress;
use crate::reqwest_transport::check_scheme;

/// Longest that one step may take.
const STEP_TIME_MAX: Duration = Duration::from_secs(20);
/// Longest that finding out takes whether a port speaks TLS.
const TLS_TIME_MAX: Duration = Duration::from_secs(5);
/// Most addresses that are shown and tried.
const ADDRESSES_MAX: usize = 8;

/// The steps of [`probe`].
pub const STEPS: [&str; 4] = ["resolve", "connect", "tls", "http"];

/// Tries to reach a URL: `resolve`, `connect`, `tls`, `http`; stops at the first step that fails, the
/// others are not reached, and answers whether all passed. Credentials are not sent.
///
/// The first two steps speak to the server directly; `tls` and `http` are told apart by what one
/// request through the transport answers.
pub async fn probe(
    ctx: &OpContext,
    transport: &dyn HttpTransport,
    url: &Url,
    allow_plain_http: bool,
    report: &mut ProbeReport,
) -> bool {
    let before = report.steps.len();
    let passed = walk(ctx, transport, url, allow_plain_http, report).await;
    let tried = report.steps.len().saturating_sub(before);
    not_reached(report, STEPS.get(tried..).unwrap_or_default());
    passed
}

/// The same steps for a URL that has answered a request: it has been reached, without asking again.
pub async fn reached(ctx: &OpContext, url: &Url, product: &str, report: &mut ProbeReport) {
    let mut found = ProbeReport::new();
    // Behind a proxy this machine need not know the name.
    if resolve(ctx, &server_of(url), &mut found).await.is_some() {
        report.steps.append(&mut found.steps);
    } else {
        report.push("resolve", ProbeOutcome::Passed, "by the proxy");
    }
    report.push("connect", ProbeOutcome::Passed, "it answers");
    report.push("tls", ProbeOutcome::Passed, tls_evidence(url));
    report.push("http", ProbeOutcome::Passed, bounded(product));
}

async fn walk(
    ctx: &OpContext,
    transport: &dyn HttpTransport,
    url: &Url,
    allow_plain_http: bool,
    report: &mut ProbeReport,
) -> bool {
    if let Err(error) = check_scheme(url, allow_plain_http) {
        fail(report, "resolve", &error);
        return false;
    }
    reach(ctx, &server_of(url), report).await && speak(ctx, transport, url, report).await
}

fn server_of(url: &Url) -> ServerAddress {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(443);
    ServerAddress::new(host.trim_matches(['[', ']']), port)
}

/// Tries to reach a server: `resolve`, `connect`; stops at the first step that fails and answers whether
/// both passed.
pub async fn reach(ctx: &OpContext, server: &ServerAddress, report: &mut ProbeReport) -> bool {
    let Some(addresses) = resolve(ctx, server, report).await else {
        return false;
    };
    connect(ctx, &addresses, report).await
}

/// Writes the steps that were not reached.
pub fn not_reached(report: &mut ProbeReport, names: &[&'static str]) {
    for name in names {
        report.push(name, ProbeOutcome::NotReached, "");
    }
}

fn fail(report: &mut ProbeReport, name: &'static str, error: &NetError) {
    let (_, code) = error.failure().classify();
    report.push(name, ProbeOutcome::Failed(code), bounded(&error.cause()));
}

fn fail_provider(report: &mut ProbeReport, name: &'static str, error: &ProviderError) {
    report.push(
        name,
        ProbeOutcome::Failed(error.code()),
        bounded(&error.to_string()),
    );
}

fn bounded(text: &str) -> String {
    text.chars()
        .take(300)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

async fn resolve(
    ctx: &OpContext,
    server: &ServerAddress,
    report: &mut ProbeReport,
) -> Option<Vec<std::net::SocketAddr>> {
    let (host, port) = (server.host.as_str(), server.port);
    let looked_up: Result<_> = ctx
        .within(STEP_TIME_MAX)
        .bounded("probe.resolve", async {
            Ok(tokio::net::lookup_host((host, port)).await)
        })
        .await;
    let found = match looked_up {
        Ok(Ok(found)) => found.take(ADDRESSES_MAX).collect::<Vec<_>>(),
        Ok(Err(error)) => {
            fail(
                report,
                "resolve",
                &NetError::new(NetFailure::NameNotResolved, false).with_source(error),
            );
            return None;
        }
        Err(error) => {
            fail_provider(report, "resolve", &error);
            return None;
        }
    };
    if found.is_empty() {
        fail(
            report,
            "resolve",
            &NetError::new(NetFailure::NameNotResolved, false),
        );
        return None;
    }
    let shown: Vec<String> = found.iter().map(|a| a.ip().to_string()).collect();
    report.push(
        "resolve",
        ProbeOutcome::Passed,
        format!("{host} is {}", shown.join(", ")),
    );
    Some(found)
}

async fn connect(
    ctx: &OpContext,
    addresses: &[std::net::SocketAddr],
    report: &mut ProbeReport,
) -> bool {
    let connected: Result<_> = ctx
        .within(STEP_TIME_MAX)
        .bounded("probe.connect", async {
            Ok(tokio::net::TcpStream::connect(addresses).await)
        })
        .await;
    match connected {
        Ok(Ok(stream)) => {
            let peer = stream
                .peer_addr()
                .map(|a| a.to_string())
                .unwrap_or_default();
            report.push(
                "connect",
                ProbeOutcome::Passed,
                format!("connected to {peer}"),
            );
            true
        }
        Ok(Err(error)) => {
            let failure = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => NetFailure::ConnectionRefused,
                std::io::ErrorKind::TimedOut => NetFailure::TimedOut,
                _ => NetFailure::Lost,
            };
            fail(
                report,
                "connect",
                &NetError::new(failure, false).with_source(error),
            );
            false
        }
        Err(error) => {
            fail_provider(report, "connect", &error);
            false
        }
    }
}

async fn speak(
    ctx: &OpContext,
    transport: &dyn HttpTransport,
    url: &Url,
    report: &mut ProbeReport,
) -> bool {
    let answered: Result<_> = ctx
        .within(STEP_TIME_MAX)
        .bounded("probe.http", async {
            let request = HttpRequest::new(Method::GET, url.clone());
            Ok(transport.send(ctx, request).await)
        })
        .await;
    let clear = url.scheme() == "http";
    let odd = match &answered {
        Ok(Ok(response)) => response.status.as_u16() == 400,
        Ok(Err(error)) => matches!(error.failure(), NetFailure::NotHttp | NetFailure::Lost),
        Err(_) => false,
    };
    if clear && odd && speaks_tls(ctx, transport, url).await {
        fail(
            report,
            "tls",
            &NetError::new(NetFailure::TlsExpected, false),
        );
        return false;
    }
    match answered {
        Ok(Ok(response)) => {
            report.push("tls", ProbeOutcome::Passed, tls_evidence(url));
            let product = response.header("server").unwrap_or("unnamed server");
            report.push(
                "http",
                ProbeOutcome::Passed,
                bounded(&format!("status {}, {product}", response.status.as_u16())),
            );
            true
        }
        Ok(Err(error)) => {
            if in_tls(error.failure()) {
                fail(report, "tls", &error);
            } else {
                report.push("tls", ProbeOutcome::Passed, tls_evidence(url));
                fail(report, "http", &error);
            }
            false
        }
        Err(error) => {
            fail_provider(report, "http", &error);
            false
        }
    }
}

const fn in_tls(failure: NetFailure) -> bool {
    matches!(
        failure,
        NetFailure::CertificateUntrusted
            | NetFailure::CertificateExpired
            | NetFailure::CertificateWrongName
            | NetFailure::TlsFailed
    )
}

fn tls_evidence(url: &Url) -> &'static str {
    if url.scheme() == "https" {
        "certificate trusted for this name"
    } else {
        "not used: plain http is allowed for this profile"
    }
}

/// Whether the port of a URL in clear text speaks TLS.
async fn speaks_tls(ctx: &OpContext, transport: &dyn HttpTransport, url: &Url) -> bool {
    let mut secure = url.clone();
    let port = url.port_or_known_default();
    if secure.set_scheme("https").is_err() || secure.set_port(port).is_err() {
        return false;
    }
    let answered: Result<_> = ctx
        .within(TLS_TIME_MAX)
        .bounded("probe.tls", async {
            let request = HttpRequest::new(Method::GET, secure);
            Ok(transport.send(ctx, request).await)
        })
        .await;
    match answered {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => in_tls(error.failure()) && error.failure() != NetFailure::TlsFailed,
        Err(_) => false,
    }
}
