//! The bare exchange: one command for everything, thrown away.

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use postroom_net::line::Connection;
use postroom_provider::OpContext;

use crate::shared::dovecot::PASSWORD;
use crate::shared::pull::{Floor, USER, Wire};

pub(crate) struct Bare(pub(crate) Wire);

impl Bare {
    async fn opened(&self, ctx: &OpContext) -> anyhow::Result<Connection> {
        let mut connection = self.0.connect(ctx).await?;
        line(ctx, &mut connection).await?;
        say(ctx, &mut connection, &format!("LOGIN {USER} {PASSWORD}")).await?;
        say(ctx, &mut connection, "EXAMINE INBOX").await?;
        Ok(connection)
    }
}

#[async_trait]
impl Floor for Bare {
    async fn poll(&self, ctx: &OpContext) -> anyhow::Result<()> {
        let mut connection = self.opened(ctx).await?;
        say(ctx, &mut connection, "LOGOUT").await?;
        Ok(())
    }

    async fn pull(&self, ctx: &OpContext) -> anyhow::Result<u32> {
        let mut connection = self.opened(ctx).await?;
        let count = say(ctx, &mut connection, "UID FETCH 1:* (BODY.PEEK[])").await?;
        say(ctx, &mut connection, "LOGOUT").await?;
        Ok(count)
    }
}

/// Says something and hears the answer; how many literals it has.
async fn say(ctx: &OpContext, connection: &mut Connection, command: &str) -> anyhow::Result<u32> {
    let command = format!("a {command}\r\n");
    connection.send(ctx, command.as_bytes()).await?;
    let mut literals = 0;
    loop {
        let line = line(ctx, connection).await?;
        if line.starts_with(b"a ") {
            if !line.starts_with(b"a OK") {
                bail!("refused: {}", String::from_utf8_lossy(&line));
            }
            return Ok(literals);
        }
        let length = line.strip_suffix(b"}").and_then(|line| {
            let from = line.iter().rposition(|byte| *byte == b'{')?;
            std::str::from_utf8(line.get(from + 1..)?)
                .ok()?
                .parse()
                .ok()
        });
        if let Some(length) = length {
            literals += 1;
            let mut left: usize = length;
            while left > 0 {
                let some = left.min(connection.buffered().len());
                connection.consume(some);
                left -= some;
                if left > 0 && connection.fill(ctx).await? == 0 {
                    bail!("closed within a message");
                }
            }
        }
    }
}

async fn line(ctx: &OpContext, connection: &mut Connection) -> anyhow::Result<Vec<u8>> {
    let line = connection.read_line(ctx, 10_000).await?.context("closed")?;
    Ok(line.to_vec())
}
