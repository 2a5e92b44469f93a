//! The bare exchange: what a client that knows everything beforehand would write.

use anyhow::{Context as _, bail};
use postroom_net::line::{
    Connection, Connector, ConnectorSettings, Security, ServerAddress, TlsClients,
};
use postroom_provider::OpContext;
use tokio::task::JoinSet;

use crate::{PASSWORD, Target, USER, message};

/// Sends so many messages over so many connections.
pub(crate) async fn send(
    ctx: &OpContext,
    target: &Target,
    count: usize,
    connections: usize,
) -> anyhow::Result<()> {
    let mut settings = ConnectorSettings::default();
    settings.extra_authorities_pem = Some(target.authority.clone());
    let connector = Connector::new(&TlsClients::new(), settings)?;
    let server = ServerAddress::new("localhost", target.port);
    let mut senders = JoinSet::new();
    for first in 0..connections {
        let (ctx, connector, server) = (ctx.clone(), connector.clone(), server.clone());
        senders.spawn(async move {
            let mut connection = open(&ctx, &connector, &server).await?;
            for number in (first..count).step_by(connections) {
                one(&ctx, &mut connection, &message(number)).await?;
            }
            ask(&ctx, &mut connection, "QUIT\r\n", 221).await
        });
    }
    while let Some(done) = senders.join_next().await {
        done??;
    }
    Ok(())
}

async fn open(
    ctx: &OpContext,
    connector: &Connector,
    server: &ServerAddress,
) -> anyhow::Result<Connection> {
    let mut connection = connector.connect(ctx, server, Security::Upgrade).await?;
    reply(ctx, &mut connection, 220).await?;
    ask(ctx, &mut connection, "EHLO [127.0.0.1]\r\n", 250).await?;
    ask(ctx, &mut connection, "STARTTLS\r\n", 220).await?;
    connection.start_tls(ctx).await?;
    ask(ctx, &mut connection, "EHLO [127.0.0.1]\r\n", 250).await?;
    ask(ctx, &mut connection, "AUTH LOGIN\r\n", 334).await?;
    ask(
        ctx,
        &mut connection,
        &format!("{}\r\n", base64(USER.as_bytes())),
        334,
    )
    .await?;
    ask(
        ctx,
        &mut connection,
        &format!("{}\r\n", base64(PASSWORD.as_bytes())),
        235,
    )
    .await?;
    Ok(connection)
}

async fn one(ctx: &OpContext, connection: &mut Connection, message: &str) -> anyhow::Result<()> {
    let envelope = format!("MAIL FROM:<{USER}>\r\nRCPT TO:<customer@far.example>\r\nDATA\r\n");
    connection.send(ctx, envelope.as_bytes()).await?;
    for code in [250, 250, 354] {
        reply(ctx, connection, code).await?;
    }
    ask(ctx, connection, &format!("{message}.\r\n"), 250).await
}

async fn ask(
    ctx: &OpContext,
    connection: &mut Connection,
    text: &str,
    code: u16,
) -> anyhow::Result<()> {
    connection.send(ctx, text.as_bytes()).await?;
    reply(ctx, connection, code).await
}

async fn reply(ctx: &OpContext, connection: &mut Connection, code: u16) -> anyhow::Result<()> {
    loop {
        let line = connection.read_line(ctx, 1000).await?.context("closed")?;
        if !line.starts_with(code.to_string().as_bytes()) {
            bail!("refused: {}", String::from_utf8_lossy(&line));
        }
        if line.get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}

/// Base64, for a user name and a password.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk
            .iter()
            .chain(std::iter::repeat(&0))
            .take(3)
            .fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        for at in 0..4 {
            let letter = ALPHABET.get(number >> (18 - 6 * at) & 63);
            text.push(match letter {
                Some(letter) if at <= chunk.len() => char::from(*letter),
                _ => '=',
            });
        }
    }
    text
}
