use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

fn wire(world: &World, body: &str) -> Vec<u8> {
    let request = world.request(body);
    let credentials = request.header_value("authorization").unwrap().to_owned();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {credentials}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        request.body.len()
    );
    [head.as_bytes(), &request.body].concat()
}

async fn talk(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    bytes: &[u8],
) -> String {
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is cut on purpose may end with an error; what came before it counts.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn plain_http_serves_and_breaks_as_told() {
    let world = world();
    world.deliver("one");
    let listening = world.exchange.listen(ListenOptions::http()).await.unwrap();
    assert!(listening.url().starts_with("http://127.0.0.1:"));
    let request = wire(&world, &find("inbox"));
    let connect = || async { TcpStream::connect(listening.address()).await.unwrap() };
    let whole = talk(connect().await, &request).await;
    assert!(
        whole.starts_with("HTTP/1.1 200") && whole.ends_with("</s:Envelope>"),
        "{whole}"
    );
    world
        .exchange
        .faults()
        .add(FaultRule::new(Fault::Reset).times(1));
    let half = talk(connect().await, &request).await;
    assert!(
        half.starts_with("HTTP/1.1 200") && !half.ends_with("</s:Envelope>"),
        "{half}"
    );
    world
        .exchange
        .faults()
        .add(FaultRule::new(Fault::LostAnswer).times(1));
    assert_eq!(talk(connect().await, &request).await, "");
    let large =
        format!("POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n");
    assert!(
        talk(connect().await, large.as_bytes())
            .await
            .starts_with("HTTP/1.1 413")
    );
    listening.stop().await;
}

#[tokio::test]
async fn tls_serves_those_who_trust_the_authority() {
    use rustls_pki_types::pem::PemObject as _;
    let world = world();
    let listening = world.exchange.listen(ListenOptions::https()).await.unwrap();
    let authority = rustls_pki_types::CertificateDer::from_pem_slice(
        listening.certificate_pem().unwrap().as_bytes(),
    )
    .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = |roots| {
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(
            builder.with_root_certificates(roots).with_no_client_auth(),
        ))
    };
    let name = || rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(listening.address()).await.unwrap();
    let stream = client(Arc::new(roots))
        .connect(name(), stream)
        .await
        .unwrap();
    let answer = talk(stream, &wire(&world, &find("inbox"))).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let stream = TcpStream::connect(listening.address()).await.unwrap();
    let stranger = client(Arc::new(rustls::RootCertStore::empty()));
    assert!(stranger.connect(name(), stream).await.is_err());
    listening.stop().await;
}

#[tokio::test]
async fn a_capture_holds_what_was_said_and_no_secret() {
    let folder = std::env::temp_dir().join(format!("postroom-capture-{}", std::process::id()));
    let world = world_with(|builder| builder.capture(&folder));
    world.ok(&find("inbox"));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(read("000001-FindItem-request.xml").contains("m:FindItem"));
    assert!(read("000001-FindItem-answer.xml").contains("FindItemResponse"));
    assert!(!read("000001-FindItem-request.xml").contains("Basic"));
    std::fs::remove_dir_all(folder).unwrap();
}
