//! The bare exchange: as many requests in flight, everything thrown away.

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use postroom_net::line::Connection;
use postroom_provider::OpContext;

use crate::shared::dovecot::PASSWORD;
use crate::shared::pull::{Floor, USER, Wire};

const IN_FLIGHT: u32 = 200;
const END: &[u8] = b"\r\n.\r\n";

pub(crate) struct Bare(pub(crate) Wire);

impl Bare {
    async fn listed(&self, ctx: &OpContext) -> anyhow::Result<(Connection, u32)> {
        let mut connection = self.0.connect(ctx).await?;
        line(ctx, &mut connection).await?;
        for command in [format!("USER {USER}\r\n"), format!("PASS {PASSWORD}\r\n")] {
            connection.send(ctx, command.as_bytes()).await?;
            line(ctx, &mut connection).await?;
        }
        connection.send(ctx, b"UIDL\r\n").await?;
        line(ctx, &mut connection).await?;
        let mut count = 0;
        while connection.read_line(ctx, 1000).await?.context("closed")? != b".".as_slice() {
            count += 1;
        }
        Ok((connection, count))
    }
}

#[async_trait]
impl Floor for Bare {
    async fn poll(&self, ctx: &OpContext) -> anyhow::Result<()> {
        let (mut connection, _) = self.listed(ctx).await?;
        connection.send(ctx, b"QUIT\r\n").await?;
        line(ctx, &mut connection).await
    }

    async fn pull(&self, ctx: &OpContext) -> anyhow::Result<u32> {
        let (mut connection, count) = self.listed(ctx).await?;
        let mut sent = 0;
        for read in 0..count {
            if sent < count && sent - read <= IN_FLIGHT / 2 {
                let until = count.min(read + IN_FLIGHT);
                let commands: String = (sent..until)
                    .map(|n| format!("RETR {}\r\n", n + 1))
                    .collect();
                connection.send(ctx, commands.as_bytes()).await?;
                sent = until;
            }
            line(ctx, &mut connection).await?;
            loop {
                let held = connection.buffered();
                if let Some(end) = held.windows(END.len()).position(|part| part == END) {
                    connection.consume(end + END.len());
                    break;
                }
                let seen = held.len().saturating_sub(END.len() - 1);
                connection.consume(seen);
                if connection.fill(ctx).await? == 0 {
                    bail!("closed within a message");
                }
            }
        }
        connection.send(ctx, b"QUIT\r\n").await?;
        line(ctx, &mut connection).await?;
        Ok(count)
    }
}

async fn line(ctx: &OpContext, connection: &mut Connection) -> anyhow::Result<()> {
    let line = connection.read_line(ctx, 1000).await?.context("closed")?;
    if !line.starts_with(b"+OK") {
        bail!("refused: {}", String::from_utf8_lossy(&line));
    }
    Ok(())
}
