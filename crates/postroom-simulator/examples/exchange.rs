//! A simulated Exchange server for programs that are not written in Rust.
//!
//! ```text
//! exchange [--port N] [--tls] [--certificate FILE] [--capture DIR] [--messages N] --mailbox SPEC...
//! ```
//!
//! The first line on standard output is the URL. The server stops when standard input closes.
#![expect(clippy::print_stdout, reason = "the URL is what the program is for")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use postroom_simulator::exchange::{Exchange, ListenOptions};
use postroom_simulator::model::Account;
use tokio::io::AsyncReadExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = Exchange::builder();
    let mut options = ListenOptions::http();
    let mut certificate = None;
    let mut messages = 0_u32;
    let mut addresses = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--port" => {
                options.address = SocketAddr::from((Ipv4Addr::LOCALHOST, value()?.parse()?))
            }
            "--tls" => options.tls = true,
            "--certificate" => certificate = Some(value()?),
            "--capture" => builder = builder.capture(value()?),
            "--messages" => messages = value()?.parse()?,
            "--mailbox" => {
                let account: Account = value()?.parse()?;
                addresses.push(account.address.clone());
                builder = builder.account(account);
            }
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let exchange = builder.build()?;
    for address in &addresses {
        for number in 0..messages {
            let text = format!(
                "From: Ann <ann@far.example>\r\nTo: <{address}>\r\nSubject: Message {number}\r\nMessage-ID: <m{number}@far.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nText {number}.\r\n"
            );
            exchange.mail().deliver(text.into_bytes(), &[address]);
        }
    }
    let listening = exchange.listen(options).await?;
    if let (Some(file), Some(pem)) = (certificate, listening.certificate_pem()) {
        std::fs::write(file, pem)?;
    }
    println!("{}", listening.url());
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    listening.stop().await;
    Ok(())
}
